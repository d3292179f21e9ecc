//! How a run begins: a finished run is found, leftovers are taken over, and a work folder becomes ours.

use super::checkpoint;
use super::error::StoreError;
use super::layout::{CHECKPOINT, KEY, LOG, METRICS, RECORD, TIMING};
use super::lease::{Numbers, RunLease};
use super::lines::Lines;
use super::reading::parse_points;
use super::runs::{Entry, Store};
use super::work::{OpenWork, Work, drop_unlisted, fits};
use crate::digest::Sha256Hex;
use crate::fsx::{Fs, Judge, Kind};
use crate::record::{FileEntry, MetricPoint, Numerics, RunId, RunRecord, RunStatus};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Options for beginning a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeginOptions {
    /// Whether a failed run is tried again.
    pub retry_failed: bool,
    /// Whether every digest of a finished run is checked, instead of only its sizes.
    pub paranoid: bool,
}

/// The result of an attempt to begin a run.
pub enum Begin {
    /// It is finished.
    Cached(Box<RunRecord>),
    /// It failed before and is not retried.
    Failed(Box<RunRecord>),
    /// Another process is making it; ask again later.
    Busy,
    /// It is ours to make.
    Ours(Box<Work>),
}

/// The state of a run whose lease is ours.
enum Begun {
    Done(Begin),
    Open(Box<OpenWork>),
}

impl Store {
    /// Begins to make run `id`, or tells why that is not possible. `key` is the run's key as compact JSON,
    /// `numerics` describes what will compute it.
    ///
    /// The work of a dead process is taken over. A damaged entry is moved aside with a warning, and so is a
    /// checkpoint computed by a different engine: all steps of a run come from one engine.
    ///
    /// # Errors
    /// Files that cannot be written; a record of a newer version.
    pub fn begin(
        &self,
        id: &RunId,
        key: &[u8],
        numerics: &Numerics,
        options: BeginOptions,
    ) -> Result<Begin, StoreError> {
        if let Some(done) = self.done(id, options)? {
            if matches!(done, Begin::Cached(_)) {
                self.clear_left_over(id)?;
            }
            return Ok(done);
        }
        let Some(lease) = self.lease(id)? else {
            return Ok(Begin::Busy);
        };
        match self.begin_ours(&lease, key, numerics, options) {
            Ok(Begun::Done(done)) => Ok(done),
            Ok(Begun::Open(open)) => Ok(Begin::Ours(Box::new((*open).held_by(lease)))),
            // After a delay, this process may find everything changed.
            Err(error) => Err(lease.explain(error)),
        }
    }

    fn begin_ours(
        &self,
        lease: &RunLease,
        key: &[u8],
        numerics: &Numerics,
        options: BeginOptions,
    ) -> Result<Begun, StoreError> {
        // It may have been published between the check and the lease.
        if let Some(done) = self.done(&lease.id, options)? {
            return Ok(Begun::Done(done));
        }
        let (dir, published) = self.take_over(lease, options)?;
        let published = match published {
            Some(record) => Some(record),
            None => self.publish_left_over(lease, &dir, options)?,
        };
        match published {
            Some(record) => Ok(Begun::Done(Begin::Cached(Box::new(record)))),
            None => {
                let open = self.open_work(lease, dir, key, numerics)?;
                Ok(Begun::Open(Box::new(open)))
            }
        }
    }

    /// Removes what was left by a process killed between publishing the run and releasing its lease.
    fn clear_left_over(&self, id: &RunId) -> Result<(), StoreError> {
        let fs = self.fs.as_ref();
        let numbers = Numbers::of(fs, &self.layout, id)?;
        if numbers == Numbers::default() || self.is_leased(id, Judge::Watching(&self.observed))? {
            return Ok(());
        }
        // A read-only store can still be read.
        let Ok(Some(_lease)) = self.lease(id) else {
            return Ok(());
        };
        for number in numbers.works {
            fs.remove_dir_all(&self.layout.work(id, number))?;
        }
        Ok(())
    }

    fn done(&self, id: &RunId, options: BeginOptions) -> Result<Option<Begin>, StoreError> {
        let dir = self.layout.run(id);
        match self.whole(id, &dir, options.paranoid)? {
            Ok(Some(record)) if record.status == RunStatus::Cached => {
                Ok(Some(Begin::Cached(Box::new(record))))
            }
            Ok(Some(record)) if !options.retry_failed => Ok(Some(Begin::Failed(Box::new(record)))),
            Ok(_) | Err(_) => Ok(None),
        }
    }

