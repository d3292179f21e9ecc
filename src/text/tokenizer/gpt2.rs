//! GPT-2's `vocab.json` and `merges.txt`.

use super::head::Head;
use super::text::read_bounded;
use super::{Made, Named, OfFiles, TokenizerKind, refused};
use crate::text::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str =
    "A folder with GPT-2's `vocab.json` and `merges.txt`, or `{path, bos, eos, pad}`.";
/// An example.
pub static EXAMPLE: LazyLock<Gpt2> = LazyLock::new(|| Gpt2(PathBuf::from("data/gpt2").into()));
/// The files of the folder.
pub(super) const FILES: [&str; 2] = ["vocab.json", "merges.txt"];
/// The token that ends a text in such files.
const END_OF_TEXT: &str = "<|endoftext|>";

/// Its path and the names of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Gpt2(pub Named);

impl TokenizerKind for Gpt2 {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for Gpt2 {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn files(&self, folder: PathBuf) -> Vec<PathBuf> {
        FILES.map(|name| folder.join(name)).into()
    }

    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        let (vocabulary, merges) = (read_bounded(&files[0])?, read_bounded(&files[1])?);
        let json = to_json(&vocabulary, &merges).map_err(|reason| refused(&files[0], reason))?;
        Ok(Head::of(&self.0).write_into(json))
    }
}

/// The `tokenizer.json` for a vocabulary and its merges.
pub(super) fn to_json(vocabulary: &[u8], merges: &[u8]) -> Result<Vec<u8>, String> {
    let vocabulary: Map<String, Value> = serde_json::from_slice(vocabulary)
        .map_err(|error| format!("`vocab.json` is not an object of tokens and ids: {error}"))?;
    let merges = std::str::from_utf8(merges).map_err(|_| "`merges.txt` is not UTF-8".to_owned())?;
    let lines = merges.lines().enumerate();
    let lines = lines.filter(|(number, line)| {
        let is_header = *number == 0 && line.starts_with("#version");
        !line.is_empty() && !is_header
    });
    let merges: Vec<[&str; 2]> = lines
        .map(|(number, line)| {
            let pair = line
                .trim_end()
                .split_once(' ')
                .map(|(left, right)| [left, right]);
            pair.ok_or_else(|| {
                format!(
                    "`merges.txt`, line {}: expected two tokens with a space between them",
                    number + 1
                )
            })
        })
        .collect::<Result<_, _>>()?;
    let special = vocabulary.get(END_OF_TEXT).and_then(Value::as_u64);
    let special = special.ok_or_else(|| format!("`vocab.json` has no token `{END_OF_TEXT}`"))?;
    let special = [(special as u32, END_OF_TEXT.to_owned())];
    let cut = json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true});
    Ok(byte_level(&vocabulary, &merges, &special, &cut, false))
}

/// The `tokenizer.json` of a byte-level BPE.
pub(super) fn byte_level(
    vocabulary: &Map<String, Value>,
    merges: &[[impl AsRef<str>; 2]],
    special: &[(u32, String)],
    cut: &Value,
    ignore_merges: bool,
) -> Vec<u8> {
    let added: Vec<Value> = special
        .iter()
        .map(|(id, text)| {
            json!({"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        })
        .collect();
    let merges: Vec<[&str; 2]> = merges
        .iter()
        .map(|[left, right]| [left.as_ref(), right.as_ref()])
        .collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": cut, "post_processor": null,
        "decoder": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
            "ignore_merges": ignore_merges, "vocab": vocabulary, "merges": merges,
        },
    })
    .to_string()
    .into_bytes()
}
