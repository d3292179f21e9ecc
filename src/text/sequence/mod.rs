//! From documents' ids to training sequences: the policies of `data.sequence` as pure functions, one file each.
//!
//! With s the sequence length, a chunk of content has at most m = s - 1 ids. A chunk c becomes the line BOS, c, EOS; with
//! shift k the input is the line without its last k ids and the target the line without its first k. So k = 1 predicts
//! the next token, and k = 2 is the off-by-one of the published grid: the first content token is never a target.
//! Every chunk has its own BOS and EOS, even one from the middle of a document. Padding exists only in batches.
//!
//! Validation uses the same rule for every policy, so that their losses are comparable: each document by `next_token`
//! with the run's sequence length and shift; for `stream`, the validation stream in non-overlapping windows.

mod count;
mod length;

pub use count::{batches, input_lengths, sequences, validation_lengths};
pub use length::{SeqLen, sequence_length};

use super::{DataError, SequenceSet, TrainingData};
use crate::choices::{Findings, choices};

/// A tolerance in tokens, and a constructor of the policy with another one.
pub(crate) type Tolerance = (usize, fn(usize) -> Sequence);

choices! {
    /// How documents become sequences (docs/studies.md#a0 and #b). With s = `seq_len`, every content chunk has at most
    /// s - 1 ids; the input is BOS followed by the chunk, the target is the chunk followed by EOS.
    #[derive(Copy, Default, Eq)]
    Sequence: Policy {
        #[default]
        next_token: NextToken,
        discard: Discard,
        impute_concat: ImputeConcat,
        pad_discard: PadDiscard,
        pad_impute_concat: PadImputeConcat,
        pad_impute_per_document: PadImputePerDocument,
        informed_as_run: InformedAsRun(InformedAsRun),
        informed_as_described: InformedAsDescribed(InformedAsDescribed),
        stream: Stream,
    }
}

/// How a policy makes sequences from documents.
pub trait Policy {
    /// The lengths of its sequences.
    fn shape(&self) -> Shape;

    /// The training data of a run.
    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData;

    /// Number of sequences from documents of these `lengths`, with `m` ids of content each; `None` if training draws
    /// them endlessly.
    fn sequences(&self, lengths: &[u32], m: u64) -> Option<u64>;

    /// Checks its settings, found at `path` (`data.sequence.informed_as_run`).
    fn check(&self, _path: &str, _: &mut Findings) {}

    /// Its tolerance in tokens with a constructor for another one, for count tables; `None` if it has none.
    fn tolerance(&self) -> Option<Tolerance> {
        None
    }
}

/// The lengths of a policy's sequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One per document, cut to its first ids.
    Beginnings,
    /// Only full ones.
    Full,
    /// Full ones, and a document's remainder if it has at least `least` ids.
    Chunks {
        /// Minimum number of ids.
        least: usize,
    },
    /// Windows of one stream.
    Stream,
}

/// The special ids and the lengths of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Begins every sequence.
    pub bos: u32,
    /// Ends every sequence.
    pub eos: u32,
    /// Sequence length s, including BOS; at least 2.
    pub seq_len: usize,
    /// Distance k from an input to its target: 1 or 2.
    pub shift: usize,
}

impl Frame {
    /// Ids of content in a full chunk.
    pub fn content(&self) -> usize {
        self.seq_len - 1
    }

    fn push(&self, set: &mut SequenceSet, chunk: &[u32]) {
        let mut line = Vec::with_capacity(chunk.len() + 2);
        line.push(self.bos);
        line.extend_from_slice(chunk);
        line.push(self.eos);
        if line.len() > self.shift {
            set.push(&line[..line.len() - self.shift], &line[self.shift..]);
        }
    }
}

/// Checks a target shift.
///
/// # Errors
/// Any shift other than 1 or 2.
pub fn check_shift(shift: usize) -> Result<(), DataError> {
    if matches!(shift, 1 | 2) {
        Ok(())
    } else {
        Err(DataError::TargetShift(shift))
    }
}

