//! The estimated cost of a run, from its settings alone.

use super::memory::{Held, peak_rss};
use crate::data::batch::Length;
use crate::record::Estimate;
use crate::spec::{Every, Keep, ModelConfig, Settings, TrainSettings};

/// Sizes of the data, known or estimated before it is read.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DataCounts {
    /// Training sequences; `None` for a stream.
    pub sequences: Option<usize>,
    /// Validation sequences.
    pub validation: usize,
    /// Positions of a full sequence.
    pub seq_len: usize,
    /// Mean positions per training sequence.
    pub training_len: f64,
    /// Mean positions per validation sequence.
    pub validation_len: f64,
    /// Steps and epochs.
    pub length: Length,
    /// The data held in memory.
    pub held: Held,
}

impl DataCounts {
    /// Positions of all training and validation sequences; for a stream, only of validation.
    pub(super) fn positions_in_all(&self) -> f64 {
        self.sequences.unwrap_or(0) as f64 * self.training_len
            + self.validation as f64 * self.validation_len
    }
}

/// Estimates the cost of training `model` with `settings`.
pub fn estimate(model: &ModelConfig, settings: &Settings, data: DataCounts) -> Estimate {
    let train = &settings.train;
    let length = data.length;
    let params = model.parameters() as u64;
    let micro_batches = match data.sequences {
        Some(_) => (length.batches_per_epoch * length.epochs) as u64,
        None => length.steps * train.grad_accum_steps as u64,
    };
    let per_epoch = data
        .sequences
        .map(|all| all.min(length.batches_per_epoch * train.batch_size));
    let sequences = match per_epoch {
        Some(sequences) if train.max_steps.is_none() => (sequences * length.epochs) as u64,
        _ => {
            micro_batches.min(length.steps * train.grad_accum_steps as u64)
                * train.batch_size as u64
        }
    };
    let tokens = match train.max_tokens {
        Some(tokens) => tokens as u64,
        None => (sequences as f64 * data.training_len).round() as u64,
    };
    let validations = validations(train, &length, tokens);
    let validation_tokens = validations as f64 * data.validation as f64 * data.validation_len;
    let flops = forward_flops(model, data.seq_len) * (3.0 * tokens as f64 + validation_tokens);
    Estimate {
        params,
        steps: length.steps,
        tokens,
        flops,
        peak_rss_bytes: peak_rss(model, settings, &data),
        disk_bytes: params * 4 * if train.keep == Keep::Both { 2 } else { 1 }
            + length.steps * METRIC_LINE_BYTES
            + 4096,
        seconds: None,
    }
}

/// Length of a line in `metrics.jsonl` plus its line in `timing.jsonl`.
const METRIC_LINE_BYTES: u64 = 330;

fn validations(train: &TrainSettings, length: &Length, tokens: u64) -> u64 {
    match train.validate.every {
        Every::Epoch => length.epochs as u64,
        Every::Step => length.steps,
        Every::Steps(n) => length.steps / n.max(1) as u64 + 2,
        Every::Tokens(n) => (tokens / n.max(1) as u64 + 2).min(length.steps),
        Every::End => 1,
    }
}

/// FLOPs of one forward pass per position: two per weight of every matrix product, plus attention.
pub fn forward_flops(model: &ModelConfig, seq_len: usize) -> f64 {
    // Causal: half of 2 · T · d for the scores, half for the mixing.
    let attention = model.n_layers * model.dim * (seq_len + 1);
    let weights: usize = model.products().map(|(rows, cols)| rows * cols).sum();
    2.0 * (weights + attention) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(train: &str) -> Settings {
        let text = format!(
            "{{data: {{corpus: {{stories: {{version: 1}}}}, tokenizer: {{train_bpe: {{vocab_size: 320}}}}, train: 9, validation: 5}}, \
             model: {{dim: 8, n_layers: 1, n_heads: 1, max_seq_len: 64}}, \
             train: {{batch_size: 16, optimizer: {{adamw: {{learning_rate: 1e-3}}}}, {train}}}}}"
        );
        serde_json::from_value(serde_yaml::from_str(&text).unwrap()).unwrap()
    }

    fn model() -> ModelConfig {
        let settings: crate::spec::ModelSettings = serde_yaml::from_str(
            "{dim: 512, n_layers: 8, n_heads: 8, max_seq_len: 512, multiple_of: 128}",
        )
        .unwrap();
        settings.resolve(32_000)
    }

    #[test]
    fn counts_follow_the_course() {
        let settings = settings("validate: {every: step}");
        let counts = DataCounts {
            sequences: Some(2500),
            validation: 300,
            seq_len: 512,
            training_len: 512.0,
            validation_len: 512.0,
            length: Length::of(Some(2500), &settings.train, |_| 512),
            held: Held::default(),
        };
        let estimate = estimate(&model(), &settings, counts);
        assert_eq!(
            (estimate.params, estimate.steps, estimate.tokens),
            (58_466_816, 157, 2500 * 512)
        );
        let per_token = 2.0 * (58_466_816 - 512 * 32_000 - 17 * 512 + 8 * 512 * 513) as f64;
        let expected = per_token * (3.0 * 2500.0 * 512.0 + 157.0 * 300.0 * 512.0);
        assert!(
            (estimate.flops - expected).abs() < 1e-9 * expected,
            "{} {expected}",
            estimate.flops
        );
    }

    #[test]
    fn the_ids_of_a_stream_stay_in_memory_and_those_of_sequences_do_not() {
        let settings = settings("max_steps: 7, validate: {every: end}");
        let peak = |sequences, ids| {
            let counts = DataCounts {
                sequences,
                validation: 5,
                seq_len: 64,
                training_len: 64.0,
                validation_len: 64.0,
                length: Length::of(sequences, &settings.train, |_| 64),
                held: Held {
                    ids,
                    ..Held::default()
                },
            };
            estimate(&model(), &settings, counts).peak_rss_bytes
        };
        assert_eq!(peak(None, 1_000_000) - peak(None, 0), 4_000_000);
        assert_eq!(peak(Some(25), 1_000_000), peak(Some(25), 0));
    }

    #[test]
    fn epochs_and_max_steps_and_max_tokens_give_the_tokens_that_are_trained() {
        let cost = |sequences, text: &str| {
            let settings = settings(text);
            let counts = DataCounts {
                sequences,
                validation: 5,
                seq_len: 64,
                training_len: 64.0,
                validation_len: 64.0,
                length: Length::of(sequences, &settings.train, |_| 64),
                held: Held::default(),
            };
            let estimate = estimate(&model(), &settings, counts);
            (estimate.steps, estimate.tokens)
        };
        assert_eq!(
            cost(Some(25), "epochs: 100, validate: {every: epoch}"),
            (200, 25 * 100 * 64)
        );
        let stream = "max_steps: 7, grad_accum_steps: 2, validate: {every: end}";
        assert_eq!(cost(None, stream), (7, 7 * 2 * 16 * 64));
        // Batches of 16 and 9 sequences: 1,600 tokens per pass, then 1,024 of the next one and 176 more.
        let tokens = "max_tokens: 2800, validate: {every: end}";
        assert_eq!(cost(Some(25), tokens), (4, 2800));
        assert_eq!(cost(None, tokens), (3, 2800));
    }
}
