//! Rotation and causal attention from stock operations.
//!
//! Between a projection, whose rows are positions, and the batched products, whose rows are positions of one head, rows
//! of `head_dim` are reordered by a gather: its backward pass writes each address once, and nothing is compiled at run
//! time.

use super::super::dropout::Dropout;
use super::super::ops::{Element, Heads, Rotary, tensor_error};
use super::{M, Place, Qkv, Reference, Result, V};
use dfdx::prelude::*;
use std::rc::Rc;
use std::sync::Arc;

type T3<E, D, T = NoneTape> = Tensor<(usize, usize, usize), E, D, T>;

/// Sizes of an attention: sequences, and queries and keys of each; the queries are the last positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Groups {
    pub(super) sequences: usize,
    pub(super) queries: usize,
    pub(super) keys: usize,
}

/// An order of rows, on the device.
pub(super) type RowOrder<D> = Tensor<(usize,), usize, D>;

/// Device tables for attention with one shape.
pub(super) struct Tables<E: Element, D: Place + Device<E>> {
    groups: Groups,
    counts: (usize, usize, usize),
    /// Rows of queries, keys and values, head after head, in the projection.
    parts: [RowOrder<D>; 3],
    /// Rows of positions, heads side by side, in the result.
    back: RowOrder<D>,
    /// 0 where key `j` is visible to query `i`, otherwise so low that its probability is 0: `(Tq, Tk)`.
    causal: M<E, D>,
    turn: Option<Turn<E, D>>,
}

/// Rotation of the queries' positions.
struct Turn<E: Element, D: Place + Device<E>> {
    of: Arc<Rotary<E>>,
    /// `x · swap` replaces each pair (a, b) by (−b, a): `(Dh, Dh)`.
    swap: M<E, D>,
    /// Each value twice: `(Tq, Dh)`.
    cos: M<E, D>,
    sin: M<E, D>,
}

fn counts<E>(heads: &Heads<E>) -> (usize, usize, usize) {
    (heads.n_heads, heads.n_kv_heads, heads.head_dim)
}

impl<E: Element, D: Place + Device<E>> Reference<E, D> {
    /// The tables for `groups`, kept for the next layer and step.
    pub(super) fn tables(&self, heads: &Heads<E>, groups: &Groups) -> Result<Rc<Tables<E, D>>> {
        if let Some(tables) = self.tables.borrow().as_ref() {
            let same_turn = match (&tables.turn, &heads.rotary) {
                (Some(turn), Some(rotary)) => Arc::ptr_eq(&turn.of, rotary),
                (turn, rotary) => turn.is_none() && rotary.is_none(),
            };
            if tables.groups == *groups && tables.counts == counts(heads) && same_turn {
                return Ok(tables.clone());
            }
        }
        let tables = Rc::new(self.new_tables(heads, groups)?);
        *self.tables.borrow_mut() = Some(tables.clone());
        Ok(tables)
    }

    pub(super) fn new_tables(&self, heads: &Heads<E>, groups: &Groups) -> Result<Tables<E, D>> {
        let (h, kv, _) = counts(heads);
        let (b, tq, tk) = (groups.sequences, groups.queries, groups.keys);
        let all = h + 2 * kv;
        // Row (b, head, t) of the result is row (b, t, head) of the projection.
        let part = |first: usize, count: usize| {
            let rows = (0..b * count * tq).map(|index| {
                let (t, head, b) = (index % tq, index / tq % count, index / (tq * count));
                (b * tq + t) * all + first + head
            });
            self.index(rows.collect())
        };
        let back = (0..b * tq * h).map(|index| {
            let (head, t, b) = (index % h, index / h % tq, index / (h * tq));
            (b * h + head) * tq + t
        });
        // Finite, so that infinity is never multiplied by zero.
        let causal = (0..tq * tk).map(|index| {
            let visible = index % tk <= index / tk + tk - tq;
            E::narrow(if visible { 0.0 } else { -1e30 })
        });
        let turn = match &heads.rotary {
            Some(rotary) => Some(self.turn(rotary, heads.head_dim, tk - tq..tk)?),
            None => None,
        };
        Ok(Tables {
            groups: *groups,
            counts: counts(heads),
            parts: [part(0, h)?, part(h, kv)?, part(h + kv, kv)?],
            back: self.index(back.collect())?,
            causal: self.matrix(causal.collect(), (tq, tk))?,
            turn,
        })
    }

