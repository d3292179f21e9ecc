//! `store gc` and `store du`: what nothing refers to, and what takes the space.

use super::claim::is_held;
use super::error::StoreError;
use super::evals;
use super::layout::{CHECKPOINT, ShardName};
use super::runs::Store;
use crate::fsx::Fs;
use crate::record::{EvalId, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// End of the name of a folder that is being removed.
const GONE: &str = ".work-gone";

/// What kind of thing nothing refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GarbageKind {
    /// A finished or failed run.
    Run,
    /// An unfinished run that no process makes.
    Unfinished,
    /// An evaluation.
    Eval,
    /// What a killed process left.
    Temporary,
    /// A damaged entry that was moved aside.
    Damaged,
}

/// Something that nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Where.
    pub path: PathBuf,
    /// What.
    pub kind: GarbageKind,
    /// Bytes.
    pub bytes: u64,
}

/// Bytes and number of one kind of entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// Bytes of a file, or of all files of a folder.
fn bytes_of(fs: &dyn Fs, path: &Path, is_dir: bool, depth: usize) -> Result<u64, StoreError> {
    if !is_dir {
        return Ok(fs.metadata(path)?.map_or(0, |found| found.bytes));
    }
    if depth == 0 {
        return Ok(0);
    }
    let mut bytes = 0;
    for entry in fs.list(path)? {
        bytes += bytes_of(fs, &path.join(&entry.name), entry.is_dir(), depth - 1)?;
    }
    Ok(bytes)
}

/// Lists what neither a plan's manifest nor `runs` and `evals` refer to. Removes nothing.
///
/// Runs that a process makes are left alone. Damaged entries are listed only with `damaged`.
///
/// # Errors
/// A folder that cannot be read. A manifest that cannot be read is an error too: its runs would go.
pub fn gc(
    store: &Store,
    runs: &[RunId],
    evals: &[EvalId],
    damaged: bool,
) -> Result<Vec<Garbage>, StoreError> {
    let before = store.take_warnings();
    let manifests = store.plans()?;
    let unreadable = store.take_warnings();
    before.into_iter().for_each(|warning| store.warn(warning));
    if let Some(reason) = unreadable.into_iter().next() {
        return Err(StoreError::Damaged {
            path: store.layout.plans(),
            reason,
        });
    }
    let listed = || manifests.iter().flat_map(|manifest| &manifest.runs);
    let mut roots: BTreeSet<RunId> = runs.iter().copied().collect();
    roots.extend(listed().map(|run| run.id));
    let mut eval_roots: BTreeSet<EvalId> = evals.iter().copied().collect();
    eval_roots.extend(listed().map(|run| run.eval));
    let mut found = Vec::new();
    let is_in_use = runs_garbage(store, &roots, &mut found)?;
    evals_garbage(store, &eval_roots, &mut found)?;
    // A process that makes runs may be writing one of these.
    if !is_in_use {
        for dir in [store.layout.tokens(), store.layout.plans()] {
            temporary(store, &dir, &mut found)?;
        }
        temporary(store, store.root(), &mut found)?;
    }
    if damaged {
        let dir = store.layout.damaged();
        for entry in store.fs().list(&dir)? {
            let path = dir.join(&entry.name);
            push(
                store,
                &mut found,
                path,
                GarbageKind::Damaged,
                entry.is_dir(),
            )?;
        }
    }
    Ok(found)
}

fn push(
    store: &Store,
    found: &mut Vec<Garbage>,
    path: PathBuf,
    kind: GarbageKind,
    is_dir: bool,
) -> Result<(), StoreError> {
    let bytes = bytes_of(store.fs(), &path, is_dir, 4)?;
    found.push(Garbage { path, kind, bytes });
    Ok(())
}

fn temporary(store: &Store, dir: &Path, found: &mut Vec<Garbage>) -> Result<(), StoreError> {
    for entry in store.fs().list(dir)? {
        if !entry.is_dir() && entry.name.starts_with(".tmp-") {
            let path = dir.join(&entry.name);
            push(store, found, path, GarbageKind::Temporary, false)?;
        }
    }
    Ok(())
}

/// Lists runs, works and claims; says whether a process that may be alive makes any run.
fn runs_garbage(
    store: &Store,
    roots: &BTreeSet<RunId>,
    found: &mut Vec<Garbage>,
) -> Result<bool, StoreError> {
    let root = store.layout.runs();
    let mut is_in_use = false;
    for shard in store.fs().list(&root)? {
        let dir = root.join(&shard.name);
        let entries = store.fs().list(&dir)?;
        let mut held = BTreeSet::new();
        for entry in &entries {
            if let Some(ShardName::Claim(id, number)) = ShardName::parse(&entry.name)
                && is_held(store.fs(), &store.layout, &id, number, None)?
            {
                held.insert(id);
            }
        }
        is_in_use |= !held.is_empty();
        for entry in &entries {
            let kind = match ShardName::parse(&entry.name) {
                Some(ShardName::Run(id)) if !roots.contains(&id) && !held.contains(&id) => {
                    GarbageKind::Run
                }
                Some(ShardName::Work(id, _)) if !roots.contains(&id) && !held.contains(&id) => {
                    GarbageKind::Unfinished
                }
                Some(ShardName::Claim(id, _)) if !held.contains(&id) => GarbageKind::Temporary,
                None if entry.name.ends_with(GONE) => GarbageKind::Temporary,
                _ => continue,
            };
            push(store, found, dir.join(&entry.name), kind, entry.is_dir())?;
        }
    }
    Ok(is_in_use)
}

