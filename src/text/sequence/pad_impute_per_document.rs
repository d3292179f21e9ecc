//! Each document cut into chunks separately, with the last one padded (the ablation as described).

use super::{Frame, Policy, Shape, cut, cut_count};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str =
    "Each document cut into chunks separately, with the last one padded (the ablation as described).";

/// It has no settings.
pub struct PadImputePerDocument;

impl Policy for PadImputePerDocument {
    fn shape(&self) -> Shape {
        Shape::Chunks { least: 0 }
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        cut(documents, frame, 0)
    }

    fn sequences(&self, lengths: &[u32], m: u64) -> Option<u64> {
        Some(cut_count(lengths, m, 0))
    }
}
