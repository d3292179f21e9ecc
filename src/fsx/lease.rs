//! Leases: who makes something that one process at a time is to make. No locks, no clocks of other hosts.
//!
//! A lease is a file `<stem>.claim-<n>` (the ending is that of the first version, so that processes of both see each other);
//! the highest number owns. A new owner creates number n + 1 exclusively, so that of several that find number n dead one wins,
//! and nothing that belongs to another is ever renamed. A former owner that comes back sees a higher number and gives up.
//! The file holds `token process counter pace host job`; a thread of the owner rewrites the counter. An observer that sees no change for
//! [`LeaseTiming::stale`] on its own monotonic clock, or for as many seconds as the owner's own pace says where that is longer, takes the
//! lease for dead, whatever it holds: half a line, nothing, a folder.

use super::owner::Owner;
use super::{Fs, FsError, FsResult};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// Between the stem and the number of a lease's name.
pub const LEASE_MARK: &str = ".claim-";
/// Longest lease that is read, bytes.
const LIMIT: u64 = 4 << 10;
/// Highest number: what is named higher is none of ours.
const HIGHEST: u64 = 1 << 40;
/// Longest pace of an owner that is believed: what stands in a file may be anything.
const SLOWEST: Duration = Duration::from_secs(3600);
/// How far ahead of the clock a file's time may lie; beyond that it tells nothing.
const AHEAD: Duration = Duration::from_secs(24 * 3600);

/// Pace of leases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeaseTiming {
    /// How often the owner rewrites its counter.
    pub beat: Duration,
    /// How long a counter may stand still before its owner counts as dead.
    pub stale: Duration,
}

impl LeaseTiming {
    /// Shortest `stale` that [`after`](Self::after) takes.
    pub const LEAST: Duration = Duration::from_millis(100);

    /// For many processes on one file system: 30 s and 5 min.
    pub const GENTLE: Self = Self {
        beat: Duration::from_secs(30),
        stale: Duration::from_secs(300),
    };

    /// Dead after `stale`, with eight beats in that time; `None` where that is shorter than [`LEAST`](Self::LEAST).
    pub fn after(stale: Duration) -> Option<Self> {
        Self::new(stale / 8, stale)
    }

    /// `None` where `stale` is shorter than [`LEAST`](Self::LEAST) or longer than an hour, or has not three beats.
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

/// How old a file's time is; one that lies far ahead of `now` tells nothing, so it is as old as can be.
pub fn age(now: SystemTime, time: SystemTime) -> Duration {
    match now.duration_since(time) {
        Ok(age) => age,
        Err(ahead) if ahead.duration() > AHEAD => Duration::MAX,
        Err(_) => Duration::ZERO,
    }
}

/// The number at the end of a lease's name, behind [`LEASE_MARK`]; also that of a work folder.
pub fn lease_number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|number| plain && *number <= HIGHEST)
}

/// What a lease is of: the folder of its file, and the beginning of its name.
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

    /// Numbers of its leases, rising.
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

    /// Whether a process that may be alive holds it.
    pub fn is_held(&self, fs: &dyn Fs, stale: Duration, judge: Judge<'_>) -> FsResult<bool> {
        match self.numbers(fs)?.last() {
            Some(last) => self.may_live(fs, *last, stale, judge),
            None => Ok(false),
        }
    }

    /// Whether the owner of that number may be alive.
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
            // What cannot be read, or is no file, ages like any other.
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

/// What a lease held when it was last seen to change, and when that was.
type Sighting = (Vec<u8>, Instant);

/// Leases seen by an observer, and since when they have not changed.
#[derive(Debug, Default)]
pub struct Observed(Mutex<HashMap<PathBuf, Sighting>>);

/// How to tell whether the owner of a lease may be alive, where the system does not know.
#[derive(Clone, Copy, Debug)]
pub enum Judge<'a> {
    /// By watching it for [`LeaseTiming::stale`]: for who can come back, whatever clocks say.
    Watching(&'a Observed),
    /// By the time of its file, four times as long, against this time of the same clock: for who looks once.
    Clock(SystemTime),
}

/// Reads the owner out of a lease.
fn parse_owner(bytes: &[u8]) -> Option<Owner> {
    Owner::parse(std::str::from_utf8(bytes).ok()?)
}

/// After how long without a heartbeat the owner itself says that it is dead; zero where it does not say so in the exact form of a lease.
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

/// A lease that this process holds. Dropped, it is released.
pub struct Lease {
    fs: Arc<dyn Fs>,
    name: LeaseName,
    number: u64,
    owner: Owner,
    pulse: Arc<Pulse>,
    thread: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease; `None` where another process that may be alive holds it. Its number is above `above`.
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
            // Numbers that nobody can have reached: what is dead goes first, and counting begins again.
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
                // A full disk leaves an empty lease; it is ours, so it may go.
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
        // Dropped where that fails, it is released.
        lease.thread = Some(lease.beat(timing)?);
        // Dead leases: their numbers are below ours, so nobody trusts them any more.
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

    /// Whether it is still ours: the file holds our token, and there is no higher one.
    ///
    /// # Errors
    /// A folder that cannot be listed, a file that cannot be read.
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

/// Whether the lease at `path` is of `owner`.
fn is_of(fs: &dyn Fs, path: &Path, owner: &Owner) -> FsResult<bool> {
    match fs.read(path, LIMIT) {
        Ok(bytes) => Ok(parse_owner(&bytes).is_some_and(|found| found == *owner)),
        Err(error) if error.is_not_found() || error.is_damage() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a dead lease, whatever stands there. One that stays is below ours, and harmless.
fn remove(fs: &dyn Fs, name: &LeaseName, number: u64) {
    let path = name.path(number);
    if let Err(FsError { .. }) = fs.remove_file(&path) {
        let _ = fs.remove_dir_all(&path);
    }
}

/// The contents of a lease; always of one length, so that rewriting in place leaves nothing of the old.
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
            // The thread does not panic; there is nothing to pass on.
            let _ = thread.join();
        }
        // Ours alone by its number; if it cannot be removed, it becomes stale.
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

    /// Whatever stands where a lease belongs: it is waited for, never trusted for ever, and never an error.
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

    /// A `run` at the usual pace beside tasks of a queue, which beat every half minute: it waits as long as they say.
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
        // A pace that nobody keeps is none.
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
