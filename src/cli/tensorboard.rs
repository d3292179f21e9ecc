//! `run --tensorboard DIR`: event files that grow while runs are trained.
//!
//! When a run is continued, its steps are written again from its start. When the spec is finished,
//! the folder is written as by `export --to tensorboard`, with settings, results and samples.

use super::failure::Failure;
use super::print::Printer;
use super::workspace::Opened;
use crate::fsx::{Fs, Open, RealFs, WriteFile};
use crate::interop::Folder;
use crate::record::MetricPoint;
use crate::scheduler::{Event, Events};
use crate::store::Store;
use crate::trackers::tensorboard::{self, TensorBoard};
use crate::trackers::{self, TableFormat as _};
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Interval at which written data reaches the file.
const PACE: Duration = Duration::from_secs(1);

/// Passes events on and writes the steps among them.
pub(crate) struct EventFiles<'a> {
    inner: &'a dyn Events,
    folder: &'a Path,
    paths: Vec<PathBuf>,
    files: Mutex<HashMap<usize, Growing>>,
    printer: Printer,
}

/// The file of a run in training.
struct Growing {
    events: tensorboard::Events<Box<dyn WriteFile>>,
    seconds: f64,
    flushed: Instant,
}

impl<'a> EventFiles<'a> {
    /// Starts following the runs of a spec.
    ///
    /// # Errors
    /// A folder that was not written by an export.
    pub(crate) fn begin(
        folder: &'a Path,
        opened: &Opened,
        inner: &'a dyn Events,
        printer: Printer,
    ) -> Result<Self, Failure> {
        let plan = &opened.plan;
        let names: Vec<String> = plan
            .runs
            .iter()
            .map(|run| tensorboard::path(&plan.spec, &run.name))
            .collect();
        let listed: Vec<&str> = names.iter().map(String::as_str).collect();
        let fs = RealFs::new();
        let mut out = Folder::begin(&fs, folder, TensorBoard.name(), &plan.spec, &listed)?;
        for name in &listed {
            out.set_aside(name)?;
        }
        for text in out.aside() {
            printer.warning(text);
        }
        Ok(Self {
            inner,
            folder,
            paths: names.iter().map(|name| folder.join(name)).collect(),
            files: Mutex::default(),
            printer,
        })
    }

    /// Writes the whole folder.
    ///
    /// # Errors
    /// Runs that cannot be read, or a folder that cannot be written.
    pub(crate) fn finish(&self, opened: &Opened, store: &Store) -> Result<(), Failure> {
        let (runs, _) = trackers::gather(&opened.plan, store)?;
        let names = TensorBoard.files(&runs);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let fs = RealFs::new();
        let mut out = Folder::begin(
            &fs,
            self.folder,
            TensorBoard.name(),
            &opened.plan.spec,
            &names,
        )?;
        TensorBoard.write(&runs, &mut out)?;
        out.keep(&names)?;
        Ok(())
    }

    fn start(&self, index: usize, resumed_at: Option<u64>, log: &Path) -> io::Result<()> {
        let (fs, path) = (RealFs::new().below(self.folder), &self.paths[index]);
        let failed = |error: crate::fsx::FsError| io::Error::other(crate::store::chain(&error));
        if let Some(folder) = path.parent() {
            fs.create_dir_all(folder).map_err(failed)?;
        }
        fs.remove_file(path).map_err(failed)?;
        let file = fs.open_write(path, Open::New).map_err(failed)?;
        let mut growing = Growing {
            events: tensorboard::Events::begin(file)?,
            seconds: 0.0,
            flushed: Instant::now(),
        };
        if let Some(resumed_at) = resumed_at {
            let lines = std::fs::read(log.with_file_name("metrics.jsonl"))?;
            for line in lines
                .split(|byte| *byte == b'\n')
                .filter(|line| !line.is_empty())
            {
                let point: MetricPoint = serde_json::from_slice(line)?;
                if point.step <= resumed_at {
                    growing.events.point(&point, 0.0)?;
                }
            }
        }
        growing.events.flush()?;
        self.files().insert(index, growing);
        Ok(())
    }

    fn step(&self, index: usize, point: &MetricPoint, seconds: f64) -> io::Result<()> {
        let mut files = self.files();
        let Some(growing) = files.get_mut(&index) else {
            return Ok(());
        };
        growing.seconds += seconds;
        growing.events.point(point, growing.seconds)?;
        if growing.flushed.elapsed() >= PACE {
            growing.flushed = Instant::now();
            growing.events.flush()?;
        }
        Ok(())
    }

    fn files(&self) -> std::sync::MutexGuard<'_, HashMap<usize, Growing>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Events for EventFiles<'_> {
    fn on(&self, event: Event<'_>) {
        let written = match event {
            Event::Started {
                index,
                resumed_at,
                log,
                ..
            } => self.start(index, resumed_at, log),
            Event::Step {
                index,
                point,
                timing,
                ..
            } => self.step(
                index,
                point,
                timing.train_seconds + timing.validation_seconds,
            ),
            Event::Trained { index, .. }
            | Event::Failed { index, .. }
            | Event::Stopped { index, .. } => {
                let last = self.files().remove(&index);
                last.map_or(Ok(()), |mut growing| growing.events.flush())
            }
            _ => Ok(()),
        };
        if let Err(error) = written {
            // Training continues: the store has everything.
            self.printer.warning(&format!(
                "cannot write event files to `{}`: {error}",
                self.folder.display()
            ));
            self.files().clear();
        }
        self.inner.on(event);
    }
}
