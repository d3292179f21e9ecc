//! Windows of s tokens at random offsets of one stream of documents, each followed by end-of-text (nanoGPT).

use super::{Frame, Policy, Shape};
use crate::text::TrainingData;

/// For the documentation.
pub const ABOUT: &str = "Windows of s tokens at random offsets of one stream of documents, each followed by end-of-text (nanoGPT).";

/// It has no settings.
pub struct Stream;

impl Policy for Stream {
    fn shape(&self) -> Shape {
        Shape::Stream
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        TrainingData::Stream {
            ids: ids(documents, frame.eos),
            window: frame.seq_len,
            shift: frame.shift,
        }
    }

    fn sequences(&self, _: &[u32], _: u64) -> Option<u64> {
        None
    }
}

/// All documents in one line, each followed by end-of-text.
pub fn ids(documents: &[Vec<u32>], eos: u32) -> Vec<u32> {
    let mut ids = Vec::with_capacity(documents.iter().map(|document| document.len() + 1).sum());
    for document in documents {
        ids.extend_from_slice(document);
        ids.push(eos);
    }
    ids
}
