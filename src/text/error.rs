//! Errors of documents, tokenizers and sequences.

use super::tokenizer::{MAX_BPE_VOCAB, MIN_BPE_VOCAB};
use std::io;
use std::path::PathBuf;

/// A problem with documents, tokenizers or sequences.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read `{}`: {source}", path.display())]
    Io {
        /// File or folder.
        path: PathBuf,
        /// Reason given by the system.
        #[source]
        source: io::Error,
    },
    /// An address whose files have not been downloaded.
    #[error(
        "`{address}` is not on this machine; `specbook data fetch SPEC` downloads it, `specbook run --fetch SPEC` only the part it needs"
    )]
    NotFetched {
        /// The address, or the name of a set.
        address: String,
    },
    /// An unexpected line in a JSONL file.
    #[error(
        "`{}`, line {line}: expected {expected}, found {found}; {} read before it",
        path.display(), count(*documents, "document")
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: u64,
        /// The expected content.
        expected: String,
        /// The actual content.
        found: String,
        /// Documents read before it.
        documents: usize,
    },
    /// A document or line beyond the size limit.
    #[error(
        "`{}`, {place}: longer than the limit of {limit} bytes; {} read before it", path.display(), count(*documents, "document")
    )]
    TooLong {
        /// The file.
        path: PathBuf,
        /// `line 3` or `document 3`.
        place: String,
        /// The limit.
        limit: usize,
        /// Documents read before it.
        documents: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("`{}`: invalid UTF-8 at byte {offset}; documents must be UTF-8 text", path.display())]
    Utf8 {
        /// The file.
        path: PathBuf,
        /// Offset of the first bad byte (in the decompressed text).
        offset: u64,
    },
    /// A compressed file that is truncated, damaged, or needs too much memory.
    #[error(
        "`{}`: {}: {reason}; {decoded} decompressed bytes ({}) were read before it", path.display(),
        match (sound, truncated) {
            (true, _) => format!("unsupported {format} data"),
            (false, true) => format!("the {format} data ends early"),
            (false, false) => format!("the {format} data is damaged"),
        },
        count(*documents, "document")
    )]
    Compressed {
        /// The file.
        path: PathBuf,
        /// `zstd`, `gzip` or `xz`.
        format: &'static str,
        /// Whether the file ends too early.
        truncated: bool,
        /// Whether the file is valid and only needs too much memory.
        sound: bool,
        /// Decompressed bytes before the problem.
        decoded: u64,
        /// Documents read before it.
        documents: usize,
        /// Reason given by the decoder.
        reason: String,
    },
    /// A Parquet file that is damaged or uses an unsupported feature.
    #[error(
        "`{}`: {}{reason}; {} read before it", path.display(), if *damaged { "the Parquet file is damaged: " } else { "" },
        count(*documents, "document")
    )]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Whether it is damaged.
        damaged: bool,
        /// What is wrong with it.
        reason: String,
        /// Documents read before it.
        documents: usize,
    },
    /// A `.bin` file with part of an id at its end.
    #[error("`{}`: {bytes} bytes are not a whole number of {bits}-bit token ids", path.display())]
    OddLength {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// Bits of an id.
        bits: usize,
    },
    /// A `.bin` file whose ids are wider than the given width.
    #[error(
        "`{}`: every second id of {bits} bits is 0, as in files with ids of {} bits; write `width: {}` where it holds such ids",
        path.display(), 2 * bits, 2 * bits
    )]
    OtherWidth {
        /// The file.
        path: PathBuf,
        /// Bits of an id, as given.
        bits: usize,
    },
    /// A `.bin` file without the tokenizer that made it.
    #[error(
        "`{}` holds token ids, so `data.tokenizer` must be the `file` they were made with, not `train_bpe`", path.display()
    )]
    IdsNeedTokenizer {
        /// The `.bin` file.
        path: PathBuf,
    },
    /// An id outside the vocabulary.
    #[error(
        "{place}: token id {id} is beyond the vocabulary of {vocab_size} entries; the ids were made with another tokenizer"
    )]
    IdBeyondVocabulary {
        /// File and position.
        place: String,
        /// The id.
        id: u32,
        /// Entries of the vocabulary.
        vocab_size: usize,
    },
    /// A corpus with too few documents.
    #[error(
        "{corpus} has {}, but `data.{slice}` asks for documents {} to {}{hint}", count(*available, "document"), skip + 1, skip + take
    )]
    TooFewDocuments {
        /// The corpus.
        corpus: String,
        /// `train`, `validation` or `test`.
        slice: &'static str,
        /// First document.
        skip: usize,
        /// Requested documents.
        take: usize,
        /// Available documents.
        available: usize,
        /// Likely cause and remedy; may be empty.
        hint: String,
    },
    /// A split of a corpus that leaves one side empty.
    #[error("`data.split: {split}` leaves training or validation without documents: {corpus} has {}", count(*available, "document"))]
    Split {
        /// The share.
        split: f64,
        /// The corpus.
        corpus: String,
        /// Available documents.
        available: usize,
    },
    /// An empty slice.
    #[error("`data.{slice}` takes no documents; at least 1 is needed")]
    EmptySlice {
        /// `train`, `validation` or `test`.
        slice: &'static str,
    },
    /// More held-out documents requested than the slice has.
    #[error(
        "{asked} documents of `data.{slice}` were requested, but it has {available}; lower `eval.perplexity.documents` or raise `data.{slice}`"
    )]
    HeldOut {
        /// `validation` or `test`.
        slice: &'static str,
        /// Requested documents.
        asked: usize,
        /// Documents of the slice.
        available: usize,
    },
    /// Two slices share documents.
    #[error(
        "`{first}` (documents {} to {}) and `{second}` (documents {} to {}) of {corpus} overlap; held-out documents must not be trained on",
        first_range.0 + 1, first_range.1, second_range.0 + 1, second_range.1
    )]
    Overlap {
        /// Key of the first slice.
        first: &'static str,
        /// Its documents, from 0: first and one past the last.
        first_range: (usize, usize),
        /// Key of the second slice.
        second: &'static str,
        /// Its documents, from 0: first and one past the last.
        second_range: (usize, usize),
        /// The corpus.
        corpus: String,
    },
    /// The documents differ from the planned ones.
    #[error(
        "{corpus} changed while it was in use: its documents differ from those the run was planned with; plan again (with `--paranoid` if its size and times are unchanged)"
    )]
    Changed {
        /// The corpus.
        corpus: String,
    },
    /// A `tokenizer.json` that cannot be used.
    #[error("tokenizer `{}`: {reason}", path.display())]
    Tokenizer {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A tokenizer whose size differs from `model.vocab_size`.
    #[error(
        "the tokenizer has {found} entries, but `model.vocab_size` says {expected}; give the right tokenizer, or leave `model.vocab_size` out"
    )]
    OtherVocabulary {
        /// `model.vocab_size`.
        expected: usize,
        /// Entries of the tokenizer.
        found: usize,
    },
    /// A tokenizer that cannot encode or decode.
    #[error("tokenizer: {0}")]
    Encode(String),
    /// A vocabulary that a byte-level BPE cannot have.
    #[error(
        "`data.tokenizer.train_bpe.vocab_size` is {vocab_size}; allowed are {MIN_BPE_VOCAB} to {MAX_BPE_VOCAB} (256 bytes and one special token come first)"
    )]
    VocabSize {
        /// Requested size.
        vocab_size: usize,
    },
    /// A sequence length that leaves no room for content or does not fit the model.
    #[error("a sequence length of {seq_len} ({origin}) is not possible: {reason}")]
    SeqLen {
        /// The length.
        seq_len: usize,
        /// Where it comes from.
        origin: &'static str,
        /// Why not.
        reason: String,
    },
    /// A target shift that is not defined.
    #[error("`data.target_shift` is {0}; allowed are 1 (the next token) and 2 (the one after it)")]
    TargetShift(usize),
    /// Stopped on request.
    #[error("stopped before the data was ready")]
    Stopped,
    /// A policy that leaves nothing to train on or to validate with.
    #[error("`data.{slice}` gives no sequence of {seq_len} tokens: {} with {tokens} tokens in all", count(*documents, "document"))]
    NoSequences {
        /// `train` or `validation`.
        slice: &'static str,
        /// Sequence length.
        seq_len: usize,
        /// Documents of the slice.
        documents: usize,
        /// Their ids.
        tokens: u64,
    },
}

impl DataError {
    /// Whether the only problem is a missing file.
    pub fn is_missing_file(&self) -> bool {
        match self {
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            Self::NotFetched { .. } => true,
            _ => false,
        }
    }

    /// Whether the only problem is missing or incomplete input.
    pub fn is_absence(&self) -> bool {
        match self {
            Self::TooFewDocuments { .. } => true,
            other => other.is_missing_file(),
        }
    }
}

/// `1 document`, `2 documents`.
fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
