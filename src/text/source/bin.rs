//! Documents of nanoGPT's `.bin` format: little-endian ids of 16 or 32 bits without a header. The end-of-text id ends
//! each document and is not part of it; empty documents are skipped; ids after the last end-of-text form a document
//! too.

use super::input::{self, Input};
use super::{BinVocabulary, DataError, Document, Documents, MAX_DOCUMENT, Origin, Paths, Source};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use std::borrow::Cow;
use std::io::{BufRead as _, Read as _};
use std::path::PathBuf;
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str =
    "Token ids, nanoGPT's `train.bin`; cut into documents at the end-of-text id of the tokenizer.";
/// An example.
pub static EXAMPLE: LazyLock<BinFile> = LazyLock::new(|| BinFile {
    path: "data/train.bin".into(),
    width: Width::Bits16,
});

/// A file of token ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BinFile {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Bits of an id: 16 (the default) or 32.
    #[serde(default)]
    pub width: Width,
}

/// Bits of a token id in a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Width {
    /// As nanoGPT writes them.
    #[default]
    Bits16,
    /// For vocabularies of more than 65,536 entries.
    Bits32,
}

impl Width {
    /// Bytes of an id.
    pub fn bytes(self) -> usize {
        match self {
            Self::Bits16 => 2,
            Self::Bits32 => 4,
        }
    }
}

impl<'de> Deserialize<'de> for Width {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)?.as_f64() {
            Some(16.0) => Ok(Self::Bits16),
            Some(32.0) => Ok(Self::Bits32),
            _ => Err(D::Error::custom("expected 16 or 32")),
        }
    }
}

impl Serialize for Width {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(8 * self.bytes() as u64)
    }
}

impl JsonSchema for Width {
    fn schema_name() -> Cow<'static, str> {
        "Width".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"description": "Bits of an id.", "enum": [16, 32]})
    }
}

impl Source for BinFile {
    fn origin(&self) -> Origin<'_> {
        Origin::Files(&self.path)
    }

    fn read(
        &self,
        path: PathBuf,
        vocabulary: Option<BinVocabulary>,
    ) -> Result<Documents, DataError> {
        let Some(vocabulary) = vocabulary else {
            return Err(DataError::IdsNeedTokenizer { path });
        };
        let reader = input::open_bytes(&path)?;
        Ok(Box::new(BinDocuments::new(
            reader, path, self.width, vocabulary,
        )))
    }

    fn holds_ids(&self) -> bool {
        true
    }

    fn hint_of_one(&self, vocabulary: Option<BinVocabulary>) -> Option<String> {
        let eos = vocabulary?.eos;
        Some(format!(
            "its ids almost never include {eos}, the end-of-text id: it was made with another tokenizer, or another token ends its texts (`tokenizer: {{file: {{path: …, eos: …}}}}`)"
        ))
    }
}

/// Pairs of ids to inspect, to detect wider ids than the given width.
const PAIRS: usize = 512;
/// Minimum number of pairs to decide.
const LEAST_PAIRS: usize = 8;

/// Reads the documents of a `.bin` file.
pub(super) struct BinDocuments {
    reader: Input,
    path: PathBuf,
    width: Width,
    vocabulary: BinVocabulary,
    position: u64,
    documents: usize,
}

impl BinDocuments {
    pub(super) fn new(
        reader: Input,
        path: PathBuf,
        width: Width,
        vocabulary: BinVocabulary,
    ) -> Self {
        Self {
            reader,
            path,
            width,
            vocabulary,
            position: 0,
            documents: 0,
        }
    }

    fn read_id(&mut self) -> Result<Option<u32>, DataError> {
        let bytes = self.width.bytes();
        let mut id = [0; 4];
        let mut have = 0;
        while have < bytes {
            match self.reader.read(&mut id[have..bytes]) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(input::failure(&self.path, error, self.documents)),
            }
        }
        if have == 0 {
            return Ok(None);
        }
        if have < bytes {
            return Err(DataError::OddLength {
                path: self.path.clone(),
                bytes: self.position * bytes as u64 + have as u64,
                bits: 8 * bytes,
            });
        }
        let id = u32::from_le_bytes(id);
        self.position += 1;
        if id as usize >= self.vocabulary.vocab_size {
            return Err(DataError::IdBeyondVocabulary {
                place: format!(
                    "`{}`, token {}, read as ids of {} bits",
                    self.path.display(),
                    self.position,
                    8 * bytes
                ),
                id,
                vocab_size: self.vocabulary.vocab_size,
            });
        }
        Ok(Some(id))
    }

    /// Inspects the first ids: in a file of wider ids, every second one is an upper half, so 0 or small.
    fn check_width(&mut self) -> Result<(), DataError> {
        let bytes = self.width.bytes();
        let first = self.reader.fill_buf();
        let first = first.map_err(|error| input::failure(&self.path, error, 0))?;
        let largest = (self.vocabulary.vocab_size.saturating_sub(1) as u64) >> (8 * bytes);
        let halves = first.chunks_exact(2 * bytes).map(|pair| {
            let mut half = [0; 8];
            half[..bytes].copy_from_slice(&pair[bytes..]);
            u64::from_le_bytes(half)
        });
        let halves: Vec<u64> = halves.take(PAIRS).collect();
        if halves.len() >= LEAST_PAIRS && halves.iter().all(|half| *half <= largest) {
            return Err(DataError::OtherWidth {
                path: self.path.clone(),
                bits: 8 * bytes,
            });
        }
        Ok(())
    }

    fn read_document(&mut self) -> Result<Option<Document>, DataError> {
        if self.position == 0 {
            self.check_width()?;
        }
        let mut ids = Vec::new();
        loop {
            match self.read_id()? {
                Some(id) if id == self.vocabulary.eos => {
                    if !ids.is_empty() {
                        break;
                    }
                }
                Some(id) => ids.push(id),
                None if ids.is_empty() => return Ok(None),
                None => break,
            }
            if ids.len() * self.width.bytes() > MAX_DOCUMENT {
                return Err(DataError::TooLong {
                    path: self.path.clone(),
                    place: format!("document {}", self.documents + 1),
                    limit: MAX_DOCUMENT,
                    documents: self.documents,
                });
            }
        }
        self.documents += 1;
        Ok(Some(Document::Ids(ids)))
    }
}

impl Iterator for BinDocuments {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_document().transpose()
    }
}
