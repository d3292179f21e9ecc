//! Sweeps that a queue of jobs makes: which runs each task trains, and how Slurm, HyperQueue or a shell are told.
//!
//! A [`Sweep`] is written into the store before anything is queued: `jobs-v1/NAME/sweep.json` lists specs (with their text, so that editing
//! one changes nothing that waits), what has to compute them, and chunks of runs. Every task calls `specbook worker` with that file and the
//! number of its chunk. Beside it lie `jobs.json`, the queue's numbers of what was submitted, and `logs/`.
//!
//! The store is the truth: what a task has finished is what has a record there. The queue is asked only which tasks still live.

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

/// How long tasks may take and how much they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Minutes until the queue ends a task; `None`: as the queue's default is.
    pub minutes: Option<u64>,
    /// Memory of a task in MiB; `None`: as the queue's default is.
    pub mib: Option<u64>,
    /// Cores of a task.
    pub cores: usize,
}

/// What the tasks of a sweep call.
#[derive(Clone, Debug)]
pub struct Calls {
    /// The program, absolute.
    pub program: String,
    /// The sweep's file, absolute.
    pub sweep: String,
    /// Arguments that write the reports, after the program's name; `None` where only some runs were selected.
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

/// Words as a shell reads them back.
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

/// A path as text.
fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests;
