//! The threads shared by reading, tokenising and examining many runs.

use super::failure::Failure;
use super::shared;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

/// A thread waiting for work.
struct Waiting {
    order: Sender<rayon::ThreadBuilder>,
    handle: JoinHandle<()>,
}

/// Starts one thread per core, or fewer if the system refuses more, in which case some are left for
/// other needs.
///
/// # Errors
/// Not even one thread can be started. (The library would panic at its first use.)
pub(crate) fn start() -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut waiting = Vec::with_capacity(cores);
    let mut refused = None;
    while waiting.len() < cores && refused.is_none() {
        match wait() {
            Ok(thread) => waiting.push(thread),
            Err(error) => refused = Some(error),
        }
    }
    if let Some(error) = refused {
        if waiting.is_empty() {
            return Err(shared::no_thread(error));
        }
        for Waiting { order, handle } in waiting.split_off(waiting.len().div_ceil(2)) {
            drop(order);
            // It has no work, so it ends.
            let _ = handle.join();
        }
    }
    let threads = rayon::ThreadPoolBuilder::new().num_threads(waiting.len());
    let gone = || std::io::Error::other("a thread ended");
    let threads = threads.spawn_handler(|worker| {
        let thread = waiting.pop().ok_or_else(gone)?;
        thread.order.send(worker).map_err(|_| gone())
    });
    threads
        .build_global()
        .map_err(|error| Failure::run(format!("cannot start threads: {error}")))
}

fn wait() -> std::io::Result<Waiting> {
    let (order, orders) = channel::<rayon::ThreadBuilder>();
    let work = move || {
        if let Ok(worker) = orders.recv() {
            worker.run();
        }
    };
    let handle = Builder::new().spawn(work)?;
    Ok(Waiting { order, handle })
}
