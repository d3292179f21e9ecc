//! One JSON array or object of texts: strings, or objects with the text in a field.

use super::input::{self, Input};
use super::value::{self, Problem, mismatch};
use super::{BinVocabulary, DataError, Document, Documents, MAX_DOCUMENT, Origin, Source};
use crate::choices::Findings;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::LazyLock;

use super::Jsonl;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// For the documentation.
pub const ABOUT: &str =
    "One JSON array or object of texts: strings, or objects with the text in a field.";
/// An example.
pub static EXAMPLE: LazyLock<Json> = LazyLock::new(|| {
    Json(Jsonl {
        path: "data/stories.json".into(),
        field: "text".to_owned(),
    })
});

/// The settings of [`Jsonl`], for files that hold a single JSON value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Json(pub Jsonl);

impl Source for Json {
    fn origin(&self) -> Origin<'_> {
        Origin::Files(&self.0.path)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        self.0.field_is_named(path, findings);
    }

    fn read(&self, path: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        let reader = input::open_text(&path)?;
        Ok(Box::new(JsonElements::new(
            reader,
            path,
            self.0.field.clone(),
        )))
    }
}

/// Reads the texts of one JSON array or object, one element at a time: strings, or objects with the text in a field.
pub(super) struct JsonElements {
    reader: Input,
    path: PathBuf,
    field: String,
    line: u64,
    documents: usize,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    /// In an array or, if `true`, in an object.
    Inside(bool),
    End,
}

impl JsonElements {
    pub(super) fn new(reader: Input, path: PathBuf, field: String) -> Self {
        Self {
            reader,
            path,
            field,
            line: 1,
            documents: 0,
            place: Place::Start,
        }
    }

    fn byte(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            match self.reader.fill_buf() {
                Ok(bytes) => {
                    let Some(byte) = bytes.first().copied() else {
                        return Ok(None);
                    };
                    self.reader.consume(1);
                    self.line += u64::from(byte == b'\n');
                    return Ok(Some(byte));
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(input::failure(&self.path, error, self.documents)),
            }
        }
    }

    fn expected(&self, expected: &str, found: Option<u8>) -> DataError {
        let found = match found {
            None => "the end of the file".to_owned(),
            Some(byte) if byte.is_ascii_graphic() => format!("`{}`", char::from(byte)),
            Some(byte) => format!("the byte {byte:#04x}"),
        };
        let problem = Problem {
            expected: expected.to_owned(),
            found,
        };
        mismatch(&self.path, self.line, self.documents, problem)
    }

    /// The bytes of one value, and the comma or bracket after it.
    fn value(&mut self, first: u8) -> Result<(Vec<u8>, Option<u8>), DataError> {
        let (mut bytes, mut depth, mut quoted, mut escaped) = (Vec::new(), 0_usize, false, false);
        let mut next = Some(first);
        while let Some(byte) = next {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'[' | b'{' => depth += 1,
                b']' | b'}' if depth > 0 => depth -= 1,
                b',' | b']' | b'}' if depth == 0 => return Ok((bytes, Some(byte))),
                b':' if depth == 0 => return Ok((bytes, Some(byte))),
                _ => {}
            }
            bytes.push(byte);
            if bytes.len() > MAX_DOCUMENT {
                return Err(DataError::TooLong {
                    path: self.path.clone(),
                    place: format!("element {}", self.documents + 1),
                    limit: MAX_DOCUMENT,
                    documents: self.documents,
                });
            }
            next = self.byte()?;
        }
        Ok((bytes, None))
    }

    fn solid(&mut self) -> Result<Option<u8>, DataError> {
        loop {
            match self.byte()? {
                Some(byte) if byte.is_ascii_whitespace() => {}
                other => return Ok(other),
            }
        }
    }

    fn read(&mut self) -> Result<Option<Document>, DataError> {
        let is_object = match self.place {
            Place::End => return Ok(None),
            Place::Inside(is_object) => is_object,
            Place::Start => match self.solid()? {
                Some(b'[') => false,
                Some(b'{') => true,
                other => return Err(self.expected("an array or an object of texts", other)),
            },
        };
        let close = if is_object { b'}' } else { b']' };
        let begins = self.place == Place::Start;
        self.place = Place::Inside(is_object);
        let mut first = self.solid()?;
        if begins && first == Some(close) {
            return self.finish();
        }
        if is_object {
            let Some(byte) = first else {
                return Err(self.expected("a name", first));
            };
            let (_, after) = self.value(byte)?;
            if after != Some(b':') {
                return Err(self.expected("`:` behind a name", after));
            }
            first = self.solid()?;
        }
        let Some(byte) = first else {
            return Err(self.expected("a text", first));
        };
        let line = self.line;
        let (bytes, after) = self.value(byte)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| {
            let problem = Problem {
                expected: "UTF-8".to_owned(),
                found: "other bytes".to_owned(),
            };
            mismatch(&self.path, line, self.documents, problem)
        })?;
        let text = value::text_of_element(text.trim(), &self.field)
            .map_err(|problem| mismatch(&self.path, line, self.documents, problem))?;
        self.documents += 1;
        match after {
            Some(b',') => {}
            Some(byte) if byte == close => {
                self.finish()?;
            }
            other => return Err(self.expected("`,` or the end of the texts", other)),
        }
        Ok(Some(Document::Text(text)))
    }

    fn finish(&mut self) -> Result<Option<Document>, DataError> {
        self.place = Place::End;
        match self.solid()? {
            None => Ok(None),
            other => Err(self.expected("the end of the file", other)),
        }
    }
}

impl Iterator for JsonElements {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if let Some(Err(_)) = read {
            self.place = Place::End;
        }
        read
    }
}
