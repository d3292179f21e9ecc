//! Projection to queries, keys and values, rotary positions and causal attention; also for new positions after
//! cached ones.
//!
//! Shapes in the comments: B sequences of T positions in N rows, D = dim, H query heads and K key/value heads of Dh.

use super::gpu::{Gpu, launch};
use super::linear::Parameters;
use super::memory::{Buffer, Kind};
use super::{CudaFused, Gives, number};
use crate::train::engine::dropout::Dropout;
use crate::train::engine::ops::{Grid, Heads, Linear, Matrix, Rotary};
use dfdx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

/// The widest head supported by the kernels.
pub(super) const WIDEST: usize = 256;

/// An attention in the form that the kernels take.
#[derive(Clone, Copy)]
#[repr(C)]
struct Shape {
    length: i32,
    heads: i32,
    kv_heads: i32,
    width: i32,
    scale: f32,
}

impl Shape {
    fn new(heads: &Heads<f32>, length: usize) -> Self {
        Self {
            length: length as i32,
            heads: heads.n_heads as i32,
            kv_heads: heads.n_kv_heads as i32,
            width: heads.head_dim as i32,
            scale: (1.0 / (heads.head_dim as f64).sqrt()) as f32,
        }
    }
}

/// How the kernels for a head width divide the rows.
#[derive(Clone, Copy)]
struct Tiling {
    padded: usize,
    rows: usize,
    threads: u32,
}

impl Tiling {
    fn of(width: usize, low: bool) -> Self {
        let padded = width.next_power_of_two().clamp(16, WIDEST);
        let (rows, threads) = match (low, padded) {
            // Too wide for the fragments of tensor cores.
            (_, 256) => (8, 32),
            (true, _) => (64, 128),
            (false, 128) => (16, 64),
            (false, _) => (32, 128),
        };
        Self {
            padded,
            rows,
            threads,
        }
    }
}

/// Cosines and sines of the current model, kept for the next layer, step and token.
#[derive(Default)]
pub(super) struct Ropes(RefCell<Option<Rope>>);

#[derive(Clone)]
struct Rope {
    of: Arc<Rotary<f32>>,
    cos: Rc<Buffer>,
    sin: Rc<Buffer>,
}

impl Ropes {
    fn of(&self, gpu: &Gpu, heads: &Heads<f32>) -> Option<Rope> {
        let rotary = heads.rotary.as_ref()?;
        let mut kept = self.0.borrow_mut();
        if let Some(rope) = kept.as_ref().filter(|rope| Arc::ptr_eq(&rope.of, rotary)) {
            return Some(rope.clone());
        }
        let rope = Rope {
            of: Arc::clone(rotary),
            cos: gpu.upload(&rotary.cos),
            sin: gpu.upload(&rotary.sin),
        };
        *kept = Some(rope.clone());
        Some(rope)
    }
}

impl Rope {
    /// Rotates queries and keys of `rows` rows of `qkv`, (N, (H + 2 K) Dh); row `r` is at position `places[r]`,
    /// or at `r % length` if `places` is null (0).
    fn turn(&self, gpu: &Gpu, qkv: u64, places: u64, rows: usize, shape: Shape, by: f32) {
        let heads = shape.heads + shape.kv_heads;
        let stride = (shape.heads + 2 * shape.kv_heads) * shape.width;
        let half = shape.width / 2;
        let pairs = rows * heads as usize * half as usize;
        let name = gpu.typed("rope");
        launch!(
            gpu,
            &name,
            (pairs.div_ceil(256), 1),
            256,
            qkv,
            self.cos.at,
            self.sin.at,
            places,
            rows as i32,
            shape.length,
            stride,
            heads,
            half,
            by
        );
    }
}

