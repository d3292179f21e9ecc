//! As `impute_concat`, but a chunk is kept only if the rest of the buffer is shorter than `tol` (as run).

use super::{Frame, Policy, Sequence, Shape, Tolerance, snaking};
use crate::choices::Findings;
use crate::text::TrainingData;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str = "As `impute_concat`, but a chunk is kept only if the rest of the buffer is shorter than `tol` (as run).";
/// An example.
pub const EXAMPLE: InformedAsRun = InformedAsRun { tol: 100 };

/// Its tolerance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InformedAsRun {
    /// Tokens.
    pub tol: usize,
}

impl Policy for InformedAsRun {
    fn shape(&self) -> Shape {
        Shape::Full
    }

    fn training(&self, documents: &[Vec<u32>], frame: Frame) -> TrainingData {
        snaking(documents, frame, |left| left < self.tol)
    }

    fn sequences(&self, lengths: &[u32], m: u64) -> Option<u64> {
        // With L = carried + n, q = floor(L / m) and r = L mod m: #{j in 0..q : r + m j < tol}.
        let (mut carried, mut kept) = (0, 0);
        for n in lengths {
            let length = carried + u64::from(*n);
            let (chunks, rest) = (length / m, length % m);
            let within = (self.tol as u64).saturating_sub(rest).div_ceil(m);
            kept += chunks.min(within);
            carried = rest;
        }
        Some(kept)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        findings.count(&format!("{path}.tol"), self.tol, 1..=1 << 40);
    }

    fn tolerance(&self) -> Option<Tolerance> {
        Some((self.tol, |tol| Sequence::InformedAsRun(Self { tol })))
    }
}
