//! Embedding, norm, feed-forward layer, linear layer with residual.
//!
//! Shapes in the comments: N rows (ids of all sequences), D = dim, F the feed-forward width, I inputs and O outputs of a linear
//! layer; a gradient has the shape of its value.

use super::frozen::Order;
use super::memory::{Failure, gradient, take_gradient, zeros};
use super::view::{values, values_mut};
use super::{Backward, Fused};
use crate::train::Part;
use crate::train::engine::dropout::Dropout;
use crate::train::engine::ops::{Activation, Kept, Linear, Matrix, NormKind};
use dfdx::prelude::*;
use specbook_kernels::{self as k, Compute, Matrix as View, Norm, NormGradients, gemm};

/// Multiplies by the factors of `dropout`.
pub(super) fn drop_elements(compute: &Compute, x: &mut [f32], dropout: Option<Dropout>) {
    if let Some(dropout) = dropout {
        let kept = dropout.scale() as f32;
        k::drop_all(compute, x, &|first, factors| {
            dropout.fill(first, kept, 0.0, factors)
        });
    }
}

/// Maximum number of rows for which reading the weight dominates the work.
pub(super) const FEW: usize = 4;

/// y = x · Wᵀ + b, or y += x · Wᵀ + b with `add`; `x`: (N, I), `linear.weight`: (O, I), `y`: (N, O).
pub(super) fn project(ops: &Fused, x: &[f32], linear: Linear<'_, Fused>, y: &mut [f32], add: bool) {
    let compute = &*ops.compute;
    let &(outputs, inputs) = linear.weight.shape();
    let sizes = [x.len() / inputs, outputs, inputs];
    let is_few = sizes[0] <= FEW && compute.bf16.is_none();
    // (N, I) · (I, O) -> (N, O), with the same bits either way
    let is_done = is_few
        && ops
            .with_frozen(linear.weight, Order::Panels, |panels| {
                panels.map(|panels| k::few_chains(compute, x, panels, inputs, y, add))
            })
            .is_some();
    if !is_done {
        let weight = View::rows(values(linear.weight), inputs).transposed(); // (O, I)ᵀ
        gemm(compute, sizes, View::rows(x, inputs), weight, y, add);
    }
    if let Some(bias) = linear.bias {
        k::add_bias(compute, values(bias), y); // (N, O) + (O)
    }
}

/// The inputs of a linear layer's backward pass.
pub(super) struct Projected {
    x: Matrix<Fused>,
    weight: Matrix<Fused>,
    bias: Option<Matrix<Fused>>,
}

impl Projected {
    pub(super) fn new(x: Matrix<Fused>, linear: Linear<'_, Fused>) -> Self {
        Self {
            x,
            weight: linear.weight.clone(),
            bias: linear.bias.cloned(),
        }
    }

    /// Adds the gradients of input, weight and bias, given that of the output.
    pub(super) fn backward(
        &self,
        compute: &Compute,
        store: &mut Kept<Fused>,
        gy: &[f32],
    ) -> Backward {
        let &(n, inputs) = self.x.shape();
        let outputs = self.weight.shape().0;
        let gradients = View::rows(gy, outputs); // (N, O)
        let weight = View::rows(values(&self.weight), inputs); // (O, I)
        // (N, O) · (O, I) -> (N, I)
        gemm(
            compute,
            [n, inputs, outputs],
            gradients,
            weight,
            gradient(store, &self.x)?,
            true,
        );
        let x = View::rows(values(&self.x), inputs); // (N, I)
        // (O, N) · (N, I) -> (O, I)
        gemm(
            compute,
            [outputs, inputs, n],
            gradients.transposed(),
            x,
            gradient(store, &self.weight)?,
            true,
        );
        if let Some(bias) = &self.bias {
            k::column_sums(compute, gy, [outputs, 0], gradient(store, bias)?); // (N, O) -> (O)
        }
        Ok(())
    }
}

