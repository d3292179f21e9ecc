//! Linear layers, both ways: products, biases, gradients of parameters.
//!
//! Shapes in the comments: N rows, I inputs and O outputs of a layer; a gradient has the shape of its value.

use super::gpu::{Factor, Gpu, launch};
use super::memory::{Buffer, Kind};
use super::{CudaFused, number};
use crate::train::engine::ops::{Linear, Matrix};
use dfdx::prelude::*;
use std::rc::Rc;

/// Number of blocks that share a sum over rows. It depends on the shape, not on the GPU, because it determines
/// the order of the additions.
pub(super) fn parts(rows: usize, most: usize) -> usize {
    rows.clamp(1, most)
}

/// The parameters of a linear layer, by number.
#[derive(Clone, Copy)]
pub(super) struct Parameters {
    pub(super) weight: usize,
    pub(super) bias: Option<usize>,
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

impl Parameters {
    pub(super) fn of(linear: Linear<'_, CudaFused>) -> Self {
        let &(outputs, inputs) = linear.weight.shape();
        Self {
            weight: number(linear.weight),
            bias: linear.bias.map(number),
            outputs,
            inputs,
        }
    }
}

/// The input of an operation's product with its parameters: activations (N, I).
pub(super) struct Input {
    pub(super) values: Rc<Buffer>,
    pub(super) number: usize,
    /// Whether its gradient is f32 regardless of the type of activations, because the matrix came from the
    /// host.
    wide: bool,
}

impl Gpu {
    /// The address of a parameter as a factor of products: the rounded copy if factors are bfloat16.
    pub(super) fn factor(&self, parameter: usize, len: usize) -> u64 {
        let values = self.table.borrow().values(parameter);
        if !self.low {
            return values.at;
        }
        if let Some(low) = self.table.borrow().low(parameter) {
            return low.at;
        }
        let low = Rc::new(self.pool.lasting(2 * len));
        self.round(values.at, low.at, len);
        self.table.borrow_mut().set_low(parameter, Rc::clone(&low));
        low.at
    }

    /// A copy of numbers rounded to bfloat16.
    pub(super) fn rounded(&self, values: u64, len: usize) -> Rc<Buffer> {
        let low = self.activations(len);
        self.round(values, low.at, len);
        low
    }

    fn round(&self, values: u64, low: u64, len: usize) {
        launch!(
            self,
            "to_low",
            (len.div_ceil(256), 1),
            256,
            values,
            low,
            len as u64
        );
    }

    /// Takes the input of an operation's product.
    pub(super) fn input(&self, x: &Matrix<CudaFused>) -> Input {
        let (number, mut table) = (number(x), self.table.borrow_mut());
        let wide = table.kind(number) == Kind::Uploaded;
        let values = table.take(number);
        drop(table);
        let values = match wide && self.low {
            true => self.rounded(values.at, x.shape().0 * x.shape().1),
            false => values,
        };
        Input {
            values,
            number,
            wide,
        }
    }

    pub(super) fn address(&self, parameter: Option<usize>) -> u64 {
        parameter.map_or(0, |parameter| self.table.borrow().values(parameter).at)
    }

    /// The gradient of a parameter, initially zeros.
    pub(super) fn gradient(&self, parameter: usize, len: usize) -> Rc<Buffer> {
        if let Some(gradient) = self.table.borrow().gradient(parameter) {
            return gradient;
        }
        let zeros = self.zeros(len);
        let mut table = self.table.borrow_mut();
        table.set_gradient(parameter, Rc::clone(&zeros));
        zeros
    }

    /// The gradient of an operation's output; zeros if nothing was computed from it.
    pub(super) fn taken(&self, output: usize, len: usize) -> Rc<Buffer> {
        let taken = self.table.borrow_mut().take_gradient(output);
        taken.unwrap_or_else(|| self.zeros(len))
    }

    /// Adds `gradient`, in f32, to the gradient of matrix `of`.
    pub(super) fn accumulate(&self, of: usize, gradient: Rc<Buffer>, len: usize) {
        let there = self.table.borrow().gradient(of);
        match there {
            Some(there) => self.add(there.at, gradient.at, len),
            None => self.table.borrow_mut().set_gradient(of, gradient),
        }
    }

