//! Claims and metrics by name, for papers: `EF-3`, `25x100/val_loss`.

use super::claims::ours_view;
use crate::claim::Judged;
use crate::human;
use crate::record::RunResult;
use crate::report::context::Number;
use crate::report::scope::{Scope, groups};
use std::collections::BTreeSet;

pub(crate) fn numbers(scope: &Scope<'_>, claims: &[Judged]) -> Vec<Number> {
    let of_claims = claims.iter().filter_map(|judged| {
        let view = ours_view(judged.ours?, judged);
        Some(Number {
            name: judged.id.clone(),
            text: view.text,
            spread: view.spread,
        })
    });
    let mut numbers: Vec<Number> = of_claims.collect();
    let runs: Vec<&RunResult> = scope.results.runs.iter().collect();
    for group in groups(&runs) {
        let names: BTreeSet<&String> = group
            .runs
            .iter()
            .flat_map(|run| run.metrics.keys())
            .collect();
        for name in names {
            let Some(estimate) = scope.estimate(&group.runs, name) else {
                continue;
            };
            let (text, spread) = match estimate.half.filter(|half| *half > 0.0) {
                Some(half) => {
                    let (text, half) = human::with_half_width(estimate.mean, half);
                    (text, Some(half))
                }
                None => (human::plain(estimate.mean, 5), None),
            };
            numbers.push(Number {
                name: format!("{}/{name}", group.name),
                text,
                spread,
            });
        }
    }
    numbers
}