pub(super) fn embed<T: Tape<f32, Cpu>>(
    ops: &Fused,
    tokens: &Matrix<Fused>,
    positions: Option<(&Matrix<Fused>, &[usize])>,
    ids: &[u32],
    dropout: Option<Dropout>,
    mut tape: T,
) -> Result<Matrix<Fused, T>, Failure> {
    let (compute, device) = (ops.compute.clone(), ops.device.clone());
    let mut y = zeros(&device, ids.len(), tokens.shape().1)?; // (N, D)
    let positions = positions.map(|(table, at)| {
        let at: Vec<u32> = at.iter().map(|&p| p as u32).collect();
        (table.clone(), at)
    });
    let out = values_mut(&mut y);
    let rows = positions
        .as_ref()
        .map(|(table, at)| (values(table), &at[..]));
    k::embed(&compute, ids, values(tokens), rows, out); // (V, D)[N] (+ (P, D)[N]) -> (N, D)
    drop_elements(&compute, out, dropout);
    let (ghost, tokens, ids) = (y.ghost(), tokens.clone(), ids.to_vec());
    tape.add_backward_op(move |store| {
        let _timed = compute.clock.time(Part::Embedding);
        let (gy, shape) = take_gradient!(store, ghost);
        let mut gy: Matrix<Fused> = device.try_tensor_from_vec(gy, shape)?;
        drop_elements(&compute, values_mut(&mut gy), dropout);
        k::embed_backward(&compute, &ids, values(&gy), gradient(store, &tokens)?); // (N, D) -> (V, D)
        if let Some((table, at)) = positions {
            k::embed_backward(&compute, &at, values(&gy), gradient(store, &table)?); // (N, D) -> (P, D)
        }
        Ok(())
    });
    Ok(y.put_tape(tape))
}

fn layer<'a>(
    kind: NormKind,
    weight: &'a Matrix<Fused>,
    bias: Option<&'a Matrix<Fused>>,
    eps: f32,
) -> Norm<'a> {
    Norm {
        centred: kind == NormKind::Layer,
        weight: values(weight),
        bias: bias.map_or(&[], values),
        eps,
    }
}

pub(super) fn norm<T: Tape<f32, Cpu>>(
    ops: &Fused,
    x: Matrix<Fused, T>,
    kind: NormKind,
    weight: &Matrix<Fused>,
    bias: Option<&Matrix<Fused>>,
    eps: f32,
) -> Result<Matrix<Fused, T>, Failure> {
    let (compute, device) = (ops.compute.clone(), ops.device.clone());
    let (x, mut tape) = x.split_tape();
    let &(n, dim) = x.shape();
    let mut y = zeros(&device, n, dim)?; // (N, D)
    let mut stats = ops.stock.buffer(2 * n); // (N, 2): mean and 1/deviation
    let (weight, bias) = (weight.clone(), bias.cloned());
    let this = layer(kind, &weight, bias.as_ref(), eps);
    k::norm(&compute, this, values(&x), values_mut(&mut y), &mut stats); // (N, D) -> (N, D)
    let ghost = y.ghost();
    tape.add_backward_op(move |store| {
        let _timed = compute.clock.time(Part::Norm);
        let (gy, shape) = take_gradient!(store, ghost);
        let gy: Matrix<Fused> = device.try_tensor_from_vec(gy, shape)?;
        // Three gradients at once: two are collected separately and added.
        let mut sums = vec![0.0; dim * if bias.is_some() { 2 } else { 1 }];
        let (gw, gb) = sums.split_at_mut(dim); // (D), (D)
        let to = NormGradients {
            x: gradient(store, &x)?,
            weight: gw,
            bias: gb,
        };
        let this = layer(kind, &weight, bias.as_ref(), eps);
        k::norm_backward(&compute, this, values(&x), &stats, values(&gy), to); // (N, D) -> (N, D), (D), (D)
        k::add_to(compute.isa, gradient(store, &weight)?, gw);
        if let Some(bias) = &bias {
            k::add_to(compute.isa, gradient(store, bias)?, gb);
        }
        Ok(())
    });
    Ok(y.put_tape(tape))
}

