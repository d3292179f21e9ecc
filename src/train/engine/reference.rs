//! The operations built from stock dfdx operations, for any element and device: on the CPU, also in f64, the reference
//! for tests of the fused operations and all gradients. dfdx uses the platform's `exp` and `ln`.
//!
//! Constructs that are slow or fragile on CUDA are avoided everywhere, so that CPU tests cover the code that runs on a
//! GPU:
//!
//! * no copies compiled at run time: rows are reordered by a gather, never by reshaping a permuted tensor;
//! * no product per sequence: one batched product over all heads;
//! * no sum of millions of elements into one address: the last axis first;
//! * no library dropout: masks are counter-based, as in every engine;
//! * no transfer of parameters, gradients or activations to the host within a step.

mod attention;
mod head;
mod optimizer;

use self::attention::{Groups, Tables};
use self::head::scored_rows;
use super::dropout::Dropout;
use super::ops::{
    Activation, AdamwStep, Clip, Element, Grid, Heads, Kept, Linear, LossTask, LossValue, Matrix,
    Moments, NormKind, Operations, ScoreTask, Scores, tensor_error,
};
use super::score::score_row;
use super::threads::share_out;
use crate::spec::Dtype;
use crate::train::TrainError;
use dfdx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// A device of the tensor library.
pub(crate) trait Place: Storage<usize> + Sized + 'static {
    /// Name of the engine on it, in [`crate::record::Numerics`].
    const ENGINE: &'static str;

    /// Opens device `number` of its kind.
    ///
    /// # Errors
    /// There is no such device, or it cannot be used.
    fn open(number: usize) -> Result<Self>;

    /// The instruction set of device `number`, in [`crate::record::Numerics`].
    fn isa(number: usize) -> String;

    /// Checks that everything since [`Place::open`] was really computed.
    ///
    /// # Errors
    /// The device failed.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Free bytes on the device; `None` if it uses the machine's main memory.
    fn free_bytes(&self) -> Option<u64> {
        None
    }
}

impl Place for Cpu {
    const ENGINE: &'static str = "cpu-reference";

    fn open(_number: usize) -> Result<Self> {
        Ok(Self::default())
    }

    fn isa(_number: usize) -> String {
        std::env::consts::ARCH.to_owned()
    }
}

/// Stock dfdx operations on device `D` with elements `E`.
pub(crate) struct Reference<E: Element, D: Place + Device<E>> {
    device: D,
    threads: usize,
    /// Tables of the attention for the shape of the last batch.
    tables: RefCell<Option<Rc<Tables<E, D>>>>,
}

/// Keys and values of one layer on the host: per sequence and head, rows of `head_dim`.
pub(crate) struct HostCache<E> {
    keys: Vec<Vec<Vec<E>>>,
    values: Vec<Vec<Vec<E>>>,
}

type Result<T, E = TrainError> = std::result::Result<T, E>;
type M<E, D, T = NoneTape> = Tensor<(usize, usize), E, D, T>;
type V<E, D, T = NoneTape> = Tensor<(usize,), E, D, T>;
/// Queries, keys and values, one row per position.
type Qkv<E, D, T = NoneTape> = (M<E, D, T>, M<E, D, T>, M<E, D, T>);

impl<E: Element, D: Place + Device<E>> Reference<E, D> {
    fn matrix(&self, values: Vec<E>, shape: (usize, usize)) -> Result<M<E, D>> {
        self.device
            .try_tensor_from_vec(values, shape)
            .map_err(tensor_error)
    }

    fn index(&self, values: Vec<usize>) -> Result<Tensor<(usize,), usize, D>> {
        let shape = (values.len(),);
        self.device
            .try_tensor_from_vec(values, shape)
            .map_err(tensor_error)
    }

    /// Adds the row vector `(1, out)` to every row.
    fn add_row<T: Tape<E, D>>(
        x: M<E, D, T>,
        row: &M<E, D>,
    ) -> std::result::Result<M<E, D, T>, D::Err> {
        let shape = *x.shape();
        let row = row.clone().try_reshape_like(&(shape.1,))?; // (out)
        x.try_add(row.try_broadcast_like::<_, Axis<0>>(&shape)?)
    }

