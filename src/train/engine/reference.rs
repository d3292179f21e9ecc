//! The operations out of stock dfdx operations, for any element and device: slow, and correct. It is what the fused operations are
//! tested against, and with f64 elements what gradients are tested with. dfdx's own `exp` and `ln` are the platform's.

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
type T4<E, D, T = NoneTape> = Tensor<(usize, usize, usize, usize), E, D, T>;

/// Queries, keys or values of several sequences.
struct Groups {
    sequences: usize,
    queries: usize,
    keys: usize,
}

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

    /// Rotates the heads of `x` `(n, heads · Dh)`; row `r` stands at `positions[r]`.
    fn rotated<T: Tape<E, D>>(
        &self,
        x: M<E, D, T>,
        heads: &Heads<E>,
        positions: &[usize],
    ) -> Result<M<E, D, T>> {
        let Some(rotary) = &heads.rotary else {
            return Ok(x);
        };
        let (shape, width) = (*x.shape(), heads.head_dim);
        let count = shape.1 / width;
        let split = (shape.0 * count, width); // (n · heads, Dh)
        let table = |values: &[E]| -> Vec<E> {
            let mut all = Vec::with_capacity(split.0 * width);
            for &position in positions {
                let row = &values[position * rotary.half..(position + 1) * rotary.half];
                for _ in 0..count {
                    all.extend(row.iter().flat_map(|&value| [value, value]));
                }
            }
            all
        };
        // x · swap puts −b in the place of a and a in the place of b of each pair (a, b).
        let mut swap = vec![E::default(); width * width];
        for pair in 0..width / 2 {
            swap[(2 * pair + 1) * width + 2 * pair] = E::narrow(-1.0);
            swap[2 * pair * width + 2 * pair + 1] = E::ONE;
        }
        let swap = self.matrix(swap, (width, width))?;
        let cos = self.matrix(table(&rotary.cos), split)?;
        let sin = self.matrix(table(&rotary.sin), split)?;
        let rotate = || -> std::result::Result<M<E, D, T>, D::Err> {
            let x = x.try_reshape_like(&split)?;
            let turned = x.with_empty_tape().try_matmul(swap)?.try_mul(sin)?;
            x.try_mul(cos)?.try_add(turned)?.try_reshape_like(&shape)
        };
        rotate().map_err(tensor_error)
    }

    /// `softmax(q kᵀ / sqrt(Dh) + causal) v`: `q` `(B·Tq, H·Dh)`, `k` and `v` `(B·Tk, K·Dh)`; the queries are the last positions.
    fn attend<T: Tape<E, D>>(
        &self,
        (q, k, v): (M<E, D, T>, M<E, D, T>, M<E, D, T>),
        heads: &Heads<E>,
        groups: &Groups,
        dropout: Option<Dropout>,
    ) -> Result<M<E, D, T>> {
        let (b, tq, tk) = (groups.sequences, groups.queries, groups.keys);
        let (h, kv, dh) = (heads.n_heads, heads.n_kv_heads, heads.head_dim);
        let causal = (0..tq * tk).map(|index| {
            let visible = index % tk <= index / tk + tk - tq;
            E::narrow(if visible { 0.0 } else { -1e30 })
        });
        let causal = self.matrix(causal.collect(), (tq, tk))?;
        let scale = E::narrow(1.0 / (dh as f64).sqrt());
        let square = (b, h, tq, tk);
        let kept = match dropout {
            Some(dropout) => Some(
                self.device
                    .try_tensor_from_vec(mask(dropout, b * h * tq * tk), square)
                    .map_err(tensor_error)?,
            ),
            None => None,
        };
        let run = || -> std::result::Result<M<E, D, T>, D::Err> {
            let q: T4<E, D, T> = q.try_reshape_like(&(b, tq, h, dh))?;
            let q: T4<E, D, T> = q
                .try_permute::<_, Axes4<0, 2, 1, 3>>()? // (B, H, Tq, Dh)
                .try_reshape_like(&(b, kv, h / kv * tq, dh))?; // (B, K, H/K · Tq, Dh)
            let k: T4<E, D, T> = k.try_reshape_like(&(b, tk, kv, dh))?;
            let k: T4<E, D, T> = k.try_permute::<_, Axes4<0, 2, 3, 1>>()?; // (B, K, Dh, Tk)
            let v: T4<E, D, T> = v.try_reshape_like(&(b, tk, kv, dh))?;
            let v: T4<E, D, T> = v.try_permute::<_, Axes4<0, 2, 1, 3>>()?; // (B, K, Tk, Dh)
            let scores = q.try_matmul(k)?.try_mul(scale)?.try_reshape_like(&square)?;
            let mask = causal.try_broadcast_like::<_, Axes2<0, 1>>(&square)?;
            let mut probabilities = scores.try_add(mask)?.try_softmax::<Axis<3>>()?;
            if let Some(kept) = kept {
                probabilities = probabilities.try_mul(kept)?;
            }
            let mixed: T4<E, D, T> = probabilities
                .try_reshape_like(&(b, kv, h / kv * tq, tk))?
                .try_matmul(v)? // (B, K, H/K · Tq, Dh)
                .try_reshape_like(&(b, h, tq, dh))?;
            let mixed: T4<E, D, T> = mixed.try_permute::<_, Axes4<0, 2, 1, 3>>()?; // (B, Tq, H, Dh)
            mixed.try_reshape_like(&(b * tq, h * dh))
        };
        run().map_err(tensor_error)
    }

    /// Splits a projection into queries, keys and values, queries and keys rotated.
    fn split<T: Tape<E, D>>(
        &self,
        projected: M<E, D, T>,
        heads: &Heads<E>,
        positions: &[usize],
    ) -> Result<(M<E, D, T>, M<E, D, T>, M<E, D, T>)> {
        let (dim, kv) = (heads.dim(), heads.kv_dim());
        let q = Self::columns(projected.with_empty_tape(), 0..dim)?;
        let k = Self::columns(projected.with_empty_tape(), dim..dim + kv)?;
        let v = Self::columns(projected, dim + kv..dim + 2 * kv)?;
        let q = self.rotated(q, heads, positions)?;
        let k = self.rotated(k, heads, positions)?;
        Ok((q, k, v))
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

    fn parts<T: Tape<E, D>>(
        &self,
        logits: M<E, D, T>,
        targets: Vec<usize>,
        task: &LossTask<'_>,
    ) -> Result<(Option<V<E, D, T>>, Option<V<E, D, T>>)> {
        let targets = self.index(targets)?;
        let cross_entropy = |logits: M<E, D, T>| -> std::result::Result<V<E, D, T>, D::Err> {
            let chosen: V<E, D, T> = logits
                .try_log_softmax::<Axis<1>>()?
                .try_select(targets.clone())?;
            chosen.try_negate()
        };
        let ce = match task.formula.cross_entropy {
            true => Some(cross_entropy(logits.with_empty_tape()).map_err(tensor_error)?),
            false => None,
        };
        let Some(term) = task.formula.square else {
            // The main tape travels with the last part.
            let tape = logits.split_tape().1;
            let ce = ce.map(|ce| {
                let (ce, own) = ce.split_tape();
                ce.put_tape(own.merge(tape))
            });
            return Ok((ce, None));
        };
        let square = || -> std::result::Result<V<E, D, T>, D::Err> {
            let s = match term.on_probabilities {
                true => logits.try_softmax::<Axis<1>>()?,
                false => logits,
            };
            let target: V<E, D, T> = s.with_empty_tape().try_select(targets.clone())?;
            let all: V<E, D, T> = s.try_square()?.try_sum::<(usize,), Axis<1>>()?;
            let wrong = all
                .try_sub(target.with_empty_tape().try_square()?)?
                .try_mul(E::narrow(term.wrong))?;
            let correct = target
                .try_sub(E::narrow(term.target))?
                .try_square()?
                .try_mul(E::narrow(term.correct))?;
            wrong.try_add(correct)
        };
        Ok((ce, Some(square().map_err(tensor_error)?)))
    }
}