pub(super) fn mlp<T: Tape<f32, Cpu>>(
    ops: &Fused,
    x: Matrix<Fused, T>,
    projection: Linear<'_, Fused>,
    activation: Activation,
) -> Result<Matrix<Fused, T>, Failure> {
    let (compute, device) = (ops.compute.clone(), ops.device.clone());
    let (x, mut tape) = x.split_tape();
    let (n, outputs) = (x.shape().0, projection.weight.shape().0);
    let hidden = match activation {
        Activation::Swiglu => outputs / 2,
        Activation::Gelu => outputs,
    };
    let mut before = ops.stock.buffer(n * outputs); // (N, 2 F) with a gate, (N, F) without
    project(ops, values(&x), projection, &mut before, false); // (N, D) -> (N, 2 F) or (N, F)
    let mut y = zeros(&device, n, hidden)?; // (N, F)
    match activation {
        Activation::Swiglu => k::swiglu_rows(&compute, &before, hidden, values_mut(&mut y)), // (N, 2 F) -> (N, F)
        Activation::Gelu => k::gelu_all(&compute, &before, values_mut(&mut y)), // (N, F) -> (N, F)
    }
    let (ghost, projected) = (y.ghost(), Projected::new(x, projection));
    tape.add_backward_op(move |store| {
        let _timed = compute.clock.time(Part::FeedForward);
        let (gy, shape) = take_gradient!(store, ghost);
        let gy: Matrix<Fused> = device.try_tensor_from_vec(gy, shape)?;
        let mut gradients = before; // the gradients overwrite the values
        match activation {
            Activation::Swiglu => {
                k::swiglu_rows_backward(&compute, &mut gradients, hidden, values(&gy)) // (N, F) -> (N, 2 F)
            }
            Activation::Gelu => k::gelu_backward_all(&compute, &mut gradients, values(&gy)), // (N, F) -> (N, F)
        }
        drop(gy);
        projected.backward(&compute, store, &gradients) // (N, 2 F) or (N, F) -> (N, D)
    });
    Ok(y.put_tape(tape))
}

pub(super) fn linear_residual<T: Tape<f32, Cpu>>(
    ops: &Fused,
    x: Matrix<Fused, T>,
    linear: Linear<'_, Fused>,
    residual: Matrix<Fused>,
    dropout: Option<Dropout>,
) -> Result<Matrix<Fused, T>, Failure> {
    let (compute, device) = (ops.compute.clone(), ops.device.clone());
    let (x, mut tape) = x.split_tape();
    let mut y = zeros(&device, x.shape().0, linear.weight.shape().0)?; // (N, O)
    let out = values_mut(&mut y);
    if dropout.is_some() {
        project(ops, values(&x), linear, out, false); // (N, I) -> (N, O)
        drop_elements(&compute, out, dropout);
        k::add_all(&compute, out, values(&residual)); // (N, O) + (N, O)
    } else {
        k::copy_all(&compute, out, values(&residual)); // (N, O)
        project(ops, values(&x), linear, out, true); // (N, O) += (N, I) · (I, O)
    }
    let (ghost, residual, projected) = (y.ghost(), residual.ghost(), Projected::new(x, linear));
    tape.add_backward_op(move |store| {
        let _timed = compute.clock.time(Part::Output);
        let (gy, shape) = take_gradient!(store, ghost);
        let mut gy: Matrix<Fused> = device.try_tensor_from_vec(gy, shape)?;
        k::add_all(&compute, store.get_or_alloc_mut(&residual)?, values(&gy)); // (N, O)
        drop_elements(&compute, values_mut(&mut gy), dropout);
        projected.backward(&compute, store, values(&gy)) // (N, O) -> (N, I)
    });
    Ok(y.put_tape(tape))
}
