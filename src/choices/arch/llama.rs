//! LLaMA (Touvron et al. 2023, arXiv:2302.13971), with grouped key/value heads and tied output as options.

use super::{ArchKind, Defaults, Slot, Start, refuse};
use crate::choices::{Findings, Init, ModelConfig, ModelSettings};

/// For the documentation.
pub const ABOUT: &str =
    "RMSNorm, rotary positions in adjacent pairs, SwiGLU (Touvron et al. 2023).";

/// The architecture.
pub struct Llama;

impl ArchKind for Llama {
    fn defaults(&self, settings: &ModelSettings) -> Defaults {
        let multiple = settings.multiple_of.unwrap_or(256);
        Defaults {
            hidden_dim: (4 * settings.dim * 2 / 3).div_ceil(multiple) * multiple,
            tied_output: false,
            init: Init::XavierNormal,
        }
    }

    fn is_rotary(&self) -> bool {
        true
    }

    fn check(&self, settings: &ModelSettings, findings: &mut Findings) {
        if settings.dropout != 0.0 {
            refuse(findings, "model.dropout", "llama", "gpt2");
        }
        if settings.biases {
            refuse(findings, "model.biases", "llama", "gpt2");
        }
    }

    fn unsupported(&self, config: &ModelConfig) -> Option<String> {
        let width = config.head_dim();
        if config.biases {
            return Some("`model.biases` with `arch: llama`".to_owned());
        }
        if config.dropout > 0.0 {
            return Some("`model.dropout` with `arch: llama`".to_owned());
        }
        (!width.is_multiple_of(2)).then(|| {
            format!("a head width of {width} with `arch: llama` (rotary positions turn pairs)")
        })
    }

    /// Embedding; per block norm, qkv, output, norm, gate and up, down; final norm; output matrix unless tied.
    fn tensors(&self, config: &ModelConfig) -> Vec<Slot> {
        let (d, f, vocabulary) = (config.dim, config.hidden_dim, config.vocab_size);
        let kv = config.n_kv_heads * config.head_dim();
        let embedding = "model.embed_tokens.weight".to_owned();
        let mut slots = vec![Slot::table(embedding, vocabulary, d, config.tied_output)];
        for layer in 0..config.n_layers {
            let name = |part: &str| format!("model.layers.{layer}.{part}.weight");
            let qkv = vec![
                (name("self_attn.q_proj"), d),
                (name("self_attn.k_proj"), kv),
                (name("self_attn.v_proj"), kv),
            ];
            let gate_up = vec![(name("mlp.gate_proj"), f), (name("mlp.up_proj"), f)];
            slots.extend([
                Slot::vector(name("input_layernorm"), d, Start::Ones),
                Slot::stacked(qkv, d, Start::Normal),
                Slot::matrix(name("self_attn.o_proj"), d, d, Start::NormalResidual),
                Slot::vector(name("post_attention_layernorm"), d, Start::Ones),
                Slot::stacked(gate_up, d, Start::Normal),
                Slot::matrix(name("mlp.down_proj"), d, f, Start::NormalResidual),
            ]);
        }
        slots.push(Slot::vector("model.norm.weight".to_owned(), d, Start::Ones));
        if !config.tied_output {
            let name = "lm_head.weight".to_owned();
            slots.push(Slot::matrix(name, vocabulary, d, Start::Normal));
        }
        slots
    }
}