fn evals_garbage(
    store: &Store,
    roots: &BTreeSet<EvalId>,
    found: &mut Vec<Garbage>,
) -> Result<(), StoreError> {
    let root = store.layout.evals();
    for shard in store.fs().list(&root)? {
        let dir = root.join(&shard.name);
        for entry in store.fs().list(&dir)? {
            let kind = match ShardName::parse(&entry.name) {
                Some(ShardName::Run(id)) if roots.contains(&EvalId(id.0)) => continue,
                Some(ShardName::Run(_)) => GarbageKind::Eval,
                _ if entry.name.ends_with(GONE) => GarbageKind::Temporary,
                _ if evals::is_left_over(&entry.name) => GarbageKind::Temporary,
                _ => continue,
            };
            push(store, found, dir.join(&entry.name), kind, entry.is_dir())?;
        }
    }
    Ok(())
}

/// Removes what [`gc`] listed; gives the bytes that this freed. What a process has begun to make since is left alone.
///
/// # Errors
/// Something that cannot be removed.
pub fn remove_garbage(store: &Store, garbage: &[Garbage]) -> Result<u64, StoreError> {
    let mut freed = 0;
    for item in garbage {
        let claim = match (item.kind, run_of(&item.path)) {
            (GarbageKind::Run | GarbageKind::Unfinished, Some(id)) => {
                let claim = store.claim(&id)?;
                if claim.is_none() {
                    let path = item.path.display();
                    store.warn(format!("`{path}` stays: a process has begun to make it"));
                    continue;
                }
                claim
            }
            _ => None,
        };
        if remove(store, &item.path)? {
            freed += item.bytes;
        }
        drop(claim);
    }
    Ok(freed)
}

/// The run that a folder of a run, or of one in the making, belongs to.
fn run_of(path: &Path) -> Option<RunId> {
    match ShardName::parse(path.file_name()?.to_str()?)? {
        ShardName::Run(id) | ShardName::Work(id, _) | ShardName::Claim(id, _) => Some(id),
    }
}

/// Removes a file, or a folder: by a rename first, so that a run is there as a whole or not at all. Gives `false` where it is gone.
fn remove(store: &Store, path: &Path) -> Result<bool, StoreError> {
    let fs = store.fs();
    let Some(found) = fs.metadata(path)? else {
        return Ok(false);
    };
    if !found.is_dir() {
        fs.remove_file(path)?;
        return Ok(true);
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    if name.ends_with(GONE) {
        fs.remove_dir_all(path)?;
        return Ok(true);
    }
    let gone = path.with_file_name(format!("{name}{GONE}"));
    // What a killed removal left is in the way of the rename.
    fs.remove_dir_all(&gone)?;
    match fs.rename(path, &gone) {
        Err(error) if error.is_not_found() => return Ok(false),
        other => other?,
    }
    fs.remove_dir_all(&gone)?;
    Ok(true)
}

/// What takes the space: bytes and entries by kind (`runs`, `weights`, `checkpoints`, `unfinished`, `evals`, `tokens`, `plans`,
/// `damaged`; weights and checkpoints are counted in `runs` too).
///
/// # Errors
/// A folder that cannot be read.
pub fn du(store: &Store) -> Result<BTreeMap<&'static str, Usage>, StoreError> {
    let fs = store.fs();
    let mut usage: BTreeMap<&'static str, Usage> = BTreeMap::new();
    let mut add = |kind, bytes| {
        let sum = usage.entry(kind).or_default();
        sum.entries += 1;
        sum.bytes += bytes;
    };
    let runs = store.layout.runs();
    for shard in fs.list(&runs)? {
        for entry in fs.list(&runs.join(&shard.name))? {
            let path = runs.join(&shard.name).join(&entry.name);
            let bytes = bytes_of(fs, &path, entry.is_dir(), 4)?;
            match ShardName::parse(&entry.name) {
                Some(ShardName::Run(_)) => add("runs", bytes),
                Some(ShardName::Work(..)) => add("unfinished", bytes),
                _ => continue,
            }
            for file in fs.list(&path)? {
                let bytes = bytes_of(fs, &path.join(&file.name), file.is_dir(), 2)?;
                if file.name == CHECKPOINT {
                    add("checkpoints", bytes);
                } else if file.name.ends_with(".safetensors") {
                    add("weights", bytes);
                }
            }
        }
    }
    let evals = store.layout.evals();
    for shard in fs.list(&evals)? {
        for entry in fs.list(&evals.join(&shard.name))? {
            let path = evals.join(&shard.name).join(&entry.name);
            add("evals", bytes_of(fs, &path, entry.is_dir(), 4)?);
        }
    }
    for (kind, dir) in [
        ("tokens", store.layout.tokens()),
        ("plans", store.layout.plans()),
        ("damaged", store.layout.damaged()),
    ] {
        for entry in fs.list(&dir)? {
            let bytes = bytes_of(fs, &dir.join(&entry.name), entry.is_dir(), 4)?;
            add(kind, bytes);
        }
    }
    Ok(usage)
}
