//! Streams of documents, one after another, from the embedded corpora and from files.
//!
//! A stream reads no further than it is asked to, never holds more than one document and one buffer, and refuses lines,
//! documents and compression windows beyond the limits below: files are untrusted.

mod bin;
mod folder;
mod jsonl;
mod lines;
mod text;
mod zst;

use super::corpora::{self, Generator};
use super::{DataContext, DataError, Stop};
use crate::spec::{Corpus, Embedded};
use rayon::prelude::*;
use std::fs::File;
use std::io::BufReader;
use std::ops::Range;
use std::path::Path;

/// Longest line or document in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 20;
/// Largest zstd window in bytes: what `zstd --long=27` needs.
pub(crate) const MAX_WINDOW: u64 = 128 << 20;

/// Documents of an embedded corpus that are made together.
pub(super) const GENERATED_TOGETHER: usize = 256;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Document {
    /// Text, to be encoded.
    Text(String),
    /// Ids that a `.bin` file holds already.
    Ids(Vec<u32>),
}

impl Document {
    /// Bytes that the identity of a slice is made of.
    pub(crate) fn identity_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Text(text) => text.as_bytes().into(),
            Self::Ids(ids) => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
        }
    }
}

/// What the reader of a `.bin` file needs from the tokenizer that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BinVocabulary {
    /// Id that ends a document.
    pub(crate) eos: u32,
    /// Entries.
    pub(crate) vocab_size: usize,
}

/// A stream of documents.
pub(crate) type Documents = Box<dyn Iterator<Item = Result<Document, DataError>> + Send>;

/// Opens a corpus of files at its first document; `vocabulary` is needed for `.bin` files.
fn open(
    corpus: &Corpus,
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
) -> Result<Documents, DataError> {
    let documents: Documents = match corpus {
        Corpus::Stories(_) | Corpus::Documents(_) => Box::new(std::iter::empty()),
        Corpus::Text(text) => {
            let path = context.resolve(&text.path);
            Box::new(text::TextDocuments::new(
                open_file(&path)?,
                path,
                text.separator.clone(),
            ))
        }
        Corpus::Folder(folder) => {
            let files = folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?;
            Box::new(files.into_iter().map(|file| folder::read(&file.path)))
        }
        Corpus::Jsonl(jsonl) => {
            let path = context.resolve(&jsonl.path);
            let file = open_file(&path)?;
            if path.extension().is_some_and(|extension| extension == "zst") {
                let reader = BufReader::with_capacity(1 << 17, zst::ZstReader::new(file));
                Box::new(jsonl::JsonlDocuments::new(
                    reader,
                    path,
                    jsonl.field.clone(),
                ))
            } else {
                Box::new(jsonl::JsonlDocuments::new(file, path, jsonl.field.clone()))
            }
        }
        Corpus::Bin(file) => {
            let path = context.resolve(&file.path);
            let Some(vocabulary) = vocabulary else {
                return Err(DataError::IdsNeedTokenizer { path });
            };
            Box::new(bin::BinDocuments::new(open_file(&path)?, path, vocabulary))
        }
    };
    Ok(documents)
}

fn open_file(path: &Path) -> Result<BufReader<File>, DataError> {
    let failed = |source| DataError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    Ok(BufReader::with_capacity(1 << 17, file))
}

/// A range of documents that somebody asked for under a name.
pub(crate) struct Wanted {
    /// `train`, `validation` or `test`.
    pub(crate) slice: &'static str,
    /// Which documents.
    pub(crate) range: Range<usize>,
}

/// Reads `corpus` once, as far as the last range needs, and hands each document to `take` with the number of every range
/// that holds it. `take` gets documents of one range in order.
pub(crate) fn read_ranges(
    corpus: &Corpus,
    wanted: &[Wanted],
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
    mut take: impl FnMut(usize, &Document) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let end = wanted.iter().map(|w| w.range.end).max().unwrap_or(0);
    match corpus {
        Corpus::Stories(parameters) => {
            return generate(Generator::Stories, parameters, wanted, &context.stop, take);
        }
        Corpus::Documents(parameters) => {
            return generate(
                Generator::Documents,
                parameters,
                wanted,
                &context.stop,
                take,
            );
        }
        _ => {}
    }
    let mut documents = open(corpus, vocabulary, context)?;
    for index in 0..end {
        context.stop.check()?;
        let Some(document) = documents.next().transpose()? else {
            let short = wanted
                .iter()
                .find(|w| w.range.end > index && !w.range.is_empty());
            return short.map_or(Ok(()), |w| {
                Err(DataError::TooFewDocuments {
                    corpus: describe(corpus),
                    slice: w.slice,
                    skip: w.range.start,
                    take: w.range.len(),
                    available: index,
                })
            });
        };
        for (number, w) in wanted.iter().enumerate() {
            if w.range.contains(&index) {
                take(number, &document)?;
            }
        }
    }
    Ok(())
}

