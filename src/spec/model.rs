//! Model settings: as a spec writes them ([`ModelSettings`]) and as a run uses them ([`ModelConfig`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which family of transformer is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Arch {
    /// RMSNorm, rotary positions in adjacent pairs, SwiGLU (Touvron et al. 2023).
    #[default]
    Llama,
    /// LayerNorm, learned positions, exact GELU, dropout (Radford et al. 2019, nanoGPT's variant).
    Gpt2,
}

/// How weights start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// Normal with standard deviation sqrt(2 / (rows + columns)) on every matrix, the embedding too (docs/studies.md#a0).
    XavierNormal,
    /// Normal(0, 0.02); projections into the residual stream Normal(0, 0.02 / sqrt(2 · n_layers)) (nanoGPT).
    Gpt2,
}

/// The section `model` of a spec. What is not written follows from the architecture (see [`ModelSettings::resolve`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSettings {
    /// `llama` or `gpt2`.
    #[serde(default)]
    pub arch: Arch,
    /// Width of the residual stream (GPT-2: `n_embd`); a multiple of `n_heads`.
    pub dim: usize,
    /// Number of transformer blocks (GPT-2: `n_layer`).
    pub n_layers: usize,
    /// Attention heads per block (GPT-2: `n_head`).
    pub n_heads: usize,
    /// Key/value heads (grouped-query attention); default: `n_heads`. `llama` only.
    #[serde(default)]
    pub n_kv_heads: Option<usize>,
    /// Width of the feed-forward layer; default: `llama` 2/3 of 4·dim rounded up to `multiple_of`, `gpt2` 4·dim.
    #[serde(default)]
    pub hidden_dim: Option<usize>,
    /// The SwiGLU width is rounded up to a multiple of this; default 256. Not allowed beside `hidden_dim`.
    #[serde(default)]
    pub multiple_of: Option<usize>,
    /// Longest sequence in tokens (GPT-2: `block_size`); sizes the position table.
    pub max_seq_len: usize,
    /// Added to the mean square (RMSNorm) or the variance (LayerNorm).
    #[serde(default = "default_norm_eps")]
    pub norm_eps: f64,
    /// Base of the rotary frequencies. `llama` only.
    #[serde(default = "default_rope_theta")]
    pub rope_theta: f64,
    /// Biases in linear and LayerNorm layers; default false. `gpt2` only.
    #[serde(default)]
    pub biases: bool,
    /// Whether the output matrix is the embedding; default: `llama` false, `gpt2` true.
    #[serde(default)]
    pub tied_output: Option<bool>,
    /// Probability in [0, 1) that an activation is dropped in training. `gpt2` only.
    #[serde(default)]
    pub dropout: f64,
    /// Initialiser; default: `llama` xavier_normal, `gpt2` gpt2.
    #[serde(default)]
    pub init: Option<Init>,
    /// Rows of the embedding are padded up to a multiple of this (nanoGPT: 64 makes 50,304 of 50,257); default 1.
    #[serde(default = "default_vocab_multiple")]
    pub pad_vocab_to_multiple: usize,
    /// Entries that the tokenizer must have, so that another one is refused and `plan` can size the model without its file.
    #[serde(default)]
    pub vocab_size: Option<usize>,
}

fn default_norm_eps() -> f64 {
    1e-5
}

fn default_rope_theta() -> f64 {
    10_000.0
}

fn default_vocab_multiple() -> usize {
    1
}

/// A model with everything decided: what the engine builds and what the run's identity holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// Architecture.
    pub arch: Arch,
    /// Width of the residual stream.
    pub dim: usize,
    /// Number of blocks.
    pub n_layers: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Key/value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of the feed-forward layer.
    pub hidden_dim: usize,
    /// Longest sequence in tokens.
    pub max_seq_len: usize,
    /// Rows of the embedding and classes of the output, padding included.
    pub vocab_size: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
    /// Base of the rotary frequencies (0 where unused).
    pub rope_theta: f64,
    /// Whether linear and norm layers have biases.
    pub biases: bool,
    /// Whether the output matrix is the embedding.
    pub tied_output: bool,
    /// Dropout probability.
    pub dropout: f64,
    /// Initialiser.
    pub init: Init,
}

