//! A rehearsal: what a report of a spec looks up and computes, over made-up results, so that mistakes in expressions, cells and
//! claims show before anything is trained. Its numbers mean nothing and are thrown away.

use crate::digest::Sha256Hex;
use crate::eval::METRICS;
use crate::expr::{ExprError, MadeUpResults, MadeUpRun, Session};
use crate::record::{Estimate, MetricPoint, Results, RunId, RunResult, RunStatus, Timing};
use crate::report::{Report, ReportError};
use crate::spec::{Claim, Spec, SpecRun};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Classes of the made-up models.
const VOCABULARY: usize = 1000;
/// Steps of the made-up runs.
const STEPS: u64 = 8;

/// What a rehearsal finds.
#[derive(Debug, thiserror::Error)]
pub enum RehearsalError {
    /// A claim's measure cannot be evaluated.
    #[error("claim `{claim}`: {source}")]
    Measure {
        /// Id of the claim.
        claim: String,
        /// Why not.
        source: ExprError,
    },
    /// A cell cannot be made.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Evaluates the measures and the expressions of `spec`, and looks up what its cells name, over made-up results: unknown
/// functions, runs, metrics, axes, curves. Gives all mistakes, of each claim and cell the first.
pub fn rehearse(spec: &Spec) -> Vec<RehearsalError> {
    let claims = spec.claims.iter();
    let claims = claims.filter(|claim| applies(claim, &spec.profile));
    let (timed, others): (Vec<&Claim>, Vec<&Claim>) = claims.partition(|claim| claim.needs.timing);
    let made_up = |timing| session(spec, &spec.profile, &spec.runs, timing);
    let session = made_up(false);
    let mut mistakes = measure(others, &session);
    if !timed.is_empty() {
        mistakes.extend(measure(timed, &made_up(true)));
    }
    let id = RunId(Sha256Hex::of(b""));
    let names = Results {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        runs: spec.runs.iter().map(|run| named(run, id)).collect(),
    };
    let cells = Report::look_up(spec, &names, &session);
    mistakes.extend(cells.into_iter().map(RehearsalError::from));
    mistakes
}

/// Evaluates the measures that need `profile`, which has these runs, and that the spec's own profile does not decide.
pub fn rehearse_elsewhere(spec: &Spec, profile: &str, runs: &[SpecRun]) -> Vec<RehearsalError> {
    let decided = |claim: &&Claim| applies(claim, profile) && !applies(claim, &spec.profile);
    let claims = spec.claims.iter().filter(decided);
    let (timed, others): (Vec<&Claim>, Vec<&Claim>) = claims.partition(|claim| claim.needs.timing);
    let mut mistakes = Vec::new();
    for (timing, claims) in [(false, others), (true, timed)] {
        if !claims.is_empty() {
            mistakes.extend(measure(claims, &session(spec, profile, runs, timing)));
        }
    }
    mistakes
}

fn applies(claim: &Claim, profile: &str) -> bool {
    let needed = &claim.needs.profiles;
    needed.is_empty() || needed.iter().any(|name| name == profile)
}

fn measure(claims: Vec<&Claim>, session: &Session) -> Vec<RehearsalError> {
    let mistake = |claim: &Claim| {
        let source = session.rehearse_measure(claim.measure.as_ref()?).err()?;
        Some(RehearsalError::Measure {
            claim: claim.id.clone(),
            source,
        })
    };
    claims.into_iter().filter_map(mistake).collect()
}

/// Runs with made-up results; with `timing` also what only claims over wall-clock time see.
fn session(spec: &Spec, profile: &str, runs: &[SpecRun], timing: bool) -> Session {
    let times = Timing::default().metrics();
    let times = times.iter().map(|(name, _)| *name).filter(|_| timing);
    let names = METRICS.iter().map(|metric| metric.name).chain(times);
    let results = MadeUpResults {
        metrics: names.map(|name| (name.to_owned(), 1.5)).collect(),
        series: (1..=STEPS).map(point).collect(),
        document_tokens: vec![1, 2, 4],
    };
    let runs = runs.iter().map(made_up);
    let names = spec.run_names.clone();
    Session::rehearsal(profile.to_owned(), runs, results, move || names.all())
}

/// A run as cells name it: without results.
fn named(run: &SpecRun, id: RunId) -> RunResult {
    RunResult {
        id,
        name: run.name.clone(),
        group: group(run).to_owned(),
        axes: run.axes.clone(),
        seed: run.settings.train.seed,
        estimate: Estimate::default(),
        key: serde_json::Value::Null,
        status: RunStatus::Cached,
        record: None,
        metrics: BTreeMap::new(),
        series: Vec::new(),
        eval: None,
        document_tokens: Vec::new(),
    }
}

/// The run's name without its seed.
fn group(run: &SpecRun) -> &str {
    match run.name.rsplit_once("seed=") {
        Some((group, digits)) if digits == run.settings.train.seed.to_string() => {
            group.trim_end_matches(',')
        }
        _ => &run.name,
    }
}

/// A run as expressions see it.
fn made_up(run: &SpecRun) -> MadeUpRun {
    let settings = Arc::clone(&run.settings);
    MadeUpRun {
        name: run.name.clone(),
        group: group(run).to_owned(),
        axes: run.axes.clone(),
        seed: run.settings.train.seed,
        key: Box::new(move || {
            serde_json::json!({
                "data": settings.data,
                "model": settings.model.resolve(VOCABULARY),
                "train": settings.train,
            })
        }),
    }
}

fn point(step: u64) -> MetricPoint {
    let loss = 1.0 + 1.0 / step as f64;
    MetricPoint {
        step,
        epoch: step as f64 / STEPS as f64,
        tokens: 100 * step,
        train_loss: loss,
        train_ce: loss,
        val_loss: Some(loss),
        val_ce: Some(loss),
        val_loss_batch_mean: Some(loss),
        lr: 1e-3,
        grad_norm: 1.0,
        ..MetricPoint::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{LoadRequest, parse};
    use std::path::Path;

    const SPEC: &str = include_str!("../specs/epoch-frenzy.yaml");

    fn rehearsed(text: &str, profile: &str) -> Result<(), String> {
        let profile = Some(profile.to_owned()).filter(|profile| profile != "desk");
        let request = LoadRequest {
            profile,
            overrides: Vec::new(),
        };
        let spec =
            parse(text, Path::new("spec.yaml"), &request).map_err(|error| error.to_string())?;
        match rehearse(&spec).first() {
            Some(mistake) => Err(mistake.to_string()),
            None => Ok(()),
        }
    }

    #[test]
    fn the_shipped_spec_has_no_mistakes_in_any_profile() {
        for profile in ["desk", "smoke", "paper"] {
            assert_eq!(rehearsed(SPEC, profile), Ok(()), "{profile}");
        }
    }

    /// All mistakes of the shipped spec with `from` replaced, in a profile; and those of claims that need another one.
    fn mistakes(from: &str, to: &str, profile: &str) -> String {
        let text = SPEC.replacen(from, to, 1);
        assert_ne!(text, SPEC);
        let read = crate::spec::SpecText::new(text, Path::new("spec.yaml")).unwrap();
        let request = LoadRequest {
            profile: Some(profile.to_owned()),
            overrides: Vec::new(),
        };
        let (spec, profiles) = read.with_profiles(&request).unwrap();
        let mut found = rehearse(&spec);
        for other in spec.profiles.iter().filter(|other| *other != profile) {
            let runs = profiles.runs(other).unwrap();
            found.extend(rehearse_elsewhere(&spec, other, &runs));
        }
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        found.join("\n")
    }

    const CELL: &str = "cells:\n";

    #[test]
    fn every_cell_with_a_mistake_is_told() {
        let cells = "cells:\n  - text: \"{{ run('25x10').val_loss }}\"\n  - text: \"{{ meen(2) }} {{ men(2) }}\"\n";
        insta::assert_snapshot!(mistakes(CELL, cells, "desk"), @"
        line 222: unknown run `25x10`, expected one of `25x100`, `250x10`, `2500x1`, `by-tokens-25x100`, `by-tokens-250x10`, `by-tokens-2500x1`
        line 223: unknown function `meen`, the nearest names are `mean`, `min`, `difference`
        ");
    }

    #[test]
    fn what_is_not_reached_is_looked_at_too() {
        for branch in [
            "run('25x100').val_loss if 1 < 2 else run('25x10').val_loss",
            "1 if run('25x100').val_loss > 0 or run('25x100').val_los > 0 else 2",
            "(meen(2) if 2 < 1 else 3) | round(1)",
            "0 if 1 < 2 else max(2, 1 if run('25x100').val_loss < 0 and run('25x100').epoch else 4)",
        ] {
            let cell = format!("cells:\n  - text: \"{{{{ {branch} }}}}\"\n");
            let told = mistakes(CELL, &cell, "desk");
            assert!(
                told.contains("unknown ") && told.lines().count() == 1,
                "{branch}: {told}"
            );
        }
        let fine = "cells:\n  - text: \"{{ run('25x100').val_loss / 0 if 1 > 2 else 'no' }}\"\n";
        assert_eq!(mistakes(CELL, fine, "desk"), "");
    }

    #[test]
    fn a_run_that_no_profile_has_is_a_mistake_in_every_profile() {
        let claim = |measure: &str| {
            format!(
                "claims:\n  - {{id: X-1, says: Something., measure: \"{measure}\", expect: {{above: 0}}, needs: {{profiles: [paper]}}}}\n"
            )
        };
        let typo = claim("run('25x10').val_loss");
        insta::assert_snapshot!(mistakes("claims:\n", &typo, "desk"), @"claim `X-1`: unknown run `25x10`, the nearest names are `25x100`, `25x100,seed=0`, `25x100,seed=1`");
        assert_eq!(
            mistakes("claims:\n", &typo, "desk"),
            mistakes("claims:\n", &typo, "paper")
        );
        // A run that only another profile has is missing, and no more.
        let elsewhere = claim("run('25x100,seed=2').val_loss");
        assert_eq!(mistakes("claims:\n", &elsewhere, "paper"), "");
    }

    #[test]
    fn a_misspelled_metric_is_found_in_claims_and_in_text() {
        let claim = SPEC.replace(
            "run('25x100').val_loss_min - 0.5",
            "run('25x100').val_los_min - 0.5",
        );
        assert!(
            rehearsed(&claim, "desk")
                .unwrap_err()
                .contains("val_los_min")
        );
        let text = SPEC.replace(
            "minimum of {{ mean(runs(case='25x100').val_loss_min)",
            "minimum of {{ mean(runs(case='25x100').val_los_min)",
        );
        assert_ne!(text, SPEC);
        assert!(rehearsed(&text, "desk").unwrap_err().contains("val_los"));
    }
}
