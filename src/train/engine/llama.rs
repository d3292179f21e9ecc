//! LLaMA (Touvron et al. 2023, arXiv:2302.13971), with grouped key/value heads and tied output as options.
//!
//! `x = embedding; per block: x += Wo attention(norm(x)); x += Wdown (silu(Wgate h) · Wup h), h = norm(x)`; then a final norm. RMSNorm
//! throughout, rotary positions in adjacent pairs, no biases, no dropout.

use super::layout::{Slot, Start};
use super::network::{Attend, Input};
use super::ops::{Activation, Linear, Matrix, NormKind, Operations};
use crate::spec::ModelConfig;
use crate::train::TrainError;
use dfdx::prelude::{NoneTape, Tape};

/// Slots of a block.
const PER_BLOCK: usize = 6;

/// The parameters in order: embedding; per block norm, qkv, output, norm, gate and up, down; final norm; output matrix unless tied.
pub(crate) fn slots(config: &ModelConfig) -> Vec<Slot> {
    let (d, f) = (config.dim, config.hidden_dim);
    let kv = config.n_kv_heads * config.head_dim();
    let mut slots = vec![Slot::matrix(
        "model.embed_tokens.weight".to_owned(),
        config.vocab_size,
        d,
        Start::Normal,
    )];
    for layer in 0..config.n_layers {
        let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
        slots.extend([
            Slot::vector(name("input_layernorm"), d, Start::Ones),
            Slot::stacked(
                vec![
                    (name("self_attn.q_proj"), d),
                    (name("self_attn.k_proj"), kv),
                    (name("self_attn.v_proj"), kv),
                ],
                d,
                Start::Normal,
            ),
            Slot::matrix(name("self_attn.o_proj"), d, d, Start::NormalResidual),
            Slot::vector(name("post_attention_layernorm"), d, Start::Ones),
            Slot::stacked(
                vec![(name("mlp.gate_proj"), f), (name("mlp.up_proj"), f)],
                d,
                Start::Normal,
            ),
            Slot::matrix(name("mlp.down_proj"), d, f, Start::NormalResidual),
        ]);
    }
    slots.push(Slot::vector("model.norm.weight".to_owned(), d, Start::Ones));
    if !config.tied_output {
        slots.push(Slot::matrix(
            "lm_head.weight".to_owned(),
            config.vocab_size,
            d,
            Start::Normal,
        ));
    }
    slots
}

/// The normalised last hidden states, one row per id.
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
    let mut x = ops.embed(&parameters[0], None, input.ids, None, tape)?;
    for layer in 0..config.n_layers {
        let at = 1 + layer * PER_BLOCK;
        let residual = x.retaped::<NoneTape>();
        let h = attend(layer, norm(x, at)?, plain(at + 1), None)?;
        x = ops.linear_residual(h, plain(at + 2), residual, None)?;
        let residual = x.retaped::<NoneTape>();
        let h = ops.mlp(norm(x, at + 3)?, plain(at + 4), Activation::Swiglu)?;
        x = ops.linear_residual(h, plain(at + 5), residual, None)?;
    }
    norm(x, 1 + config.n_layers * PER_BLOCK)
}
