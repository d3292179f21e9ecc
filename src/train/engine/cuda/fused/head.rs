//! The output matrix with every loss; scores and logits.
//!
//! Shapes in the comments: N rows, of which n at a time, D = dim, V classes.

use super::super::sizes::CHUNK;
use super::gpu::{Gpu, launch};
use super::linear::Parameters;
use super::{CudaFused, Gives, number};
use crate::train::engine::ops::{
    Linear, LossTask, LossValue, Matrix, Readings, Scalar, ScoreTask, Scores,
};
use dfdx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// A loss in the form that the kernels take.
#[derive(Clone, Copy)]
#[repr(C)]
struct Terms {
    cross_entropy: i32,
    square: i32,
    on_probabilities: i32,
    wrong: f32,
    correct: f32,
    near: f32,
    target: f32,
}

impl Terms {
    fn new(task: &LossTask<'_>) -> Self {
        let square = task.formula.square;
        let number = |of: Option<f64>| of.unwrap_or(0.0) as f32;
        Self {
            cross_entropy: i32::from(task.formula.cross_entropy),
            square: i32::from(square.is_some()),
            on_probabilities: i32::from(square.is_some_and(|term| term.on_probabilities)),
            wrong: number(square.map(|term| term.wrong)),
            correct: number(square.map(|term| term.correct)),
            near: number(square.map(|term| term.near)),
            target: number(square.map(|term| term.target)),
        }
    }
}

/// The numbers downloaded together at the end of a step: norm and clipping factor, then the two sums of each
/// micro-batch's loss.
pub(super) struct Late {
    room: Rc<super::memory::Buffer>,
    /// Number of scored targets for each micro-batch of the step so far.
    counted: RefCell<Vec<usize>>,
}

impl Late {
    /// Allocates room for the largest possible number of micro-batches in a step.
    pub(super) fn new(gpu: &Gpu) -> Self {
        Self {
            room: gpu.doubles(2 + 2 * (usize::from(u16::MAX) + 1)),
            counted: RefCell::default(),
        }
    }

    /// The address for norm and factor.
    pub(super) fn norm(&self) -> u64 {
        self.room.at
    }

    /// Forgets what was to be read.
    pub(super) fn forget(&self) {
        self.counted.take();
    }

    /// The address for the sums of the next micro-batch, which has `counted` scored targets.
    pub(super) fn next(&self, counted: usize) -> u64 {
        let mut all = self.counted.borrow_mut();
        all.push(counted);
        self.room.at + 16 * all.len() as u64
    }

    /// Reads everything written since the last call.
    pub(super) fn read(&self, gpu: &Gpu) -> Readings {
        let counted = self.counted.take();
        let numbers: Vec<f64> = gpu.download(self.room.at, 2 + 2 * counted.len());
        let losses = counted.iter().zip(numbers[2..].chunks(2));
        Readings {
            norm: numbers[0],
            losses: losses.map(|(count, sums)| means(sums, *count)).collect(),
        }
    }
}

/// The targets of the rows, -1 where they do not count, and the bits of the factor of all gradients.
pub(super) fn wanted(targets: &[u32], mask: &[bool], scale: f64) -> Vec<i32> {
    let counted = mask.iter().filter(|counts| **counts).count();
    let factor = (scale / counted as f64) as f32;
    let each = targets.iter().zip(mask);
    let each = each.map(|(target, counts)| if *counts { *target as i32 } else { -1 });
    each.chain([factor.to_bits() as i32]).collect()
}

fn means(sums: &[f64], counted: usize) -> [f64; 2] {
    match counted {
        0 => [0.0; 2],
        _ => [sums[0] / counted as f64, sums[1] / counted as f64],
    }
}

