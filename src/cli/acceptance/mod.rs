//! `specbook gpu-acceptance`: run once by a person with a GPU, through `scripts/gpu-acceptance.sh`.
//!
//! Its parts are
//!
//! * `device`: the device, and whether it can be used;
//! * `kernels`: every kernel, compared with its CPU build;
//! * `parity`: every operation, loss and gradient, compared with the CPU;
//! * `repeat`: whether training repeats and resumes bit for bit, and with CUDA graphs as without;
//! * `curves`: the training curves of both devices on one small spec;
//! * `memcheck`: NVIDIA's checkers;
//! * `compile`: PyTorch's compilations, which run in the background of all the above;
//! * `ceilings`: the device's peak performance;
//! * `operations`: each operation of a step, compared with the ceilings;
//! * `ncu`: NVIDIA's profiler on the operations furthest above them;
//! * `grid`: the time of the published grid;
//! * `speed`: speed and memory, compared with PyTorch;
//! * `paper`: an experiment at its published size.
//!
//! Each part has passed, failed, was measured, or was skipped for a stated reason. With `--device cpu`, the parts that do
//! not require a GPU run on any machine, compared with the CPU's stock operations.

mod ceilings;
mod clock;
mod curves;
mod device;
mod graph;
mod grid;
mod kernels;
mod memcheck;
mod ncu;
mod operations;
mod paper;
mod parity;
mod repeat;
mod speed;
mod torch;

use super::args::{AcceptanceArgs, Global};
use super::exit;
use super::failure::Failure;
use super::print::Printer;
use crate::fsx::{Fs as _, RealFs};
use crate::train::engine::{self, DeviceKind, cuda};
use clock::Clock;
use curves::Smoke;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use torch::{Background, Torch};

/// Time that must remain for a part to start.
const LEAST: Duration = Duration::from_secs(10);

/// Outcome of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    /// Numbers without a verdict.
    Measured,
    Skipped,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Measured => "measured",
            Self::Skipped => "skipped",
        }
    }
}

/// The result of a part.
struct Part {
    name: &'static str,
    outcome: Outcome,
    /// One sentence: the result, or the reason for skipping.
    summary: String,
    /// A human-readable table.
    table: String,
    details: Value,
    /// Duration, in seconds.
    seconds: f64,
}

impl Part {
    fn failed(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            outcome: Outcome::Failed,
            ..Self::skipped(name, reason)
        }
    }

    fn skipped(name: &'static str, reason: impl Into<String>) -> Self {
        Self {
            name,
            outcome: Outcome::Skipped,
            summary: reason.into(),
            table: String::new(),
            details: Value::Null,
            seconds: 0.0,
        }
    }
}

