//! Xavier's normal initialiser (Glorot and Bengio 2010), also for the embedding.

use super::InitKind;

/// For the documentation.
pub const ABOUT: &str = "Normal with standard deviation sqrt(2 / (rows + columns)) for every matrix, including the embedding.";

/// The initialiser; it has no settings.
pub struct XavierNormal;

impl InitKind for XavierNormal {
    fn deviation(&self, rows: usize, cols: usize, _: bool, _: usize) -> f64 {
        (2.0 / (rows + cols) as f64).sqrt()
    }
}