/// The gradients are computed here, in the forward pass, where the logits are available; the tape passes on
/// that of `x`.
pub(super) fn loss<T: Tape<f32, Cpu>>(
    ops: &CudaFused,
    x: Matrix<CudaFused, T>,
    weight: &Matrix<CudaFused>,
    task: &LossTask<'_>,
) -> Gives<LossValue<CudaFused, T>> {
    let gpu = &ops.gpu;
    let (x, mut tape) = x.split_tape();
    let (rows, layer) = (x.shape().0, Parameters::of(Linear { weight, bias: None }));
    let &(classes, dim) = weight.shape();
    let x = gpu.input(&x);
    let counted = task.mask.iter().filter(|counts| **counts).count();
    let objective: Scalar<CudaFused> = ops.device.try_tensor(0.0)?;
    let here = |means: [f64; 2], tape: T| LossValue {
        objective: objective.put_tape(tape),
        ce: means[0],
        square: means[1],
    };
    if counted == 0 {
        if T::OWNS_TAPE {
            ops.late.next(0);
        }
        return Ok(here([0.0; 2], tape));
    }
    let targets = gpu.send(&wanted(task.targets, task.mask, task.scale));
    let factor = targets.at + 4 * rows as u64;
    let terms = Terms::new(task);
    let element = if gpu.low { 2 } else { 4 };
    let most = (CHUNK / (element * classes)).clamp(1, rows);
    let logits = gpu.activations(most * classes); // (n, V), n rows at a time
    let losses = gpu.floats(2 * rows); // (N, 2): cross-entropy and square term
    let to_x = gpu.activations(if T::OWNS_TAPE { rows * dim } else { 1 }); // (N, D)
    let (name, width) = (gpu.typed("head_row"), classes as i32);
    for first in (0..rows).step_by(most) {
        let count = most.min(rows - first);
        let at = |row_bytes: usize, start: u64| start + (first * row_bytes) as u64;
        let part = at(element * dim, x.values.at);
        gpu.project_into(part, layer, count, logits.at); // (n, D) · (D, V) -> (n, V)
        // (n, V) -> (n, 2) and, with a tape, the gradient of the logits in place (n, V)
        launch!(
            gpu,
            &name,
            (count, 1),
            256,
            logits.at,
            at(4, targets.at),
            at(8, losses.at),
            width,
            i32::from(T::OWNS_TAPE),
            terms,
            factor
        );
        if T::OWNS_TAPE {
            let to_part = at(element * dim, to_x.at);
            gpu.input_gradient(logits.at, layer, count, (to_part, false), false); // (n, V) -> (n, D)
            gpu.weight_gradient(logits.at, part, layer, count); // (n, V), (n, D) -> (V, D)
        }
    }
    let place = match T::OWNS_TAPE {
        true => ops.late.next(counted),
        false => ops.late.norm(),
    };
    let (count, add) = (rows as i32, 0i32);
    launch!(gpu, "loss_sum", (1, 1), 256, losses.at, place, count, add); // (N, 2) -> (2)
    if !T::OWNS_TAPE {
        let sums: Vec<f64> = gpu.download(place, 2);
        return Ok(here(means(&sums, counted), tape));
    }
    let gpu = Rc::clone(gpu);
    tape.add_backward_op(move |_| {
        if gpu.low {
            gpu.table.borrow_mut().set_gradient(x.number, to_x);
        } else {
            gpu.accumulate(x.number, to_x, rows * dim); // (N, D)
        }
        Ok(())
    });
    // The means are available later, from `Operations::readings`.
    Ok(here([0.0; 2], tape))
}

pub(super) fn scores(
    ops: &CudaFused,
    x: &Matrix<CudaFused>,
    weight: &Matrix<CudaFused>,
    task: &ScoreTask<'_>,
) -> Scores {
    let gpu = &ops.gpu;
    let layer = Parameters::of(Linear { weight, bias: None });
    let &(classes, dim) = weight.shape();
    let mut all = Scores::for_task(task);
    let x = gpu.table.borrow_mut().take(number(x));
    let scored = (0..task.mask.len()).filter(|&row| task.mask[row]);
    let scored: Vec<i32> = scored.map(|row| row as i32).collect();
    let temperatures: Vec<f32> = task.temperatures.iter().map(|t| *t as f32).collect();
    let temperatures = gpu.send(&temperatures);
    let numbers = 4 + task.temperatures.len();
    let clip = task.clipped_linear_eps.unwrap_or(1.0) as f32;
    for rows in scored.chunks((CHUNK / (4 * classes)).max(1)) {
        let targets: Vec<i32> = rows
            .iter()
            .map(|row| task.targets[*row as usize] as i32)
            .collect();
        let (count, at) = (rows.len(), (gpu.send(rows), gpu.send(&targets)));
        let part = gpu.floats(count * dim); // (n, D), n scored rows at a time
        // (N, D)[n] -> (n, D)
        launch!(
            gpu,
            "gather_rows",
            (count, 1),
            128,
            x.at,
            at.0.at,
            part.at,
            dim as i32
        );
        let logits = gpu.projected(&part, layer, count); // (n, D) · (D, V) -> (n, V)
        let found = gpu.floats(count * numbers); // (n, 4 + temperatures)
        // (n, V) -> (n, 4 + temperatures)
        launch!(
            gpu,
            "score_row",
            (count, 1),
            256,
            logits.at,
            at.1.at,
            temperatures.at,
            found.at,
            classes as i32,
            task.temperatures.len() as i32,
            clip
        );
        for row in gpu
            .download::<f32>(found.at, count * numbers)
            .chunks(numbers)
        {
            all.log_likelihood.push(row[0]);
            all.rank.push(row[1] as u32);
            all.confidence.push(row[2]);
            if task.clipped_linear_eps.is_some() {
                all.clipped_linear.push(row[3]);
            }
            for (list, value) in all.tempered.iter_mut().zip(&row[4..]) {
                list.push(*value);
            }
        }
    }
    all
}

pub(super) fn logits(
    ops: &CudaFused,
    x: &Matrix<CudaFused>,
    weight: &Matrix<CudaFused>,
) -> Vec<f32> {
    let (gpu, rows) = (&ops.gpu, x.shape().0);
    let x = gpu.table.borrow_mut().take(number(x));
    let layer = Parameters::of(Linear { weight, bias: None });
    let logits = gpu.projected(&x, layer, rows); // (N, D) · (D, V) -> (N, V)
    gpu.download(logits.at, rows * weight.shape().0)
}
