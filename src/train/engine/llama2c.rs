//! Reads a model of llama2.c's first checkpoint format (`export.py` version 0).
//!
//! Seven little-endian i32 (dim, hidden dim, layers, heads, key/value heads, vocabulary, longest sequence; a negative vocabulary means
//! an output matrix of its own), then f32 values: embedding; for all layers together attention norms, wq, wk, wv, wo, feed-forward
//! norms, w1 (gate), w2 (down), w3 (up); final norm; two rotary tables of `longest · head_dim / 2` (not used); the output matrix, where
//! it is not the embedding. Rotary pairs are adjacent, as here.

use super::layout::Layout;
use crate::spec::{Arch, Init, ModelConfig};
use crate::train::{TrainError, Weights};
use std::collections::BTreeMap;

/// Decodes the model and its weights.
///
/// # Errors
/// A header that makes no sense; fewer or more values than it asks for.
pub fn read(bytes: &[u8]) -> Result<(ModelConfig, Weights), TrainError> {
    let wrong = |what: &str| TrainError::Weights(format!("not a llama2.c checkpoint: {what}"));
    let words: Vec<[u8; 4]> = bytes
        .chunks_exact(4)
        .filter_map(|chunk| chunk.try_into().ok())
        .collect();
    let Some((header, values)) = words.split_at_checked(7) else {
        return Err(wrong("the header is cut off"));
    };
    let header: Vec<i64> = header
        .iter()
        .map(|word| i64::from(i32::from_le_bytes(*word)))
        .collect();
    // Sizes beyond this would overflow the number of parameters; no such model exists.
    let size = |index: usize| match usize::try_from(header[index].abs()) {
        Ok(size @ 1..=1_000_000) if index == 5 || header[index] > 0 => Ok(size),
        _ => Err(wrong("a size of the header is out of range")),
    };
    let config = ModelConfig {
        arch: Arch::Llama,
        dim: size(0)?,
        n_layers: size(2)?,
        n_heads: size(3)?,
        n_kv_heads: size(4)?,
        hidden_dim: size(1)?,
        max_seq_len: size(6)?,
        vocab_size: size(5)?,
        norm_eps: 1e-5,
        rope_theta: 10_000.0,
        biases: false,
        tied_output: header[5] > 0,
        dropout: 0.0,
        init: Init::XavierNormal,
    };
    if !config.dim.is_multiple_of(config.n_heads)
        || !config.n_heads.is_multiple_of(config.n_kv_heads)
    {
        return Err(wrong("the numbers of heads do not divide the width"));
    }
    let tables = 2 * config.max_seq_len * (config.head_dim() / 2);
    if config.parameters() + tables != values.len() {
        return Err(wrong("the number of values is not that of its header"));
    }
    let mut rest = values;
    let mut take = |count: usize| -> Vec<f32> {
        let (now, later) = rest.split_at(count.min(rest.len()));
        rest = later;
        now.iter().map(|word| f32::from_le_bytes(*word)).collect()
    };
    let lists = lists(&config, tables, &mut take);
    let layout = Layout::new(&config);
    let ordered = layout
        .parts()
        .map(|part| lists.get(&part.name).cloned().unwrap_or_default())
        .collect();
    let weights = layout.named(ordered);
    layout.arranged(&weights)?;
    Ok((config, weights))
}

/// Values by name, taken in the file's order.
fn lists(
    config: &ModelConfig,
    tables: usize,
    take: &mut dyn FnMut(usize) -> Vec<f32>,
) -> BTreeMap<String, Vec<f32>> {
    let (d, f) = (config.dim, config.hidden_dim);
    let kv = config.n_kv_heads * config.head_dim();
    let mut lists = BTreeMap::new();
    lists.insert(
        "model.embed_tokens.weight".to_owned(),
        take(config.vocab_size * d),
    );
    let kinds = [
        ("input_layernorm", d),
        ("self_attn.q_proj", d * d),
        ("self_attn.k_proj", kv * d),
        ("self_attn.v_proj", kv * d),
        ("self_attn.o_proj", d * d),
        ("post_attention_layernorm", d),
        ("mlp.gate_proj", f * d),
        ("mlp.down_proj", d * f),
        ("mlp.up_proj", f * d),
    ];
    for (kind, count) in kinds {
        for layer in 0..config.n_layers {
            lists.insert(format!("model.layers.{layer}.{kind}.weight"), take(count));
        }
    }
    lists.insert("model.norm.weight".to_owned(), take(d));
    take(tables);
    if !config.tied_output {
        lists.insert("lm_head.weight".to_owned(), take(config.vocab_size * d));
    }
    lists
}
