//! GGUF, the file format of llama.cpp: settings, tokenizer and tensors in one file, in f32, f16 or Q8_0.
//!
//! Magic, version, numbers of tensors and settings; the settings; name, sizes (innermost first), type and offset of
//! each tensor; the values, each tensor at a multiple of 32 bytes. Like us, llama.cpp rotates LLaMA's adjacent pairs,
//! so no rows are permuted.
//!
//! GPT-2 models are refused: llama.cpp computes them with the tanh form of GELU, using an f16 table.

use super::{Folder, Format, InteropError, Portable};
use crate::choices::{Arch, ModelConfig};
use crate::data::{Spelling, TextTokenizer, TokenKind, TokenTable};
use crate::weights::{NamedTensor, Weights, half};
use std::io::{self, Write};

/// Values of a Q8_0 block.
const BLOCK: usize = 32;
/// Alignment of tensors in bytes.
const ALIGNMENT: usize = 32;

/// Precision of stored matrices; vectors are always f32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precision {
    /// Unchanged.
    F32,
    /// Rounded to half precision.
    F16,
    /// Blocks of 32 values: 8-bit numbers and an f16 factor.
    Q8,
}

impl Precision {
    /// The values after rounding.
    fn rounded(self, values: &[f32]) -> Vec<f32> {
        match self {
            Self::F32 => values.to_vec(),
            Self::F16 => values
                .iter()
                .map(|value| half::widen(half::narrow(*value)))
                .collect(),
            Self::Q8 => values
                .chunks(BLOCK)
                .flat_map(|block| {
                    let (factor, numbers) = quantized(block);
                    let factor = half::widen(factor);
                    numbers
                        .into_iter()
                        .map(move |number| f32::from(number) * factor)
                })
                .collect(),
        }
    }

    /// Number of the type in tensors and in `general.file_type`.
    fn numbers(self) -> (u32, u32) {
        match self {
            Self::F32 => (0, 0),
            Self::F16 => (1, 1),
            Self::Q8 => (8, 7),
        }
    }

    fn bytes(self, count: usize) -> usize {
        match self {
            Self::F32 => 4 * count,
            Self::F16 => 2 * count,
            Self::Q8 => count / BLOCK * (BLOCK + 2),
        }
    }

    fn write(self, values: &[f32], out: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(self.bytes(values.len()));
        match self {
            Self::F32 => bytes.extend(values.iter().flat_map(|value| value.to_le_bytes())),
            Self::F16 => bytes.extend(
                values
                    .iter()
                    .flat_map(|value| half::narrow(*value).to_le_bytes()),
            ),
            Self::Q8 => {
                for block in values.chunks(BLOCK) {
                    let (factor, numbers) = quantized(block);
                    bytes.extend(factor.to_le_bytes());
                    bytes.extend(numbers.iter().map(|number| *number as u8));
                }
            }
        }
        out.write_all(&bytes)
    }
}

/// Factor (f16) and 8-bit numbers of a block: the largest magnitude becomes 127.
fn quantized(block: &[f32]) -> (u16, Vec<i8>) {
    let most = block
        .iter()
        .fold(0.0f32, |most, value| most.max(value.abs()));
    let factor = most / 127.0;
    let inverse = if factor == 0.0 { 0.0 } else { 1.0 / factor };
    let numbers = block.iter().map(|value| (value * inverse).round() as i8);
    (half::narrow(factor), numbers.collect())
}

/// The format in one precision.
pub struct Gguf(pub Precision);