    /// The record in `dir` if all files match it; the inner error tells why the run cannot be used.
    fn whole(
        &self,
        id: &RunId,
        dir: &Path,
        paranoid: bool,
    ) -> Result<Result<Option<RunRecord>, String>, StoreError> {
        if let Entry::Damaged { reason } = self.finished_in(id, dir)? {
            return Ok(Err(reason));
        }
        let record = match self.record_in(id, dir) {
            Err(error) if error.is_damage() => return Ok(Err(error.chain())),
            other => other?,
        };
        if let (Some(record), true) = (&record, paranoid) {
            for (name, file) in &record.files {
                let path = super::layout::join(dir, name);
                if super::verify::digest(self.fs(), &path)? != Some(*file) {
                    let path = path.display();
                    return Ok(Err(format!("`{path}` does not have its digest")));
                }
            }
        }
        Ok(Ok(record))
    }

    /// Makes the run's work folder ours: that of a failed or damaged run, that of a former owner, or a new one.
    /// Returns its path, or the record if another process has published the run since it was checked.
    pub(super) fn take_over(
        &self,
        lease: &RunLease,
        options: BeginOptions,
    ) -> Result<(PathBuf, Option<RunRecord>), StoreError> {
        let (fs, id) = (self.fs.as_ref(), &lease.id);
        let target = self.layout.work(id, lease.number());
        lease.check()?;
        if let Some(record) = self.take_away(id, &target, options.paranoid)? {
            return Ok((target, Some(record)));
        }
        let mut works = Numbers::of(fs, &self.layout, id)?.works;
        for number in works.clone() {
            // A link, or anything else that is not a folder, is not followed and contains nothing of ours.
            let work = self.layout.work(id, number);
            if fs.metadata(&work)?.is_some_and(|found| !found.is_dir()) {
                self.warn(format!(
                    "`{}` is not a folder; it is removed",
                    work.display()
                ));
                fs.remove_file(&work)?;
                works.retain(|other| *other != number);
            }
        }
        lease.check()?;
        let mut others = works.iter().filter(|number| **number != lease.number());
        if let (false, Some(latest)) = (works.contains(&lease.number()), others.next_back()) {
            fs.rename(&self.layout.work(id, *latest), &target)?;
        }
        for number in others {
            fs.remove_dir_all(&self.layout.work(id, *number))?;
        }
        fs.create_dir_all(&target)?;
        Ok((target, None))
    }

    /// Moves what is at the run's place to `target` to be continued there: a failed run, without its record.
    /// Damaged entries are moved aside. The entry is examined after it was moved, when no other process can
    /// change it: if it is a sound run that another process has published meanwhile, it is moved back and its
    /// record returned.
    pub(super) fn take_away(
        &self,
        id: &RunId,
        target: &Path,
        paranoid: bool,
    ) -> Result<Option<RunRecord>, StoreError> {
        let (fs, published) = (self.fs.as_ref(), self.layout.run(id));
        if fs.metadata(&published)?.is_none() {
            return Ok(None);
        }
        match fs.rename(&published, target) {
            Err(error) if error.is_not_found() => return Ok(None),
            other => other?,
        }
        match self.whole(id, target, paranoid)? {
            Ok(Some(record)) if record.status == RunStatus::Cached => {
                if !fs.rename_dir_new(target, &published)? {
                    // A third process was faster; its bits are the same.
                    fs.remove_dir_all(target)?;
                }
                return Ok(Some(record));
            }
            Ok(Some(_)) => fs.remove_file(&target.join(RECORD))?,
            Ok(None) => {}
            Err(reason) => {
                let reason = format!("run {}: {reason}", id.0.short());
                self.move_aside(target, &id.to_string(), &reason)?;
            }
        }
        Ok(None)
    }

    /// Publishes a run finished by a process that died just before the last rename.
    fn publish_left_over(
        &self,
        lease: &RunLease,
        dir: &Path,
        options: BeginOptions,
    ) -> Result<Option<RunRecord>, StoreError> {
        if self.fs.metadata(&dir.join(RECORD))?.is_none() {
            return Ok(None);
        }
        // Nobody has read it since it was written, so its digests are checked here.
        match self.whole(&lease.id, dir, true)? {
            Ok(Some(record)) if record.status == RunStatus::Cached => {
                drop_unlisted(self.fs(), dir, &record)?;
                self.publish(lease, dir, record, options).map(Some)
            }
            _ => {
                self.fs.remove_file(&dir.join(RECORD))?;
                Ok(None)
            }
        }
    }

