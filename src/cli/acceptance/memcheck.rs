//! NVIDIA's checkers for memory accesses and races, run on every recorded kernel launch or, if
//! there is no recording, on the launches of `parity`.

use super::clock::Clock;
use super::{Outcome, Part};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::DeviceKind;
use serde_json::json;
use std::process::{Command, Output};

const CHECKER: &str = "compute-sanitizer";
const FOUND: i32 = 77;
/// Checks for out-of-bounds accesses; for shared memory used without a barrier; for uninitialised
/// reads; for barriers that not all threads reach.
const TOOLS: [&str; 4] = ["memcheck", "racecheck", "initcheck", "synccheck"];

/// Runs the program's own part under each checker.
pub(super) fn run(
    args: &AcceptanceArgs,
    device: DeviceKind,
    clock: Clock,
) -> Result<Part, Failure> {
    if !matches!(device, DeviceKind::Cuda(_)) {
        return Ok(Part::skipped("memcheck", "it is for GPUs"));
    }
    let version = clock.output(Command::new(CHECKER).arg("--version"));
    if version.is_err() {
        return Ok(Part::skipped(
            "memcheck",
            format!("there is no `{CHECKER}` (it comes with the CUDA toolkit)"),
        ));
    }
    let program = std::env::current_exe().map_err(|error| Failure::input(error.to_string()))?;
    let mut found = Vec::new();
    for tool in TOOLS {
        let mut command = Command::new(CHECKER);
        command.args(["--tool", tool, "--error-exitcode", &FOUND.to_string()]);
        command.arg(&program).arg("gpu-acceptance");
        match &args.kernels {
            Some(file) => command.args(["--only", "kernels", "--kernels"]).arg(file),
            None => command.args(["--only", "parity"]),
        };
        command.args(["--device", &device.to_string(), "--quiet"]);
        found.push((tool, clock.output(&mut command)));
    }
    Ok(part(&found))
}

/// Failed if a checker reports something, skipped if none finished.
fn part(found: &[(&str, Result<Output, String>)]) -> Part {
    let mut rows = Vec::new();
    for (tool, output) in found {
        let (result, what) = match output {
            Err(reason) => ("skipped", reason.clone()),
            Ok(output) if output.status.success() => ("ok", String::new()),
            Ok(output) => ("FOUND", first(output)),
        };
        rows.push([(*tool).to_owned(), result.to_owned(), what]);
    }
    let count = |result: &str| rows.iter().filter(|row| row[1] == result).count();
    let (wrong, ended) = (count("FOUND"), count("ok"));
    let details = rows
        .iter()
        .map(|[tool, result, what]| json!({"tool": tool, "result": result, "what": what}));
    let details = json!(details.collect::<Vec<_>>());
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    Part {
        name: "memcheck",
        outcome: match (wrong, ended) {
            (0, 0) => Outcome::Skipped,
            (0, _) => Outcome::Passed,
            _ => Outcome::Failed,
        },
        summary: format!(
            "{ended} of {} checkers found nothing, {wrong} something",
            found.len()
        ),
        table: print::table(&["checker", "result", ""], &rows),
        details,
        seconds: 0.0,
    }
}

/// The first line of a checker's output that reports a problem.
fn first(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().map(|line| line.trim_start_matches('=').trim());
    let telling = ["Invalid", "Race", "Uninitialized", "Barrier", "Error"];
    let line = lines.find(|line| telling.iter().any(|word| line.contains(word)));
    line.map_or_else(|| format!("it ended with {}", output.status), str::to_owned)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn said(text: &str, code: i32) -> Result<Output, String> {
        let script = format!("echo '{text}'; exit {code}");
        let ran = Command::new("sh").args(["-c", &script]).output();
        ran.map_err(|error| error.to_string())
    }

    #[test]
    fn one_finding_fails_and_one_clean_checker_passes() {
        let race = "========= Error: Race reported between Write access and Read access";
        let late = || Err("the minutes were over".to_owned());
        let failed = part(&[("memcheck", said("", 0)), ("racecheck", said(race, FOUND))]);
        assert_eq!(failed.outcome, Outcome::Failed);
        assert!(
            failed.table.contains("Error: Race reported"),
            "{}",
            failed.table
        );
        let passed = part(&[("memcheck", said("", 0)), ("racecheck", late())]);
        assert_eq!(passed.outcome, Outcome::Passed);
        assert_eq!(passed.summary, "1 of 2 checkers found nothing, 0 something");
        assert_eq!(part(&[("memcheck", late())]).outcome, Outcome::Skipped);
        assert_eq!(part(&[("memcheck", said("", 1))]).outcome, Outcome::Failed);
    }
}