impl Format for Gguf {
    fn name(&self) -> &'static str {
        match self.0 {
            Precision::F32 => "gguf",
            Precision::F16 => "gguf-f16",
            Precision::Q8 => "gguf-q8_0",
        }
    }

    fn about(&self) -> &'static str {
        match self.0 {
            Precision::F32 => "A file for llama.cpp in f32; LLaMA models only.",
            Precision::F16 => "The same with matrices in f16.",
            Precision::Q8 => "The same with matrices in Q8_0, about 8.5 bits per value.",
        }
    }

    fn files(&self, _: &Portable<'_>) -> Vec<&'static str> {
        vec!["model.gguf"]
    }

    fn write(
        &self,
        model: &Portable<'_>,
        out: &mut Folder<'_>,
    ) -> Result<Vec<String>, InteropError> {
        let config = model.model;
        let refused =
            |what: &str| InteropError::refused("gguf", what).hint("`--to hf` supports every model");
        if config.arch != Arch::Llama {
            let what = format!(
                "a model of the architecture `{}` (llama.cpp computes GELU by an approximation)",
                config.arch.name()
            );
            return Err(refused(&what));
        }
        let table = model.tokenizer.table().map_err(|what| refused(&what))?;
        let mut notes = Vec::new();
        let tokenizer = tokenizer(model.tokenizer, &table, config, &mut notes)
            .map_err(|what| refused(&what))?;
        let settings = [settings(model, self.0), tokenizer].concat();
        let tensors: Vec<Stored<'_>> = model
            .weights
            .0
            .iter()
            .map(|tensor| Stored::of(tensor, self.0))
            .collect::<Result<_, _>>()
            .map_err(|what| refused(&what))?;
        let narrowed = tensors
            .iter()
            .filter(|stored| stored.tensor.shape.len() > 1 && stored.precision != self.0)
            .count();
        if narrowed > 0 {
            notes.push(format!(
                "{narrowed} matrices stay in f32: their rows are not a multiple of {BLOCK} values"
            ));
        }
        out.put("model.gguf", |out| write_file(&settings, &tensors, out))?;
        Ok(notes)
    }

    fn rounded(&self, weights: &Weights) -> Option<Weights> {
        if self.0 == Precision::F32 {
            return None;
        }
        let tensors = weights.0.iter().map(|tensor| {
            let precision = precision(tensor, self.0);
            NamedTensor {
                data: precision.rounded(&tensor.data),
                ..tensor.clone()
            }
        });
        Some(Weights(tensors.collect()))
    }
}

fn precision(tensor: &NamedTensor, wanted: Precision) -> Precision {
    let fits = wanted != Precision::Q8
        || tensor
            .shape
            .last()
            .is_some_and(|size| size.is_multiple_of(BLOCK));
    match tensor.shape.len() > 1 && fits {
        true => wanted,
        false => Precision::F32,
    }
}

/// A tensor with its name in the file.
struct Stored<'a> {
    name: String,
    tensor: &'a NamedTensor,
    precision: Precision,
}

impl<'a> Stored<'a> {
    fn of(tensor: &'a NamedTensor, wanted: Precision) -> Result<Self, String> {
        Ok(Self {
            name: name(&tensor.name).ok_or_else(|| format!("the tensor `{}`", tensor.name))?,
            tensor,
            precision: precision(tensor, wanted),
        })
    }
}

/// llama.cpp's name for one of our tensors.
fn name(ours: &str) -> Option<String> {
    let part = ours.strip_suffix(".weight")?;
    let Some(rest) = part.strip_prefix("model.layers.") else {
        let name = match part {
            "model.embed_tokens" => "token_embd",
            "model.norm" => "output_norm",
            "lm_head" => "output",
            _ => return None,
        };
        return Some(format!("{name}.weight"));
    };
    let (layer, part) = rest.split_once('.')?;
    let part = match part {
        "input_layernorm" => "attn_norm",
        "self_attn.q_proj" => "attn_q",
        "self_attn.k_proj" => "attn_k",
        "self_attn.v_proj" => "attn_v",
        "self_attn.o_proj" => "attn_output",
        "post_attention_layernorm" => "ffn_norm",
        "mlp.gate_proj" => "ffn_gate",
        "mlp.up_proj" => "ffn_up",
        "mlp.down_proj" => "ffn_down",
        _ => return None,
    };
    Some(format!("blk.{layer}.{part}.weight"))
}

