//! The threads that reading, tokenising and looking at many runs share.

use super::failure::Failure;
use super::shared;
use std::sync::mpsc::{Sender, channel};
use std::thread::{Builder, JoinHandle};

/// A thread that waits to be told what it is for.
struct Waiting {
    order: Sender<rayon::ThreadBuilder>,
    handle: JoinHandle<()>,
}

/// Starts one thread per core; fewer where the system refuses more, so that some are left for what else needs one.
///
/// # Errors
/// Not even one. (The library would panic at its first use.)
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
            // It has nothing to do, so it ends.
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
