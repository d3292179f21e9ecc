//! Operations, losses and gradients beside the CPU.

use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::DeviceKind;
use crate::train::engine::acceptance::{Comparison, TOLERANCE, compare};
use serde_json::json;

/// Compares everything.
pub(super) fn run(device: DeviceKind, threads: usize) -> Result<Part, Failure> {
    Ok(part(&compare(device, threads)?))
}

fn part(found: &[Comparison]) -> Part {
    let wrong = found
        .iter()
        .filter(|comparison| !comparison.holds())
        .count();
    let worst = found.iter().map(|found| found.error).fold(0.0, f64::max);
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|found| {
            let verdict = if found.holds() { "ok" } else { "WRONG" };
            vec![
                found.what.clone(),
                format!("{:.1e}", found.error),
                verdict.to_owned(),
            ]
        })
        .collect();
    let details = found.iter().map(|found| {
        let error = found.error.is_finite().then_some(found.error);
        json!({"what": found.what, "error": error, "allowed": found.allowed, "ok": found.holds()})
    });
    Part {
        name: "parity",
        outcome: if wrong == 0 {
            Outcome::Passed
        } else {
            Outcome::Failed
        },
        summary: format!(
            "{} comparisons with the CPU in f64, largest relative error {worst:.1e} (allowed {TOLERANCE:.0e}), {wrong} wrong",
            found.len()
        ),
        table: print::table(&["operation or model", "error", ""], &rows),
        details: json!(details.collect::<Vec<_>>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_comparison_fails_the_part() {
        let comparison = |error| Comparison {
            what: "embed".to_owned(),
            error,
            allowed: TOLERANCE,
        };
        assert_eq!(part(&[comparison(1e-6)]).outcome, Outcome::Passed);
        let failed = part(&[comparison(1e-6), comparison(f64::INFINITY)]);
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(failed.table.contains("WRONG"));
        assert!(failed.details[1]["error"].is_null());
    }
}
