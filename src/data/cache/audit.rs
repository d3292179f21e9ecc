//! Audits the cache: reads every file and finds damage and differences from the training data of the store's runs.

use super::{
    Found, MAX_SLICE, MAX_STAT, StatEntry, digest_of_slices, read_tokenizer, split_lengths,
    unsealed,
};
use crate::data::identity::{DataKey, slice_cache_key, tokenizer_cache_key};
use crate::digest::Sha256Hex;
use crate::fsx::{Fs, FsResult};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Result of [`audit`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CacheAudit {
    /// Files read.
    pub files: usize,
    /// Bytes of slices and tokenizers read.
    pub bytes: u64,
    /// Paths and descriptions of problems.
    pub problems: Vec<(PathBuf, String)>,
}

/// The data of a stored run, as recorded.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedOn {
    /// Spec and name of the run.
    pub run: String,
    /// Its data.
    pub data: DataKey,
    /// Digest of its ids; missing in older runs.
    pub ids: Option<Sha256Hex>,
    /// Digest of its tokenizer.
    pub tokenizer: Sha256Hex,
}

/// Reads every file in the cache's subfolders of `folder` (files directly in it belong to the store and are skipped),
/// and compares ids, where recorded, and tokenizers with the digests recorded by the runs.
///
/// # Errors
/// A folder that cannot be listed.
pub fn audit(folder: &Path, fs: &dyn Fs, known: &[TrainedOn]) -> FsResult<CacheAudit> {
    let mut found = CacheAudit::default();
    let mut seals = BTreeMap::new();
    for entry in fs.list(folder)?.iter().filter(|entry| entry.is_dir()) {
        let dir = folder.join(&entry.file_name);
        match entry.name.as_str() {
            "stat" => found.each(fs, &dir, |_, fs, path| facts(fs, path))?,
            "bpe" => found.each(fs, &dir, |found, fs, path| found.bpe(fs, path, &mut seals))?,
            "slices" => {
                for shard in fs.list(&dir)? {
                    let dir = dir.join(&shard.file_name);
                    if shard.is_dir() {
                        found.each(fs, &dir, |found, fs, path| {
                            found.slice(fs, path, &shard.name, &mut seals)
                        })?;
                    } else {
                        found.unknown(dir);
                    }
                }
            }
            "leases" => {}
            _ => found.unknown(dir),
        }
    }
    found.compare(known, &seals);
    Ok(found)
}

/// Digests of entries, by name and extension.
type Seals = BTreeMap<String, (Sha256Hex, PathBuf)>;

impl CacheAudit {
    fn each(
        &mut self,
        fs: &dyn Fs,
        dir: &Path,
        mut check: impl FnMut(&mut Self, &dyn Fs, &Path) -> Result<(), String>,
    ) -> FsResult<()> {
        for entry in fs.list(dir)? {
            let path = dir.join(&entry.file_name);
            // Files being written; `store gc` finds abandoned ones.
            if entry.name.starts_with(".tmp") {
                continue;
            }
            self.files += 1;
            if let Err(reason) = check(self, fs, &path) {
                self.problems.push((path, reason));
            }
        }
        Ok(())
    }

    fn unknown(&mut self, path: PathBuf) {
        self.problems.push((path, "not a cache file".to_owned()));
    }

    fn bpe(&mut self, fs: &dyn Fs, path: &Path, seals: &mut Seals) -> Result<(), String> {
        match ending(path)? {
            (_, "sha256") => Ok(()),
            (name, "json") => match read_tokenizer(fs, path, &path.with_extension("sha256")) {
                Found::Hit(bytes) => {
                    self.bytes += bytes.len() as u64;
                    let seal = (Sha256Hex::of(&bytes), path.to_path_buf());
                    seals.insert(format!("{name}.json"), seal);
                    Ok(())
                }
                Found::Miss | Found::Damaged(_) => Err("it does not have its digest".to_owned()),
            },
            _ => Err("not a cache file".to_owned()),
        }
    }

    fn slice(
        &mut self,
        fs: &dyn Fs,
        path: &Path,
        shard: &str,
        seals: &mut Seals,
    ) -> Result<(), String> {
        let (name, kind) = ending(path)?;
        if !name.starts_with(shard) || !matches!(kind, "ids" | "lengths") {
            return Err("not a cache file".to_owned());
        }
        let bytes = fs.read(path, MAX_SLICE);
        let bytes = bytes.map_err(|error| format!("{error}: {}", error.source))?;
        self.bytes += bytes.len() as u64;
        let contents = unsealed(&bytes).ok_or("it does not have its digest")?;
        let (lengths, rest) = split_lengths(contents).ok_or("its lengths are truncated")?;
        let ids: u64 = lengths.map(u64::from).sum();
        let expected = if kind == "ids" { 4 * ids } else { 0 };
        if rest.len() as u64 != expected {
            return Err("its lengths do not match its ids".to_owned());
        }
        let body = &bytes[..bytes.len() - super::DIGEST_BYTES];
        let seal = (Sha256Hex::of(body), path.to_path_buf());
        seals.insert(format!("{name}.{kind}"), seal);
        Ok(())
    }

    /// Compares with the data recorded by runs.
    fn compare(&mut self, known: &[TrainedOn], seals: &Seals) {
        let hash = |key: String| Sha256Hex::of(key.as_bytes());
        let mut told = std::collections::BTreeSet::new();
        for trained in known {
            let TrainedOn { run, data, .. } = trained;
            let slice = |slice| {
                let name = hash(slice_cache_key(slice, &data.tokenizer));
                seals.get(&format!("{name}.ids"))
            };
            if let (Some((train, path)), Some((validation, _))) =
                (slice(&data.train), slice(&data.validation))
                && trained
                    .ids
                    .is_some_and(|ids| ids != digest_of_slices(train, validation))
                && told.insert(path)
            {
                let reason = format!(
                    "these ids, or those of the validation slice, differ from those that run {run} was trained on"
                );
                self.problems.push((path.clone(), reason));
            }
            let name = hash(tokenizer_cache_key(&data.tokenizer));
            if let Some((digest, path)) = seals.get(&format!("{name}.json"))
                && *digest != trained.tokenizer
                && told.insert(path)
            {
                let reason =
                    format!("it differs from the tokenizer that run {run} was trained with");
                self.problems.push((path.clone(), reason));
            }
        }
    }
}

fn facts(fs: &dyn Fs, path: &Path) -> Result<(), String> {
    ending(path)?;
    let bytes = fs.read(path, MAX_STAT);
    let bytes = bytes.map_err(|error| format!("{error}: {}", error.source))?;
    serde_json::from_slice::<StatEntry<serde_json::Value>>(&bytes)
        .map(|_| ())
        .map_err(|error| format!("it cannot be read: {error}"))
}

/// The hash and the extension of a file name.
fn ending(path: &Path) -> Result<(&str, &str), String> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.and_then(|name| name.split_once('.'))
        .filter(|(hash, _)| Sha256Hex::parse(hash).is_some())
        .ok_or_else(|| "not a cache file".to_owned())
}
