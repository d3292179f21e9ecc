//! Checkpoints: `checkpoint/state-<step>.safetensors` and `checkpoint.json`, which names it and is written
//! last.
//!
//! The head, `checkpoint.json`, is replaced atomically, so either the old or the new checkpoint exists; state
//! files that it does not name are removed.

use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, JSON_LIMIT};
use super::seal::{read_sealed, seal};
use super::weights::{read_arrays, write_arrays};
use crate::digest::Sha256Hex;
use crate::fsx::{AtomicFile, Fs};
use crate::record::{FileEntry, Numerics};
use crate::weights::file::TensorRef;
use crate::weights::{Checkpoint, NamedTensor, Weights};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

const FORMAT: u32 = 1;
const HEAD: &str = "checkpoint.json";
/// The name of the head in the list of a record.
pub(crate) const HEAD_NAME: &str = "checkpoint/checkpoint.json";

/// Total wall-clock times of a run's sessions, carried from checkpoint to checkpoint; never compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Seconds of training.
    pub train_seconds: f64,
    /// Seconds of validation.
    pub validation_seconds: f64,
    /// Trained positions.
    pub positions: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    format: u32,
    step: u64,
    tokens: u64,
    /// Bits of the sum of the epoch's losses, and their number.
    epoch_loss: (u64, u64),
    /// Bits of the lowest validation loss.
    best_loss: Option<u64>,
    state: String,
    state_file: FileEntry,
    /// Engine and arithmetic that computed it.
    numerics: Numerics,
    /// `metrics.jsonl` up to this checkpoint.
    metrics: FileEntry,
    timing_bytes: u64,
    progress: Progress,
}

/// A checkpoint with the data that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Saved {
    pub(crate) checkpoint: Checkpoint,
    pub(crate) numerics: Numerics,
    pub(crate) metrics: FileEntry,
    pub(crate) timing_bytes: u64,
    pub(crate) progress: Progress,
}

fn state_name(step: u64) -> String {
    format!("state-{step}.safetensors")
}

fn arrays(checkpoint: &Checkpoint) -> Vec<TensorRef<'_>> {
    let weights = checkpoint.weights.0.iter();
    let mut arrays: Vec<_> = weights
        .map(|tensor| TensorRef::of("weights/", tensor))
        .collect();
    for (prefix, moments) in [
        ("first/", &checkpoint.first_moments),
        ("second/", &checkpoint.second_moments),
    ] {
        arrays.extend(moments.iter().enumerate().map(|(index, data)| TensorRef {
            name: format!("{prefix}{index}"),
            shape: vec![data.len()],
            data,
        }));
    }
    if let Some((_, best)) = &checkpoint.best {
        arrays.extend(best.0.iter().map(|tensor| TensorRef::of("best/", tensor)));
    }
    arrays
}

/// Saves `checkpoint` into the existing folder `dir` and returns its files by name. The folder is not created,
/// because a former owner would then restore a folder that was taken over.
pub(crate) fn save(
    fs: &dyn Fs,
    dir: &Path,
    checkpoint: &Checkpoint,
    numerics: &Numerics,
    metrics: FileEntry,
    timing_bytes: u64,
    progress: Progress,
) -> Result<BTreeMap<String, FileEntry>, StoreError> {
    let state = state_name(checkpoint.step);
    let mut file = AtomicFile::create(fs, &dir.join(&state))?;
    write_arrays(&mut file, &arrays(checkpoint))?;
    let (bytes, sha256) = file.finish()?;
    let state_file = FileEntry { bytes, sha256 };
    let head = Head {
        format: FORMAT,
        step: checkpoint.step,
        tokens: checkpoint.tokens,
        epoch_loss: (checkpoint.epoch_loss.0.to_bits(), checkpoint.epoch_loss.1),
        best_loss: checkpoint.best.as_ref().map(|(loss, _)| loss.to_bits()),
        state: state.clone(),
        state_file,
        numerics: numerics.clone(),
        metrics,
        timing_bytes,
        progress,
    };
    let text = seal("a checkpoint", &head)?;
    fs.write_atomic(&dir.join(HEAD), &text)?;
    for entry in fs.list(dir)? {
        if entry.name != HEAD && entry.name != state {
            fs.remove_file(&dir.join(&entry.file_name))?;
        }
    }
    let head_file = FileEntry {
        bytes: text.len() as u64,
        sha256: Sha256Hex::of(&text),
    };
    Ok(BTreeMap::from([
        (HEAD_NAME.to_owned(), head_file),
        (format!("checkpoint/{state}"), state_file),
    ]))
}

fn read_head(fs: &dyn Fs, dir: &Path) -> Result<Option<Head>, StoreError> {
    read_sealed(fs, &dir.join(HEAD), JSON_LIMIT, "a checkpoint", FORMAT)
}

/// The step of the checkpoint in `dir`, read only from its head; `None` if there is no readable one.
pub(crate) fn step(fs: &dyn Fs, dir: &Path) -> Option<u64> {
    Some(read_head(fs, dir).ok()??.step)
}

/// Loads the checkpoint in `dir` and checks every digest; `None` if there is none.
pub(crate) fn load(fs: &dyn Fs, dir: &Path) -> Result<Option<Saved>, StoreError> {
    let Some(head) = read_head(fs, dir)? else {
        return Ok(None);
    };
    let damaged = |reason: String| StoreError::Damaged {
        path: dir.to_path_buf(),
        reason,
    };
    if head.state != state_name(head.step) {
        return Err(damaged(format!("it names `{}`", head.state.escape_debug())));
    }
    let limit = ARRAYS_LIMIT.min(head.state_file.bytes);
    let state = match fs.read(&dir.join(&head.state), limit) {
        Ok(bytes) => bytes,
        Err(error) if error.is_damage() => return Err(damaged(error.source.to_string())),
        Err(error) if error.is_not_found() => return Err(damaged("its state is missing".into())),
        Err(error) => return Err(error.into()),
    };
    if Sha256Hex::of(&state) != head.state_file.sha256 {
        return Err(damaged("its state does not have the digest".into()));
    }
    let arrays = read_arrays(&state).map_err(damaged)?;
    drop(state);
    let checkpoint = assemble(&head, arrays).map_err(damaged)?;
    Ok(Some(Saved {
        checkpoint,
        numerics: head.numerics,
        metrics: head.metrics,
        timing_bytes: head.timing_bytes,
        progress: head.progress,
    }))
}

fn assemble(head: &Head, arrays: Vec<NamedTensor>) -> Result<Checkpoint, String> {
    let mut checkpoint = Checkpoint {
        step: head.step,
        tokens: head.tokens,
        epoch_loss: (f64::from_bits(head.epoch_loss.0), head.epoch_loss.1),
        ..Checkpoint::default()
    };
    let mut best = Weights::default();
    for mut array in arrays {
        let (kind, rest) = array
            .name
            .split_once('/')
            .ok_or_else(|| format!("unknown array `{}`", array.name.escape_debug()))?;
        match kind {
            "first" => checkpoint.first_moments.push(array.data),
            "second" => checkpoint.second_moments.push(array.data),
            "weights" | "best" => {
                let to_best = kind == "best";
                array.name = rest.to_owned();
                if to_best {
                    best.0.push(array);
                } else {
                    checkpoint.weights.0.push(array);
                }
            }
            _ => return Err(format!("unknown array `{}`", array.name.escape_debug())),
        }
    }
    checkpoint.best = head.best_loss.map(|bits| (f64::from_bits(bits), best));
    Ok(checkpoint)
}
