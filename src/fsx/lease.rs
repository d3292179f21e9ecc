//! Leases: which process makes something that only one process may make at a time. They use no
//! locks and no clocks of other hosts.
//!
//! A lease is a file `<stem>.claim-<n>` (the extension dates from the first version, so that
//! processes of both versions see each other); the highest number is the owner. A new owner creates
//! number n + 1 exclusively: if several find number n dead, one of them wins, and nothing that
//! belongs to another process is ever renamed. A former owner that comes back sees a higher number
//! and gives up. The file contains `token process counter pace host job`, and a thread of the owner
//! keeps rewriting the counter. An observer that sees no change for [`LeaseTiming::stale`] on its
//! own monotonic clock, or for the owner's own pace in seconds if that is longer, considers the
//! lease dead, whatever is at its path: half a line, an empty file, a folder.

use super::owner::Owner;
use super::{Fs, FsError, FsResult};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Separates the stem and the number in the name of a lease.
pub const LEASE_MARK: &str = ".claim-";
/// Maximum length of a lease that is read, in bytes.
const LIMIT: u64 = 4 << 10;
/// Highest number; files with a higher number are not leases.
const HIGHEST: u64 = 1 << 40;
/// Longest accepted pace of an owner, since the file may contain anything.
const SLOWEST: Duration = Duration::from_secs(3600);
/// How far a file's time may be ahead of the clock; a time further ahead is ignored.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Pace of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// Interval at which the owner rewrites its counter.
    pub beat: Duration,
    /// How long a counter may stay unchanged before its owner counts as dead.
    pub stale: Duration,
}

impl LeaseTiming {
    /// Shortest `stale` accepted by [`after`](Self::after).
    pub const LEAST: Duration = Duration::from_millis(100);

    /// For many processes on one file system: 30 s and 5 min.
    pub const GENTLE: Self = Self {
        beat: Duration::from_secs(30),
        stale: Duration::from_secs(300),
    };

    /// Dead after `stale`, with eight beats in that time; `None` if that is shorter than
    /// [`LEAST`](Self::LEAST).
    pub fn after(stale: Duration) -> Option<Self> {
        Self::new(stale / 8, stale)
    }

    /// `None` if `stale` is shorter than [`LEAST`](Self::LEAST), longer than an hour, or shorter
    /// than three beats.
    pub fn new(beat: Duration, stale: Duration) -> Option<Self> {
        let possible = stale >= Self::LEAST && stale <= SLOWEST && beat <= stale / 3;
        possible.then_some(Self { beat, stale })
    }
}

impl Default for LeaseTiming {
    /// 2 s and 15 s.
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(2),
            stale: Duration::from_secs(15),
        }
    }
}

/// The age of a file's time; a time far ahead of `now` is ignored, so the file counts as infinitely
/// old.
pub fn age(now: SystemTime, time: SystemTime) -> Duration {
    match now.duration_since(time) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() > AHEAD => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// The number at the end of a lease's name, after [`LEASE_MARK`]; also that of a work folder. Written in any other way
/// (`007`), it is not ours, since its path is made from the number.
pub fn lease_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number <= HIGHEST && number.to_string() == text).then_some(number)
}

/// The object of a lease: the folder of its file and the beginning of the file's name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LeaseName {
    /// Folder.
    pub folder: PathBuf,
    /// Beginning of the name.
    pub stem: String,
}

impl LeaseName {
    /// Path of the lease with that number.
    pub fn path(&self, number: u64) -> PathBuf {
        self.folder
            .join(format!("{}{LEASE_MARK}{number}", self.stem))
    }

