//! Gradient norm, clipping and AdamW for all parameters at once.

use super::gpu::launch;
use super::memory::Buffer;
use super::{CudaFused, number};
use crate::train::engine::ops::{AdamwStep, Clip, Matrix, Moments};
use dfdx::prelude::*;
use std::cell::RefCell;
use std::rc::Rc;

/// Maximum number of elements that a block updates.
const PIECE: usize = 1 << 14;

/// A piece of a parameter in the form that the kernels take.
#[derive(Clone, Copy)]
#[repr(C)]
struct Piece {
    value: u64,
    first: u64,
    second: u64,
    gradient: u64,
    low: u64,
    count: i32,
    decays: i32,
}

/// The addresses of all parameters, moments and gradients, kept from step to step.
#[derive(Default)]
pub(super) struct Pieces(RefCell<Option<Kept>>);

struct Kept {
    /// The matrices for which the list was made, by number, and which of them decay.
    of: (Vec<usize>, Vec<bool>),
    count: usize,
    list: Rc<Buffer>,
    partial: Rc<Buffer>,
}

/// The numbers of a step in the order in which the kernel takes them: `Adamw` in `kernels/optimizer.cuh`.
pub(super) fn numbers(step: &AdamwStep<'_>) -> [f32; 8] {
    let scalars = step.scalars();
    let [beta1, beta2] = step.betas;
    [
        beta1,
        beta2,
        1.0 - beta1,
        1.0 - beta2,
        step.eps,
        scalars.shrink,
        scalars.rate,
        scalars.root,
    ]
    .map(|number| number as f32)
}

impl Pieces {
    /// Uses the list for these matrices, rebuilt if it was made for others. Without moments, it serves only the
    /// norm.
    fn with<R>(
        &self,
        ops: &CudaFused,
        parameters: &[Matrix<CudaFused>],
        moments: Option<(&Moments<CudaFused>, &[bool])>,
        work: impl FnOnce(&Kept) -> R,
    ) -> R {
        let mut kept = self.0.borrow_mut();
        let numbers = |list: &[Matrix<CudaFused>]| list.iter().map(number).collect::<Vec<_>>();
        let mut of = (numbers(parameters), Vec::new());
        if let Some((moments, decays)) = moments {
            of.0.extend(numbers(&moments.first));
            of.0.extend(numbers(&moments.second));
            of.1 = decays.to_vec();
        }
        // A list with moments serves both.
        let serves = kept.as_ref().is_some_and(|kept| match moments {
            Some(_) => kept.of == of,
            None => kept.of.0.starts_with(&of.0),
        });
        if !serves {
            *kept = Some(Kept::new(ops, parameters, moments, of));
        }
        match &*kept {
            Some(kept) => work(kept),
            None => unreachable!("just made"),
        }
    }
}

impl Kept {
    fn new(
        ops: &CudaFused,
        parameters: &[Matrix<CudaFused>],
        moments: Option<(&Moments<CudaFused>, &[bool])>,
        of: (Vec<usize>, Vec<bool>),
    ) -> Self {
        let gpu = &ops.gpu;
        let mut list = Vec::new();
        for (index, parameter) in parameters.iter().enumerate() {
            let &(rows, columns) = parameter.shape();
            let len = rows * columns;
            let gradient = gpu.gradient(number(parameter), len).at;
            let table = gpu.table.borrow();
            let at = |matrix: &Matrix<CudaFused>| table.values(number(matrix)).at;
            let low = table.low(number(parameter)).map_or(0, |low| low.at);
            let (first, second) = moments.map_or((0, 0), |(moments, _)| {
                (at(&moments.first[index]), at(&moments.second[index]))
            });
            for from in (0..len).step_by(PIECE) {
                let by = |start: u64, bytes: usize| match start {
                    0 => 0,
                    start => start + (from * bytes) as u64,
                };
                list.push(Piece {
                    value: by(at(parameter), 4),
                    first: by(first, 4),
                    second: by(second, 4),
                    gradient: by(gradient, 4),
                    low: by(low, 2),
                    count: PIECE.min(len - from) as i32,
                    decays: i32::from(moments.is_some_and(|(_, decays)| decays[index])),
                });
            }
        }
        Self {
            of,
            count: list.len(),
            partial: Rc::new(gpu.pool.lasting(8 * list.len())),
            list: {
                let place = Rc::new(gpu.pool.lasting(size_of_val(&list[..])));
                gpu.send_to(place.at, &list);
                place
            },
        }
    }
}

/// Norm and factor stay on the GPU; [`super::head::Late`] downloads them at the end of the step.
pub(super) fn grad_norm_clip(
    ops: &CudaFused,
    parameters: &[Matrix<CudaFused>],
    max_norm: Option<f64>,
) -> Clip {
    ops.pieces.with(ops, parameters, None, |kept| {
        let (gpu, found) = (&ops.gpu, ops.late.norm());
        let (list, partial) = (kept.list.at, kept.partial.at);
        launch!(gpu, "square_sum", (kept.count, 1), 256, list, partial);
        let limit = max_norm.unwrap_or(-1.0);
        let count = kept.count as i32;
        launch!(
            gpu,
            "clip_factor",
            (1, 1),
            256,
            partial,
            found,
            count,
            limit
        );
    });
    Clip::LATER
}

pub(super) fn adamw_step(
    ops: &CudaFused,
    parameters: &[Matrix<CudaFused>],
    moments: &Moments<CudaFused>,
    step: &AdamwStep<'_>,
) {
    let numbers = ops.gpu.send(&numbers(step));
    let moments = Some((moments, step.decays));
    ops.pieces.with(ops, parameters, moments, |kept| {
        let (gpu, found) = (&ops.gpu, ops.late.norm());
        let grid = (kept.count, 1);
        launch!(gpu, "adamw", grid, 256, kept.list.at, found, numbers.at);
    });
}
