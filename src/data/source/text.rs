//! Documents of a plain text file: a line equal to the separator ends each. White space around documents is removed;
//! empty documents are none. What follows the last separator is a document too.

use super::lines::Lines;
use super::{DataError, Document, MAX_DOCUMENT};
use std::io::BufRead;
use std::path::PathBuf;

/// Reads the documents of a text file.
pub(super) struct TextDocuments<R> {
    lines: Lines<R>,
    separator: String,
    ended: bool,
}

impl<R: BufRead> TextDocuments<R> {
    pub(super) fn new(reader: R, path: PathBuf, separator: String) -> Self {
        Self {
            lines: Lines::new(reader, path),
            separator: separator.trim().to_owned(),
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Document>, DataError> {
        let mut text = String::new();
        while !self.ended {
            let first = self.lines.number == 0;
            let complete = match self.lines.read_text()? {
                None => {
                    self.ended = true;
                    true
                }
                Some(line) => {
                    // A byte order mark is no text.
                    let line = if first {
                        line.trim_start_matches('\u{feff}')
                    } else {
                        line
                    };
                    let separates = line.trim() == self.separator;
                    if !separates {
                        text += line;
                        text.push('\n');
                    }
                    separates
                }
            };
            if text.len() > MAX_DOCUMENT {
                let place = format!("document {}", self.lines.documents + 1);
                return Err(self.lines.too_long(place));
            }
            if complete {
                let document = text.trim();
                if !document.is_empty() {
                    self.lines.documents += 1;
                    return Ok(Some(Document::Text(document.to_owned())));
                }
                text.clear();
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for TextDocuments<R> {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.read().transpose()
    }
}
