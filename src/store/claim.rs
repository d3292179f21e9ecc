//! Claims: who makes a run. Atomic by exclusive creation, alive by a heartbeat; no locks, no clocks of other hosts.
//!
//! A claim is a file `<id>.claim-<n>`; the highest number owns the run. A new owner creates number n + 1 exclusively, so that
//! of several that find number n dead one wins, and nothing that belongs to another is ever renamed or removed. A former
//! owner that comes back sees a higher number and gives up.
//! The file holds `token process counter`; a thread of the owner rewrites the counter. An observer that sees no change for
//! [`ClaimTiming::stale`] on its own monotonic clock takes the claim for dead.

use super::error::StoreError;
use super::layout::{JSON_LIMIT, Layout, ShardName};
use super::owner::Owner;
use crate::fsx::{Fs, FsResult};
use crate::record::RunId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Pace of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimTiming {
    /// How often the owner rewrites its counter.
    pub beat: Duration,
    /// How long a counter may stand still before its owner counts as dead.
    pub stale: Duration,
}

impl Default for ClaimTiming {
    /// 2 s and 15 s.
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(2),
            stale: Duration::from_secs(15),
        }
    }
}

/// What a claim held when it was last seen to change, and when that was.
type Sighting = (Vec<u8>, Instant);

/// Claims seen by an observer, and since when they have not changed.
#[derive(Debug, Default)]
pub(crate) struct Observed(Mutex<HashMap<(RunId, u64), Sighting>>);

/// Numbers in use for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// Claims, rising.
    pub(crate) claims: Vec<u64>,
    /// Work folders, rising.
    pub(crate) works: Vec<u64>,
}

impl Numbers {
    /// Lists the claims and work folders of `id`.
    pub(crate) fn of(fs: &dyn Fs, layout: &Layout, id: &RunId) -> FsResult<Self> {
        let mut numbers = Self::default();
        for entry in fs.list(&layout.shard(id))? {
            match ShardName::parse(&entry.name) {
                Some(ShardName::Claim(owner, number)) if owner == *id => {
                    numbers.claims.push(number);
                }
                Some(ShardName::Work(owner, number)) if owner == *id => numbers.works.push(number),
                _ => {}
            }
        }
        numbers.claims.sort_unstable();
        numbers.works.sort_unstable();
        Ok(numbers)
    }

    fn highest(&self) -> u64 {
        let last = |numbers: &[u64]| numbers.last().copied().unwrap_or(0);
        last(&self.claims).max(last(&self.works))
    }
}

/// Reads the owner out of a claim.
fn parse_owner(bytes: &[u8]) -> Option<Owner> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut parts = text.split_ascii_whitespace();
    Some(Owner {
        token: parts.next()?.to_owned(),
        process: parts.next()?.to_owned(),
    })
}

/// Whether the claim `number` of `id` is held by a process that may be alive. Without an observer: by what is known at once.
pub(crate) fn is_held(
    fs: &dyn Fs,
    layout: &Layout,
    id: &RunId,
    number: u64,
    observer: Option<(&Observed, Duration)>,
) -> FsResult<bool> {
    let bytes = match fs.read(&layout.claim(id, number), JSON_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error),
    };
    if parse_owner(&bytes).is_some_and(|owner| owner.is_dead()) {
        return Ok(false);
    }
    let Some((observed, stale)) = observer else {
        return Ok(true);
    };
    let mut seen = observed.0.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    let (last, since) = seen
        .entry((*id, number))
        .or_insert_with(|| (bytes.clone(), now));
    if *last != bytes {
        (*last, *since) = (bytes, now);
    }
    Ok(since.elapsed() < stale)
}

struct Pulse {
    stop: Mutex<bool>,
    wake: Condvar,
    lost: AtomicBool,
}

