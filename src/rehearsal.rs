//! A rehearsal: what a report of a spec looks up and computes, over made-up results, so that mistakes in expressions, cells and
//! claims show before anything is trained. Its numbers mean nothing and are thrown away.

use crate::digest::Sha256Hex;
use crate::eval::METRICS;
use crate::expr::{ExprError, Scope, Session};
use crate::record::{Estimate, MetricPoint, Results, RunId, RunResult, RunStatus, Timing};
use crate::report::{Report, ReportError};
use crate::spec::{Spec, SpecRun};
use std::collections::BTreeMap;

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

/// Evaluates every measure and every expression of `spec`, and looks up what its cells name, over made-up results.
///
/// # Errors
/// The first mistake: an unknown function, run, metric, axis or curve.
pub fn rehearse(spec: &Spec) -> Result<(), RehearsalError> {
    let results = |runs| Results {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        runs,
    };
    let names = results(spec.runs.iter().map(named).collect());
    let session = Session::new(results(spec.runs.iter().map(made_up).collect()));
    measure(spec, &session, false)?;
    if spec.claims.iter().any(|claim| claim.needs.timing) {
        let timed = spec.runs.iter().map(|run| timed(made_up(run)));
        measure(spec, &Session::new(results(timed.collect())), true)?;
    }
    Ok(Report::look_up(spec, &names, &session)?)
}

/// Evaluates the measures that apply: those over wall-clock time, or the others.
fn measure(spec: &Spec, session: &Session, timing: bool) -> Result<(), RehearsalError> {
    let claims = spec.claims.iter();
    for claim in claims.filter(|claim| claim.needs.timing == timing) {
        let applies =
            claim.needs.profiles.is_empty() || claim.needs.profiles.contains(&spec.profile);
        let Some(measure) = claim.measure.as_ref().filter(|_| applies) else {
            continue;
        };
        // What the made-up curves do not hold is no mistake of the spec.
        match session.measure(measure, Scope::Mean) {
            Err(source) if !source.is_not_available() => {
                return Err(RehearsalError::Measure {
                    claim: claim.id.clone(),
                    source,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// A run as cells name it: without results.
fn named(run: &SpecRun) -> RunResult {
    let seed = run.settings.train.seed;
    let group = run
        .name
        .strip_suffix(&format!("seed={seed}"))
        .unwrap_or(&run.name);
    RunResult {
        id: RunId(Sha256Hex::of(b"")),
        name: run.name.clone(),
        group: group.trim_end_matches(',').to_owned(),
        axes: run.axes.clone(),
        seed,
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

/// A run as expressions see it.
fn made_up(run: &SpecRun) -> RunResult {
    let settings = &run.settings;
    let metrics = METRICS.iter();
    RunResult {
        key: serde_json::json!({
            "data": settings.data,
            "model": settings.model.resolve(VOCABULARY),
            "train": settings.train,
        }),
        metrics: metrics
            .map(|metric| (metric.name.to_owned(), 1.5))
            .collect(),
        series: (1..=STEPS).map(point).collect(),
        document_tokens: vec![1, 2, 4],
        ..named(run)
    }
}

/// The run with what only claims over wall-clock time see.
fn timed(mut run: RunResult) -> RunResult {
    for (name, _) in Timing::default().metrics() {
        run.metrics.insert(name.to_owned(), 1.5);
    }
    run
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
        rehearse(&spec).map_err(|error| error.to_string())
    }

    #[test]
    fn the_shipped_spec_has_no_mistakes_in_any_profile() {
        for profile in ["desk", "smoke", "paper"] {
            assert_eq!(rehearsed(SPEC, profile), Ok(()), "{profile}");
        }
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
