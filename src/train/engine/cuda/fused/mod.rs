//! The CUDA engine: every operation is one of our kernels (`kernels`) or a cuBLAS product, on one stream.
//!
//! The tensor library keeps the tape. Its matrices contain no numbers here: each is a handle, the number of an
//! entry in [`memory::Table`], which owns GPU memory. Gradients are kept there too, and operations on the tape
//! find them by the same numbers. A matrix's number becomes free when an operation takes the matrix by value
//! (`norm` leaves it to the residual); in the backward pass, gradients come and go in the reverse order, so two
//! owners of a number never overlap.
//!
//! Within a step, the host waits for the GPU once, at the end ([`Operations::readings`]), and memory is
//! requested from the driver only in the first step. Sums have a fixed order and products have their own
//! workspace, so the same GPU type and cuBLAS give the same bits.
//!
//! Where the host would limit a step, the step becomes one CUDA graph ([`graph`]).
//!
//! With `train.dtype: bf16`, values passed between operations and the factors of products are bfloat16, and
//! sums are f32; parameters, moments, gradients of parameters, the residual stream and its gradient are f32,
//! and each update writes the rounded copies that products read.

mod attention;
#[cfg(feature = "cuda")]
pub(super) mod ceilings;
mod gpu;
pub(super) mod graph;
mod head;
mod layers;
mod linear;
mod memory;
mod optimizer;
pub(super) mod profile;
pub(super) mod replay;
#[cfg(test)]
mod tests;

use super::super::dropout::Dropout;
use super::super::ops::{
    Activation, AdamwStep, Clip, Grid, Heads, Kept, Linear, LossTask, LossValue, Matrix, Moments,
    NormKind, Operations, Readings, Scalar, ScoreTask, Scores, tensor_error,
};
use super::super::step::Step;
use super::{api, driver, sizes};
use crate::spec::{Dtype, ModelConfig, TrainSettings};
use crate::train::TrainError;
use attention::{Cache, Ropes};
use dfdx::prelude::*;
use gpu::{Gpu, launch};
use graph::Graphs;
use head::Late;
use memory::{Buffer, Kind};
use optimizer::Pieces;
use std::rc::Rc;

/// A result with the tensor library's error.
type Gives<T> = Result<T, <Cpu as HasErr>::Err>;

/// The operations of one job.
pub(crate) struct CudaFused {
    /// The device of the tape and the handles.
    device: Cpu,
    pieces: Pieces,
    ropes: Ropes,
    late: Late,
    graphs: Graphs,
    gpu: Rc<Gpu>,
}

/// The table entry to which a matrix is the handle.
fn number(matrix: &Matrix<CudaFused>) -> usize {
    matrix[[0, 0]] as usize
}

impl CudaFused {
    /// A handle for `values`, and its number.
    fn matrix(
        &self,
        values: Rc<Buffer>,
        kind: Kind,
        shape: (usize, usize),
    ) -> Gives<(Matrix<Self>, usize)> {
        let number = self.gpu.table.borrow_mut().enter(values, kind);
        Ok((self.handle(number, shape)?, number))
    }

    fn handle(&self, number: usize, shape: (usize, usize)) -> Gives<Matrix<Self>> {
        // f32 represents integers up to 2²⁴ exactly: more than the possible number of matrices at a time.
        let scalar: Scalar<Self> = self.device.try_tensor(number as f32)?;
        scalar.try_broadcast_like::<_, Axes2<0, 1>>(&shape)
    }
}

impl Operations for CudaFused {
    type Element = f32;
    type Device = Cpu;
    type Cache = Cache;

    const NAME: &'static str = "cuda";

    fn open(threads: usize) -> Result<Self, TrainError> {
        Self::open_on(0, threads, Dtype::F32)
    }

    fn open_on(number: usize, _: usize, dtype: Dtype) -> Result<Self, TrainError> {
        let gpu = Gpu::open(number, dtype)?;
        Ok(Self {
            device: Cpu::default(),
            pieces: Pieces::default(),
            ropes: Ropes::default(),
            late: Late::new(&gpu),
            graphs: Graphs::new(),
            gpu: Rc::new(gpu),
        })
    }

