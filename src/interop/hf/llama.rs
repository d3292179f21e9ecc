//! LLaMA in `transformers`: rotary pairs are the two halves of a head, so the rows of queries and keys are permuted.

use super::{Config, Kind, Tensors, Turned};
use crate::choices::{Arch, Init, ModelConfig};
use crate::weights::NamedTensor;
use serde_json::{Value, json};
use std::borrow::Cow;

pub(super) struct Llama;

impl Kind for Llama {
    fn arch(&self) -> Arch {
        Arch::Llama
    }

    fn model_type(&self) -> &'static str {
        "llama"
    }

    fn config(&self, model: &ModelConfig) -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"],
            "hidden_size": model.dim, "intermediate_size": model.hidden_dim, "num_hidden_layers": model.n_layers,
            "num_attention_heads": model.n_heads, "num_key_value_heads": model.n_kv_heads, "head_dim": model.head_dim(),
            "max_position_embeddings": model.max_seq_len, "rms_norm_eps": model.norm_eps, "rope_theta": model.rope_theta,
            "rope_scaling": null, "hidden_act": "silu", "attention_bias": false, "mlp_bias": false, "attention_dropout": 0.0,
            "pretraining_tp": 1,
        })
    }

    fn model(&self, config: &Config) -> Result<(ModelConfig, Vec<String>), String> {
        config.only("hidden_act", &[json!("silu")])?;
        config.only("attention_bias", &[json!(false)])?;
        config.only("mlp_bias", &[json!(false)])?;
        config.only("rope_scaling", &[])?;
        config.only("partial_rotary_factor", &[json!(1.0), json!(1)])?;
        // Newer versions group the rotary settings.
        let rotary = config.0.get("rope_parameters").and_then(Value::as_object);
        let rotary = Config(rotary.cloned().unwrap_or_default());
        rotary.only("rope_type", &[json!("default")])?;
        rotary.only("partial_rotary_factor", &[json!(1.0), json!(1)])?;
        let n_heads = config.size("num_attention_heads")?;
        let model = ModelConfig {
            arch: Arch::Llama,
            dim: config.size("hidden_size")?,
            n_layers: config.size("num_hidden_layers")?,
            n_heads,
            n_kv_heads: config.size_or("num_key_value_heads", Some(n_heads))?,
            hidden_dim: config.size("intermediate_size")?,
            max_seq_len: config.size_or("max_position_embeddings", Some(2048))?,
            vocab_size: config.size("vocab_size")?,
            norm_eps: config.number_or("rms_norm_eps", 1e-6),
            rope_theta: rotary.number_or("rope_theta", config.number_or("rope_theta", 10_000.0)),
            biases: false,
            tied_output: config.flag_or("tie_word_embeddings", false),
            dropout: 0.0,
            init: Init::XavierNormal,
        };
        if !model.dim.is_multiple_of(n_heads) || !n_heads.is_multiple_of(model.n_kv_heads) {
            return Err("the numbers of heads do not divide the width".to_owned());
        }
        if config.size_or("head_dim", Some(model.head_dim()))? != model.head_dim() {
            return Err(
                "heads whose widths do not add up to the model's are not supported".to_owned(),
            );
        }
        Ok((model, Vec::new()))
    }

    fn export<'t>(&self, model: &ModelConfig, tensor: &'t NamedTensor) -> Vec<Turned<'t>> {
        let values = match turns(&tensor.name) {
            true => Cow::Owned(permuted(
                &tensor.data,
                tensor.shape[1],
                model.head_dim(),
                Side::Halves,
            )),
            false => Cow::Borrowed(&tensor.data[..]),
        };
        vec![(tensor.name.clone(), tensor.shape.clone(), values)]
    }

    fn import(
        &self,
        model: &ModelConfig,
        name: &str,
        shape: &[usize],
        theirs: &mut Tensors,
    ) -> Result<Vec<f32>, String> {
        let values = theirs.take(name, shape)?;
        Ok(match turns(name) {
            true => permuted(&values, shape[1], model.head_dim(), Side::Adjacent),
            false => values,
        })
    }

    fn notes(&self) -> [(&'static str, &'static str); 3] {
        [
            ("format", "pt"),
            ("linear_layout", "out,in"),
            ("rotary_pairs", "halves"),
        ]
    }
}

/// Whether the rows of a tensor are rotated.
fn turns(name: &str) -> bool {
    name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight")
}

/// Layout of rotary pairs in a head.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    /// `2 i` and `2 i + 1`.
    Adjacent,
    /// `i` and `i + width / 2`.
    Halves,
}

/// Permutes the rows of `(heads · width, cols)` into the layout `to`.
fn permuted(values: &[f32], cols: usize, width: usize, to: Side) -> Vec<f32> {
    let rows = values.len() / cols.max(1);
    let mut out = Vec::with_capacity(values.len());
    for row in 0..rows {
        let (head, at) = (row / width, row % width);
        let from = match to {
            Side::Halves => 2 * (at % (width / 2)) + at / (width / 2),
            Side::Adjacent => at / 2 + (at % 2) * (width / 2),
        };
        let start = (head * width + from) * cols;
        out.extend_from_slice(&values[start..start + cols]);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_become_halves_and_back() {
        // Two heads of width 6, one column: each row holds its index.
        let rows: Vec<f32> = (0..12).map(|row| row as f32).collect();
        let halves = permuted(&rows, 1, 6, Side::Halves);
        assert_eq!(halves[..6], [0.0, 2.0, 4.0, 1.0, 3.0, 5.0]);
        assert_eq!(halves[6..], [6.0, 8.0, 10.0, 7.0, 9.0, 11.0]);
        assert_eq!(permuted(&halves, 1, 6, Side::Adjacent), rows);
    }
}
