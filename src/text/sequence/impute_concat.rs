//! One buffer over all documents (“snaking”), cut into full chunks; the rest is dropped.

use super::{Frame, Policy, Shape, snaking};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str =
    "One buffer over all documents («snaking»), cut into full chunks; the rest is dropped.";

/// It has no settings.
pub struct ImputeConcat;

impl Policy for ImputeConcat {
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
