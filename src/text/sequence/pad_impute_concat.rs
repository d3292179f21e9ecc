//! As `impute_concat` (the padding was never active).

use super::{Frame, Policy, Shape, snaking};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str = "As `impute_concat` (the padding was never active).";

/// It has no settings.
pub struct PadImputeConcat;

impl Policy for PadImputeConcat {
    fn shape(&self) -> Shape {
        Shape::Full
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        snaking(documents, frame, |_| true)
    }

    fn sequences(&self, lengths: &[u32], m: u64) -> Option<u64> {
        // floor(T / m)
        Some(lengths.iter().map(|n| u64::from(*n)).sum::<u64>() / m)
    }
}
