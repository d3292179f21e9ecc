//! GPT-2 in `transformers`: linear weights are `(in, out)`, and every layer has biases.

use super::{Config, Kind, Tensors, Turned};
use crate::choices::{Arch, Init, ModelConfig};
use crate::weights::NamedTensor;
use serde_json::{Value, json};
use std::borrow::Cow;

/// Names of the linear layers.
const LINEAR: [&str; 4] = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"];

pub(super) struct Gpt2;

impl Kind for Gpt2 {
    fn arch(&self) -> Arch {
        Arch::Gpt2
    }

    fn model_type(&self) -> &'static str {
        "gpt2"
    }

    fn config(&self, model: &ModelConfig) -> Value {
        json!({
            "architectures": ["GPT2LMHeadModel"],
            "n_embd": model.dim, "n_layer": model.n_layers, "n_head": model.n_heads, "n_positions": model.max_seq_len,
            "n_ctx": model.max_seq_len, "n_inner": model.hidden_dim, "layer_norm_epsilon": model.norm_eps,
            // The default, `gelu_new`, is the tanh form.
            "activation_function": "gelu",
            "resid_pdrop": model.dropout, "embd_pdrop": model.dropout, "attn_pdrop": model.dropout,
            "scale_attn_weights": true, "scale_attn_by_inverse_layer_idx": false, "reorder_and_upcast_attn": false,
        })
    }

    fn model(&self, config: &Config) -> Result<(ModelConfig, Vec<String>), String> {
        config.only("scale_attn_weights", &[json!(true)])?;
        config.only("scale_attn_by_inverse_layer_idx", &[json!(false)])?;
        config.only("add_cross_attention", &[json!(false)])?;
        let activation = config.text("activation_function").unwrap_or("gelu_new");
        let notes = match activation {
            "gelu" => Vec::new(),
            "gelu_new" | "gelu_pytorch_tanh" => vec![format!(
                "it was trained with `{activation}`, an approximation of GELU; here the exact one is computed, so logits differ slightly"
            )],
            other => {
                return Err(format!("`activation_function: {other}` is not supported"));
            }
        };
        let (dim, n_heads) = (config.size("n_embd")?, config.size("n_head")?);
        if !dim.is_multiple_of(n_heads) {
            return Err("the number of heads does not divide the width".to_owned());
        }
        let model = ModelConfig {
            arch: Arch::Gpt2,
            dim,
            n_layers: config.size("n_layer")?,
            n_heads,
            n_kv_heads: n_heads,
            hidden_dim: config.size_or("n_inner", Some(4 * dim))?,
            max_seq_len: config.size_or("n_positions", Some(1024))?,
            vocab_size: config.size("vocab_size")?,
            norm_eps: config.number_or("layer_norm_epsilon", 1e-5),
            rope_theta: 0.0,
            biases: true,
            tied_output: config.flag_or("tie_word_embeddings", true),
            dropout: 0.0,
            init: Init::Gpt2,
        };
        Ok((model, notes))
    }

    fn export<'t>(&self, model: &ModelConfig, tensor: &'t NamedTensor) -> Vec<Turned<'t>> {
        let (name, shape) = (&tensor.name, &tensor.shape);
        let layer = name.strip_suffix(".weight");
        let mut tensors = vec![match is_linear(name) {
            true => {
                let turned = transposed(&tensor.data, shape[0], shape[1]);
                (name.clone(), vec![shape[1], shape[0]], Cow::Owned(turned))
            }
            false => (name.clone(), shape.clone(), Cow::Borrowed(&tensor.data[..])),
        }];
        let layer =
            layer.filter(|layer| !model.biases && (is_linear(name) || layer.contains("ln_")));
        tensors.extend(layer.map(|layer| {
            let zeros = vec![0.0; shape[0]];
            (format!("{layer}.bias"), vec![shape[0]], Cow::Owned(zeros))
        }));
        tensors
    }

    fn import(
        &self,
        _: &ModelConfig,
        name: &str,
        shape: &[usize],
        theirs: &mut Tensors,
    ) -> Result<Vec<f32>, String> {
        // Some files, including the first published ones, hold only the inner model.
        let short = name.strip_prefix("transformer.").unwrap_or(name);
        let name_there = match theirs.0.contains_key(name) {
            true => name,
            false => short,
        };
        match is_linear(name) && name.ends_with(".weight") {
            true => {
                let values = theirs.take(name_there, &[shape[1], shape[0]])?;
                Ok(transposed(&values, shape[1], shape[0]))
            }
            false => theirs.take(name_there, shape),
        }
    }

    fn notes(&self) -> [(&'static str, &'static str); 3] {
        [
            ("format", "pt"),
            ("linear_layout", "in,out"),
            ("rotary_pairs", "none"),
        ]
    }
}

fn is_linear(name: &str) -> bool {
    let layer = name.strip_suffix(".weight");
    layer.is_some_and(|layer| LINEAR.iter().any(|linear| layer.ends_with(linear)))
}

/// Transposes `(rows, cols)` to `(cols, rows)`.
fn transposed(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
    let mut out = Vec::with_capacity(values.len());
    for col in 0..cols {
        out.extend((0..rows).map(|row| values[row * cols + col]));
    }
    out
}
