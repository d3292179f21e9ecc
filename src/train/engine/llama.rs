//! LLaMA (Touvron et al. 2023, arXiv:2302.13971), with grouped key/value heads and tied output as options.
//!
//! `x = embedding; per block: x += Wo attention(norm(x)); x += Wdown (silu(Wgate h) · Wup h), h = norm(x)`; then a final norm. RMSNorm
//! throughout, rotary positions in adjacent pairs, no biases, no dropout.

use super::network::{Attend, Input};
use super::ops::{Activation, Linear, Matrix, NormKind, Operations};
use crate::spec::ModelConfig;
use crate::train::TrainError;
use dfdx::prelude::{NoneTape, Tape};

/// Slots of a block.
const PER_BLOCK: usize = 6;

/// The normalised last hidden states, one row per id.
///
/// Shapes in the comments: N ids of all sequences, D = dim, H query heads and K key/value heads of Dh, F = hidden_dim.
pub(crate) fn hidden<O: Operations, T: Tape<O::Element, O::Device>>(
    ops: &O,
    config: &ModelConfig,
    parameters: &[Matrix<O>],
    input: &Input<'_>,
    attend: &mut Attend<'_, O, T>,
    tape: T,
) -> Result<Matrix<O, T>, TrainError> {
    let plain = |index: usize| Linear {
        weight: &parameters[index],
        bias: None,
    };
    let norm = |x, index: usize| {
        let weight = &parameters[index];
        ops.norm(x, NormKind::Rms, weight, None, config.norm_eps)
    };
    let mut x = ops.embed(&parameters[0], None, input.ids, None, tape)?; // (V, D)[N] -> (N, D)
    for layer in 0..config.n_layers {
        let at = 1 + layer * PER_BLOCK;
        let residual = x.retaped::<NoneTape>(); // (N, D)
        // (N, D) -> queries, keys, values (N, (H + 2 K) Dh) -> (N, H Dh)
        let h = attend(layer, norm(x, at)?, plain(at + 1), None)?;
        x = ops.linear_residual(h, plain(at + 2), residual, None)?; // (N, H Dh) -> (N, D)
        let residual = x.retaped::<NoneTape>(); // (N, D)
        // (N, D) -> gate and up (N, 2 F) -> (N, F)
        let h = ops.mlp(norm(x, at + 3)?, plain(at + 4), Activation::Swiglu)?;
        x = ops.linear_residual(h, plain(at + 5), residual, None)?; // (N, F) -> (N, D)
    }
    norm(x, 1 + config.n_layers * PER_BLOCK) // (N, D)
}
