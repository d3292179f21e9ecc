//! One sequence per document, cut to its first s - 1 ids.

use super::{Frame, Policy, Shape, next_token};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str = "One sequence per document, cut to its first s - 1 ids.";

/// It has no settings.
pub struct NextToken;

impl Policy for NextToken {
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