/// A claim that this process holds. Dropped, it is released.
pub(crate) struct Claim {
    fs: Arc<dyn Fs>,
    layout: Layout,
    pub(crate) id: RunId,
    pub(crate) number: u64,
    owner: Owner,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Claim {
    /// Claims `id`; `None` where another process that may be alive holds it.
    pub(crate) fn acquire(
        fs: &Arc<dyn Fs>,
        layout: &Layout,
        id: &RunId,
        observed: &Observed,
        timing: ClaimTiming,
    ) -> Result<Option<Self>, StoreError> {
        fs.create_dir_all(&layout.shard(id))?;
        let numbers = Numbers::of(fs.as_ref(), layout, id)?;
        if let Some(&last) = numbers.claims.last() {
            let observer = Some((observed, timing.stale));
            if is_held(fs.as_ref(), layout, id, last, observer)? {
                return Ok(None);
            }
        }
        let number = numbers.highest() + 1;
        let owner = Owner::new();
        let path = layout.claim(id, number);
        match fs.create_new(&path, line(&owner, 0).as_bytes()) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                // A full disk leaves an empty claim; it is ours, so it may go.
                let _ = fs.remove_file(&path);
                return Err(error.into());
            }
        }
        let mut claim = Self {
            fs: Arc::clone(fs),
            layout: layout.clone(),
            id: *id,
            number,
            owner,
            pulse: Arc::new(Pulse {
                stop: Mutex::new(false),
                wake: Condvar::new(),
                lost: AtomicBool::new(false),
            }),
            thread: None,
        };
        claim.thread = Some(claim.beat(timing.beat));
        for &old in &numbers.claims {
            // Dead claims: their numbers are below ours, so nobody trusts them any more.
            fs.remove_file(&layout.claim(id, old))?;
        }
        Ok(if claim.is_mine()? { Some(claim) } else { None })
    }

    fn beat(&self, every: Duration) -> JoinHandle<()> {
        let path = self.layout.claim(&self.id, self.number);
        let (fs, owner, pulse) = (
            Arc::clone(&self.fs),
            self.owner.clone(),
            Arc::clone(&self.pulse),
        );
        std::thread::spawn(move || {
            let mut stop = pulse.stop.lock().unwrap_or_else(PoisonError::into_inner);
            for counter in 1.. {
                let (guard, wait) = pulse
                    .wake
                    .wait_timeout_while(stop, every, |stop| !*stop)
                    .unwrap_or_else(PoisonError::into_inner);
                stop = guard;
                if !wait.timed_out() {
                    return;
                }
                if let Err(error) = fs.overwrite(&path, line(&owner, counter).as_bytes())
                    && error.is_not_found()
                {
                    pulse.lost.store(true, Ordering::Relaxed);
                    return;
                }
            }
        })
    }

    /// Whether the run is still ours: the claim holds our token, and there is no higher one.
    pub(crate) fn is_mine(&self) -> Result<bool, StoreError> {
        if self.pulse.lost.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let numbers = Numbers::of(self.fs.as_ref(), &self.layout, &self.id)?;
        if numbers.claims.last() != Some(&self.number) {
            return Ok(false);
        }
        match self
            .fs
            .read(&self.layout.claim(&self.id, self.number), JSON_LIMIT)
        {
            Ok(bytes) => Ok(parse_owner(&bytes).is_some_and(|owner| owner == self.owner)),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// An error where the run is no longer ours.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.is_mine()? {
            Ok(())
        } else {
            Err(StoreError::LostClaim { id: self.id })
        }
    }
}

/// The contents of a claim; always of one length, so that rewriting in place leaves nothing of the old.
fn line(owner: &Owner, counter: u64) -> String {
    format!("{} {} {counter:020}\n", owner.token, owner.process)
}

impl Drop for Claim {
    fn drop(&mut self) {
        *self
            .pulse
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.pulse.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread does not panic; there is nothing to pass on.
            let _ = thread.join();
        }
        let path = self.layout.claim(&self.id, self.number);
        // Ours alone by its number; if it cannot be removed, it becomes stale.
        let _ = self.fs.remove_file(&path);
    }
}
