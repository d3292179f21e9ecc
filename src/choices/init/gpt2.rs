//! GPT-2's initialiser (Radford et al. 2019), as in nanoGPT.

use super::InitKind;

/// For the documentation.
pub const ABOUT: &str =
    "Normal(0, 0.02); projections into the residual stream Normal(0, 0.02 / sqrt(2 · n_layers)).";

/// The initialiser; it has no settings.
pub struct Gpt2;

impl InitKind for Gpt2 {
    fn deviation(&self, _: usize, _: usize, residual: bool, n_layers: usize) -> f64 {
        if residual {
            0.02 / (2.0 * n_layers as f64).sqrt()
        } else {
            0.02
        }
    }
}