/// Makes the wanted documents of an embedded corpus, some at a time on all threads of the current pool.
fn generate(
    generator: Generator,
    parameters: &Embedded,
    wanted: &[Wanted],
    stop: &Stop,
    mut take: impl FnMut(usize, &Document) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let is_wanted = |index: usize| wanted.iter().any(|w| w.range.contains(&index));
    let mut index = 0;
    // From one wanted document to the next, over the gaps between ranges.
    while let Some(start) = wanted
        .iter()
        .filter(|w| w.range.end > index && !w.range.is_empty())
        .map(|w| w.range.start.max(index))
        .min()
    {
        stop.check()?;
        let texts: Vec<(usize, Document)> = (start..start.saturating_add(GENERATED_TOGETHER))
            .into_par_iter()
            .filter(|index| is_wanted(*index))
            .map(|index| {
                (
                    index,
                    Document::Text(corpora::document(generator, parameters, index as u64)),
                )
            })
            .collect();
        for (index, document) in &texts {
            for (number, _) in wanted
                .iter()
                .enumerate()
                .filter(|(_, w)| w.range.contains(index))
            {
                take(number, document)?;
            }
        }
        index = start.saturating_add(GENERATED_TOGETHER);
    }
    Ok(())
}

/// All documents of a corpus of files as text, in order.
///
/// # Errors
/// Missing or damaged files; a `.bin` corpus, whose ids only a tokenizer can read.
pub fn read_all(corpus: &Corpus, context: &DataContext) -> Result<Vec<String>, DataError> {
    let documents = open(corpus, None, context)?;
    let texts = documents.filter_map(|document| match document {
        Ok(Document::Text(text)) => Some(Ok(text)),
        Ok(Document::Ids(_)) => None,
        Err(error) => Some(Err(error)),
    });
    texts.collect()
}

/// The corpus in words, for messages.
pub(crate) fn describe(corpus: &Corpus) -> String {
    match corpus.path() {
        Some(path) => format!("`{}`", path.display()),
        None if matches!(corpus, Corpus::Stories(_)) => "the embedded corpus `stories`".to_owned(),
        None => "the embedded corpus `documents`".to_owned(),
    }
}

/// Size, modification time and inode of what a corpus reads, with the latest modification time of all (nanoseconds).
pub(crate) fn fingerprint(
    corpus: &Corpus,
    context: &DataContext,
) -> Result<Option<Fingerprint>, DataError> {
    let path = match corpus {
        Corpus::Stories(_) | Corpus::Documents(_) => return Ok(None),
        Corpus::Text(file) => &file.path,
        Corpus::Jsonl(file) => &file.path,
        Corpus::Bin(file) => &file.path,
        Corpus::Folder(folder) => {
            let files = folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?;
            return folder::fingerprint(&files).map(Some);
        }
    };
    Fingerprint::of(&context.resolve(path)).map(Some)
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Size, time and inode as text.
    pub(crate) text: String,
    /// Latest modification time, nanoseconds since 1970.
    pub(crate) modified: u128,
}

impl Fingerprint {
    /// Looks at a file.
    pub(crate) fn of(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Io {
            path: path.to_owned(),
            source,
        })?;
        let modified = modified_nanos(&metadata);
        Ok(Self {
            text: format!(
                "{} bytes, {modified} ns, inode {}",
                metadata.len(),
                inode(&metadata)
            ),
            modified,
        })
    }
}

/// Modification time in nanoseconds since 1970; 0 where the system has none.
pub(crate) fn modified_nanos(metadata: &std::fs::Metadata) -> u128 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos())
}

#[cfg(unix)]
fn inode(metadata: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

#[cfg(not(unix))]
fn inode(_: &std::fs::Metadata) -> u64 {
    0
}

#[cfg(test)]
mod tests;
