//! Embedding, norm, feed-forward layer, linear layer with residual.
//!
//! Shapes in the comments: N rows (ids of all sequences), D = dim, F the feed-forward width, I inputs and O
//! outputs of a linear layer; a gradient has the shape of its value. The residual stream and the gradients of
//! parameters are f32; values passed between operations are f32 or bfloat16.

use super::gpu::{Gpu, launch};
use super::linear::{Parameters, parts};
use super::memory::Kind;
use super::{CudaFused, Gives, number};
use crate::train::engine::dropout::Dropout;
use crate::train::engine::ops::{Activation, Linear, Matrix, NormKind};
use dfdx::prelude::*;
use std::rc::Rc;

/// Dropout in the form that the kernels take.
#[derive(Clone, Copy, Default)]
#[repr(C)]
pub(super) struct Masks {
    key: [u32; 2],
    high: [u32; 2],
    threshold: u32,
    scale: f32,
}

/// The key and upper counter words of a mask's stream, as kernels read them from memory.
pub(super) fn stream(dropout: &Dropout) -> [u32; 4] {
    let ([a, b], [c, d], _) = dropout.address();
    [a, b, c, d]
}

impl Gpu {
    /// Dropout as kernels take it, and the address of its stream: while a step is recorded, the stream is in
    /// memory; otherwise it is in the first part, and the address is 0.
    pub(super) fn masks(&self, dropout: Option<Dropout>) -> (Masks, u64) {
        let Some(dropout) = dropout else {
            return (Masks::default(), 0);
        };
        let (key, high, threshold) = dropout.address();
        let masks = Masks {
            key,
            high,
            threshold,
            scale: dropout.scale() as f32,
        };
        let is_recorded = self.script.borrow().is_some();
        // Memory of the graph, which outlives the step.
        let sent = is_recorded.then(|| self.send(&stream(&dropout)).at);
        (masks, sent.unwrap_or(0))
    }
}

/// Rows sorted by their ids: the order of the rows, where each run of equal ids starts (empty runs follow), and
/// its id. As large for every batch with this number of rows.
pub(super) fn runs(ids: &[i32]) -> Vec<i32> {
    let mut order: Vec<i32> = (0..ids.len() as i32).collect();
    order.sort_by_key(|&row| ids[row as usize]);
    let (mut starts, mut keys) = (Vec::new(), Vec::new());
    for (place, &row) in order.iter().enumerate() {
        let id = ids[row as usize];
        if keys.last() != Some(&id) {
            starts.push(place as i32);
            keys.push(id);
        }
    }
    starts.resize(ids.len() + 1, ids.len() as i32);
    keys.resize(ids.len(), 0);
    [order, starts, keys].concat()
}

/// Adds the rows of `gy` (N, D) to the rows of a table's gradient selected by their ids; the rows of one id are
/// added in order, by one block.
fn add_rows(
    gpu: &Gpu,
    gy: u64,
    ids: &[i32],
    table: (usize, usize),
    columns: usize,
    (masks, stream): (Masks, u64),
) {
    let lists = gpu.send(&runs(ids));
    let starts = lists.at + 4 * ids.len() as u64;
    let keys = starts + 4 * (ids.len() as u64 + 1);
    let to = gpu.gradient(table.0, table.1);
    launch!(
        gpu,
        "embed_backward",
        (ids.len(), 1),
        128,
        gy,
        lists.at,
        starts,
        keys,
        to.at,
        columns as i32,
        masks,
        stream
    );
}

