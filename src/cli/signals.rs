//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a checkpoint and a stop, the second stops at once.
//!
//! What the caller ignores stays ignored: `nohup` ignores SIGHUP, a shell SIGINT for what it starts in the background.

use super::failure::Failure;
use crate::data::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
#[cfg(unix)]
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// What signals have said so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
}

impl Signals {
    /// Starts to listen.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let signals = Self::default();
        #[cfg(unix)]
        let all = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
        #[cfg(not(unix))]
        let all = [SIGINT, SIGTERM];
        let ignored = ignored();
        for signal in all.into_iter().filter(|signal| !ignored.contains(signal)) {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set and ends the
            // program at once. The store is valid after every write.
            signal_hook::flag::register_conditional_shutdown(
                signal,
                128 + signal,
                signals.stop.clone(),
            )
            .and_then(|_| {
                signal_hook::flag::register_usize(signal, signals.which.clone(), signal as usize)
            })
            .and_then(|_| signal_hook::flag::register(signal, signals.stop.clone()))
            .map_err(|error| Failure::usage(format!("cannot listen for signals: {error}")))?;
        }
        Ok(signals)
    }

    /// Turns true at the first signal.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Ends the preparation of data at the first signal.
    pub(crate) fn stop(&self) -> Stop {
        Stop::when(Arc::clone(&self.stop))
    }

    /// Exit code of the signal that came: 128 and its number.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        let signal = self.which.load(Ordering::SeqCst);
        (signal > 0).then_some((128 + signal) as u8)
    }
}

/// What this process was started with ignored, of SIGINT and SIGHUP. There is no safe call that tells; a child inherits it, and a
/// shell cannot trap what it was started with ignored. SIGTERM is always listened to.
#[cfg(unix)]
fn ignored() -> Vec<i32> {
    const ASK: &str =
        "trap 'echo INT' INT; trap 'echo HUP' HUP; kill -INT $$; kill -HUP $$; echo asked";
    let mut shell = Command::new("sh");
    shell.args(["-c", ASK]);
    shell.stdin(Stdio::null()).stderr(Stdio::null());
    let said = shell.output().map(|output| output.stdout);
    let said = said.unwrap_or_default();
    let said: Vec<&str> = std::str::from_utf8(&said)
        .unwrap_or_default()
        .lines()
        .collect();
    if !said.contains(&"asked") {
        return Vec::new();
    }
    [("INT", SIGINT), ("HUP", signal_hook::consts::SIGHUP)]
        .into_iter()
        .filter(|(name, _)| !said.contains(name))
        .map(|(_, signal)| signal)
        .collect()
}

#[cfg(not(unix))]
fn ignored() -> Vec<i32> {
    Vec::new()
}
