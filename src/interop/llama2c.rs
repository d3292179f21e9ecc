//! llama2.c's first checkpoint format (`export.py` version 0) and its tokenizer file.
//!
//! Seven little-endian i32 (dim, hidden dim, layers, heads, key/value heads, vocabulary, longest sequence; a negative
//! vocabulary means an untied output matrix), then f32 values: embedding; for all layers together attention norms, wq,
//! wk, wv, wo, feed-forward norms, w1 (gate), w2 (down), w3 (up); final norm; two rotary tables of `longest · head_dim
//! / 2` (unused); the output matrix, if untied. Rotary pairs are adjacent, as here.
//!
//! llama2.c's `run` begins every text with id 1 and ends it at that id: if the tokenizer's begin-of-text id is
//! different, the two are swapped in the exported vocabulary.

use super::{Folder, Foreign, Format, InteropError, Portable, assembled, read_file};
use crate::choices::{Arch, Init, ModelConfig};
use crate::data::{Spelling, TextTokenizer, Token, TokenKind, TokenizerHead};
use crate::weights::Weights;
use std::collections::BTreeMap;
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

/// The id that begins and ends a text in llama2.c.
const BOS: usize = 1;
/// Length of the header, in bytes.
const HEADER: usize = 28;
/// Maximum size of a checkpoint, bytes.
const LIMIT: u64 = 64 << 30;

/// The format.
pub struct Llama2c;

impl Format for Llama2c {
    fn name(&self) -> &'static str {
        "llama2c"
    }

    fn about(&self) -> &'static str {
        "llama2.c's `model.bin` (version 0) and `tokenizer.bin`; LLaMA models only."
    }

    fn files(&self, _: &Portable<'_>) -> Vec<&'static str> {
        vec!["model.bin", "tokenizer.bin"]
    }

    fn write(
        &self,
        model: &Portable<'_>,
        out: &mut Folder<'_>,
    ) -> Result<Vec<String>, InteropError> {
        let config = model.model;
        let refused = |what: String| InteropError::refused("llama2c", what);
        if config.arch != Arch::Llama {
            let what = format!("a model of the architecture `{}`", config.arch.name());
            return Err(refused(what).hint("`--to hf` supports every model"));
        }
        if (config.norm_eps - 1e-5).abs() > 1e-12 || config.rope_theta != 10_000.0 {
            let what = format!(
                "a model with `norm_eps: {}` and `rope_theta: {}` (llama2.c computes with 1e-5 and 10000)",
                config.norm_eps, config.rope_theta
            );
            return Err(refused(what).hint("`--to hf` supports every model"));
        }
        let table = model.tokenizer.table().map_err(refused)?;
        if config.vocab_size <= BOS {
            return Err(refused("a vocabulary of one entry".to_owned()));
        }
        let bos = model.tokenizer.bos() as usize;
        out.put("model.bin", |out| {
            write_model(config, model.weights, bos, out)
        })?;
        out.put("tokenizer.bin", |out| {
            write_tokens(&table.tokens, bos, config.vocab_size, out)
        })?;
        let mut notes = Vec::new();
        if bos != BOS {
            notes.push(format!(
                "llama2.c begins texts with id {BOS}: ids {bos} and {BOS} were swapped"
            ));
        }
        if !matches!(table.spelling, Spelling::Pieces { merges: true, .. }) {
            notes.push(
                "llama2.c cuts prompts by its own rule, so it may encode a prompt differently; generated text is decoded in the same way"
                    .to_owned(),
            );
        }
        Ok(notes)
    }
}

/// Reads a checkpoint and the given tokenizer, or the one beside it.
pub(super) fn open(path: &Path, tokenizer: Option<&Path>) -> Result<Foreign, InteropError> {
    let bytes = read_file(path, length(path)?)?;
    let (model, weights) = read(&bytes).map_err(|reason| InteropError::input(path, reason))?;
    let tokenizer = find_tokenizer(path, tokenizer)?;
    if tokenizer.vocab_size() > model.vocab_size {
        let reason = format!(
            "the model has a vocabulary of {}, its tokenizer one of {}",
            model.vocab_size,
            tokenizer.vocab_size()
        );
        return Err(InteropError::input(path, reason).hint("name the right one with `--tokenizer`"));
    }
    Ok(Foreign {
        model,
        weights,
        tokenizer,
        notes: Vec::new(),
    })
}

