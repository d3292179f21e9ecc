//! Progress of runs: bars on a terminal, plain lines elsewhere.

use super::print::{self, Printer, clean};
use crate::human;
use crate::plan::Run;
use crate::record::{Numerics, RunStatus};
use crate::scheduler::{Base, Event, Events};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Shows the events of a scheduler.
pub(crate) struct Progress<'a> {
    runs: &'a [Run],
    printer: Printer,
    bars: MultiProgress,
    begin: Instant,
    /// The line below the bars: the current run, elapsed and remaining time.
    whole: ProgressBar,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bars: BTreeMap<usize, ProgressBar>,
    /// Steps, positions and seconds of each run so far.
    pace: BTreeMap<usize, Pace>,
    speeds: Vec<(Numerics, f64, f64)>,
    /// Runs already reported as waited for.
    waiting: BTreeSet<usize>,
    /// The share of each run that still has to be trained.
    left: BTreeMap<usize, f64>,
    /// Runs started here, in order.
    begun: Vec<usize>,
    /// Floating-point operations computed here.
    flops: f64,
    /// Time of the last printed line, if there is no terminal.
    line: Option<Instant>,
}

#[derive(Clone, Copy, Default)]
struct Pace {
    positions: u64,
    seconds: f64,
    resumed: bool,
    val_loss: Option<f64>,
}

/// Interval between lines, if there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// Width, in columns, of a run's name on a bar and in a line.
const NAME: usize = 28;

impl<'a> Progress<'a> {
    /// Progress of `runs` with the given `statuses`.
    pub(crate) fn new(runs: &'a [Run], statuses: &[RunStatus], printer: Printer) -> Self {
        let visible = std::io::stderr().is_terminal() && !printer.quiet;
        let target = if visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let missing = statuses.iter().enumerate();
        let missing = missing.filter(|(_, status)| **status != RunStatus::Cached);
        let state = State {
            left: missing.map(|(index, _)| (index, 1.0)).collect(),
            ..State::default()
        };
        let whole = ProgressBar::new(1);
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            whole.set_style(style);
        }
        let bars = MultiProgress::with_draw_target(target);
        Self {
            runs,
            printer,
            whole: bars.add(whole),
            bars,
            begin: Instant::now(),
            state: Mutex::new(state),
        }
    }

    /// Time since the start of the work.
    pub(crate) fn elapsed(&self) -> Duration {
        self.begin.elapsed()
    }

    /// `run 3 of 12, 41.0 s elapsed, about 3 min left`.
    fn overall(&self, state: &State) -> String {
        let running = state.begun.len().max(1);
        let total = state.begun.len()
            + state
                .left
                .keys()
                .filter(|index| !state.begun.contains(index))
                .count();
        let elapsed = self.elapsed().as_secs_f64();
        let left: f64 = state
            .left
            .iter()
            .map(|(index, share)| share * self.runs[*index].estimate.flops)
            .sum();
        let remaining = match state.flops > 0.0 {
            true => format!(
                ", about {} left",
                human::seconds((left / state.flops * elapsed).max(1.0))
            ),
            false => String::new(),
        };
        format!(
            "run {running} of {total}, {} elapsed{remaining}",
            human::seconds(elapsed)
        )
    }

    /// Removes the bars.
    pub(crate) fn finish(&self) {
        for (_, bar) in std::mem::take(&mut self.state().bars) {
            bar.finish_and_clear();
        }
        self.whole.finish_and_clear();
    }

    /// Numerics, operations and seconds of every run trained from its start.
    pub(crate) fn speeds(&self) -> Vec<(Numerics, f64, f64)> {
        self.state().speeds.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(&self, index: usize) -> std::borrow::Cow<'_, str> {
        clean(&self.runs[index].name)
    }

    fn say(&self, text: &str) {
        self.bars.suspend(|| self.printer.note(text));
    }

    fn started(
        &self,
        index: usize,
        (resumed_at, extends): (Option<u64>, Option<&Base>),
        steps: u64,
        threads: usize,
    ) {
        let bar = self
            .bars
            .insert_before(&self.whole, ProgressBar::new(steps));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:8} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(print::shortened(&self.name(index), NAME));
        bar.set_position(resumed_at.unwrap_or(0));
        let mut state = self.state();
        state.waiting.remove(&index);
        state.bars.insert(index, bar);
        if !state.begun.contains(&index) {
            state.begun.push(index);
        }
        let done = resumed_at.unwrap_or(0) as f64 / steps.max(1) as f64;
        state.left.insert(index, 1.0 - done);
        state.pace.insert(
            index,
            Pace {
                resumed: resumed_at.is_some(),
                ..Pace::default()
            },
        );
        drop(state);
        match resumed_at {
            Some(step) => {
                let from = extends.map(|base| format!(" from {}", base.name));
                self.say(&format!(
                    "{}: continues{} at step {step} of {steps}",
                    self.name(index),
                    from.unwrap_or_default()
                ));
            }
            None if self.bars.is_hidden() => self.say(&format!(
                "{}: {} on {}",
                self.name(index),
                human::counted(steps, "step"),
                human::counted(threads as u64, "thread")
            )),
            None => {}
        }
    }

    fn step(
        &self,
        index: usize,
        point: &crate::record::MetricPoint,
        timing: crate::train::StepTiming,
        steps: u64,
    ) {
        let mut state = self.state();
        let pace = state.pace.entry(index).or_default();
        pace.positions += timing.positions;
        pace.seconds += timing.train_seconds;
        pace.val_loss = point.val_loss.or(pace.val_loss);
        let rate = if pace.seconds > 0.0 {
            pace.positions as f64 / pace.seconds
        } else {
            0.0
        };
        let mut parts = vec![format!("loss {:.3}", point.train_loss)];
        parts.extend(pace.val_loss.map(|loss| format!("val {loss:.3}")));
        parts.push(format!("{} tokens/s", human::count(rate as u64)));
        let left = 1.0 - point.step as f64 / steps.max(1) as f64;
        let before = state.left.insert(index, left).unwrap_or(left);
        state.flops += (before - left).max(0.0) * self.runs[index].estimate.flops;
        let last = state.line.unwrap_or(self.begin);
        let due = self.bars.is_hidden() && last.elapsed() >= LINE_EVERY;
        if due {
            state.line = Some(Instant::now());
        }
        let overall = self.overall(&state);
        if let Some(bar) = state.bars.get(&index) {
            bar.set_position(point.step);
            bar.set_message(print::joined(&parts, bar_room(steps)));
        }
        drop(state);
        self.whole.set_message(overall.clone());
        if due {
            self.say(&format!(
                "{}: step {}/{steps}, {} ({overall})",
                self.name(index),
                point.step,
                parts.join(", ")
            ));
        }
    }

    fn trained(&self, index: usize, record: &crate::record::RunRecord) {
        let mut state = self.state();
        if let Some(bar) = state.bars.remove(&index) {
            bar.finish_and_clear();
        }
        state.left.remove(&index);
        let timing = record.timing;
        let seconds = timing.train_seconds + timing.validation_seconds;
        let whole = state.pace.get(&index).is_none_or(|pace| !pace.resumed);
        if whole && seconds > 0.0 {
            let flops = self.runs[index].estimate.flops;
            state.speeds.push((record.numerics.clone(), flops, seconds));
        }
        drop(state);
        let loss = record
            .metrics
            .get("val_loss")
            .map_or_else(String::new, |loss| format!(", validation loss {loss:.3}"));
        let speed = human::count(timing.train_tokens_per_second as u64);
        self.say(&format!(
            "{}: trained in {}{loss}, {speed} tokens/s",
            self.name(index),
            human::seconds(seconds)
        ));
    }

    /// Reports waiting once, and again only if the run was started here in between.
    fn waiting(&self, index: usize) {
        let is_new = self.state().waiting.insert(index);
        if is_new {
            self.say(&format!(
                "{}: another process is training it; waiting",
                self.name(index)
            ));
        }
    }

    fn failed(&self, index: usize, message: &str, log: Option<&std::path::Path>, tail: &str) {
        let mut state = self.state();
        state.left.remove(&index);
        if let Some(bar) = state.bars.remove(&index) {
            bar.finish_and_clear();
        }
        drop(state);
        self.bars.suspend(|| {
            self.printer.error(
                &format!("run `{}` failed: {message}", self.name(index)),
                None,
            )
        });
        if let Some(log) = log {
            let lines: Vec<&str> = tail.lines().collect();
            // Earlier attempts come before this one in the log.
            let begin = lines.iter().rposition(|line| line.starts_with("run "));
            let lines = lines[begin.unwrap_or(0)..].iter();
            let lines: Vec<String> = lines.map(|line| format!("  | {line}")).collect();
            self.say(&format!("log: {}\n{}", log.display(), lines.join("\n")));
        }
    }
}

