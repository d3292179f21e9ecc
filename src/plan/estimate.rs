//! What a run will cost, from its settings alone.

use super::positions::Positions;
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
    /// Length of the course.
    pub length: Length,
    /// What is in memory at once.
    pub positions: Positions,
}

/// Estimates the cost of training `model` by `train`.
pub fn estimate(model: &ModelConfig, train: &TrainSettings, data: DataCounts) -> Estimate {
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
        None => sequences * data.seq_len as u64,
    };
    let validations = validations(train, &length, tokens);
    let validation_tokens = validations * (data.validation * data.seq_len) as u64;
    let all = data.sequences.unwrap_or(0) + data.validation;
    let positions = (all * data.seq_len) as u64;
    let forward = forward_flops(model, data.seq_len);
    let flops = forward * (3.0 * tokens as f64 + validation_tokens as f64);
    Estimate {
        params,
        steps: length.steps,
        tokens,
        flops,
        peak_rss_bytes: peak_rss(
            model,
            train,
            data.positions,
            flops > CHECKPOINTED_FLOPS,
            DATA_BYTES * positions,
        ),
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

/// Bytes of the program with its tokenizer and threads; and the least that any run takes.
const PROGRAM: [u64; 2] = [20_000_000, 30_000_000];

/// The same where the text is still to be tokenised: some of what that took is never given back.
const PROGRAM_AND_TEXT: [u64; 2] = [30_000_000, 47_000_000];

/// Bytes that tokenising a document takes at least, until the training begins: 350 ids of 20 bytes each.
const DOCUMENT_BYTES: u64 = 7_000;

/// Bytes of an evaluation beside the model: texts and scores.
const EVALUATION_BYTES: u64 = 4_000_000;

/// Bytes that a position of the data takes: its input and its target.
const DATA_BYTES: u64 = 8;

/// Work that takes longer than the time between checkpoints on a machine of two cores.
const CHECKPOINTED_FLOPS: f64 = 3e12;

/// Highest resident memory in bytes: the highest of the preparation of the data, of which `data` bytes stay, of training, of its checkpoints
/// and of the evaluation after it.
fn peak_rss(
    model: &ModelConfig,
    train: &TrainSettings,
    positions: Positions,
    checkpointed: bool,
    data: u64,
) -> u64 {
    let parameters = model.parameters();
    let best = if train.keep == Keep::Last {
        0
    } else {
        parameters
    };
    // Parameters, gradients and two moments.
    let state = 4 * parameters + best;
    let training = logits(model, positions.training) + tape(model, positions.training);
    let validation = logits(model, positions.validation) + pass(model, positions.validation);
    let checkpoint = if checkpointed {
        3 * parameters + best
    } else {
        0
    };
    let training = 4 * (state + training.max(validation).max(checkpoint)) as u64;
    // The weights at hand and on the device.
    let scores = logits(model, positions.evaluation) + pass(model, positions.evaluation);
    let samples = 2 * positions.samples * model.n_layers * kv_dim(model);
    let evaluation = 4 * (2 * parameters + scores.max(samples)) as u64 + EVALUATION_BYTES;
    let [program, least] = match positions.untokenised {
        0 => PROGRAM,
        _ => PROGRAM_AND_TEXT,
    };
    let tokenising = program + DOCUMENT_BYTES * positions.untokenised as u64;
    let working = program + data + training.max(evaluation);
    working.max(tokenising).max(least)
}

fn kv_dim(model: &ModelConfig) -> usize {
    model.n_kv_heads * model.head_dim()
}

/// Numbers of the feed-forward layer per position: before and after the activation.
fn hidden(model: &ModelConfig) -> usize {
    match model.arch {
        Arch::Llama => 3 * model.hidden_dim,
        Arch::Gpt2 => 2 * model.hidden_dim,
    }
}

/// Numbers of the logits that exist at once.
fn logits(model: &ModelConfig, positions: usize) -> usize {
    positions.min(HEAD_ROWS) * model.vocab_size
}

/// Numbers that a training pass keeps: the activations that the backward pass reads again, with the gradients of one layer and of the output
/// matrix.
fn tape(model: &ModelConfig, positions: usize) -> usize {
    let (d, f, kv) = (model.dim, model.hidden_dim, kv_dim(model));
    let layer = 6 * d + 2 * kv + hidden(model); // two norms, two sums, q, attention, k and v, feed-forward
    let activations = positions * (model.n_layers * layer + 4 * d);
    let slopes = positions * (5 * d + 2 * kv + f); // of one layer on the way back
    activations + slopes + model.vocab_size * d
}

/// Numbers of a pass that keeps nothing: those of one layer, which the next one uses again.
fn pass(model: &ModelConfig, positions: usize) -> usize {
    // The sum, its norm, attention or the next sum; q, k and v; feed-forward.
    positions * (4 * model.dim + 2 * kv_dim(model) + hidden(model))
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
        let train = train("validate: {every: step}");
        let counts = DataCounts {
            sequences: Some(2500),
            validation: 300,
            seq_len: 512,
            length: Length::of(Some(2500), &train, |_| 512),
            positions: Positions::default(),
        };
        let estimate = estimate(&model(), &train, counts);
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
    fn epochs_and_max_steps_and_max_tokens_give_the_tokens_that_are_trained() {
        let cost = |sequences, text: &str| {
            let train = train(text);
            let counts = DataCounts {
                sequences,
                validation: 5,
                seq_len: 64,
                length: Length::of(sequences, &train, |_| 64),
                positions: Positions::default(),
            };
            let estimate = estimate(&model(), &train, counts);
            (estimate.steps, estimate.tokens)
        };
        assert_eq!(
            cost(Some(25), "epochs: 100, validate: {every: epoch}"),
            (200, 25 * 100 * 64)
        );
        let stream = "max_steps: 7, grad_accum_steps: 2, validate: {every: end}";
        assert_eq!(cost(None, stream), (7, 7 * 2 * 16 * 64));
        // Batches of 16 and 9 sequences: 1,600 tokens a pass, then 1,024 of the next one and 176 more.
        let tokens = "max_tokens: 2800, validate: {every: end}";
        assert_eq!(cost(Some(25), tokens), (4, 2800));
        assert_eq!(cost(None, tokens), (3, 2800));
    }
}
