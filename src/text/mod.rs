//! From documents to sequences: sources, tokenizers and sequence policies, one file per value of a choice. Independent
//! of specs, slices and caches.

mod context;
pub mod corpora;
mod error;
pub mod remote;
pub mod sequence;
pub(crate) mod source;
#[cfg(test)]
pub(crate) mod test_support;
pub mod tokenizer;

pub use context::{DataContext, Stop};
pub use error::DataError;
pub use sequence::{SeqLen, Sequence};
pub use source::Corpus;
pub use tokenizer::{TextTokenizer, Tokenizer};

/// Sequences of ids with their targets. Lengths vary; padding exists only in batches, as a mask by position.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SequenceSet {
    /// Inputs of all sequences, one after another.
    pub inputs: Vec<u32>,
    /// Targets, as many as inputs.
    pub targets: Vec<u32>,
    /// Start of each sequence, followed by the total length (`sequences + 1` entries).
    pub offsets: Vec<usize>,
}

impl SequenceSet {
    /// An empty set.
    pub fn new() -> Self {
        Self {
            offsets: vec![0],
            ..Self::default()
        }
    }

    /// Appends a sequence; `input` and `target` must have the same length.
    pub fn push(&mut self, input: &[u32], target: &[u32]) {
        debug_assert_eq!(input.len(), target.len());
        self.inputs.extend_from_slice(input);
        self.targets.extend_from_slice(target);
        self.offsets.push(self.inputs.len());
    }

    /// Number of sequences.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Input and target of sequence `index`.
    pub fn get(&self, index: usize) -> (&[u32], &[u32]) {
        let range = self.offsets[index]..self.offsets[index + 1];
        (&self.inputs[range.clone()], &self.targets[range])
    }

    /// The ids of sequence `index`, whose targets are `shift` ids ahead: its input, followed by the ids that only its
    /// target has (none if the input is shorter than the shift, since the ids between are unknown).
    pub fn line(&self, index: usize, shift: usize) -> Vec<u32> {
        let (input, target) = self.get(index);
        let beyond = target.len().checked_sub(shift).map(|at| &target[at..]);
        [input, beyond.unwrap_or_default()].concat()
    }

    /// Length of the longest sequence (0 if empty).
    pub fn longest(&self) -> usize {
        self.offsets
            .windows(2)
            .map(|pair| pair[1] - pair[0])
            .max()
            .unwrap_or(0)
    }
}

/// The training data of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrainingData {
    /// Sequences, in file order.
    Sequences(SequenceSet),
    /// A stream from which windows of `window` inputs, with targets `shift` ids ahead, are drawn at random.
    Stream {
        /// All ids, end-of-text after each document.
        ids: Vec<u32>,
        /// Inputs per window.
        window: usize,
        /// Distance from an input to its target.
        shift: usize,
    },
}
