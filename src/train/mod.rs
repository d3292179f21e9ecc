//! The interface to the trainer. Only plain data crosses it: ids, configurations, named f32 arrays; never a tensor,
//! dtype or device type.
//!
//! Behind it is `engine`, the only module that uses dfdx. [`FakeEngine`] replaces it in tests without training.

pub mod engine;
mod fake;
mod schedule;

pub use crate::weights::{Checkpoint, NamedTensor, Weights};
pub use engine::{DeviceKind, open};
pub use fake::FakeEngine;
pub use schedule::{Place, learning_rate, validation_due};
pub use specbook_kernels::{Part, PartSeconds};

use crate::data::{SequenceSet, Stop, TrainingData};

use crate::record::{MetricPoint, Numerics};
use crate::spec::{ModelConfig, TrainSettings};
use std::ops::ControlFlow;

/// Trains, scores and samples models.
pub trait Engine: Send + Sync {
    /// Runs `job` from the start or from `resume`, reporting to `observer`, which may stop it. Same job, same bits.
    ///
    /// # Errors
    /// Unsupported settings, a non-finite loss, insufficient memory.
    fn train(
        &self,
        job: &TrainJob<'_>,
        resume: Option<&Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Trained, TrainError>;

    /// Scores every target of `job` with `weights`.
    ///
    /// # Errors
    /// Weights that do not match the model.
    fn evaluate(&self, weights: &Weights, job: &EvalJob<'_>) -> Result<TokenScores, TrainError>;

    /// Continues every prompt; returns only the new ids. Each new id is first passed to the callback with the number of
    /// its prompt; `Break` ends all texts.
    ///
    /// # Errors
    /// Weights that do not match the model; an empty prompt; ids outside the vocabulary.
    fn generate_each(
        &self,
        weights: &Weights,
        job: &SampleJob<'_>,
        each: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, TrainError>;

    /// Continues every prompt; returns only the new ids.
    ///
    /// # Errors
    /// As [`Engine::generate_each`].
    fn generate(
        &self,
        weights: &Weights,
        job: &SampleJob<'_>,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        self.generate_each(weights, job, &mut |_, _| ControlFlow::Continue(()))
    }

    /// The logits after each of `ids`, `(ids, vocab_size)` row by row.
    ///
    /// # Errors
    /// Weights that do not match the model; no ids, more ids than its context, or ids outside the vocabulary.
    fn logits(
        &self,
        weights: &Weights,
        model: &ModelConfig,
        ids: &[u32],
        threads: usize,
    ) -> Result<Vec<f32>, TrainError>;

    /// The engine's name and instruction set, recorded with every run.
    fn numerics(&self, dtype: crate::spec::Dtype) -> Numerics;

    /// Why this engine cannot train `model` with `train`; called before any data is read.
    fn unsupported(&self, model: &ModelConfig, train: &TrainSettings) -> Option<String>;

    /// Measures the peak operations per second of the engine's matrix product in `dtype`, for comparison with training
    /// (takes a fraction of a second); `None` if not measured.
    fn product_rate(&self, threads: usize, dtype: crate::spec::Dtype) -> Option<f64> {
        let _ = (threads, dtype);
        None
    }
}

/// A training job.
#[derive(Clone, Copy)]
pub struct TrainJob<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Loss, optimizer, length, validation cadence, seed.
    pub train: &'a TrainSettings,
    /// Training sequences or stream.
    pub data: &'a TrainingData,
    /// Validation sequences.
    pub validation: &'a SequenceSet,
    /// Initial weights; `None`: drawn by the model's initialiser.
    pub start: Option<&'a Weights>,
    /// Threads this job may use (≥ 1). The result does not depend on it.
    pub threads: usize,
}

/// A scoring job.
#[derive(Clone, Copy)]
pub struct EvalJob<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Sequences; every unmasked target is scored.
    pub sequences: &'a SequenceSet,
    /// Divides the logits by each of these and scores again (calibrated perplexity, docs/studies.md#e7); may be empty.
    pub temperatures: &'a [f64],
    /// Also scores `p ∝ max(logit, eps)` (clipped-linear perplexity, docs/studies.md#e7).
    pub clipped_linear_eps: Option<f64>,
    /// Threads.
    pub threads: usize,
    /// Ends the job early, between two batches, with [`TrainError::Stopped`].
    pub halt: &'a Stop,
}

/// Scores per target, in the order of the sequences; masked targets are omitted.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// Number of scored targets of each sequence.
    pub lengths: Vec<usize>,
    /// Natural log-probability of the target.
    pub log_likelihood: Vec<f32>,
    /// Number of classes with a larger logit (0: the target is the most likely; ties count as larger for the lower
    /// index).
    pub rank: Vec<u32>,
    /// Largest probability of any class.
    pub confidence: Vec<f32>,
    /// Log-probabilities at each temperature of the job.
    pub tempered: Vec<Vec<f32>>,
    /// Clipped-linear log-probability; empty unless requested.
    pub clipped_linear: Vec<f32>,
}

