//! The initialisers: the standard deviation of every drawn tensor.

use super::choices;

choices! {
    /// How weights start.
    #[derive(Copy, Eq)]
    Init: InitKind {
        xavier_normal: XavierNormal,
        gpt2: Gpt2,
    }
}

/// What an initialiser computes.
pub trait InitKind {
    /// Standard deviation of the initial values of a drawn tensor with `rows` and `cols`, in a model of `n_layers` blocks;
    /// `residual` where it projects into the residual stream.
    fn deviation(&self, rows: usize, cols: usize, residual: bool, n_layers: usize) -> f64;
}
