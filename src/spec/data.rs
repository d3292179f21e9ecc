//! Data settings: corpus, tokenizer, slices and the sequence policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The section `data` of a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Where documents come from.
    pub corpus: Corpus,
    /// How text becomes ids.
    pub tokenizer: Tokenizer,
    /// Documents to train on: a number, or `{skip, take, corpus}`.
    #[serde(default)]
    pub train: Slice,
    /// Documents for the validation loss.
    #[serde(default)]
    pub validation: Slice,
    /// Share of the documents to train on, from the first on, as in `split: 0.9`; the others are for the validation loss. In place of
    /// `train` and `validation`, for corpora of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<f64>,
    /// Documents kept for tests; default none.
    #[serde(default)]
    pub test: Slice,
    /// How documents become sequences.
    #[serde(default)]
    pub sequence: Sequence,
    /// Length of a sequence in tokens, BOS counted; default: `model.max_seq_len`.
    #[serde(default)]
    pub seq_len: SeqLen,
    /// 1: predict the next token; 2: the one after it (the off-by-one of the grid and scale-up runs, docs/studies.md#a0).
    #[serde(default = "default_target_shift")]
    pub target_shift: usize,
    /// Which draw of documents: 0 takes the slices as they stand, `n` those that begin `n` times as far on as the slices reach. The
    /// tokenizer stays the same. As an axis (`vary: {data.draw: [0, 1, 2]}`) its runs are replicates, as those of `seeds` are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub draw: usize,
}

fn is_zero(draw: &usize) -> bool {
    *draw == 0
}

fn default_target_shift() -> usize {
    1
}

/// A source of documents.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Corpus {
    /// Embedded generator of short stories, as many as asked for.
    Stories(Embedded),
    /// Embedded generator of mixed documents with log-normal lengths.
    Documents(Embedded),
    /// A plain text file cut at a separator.
    Text(TextFile),
    /// A folder of UTF-8 files, one document each, ordered by relative path.
    Folder(Folder),
    /// JSON lines: on each line an object with the text in a field.
    Jsonl(Jsonl),
    /// One JSON array or object of texts: strings, or objects with the text in a field.
    Json(Jsonl),
    /// Token ids, nanoGPT's `train.bin`; cut into documents at the end-of-text id of the tokenizer.
    Bin(BinFile),
}

impl Corpus {
    /// The first file or the folder, as the spec writes it; `None` for an embedded corpus.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stories(_) | Self::Documents(_) => None,
            Self::Text(file) => Some(file.path.first()),
            Self::Folder(folder) => Some(&folder.path),
            Self::Jsonl(file) | Self::Json(file) => Some(file.path.first()),
            Self::Bin(file) => Some(file.path.first()),
        }
    }

    /// Whether documents are pieces of one text, without an end between them.
    pub fn is_one_text(&self) -> bool {
        match self {
            Self::Text(file) => file.pieces.is_some(),
            Self::Stories(_)
            | Self::Documents(_)
            | Self::Folder(_)
            | Self::Jsonl(_)
            | Self::Json(_)
            | Self::Bin(_) => false,
        }
    }
}

/// Files, read in order: one path, or a list of paths. A path with `*`, `?` or `[…]` is a pattern, whose files are read in the
/// order of their names. Files compressed with zstd, gzip or xz are recognised by their first bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Paths(pub Vec<PathBuf>);

impl Paths {
    /// The paths and patterns.
    pub fn iter(&self) -> std::slice::Iter<'_, PathBuf> {
        self.0.iter()
    }

    /// The first one; empty where there is none.
    pub fn first(&self) -> &Path {
        self.0.first().map_or(Path::new(""), PathBuf::as_path)
    }
}

impl From<PathBuf> for Paths {
    fn from(path: PathBuf) -> Self {
        Self(vec![path])
    }
}

