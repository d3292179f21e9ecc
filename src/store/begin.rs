//! How a run begins: what is finished is found, what was left is taken over, and a work folder becomes ours.

use super::checkpoint;
use super::claim::{Claim, Numbers, is_held};
use super::error::StoreError;
use super::layout::{CHECKPOINT, KEY, LOG, METRICS, RECORD, TIMING};
use super::lines::Lines;
use super::reading::parse_points;
use super::runs::{Entry, Store};
use super::work::{Work, drop_unlisted, fits};
use crate::digest::Sha256Hex;
use crate::fsx::Fs;
use crate::record::{FileEntry, MetricPoint, Numerics, RunId, RunRecord, RunStatus};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How a run is begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BeginOptions {
    /// Whether a run that failed before is tried again.
    pub retry_failed: bool,
    /// Whether every digest of a finished run is checked, not only its sizes.
    pub paranoid: bool,
}

/// What became of the wish to make a run.
pub enum Begin {
    /// It is finished.
    Cached(Box<RunRecord>),
    /// It failed before, and is not to be retried.
    Failed(Box<RunRecord>),
    /// Another process makes it; ask again later.
    Busy,
    /// It is ours.
    Ours(Box<Work>),
}

impl Store {
    /// Begins to make run `id`, or says why not. `key` is the run's key as compact JSON, `numerics` what will compute it.
    ///
    /// A dead process's work is taken over; a damaged entry is moved aside, with a warning, and so is a checkpoint that
    /// something else computed: a run is of one engine.
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
        let Some(claim) = self.claim(id)? else {
            return Ok(Begin::Busy);
        };
        // It may have been published between the look and the claim.
        if let Some(done) = self.done(id, options)? {
            return Ok(done);
        }
        let dir = self.take_over(&claim)?;
        if let Some(record) = self.publish_left_over(&claim, &dir, options)? {
            return Ok(Begin::Cached(Box::new(record)));
        }
        self.open_work(claim, dir, key, numerics)
            .map(|work| Begin::Ours(Box::new(work)))
    }

    /// Removes what a process left that was killed between publishing the run and releasing its claim.
    fn clear_left_over(&self, id: &RunId) -> Result<(), StoreError> {
        let (fs, layout) = (self.fs.as_ref(), &self.layout);
        let numbers = Numbers::of(fs, layout, id)?;
        if let Some(last) = numbers.claims.last()
            && is_held(
                fs,
                layout,
                id,
                *last,
                Some((&self.observed, self.timing.stale)),
            )?
        {
            return Ok(());
        }
        for number in numbers.claims {
            fs.remove_file(&layout.claim(id, number))?;
        }
        for number in numbers.works {
            fs.remove_dir_all(&layout.work(id, number))?;
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

    /// The record in `dir`, where all files are as it says; inside, why it cannot be used.
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

    /// Makes the run's work folder ours: that of a former owner, that of a failed run, or a new one.
    fn take_over(&self, claim: &Claim) -> Result<PathBuf, StoreError> {
        let (fs, id) = (self.fs.as_ref(), &claim.id);
        let target = self.layout.work(id, claim.number);
        let published = self.layout.run(id);
        match self.whole(id, &published, false)? {
            Ok(Some(record)) if record.status == RunStatus::Failed => {
                fs.rename(&published, &target)?;
                // From here on it is a run in the making.
                fs.remove_file(&target.join(RECORD))?;
            }
            Ok(None) => {}
            Ok(Some(_)) => {
                // Only where `paranoid` found what sizes do not show.
                self.set_aside(id, &format!("run {} is damaged", id.0.short()))?;
            }
            Err(reason) => {
                self.set_aside(id, &format!("run {}: {reason}", id.0.short()))?;
            }
        }
        let mut works = Numbers::of(fs, &self.layout, id)?.works;
        for number in works.clone() {
            // A link, or something else that is no folder, is not followed and holds nothing of ours.
            let work = self.layout.work(id, number);
            if fs.metadata(&work)?.is_some_and(|found| !found.is_dir()) {
                self.warn(format!("`{}` is no folder; it is removed", work.display()));
                fs.remove_file(&work)?;
                works.retain(|other| *other != number);
            }
        }
        let mut others = works.iter().filter(|number| **number != claim.number);
        if let (false, Some(latest)) = (works.contains(&claim.number), others.next_back()) {
            fs.rename(&self.layout.work(id, *latest), &target)?;
        }
        for number in others {
            fs.remove_dir_all(&self.layout.work(id, *number))?;
        }
        fs.create_dir_all(&target)?;
        Ok(target)
    }

    /// Publishes what a process finished that died just before the last rename.
    fn publish_left_over(
        &self,
        claim: &Claim,
        dir: &Path,
        options: BeginOptions,
    ) -> Result<Option<RunRecord>, StoreError> {
        if self.fs.metadata(&dir.join(RECORD))?.is_none() {
            return Ok(None);
        }
        // Nobody has read it since it was written, so its digests are checked here.
        match self.whole(&claim.id, dir, true)? {
            Ok(Some(record)) if record.status == RunStatus::Cached => {
                drop_unlisted(self.fs(), dir, &record)?;
                self.publish(claim, dir, record, options).map(Some)
            }
            _ => {
                self.fs.remove_file(&dir.join(RECORD))?;
                Ok(None)
            }
        }
    }

    pub(super) fn publish(
        &self,
        claim: &Claim,
        dir: &Path,
        record: RunRecord,
        options: BeginOptions,
    ) -> Result<RunRecord, StoreError> {
        let target = self.layout.run(&claim.id);
        for _ in 0..3 {
            claim.check()?;
            let moved = self.fs.rename_dir_new(dir, &target);
            match moved {
                Ok(true) => {
                    self.fs.sync_dir(&self.layout.shard(&claim.id))?;
                    return Ok(record);
                }
                Ok(false) => {}
                Err(error) if error.is_not_found() => {
                    return Err(StoreError::LostClaim { id: claim.id });
                }
                Err(error) => return Err(error.into()),
            }
            match self.whole(&claim.id, &target, options.paranoid)? {
                Ok(Some(theirs)) if theirs.status == RunStatus::Cached => {
                    self.fs.remove_dir_all(dir)?;
                    return Ok(theirs);
                }
                Ok(Some(_)) => self.fs.remove_dir_all(&target)?,
                Ok(None) => {}
                Err(reason) => {
                    self.set_aside(&claim.id, &format!("run {}: {reason}", claim.id.0.short()))?;
                }
            }
        }
        Err(StoreError::LostClaim { id: claim.id })
    }

    fn open_work(
        &self,
        claim: Claim,
        dir: PathBuf,
        key: &[u8],
        numerics: &Numerics,
    ) -> Result<Work, StoreError> {
        let fs = self.fs.as_ref();
        fs.write_atomic(&dir.join(KEY), key)?;
        let known = [KEY, LOG, METRICS, TIMING];
        for entry in fs.list(&dir)? {
            let path = dir.join(&entry.name);
            if entry.is_dir() && entry.name != CHECKPOINT {
                fs.remove_dir_all(&path)?;
            } else if !entry.is_dir() && !known.contains(&entry.name.as_str()) {
                fs.remove_file(&path)?;
            }
        }
        let logged = Lines::open(&self.fs, &dir.join(LOG), None)?;
        let (mut saved, mut metrics) = (None, None);
        match checkpoint::load(fs, &dir.join(CHECKPOINT)) {
            Ok(Some(found)) if !found.numerics.agrees_with(numerics) => {
                let reason = format!(
                    "run {} was begun by {} and is now made by {}: it starts anew, its checkpoint of step {} is kept",
                    claim.id.0.short(),
                    found.numerics,
                    numerics,
                    found.checkpoint.step
                );
                let name = format!("{}-checkpoint", claim.id);
                self.move_aside(&dir.join(CHECKPOINT), &name, &reason)?;
            }
            Ok(Some(found)) => {
                metrics = kept_metrics(&self.fs, &dir, &found)?;
                if metrics.is_some() {
                    saved = Some(found);
                } else {
                    self.warn(format!(
                        "run {}: `metrics.jsonl` does not fit the checkpoint; it starts anew",
                        claim.id.0.short()
                    ));
                }
            }
            Ok(None) => {}
            Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                let id = claim.id.0.short();
                self.warn(format!("run {id}: {}; it starts anew", error.chain()));
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
            // Shorter than it was: timing is never compared, so what is left will do.
            None => Lines::open(&self.fs, &dir.join(TIMING), None)?,
        };
        let (Some((log, _)), Some((metrics, points)), Some((timing, _))) =
            (logged, metrics, timing)
        else {
            return Err(StoreError::LostClaim { id: claim.id });
        };
        Ok(Work {
            claim,
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

/// The metrics up to the checkpoint; `None` where the file does not hold them.
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
