//! `store du`: disk usage.

use super::error::StoreError;
use super::gc::{extent, shards};
use super::layout::{CHECKPOINT, ShardName};
use super::runs::Store;
use std::collections::BTreeMap;

/// Number and total size of the entries of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Number of entries.
    pub entries: u64,
    /// Bytes of their files.
    pub bytes: u64,
}

/// Disk usage: bytes and entries by kind (`runs`, `weights`, `checkpoints`, `unfinished`, `evals`, `models`,
/// `tokens`, `plans`, `sweeps`, `damaged`; weights and checkpoints are also counted in `runs`).
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
    for folder in shards(store, &store.layout.runs())? {
        for entry in store.entries(&folder)? {
            let path = folder.join(&entry.file_name);
            let (bytes, _) = extent(store, &path, 4)?;
            match ShardName::parse(&entry.name) {
                Some(ShardName::Run(_)) => add("runs", bytes),
                Some(ShardName::Work(..)) => add("unfinished", bytes),
                _ => continue,
            }
            if !entry.is_dir() {
                continue;
            }
            for file in fs.list(&path)? {
                let (bytes, _) = extent(store, &path.join(&file.file_name), 2)?;
                if file.name == CHECKPOINT {
                    add("checkpoints", bytes);
                } else if file.name.ends_with(".safetensors") {
                    add("weights", bytes);
                }
            }
        }
    }
    for (kind, root) in [
        ("evals", store.layout.evals()),
        ("models", store.layout.models()),
    ] {
        for folder in shards(store, &root)? {
            for entry in fs.list(&folder)? {
                add(kind, extent(store, &folder.join(&entry.file_name), 4)?.0);
            }
        }
    }
    let damaged = store.damaged()?.into_iter();
    let others = [
        ("tokens", store.layout.tokens()),
        ("plans", store.layout.plans()),
        ("sweeps", store.layout.sweeps()),
    ];
    for (kind, folder) in others
        .into_iter()
        .chain(damaged.map(|folder| ("damaged", folder)))
    {
        for entry in store.entries(&folder)? {
            add(kind, extent(store, &folder.join(&entry.file_name), 4)?.0);
        }
    }
    Ok(usage)
}
