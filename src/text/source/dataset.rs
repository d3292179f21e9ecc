//! Named public data sets: addresses, formats and licences.

use super::{
    BinVocabulary, Corpus, DataError, Document, Documents, Jsonl, Origin, Source, TextFile,
};
use crate::choices::Findings;
use crate::digest::Sha256Hex;
use crate::text::remote::{Fetched, Pin};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A public data set by name, such as `tinystories`; `specbook help datasets` lists them, `specbook data fetch` downloads them.";
/// An example.
pub static EXAMPLE: LazyLock<Dataset> = LazyLock::new(|| Dataset("tinystories".to_owned()));

/// Name of a data set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Dataset(pub String);

/// A public data set.
#[derive(Clone, Debug)]
pub struct Set {
    /// Name in specs.
    pub name: &'static str,
    /// Description in one sentence.
    pub about: &'static str,
    /// Its licence.
    pub licence: &'static str,
    /// The work to cite.
    pub citation: &'static str,
    /// Its addresses, pinned by a lock.
    pub addresses: &'static [&'static str],
    /// Its files, if they never change: pinned here instead of in a lock.
    pub pins: Vec<Pin>,
    /// Format of each file.
    corpus: Corpus,
    /// Whether only the first half of each file is used, and all documents are sorted by SHA-256.
    is_mixed: bool,
    /// An existing single file with the same documents.
    copy: Option<(Pin, Corpus)>,
}

impl Set {
    /// The data set with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SETS.iter().find(|set| set.name == name)
    }

    /// All data sets.
    pub fn all() -> &'static [Self] {
        &SETS
    }

    /// Its files on this machine, in order: the single copy, or all files.
    pub(super) fn files(&self, fetched: &Fetched) -> Result<Vec<PathBuf>, DataError> {
        if let Some(copy) = self.copy.as_ref().and_then(|(pin, _)| fetched.find(pin)) {
            return Ok(vec![copy]);
        }
        let mut files = fetched.pinned(self.name, &self.pins)?;
        for address in self.addresses {
            files.extend(fetched.files(Path::new(address))?);
        }
        Ok(files)
    }

    /// Whether all of its files are on this machine.
    pub(crate) fn is_here(&self, fetched: &Fetched) -> bool {
        self.files(fetched).is_ok()
    }
}

impl Source for Dataset {
    fn origin(&self) -> Origin<'_> {
        match Set::find(&self.0) {
            Some(set) => Origin::Set(set),
            None => Origin::Files(&UNKNOWN),
        }
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        if Set::find(&self.0).is_none() {
            let names: Vec<String> = SETS.iter().map(|set| format!("`{}`", set.name)).collect();
            findings
                .say(path, format!("no public set is called `{}`", self.0))
                .allowed(names.join(", "));
        }
    }

    fn read(
        &self,
        path: PathBuf,
        vocabulary: Option<BinVocabulary>,
    ) -> Result<Documents, DataError> {
        let Some(set) = Set::find(&self.0) else {
            return Err(DataError::NotFetched {
                address: self.0.clone(),
            });
        };
        let size = std::fs::metadata(&path).map_or(0, |metadata| metadata.len());
        match &set.copy {
            Some((pin, corpus)) if pin.size == size => corpus.get().read(path, vocabulary),
            _ if set.is_mixed => {
                let all = set.corpus.get().read(path, vocabulary)?;
                let all = all.collect::<Result<Vec<_>, _>>()?;
                let half = all.len() / 2;
                Ok(Box::new(all.into_iter().take(half).map(Ok)))
            }
            _ => set.corpus.get().read(path, vocabulary),
        }
    }

    fn is_one_text(&self) -> bool {
        Set::find(&self.0).is_some_and(|set| set.corpus.get().is_one_text())
    }

    fn arrange(&self, documents: Documents) -> Documents {
        if !Set::find(&self.0).is_some_and(|set| set.is_mixed) {
            return documents;
        }
        // Documents after a failure are not requested.
        let mut mixed: Vec<Result<Document, DataError>> = documents.collect();
        if let Some(at) = mixed.iter().position(Result::is_err) {
            mixed.swap(0, at);
            mixed.truncate(1);
        }
        mixed.sort_by_cached_key(|document| {
            let document = document.as_ref().ok();
            document.map(|document| Sha256Hex::of(&document.identity_bytes()).to_string())
        });
        Box::new(mixed.into_iter())
    }
}

