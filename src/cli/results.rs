//! From a plan and a store to the results that claims and reports use.

use super::failure::Failure;
use super::workspace::Opened;
use crate::claim::{self, Judged};
use crate::data;
use crate::record::{Results, RunResult, RunStatus};
use crate::spec::Spec;
use crate::store::Store;

/// Reads the results of every run of the plan.
pub(crate) fn collect(opened: &Opened, store: &Store) -> Result<Results, Failure> {
    let wants_lengths = wants_lengths(&opened.spec);
    let (mut runs, mut warnings) = (Vec::with_capacity(opened.plan.runs.len()), Vec::new());
    for run in &opened.plan.runs {
        let record = store.record(&run.id)?;
        let finished = record
            .as_ref()
            .is_some_and(|record| record.status == RunStatus::Cached);
        let eval = if finished {
            store.eval(&run.eval_id)?
        } else {
            None
        };
        let mut metrics = record
            .as_ref()
            .map(|record| record.metrics.clone())
            .unwrap_or_default();
        metrics.extend(eval.iter().flat_map(|eval| eval.metrics.clone()));
        let document_tokens = if wants_lengths {
            match data::document_lengths(&run.settings, &opened.context, &mut warnings) {
                Err(error) if error.is_missing_file() => {
                    let kept = data::kept_lengths(&run.key.data, &opened.context);
                    kept.unwrap_or_else(|| {
                        let text = format!("how long documents are is not known here: {error}");
                        if !warnings.contains(&text) {
                            warnings.push(text);
                        }
                        Vec::new()
                    })
                }
                lengths => lengths?,
            }
        } else {
            Vec::new()
        };
        runs.push(RunResult {
            id: run.id,
            name: run.name.clone(),
            group: run.group().to_owned(),
            axes: run.axes.clone(),
            seed: run.seed,
            // Estimated from the trained run; before the text is read, the plan's estimate is
            // rough.
            estimate: match &record {
                Some(record) if finished => run.estimate_of(&record.counts),
                _ => run.estimate,
            },
            key: serde_json::to_value(&run.key)?,
            status: record
                .as_ref()
                .map_or_else(|| store.status(&run.id), |record| Ok(record.status))?,
            series: if finished {
                store.metrics(&run.id)?
            } else {
                Vec::new()
            },
            record,
            metrics,
            eval,
            document_tokens,
        });
    }
    warnings.into_iter().for_each(|text| store.warn(text));
    Ok(Results {
        spec: opened.spec.name.clone(),
        profile: opened.spec.profile.clone(),
        runs,
    })
}

/// Whether a cell or an expression uses the lengths of documents.
fn wants_lengths(spec: &Spec) -> bool {
    let names = ["document_tokens", "sequences_by_formula"];
    let mut cells = spec.cells.iter();
    cells.any(|cell| cell.value.get().shows_lengths())
        || names.iter().any(|name| spec.text.contains(name))
}

/// Results and verdicts.
pub(crate) fn judged(opened: &Opened, store: &Store) -> Result<(Results, Vec<Judged>), Failure> {
    let results = collect(opened, store)?;
    // Claims see the same results as `report --check`: nothing volatile.
    let stable = crate::report::stable(&results);
    let mut judged = claim::judge(&opened.spec.claims, &opened.spec.profile, &stable);
    super::register::of(&opened.spec)?.tell(&opened.spec, &mut judged);
    Ok((results, judged))
}