/// Builds the training data of a run.
pub fn training(policy: Sequence, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
    policy.get().training(documents, frame)
}

/// Builds the validation sequences by the rule of this module.
pub fn validation(policy: Sequence, documents: &[Vec<u32>], frame: Frame) -> SequenceSet {
    match policy.get().shape() {
        Shape::Stream => windows(
            &stream::ids(documents, frame.eos),
            frame.seq_len,
            frame.shift,
        ),
        Shape::Beginnings | Shape::Full | Shape::Chunks { .. } => next_token(documents, frame),
    }
}

/// One sequence per document, from its first ids. With shift 2, an empty document gives none.
pub(super) fn next_token(documents: &[Vec<u32>], frame: Frame) -> SequenceSet {
    let mut set = SequenceSet::new();
    for ids in documents {
        let content = &ids[..ids.len().min(frame.content())];
        if !content.is_empty() || frame.shift == 1 {
            frame.push(&mut set, content);
        }
    }
    set
}

/// Runs one buffer over all documents, like the study's loop: appends a document's ids, then cuts off full chunks. A
/// chunk is kept if `keeps` accepts the number of ids left in the buffer; the rest at the end is dropped.
fn snaking(documents: &[Vec<u32>], frame: Frame, keeps: impl Fn(usize) -> bool) -> TrainingData {
    let (m, mut set, mut buffer) = (frame.content(), SequenceSet::new(), Vec::new());
    for ids in documents {
        buffer.extend_from_slice(ids);
        let mut start = 0;
        while buffer.len() - start >= m {
            if keeps(buffer.len() - start - m) {
                frame.push(&mut set, &buffer[start..start + m]);
            }
            start += m;
        }
        buffer.drain(..start);
    }
    TrainingData::Sequences(set)
}

/// Cuts each document into chunks separately; a shorter last chunk is kept if it has at least `least` ids.
fn cut(documents: &[Vec<u32>], frame: Frame, least: usize) -> TrainingData {
    let (m, mut set) = (frame.content(), SequenceSet::new());
    documents
        .iter()
        .flat_map(|ids| ids.chunks(m))
        .filter(|chunk| chunk.len() == m || chunk.len() >= least)
        .for_each(|chunk| frame.push(&mut set, chunk));
    TrainingData::Sequences(set)
}

/// Number of chunks that [`cut`] keeps from documents of these `lengths`.
fn cut_count(lengths: &[u32], m: u64, least: usize) -> u64 {
    let kept = lengths.iter().map(|n| {
        let (full, rest) = (u64::from(*n) / m, u64::from(*n) % m);
        full + u64::from(rest > 0 && rest >= least as u64)
    });
    kept.sum()
}

/// Non-overlapping windows of a stream; the last may be shorter. Every id except the first `shift` is a target once.
pub fn windows(ids: &[u32], window: usize, shift: usize) -> SequenceSet {
    let mut set = SequenceSet::new();
    let targets = ids.get(shift..).unwrap_or_default();
    for (number, target) in targets.chunks(window.max(1)).enumerate() {
        let start = number * window.max(1);
        set.push(&ids[start..start + target.len()], target);
    }
    set
}

/// Windows that score one whole document (docs/studies.md#e8): every id and EOS is a target exactly once, BOS never is.
/// Each window begins with BOS, like every training sequence, and has no context from earlier windows.
pub fn scoring_windows(ids: &[u32], bos: u32, eos: u32, max_seq_len: usize) -> SequenceSet {
    let targets = [ids, &[eos]].concat();
    let mut set = SequenceSet::new();
    for window in targets.chunks(max_seq_len.max(1)) {
        let context = &window[..window.len() - 1];
        set.push(&[&[bos], context].concat(), window);
    }
    set
}

#[cfg(test)]
mod tests;
