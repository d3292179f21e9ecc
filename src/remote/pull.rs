//! Pulls runs from a remote place.

use super::place::{Place, RemoteError};
use super::{LIST_LIMIT, TOKENIZER_LIMIT, blob, each, record, result};
use crate::digest::Sha256Hex;
use crate::fsx::{Fs, FsError, Open, WriteFile};
use crate::net::Sink;
use crate::record::FileEntry;
use crate::store::{Manifest, ManifestRun, Received, Store, parse_manifest};
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Result of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    /// Pulled runs.
    pub runs: usize,
    /// Pulled evaluations.
    pub evals: usize,
    /// Pulled bytes.
    pub bytes: u64,
    /// Runs already in the store.
    pub there: usize,
    /// Runs missing in the remote place.
    pub missing: usize,
    /// Runs being made by another process.
    pub busy: usize,
    /// Damaged remote entries, which were skipped.
    pub damaged: Vec<String>,
}

/// Pulls runs with their evaluations and tokenizers. Damaged entries are reported and skipped.
///
/// # Errors
/// An unreachable place; a store that cannot be written. The next pull resumes from here.
pub fn pull(store: &Store, place: &dyn Place, runs: &[ManifestRun]) -> Result<Pulled, RemoteError> {
    let state = Mutex::new((Pulled::default(), BTreeSet::new()));
    let lock = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = BTreeSet::new();
    let runs: Vec<&ManifestRun> = runs
        .iter()
        .filter(|run| seen.insert((run.id, run.eval)))
        .collect();
    each(&runs, |run| {
        let mut bytes = 0;
        match one(store, place, run, &mut bytes) {
            Ok((of_run, of_eval, tokenizer)) => {
                let (all, tokenizers) = &mut *lock();
                match of_run {
                    Some(Received::New) => all.runs += 1,
                    Some(Received::There) => all.there += 1,
                    Some(Received::Busy) => all.busy += 1,
                    None => all.missing += 1,
                }
                all.evals += usize::from(of_eval == Some(Received::New));
                tokenizers.extend(tokenizer);
            }
            Err(error) if error.is_damage() => {
                let text = format!("run `{}`: {}", run.name, crate::store::chain(&error));
                lock().0.damaged.push(text);
            }
            Err(error) => return Err(error),
        }
        lock().0.bytes += bytes;
        Ok(())
    })?;
    let (mut all, tokenizers) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    for id in tokenizers {
        if store.tokenizer(&id)?.is_some() {
            continue;
        }
        // The runs are complete without it; only `sample` and `eval` need it.
        if let Some(bytes) = read(place, &blob(&id), TOKENIZER_LIMIT)? {
            match Sha256Hex::of(&bytes) == id {
                true => store.put_tokenizer(&bytes)?,
                false => all.damaged.push(format!(
                    "the tokenizer {} does not have its digest",
                    id.short()
                )),
            }
            all.bytes += bytes.len() as u64;
        }
    }
    Ok(all)
}

/// The remote manifest of a plan; `None` if it was never pushed.
///
/// # Errors
/// An unreachable place; a file that is not a manifest.
pub fn manifest(place: &dyn Place, like: &Manifest) -> Result<Option<Manifest>, RemoteError> {
    let name = format!("plans-v1/{}", like.clone().without_place().file_name());
    let bytes = read(place, &name, LIST_LIMIT)?;
    Ok(bytes
        .map(|bytes| parse_manifest(bytes, Path::new(&name)))
        .transpose()?)
}

type Parts = (Option<Received>, Option<Received>, Option<Sha256Hex>);

