//! The peak performance of the GPU, for comparison with measured speeds.

use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::train::engine::{DeviceKind, cuda};
use serde_json::json;

/// Measures copies and matrix products.
pub(super) fn run(device: DeviceKind) -> Result<Part, Failure> {
    let DeviceKind::Cuda(number) = device else {
        return Ok(Part::skipped("ceilings", "it is for GPUs"));
    };
    let found = cuda::ceilings(number)?;
    let [copied, f32, bf16] = [found.copied, found.f32, found.bf16].map(|rate| rate / 1e12);
    Ok(Part {
        outcome: Outcome::Measured,
        details: json!({"copied_tb_per_second": copied, "f32_tflops": f32, "bf16_tflops": bf16}),
        ..Part::skipped(
            "ceilings",
            format!(
                "copies {copied:.3} TB/s, products {f32:.3} TFLOP/s in f32 and {bf16:.3} in bf16"
            ),
        )
    })
}
