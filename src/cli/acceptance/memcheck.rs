//! NVIDIA's checker of memory accesses, over everything that parity launches.

use super::clock::Clock;
use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::train::engine::DeviceKind;
use serde_json::json;
use std::process::Command;

const CHECKER: &str = "compute-sanitizer";
const FOUND: i32 = 77;

/// Runs the program's own parity under the checker.
pub(super) fn run(device: DeviceKind, clock: Clock) -> Result<Part, Failure> {
    if !matches!(device, DeviceKind::Cuda(_)) {
        return Ok(Part::skipped("memcheck", "it is for GPUs"));
    }
    if clock
        .output(Command::new(CHECKER).arg("--version"))
        .is_err()
    {
        return Ok(Part::skipped(
            "memcheck",
            format!("there is no `{CHECKER}` (it comes with the CUDA toolkit)"),
        ));
    }
    let program = std::env::current_exe().map_err(|error| Failure::input(error.to_string()))?;
    let mut command = Command::new(CHECKER);
    command.args(["--tool", "memcheck", "--error-exitcode", &FOUND.to_string()]);
    command
        .arg(program)
        .args(["gpu-acceptance", "--only", "parity"]);
    command.args(["--device", &device.to_string(), "--quiet"]);
    Ok(match clock.output(&mut command) {
        Err(reason) => Part::skipped("memcheck", reason),
        Ok(output) => {
            let text = String::from_utf8_lossy(&output.stdout);
            let first = text.lines().find(|line| line.contains("Invalid"));
            let code = output.status.code();
            let summary = match (code, first) {
                (Some(0), _) => "no access outside its memory in parity".to_owned(),
                (_, Some(line)) => line.trim_start_matches('=').trim().to_owned(),
                (code, None) => format!("it ended with code {code:?}"),
            };
            Part {
                name: "memcheck",
                outcome: if code == Some(0) {
                    Outcome::Passed
                } else {
                    Outcome::Failed
                },
                summary,
                table: String::new(),
                details: json!({"code": code}),
                seconds: 0.0,
            }
        }
    })
}
