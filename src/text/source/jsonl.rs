//! JSON lines: one object per line, with the text in a field.

use super::input::Input;
use super::lines::Lines;
use super::value::{self, mismatch};
use super::{BinVocabulary, DataError, Document, Documents, Origin, Paths, Source, input};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "JSON lines: one object per line, with the text in a field.";
/// An example.
pub static EXAMPLE: LazyLock<Jsonl> = LazyLock::new(|| Jsonl {
    path: "data/part-*.jsonl.zst".into(),
    field: default_field(),
});

/// A JSON lines file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Jsonl {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Field that holds the text; default `text`. `meta.text` is the field `text` of the object in `meta`.
    #[serde(default = "default_field")]
    pub field: String,
}

fn default_field() -> String {
    "text".to_owned()
}

impl Jsonl {
    /// Checks the name of the field.
    pub(super) fn field_is_named(&self, path: &str, findings: &mut Findings) {
        if self.field.is_empty() {
            let message = "the field name is empty";
            findings.say(format!("{path}.field"), message);
        }
    }
}

/// Documents stored from a download.
pub(super) fn kept(path: PathBuf) -> Result<Documents, DataError> {
    let reader = input::open_text(&path)?;
    Ok(Box::new(JsonLines::new(reader, path, default_field())))
}

impl Source for Jsonl {
    fn origin(&self) -> Origin<'_> {
        Origin::Files(&self.path)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        self.field_is_named(path, findings);
    }

    fn read(&self, path: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        let reader = input::open_text(&path)?;
        Ok(Box::new(JsonLines::new(reader, path, self.field.clone())))
    }
}

/// Reads the documents of a file of JSON lines. Blank lines are skipped.
pub(super) struct JsonLines {
    lines: Lines<Input>,
    field: String,
}

impl JsonLines {
    pub(super) fn new(reader: Input, path: PathBuf, field: String) -> Self {
        Self {
            lines: Lines::new(reader, path),
            field,
        }
    }
}

impl Iterator for JsonLines {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let parsed = match self.lines.read_text() {
                Err(error) => return Some(Err(error)),
                Ok(None) => return None,
                Ok(Some(line)) if line.trim().is_empty() => continue,
                Ok(Some(line)) => value::text_of(line, &self.field),
            };
            return Some(match parsed {
                Ok(text) => {
                    self.lines.documents += 1;
                    Ok(Document::Text(text))
                }
                Err(problem) => {
                    let lines = &self.lines;
                    Err(mismatch(
                        &lines.path,
                        lines.number,
                        lines.documents,
                        problem,
                    ))
                }
            });
        }
    }
}
