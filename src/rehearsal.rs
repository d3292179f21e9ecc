//! A rehearsal: the report of a spec over made-up results, so that mistakes in expressions, cells and claims show before
//! anything is trained. Its numbers mean nothing and are thrown away.

use crate::claim;
use crate::digest::Sha256Hex;
use crate::eval::METRICS;
use crate::expr::{ExprError, Scope, Session};
use crate::record::{
    DocumentScore, EvalResult, MetricPoint, Results, RunId, RunResult, RunStatus, Sample,
};
use crate::report::{Report, ReportError};
use crate::spec::{Spec, SpecRun};

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
    /// A cell cannot be rendered.
    #[error(transparent)]
    Report(#[from] ReportError),
}

/// Evaluates every measure and renders every cell of `spec` over made-up results.
///
/// # Errors
/// The first mistake: an unknown function, run, metric, axis or curve.
pub fn rehearse(spec: &Spec) -> Result<(), RehearsalError> {
    let results = Results {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        runs: spec.runs.iter().map(made_up).collect(),
    };
    measure(spec, &results)?;
    let judged = claim::judge(&spec.claims, &spec.profile, &results);
    Ok(Report::try_cells(spec, &results, &judged)?)
}

/// Evaluates the measures that apply.
fn measure(spec: &Spec, results: &Results) -> Result<(), RehearsalError> {
    let session = Session::new(results);
    for claim in &spec.claims {
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

fn made_up(run: &SpecRun) -> RunResult {
    let settings = &run.settings;
    let seed = settings.train.seed;
    let group = run
        .name
        .strip_suffix(&format!("seed={seed}"))
        .unwrap_or(&run.name);
    let key = serde_json::json!({
        "data": settings.data,
        "model": settings.model.resolve(VOCABULARY),
        "train": settings.train,
    });
    RunResult {
        id: RunId(Sha256Hex::of(run.name.as_bytes())),
        name: run.name.clone(),
        group: group.trim_end_matches(',').to_owned(),
        axes: run.axes.clone(),
        seed,
        estimate: crate::record::Estimate::default(),
        key,
        status: RunStatus::Cached,
        record: None,
        metrics: METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), 1.5))
            .collect(),
        series: (1..=STEPS).map(point).collect(),
        eval: Some(evaluation(settings)),
        document_tokens: vec![40, 400, 4000],
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

fn evaluation(settings: &crate::spec::Settings) -> EvalResult {
    let prompts = settings
        .eval
        .samples
        .iter()
        .flat_map(|samples| &samples.prompts);
    let sample = |prompt: &String| Sample {
        prompt: prompt.clone(),
        continuation: " …".to_owned(),
        new_tokens: 1,
        ended: false,
    };
    let document = |document: usize| DocumentScore {
        document,
        tokens: 10,
        nll: 10.0 + document as f64,
        perplexity: 3.0 + document as f64,
        excerpt: "…".to_owned(),
    };
    EvalResult {
        format: 1,
        metrics: METRICS
            .iter()
            .map(|metric| (metric.name.to_owned(), 1.5))
            .collect(),
        documents: (0..3).map(document).collect(),
        samples: prompts.map(sample).collect(),
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
