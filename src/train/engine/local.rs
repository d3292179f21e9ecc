//! Engines of this machine, and their supported settings.

use super::cuda;
#[cfg(test)]
use super::layout::Layout;
use super::ops::Operations;
use super::reference::Reference;
use super::{evaluate, generate, trainer};
use crate::record::{Numerics, RECIPE};
use crate::spec::{Dtype, ModelConfig, TrainSettings};
use crate::train::{
    Checkpoint, Engine, EvalJob, Observer, SampleJob, TokenScores, TrainError, TrainJob, Trained,
    Weights,
};
use specbook_kernels::Isa;
use std::marker::PhantomData;
use std::ops::ControlFlow;

/// The CPU engine's operations.
type CpuOperations = super::fused::Fused;

/// A device to compute on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceKind {
    /// The CPU, with the fastest operations.
    #[default]
    Cpu,
    /// The CPU, with stock dfdx operations: slow, for comparison.
    CpuReference,
    /// A CUDA device by number.
    Cuda(usize),
}

impl std::fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::CpuReference => f.write_str("cpu-reference"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl std::str::FromStr for DeviceKind {
    type Err = TrainError;

    /// Reads `cpu`, `cpu-reference`, `cuda` (the first device) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, TrainError> {
        let number = match text {
            "cpu" => return Ok(Self::Cpu),
            "cpu-reference" => return Ok(Self::CpuReference),
            "cuda" => Some(0),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok()),
        };
        number.map(Self::Cuda).ok_or_else(|| TrainError::Device {
            device: text.to_owned(),
            reason: "expected `cpu`, `cpu-reference`, `cuda` or `cuda:N`".to_owned(),
        })
    }
}

/// Opens the engine of `device`.
///
/// # Errors
/// The device is missing or not supported by this build.
pub fn open(device: DeviceKind) -> Result<Box<dyn Engine>, TrainError> {
    match device {
        DeviceKind::Cpu => {
            // Some instructions need permission from the system, requested before threads start.
            Isa::available();
            Ok(Box::new(LocalEngine::<CpuOperations>::new()))
        }
        DeviceKind::CpuReference => {
            type Stock = Reference<f32, dfdx::prelude::Cpu>;
            Ok(Box::new(LocalEngine::<Stock>::new()))
        }
        DeviceKind::Cuda(number) => cuda::open(number),
    }
}

/// Makes the CPU engine of this process use `name` (`portable`, `avx2`, `avx512`, `amx`, `neon`) instead of the best
/// available, for measurements. Results in f32 do not depend on it; in bf16, `amx` and `avx512` give different results.
/// Only the first call before any job counts.
///
/// # Errors
/// The machine does not have it, or a job has already used another one.
pub fn use_instruction_set(name: &str) -> Result<(), TrainError> {
    Isa::settle(name).map_err(|reason| TrainError::Device {
        device: format!("cpu with {name}"),
        reason,
    })
}

/// The weights that a run of `model` with `seed` starts from.
#[cfg(test)]
pub(crate) fn initial_weights(model: &ModelConfig, seed: u64, threads: usize) -> Weights {
    Layout::new(model).initial(model, seed, threads)
}

/// An engine over one implementation of the operations, opened for each job.
pub(crate) struct LocalEngine<O> {
    /// Number of the device among those of its kind.
    number: usize,
    operations: PhantomData<fn() -> O>,
}

impl<O: Operations> LocalEngine<O> {
    /// An engine; nothing is opened yet.
    pub(crate) fn new() -> Self {
        Self::on(0)
    }

    /// An engine on device `number` of its kind.
    pub(crate) fn on(number: usize) -> Self {
        Self {
            number,
            operations: PhantomData,
        }
    }

    /// Runs a job on freshly opened operations. Results of a failed device are discarded.
    fn with<T>(
        &self,
        threads: usize,
        dtype: Dtype,
        job: impl FnOnce(&O) -> Result<T, TrainError>,
    ) -> Result<T, TrainError> {
        let ops = O::open_on(self.number, threads, dtype)?;
        let result = job(&ops);
        ops.check()?;
        result
    }
}

fn refuse<O: Operations>(reason: Option<String>) -> Result<(), TrainError> {
    match reason {
        Some(what) => Err(TrainError::Unsupported {
            what,
            engine: O::NAME,
        }),
        None => Ok(()),
    }
}

impl<O: Operations> Engine for LocalEngine<O> {
    fn train(
        &self,
        job: &TrainJob<'_>,
        resume: Option<&Checkpoint>,
        observer: &mut dyn Observer,
    ) -> Result<Trained, TrainError> {
        refuse::<O>(self.unsupported(job.model, job.train))?;
        self.with(job.threads, job.train.dtype, |ops| {
            fits(ops, self.number, job)?;
            trainer::train(ops, job, resume, observer)
        })
    }