    /// x · Wᵀ, without the bias: (N, I) · (I, O) -> (N, O).
    pub(super) fn projected(&self, x: &Buffer, layer: Parameters, rows: usize) -> Rc<Buffer> {
        let y = self.activations(rows * layer.outputs);
        self.project_into(x.at, layer, rows, y.at);
        y
    }

    /// Like [`Gpu::projected`], from and to given addresses.
    pub(super) fn project_into(&self, x: u64, layer: Parameters, rows: usize, y: u64) {
        let Parameters {
            outputs, inputs, ..
        } = layer;
        let x = Factor::new(x, inputs);
        let weight = Factor::new(self.factor(layer.weight, outputs * inputs), inputs).transposed();
        self.product([x, weight], [rows, outputs, inputs], y, false, false);
    }

    /// Adds a layer's bias to (N, O).
    pub(super) fn add_bias(&self, y: &Buffer, layer: Parameters, rows: usize) {
        if let Some(bias) = layer.bias {
            let (bias, columns) = (self.address(Some(bias)), layer.outputs as i32);
            let name = self.typed("bias_add");
            launch!(self, &name, (rows, 1), 256, y.at, bias, columns);
        }
    }

    /// gy · W: (N, O) · (O, I) -> (N, I).
    pub(super) fn input_gradient(
        &self,
        gy: u64,
        layer: Parameters,
        rows: usize,
        (to, wide): (u64, bool),
        add: bool,
    ) {
        let Parameters {
            outputs, inputs, ..
        } = layer;
        let gy = Factor::new(gy, outputs);
        let weight = Factor::new(self.factor(layer.weight, outputs * inputs), inputs);
        self.product([gy, weight], [rows, inputs, outputs], to, wide, add);
    }

    /// Adds gyᵀ · x to the gradient of the weight: (O, N) · (N, I) -> (O, I).
    pub(super) fn weight_gradient(&self, gy: u64, x: u64, layer: Parameters, rows: usize) {
        let Parameters {
            outputs, inputs, ..
        } = layer;
        let gy = Factor::new(gy, outputs).transposed();
        let x = Factor::new(x, inputs);
        let to = self.gradient(layer.weight, outputs * inputs);
        self.product([gy, x], [outputs, inputs, rows], to.at, true, true);
    }

    /// Adds the gradients of input, weight and bias of a linear layer, given that of its output.
    pub(super) fn project_back(&self, x: &Input, layer: Parameters, gy: u64, rows: usize) {
        let there = self.table.borrow().gradient(x.number);
        let add = there.is_some();
        let to_x = there.unwrap_or_else(|| match x.wide {
            true => self.floats(rows * layer.inputs),
            false => self.activations(rows * layer.inputs),
        });
        self.input_gradient(gy, layer, rows, (to_x.at, x.wide), add);
        self.table.borrow_mut().set_gradient(x.number, to_x);
        self.weight_gradient(gy, x.values.at, layer, rows);
        if let Some(bias) = layer.bias {
            self.column_sums(gy, bias, rows, layer.outputs);
        }
    }

    /// Adds the sums of the columns of `x` to the gradient of `parameter`: (N, O) -> (O).
    fn column_sums(&self, x: u64, parameter: usize, rows: usize, columns: usize) {
        let blocks = parts(rows.div_ceil(8), 32);
        let partial = self.floats(blocks * columns);
        let (width, count) = (columns as i32, blocks as i32);
        let name = self.typed("column_partial");
        let grid = (columns.div_ceil(32), blocks);
        launch!(self, &name, grid, 256, x, partial.at, rows as i32, width);
        let to = self.gradient(parameter, columns);
        let grid = (columns.div_ceil(32), 1);
        launch!(
            self,
            "column_sum",
            grid,
            256,
            partial.at,
            to.at,
            0u64,
            count,
            width,
            width,
            width
        );
    }
}
