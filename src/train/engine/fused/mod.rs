//! The operations on the CPU: our kernels ([`specbook_kernels`]) as custom operations on dfdx's tape, in f32; with
//! `train.dtype: bf16`, only the factors of matrix products are rounded to bfloat16.
//!
//! Each operation allocates its output from the device's cache, computes into it, and puts one closure on the tape, which adds the gradients
//! of its inputs to the tape's store. A closure owns everything it needs from the forward pass; buffers other than
//! tensors come from a pool of the job ([`memory::Stock`]) and return to it. Results have the same bits for every
//! number of threads and every instruction set.

mod attention;
mod frozen;
mod head;
mod layers;
pub(super) mod memory;
mod optimizer;
mod view;

use super::dropout::Dropout;
use super::ops::{
    Activation, AdamwStep, Clip, Grid, Heads, Kept, Linear, LossTask, LossValue, Matrix, Moments,
    NormKind, Operations, ScoreTask, Scores, tensor_error,
};
use crate::spec::Dtype;
use crate::train::{Part, PartSeconds, TrainError};
use attention::{Cache, Ropes};
use dfdx::prelude::*;
use dfdx::tensor::Cache as _;
use frozen::{Frozen, Order};
use memory::{Sizes, Stock};
use specbook_kernels::{Bf16, Compute, Isa, best_rate};
use std::sync::{Arc, Mutex, PoisonError};

/// The operations of one job.
pub(crate) struct Fused {
    device: Cpu,
    compute: Arc<Compute>,
    stock: Stock,
    sizes: Sizes,
    rope: Ropes,
    frozen: Mutex<Option<Frozen>>,
}

impl Fused {
    /// With a given instruction set.
    ///
    /// # Errors
    /// The device cannot be used.
    #[cfg(test)]
    pub(crate) fn with(isa: Isa, threads: usize) -> Result<Self, TrainError> {
        Self::over(Compute::with(isa, threads.max(1)))
    }

    fn over(compute: Compute) -> Result<Self, TrainError> {
        let device = Cpu::default();
        device.try_enable_cache().map_err(tensor_error)?;
        Ok(Self {
            device,
            compute: Arc::new(compute),
            stock: Stock::default(),
            sizes: Sizes::default(),
            rope: Ropes::default(),
            frozen: Mutex::default(),
        })
    }

    /// Passes the values of `weight` in `order` to `read`, or `None` if they are not frozen.
    fn with_frozen<T>(
        &self,
        weight: &Matrix<Self>,
        order: Order,
        read: impl FnOnce(Option<&[f32]>) -> T,
    ) -> T {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        let frozen = frozen.as_mut();
        read(frozen.and_then(|frozen| frozen.get(&self.compute, weight, order)))
    }
}

/// The fastest instruction set, with the products required by `dtype`.
fn compute_in(threads: usize, dtype: Dtype) -> Compute {
    let compute = Compute::with(Isa::best(), threads.max(1));
    match (dtype, Bf16::on(compute.isa)) {
        (Dtype::Bf16, Some(bf16)) => compute.in_bf16(bf16),
        _ => compute,
    }
}

impl Drop for Fused {
    fn drop(&mut self) {
        // The library's cache frees nothing by itself; after this, dropped memory is freed immediately.
        let _ = self.device.try_disable_cache();
    }
}

/// An error inside the backward pass.
type Backward = Result<(), <Cpu as HasErr>::Err>;

impl Operations for Fused {
    type Element = f32;
    type Device = Cpu;
    type Cache = Cache;

    const NAME: &'static str = "cpu-fused";

    fn open(threads: usize) -> Result<Self, TrainError> {
        Self::over(compute_in(threads, Dtype::F32))
    }

    fn open_on(_: usize, threads: usize, dtype: Dtype) -> Result<Self, TrainError> {
        Self::over(compute_in(threads, dtype))
    }

