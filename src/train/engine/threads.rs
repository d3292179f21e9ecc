//! Threads of a job besides those of its kernels.

use std::sync::{Mutex, PoisonError};
use std::thread::Builder;

/// Runs `task` on every item, on up to `threads` threads, or fewer if the system refuses more. Tasks must not depend on
/// the thread that runs them.
pub(super) fn share_out<I: Iterator + Send>(threads: usize, items: I, task: impl Fn(I::Item) + Sync)
where
    I::Item: Send,
{
    let items = Mutex::new(items);
    let next = || items.lock().unwrap_or_else(PoisonError::into_inner).next();
    let work = || {
        while let Some(item) = next() {
            task(item);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            if Builder::new().spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}
