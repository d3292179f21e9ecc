//! Every kernel alone, on inputs recorded in the tests, compared with the output of its CPU build.

use super::{Outcome, Part};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::cuda::launches::{self, Outcomes};
use crate::train::engine::{DeviceKind, cuda};
use serde_json::json;

/// Replays all launches in the file.
pub(super) fn run(args: &AcceptanceArgs, device: DeviceKind) -> Result<Part, Failure> {
    let DeviceKind::Cuda(number) = device else {
        return Ok(Part::skipped("kernels", "it is for GPUs"));
    };
    let Some(file) = &args.kernels else {
        let why =
            "no recorded launches (`--kernels FILE`, which `scripts/ptx-test.sh record` makes)";
        return Ok(Part::skipped("kernels", why));
    };
    let wrong = |why: String| Failure::input(format!("{}: {why}", file.display()));
    let bytes = std::fs::read(file).map_err(|error| wrong(error.to_string()))?;
    let recorded = launches::read(&bytes).ok_or_else(|| wrong("no launches".to_owned()))?;
    Ok(part(&cuda::replayed(number, &recorded)?))
}

fn part(found: &Outcomes) -> Part {
    let wrong = found.values().filter(|found| found.wrong.is_some()).count();
    let launches: usize = found.values().map(|found| found.launches).sum();
    let same = found
        .values()
        .filter(|found| found.wrong.is_none() && found.difference == 0.0);
    let same = same.count();
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|(name, found)| {
            vec![
                name.clone(),
                found.launches.to_string(),
                format!("{:.1e}", found.difference),
                format!("{:.0e}", found.allowed),
                found.wrong.clone().unwrap_or_else(|| "ok".to_owned()),
            ]
        })
        .collect();
    let details = found.iter().map(|(name, found)| {
        json!({
            "kernel": name, "launches": found.launches, "difference": found.difference, "allowed": found.allowed, "wrong": found.wrong,
        })
    });
    Part {
        name: "kernels",
        outcome: match (found.is_empty(), wrong) {
            (false, 0) => Outcome::Passed,
            _ => Outcome::Failed,
        },
        summary: format!(
            "{} kernels in {launches} launches beside their build for the CPU, {wrong} wrong, {same} the same in every bit",
            found.len()
        ),
        table: print::table(&["kernel", "launches", "difference", "allowed", ""], &rows),
        details: json!(details.collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::engine::cuda::launches::Outcome as Found;

    #[test]
    fn one_wrong_kernel_fails_the_part_and_so_does_none_at_all() {
        let found = |wrong: Option<&str>| {
            let found = Found {
                launches: 3,
                difference: 1e-7,
                allowed: 1e-6,
                wrong: wrong.map(str::to_owned),
            };
            part(&Outcomes::from([("adamw".to_owned(), found)]))
        };
        assert_eq!(found(None).outcome, Outcome::Passed);
        let failed = found(Some("copies: it writes beside `p`"));
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(failed.table.contains("it writes beside `p`"));
        assert_eq!(part(&Outcomes::new()).outcome, Outcome::Failed);
    }
}
