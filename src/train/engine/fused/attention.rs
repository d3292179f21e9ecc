//! Projection to queries, keys and values, rotary positions and causal attention; also for new positions after cached
//! ones.
//!
//! Shapes in the comments: B sequences of T positions, or N rows in all, D = dim, H query heads and K key/value heads of Dh;
//! I inputs and O outputs of a linear layer.

use super::Fused;
use super::frozen::Order;
use super::layers::{FEW, Projected, project};
use super::memory::{Failure, take_gradient, zeros};
use super::view::{values, values_mut};
use crate::train::Part;
use crate::train::engine::dropout::Dropout;
use crate::train::engine::ops::{Grid, Heads, Linear, Matrix, Rotary};
use dfdx::prelude::*;
use specbook_kernels::{self as k, AttentionSaved, AttentionShape, Factors, RopeTable};
use std::sync::{Arc, Mutex, PoisonError};

fn shape(heads: &Heads<f32>, grid: Grid) -> AttentionShape {
    AttentionShape {
        batch: grid.sequences,
        seq: grid.length,
        heads: heads.n_heads,
        kv_heads: heads.n_kv_heads,
        head_dim: heads.head_dim,
    }
}

/// The current model's rotary table, kept for the next layer, step and token.
#[derive(Default)]
pub(super) struct Ropes(Mutex<Option<Rope>>);

struct Rope {
    of: Arc<Rotary<f32>>,
    table: Arc<RopeTable>,
}

impl Ropes {
    fn of(&self, heads: &Heads<f32>) -> Option<Arc<RopeTable>> {
        let rotary = heads.rotary.as_ref()?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(rope) = kept.as_ref().filter(|rope| Arc::ptr_eq(&rope.of, rotary)) {
            return Some(Arc::clone(&rope.table));
        }
        let table = Arc::new(RopeTable::new(rotary.half, &rotary.cos, &rotary.sin));
        *kept = Some(Rope {
            of: Arc::clone(rotary),
            table: Arc::clone(&table),
        });
        Some(table)
    }
}

