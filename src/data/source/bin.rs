//! Documents of nanoGPT's `.bin` format: little-endian ids of 16 or 32 bits without a header. The end-of-text id ends each
//! document and is not part of it; empty documents are none; ids after the last end-of-text are a document too.

use super::input::{self, Input};
use super::{BinVocabulary, DataError, Document, MAX_DOCUMENT};
use crate::spec::Width;
use std::io::Read;
use std::path::PathBuf;

/// Pairs of ids after which it is decided whether a file holds wider ones than it is read as.
const PAIRS: u64 = 512;
/// Fewest pairs that decide where a file is shorter.
const LEAST_PAIRS: u64 = 8;

/// Reads the documents of a `.bin` file.
pub(super) struct BinDocuments {
    reader: Input,
    path: PathBuf,
    width: Width,
    vocabulary: BinVocabulary,
    position: u64,
    documents: usize,
    /// Whether all upper halves so far are as small as those of wider ids.
    halves: bool,
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
            halves: true,
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
            self.check_width(LEAST_PAIRS)?;
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
        let wider = (self.vocabulary.vocab_size.saturating_sub(1) as u64) >> (8 * bytes);
        self.position += 1;
        if self.position.is_multiple_of(2) {
            self.halves &= u64::from(id) <= wider;
            if self.position == 2 * PAIRS {
                self.check_width(PAIRS)?;
            }
        }
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

    /// Every second id of a file of wider ids is the upper half of one, so 0 or hardly more.
    fn check_width(&self, least: u64) -> Result<(), DataError> {
        let pairs = self.position / 2;
        if self.halves && pairs >= least && pairs <= PAIRS {
            return Err(DataError::OtherWidth {
                path: self.path.clone(),
                bits: 8 * self.width.bytes(),
            });
        }
        Ok(())
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
