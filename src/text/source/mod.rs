//! Streams of documents from embedded corpora and files.
//!
//! A stream reads lazily, holds at most one document and one buffer, and refuses lines, documents and compression
//! windows beyond the limits below, since files are untrusted.

mod files;
mod input;
mod lines;
mod paths;
mod value;
mod zst;

use super::corpora::{self, Embedded, Generator};
use super::{DataContext, DataError, Stop};
use crate::choices::{Findings, choices};
use rayon::prelude::*;
use std::ops::Range;
use std::path::{Path, PathBuf};

pub use bin::BinFile;
#[cfg(test)]
use bin::Width;
pub use dataset::Set;
pub use folder::Folder;
pub use jsonl::Jsonl;
pub use paths::Paths;
pub use text::TextFile;

choices! {
    /// A source of documents.
    Corpus: Source {
        stories: Stories(Stories),
        documents: Documents(Mixed),
        text: Text(TextFile),
        folder: Folder(Folder),
        jsonl: Jsonl(Jsonl),
        json: Json(Json),
        parquet: Parquet(Parquet),
        bin: Bin(BinFile),
        dataset: Dataset(Dataset),
    }
}

/// The location of a source's documents, and the reader for its files.
pub trait Source {
    /// The origin of its documents.
    fn origin(&self) -> Origin<'_>;

    /// Checks its settings, found at `path` (`data.corpus.text`), except for the presence of files, which is checked
    /// for all sources.
    fn check(&self, _path: &str, _: &mut Findings) {}

    /// The documents of one file; `vocabulary` is that of the tokenizer, if known.
    ///
    /// # Errors
    /// A missing or damaged file.
    fn read(
        &self,
        path: PathBuf,
        vocabulary: Option<BinVocabulary>,
    ) -> Result<Documents, DataError>;

    /// The documents of all files in their final order, usually that of the files.
    fn arrange(&self, documents: Documents) -> Documents {
        documents
    }

    /// Whether documents are pieces of one text, without end-of-text between them.
    fn is_one_text(&self) -> bool {
        false
    }

    /// Whether documents are token ids, readable only with the tokenizer that made them.
    fn holds_ids(&self) -> bool {
        false
    }

    /// A hint why its files may hold only one document or none.
    fn hint_of_one(&self, _: Option<BinVocabulary>) -> Option<String> {
        None
    }
}

/// Origin of documents.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// Generated on demand.
    Generated {
        /// Their generator.
        generator: Generator,
        /// Version and seed.
        parameters: &'a Embedded,
        /// The newest version.
        newest: u32,
        /// Maximum documents per slice.
        most: usize,
    },
    /// Files, one after another.
    Files(&'a Paths),
    /// The files of a folder.
    Folder(&'a Folder),
    /// The files of a public data set.
    Set(&'static Set),
}

impl Corpus {
    /// The first file or the folder, as written in the spec; `None` for an embedded corpus.
    pub fn path(&self) -> Option<&Path> {
        match self.get().origin() {
            Origin::Generated { .. } => None,
            Origin::Files(paths) => Some(paths.first()),
            Origin::Folder(folder) => Some(&folder.path),
            Origin::Set(set) => Some(Path::new(set.name)),
        }
    }

    /// Checks its settings, found at `path` (`data.corpus`).
    pub fn check(&self, path: &str, findings: &mut Findings) {
        let name = self.name();
        let source = self.get();
        source.check(&format!("{path}.{name}"), findings);
        let is_named = match source.origin() {
            Origin::Generated {
                parameters, newest, ..
            } => {
                if !(1..=newest).contains(&parameters.version) {
                    let versions: Vec<String> = (1..=newest).map(|v| v.to_string()).collect();
                    let version = parameters.version;
                    let message = format!("the corpus `{name}` has no version {version}");
                    findings
                        .say(format!("{path}.{name}.version"), message)
                        .allowed(versions.join(" or "));
                }
                true
            }
            Origin::Files(paths) => {
                !paths.0.is_empty() && paths.iter().all(|file| !file.as_os_str().is_empty())
            }
            Origin::Folder(folder) => !folder.path.as_os_str().is_empty(),
            Origin::Set(_) => true,
        };
        if !is_named {
            let message = format!("the path of `{name}` is empty");
            findings.say(format!("{path}.{name}.path"), message);
        }
    }

    /// Its files, in order; none for an embedded corpus.
    fn files(&self, context: &DataContext) -> Result<Vec<PathBuf>, DataError> {
        Ok(match self.get().origin() {
            Origin::Generated { .. } => Vec::new(),
            Origin::Files(paths) => files::list(paths, context)?,
            Origin::Set(set) => set.files(&context.fetched)?,
            Origin::Folder(folder) => {
                folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?
                    .into_iter()
                    .map(|file| file.path)
                    .collect()
            }
        })
    }
}

/// Maximum line or document size in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 20;
/// Maximum zstd window in bytes: enough for `zstd --long=31`.
pub(crate) const MAX_WINDOW: u64 = 2 << 30;
/// Maximum xz dictionary in bytes: four times that of `xz -9`.
pub(crate) const MAX_DICTIONARY: u64 = 256 << 20;

/// Documents of an embedded corpus to generate at once.
pub(crate) const GENERATED_TOGETHER: usize = 256;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
    /// Text to encode.
    Text(String),
    /// Ids from a `.bin` file.
    Ids(Vec<u32>),
}

impl Document {
    /// Bytes that enter the identity of a slice.
    pub(crate) fn identity_bytes(&self) -> std::borrow::Cow<'_, [u8]> {
        match self {
            Self::Text(text) => text.as_bytes().into(),
            Self::Ids(ids) => ids.iter().flat_map(|id| id.to_le_bytes()).collect(),
        }
    }
}

