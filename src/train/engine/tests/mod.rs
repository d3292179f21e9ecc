//! Checks of the engine on tiny shapes: gradients, losses, models, training, generation.

mod gradients;

use crate::spec::{Arch, Init, ModelConfig};

/// A tiny model; tests change what they are about.
pub(super) fn tiny(arch: Arch) -> ModelConfig {
    let llama = arch == Arch::Llama;
    ModelConfig {
        arch,
        dim: 8,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: if llama { 2 } else { 4 },
        hidden_dim: 12,
        max_seq_len: 8,
        vocab_size: 11,
        norm_eps: 1e-5,
        rope_theta: if llama { 10_000.0 } else { 0.0 },
        biases: !llama,
        tied_output: !llama,
        dropout: 0.0,
        init: if llama {
            Init::XavierNormal
        } else {
            Init::Gpt2
        },
    }
}
