//! The losses from stock operations, with the whole matrix of logits.

use super::super::ops::{Element, Linear, LossTask, LossValue, Matrix, tensor_error};
use super::{M, Place, Reference, Result, V};
use dfdx::prelude::*;

/// Cross-entropy and square part of each row, if the loss has them.
type Parts<E, D, T> = (Option<V<E, D, T>>, Option<V<E, D, T>>);

fn mean<E: Element, D: Device<E>, T>(rows: &Option<V<E, D, T>>, scored: usize) -> f64 {
    match (rows, scored) {
        (Some(rows), 1..) => {
            rows.as_vec().into_iter().map(Element::widen).sum::<f64>() / scored as f64
        }
        _ => 0.0,
    }
}

/// Rows whose mask is set.
pub(super) fn scored_rows(mask: &[bool]) -> Vec<usize> {
    (0..mask.len()).filter(|&row| mask[row]).collect()
}

impl<E: Element, D: Place + Device<E>> Reference<E, D> {
    fn parts<T: Tape<E, D>>(
        &self,
        logits: M<E, D, T>,
        targets: Vec<usize>,
        task: &LossTask<'_>,
    ) -> Result<Parts<E, D, T>> {
        let targets = self.index(targets)?;
        let cross_entropy = |logits: M<E, D, T>| -> std::result::Result<V<E, D, T>, D::Err> {
            // (n, V) -> (n)
            let chosen: V<E, D, T> = logits
                .try_log_softmax::<Axis<1>>()?
                .try_select(targets.clone())?;
            chosen.try_negate()
        };
        let ce = match task.formula.cross_entropy {
            true => Some(cross_entropy(logits.with_empty_tape()).map_err(tensor_error)?),
            false => None,
        };
        let Some(term) = task.formula.square else {
            // The main tape stays with the last part.
            let tape = logits.split_tape().1;
            let ce = ce.map(|ce| {
                let (ce, own) = ce.split_tape();
                ce.put_tape(own.merge(tape))
            });
            return Ok((ce, None));
        };
        let square = || -> std::result::Result<V<E, D, T>, D::Err> {
            let s = match term.on_probabilities {
                true => logits.try_softmax::<Axis<1>>()?,
                false => logits,
            };
            let target: V<E, D, T> = s.with_empty_tape().try_select(targets.clone())?; // (n, V) -> (n)
            let all: V<E, D, T> = s.try_square()?.try_sum::<(usize,), Axis<1>>()?; // (n, V) -> (n)
            let wrong = all
                .try_sub(target.with_empty_tape().try_square()?)?
                .try_mul(E::narrow(term.wrong))?;
            let values = target.as_vec().into_iter();
            let factors = values.map(|value| E::narrow(term.factor(value.widen())));
            let factors: Vec<E> = factors.collect();
            let shape = (factors.len(),);
            let factors: V<E, D> = self.device.try_tensor_from_vec(factors, shape)?;
            let correct = target
                .try_sub(E::narrow(term.target))?
                .try_square()?
                .try_mul(factors)?;
            wrong.try_add(correct)
        };
        Ok((ce, Some(square().map_err(tensor_error)?)))
    }

    /// [`super::super::ops::Operations::head_loss`].
    pub(super) fn loss_of_rows<T: Tape<E, D>>(
        &self,
        x: Matrix<Self, T>,
        weight: &Matrix<Self>,
        task: &LossTask<'_>,
    ) -> Result<LossValue<Self, T>> {
        let mut rows = scored_rows(task.mask);
        let scored = rows.len();
        let mut targets: Vec<usize> = rows.iter().map(|&row| task.targets[row] as usize).collect();
        if scored == 0 {
            // Nothing is scored: one row with weight 0 keeps the tape intact.
            rows.push(0);
            targets.push(0);
        }
        let share = if scored == 0 {
            0.0
        } else {
            task.scale / scored as f64
        };
        let x: M<E, D, T> = x.try_gather(self.index(rows)?).map_err(tensor_error)?; // (N, D)[n] -> (n, D)
        let head = Linear { weight, bias: None };
        let logits = Self::linear(x, head).map_err(tensor_error)?; // (n, D) · (D, V) -> (n, V)
        let (ce, square) = self.parts(logits, targets, task)?;
        let (ce_mean, square_mean) = (mean(&ce, scored), mean(&square, scored));
        let rows = match (ce, square) {
            (Some(ce), Some(square)) => ce.try_add(square).map_err(tensor_error)?,
            (Some(rows), None) | (None, Some(rows)) => rows,
            (None, None) => return Err(tensor_error("a loss without terms")),
        };
        let objective = rows
            .try_sum::<(), Axis<0>>()
            .and_then(|sum| sum.try_mul(E::narrow(share)))
            .map_err(tensor_error)?;
        Ok(LossValue {
            objective,
            ce: ce_mean,
            square: square_mean,
        })
    }
}
