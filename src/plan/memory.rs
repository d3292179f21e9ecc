//! The peak resident memory of a run in bytes, by one formula; accurate within 30 % above 50 MB.
//!
//! ```text
//! peak    = program + tokenizer + data + max(training, evaluation)
//! training   = 4 (4 P + kept best + positions · activations + logits + largest matrix)     P: parameters
//! evaluation = 4 (2 P + scored positions · activations of a block + logits)
//! data       = 8 a position of all sequences + text
//! ```
//!
//! Activations are sums over the inputs and outputs of the model's matrix products. The constants are measured: `cargo
//! bench --bench memory` compares estimates with peaks.

use super::estimate::DataCounts;
use crate::data::batch::scored_together;
use crate::spec::{Keep, ModelConfig, Settings};

/// Bytes of the training program with its threads.
const PROGRAM: u64 = 16_000_000;
/// Bytes of a loaded tokenizer per vocabulary entry.
const TOKENIZER_ENTRY: u64 = 400;
/// Bytes of an evaluation besides the model: texts and scores.
const EVALUATION: u64 = 4_000_000;
/// Bytes per position of the data: input and target.
const POSITION: f64 = 8.0;
/// Approximate bytes of text per id.
const TEXT_OF_ID: u64 = 4;
/// Bytes that tokenising takes and does not free, per id and per byte of text held at once.
const TOKENISED: [u64; 2] = [4, 2];
/// Maximum bytes of text tokenised at once.
const TEXT_TOGETHER: u64 = 4 << 20;
/// Bytes per byte of text that a corpus generates at once.
const GENERATED: f64 = 9.0;
/// Rows of logits held at once (see the engine's head operation).
const HEAD_ROWS: usize = 512;

/// The data held in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Positions of the longest training and of the longest validation sequence.
    pub longest: [usize; 2],
    /// Ids of all training documents.
    pub ids: u64,
    /// Whether the text must still be tokenised.
    pub is_text: bool,
    /// Share of a generated corpus that is generated at once; 0 for files.
    pub together: f64,
}

/// Peak resident memory in bytes.
pub(super) fn peak_rss(model: &ModelConfig, settings: &Settings, counts: &DataCounts) -> u64 {
    let working = training(model, settings, counts).max(evaluation(model, settings));
    PROGRAM + TOKENIZER_ENTRY * model.vocab_size as u64 + data(counts) + working
}

/// Parameters, gradients, two moments, and the activations kept for the backward pass.
fn training(model: &ModelConfig, settings: &Settings, counts: &DataCounts) -> u64 {
    let parameters = model.parameters();
    let best = match settings.train.keep {
        Keep::Last => 0,
        Keep::Best | Keep::Both => parameters,
    };
    let batch = |sequences: usize| settings.train.batch_size.min(sequences);
    let [longest, longest_scored] = counts.held.longest;
    let trained = batch(counts.sequences.unwrap_or(usize::MAX)) * longest;
    let scored = batch(counts.validation) * longest_scored;
    let (all, block) = activations(model);
    let forth_and_back = trained * (all + block) + model.vocab_size * model.dim;
    let training = forth_and_back + logits(model, trained);
    let validation = scored * block + logits(model, scored);
    4 * (4 * parameters + best + training.max(validation)) as u64
}

/// The weights in host and device memory, plus a scored batch or the keys and values of all samples; 0 without
/// evaluation.
fn evaluation(model: &ModelConfig, settings: &Settings) -> u64 {
    let eval = &settings.eval;
    let windows = eval.random_windows.map(|windows| windows.tokens);
    let documents = eval.perplexity.map(|_| model.max_seq_len);
    let length = windows.max(documents).unwrap_or(0);
    let scored = scored_together(length) * length;
    let samples = eval.samples.as_ref().map_or(0, |samples| {
        samples.per_prompt * samples.prompts.len() * model.max_seq_len
    });
    if scored + samples == 0 {
        return 0;
    }
    let scores = scored * activations(model).1 + logits(model, scored);
    let kept = 2 * samples * model.n_layers * model.n_kv_heads * model.head_dim();
    4 * (2 * model.parameters() + scores.max(kept)) as u64 + EVALUATION
}

/// The sequences, the ids of a stream, and the text if it must still be tokenised.
fn data(counts: &DataCounts) -> u64 {
    let held = counts.held;
    let sequences = (POSITION * counts.positions_in_all()) as u64;
    let ids = match counts.sequences {
        Some(_) => sequences,
        None => sequences + 4 * held.ids,
    };
    if !held.is_text {
        return ids;
    }
    let text = TEXT_OF_ID * held.ids;
    let [each_id, each_byte] = TOKENISED;
    let tokenised = each_id * held.ids + each_byte * text.min(TEXT_TOGETHER);
    ids + tokenised + (GENERATED * held.together * text as f64) as u64
}

/// Inputs and outputs of the products per position, as counts of numbers: of all blocks, and of one.
fn activations(model: &ModelConfig) -> (usize, usize) {
    let output = (model.vocab_size, model.dim);
    let products = model.products().filter(|shape| *shape != output);
    let all: usize = products.map(|(rows, cols)| rows + cols).sum();
    (all + 4 * model.dim, all / model.n_layers.max(1))
}

/// Number of logits held at once.
fn logits(model: &ModelConfig, positions: usize) -> usize {
    positions.min(HEAD_ROWS) * model.vocab_size
}
