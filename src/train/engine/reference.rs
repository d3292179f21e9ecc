//! The operations out of stock dfdx operations, for any element and device: slow, and correct. It is what the fused operations are
//! tested against, and with f64 elements what gradients are tested with. dfdx's own `exp` and `ln` are the platform's.

mod attention;
mod head;

use self::attention::Groups;
use self::head::scored_rows;
use super::dropout::Dropout;
use super::ops::{
    Activation, AdamwStep, Clip, Element, Grid, Heads, Kept, Linear, LossTask, LossValue, Matrix,
    Moments, NormKind, Operations, ScoreTask, Scores, tensor_error,
};
use super::score::score_row;
use crate::train::TrainError;
use dfdx::prelude::*;

/// Stock dfdx operations on device `D` with elements `E`.
pub(crate) struct Reference<E, D> {
    device: D,
    element: std::marker::PhantomData<E>,
}

/// Keys and values of one layer on the host: per sequence, rows of `kv_dim`.
pub(crate) struct HostCache<E> {
    keys: Vec<Vec<E>>,
    values: Vec<Vec<E>>,
}

type Result<T, E = TrainError> = std::result::Result<T, E>;
type M<E, D, T = NoneTape> = Tensor<(usize, usize), E, D, T>;
type V<E, D, T = NoneTape> = Tensor<(usize,), E, D, T>;
/// Queries, keys and values, one row per position.
type Qkv<E, D, T = NoneTape> = (M<E, D, T>, M<E, D, T>, M<E, D, T>);

impl<E: Element, D: Device<E> + Storage<usize>> Reference<E, D> {
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
        let row = row.clone().try_reshape_like(&(shape.1,))?;
        x.try_add(row.try_broadcast_like::<_, Axis<0>>(&shape)?)
    }

    fn linear<T: Tape<E, D>>(
        x: M<E, D, T>,
        linear: Linear<'_, Self>,
    ) -> std::result::Result<M<E, D, T>, D::Err> {
        let transposed = linear
            .weight
            .clone()
            .try_permute::<(usize, usize), Axes2<1, 0>>()?;
        let y = x.try_matmul(transposed)?;
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

    fn dropped<T: Tape<E, D>>(
        &self,
        x: M<E, D, T>,
        dropout: Option<Dropout>,
    ) -> Result<M<E, D, T>> {
        let Some(dropout) = dropout else {
            return Ok(x);
        };
        let shape = *x.shape();
        let mask = self.matrix(mask(dropout, shape.0 * shape.1), shape)?;
        x.try_mul(mask).map_err(tensor_error)
    }

    /// Exact GELU.
    ///
    /// dfdx's `accurate_gelu` has the wrong derivative (√2 times the density term), so it is put together: `x · Φ`, Φ held constant,
    /// carries the derivative Φ; `h − h'` with `h = −exp(−x²/2) / sqrt(2π)` and h' its constant copy is 0 and carries `x φ(x)`.
    fn gelu<T: Tape<E, D>>(&self, x: M<E, D, T>) -> Result<M<E, D, T>> {
        let shape = *x.shape();
        let normal = x.as_vec().into_iter().map(|value| {
            let z = value.widen() * std::f64::consts::FRAC_1_SQRT_2;
            E::narrow(0.5 * (1.0 + libm::erf(z)))
        });
        let normal = self.matrix(normal.collect(), shape)?;
        let run = || -> std::result::Result<M<E, D, T>, D::Err> {
            let density = x
                .with_empty_tape()
                .try_square()?
                .try_mul(E::narrow(-0.5))?
                .try_exp()?
                .try_mul(E::narrow(-1.0 / std::f64::consts::TAU.sqrt()))?;
            let constant = self.device.try_tensor_from_vec(density.as_vec(), shape)?;
            x.try_mul(normal)?.try_add(density.try_sub(constant)?)
        };
        run().map_err(tensor_error)
    }
}

/// Values of a dropout mask: `1 / (1 − p)` or 0.
fn mask<E: Element>(dropout: Dropout, elements: usize) -> Vec<E> {
    let mut values = vec![E::default(); elements];
    dropout.fill(0, E::narrow(dropout.scale()), E::default(), &mut values);
    values
}

impl<E: Element, D: Device<E> + Storage<usize>> Operations for Reference<E, D> {
    type Element = E;
    type Device = D;
    type Cache = HostCache<E>;

    const NAME: &'static str = "cpu-reference";

    fn open(_threads: usize) -> Result<Self> {
        Ok(Self {
            device: D::default(),
            element: std::marker::PhantomData,
        })
    }

