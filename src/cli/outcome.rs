//! The outcome of a `run`: a short table of settings with their final loss, verdicts, and diverged
//! runs.

use super::print;
use crate::claim::{Judged, Verdict};
use crate::record::{Results, RunResult, RunStatus};
use crate::stats;
use std::collections::BTreeMap;

/// Maximum number of settings in the table.
const SHOWN: usize = 20;
/// A run has diverged if its last training loss exceeds its first by this factor.
const DIVERGED: f64 = 1.5;

/// The table of settings and, if the spec has claims, a line of verdicts.
pub(crate) fn text(results: &Results, judged: &[Judged]) -> String {
    let mut groups: Vec<(&str, Vec<&RunResult>)> = Vec::new();
    for run in &results.runs {
        match groups.iter_mut().find(|(name, _)| *name == run.group) {
            Some((_, runs)) => runs.push(run),
            None => groups.push((&run.group, vec![run])),
        }
    }
    let rows: Vec<Vec<String>> = groups
        .iter()
        .take(SHOWN)
        .map(|(name, runs)| {
            let finished = runs.iter().filter(|run| run.status == RunStatus::Cached);
            vec![
                print::shortened(name, 36) + &mark(runs),
                format!("{}/{}", finished.count(), runs.len()),
                loss(runs, "train_loss"),
                loss(runs, "val_loss"),
            ]
        })
        .collect();
    let mut text = print::fitted(
        &["settings", "runs", "train loss", "val loss"],
        &rows,
        &["train loss"],
    );
    if groups.len() > SHOWN {
        let more = groups.len() - SHOWN;
        text += "\n… and ";
        text += &more.to_string();
        text += " more; `specbook ls` lists them";
    }
    for (sign, about) in marks(&groups) {
        text.extend(["\n", &sign.to_string(), " ", about]);
    }
    if !judged.is_empty() {
        text += "\nclaims: ";
        text += &verdicts(judged);
    }
    text
}

/// The mark of a setting whose runs learned no more than word or pair frequencies, preceded by a
/// space.
fn mark(runs: &[&RunResult]) -> String {
    let mark = crate::report::mark(runs.iter().copied());
    mark.map_or_else(String::new, |(sign, _)| format!(" {sign}"))
}

/// The meaning of each mark among the settings, once.
fn marks(groups: &[(&str, Vec<&RunResult>)]) -> BTreeMap<char, &'static str> {
    let runs = groups.iter().take(SHOWN);
    runs.filter_map(|(_, runs)| crate::report::mark(runs.iter().copied()))
        .collect()
}

/// The mean over the finished runs; with three or more, also half of its 95 % interval.
fn loss(runs: &[&RunResult], metric: &str) -> String {
    let values: Vec<f64> = runs
        .iter()
        .filter(|run| run.status == RunStatus::Cached)
        .filter_map(|run| run.metrics.get(metric).copied())
        .collect();
    let Some(mean) = stats::mean(&values) else {
        return "–".to_owned();
    };
    match stats::half_width(&values).filter(|_| values.len() >= 3) {
        Some(half) => format!("{mean:.3} ± {half:.3}"),
        None => format!("{mean:.3}"),
    }
}

/// `8 holds, 1 fails (EF-8)`: failing claims of the study are named.
fn verdicts(judged: &[Judged]) -> String {
    let mut counts: BTreeMap<Verdict, Vec<&str>> = BTreeMap::new();
    for one in judged {
        counts.entry(one.verdict).or_default().push(&one.id);
    }
    let parts = counts.iter().map(|(verdict, ids)| {
        let names = match verdict {
            Verdict::Fails => format!(" ({})", ids.join(", ")),
            Verdict::Holds
            | Verdict::Inconclusive
            | Verdict::NotCheckableHere
            | Verdict::SourceInconsistent => String::new(),
        };
        format!("{} {}{names}", ids.len(), word(*verdict, ids.len()))
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn word(verdict: Verdict, count: usize) -> String {
    match (verdict, count) {
        (Verdict::Holds, 2..) => "hold".to_owned(),
        (Verdict::Fails, 2..) => "fail".to_owned(),
        (verdict, _) => verdict.to_string(),
    }
}

/// The failing claims, each with the measured and the expected value; `None` if there are none.
pub(crate) fn failing(judged: &[Judged]) -> Option<String> {
    let lines: Vec<String> = judged
        .iter()
        .filter(|one| one.verdict == Verdict::Fails)
        .map(|one| {
            let ours = one
                .ours
                .map_or_else(String::new, |ours| format!("measured {ours}"));
            let expected = one
                .expect
                .as_ref()
                .map_or_else(String::new, |expect| format!(", expected {expect}"));
            format!("\n  {}: {ours}{expected}", one.id)
        })
        .collect();
    let claims = if lines.len() == 1 {
        "claim fails"
    } else {
        "claims fail"
    };
    (!lines.is_empty()).then(|| format!("{} {claims}:{}", lines.len(), lines.concat()))
}

/// Finished runs whose training loss ended far above its initial value, with a sentence for each.
pub(crate) fn diverged(results: &Results) -> Vec<String> {
    let finished = results.runs.iter();
    let finished = finished.filter(|run| run.status == RunStatus::Cached);
    finished
        .filter_map(|run| {
            let first = run.series.first()?.train_loss;
            let last = run.series.last()?.train_loss;
            (last > DIVERGED * first.abs()).then(|| {
                format!(
                    "run `{}` diverged: its training loss rose from {first:.3} to {last:.3}; a smaller learning rate or `train.grad_clip` often helps",
                    run.name
                )
            })
        })
        .collect()
}
