//! One cache for a group: runs are pushed to a folder, a web server or a bucket, and pulled from there.
//!
//! The remote is a plain tree of files, written once and never changed:
//!
//! ```text
//! blobs/3f/3fa9…                       any file of a run, evaluation or tokenizer, by its SHA-256
//! runs-v1/3f/3fa9…/record.json         a finished run: lists its files
//! evals-v1/8c/8c01…/result.json        an evaluation: lists its files
//! plans-v1/grid-0d1e….json             which runs a spec means; the name follows from spec, profile and overrides
//! ```
//!
//! A list is written after all files in it, so anyone who finds a record finds the rest. Two users who push the same
//! thing write the same bytes to the same names. Pulled files are not trusted: every file must match its digest, and
//! every key its id.

mod file;
mod place;
mod pull;
mod push;
mod s3;
mod web;

pub use place::{Place, RemoteError, open};
pub use pull::{Pulled, manifest, pull};
pub use push::{Pushed, push};

use crate::digest::Sha256Hex;
use crate::record::{EvalId, RunId};

fn blob(digest: &Sha256Hex) -> String {
    let text = digest.to_string();
    format!("blobs/{}/{text}", &text[..2])
}

fn record(id: &RunId) -> String {
    let text = id.to_string();
    format!("runs-v1/{}/{text}/record.json", &text[..2])
}

fn result(id: &EvalId) -> String {
    let text = id.to_string();
    format!("evals-v1/{}/{text}/result.json", &text[..2])
}

/// Maximum size of a file that lists others, bytes.
const LIST_LIMIT: u64 = 64 << 20;
/// Maximum size of a tokenizer, bytes.
const TOKENIZER_LIMIT: u64 = 1 << 30;
/// Number of entries pushed or pulled concurrently.
const AT_A_TIME: usize = 4;

/// Calls `work` for every item, some concurrently; ends at the first error.
fn each<T: Sync, E: Send>(items: &[T], work: impl Fn(&T) -> Result<(), E> + Sync) -> Result<(), E> {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Mutex, PoisonError};
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let worker = || {
        while let Some(item) = items.get(next.fetch_add(1, Ordering::SeqCst)) {
            if let Err(error) = work(item) {
                next.store(items.len(), Ordering::SeqCst);
                failed
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..AT_A_TIME.min(items.len()) {
            // One thread is enough, only slower.
            if std::thread::Builder::new()
                .spawn_scoped(scope, worker)
                .is_err()
            {
                break;
            }
        }
        worker();
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
