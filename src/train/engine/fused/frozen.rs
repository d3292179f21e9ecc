//! Weights that no longer change, packed on first use for the products of few rows.

use super::Fused;
use super::view::values;
use crate::train::engine::ops::Matrix;
use dfdx::prelude::*;
use specbook_kernels::{Compute, Prepacked};
use std::collections::HashMap;
use std::ops::Range;

/// How a product of few rows reads a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Row by row, each a dot product.
    Rows,
    /// In panels, with the bits of a matrix product.
    Panels,
}

/// The parameters of a model.
pub(super) struct Frozen {
    /// By the address of their values, which stays the same as long as they are kept here: any change is made
    /// to a copy.
    parameters: HashMap<usize, Parameter>,
    memory: Prepacked,
}

struct Parameter {
    matrix: Matrix<Fused>,
    packed: Option<(Order, Range<usize>)>,
}

impl Frozen {
    pub(super) fn new(parameters: &[Matrix<Fused>]) -> Self {
        let parameter = |matrix: &Matrix<Fused>| Parameter {
            matrix: matrix.clone(),
            packed: None,
        };
        Self {
            parameters: parameters
                .iter()
                .map(|matrix| (values(matrix).as_ptr().addr(), parameter(matrix)))
                .collect(),
            memory: Prepacked::new(parameters.iter().map(|matrix| *matrix.shape())),
        }
    }

    /// The values of `weight` in `order`; `None` if it is not one of the parameters, or is already packed in
    /// the other order.
    pub(super) fn get(
        &mut self,
        compute: &Compute,
        weight: &Matrix<Fused>,
        order: Order,
    ) -> Option<&[f32]> {
        let parameter = self.parameters.get_mut(&values(weight).as_ptr().addr())?;
        if parameter.packed.is_none() {
            let (values, inputs) = (values(&parameter.matrix), parameter.matrix.shape().1);
            let place = match order {
                Order::Rows => self.memory.add_rows(compute, values, inputs),
                Order::Panels => self.memory.add_panels(compute, values, inputs),
            };
            parameter.packed = Some((order, place?));
        }
        let (packed, place) = parameter.packed.as_ref()?;
        (*packed == order).then(|| self.memory.get(place))
    }
}
