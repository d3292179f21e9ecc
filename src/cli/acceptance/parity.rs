//! Operations, losses and gradients compared with the CPU.

use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::DeviceKind;
use crate::train::engine::acceptance::{
    BF16_MODEL_TOLERANCE, BF16_TOLERANCE, Comparison, TOLERANCE, compare,
};
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
    let worst = |allowed: f64| {
        let those = found.iter().filter(|found| found.allowed == allowed);
        let worst = those.map(|found| found.error).reduce(f64::max);
        worst.map(|worst| {
            format!("; largest relative error {worst:.1e} where {allowed:.0e} is allowed")
        })
    };
    let worst = [TOLERANCE, BF16_TOLERANCE, BF16_MODEL_TOLERANCE].map(worst);
    let worst: String = worst.into_iter().flatten().collect();
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
            "{} comparisons with the CPU in f64, {wrong} wrong{worst}",
            found.len()
        ),
        table: print::table(&["operation or model", "error", ""], &rows),
        details: json!(details.collect::<Vec<_>>()),
        seconds: 0.0,
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
        assert_eq!(
            failed.summary,
            "2 comparisons with the CPU in f64, 1 wrong; largest relative error inf where 1e-4 is allowed"
        );
    }
}