    fn lacks(dtype: Dtype) -> Option<&'static str> {
        let is_there = dtype == Dtype::F32 || Bf16::on(Isa::best()).is_some();
        (!is_there).then(Bf16::needs)
    }

    fn isa() -> String {
        Isa::best().name().to_owned()
    }

    fn isa_of(_: usize, dtype: Dtype) -> String {
        match dtype {
            Dtype::F32 => Self::isa(),
            Dtype::Bf16 => Isa::best().bf16_name(),
        }
    }

    fn device(&self) -> &Cpu {
        &self.device
    }

    fn release(&self, for_good: bool) {
        // A cache that cannot be emptied only uses more memory.
        let _ = match for_good {
            true => self.device.try_disable_cache(),
            false => self.device.try_empty_cache(),
        };
        self.stock.clear();
    }

    fn take_parts(&self) -> PartSeconds {
        self.compute.clock.take()
    }

    fn product_rate(threads: usize, dtype: Dtype) -> Option<f64> {
        Some(best_rate(&compute_in(threads, dtype)))
    }

    fn embed<T: Tape<f32, Cpu>>(
        &self,
        tokens: &Matrix<Self>,
        positions: Option<(&Matrix<Self>, &[usize])>,
        ids: &[u32],
        dropout: Option<Dropout>,
        tape: T,
    ) -> Result<Matrix<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::Embedding);
        // Every pass begins here.
        if self.sizes.crowded_by(ids.len()) {
            self.device.try_empty_cache().map_err(tensor_error)?;
            self.stock.clear();
        }
        layers::embed(self, tokens, positions, ids, dropout, tape).map_err(tensor_error)
    }

    fn norm<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        kind: NormKind,
        weight: &Matrix<Self>,
        bias: Option<&Matrix<Self>>,
        eps: f64,
    ) -> Result<Matrix<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::Norm);
        layers::norm(self, x, kind, weight, bias, eps as f32).map_err(tensor_error)
    }

    fn qkv_rope_attention<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        qkv: Linear<'_, Self>,
        heads: &Heads<f32>,
        grid: Grid,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::Attention);
        attention::attention(self, x, qkv, heads, grid, dropout).map_err(tensor_error)
    }

    fn mlp<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        projection: Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Matrix<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::FeedForward);
        layers::mlp(self, x, projection, activation).map_err(tensor_error)
    }

    fn linear_residual<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        linear: Linear<'_, Self>,
        residual: Matrix<Self>,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::Output);
        layers::linear_residual(self, x, linear, residual, dropout).map_err(tensor_error)
    }

    fn head_loss<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        weight: &Matrix<Self>,
        task: &LossTask<'_>,
    ) -> Result<LossValue<Self, T>, TrainError> {
        let _timed = self.compute.clock.time(Part::Head);
        head::loss(self, x, weight, task).map_err(tensor_error)
    }

    fn head_scores(
        &self,
        x: Matrix<Self>,
        weight: &Matrix<Self>,
        task: &ScoreTask<'_>,
    ) -> Result<Scores, TrainError> {
        Ok(head::scores(self, &x, weight, task))
    }

    fn head_logits(&self, x: Matrix<Self>, weight: &Matrix<Self>) -> Result<Vec<f32>, TrainError> {
        Ok(head::logits(self, &x, weight))
    }

    fn freeze(&self, parameters: &[Matrix<Self>]) {
        let mut frozen = self.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        *frozen = Some(Frozen::new(parameters));
    }

    fn cache(&self, sequences: usize, capacity: usize, kv_dim: usize) -> Result<Cache, TrainError> {
        Ok(Cache::new(sequences, capacity, kv_dim))
    }

    fn attention_cached(
        &self,
        x: Matrix<Self>,
        qkv: Linear<'_, Self>,
        heads: &Heads<f32>,
        cache: &mut Cache,
        sequences: &[usize],
    ) -> Result<Matrix<Self>, TrainError> {
        attention::attention_cached(self, &x, qkv, heads, cache, sequences).map_err(tensor_error)
    }

    fn grad_norm_clip(
        &self,
        parameters: &[Matrix<Self>],
        gradients: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip, TrainError> {
        let _timed = self.compute.clock.time(Part::Optimizer);
        optimizer::grad_norm_clip(self, parameters, gradients, max_norm).map_err(tensor_error)
    }

    fn adamw_step(
        &self,
        parameters: &mut [Matrix<Self>],
        moments: &mut Moments<Self>,
        gradients: &mut Kept<Self>,
        step: &AdamwStep<'_>,
    ) -> Result<(), TrainError> {
        let _timed = self.compute.clock.time(Part::Optimizer);
        optimizer::adamw_step(self, parameters, moments, gradients, step).map_err(tensor_error)
    }
}

#[cfg(test)]
mod tests;