    /// The numbers of its leases, in ascending order.
    pub fn numbers(&self, fs: &dyn Fs) -> FsResult<Vec<u64>> {
        let mut numbers: Vec<u64> = fs
            .list(&self.folder)?
            .iter()
            .filter_map(|entry| {
                let rest = entry.name.strip_prefix(&self.stem)?;
                lease_number(rest.strip_prefix(LEASE_MARK)?)
            })
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether it is held by a process that may be alive.
    pub fn is_held(&self, fs: &dyn Fs, stale: Duration, judge: Judge<'_>) -> FsResult<bool> {
        match self.numbers(fs)?.last() {
            Some(last) => self.may_live(fs, *last, stale, judge),
            None => Ok(false),
        }
    }

    /// Whether the owner of lease `number` may be alive.
    pub fn may_live(
        &self,
        fs: &dyn Fs,
        number: u64,
        stale: Duration,
        judge: Judge<'_>,
    ) -> FsResult<bool> {
        let path = self.path(number);
        let bytes = match fs.read(&path, LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(false),
            // A file that is unreadable, or not a file at all, ages like any other.
            Err(_) => format!("{:?}", fs.metadata(&path)?).into_bytes(),
        };
        if parse_owner(&bytes).is_some_and(|owner| owner.is_dead()) {
            return Ok(false);
        }
        let stale = stale.max(pace(&bytes));
        match judge {
            Judge::Watching(observed) => {
                let mut seen = observed.0.lock().unwrap_or_else(PoisonError::into_inner);
                let now = Instant::now();
                let (last, since) = seen.entry(path).or_insert_with(|| (bytes.clone(), now));
                if *last != bytes {
                    (*last, *since) = (bytes, now);
                }
                Ok(since.elapsed() < stale)
            }
            Judge::Clock(now) => Ok(fs
                .metadata(&path)?
                .is_some_and(|found| age(now, found.modified) < 4 * stale)),
        }
    }
}

/// The last seen contents of a lease, and when they were first seen.
type Sighting = (Vec<u8>, Instant);

/// Leases seen by an observer, and the time since which they have not changed.
#[derive(Debug, Default)]
pub struct Observed(Mutex<HashMap<PathBuf, Sighting>>);

/// How to decide whether the owner of a lease may be alive if the system does not know.
#[derive(Clone, Copy, Debug)]
pub enum Judge<'a> {
    /// By watching the lease for [`LeaseTiming::stale`], independently of clocks: for callers that
    /// can look again.
    Watching(&'a Observed),
    /// By the file's age at this time of the same clock, allowing four times as long: for callers
    /// that look once.
    Clock(SystemTime),
}

/// Parses the owner in a lease.
fn parse_owner(bytes: &[u8]) -> Option<Owner> {
    Owner::parse(std::str::from_utf8(bytes).ok()?)
}

/// The time without a heartbeat after which the owner declares itself dead; zero unless the
/// contents have exactly the form of a lease.
fn pace(bytes: &[u8]) -> Duration {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    match fields[..] {
        [_, _, counter, pace, _, _] if counter.len() == 20 && pace.len() == 6 => {
            let seconds = pace.parse().unwrap_or(0);
            Duration::from_secs(seconds).min(SLOWEST)
        }
        _ => Duration::ZERO,
    }
}

struct Pulse {
    stop: Mutex<bool>,
    wake: Condvar,
    lost: AtomicBool,
}

/// A lease held by this process; released when dropped.
pub struct Lease {
    fs: Arc<dyn Fs>,
    name: LeaseName,
    number: u64,
    owner: Owner,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease; `None` if another process that may be alive holds it. Its number is higher
    /// than `above`.
    ///
    /// # Errors
    /// A folder that cannot be listed or written.
    pub fn acquire(
        fs: &Arc<dyn Fs>,
        name: &LeaseName,
        timing: LeaseTiming,
        judge: Judge<'_>,
        above: u64,
    ) -> FsResult<Option<Self>> {
        fs.create_dir_all(&name.folder)?;
        let numbers = name.numbers(fs.as_ref())?;
        if let Some(last) = numbers.last()
            && name.may_live(fs.as_ref(), *last, timing.stale, judge)?
        {
            return Ok(None);
        }
        let highest = numbers.last().map_or(above, |last| above.max(*last));
        let number = if highest < HIGHEST {
            highest + 1
        } else {
            // Numbers that no process can have reached: remove the dead leases first and restart
            // counting.
            numbers
                .iter()
                .for_each(|old| remove(fs.as_ref(), name, *old));
            1
        };
        let owner = Owner::new();
        let path = name.path(number);
        match fs.create_new(&path, line(&owner, 0, timing.stale).as_bytes()) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                // A full disk leaves an empty lease; it is ours, so it may be removed.
                let _ = fs.remove_file(&path);
                return Err(error);
            }
        }
        let mut lease = Self {
            fs: Arc::clone(fs),
            name: name.clone(),
            number,
            owner,
            pulse: Arc::new(Pulse {
                stop: Mutex::new(false),
                wake: Condvar::new(),
                lost: AtomicBool::new(false),
            }),
            thread: None,
        };
        // If this fails, the lease is dropped and so released.
        lease.thread = Some(lease.beat(timing)?);
        // Dead leases: their numbers are lower than ours, so no process trusts them any more.
        numbers
            .iter()
            .for_each(|old| remove(fs.as_ref(), name, *old));
        Ok(if lease.is_mine()? { Some(lease) } else { None })
    }

    /// Its number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Path of its file.
    pub fn path(&self) -> PathBuf {
        self.name.path(self.number)
    }

    fn beat(&self, timing: LeaseTiming) -> FsResult<JoinHandle<()>> {
        let path = self.path();
        let (fs, owner, pulse) = (
            Arc::clone(&self.fs),
            self.owner.clone(),
            Arc::clone(&self.pulse),
        );
        let beat = move || {
            let mut stop = pulse.stop.lock().unwrap_or_else(PoisonError::into_inner);
            for counter in 1.. {
                let (guard, wait) = pulse
                    .wake
                    .wait_timeout_while(stop, timing.beat, |stop| !*stop)
                    .unwrap_or_else(PoisonError::into_inner);
                stop = guard;
                if !wait.timed_out() {
                    return;
                }
                if let Err(error) =
                    fs.overwrite(&path, line(&owner, counter, timing.stale).as_bytes())
                    && error.is_not_found()
                {
                    pulse.lost.store(true, Ordering::Relaxed);
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().spawn(beat);
        thread.map_err(|error| FsError::new("start a thread that keeps", &self.path(), error))
    }

    /// Whether it is still ours: the file contains our token, and there is no higher number.
    ///
    /// # Errors
    /// A folder that cannot be listed, or a file that cannot be read.
    pub fn is_mine(&self) -> FsResult<bool> {
        if self.pulse.lost.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let numbers = self.name.numbers(self.fs.as_ref())?;
        if numbers.last() != Some(&self.number) {
            return Ok(false);
        }
        is_of(self.fs.as_ref(), &self.path(), &self.owner)
    }
}

/// Whether the lease at `path` belongs to `owner`.
fn is_of(fs: &dyn Fs, path: &Path, owner: &Owner) -> FsResult<bool> {
    match fs.read(path, LIMIT) {
        Ok(bytes) => Ok(parse_owner(&bytes).is_some_and(|found| found == *owner)),
        Err(error) if error.is_not_found() || error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a dead lease, whatever is in its place. If it cannot be removed, its number is lower
/// than ours and it is harmless.
fn remove(fs: &dyn Fs, name: &LeaseName, number: u64) {
    let path = name.path(number);
    if let Err(FsError { .. }) = fs.remove_file(&path) {
        let _ = fs.remove_dir_all(&path);
    }
}

/// The contents of a lease; always of the same length, so that rewriting in place leaves no old
/// bytes.
fn line(owner: &Owner, counter: u64, stale: Duration) -> String {
    let pace = stale.as_secs_f64().floor();
    let Owner {
        token,
        process,
        host,
        job,
    } = owner;
    format!("{token} {process} {counter:020} {pace:06} {host} {job}\n")
}

impl Drop for Lease {
    fn drop(&mut self) {
        *self
            .pulse
            .stop
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = true;
        self.pulse.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            // The thread does not panic, so there is nothing to propagate.
            let _ = thread.join();
        }
        // The number makes it ours alone; if it cannot be removed, it becomes stale.
        let _ = self.fs.remove_file(&self.path());
    }
}

#[cfg(test)]
mod tests {
    use super::super::RealFs;
    use super::*;
    use std::fs;

    const QUICK: LeaseTiming = LeaseTiming {
        beat: Duration::from_millis(5),
        stale: Duration::from_millis(60),
    };

    fn setting() -> (tempfile::TempDir, Arc<dyn Fs>, LeaseName) {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_path_buf();
        let stem = "run".to_owned();
        let fs: Arc<dyn Fs> = Arc::new(RealFs::without_sync());
        (dir, fs, LeaseName { folder, stem })
    }

    fn take(fs: &Arc<dyn Fs>, name: &LeaseName, observed: &Observed) -> Option<Lease> {
        Lease::acquire(fs, name, QUICK, Judge::Watching(observed), 0).unwrap()
    }

    #[test]
    fn a_living_owner_keeps_it_and_one_that_lets_go_does_not() {
        let (_dir, fs, name) = setting();
        let (mine, theirs) = (Observed::default(), Observed::default());
        let held = take(&fs, &name, &mine).unwrap();
        for _ in 0..12 {
            assert!(take(&fs, &name, &theirs).is_none());
            std::thread::sleep(QUICK.stale / 4);
        }
        assert!(held.is_mine().unwrap());
        drop(held);
        assert!(take(&fs, &name, &theirs).is_some());
        assert!(name.numbers(fs.as_ref()).unwrap().is_empty(), "released");
    }

    /// Whatever is in the place of a lease: it is waited for, never trusted forever, and never an
    /// error.
    #[test]
    fn impossible_leases_are_taken_over_after_a_while() {
        let lines: [&[u8]; 7] = [
            b"",
            b"0123",
            b"\xff\xfe\0",
            b"0123456789abcdef",
            b"0123456789abcdef here:0:0 00000000000000000001\n",
            b"0123456789abcdef ffffffffffffffff:1:1 99999999999999999999\n",
            &[b'x'; 10_000],
        ];
        for (case, bytes) in lines.into_iter().enumerate() {
            for number in [1, HIGHEST] {
                let (_dir, fs, name) = setting();
                let observed = Observed::default();
                fs::write(name.path(number), bytes).unwrap();
                assert!(take(&fs, &name, &observed).is_none(), "case {case}");
                std::thread::sleep(QUICK.stale);
                let taken = take(&fs, &name, &observed);
                assert!(taken.unwrap().is_mine().unwrap(), "case {case}, {number}");
            }
        }
        let (_dir, fs, name) = setting();
        let observed = Observed::default();
        fs::create_dir(name.path(1)).unwrap();
        assert!(take(&fs, &name, &observed).is_none(), "a folder");
        std::thread::sleep(QUICK.stale);
        assert!(take(&fs, &name, &observed).is_some());
        assert!(!name.path(1).exists());
    }

    /// A `run` at the usual pace beside queue tasks, which beat every half minute: it waits for as
    /// long as they declare.
    #[test]
    fn an_observer_keeps_to_the_pace_of_the_owner() {
        let (_dir, fs, name) = setting();
        let (gentle, observed) = (LeaseTiming::GENTLE, Observed::default());
        let watching = Judge::Watching(&observed);
        let held = Lease::acquire(&fs, &name, gentle, watching, 0).unwrap();
        for _ in 0..3 {
            std::thread::sleep(QUICK.stale);
            assert!(take(&fs, &name, &observed).is_none());
        }
        drop(held);
        // An implausible pace is ignored.
        let lines = [
            "x here:0:0 00000000000000000001 999999 - -",
            "x here:0:0 1 999999 - -",
            "x here:0:0 00000000000000000001 ------ - -",
        ];
        let paces = lines.map(|line| pace(line.as_bytes()));
        assert_eq!(paces, [SLOWEST, Duration::ZERO, Duration::ZERO]);
        assert_eq!(LeaseTiming::new(gentle.stale / 2, gentle.stale), None);
    }

    #[test]
    fn who_looks_once_goes_by_the_time_of_the_file() {
        let (_dir, fs, name) = setting();
        let path = name.path(1);
        fs::write(&path, "0123456789abcdef elsewhere:1:1 7\n").unwrap();
        let now = SystemTime::now();
        let held = |time: SystemTime| {
            let file = fs::File::options().write(true).open(&path).unwrap();
            file.set_modified(time).unwrap();
            let stale = Duration::from_secs(15);
            name.is_held(fs.as_ref(), stale, Judge::Clock(now)).unwrap()
        };
        let second = Duration::from_secs(1);
        assert!(held(now) && held(now - 59 * second) && held(now + 3600 * second));
        assert!(!held(now - 60 * second));
        assert!(!held(now + 30 * 24 * 3600 * second), "no clock is so fast");
    }

    #[test]
    fn a_former_owner_knows_that_it_lost_it() {
        let (_dir, fs, name) = setting();
        let slow = LeaseTiming {
            beat: Duration::from_secs(3600),
            ..QUICK
        };
        let observed = Observed::default();
        let watching = Judge::Watching(&observed);
        let former = Lease::acquire(&fs, &name, slow, watching, 6).unwrap();
        let former = former.unwrap();
        assert_eq!(former.number(), 7);
        assert!(take(&fs, &name, &observed).is_none());
        std::thread::sleep(QUICK.stale);
        let now = take(&fs, &name, &observed).unwrap();
        assert_eq!(now.number(), 8);
        assert!(!former.is_mine().unwrap() && now.is_mine().unwrap());
        drop(former);
        assert!(now.is_mine().unwrap());
    }
}
