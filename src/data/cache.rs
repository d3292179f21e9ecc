//! The folder `tokens-v1`: data that is costly to recompute from documents. Everything in it can be deleted at any
//! time.
//!
//! | file | contents |
//! |---|---|
//! | `leases/<hash>.claim-<n>` | the process making a tokenizer or a slice |
//! | `stat/<hash>.json` | digests of a file or slice, with the size, times and inode they belong to |
//! | `bpe/<hash>.json`, `.sha256` | a trained `tokenizer.json` and its digest |
//! | `slices/<2 digits>/<hash>.ids` | ids of a slice: magic, number of documents, lengths (u32), ids (u32), sha256 of all before |
//! | `slices/<2 digits>/<hash>.lengths` | the lengths alone, in the same format, for plans; only of the first documents
//! if no more are known |
//!
//! All numbers are little-endian. The hash of a tokenizer or slice covers the identities that determine its contents,
//! never paths or times. That of a `stat` entry covers the path and the range. Tokenizers and slices are verified when
//! read; a damaged entry counts as missing and is rewritten. The process making a tokenizer or slice holds its lease,
//! so that no other makes the same one meanwhile. A cache that cannot be written is not used.

use super::source::Fingerprint;
use super::{DataContext, DataError};
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::{Fs, FsError, FsResult, Judge, Lease, LeaseName, LeaseTiming, Observed, RealFs};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

const MAGIC: &[u8; 8] = b"sbtokens";
const DIGEST_BYTES: usize = 64;
/// Maximum size of a file of ids, in bytes.
const MAX_SLICE: u64 = 16 << 30;
/// Folder of the leases.
const LEASES: &str = "leases";
/// Maximum size of a file of facts, in bytes.
const MAX_STAT: u64 = 1 << 20;

/// How often to check for an entry being made by another process.
const POLL: Duration = Duration::from_millis(50);

/// The cache of one run; without a folder, nothing is stored or found.
pub(super) struct Cache<'a> {
    folder: Option<&'a Path>,
    /// Whether ids and tokenizers may be read from it.
    is_believed: bool,
    leases: LeaseTiming,
    /// Syncs to disk.
    fs: Arc<dyn Fs>,
    /// Does not sync: for entries that are quick to recompute.
    quick: Arc<dyn Fs>,
}

/// The result of trying to make a missing entry.
pub(super) enum Turn<T> {
    /// Another process has made it.
    Made(T),
    /// This process must make it. If the cache is writable, no other process makes it while the lease is held.
    Ours(#[expect(dead_code, reason = "held")] Option<Lease>),
}

/// The result of a cache lookup.
pub(super) enum Found<T> {
    /// The entry, intact.
    Hit(T),
    /// No entry.
    Miss,
    /// The entry is damaged.
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
    pub(super) fn new(context: &'a DataContext) -> Self {
        let folder = context.cache.as_deref();
        // The folder belongs to the store, so links in its place are not followed either.
        let root = folder.and_then(Path::parent).unwrap_or(Path::new(""));
        Self {
            folder,
            is_believed: !context.paranoid,
            leases: context.leases,
            fs: RealFs::new().below(root),
            quick: RealFs::without_sync().below(root),
        }
    }

    /// Whether anything was ever stored; leases alone do not count.
    pub(super) fn is_there(&self) -> bool {
        let kept = self.folder.and_then(|folder| self.fs.list(folder).ok());
        kept.is_some_and(|kept| kept.iter().any(|entry| entry.name != LEASES))
    }

    /// The warning for an entry that could not be stored.
    pub(super) fn without(&self, error: &FsError) -> String {
        let folder = self.folder.unwrap_or(Path::new("")).display();
        let cause = &error.source;
        format!(
            "nothing is kept in `{folder}`, which cannot be written ({cause}): data is read and tokenised again next time"
        )
    }

    /// Facts about an unchanged file. They count only if the file is older than the entry: a change within the same
    /// clock tick could not be detected.
    pub(super) fn stat<T: DeserializeOwned>(
        &self,
        what: &str,
        fingerprint: &Fingerprint,
    ) -> Option<T> {
        let path = self.stat_path(what)?;
        let written = self.fs.metadata(&path).ok()??.modified;
        let written = written.duration_since(UNIX_EPOCH).ok()?.as_nanos();
        let bytes = self.fs.read(&path, MAX_STAT).ok()?;
        let entry: StatEntry<T> = serde_json::from_slice(&bytes).ok()?;
        let current = entry.format == 1
            && entry.fingerprint == fingerprint.text
            && fingerprint.modified < written;
        current.then_some(entry.facts)
    }

    /// Stores facts about a file.
    pub(super) fn put_stat<T: Serialize>(
        &self,
        what: &str,
        fingerprint: &Fingerprint,
        facts: T,
    ) -> FsResult<()> {
        let Some(path) = self.stat_path(what) else {
            return Ok(());
        };
        let entry = StatEntry {
            format: 1,
            fingerprint: fingerprint.text.clone(),
            facts,
        };
        let text = serde_json::json!(entry).to_string();
        write(self.quick.as_ref(), &path, text.as_bytes())
    }

