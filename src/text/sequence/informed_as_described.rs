//! Each document cut into chunks; the last one is padded and kept if it has at least `tol` ids (as described).

use super::{Frame, Policy, Sequence, Shape, cut, cut_count, Tolerance};
use crate::choices::Findings;
use crate::text::TrainingData;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str = "Each document cut into chunks; the last one is padded and kept if it has at least `tol` ids (as described).";
/// An example.
pub const EXAMPLE: InformedAsDescribed = InformedAsDescribed { tol: 100 };

/// Its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InformedAsDescribed {
    /// Tokens.
    pub tol: usize,
}

impl Policy for InformedAsDescribed {
    fn shape(&self) -> Shape {
        Shape::Chunks { least: self.tol }
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        cut(documents, frame, self.tol)
    }

    fn sequences(&self, lengths: &[u32], m: u64) -> Option<u64> {
        Some(cut_count(lengths, m, self.tol))
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        findings.count(&format!("{path}.tol"), self.tol, 1..=1 << 40);
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Some((self.tol, |tol| Sequence::InformedAsDescribed(Self { tol })))
    }
}
