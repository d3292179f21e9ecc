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
pub use hyperqueue::{job_file, tasks as hyperqueue_tasks};
pub use script::commands;
pub use slurm::{Slurm, Submission, Task, array_size, call, requeue, tasks};
pub use sweep::{Chunk, Job, JobKind, Jobs, Sweep, SweepFolder, SweepSpec, sweeps};

use std::path::Path;

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
    pub program: String,
    /// Absolute path of the sweep's file.
    pub sweep: String,
    /// Arguments of the program that write the reports; `None` if only some runs were selected.
    pub report: Option<Vec<String>>,
}

impl Calls {
    /// Prepares the data.
    pub fn prepare(&self) -> Vec<String> {
        self.worker("--prepare".to_owned(), None)
    }

    /// Trains the runs of a chunk.
    pub fn chunk(&self, index: usize) -> Vec<String> {
        self.worker("--index".to_owned(), Some(index.to_string()))
    }

    fn worker(&self, option: String, value: Option<String>) -> Vec<String> {
        let words = ["worker".to_owned(), self.sweep.clone(), option];
        [self.program.clone()]
            .into_iter()
            .chain(words)
            .chain(value)
            .collect()
    }

    /// Writes the reports.
    pub fn report(&self) -> Option<Vec<String>> {
        let arguments = self.report.clone()?;
        Some([vec![self.program.clone()], arguments].concat())
    }
}

/// Words quoted for a shell.
pub fn shell(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
        match !word.is_empty() && word.chars().all(plain) {
            true => word.clone(),
            false => format!("'{}'", word.replace('\'', "'\\''")),
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
