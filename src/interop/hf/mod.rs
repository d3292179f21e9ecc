//! Hugging Face folders: `config.json`, `model.safetensors` (or shards), `generation_config.json`, `tokenizer.json`,
//! `tokenizer_config.json`, and a model card.
//!
//! The names and layouts of each architecture's tensors are in a separate file; [`KINDS`] lists them.

mod card;
mod gpt2;
mod llama;

use super::{Folder, Foreign, Format, InteropError, Portable, assembled, read_file};
use crate::choices::{Arch, ModelConfig};
use crate::data::{TextTokenizer, TokenizerHead};
use crate::weights::file::{TensorRef, read_any, write_noted};
use crate::weights::{NamedTensor, Weights};
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// Maximum size of a JSON file, bytes.
const JSON_LIMIT: u64 = 64 << 20;
/// Maximum size of a weights file, bytes.
const WEIGHTS_LIMIT: u64 = 256 << 30;
/// The files of an exported folder.
const FILES: [&str; 6] = [
    "config.json",
    "model.safetensors",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "README.md",
];

/// An architecture in `transformers`.
trait Kind {
    /// The architecture here.
    fn arch(&self) -> Arch;

    /// `model_type` in `config.json`.
    fn model_type(&self) -> &'static str;

    /// `config.json`, without the fields common to all models.
    fn config(&self, model: &ModelConfig) -> Value;

    /// Reads `config.json`; returns the model, as far as the file describes it, and notes on computational
    /// differences.
    ///
    /// # Errors
    /// A description of an unsupported setting.
    fn model(&self, config: &Config) -> Result<(ModelConfig, Vec<String>), String>;

    /// The tensors that represent our `tensor`.
    fn export<'t>(&self, model: &ModelConfig, tensor: &'t NamedTensor) -> Vec<Turned<'t>>;

    /// The values of our tensor `name` with this shape, from theirs.
    ///
    /// # Errors
    /// A description, for a tensor that is missing or has another shape.
    fn import(
        &self,
        model: &ModelConfig,
        name: &str,
        shape: &[usize],
        theirs: &mut Tensors,
    ) -> Result<Vec<f32>, String>;

    /// Layout notes for the metadata of the file.
    fn notes(&self) -> [(&'static str, &'static str); 3];
}

/// All architectures.
const KINDS: [&dyn Kind; 2] = [&llama::Llama, &gpt2::Gpt2];

/// An exported tensor: name, sizes, values.
type Turned<'t> = (String, Vec<usize>, Cow<'t, [f32]>);

/// The format.
pub struct HuggingFace;

impl Format for HuggingFace {
    fn name(&self) -> &'static str {
        "hf"
    }

    fn about(&self) -> &'static str {
        "A folder that Hugging Face's `transformers` loads."
    }

    fn files(&self, _: &Portable<'_>) -> Vec<&'static str> {
        FILES.to_vec()
    }

    fn write(
        &self,
        model: &Portable<'_>,
        out: &mut Folder<'_>,
    ) -> Result<Vec<String>, InteropError> {
        let config = model.model;
        let kind = KINDS.iter().find(|kind| kind.arch() == config.arch);
        let Some(kind) = kind else {
            let what = format!("a model of the architecture `{}`", config.arch.name());
            return Err(InteropError::refused("hf", what));
        };
        let tokenizer = model.tokenizer;
        let portable = tokenizer.portable_json();
        let (json, note) = portable.map_err(|what| InteropError::refused("hf", what))?;
        let names = tokenizer.names();
        let ids = [
            ("bos_token_id", Some(tokenizer.bos())),
            ("eos_token_id", Some(tokenizer.eos())),
            ("pad_token_id", tokenizer.pad()),
        ];
        let ids: Map<String, Value> = ids
            .into_iter()
            .filter_map(|(name, id)| Some((name.to_owned(), json!(id?))))
            .collect();
        let mut full = kind.config(config);
        let common = json!({
            "model_type": kind.model_type(), "vocab_size": config.vocab_size, "tie_word_embeddings": config.tied_output,
            "initializer_range": 0.02, "use_cache": true, "torch_dtype": "float32", "dtype": "float32",
        });
        let common = common.as_object().cloned().unwrap_or_default();
        if let Value::Object(full) = &mut full {
            full.extend(common);
            full.extend(ids.clone());
        }
        out.put_bytes("config.json", pretty(&full).as_bytes())?;
        let tensors = model
            .weights
            .0
            .iter()
            .flat_map(|tensor| kind.export(config, tensor));
        let tensors: Vec<Turned<'_>> = tensors.collect();
        let tensors: Vec<TensorRef<'_>> = tensors
            .iter()
            .map(|(name, shape, data)| TensorRef {
                name: name.clone(),
                shape: shape.clone(),
                data,
            })
            .collect();
        out.put("model.safetensors", |out| {
            write_noted(&kind.notes(), &tensors, out)
        })?;
        let mut generation = ids;
        generation.insert("_from_model_config".to_owned(), json!(true));
        out.put_bytes(
            "generation_config.json",
            pretty(&Value::Object(generation)).as_bytes(),
        )?;
        out.put_bytes("tokenizer.json", &json)?;
        let mut settings = Map::new();
        for (name, value) in [
            ("bos_token", names.bos),
            ("eos_token", names.eos),
            ("pad_token", names.pad),
            ("unk_token", names.unknown),
        ] {
            settings.extend(value.map(|value| (name.to_owned(), json!(value))));
        }
        settings.extend([
            (
                "tokenizer_class".to_owned(),
                json!("PreTrainedTokenizerFast"),
            ),
            ("model_max_length".to_owned(), json!(config.max_seq_len)),
            ("clean_up_tokenization_spaces".to_owned(), json!(false)),
        ]);
        out.put_bytes(
            "tokenizer_config.json",
            pretty(&Value::Object(settings)).as_bytes(),
        )?;
        out.put_bytes("README.md", card::text(model).as_bytes())?;
        Ok(note.into_iter().collect())
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// `config.json` of a folder.
struct Config(Map<String, Value>);

impl Config {
    fn size(&self, name: &str) -> Result<usize, String> {
        self.size_or(name, None)
    }

    /// A size, or its default if missing.
    fn size_or(&self, name: &str, default: Option<usize>) -> Result<usize, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => default.ok_or_else(|| format!("`{name}` is missing")),
            Some(value) => {
                let size = value.as_u64().and_then(|size| usize::try_from(size).ok());
                // Sizes beyond this would overflow the number of parameters; no such model exists.
                let size = size.filter(|size| (1..=100_000_000).contains(size));
                size.ok_or_else(|| format!("`{name}` is {value}, not a size"))
            }
        }
    }

    fn number_or(&self, name: &str, default: f64) -> f64 {
        self.0.get(name).and_then(Value::as_f64).unwrap_or(default)
    }

    fn flag_or(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Refuses a present setting whose value is not in `allowed`.
    fn only(&self, name: &str, allowed: &[Value]) -> Result<(), String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(()),
            Some(found) if allowed.contains(found) => Ok(()),
            Some(found) => Err(format!("`{name}: {found}` is not supported")),
        }
    }
}

