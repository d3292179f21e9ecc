//! The folder `tokens-v1`: what is costly to make again from documents. Everything in it can be deleted at any time.
//!
//! | file | contents |
//! |---|---|
//! | `stat/<hash>.json` | digests of a file or slice, with the size, time and inode they belong to |
//! | `bpe/<hash>.json`, `.sha256` | a trained `tokenizer.json` and its digest |
//! | `slices/<2 digits>/<hash>.ids` | ids of a slice: magic, number of documents, lengths (u32), ids (u32), sha256 of all before |
//! | `slices/<2 digits>/<hash>.lengths` | the lengths alone, in the same form, for plans; of the first documents where no more is known |
//!
//! All numbers are little-endian. The hash of a tokenizer or slice is over what its contents follow from: identities, never
//! paths or times. That of a `stat` entry is over the path and the range. Tokenizers and slices are digested when they
//! are read; a damaged entry counts as missing and is written again.

use super::DataError;
use super::source::{Fingerprint, modified_nanos};
use crate::digest::Sha256Hex;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 8] = b"sbtokens";
const DIGEST_BYTES: usize = 64;
/// Longest file of ids that is read, in bytes.
const MAX_SLICE: u64 = 16 << 30;
/// Longest file of facts that is read, in bytes.
const MAX_STAT: u64 = 1 << 20;

/// The cache of one run; without a folder nothing is kept and nothing is found.
#[derive(Clone, Copy)]
pub(super) struct Cache<'a> {
    folder: Option<&'a Path>,
}

/// What a look into the cache gave.
pub(super) enum Found<T> {
    /// It is there and whole.
    Hit(T),
    /// It is not there.
    Miss,
    /// It is there but damaged.
    Damaged(PathBuf),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatEntry<T> {
    format: u32,
    fingerprint: String,
    facts: T,
}

impl<'a> Cache<'a> {
    pub(super) fn new(folder: Option<&'a Path>) -> Self {
        Self { folder }
    }

    /// Whether anything was ever kept.
    pub(super) fn is_there(&self) -> bool {
        self.folder.is_some_and(Path::is_dir)
    }

    /// Facts about an unchanged file. They count only where the file is older than the entry: a file changed in the same
    /// tick of the clock could not be told from the old one.
    pub(super) fn stat<T: DeserializeOwned>(
        &self,
        what: &str,
        fingerprint: &Fingerprint,
    ) -> Option<T> {
        let path = self.stat_path(what)?;
        let written = modified_nanos(&std::fs::metadata(&path).ok()?);
        let bytes = read_bounded(&path, MAX_STAT).ok()?;
        let entry: StatEntry<T> = serde_json::from_slice(&bytes).ok()?;
        let current = entry.format == 1
            && entry.fingerprint == fingerprint.text
            && fingerprint.modified < written;
        current.then_some(entry.facts)
    }

    /// Remembers facts about a file.
    pub(super) fn put_stat<T: Serialize>(
        &self,
        what: &str,
        fingerprint: &Fingerprint,
        facts: T,
    ) -> Result<(), DataError> {
        let Some(path) = self.stat_path(what) else {
            return Ok(());
        };
        let entry = StatEntry {
            format: 1,
            fingerprint: fingerprint.text.clone(),
            facts,
        };
        write_atomic(&path, serde_json::json!(entry).to_string().as_bytes())
    }

    fn stat_path(&self, what: &str) -> Option<PathBuf> {
        let name = format!("{}.json", Sha256Hex::of(what.as_bytes()));
        Some(self.folder?.join("stat").join(name))
    }

    /// A trained tokenizer.
    pub(super) fn tokenizer(&self, key: &str) -> Found<Vec<u8>> {
        let Some((path, digest_path)) = self.tokenizer_paths(key) else {
            return Found::Miss;
        };
        let (Ok(bytes), Ok(digest)) = (
            read_bounded(&path, super::tokenizer::MAX_FILE),
            read_bounded(&digest_path, MAX_STAT),
        ) else {
            return if path.exists() {
                Found::Damaged(path)
            } else {
                Found::Miss
            };
        };
        let digest = String::from_utf8_lossy(&digest);
        if Sha256Hex::parse(digest.trim()) == Some(Sha256Hex::of(&bytes)) {
            Found::Hit(bytes)
        } else {
            Found::Damaged(path)
        }
    }

    /// Keeps a trained tokenizer.
    pub(super) fn put_tokenizer(&self, key: &str, bytes: &[u8]) -> Result<(), DataError> {
        let Some((path, digest_path)) = self.tokenizer_paths(key) else {
            return Ok(());
        };
        // The digest first: a process stopped between the two leaves a miss, not damage.
        write_atomic(&digest_path, Sha256Hex::of(bytes).to_string().as_bytes())?;
        write_atomic(&path, bytes)
    }

