//! Model settings: as written in a spec ([`ModelSettings`]) and as used by a run ([`ModelConfig`]).

use super::Findings;
use super::arch::{Arch, Slot};
use super::init::Init;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `model` of a spec. Missing settings follow from the architecture (see [`ModelSettings::resolve`]).
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
    /// The SwiGLU width is rounded up to a multiple of this; default 256. Not allowed together with `hidden_dim`.
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
    /// Whether the output matrix is tied to the embedding; default: `llama` false, `gpt2` true.
    #[serde(default)]
    pub tied_output: Option<bool>,
    /// Probability in [0, 1) that an activation is dropped in training. `gpt2` only.
    #[serde(default)]
    pub dropout: f64,
    /// Initialiser; default: `llama` xavier_normal, `gpt2` gpt2.
    #[serde(default)]
    pub init: Option<Init>,
    /// The embedding is padded to a multiple of this many rows (nanoGPT: 64, for 50,304 rows instead of 50,257);
    /// default 1.
    #[serde(default = "default_vocab_multiple")]
    pub pad_vocab_to_multiple: usize,
    /// Required number of tokenizer entries: other tokenizers are refused, and `plan` can size the model without the
    /// tokenizer file.
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

/// A fully resolved model, as built by the engine and hashed into the run's identity.
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
    /// Rows of the embedding and classes of the output, including padding.
    pub vocab_size: usize,
    /// Epsilon of the norms.
    pub norm_eps: f64,
    /// Base of the rotary frequencies (0 where unused).
    pub rope_theta: f64,
    /// Whether linear and norm layers have biases.
    pub biases: bool,
    /// Whether the output matrix is tied to the embedding.
    pub tied_output: bool,
    /// Dropout probability.
    pub dropout: f64,
    /// Initialiser.
    pub init: Init,
}

impl ModelSettings {
    /// Resolves everything left open, for a tokenizer with `vocab_size` entries.
    pub fn resolve(&self, vocab_size: usize) -> ModelConfig {
        let arch = self.arch.get();
        let defaults = arch.defaults(self);
        let padding = self.pad_vocab_to_multiple;
        ModelConfig {
            arch: self.arch,
            dim: self.dim,
            n_layers: self.n_layers,
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads.unwrap_or(self.n_heads),
            hidden_dim: self.hidden_dim.unwrap_or(defaults.hidden_dim),
            max_seq_len: self.max_seq_len,
            vocab_size: vocab_size.div_ceil(padding) * padding,
            norm_eps: self.norm_eps,
            rope_theta: if arch.is_rotary() {
                self.rope_theta
            } else {
                0.0
            },
            biases: self.biases,
            tied_output: self.tied_output.unwrap_or(defaults.tied_output),
            dropout: self.dropout,
            init: self.init.unwrap_or(defaults.init),
        }
    }

    /// Checks sizes, ranges and the restrictions of the architecture.
    pub fn check(&self, findings: &mut Findings) {
        const MOST: usize = 1 << 20;
        findings.count("model.dim", self.dim, 1..=MOST);
        findings.count("model.n_layers", self.n_layers, 1..=10_000);
        findings.count("model.n_heads", self.n_heads, 1..=MOST);
        findings.count("model.max_seq_len", self.max_seq_len, 2..=MOST);
        let padding = self.pad_vocab_to_multiple;
        findings.count("model.pad_vocab_to_multiple", padding, 1..=MOST);
        for (path, value) in [
            ("model.n_kv_heads", self.n_kv_heads),
            ("model.hidden_dim", self.hidden_dim),
            ("model.multiple_of", self.multiple_of),
            ("model.vocab_size", self.vocab_size),
        ] {
            if let Some(value) = value {
                findings.count(path, value, 1..=1 << 24);
            }
        }
        let (eps, theta, dropout) = (self.norm_eps, self.rope_theta, self.dropout);
        let is_small = eps > 0.0 && eps < 1.0;
        findings.number("model.norm_eps", eps, is_small, "above 0 and below 1");
        findings.number("model.rope_theta", theta, theta > 0.0, "above 0");
        let is_share = (0.0..1.0).contains(&dropout);
        findings.number("model.dropout", dropout, is_share, "at least 0 and below 1");
        self.heads_divide_dim(findings);
        self.arch.get().check(self, findings);
        if self.hidden_dim.is_some() && self.multiple_of.is_some() {
            let message =
                "`model.hidden_dim` is given, so `model.multiple_of` has nothing to round";
            findings
                .say("model.multiple_of", message)
                .hint("keep one of the two");
        }
    }

    fn heads_divide_dim(&self, findings: &mut Findings) {
        let (dim, heads) = (self.dim, self.n_heads);
        if heads == 0 || dim == 0 {
            return;
        }
        let needs_even = self.arch.get().is_rotary();
        let fits = |width: usize| !needs_even || width.is_multiple_of(2);
        if !dim.is_multiple_of(heads) {
            let fitting: Vec<String> = (1..=dim.min(256))
                .filter(|heads| dim.is_multiple_of(*heads) && fits(dim / heads))
                .map(|heads| heads.to_string())
                .collect();
            let message = format!("`model.dim` {dim} is not a multiple of `model.n_heads` {heads}");
            let finding = findings.say("model.n_heads", message);
            if !fitting.is_empty() {
                finding.allowed(format!("for {dim}: {} heads", fitting.join(", ")));
            }
        } else if !fits(dim / heads) {
            let message = format!(
                "a head is {} wide ({dim} / {heads}); rotary positions need an even width",
                dim / heads
            );
            findings.say("model.n_heads", message);
        }
        if let Some(kv) = self.n_kv_heads
            && kv > 0
            && !heads.is_multiple_of(kv)
        {
            let message =
                format!("`model.n_kv_heads` {kv} does not divide `model.n_heads` {heads}");
            findings.say("model.n_kv_heads", message);
        }
    }
}

impl ModelConfig {
    /// Width of one head.
    pub fn head_dim(&self) -> usize {
        self.dim / self.n_heads
    }

    /// The tensors in the model's fixed order, as the engine stacks them.
    pub fn tensors(&self) -> Vec<Slot> {
        self.arch.get().tensors(self)
    }

    /// Rows and columns of every matrix that multiplies a position, including the output matrix.
    pub fn products(&self) -> impl Iterator<Item = (usize, usize)> {
        let slots = self.tensors().into_iter();
        slots.filter(|slot| slot.is_product).map(|slot| slot.shape)
    }

    /// Number of trained parameters, including learned positions; a tied output counts once.
    pub fn parameters(&self) -> usize {
        let size = |slot: &Slot| slot.shape.0 * slot.shape.1;
        self.tensors().iter().map(size).sum()
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

    // docs/studies.md#a0 and #a5; the GPT-2 counts exclude learned positions, as nanoGPT prints them.
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
