//! `store gc`: unreferenced entries, and their removal while other processes work.
//!
//! A `run` first writes the manifest of its plan and then waits for any holder of the removal lease; a removal
//! first takes that lease and then rereads the manifests before each entry. So either the run sees the removal,
//! or the removal sees the run. In addition, young entries are left alone: see [`Grace`].

use super::error::StoreError;
use super::evals;
use super::layout::{GONE, RECORD, ShardName};
use super::plans::Roots;
use super::runs::Store;
use crate::digest::Sha256Hex;
use crate::fsx::{Judge, LEASE_MARK, Lease, LeaseName, LeaseTiming, age, lease_number};
use crate::record::{EvalId, RunId};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Prefix of the names of files that are being written.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Kinds of unreferenced entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum GarbageKind {
    /// A plan that was not run for a long time.
    Plan,
    /// A finished or failed run.
    Run,
    /// An unfinished run that no process is making.
    Unfinished,
    /// An evaluation.
    Eval,
    /// An imported model.
    Model,
    /// A sweep that was submitted to a queue, with its logs.
    Sweep,
    /// Leftovers of a killed process.
    Temporary,
    /// A damaged entry that was moved aside, or an unreadable manifest.
    Damaged,
}

/// An unreferenced entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Garbage {
    /// Its path.
    pub path: PathBuf,
    /// Its kind.
    pub kind: GarbageKind,
    /// `spec/name` of a run, or the spec of a plan, as stated in the file and therefore not trusted.
    pub name: Option<String>,
    /// Its size in bytes.
    pub bytes: u64,
}

/// How long young entries are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// For finished runs, evaluations and plans.
    pub finished: Duration,
    /// For temporary files and unfinished runs, unless a living process holds a lease.
    pub unfinished: Duration,
}

impl Default for Grace {
    /// An hour and 15 s.
    fn default() -> Self {
        Self {
            finished: Duration::from_secs(3600),
            unfinished: LeaseTiming::default().stale,
        }
    }
}

/// What to keep.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// Runs to keep besides those of the plans.
    pub runs: BTreeSet<RunId>,
    /// Evaluations to keep besides those of the plans.
    pub evals: BTreeSet<EvalId>,
    /// Imported models to keep besides those of the plans.
    pub models: BTreeSet<Sha256Hex>,
    /// Sweeps without a task known to any queue, with their runs: they are removed once nobody waits for any of
    /// those runs.
    pub sweeps: BTreeMap<PathBuf, BTreeSet<RunId>>,
    /// Whether imported models are listed at all.
    pub imported: bool,
    /// Whether the contents of `damaged/` are listed too.
    pub damaged: bool,
    /// Plans that were last run longer ago than this protect nothing.
    pub unused_for: Option<Duration>,
    /// How long young entries are protected.
    pub grace: Grace,
}

impl GcOptions {
    /// Whether a plan that was last run this long ago no longer protects anything.
    pub(super) fn lets_go(&self, idle: Duration) -> bool {
        let most = self.unused_for.map(|most| most.max(self.grace.finished));
        most.is_some_and(|most| idle > most)
    }
}

/// The result of [`remove_garbage`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Bytes freed.
    pub bytes: u64,
    /// Entries that could not be removed, with reasons.
    pub failed: Vec<String>,
}

/// Lists everything that is referred to neither by a plan that was ever run nor by the ids in `options`.
/// Removes nothing.
///
/// If a manifest cannot be read, no run, evaluation or model is listed, because it might refer to any of them.
///
/// # Errors
/// A folder that cannot be read.
pub fn gc(store: &Store, options: &GcOptions) -> Result<Vec<Garbage>, StoreError> {
    let mut roots = Roots::default();
    let now = SystemTime::now();
    roots.look(store, options, now)?;
    let mut list = List {
        store,
        options,
        roots: &roots,
        now,
        found: Vec::new(),
    };
    list.plans()?;
    list.runs()?;
    list.evals()?;
    list.models()?;
    list.sweeps()?;
    for folder in [
        store.layout.tokens(),
        store.layout.plans(),
        store.layout.sweeps(),
    ] {
        list.temporary(&folder, 3)?;
    }
    list.temporary(store.root(), 0)?;
    for folder in store.damaged()? {
        list.temporary(&folder, 0)?;
        for entry in store.entries(&folder)? {
            if options.damaged && !entry.name.starts_with(TEMPORARY) {
                list.push(folder.join(&entry.file_name), GarbageKind::Damaged)?;
            }
        }
    }
    Ok(list.found)
}

