//! What distinguishes settings, for figures of settings.

use crate::record::RunResult;
use crate::report::metric;
use crate::report::scope::axis_value;
use serde_json::Value;

/// The value of a run on a numeric axis, or of one of its metrics.
pub(super) fn number(run: &RunResult, name: &str) -> Option<f64> {
    match axis_value(run, name) {
        Some(value) => value.as_f64(),
        None => metric::value(run, name),
    }
}

/// The axes of a run except `axis`: runs that agree in them are partners.
pub(super) fn others(run: &RunResult, axis: &str) -> Vec<(String, Value)> {
    let others = run.axes.iter().filter(|(name, _)| name != axis);
    others.cloned().collect()
}