    pub(super) fn publish(
        &self,
        lease: &RunLease,
        dir: &Path,
        record: RunRecord,
        options: BeginOptions,
    ) -> Result<RunRecord, StoreError> {
        let (fs, id) = (self.fs.as_ref(), &lease.id);
        let target = self.layout.run(id);
        for _ in 0..3 {
            lease.check()?;
            if fs.rename_dir_new(dir, &target)? {
                fs.sync_dir(&self.layout.shard(id))?;
                return Ok(record);
            }
            match self.whole(id, &target, options.paranoid)? {
                Ok(Some(theirs)) if theirs.status == RunStatus::Cached => {
                    fs.remove_dir_all(dir)?;
                    return Ok(theirs);
                }
                // A failed or damaged run, which ours replaces.
                _ => {
                    let away = self.layout.gone(id, lease.number());
                    if let Some(theirs) = self.take_away(id, &away, options.paranoid)? {
                        fs.remove_dir_all(dir)?;
                        return Ok(theirs);
                    }
                    fs.remove_dir_all(&away)?;
                }
            }
        }
        Err(StoreError::LostLease { id: *id })
    }

    fn open_work(
        &self,
        lease: &RunLease,
        dir: PathBuf,
        key: &[u8],
        numerics: &Numerics,
    ) -> Result<OpenWork, StoreError> {
        let fs = self.fs.as_ref();
        fs.write_atomic(&dir.join(KEY), key)?;
        let known = [KEY, LOG, METRICS, TIMING];
        for entry in fs.list(&dir)? {
            let path = dir.join(&entry.file_name);
            match entry.kind {
                Kind::Dir if entry.name == CHECKPOINT => {}
                Kind::Dir => fs.remove_dir_all(&path)?,
                Kind::File if known.contains(&entry.name.as_str()) => {}
                Kind::File => fs.remove_file(&path)?,
                Kind::Link | Kind::Special => {
                    self.warn(format!("`{}` is not a file; it is removed", path.display()));
                    fs.remove_file(&path)?;
                }
            }
        }
        let logged = Lines::open(&self.fs, &dir.join(LOG), None)?;
        let (mut saved, mut metrics) = (None, None);
        match checkpoint::load(fs, &dir.join(CHECKPOINT)) {
            Ok(Some(found)) if !found.numerics.agrees_with(numerics) => {
                let reason = format!(
                    "run {} was begun by {} and is now made by {}: it starts over, its checkpoint of step {} is kept",
                    lease.id.0.short(),
                    found.numerics,
                    numerics,
                    found.checkpoint.step
                );
                let name = format!("{}-checkpoint", lease.id);
                self.move_aside(&dir.join(CHECKPOINT), &name, &reason)?;
            }
            Ok(Some(found)) => {
                metrics = kept_metrics(&self.fs, &dir, &found)?;
                if metrics.is_some() {
                    saved = Some(found);
                } else {
                    self.warn(format!(
                        "run {}: `metrics.jsonl` does not fit the checkpoint; it starts over",
                        lease.id.0.short()
                    ));
                }
            }
            Ok(None) => {}
            Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                let id = lease.id.0.short();
                self.warn(format!("run {id}: {}; it starts over", error.chain()));
            }
            Err(error) => return Err(error),
        }
        if saved.is_none() {
            fs.remove_dir_all(&dir.join(CHECKPOINT))?;
            fs.create_dir_all(&dir.join(CHECKPOINT))?;
            let empty = Lines::open(&self.fs, &dir.join(METRICS), Some(0))?;
            metrics = empty.map(|(lines, _)| (lines, Vec::new()));
        }
        let timing_keep = saved.as_ref().map_or(0, |saved| saved.timing_bytes);
        let timing = match Lines::open(&self.fs, &dir.join(TIMING), Some(timing_keep))? {
            Some(timing) => Some(timing),
            // Shorter than recorded: timing is never compared, so what is left suffices.
            None => Lines::open(&self.fs, &dir.join(TIMING), None)?,
        };
        let (Some((log, _)), Some((metrics, points)), Some((timing, _))) =
            (logged, metrics, timing)
        else {
            return Err(StoreError::LostLease { id: lease.id });
        };
        Ok(OpenWork {
            dir,
            key: FileEntry {
                bytes: key.len() as u64,
                sha256: Sha256Hex::of(key),
            },
            numerics: numerics.clone(),
            log,
            metrics,
            timing,
            progress: saved
                .as_ref()
                .map(|saved| saved.progress)
                .unwrap_or_default(),
            resume: saved.map(|saved| saved.checkpoint),
            points,
        })
    }
}

/// The metrics up to the checkpoint; `None` if the file does not contain them.
fn kept_metrics(
    fs: &Arc<dyn Fs>,
    dir: &Path,
    saved: &checkpoint::Saved,
) -> Result<Option<(Lines, Vec<MetricPoint>)>, StoreError> {
    let keep = Some(saved.metrics.bytes);
    let Some((lines, kept)) = Lines::open(fs, &dir.join(METRICS), keep)? else {
        return Ok(None);
    };
    if lines.entry() != saved.metrics {
        return Ok(None);
    }
    Ok(parse_points(&kept)
        .ok()
        .filter(|points| fits(points, &saved.checkpoint))
        .map(|points| (lines, points)))
}
