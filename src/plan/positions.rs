//! How many positions a run has in memory at once: the batches of training and validation, of the evaluation and of its samples.

use crate::data::Identified;
use crate::data::batch::{most_positions, scored_together, scoring_batches};
use crate::data::sequence::{input_lengths, validation_lengths, window_lengths};
use crate::spec::{DataSettings, ModelConfig, Sequence, Settings, Split};

/// Most positions, padding included, that are in memory at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Of a micro-batch of the training.
    pub training: usize,
    /// Of a batch of the validation.
    pub validation: usize,
    /// Of a batch of the evaluation; 0 where nothing is scored.
    pub evaluation: usize,
    /// Of all samples with their prompts; 0 where none are drawn.
    pub samples: usize,
    /// Training documents that are still to be tokenised: what that takes is not all given back.
    pub untokenised: usize,
}

/// Ids of the documents of a slice, where it was tokenised before.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lengths<'a> {
    training: Option<&'a [u32]>,
    validation: Option<&'a [u32]>,
}

impl<'a> Lengths<'a> {
    /// What is known of identified data.
    pub(super) fn of(data: &'a Identified) -> Self {
        Self {
            training: data.training_lengths.as_deref(),
            validation: data.validation_lengths.as_deref(),
        }
    }

    /// Whether the training slice is still to be tokenised.
    pub(super) fn awaits_training(&self) -> bool {
        self.training.is_none()
    }

    /// Positions of each training sequence, where they are known, of at most `seq_len`.
    pub(super) fn of_sequences(&self, data: &DataSettings, seq_len: usize) -> Option<Vec<u32>> {
        input_lengths(data.sequence, self.training?, seq_len, data.target_shift)
    }
}

impl Positions {
    /// Positions of a run of `settings` with so many sequences of at most `seq_len` ids, of these lengths where they are known. What no
    /// length is known of counts as if it were the longest possible.
    pub(super) fn of(
        settings: &Settings,
        model: &ModelConfig,
        [seq_len, sequences]: [usize; 2],
        training: Option<&[u32]>,
        lengths: Lengths<'_>,
    ) -> Self {
        let (data, train) = (&settings.data, &settings.train);
        let full = |sequences: usize| train.batch_size.min(sequences) * seq_len;
        let training =
            training.map_or_else(|| full(sequences), |known| most_positions(known, train));
        let validation = lengths
            .validation
            .filter(|_| data.sequence != Sequence::Stream)
            .map_or_else(
                || full(data.validation.take),
                |known| {
                    let known = validation_lengths(known, seq_len, data.target_shift);
                    let chunks = known.chunks(train.batch_size.max(1));
                    let positions = chunks.map(|chunk| chunk.len() * longest(chunk));
                    positions.max().unwrap_or(0)
                },
            );
        Self {
            training,
            untokenised: match lengths.training {
                Some(_) => 0,
                None => data.train.take,
            },
            validation,
            evaluation: evaluation(settings, model, lengths),
            samples: samples(settings, model),
        }
    }
}

fn longest(lengths: &[u32]) -> usize {
    lengths.iter().max().map_or(0, |length| *length as usize)
}

/// Positions of the largest batch that is scored after training.
fn evaluation(settings: &Settings, model: &ModelConfig, lengths: Lengths<'_>) -> usize {
    let largest = |lengths: &[usize]| {
        let batches = scoring_batches(lengths);
        let positions =
            batches.map(|batch| batch.len() * lengths[batch].iter().max().unwrap_or(&0));
        positions.max().unwrap_or(0)
    };
    let documents = settings.eval.perplexity.map_or(0, |asked| {
        let known = lengths
            .validation
            .filter(|_| asked.split == Split::Validation);
        match known.and_then(|known| known.get(..asked.documents)) {
            Some(known) => largest(&window_lengths(known, model.max_seq_len)),
            None if asked.documents == 0 => 0,
            None => scored_together(model.max_seq_len) * model.max_seq_len,
        }
    });
    let windows = settings.eval.random_windows.map_or(0, |windows| {
        let all = windows.batches.saturating_mul(windows.windows);
        all.min(scored_together(windows.tokens)) * windows.tokens
    });
    documents.max(windows)
}

/// Bytes of text that are about one token.
const BYTES_PER_TOKEN: usize = 3;

/// Positions of all samples, at their longest.
fn samples(settings: &Settings, model: &ModelConfig) -> usize {
    let Some(samples) = &settings.eval.samples else {
        return 0;
    };
    let of = |prompt: &String| {
        let all = 1 + prompt.len() / BYTES_PER_TOKEN + samples.max_new_tokens;
        all.min(model.max_seq_len)
    };
    samples.per_prompt * samples.prompts.iter().map(of).sum::<usize>()
}