    fn linear<T: Tape<E, D>>(
        x: M<E, D, T>,
        linear: Linear<'_, Self>,
    ) -> std::result::Result<M<E, D, T>, D::Err> {
        // (O, I) -> (I, O)
        let transposed = linear
            .weight
            .clone()
            .try_permute::<(usize, usize), Axes2<1, 0>>()?;
        let y = x.try_matmul(transposed)?; // (N, I) · (I, O) -> (N, O)
        match linear.bias {
            Some(bias) => Self::add_row(y, bias),
            None => Ok(y),
        }
    }

    fn columns<T: Tape<E, D>>(x: M<E, D, T>, range: std::ops::Range<usize>) -> Result<M<E, D, T>> {
        let rows = x.shape().0;
        x.try_slice((0..rows, range))
            .map_err(tensor_error)?
            .try_realize::<(usize, usize)>()
            .map_err(|_| tensor_error("a slice has the wrong rank"))
    }

    /// All elements in one row: element-wise operations are cheapest without a second index.
    fn flat<T: Tape<E, D>>(x: M<E, D, T>) -> std::result::Result<V<E, D, T>, D::Err> {
        let (rows, columns) = *x.shape();
        x.try_reshape_like(&(rows * columns,))
    }

    fn dropped<T: Tape<E, D>>(
        &self,
        x: M<E, D, T>,
        dropout: Option<Dropout>,
    ) -> Result<M<E, D, T>> {
        let Some(dropout) = dropout else {
            return Ok(x);
        };
        let shape = *x.shape();
        let mask = self.mask(dropout, shape.0 * shape.1)?;
        let run = || Self::flat(x)?.try_mul(mask)?.try_reshape_like(&shape);
        run().map_err(tensor_error)
    }

    /// A dropout mask of `1 / (1 − p)` and 0, computed on all threads.
    fn mask(&self, dropout: Dropout, elements: usize) -> Result<V<E, D>> {
        let mut values = vec![E::default(); elements];
        let kept = E::narrow(dropout.scale());
        let share = elements.div_ceil(self.threads).max(1);
        let threads = if elements < 1 << 16 { 1 } else { self.threads };
        let parts = values.chunks_mut(share).enumerate();
        share_out(threads, parts, |(number, part)| {
            dropout.fill((number * share) as u64, kept, E::default(), part);
        });
        self.device
            .try_tensor_from_vec(values, (elements,))
            .map_err(tensor_error)
    }

    /// Exact GELU.
    ///
    /// dfdx's `accurate_gelu` has the wrong derivative, `Φ + √2 x φ` instead of `Φ + x φ`. `h − h'`, with `h = (√2 − 1)
    /// φ` and its constant copy h', is 0 and has the derivative `(1 − √2) x φ`, which corrects the difference.
    fn gelu<T: Tape<E, D>>(x: M<E, D, T>) -> Result<M<E, D, T>> {
        let shape = *x.shape();
        let run = || -> std::result::Result<M<E, D, T>, D::Err> {
            let x = Self::flat(x)?;
            if !T::OWNS_TAPE {
                return x.try_accurate_gelu()?.try_reshape_like(&shape);
            }
            let factor = (std::f64::consts::SQRT_2 - 1.0) / std::f64::consts::TAU.sqrt();
            let h = x
                .with_empty_tape()
                .try_square()?
                .try_mul(E::narrow(-0.5))?
                .try_exp()?
                .try_mul(E::narrow(factor))?;
            // A product has a new id: no gradient flows back through the copy.
            let constant = h.retaped::<NoneTape>().try_mul(E::ONE)?;
            let correction = h.try_sub(constant)?;
            x.try_accurate_gelu()?
                .try_add(correction)?
                .try_reshape_like(&shape)
        };
        run().map_err(tensor_error)
    }
}

impl<E: Element, D: Place + Device<E>> Operations for Reference<E, D> {
    type Element = E;
    type Device = D;
    type Cache = HostCache<E>;

    const NAME: &'static str = D::ENGINE;

    fn open(threads: usize) -> Result<Self> {
        Self::open_on(0, threads, Dtype::F32)
    }

    fn open_on(number: usize, threads: usize, _: Dtype) -> Result<Self> {
        Ok(Self {
            device: D::open(number)?,
            threads: threads.max(1),
            tables: RefCell::new(None),
        })
    }

    fn isa() -> String {
        D::isa(0)
    }

    fn isa_of(number: usize, _: Dtype) -> String {
        D::isa(number)
    }

