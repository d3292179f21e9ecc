//! The operations used by the models: one trait, generic over device and element.
//!
//! Implementations: `reference` (stock dfdx operations, any element and device) and `fused` (our CPU kernels, f32).
//! Models call nothing else, so all implementations compute the same function; tests compare them.
//!
//! # Conventions
//! - Every tensor is a row-major `(rows, cols)` matrix. Activations have one row per position: row `b · T + t` of `B · T` belongs to
//!   position `t` of sequence `b` ([`Grid`]). Vectors (norm weights, biases) are `(1, n)`. Weights are `(out, in)`: `y = x · Wᵀ + b`.
//! - Ids, masks, positions and dropout counters are plain slices and numbers.
//! - An operation takes its main input by value, with its tape, and returns its output with that tape; all other
//!   tensors have no tape but still receive gradients, because dfdx stores gradients by tensor id. A residual is taken
//!   from the main path with `x.retaped::<NoneTape>()`: same id, so its gradients add to those of the main path.
//! - With `T = NoneTape` nothing is recorded, as in evaluation. An implementation must not compute gradients then
//!   (`T::OWNS_TAPE == false`).
//! - A weight used twice (tied output) receives the sum of both gradients; gradients are always **added** to existing
//!   ones.
//! - Padding is only at the right of a sequence, so causal attention needs no padding mask; padded rows hold arbitrary
//!   finite values.
//! - Results never depend on the number of threads.

pub(crate) use super::element::Element;

use super::dropout::Dropout;
use super::step::Step;
use crate::choices::loss::Formula;
use crate::spec::{Dtype, ModelConfig, TrainSettings};
use crate::train::{PartSeconds, TrainError};
use dfdx::optim::UnusedTensors;
use dfdx::prelude::*;
use std::sync::Arc;

/// A matrix of the implementation `O`, with tape `T`.
pub(crate) type Matrix<O, T = NoneTape> =
    Tensor<(usize, usize), <O as Operations>::Element, <O as Operations>::Device, T>;

/// A scalar of the implementation `O`, with tape `T`.
pub(crate) type Scalar<O, T = NoneTape> =
    Tensor<(), <O as Operations>::Element, <O as Operations>::Device, T>;

/// The gradient store of the implementation `O`.
pub(crate) type Kept<O> = Gradients<<O as Operations>::Element, <O as Operations>::Device>;

/// A recording tape of the implementation `O`.
pub(crate) type Recording<O> = OwnedTape<<O as Operations>::Element, <O as Operations>::Device>;

/// Layout of a batch in the rows of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    /// Sequences (B).
    pub(crate) sequences: usize,
    /// Positions of each, including padding (T).
    pub(crate) length: usize,
}

impl Grid {
    /// Number of rows, B · T.
    pub(crate) fn rows(&self) -> usize {
        self.sequences * self.length
    }
}

/// Kind of norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormKind {
    /// `x / sqrt(mean(x²) + eps) · w`.
    Rms,
    /// `(x − mean(x)) / sqrt(var(x) + eps) · w + b`, the variance divided by the width.
    Layer,
}

/// Kind of feed-forward activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The projection is `(2 · hidden, dim)`, gate rows first: `silu(gate) · up`.
    Swiglu,
    /// The projection is `(hidden, dim)`: `x · Φ(x)`, Φ the exact normal distribution function.
    Gelu,
}

/// Rotary tables, `(max_seq_len, head_dim / 2)` each, computed in f64 by `libm` and rounded once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rotary<E> {
    /// Pairs per head: `head_dim / 2`.
    pub(crate) half: usize,
    /// `cos(position · theta^(−2 i / head_dim))`.
    pub(crate) cos: Vec<E>,
    /// `sin` of the same.
    pub(crate) sin: Vec<E>,
}