pub(super) fn embed<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    tokens: &Matrix<CudaFused>,
    positions: Option<(&Matrix<CudaFused>, &[usize])>,
    ids: &[u32],
    dropout: Option<Dropout>,
    mut tape: T,
) -> Gives<Matrix<CudaFused, T>> {
    let gpu = &ops.gpu;
    gpu.begin_pass(ids.len());
    let &(classes, dim) = tokens.shape();
    let (masks, stream) = gpu.masks(dropout);
    let whole = |&id: &u32| id as i32;
    let ids: Vec<i32> = ids.iter().map(whole).collect();
    let places: Vec<i32> = positions.map_or_else(Vec::new, |(_, at)| {
        at.iter().map(|&place| place as i32).collect()
    });
    let table = positions.map(|(table, _)| (number(table), table.shape().0 * dim));
    let y = gpu.floats(ids.len() * dim); // (N, D)
    let (at, place_at) = (gpu.send(&ids), gpu.send(&places));
    let values = (
        gpu.address(Some(number(tokens))),
        gpu.address(table.map(|table| table.0)),
    );
    // (V, D)[N] (+ (P, D)[N]) -> (N, D)
    launch!(
        gpu,
        "embed_forward",
        (ids.len(), 1),
        128,
        values.0,
        values.1,
        at.at,
        place_at.at,
        y.at,
        dim as i32,
        masks,
        stream
    );
    let (y, output) = ops.matrix(y, Kind::Stream, (ids.len(), dim))?;
    if T::OWNS_TAPE {
        let (gpu, tokens) = (Rc::clone(gpu), (number(tokens), classes * dim));
        tape.add_backward_op(move |_| {
            let gy = gpu.taken(output, ids.len() * dim); // (N, D)
            add_rows(&gpu, gy.at, &ids, tokens, dim, (masks, stream)); // (N, D) -> (V, D)
            if let Some(table) = table {
                add_rows(&gpu, gy.at, &places, table, dim, (masks, stream)); // (N, D) -> (P, D)
            }
            Ok(())
        });
    }
    Ok(y.put_tape(tape))
}

pub(super) fn norm<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    x: Matrix<CudaFused, T>,
    kind: NormKind,
    weight: &Matrix<CudaFused>,
    bias: Option<&Matrix<CudaFused>>,
    eps: f32,
) -> Gives<Matrix<CudaFused, T>> {
    let gpu = &ops.gpu;
    let (x, mut tape) = x.split_tape();
    let &(rows, dim) = x.shape();
    let (from, x_number) = (gpu.table.borrow().values(number(&x)), number(&x));
    let (weight, bias) = (number(weight), bias.map(number));
    let centred = i32::from(kind == NormKind::Layer);
    let y = gpu.activations(rows * dim); // (N, D)
    let stats = gpu.floats(2 * rows); // (N, 2): mean and 1/deviation
    let (w, b) = (gpu.address(Some(weight)), gpu.address(bias));
    let (name, width) = (gpu.typed("norm_forward"), dim as i32);
    // (N, D) -> (N, D) and (N, 2)
    launch!(
        gpu,
        &name,
        (rows, 1),
        128,
        from.at,
        w,
        b,
        y.at,
        stats.at,
        width,
        centred,
        eps
    );
    let (y, output) = ops.matrix(y, Kind::Activation, (rows, dim))?;
    if T::OWNS_TAPE {
        let gpu = Rc::clone(gpu);
        tape.add_backward_op(move |_| {
            let gy = gpu.taken(output, rows * dim); // (N, D)
            let there = gpu.table.borrow().gradient(x_number);
            let add = i32::from(there.is_some());
            let to_x = there.unwrap_or_else(|| gpu.floats(rows * dim)); // (N, D)
            let blocks = parts(rows, 128);
            let partial = gpu.floats(blocks * 2 * dim); // (blocks, 2 D)
            let (name, w) = (gpu.typed("norm_backward"), gpu.address(Some(weight)));
            // (N, D) -> (N, D) and sums for (D), (D)
            launch!(
                gpu,
                &name,
                (blocks, 1),
                128,
                from.at,
                w,
                stats.at,
                gy.at,
                to_x.at,
                partial.at,
                rows as i32,
                width,
                centred,
                add
            );
            let sums = if bias.is_some() { 2 * dim } else { dim };
            let to_weight = gpu.gradient(weight, dim);
            let to_bias = bias.map(|bias| gpu.gradient(bias, dim));
            let second = to_bias.as_ref().map_or(0, |to| to.at);
            let grid = (sums.div_ceil(32), 1);
            // (blocks, 2 D) -> (D), (D)
            launch!(
                gpu,
                "column_sum",
                grid,
                256,
                partial.at,
                to_weight.at,
                second,
                blocks as i32,
                sums as i32,
                2 * width,
                width
            );
            gpu.table.borrow_mut().set_gradient(x_number, to_x);
            Ok(())
        });
    }
    Ok(y.put_tape(tape))
}