/// Runs all parts, prints a table for each, and writes the JSON file.
pub(crate) fn execute(
    args: &AcceptanceArgs,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let device = args.device;
    if let DeviceKind::Cuda(number) = device {
        cuda::usable(number)?;
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let clock = Clock::begin(args.minutes);
    let is_asked_for = |name: &str| args.only.as_deref().is_none_or(|only| only == name);
    let mut parts: Vec<Part> = Vec::new();
    let mut done = |name: &'static str, work: &mut dyn FnMut() -> Result<Part, Failure>| {
        if !is_asked_for(name) {
            return Outcome::Skipped;
        }
        let began = Instant::now();
        // A part that cannot run at all has failed; the others still run.
        let part = match clock.lacks(LEAST) {
            true => Part::skipped(name, clock::OVER),
            false => work().unwrap_or_else(|failure| Part::failed(name, failure.message())),
        };
        let outcome = part.outcome;
        printer.note(&format!(
            "== {}: {}, {}",
            part.name,
            part.outcome.name(),
            part.summary
        ));
        if !part.table.is_empty() && !printer.json() {
            printer.result(&format!("{}\n", part.table));
        }
        let seconds = began.elapsed().as_secs_f64();
        parts.push(Part { seconds, ..part });
        outcome
    };
    let engine = engine::open(device)?;
    let smoke = Smoke::new(&args.curve_overrides)?;
    let torch = Torch::of(args, device)?;
    let wanted = torch
        .as_ref()
        .filter(|_| is_asked_for("compile") && args.shape.iter().any(|shape| shape != "none"));
    let mut compiling = wanted.map(|torch| Background::begin(torch, &args.shape, threads, clock));
    done("device", &mut || {
        Ok(device::run(device::TELLER, device, clock))
    });
    let kernels = done("kernels", &mut || kernels::run(args, device));
    let parity = done("parity", &mut || parity::run(device, threads));
    let computes = [kernels, parity]
        .iter()
        .all(|outcome| *outcome != Outcome::Failed);
    done("repeat", &mut || {
        repeat::run(&smoke, engine.as_ref(), device, threads)
    });
    done("curves", &mut || {
        curves::run(&smoke, engine.as_ref(), device, threads)
    });
    done("memcheck", &mut || memcheck::run(args, device, clock));
    // Timed parts begin only after it.
    done("compile", &mut || {
        let nothing = || Part::skipped("compile", "PyTorch has nothing to compile");
        Ok(compiling.take().map_or_else(nothing, Background::end))
    });
    let measured = |name, work: &mut dyn FnMut() -> Result<Part, Failure>| match computes {
        true => work(),
        false => Ok(Part::failed(name, "what computes wrong is not measured")),
    };
    done("ceilings", &mut || {
        measured("ceilings", &mut || ceilings::run(device))
    });
    let mut worst = Vec::new();
    done("operations", &mut || {
        measured("operations", &mut || {
            let (part, found) = operations::run(args, device, clock)?;
            worst = found;
            Ok(part)
        })
    });
    done("ncu", &mut || {
        measured("ncu", &mut || {
            ncu::run(ncu::PROFILER, &worst, device, clock)
        })
    });
    done("grid", &mut || {
        measured("grid", &mut || {
            grid::run(args, engine.as_ref(), device, clock)
        })
    });
    done("speed", &mut || {
        measured("speed", &mut || {
            speed::run(args, torch.as_ref(), device, clock)
        })
    });
    done("paper", &mut || match (args.minutes, &args.text) {
        (Some(_), Some(_)) => Ok(Part::skipped(
            "paper",
            "it takes longer than `--minutes` can promise",
        )),
        _ => paper::run(args, global),
    });
    let failed = parts.iter().any(|part| part.outcome == Outcome::Failed);
    let report = as_json(&parts, device);
    if let Some(path) = &args.out {
        let text = serde_json::to_vec_pretty(&report)?;
        let fs = RealFs::new();
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            fs.create_dir_all(folder)?;
        }
        fs.write_atomic(path, &text)?;
        printer.note(&format!("wrote {}", path.display()));
    }
    if printer.json() {
        printer.json_result(&report)?;
    } else {
        printer.result(&overview(&parts, device));
    }
    Ok(if failed {
        exit::VERIFY_MISMATCH
    } else {
        exit::OK
    })
}

/// Whether `device` is not a real GPU.
fn is_rehearsal(device: DeviceKind) -> bool {
    match device {
        DeviceKind::Cuda(number) => cuda::is_emulated(number),
        _ => true,
    }
}

fn overview(parts: &[Part], device: DeviceKind) -> String {
    let rows: Vec<Vec<String>> = parts
        .iter()
        .map(|part| {
            let outcome = part.outcome.name().to_owned();
            vec![part.name.to_owned(), outcome, part.summary.clone()]
        })
        .collect();
    let table = super::print::table(&["part", "result", "what"], &rows);
    let skipped = parts
        .iter()
        .filter(|part| part.outcome == Outcome::Skipped)
        .count();
    let failed = parts
        .iter()
        .filter(|part| part.outcome == Outcome::Failed)
        .count();
    let on = match device {
        DeviceKind::Cuda(_) if !is_rehearsal(device) => format!("on {device}"),
        DeviceKind::Cuda(_) => {
            "a rehearsal on an emulated GPU: it says nothing about a real one".to_owned()
        }
        _ => format!("a rehearsal on {device}: it says nothing about a GPU"),
    };
    format!("{table}\n\n{failed} failed, {skipped} skipped; {on}")
}

fn as_json(parts: &[Part], device: DeviceKind) -> Value {
    let parts = parts.iter().map(|part| {
        json!({
            "part": part.name, "result": part.outcome.name(), "seconds": part.seconds, "summary": part.summary, "details": part.details,
        })
    });
    json!({
        "format": 1,
        "specbook": env!("CARGO_PKG_VERSION"),
        "device": device.to_string(),
        "is_rehearsal": is_rehearsal(device),
        "parts": parts.collect::<Vec<_>>(),
    })
}
