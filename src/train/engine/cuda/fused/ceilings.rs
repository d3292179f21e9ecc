//! The peak performance of a GPU: copies, and products of large square matrices.

use super::super::{Ceilings, api};
use super::gpu::{Factor, Gpu};
use crate::spec::Dtype;
use crate::train::TrainError;
use std::time::Instant;

/// Measures GPU `number`, in a second or two.
///
/// # Errors
/// The GPU cannot be used, or fails.
pub(in crate::train::engine::cuda) fn measured(number: usize) -> Result<Ceilings, TrainError> {
    let [f32, bf16] = [Dtype::F32, Dtype::Bf16].map(|dtype| product(number, dtype));
    Ok(Ceilings {
        copied: copied(number)?,
        f32: f32?,
        bf16: bf16?,
    })
}

/// The work is increased until it takes this long, in seconds.
const LONG: f64 = 0.02;

/// The best of three times, in seconds; `work` is started on the GPU and waited for.
fn timed(gpu: &Gpu, at: u64, work: impl Fn()) -> f64 {
    let once = || {
        let began = Instant::now();
        work();
        gpu.download::<u8>(at, 1);
        began.elapsed().as_secs_f64()
    };
    once();
    (0..3).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn copied(number: usize) -> Result<f64, TrainError> {
    let gpu = Gpu::open(number, Dtype::F32)?;
    let mut floats = 1 << 20;
    loop {
        let (from, to) = (gpu.zeros(floats), gpu.zeros(floats));
        let seconds = timed(&gpu, to.at, || {
            // SAFETY: both buffers have this many bytes.
            unsafe { api::cuMemcpyDtoDAsync_v2(to.at, from.at, 4 * floats, gpu.stream) };
        });
        api::check()?;
        if seconds > LONG || floats >= 1 << 28 {
            return Ok(2.0 * 4.0 * floats as f64 / seconds);
        }
        floats *= 2;
    }
}

/// Operations per second of a product of non-zero numbers, because zeros take a GPU less time.
fn product(number: usize, dtype: Dtype) -> Result<f64, TrainError> {
    let gpu = Gpu::open(number, dtype)?;
    let mut size = 128;
    loop {
        let values: Vec<f32> = (0..size * size)
            .map(|index| (((index * 2_654_435_761) >> 7) & 0xff) as f32 / 128.0 - 1.0)
            .collect();
        let values = gpu.upload(&values);
        let values = match gpu.low {
            true => gpu.rounded(values.at, size * size),
            false => values,
        };
        let to = gpu.activations(size * size);
        let factor = Factor::new(values.at, size);
        let factors = [factor, factor.transposed()];
        let seconds = timed(&gpu, to.at, || {
            gpu.product(factors, [size; 3], to.at, false, false);
        });
        api::check()?;
        if seconds > LONG || size >= 8192 {
            return Ok(2.0 * (size as f64).powi(3) / seconds);
        }
        size *= 2;
    }
}
