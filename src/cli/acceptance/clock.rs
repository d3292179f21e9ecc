//! The time limit of an acceptance, also for the programs it starts.

use std::io::{Read as _, Seek as _};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Time limit for the whole acceptance.
#[derive(Clone, Copy)]
pub(super) struct Clock {
    begun: Instant,
    end: Option<Instant>,
}

/// The reason given for skipped work.
pub(super) const OVER: &str = "the minutes were over";

/// Time reserved for writing the results.
const RESERVE: Duration = Duration::from_secs(5);

impl Clock {
    /// Starts the clock; `None` means no limit.
    pub(super) fn begin(minutes: Option<f64>) -> Self {
        let time = minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes.max(0.0)));
        let begun = Instant::now();
        Self {
            begun,
            end: time.map(|time| begun + time.saturating_sub(RESERVE)),
        }
    }

    /// A clock on which only the first `part` of the time may be used.
    pub(super) fn first(self, part: f64) -> Self {
        let end = |end: Instant| self.begun + (end - self.begun).mul_f64(part);
        Self {
            end: self.end.map(end),
            ..self
        }
    }

    /// A clock on which at most `time` of what is left may be used, if time is limited at all.
    pub(super) fn at_most(self, time: Duration) -> Self {
        let now = Instant::now();
        Self {
            end: self.end.map(|end| end.min(now + time)),
            ..self
        }
    }

    /// Whether less than `needed` remains.
    pub(super) fn lacks(&self, needed: Duration) -> bool {
        self.end.is_some_and(|end| Instant::now() + needed > end)
    }

    /// Runs a program to its end, or kills it when the time is over.
    pub(super) fn output(&self, command: &mut Command) -> Result<Output, String> {
        if self.lacks(Duration::ZERO) {
            return Err(OVER.to_owned());
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let text = |error: std::io::Error| format!("`{name}` does not start: {error}");
        let mut files = [tempfile::tempfile(), tempfile::tempfile()].map(|file| file.map_err(text));
        let [Ok(out), Ok(said)] = &mut files else {
            return Err(format!("`{name}` has no room for its answer"));
        };
        let mut child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(text)?)
            .stderr(said.try_clone().map_err(text)?)
            .spawn()
            .map_err(text)?;
        let status = loop {
            match child.try_wait().map_err(text)? {
                Some(status) => break status,
                None if self.lacks(Duration::ZERO) => {
                    // It may have exited just now.
                    let _ = child.kill();
                    let _ = child.wait();
                    return Err(OVER.to_owned());
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        let read = |file: &mut std::fs::File| {
            let mut bytes = Vec::new();
            file.rewind().map_err(text)?;
            file.read_to_end(&mut bytes).map_err(text)?;
            Ok::<_, String>(bytes)
        };
        Ok(Output {
            status,
            stdout: read(out)?,
            stderr: read(said)?,
        })
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_ended_when_the_time_is_over() {
        let begun = Instant::now();
        let clock = Clock {
            begun,
            end: Some(begun + Duration::from_millis(100)),
        };
        let ended = clock.output(Command::new("sleep").arg("60"));
        assert_eq!(ended.unwrap_err(), OVER);
        let none = Clock::begin(Some(0.0)).output(Command::new("touch").arg("/"));
        assert_eq!(none.unwrap_err(), OVER);
        let said = Clock::begin(None).output(Command::new("echo").arg("yes"));
        assert_eq!(said.unwrap().stdout, b"yes\n");
    }

    #[test]
    fn parts_of_the_time_are_over_earlier() {
        let seconds = Duration::from_secs;
        let clock = Clock::begin(Some(10.0));
        assert!(!clock.lacks(seconds(580)));
        assert!(!clock.first(0.5).lacks(seconds(280)) && clock.first(0.5).lacks(seconds(300)));
        let short = clock.at_most(seconds(40));
        assert!(!short.lacks(seconds(30)) && short.lacks(seconds(41)));
        let endless = Clock::begin(None);
        assert!(!endless.first(0.1).lacks(seconds(9999)));
        assert!(!endless.at_most(seconds(1)).lacks(seconds(9999)));
    }
}
