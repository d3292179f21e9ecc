//! NVIDIA's Nsight Compute on the kernels that are farthest from the prediction: why they take so long.

use super::clock::Clock;
use super::operations::Worst;
use super::{Outcome, Part};
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::DeviceKind;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

pub(super) const PROFILER: &str = "ncu";
/// What all kernels together may take if time is limited.
const ENOUGH: Duration = Duration::from_secs(45);
/// Launches of a kernel that are looked at.
const LAUNCHES: &str = "3";
/// Nanoseconds; bytes from and to memory; percent of the highest memory and arithmetic throughput, and of the warps that fit; registers.
const METRICS: [&str; 6] = [
    "gpu__time_duration.sum",
    "dram__bytes.sum",
    "gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__throughput.avg.pct_of_peak_sustained_elapsed",
    "sm__warps_active.avg.pct_of_peak_sustained_active",
    "launch__registers_per_thread",
];

/// Profiles each kernel in `specbook bench`, with the GPU's clocks as they are. `profiler`: `ncu`.
pub(super) fn run(
    profiler: &str,
    worst: &[Worst],
    device: DeviceKind,
    clock: Clock,
) -> Result<Part, Failure> {
    if !matches!(device, DeviceKind::Cuda(_)) {
        return Ok(Part::skipped("ncu", "it is for GPUs"));
    }
    if worst.is_empty() {
        return Ok(Part::skipped("ncu", "no operation was timed"));
    }
    if clock
        .output(Command::new(profiler).arg("--version"))
        .is_err()
    {
        let why = "there is no `ncu` (Nsight Compute comes with the CUDA toolkit)";
        return Ok(Part::skipped("ncu", why));
    }
    let program = std::env::current_exe().map_err(|error| Failure::input(error.to_string()))?;
    let clock = clock.at_most(ENOUGH);
    let found: Vec<_> = worst
        .iter()
        .map(|kernel| {
            let output = clock.output(&mut command(profiler, &program, kernel, device));
            (kernel, output.and_then(|output| counters(&output)))
        })
        .collect();
    Ok(part(&found))
}

fn command(profiler: &str, program: &Path, kernel: &Worst, device: DeviceKind) -> Command {
    let mut command = Command::new(profiler);
    command.args(["--clock-control", "none", "--csv", "--print-units", "base"]);
    command.args(["--kernel-name", &kernel.name, "--metrics"]);
    command.arg(METRICS.join(","));
    // Not the first step, in which memory is allocated.
    let skipped = kernel.launches.ceil().to_string();
    command.args(["--launch-skip", &skipped, "--launch-count", LAUNCHES]);
    command.arg(program).args(["bench", &kernel.shape]);
    command.args(["--device", &device.to_string(), "--dtype", kernel.dtype]);
    command.args(["--steps", "1", "--format", "json"]);
    command
}

type Counters = BTreeMap<String, f64>;

/// Means over the launches by metric.
fn counters(output: &Output) -> Result<Counters, String> {
    let [out, said] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    let mut lines = out.lines().skip_while(|line| !line.starts_with("\"ID\""));
    let header = cells(lines.next().unwrap_or_default());
    let column = |name: &str| header.iter().position(|cell| *cell == name);
    let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    if let [Some(name), Some(value)] = ["Metric Name", "Metric Value"].map(column) {
        for line in lines.filter(|line| line.starts_with('"')) {
            let cells = cells(line);
            let number = cells.get(value).map(|text| text.replace(',', ""));
            let number = number.and_then(|text| text.parse::<f64>().ok());
            if let (Some(name), Some(number)) = (cells.get(name), number) {
                let (sum, count) = sums.entry((*name).to_owned()).or_default();
                (*sum, *count) = (*sum + number, *count + 1.0);
            }
        }
    }
    if sums.is_empty() {
        return Err(reason(&[out, said].concat()));
    }
    let means = sums
        .into_iter()
        .map(|(name, (sum, count))| (name, sum / count));
    Ok(means.collect())
}

/// The cells of a line in which all are quoted.
fn cells(line: &str) -> Vec<&str> {
    line.trim().trim_matches('"').split("\",\"").collect()
}

/// What it says in place of numbers: no permission, no such kernel.
fn reason(text: &str) -> String {
    let told = |mark| text.lines().find(|line| line.starts_with(mark));
    let line = told("==ERROR==").or_else(|| told("==WARNING=="));
    let line = line.or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()));
    let line = line.unwrap_or("it said nothing");
    format!("`{PROFILER}`: {line}")
}

