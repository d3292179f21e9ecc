//! Identity of data: the parts of a corpus and tokenizer that enter a run's key.
//!
//! Paths, compression and file contents outside the slices are not part of it. Nothing is generated or tokenised here;
//! a file is read only if its size, times or inode changed since it was last digested.

use super::cache::Cache;
use super::sequence::{check_shift, sequence_length};
use super::slices::{DocumentRange, Slices};
use super::source::{self, BinVocabulary, Origin, Wanted};
use super::tokenizer::{self, TextTokenizer};
use super::{DataContext, DataError, load};
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::AnyPath;
use crate::spec::{Corpus, DataSettings, ModelSettings, SeqLen, Sequence, Tokenizer};
use crate::text::corpora::Embedded;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// Identity of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataKey {
    /// Training slice.
    pub train: SliceKey,
    /// Validation slice.
    pub validation: SliceKey,
    /// Tokenizer.
    pub tokenizer: TokenizerKey,
    /// Sequence policy.
    pub sequence: Sequence,
    /// Resolved sequence length (`shortest` is kept, since its value follows from the data).
    pub seq_len: SeqLen,
    /// Distance from input to target.
    pub target_shift: usize,
}

/// Identity of a slice of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum SliceKey {
    /// Documents of an embedded generator: its name, parameters and the range.
    Embedded {
        /// `stories` or `documents`.
        generator: String,
        /// Version and seed.
        parameters: Embedded,
        /// First document.
        skip: usize,
        /// Number of documents.
        take: usize,
    },
    /// Documents of a file: sha256 over the length-prefixed decoded texts of the slice.
    Documents {
        /// Number of documents.
        take: usize,
        /// Digest.
        sha256: Sha256Hex,
        /// Whether the documents are pieces of one text.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        one_text: bool,
    },
}

/// Identity of a tokenizer.
#[derive(Clone, Debug, PartialEq)]
pub enum TokenizerKey {
    /// Digest of the file.
    File {
        /// Digest.
        sha256: Sha256Hex,
    },
    /// Everything that determines a trained tokenizer. Written as `{KIND: {…recipe, slice}}`.
    Learnt {
        /// Name of its kind.
        kind: String,
        /// Everything besides the documents that determines it.
        recipe: Map<String, Value>,
        /// Its training documents.
        slice: SliceKey,
    },
}

impl TokenizerKey {
    /// Key of a tokenizer trained on `slice`; `None` for one that needs no documents.
    pub fn learnt(tokenizer: &Tokenizer, slice: &SliceKey) -> Option<Self> {
        Some(Self::Learnt {
            recipe: tokenizer.learns()?.recipe(),
            kind: tokenizer.name().to_owned(),
            slice: slice.clone(),
        })
    }
}

impl Serialize for TokenizerKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::File { sha256 } => json!({"file": {"sha256": sha256}}),
            Self::Learnt {
                kind,
                recipe,
                slice,
            } => {
                let mut all = recipe.clone();
                all.insert("slice".to_owned(), json!(slice));
                json!({kind: all})
            }
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TokenizerKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let kinds = Map::deserialize(deserializer)?;
        let mut kinds = kinds.into_iter();
        let (Some((kind, Value::Object(mut recipe))), None) = (kinds.next(), kinds.next()) else {
            return Err(D::Error::custom("expected one kind of tokenizer"));
        };
        let part = if kind == "file" { "sha256" } else { "slice" };
        let Some(value) = recipe.remove(part) else {
            return Err(D::Error::missing_field(part));
        };
        if kind == "file" {
            let sha256 = serde_json::from_value(value).map_err(D::Error::custom)?;
            return Ok(Self::File { sha256 });
        }
        let slice = serde_json::from_value(value).map_err(D::Error::custom)?;
        Ok(Self::Learnt {
            kind,
            recipe,
            slice,
        })
    }
}

/// Facts about a run's data known before loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Identified {
    /// Identity.
    pub key: DataKey,
    /// Identity of the test slice, for evaluations that use it; `None` if it is empty.
    pub test: Option<SliceKey>,
    /// Vocabulary size, from which [`ModelSettings::resolve`] sizes the model. For `train_bpe`, the requested size.
    pub vocab_size: usize,
    /// The documents of each slice.
    pub(super) slices: Slices,
}

/// Facts about a run's data kept in the plan, so that it can be rebuilt without the text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownData {
    /// Identity.
    key: DataKey,
    /// Identity of the test slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    test: Option<SliceKey>,
    /// Vocabulary size.
    vocab_size: usize,
    /// The settings with `split` replaced by slices, which needs the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) resolved: Option<DataSettings>,
}

impl Identified {
    /// The facts for a plan to keep; `resolved` is given if the settings had a `split`.
    pub(crate) fn known(&self, resolved: Option<DataSettings>) -> KnownData {
        KnownData {
            key: self.key.clone(),
            test: self.test.clone(),
            vocab_size: self.vocab_size,
            resolved,
        }
    }
}

