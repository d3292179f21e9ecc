//! Documents of nanoGPT's `.bin` format: little-endian u16 ids without a header. The end-of-text id ends each document and
//! is not part of it; empty documents are none; ids after the last end-of-text are a document too.

use super::{BinVocabulary, DataError, Document, MAX_DOCUMENT};
use std::io::{self, BufRead};
use std::path::PathBuf;

/// Reads the documents of a `.bin` file.
pub(super) struct BinDocuments<R> {
    reader: R,
    path: PathBuf,
    vocabulary: BinVocabulary,
    position: u64,
    documents: usize,
}

impl<R: BufRead> BinDocuments<R> {
    pub(super) fn new(reader: R, path: PathBuf, vocabulary: BinVocabulary) -> Self {
        Self {
            reader,
            path,
            vocabulary,
            position: 0,
            documents: 0,
        }
    }

    fn read_id(&mut self) -> Result<Option<u32>, DataError> {
        let mut pair = [0; 2];
        let mut have = 0;
        while have < 2 {
            match self.reader.read(&mut pair[have..]) {
                Ok(0) => break,
                Ok(read) => have += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(DataError::Io {
                        path: self.path.clone(),
                        source,
                    });
                }
            }
        }
        match have {
            0 => return Ok(None),
            1 => {
                return Err(DataError::OddLength {
                    path: self.path.clone(),
                    bytes: self.position * 2 + 1,
                });
            }
            _ => {}
        }
        let id = u32::from(u16::from_le_bytes(pair));
        if id as usize >= self.vocabulary.vocab_size {
            return Err(DataError::IdBeyondVocabulary {
                place: format!("`{}`, token {}", self.path.display(), self.position + 1),
                id,
                vocab_size: self.vocabulary.vocab_size,
            });
        }
        self.position += 1;
        Ok(Some(id))
    }

    fn read_document(&mut self) -> Result<Option<Document>, DataError> {
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
            if ids.len() * 2 > MAX_DOCUMENT {
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

impl<R: BufRead> Iterator for BinDocuments<R> {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read_document().transpose()
    }
}