struct List<'a> {
    store: &'a Store,
    options: &'a GcOptions,
    roots: &'a Roots,
    now: SystemTime,
    found: Vec<Garbage>,
}

impl List<'_> {
    fn push(&mut self, path: PathBuf, kind: GarbageKind) -> Result<(), StoreError> {
        let (bytes, youngest) = extent(self.store, &path, 4)?;
        let Some(youngest) = youngest else {
            return Ok(());
        };
        if age(self.now, youngest) < grace(kind, self.options) {
            return Ok(());
        }
        let name = self.store.name_of(&path, kind);
        self.found.push(Garbage {
            path,
            kind,
            name,
            bytes,
        });
        Ok(())
    }

    fn plans(&mut self) -> Result<(), StoreError> {
        for path in &self.roots.unused {
            self.push(path.clone(), GarbageKind::Plan)?;
        }
        for path in self
            .roots
            .unreadable
            .iter()
            .filter(|_| self.options.damaged)
        {
            self.push(path.clone(), GarbageKind::Damaged)?;
        }
        Ok(())
    }

    /// Runs, work folders and leases.
    fn runs(&mut self) -> Result<(), StoreError> {
        let root = self.store.layout.runs();
        for folder in shards(self.store, &root)? {
            let entries = self.store.fs().list(&folder)?;
            let judge = Judge::Clock(self.now);
            for entry in &entries {
                let kind = match ShardName::parse(&entry.name) {
                    Some(ShardName::Run(id) | ShardName::Work(id, _))
                        if self.roots.keep(&id) || self.store.is_leased(&id, judge)? =>
                    {
                        continue;
                    }
                    Some(ShardName::Run(_)) => GarbageKind::Run,
                    Some(ShardName::Work(..)) => GarbageKind::Unfinished,
                    _ if entry.name.ends_with(GONE) => GarbageKind::Temporary,
                    _ => continue,
                };
                self.push(folder.join(&entry.file_name), kind)?;
            }
            self.temporary(&folder, 0)?;
        }
        self.temporary(&root, 0)
    }

    fn evals(&mut self) -> Result<(), StoreError> {
        let root = self.store.layout.evals();
        for folder in shards(self.store, &root)? {
            for entry in self.store.fs().list(&folder)? {
                let path = folder.join(&entry.file_name);
                match ShardName::parse(&entry.name) {
                    Some(ShardName::Run(id)) if self.roots.keep_eval(&EvalId(id.0)) => {}
                    Some(ShardName::Run(_)) => self.push(path, GarbageKind::Eval)?,
                    _ if entry.name.ends_with(GONE) || evals::is_left_over(&entry.name) => {
                        self.push(path, GarbageKind::Temporary)?;
                    }
                    _ => self.in_the_making(&path)?,
                }
            }
            self.temporary(&folder, 0)?;
        }
        self.temporary(&root, 0)
    }

    /// Models are removed only on request, because they cannot be regenerated. Leftovers of imports are always
    /// removed.
    fn models(&mut self) -> Result<(), StoreError> {
        let root = self.store.layout.models();
        for folder in shards(self.store, &root)? {
            for entry in self.store.fs().list(&folder)? {
                let path = folder.join(&entry.file_name);
                match Sha256Hex::parse(&entry.name) {
                    Some(id) if self.options.imported && !self.roots.keep_model(&id) => {
                        self.push(path, GarbageKind::Model)?;
                    }
                    Some(_) => {}
                    None => self.in_the_making(&path)?,
                }
            }
            self.temporary(&folder, 0)?;
        }
        self.temporary(&root, 0)
    }

    fn sweeps(&mut self) -> Result<(), StoreError> {
        for path in self.options.sweeps.keys() {
            if is_over(self.store, self.options, self.roots, path) {
                self.push(path.clone(), GarbageKind::Sweep)?;
            }
        }
        Ok(())
    }

    /// A folder in which a living process may be making an entry; anything too old to be in progress is
    /// garbage.
    fn in_the_making(&mut self, path: &Path) -> Result<(), StoreError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.contains(".work-") {
            let (_, youngest) = extent(self.store, path, 2)?;
            let old = |time| age(self.now, time) >= self.options.grace.finished;
            if name.ends_with(GONE) || youngest.is_some_and(old) {
                self.push(path.to_path_buf(), GarbageKind::Temporary)?;
            }
        }
        Ok(())
    }

    /// Files that a process was writing, and leases that no process holds, in `folder` and `depth` levels below
    /// it.
    fn temporary(&mut self, folder: &Path, depth: usize) -> Result<(), StoreError> {
        for entry in self.store.entries(folder)? {
            let path = folder.join(&entry.file_name);
            if let Some((name, number)) = lease_at(&path) {
                let stale = self.store.timing.stale;
                let judge = Judge::Clock(self.now);
                if !name.may_live(self.store.fs(), number, stale, judge)? {
                    self.push(path, GarbageKind::Temporary)?;
                }
            } else if entry.name.starts_with(TEMPORARY) {
                self.push(path, GarbageKind::Temporary)?;
            } else if entry.is_dir() && depth > 0 {
                self.temporary(&path, depth - 1)?;
            }
        }
        Ok(())
    }
}