/// Values of a dropout mask: `1 / (1 − p)` or 0.
fn mask<E: Element>(dropout: Dropout, elements: usize) -> Vec<E> {
    let mut values = vec![E::default(); elements];
    dropout.fill(0, E::narrow(dropout.scale()), E::default(), &mut values);
    values
}

fn mean<E: Element, D: Device<E>, T>(rows: &Option<V<E, D, T>>, scored: usize) -> f64 {
    match (rows, scored) {
        (Some(rows), 1..) => {
            rows.as_vec().into_iter().map(Element::widen).sum::<f64>() / scored as f64
        }
        _ => 0.0,
    }
}

/// Rows whose mask is set.
fn scored_rows(mask: &[bool]) -> Vec<usize> {
    (0..mask.len()).filter(|&row| mask[row]).collect()
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
        let mut rows = scored_rows(task.mask);
        let scored = rows.len();
        let mut targets: Vec<usize> = rows.iter().map(|&row| task.targets[row] as usize).collect();
        if scored == 0 {
            // Nothing counts: one row with weight 0 keeps the tape whole.
            rows.push(0);
            targets.push(0);
        }
        let share = if scored == 0 {
            0.0
        } else {
            task.scale / scored as f64
        };
        let x: M<E, D, T> = x.try_gather(self.index(rows)?).map_err(tensor_error)?;
        let head = Linear { weight, bias: None };
        let logits = Self::linear(x, head).map_err(tensor_error)?;
        let (ce, square) = self.parts(logits, targets, task)?;
        let (ce_mean, square_mean) = (mean(&ce, scored), mean(&square, scored));
        let rows = match (ce, square) {
            (Some(ce), Some(square)) => ce.try_add(square).map_err(tensor_error)?,
            (Some(rows), None) | (None, Some(rows)) => rows,
            (None, None) => return Err(tensor_error("a loss without terms")),
        };
        let objective = rows
            .try_sum::<(), Axis<0>>()
            .and_then(|sum| sum.try_mul(E::narrow(share)))
            .map_err(tensor_error)?;
        Ok(LossValue {
            objective,
            ce: ce_mean,
            square: square_mean,
        })
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