    fn evaluate(&self, weights: &Weights, job: &EvalJob<'_>) -> Result<TokenScores, TrainError> {
        refuse::<O>(unsupported_model::<O>(job.model))?;
        self.with(job.threads, Dtype::F32, |ops| {
            evaluate::evaluate(ops, weights, job)
        })
    }

    fn generate_each(
        &self,
        weights: &Weights,
        job: &SampleJob<'_>,
        each: &mut dyn FnMut(usize, u32) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<u32>>, TrainError> {
        refuse::<O>(unsupported_model::<O>(job.model))?;
        self.with(job.threads, Dtype::F32, |ops| {
            generate::generate(ops, weights, job, each)
        })
    }

    fn logits(
        &self,
        weights: &Weights,
        model: &ModelConfig,
        ids: &[u32],
        threads: usize,
    ) -> Result<Vec<f32>, TrainError> {
        refuse::<O>(unsupported_model::<O>(model))?;
        self.with(threads, Dtype::F32, |ops| {
            generate::all_logits(ops, weights, model, ids)
        })
    }

    fn numerics(&self, dtype: Dtype) -> Numerics {
        let name = match dtype {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
        };
        Numerics {
            engine: O::NAME.to_owned(),
            recipe: RECIPE,
            isa: O::isa_of(self.number, dtype),
            dtype: name.to_owned(),
        }
    }

    fn product_rate(&self, threads: usize, dtype: Dtype) -> Option<f64> {
        O::product_rate(threads, dtype)
    }

    fn unsupported(&self, model: &ModelConfig, train: &TrainSettings) -> Option<String> {
        if let Some(missing) = O::lacks(train.dtype) {
            return Some(format!("`train.dtype: bf16` ({missing})"));
        }
        let settings = match train {
            TrainSettings { batch_size: 0, .. } => Some("`train.batch_size: 0`".to_owned()),
            // The address of a dropout mask has 16 bits for the micro-batch.
            TrainSettings {
                grad_accum_steps: n @ (0 | 65_536..),
                ..
            } => Some(format!(
                "`train.grad_accum_steps: {n}` (allowed: 1 to 65535)"
            )),
            _ => None,
        };
        settings.or_else(|| unsupported_model::<O>(model))
    }
}

/// Refuses a job that cannot fit on a device with separate memory, before anything is computed.
///
/// If the engine cannot estimate the memory of a training, a lower bound is used: parameters, gradients and two
/// moments, and the logits of a batch with their gradient. Such a job can still run out of memory.
fn fits<O: Operations>(ops: &O, number: usize, job: &TrainJob<'_>) -> Result<(), TrainError> {
    let Some(free) = ops.free_bytes() else {
        return Ok(());
    };
    let rows = job.train.batch_size * job.model.max_seq_len;
    let floats = 4 * job.model.parameters() + 2 * rows * job.model.vocab_size;
    let least = 4 * floats as u64;
    let needed = O::training_bytes(job.model, job.train).unwrap_or(least);
    if needed <= free {
        return Ok(());
    }
    let mib = |bytes: u64| bytes.div_ceil(1 << 20);
    Err(TrainError::Device {
        device: format!("cuda:{number}"),
        reason: format!(
            "training needs at least {} MiB of its memory, {} MiB are free; a smaller `train.batch_size` with more `train.grad_accum_steps` \
             gives nearly the same training in less memory",
            mib(needed),
            mib(free)
        ),
    })
}

/// Describes why a model cannot be built by any implementation, or by this one.
fn unsupported_model<O: Operations>(model: &ModelConfig) -> Option<String> {
    let ModelConfig {
        dim,
        n_heads,
        n_kv_heads,
        ..
    } = *model;
    let sizes = [
        ("dim", dim),
        ("n_heads", n_heads),
        ("n_kv_heads", n_kv_heads),
        ("hidden_dim", model.hidden_dim),
        ("max_seq_len", model.max_seq_len),
        ("the vocabulary's size", model.vocab_size),
    ];
    if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
        return Some(format!("a model whose `{name}` is 0"));
    }
    if !dim.is_multiple_of(n_heads) || !n_heads.is_multiple_of(n_kv_heads) {
        return Some(format!(
            "a model of `dim: {dim}`, `n_heads: {n_heads}`, `n_kv_heads: {n_kv_heads}` (heads must divide the width, key/value heads the heads)"
        ));
    }
    if !(0.0..1.0).contains(&model.dropout) {
        return Some(format!(
            "`model.dropout: {}` (allowed: 0 up to 1)",
            model.dropout
        ));
    }
    // The address of a dropout mask has 16 bits for its site, three of which each block uses.
    if model.n_layers > 20_000 {
        return Some(format!("a model of {} blocks", model.n_layers));
    }
    let of_arch = model.arch.get().unsupported(model);
    of_arch.or_else(|| O::unsupported(model))
}