pub(super) fn attention<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    x: Matrix<CudaFused, T>,
    linear: Linear<'_, CudaFused>,
    heads: &Heads<f32>,
    grid: Grid,
    dropout: Option<Dropout>,
) -> Gives<Matrix<CudaFused, T>> {
    let gpu = &ops.gpu;
    let (x, mut tape) = x.split_tape();
    let (rows, layer) = (grid.rows(), Parameters::of(linear));
    let x = gpu.input(&x);
    let (shape, rope) = (Shape::new(heads, grid.length), ops.ropes.of(gpu, heads));
    let tiling = Tiling::of(heads.head_dim, gpu.low);
    let tiles = grid.length.div_ceil(tiling.rows);
    let (n_heads, n_kv_heads, dim) = (heads.n_heads, heads.n_kv_heads, heads.dim());
    let name = move |gpu: &Gpu, part: &str| gpu.typed(&format!("{part}_{}", tiling.padded));
    let (masks, stream) = gpu.masks(dropout);
    let qkv = gpu.projected(&x.values, layer, rows); // (N, D) -> (N, (H + 2 K) Dh)
    gpu.add_bias(&qkv, layer, rows); // (N, (H + 2 K) Dh)
    if let Some(rope) = &rope {
        rope.turn(gpu, qkv.at, 0, rows, shape, 1.0);
    }
    let y = gpu.activations(rows * dim); // (N, H Dh)
    let lse = gpu.floats(rows * n_heads); // (B, H, T): ln of the sums of exponentials
    let blocks = (tiles * grid.sequences * n_heads, 1);
    // (N, (H + 2 K) Dh) -> (N, H Dh) and (B, H, T)
    launch!(
        gpu,
        &name(gpu, "attention_forward"),
        blocks,
        tiling.threads,
        qkv.at,
        y.at,
        lse.at,
        tiles as i32,
        shape,
        masks,
        stream
    );
    let kept = Rc::clone(&y);
    let (y, output) = ops.matrix(y, Kind::Activation, (rows, dim))?;
    if T::OWNS_TAPE {
        let gpu = Rc::clone(gpu);
        tape.add_backward_op(move |_| {
            let gy = gpu.taken(output, rows * dim); // (N, H Dh)
            let delta = gpu.floats(rows * n_heads); // (B, H, T)
            let gradients = gpu.activations(rows * (dim + 2 * n_kv_heads * shape.width as usize)); // (N, (H + 2 K) Dh)
            let delta_name = gpu.typed("attention_delta");
            // (N, H Dh) twice -> (B, H, T)
            launch!(
                gpu,
                &delta_name,
                ((rows * n_heads).div_ceil(8), 1),
                256,
                kept.at,
                gy.at,
                delta.at,
                rows as i32,
                shape
            );
            // Together they write all columns of (N, (H + 2 K) Dh).
            for (part, part_heads) in [
                ("attention_queries", n_heads),
                ("attention_keys", n_kv_heads),
            ] {
                launch!(
                    gpu,
                    &name(&gpu, part),
                    (tiles * grid.sequences * part_heads, 1),
                    tiling.threads,
                    qkv.at,
                    gy.at,
                    lse.at,
                    delta.at,
                    gradients.at,
                    tiles as i32,
                    shape,
                    masks,
                    stream
                );
            }
            if let Some(rope) = &rope {
                rope.turn(&gpu, gradients.at, 0, rows, shape, -1.0);
            }
            drop((gy, qkv, kept));
            gpu.project_back(&x, layer, gradients.at, rows); // (N, (H + 2 K) Dh) -> (N, D)
            Ok(())
        });
    }
    Ok(y.put_tape(tape))
}

/// Rotated keys, and values, of one layer: (sequences, capacity, K Dh) each.
pub(crate) struct Cache {
    keys: Rc<Buffer>,
    values: Rc<Buffer>,
    capacity: usize,
    lengths: Vec<usize>,
}

impl Cache {
    pub(super) fn new(gpu: &Gpu, sequences: usize, capacity: usize, kv_dim: usize) -> Self {
        let room = || gpu.floats(sequences * capacity * kv_dim);
        Self {
            keys: room(),
            values: room(),
            capacity,
            lengths: vec![0; sequences],
        }
    }
}

pub(super) fn attention_cached(
    ops: &CudaFused,
    x: &Matrix<CudaFused>,
    linear: Linear<'_, CudaFused>,
    heads: &Heads<f32>,
    cache: &mut Cache,
    sequences: &[usize],
) -> Gives<Matrix<CudaFused>> {
    let gpu = &ops.gpu;
    let (rows, layer) = (x.shape().0, Parameters::of(linear));
    let count = rows / sequences.len().max(1);
    let from = gpu.table.borrow_mut().take(number(x));
    let (shape, rope) = (Shape::new(heads, count), ops.ropes.of(gpu, heads));
    let owners: Vec<i32> = (0..rows).map(|row| sequences[row / count] as i32).collect();
    let places: Vec<i32> = (0..rows)
        .map(|row| (cache.lengths[sequences[row / count]] + row % count) as i32)
        .collect();
    let (owners, places) = (gpu.send(&owners), gpu.send(&places));
    let capacity = cache.capacity as i32;
    let qkv = gpu.projected(&from, layer, rows); // (N, D) -> (N, (H + 2 K) Dh)
    gpu.add_bias(&qkv, layer, rows); // (N, (H + 2 K) Dh)
    if let Some(rope) = &rope {
        rope.turn(gpu, qkv.at, places.at, rows, shape, 1.0);
    }
    // (N, (H + 2 K) Dh) -> keys and values, (sequences, capacity, K Dh) each
    launch!(
        gpu,
        "cache_append",
        (rows, 1),
        128,
        qkv.at,
        cache.keys.at,
        cache.values.at,
        owners.at,
        places.at,
        capacity,
        shape
    );
    let y = gpu.floats(rows * heads.dim()); // (N, H Dh)
    // (N, H Dh) over (sequences, capacity, K Dh) -> (N, H Dh)
    launch!(
        gpu,
        "attention_cached",
        (rows * heads.n_heads, 1),
        128,
        qkv.at,
        cache.keys.at,
        cache.values.at,
        owners.at,
        places.at,
        y.at,
        capacity,
        shape
    );
    for &sequence in sequences {
        cache.lengths[sequence] += count;
    }
    Ok(ops.matrix(y, Kind::Stream, (rows, heads.dim()))?.0)
}