fn find_tokenizer(path: &Path, named: Option<&Path>) -> Result<TextTokenizer, InteropError> {
    let beside = ["tokenizer.json", "tokenizer.model", "tokenizer.bin"]
        .map(|name| path.with_file_name(name));
    let found = named
        .map(PathBuf::from)
        .or_else(|| beside.into_iter().find(|file| file.is_file()));
    match found {
        Some(file) => Ok(TextTokenizer::open_any(&file, &TokenizerHead::default())?),
        None => Err(InteropError::input(
            path,
            "there is no `tokenizer.json`, `tokenizer.model` or `tokenizer.bin` beside it",
        )
        .hint("put it there, or name it once: `specbook import PATH --tokenizer FILE`")),
    }
}

/// Checks the length of a checkpoint against its header before the file is read as a whole; returns the length
/// in bytes.
fn length(path: &Path) -> Result<u64, InteropError> {
    let failed = |error: io::Error| InteropError::input(path, error.to_string());
    let file = crate::fsx::open_regular(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?.len();
    let mut header = Vec::new();
    let read = file.take(HEADER as u64).read_to_end(&mut header);
    read.map_err(failed)?;
    if header.starts_with(b"PK\x03\x04") || header.starts_with(b"\x80\x02") {
        return Err(InteropError::pickle(path));
    }
    let config = config(&header).map_err(|reason| InteropError::input(path, reason))?;
    let expected = (HEADER + 4 * count(&config)) as u64;
    match found > expected {
        true => Err(InteropError::input(path, wrong(COUNT))),
        false => Ok(expected),
    }
}

/// Number of values in the checkpoint of a model.
fn count(config: &ModelConfig) -> usize {
    config.parameters() + 2 * table(config)
}

/// Parses the header of a checkpoint.
fn config(header: &[u8]) -> Result<ModelConfig, String> {
    let header = header
        .get(..HEADER)
        .ok_or_else(|| wrong("the header is truncated"))?;
    let header: Vec<i64> = words(header)
        .map(|word| i64::from(i32::from_le_bytes(word)))
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
        || !config.head_dim().is_multiple_of(2)
    {
        return Err(wrong("the numbers of heads do not divide the width"));
    }
    let (d, layers) = (config.dim as u128, config.n_layers as u128);
    let most = layers * (4 * d * d + 3 * d * config.hidden_dim as u128 + 2 * d);
    if most > u128::from(LIMIT) {
        return Err(wrong(COUNT));
    }
    Ok(config)
}

/// The error for a file that is too long or too short.
const COUNT: &str = "the number of values does not match its header";

fn wrong(what: &str) -> String {
    format!("not a checkpoint of llama2.c: {what}")
}

/// Decodes the model and its weights.
///
/// # Errors
/// A description, for an invalid header or a wrong number of values.
pub fn read(bytes: &[u8]) -> Result<(ModelConfig, Weights), String> {
    let config = config(bytes)?;
    let values = &bytes[HEADER..];
    if 4 * count(&config) != values.len() {
        return Err(wrong(COUNT));
    }
    let mut at = 0;
    let mut places = BTreeMap::new();
    for (name, count) in order(&config) {
        places.insert(name, at..at + 4 * count);
        at += 4 * count;
    }
    let weights = assembled(&config, |name, _| {
        let place = places.get(name).cloned().unwrap_or_default();
        Ok(words(&values[place]).map(f32::from_le_bytes).collect())
    })?;
    Ok((config, weights))
}

fn words(bytes: &[u8]) -> impl Iterator<Item = [u8; 4]> + '_ {
    bytes
        .chunks_exact(4)
        .filter_map(|word| word.try_into().ok())
}

/// Values of one rotary table.
fn table(config: &ModelConfig) -> usize {
    config.max_seq_len * (config.head_dim() / 2)
}

