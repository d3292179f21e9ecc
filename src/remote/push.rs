//! Pushes runs to a remote place.

use super::place::{Place, RemoteError};
use super::pull::read;
use super::{LIST_LIMIT, blob, each, record, result};
use crate::digest::Sha256Hex;
use crate::net::Payload;
use crate::store::{Listed, Manifest, ManifestRun, Problem, Store, manifest_bytes};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Result of a push.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Runs sent now.
    pub runs: usize,
    /// Evaluations sent now.
    pub evals: usize,
    /// Bytes sent now.
    pub bytes: u64,
    /// Runs already there.
    pub there: usize,
    /// Runs not finished here.
    pub missing: usize,
    /// Damaged local entries, which were not sent.
    pub damaged: Vec<String>,
}

/// Pushes the finished runs of plans with their evaluations and tokenizers, and the plans themselves if `with_plans`.
///
/// # Errors
/// A place that cannot be written. Entries pushed so far stay and are not sent again.
pub fn push(
    store: &Store,
    place: &dyn Place,
    plans: &[Manifest],
    with_plans: bool,
) -> Result<Pushed, RemoteError> {
    let state = Mutex::new(Pushed::default());
    let blobs = Blobs {
        place,
        locks: std::array::from_fn(|_| Mutex::new(())),
    };
    let mut seen = BTreeSet::new();
    let runs = plans.iter().flat_map(|plan| &plan.runs);
    let runs: Vec<&ManifestRun> = runs.filter(|run| seen.insert((run.id, run.eval))).collect();
    each(&runs, |run| {
        let pushed = one(store, &blobs, run)?;
        let mut all = lock(&state);
        all.runs += pushed.runs;
        all.evals += pushed.evals;
        all.bytes += pushed.bytes;
        all.there += pushed.there;
        all.missing += pushed.missing;
        all.damaged.extend(pushed.damaged);
        Ok::<(), RemoteError>(())
    })?;
    for plan in plans.iter().filter(|_| with_plans) {
        let plan = plan.clone().without_place();
        let name = format!("plans-v1/{}", plan.file_name());
        place.put(&name, Payload::Bytes(&manifest_bytes(&plan)?))?;
    }
    Ok(state
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The blobs of a place. Runs share blobs, such as their tokenizer: only one thread at a time looks for a blob and sends
/// it, so none is sent twice, and a list is written only when all its blobs are there.
struct Blobs<'a> {
    place: &'a dyn Place,
    /// For each first byte of a digest.
    locks: [Mutex<()>; 256],
}

impl Blobs<'_> {
    /// Sends a blob that is not there; returns the bytes sent.
    fn put(&self, id: &Sha256Hex, bytes: u64, payload: Payload<'_>) -> Result<u64, RemoteError> {
        let _one_at_a_time = lock(&self.locks[usize::from(id.bytes()[0])]);
        if self.place.length(&blob(id))? == Some(bytes) {
            return Ok(0);
        }
        self.place.put(&blob(id), payload)?;
        Ok(bytes)
    }
}

fn one(store: &Store, blobs: &Blobs<'_>, run: &ManifestRun) -> Result<Pushed, RemoteError> {
    let place = blobs.place;
    let mut done = Pushed::default();
    let Some(listed) = store.listed_run(&run.id)? else {
        done.missing = 1;
        return Ok(done);
    };
    match is_there(place, &record(&run.id), &listed)? {
        true => done.there = 1,
        false => {
            if let Some(Problem { path, reason, .. }) = store.problem_of(&run.id)? {
                done.damaged.push(format!(
                    "run `{}`: `{}`: {reason}",
                    run.name,
                    path.display()
                ));
                return Ok(done);
            }
            let tokenizer = listed
                .tokenizer
                .map(|id| Ok::<_, RemoteError>((id, store.tokenizer(&id)?)));
            if let Some((id, Some(bytes))) = tokenizer.transpose()? {
                done.bytes += blobs.put(&id, bytes.len() as u64, Payload::Bytes(&bytes))?;
            }
            done.bytes += files(blobs, &listed, &record(&run.id))?;
            done.runs = 1;
        }
    }
    if let Some(listed) = store.listed_eval(&run.eval)?
        && !is_there(place, &result(&run.eval), &listed)?
    {
        if let Some(Problem { path, reason, .. }) = store.problem_of_eval(&run.eval)? {
            done.damaged.push(format!(
                "evaluation of `{}`: `{}`: {reason}",
                run.name,
                path.display()
            ));
            return Ok(done);
        }
        done.bytes += files(blobs, &listed, &result(&run.eval))?;
        done.evals = 1;
    }
    Ok(done)
}

/// Whether the list of an entry is already there and complete; another user's, with different times, is equally good.
/// An invalid list is rewritten.
fn is_there(place: &dyn Place, name: &str, listed: &Listed) -> Result<bool, RemoteError> {
    match place.length(name)? {
        None => Ok(false),
        Some(length) if length == listed.list.len() as u64 => Ok(true),
        Some(_) => {
            let theirs = read(place, name, LIST_LIMIT)?;
            Ok(theirs.is_some_and(|bytes| bytes.ends_with(b"\"}\n")))
        }
    }
}

/// Sends the files of an entry, followed by their list; returns the bytes sent.
fn files(blobs: &Blobs<'_>, listed: &Listed, name: &str) -> Result<u64, RemoteError> {
    let mut sent = 0;
    for (file, entry) in &listed.files {
        let mut path = listed.folder.clone();
        path.extend(file.split('/'));
        sent += blobs.put(&entry.sha256, entry.bytes, Payload::File(&path))?;
    }
    blobs.place.put(name, Payload::Bytes(&listed.list))?;
    Ok(sent + listed.list.len() as u64)
}