/// A sampling job.
#[derive(Clone, Copy)]
pub struct SampleJob<'a> {
    /// The model.
    pub model: &'a ModelConfig,
    /// Prompts as ids, including BOS; none may be empty.
    pub prompts: &'a [Vec<u32>],
    /// Maximum length of a continuation; it ends earlier at `max_seq_len` positions in total.
    pub max_new_tokens: usize,
    /// Temperature; 0 takes the most likely id.
    pub temperature: f64,
    /// Sample from the k most likely ids.
    pub top_k: Option<usize>,
    /// Sample from the smallest set whose total probability exceeds this (most likely first, docs/studies.md#a0).
    pub top_p: Option<f64>,
    /// Seed of the draws; each prompt uses its own counter, so prompts do not depend on each other.
    pub seed: u64,
    /// Id that ends a continuation (it is not part of the result).
    pub stop: Option<u32>,
    /// Ids at or above this are never drawn (rows that only pad the vocabulary).
    pub usable_vocab: usize,
    /// Threads.
    pub threads: usize,
    /// Ends the job early, between two ids, with [`TrainError::Stopped`].
    pub halt: &'a Stop,
}

/// Watches a training job and may stop it.
pub trait Observer {
    /// Receives every step's metrics, in order, each once per session (after a resume: only new steps).
    fn on_step(&mut self, point: &MetricPoint, timing: StepTiming) -> ControlFlow<()>;

    /// Whether a checkpoint is due now (asked after every step; decided by wall time).
    fn wants_checkpoint(&mut self) -> bool;

    /// Receives a checkpoint. `Break` stops training; the engine always passes one before it stops because of a
    /// [`ControlFlow::Break`].
    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()>;

    /// Reports progress of a long validation (sequences done, total). After `Break` the engine stops immediately and
    /// without a checkpoint, because a run cannot continue from a step without its validation: the step is repeated.
    fn on_validation(&mut self, done: usize, all: usize) -> ControlFlow<()> {
        let _ = (done, all);
        ControlFlow::Continue(())
    }
}

/// Wall time of a step, measured by the engine: goes to `timing.jsonl`, never into metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct StepTiming {
    /// Seconds of forward, backward and update.
    pub train_seconds: f64,
    /// Seconds of validation after it.
    pub validation_seconds: f64,
    /// Positions (batch · length) of the step.
    pub positions: u64,
    /// Time by part of the training step; all 0 if the engine does not measure it.
    pub parts: PartSeconds,
}

/// How a training job ended.
#[derive(Clone, Debug)]
pub enum Trained {
    /// All steps done.
    Finished(Box<Finished>),
    /// The observer stopped it and has received any checkpoint.
    Stopped,
}

/// The result of a finished training job.
#[derive(Clone, Debug)]
pub struct Finished {
    /// Weights after the last step.
    pub last: Weights,
    /// The final state, which a longer run can extend, with the weights at the lowest validation loss if required by
    /// `keep`.
    pub checkpoint: Checkpoint,
}

/// Errors of training, scoring and sampling.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The engine does not support the request.
    #[error("{what} is not supported by the {engine} engine")]
    Unsupported {
        /// The request.
        what: String,
        /// The engine.
        engine: &'static str,
    },
    /// The loss or the gradient norm is not finite.
    #[error(
        "training diverged at step {step}: {what} is {value}; the last good step is {last_good_step}"
    )]
    Diverged {
        /// The failed step.
        step: u64,
        /// `train/loss`, `grad_norm`, `val/loss` or `a weight`.
        what: &'static str,
        /// NaN or infinity.
        value: f64,
        /// Last step with finite numbers (0: none).
        last_good_step: u64,
    },
    /// Weights or a checkpoint that do not match the model.
    #[error("weights do not fit the model: {0}")]
    Weights(String),
    /// Ids or lengths that do not fit the model.
    #[error("{0}")]
    Input(String),
    /// The tensor library failed.
    #[error("tensor library: {0}")]
    Tensor(String),
    /// The device cannot be used.
    #[error("device `{device}` cannot be used: {reason}")]
    Device {
        /// The requested device.
        device: String,
        /// Why not.
        reason: String,
    },
    /// The job was stopped on request.
    #[error("stopped before it was finished")]
    Stopped,
    /// The device failed during computation.
    #[error("device `{device}` failed: {reason}")]
    DeviceFailed {
        /// The device.
        device: String,
        /// What happened, and what to do.
        reason: String,
    },
}
