//! The holder of a lease: a random token and, if the system reports it, the process.
//!
//! On Linux, a process is identified by the machine's boot, its process namespace, its number and
//! its start time, so the lease of a process that ended on this machine is known to be dead at
//! once. On other systems, and for processes of other machines or of an earlier boot, only a
//! missing heartbeat shows it.

use crate::digest::Hasher;
use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::sync::OnceLock;

/// The queue job that this process belongs to, if any.
static JOB: OnceLock<QueueJob> = OnceLock::new();

/// A task of a job queue. A queue never runs two tasks of the same name at once, so anything that
/// an earlier attempt held is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueJob {
    /// Its name, without spaces: `slurm:lab:1234_5`.
    pub name: String,
    /// Number of earlier attempts.
    pub tries: u32,
}

impl QueueJob {
    /// Declares that this process is `self` from now on; only the first call counts.
    pub fn adopt(self) {
        let name = self.name.chars().filter(|c| c.is_ascii_graphic()).take(100);
        let name = name.collect();
        // Set once, when the program starts.
        let _ = JOB.set(Self { name, ..self });
    }

    /// Name and number of attempts, as written in a lease.
    fn text(&self) -> String {
        format!("{}#{}", self.name, self.tries)
    }

    fn parse(text: &str) -> Option<Self> {
        let (name, tries) = text.rsplit_once('#')?;
        Some(Self {
            name: name.to_owned(),
            tries: tries.parse().ok()?,
        })
    }
}

/// The owner of a lease, as written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// 16 random hexadecimal digits.
    pub token: String,
    /// `machine:pid:start`, or `-` where unknown.
    pub process: String,
    /// Name of the machine, or `-` where unknown.
    pub host: String,
    /// Queue task and its number of attempts, or `-` if there is none.
    pub job: String,
}

impl Owner {
    /// This process, with a new token.
    pub fn new() -> Self {
        let process = own_process().unwrap_or_else(|| "-".to_owned());
        // The standard library's hash keys come from the operating system's generator; the address
        // distinguishes threads.
        let mut hasher = Hasher::new();
        for _ in 0..4 {
            let random = RandomState::new().build_hasher().finish();
            hasher.update(&random.to_le_bytes());
        }
        hasher.update(process.as_bytes());
        let token = hasher.finish().to_string()[..16].to_owned();
        let unknown = || "-".to_owned();
        Self {
            token,
            process,
            host: host().unwrap_or_else(unknown),
            job: JOB.get().map_or_else(unknown, QueueJob::text),
        }
    }

    /// Parses the owner in a lease.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split_ascii_whitespace();
        let (token, process) = (parts.next()?.to_owned(), parts.next()?.to_owned());
        // These follow the counter and the pace; older leases end with the counter.
        let (host, job) = (parts.nth(2), parts.next());
        let known = |part: Option<&str>| part.unwrap_or("-").to_owned();
        Some(Self {
            token,
            process,
            host: known(host),
            job: known(job),
        })
    }

    /// Whether the owner is known to have ended: it ran on this machine since its last boot and the
    /// system knows no process of its number, or it was an earlier attempt of this process's task.
    /// Nothing else counts as death: a process that may not be inspected counts as alive.
    pub fn is_dead(&self) -> bool {
        if let (Some(own), Some(job)) = (JOB.get(), QueueJob::parse(&self.job))
            && own.name == job.name
            && job.tries < own.tries
        {
            return true;
        }
        let mut parts = self.process.split(':');
        let (Some(of), Some(pid)) = (parts.next(), parts.next()) else {
            return false;
        };
        machine().is_some_and(|own| own == of) && pid.parse().is_ok_and(has_ended)
    }
}

impl Default for Owner {
    fn default() -> Self {
        Self::new()
    }
}

/// `machine:pid:start` of this process.
fn own_process() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{}:{pid}:{}", machine()?, start_time()?))
}

/// Whether the system knows no process of this number.
#[cfg(unix)]
fn has_ended(pid: i32) -> bool {
    use nix::errno::Errno;
    use nix::sys::signal::kill;
    use nix::unistd::Pid;
    // Zero and negative numbers denote groups of processes.
    pid > 0 && kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH)
}

#[cfg(not(unix))]
fn has_ended(_: i32) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let mut hasher = Hasher::new();
    hasher.update_prefixed(boot.trim().as_bytes());
    hasher.update_prefixed(namespace.to_string_lossy().as_bytes());
    Some(hasher.finish().to_string()[..16].to_owned())
}

/// Start time of this process, in ticks since the boot.
#[cfg(target_os = "linux")]
fn start_time() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may contain anything; the start time is the 20th field after it (the
    // 22nd of all).
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(19).map(str::to_owned)
}

#[cfg(target_os = "linux")]
fn host() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let name: String = name
        .chars()
        .filter(char::is_ascii_graphic)
        .take(64)
        .collect();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(not(target_os = "linux"))]
fn host() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn start_time() -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    fn process(pid: &str) -> Owner {
        Owner {
            process: format!("{}:{pid}:12345", machine().unwrap()),
            ..Owner::new()
        }
    }

    #[test]
    fn tokens_differ_and_the_living_are_not_dead() {
        let (a, b) = (Owner::new(), Owner::new());
        assert_ne!(a.token, b.token);
        assert!(!a.is_dead());
        let elsewhere = Owner {
            process: "0123:1:1".to_owned(),
            ..a
        };
        assert!(!elsewhere.is_dead(), "another machine's process");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn death_is_that_the_system_knows_no_such_process() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id().to_string();
        child.wait().unwrap();
        assert!(process(&pid).is_dead());
        // A process of another user, or with a different start time, or none at all: nothing is
        // known.
        for pid in ["1", "0", "-1", "99999999999", "", "x"] {
            assert!(!process(pid).is_dead(), "{pid}");
        }
    }

    #[test]
    fn what_a_lease_says_reads_back_and_an_earlier_try_is_dead() {
        let owner = Owner {
            host: "node07".to_owned(),
            job: "slurm:lab:12_3#1".to_owned(),
            ..Owner::new()
        };
        let line = format!(
            "{} {} 7 300 node07 {}",
            owner.token, owner.process, owner.job
        );
        assert_eq!(Owner::parse(&line), Some(owner.clone()));
        let before = Owner::parse("0123 here:1:1 7").unwrap();
        assert_eq!((before.host.as_str(), before.job.as_str()), ("-", "-"));
        assert_eq!(Owner::parse("0123"), None);
        // The task that this process is in all of its tests.
        let own = QueueJob {
            name: "test:lab:9".to_owned(),
            tries: 2,
        };
        own.adopt();
        let ended = |job: &str| {
            let other = Owner {
                process: "elsewhere:1:1".to_owned(),
                job: job.to_owned(),
                ..owner.clone()
            };
            other.is_dead()
        };
        assert!(ended("test:lab:9#1") && ended("test:lab:9#0"));
        for living in [
            "test:lab:9#2",
            "test:lab:9#3",
            "test:lab:8#1",
            "-",
            "#",
            "test:lab:9#",
        ] {
            assert!(!ended(living), "{living}");
        }
        assert_eq!(Owner::new().job, "test:lab:9#2");
    }
}
