//! Checks of the engine on tiny shapes: gradients, losses, models, training, generation.

mod generation;
mod gradients;
mod models;
mod optimizer;
mod published;
mod scalar;
mod training;

use super::local::{DeviceKind, open};
use super::reference::Reference;
use crate::data::{SequenceSet, TrainingData};
use crate::record::MetricPoint;
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, Init, ModelConfig, TrainSettings};
use crate::train::{Checkpoint, Finished, Observer, StepTiming, TrainError, TrainJob, Trained};
use dfdx::prelude::Cpu;
use std::ops::ControlFlow;

/// Stock operations.
pub(super) type Stock = Reference<f32, Cpu>;

/// A tiny model; tests change the settings they need.
pub(super) fn tiny(arch: Arch) -> ModelConfig {
    let llama = arch == Arch::Llama;
    ModelConfig {
        arch,
        dim: 8,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: if llama { 2 } else { 4 },
        hidden_dim: 12,
        max_seq_len: 8,
        vocab_size: 11,
        norm_eps: 1e-5,
        rope_theta: if llama { 10_000.0 } else { 0.0 },
        biases: !llama,
        tied_output: !llama,
        dropout: 0.0,
        init: if llama {
            Init::XavierNormal
        } else {
            Init::Gpt2
        },
    }
}

/// Training settings from JSON, on top of a short default.
pub(super) fn settings(more: &str) -> TrainSettings {
    let mut settings = serde_json::json!({
        "batch_size": 2,
        "optimizer": {"adamw": {"learning_rate": 0.01}},
        "validate": {"every": "end"},
    });
    let more: serde_json::Map<String, serde_json::Value> = serde_json::from_str(more).unwrap();
    settings.as_object_mut().unwrap().extend(more);
    serde_json::from_value(settings).unwrap()
}

/// `count` sequences of 3 to 7 ids below 11, targets one ahead.
pub(super) fn sequences(count: usize, seed: u64) -> SequenceSet {
    let mut set = SequenceSet::new();
    for number in 0..count {
        let draws = Stream::new(seed, Purpose::Corpus, number as u64);
        let length = 3 + draws.below(100, 5) as usize;
        let ids: Vec<u32> = (0..=length as u64)
            .map(|index| draws.below(index, 11) as u32)
            .collect();
        set.push(&ids[..length], &ids[1..]);
    }
    set
}

/// Collects metrics and checkpoints; stops after step `stop_after`.
#[derive(Default)]
pub(super) struct Recorder {
    pub(super) points: Vec<MetricPoint>,
    pub(super) checkpoints: Vec<Checkpoint>,
    pub(super) stop_after: Option<u64>,
    pub(super) checkpoint_every_step: bool,
    pub(super) validations: usize,
    pub(super) stop_in_validation: bool,
}

impl Observer for Recorder {
    fn on_step(&mut self, point: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        assert!(timing.positions > 0);
        self.points.push(point.clone());
        if Some(point.step) == self.stop_after {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        self.checkpoint_every_step
    }

    fn on_checkpoint(&mut self, checkpoint: &Checkpoint) -> ControlFlow<()> {
        self.checkpoints.push(checkpoint.clone());
        ControlFlow::Continue(())
    }

    fn on_validation(&mut self, done: usize, all: usize) -> ControlFlow<()> {
        assert!(done <= all);
        self.validations += 1;
        if self.stop_in_validation {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

/// A training job's inputs.
pub(super) struct Setting {
    pub(super) model: ModelConfig,
    pub(super) train: TrainSettings,
    pub(super) data: TrainingData,
    pub(super) validation: SequenceSet,
    pub(super) device: DeviceKind,
    pub(super) threads: usize,
}

impl Setting {
    pub(super) fn new(arch: Arch, train: &str) -> Self {
        Self {
            model: tiny(arch),
            train: settings(train),
            data: TrainingData::Sequences(sequences(12, 1)),
            validation: sequences(5, 2),
            device: DeviceKind::Cpu,
            threads: 1,
        }
    }

    pub(super) fn run(
        &self,
        resume: Option<&Checkpoint>,
        recorder: &mut Recorder,
    ) -> Result<Trained, TrainError> {
        let job = TrainJob {
            model: &self.model,
            train: &self.train,
            data: &self.data,
            validation: &self.validation,
            start: None,
            threads: self.threads,
        };
        open(self.device)?.train(&job, resume, recorder)
    }

    pub(super) fn finish(&self, recorder: &mut Recorder) -> Finished {
        match self.run(None, recorder).unwrap() {
            Trained::Finished(finished) => *finished,
            Trained::Stopped => panic!("nobody stopped it"),
        }
    }
}
