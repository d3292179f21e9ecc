//! Batches: the sequences of each step. Pure functions of settings and counters.

use super::{SequenceSet, TrainingData};
use crate::rng::{Purpose, Stream};
use crate::spec::TrainSettings;
use std::sync::{Arc, Mutex, PoisonError};

/// Right-padded sequences. Padding is masked by position; the id under it is 0 and has no meaning.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Sequences (B).
    pub rows: usize,
    /// Positions of the longest sequence (T).
    pub cols: usize,
    /// `(B, T)` inputs.
    pub inputs: Vec<u32>,
    /// `(B, T)` targets.
    pub targets: Vec<u32>,
    /// `(B, T)`: whether the target is scored.
    pub mask: Vec<bool>,
}

impl Batch {
    /// Number of scored targets (N).
    pub fn scored(&self) -> usize {
        self.mask.iter().filter(|counts| **counts).count()
    }

    /// Keeps only the first `targets` scored targets; drops the rows after the last of them.
    fn keep_targets(&mut self, targets: usize) {
        let mut left = targets;
        let mut rows = 0;
        for (index, counts) in self
            .mask
            .iter_mut()
            .enumerate()
            .filter(|(_, counts)| **counts)
        {
            match left {
                0 => *counts = false,
                _ => rows = index / self.cols + 1,
            }
            left = left.saturating_sub(1);
        }
        self.rows = rows;
        for ids in [&mut self.inputs, &mut self.targets] {
            ids.truncate(rows * self.cols);
        }
        self.mask.truncate(rows * self.cols);
    }

    /// Pads `sequences` of `set` into one batch; targets equal to `ignore_index` are not scored.
    pub fn gather(set: &SequenceSet, sequences: &[usize], ignore_index: Option<u32>) -> Self {
        let cols = sequences
            .iter()
            .map(|&i| set.get(i).0.len())
            .max()
            .unwrap_or(0);
        let mut batch = Self {
            rows: sequences.len(),
            cols,
            ..Self::default()
        };
        for &index in sequences {
            let (input, target) = set.get(index);
            let padding = cols - input.len();
            batch.inputs.extend_from_slice(input);
            batch.inputs.extend(std::iter::repeat_n(0, padding));
            batch.targets.extend_from_slice(target);
            batch.targets.extend(std::iter::repeat_n(0, padding));
            batch
                .mask
                .extend(target.iter().map(|&id| Some(id) != ignore_index));
            batch.mask.extend(std::iter::repeat_n(false, padding));
        }
        batch
    }
}

/// The course of a training job: the number of steps and the batch of each.
#[derive(Clone, Debug)]
pub struct Course<'a> {
    data: &'a TrainingData,
    train: &'a TrainSettings,
    length: Length,
    order: LastOrder,
}

/// The most recently computed epoch order, shared by the steps of an epoch.
#[derive(Debug, Default)]
struct LastOrder(Mutex<Option<(u64, Arc<[usize]>)>>);

impl Clone for LastOrder {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl LastOrder {
    fn get(&self, epoch: u64, make: impl FnOnce() -> Vec<usize>) -> Arc<[usize]> {
        // A poisoned lock still holds a complete value or none: orders are assigned at once.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &*last {
            Some((of, order)) if *of == epoch => Arc::clone(order),
            _ => {
                let order: Arc<[usize]> = make().into();
                *last = Some((epoch, Arc::clone(&order)));
                order
            }
        }
    }
}

impl<'a> Course<'a> {
    /// Plans the course of `train` over `data`.
    pub fn new(data: &'a TrainingData, train: &'a TrainSettings) -> Self {
        let counts = |id: &&u32| Some(**id) != train.ignore_index;
        let length = match data {
            TrainingData::Sequences(set) => Length::of(Some(set.len()), train, |index| {
                set.get(index).1.iter().filter(counts).count()
            }),
            TrainingData::Stream { window, .. } => Length::of(None, train, |_| *window),
        };
        Self {
            data,
            train,
            length,
            order: LastOrder::default(),
        }
    }

    /// Optimizer steps.
    pub fn steps(&self) -> u64 {
        self.length.steps
    }

    /// Optimizer steps per epoch (the last one of an epoch may average fewer micro-batches).
    pub fn steps_per_epoch(&self) -> u64 {
        let accumulated = self.train.grad_accum_steps;
        self.length.batches_per_epoch.div_ceil(accumulated) as u64
    }

    /// Epochs, the last one possibly cut short by `max_steps` or `max_tokens`.
    pub fn epochs(&self) -> usize {
        self.length.epochs
    }

    /// Epoch of `step` (both from 0).
    pub fn epoch_of(&self, step: u64) -> u64 {
        step / self.steps_per_epoch().max(1)
    }

    /// Passes over the data after `step` steps.
    pub fn epochs_done(&self, step: u64) -> f64 {
        step as f64 / self.steps_per_epoch().max(1) as f64
    }