impl KnownData {
    /// The result that [`identify`] gave for `settings` when the text was available.
    pub(crate) fn identified(
        &self,
        settings: &DataSettings,
        context: &DataContext,
    ) -> Result<Identified, DataError> {
        Ok(Identified {
            key: self.key.clone(),
            test: self.test.clone(),
            vocab_size: self.vocab_size,
            slices: Slices::of(settings, context)?,
        })
    }
}

/// Identifies the data of a run without loading it. Takes well under a millisecond if files are unchanged since the
/// last call and `context` has a cache.
///
/// # Errors
/// Slices that overlap or are empty; missing or damaged files; fewer documents than the slices need; an impossible
/// sequence length, shift or vocabulary size.
pub fn identify(
    settings: &DataSettings,
    model: &ModelSettings,
    context: &DataContext,
) -> Result<Identified, DataError> {
    let slices = Slices::of(settings, context)?;
    check_shift(settings.target_shift)?;
    let seq_len = match settings.seq_len {
        SeqLen::Shortest => SeqLen::Shortest,
        other => SeqLen::Tokens(sequence_length(other, model.max_seq_len, &[])?),
    };
    let learns = settings.tokenizer.learns();
    if let Some(kind) = learns {
        kind.is_possible()?;
    }
    let file = TokenizerFacts::of(&settings.tokenizer, context)?;
    let vocabulary = file.as_ref().map(TokenizerFacts::vocabulary);
    let ranges: Vec<&DocumentRange> = [&slices.train, &slices.validation, &slices.test]
        .into_iter()
        .chain(&slices.tokenizer)
        .collect();
    let keys = slice_keys(&ranges, vocabulary, context)?;
    let (tokenizer, vocab_size) = match file {
        Some(facts) => {
            let sha256 = facts.sha256;
            (TokenizerKey::File { sha256 }, facts.vocab_size)
        }
        None => {
            let key = TokenizerKey::learnt(&settings.tokenizer, &keys[3]);
            let key = key.expect("a tokenizer without facts learns from documents");
            let entries = match learns.and_then(|kind| kind.entries()) {
                Some(entries) => entries,
                // The size is known only from the documents. Cache warnings are reported when the data is loaded.
                None => load::learnt(&settings.tokenizer, &slices, &key, context, &mut Vec::new())?
                    .vocab_size(),
            };
            (key, entries)
        }
    };
    check_vocabulary(model, vocab_size)?;
    let key = DataKey {
        train: keys[0].clone(),
        validation: keys[1].clone(),
        tokenizer,
        sequence: settings.sequence,
        seq_len,
        target_shift: settings.target_shift,
    };
    Ok(Identified {
        test: (!slices.test.range.is_empty()).then(|| keys[2].clone()),
        vocab_size,
        slices,
        key,
    })
}

/// Checks that the tokenizer has the size the model requires.
fn check_vocabulary(model: &ModelSettings, found: usize) -> Result<(), DataError> {
    match model.vocab_size {
        Some(expected) if expected != found => Err(DataError::OtherVocabulary { expected, found }),
        _ => Ok(()),
    }
}

/// Cache key of the ids of a slice.
pub(super) fn slice_cache_key(slice: &SliceKey, tokenizer: &TokenizerKey) -> String {
    format!(
        "specbook.tokens.v1\n{}",
        serde_json::json!([slice, tokenizer])
    )
}

/// Cache key of a trained tokenizer.
pub(super) fn tokenizer_cache_key(tokenizer: &TokenizerKey) -> String {
    format!("specbook.bpe.v1\n{}", serde_json::json!(tokenizer))
}

/// Facts about a `tokenizer.json` that a plan needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TokenizerFacts {
    sha256: Sha256Hex,
    vocab_size: usize,
    eos: u32,
}

impl TokenizerFacts {
    /// `None` for a tokenizer that must be trained.
    fn of(settings: &Tokenizer, context: &DataContext) -> Result<Option<Self>, DataError> {
        let opened = || {
            let opened = tokenizer::open(settings, context)?;
            Ok::<_, DataError>(opened.as_ref().map(Self::from))
        };
        let files = tokenizer::files(settings, context);
        if files.is_empty() {
            return opened();
        }
        let fingerprint = source::fingerprint_of(&files)?;
        let cache = Cache::new(context);
        let what = format!(
            "tokenizer\n{}\n{}",
            json!(AnyPath::from(&context.base)),
            json!(settings)
        );
        if let Some(facts) = cache
            .stat(&what, &fingerprint)
            .filter(|_| !context.paranoid)
        {
            return Ok(Some(facts));
        }
        let facts = opened()?;
        // A cache that cannot be written only makes the next lookup slower.
        let _ = cache.put_stat(&what, &fingerprint, &facts);
        Ok(facts)
    }

