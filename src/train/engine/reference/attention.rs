//! Rotation and causal attention out of stock operations.

use super::super::dropout::Dropout;
use super::super::ops::{Element, Heads, tensor_error};
use super::{M, Qkv, Reference, Result, mask};
use dfdx::prelude::*;

type T4<E, D, T = NoneTape> = Tensor<(usize, usize, usize, usize), E, D, T>;

/// Sizes of an attention: sequences, and queries and keys of each.
pub(super) struct Groups {
    pub(super) sequences: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
}

impl<E: Element, D: Device<E> + Storage<usize>> Reference<E, D> {
    /// Rotates the heads of `x` `(n, heads · Dh)`; row `r` stands at `positions[r]`.
    pub(super) fn rotated<T: Tape<E, D>>(
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
    pub(super) fn attend<T: Tape<E, D>>(
        &self,
        (q, k, v): Qkv<E, D, T>,
        heads: &Heads<E>,
        groups: &Groups,
        dropout: Option<Dropout>,
    ) -> Result<M<E, D, T>> {
        let (b, tq, tk) = (groups.sequences, groups.queries, groups.keys);
        let (h, kv, dh) = (heads.n_heads, heads.n_kv_heads, heads.head_dim);
        // Finite, so that no infinity meets a zero.
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
    pub(super) fn split<T: Tape<E, D>>(
        &self,
        projected: M<E, D, T>,
        heads: &Heads<E>,
        positions: &[usize],
    ) -> Result<Qkv<E, D, T>> {
        let (dim, kv) = (heads.dim(), heads.kv_dim());
        let q = Self::columns(projected.with_empty_tape(), 0..dim)?;
        let k = Self::columns(projected.with_empty_tape(), dim..dim + kv)?;
        let v = Self::columns(projected, dim + kv..dim + 2 * kv)?;
        let q = self.rotated(q, heads, positions)?;
        let k = self.rotated(k, heads, positions)?;
        Ok((q, k, v))
    }
}
