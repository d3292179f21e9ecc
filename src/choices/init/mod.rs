//! The initialisers: the standard deviation of every drawn tensor.

use super::choices;

choices! {
    /// The initialisation of weights.
    #[derive(Copy, Eq)]
    Init: InitKind {
        xavier_normal: XavierNormal,
        gpt2: Gpt2,
    }
}

/// The computation of an initialiser.
pub trait InitKind {
    /// Standard deviation of the initial values of a drawn `(rows, cols)` tensor in a model with `n_layers` blocks;
    /// `residual` for projections into the residual stream.
    fn deviation(&self, rows: usize, cols: usize, residual: bool, n_layers: usize) -> f64;
}