    fn check(&self) -> Result<()> {
        self.device.check()
    }

    fn free_bytes(&self) -> Option<u64> {
        self.device.free_bytes()
    }

    fn device(&self) -> &D {
        &self.device
    }

    fn embed<T: Tape<E, D>>(
        &self,
        tokens: &Matrix<Self>,
        positions: Option<(&Matrix<Self>, &[usize])>,
        ids: &[u32],
        dropout: Option<Dropout>,
        tape: T,
    ) -> Result<Matrix<Self, T>> {
        let ids = self.index(ids.iter().map(|&id| id as usize).collect())?;
        let mut x: M<E, D, T> = tokens
            .clone()
            .put_tape(tape)
            .try_gather(ids)
            .map_err(tensor_error)?;
        if let Some((table, rows)) = positions {
            let rows = self.index(rows.to_vec())?;
            let offsets: M<E, D, T> = table
                .retaped::<T>()
                .try_gather(rows)
                .map_err(tensor_error)?;
            x = x.try_add(offsets).map_err(tensor_error)?;
        }
        self.dropped(x, dropout)
    }

    fn norm<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        kind: NormKind,
        weight: &Matrix<Self>,
        bias: Option<&Matrix<Self>>,
        eps: f64,
    ) -> Result<Matrix<Self, T>> {
        let shape = *x.shape();
        let run = || -> std::result::Result<M<E, D, T>, D::Err> {
            let x = match kind {
                NormKind::Rms => x,
                NormKind::Layer => {
                    let mean: V<E, D, T> = x.with_empty_tape().try_mean::<_, Axis<1>>()?;
                    x.try_sub(mean.try_broadcast_like::<_, Axis<1>>(&shape)?)?
                }
            };
            // (N, D) -> (N)
            let power: V<E, D, T> = x.with_empty_tape().try_square()?.try_mean::<_, Axis<1>>()?;
            let root = power.try_add(E::narrow(eps))?.try_sqrt()?.try_recip()?; // (N)
            let weight = weight.clone().try_reshape_like(&(shape.1,))?; // (D)
            let y = x
                .try_mul(root.try_broadcast_like::<_, Axis<1>>(&shape)?)?
                .try_mul(weight.try_broadcast_like::<_, Axis<0>>(&shape)?)?;
            match bias {
                Some(bias) => Self::add_row(y, bias),
                None => Ok(y),
            }
        };
        run().map_err(tensor_error)
    }

    fn qkv_rope_attention<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        qkv: Linear<'_, Self>,
        heads: &Heads<E>,
        grid: Grid,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>> {
        let projected = Self::linear(x, qkv).map_err(tensor_error)?;
        let groups = Groups {
            sequences: grid.sequences,
            queries: grid.length,
            keys: grid.length,
        };
        let tables = self.tables(heads, &groups)?;
        let parts = self.split(projected, heads, &tables)?;
        self.attend(parts, heads, &tables, dropout)
    }

    fn mlp<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        projection: Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Matrix<Self, T>> {
        let y = Self::linear(x, projection).map_err(tensor_error)?;
        match activation {
            Activation::Gelu => Self::gelu(y),
            Activation::Swiglu => {
                let shape = (y.shape().0, y.shape().1 / 2);
                let gate = Self::columns(y.with_empty_tape(), 0..shape.1)?; // (N, 2 F) -> (N, F)
                let up = Self::columns(y, shape.1..2 * shape.1)?; // (N, 2 F) -> (N, F)
                let run = || -> std::result::Result<M<E, D, T>, D::Err> {
                    let (gate, up) = (Self::flat(gate)?, Self::flat(up)?);
                    let sigmoid = gate.with_empty_tape().try_sigmoid()?; // (N · F)
                    gate.try_mul(sigmoid)?.try_mul(up)?.try_reshape_like(&shape)
                };
                run().map_err(tensor_error)
            }
        }
    }

    fn linear_residual<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        linear: Linear<'_, Self>,
        residual: Matrix<Self>,
        dropout: Option<Dropout>,
    ) -> Result<Matrix<Self, T>> {
        let y = Self::linear(x, linear).map_err(tensor_error)?;
        let y = self.dropped(y, dropout)?;
        let shape = *y.shape();
        let run = || {
            let residual = Self::flat(residual)?;
            Self::flat(y)?.try_add(residual)?.try_reshape_like(&shape)
        };
        run().map_err(tensor_error)
    }

    fn head_loss<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        weight: &Matrix<Self>,
        task: &LossTask<'_>,
    ) -> Result<LossValue<Self, T>> {
        self.loss_of_rows(x, weight, task)
    }

    fn head_scores(
        &self,
        x: Matrix<Self>,
        weight: &Matrix<Self>,
        task: &ScoreTask<'_>,
    ) -> Result<Scores> {
        let mut scores = Scores::for_task(task);
        let classes = weight.shape().0;
        for rows in scored_rows(task.mask).chunks(256) {
            let part = self.select_rows(x.clone(), rows)?;
            let head = Linear { weight, bias: None };
            let logits = Self::linear(part, head).map_err(tensor_error)?.as_vec();
            let share = rows.len().div_ceil(self.threads);
            let mut parts = vec![Scores::default(); rows.len().div_ceil(share)];
            let pieces = rows.chunks(share).zip(logits.chunks(share * classes));
            share_out(
                self.threads,
                pieces.zip(&mut parts),
                |((rows, logits), part)| *part = scored(rows, logits, classes, task),
            );
            parts.into_iter().for_each(|part| scores.append(part));
        }
        Ok(scores)
    }

    fn head_logits(&self, x: Matrix<Self>, weight: &Matrix<Self>) -> Result<Vec<f32>> {
        let head = Linear { weight, bias: None };
        let logits = Self::linear(x, head).map_err(tensor_error)?.as_vec();
        Ok(logits.into_iter().map(|f| f.widen() as f32).collect())
    }

    fn cache(&self, sequences: usize, _capacity: usize, _kv_dim: usize) -> Result<HostCache<E>> {
        Ok(HostCache {
            keys: vec![Vec::new(); sequences],
            values: vec![Vec::new(); sequences],
        })
    }

    fn attention_cached(
        &self,
        x: Matrix<Self>,
        qkv: Linear<'_, Self>,
        heads: &Heads<E>,
        cache: &mut HostCache<E>,
        sequences: &[usize],
    ) -> Result<Matrix<Self>> {
        let shape = *x.shape();
        let count = shape.0 / sequences.len().max(1);
        let projected = Self::linear(x, qkv).map_err(tensor_error)?;
        let mut all = Vec::with_capacity(shape.0 * heads.dim());
        for (group, &sequence) in sequences.iter().enumerate() {
            let rows: Vec<usize> = (group * count..(group + 1) * count).collect();
            let own = self.select_rows(projected.clone(), &rows)?;
            let start = cache.keys[sequence].first().map_or(0, Vec::len) / heads.head_dim;
            let groups = Groups {
                sequences: 1,
                queries: count,
                keys: start + count,
            };
            let tables = self.new_tables(heads, &groups)?;
            let (q, k, v) = self.split(own, heads, &tables)?;
            let k = self.extended(&mut cache.keys[sequence], &k, heads)?;
            let v = self.extended(&mut cache.values[sequence], &v, heads)?;
            all.extend(self.attend((q, k, v), heads, &tables, None)?.as_vec());
        }
        self.matrix(all, (shape.0, heads.dim()))
    }

    fn grad_norm_clip(
        &self,
        parameters: &[Matrix<Self>],
        gradients: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip> {
        self.norm_of_gradients(parameters, gradients, max_norm)
    }

    fn adamw_step(
        &self,
        parameters: &mut [Matrix<Self>],
        moments: &mut Moments<Self>,
        gradients: &mut Kept<Self>,
        step: &AdamwStep<'_>,
    ) -> Result<()> {
        for (index, parameter) in parameters.iter_mut().enumerate() {
            let moments = (&mut moments.first[index], &mut moments.second[index]);
            self.adamw_one(parameter, moments, gradients, step, step.decays[index])?;
        }
        Ok(())
    }
}

/// Scores of some rows of logits.
fn scored<E: Element>(
    rows: &[usize],
    logits: &[E],
    classes: usize,
    task: &ScoreTask<'_>,
) -> Scores {
    let mut scores = Scores::for_task(task);
    for (row, logits) in rows.iter().zip(logits.chunks(classes)) {
        score_row(logits, task.targets[*row] as usize, task, &mut scores);
    }
    scores
}