    fn turn(
        &self,
        rotary: &Arc<Rotary<E>>,
        width: usize,
        positions: std::ops::Range<usize>,
    ) -> Result<Turn<E, D>> {
        let count = positions.len();
        let table = |values: &[E]| {
            let rows = positions.start * rotary.half..positions.end * rotary.half;
            let twice = values[rows].iter().flat_map(|&value| [value, value]);
            self.matrix(twice.collect(), (count, width))
        };
        let mut swap = vec![E::default(); width * width];
        for pair in 0..width / 2 {
            swap[(2 * pair + 1) * width + 2 * pair] = E::narrow(-1.0);
            swap[2 * pair * width + 2 * pair + 1] = E::ONE;
        }
        Ok(Turn {
            of: rotary.clone(),
            swap: self.matrix(swap, (width, width))?,
            cos: table(&rotary.cos)?,
            sin: table(&rotary.sin)?,
        })
    }

    /// Rotates `x` `(B · heads · Tq, Dh)`.
    fn turned<T: Tape<E, D>>(
        x: M<E, D, T>,
        turn: &Turn<E, D>,
    ) -> std::result::Result<M<E, D, T>, D::Err> {
        let (shape, (length, width)) = (*x.shape(), *turn.cos.shape());
        let split = (shape.0 / length, length, width); // (B · heads, Tq, Dh)
        let [cos, sin] = [&turn.cos, &turn.sin].map(Clone::clone);
        let crossed = x.with_empty_tape().try_matmul(turn.swap.clone())?; // (B · heads · Tq, Dh)
        let crossed: T3<E, D, T> = crossed.try_reshape_like(&split)?; // (B · heads, Tq, Dh)
        let crossed = crossed.try_mul(sin.try_broadcast_like::<_, Axis<0>>(&split)?)?; // · (Tq, Dh)
        let x: T3<E, D, T> = x.try_reshape_like(&split)?; // (B · heads, Tq, Dh)
        let x = x.try_mul(cos.try_broadcast_like::<_, Axis<0>>(&split)?)?; // · (Tq, Dh)
        // (B · heads · Tq · Dh)
        let [x, crossed] = [x, crossed].map(|x| x.try_reshape_like(&(shape.0 * shape.1,)));
        let (x, crossed): (V<E, D, T>, V<E, D, T>) = (x?, crossed?);
        x.try_add(crossed)?.try_reshape_like(&shape) // (B · heads · Tq, Dh)
    }

    /// Splits a projection `(B · Tq, (H + 2 K) · Dh)` into queries `(B · H · Tq, Dh)`, keys and values `(B · K · Tq, Dh)`; queries and keys
    /// are rotated.
    pub(super) fn split<T: Tape<E, D>>(
        &self,
        projected: M<E, D, T>,
        heads: &Heads<E>,
        tables: &Tables<E, D>,
    ) -> Result<Qkv<E, D, T>> {
        let (rows, columns) = *projected.shape();
        let split = (rows * columns / heads.head_dim, heads.head_dim);
        let run = || -> std::result::Result<Qkv<E, D, T>, D::Err> {
            let x: M<E, D, T> = projected.try_reshape_like(&split)?; // (B · Tq · (H + 2 K), Dh)
            let [q, k, v] = &tables.parts;
            let q: M<E, D, T> = x.with_empty_tape().try_gather(q.clone())?; // (B · H · Tq, Dh)
            let k: M<E, D, T> = x.with_empty_tape().try_gather(k.clone())?; // (B · K · Tq, Dh)
            let v: M<E, D, T> = x.try_gather(v.clone())?; // (B · K · Tq, Dh)
            Ok(match &tables.turn {
                Some(turn) => (Self::turned(q, turn)?, Self::turned(k, turn)?, v),
                None => (q, k, v),
            })
        };
        run().map_err(tensor_error)
    }