    fn vocabulary(&self) -> BinVocabulary {
        BinVocabulary {
            eos: self.eos,
            vocab_size: self.vocab_size,
        }
    }
}

impl From<&TextTokenizer> for TokenizerFacts {
    fn from(tokenizer: &TextTokenizer) -> Self {
        Self {
            sha256: tokenizer.sha256(),
            vocab_size: tokenizer.vocab_size(),
            eos: tokenizer.eos(),
        }
    }
}

/// Keys of slices; each file is read at most once, and not at all if all its digests are known.
fn slice_keys(
    ranges: &[&DocumentRange],
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
) -> Result<Vec<SliceKey>, DataError> {
    let mut keys: Vec<Option<SliceKey>> = vec![None; ranges.len()];
    for first in 0..ranges.len() {
        if keys[first].is_some() {
            continue;
        }
        let corpus = &ranges[first].corpus;
        let same: Vec<usize> = (first..ranges.len())
            .filter(|i| keys[*i].is_none() && ranges[*i].corpus == *corpus)
            .collect();
        if let Origin::Generated {
            generator,
            parameters,
            ..
        } = corpus.get().origin()
        {
            for i in same {
                keys[i] = Some(SliceKey::Embedded {
                    generator: generator.name().to_owned(),
                    parameters: *parameters,
                    skip: ranges[i].range.start,
                    take: ranges[i].range.len(),
                });
            }
            continue;
        }
        let digests = file_digests(corpus, &same, ranges, vocabulary, context)?;
        for (i, sha256) in same.iter().zip(digests) {
            keys[*i] = Some(SliceKey::Documents {
                take: ranges[*i].range.len(),
                sha256,
                one_text: corpus.get().is_one_text(),
            });
        }
    }
    Ok(keys.into_iter().flatten().collect())
}

/// Number of documents in `data.corpus`; cached for unchanged files.
pub(super) fn count_documents(
    settings: &DataSettings,
    context: &DataContext,
) -> Result<usize, DataError> {
    let corpus = &settings.corpus;
    let vocabulary = match corpus.get().holds_ids() {
        true => TokenizerFacts::of(&settings.tokenizer, context)?,
        false => None,
    };
    let vocabulary = vocabulary.as_ref().map(TokenizerFacts::vocabulary);
    let Some(fingerprint) = source::fingerprint(corpus, context)? else {
        return Ok(0);
    };
    let cache = Cache::new(context);
    let ends = vocabulary.map(|v| (v.eos, v.vocab_size));
    let what = format!(
        "count\n{}",
        serde_json::json!([corpus, AnyPath::from(&context.base), ends])
    );
    if let Some(count) = cache
        .stat(&what, &fingerprint)
        .filter(|_| !context.paranoid)
    {
        return Ok(count);
    }
    let count = source::count(corpus, vocabulary, context)?;
    let _ = cache.put_stat(&what, &fingerprint, count);
    Ok(count)
}

fn file_digests(
    corpus: &Corpus,
    numbers: &[usize],
    ranges: &[&DocumentRange],
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
) -> Result<Vec<Sha256Hex>, DataError> {
    let cache = Cache::new(context);
    // Errors that a cached digest would hide: a missing file; a `.bin` without the tokenizer that made it.
    let Some(fingerprint) = source::fingerprint(corpus, context)? else {
        return Ok(Vec::new());
    };
    let ids = corpus.get().holds_ids().then_some(vocabulary);
    let base = AnyPath::from(&context.base);
    let what = |number: usize| {
        let vocabulary = ids.flatten().map(|v| (v.eos, v.vocab_size));
        let range = &ranges[number].range;
        format!(
            "slice\n{}",
            serde_json::json!([corpus, base, range.start, range.end, vocabulary])
        )
    };
    let known: Vec<Option<Sha256Hex>> = numbers
        .iter()
        .map(|number| {
            cache
                .stat(&what(*number), &fingerprint)
                .filter(|_| !context.paranoid && ids != Some(None))
        })
        .collect();
    if let Some(known) = known.iter().copied().collect::<Option<Vec<_>>>() {
        return Ok(known);
    }
    let wanted: Vec<Wanted> = numbers
        .iter()
        .map(|number| Wanted {
            slice: ranges[*number].slice,
            range: ranges[*number].range.clone(),
        })
        .collect();
    let mut hashers = vec![Hasher::new(); numbers.len()];
    source::read_ranges(corpus, &wanted, vocabulary, context, |number, document| {
        hashers[number].update_prefixed(&document.identity_bytes());
        Ok(())
    })?;
    let digests: Vec<Sha256Hex> = hashers.into_iter().map(Hasher::finish).collect();
    for (number, digest) in numbers.iter().zip(&digests) {
        let _ = cache.put_stat(&what(*number), &fingerprint, digest);
    }
    Ok(digests)
}

#[cfg(test)]
mod tests;
