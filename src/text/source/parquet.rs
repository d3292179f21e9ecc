//! Documents in Parquet: a text column with one document per row. A null is a document without text and is
//! reported.

use super::{
    BinVocabulary, DataError, Document, Documents, Jsonl, MAX_DOCUMENT, Origin, Source, input,
};
use crate::choices::Findings;
use crate::parquet::{Fault, Texts};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str =
    "Parquet: a text column with one document per row; a null is a document without text.";
/// An example.
pub static EXAMPLE: LazyLock<Parquet> = LazyLock::new(|| {
    Parquet(Jsonl {
        path: "data/*.parquet".into(),
        field: "text".to_owned(),
    })
});

/// The settings of [`Jsonl`]; the field is a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Parquet(pub Jsonl);

impl Source for Parquet {
    fn origin(&self) -> Origin<'_> {
        Origin::Files(&self.0.path)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        self.0.field_is_named(path, findings);
    }

    fn read(&self, path: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        Ok(Box::new(ParquetDocuments::open(path, &self.0.field)?))
    }
}

/// Reads the documents of a Parquet file page by page.
pub(super) struct ParquetDocuments {
    texts: Option<Texts<BufReader<File>>>,
    path: PathBuf,
    documents: usize,
}

impl ParquetDocuments {
    pub(super) fn open(path: PathBuf, field: &str) -> Result<Self, DataError> {
        let file = BufReader::new(input::open_file(&path)?);
        let texts = Texts::open(file, field).map_err(|fault| failure(&path, fault, 0))?;
        Ok(Self {
            texts: Some(texts),
            path,
            documents: 0,
        })
    }

    fn read(&mut self) -> Result<Option<Document>, DataError> {
        let Some(texts) = &mut self.texts else {
            return Ok(None);
        };
        let text = match texts.next() {
            Ok(Some(text)) => text.unwrap_or_default(),
            Ok(None) => return Ok(None),
            Err(fault) => return Err(failure(&self.path, fault, self.documents)),
        };
        if text.len() > MAX_DOCUMENT {
            return Err(DataError::TooLong {
                path: self.path.clone(),
                place: format!("row {}", self.documents + 1),
                limit: MAX_DOCUMENT,
                documents: self.documents,
            });
        }
        let Ok(text) = std::str::from_utf8(text) else {
            let reason = format!("row {} is not UTF-8", self.documents + 1);
            return Err(failure(&self.path, Fault::Unread(reason), self.documents));
        };
        self.documents += 1;
        Ok(Some(Document::Text(text.to_owned())))
    }
}

fn failure(path: &Path, fault: Fault, documents: usize) -> DataError {
    let path = path.to_owned();
    let (damaged, reason) = match fault {
        Fault::Io(source) => return DataError::Io { path, source },
        Fault::Ends => (true, "it ends early".to_owned()),
        Fault::Damaged(reason) => (true, reason),
        Fault::Unread(reason) => (false, reason),
    };
    DataError::Parquet {
        path,
        damaged,
        reason,
        documents,
    }
}

impl Iterator for ParquetDocuments {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if !matches!(read, Some(Ok(_))) {
            self.texts = None;
        }
        read
    }
}