    /// `softmax(q kᵀ / sqrt(Dh) + causal) v`: `q` `(B · H · Tq, Dh)`, `k` and `v` `(B · K · Tk, Dh)`; returns `(B · Tq,
    /// H · Dh)`.
    pub(super) fn attend<T: Tape<E, D>>(
        &self,
        (q, k, v): Qkv<E, D, T>,
        heads: &Heads<E>,
        tables: &Tables<E, D>,
        dropout: Option<Dropout>,
    ) -> Result<M<E, D, T>> {
        let Groups {
            sequences: b,
            queries: tq,
            keys: tk,
        } = tables.groups;
        let (h, kv, dh) = counts(heads);
        // Queries of heads that share keys and values are rows of one product.
        let shared = (b * kv, h / kv * tq, tk);
        let scale = E::narrow(1.0 / (dh as f64).sqrt());
        let kept = dropout.map(|dropout| self.mask(dropout, b * h * tq * tk));
        let kept = kept.transpose()?;
        let run = || -> std::result::Result<M<E, D, T>, D::Err> {
            // (B · K, H / K · Tq, Dh)
            let q: T3<E, D, T> = q
                .try_mul(scale)?
                .try_reshape_like(&(shared.0, shared.1, dh))?;
            let k: T3<E, D, T> = k.try_reshape_like(&(b * kv, tk, dh))?; // (B · K, Tk, Dh)
            let k: T3<E, D, T> = k.try_permute::<_, Axes3<0, 2, 1>>()?; // (B · K, Dh, Tk)
            let v: T3<E, D, T> = v.try_reshape_like(&(b * kv, tk, dh))?; // (B · K, Tk, Dh)
            let square = (b * h, tq, tk);
            let scores: T3<E, D, T> = q.try_matmul(k)?.try_reshape_like(&square)?; // (B · H, Tq, Tk)
            let causal = tables.causal.clone();
            let scores = scores.try_add(causal.try_broadcast_like::<_, Axis<0>>(&square)?)?; // + (Tq, Tk)
            let scores: M<E, D, T> = scores.try_reshape_like(&(b * h * tq, tk))?; // (B · H · Tq, Tk)
            let mut probabilities = scores.try_softmax::<Axis<1>>()?; // (B · H · Tq, Tk)
            if let Some(kept) = kept {
                let shape = *probabilities.shape();
                probabilities = Self::flat(probabilities)?
                    .try_mul(kept)?
                    .try_reshape_like(&shape)?;
            }
            // (B · K, H / K · Tq, Tk) · (B · K, Tk, Dh) -> (B · K, H / K · Tq, Dh)
            let mixed: T3<E, D, T> = probabilities.try_reshape_like(&shared)?.try_matmul(v)?;
            let mixed: M<E, D, T> = mixed.try_reshape_like(&(b * h * tq, dh))?; // (B · H · Tq, Dh)
            // Rows in the order of positions, heads side by side: (B · Tq · H, Dh).
            let mixed: M<E, D, T> = mixed.try_gather(tables.back.clone())?;
            mixed.try_reshape_like(&(b * tq, h * dh)) // (B · Tq, H · Dh)
        };
        run().map_err(tensor_error)
    }

    /// Appends the rows of `new` `(K · count, Dh)` to each head's rows of `all`; returns `(K · keys, Dh)`.
    pub(super) fn extended(
        &self,
        all: &mut Vec<Vec<E>>,
        new: &M<E, D>,
        heads: &Heads<E>,
    ) -> Result<M<E, D>> {
        all.resize(heads.n_kv_heads, Vec::new());
        let new = new.as_vec();
        let share = new.len() / heads.n_kv_heads;
        for (rows, new) in all.iter_mut().zip(new.chunks(share.max(1))) {
            rows.extend_from_slice(new);
        }
        let values = all.concat();
        let rows = values.len() / heads.head_dim;
        self.matrix(values, (rows, heads.head_dim))
    }
}
