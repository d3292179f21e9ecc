//! Documents of plain text files, cut at lines that hold a separator, at every line, at empty lines, or into pieces of equal
//! length. White space around documents is removed (not around pieces); empty documents are none. What follows the last
//! separator is a document too, and so does a document end where its file ends.

use super::input::Input;
use super::lines::Lines;
use super::{DataError, Document, MAX_DOCUMENT};
use crate::spec::TextFile;
use std::path::PathBuf;

/// How a text is cut.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cut {
    /// A line equal to this ends a document.
    Separator(String),
    /// Each line is a document.
    Lines,
    /// Empty lines end a document.
    EmptyLines,
    /// Pieces of so many characters.
    Pieces(usize),
}

impl Cut {
    fn of(settings: &TextFile) -> Self {
        match (settings.pieces, settings.separator.as_str()) {
            (Some(characters), _) => Self::Pieces(characters.max(1)),
            (None, "\n" | "\r\n") => Self::Lines,
            (None, separator) if separator.trim().is_empty() => Self::EmptyLines,
            (None, separator) => Self::Separator(separator.trim().to_owned()),
        }
    }
}

/// Reads the documents of a text file.
pub(super) struct TextDocuments {
    lines: Lines<Input>,
    cut: Cut,
    /// Text of pieces to come: from `start` on, so many characters.
    rest: String,
    start: usize,
    characters: usize,
    ended: bool,
}

impl TextDocuments {
    pub(super) fn new(reader: Input, path: PathBuf, settings: &TextFile) -> Self {
        Self {
            lines: Lines::new(reader, path),
            cut: Cut::of(settings),
            rest: String::new(),
            start: 0,
            characters: 0,
            ended: false,
        }
    }

    fn read(&mut self) -> Result<Option<Document>, DataError> {
        let mut text = String::new();
        while !self.ended {
            let complete = match self.lines.read_text()? {
                None => {
                    self.ended = true;
                    true
                }
                Some(line) => {
                    let (adds, ends) = match &self.cut {
                        Cut::Separator(separator) => {
                            let separates = line.trim() == separator;
                            (!separates, separates)
                        }
                        Cut::EmptyLines => (true, line.trim().is_empty()),
                        Cut::Lines | Cut::Pieces(_) => (true, true),
                    };
                    if adds {
                        text += line;
                        text.push('\n');
                    }
                    ends
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

    /// The next `length` characters; line ends are characters too. The last piece may be shorter.
    fn piece(&mut self, length: usize) -> Result<Option<Document>, DataError> {
        while self.characters < length && !self.ended {
            if self.start > 0 {
                self.rest.drain(..self.start);
                self.start = 0;
            }
            match self.lines.read_text()? {
                None => {
                    self.ended = true;
                    // The line end at the very end of a file is no text.
                    self.characters -= usize::from(self.rest.pop().is_some());
                }
                Some(line) => {
                    self.rest += line;
                    self.rest.push('\n');
                    self.characters += line.chars().count() + 1;
                }
            }
        }
        let rest = &self.rest[self.start..];
        if rest.is_empty() {
            return Ok(None);
        }
        let end = rest
            .char_indices()
            .nth(length)
            .map_or(rest.len(), |(at, _)| at);
        let piece = rest[..end].to_owned();
        self.start += end;
        self.characters -= length.min(self.characters);
        self.lines.documents += 1;
        Ok(Some(Document::Text(piece)))
    }
}

impl Iterator for TextDocuments {
    type Item = Result<Document, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.cut {
            Cut::Pieces(length) => self.piece(length).transpose(),
            Cut::Separator(_) | Cut::Lines | Cut::EmptyLines => self.read().transpose(),
        }
    }
}