/// Whether every run of a sweep is finished or no longer requested by any plan: until then, the logs tell why
/// one is missing.
fn is_over(store: &Store, options: &GcOptions, roots: &Roots, sweep: &Path) -> bool {
    let mut runs = options.sweeps.get(sweep).into_iter().flatten();
    runs.all(|id| !roots.keep(id) || store.has_run(id))
}

/// The folders that group entries by the beginnings of their ids. Anything that is not a folder is ignored.
pub(crate) fn shards(store: &Store, root: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let entries = store.entries(root)?;
    let folders = entries.iter().filter(|entry| entry.is_dir());
    Ok(folders.map(|entry| root.join(&entry.file_name)).collect())
}

/// The lease whose file is at this path.
pub(crate) fn lease_at(path: &Path) -> Option<(LeaseName, u64)> {
    let (stem, number) = path.file_name()?.to_str()?.rsplit_once(LEASE_MARK)?;
    let name = LeaseName {
        folder: path.parent()?.to_path_buf(),
        stem: stem.to_owned(),
    };
    Some((name, lease_number(number)?))
}

fn grace(kind: GarbageKind, options: &GcOptions) -> Duration {
    match kind {
        GarbageKind::Plan
        | GarbageKind::Run
        | GarbageKind::Eval
        | GarbageKind::Model
        | GarbageKind::Sweep => options.grace.finished,
        GarbageKind::Unfinished | GarbageKind::Temporary => options.grace.unfinished,
        GarbageKind::Damaged => Duration::ZERO,
    }
}

/// Total size in bytes of a file, or of all files in a folder, and the latest time at which any of them was
/// written (for an empty folder, its own time); no time if nothing is there.
pub(super) fn extent(
    store: &Store,
    path: &Path,
    depth: usize,
) -> Result<(u64, Option<SystemTime>), StoreError> {
    let fs = store.fs();
    let Some(found) = fs.metadata(path)? else {
        return Ok((0, None));
    };
    if !found.is_dir() {
        return Ok((found.bytes, Some(found.modified)));
    }
    let (mut bytes, mut youngest) = (0, None);
    if depth > 0 {
        for entry in fs.list(path)? {
            let (more, time) = extent(store, &path.join(&entry.file_name), depth - 1)?;
            bytes += more;
            youngest = youngest.max(time);
        }
    }
    Ok((bytes, youngest.or(Some(found.modified))))
}

