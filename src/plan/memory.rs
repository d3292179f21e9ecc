//! The highest resident memory of a run, within 30 % from 50 MB on: one formula in bytes.
//!
//! ```text
//! peak    = program + tokenizer + data + max(training, evaluation)
//! training   = 4 (4 P + kept best + positions · activations + logits + largest matrix)     P: parameters
//! evaluation = 4 (2 P + scored positions · activations of a block + logits)
//! data       = 8 a position of all sequences + text
//! ```
//!
//! Activations are sums over the products of the model: what goes into each and what comes out of it. The constants are measured:
//! `cargo bench --bench memory` compares estimates with peaks.

use super::estimate::DataCounts;
use crate::data::batch::scored_together;
use crate::spec::{Keep, ModelConfig, Settings};

/// Bytes of a program that trains, with its threads.
const PROGRAM: u64 = 16_000_000;
/// Bytes of an open tokenizer for each entry of the vocabulary.
const TOKENIZER_ENTRY: u64 = 400;
/// Bytes of an evaluation beside the model: texts and scores.
const EVALUATION: u64 = 4_000_000;
/// Bytes that a position of the data takes: its input and its target.
const POSITION: f64 = 8.0;
/// Bytes of text that are about one id.
const TEXT_OF_ID: u64 = 4;
/// Bytes that tokenising takes and does not give back: for each id, and for each byte of text that is held together.
const TOKENISED: [u64; 2] = [4, 2];
/// Most bytes of text that are tokenised together.
const TEXT_TOGETHER: u64 = 4 << 20;
/// Bytes for each byte of text that a corpus generates together.
const GENERATED: f64 = 9.0;
/// Rows of logits the head holds at once (see the engine's head operation).
const HEAD_ROWS: usize = 512;

/// What of the data is in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Held {
    /// Positions of the longest training and of the longest validation sequence.
    pub longest: [usize; 2],
    /// Ids of all training documents.
    pub ids: u64,
    /// Whether the text is still to be tokenised.
    pub is_text: bool,
    /// Share of a generated corpus that is generated together; 0 for files.
    pub together: f64,
}

/// Highest resident memory in bytes.
pub(super) fn peak_rss(model: &ModelConfig, settings: &Settings, counts: &DataCounts) -> u64 {
    let working = training(model, settings, counts).max(evaluation(model, settings));
    PROGRAM + TOKENIZER_ENTRY * model.vocab_size as u64 + data(counts) + working
}

/// Parameters, gradients and two moments, and what a pass keeps for its way back.
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

/// The weights at hand and on the device, and a batch that is scored or the keys and values of all samples; 0 without either.
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

/// The sequences; the ids of a stream; and what is left of their text where that is still to be tokenised.
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

/// Numbers per position that go into and come out of the products: of all blocks, and of one.
fn activations(model: &ModelConfig) -> (usize, usize) {
    let output = (model.vocab_size, model.dim);
    let products = model.products().filter(|shape| *shape != output);
    let all: usize = products.map(|(rows, cols)| rows + cols).sum();
    (all + 4 * model.dim, all / model.n_layers.max(1))
}

/// Numbers of the logits that exist at once.
fn logits(model: &ModelConfig, positions: usize) -> usize {
    positions.min(HEAD_ROWS) * model.vocab_size
}
