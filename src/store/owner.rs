//! Who holds a claim: a random token, and where the system tells, the process.
//!
//! On Linux a process is named by the machine's boot, its process namespace, its number and its start time, so that a claim
//! of a process that was killed on this machine is known to be dead at once. Elsewhere, and for processes of other machines,
//! only a heartbeat that stands still tells.

use crate::digest::Hasher;
use std::hash::{BuildHasher, Hasher as _, RandomState};

/// The owner of a claim, as written into it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// 16 random hexadecimal digits.
    pub(crate) token: String,
    /// `machine:pid:start`, or `-` where unknown.
    pub(crate) process: String,
}

impl Owner {
    /// This process, with a new token.
    pub(crate) fn new() -> Self {
        let process = own_process().unwrap_or_else(|| "-".to_owned());
        // The standard library's hash keys come from the operating system's generator; the address tells threads apart.
        let mut hasher = Hasher::new();
        for _ in 0..4 {
            let random = RandomState::new().build_hasher().finish();
            hasher.update(&random.to_le_bytes());
        }
        hasher.update(process.as_bytes());
        let token = hasher.finish().to_string()[..16].to_owned();
        Self { token, process }
    }

    /// Whether the owner is known to have died: it ran on this machine and is no more.
    pub(crate) fn is_dead(&self) -> bool {
        let Some(own) = own_process() else {
            return false;
        };
        let mut own = own.split(':');
        let mut parts = self.process.split(':');
        let (Some(machine), Some(pid), Some(start)) = (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        own.next() == Some(machine)
            && pid
                .parse::<u32>()
                .is_ok_and(|pid| start_time(pid).as_deref() != Some(start))
    }
}

/// `machine:pid:start` of this process.
fn own_process() -> Option<String> {
    let pid = std::process::id();
    Some(format!("{}:{pid}:{}", machine()?, start_time(pid)?))
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

#[cfg(target_os = "linux")]
fn start_time(pid: u32) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; the start time is the 20th field after it (22nd of all).
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    // A zombie has ended, only nobody has asked yet.
    if matches!(fields.next(), Some("Z" | "X")) {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Option<String> {
    None
}

#[cfg(not(target_os = "linux"))]
fn start_time(_: u32) -> Option<String> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_process_that_ended_is_dead() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = child.id();
        child.wait().unwrap();
        let own = own_process().unwrap();
        let machine = own.split(':').next().unwrap();
        let dead = Owner {
            token: String::new(),
            process: format!("{machine}:{pid}:12345"),
        };
        assert!(dead.is_dead());
    }
}
