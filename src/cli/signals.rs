//! Ctrl-C, SIGTERM and SIGHUP: the first signal requests a checkpoint and a stop, the second stops
//! at once. Whatever is being done, the program ends within three seconds of the first signal,
//! because containers and queues kill programs that take longer.
//!
//! A task of a queue also listens to SIGUSR1 and SIGUSR2, has more time, and as its last action
//! puts itself into the queue again.
//!
//! Signals ignored by the caller stay ignored: `nohup` ignores SIGHUP; a shell ignores SIGINT for
//! background jobs.

use super::failure::Failure;
use super::print::Printer;
use super::shared;
use crate::data::Stop;
use signal_hook::consts::{SIGINT, SIGTERM};
#[cfg(unix)]
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

/// Time allowed for the work to end by itself: an almost completed step or validation, a
/// checkpoint, the last messages.
const GRACE: Duration = Duration::from_millis(2300);

/// The same for a task of a queue, which is notified minutes before its end.
const GRACE_IN_QUEUE: Duration = Duration::from_secs(20);

/// Interval between checks for a signal.
const POLL: Duration = Duration::from_millis(100);

/// Whether a signal ends the program at once.
static AT_ONCE: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

#[cfg(unix)]
const ALL: [i32; 3] = [SIGINT, SIGTERM, signal_hook::consts::SIGHUP];
#[cfg(not(unix))]
const ALL: [i32; 2] = [SIGINT, SIGTERM];

/// Signals by which queues announce the end of a task's time.
#[cfg(unix)]
const USER: &[i32] = &[signal_hook::consts::SIGUSR1, signal_hook::consts::SIGUSR2];
#[cfg(not(unix))]
const USER: &[i32] = &[];

/// The last action, done once.
type Last = Box<dyn Fn() + Send + Sync>;

/// The signals received so far.
#[derive(Clone)]
pub(crate) struct Signals {
    stop: Arc<AtomicBool>,
    which: Arc<AtomicUsize>,
    grace: Duration,
    last: Arc<Mutex<Option<Last>>>,
}

/// Lets signals end the program even where they would not by default: the first process of a
/// container ignores signals that it does not handle.
///
/// A file that grows beyond the shell's limit causes an error that names it, instead of killing the
/// program silently.
pub(crate) fn obey() -> Result<(), Failure> {
    #[cfg(unix)]
    signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default()).map_err(refused)?;
    if std::process::id() != 1 {
        return Ok(());
    }
    AT_ONCE.store(true, Ordering::SeqCst);
    ALL.into_iter().try_for_each(end_at_once)
}

/// Ends the program at the next such signal if [`AT_ONCE`] is set by then. The store is valid after
/// every write.
fn end_at_once(signal: i32) -> Result<(), Failure> {
    let registered = signal_hook::flag::register_conditional_shutdown(
        signal,
        128 + signal,
        Arc::clone(&AT_ONCE),
    );
    registered.map(|_| ()).map_err(refused)
}

fn refused(error: std::io::Error) -> Failure {
    Failure::usage(format!("cannot listen for signals: {error}"))
}

impl Signals {
    /// Starts to listen: from now on the first signal is a request, and it ends the program only if
    /// the work takes too long to stop.
    pub(crate) fn listen(printer: Printer) -> Result<Self, Failure> {
        let signals = Self {
            stop: Arc::default(),
            which: Arc::default(),
            grace: GRACE,
            last: Arc::default(),
        };
        signals.hear(&ALL, printer)
    }

    /// The same for a task of a queue; `last` is run before the task ends.
    pub(crate) fn in_queue(
        printer: Printer,
        last: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, Failure> {
        let signals = Self {
            stop: Arc::default(),
            which: Arc::default(),
            grace: GRACE_IN_QUEUE,
            last: Arc::new(Mutex::new(Some(Box::new(last)))),
        };
        signals.hear(&[&ALL[..], USER].concat(), printer)
    }

    fn hear(self, all: &[i32], printer: Printer) -> Result<Self, Failure> {
        let signals = self;
        let ignored = ignored();
        for &signal in all.iter().filter(|signal| !ignored.contains(signal)) {
            // In this order: the first signal finds the flag unset and sets it, the second finds it set.
            if !USER.contains(&signal) {
                end_at_once(signal)?;
            }
            signal_hook::flag::register_usize(signal, signals.which.clone(), signal as usize)
                .and_then(|_| signal_hook::flag::register(signal, signals.stop.clone()))
                .and_then(|_| signal_hook::flag::register(signal, Arc::clone(&AT_ONCE)))
                .map_err(refused)?;
        }
        let watched = signals.clone();
        let watch = move || watched.end_in_time(printer);
        std::thread::Builder::new()
            .spawn(watch)
            .map_err(shared::no_thread)?;
        AT_ONCE.store(false, Ordering::SeqCst);
        Ok(signals)
    }

    /// Waits for a signal and ends the program if it is still running some time later. The store is
    /// valid after every write.
    fn end_in_time(&self, printer: Printer) {
        while !self.stop.load(Ordering::SeqCst) {
            std::thread::sleep(POLL);
        }
        std::thread::sleep(self.grace);
        self.end();
        let text =
            "stopped in the middle of a step; the next `run` continues from the last checkpoint";
        // The reader of the notes may have stopped reading, which must not delay the end.
        let told = std::thread::Builder::new().spawn(move || printer.note(text));
        std::thread::sleep(if told.is_ok() { POLL } else { Duration::ZERO });
        let code = self.exit_code().unwrap_or(super::exit::UNEXPECTED);
        signal_hook::low_level::exit(code.into());
    }

    /// Runs the last action unless it was run already.
    pub(crate) fn end(&self) {
        let last = self
            .last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(last) = last {
            last();
        }
    }

    /// Turns true at the first signal.
    pub(crate) fn flag(&self) -> &AtomicBool {
        &self.stop
    }

    /// Stops the preparation of data at the first signal.
    pub(crate) fn stop(&self) -> Stop {
        Stop::when(Arc::clone(&self.stop))
    }

    /// Exit code of the received signal: 128 plus its number.
    pub(crate) fn exit_code(&self) -> Option<u8> {
        let signal = self.which.load(Ordering::SeqCst);
        // Signals with the same meaning share one code.
        let is_user = USER.iter().any(|user| *user as usize == signal);
        let signal = if is_user { SIGTERM as usize } else { signal };
        (signal > 0).then_some((128 + signal) as u8)
    }
}

/// Which of SIGINT and SIGHUP this process was started with as ignored. No safe call reports it,
/// but a child inherits it, and a shell cannot trap signals that were ignored at its start. SIGTERM
/// is always handled.
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