fn one(
    store: &Store,
    place: &dyn Place,
    run: &ManifestRun,
    bytes: &mut u64,
) -> Result<Parts, RemoteError> {
    let mut fetch = |entry: &FileEntry, path: &Path| {
        let part = Part::open(store.fs(), path, entry.bytes)?;
        *bytes += entry.bytes - part.written.min(entry.bytes);
        part.fill(place, entry)
    };
    let (of_run, tokenizer) = match store.has_run(&run.id) {
        true => (Some(Received::There), None),
        false => match read(place, &record(&run.id), LIST_LIMIT)? {
            None => (None, None),
            Some(list) => {
                let (received, tokenizer) = store.receive_run(&run.id, &list, &mut fetch)?;
                (Some(received), tokenizer)
            }
        },
    };
    let of_eval = match store.has_eval(&run.eval)? {
        true => Some(Received::There),
        false => match read(place, &result(&run.eval), LIST_LIMIT)? {
            None => None,
            Some(list) => Some(store.receive_eval(&run.eval, &list, &mut fetch)?),
        },
    };
    Ok((of_run, of_eval, tokenizer))
}

/// A whole small file; `None` if it does not exist.
pub(super) fn read(
    place: &dyn Place,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, RemoteError> {
    let mut whole = Whole {
        bytes: Vec::new(),
        limit,
    };
    Ok(place.get(name, &mut whole)?.then_some(whole.bytes))
}

struct Whole {
    bytes: Vec<u8>,
    limit: u64,
}

impl Sink for Whole {
    fn written(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.extend_from_slice(bytes);
        within(self.written(), self.limit)
    }

    fn restart(&mut self) -> io::Result<()> {
        self.bytes.clear();
        Ok(())
    }
}

fn within(bytes: u64, limit: u64) -> io::Result<()> {
    match bytes <= limit {
        true => Ok(()),
        false => Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("it is longer than {limit} bytes"),
        )),
    }
}

/// A file being downloaded under a temporary name; an earlier partial download is resumed.
struct Part<'a> {
    fs: &'a dyn Fs,
    path: PathBuf,
    target: PathBuf,
    file: Box<dyn WriteFile>,
    written: u64,
    limit: u64,
    /// Whether more bytes arrived than the file has.
    is_longer: bool,
}

impl<'a> Part<'a> {
    fn open(fs: &'a dyn Fs, target: &Path, limit: u64) -> Result<Self, RemoteError> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        name.push(".part");
        let path = target.with_file_name(name);
        let there = fs.metadata(&path)?.map_or(0, |found| found.bytes);
        if there > limit {
            fs.remove_file(&path)?;
        }
        Ok(Self {
            fs,
            file: fs.open_write(&path, Open::Append)?,
            path,
            target: target.to_path_buf(),
            written: if there > limit { 0 } else { there },
            limit,
            is_longer: false,
        })
    }

    /// Downloads the rest and moves the file into place. If the digest is wrong and part of the file came from an
    /// earlier attempt, it is downloaded again.
    fn fill(mut self, place: &dyn Place, entry: &FileEntry) -> Result<(), RemoteError> {
        let name = blob(&entry.sha256);
        let before = self.written;
        if before < entry.bytes || entry.bytes == 0 {
            self.fetch(place, &name)?;
        }
        if before > 0 && crate::store::digest(self.fs, &self.path)? != Some(*entry) {
            self.restart()
                .map_err(|error| FsError::new("write", &self.path, error))?;
            self.fetch(place, &name)?;
        }
        let Self {
            fs, path, target, ..
        } = self;
        Ok(fs.rename(&path, &target)?)
    }

    fn fetch(&mut self, place: &dyn Place, name: &str) -> Result<(), RemoteError> {
        let damaged = |reason: &str| RemoteError::Damaged {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        match place.get(name, self) {
            Ok(true) => {}
            Ok(false) => return Err(damaged("it is missing, although a record lists it")),
            Err(_) if self.is_longer => return Err(damaged("it is longer than recorded")),
            Err(error) => return Err(error),
        }
        let synced = self.file.sync();
        Ok(synced.map_err(|error| FsError::new("sync", &self.path, error))?)
    }
}

impl Sink for Part<'_> {
    fn written(&self) -> u64 {
        self.written
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fits = within(self.written + bytes.len() as u64, self.limit);
        self.is_longer |= fits.is_err();
        fits?;
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn restart(&mut self) -> io::Result<()> {
        self.fs
            .remove_file(&self.path)
            .map_err(|error| error.source)?;
        self.file = self
            .fs
            .open_write(&self.path, Open::Append)
            .map_err(|error| error.source)?;
        self.written = 0;
        Ok(())
    }
}
