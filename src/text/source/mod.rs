//! Streams of documents, one after another, from the embedded corpora and from files.
//!
//! A stream reads no further than it is asked to, never holds more than one document and one buffer, and refuses lines,
//! documents and compression windows beyond the limits below: files are untrusted.

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

/// Where the documents of a source are, and how a file of it is read.
pub trait Source {
    /// Where its documents come from.
    fn origin(&self) -> Origin<'_>;

    /// Checks its settings, which stand at `path` (`data.corpus.text`); that files are named is checked for all alike.
    fn check(&self, _path: &str, _: &mut Findings) {}

    /// The documents of one file; `vocabulary` is that of the tokenizer where it is known.
    ///
    /// # Errors
    /// A missing or damaged file.
    fn read(
        &self,
        path: PathBuf,
        vocabulary: Option<BinVocabulary>,
    ) -> Result<Documents, DataError>;

    /// The documents of all files in the order in which they count; usually that of the files.
    fn arrange(&self, documents: Documents) -> Documents {
        documents
    }

    /// Whether documents are pieces of one text, without an end between them.
    fn is_one_text(&self) -> bool {
        false
    }

    /// Whether documents are token ids already, which only the tokenizer that made them can read.
    fn holds_ids(&self) -> bool {
        false
    }

    /// Why its files may turn out to be one document or none, and what to do.
    fn hint_of_one(&self, _: Option<BinVocabulary>) -> Option<String> {
        None
    }
}

/// Where documents come from.
#[derive(Clone, Copy)]
pub enum Origin<'a> {
    /// They are made, as many as asked for.
    Generated {
        /// What makes them.
        generator: Generator,
        /// Version and seed.
        parameters: &'a Embedded,
        /// The newest version.
        newest: u32,
        /// Most documents of a slice.
        most: usize,
    },
    /// Files, one after another.
    Files(&'a Paths),
    /// The files of a folder.
    Folder(&'a Folder),
    /// The files of a public set.
    Set(&'static Set),
}

impl Corpus {
    /// The first file or the folder, as the spec writes it; `None` for an embedded corpus.
    pub fn path(&self) -> Option<&Path> {
        match self.get().origin() {
            Origin::Generated { .. } => None,
            Origin::Files(paths) => Some(paths.first()),
            Origin::Folder(folder) => Some(&folder.path),
            Origin::Set(set) => Some(Path::new(set.name)),
        }
    }

    /// Checks its settings, which stand at `path` (`data.corpus`).
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

    /// The files that it names, in order; none for an embedded corpus.
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

/// Longest line or document in bytes.
pub(crate) const MAX_DOCUMENT: usize = 64 << 20;
/// Largest zstd window in bytes: what `zstd --long=31` needs.
pub(crate) const MAX_WINDOW: u64 = 2 << 30;
/// Largest xz dictionary in bytes: four times what `xz -9` needs.
pub(crate) const MAX_DICTIONARY: u64 = 256 << 20;

/// Documents of an embedded corpus that are made together.
pub(crate) const GENERATED_TOGETHER: usize = 256;

/// One document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Document {
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
pub struct BinVocabulary {
    /// Id that ends a document.
    pub(crate) eos: u32,
    /// Entries.
    pub(crate) vocab_size: usize,
}

/// A stream of documents.
pub type Documents = Box<dyn Iterator<Item = Result<Document, DataError>> + Send>;

/// Opens a corpus of files at its first document; each file is opened when it is reached.
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

/// Files, patterns and addresses of a corpus that are not there.
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

/// Size, times and inode of what a corpus reads, with the latest time of all (nanoseconds).
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
