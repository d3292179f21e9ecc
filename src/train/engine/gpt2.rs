//! GPT-2 (Radford et al. 2019) in nanoGPT's variant: learned positions, LayerNorm before each part, exact GELU, biases optional,
//! dropout after the embedding, on attention probabilities and on both projections into the residual stream.

use super::layout::{Slot, Start};
use super::network::{Attend, Input};
use super::ops::{Activation, Linear, Matrix, NormKind, Operations};
use crate::spec::ModelConfig;
use crate::train::TrainError;
use dfdx::prelude::{NoneTape, Tape};

/// The parameters in order: token embedding, positions; per block ln_1, c_attn, c_proj, ln_2, c_fc, c_proj; ln_f; output matrix unless
/// tied. Each weight is followed by its bias where the model has biases. Linear weights are `(out, in)`, as in nanoGPT.
pub(crate) fn slots(config: &ModelConfig) -> Vec<Slot> {
    let (d, f) = (config.dim, config.hidden_dim);
    let root = |part: &str| format!("transformer.{part}.weight");
    let mut slots = vec![
        Slot::matrix(root("wte"), config.vocab_size, d, Start::Normal),
        Slot::matrix(root("wpe"), config.max_seq_len, d, Start::Normal),
    ];
    let mut push = |name: String, shape: (usize, usize), start: Start| {
        slots.push(match start {
            Start::Ones => Slot::vector(format!("{name}.weight"), shape.1, start),
            _ => Slot::matrix(format!("{name}.weight"), shape.0, shape.1, start),
        });
        if config.biases {
            let width = if start == Start::Ones {
                shape.1
            } else {
                shape.0
            };
            slots.push(Slot::vector(format!("{name}.bias"), width, Start::Zeros));
        }
    };
    for layer in 0..config.n_layers {
        let name = |part: &str| format!("transformer.h.{layer}.{part}");
        push(name("ln_1"), (1, d), Start::Ones);
        push(name("attn.c_attn"), (3 * d, d), Start::Normal);
        push(name("attn.c_proj"), (d, d), Start::NormalResidual);
        push(name("ln_2"), (1, d), Start::Ones);
        push(name("mlp.c_fc"), (f, d), Start::Normal);
        push(name("mlp.c_proj"), (d, f), Start::NormalResidual);
    }
    push("transformer.ln_f".to_owned(), (1, d), Start::Ones);
    if !config.tied_output {
        let name = "lm_head.weight".to_owned();
        slots.push(Slot::matrix(name, config.vocab_size, d, Start::Normal));
    }
    slots
}

/// The normalised last hidden states, one row per id. Dropout sites: 0 the embedding; block `l`: `1 + 3 l` attention probabilities,
/// `2 + 3 l` and `3 + 3 l` the two projections.
pub(crate) fn hidden<O: Operations, T: Tape<O::Element, O::Device>>(
    ops: &O,
    config: &ModelConfig,
    parameters: &[Matrix<O>],
    input: &Input<'_>,
    attend: &mut Attend<'_, O, T>,
    tape: T,
) -> Result<Matrix<O, T>, TrainError> {
    let stride = if config.biases { 2 } else { 1 };
    // Layer `index` after the two embeddings, its bias behind it.
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
    let mut x = ops.embed(&parameters[0], positions, input.ids, dropout(0), tape)?;
    for layer in 0..config.n_layers {
        let (at, site) = (6 * layer, 3 * layer);
        let residual = x.retaped::<NoneTape>();
        let h = attend(layer, norm(x, at)?, linear(at + 1), dropout(site + 1))?;
        x = ops.linear_residual(h, linear(at + 2), residual, dropout(site + 2))?;
        let residual = x.retaped::<NoneTape>();
        let h = ops.mlp(norm(x, at + 3)?, linear(at + 4), Activation::Gelu)?;
        x = ops.linear_residual(h, linear(at + 5), residual, dropout(site + 3))?;
    }
    norm(x, 6 * config.n_layers)
}