/// Width, in columns, of what follows the name, the bar and the steps of a run with `steps` steps.
fn bar_room(steps: u64) -> usize {
    const BAR: usize = 8;
    let width = terminal_size::terminal_size_of(std::io::stderr())
        .map_or(80, |(terminal_size::Width(width), _)| width.into());
    let before = NAME + 1 + BAR + 1 + 2 * steps.to_string().len() + 1 + 1;
    usize::saturating_sub(width, before)
}

impl Events for Progress<'_> {
    fn on(&self, event: Event<'_>) {
        match event {
            Event::Started {
                index,
                resumed_at,
                extends,
                steps,
                threads,
                ..
            } => self.started(index, (resumed_at, extends), steps, threads),
            Event::Step {
                index,
                point,
                timing,
                steps,
            } => self.step(index, point, timing, steps),
            Event::Trained { index, record } => self.trained(index, record),
            Event::Failed {
                index,
                message,
                log,
                tail,
            } => self.failed(index, message, log, tail),
            Event::Stopped { index, step } => self.say(&format!(
                "{}: stopped at step {step}, which is saved",
                self.name(index)
            )),
            Event::Waiting { index } => self.waiting(index),
            Event::Warning(text) => self.bars.suspend(|| self.printer.warning(text)),
            Event::Checkpoint {
                index,
                step,
                bytes,
                seconds,
            } => {
                self.printer.detail(&format!(
                    "{}: checkpoint at step {step}, {} in {}",
                    self.name(index),
                    human::bytes(bytes),
                    human::seconds(seconds)
                ));
            }
            Event::Cached { index } => self
                .printer
                .detail(&format!("{}: cached", self.name(index))),
            Event::Evaluating { index } => self
                .printer
                .detail(&format!("{}: evaluating", self.name(index))),
            Event::Validation { .. } | Event::Evaluated { .. } | Event::Began { .. } => {}
        }
    }
}