    fn lacks(_: Dtype) -> Option<&'static str> {
        None
    }

    fn unsupported(model: &ModelConfig) -> Option<String> {
        let width = model.head_dim();
        (width > attention::WIDEST).then(|| {
            let widest = attention::WIDEST;
            format!("heads {width} wide (`dim` / `n_heads`; up to {widest} on a GPU)")
        })
    }

    fn isa() -> String {
        Self::isa_of(0, Dtype::F32)
    }

    fn isa_of(number: usize, _: Dtype) -> String {
        driver::name_of(number)
    }

    fn check(&self) -> Result<(), TrainError> {
        api::check()
    }

    fn free_bytes(&self) -> Option<u64> {
        api::memory().map(|(free, _)| free)
    }

    fn training_bytes(model: &ModelConfig, train: &TrainSettings) -> Option<u64> {
        Some(sizes::training_bytes(model, train))
    }

    fn device(&self) -> &Cpu {
        &self.device
    }

    fn begin_step(&self, step: &Step<'_>) -> bool {
        self.graphs.begin(self, step)
    }

    fn end_step(&self, complete: bool) -> bool {
        self.graphs.end_step(self, complete)
    }

    fn release(&self, for_good: bool) {
        // A checkpoint is assembled in host memory, so unused GPU memory does not matter.
        if for_good {
            self.graphs.end(self);
            self.gpu.release();
        }
    }

    fn embed<T: Tape<f32, Cpu>>(
        &self,
        tokens: &Matrix<Self>,
        positions: Option<(&Matrix<Self>, &[usize])>,
        ids: &[u32],
        dropout: Option<Dropout>,
        tape: T,
    ) -> Result<Matrix<Self, T>, TrainError> {
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
        attention::attention(self, x, qkv, heads, grid, dropout).map_err(tensor_error)
    }

    fn mlp<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        projection: Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Matrix<Self, T>, TrainError> {
        layers::mlp(self, x, projection, activation).map_err(tensor_error)
    }

    fn linear_residual<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        linear: Linear<'_, Self>,
        residual: Matrix<Self>,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>, TrainError> {
        layers::linear_residual(self, x, linear, &residual, dropout).map_err(tensor_error)
    }

    fn head_loss<T: Tape<f32, Cpu>>(
        &self,
        x: Matrix<Self, T>,
        weight: &Matrix<Self>,
        task: &LossTask<'_>,
    ) -> Result<LossValue<Self, T>, TrainError> {
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

    fn cache(&self, sequences: usize, capacity: usize, kv_dim: usize) -> Result<Cache, TrainError> {
        Ok(Cache::new(&self.gpu, sequences, capacity, kv_dim))
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
        _: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip, TrainError> {
        Ok(optimizer::grad_norm_clip(self, parameters, max_norm))
    }

    /// The clipping factor is the one left on the GPU by [`Operations::grad_norm_clip`].
    fn adamw_step(
        &self,
        parameters: &mut [Matrix<Self>],
        moments: &mut Moments<Self>,
        _: &mut Kept<Self>,
        step: &AdamwStep<'_>,
    ) -> Result<(), TrainError> {
        optimizer::adamw_step(self, parameters, moments, step);
        Ok(())
    }

    fn readings(&self) -> Option<Readings> {
        Some(self.late.read(&self.gpu))
    }

    fn upload(&self, values: Vec<f32>, shape: (usize, usize)) -> Result<Matrix<Self>, TrainError> {
        let values = self.gpu.upload(&values);
        let uploaded = self.matrix(values, Kind::Uploaded, shape);
        uploaded.map(|(matrix, _)| matrix).map_err(tensor_error)
    }

    fn download(&self, matrix: &Matrix<Self>) -> Vec<f32> {
        let &(rows, columns) = matrix.shape();
        let (gpu, number) = (&self.gpu, number(matrix));
        let values = gpu.table.borrow().values(number);
        if gpu.low && gpu.table.borrow().kind(number) == Kind::Activation {
            let halves: Vec<u16> = gpu.download(values.at, rows * columns);
            let widened = |half: u16| f32::from_bits(u32::from(half) << 16);
            return halves.into_iter().map(widened).collect();
        }
        gpu.download(values.at, rows * columns)
    }

    fn select_rows(&self, x: Matrix<Self>, rows: &[usize]) -> Result<Matrix<Self>, TrainError> {
        let (gpu, columns) = (&self.gpu, x.shape().1);
        let from = gpu.table.borrow_mut().take(number(&x));
        let at: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
        let (at, to) = (gpu.send(&at), gpu.floats(rows.len() * columns));
        let grid = (rows.len(), 1);
        launch!(
            gpu,
            "gather_rows",
            grid,
            128,
            from.at,
            at.at,
            to.at,
            columns as i32
        );
        let chosen = self.matrix(to, Kind::Stream, (rows.len(), columns));
        chosen.map(|(matrix, _)| matrix).map_err(tensor_error)
    }

    fn gradients(&self, parameters: &[Matrix<Self>]) -> Kept<Self> {
        for parameter in parameters {
            let &(rows, columns) = parameter.shape();
            self.gpu.gradient(number(parameter), rows * columns);
        }
        Gradients::leaky()
    }

    fn gradient(&self, _: &Kept<Self>, of: &Matrix<Self>) -> Vec<f32> {
        let &(rows, columns) = of.shape();
        let gradient = self.gpu.gradient(number(of), rows * columns);
        self.gpu.download(gradient.at, rows * columns)
    }

    fn weighted_sum<T: Tape<f32, Cpu>>(
        &self,
        y: Matrix<Self, T>,
        weights: Matrix<Self>,
    ) -> Result<Scalar<Self, T>, TrainError> {
        let (y, mut tape) = y.split_tape();
        let (output, len) = (number(&y), y.shape().0 * y.shape().1);
        let weights = self.gpu.table.borrow().values(number(&weights));
        let kind = self.gpu.table.borrow().kind(output);
        let sum: Scalar<Self> = self.device.try_tensor(0.0).map_err(tensor_error)?;
        let gpu = Rc::clone(&self.gpu);
        tape.add_backward_op(move |_| {
            if gpu.low && kind == Kind::Activation {
                let gradient = gpu.rounded(weights.at, len);
                gpu.table.borrow_mut().set_gradient(output, gradient);
                return Ok(());
            }
            let gradient = gpu.zeros(len);
            gpu.add(gradient.at, weights.at, len);
            gpu.accumulate(output, gradient, len);
            Ok(())
        });
        Ok(sum.put_tape(tape))
    }
}