pub(super) fn mlp<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    x: Matrix<CudaFused, T>,
    projection: Linear<'_, CudaFused>,
    activation: Activation,
) -> Gives<Matrix<CudaFused, T>> {
    let gpu = &ops.gpu;
    let (x, mut tape) = x.split_tape();
    let (rows, layer) = (x.shape().0, Parameters::of(projection));
    let x = gpu.input(&x);
    let before = gpu.projected(&x.values, layer, rows); // (N, 2 F) with a gate, (N, F) without
    let hidden = match activation {
        Activation::Swiglu => layer.outputs / 2,
        Activation::Gelu => layer.outputs,
    };
    let (width, grid) = (hidden as i32, (rows, 1));
    let y = gpu.activations(rows * hidden); // (N, F)
    match activation {
        Activation::Swiglu => {
            gpu.add_bias(&before, layer, rows); // (N, 2 F)
            let name = gpu.typed("swiglu_forward");
            launch!(gpu, &name, grid, 256, before.at, y.at, width); // (N, 2 F) -> (N, F)
        }
        Activation::Gelu => {
            let (name, bias) = (gpu.typed("gelu_forward"), gpu.address(layer.bias));
            launch!(gpu, &name, grid, 256, before.at, bias, y.at, width); // (N, F) -> (N, F)
        }
    }
    let (y, output) = ops.matrix(y, Kind::Activation, (rows, hidden))?;
    if T::OWNS_TAPE {
        let gpu = Rc::clone(gpu);
        tape.add_backward_op(move |_| {
            let gy = gpu.taken(output, rows * hidden); // (N, F)
            // The gradients overwrite the values.
            match activation {
                Activation::Swiglu => {
                    let name = gpu.typed("swiglu_backward");
                    launch!(gpu, &name, grid, 256, before.at, gy.at, width); // (N, F) -> (N, 2 F)
                }
                Activation::Gelu => {
                    let (name, bias) = (gpu.typed("gelu_backward"), gpu.address(layer.bias));
                    launch!(gpu, &name, grid, 256, before.at, bias, gy.at, width); // (N, F) -> (N, F)
                }
            }
            drop(gy);
            gpu.project_back(&x, layer, before.at, rows); // (N, 2 F) or (N, F) -> (N, D)
            Ok(())
        });
    }
    Ok(y.put_tape(tape))
}

pub(super) fn linear_residual<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    x: Matrix<CudaFused, T>,
    linear: Linear<'_, CudaFused>,
    residual: &Matrix<CudaFused>,
    dropout: Option<Dropout>,
) -> Gives<Matrix<CudaFused, T>> {
    let gpu = &ops.gpu;
    let (x, mut tape) = x.split_tape();
    let (rows, layer) = (x.shape().0, Parameters::of(linear));
    let x = gpu.input(&x);
    let residual_number = number(residual);
    let residual = gpu.table.borrow_mut().take(residual_number);
    let (columns, len) = (layer.outputs as i32, rows * layer.outputs);
    let (masks, stream) = gpu.masks(dropout);
    let z = gpu.projected(&x.values, layer, rows); // (N, I) -> (N, O)
    let y = gpu.floats(len); // (N, O)
    let (name, bias) = (gpu.typed("residual_forward"), gpu.address(layer.bias));
    // (N, O) + (O) + (N, O) -> (N, O)
    launch!(
        gpu,
        &name,
        (rows, 1),
        128,
        z.at,
        bias,
        residual.at,
        y.at,
        columns,
        masks,
        stream
    );
    drop((z, residual));
    let (y, output) = ops.matrix(y, Kind::Stream, (rows, layer.outputs))?;
    if T::OWNS_TAPE {
        let gpu = Rc::clone(gpu);
        tape.add_backward_op(move |_| {
            let gy = gpu.taken(output, len); // (N, O)
            let gz = match (gpu.low, dropout) {
                (false, None) => Rc::clone(&gy),
                _ => {
                    let gz = gpu.activations(len);
                    let name = gpu.typed("residual_backward");
                    launch!(
                        gpu,
                        &name,
                        (rows, 1),
                        128,
                        gy.at,
                        gz.at,
                        columns,
                        masks,
                        stream
                    ); // (N, O) -> (N, O)
                    gz
                }
            };
            gpu.project_back(&x, layer, gz.at, rows); // (N, O) -> (N, I)
            gpu.accumulate(residual_number, gy, len); // (N, O)
            Ok(())
        });
    }
    Ok(y.put_tape(tape))
}
