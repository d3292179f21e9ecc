//! GPT-2 (Radford et al. 2019) in nanoGPT's variant: learned positions, LayerNorm before each sublayer, exact GELU,
//! optional biases, dropout after the embedding, on attention probabilities and on both projections into the residual
//! stream.

use super::network::{Attend, Input};
use super::ops::{Activation, Linear, Matrix, NormKind, Operations};
use crate::spec::ModelConfig;
use crate::train::TrainError;
use dfdx::prelude::{NoneTape, Tape};

/// The normalised last hidden states, one row per id. Dropout sites: 0 the embedding; block `l`: `1 + 3 l` attention probabilities,
/// `2 + 3 l` and `3 + 3 l` the two projections.
///
/// Shapes in the comments: N ids of all sequences, D = dim, H heads of Dh with H Dh = D, F = hidden_dim, P positions.
pub(crate) fn hidden<O: Operations, T: Tape<O::Element, O::Device>>(
    ops: &O,
    config: &ModelConfig,
    parameters: &[Matrix<O>],
    input: &Input<'_>,
    attend: &mut Attend<'_, O, T>,
    tape: T,
) -> Result<Matrix<O, T>, TrainError> {
    let stride = if config.biases { 2 } else { 1 };
    // Layer `index` after the two embeddings, followed by its bias.
    let linear = |index: usize| {
        let at = 2 + index * stride;
        Linear {
            weight: &parameters[at],
            bias: config.biases.then(|| &parameters[at + 1]),
        }
    };
    let norm = |x, index: usize| {
        let Linear { weight, bias } = linear(index);
        ops.norm(x, NormKind::Layer, weight, bias, config.norm_eps)
    };
    let dropout = |site: usize| input.pass.and_then(|pass| pass.site(site));
    let positions = Some((&parameters[1], input.positions));
    // (V, D)[N] + (P, D)[N] -> (N, D)
    let mut x = ops.embed(&parameters[0], positions, input.ids, dropout(0), tape)?;
    for layer in 0..config.n_layers {
        let (at, site) = (6 * layer, 3 * layer);
        let residual = x.retaped::<NoneTape>(); // (N, D)
        // (N, D) -> queries, keys, values (N, 3 D) -> (N, D)
        let h = attend(layer, norm(x, at)?, linear(at + 1), dropout(site + 1))?;
        // (N, D) -> (N, D)
        x = ops.linear_residual(h, linear(at + 2), residual, dropout(site + 2))?;
        let residual = x.retaped::<NoneTape>(); // (N, D)
        let h = ops.mlp(norm(x, at + 3)?, linear(at + 4), Activation::Gelu)?; // (N, D) -> (N, F)
        // (N, F) -> (N, D)
        x = ops.linear_residual(h, linear(at + 5), residual, dropout(site + 3))?;
    }
    norm(x, 6 * config.n_layers) // (N, D)
}
