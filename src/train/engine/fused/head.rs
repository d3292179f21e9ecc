//! The output matrix with every loss; scores and logits.
//!
//! Shapes in the comments: N rows, D = dim, V classes.

use super::Fused;
use super::attention::few_or_many;
use super::memory::{Failure, gradient, zeros};
use super::view::{values, values_mut};
use crate::choices::loss::Formula;
use crate::train::Part;
use crate::train::engine::ops::{Linear, LossTask, LossValue, Matrix, Scalar, ScoreTask, Scores};
use dfdx::prelude::*;
use specbook_kernels::{
    self as k, HeadGradients, LossTerms, ScoreOptions, Square, head_loss, head_scores,
};

fn terms(formula: &Formula) -> LossTerms {
    LossTerms {
        cross_entropy: formula.cross_entropy,
        square: formula.square.map(|square| Square {
            of_probabilities: square.on_probabilities,
            wrong: square.wrong as f32,
            right: square.correct as f32,
            target: square.target as f32,
            near: square.near as f32,
        }),
    }
}

/// The gradients are computed here, in the forward pass, and passed on by the tape.
pub(super) fn loss<T: Tape<f32, Cpu>>(
    ops: &Fused,
    x: Matrix<Fused, T>,
    weight: &Matrix<Fused>,
    task: &LossTask<'_>,
) -> Result<LossValue<Fused, T>, Failure> {
    let (compute, device) = (ops.compute.clone(), ops.device.clone());
    let (x, mut tape) = x.split_tape();
    let (&(n, d), &(classes, _)) = (x.shape(), weight.shape());
    let counted = task.mask.iter().filter(|m| **m).count();
    if counted == 0 {
        let objective: Scalar<Fused> = device.try_tensor(0.0)?;
        return Ok(LossValue {
            objective: objective.put_tape(tape),
            ce: 0.0,
            square: 0.0,
        });
    }
    let (recording, terms) = (T::OWNS_TAPE, terms(task.formula));
    let mut gx = if recording {
        zeros(&device, n, d)? // (N, D)
    } else {
        zeros(&device, 1, 1)?
    };
    // (V, D)
    let mut gw = ops.stock.buffer(if recording { classes * d } else { 0 });
    let to = recording.then(|| HeadGradients {
        x: values_mut(&mut gx),
        weight: &mut gw,
    });
    let factor = (task.scale / counted as f64) as f32;
    let parts = [values(&x), values(weight)];
    // (N, D) · (D, V) -> logits (N, V), in chunks, never all at once; with targets (N) -> two sums
    let (ce, square) = head_loss(
        &compute,
        parts,
        task.targets,
        (task.mask, factor),
        terms,
        to,
    );
    let (ce, square) = (ce / counted as f64, square / counted as f64);
    let objective: Scalar<Fused> = device.try_tensor((task.scale * (ce + square)) as f32)?;
    let (ghost, weight) = (objective.ghost(), weight.clone());
    tape.add_backward_op(move |store| {
        let _timed = compute.clock.time(Part::Head);
        let upstream = store.get_or_alloc_mut(&ghost)?[0];
        let (mut gx, mut gw) = (gx, gw);
        for (target, gradients) in [(&x, values_mut(&mut gx)), (&weight, &mut gw[..])] {
            if upstream.to_bits() != 1f32.to_bits() {
                k::scale_all(&compute, gradients, upstream);
            }
            k::add_all(&compute, gradient(store, target)?, gradients); // (N, D), then (V, D)
        }
        Ok(())
    });
    Ok(LossValue {
        objective: objective.put_tape(tape),
        ce,
        square,
    })
}

pub(super) fn scores(
    ops: &Fused,
    x: &Matrix<Fused>,
    weight: &Matrix<Fused>,
    task: &ScoreTask<'_>,
) -> Scores {
    let options = ScoreOptions {
        temperatures: task.temperatures,
        clipped_linear_eps: task.clipped_linear_eps,
    };
    let mut all = Scores {
        tempered: vec![Vec::new(); task.temperatures.len()],
        ..Scores::default()
    };
    if task.targets.is_empty() {
        return all;
    }
    // (N, D) · (D, V) -> logits (N, V), in chunks -> one score for each row in the mask
    for row in head_scores(
        &ops.compute,
        [values(x), values(weight)],
        task.targets,
        task.mask,
        options,
    ) {
        all.log_likelihood.push(row.log_likelihood);
        all.rank.push(row.rank);
        all.confidence.push(row.confidence);
        for (list, value) in all.tempered.iter_mut().zip(row.tempered) {
            list.push(value);
        }
        all.clipped_linear.extend(row.clipped_linear);
    }
    all
}

pub(super) fn logits(ops: &Fused, x: &Matrix<Fused>, weight: &Matrix<Fused>) -> Vec<f32> {
    let mut y = vec![0.0; x.shape().0 * weight.shape().0]; // (N, D) · (D, V) -> (N, V)
    few_or_many(ops, values(x), Linear { weight, bias: None }, &mut y);
    y
}
