//! Sweeps run by a job queue: divides runs among tasks and submits them to Slurm, HyperQueue or a shell.
//!
//! A [`Sweep`] is written into the store before anything is queued: `jobs-v1/NAME/sweep.json` lists specs (with their
//! text, so that edits do not affect queued tasks), the required numerics, and chunks of runs. Every task calls
//! `specbook worker` with that file and the number of its chunk. Beside it are `jobs.json`, the queue's ids of
//! submitted jobs, and `logs/`.
//!
//! The store is authoritative: a run is finished if it has a record there. The queue is asked only which tasks are
//! still alive.

mod chunks;
mod hyperqueue;
mod script;
mod slurm;
mod sweep;

pub use chunks::{Piece, chunks};
pub use hyperqueue::{job_file, submit_file, tasks as hyperqueue_tasks};
pub use script::commands;
pub use slurm::{Slurm, Submission, Task, array_size, call, requeue, tasks};
pub use sweep::{Chunk, Job, JobKind, Jobs, Sweep, SweepFolder, SweepSpec, sweeps};

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// Time limit and resources of tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Time limit of a task in minutes; `None`: the queue's default.
    pub minutes: Option<u64>,
    /// Memory of a task in MiB; `None`: the queue's default.
    pub mib: Option<u64>,
    /// Cores per task.
    pub cores: usize,
}

/// The commands of a sweep's tasks.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Absolute path of the sweep's file.
    pub sweep: PathBuf,
    /// Arguments of the program that write the reports; `None` if only some runs were selected.
    pub report: Option<Vec<OsString>>,
}

impl Calls {
    /// Prepares the data.
    pub fn prepare(&self) -> Vec<OsString> {
        self.worker(&["--prepare"])
    }

    /// Trains the runs of a chunk.
    pub fn chunk(&self, index: usize) -> Vec<OsString> {
        self.worker(&["--index", &index.to_string()])
    }

    fn worker(&self, options: &[&str]) -> Vec<OsString> {
        let words = [
            self.program.as_ref(),
            OsStr::new("worker"),
            self.sweep.as_ref(),
        ];
        let options = options.iter().map(OsStr::new);
        words
            .into_iter()
            .chain(options)
            .map(OsStr::to_owned)
            .collect()
    }

    /// Writes the reports.
    pub fn report(&self) -> Option<Vec<OsString>> {
        let arguments = self.report.clone()?;
        Some([vec![self.program.clone().into()], arguments].concat())
    }
}

#[cfg(test)]
mod tests;
