//! Gradient norm and AdamW from stock operations, in place on the device.

use super::super::ops::{AdamwStep, Clip, Element, Kept, Matrix, tensor_error};
use super::{M, Place, Reference, Result, V};
use dfdx::prelude::*;

impl<E: Element, D: Place + Device<E>> Reference<E, D> {
    /// The global norm: sums over rows on the device, the rest in f64 on the host.
    pub(super) fn norm_of_gradients(
        &self,
        parameters: &[Matrix<Self>],
        gradients: &mut Kept<Self>,
        max_norm: Option<f64>,
    ) -> Result<Clip> {
        let mut sum = 0.0;
        for parameter in parameters {
            gradients.try_alloc_for(parameter).map_err(tensor_error)?;
            let gradient: M<E, D> = gradients.get(parameter);
            let rows: V<E, D> = gradient
                .try_square()
                .and_then(|squares| squares.try_sum::<_, Axis<1>>())
                .map_err(tensor_error)?;
            sum += rows.as_vec().into_iter().map(Element::widen).sum::<f64>();
        }
        Ok(Clip::of(sum.sqrt(), max_norm))
    }

    /// One parameter's step; see [`super::Operations::adamw_step`]. The gradient's scale is folded into the factors of
    /// the moments.
    pub(super) fn adamw_one(
        &self,
        parameter: &mut M<E, D>,
        (first, second): (&mut M<E, D>, &mut M<E, D>),
        gradients: &mut Kept<Self>,
        step: &AdamwStep<'_>,
        decays: bool,
    ) -> Result<()> {
        let scalars = step.scalars();
        let [beta1, beta2] = step.betas;
        let scale = step.gradient_scale;
        let shrink = if decays { scalars.shrink } else { 1.0 };
        gradients.try_alloc_for(parameter).map_err(tensor_error)?;
        let mut run = || -> std::result::Result<(), D::Err> {
            let gradient: M<E, D> = gradients.get(&*parameter);
            first.try_axpy(beta1, &gradient, (1.0 - beta1) * scale)?;
            let squares = gradient.try_square()?;
            second.try_axpy(beta2, &squares, (1.0 - beta2) * scale * scale)?;
            let spread = Self::flat(second.clone())?
                .try_sqrt()?
                .try_mul(E::narrow(scalars.root))?
                .try_add(E::narrow(step.eps))?;
            let shape = *first.shape();
            let update: M<E, D> = Self::flat(first.clone())?
                .try_div(spread)?
                .try_reshape_like(&shape)?;
            parameter.try_axpy(shrink, &update, -scalars.rate)?;
            let kept = gradients.get_or_alloc_mut(&*parameter)?;
            self.device.try_fill_with_zeros(kept)
        };
        run().map_err(tensor_error)
    }
}