    /// The micro-batches of `step` (from 0), 1 to `grad_accum_steps` of them.
    pub fn micro_batches(&self, step: u64) -> Vec<Batch> {
        let mut batches = self.whole_batches(step);
        if let Some(mut left) = self.length.last_targets
            && step + 1 == self.length.steps
        {
            for batch in &mut batches {
                batch.keep_targets(left);
                left -= batch.scored();
            }
            batches.retain(|batch| batch.rows > 0);
        }
        batches
    }

    /// The training text as lines of ids: each sequence once, regardless of epochs, in file order; for a stream, all of
    /// it. Targets are `shift` ids ahead.
    pub fn lines(&self, shift: usize) -> Vec<Vec<u32>> {
        let set = match self.data {
            TrainingData::Stream { ids, .. } => return vec![ids.clone()],
            TrainingData::Sequences(set) => set,
        };
        let per_step = self.train.grad_accum_steps * self.train.batch_size;
        let per_epoch = self.length.batches_per_epoch * self.train.batch_size;
        let mut seen = vec![false; set.len()];
        let mut unseen = set.len();
        for epoch in 0..self.length.epochs as u64 {
            let steps = self.length.steps - epoch * self.steps_per_epoch();
            let steps = usize::try_from(steps).unwrap_or(usize::MAX);
            let sequences = per_epoch.min(steps.saturating_mul(per_step));
            for &index in self.order(set.len(), epoch).iter().take(sequences) {
                unseen -= usize::from(!std::mem::replace(&mut seen[index], true));
            }
            if unseen == 0 || !self.train.shuffle {
                break;
            }
        }
        let indices = (0..set.len()).filter(|index| seen[*index]);
        indices.map(|index| set.line(index, shift)).collect()
    }

    fn whole_batches(&self, step: u64) -> Vec<Batch> {
        let accumulated = self.train.grad_accum_steps;
        match self.data {
            TrainingData::Sequences(set) => {
                let epoch = self.epoch_of(step);
                let first = (step % self.steps_per_epoch()) as usize * accumulated;
                let last = (first + accumulated).min(self.length.batches_per_epoch);
                let order = self.order(set.len(), epoch);
                (first..last)
                    .map(|index| {
                        let start = index * self.train.batch_size;
                        let end = (start + self.train.batch_size).min(order.len());
                        Batch::gather(set, &order[start..end], self.train.ignore_index)
                    })
                    .collect()
            }
            TrainingData::Stream { ids, window, shift } => (0..accumulated)
                .map(|micro| {
                    let draws = Stream::new(
                        self.train.seed,
                        Purpose::Window,
                        step * accumulated as u64 + micro as u64,
                    );
                    let mut set = SequenceSet::new();
                    for row in 0..self.train.batch_size {
                        let choices = (ids.len() - window - shift + 1) as u64;
                        let start = draws.below(row as u64, choices) as usize;
                        set.push(
                            &ids[start..start + window],
                            &ids[start + shift..start + shift + window],
                        );
                    }
                    Batch::gather(
                        &set,
                        &(0..self.train.batch_size).collect::<Vec<_>>(),
                        self.train.ignore_index,
                    )
                })
                .collect(),
        }
    }

    fn order(&self, sequences: usize, epoch: u64) -> Arc<[usize]> {
        // Without shuffling all epochs share the order of the first.
        let epoch = if self.train.shuffle { epoch } else { 0 };
        self.order
            .get(epoch, || order_of(self.train, sequences, epoch))
    }
}

/// The order in which an epoch takes the sequences.
fn order_of(train: &TrainSettings, sequences: usize, epoch: u64) -> Vec<usize> {
    if train.shuffle {
        Stream::new(train.seed, Purpose::Shuffle, epoch).permutation(sequences)
    } else {
        (0..sequences).collect()
    }
}

/// Maximum positions of a scoring batch (it has at least one sequence).
const SCORED_POSITIONS: usize = 4096;

/// Number of sequences of one length in a scoring batch.
pub fn scored_together(length: usize) -> usize {
    (SCORED_POSITIONS / length.max(1)).max(1)
}

/// Scoring batches for sequences of these `lengths`, in order.
pub fn scoring_batches(lengths: &[usize]) -> impl Iterator<Item = std::ops::Range<usize>> {
    let mut first = 0;
    std::iter::from_fn(move || {
        let mut longest = *lengths.get(first)?;
        let mut last = first + 1;
        while last < lengths.len()
            && (last + 1 - first) * longest.max(lengths[last]) <= SCORED_POSITIONS
        {
            longest = longest.max(lengths[last]);
            last += 1;
        }
        let batch = first..last;
        first = last;
        Some(batch)
    })
}

mod length;
#[cfg(test)]
mod tests;

pub use length::Length;
