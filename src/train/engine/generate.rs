//! Sampling with a key/value cache.
//!
//! A continuation ends at `max_new_tokens`, at the stop id (which is not part of it), or when prompt and continuation
//! together have `max_seq_len` positions; a prompt of that length has no continuation. The draw for the id at position
//! `p` of row `r` is the uniform number `r` of stream `(seed, Sample, p)`.

use super::network::{Caches, Network};
use super::ops::Operations;
use crate::choices::ModelConfig;
use crate::rng::{Purpose, Stream};
use crate::train::{SampleJob, TrainError, Weights};
use std::ops::ControlFlow;

/// Continues every prompt; see [`crate::train::Engine::generate_each`].
pub(crate) fn generate<O: Operations>(
    ops: &O,
    weights: &Weights,
    job: &SampleJob<'_>,
    each: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
) -> Result<Vec<Vec<u32>>, TrainError> {
    check(job)?;
    let network = Network::new(ops, job.model, weights)?;
    let mut caches = network.caches(ops, job.prompts.len(), job.model.max_seq_len)?;
    let mut rows: Vec<Vec<u32>> = vec![Vec::new(); job.prompts.len()];
    let mut running = Vec::new();
    let mut tell = |row: usize, ids: &[u32], before: usize| match ids.get(before) {
        Some(id) => each(row, *id).is_break(),
        None => false,
    };
    for (row, prompt) in job.prompts.iter().enumerate() {
        // A prompt that fills the context or is longer has no continuation.
        if job.max_new_tokens == 0 || prompt.len() >= job.model.max_seq_len {
            continue;
        }
        if job.halt.is_set() {
            return Err(TrainError::Stopped);
        }
        network.check_ids(prompt, prompt.len())?;
        let logits = logits(ops, &network, prompt, &mut caches, &[row])?;
        if take(job, row, &logits, &mut rows[row]) {
            running.push(row);
        }
        if tell(row, &rows[row], 0) {
            return Ok(rows);
        }
    }
    while !running.is_empty() {
        if job.halt.is_set() {
            return Err(TrainError::Stopped);
        }
        let last = |row: &usize| rows[*row].last().copied().unwrap_or_default();
        let ids: Vec<u32> = running.iter().map(last).collect();
        let logits = logits(ops, &network, &ids, &mut caches, &running)?;
        let classes = job.model.vocab_size;
        let mut going = Vec::new();
        for (row, logits) in running.iter().zip(logits.chunks(classes)) {
            let before = rows[*row].len();
            if take(job, *row, logits, &mut rows[*row]) {
                going.push(*row);
            }
            if tell(*row, &rows[*row], before) {
                return Ok(rows);
            }
        }
        running = going;
    }
    Ok(rows)
}

/// The logits after each of `ids`; see [`crate::train::Engine::logits`].
pub(crate) fn all_logits<O: Operations>(
    ops: &O,
    weights: &Weights,
    model: &ModelConfig,
    ids: &[u32],
) -> Result<Vec<f32>, TrainError> {
    if ids.is_empty() {
        return Err(TrainError::Input("there are no ids".to_owned()));
    }
    let network = Network::new(ops, model, weights)?;
    network.check_ids(ids, ids.len())?;
    let mut caches = network.caches(ops, 1, ids.len())?;
    let hidden = network.continued(ops, ids, &mut caches, &[0])?;
    ops.head_logits(hidden, network.head())
}

fn check(job: &SampleJob<'_>) -> Result<(), TrainError> {
    if let Some(row) = job.prompts.iter().position(Vec::is_empty) {
        return Err(TrainError::Input(format!("prompt {row} is empty")));
    }
    if job.usable_vocab == 0 || job.model.vocab_size == 0 {
        return Err(TrainError::Input("no id may be drawn".to_owned()));
    }
    if !(job.temperature >= 0.0 && job.temperature.is_finite()) {
        return Err(TrainError::Input(format!(
            "the temperature is {}, it must be 0 or above",
            job.temperature
        )));
    }
    Ok(())
}

/// Feeds the same number of new ids to each of `sequences`; returns the logits after the last of each.
pub(crate) fn logits<O: Operations>(
    ops: &O,
    network: &Network<O>,
    ids: &[u32],
    caches: &mut Caches<O>,
    sequences: &[usize],
) -> Result<Vec<f32>, TrainError> {
    let count = ids.len() / sequences.len().max(1);
    let hidden = network.continued(ops, ids, caches, sequences)?;
    let last: Vec<usize> = (0..sequences.len())
        .map(|group| group * count + count - 1)
        .collect();
    let hidden = if count == 1 {
        hidden
    } else {
        ops.select_rows(hidden, &last)?
    };
    ops.head_logits(hidden, network.head())
}

/// Draws the next id of `row` and appends it; returns whether the row continues.
fn take(job: &SampleJob<'_>, row: usize, logits: &[f32], continuation: &mut Vec<u32>) -> bool {
    let position = job.prompts[row].len() + continuation.len();
    let draw = Stream::new(job.seed, Purpose::Sample, position as u64).uniform(row as u64);
    let id = sample(job, logits, draw);
    if Some(id) == job.stop {
        return false;
    }
    continuation.push(id);
    continuation.len() < job.max_new_tokens && position + 1 < job.model.max_seq_len
}

/// Chooses an id: sorts by descending logit (ties: lower id first), takes the first `top_k`, then the smallest set
/// whose probability exceeds `top_p`, and selects by `draw` in [0, 1).
pub(crate) fn sample(job: &SampleJob<'_>, logits: &[f32], draw: f64) -> u32 {
    let usable = &logits[..job.usable_vocab.min(logits.len())];
    // Adding 0 makes both zeros equal.
    let rises = |a: usize, b: usize| (usable[a] + 0.0).total_cmp(&(usable[b] + 0.0));
    let higher = |best: usize, id: usize| if rises(id, best).is_gt() { id } else { best };
    let Some(first) = (0..usable.len()).reduce(higher) else {
        return 0;
    };
    if job.temperature == 0.0 {
        return first as u32;
    }
    let falling = |a: &u32, b: &u32| rises(*b as usize, *a as usize).then(a.cmp(b));
    let mut order: Vec<u32> = (0..usable.len() as u32).collect();
    if let Some(k) = job.top_k.map(|k| k.max(1)).filter(|&k| k < order.len()) {
        order.select_nth_unstable_by(k - 1, falling);
        order.truncate(k);
    }
    order.sort_unstable_by(falling);
    let max = f64::from(usable[first]);
    let mut masses: Vec<f64> = order
        .iter()
        .map(|&id| libm::exp((f64::from(usable[id as usize]) - max) / job.temperature))
        .collect();
    if let Some(p) = job.top_p {
        let limit = p * masses.iter().sum::<f64>();
        let mut reached = 0.0;
        let inside = masses.iter().position(|mass| {
            reached += mass;
            reached > limit
        });
        masses.truncate(inside.map_or(masses.len(), |last| last + 1));
    }
    let aim = draw * masses.iter().sum::<f64>();
    let mut reached = 0.0;
    let hit = masses.iter().position(|mass| {
        reached += mass;
        reached > aim
    });
    order[hit.unwrap_or(masses.len() - 1)]
}