impl<E: Element> Rotary<E> {
    /// Tables for `positions` positions.
    pub(crate) fn new(positions: usize, head_dim: usize, theta: f64) -> Self {
        let half = head_dim / 2;
        let angle = |index: usize| {
            let exponent = -2.0 * (index % half) as f64 / head_dim as f64;
            (index / half) as f64 * libm::pow(theta, exponent)
        };
        let table = |of: fn(f64) -> f64| {
            (0..positions * half)
                .map(|index| E::narrow(of(angle(index))))
                .collect()
        };
        Self {
            half,
            cos: table(libm::cos),
            sin: table(libm::sin),
        }
    }
}

/// Heads of an attention layer. Query head `h` reads key/value head `h / (n_heads / n_kv_heads)`.
#[derive(Clone, Debug)]
pub(crate) struct Heads<E> {
    /// Query heads (H).
    pub(crate) n_heads: usize,
    /// Key/value heads (K); divides `n_heads`.
    pub(crate) n_kv_heads: usize,
    /// Width of a head (Dh).
    pub(crate) head_dim: usize,
    /// Rotates queries and keys in adjacent pairs `(2i, 2i + 1)`: `(a, b) → (a cos − b sin, a sin + b cos)`; `None`: no rotation.
    pub(crate) rotary: Option<Arc<Rotary<E>>>,
}

impl<E> Heads<E> {
    /// Width of all queries: `n_heads · head_dim`.
    pub(crate) fn dim(&self) -> usize {
        self.n_heads * self.head_dim
    }

    /// Width of all keys (and of all values): `n_kv_heads · head_dim`.
    pub(crate) fn kv_dim(&self) -> usize {
        self.n_kv_heads * self.head_dim
    }
}

/// A linear layer: weight `(out, in)` and optional bias `(1, out)`.
pub(crate) struct Linear<'a, O: Operations> {
    /// `(out, in)`.
    pub(crate) weight: &'a Matrix<O>,
    /// `(1, out)`.
    pub(crate) bias: Option<&'a Matrix<O>>,
}

impl<O: Operations> Clone for Linear<'_, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<O: Operations> Copy for Linear<'_, O> {}

/// Targets of a batch, their mask and their loss.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LossTask<'a> {
    /// One per row, `< C` wherever the mask is set; meaningless elsewhere (not to be looked up).
    pub(crate) targets: &'a [u32],
    /// One per row: whether the target is scored.
    pub(crate) mask: &'a [bool],
    /// The loss of one row.
    pub(crate) formula: &'a Formula,
    /// Factor of the objective, and so of all gradients (1 / micro-batches of the step); the reported values exclude
    /// it.
    pub(crate) scale: f64,
}

/// The result of a loss: means over the N rows whose mask is set, or 0 if N = 0.
pub(crate) struct LossValue<O: Operations, T> {
    /// `scale · (ce + square)`: where the backward pass starts.
    pub(crate) objective: Scalar<O, T>,
    /// Mean of the cross-entropy part; 0 if the loss has none.
    pub(crate) ce: f64,
    /// Mean of the square part; 0 if the loss has none.
    pub(crate) square: f64,
}

impl<O: Operations, T> LossValue<O, T> {
    /// The loss.
    pub(crate) fn total(&self) -> f64 {
        self.ce + self.square
    }
}

/// The scores to compute for each target in an evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScoreTask<'a> {
    /// One per row, `< C` wherever the mask is set.
    pub(crate) targets: &'a [u32],
    /// One per row: whether the target is scored.
    pub(crate) mask: &'a [bool],
    /// Temperatures τ of `ln softmax(f / τ)_y`.
    pub(crate) temperatures: &'a [f64],
    /// ε of `ln (max(f_y, ε) / Σ_j max(f_j, ε))`.
    pub(crate) clipped_linear_eps: Option<f64>,
}

