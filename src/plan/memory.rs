//! The highest resident memory of a run. The constants are measured: `cargo bench --bench memory` compares estimates with peaks.

use super::estimate::DataCounts;
use super::positions::Positions;
use crate::data::Preparation;
use crate::spec::{Arch, Keep, ModelConfig, TrainSettings};

/// Rows of logits the head holds at once (see the engine's head operation).
const HEAD_ROWS: usize = 512;

/// Bytes of the program while it prepares the data, and when it trains, with its threads.
const PREPARING_BYTES: u64 = 13_000_000;
const TRAINING_BYTES: u64 = 15_500_000;
/// Bytes more, in both, of a program that tokenises.
const TOKENISING_BYTES: u64 = 3_000_000;

/// Bytes of an open tokenizer for each entry of the vocabulary; and while its file is read, for each byte of it.
const TOKENIZER_BYTES: [u64; 2] = [400, 10];

/// Bytes of an evaluation beside the model: texts and scores.
const EVALUATION_BYTES: u64 = 4_000_000;

/// Bytes that a position of the data takes: its input and its target.
const DATA_BYTES: f64 = 8.0;

/// Bytes of an id of a training document while it is read from the cache.
const READ_ID_BYTES: u64 = 8;
/// The same while it is tokenised, and what of that is not given back.
const TOKENISED_ID_BYTES: [u64; 2] = [9, 4];
/// Bytes of an id in memory.
const ID_BYTES: u64 = 4;

/// Most bytes of text that are tokenised together.
const TEXT_TOGETHER: u64 = 4 << 20;
/// Bytes for each of them, and what of that is not given back.
const TEXT_BYTES: [u64; 2] = [3, 2];

/// Bytes for a byte of text that is generated together with others; none is given back.
const GENERATED_BYTES: u64 = 9;

/// Bytes of the window and the buffers of a compressed file.
const ZSTD_BYTES: u64 = 17_000_000;

/// Highest resident memory in bytes: the highest of the preparation of the data, of training, of its checkpoints and of the evaluation
/// after it.
pub(super) fn peak_rss(
    model: &ModelConfig,
    train: &TrainSettings,
    counts: DataCounts,
    checkpointed: bool,
) -> u64 {
    let positions = counts.positions;
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
    let data = data(&counts);
    let working = data + training.max(evaluation(model, positions));
    let [preparing, lasting] = preparation(&counts.preparation, data);
    let tokenizer = TOKENIZER_BYTES[0] * model.vocab_size as u64;
    let training = TRAINING_BYTES + tokenizer + lasting + working;
    training.max(PREPARING_BYTES + preparing)
}

/// Bytes of what is trained and validated on: the sequences, and the ids of a stream.
fn data(counts: &DataCounts) -> u64 {
    let stream = match counts.sequences {
        Some(_) => 0,
        None => ID_BYTES * counts.preparation.ids,
    };
    stream + (DATA_BYTES * counts.positions_in_all()) as u64
}

/// Bytes of the evaluation and of its samples; 0 where there are none.
fn evaluation(model: &ModelConfig, positions: Positions) -> u64 {
    if (positions.evaluation, positions.samples) == (0, 0) {
        return 0;
    }
    // The weights at hand and on the device.
    let weights = 2 * model.parameters();
    let scores = logits(model, positions.evaluation) + pass(model, positions.evaluation);
    let samples = 2 * positions.samples * model.n_layers * kv_dim(model);
    4 * (weights + scores.max(samples)) as u64 + EVALUATION_BYTES
}

/// Most bytes that the preparation of `data` bytes takes beside the program, and how many of them are not given back when it ends.
fn preparation(of: &Preparation, data: u64) -> [u64; 2] {
    let opening = TOKENIZER_BYTES[1] * of.tokenizer_bytes;
    if of.text_bytes == 0 {
        let arranging = ID_BYTES * of.ids + data;
        return [opening.max(READ_ID_BYTES * of.ids).max(arranging), 0];
    }
    let text = of.text_bytes.max(of.learned_bytes).min(TEXT_TOGETHER);
    let always = TOKENISING_BYTES + GENERATED_BYTES * of.generated_bytes;
    let file = if of.is_compressed { ZSTD_BYTES } else { 0 };
    let [highest, left] =
        [0, 1].map(|i| always + TEXT_BYTES[i] * text + TOKENISED_ID_BYTES[i] * of.ids);
    [opening.max(file + highest), left]
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