/// The tensors in the file's order, by name and number of values; the two rotary tables have no names of ours.
fn order(config: &ModelConfig) -> Vec<(String, usize)> {
    let (d, f) = (config.dim, config.hidden_dim);
    let kv = config.n_kv_heads * config.head_dim();
    let embedding = (
        "model.embed_tokens.weight".to_owned(),
        config.vocab_size * d,
    );
    let mut order = vec![embedding];
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
        let layers = 0..config.n_layers;
        order.extend(layers.map(|layer| (format!("model.layers.{layer}.{kind}.weight"), count)));
    }
    order.push(("model.norm.weight".to_owned(), d));
    order.push((COSINES.to_owned(), table(config)));
    order.push((SINES.to_owned(), table(config)));
    if !config.tied_output {
        order.push(("lm_head.weight".to_owned(), config.vocab_size * d));
    }
    order
}

const COSINES: &str = "rotary cosines";
const SINES: &str = "rotary sines";

fn write_model(
    config: &ModelConfig,
    weights: &Weights,
    bos: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let vocabulary = config.vocab_size as i64;
    let sizes = [
        config.dim as i64,
        config.hidden_dim as i64,
        config.n_layers as i64,
        config.n_heads as i64,
        config.n_kv_heads as i64,
        if config.tied_output {
            vocabulary
        } else {
            -vocabulary
        },
        config.max_seq_len as i64,
    ];
    for size in sizes {
        let size = i32::try_from(size).map_err(io::Error::other)?;
        out.write_all(&size.to_le_bytes())?;
    }
    for (name, count) in order(config) {
        if name == COSINES || name == SINES {
            let half = config.head_dim() / 2;
            for index in 0..count {
                let (position, pair) = (index / half, index % half);
                let turn = libm::pow(
                    config.rope_theta,
                    -2.0 * pair as f64 / config.head_dim() as f64,
                );
                let angle = position as f64 * turn;
                let value = if name == COSINES {
                    libm::cos(angle)
                } else {
                    libm::sin(angle)
                };
                out.write_all(&(value as f32).to_le_bytes())?;
            }
            continue;
        }
        let tensor = weights.0.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| io::Error::other(format!("`{name}` is missing")))?;
        let is_vocabulary = name.ends_with("embed_tokens.weight") || name == "lm_head.weight";
        for (row, values) in tensor.data.chunks(config.dim).enumerate() {
            let values = match is_vocabulary {
                true => &tensor.data[swapped(row, bos) * config.dim..][..config.dim],
                false => values,
            };
            for value in values {
                out.write_all(&value.to_le_bytes())?;
            }
        }
    }
    Ok(())
}

/// The exported id of `id`, if texts begin with `bos` here.
fn swapped(id: usize, bos: usize) -> usize {
    match id {
        BOS => bos,
        _ if id == bos => BOS,
        _ => id,
    }
}

/// The tokenizer file: longest token; per id a score, a length and the bytes.
fn write_tokens(
    tokens: &[Token],
    bos: usize,
    vocabulary: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let texts: Vec<Vec<u8>> = tokens.iter().map(text_of).collect();
    let longest = texts.iter().map(Vec::len).max().unwrap_or(0);
    out.write_all(&(longest as u32).to_le_bytes())?;
    for id in 0..vocabulary {
        let id = swapped(id, bos);
        let empty = Vec::new();
        let text = texts.get(id).unwrap_or(&empty);
        let score = tokens.get(id).map_or(-1e9, |token| token.score);
        out.write_all(&score.to_le_bytes())?;
        out.write_all(&(text.len() as i32).to_le_bytes())?;
        out.write_all(text)?;
    }
    Ok(())
}

/// A token as llama2.c prints it: a byte that is not a character by itself is written by name, since the program prints
/// no others.
fn text_of(token: &Token) -> Vec<u8> {
    match token.bytes[..] {
        _ if token.kind == TokenKind::Control => [b"\n", &token.bytes[..], b"\n"].concat(),
        [byte]
            if token.kind == TokenKind::Byte
                || !(byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
        {
            format!("<0x{byte:02X}>").into_bytes()
        }
        _ => token.bytes.clone(),
    }
}