/// For a name that the check refuses.
static UNKNOWN: LazyLock<super::Paths> = LazyLock::new(|| super::Paths::from("unknown set"));

fn pin(url: &str, size: u64, sha256: &str) -> Pin {
    let sha256 = Sha256Hex::parse(sha256).expect("a digest of the table");
    let url = url.to_owned();
    Pin { url, size, sha256 }
}

fn text(separator: &str) -> Corpus {
    Corpus::Text(TextFile {
        path: super::Paths::default(),
        separator: separator.to_owned(),
        pieces: None,
    })
}

fn lines(field: &str) -> Corpus {
    Corpus::Jsonl(Jsonl {
        path: super::Paths::default(),
        field: field.to_owned(),
    })
}

const STORIES: &str = "Eldan and Li, TinyStories: How Small Can Language Models Be and Still Speak Coherent English?, arXiv:2305.07759";
const PILE: &str = "Gao et al., The Pile: An 800GB Dataset of Diverse Text for Language Modeling, arXiv:2101.00027";
const GITHUB: &str = "https://raw.githubusercontent.com";
/// The Pile's test documents in the repository of Duan et al., arXiv:2402.07841: folder, bytes, SHA-256.
const MIMIR: [(&str, u64, &str); 10] = [
    (
        "europarl",
        3_259_876,
        "49966f10ef0a849808150ad90263a82a191c51585af84180a3ad76304f19a7f3",
    ),
    (
        "github",
        1_471_757,
        "0b2187381f671431ca0bfefdb38ca6a63bc4c3821432b10588bf4281dca71a70",
    ),
    (
        "hackernews",
        3_538_139,
        "980c76bdfcd94a3c41e52ef38fa3865a9aef3a26cb4a5125665db0f096d7b554",
    ),
    (
        "nih_exporter",
        856_712,
        "e1b08905b0639bbd5c8c4f06a432c28e5de8fe7b188b2749ae190ab7dc2cbbf1",
    ),
    (
        "openwebtext2",
        2_048_923,
        "2e28f7c29e711036e27db175d614f71d814e97877ca0e56f6fd6fa0f156de996",
    ),
    (
        "pile_cc",
        2_159_416,
        "00791c47ee2287514b477c397e1c8275242dd3435e95081c91852cf84bf3dd56",
    ),
    (
        "pubmed_abstracts",
        620_429,
        "d005167ab8e3855e80cacf9c04abf3bc299be2b9876eb9b40afa4ad9a6af75dc",
    ),
    (
        "stackexchange",
        893_089,
        "c2b021fe2f817babf13715103510da50a85adc38f9217a67f560ec62318447ab",
    ),
    (
        "uspto_backgrounds",
        1_439_716,
        "94ef07bc5e5a9fe6d68d80f0d814a5302f44281ceaee76475cd04ca270bcf572",
    ),
    (
        "wikipedia_%28en%29",
        1_765_417,
        "03276d4b6481ba0dc3ea2b068b7302b692df9b5121a9d27c046d1d8a7f12b64d",
    ),
];