/// Removes the entries listed by [`gc`], each only if it is unchanged: the manifests, the lease and the time of
/// the entry are checked again. Waits for another process that is removing.
///
/// # Errors
/// A store whose folders cannot be read, or in which no lease can be taken; an entry that cannot be removed is
/// reported in the result.
pub fn remove_garbage(
    store: &Store,
    options: &GcOptions,
    garbage: &[Garbage],
) -> Result<Removed, StoreError> {
    if garbage.is_empty() {
        return Ok(Removed::default());
    }
    let lease = loop {
        let watching = Judge::Watching(&store.observed);
        let name = store.layout.gc_lease();
        match Lease::acquire(&store.fs, &name, store.timing, watching, 0)? {
            Some(lease) => break lease,
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let (mut roots, mut removed) = (Roots::default(), Removed::default());
    for item in garbage {
        // Plans come first: their runs can be removed only after them.
        match remove_one(store, options, item, &lease, &mut roots) {
            Ok(true) => removed.bytes += item.bytes,
            Ok(false) => {}
            Err(error) => removed.failed.push(error.chain()),
        }
    }
    Ok(removed)
}

/// Removes an entry unless it is no longer garbage.
fn remove_one(
    store: &Store,
    options: &GcOptions,
    item: &Garbage,
    gc: &Lease,
    roots: &mut Roots,
) -> Result<bool, StoreError> {
    let path = &item.path;
    // Uses the file system's clock, not ours: the lease was rewritten a moment ago.
    let now = match store.fs().metadata(&gc.path())? {
        Some(found) if gc.is_mine()? => found.modified,
        _ => return Ok(false),
    };
    let stays = |why: &str| {
        store.warn(format!("`{}` stays: {why}", path.display()));
        Ok(false)
    };
    if let Some((name, _)) = lease_at(path) {
        // Taking a lease removes dead ones; ours is then released.
        let judge = Judge::Clock(now);
        return Ok(Lease::acquire(&store.fs, &name, store.timing, judge, 0)?.is_some());
    }
    let mut held = None;
    if let (GarbageKind::Run | GarbageKind::Unfinished, Some(id)) = (item.kind, run_of(path)) {
        held = store.lease_judged(&id, Judge::Clock(now))?;
        if held.is_none() {
            return stays("a process has begun to make it");
        }
    }
    let (_, Some(youngest)) = extent(store, path, 4)? else {
        return Ok(false);
    };
    roots.look(store, options, now)?;
    let kept = match (item.kind, run_of(path)) {
        (GarbageKind::Run | GarbageKind::Unfinished, Some(id)) => roots.keep(&id),
        (GarbageKind::Eval, Some(id)) => roots.keep_eval(&EvalId(id.0)),
        (GarbageKind::Model, Some(id)) => roots.keep_model(&id.0),
        (GarbageKind::Plan, _) => !roots.unused.contains(path),
        (GarbageKind::Sweep, _) => !is_over(store, options, roots, path),
        _ => false,
    };
    if kept {
        return stays("a plan that was run meanwhile refers to it");
    }
    if age(now, youngest) < grace(item.kind, options) {
        return stays("it has changed meanwhile");
    }
    let gone = remove(store, path);
    drop(held);
    gone
}

/// The run to which a run folder or a work folder belongs.
fn run_of(path: &Path) -> Option<RunId> {
    match ShardName::parse(path.file_name()?.to_str()?)? {
        ShardName::Run(id) | ShardName::Work(id, _) | ShardName::Lease(id, _) => Some(id),
    }
}

/// Removes a file or a folder. A folder is renamed first, so that a run exists completely or not at all.
/// Returns `false` if it is already gone.
fn remove(store: &Store, path: &Path) -> Result<bool, StoreError> {
    let fs = store.fs();
    let Some(found) = fs.metadata(path)? else {
        return Ok(false);
    };
    if !found.is_dir() {
        fs.remove_file(path)?;
        return Ok(true);
    }
    let name = path.file_name().map(|name| name.to_string_lossy());
    let name = name.unwrap_or_default();
    if name.ends_with(GONE) {
        fs.remove_dir_all(path)?;
        return Ok(true);
    }
    let gone = path.with_file_name(format!("{name}{GONE}"));
    // Leftovers of a killed removal obstruct the rename.
    fs.remove_dir_all(&gone)?;
    match fs.rename(path, &gone) {
        Err(error) if error.is_not_found() => return Ok(false),
        other => other?,
    }
    fs.remove_dir_all(&gone)?;
    Ok(true)
}

impl Store {
    /// Whether a process is removing unreferenced entries: whoever begins to run a plan waits for it after
    /// writing the plan's manifest.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn is_being_cleaned(&self) -> Result<bool, StoreError> {
        let watching = Judge::Watching(&self.observed);
        let name = self.layout.gc_lease();
        Ok(name.is_held(self.fs(), self.timing.stale, watching)?)
    }

    /// The name that an entry gives itself.
    fn name_of(&self, path: &Path, kind: GarbageKind) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Named {
            spec: String,
            name: String,
        }
        match kind {
            GarbageKind::Run => {
                let named: Named = self.read_record(&path.join(RECORD)).ok()??;
                Some(format!("{}/{}", named.spec, named.name))
            }
            GarbageKind::Model => Some(self.read_model(&path.join(RECORD)).ok()??.name),
            GarbageKind::Plan => {
                let manifest = super::plans::read_manifest(self, path).ok()??;
                Some(manifest.title())
            }
            _ => None,
        }
    }
}