/// The tensors of a folder, by name.
struct Tensors(BTreeMap<String, NamedTensor>);

impl Tensors {
    /// Takes the tensor `name`, which must have this shape.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let tensor = self
            .0
            .remove(name)
            .ok_or_else(|| format!("the tensor `{name}` is missing"))?;
        if tensor.shape != shape {
            return Err(format!(
                "`{name}` has the shape {:?}, `config.json` asks for {shape:?}",
                tensor.shape
            ));
        }
        Ok(tensor.data)
    }
}

/// Reads a folder.
pub(super) fn read(folder: &Path, tokenizer: Option<&Path>) -> Result<Foreign, InteropError> {
    let path = folder.join("config.json");
    let refused = |reason: String| InteropError::input(&path, reason);
    let config = Config(object(&path)?);
    let model_type = config.text("model_type").unwrap_or_default();
    let kind = KINDS.iter().find(|kind| kind.model_type() == model_type);
    let kind = kind.ok_or_else(|| {
        let known: Vec<String> = KINDS
            .iter()
            .map(|kind| format!("`{}`", kind.model_type()))
            .collect();
        refused(format!(
            "`model_type` is `{model_type}`; {} are read",
            known.join(" and ")
        ))
    })?;
    config.only("quantization_config", &[]).map_err(refused)?;
    let (mut model, mut notes) = kind.model(&config).map_err(refused)?;
    let mut tensors = tensors(folder, most_bytes(&model))?;
    if tensors.0.contains_key("lm_head.weight") && model.tied_output {
        tensors.0.remove("lm_head.weight");
    }
    if model.biases
        && tensors.0.iter().all(|(name, tensor)| {
            !name.ends_with(".bias") || tensor.data.iter().all(|value| *value == 0.0)
        })
    {
        // Exported from a model without biases.
        tensors.0.retain(|name, _| !name.ends_with(".bias"));
        model.biases = false;
    }
    let weights = assembled(&model, |name, shape| {
        kind.import(&model, name, shape, &mut tensors)
    });
    let weights: Weights = weights.map_err(|reason| InteropError::input(folder, reason))?;
    let left = tensors.0.keys().filter(|name| !is_buffer(name));
    let left: Vec<String> = left.map(|name| format!("`{name}`")).collect();
    if let Some(first) = left.first() {
        let reason = format!(
            "the model has no place for {first} and {} more of its tensors",
            left.len() - 1
        );
        return Err(InteropError::input(folder, reason));
    }
    let tokenizer = open_tokenizer(folder, tokenizer)?;
    if tokenizer.vocab_size() > model.vocab_size {
        let reason = format!(
            "its vocabulary has {} entries, that of the model {}",
            tokenizer.vocab_size(),
            model.vocab_size
        );
        return Err(
            InteropError::input(folder, reason).hint("name the right tokenizer with `--tokenizer`")
        );
    }
    notes.extend(tokenizer.notes().iter().cloned());
    Ok(Foreign {
        model,
        weights,
        tokenizer,
        notes,
    })
}