/// A value of a setting.
#[derive(Clone)]
enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
    Floats(Vec<f32>),
    Ints(Vec<i32>),
}

impl Value {
    /// Number of the type and, for a list, of its entries' type.
    fn kind(&self) -> (u32, Option<u32>) {
        match self {
            Self::U32(_) => (4, None),
            Self::F32(_) => (6, None),
            Self::Bool(_) => (7, None),
            Self::Text(_) => (8, None),
            Self::Texts(_) => (9, Some(8)),
            Self::Floats(_) => (9, Some(6)),
            Self::Ints(_) => (9, Some(5)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let (kind, entries) = self.kind();
        out.extend(kind.to_le_bytes());
        out.extend(entries.iter().flat_map(|kind| kind.to_le_bytes()));
        let length = |out: &mut Vec<u8>, count: usize| out.extend((count as u64).to_le_bytes());
        match self {
            Self::U32(value) => out.extend(value.to_le_bytes()),
            Self::F32(value) => out.extend(value.to_le_bytes()),
            Self::Bool(value) => out.push(u8::from(*value)),
            Self::Text(text) => write_text(text, out),
            Self::Texts(texts) => {
                length(out, texts.len());
                texts.iter().for_each(|text| write_text(text, out));
            }
            Self::Floats(values) => {
                length(out, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Ints(values) => {
                length(out, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
        }
    }
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

type Settings = Vec<(&'static str, Value)>;

fn settings(model: &Portable<'_>, precision: Precision) -> Settings {
    let config = model.model;
    let size = |size: usize| Value::U32(size as u32);
    vec![
        ("general.architecture", Value::Text("llama".to_owned())),
        ("general.name", Value::Text(model.card.title.clone())),
        ("general.alignment", size(ALIGNMENT)),
        ("general.quantization_version", Value::U32(2)),
        ("general.file_type", Value::U32(precision.numbers().1)),
        ("llama.vocab_size", size(config.vocab_size)),
        ("llama.context_length", size(config.max_seq_len)),
        ("llama.embedding_length", size(config.dim)),
        ("llama.block_count", size(config.n_layers)),
        ("llama.feed_forward_length", size(config.hidden_dim)),
        ("llama.attention.head_count", size(config.n_heads)),
        ("llama.attention.head_count_kv", size(config.n_kv_heads)),
        (
            "llama.attention.layer_norm_rms_epsilon",
            Value::F32(config.norm_eps as f32),
        ),
        ("llama.rope.dimension_count", size(config.head_dim())),
        ("llama.rope.freq_base", Value::F32(config.rope_theta as f32)),
    ]
}

/// llama.cpp's rules that cut words like a `tokenizer.json`, each recognised by a distinctive part of the regular
/// expression.
const WORDS: [(&str, &str); 2] = [
    (r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*", "llama-bpe"),
    (r"[\r\n/]*", "gpt-4o"),
];

/// The tokenizer's settings.
fn tokenizer(
    tokenizer: &TextTokenizer,
    table: &TokenTable,
    config: &ModelConfig,
    notes: &mut Vec<String>,
) -> Result<Settings, String> {
    let mut texts: Vec<String> = table
        .tokens
        .iter()
        .map(|token| token.text.clone())
        .collect();
    let mut kinds: Vec<i32> = table.tokens.iter().map(|token| kind(token.kind)).collect();
    let mut scores: Vec<f32> = table.tokens.iter().map(|token| token.score).collect();
    // Rows of the embedding without a token.
    for id in texts.len()..config.vocab_size {
        texts.push(format!("<unused {id}>"));
        kinds.push(kind(TokenKind::Unused));
        scores.push(-1e9);
    }
    let (model, mut more): (_, Settings) = match &table.spelling {
        Spelling::Pieces {
            merges: true,
            adds_space,
        } => {
            let list = ("tokenizer.ggml.scores", Value::Floats(scores));
            (
                "llama",
                vec![
                    list,
                    ("tokenizer.ggml.add_space_prefix", Value::Bool(*adds_space)),
                ],
            )
        }
        Spelling::Pieces { merges: false, .. } => {
            return Err(
                "a tokenizer that takes the most likely cut (SentencePiece's unigram)".to_owned(),
            );
        }
        Spelling::Bytes { words } => {
            let rule = match words {
                None => "gpt-2",
                Some(words) => match WORDS.iter().find(|(piece, _)| words.contains(piece)) {
                    Some((_, rule)) => rule,
                    None => {
                        notes.push("llama.cpp has no rule that cuts words like this tokenizer, so it may encode a prompt differently".to_owned());
                        "default"
                    }
                },
            };
            let merges = table
                .merges
                .iter()
                .map(|[left, right]| format!("{left} {right}"));
            let merges = ("tokenizer.ggml.merges", Value::Texts(merges.collect()));
            (
                "gpt2",
                vec![merges, ("tokenizer.ggml.pre", Value::Text(rule.to_owned()))],
            )
        }
    };
    let mut settings = vec![
        ("tokenizer.ggml.model", Value::Text(model.to_owned())),
        ("tokenizer.ggml.tokens", Value::Texts(texts)),
        ("tokenizer.ggml.token_type", Value::Ints(kinds)),
        ("tokenizer.ggml.bos_token_id", Value::U32(tokenizer.bos())),
        ("tokenizer.ggml.eos_token_id", Value::U32(tokenizer.eos())),
        ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ("tokenizer.ggml.add_eos_token", Value::Bool(false)),
    ];
    settings.extend(
        tokenizer
            .pad()
            .map(|pad| ("tokenizer.ggml.padding_token_id", Value::U32(pad))),
    );
    let unknown = table
        .tokens
        .iter()
        .position(|token| token.kind == TokenKind::Unknown);
    settings.extend(unknown.map(|id| ("tokenizer.ggml.unknown_token_id", Value::U32(id as u32))));
    settings.append(&mut more);
    Ok(settings)
}

/// The number of a kind of token.
fn kind(kind: TokenKind) -> i32 {
    match kind {
        TokenKind::Normal => 1,
        TokenKind::Unknown => 2,
        TokenKind::Control => 3,
        TokenKind::UserDefined => 4,
        TokenKind::Unused => 5,
        TokenKind::Byte => 6,
    }
}

fn write_file(settings: &Settings, tensors: &[Stored<'_>], out: &mut dyn Write) -> io::Result<()> {
    let mut head = b"GGUF".to_vec();
    head.extend(3u32.to_le_bytes());
    head.extend((tensors.len() as u64).to_le_bytes());
    head.extend((settings.len() as u64).to_le_bytes());
    for (name, value) in settings {
        write_text(name, &mut head);
        value.write(&mut head);
    }
    let mut place = 0;
    for stored in tensors {
        write_text(&stored.name, &mut head);
        head.extend((stored.tensor.shape.len() as u32).to_le_bytes());
        let sizes = stored.tensor.shape.iter().rev();
        head.extend(sizes.flat_map(|size| (*size as u64).to_le_bytes()));
        head.extend(stored.precision.numbers().0.to_le_bytes());
        head.extend((place as u64).to_le_bytes());
        place += stored
            .precision
            .bytes(stored.tensor.data.len())
            .next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT), 0);
    out.write_all(&head)?;
    for stored in tensors {
        stored.precision.write(&stored.tensor.data, out)?;
        let bytes = stored.precision.bytes(stored.tensor.data.len());
        let padding = bytes.next_multiple_of(ALIGNMENT) - bytes;
        out.write_all(&[0; ALIGNMENT][..padding])?;
    }
    Ok(())
}
