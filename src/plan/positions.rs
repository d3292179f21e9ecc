//! How many positions a run has in memory at once: the batches of training and validation, of the evaluation and of its samples.

use crate::data::Survey;
use crate::data::batch::{Order, most_positions, scored_together, scoring_batches};
use crate::data::sequence::window_lengths;
use crate::spec::{ModelConfig, Settings, Split};

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
}

impl Positions {
    /// Positions of a run of `settings` with so many sequences of at most `seq_len` ids. What no length is known of counts as if it were
    /// the longest possible.
    pub(super) fn of(
        settings: &Settings,
        model: &ModelConfig,
        [seq_len, sequences]: [usize; 2],
        survey: &Survey,
        order: Order,
    ) -> Self {
        let (data, train) = (&settings.data, &settings.train);
        let full = |sequences: usize| train.batch_size.min(sequences) * seq_len;
        let scored = |lengths: &[u32]| {
            let batches = lengths.chunks(train.batch_size.max(1));
            let positions = batches.map(|batch| batch.len() * longest(batch));
            positions.max().unwrap_or(0)
        };
        let validation = survey.validation_inputs.as_deref();
        Self {
            training: survey.training_inputs.as_deref().map_or_else(
                || full(sequences),
                |known| most_positions(known, train, order),
            ),
            validation: validation.map_or_else(|| full(data.validation.take), scored),
            evaluation: evaluation(settings, model, survey.validation.as_deref()),
            samples: samples(settings, model),
        }
    }
}

fn longest(lengths: &[u32]) -> usize {
    lengths.iter().max().map_or(0, |length| *length as usize)
}

/// Positions of the largest batch that is scored after training.
fn evaluation(settings: &Settings, model: &ModelConfig, validation: Option<&[u32]>) -> usize {
    let largest = |lengths: &[usize]| {
        let batches = scoring_batches(lengths);
        let positions =
            batches.map(|batch| batch.len() * lengths[batch].iter().max().unwrap_or(&0));
        positions.max().unwrap_or(0)
    };
    let documents = settings.eval.perplexity.map_or(0, |asked| {
        let known = validation.filter(|_| asked.split == Split::Validation);
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