    /// Deletes all facts about files, since one of them was wrong.
    pub(super) fn forget_stats(&self) {
        if let Some(folder) = self.folder {
            // Facts that cannot be removed stay wrong; the message names `--paranoid`.
            let _ = self.fs.remove_dir_all(&folder.join("stat"));
        }
    }

    fn stat_path(&self, what: &str) -> Option<PathBuf> {
        let name = format!("{}.json", Sha256Hex::of(what.as_bytes()));
        Some(self.folder?.join("stat").join(name))
    }

    /// A trained tokenizer.
    pub(super) fn tokenizer(&self, key: &str) -> Found<Vec<u8>> {
        match self.tokenizer_paths(key).filter(|_| self.is_believed) {
            Some((path, digest)) => read_tokenizer(self.fs.as_ref(), &path, &digest),
            None => Found::Miss,
        }
    }

    /// Stores a trained tokenizer. Returns the path of an existing, different one.
    pub(super) fn put_tokenizer(&self, key: &str, bytes: &[u8]) -> FsResult<Option<PathBuf>> {
        let Some((path, digest_path)) = self.tokenizer_paths(key) else {
            return Ok(None);
        };
        // The digest first: stopping between the two writes leaves a miss, not damage.
        let digest = Sha256Hex::of(bytes).to_string();
        self.replace(&digest_path, digest.as_bytes())?;
        self.replace(&path, bytes)
    }

    /// Writes an entry unless it already exists. Returns the path of an existing, different one.
    fn replace(&self, path: &Path, bytes: &[u8]) -> FsResult<Option<PathBuf>> {
        let was = match self.is_believed {
            true => None,
            false => self.fs.read(path, MAX_SLICE).ok(),
        };
        if was.as_deref() == Some(bytes) {
            return Ok(None);
        }
        write(self.fs.as_ref(), path, bytes)?;
        Ok(was.map(|_| path.to_path_buf()))
    }

    /// Waits until no other process is making the entry of `key`, then takes its lease. `look` checks whether it
    /// exists.
    pub(super) fn turn<T>(
        &self,
        key: &str,
        context: &DataContext,
        mut look: impl FnMut() -> Option<T>,
    ) -> Result<Turn<T>, DataError> {
        let Some(folder) = self.folder else {
            return Ok(Turn::Ours(None));
        };
        let name = LeaseName {
            folder: folder.join(LEASES),
            stem: Sha256Hex::of(key.as_bytes()).to_string(),
        };
        let observed = Observed::default();
        loop {
            context.stop.check()?;
            let judge = Judge::Watching(&observed);
            match Lease::acquire(&self.fs, &name, self.leases, judge, 0) {
                // It may have been made between the check and the lease.
                Ok(Some(lease)) => {
                    return Ok(look().map_or(Turn::Ours(Some(lease)), Turn::Made));
                }
                Ok(None) => std::thread::sleep(POLL),
                Err(_) => return Ok(Turn::Ours(None)),
            }
            if let Some(made) = look() {
                return Ok(Turn::Made(made));
            }
        }
    }

    fn tokenizer_paths(&self, key: &str) -> Option<(PathBuf, PathBuf)> {
        let name = Sha256Hex::of(key.as_bytes()).to_string();
        let folder = self.folder?.join("bpe");
        Some((
            folder.join(format!("{name}.json")),
            folder.join(format!("{name}.sha256")),
        ))
    }

    /// Ids of a slice, document by document; ids outside the vocabulary count as damage.
    pub(super) fn slice(&self, key: &str, vocab_size: usize) -> Found<Vec<Vec<u32>>> {
        if !self.is_believed {
            return Found::Miss;
        }
        let found = self.read_slice(key, vocab_size);
        // Older lengths were written without syncing: a power loss could corrupt them but not the ids.
        if let Found::Hit(documents) = &found
            && self.lengths(key).is_none()
        {
            let lengths: Vec<u32> = documents.iter().map(|ids| ids.len() as u32).collect();
            let _ = self.put_lengths(key, &lengths);
        }
        found
    }