/// Runs `f` with the factors of `dropout`.
fn with_factors<R>(dropout: Option<Dropout>, f: impl FnOnce(Option<Factors<'_>>) -> R) -> R {
    match dropout {
        Some(dropout) => {
            let kept = dropout.scale() as f32;
            f(Some(&|first, factors: &mut [f32]| {
                dropout.fill(first, kept, 0.0, factors)
            }))
        }
        None => f(None),
    }
}

pub(super) fn attention<T: Tape<f32, Cpu>>(
    ops: &Fused,
    x: Matrix<Fused, T>,
    linear: Linear<'_, Fused>,
    heads: &Heads<f32>,
    grid: Grid,
    dropout: Option<Dropout>,
) -> Result<Matrix<Fused, T>, Failure> {
    let (compute, device, stock) = (ops.compute.clone(), ops.device.clone(), ops.stock.clone());
    let (x, mut tape) = x.split_tape();
    let (shape, rope) = (shape(heads, grid), ops.rope.of(heads));
    let rows = grid.rows();
    let mut qkv = stock.buffer(rows * shape.width()); // (B T, (H + 2 K) Dh)
    project(ops, values(&x), linear, &mut qkv, false); // (B T, D) -> (B T, (H + 2 K) Dh)
    let mut y = zeros(&device, rows, heads.dim())?; // (B T, H Dh)
    let mut lse = stock.buffer(rows * shape.heads); // (B T, H): ln of the sums of exponentials
    with_factors(dropout, |factors| {
        let out = values_mut(&mut y);
        // (B T, (H + 2 K) Dh) -> (B, H, T, Dh) as rows (B T, H Dh)
        k::attention(
            &compute,
            shape,
            &mut qkv,
            rope.as_deref(),
            factors,
            out,
            &mut lse,
        );
    });
    if T::OWNS_TAPE {
        let (ghost, kept, projected) = (y.ghost(), y.clone(), Projected::new(x, linear));
        tape.add_backward_op(move |store| {
            let _timed = compute.clock.time(Part::Attention);
            let (gy, rows) = take_gradient!(store, ghost); // (B T, H Dh)
            let gy: Matrix<Fused> = device.try_tensor_from_vec(gy, rows)?;
            let mut gradients = stock.buffer(qkv.len()); // (B T, (H + 2 K) Dh)
            let saved = AttentionSaved {
                qkv: &qkv,
                y: values(&kept),
                lse: &lse,
            };
            with_factors(dropout, |factors| {
                // (B T, H Dh) -> (B T, (H + 2 K) Dh)
                k::attention_backward(
                    &compute,
                    shape,
                    saved,
                    rope.as_deref(),
                    factors,
                    values(&gy),
                    &mut gradients,
                );
            });
            drop((gy, qkv));
            projected.backward(&compute, store, &gradients) // (B T, (H + 2 K) Dh) -> (B T, D)
        });
    }
    Ok(y.put_tape(tape))
}

/// Rotated keys, and values, of one layer.
pub(crate) struct Cache {
    capacity: usize,
    sequences: Vec<Sequence>,
}

/// Keys and values of one sequence, each (K, capacity, Dh).
#[derive(Clone)]
struct Sequence {
    len: usize,
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl Cache {
    pub(super) fn new(sequences: usize, capacity: usize, kv_dim: usize) -> Self {
        let empty = || Sequence {
            len: 0,
            keys: vec![0.0; capacity * kv_dim],
            values: vec![0.0; capacity * kv_dim],
        };
        Self {
            capacity,
            sequences: (0..sequences).map(|_| empty()).collect(),
        }
    }

    /// Appends one position to sequence `at`; `keys` and `values`: (K, Dh) each.
    fn push(&mut self, at: usize, [keys, values]: [&[f32]; 2], head_dim: usize) {
        let sequence = &mut self.sequences[at];
        for (new, kept) in [(keys, &mut sequence.keys), (values, &mut sequence.values)] {
            let stretches = kept.chunks_exact_mut(self.capacity * head_dim);
            for (new, kept) in new.chunks_exact(head_dim).zip(stretches) {
                kept[sequence.len * head_dim..][..head_dim].copy_from_slice(new);
            }
        }
        sequence.len += 1;
    }
}

pub(super) fn attention_cached(
    ops: &Fused,
    x: &Matrix<Fused>,
    linear: Linear<'_, Fused>,
    heads: &Heads<f32>,
    cache: &mut Cache,
    sequences: &[usize],
) -> Result<Matrix<Fused>, Failure> {
    let compute = &*ops.compute;
    let rows = x.shape().0;
    let group = rows / sequences.len().max(1);
    let grid = Grid {
        sequences: sequences.len(),
        length: group,
    };
    let (shape, rope) = (shape(heads, grid), ops.rope.of(heads));
    let (dim, kv_dim, head_dim) = (heads.dim(), heads.kv_dim(), heads.head_dim);
    let mut qkv = ops.stock.buffer(rows * shape.width());
    few_or_many(ops, values(x), linear, &mut qkv); // (N, D) -> (N, (H + 2 K) Dh)
    let before: Vec<usize> = sequences.iter().map(|&s| cache.sequences[s].len).collect();
    for (r, row) in qkv.chunks_exact_mut(shape.width()).enumerate() {
        let position = before[r / group] + r % group;
        debug_assert!(position < cache.capacity, "checked by the caller");
        if let Some(table) = &rope {
            for head in row[..dim + kv_dim].chunks_exact_mut(head_dim) {
                table.turn(compute.isa, head, position, 1.0);
            }
        }
        cache.push(
            sequences[r / group],
            [&row[dim..dim + kv_dim], &row[dim + kv_dim..]],
            head_dim,
        );
    }
    let mut y = zeros(&ops.device, rows, dim)?; // (N, H Dh)
    let cache = &*cache;
    compute.rows(rows, 1, [(values_mut(&mut y), dim)], &|row, [y]| {
        let r = row.start;
        let positions = before[r / group] + r % group + 1;
        let sequence = &cache.sequences[sequences[r / group]];
        let query = &qkv[r * shape.width()..r * shape.width() + dim];
        // (H Dh) over keys and values (positions, K Dh) -> (H Dh)
        k::attend_one(
            compute,
            shape,
            query,
            [&sequence.keys, &sequence.values],
            positions,
            y,
        );
    });
    Ok(y)
}

/// A projection that reads the weight only once if there are few rows, with the bits of dot products.
///
/// `x`: (N, I); `linear.weight`: (O, I); `y`: (N, O).
pub(super) fn few_or_many(ops: &Fused, x: &[f32], linear: Linear<'_, Fused>, y: &mut [f32]) {
    let inputs = linear.weight.shape().1;
    if x.len() / inputs > FEW {
        return project(ops, x, linear, y, false);
    }
    let compute = &*ops.compute;
    ops.with_frozen(linear.weight, Order::Rows, |rows| {
        let rows = rows.unwrap_or_else(|| values(linear.weight));
        k::few_rows(compute, x, rows, inputs, y); // (N, I) · (I, O) -> (N, O)
    });
    if let Some(bias) = linear.bias {
        k::add_bias(compute, values(bias), y); // (N, O) + (O)
    }
}
