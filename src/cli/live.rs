//! The page of a running sweep: `run --live FILE.html`, `status --watch FILE.html`.

use super::failure::Failure;
use super::workspace::Opened;
use crate::error::Error;
use crate::fsx::{Fs as _, RealFs};
use crate::record::{RunId, RunStatus};
use crate::report::{LiveRun, live_page, steps_done};
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Interval between updates of the page.
const EVERY: Duration = Duration::from_secs(2);

/// The first bytes of our pages: any other file is never overwritten.
const MARK: &str = "<title>";

/// The subject of a page: the runs of one or several plans.
pub(crate) struct Page {
    file: PathBuf,
    title: String,
    runs: Vec<(RunId, String, u64, Option<f64>)>,
    started: Instant,
    /// Number of steps done when the page was started.
    before: u64,
}

impl Page {
    /// A page over the runs of `all`.
    ///
    /// # Errors
    /// A file that is not the page of a sweep.
    pub(crate) fn new<'a>(
        file: &Path,
        all: impl Iterator<Item = &'a Opened>,
        store: &Store,
    ) -> Result<Self, Failure> {
        let fs = RealFs::new();
        match fs.read(file, 8 << 20) {
            Ok(bytes)
                if String::from_utf8_lossy(&bytes).contains("class=\"curve\"")
                    || bytes.is_empty() => {}
            Ok(bytes)
                if String::from_utf8_lossy(&bytes).contains(MARK)
                    && String::from_utf8_lossy(&bytes).contains("runs done") => {}
            Ok(_) => {
                let message = format!(
                    "`{}` holds something else: the page of a sweep would be written over it",
                    file.display()
                );
                return Err(Failure::usage(message).hint("name another file"));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(Error::from(error).into()),
        }
        let mut page = Self {
            file: file.to_owned(),
            title: String::new(),
            runs: Vec::new(),
            started: Instant::now(),
            before: 0,
        };
        let mut names = Vec::new();
        for opened in all {
            names.push(opened.spec.name.clone());
            let runs = opened.plan.runs.iter();
            page.runs.extend(runs.map(|run| {
                (
                    run.id,
                    run.name.clone(),
                    run.estimate.steps,
                    run.estimate.seconds,
                )
            }));
        }
        page.title = names.join(", ");
        page.before = page.look(store)?.iter().map(steps_done).sum();
        Ok(page)
    }

    fn look(&self, store: &Store) -> Result<Vec<LiveRun>, Failure> {
        let ids: Vec<RunId> = self.runs.iter().map(|run| run.0).collect();
        let statuses = store.statuses(&ids)?;
        let runs = self.runs.iter().zip(statuses);
        runs.map(|((id, name, steps, _), status)| {
            let points = match status {
                RunStatus::Missing => Vec::new(),
                _ => store.metrics_so_far(id)?,
            };
            Ok(LiveRun {
                name: name.clone(),
                status,
                steps: *steps,
                points,
            })
        })
        .collect()
    }

    /// Writes the page; returns whether all work is finished.
    ///
    /// # Errors
    /// A store that cannot be read, or a file that cannot be written.
    pub(crate) fn write(&self, store: &Store) -> Result<bool, Failure> {
        let runs = self.look(store)?;
        let done: u64 = runs.iter().map(steps_done).sum();
        let total: u64 = runs.iter().map(|run| run.steps).sum();
        let elapsed = self.started.elapsed().as_secs_f64();
        // Extrapolated from the steps since the start; until there are enough, from the plan.
        let left = if done > self.before && elapsed > 5.0 {
            Some(total.saturating_sub(done) as f64 * elapsed / (done - self.before) as f64)
        } else {
            let planned = self
                .runs
                .iter()
                .zip(&runs)
                .filter(|(_, run)| run.status != RunStatus::Cached);
            planned
                .map(|((_, _, _, seconds), _)| *seconds)
                .sum::<Option<f64>>()
        };
        let page = live_page(&self.title, &runs, left)?;
        RealFs::new()
            .write_atomic(&self.file, &page)
            .map_err(Error::from)?;
        let is_open = |run: &LiveRun| !matches!(run.status, RunStatus::Cached | RunStatus::Failed);
        Ok(!runs.iter().any(is_open))
    }
}

/// A page that is rewritten repeatedly during other work, and once more at the end.
pub(crate) struct Live {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Starts writing.
    pub(crate) fn start(page: Page, store: &Store) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let store = Store::open(store.root(), RealFs::new().below(store.root()));
        let is_over = Arc::clone(&stop);
        // A failed write may succeed in two seconds; the sweep does not depend on it.
        let thread = thread::Builder::new().spawn(move || {
            loop {
                let is_last = is_over.load(Ordering::SeqCst);
                let _ = page.write(&store);
                if is_last {
                    return;
                }
                let until = Instant::now() + EVERY;
                while Instant::now() < until && !is_over.load(Ordering::SeqCst) {
                    thread::sleep(Duration::from_millis(50));
                }
            }
        });
        Self {
            stop,
            thread: thread.ok(),
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Writes a page until all runs have finished or failed.
pub(crate) fn watch(page: &Page, store: &Store) -> Result<(), Failure> {
    while !page.write(store)? {
        thread::sleep(EVERY);
    }
    Ok(())
}
