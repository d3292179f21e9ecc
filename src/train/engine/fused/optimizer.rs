//! Gradient norm and AdamW.

use super::Fused;
use super::memory::{Failure, gradient};
use super::view::values_mut;
use crate::train::engine::ops::{AdamwStep, Clip, Kept, Matrix, Moments};
use specbook_kernels::{AdamwNumbers, adamw_all, square_sum};

pub(super) fn grad_norm_clip(
    ops: &Fused,
    parameters: &[Matrix<Fused>],
    gradients: &mut Kept<Fused>,
    max_norm: Option<f64>,
) -> Result<Clip, Failure> {
    let mut sum = 0.0;
    for parameter in parameters {
        sum += square_sum(&ops.compute, gradient(gradients, parameter)?);
    }
    Ok(Clip::of(sum.sqrt(), max_norm))
}

pub(super) fn adamw_step(
    ops: &Fused,
    parameters: &mut [Matrix<Fused>],
    moments: &mut Moments<Fused>,
    gradients: &mut Kept<Fused>,
    step: &AdamwStep<'_>,
) -> Result<(), Failure> {
    let scalars = step.scalars();
    let [beta1, beta2] = step.betas;
    let moments = moments.first.iter_mut().zip(&mut moments.second);
    for ((parameter, (first, second)), &decays) in
        parameters.iter_mut().zip(moments).zip(step.decays)
    {
        let numbers = AdamwNumbers {
            gradient_scale: step.gradient_scale as f32,
            beta1: beta1 as f32,
            beta2: beta2 as f32,
            one_minus_beta1: (1.0 - beta1) as f32,
            one_minus_beta2: (1.0 - beta2) as f32,
            eps: step.eps as f32,
            shrink: if decays { scalars.shrink as f32 } else { 1.0 },
            rate: scalars.rate as f32,
            root: scalars.root as f32,
        };
        let slopes = gradient(gradients, parameter)?;
        let all = [
            values_mut(parameter),
            slopes,
            values_mut(first),
            values_mut(second),
        ];
        adamw_all(&ops.compute, all, &numbers);
    }
    Ok(())
}