    fn read_slice(&self, key: &str, vocab_size: usize) -> Found<Vec<Vec<u32>>> {
        self.read(key, "ids", |bytes| {
            let (lengths, mut rest) = split_lengths(bytes)?;
            let mut documents = Vec::with_capacity(lengths.len());
            for length in lengths {
                let (ids, behind) = rest.split_at_checked(4 * length as usize)?;
                let ids: Vec<u32> = numbers(ids).collect();
                if ids.iter().any(|id| *id as usize >= vocab_size) {
                    return None;
                }
                documents.push(ids);
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
            Found::Miss => None,
            // They are rewritten when the slice is read; a read-only cache stays as it is.
            Found::Damaged(path) => {
                let _ = self.fs.remove_file(&path);
                None
            }
        }
    }

    /// Stores lengths alone.
    pub(super) fn put_lengths(&self, key: &str, lengths: &[u32]) -> FsResult<()> {
        match self.slice_path(key, "lengths") {
            Some(path) => {
                let bytes = sealed(lengths_as_bytes(lengths));
                write(self.fs.as_ref(), &path, &bytes)
            }
            None => Ok(()),
        }
    }

    /// Stores the ids of a slice. Returns the path of an existing, different entry.
    pub(super) fn put_slice(&self, key: &str, documents: &[Vec<u32>]) -> FsResult<Option<PathBuf>> {
        let Some(path) = self.slice_path(key, "ids") else {
            return Ok(None);
        };
        let lengths: Vec<u32> = documents.iter().map(|ids| ids.len() as u32).collect();
        self.put_lengths(key, &lengths)?;
        let mut bytes = lengths_as_bytes(&lengths);
        let ids: usize = documents.iter().map(Vec::len).sum();
        bytes.reserve_exact(4 * ids + DIGEST_BYTES);
        bytes.extend(documents.iter().flatten().flat_map(|id| id.to_le_bytes()));
        self.replace(&path, &sealed(bytes))
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
        match self.fs.read(&path, MAX_SLICE) {
            Ok(bytes) => match unsealed(&bytes).and_then(parse) {
                Some(value) => Found::Hit(value),
                None => Found::Damaged(path),
            },
            Err(error) if is_absent(&error) => Found::Miss,
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

/// Whether the path is absent, including when a file is in place of the cache's folder.
fn is_absent(error: &FsError) -> bool {
    error.is_not_found() || error.source.kind() == std::io::ErrorKind::NotADirectory
}

/// Reads a trained tokenizer and its digest.
fn read_tokenizer(fs: &dyn Fs, path: &Path, digest_path: &Path) -> Found<Vec<u8>> {
    let bytes = match fs.read(path, super::tokenizer::MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if is_absent(&error) => return Found::Miss,
        Err(_) => return Found::Damaged(path.to_path_buf()),
    };
    let digest = fs.read(digest_path, MAX_STAT).unwrap_or_default();
    let digest = Sha256Hex::parse(String::from_utf8_lossy(&digest).trim());
    if digest == Some(Sha256Hex::of(&bytes)) {
        Found::Hit(bytes)
    } else {
        Found::Damaged(path.to_path_buf())
    }
}

/// Digest of the ids of a slice, as at the end of its file.
pub(super) fn digest_of(documents: &[Vec<u32>]) -> Sha256Hex {
    let lengths: Vec<u32> = documents.iter().map(|ids| ids.len() as u32).collect();
    let mut hasher = Hasher::new();
    hasher.update(&lengths_as_bytes(&lengths));
    for ids in documents {
        let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
        hasher.update(&bytes);
    }
    hasher.finish()
}

/// Digest of the ids of a run, from the digests of its slices.
pub(super) fn digest_of_slices(train: &Sha256Hex, validation: &Sha256Hex) -> Sha256Hex {
    Sha256Hex::of(format!("specbook.ids.v1\n{train}\n{validation}\n").as_bytes())
}

/// The header of a file: magic, number of documents, length of each.
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

/// The content between magic and digest, `None` if damaged.
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

/// The lengths at the beginning, and the rest.
fn split_lengths(bytes: &[u8]) -> Option<(impl ExactSizeIterator<Item = u32>, &[u8])> {
    let (count, rest) = bytes.split_first_chunk()?;
    let count = 4 * u32::from_le_bytes(*count) as usize;
    let (lengths, rest) = rest.split_at_checked(count)?;
    Some((numbers(lengths), rest))
}

/// Writes a file atomically: readers see the old contents or the new. All writes of this module go through here.
fn write(fs: &dyn Fs, path: &Path, bytes: &[u8]) -> FsResult<()> {
    fs.create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    fs.write_atomic(path, bytes)
}

mod audit;
pub use audit::{TrainedOn, audit};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fsx::FaultFs;

    /// A file under its final name is complete, even after a power loss.
    #[test]
    fn lengths_wait_for_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let counting = FaultFs::counting(Arc::new(RealFs::new()));
        let cache = Cache {
            folder: Some(folder.path()),
            is_believed: true,
            leases: LeaseTiming::default(),
            fs: Arc::new(counting.clone()),
            quick: Arc::new(RealFs::without_sync()),
        };
        let key = Sha256Hex::of(b"a slice").to_string();
        cache.put_lengths(&key, &[1, 2]).unwrap();
        let log = counting.log();
        let at = |what: &str| log.iter().position(|step| step.starts_with(what));
        assert!(at("sync").unwrap() < at("rename").unwrap(), "{log:?}");
        assert_eq!(cache.lengths(&key), Some(vec![1, 2]));
    }
}