static SETS: LazyLock<Vec<Set>> = LazyLock::new(|| {
    let plain = |name, about, licence, citation, corpus| Set {
        name,
        about,
        licence,
        citation,
        addresses: &[],
        pins: Vec::new(),
        corpus,
        is_mixed: false,
        copy: None,
    };
    let mimir = MIMIR.map(|(folder, size, sha256)| {
        let commit = "1b6fd649eeeecc887275a2336c7da808ee58757d";
        let path =
            format!("local/deduped/existing_nonmembers/ngram_7/{folder}/0/test_raw.jsonl.gz");
        pin(
            &format!("{GITHUB}/iamgroot42/mimir/{commit}/{path}"),
            size,
            sha256,
        )
    });
    vec![
        Set {
            addresses: &["hf://datasets/roneneldan/TinyStories@main/TinyStories-train.txt"],
            ..plain(
                "tinystories",
                "Short stories for children, written by GPT-3.5 and GPT-4; the training set.",
                "CDLA-Sharing-1.0",
                STORIES,
                text("<|endoftext|>"),
            )
        },
        Set {
            addresses: &["hf://datasets/roneneldan/TinyStories@main/TinyStoriesV2-GPT4-train.txt"],
            ..plain(
                "tinystories-v2",
                "Short stories for children, written by GPT-4 alone; the training set.",
                "CDLA-Sharing-1.0",
                STORIES,
                text("<|endoftext|>"),
            )
        },
        Set {
            pins: vec![pin(
                &format!(
                    "{GITHUB}/gusjengis/toy-RNN/e4c7ff8bba4ff7989e69a3a816ebe4b14813b41e/data/tinystories_sample.txt"
                ),
                2_097_152,
                "5352b299dcb1a32898b2d779b145b5a05f3e1265953fd21c264c9f9f9c9ae33d",
            )],
            ..plain(
                "tinystories-head",
                "The first 2 MiB of `tinystories`: 2,317 stories, the last one truncated.",
                "CDLA-Sharing-1.0",
                STORIES,
                text("<|endoftext|>"),
            )
        },
        Set {
            pins: vec![pin(
                &format!(
                    "{GITHUB}/pytorch/examples/main/word_language_model/data/wikitext-2/valid.txt"
                ),
                1_121_681,
                "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
            )],
            ..plain(
                "wikitext-2",
                "Paragraphs of Wikipedia's good and featured articles, the validation set; rare words are `<unk>`.",
                "CC BY-SA 3.0",
                "Merity et al., Pointer Sentinel Mixture Models, arXiv:1609.07843",
                text("\n\n"),
            )
        },
        Set {
            pins: vec![pin(
                &format!(
                    "{GITHUB}/karpathy/char-rnn/d1d7aa34fdb3626174bce1d753e6cc6845ce7087/data/tinyshakespeare/input.txt"
                ),
                1_115_394,
                "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
            )],
            ..plain(
                "tiny-shakespeare",
                "40,000 lines of Shakespeare's plays as one text, in pieces of 1,000 characters.",
                "public domain",
                "Karpathy, The Unreasonable Effectiveness of Recurrent Neural Networks, 2015",
                Corpus::Text(TextFile {
                    path: super::Paths::default(),
                    separator: "\n\n".to_owned(),
                    pieces: Some(1000),
                }),
            )
        },
        Set {
            addresses: &["hf://datasets/monology/pile-uncopyrighted@main/train/*.jsonl.zst"],
            ..plain(
                "pile-uncopyrighted",
                "The Pile without the parts removed for copyright reasons; 30 shards of about 11 GB.",
                "differs by part; collected for research",
                PILE,
                lines("text"),
            )
        },
        Set {
            pins: mimir.into(),
            is_mixed: true,
            copy: Some((
                pin(
                    "pile-test-a.jsonl.zst",
                    5_510_046,
                    "74b4b052f7f1ca040fbd2c69a8fef92c2404135a32645df934be403ebc26f3e1",
                ),
                lines("text"),
            )),
            ..plain(
                "pile-test",
                "4,540 documents of ten domains of the Pile's test set, mixed by their SHA-256.",
                "differs by part; collected for research",
                PILE,
                lines("original"),
            )
        },
    ]
});
