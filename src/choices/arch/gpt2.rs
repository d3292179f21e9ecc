//! GPT-2 (Radford et al. 2019) in nanoGPT's variant: learned positions, LayerNorm before each sublayer, exact GELU,
//! optional biases, dropout.

use super::{ArchKind, Defaults, Slot, Start, refuse};
use crate::choices::{Findings, Init, ModelConfig, ModelSettings};

/// For the documentation.
pub const ABOUT: &str =
    "LayerNorm, learned positions, exact GELU, dropout (Radford et al. 2019, nanoGPT's variant).";

/// The architecture.
pub struct Gpt2;

impl ArchKind for Gpt2 {
    fn defaults(&self, settings: &ModelSettings) -> Defaults {
        Defaults {
            hidden_dim: 4 * settings.dim,
            tied_output: true,
            init: Init::Gpt2,
        }
    }

    fn is_rotary(&self) -> bool {
        false
    }

    fn check(&self, settings: &ModelSettings, findings: &mut Findings) {
        if settings.n_kv_heads.is_some_and(|kv| kv != settings.n_heads) {
            refuse(findings, "model.n_kv_heads", "gpt2", "llama");
        }
        if settings.multiple_of.is_some() {
            refuse(findings, "model.multiple_of", "gpt2", "llama");
        }
        if settings.rope_theta != 10_000.0 {
            refuse(findings, "model.rope_theta", "gpt2", "llama");
        }
    }

    fn unsupported(&self, config: &ModelConfig) -> Option<String> {
        (config.n_kv_heads != config.n_heads)
            .then(|| "`model.n_kv_heads` with `arch: gpt2`".to_owned())
    }

    /// Token embedding, positions; per block ln_1, c_attn, c_proj, ln_2, c_fc, c_proj; ln_f; output matrix unless tied.
    /// If the model has biases, each weight is followed by its bias. Linear weights are `(out, in)`, as in nanoGPT.
    fn tensors(&self, config: &ModelConfig) -> Vec<Slot> {
        let (d, f, vocabulary) = (config.dim, config.hidden_dim, config.vocab_size);
        let root = |part: &str| format!("transformer.{part}.weight");
        let mut slots = vec![
            Slot::table(root("wte"), vocabulary, d, config.tied_output),
            Slot::table(root("wpe"), config.max_seq_len, d, false),
        ];
        let mut push = |name: String, weight: fn(String, [usize; 2]) -> Slot, shape: [usize; 2]| {
            slots.push(weight(format!("{name}.weight"), shape));
            if config.biases {
                slots.push(Slot::vector(format!("{name}.bias"), shape[0], Start::Zeros));
            }
        };
        let norm = |name, [n, _]: [usize; 2]| Slot::vector(name, n, Start::Ones);
        let linear = |name, [rows, cols]: [usize; 2]| Slot::matrix(name, rows, cols, Start::Normal);
        let residual =
            |name, [rows, cols]: [usize; 2]| Slot::matrix(name, rows, cols, Start::NormalResidual);
        for layer in 0..config.n_layers {
            let name = |part: &str| format!("transformer.h.{layer}.{part}");
            push(name("ln_1"), norm, [d, 1]);
            push(name("attn.c_attn"), linear, [3 * d, d]);
            push(name("attn.c_proj"), residual, [d, d]);
            push(name("ln_2"), norm, [d, 1]);
            push(name("mlp.c_fc"), linear, [f, d]);
            push(name("mlp.c_proj"), residual, [d, f]);
        }
        push("transformer.ln_f".to_owned(), norm, [d, 1]);
        if !config.tied_output {
            let name = "lm_head.weight".to_owned();
            slots.push(Slot::matrix(name, vocabulary, d, Start::Normal));
        }
        slots
    }
}
