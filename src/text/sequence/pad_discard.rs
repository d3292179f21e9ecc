//! As `discard`; shorter documents are padded to s and the padding is masked.

use super::{Frame, Policy, Shape, next_token};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str =
    "As `discard`; shorter documents are padded to s and the padding is masked.";

/// It has no settings.
pub struct PadDiscard;

impl Policy for PadDiscard {
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
