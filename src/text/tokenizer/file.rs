//! A `tokenizer.json` of the Hugging Face library.

use super::head::Head;
use super::text::read_bounded;
use super::{Made, Named, OfFiles, TokenizerKind};
use crate::text::DataError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A `tokenizer.json` of the Hugging Face `tokenizers` library: its path, or `{path, bos, eos, pad}`.";
/// An example.
pub static EXAMPLE: LazyLock<File> =
    LazyLock::new(|| File(PathBuf::from("data/tokenizer.json").into()));

/// Its path and the names of tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct File(pub Named);

impl TokenizerKind for File {
    fn made(&self) -> Made<'_> {
        Made::OfFiles(self)
    }
}

impl OfFiles for File {
    fn path(&self) -> Option<&Path> {
        Some(&self.0.path)
    }

    fn json(&self, files: &[PathBuf]) -> Result<Vec<u8>, DataError> {
        Ok(Head::of(&self.0).write_into(read_bounded(&files[0])?))
    }
}
