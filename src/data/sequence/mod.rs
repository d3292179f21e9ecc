//! From documents' ids to training sequences: the policies of `data.sequence` as pure functions.
//!
//! With s the sequence length, a chunk of content has at most m = s - 1 ids. A chunk c becomes the line BOS, c, EOS; with
//! shift k the input is the line without its last k ids and the target the line without its first k. So k = 1 predicts
//! the next token, and k = 2 is the off-by-one of the published grid: the first content token is never a target.
//! Every chunk has its own BOS and EOS, also one cut from the middle of a document. Padding exists only in batches.
//!
//! Validation has one rule for every policy, so that losses of different policies compare: each document by `next_token`
//! with the run's sequence length and shift; for `stream` the validation stream in windows that do not overlap.

mod count;

pub use count::{batches, input_lengths, sequences, validation_lengths};

use super::{DataError, SequenceSet, TrainingData};
use crate::spec::{SeqLen, Sequence};

/// Ids that frame a sequence, and its lengths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Begins every sequence.
    pub bos: u32,
    /// Ends every sequence.
    pub eos: u32,
    /// Sequence length s, BOS counted; at least 2.
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

/// Decides the sequence length for training documents of these `lengths`, and checks it against the model.
///
/// # Errors
/// A length below 2 or above the model's.
pub fn sequence_length(
    seq_len: SeqLen,
    max_seq_len: usize,
    lengths: &[u32],
) -> Result<usize, DataError> {
    let (length, origin) = match seq_len {
        SeqLen::Max => (max_seq_len, "`model.max_seq_len`"),
        SeqLen::Tokens(tokens) => (tokens, "`data.seq_len`"),
        SeqLen::Shortest => (
            lengths
                .iter()
                .min()
                .map_or(0, |shortest| *shortest as usize),
            "the shortest training document, `data.seq_len: shortest`",
        ),
    };
    let reason = if length < 2 {
        "at least 2 tokens are needed, BOS and one more".to_owned()
    } else if length > max_seq_len {
        format!("the model has {max_seq_len} positions (`model.max_seq_len`)")
    } else {
        return Ok(length);
    };
    Err(DataError::SeqLen {
        seq_len: length,
        origin,
        reason,
    })
}

/// Checks a target shift.
///
/// # Errors
/// Anything but 1 and 2.
pub fn check_shift(shift: usize) -> Result<(), DataError> {
    if matches!(shift, 1 | 2) {
        Ok(())
    } else {
        Err(DataError::TargetShift(shift))
    }
}

/// Builds what a run trains on.
pub fn training(policy: Sequence, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
    let m = frame.content();
    let mut set = SequenceSet::new();
    match policy {
        Sequence::NextToken | Sequence::Discard | Sequence::PadDiscard => {
            set = next_token(documents, frame);
        }
        Sequence::ImputeConcat | Sequence::PadImputeConcat => {
            snake(documents, m, |chunk, _| frame.push(&mut set, chunk));
        }
        Sequence::InformedAsRun(parameters) => snake(documents, m, |chunk, left| {
            if left < parameters.tol {
                frame.push(&mut set, chunk);
            }
        }),
        Sequence::PadImputePerDocument => {
            documents
                .iter()
                .flat_map(|ids| ids.chunks(m))
                .for_each(|chunk| frame.push(&mut set, chunk));
        }
        Sequence::InformedAsDescribed(parameters) => documents
            .iter()
            .flat_map(|ids| ids.chunks(m))
            .filter(|chunk| chunk.len() == m || chunk.len() >= parameters.tol)
            .for_each(|chunk| frame.push(&mut set, chunk)),
        Sequence::Stream => {
            return TrainingData::Stream {
                ids: stream(documents, frame.eos),
                window: frame.seq_len,
                shift: frame.shift,
            };
        }
    }
    TrainingData::Sequences(set)
}

/// Builds the validation sequences by the rule of this module.
pub fn validation(policy: Sequence, documents: &[Vec<u32>], frame: Frame) -> SequenceSet {
    match policy {
        Sequence::Stream => windows(&stream(documents, frame.eos), frame.seq_len, frame.shift),
        _ => next_token(documents, frame),
    }
}

/// One sequence per document, from its first ids. With shift 2 a document without ids gives none.
pub fn next_token(documents: &[Vec<u32>], frame: Frame) -> SequenceSet {
    let mut set = SequenceSet::new();
    for ids in documents {
        let content = &ids[..ids.len().min(frame.content())];
        if !content.is_empty() || frame.shift == 1 {
            frame.push(&mut set, content);
        }
    }
    set
}

/// Runs one buffer over all documents, as the study's loop did: append a document's ids, and while the buffer holds `m` ids
/// cut them off; `take` gets each chunk and the number of ids left behind it. What is left at the end is dropped.
fn snake(documents: &[Vec<u32>], m: usize, mut take: impl FnMut(&[u32], usize)) {
    let mut buffer: Vec<u32> = Vec::new();
    for ids in documents {
        buffer.extend_from_slice(ids);
        let mut start = 0;
        while buffer.len() - start >= m {
            take(&buffer[start..start + m], buffer.len() - start - m);
            start += m;
        }
        buffer.drain(..start);
    }
}

/// All documents in one line, each followed by end-of-text.
pub fn stream(documents: &[Vec<u32>], eos: u32) -> Vec<u32> {
    let mut ids = Vec::with_capacity(documents.iter().map(|document| document.len() + 1).sum());
    for document in documents {
        ids.extend_from_slice(document);
        ids.push(eos);
    }
    ids
}

/// Windows of a stream that do not overlap; the last may be shorter. Every id but the first `shift` is a target once.
pub fn windows(ids: &[u32], window: usize, shift: usize) -> SequenceSet {
    let mut set = SequenceSet::new();
    let targets = ids.get(shift..).unwrap_or_default();
    for (number, target) in targets.chunks(window.max(1)).enumerate() {
        let start = number * window.max(1);
        set.push(&ids[start..start + target.len()], target);
    }
    set
}

/// Windows that score one whole document (docs/studies.md#e8): every id and EOS is a target exactly once, BOS never is. Each
/// window begins with BOS, as every training sequence does, and has no context from the windows before it.
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