impl ModelSettings {
    /// Decides everything left open, for a tokenizer of `vocab_size` entries.
    pub fn resolve(&self, vocab_size: usize) -> ModelConfig {
        let llama = self.arch == Arch::Llama;
        let hidden_dim = self.hidden_dim.unwrap_or_else(|| {
            let multiple = self.multiple_of.unwrap_or(256);
            if llama {
                (4 * self.dim * 2 / 3).div_ceil(multiple) * multiple
            } else {
                4 * self.dim
            }
        });
        ModelConfig {
            arch: self.arch,
            dim: self.dim,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads.unwrap_or(self.n_heads),
            hidden_dim,
            max_seq_len: self.max_seq_len,
            vocab_size: vocab_size.div_ceil(self.pad_vocab_to_multiple)
                * self.pad_vocab_to_multiple,
            norm_eps: self.norm_eps,
            rope_theta: if llama { self.rope_theta } else { 0.0 },
            biases: self.biases,
            tied_output: self.tied_output.unwrap_or(!llama),
            dropout: self.dropout,
            init: self.init.unwrap_or(if llama {
                Init::XavierNormal
            } else {
                Init::Gpt2
            }),
        }
    }
}

impl ModelConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.n_heads
    }

    /// Number of trained parameters, learned positions included; a tied output counts once.
    pub fn parameters(&self) -> usize {
        let (d, f) = (self.dim, self.hidden_dim);
        let kv = self.n_kv_heads * self.head_dim();
        let (block, norms, positions) = match self.arch {
            Arch::Llama => (2 * d * d + 2 * kv * d + 3 * d * f, d, 0),
            Arch::Gpt2 => {
                let linear_biases = if self.biases { 3 * d + d + f + d } else { 0 };
                (
                    4 * d * d + 2 * d * f + linear_biases,
                    if self.biases { 2 * d } else { d },
                    self.max_seq_len * d,
                )
            }
        };
        let embeddings = self.vocab_size * d * if self.tied_output { 1 } else { 2 };
        embeddings + positions + self.n_layers * (block + 2 * norms) + norms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn llama(dim: usize, n_layers: usize, multiple_of: usize) -> ModelConfig {
        let settings = serde_json::json!({
            "dim": dim, "n_layers": n_layers, "n_heads": 8, "max_seq_len": 512, "multiple_of": multiple_of
        });
        serde_json::from_value::<ModelSettings>(settings)
            .unwrap()
            .resolve(32_000)
    }

    fn gpt2(n_layers: usize) -> ModelConfig {
        let settings = serde_json::json!({
            "arch": "gpt2", "dim": 768, "n_layers": n_layers, "n_heads": 12, "max_seq_len": 1024,
            "pad_vocab_to_multiple": 64
        });
        serde_json::from_value::<ModelSettings>(settings)
            .unwrap()
            .resolve(50_257)
    }

    // docs/studies.md#a0 and #a5; the GPT-2 counts leave the learned positions out, as nanoGPT prints them.
    #[test]
    fn parameter_counts_are_the_published_ones() {
        assert_eq!(llama(128, 2, 128).parameters(), 8_618_624);
        assert_eq!(llama(128, 8, 128).parameters(), 9_898_112);
        assert_eq!(llama(512, 2, 128).parameters(), 39_193_088);
        assert_eq!(llama(512, 8, 128).parameters(), 58_466_816);
        assert_eq!(llama(512, 8, 256).parameters(), 60_039_680);
        let without_positions = |model: ModelConfig| (model.parameters() - 1024 * 768) as f64 / 1e6;
        assert_eq!(
            format!(
                "{:.2} {:.2}",
                without_positions(gpt2(12)),
                without_positions(gpt2(16))
            ),
            "123.59 151.91"
        );
    }
}