    fn isa() -> String {
        std::env::consts::ARCH.to_owned()
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
            let power: V<E, D, T> = x.with_empty_tape().try_square()?.try_mean::<_, Axis<1>>()?;
            let root = power.try_add(E::narrow(eps))?.try_sqrt()?.try_recip()?;
            let weight = weight.clone().try_reshape_like(&(shape.1,))?;
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
        let positions: Vec<usize> = (0..grid.rows()).map(|row| row % grid.length).collect();
        let projected = Self::linear(x, qkv).map_err(tensor_error)?;
        let parts = self.split(projected, heads, &positions)?;
        let groups = Groups {
            sequences: grid.sequences,
            queries: grid.length,
            keys: grid.length,
        };
        self.attend(parts, heads, &groups, dropout)
    }

    fn mlp<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        projection: Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Matrix<Self, T>> {
        let y = Self::linear(x, projection).map_err(tensor_error)?;
        match activation {
            Activation::Gelu => self.gelu(y),
            Activation::Swiglu => {
                let hidden = y.shape().1 / 2;
                let gate = Self::columns(y.with_empty_tape(), 0..hidden)?;
                let up = Self::columns(y, hidden..2 * hidden)?;
                let run = || -> std::result::Result<M<E, D, T>, D::Err> {
                    let sigmoid = gate.with_empty_tape().try_sigmoid()?;
                    gate.try_mul(sigmoid)?.try_mul(up)
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
        y.try_add(residual).map_err(tensor_error)
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
        for rows in scored_rows(task.mask).chunks(64) {
            let part = self.select_rows(x.clone(), rows)?;
            let head = Linear { weight, bias: None };
            let logits = Self::linear(part, head).map_err(tensor_error)?.as_vec();
            for (row, logits) in rows.iter().zip(logits.chunks(weight.shape().0)) {
                score_row(logits, task.targets[*row] as usize, task, &mut scores);
            }
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
        let kv = heads.kv_dim();
        let projected = Self::linear(x, qkv).map_err(tensor_error)?;
        let mut all = Vec::with_capacity(shape.0 * heads.dim());
        for (group, &sequence) in sequences.iter().enumerate() {
            let rows: Vec<usize> = (group * count..(group + 1) * count).collect();
            let own = self.select_rows(projected.clone(), &rows)?;
            let start = cache.keys[sequence].len() / kv;
            let positions: Vec<usize> = (start..start + count).collect();
            let (q, k, v) = self.split(own, heads, &positions)?;
            cache.keys[sequence].extend(k.as_vec());
            cache.values[sequence].extend(v.as_vec());
            let keys = start + count;
            let k = self.matrix(cache.keys[sequence].clone(), (keys, kv))?;
            let v = self.matrix(cache.values[sequence].clone(), (keys, kv))?;
            let groups = Groups {
                sequences: 1,
                queries: count,
                keys,
            };
            all.extend(self.attend((q, k, v), heads, &groups, None)?.as_vec());
        }
        self.matrix(all, (shape.0, heads.dim()))
    }

    fn grad_norm_clip(
        &self,
        parameters: &[Matrix<Self>],
        gradients: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip> {
        let mut sum = 0.0;
        for parameter in parameters {
            gradients.try_alloc_for(parameter).map_err(tensor_error)?;
            let values = gradients.get(parameter).as_vec();
            sum += values
                .into_iter()
                .map(|g| g.widen() * g.widen())
                .sum::<f64>();
        }
        Ok(Clip::of(sum.sqrt(), max_norm))
    }

    fn adamw_step(
        &self,
        parameters: &mut [Matrix<Self>],
        moments: &mut Moments<Self>,
        gradients: &mut Kept<Self>,
        step: &AdamwStep<'_>,
    ) -> Result<()> {
        let scalars = step.scalars();
        let [beta1, beta2] = step.betas.map(E::narrow);
        let [rest1, rest2] = step.betas.map(|beta| E::narrow(1.0 - beta));
        let (rate, root) = (E::narrow(scalars.rate), E::narrow(scalars.root));
        let (scale, eps) = (E::narrow(step.gradient_scale), E::narrow(step.eps));
        for (index, parameter) in parameters.iter_mut().enumerate() {
            let shrink = E::narrow(if step.decays[index] {
                scalars.shrink
            } else {
                1.0
            });
            gradients.try_alloc_for(parameter).map_err(tensor_error)?;
            let gradient = gradients.get(parameter).as_vec();
            let mut values = parameter.as_vec();
            let mut first = moments.first[index].as_vec();
            let mut second = moments.second[index].as_vec();
            for (at, g) in gradient.into_iter().enumerate() {
                let g = g * scale;
                first[at] = beta1 * first[at] + rest1 * g;
                second[at] = beta2 * second[at] + rest2 * (g * g);
                let spread = E::narrow(second[at].widen().sqrt()) * root + eps;
                values[at] = shrink * values[at] - rate * first[at] / spread;
            }
            parameter.copy_from(&values);
            moments.first[index].copy_from(&first);
            moments.second[index].copy_from(&second);
            let kept = gradients
                .get_or_alloc_mut(parameter)
                .map_err(tensor_error)?;
            self.device
                .try_fill_with_zeros(kept)
                .map_err(tensor_error)?;
        }
        Ok(())
    }
}