fn part(found: &[(&Worst, Result<Counters, String>)]) -> Part {
    let (mut rows, mut details, mut reasons) = (Vec::new(), Vec::new(), Vec::new());
    for (kernel, counters) in found {
        let step = format!("{}, {}", kernel.shape, kernel.dtype);
        let about = json!({"kernel": kernel.name, "step": step, "predicted_milliseconds": 1e3 * kernel.predicted, "bytes": kernel.bytes});
        match counters {
            Ok(counters) => {
                let [nanoseconds, bytes, memory, arithmetic, warps, registers] =
                    METRICS.map(|name| counters.get(name).copied().unwrap_or(f64::NAN));
                rows.push(vec![
                    kernel.name.clone(),
                    step,
                    format!("{:.4}", nanoseconds / 1e6),
                    format!("{:.4}", 1e3 * kernel.predicted),
                    format!("{:.1}", nanoseconds / 1e9 / kernel.predicted),
                    format!("{:.2}", bytes / kernel.bytes),
                    format!("{memory:.0} %"),
                    format!("{arithmetic:.0} %"),
                    format!("{warps:.0} %"),
                    format!("{registers:.0}"),
                ]);
                details.push(json!({"of": about, "counters": counters}));
            }
            Err(reason) => {
                reasons.push(reason.as_str());
                details.push(json!({"of": about, "skipped": reason}));
            }
        }
    }
    let profiled = rows.len();
    reasons.sort_unstable();
    reasons.dedup();
    let why = match reasons[..] {
        [] => String::new(),
        _ => format!("; others: {}", reasons.join("; ")),
    };
    let header = [
        "kernel",
        "step",
        "ms",
        "predicted",
        "times",
        "bytes / counted",
        "memory",
        "arithmetic",
        "warps",
        "registers",
    ];
    Part {
        name: "ncu",
        outcome: match profiled {
            0 => Outcome::Skipped,
            _ => Outcome::Measured,
        },
        summary: format!(
            "{profiled} of the {} kernels farthest from the prediction profiled{why}",
            found.len()
        ),
        table: match profiled {
            0 => String::new(),
            _ => print::table(&header, &rows),
        },
        details: json!(details),
        seconds: 0.0,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// Three kernels, and a profiler that runs `script`.
    fn profiled(script: &str) -> Part {
        let folder = tempfile::tempdir().unwrap();
        let profiler = folder.path().join("ncu");
        std::fs::write(&profiler, format!("#!/bin/sh\n{script}")).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&profiler, mode).unwrap();
        let worst = ["adamw", "rms_forward_bf16", "score"].map(|name| Worst {
            shape: "llama-s".to_owned(),
            dtype: "bf16",
            name: name.to_owned(),
            launches: 5.0,
            predicted: 2e-5,
            bytes: 4e6,
        });
        let profiler = profiler.to_str().unwrap();
        run(profiler, &worst, DeviceKind::Cuda(0), Clock::begin(None)).unwrap()
    }

    /// Answers of its version 2025.3, shortened, with the program's own output between; and one kernel that never runs.
    const ANSWERS: &str = r#"
        [ "$1" = --version ] && exit
        [ "$1 $2" = "--clock-control none" ] || exit 9
        case "$*" in *"--kernel-name score "*) echo '==WARNING== No kernels were profiled.'; exit;; esac
        case "$*" in *"--launch-skip 5 --launch-count 3 "*" bench llama-s --device cuda:0 --dtype bf16 --steps 1 "*) ;; *) exit 9;; esac
        echo '==PROF== Connected to process 7 (specbook.bin)'
        echo '{"tokens_per_second": 3}'
        echo '"ID","Process ID","Kernel Name","Section Name","Metric Name","Metric Unit","Metric Value"'
        echo '"0","7","adamw","Command line profiler metrics","gpu__time_duration.sum","ns","30,000"'
        echo '"0","7","adamw","Command line profiler metrics","dram__bytes.sum","byte","5,000,000"'
        echo '"0","7","adamw","Command line profiler metrics","gpu__compute_memory_throughput.avg.pct_of_peak_sustained_elapsed","%","61.5"'
        echo '"0","7","adamw","Command line profiler metrics","sm__throughput.avg.pct_of_peak_sustained_elapsed","%","12.25"'
        echo '"0","7","adamw","Command line profiler metrics","sm__warps_active.avg.pct_of_peak_sustained_active","%","88"'
        echo '"0","7","adamw","Command line profiler metrics","launch__registers_per_thread","register/thread","32"'
        echo '"1","7","adamw","Command line profiler metrics","gpu__time_duration.sum","ns","50,000"'
    "#;

    #[test]
    fn counters_stand_beside_the_prediction() {
        let part = profiled(ANSWERS);
        assert_eq!(part.outcome, Outcome::Measured);
        insta::assert_snapshot!(part.table, @"
        kernel            step               ms  predicted  times  bytes / counted  memory  arithmetic  warps  registers
        adamw             llama-s, bf16  0.0400     0.0200    2.0             1.25    62 %        12 %   88 %         32
        rms_forward_bf16  llama-s, bf16  0.0400     0.0200    2.0             1.25    62 %        12 %   88 %         32
        ");
        insta::assert_snapshot!(part.summary, @"2 of the 3 kernels farthest from the prediction profiled; others: `ncu`: ==WARNING== No kernels were profiled.");
        assert_eq!(part.details[0]["counters"]["dram__bytes.sum"], 5e6);
    }

    #[test]
    fn without_permission_or_profiler_it_is_skipped() {
        let refused = "[ \"$1\" = --version ] && exit
            echo '==ERROR== ERR_NVGPUCTRPERM - The user does not have permission to access NVIDIA GPU Performance Counters'; exit 1";
        let part = profiled(refused);
        assert_eq!(part.outcome, Outcome::Skipped);
        assert!(
            part.summary.contains("ERR_NVGPUCTRPERM"),
            "{}",
            part.summary
        );
        let worst = [];
        let none = run(PROFILER, &worst, DeviceKind::Cuda(0), Clock::begin(None)).unwrap();
        assert_eq!(none.summary, "no operation was timed");
    }
}
