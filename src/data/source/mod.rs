//! Streams of documents, one after another, from the embedded corpora and from files.
//!
//! A stream reads no further than it is asked to, never holds more than one document and one buffer, and refuses lines,
//! documents and compression windows beyond the limits below: files are untrusted.

mod bin;
mod files;
mod folder;
mod input;
mod json;
mod jsonl;
mod lines;
mod text;
mod zst;

use super::corpora::{self, Generator};
use super::{DataContext, DataError, Stop};
use crate::spec::{BinFile, Corpus, Embedded, Jsonl, Paths, TextFile};
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Longest line or document in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 20;
/// Largest zstd window in bytes: what `zstd --long=31` needs.
pub(crate) const MAX_WINDOW: u64 = 2 << 30;
/// Largest xz dictionary in bytes: four times what `xz -9` needs.
pub(crate) const MAX_DICTIONARY: u64 = 256 << 20;

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
    Ok(match corpus {
        Corpus::Stories(_) | Corpus::Documents(_) => Box::new(std::iter::empty()),
        Corpus::Text(text) => {
            let settings = text.clone();
            shards(&text.path, context, move |path| {
                Ok(text::TextDocuments::new(
                    input::open_text(&path)?,
                    path,
                    &settings,
                ))
            })?
        }
        Corpus::Folder(folder) => {
            let files = folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?;
            Box::new(files.into_iter().map(|file| folder::read(&file.path)))
        }
        Corpus::Jsonl(jsonl) => {
            let field = jsonl.field.clone();
            shards(&jsonl.path, context, move |path| {
                Ok(jsonl::JsonLines::new(
                    input::open_text(&path)?,
                    path,
                    field.clone(),
                ))
            })?
        }
        Corpus::Json(json) => {
            let field = json.field.clone();
            shards(&json.path, context, move |path| {
                Ok(jsonl::JsonElements::new(
                    input::open_text(&path)?,
                    path,
                    field.clone(),
                ))
            })?
        }
        Corpus::Bin(bin) => {
            let width = bin.width;
            let Some(vocabulary) = vocabulary else {
                let path = bin.path.first().to_owned();
                return Err(DataError::IdsNeedTokenizer { path });
            };
            shards(&bin.path, context, move |path| {
                Ok(bin::BinDocuments::new(
                    input::open_bytes(&path)?,
                    path,
                    width,
                    vocabulary,
                ))
            })?
        }
    })
}