/// Buffers stored beside the weights in old files.
fn is_buffer(name: &str) -> bool {
    [".attn.bias", ".attn.masked_bias", ".rotary_emb.inv_freq"]
        .iter()
        .any(|end| name.ends_with(end))
}

fn object(path: &Path) -> Result<Map<String, Value>, InteropError> {
    let bytes = read_file(path, JSON_LIMIT)?;
    serde_json::from_slice(&bytes).map_err(|error| InteropError::input(path, error.to_string()))
}

/// An upper bound for the size of such a model's weight files, in bytes: twice the size of the weights in f32,
/// the same again for the masks that old files contain, and room for a header.
fn most_bytes(model: &ModelConfig) -> u64 {
    let of = |size: usize| size as u128;
    let (dim, context) = (of(model.dim), of(model.max_seq_len));
    let layer = 4 * dim * dim + 3 * dim * of(model.hidden_dim) + 16 * dim + context * context;
    let values = of(model.n_layers) * layer + (2 * of(model.vocab_size) + context) * dim;
    u64::try_from(8 * values + (64 << 20)).map_or(WEIGHTS_LIMIT, |most| most.min(WEIGHTS_LIMIT))
}

/// All tensors in the folder's safetensors file or shards, none longer than `most` bytes.
fn tensors(folder: &Path, most: u64) -> Result<Tensors, InteropError> {
    let whole = folder.join("model.safetensors");
    let index = folder.join("model.safetensors.index.json");
    let mut files = Vec::new();
    if whole.is_file() {
        files.push("model.safetensors".to_owned());
    } else if index.is_file() {
        let map = object(&index)?.remove("weight_map");
        let map = map.as_ref().and_then(Value::as_object);
        let map = map.ok_or_else(|| InteropError::input(&index, "`weight_map` is missing"))?;
        for file in map.values() {
            let file = file.as_str().unwrap_or_default();
            let is_plain = file.ends_with(".safetensors")
                && !file.contains(['/', '\\'])
                && !file.starts_with('.');
            if !is_plain {
                return Err(InteropError::input(
                    &index,
                    format!("it names the file `{}`", file.escape_debug()),
                ));
            }
            if !files.iter().any(|known| known == file) {
                files.push(file.to_owned());
            }
        }
    } else {
        let pickle = folder.join("pytorch_model.bin");
        return Err(match pickle.is_file() {
            true => InteropError::pickle(&pickle),
            false => InteropError::input(
                folder,
                "there is no `model.safetensors` and no `model.safetensors.index.json`",
            ),
        });
    }
    let mut tensors = BTreeMap::new();
    for file in files {
        let path = folder.join(file);
        let bytes = read_file(&path, most)?;
        let read = read_any(&bytes).map_err(|reason| InteropError::input(&path, reason))?;
        if read
            .notes
            .get("rotary_pairs")
            .is_some_and(|pairs| pairs == "adjacent")
        {
            let reason = "its rotary pairs are adjacent: it is a file of a specbook store, not of a Hugging Face folder";
            return Err(InteropError::input(&path, reason)
                .hint("export the run with `specbook export RUN --to hf`"));
        }
        for tensor in read.weights.0 {
            let name = tensor.name.clone();
            if tensors.insert(name.clone(), tensor).is_some() {
                return Err(InteropError::input(
                    &path,
                    format!("`{name}` is in two files"),
                ));
            }
        }
    }
    Ok(Tensors(tensors))
}

fn open_tokenizer(folder: &Path, named: Option<&Path>) -> Result<TextTokenizer, InteropError> {
    if let Some(named) = named {
        return Ok(TextTokenizer::open_any(named, &TokenizerHead::default())?);
    }
    let path = folder.join("tokenizer_config.json");
    let config = match path.is_file() {
        true => object(&path)?,
        false => Map::new(),
    };
    let token = |name: &str| {
        let value = config.get(name)?;
        let text = value.as_str().or_else(|| value["content"].as_str())?;
        Some(text.to_owned())
    };
    let ends = TokenizerHead::named(token("bos_token"), token("eos_token"), token("pad_token"));
    let files = ["tokenizer.json", "tokenizer.model"];
    let file = files
        .into_iter()
        .map(|name| folder.join(name))
        .find(|file| file.is_file());
    match file {
        Some(file) => Ok(TextTokenizer::open_any(&file, &ends)?),
        None if folder.join("merges.txt").is_file() => Ok(TextTokenizer::open_any(folder, &ends)?),
        None => Err(InteropError::input(
            folder,
            "there is no `tokenizer.json`, `tokenizer.model` or `merges.txt`",
        )
        .hint("put it there, or name it once: `specbook import PATH --tokenizer FILE`")),
    }
}