    fn tokenizer_paths(&self, key: &str) -> Option<(PathBuf, PathBuf)> {
        let name = Sha256Hex::of(key.as_bytes()).to_string();
        let folder = self.folder?.join("bpe");
        Some((
            folder.join(format!("{name}.json")),
            folder.join(format!("{name}.sha256")),
        ))
    }

    /// Ids of a slice, document by document.
    pub(super) fn slice(&self, key: &str) -> Found<Vec<Vec<u32>>> {
        self.read(key, "ids", |bytes| {
            let (lengths, mut rest) = split_lengths(bytes)?;
            let mut documents = Vec::with_capacity(lengths.len());
            for length in lengths {
                let (ids, behind) = rest.split_at_checked(4 * length as usize)?;
                documents.push(numbers(ids).collect());
                rest = behind;
            }
            rest.is_empty().then_some(documents)
        })
    }

    /// Lengths of the documents of a slice.
    pub(super) fn lengths(&self, key: &str) -> Option<Vec<u32>> {
        let found = self.read(key, "lengths", |bytes| {
            let (lengths, rest) = split_lengths(bytes)?;
            rest.is_empty().then(|| lengths.collect())
        });
        match found {
            Found::Hit(lengths) => Some(lengths),
            _ => None,
        }
    }

    /// Keeps lengths alone.
    pub(super) fn put_lengths(&self, key: &str, lengths: &[u32]) -> Result<(), DataError> {
        match self.slice_path(key, "lengths") {
            Some(path) => write_atomic(&path, &sealed(lengths_as_bytes(lengths))),
            None => Ok(()),
        }
    }

    /// Keeps the ids of a slice.
    pub(super) fn put_slice(&self, key: &str, documents: &[Vec<u32>]) -> Result<(), DataError> {
        let Some(path) = self.slice_path(key, "ids") else {
            return Ok(());
        };
        let lengths: Vec<u32> = documents.iter().map(|ids| ids.len() as u32).collect();
        self.put_lengths(key, &lengths)?;
        let mut bytes = lengths_as_bytes(&lengths);
        let ids: usize = documents.iter().map(Vec::len).sum();
        bytes.reserve_exact(4 * ids + DIGEST_BYTES);
        bytes.extend(documents.iter().flatten().flat_map(|id| id.to_le_bytes()));
        write_atomic(&path, &sealed(bytes))
    }

    fn read<T>(
        &self,
        key: &str,
        extension: &str,
        parse: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Found<T> {
        let Some(path) = self.slice_path(key, extension) else {
            return Found::Miss;
        };
        match read_bounded(&path, MAX_SLICE) {
            Ok(bytes) => match unsealed(&bytes).and_then(parse) {
                Some(value) => Found::Hit(value),
                None => Found::Damaged(path),
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Found::Miss,
            Err(_) => Found::Damaged(path),
        }
    }

    fn slice_path(&self, key: &str, extension: &str) -> Option<PathBuf> {
        let name = Sha256Hex::of(key.as_bytes()).to_string();
        Some(
            self.folder?
                .join("slices")
                .join(&name[..2])
                .join(format!("{name}.{extension}")),
        )
    }
}

/// Reads a file of at most `limit` bytes; a longer one is an error before memory is taken.
fn read_bounded(path: &Path, limit: u64) -> std::io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    let length = file.metadata()?.len();
    if length > limit {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length as usize)?;
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The beginning of a file: magic, number of documents, length of each.
fn lengths_as_bytes(lengths: &[u32]) -> Vec<u8> {
    let count = (lengths.len() as u32).to_le_bytes();
    let lengths = lengths.iter().flat_map(|length| length.to_le_bytes());
    MAGIC.iter().copied().chain(count).chain(lengths).collect()
}

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256Hex::of(&bytes).to_string();
    bytes.extend_from_slice(digest.as_bytes());
    bytes
}

/// What is sealed between magic and digest, `None` where it is damaged.
fn unsealed(bytes: &[u8]) -> Option<&[u8]> {
    let (body, digest) = bytes.split_at_checked(bytes.len().checked_sub(DIGEST_BYTES)?)?;
    let contents = body.strip_prefix(MAGIC)?;
    let whole =
        std::str::from_utf8(digest).ok().and_then(Sha256Hex::parse) == Some(Sha256Hex::of(body));
    (whole && contents.len().is_multiple_of(4)).then_some(contents)
}

fn numbers(bytes: &[u8]) -> impl ExactSizeIterator<Item = u32> {
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().map(|chunk| u32::from_le_bytes(*chunk))
}

/// The lengths at the beginning, and what is behind them.
fn split_lengths(bytes: &[u8]) -> Option<(impl ExactSizeIterator<Item = u32>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let count = 4 * u32::from_le_bytes(*count) as usize;
    let (lengths, rest) = rest.split_at_checked(count)?;
    Some((numbers(lengths), rest))
}

/// Writes a file so that a reader sees the old contents or the new, never a part. The one place where this module writes.
fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    };
    write().map_err(|source| DataError::Write {
        path: path.to_owned(),
        source,
    })
}
