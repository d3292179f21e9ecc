//! A sweep in progress: one page that is rewritten as the sweep advances. It is built from the
//! store alone, so any process can write it for the runs of any number of others. It is not part of
//! a report, and nothing is compared with it.

use super::render::{Templates, render};
use crate::human;
use crate::record::{MetricPoint, RunStatus};
use crate::report::ReportError;
use crate::report::chart::reduce;
use crate::report::text::one_line;
use minijinja::{context, value::Serde};
use serde::Serialize;
use std::fmt::Write as _;

/// Width and height of a curve, in pixels.
const SIZE: (f64, f64) = (160.0, 36.0);

/// Number of stretches per curve, with at most four points each.
const STRETCHES: usize = 16;

/// One run of the sweep.
#[derive(Clone, Debug)]
pub struct LiveRun {
    /// Name.
    pub name: String,
    /// State.
    pub status: RunStatus,
    /// Its total number of steps.
    pub steps: u64,
    /// Its points recorded so far.
    pub points: Vec<MetricPoint>,
}

/// A row of the page.
#[derive(Serialize)]
struct Row {
    name: String,
    word: &'static str,
    class: &'static str,
    step: String,
    share: u64,
    train: String,
    validation: String,
    curve: String,
    validation_curve: String,
}

/// The page; `left` is the remaining time, if known.
///
/// # Errors
/// Bugs in specbook only.
pub fn live_page(title: &str, runs: &[LiveRun], left: Option<f64>) -> Result<Vec<u8>, ReportError> {
    let count = |status: RunStatus| runs.iter().filter(|run| run.status == status).count();
    let (done, failed, running) = (
        count(RunStatus::Cached),
        count(RunStatus::Failed),
        count(RunStatus::Running),
    );
    let highest = scale(runs);
    let mut rows: Vec<Row> = runs.iter().map(|run| row(run, highest)).collect();
    // Running runs come first, then failed, waiting and finished ones.
    rows.sort_by_key(|row| {
        ["running", "failed", "partial", "missing", "cached"]
            .iter()
            .position(|class| *class == row.class)
    });
    let total: u64 = runs.iter().map(|run| run.steps).sum();
    let steps: u64 = runs.iter().map(steps_done).sum();
    let left = left
        .filter(|_| done + failed < runs.len())
        .map(human::seconds);
    let page = context! {
        title => one_line(title), runs => runs.len(), done, failed, running, left,
        share => (100 * steps).checked_div(total).unwrap_or(0),
        is_over => done + failed == runs.len(),
        rows => Serde(&rows),
    };
    render(&Templates::new(None)?, "live.html.j2", page).map(String::into_bytes)
}

/// Number of steps that a run has completed.
pub fn steps_done(run: &LiveRun) -> u64 {
    match run.status {
        RunStatus::Cached => run.steps,
        _ => run
            .points
            .last()
            .map_or(0, |point| point.step)
            .min(run.steps),
    }
}

/// Lowest and highest training loss over all runs.
fn scale(runs: &[LiveRun]) -> [f64; 2] {
    let losses = runs
        .iter()
        .flat_map(|run| run.points.iter().map(|point| point.train_loss));
    let losses = losses.filter(|loss| loss.is_finite());
    losses.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], loss| {
        [low.min(loss), high.max(loss)]
    })
}

fn row(run: &LiveRun, scale: [f64; 2]) -> Row {
    let (word, class) = match run.status {
        RunStatus::Cached => ("done", "cached"),
        RunStatus::Failed => ("failed", "failed"),
        RunStatus::Running => ("running", "running"),
        RunStatus::Partial => ("interrupted", "partial"),
        RunStatus::Missing => ("waits", "missing"),
    };
    let last = |value: &dyn Fn(&MetricPoint) -> Option<f64>| {
        let found = run.points.iter().rev().find_map(value);
        found.map_or_else(|| "–".to_owned(), |loss| human::significant(loss, 4))
    };
    let step = steps_done(run);
    let train = run
        .points
        .iter()
        .map(|point| [point.step as f64, point.train_loss]);
    let validation = run
        .points
        .iter()
        .filter_map(|point| Some([point.step as f64, point.val_loss?]));
    Row {
        name: one_line(&run.name),
        word,
        class,
        step: format!("{} / {}", human::count(step), human::count(run.steps)),
        share: (100 * step).checked_div(run.steps).unwrap_or(0),
        train: last(&|point| Some(point.train_loss)),
        validation: last(&|point| point.val_loss),
        curve: path(&train.collect::<Vec<_>>(), run.steps, scale),
        validation_curve: path(&validation.collect::<Vec<_>>(), run.steps, scale),
    }
}

/// A curve as an SVG path; the width spans all steps of its run.
fn path(points: &[[f64; 2]], steps: u64, [low, high]: [f64; 2]) -> String {
    let finite: Vec<[f64; 2]> = points
        .iter()
        .copied()
        .filter(|point| point[1].is_finite())
        .collect();
    let span = (high - low).max(1e-9);
    let mut out = String::new();
    for index in reduce(&finite, STRETCHES) {
        let [step, loss] = finite[index];
        let x = SIZE.0 * step / steps.max(1) as f64;
        let y = SIZE.1 * (high - loss) / span;
        let _ = write!(
            out,
            "{}{x:.0} {y:.0}",
            if out.is_empty() { 'M' } else { 'L' }
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(index: usize, status: RunStatus, steps: u64) -> LiveRun {
        let point = |step| MetricPoint {
            step,
            train_loss: 8.0 - step as f64 / 1_000.0,
            val_loss: (step % 10 == 0).then_some(8.0),
            ..MetricPoint::default()
        };
        LiveRun {
            name: format!("dim={index},<b>n_layers=2,seed=0"),
            status,
            steps: 2_000,
            points: (1..=steps).map(point).collect(),
        }
    }

    #[test]
    fn a_hundred_runs_are_a_small_page() {
        let statuses = [
            RunStatus::Cached,
            RunStatus::Running,
            RunStatus::Failed,
            RunStatus::Missing,
        ];
        let runs: Vec<LiveRun> = (0..100)
            .map(|index| {
                run(
                    index,
                    statuses[index % 4],
                    if index % 4 == 3 { 0 } else { 1_500 },
                )
            })
            .collect();
        let page = live_page("sweep", &runs, Some(90.0)).unwrap();
        println!("{} bytes", page.len());
        assert!(page.len() <= 200_000, "{}", page.len());
        let page = String::from_utf8(page).unwrap();
        assert!(!page.contains("<b>n_layers"), "names are text");
        assert!(
            page.contains("25 of 100") && page.contains("25 failed"),
            "{page:.3000}"
        );
        assert!(
            page.find("running</td>") < page.find("waits</td>"),
            "what moves stands first"
        );
        assert!(page.contains("http-equiv=\"refresh\""));
    }

    #[test]
    fn a_page_that_is_over_reloads_no_more() {
        let page = live_page("sweep", &[run(0, RunStatus::Cached, 2_000)], None).unwrap();
        assert!(
            !String::from_utf8(page)
                .unwrap()
                .contains("http-equiv=\"refresh\"")
        );
    }
}
