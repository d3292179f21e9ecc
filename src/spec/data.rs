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
    pub train: Slice,
    /// Documents for the validation loss.
    pub validation: Slice,
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
    /// JSON lines, or JSON lines compressed with zstd (name ends in `.zst`).
    Jsonl(Jsonl),
    /// Token ids as little-endian u16, nanoGPT's `train.bin`; cut into documents at the end-of-text id of the tokenizer.
    Bin(BinFile),
}

impl Corpus {
    /// File or folder, as the spec writes it; `None` for an embedded corpus.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Stories(_) | Self::Documents(_) => None,
            Self::Text(file) => Some(&file.path),
            Self::Folder(folder) => Some(&folder.path),
            Self::Jsonl(file) => Some(&file.path),
            Self::Bin(file) => Some(&file.path),
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
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Line that ends a document; default `<|endoftext|>`. White space around documents is removed, empty ones are dropped.
    #[serde(default = "default_separator")]
    pub separator: String,
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
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
    /// Field that holds the text; default `text`.
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
    /// Path, relative to the spec's folder.
    pub path: PathBuf,
}

/// How text becomes ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Tokenizer {
    /// A byte-level BPE trained on the first training documents.
    TrainBpe(TrainBpe),
    /// A `tokenizer.json` of the Hugging Face `tokenizers` library: its path, or `{path, bos, eos, pad}`.
    File(TokenizerFile),
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
