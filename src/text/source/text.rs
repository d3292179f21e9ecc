//! Documents of plain text files, cut at lines that hold a separator, at every line, at empty lines, or into pieces of equal
//! length. White space around documents (but not pieces) is removed; empty documents are skipped. Text after the last
//! separator is a document too, and a document ends at the end of its file.

use super::input::{self, Input};
use super::lines::Lines;
use super::{BinVocabulary, DataError, Document, Documents, MAX_DOCUMENT, Origin, Paths, Source};
use crate::choices::Findings;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A plain text file cut at a separator.";
/// An example.
pub static EXAMPLE: LazyLock<TextFile> = LazyLock::new(|| TextFile {
    path: "data/stories.txt".into(),
    separator: "\n\n".to_owned(),
    pieces: None,
});
/// Maximum characters per piece, since a document has at most 64 MiB.
const MAX_PIECE: usize = 16 << 20;

/// A text file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextFile {
    /// Path, or paths, relative to the spec's folder.
    pub path: Paths,
    /// Line that ends a document; default `<|endoftext|>`. One line feed cuts at every line, two cut at empty lines.
    /// White space around documents is removed; empty documents are dropped.
    #[serde(default = "default_separator")]
    pub separator: String,
    /// For one long text: cut it into pieces of this many characters instead. `stream` rejoins them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pieces: Option<usize>,
}

fn default_separator() -> String {
    "<|endoftext|>".to_owned()
}

impl Source for TextFile {
    fn origin(&self) -> Origin<'_> {
        Origin::Files(&self.path)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        let separator = &self.separator;
        let of_separator = format!("{path}.separator");
        let line_ends = separator.chars().all(|c| matches!(c, '\n' | '\r'));
        if separator.is_empty() {
            findings.say(of_separator, "an empty separator cannot end a document");
        } else if separator.trim().is_empty() && !line_ends {
            let message = format!(
                "the separator `{}` is white space",
                separator.escape_debug()
            );
            let hint = "a separator is a line of its own; `\"\\n\"` cuts at every line, `\"\\n\\n\"` at empty lines";
            findings.say(of_separator, message).hint(hint);
        } else if separator.trim().contains('\n') {
            let message = format!(
                "the separator `{}` is more than one line",
                separator.escape_debug()
            );
            let hint = "a separator is one line; choose one of them";
            findings.say(of_separator, message).hint(hint);
        }
        if let Some(pieces) = self.pieces {
            findings.count(&format!("{path}.pieces"), pieces, 1..=MAX_PIECE);
        }
    }

    fn read(&self, path: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        let reader = input::open_text(&path)?;
        Ok(Box::new(TextDocuments::new(reader, path, self)))
    }

    fn is_one_text(&self) -> bool {
        self.pieces.is_some()
    }

    fn hint_of_one(&self, _: Option<BinVocabulary>) -> Option<String> {
        self.pieces.is_none().then(|| {
            let separator = self.separator.escape_debug();
            format!("no line of it is the separator `{separator}`: name its `separator` (`\"\\n\"` cuts at lines, `\"\\n\\n\"` at empty lines), or cut it with `pieces: 1000` (characters)")
        })
    }
}

/// How to cut a text.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Cut {
    /// A line equal to this ends a document.
    Separator(String),
    /// Each line is a document.
    Lines,
    /// Empty lines end a document.
    EmptyLines,
    /// Pieces of this many characters.
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
    /// Text of the next pieces, from `start` on.
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
                    // A line end at the very end of a file is not text.
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