impl std::fmt::Display for Paths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}`", self.first().display())?;
        match self.0.len() {
            0 | 1 => Ok(()),
            2 => write!(f, " and 1 more"),
            several => write!(f, " and {} more", several - 1),
        }
    }
}

/// Parameters of an embedded corpus. A slice takes at most 4,000,000 `stories` or 600,000 `documents`, each about 4 GiB of text:
/// it is generated, learnt from and tokenised in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Version of the generator: a changed text is a new version.
    pub version: u32,
    /// Seed of the generator; default 0.
    #[serde(default)]
    pub seed: u64,
}

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextFile {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Line that ends a document; default `<|endoftext|>`. A line feed cuts at every line, two cut at empty lines. White space
    /// around documents is removed, empty ones are dropped.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// Cuts the text into pieces of so many characters instead, whatever it holds: for one long text. `stream` joins them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<usize>,
}

fn default_separator() -> String {
    "<|endoftext|>".to_owned()
}

/// A folder of files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Folder {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Only files with this extension (no dot); default: all.
    #[serde(default)]
    pub extension: Option<String>,
}

/// A JSON lines file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Field that holds the text; default `text`. `meta.text` is the field `text` of the object in `meta`.
    #[serde(default = "default_field")]
    pub field: String,
}

fn default_field() -> String {
    "text".to_owned()
}

/// A file of token ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BinFile {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Bits of an id: 16 (the default) or 32.
    #[serde(default)]
    pub width: Width,
}

/// Bits of a token id in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// As nanoGPT writes them.
    #[default]
    Bits16,
    /// For vocabularies of more than 65,536 entries.
    Bits32,
}

impl Width {
    /// Bytes of an id.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bits16 => 2,
            Self::Bits32 => 4,
        }
    }
}

/// How text becomes ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// A byte-level BPE trained on the first training documents.
    TrainBpe(TrainBpe),
    /// A `tokenizer.json` of the Hugging Face `tokenizers` library: its path, or `{path, bos, eos, pad}`.
    File(TokenizerFile),
    /// A SentencePiece `.model` file, BPE or unigram; path relative to the spec's folder.
    Sentencepiece(PathBuf),
    /// A folder with GPT-2's `vocab.json` and `merges.txt`.
    Gpt2(PathBuf),
    /// A rank file of tiktoken.
    Tiktoken(Tiktoken),
    /// llama2.c's `tokenizer.bin`, such as `tok512.bin`; path relative to the spec's folder.
    Llama2c(PathBuf),
    /// Every byte is a token.
    Bytes,
}

/// A rank file of tiktoken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiktoken {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// The encoding whose rule cuts text into words, and whose special tokens are added.
    pub pattern: Pattern,
}

/// A published encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// `gpt2` and `r50k_base`.
    Gpt2,
    /// `cl100k_base`.
    Cl100k,
    /// `o200k_base`.
    O200k,
    /// Llama 3's.
    Llama3,
}

impl Tokenizer {
    /// The file or folder that it is made from, as the spec writes it; `None` for one that needs none.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::TrainBpe(_) | Self::Bytes => None,
            Self::File(file) => Some(&file.path),
            Self::Sentencepiece(path) | Self::Gpt2(path) | Self::Llama2c(path) => Some(path),
            Self::Tiktoken(settings) => Some(&settings.path),
        }
    }
}

/// A `tokenizer.json`. Written as a path, or as a map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenizerFile {
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Token that begins a text; default: found by its usual name among the special tokens.
    pub bos: Option<String>,
    /// Token that ends a text; default: found by its usual name among the special tokens.
    pub eos: Option<String>,
    /// Token that other programs fill up batches with: written into exports, used nowhere else.
    pub pad: Option<String>,
}

/// Smallest vocabulary of a trained tokenizer: end-of-text and 256 bytes.
pub const MIN_BPE_VOCAB: usize = 257;
/// Largest vocabulary that is trained.
pub const MAX_BPE_VOCAB: usize = 1 << 16;

/// Most documents of the embedded corpus `stories` in a slice: about 4 GiB of text.
pub const MAX_STORIES: usize = 4_000_000;
/// Most documents of the embedded corpus `documents` in a slice: about 4 GiB of text.
pub const MAX_DOCUMENTS: usize = 600_000;

/// A tokenizer trained as part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainBpe {
    /// Entries, the 256 bytes and the special tokens counted.
    pub vocab_size: usize,
    /// How many documents of the training slice's start to learn from; default: `data.train`. Name it where runs with
    /// different `data.train` are compared: losses are comparable only with one tokenizer.
    #[serde(default)]
    pub documents: Option<usize>,
}

/// A range of documents of a corpus.
///
/// Written as a number, or as a map. Without `skip`, held-out documents come first: validation takes the corpus's first
/// documents, test the next, and training those after them, so that runs with different `train` share their held-out sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// First document, counted from 0; `None`: by the rule above.
    pub skip: Option<usize>,
    /// How many documents.
    pub take: usize,
    /// Another corpus than `data.corpus`.
    pub corpus: Option<Corpus>,
}

/// Length of a sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SeqLen {
    /// `model.max_seq_len`.
    #[default]
    Max,
    /// The ids of the shortest document of the slice (the naive pair of the ablation, docs/studies.md#b).
    Shortest,
    /// So many tokens.
    Tokens(usize),
}

/// How documents become sequences (docs/studies.md#a0 and #b). With s = `seq_len`, every content chunk has at most s - 1 ids;
/// the input is BOS and the chunk, the target the chunk and EOS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sequence {
    /// One sequence per document, cut to its first s - 1 ids.
    #[default]
    NextToken,
    /// As `next_token`, and no padding is expected (the ablation's naive policy).
    Discard,
    /// One buffer over all documents («snaking»), cut into full chunks; the rest is dropped.
    ImputeConcat,
    /// As `discard`; shorter documents are padded to s and the padding is masked.
    PadDiscard,
    /// As `impute_concat` (the padding was never active).
    PadImputeConcat,
    /// Each document cut into chunks on its own, the last one padded (the ablation as described).
    PadImputePerDocument,
    /// As `impute_concat`, but a chunk is kept only where what is left of the buffer after it is shorter than `tol` (as run).
    InformedAsRun(Tolerance),
    /// Each document cut into chunks; the last one is padded and kept if it has at least `tol` ids (as described).
    InformedAsDescribed(Tolerance),
    /// Windows of s tokens at random offsets of one stream of documents, each followed by end-of-text (nanoGPT).
    Stream,
}

/// Parameter of the informed policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tolerance {
    /// Tokens.
    pub tol: usize,
}