/// The facts that the reader of a `.bin` file needs about the tokenizer that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BinVocabulary {
    /// Id that ends a document.
    pub(crate) eos: u32,
    /// Vocabulary size.
    pub(crate) vocab_size: usize,
}

/// A stream of documents.
pub type Documents = Box<dyn Iterator<Item = Result<Document, DataError>> + Send>;

/// Opens a corpus of files at its first document; each file is opened when reached.
fn open(
    corpus: &Corpus,
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
) -> Result<Documents, DataError> {
    let (files, fetched) = (corpus.files(context)?, context.fetched.clone());
    let own = corpus.clone();
    let documents = files.into_iter().flat_map(move |path| {
        let opened = match fetched.holds_documents(&path) {
            true => jsonl::kept(path),
            false => own.get().read(path, vocabulary),
        };
        opened.unwrap_or_else(|error| Box::new(std::iter::once(Err(error))))
    });
    Ok(corpus.get().arrange(Box::new(documents)))
}

/// A named range of requested documents.
pub(crate) struct Wanted {
    /// `train`, `validation` or `test`.
    pub(crate) slice: &'static str,
    /// The documents.
    pub(crate) range: Range<usize>,
}

/// Reads `corpus` once, up to the end of the last range, and passes each document to `take` with the number of every
/// range that contains it. `take` gets the documents of each range in order.
pub(crate) fn read_ranges(
    corpus: &Corpus,
    wanted: &[Wanted],
    vocabulary: Option<BinVocabulary>,
    context: &DataContext,
    mut take: impl FnMut(usize, &Document) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let end = wanted.iter().map(|w| w.range.end).max().unwrap_or(0);
    if let Origin::Generated {
        generator,
        parameters,
        ..
    } = corpus.get().origin()
    {
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
                    hint: corpus
                        .get()
                        .hint_of_one(vocabulary)
                        .filter(|_| index <= 1)
                        .map_or_else(String::new, |hint| format!("; {hint}")),
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

/// Generates the wanted documents of an embedded corpus, in groups, on all threads of the current pool.
fn generate(
    generator: Generator,
    parameters: &Embedded,
    wanted: &[Wanted],
    stop: &Stop,
    mut take: impl FnMut(usize, &Document) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let is_wanted = |index: usize| wanted.iter().any(|w| w.range.contains(&index));
    let mut index = 0;
    // Skips the gaps between ranges.
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

/// Missing files, patterns and addresses of a corpus.
pub(crate) fn absent_files(corpus: &Corpus, context: &DataContext) -> Vec<PathBuf> {
    match corpus.get().origin() {
        Origin::Generated { .. } => Vec::new(),
        Origin::Files(paths) => files::absent(paths, context),
        Origin::Set(set) if set.is_here(&context.fetched) => Vec::new(),
        Origin::Set(set) => vec![
            format!(
                "{}, a public set that `specbook data fetch` downloads",
                set.name
            )
            .into(),
        ],
        Origin::Folder(folder) => {
            let path = context.resolve(&folder.path);
            if path.exists() {
                Vec::new()
            } else {
                vec![path]
            }
        }
    }
}

/// The corpus in words, for messages.
pub(crate) fn describe(corpus: &Corpus) -> String {
    match corpus.get().origin() {
        Origin::Generated { generator, .. } => {
            format!("the embedded corpus `{}`", generator.name())
        }
        Origin::Files(paths) => paths.to_string(),
        Origin::Set(set) => format!("the public set `{}`", set.name),
        Origin::Folder(folder) => format!("`{}`", folder.path.display()),
    }
}

/// Fingerprint of the files of a corpus, with their latest time (nanoseconds).
pub(crate) fn fingerprint(
    corpus: &Corpus,
    context: &DataContext,
) -> Result<Option<Fingerprint>, DataError> {
    match corpus.get().origin() {
        Origin::Generated { .. } => Ok(None),
        Origin::Files(_) | Origin::Set(_) => fingerprint_of(&corpus.files(context)?).map(Some),
        Origin::Folder(folder) => {
            let files = folder::list(&context.resolve(&folder.path), folder.extension.as_deref())?;
            folder::fingerprint(&files).map(Some)
        }
    }
}

/// Fingerprint of files.
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

/// Detects changed files without reading them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Size, times and inode as text.
    pub(crate) text: String,
    /// Latest modification time, nanoseconds since 1970.
    pub(crate) modified: u128,
}

impl Fingerprint {
    /// Fingerprint of one file.
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

/// Modification time in nanoseconds since 1970; 0 if the system has none.
pub(crate) fn modified_nanos(metadata: &std::fs::Metadata) -> u128 {
    metadata
        .modified()
        .ok()
        .and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok())
        .map_or(0, |since| since.as_nanos())
}

/// Inode change time in nanoseconds since 1970, which unlike the modification time cannot be set back by `touch`. 0 if
/// the system has none.
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