/// Scores of the rows whose mask is set, in row order; see [`crate::train::TokenScores`].
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Scores {
    /// `ln softmax(f)_y`.
    pub(crate) log_likelihood: Vec<f32>,
    /// Number of classes before the target, sorted by descending logit with ties by index.
    pub(crate) rank: Vec<u32>,
    /// Largest softmax probability.
    pub(crate) confidence: Vec<f32>,
    /// One list per temperature.
    pub(crate) tempered: Vec<Vec<f32>>,
    /// Empty if not requested.
    pub(crate) clipped_linear: Vec<f32>,
}

/// Global gradient norm and the clipping factor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Clip {
    /// Euclidean norm over all gradients, before clipping.
    pub(crate) norm: f64,
    /// Factor for [`AdamwStep::gradient_scale`]: `min(1, max_norm / (norm + 1e-6))` as in PyTorch; 1 without a limit.
    pub(crate) scale: f64,
}

/// Values that a device holds back until a step is done.
pub(crate) struct Readings {
    /// Means of [`LossValue::ce`] and [`LossValue::square`] of each [`Operations::head_loss`] with a tape.
    pub(crate) losses: Vec<[f64; 2]>,
    /// [`Clip::norm`].
    pub(crate) norm: f64,
}

impl Clip {
    /// For a device that holds back the norm until [`Operations::readings`], and never returns the factor.
    #[cfg(any(test, feature = "cuda"))]
    pub(crate) const LATER: Self = Self {
        norm: 0.0,
        scale: 1.0,
    };

    /// Clips `norm` to `max_norm`.
    pub(crate) fn of(norm: f64, max_norm: Option<f64>) -> Self {
        let scale = max_norm.map_or(1.0, |max| (max / (norm + 1e-6)).min(1.0));
        Self { norm, scale }
    }
}

/// Adam's moments, one matrix of each per parameter.
pub(crate) struct Moments<O: Operations> {
    /// Running mean of the gradient.
    pub(crate) first: Vec<Matrix<O>>,
    /// Running mean of its square.
    pub(crate) second: Vec<Matrix<O>>,
}

/// One AdamW step (docs/studies.md#e10).
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamwStep<'a> {
    /// Number of this step, from 1 (bias correction).
    pub(crate) step: u64,
    /// η.
    pub(crate) learning_rate: f64,
    /// β₁ and β₂.
    pub(crate) betas: [f64; 2],
    /// ε.
    pub(crate) eps: f64,
    /// λ.
    pub(crate) weight_decay: f64,
    /// One per parameter: whether it decays.
    pub(crate) decays: &'a [bool],
    /// Multiplies every gradient first (clipping).
    pub(crate) gradient_scale: f64,
}

/// Scalars of an AdamW step in the form used by all implementations, computed once in f64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdamwScalars {
    /// `1 − η λ` (for parameters that decay).
    pub(crate) shrink: f64,
    /// `η / (1 − β₁ᵗ)`.
    pub(crate) rate: f64,
    /// `1 / sqrt(1 − β₂ᵗ)`.
    pub(crate) root: f64,
}

impl AdamwStep<'_> {
    /// The scalars of the step.
    pub(crate) fn scalars(&self) -> AdamwScalars {
        let t = self.step as f64;
        AdamwScalars {
            shrink: 1.0 - self.learning_rate * self.weight_decay,
            rate: self.learning_rate / (1.0 - libm::pow(self.betas[0], t)),
            root: 1.0 / (1.0 - libm::pow(self.betas[1], t)).sqrt(),
        }
    }
}

/// Converts an error of the tensor library to ours.
pub(crate) fn tensor_error(error: impl std::fmt::Display) -> TrainError {
    TrainError::Tensor(error.to_string())
}

