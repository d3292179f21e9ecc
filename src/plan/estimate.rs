//! What a run will cost, from its settings alone.

use crate::data::batch::Length;
use crate::record::Estimate;
use crate::spec::{Arch, Every, Keep, ModelConfig, TrainSettings};

/// What is known of the data before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataCounts {
    /// Training sequences; `None` for a stream.
    pub sequences: Option<usize>,
    /// Validation sequences.
    pub validation: usize,
    /// Positions of a full sequence.
    pub seq_len: usize,
}

/// Estimates the cost of training `model` by `train`.
pub fn estimate(model: &ModelConfig, train: &TrainSettings, data: DataCounts) -> Estimate {
    let length = Length::of(data.sequences, train);
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
    let tokens = sequences * data.seq_len as u64;
    let validations = validations(train, &length, tokens);
    let validation_tokens = validations * (data.validation * data.seq_len) as u64;
    let forward = forward_flops(model, data.seq_len);
    let flops = forward * (3.0 * tokens as f64 + validation_tokens as f64);
    Estimate {
        params,
        steps: length.steps,
        tokens,
        flops,
        peak_rss_bytes: peak_rss(model, train, data.seq_len, flops > CHECKPOINTED_FLOPS),
        disk_bytes: params * 4 * if train.keep == Keep::Both { 2 } else { 1 }
            + length.steps * METRIC_LINE_BYTES
            + 4096,
        seconds: None,
    }
}

/// Length of a line of `metrics.jsonl` and its line of `timing.jsonl`.
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

/// Operations of one forward pass per position: two per weight of every matrix product, and the attention.
pub fn forward_flops(model: &ModelConfig, seq_len: usize) -> f64 {
    let (d, f) = (model.dim, model.hidden_dim);
    let kv = model.n_kv_heads * model.head_dim();
    let mlp = if model.arch == Arch::Llama {
        3 * d * f
    } else {
        2 * d * f
    };
    let block = 2 * d * d + 2 * kv * d + mlp;
    let attention = d * (seq_len + 1); // causal: half of 2 · T · d for the scores, half for the mixing
    2.0 * (model.n_layers * (block + attention) + model.vocab_size * d) as f64
}

/// Rows of logits the head holds at once (see the engine's head operation).
const HEAD_ROWS: usize = 512;

/// Resident bytes of program, tokenizer and data that do not depend on the model.
const BASE_BYTES: u64 = 40 << 20;

/// Work that takes longer than the time between checkpoints on a machine of two cores.
const CHECKPOINTED_FLOPS: f64 = 3e12;

/// Highest resident memory in bytes: parameters, gradients and two moments, and the larger of two: the activations that the backward
/// pass reads again with the gradients of one layer and of the output matrix, or (`checkpointed`) the copy of parameters and moments that is written.
fn peak_rss(model: &ModelConfig, train: &TrainSettings, seq_len: usize, checkpointed: bool) -> u64 {
    let rows = train.batch_size * seq_len;
    let (d, f) = (model.dim, model.hidden_dim);
    let kv = model.n_kv_heads * model.head_dim();
    let hidden = if model.arch == Arch::Llama {
        3 * f
    } else {
        2 * f
    };
    let per_row_and_layer = 6 * d + 2 * kv + hidden; // two norms, two sums, q, attention, k and v, feed-forward
    let activations = rows * (model.n_layers * per_row_and_layer + 4 * d);
    let slopes = rows * (5 * d + 2 * kv + f); // of one layer on the way back
    let logits = rows.min(HEAD_ROWS) * model.vocab_size;
    let head_gradient = model.vocab_size * d;
    let best = if train.keep == Keep::Last {
        0
    } else {
        model.parameters()
    };
    let copies = if checkpointed {
        3 * model.parameters() + best
    } else {
        0
    };
    let passing = copies.max(activations + slopes + head_gradient);
    BASE_BYTES + 4 * (4 * model.parameters() + best + logits + passing) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn train(text: &str) -> TrainSettings {
        let text =
            format!("{{batch_size: 16, optimizer: {{adamw: {{learning_rate: 1e-3}}}}, {text}}}");
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
        let counts = DataCounts {
            sequences: Some(2500),
            validation: 300,
            seq_len: 512,
        };
        let estimate = estimate(&model(), &train("validate: {every: step}"), counts);
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
    fn epochs_and_max_steps_give_the_tokens_that_are_trained() {
        let counts = DataCounts {
            sequences: Some(25),
            validation: 5,
            seq_len: 64,
        };
        let epochs = estimate(
            &model(),
            &train("epochs: 100, validate: {every: epoch}"),
            counts,
        );
        assert_eq!((epochs.steps, epochs.tokens), (200, 25 * 100 * 64));
        let stream = DataCounts {
            sequences: None,
            ..counts
        };
        let steps = estimate(
            &model(),
            &train("max_steps: 7, grad_accum_steps: 2, validate: {every: end}"),
            stream,
        );
        assert_eq!((steps.steps, steps.tokens), (7, 7 * 2 * 16 * 64));
    }
}
