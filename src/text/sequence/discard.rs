//! As `next_token`, for documents that need no padding (the ablation's naive policy).

use super::{Frame, Policy, Shape, next_token};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str =
    "As `next_token`, for documents that need no padding (the ablation's naive policy).";

/// It has no settings.
pub struct Discard;

impl Policy for Discard {
    fn shape(&self) -> Shape {
        Shape::Beginnings
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        TrainingData::Sequences(next_token(documents, frame))
    }

    fn sequences(&self, lengths: &[u32], _: u64) -> Option<u64> {
        Some(lengths.len() as u64)
    }
}