/// The documents of several files, one file after another. Each is opened when it is reached.
fn shards<I>(
    paths: &Paths,
    context: &DataContext,
    open: impl Fn(PathBuf) -> Result<I, DataError> + Send + 'static,
) -> Result<Documents, DataError>
where
    I: Iterator<Item = Result<Document, DataError>> + Send + 'static,
{
    let files = files::list(paths, context)?;
    Ok(Box::new(files.into_iter().flat_map(move |path| {
        let (documents, failure) = match open(path) {
            Ok(documents) => (Some(documents), None),
            Err(error) => (None, Some(Err(error))),
        };
        failure.into_iter().chain(documents.into_iter().flatten())
    })))
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
    let embedded = match corpus {
        Corpus::Stories(parameters) => Some((Generator::Stories, parameters)),
        Corpus::Documents(parameters) => Some((Generator::Documents, parameters)),
        Corpus::Text(_)
        | Corpus::Folder(_)
        | Corpus::Jsonl(_)
        | Corpus::Json(_)
        | Corpus::Bin(_) => None,
    };
    if let Some((generator, parameters)) = embedded {
        return generate(generator, parameters, wanted, &context.stop, take);
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
                    hint: too_few_hint(corpus, index, vocabulary),
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

/// Number of documents of a corpus of files.
///
/// # Errors
/// As [`read_all`].
pub(crate) fn count(
    corpus: &Corpus,
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
) -> Result<usize, DataError> {
    let mut count = 0;
    for document in open(corpus, vocabulary, context)? {
        context.stop.check()?;
        document?;
        count += 1;
    }
    Ok(count)
}

/// What to do about a file that turns out to be one document or none.
fn too_few_hint(corpus: &Corpus, available: usize, vocabulary: Option<BinVocabulary>) -> String {
    match (corpus, vocabulary) {
        (Corpus::Text(text), _) if available <= 1 && text.pieces.is_none() => format!(
            "; no line of it is the separator `{}`: name its `separator` (`\"\\n\"` cuts at lines, `\"\\n\\n\"` at empty lines), or cut it with `pieces: 1000` (characters)",
            text.separator.escape_debug()
        ),
        (Corpus::Bin(_), Some(vocabulary)) if available <= 1 => format!(
            "; its ids hardly ever are {}, the id that ends a text: it was made with another tokenizer, or another token ends its texts (`tokenizer: {{file: {{path: …, eos: …}}}}`)",
            vocabulary.eos
        ),
        _ => String::new(),
    }
}

/// Files and patterns of a corpus that are not there.
pub(crate) fn absent_files(corpus: &Corpus, context: &DataContext) -> Vec<PathBuf> {
    match corpus {
        Corpus::Stories(_) | Corpus::Documents(_) => Vec::new(),
        Corpus::Folder(folder) => {
            let path = context.resolve(&folder.path);
            if path.exists() {
                Vec::new()
            } else {
                vec![path]
            }
        }
        Corpus::Text(TextFile { path, .. })
        | Corpus::Jsonl(Jsonl { path, .. })
        | Corpus::Json(Jsonl { path, .. })
        | Corpus::Bin(BinFile { path, .. }) => files::absent(path, context),
    }
}

/// The corpus in words, for messages.
pub(crate) fn describe(corpus: &Corpus) -> String {
    match corpus {
        Corpus::Stories(_) => "the embedded corpus `stories`".to_owned(),
        Corpus::Documents(_) => "the embedded corpus `documents`".to_owned(),
        Corpus::Folder(folder) => format!("`{}`", folder.path.display()),
        Corpus::Text(TextFile { path, .. })
        | Corpus::Jsonl(Jsonl { path, .. })
        | Corpus::Json(Jsonl { path, .. })
        | Corpus::Bin(BinFile { path, .. }) => path.to_string(),
    }
}

/// Size, times and inode of what a corpus reads, with the latest time of all (nanoseconds).
pub(crate) fn fingerprint(
    corpus: &Corpus,
    context: &DataContext,
) -> Result<Option<Fingerprint>, DataError> {
    let paths = match corpus {
        Corpus::Stories(_) | Corpus::Documents(_) => return Ok(None),
        Corpus::Text(TextFile { path, .. })
        | Corpus::Jsonl(Jsonl { path, .. })
        | Corpus::Json(Jsonl { path, .. })
        | Corpus::Bin(BinFile { path, .. }) => path,
        Corpus::Folder(folder) => {
            let files = folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?;
            return folder::fingerprint(&files).map(Some);
        }
    };
    fingerprint_of(&files::list(paths, context)?).map(Some)
}

/// Size, times and inode of files.
pub(crate) fn fingerprint_of(files: &[PathBuf]) -> Result<Fingerprint, DataError> {
    match files {
        [one] => Fingerprint::of(one),
        several => {
            let named = several
                .iter()
                .map(|path| (path.as_os_str().as_encoded_bytes(), &**path));
            files::fingerprint(named)
        }
    }
}

/// What tells a changed file from an unchanged one without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Size, times and inode as text.
    pub(crate) text: String,
    /// Latest time of change, nanoseconds since 1970.
    pub(crate) modified: u128,
}

impl Fingerprint {
    /// Looks at a file.
    pub(crate) fn of(path: &Path) -> Result<Self, DataError> {
        let metadata = std::fs::metadata(path).map_err(|source| DataError::Io {
            path: path.to_owned(),
            source,
        })?;
        let (modified, changed) = (modified_nanos(&metadata), changed_nanos(&metadata));
        Ok(Self {
            text: format!(
                "{} bytes, {modified} ns, changed {changed} ns, inode {}",
                metadata.len(),
                inode(&metadata)
            ),
            modified: modified.max(changed),
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

/// When the file or what the system knows of it changed, in nanoseconds since 1970: nobody can set it back, as `touch` does with the
/// modification time. 0 where the system has none.
#[cfg(unix)]
pub(crate) fn changed_nanos(metadata: &std::fs::Metadata) -> u128 {
    use std::os::unix::fs::MetadataExt as _;
    let (seconds, nanos) = (metadata.ctime(), metadata.ctime_nsec());
    let seconds = u128::try_from(seconds).unwrap_or(0);
    seconds * 1_000_000_000 + u128::try_from(nanos).unwrap_or(0)
}

#[cfg(not(unix))]
pub(crate) fn changed_nanos(_: &std::fs::Metadata) -> u128 {
    0
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
