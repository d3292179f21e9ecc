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
use specbook_kernels::{Isa, exp_sum};
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
    ops.freeze(&network.parameters);
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
    let highest = |logits: &[f32]| logits.iter().map(|&logit| rank(logit)).max();
    let Some(top) = highest(usable) else {
        return 0;
    };
    let has_top = |part: &[f32]| highest(part) == Some(top);
    let part = usable.chunks(PART).position(has_top).unwrap_or_default() * PART;
    let within = usable[part..].iter().position(|&logit| rank(logit) == top);
    let first = part + within.unwrap_or_default();
    if job.temperature == 0.0 {
        return first as u32;
    }
    // By descending logit, then by ascending id; the id is the low half.
    let place = |(id, &logit): (usize, &f32)| u64::from(!rank(logit)) << 32 | id as u64;
    let places = usable.iter().enumerate();
    let max = f64::from(usable[first]);
    let power = |logit: f32| (f64::from(logit) - max) / job.temperature;
    let masses = |order: &[u64]| -> Vec<f64> {
        let logits = order.iter().map(|&place| usable[place as u32 as usize]);
        logits.map(|logit| libm::exp(power(logit))).collect()
    };
    if job.top_k.is_none() && usable.len() > PART {
        let (scale, shift) = (1.0 / job.temperature, max / job.temperature);
        let total = f64::from(exp_sum(Isa::best(), usable, scale as f32, shift as f32));
        // The rounding errors of f32 in the terms, in their sum, and in the arguments of the exponentials.
        let uncertain = total * (1e-5 + 1e-8 * usable.len() as f64 + 1e-6 * shift.abs());
        let least = max + job.temperature * libm::log(total * LIKELY);
        let likely = places
            .clone()
            .filter(|(_, logit)| f64::from(**logit) >= least);
        let mut order: Vec<u64> = likely.map(place).collect();
        order.sort_unstable();
        if let Some(hit) = drawn(masses(&order), job.top_p, draw, (total, uncertain)) {
            return order[hit] as u32;
        }
    }
    let mut order: Vec<u64> = places.map(place).collect();
    if let Some(k) = job.top_k.map(|k| k.max(1)).filter(|&k| k < order.len()) {
        order.select_nth_unstable(k - 1);
        order.truncate(k);
    }
    order.sort_unstable();
    let masses = masses(&order);
    let total = masses.iter().sum();
    let hit = drawn(masses, job.top_p, draw, (total, 0.0));
    order[hit.unwrap_or(order.len() - 1)] as u32
}

/// Number of logits examined together.
const PART: usize = 256;
/// Ids with at least this share of the total nearly always include the drawn one: the others need neither
/// sorting nor an exact sum.
const LIKELY: f64 = 1.0 / 4096.0;

/// An integer with the order of the logits ([`f32::total_cmp`], with a single zero).
fn rank(logit: f32) -> u32 {
    let bits = (logit + 0.0).to_bits();
    bits ^ ((bits.cast_signed() >> 31).cast_unsigned() | 1 << 31)
}

/// The index in descending `masses` that `draw` selects. `None` if their sum does not reach that far, or if the
/// index is undecided because the total, which includes masses not listed here, is `uncertain`.
fn drawn(
    mut masses: Vec<f64>,
    top_p: Option<f64>,
    draw: f64,
    (mut total, mut uncertain): (f64, f64),
) -> Option<usize> {
    if let Some(p) = top_p {
        match reach(&masses, p * total, uncertain) {
            Some(last) => masses.truncate(last + 1),
            None if uncertain > 0.0 => return None,
            None => {}
        }
        (total, uncertain) = (masses.iter().sum(), 0.0);
    }
    reach(&masses, draw * total, uncertain)
}

/// The first index at which the running sum of `masses` exceeds `aim`; `None` if there is none, or if the
/// excess is within `uncertain`.
fn reach(masses: &[f64], aim: f64, uncertain: f64) -> Option<usize> {
    let mut reached = 0.0;
    let near = masses.iter().position(|mass| {
        reached += mass;
        reached > aim - uncertain
    })?;
    (reached > aim + uncertain).then_some(near)
}