/// The operations. See the module's conventions; `n` is the number of rows, `C` the number of classes.
pub(crate) trait Operations: Sized + 'static {
    /// Element of all tensors.
    type Element: Element;

    /// Device of the tensors.
    type Device: Device<Self::Element> + Storage<usize>;

    /// Keys and values of one layer, for several sequences ([`Operations::cache`]).
    type Cache;

    /// Name in [`crate::record::Numerics`]: `cpu-reference`, `cpu-fused`.
    const NAME: &'static str;

    /// Opens the implementation for one job.
    ///
    /// # Errors
    /// The device cannot be used.
    fn open(threads: usize) -> Result<Self, TrainError>;

    /// As [`Operations::open`], on device `number` of its kind, with matrix products in `dtype`, for which
    /// [`Operations::lacks`] must be `None`.
    ///
    /// # Errors
    /// There is no such device, or it cannot be used.
    fn open_on(number: usize, threads: usize, dtype: Dtype) -> Result<Self, TrainError> {
        let _ = (number, dtype);
        Self::open(threads)
    }

    /// The missing support for matrix products in `dtype`, if any.
    fn lacks(dtype: Dtype) -> Option<&'static str> {
        match dtype {
            Dtype::F32 => None,
            Dtype::Bf16 => Some("this engine has `f32` only"),
        }
    }

    /// The part of a model that these operations cannot compute, if any.
    fn unsupported(model: &ModelConfig) -> Option<String> {
        let _ = model;
        None
    }

    /// Instruction set in [`crate::record::Numerics`], of matrix products in f32.
    fn isa() -> String;

    /// As [`Operations::isa`], for device `number` of its kind and matrix products in `dtype`; rounding in bfloat16
    /// depends on the instructions.
    fn isa_of(number: usize, dtype: Dtype) -> String {
        let _ = (number, dtype);
        Self::isa()
    }

    /// Checks that everything so far was really computed. This is the only place where a device failure during a run is
    /// detected: call it before returning numbers, weights or an error.
    ///
    /// # Errors
    /// The device failed.
    fn check(&self) -> Result<(), TrainError> {
        Ok(())
    }

    /// Free bytes on the device; `None` if it uses the machine's main memory.
    fn free_bytes(&self) -> Option<u64> {
        None
    }

    /// Maximum device memory of a training in bytes, if known.
    fn training_bytes(model: &ModelConfig, train: &TrainSettings) -> Option<u64> {
        let _ = (model, train);
        None
    }

    fn device(&self) -> &Self::Device;

    /// Time spent on the parts of a step since the last call; all 0 if not measured.
    fn take_parts(&self) -> PartSeconds {
        PartSeconds::default()
    }

    /// Runs step `step` at once, if the device has recorded one with batches of the same sizes: its results are then
    /// available from [`Operations::readings`]. If false, the operations of the step follow, then
    /// [`Operations::end_step`].
    fn begin_step(&self, step: &Step<'_>) -> bool {
        let _ = step;
        false
    }

    /// Ends a step, `complete` if none of its operations returned an error. If false, the device has recorded the
    /// operations but could not run them: they must be called again.
    fn end_step(&self, complete: bool) -> bool {
        let _ = complete;
        true
    }

    /// Frees unused memory; with `for_good`, memory dropped from now on is freed immediately too.
    fn release(&self, for_good: bool) {
        let _ = for_good;
    }

    /// Peak operations per second of the matrix product, for [`crate::train::Engine::product_rate`].
    fn product_rate(threads: usize, dtype: Dtype) -> Option<f64> {
        let _ = (threads, dtype);
        None
    }

    /// Looks up `ids` (one per row) in `tokens` `(C, dim)` and, if given, adds rows of the position table
    /// `(max_seq_len, dim)` at `positions.1` (one per row); then applies dropout over the `(n, dim)` elements. Returns
    /// `(n, dim)`.
    ///
    /// Ids and positions must be in range (checked by the caller). Adds gradients to both tables.
    fn embed<T: Tape<Self::Element, Self::Device>>(
        &self,
        tokens: &Matrix<Self>,
        positions: Option<(&Matrix<Self>, &[usize])>,
        ids: &[u32],
        dropout: Option<Dropout>,
        tape: T,
    ) -> Result<Matrix<Self, T>, TrainError>;

    /// Normalises each row of `x` `(n, dim)`; `weight` and `bias` are `(1, dim)`. Returns `(n, dim)`.
    fn norm<T: Tape<Self::Element, Self::Device>>(
        &self,
        x: Matrix<Self, T>,
        kind: NormKind,
        weight: &Matrix<Self>,
        bias: Option<&Matrix<Self>>,
        eps: f64,
    ) -> Result<Matrix<Self, T>, TrainError>;

    /// Projects `x` `(B·T, dim)` with `qkv` `(dim + 2 · kv_dim, dim)` (rows: queries, keys, values; head after head), rotates queries
    /// and keys at positions `0..T`, and attends causally: `softmax(q kᵀ / sqrt(Dh)) v` per head, dropout on the probabilities.
    /// Returns the concatenated heads, `(B·T, dim)`; the output projection is [`Operations::linear_residual`].
    ///
    /// Dropout counter of the probability of query `i`, key `j`, head `h`, sequence `b`: `((b · H + h) · T + i) · T + j`.
    fn qkv_rope_attention<T: Tape<Self::Element, Self::Device>>(
        &self,
        x: Matrix<Self, T>,
        qkv: Linear<'_, Self>,
        heads: &Heads<Self::Element>,
        grid: Grid,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>, TrainError>;

    /// Projects `x` `(n, dim)` and applies the activation. Returns `(n, hidden)`.
    fn mlp<T: Tape<Self::Element, Self::Device>>(
        &self,
        x: Matrix<Self, T>,
        projection: Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Matrix<Self, T>, TrainError>;

    /// `residual + dropout(x · Wᵀ + b)`: `x` `(n, in)`, weight `(dim, in)`, `residual` and the result `(n, dim)`; dropout counter
    /// `row · dim + column`. `residual` shares its id with a tensor earlier on the tape and receives the output's gradient.
    fn linear_residual<T: Tape<Self::Element, Self::Device>>(
        &self,
        x: Matrix<Self, T>,
        linear: Linear<'_, Self>,
        residual: Matrix<Self>,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>, TrainError>;

    /// The loss of logits `x · Wᵀ` (`x` `(n, dim)`, weight `(C, dim)`, no bias) against the targets.
    fn head_loss<T: Tape<Self::Element, Self::Device>>(
        &self,
        x: Matrix<Self, T>,
        weight: &Matrix<Self>,
        task: &LossTask<'_>,
    ) -> Result<LossValue<Self, T>, TrainError>;

    /// Scores the targets under the logits `x · Wᵀ`.
    fn head_scores(
        &self,
        x: Matrix<Self>,
        weight: &Matrix<Self>,
        task: &ScoreTask<'_>,
    ) -> Result<Scores, TrainError>;

    /// The logits `x · Wᵀ`, `(n, C)` row-major, for few rows (sampling).
    fn head_logits(&self, x: Matrix<Self>, weight: &Matrix<Self>) -> Result<Vec<f32>, TrainError>;

    /// Promises that `parameters` will not change, so that an implementation may keep a copy of them in another
    /// order.
    fn freeze(&self, _parameters: &[Matrix<Self>]) {}

    /// An empty cache of one layer for `sequences` sequences of at most `capacity` positions, `kv_dim` wide.
    fn cache(
        &self,
        sequences: usize,
        capacity: usize,
        kv_dim: usize,
    ) -> Result<Self::Cache, TrainError>;

    /// Like [`Operations::qkv_rope_attention`] for new positions only, without tape and dropout. The rows of `x` are
    /// `sequences.len()` groups of equal size; group `g` continues sequence `sequences[g]` of the cache at its current
    /// length, which grows by the group size. Sequences must be distinct and fit the capacity (checked by the caller).
    fn attention_cached(
        &self,
        x: Matrix<Self>,
        qkv: Linear<'_, Self>,
        heads: &Heads<Self::Element>,
        cache: &mut Self::Cache,
        sequences: &[usize],
    ) -> Result<Matrix<Self>, TrainError>;

    /// The global norm of the gradients (sum of squares in f64, in a fixed order) and the clipping factor; changes nothing.
    fn grad_norm_clip(
        &self,
        parameters: &[Matrix<Self>],
        gradients: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip, TrainError>;

    /// Updates parameters and moments in place (ids stay) and sets the gradients to zero. With `g' = gradient_scale · g`:
    /// `m ← β₁ m + (1 − β₁) g'`, `v ← β₂ v + (1 − β₂) g'²`, `θ ← shrink · θ − rate · m / (sqrt(v) · root + ε)`
    /// ([`AdamwScalars`]; `shrink` is 1 if the parameter does not decay).
    fn adamw_step(
        &self,
        parameters: &mut [Matrix<Self>],
        moments: &mut Moments<Self>,
        gradients: &mut Kept<Self>,
        step: &AdamwStep<'_>,
    ) -> Result<(), TrainError>;

    /// The losses with a tape and the norm since the last call, if they were returned as 0 because the host waits for
    /// the device only once per step. `None` if all were known immediately.
    fn readings(&self) -> Option<Readings> {
        None
    }

    /// A matrix of `values`, row-major.
    fn upload(
        &self,
        values: Vec<Self::Element>,
        shape: (usize, usize),
    ) -> Result<Matrix<Self>, TrainError> {
        self.device()
            .try_tensor_from_vec(values, shape)
            .map_err(tensor_error)
    }

    /// The values of a matrix, row-major.
    fn download(&self, matrix: &Matrix<Self>) -> Vec<Self::Element> {
        matrix.as_vec()
    }

    /// Rows `rows` of `x`, in that order.
    fn select_rows(&self, x: Matrix<Self>, rows: &[usize]) -> Result<Matrix<Self>, TrainError> {
        let index = self
            .device()
            .try_tensor_from_vec(rows.to_vec(), (rows.len(),))
            .map_err(tensor_error)?;
        x.try_gather(index).map_err(tensor_error)
    }

    /// A gradient store that keeps the gradients of `parameters` and frees all others after each backward pass. It belongs to the
    /// optimizer: it goes into the tape of a micro-batch and comes back from [`Operations::backward`] with the gradients added.
    fn gradients(&self, parameters: &[Matrix<Self>]) -> Kept<Self> {
        let mut ids = UnusedTensors::default();
        parameters.iter().for_each(|parameter| ids.add(parameter));
        let mut gradients = Gradients::leaky();
        gradients.retain_leafs(&ids.ids);
        gradients
    }

    /// The gradient of a parameter, row-major.
    fn gradient(&self, gradients: &Kept<Self>, of: &Matrix<Self>) -> Vec<Self::Element> {
        gradients.get(of).as_vec()
    }

    /// `Σ y · weights`, the start of the backward pass in checks of a single operation.
    fn weighted_sum<T: Tape<Self::Element, Self::Device>>(
        &self,
        y: Matrix<Self, T>,
        weights: Matrix<Self>,
    ) -> Result<Scalar<Self, T>, TrainError> {
        y.try_mul(weights)
            .and_then(|product| product.try_sum::<(), Axes2<0, 1>>())
            .map_err(tensor_error)
    }

    /// A tape that adds to `gradients`.
    fn tape(&self, gradients: Kept<Self>) -> Result<Recording<Self>, TrainError> {
        let seed: Scalar<Self> = self.device().try_zeros_like(&()).map_err(tensor_error)?;
        Ok(seed.traced(gradients).split_tape().1)
    }

    /// Runs the tape backwards from `objective`.
    fn backward(&self, objective: Scalar<Self, Recording<Self>>) -> Result<Kept<Self>, TrainError> {
        objective.try_backward().map_err(tensor_error)
    }
}
