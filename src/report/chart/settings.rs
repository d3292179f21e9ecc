//! Settings as points: the mean of a metric over the seeds of a setting, with its interval.

use crate::record::RunResult;
use crate::report::metric;
use crate::report::scope::{Group, axis_value};
use crate::stats::{half_width, mean};
use serde_json::Value;

/// A value and half of its 95 % interval, where there is one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Estimate {
    pub(super) mean: f64,
    pub(super) half: Option<f64>,
}

impl Estimate {
    /// The mean of values; `None` of none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mean = mean(values)?;
        let half = half_width(values);
        Some(Self { mean, half })
    }

    /// Lower and upper end.
    pub(super) fn ends(self) -> [f64; 2] {
        let half = self.half.unwrap_or(0.0);
        [self.mean - half, self.mean + half]
    }

    /// As text: `5.018 ± 0.034`.
    pub(super) fn text(self) -> String {
        match self.half.filter(|half| *half > 0.0) {
            Some(half) => {
                let (mean, half) = crate::human::with_half_width(self.mean, half);
                format!("{mean} ± {half}")
            }
            None => crate::human::significant(self.mean, 4),
        }
    }
}

/// A metric of a setting over its seeds.
pub(super) fn estimate(group: &Group<'_>, name: &str) -> Option<Estimate> {
    let values = group.runs.iter().filter_map(|run| metric::value(run, name));
    Estimate::of(&values.collect::<Vec<f64>>())
}

/// What a run has on an axis of numbers or as a metric.
pub(super) fn number(run: &RunResult, name: &str) -> Option<f64> {
    match axis_value(run, name) {
        Some(value) => value.as_f64(),
        None => metric::value(run, name),
    }
}

/// The axes of a run but `axis`: runs that agree in them are partners.
pub(super) fn others(run: &RunResult, axis: &str) -> Vec<(String, Value)> {
    let others = run.axes.iter().filter(|(name, _)| name != axis);
    others.cloned().collect()
}
