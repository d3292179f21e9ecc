//! Tokens per second compared with PyTorch, in alternation. Every measurement is a separate
//! process: `specbook bench` for ours, `benches/torch_train.py` for PyTorch.

use super::clock::Clock;
use super::torch::{Torch, answer};
use super::{Outcome, Part};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::human;
use crate::train::engine::DeviceKind;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// The engines compared: ours and several modes of PyTorch. Those that have a target come first.
const ENGINES: [&[(&str, &str, &str)]; 2] = [
    &[
        ("specbook f32", "", "f32"),
        ("PyTorch eager f32", "eager", "f32"),
        ("specbook bf16", "", "bf16"),
        ("PyTorch compiled bf16", "compile", "bf16"),
    ],
    &[
        ("PyTorch compiled f32", "compile", "f32"),
        ("PyTorch eager bf16", "eager", "bf16"),
    ],
];

/// Measures all shapes.
pub(super) fn run(
    args: &AcceptanceArgs,
    torch: Option<&Torch>,
    device: DeviceKind,
    clock: Clock,
) -> Result<Part, Failure> {
    if args.shape.iter().all(|shape| shape == "none") {
        return Ok(Part::skipped("speed", "no shape was asked for"));
    }
    let program = std::env::current_exe().map_err(|error| Failure::input(error.to_string()))?;
    let setting = Setting {
        args,
        torch,
        device,
        program: &program,
        clock,
    };
    let (mut rows, mut skipped) = (Vec::new(), Vec::new());
    // Measure every shape once before any twice, because the time may run out.
    for engines in ENGINES {
        for _ in 0..args.rounds.max(1) {
            for shape in &args.shape {
                for engine in engines {
                    let row = (shape.clone(), engine.0);
                    if skipped.iter().any(|(of, _)| *of == row) {
                        continue;
                    }
                    match setting.measure(shape, *engine) {
                        Ok(found) => rows.push((row, found)),
                        Err(reason) => skipped.push((row, reason)),
                    }
                }
            }
        }
    }
    Ok(part(&rows, &skipped, device))
}

/// A measurement, or several of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Speed {
    tokens_per_second: f64,
    gflops: Option<f64>,
    memory_bytes: Option<u64>,
}

type Row = (String, &'static str);

struct Setting<'a> {
    args: &'a AcceptanceArgs,
    torch: Option<&'a Torch>,
    device: DeviceKind,
    program: &'a Path,
    clock: Clock,
}

impl Setting<'_> {
    fn measure(&self, shape: &str, engine: (&str, &str, &str)) -> Result<Speed, String> {
        let seconds = self.args.seconds.to_string();
        let mut command = match (engine.1, self.torch) {
            ("", _) => {
                let mut command = Command::new(self.program);
                let device = self.device.to_string();
                command.args(["bench", shape, "--device", &device, "--format", "json"]);
                command.args(["--dtype", engine.2]);
                command
            }
            (_, None) => return Err("`--torch` names no script".to_owned()),
            (mode, Some(torch)) => torch.command(shape, mode, engine.2),
        };
        command.args(["--seconds", &seconds]);
        let watch = Watch::begin(self.device);
        let found = answer(&mut command, self.clock);
        let memory = watch.end();
        let found = found?;
        let number = |name: &str| found.get(name).and_then(Value::as_f64);
        let on_host = || match self.device {
            DeviceKind::Cuda(_) => None,
            _ => number("peak_rss_bytes").map(|bytes| bytes as u64),
        };
        Ok(Speed {
            tokens_per_second: number("tokens_per_second")
                .ok_or("its answer has no `tokens_per_second`")?,
            gflops: number("gflops"),
            memory_bytes: memory.or_else(on_host),
        })
    }
}

/// Monitors the GPU's memory while a program runs.
struct Watch {
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    before: Option<u64>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    fn begin(device: DeviceKind) -> Self {
        let before = memory_used(device);
        let (most, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (seen, ended) = (most.clone(), over.clone());
        let look = move || {
            while !ended.load(Ordering::Relaxed) {
                seen.fetch_max(memory_used(device).unwrap_or(0), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(200));
            }
        };
        Self {
            most,
            over,
            thread: before.is_some().then(|| std::thread::spawn(look)),
            before,
        }
    }

    /// Stops; returns the peak number of bytes above the initial level.
    fn end(mut self) -> Option<u64> {
        self.over.store(true, Ordering::Relaxed);
        let thread = self.thread.take()?;
        thread.join().ok()?;
        let most = self.most.load(Ordering::Relaxed);
        self.before.map(|before| most.saturating_sub(before))
    }
}

/// Bytes in use on a GPU by all processes.
fn memory_used(device: DeviceKind) -> Option<u64> {
    let DeviceKind::Cuda(number) = device else {
        return None;
    };
    let output = Command::new("nvidia-smi")
        .args([
            "--query-gpu=memory.used",
            "--format=csv,noheader,nounits",
            "-i",
        ])
        .arg(number.to_string())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.trim().parse::<u64>().ok().map(|mib| mib << 20)
}

/// The best speed over all rounds, with the largest memory.
fn best(found: &[&Speed]) -> Speed {
    let most = |value: fn(&Speed) -> Option<f64>| {
        let values = found.iter().filter_map(|speed| value(speed));
        values.reduce(f64::max)
    };
    Speed {
        tokens_per_second: most(|speed| Some(speed.tokens_per_second)).unwrap_or(0.0),
        gflops: most(|speed| speed.gflops),
        memory_bytes: found.iter().filter_map(|speed| speed.memory_bytes).max(),
    }
}

/// The speed that ours must reach on a GPU, as a multiple of the speed of `engine`.
fn target(shape: &str, engine: &str) -> Option<f64> {
    match engine {
        "PyTorch eager f32" => Some(1.0),
        "PyTorch compiled bf16" if matches!(shape, "loss-comparison" | "gpt2-s") => Some(1.0),
        "PyTorch compiled bf16" => Some(1.2),
        _ => None,
    }
}

fn part(rows: &[(Row, Speed)], skipped: &[(Row, String)], device: DeviceKind) -> Part {
    let mut kinds: Vec<&Row> = Vec::new();
    for (row, _) in rows {
        if !kinds.contains(&row) {
            kinds.push(row);
        }
    }
    let of = |wanted: &Row| -> Vec<&Speed> {
        let same = rows.iter().filter(|(row, _)| row == wanted);
        same.map(|(_, speed)| speed).collect()
    };
    // Each mode of PyTorch is compared with ours in the same number format.
    let ours = |shape: &str, engine: &str| {
        let own = if engine.ends_with("bf16") {
            "specbook bf16"
        } else {
            "specbook f32"
        };
        best(&of(&(shape.to_owned(), own))).tokens_per_second
    };
    let (mut wanted_all, mut missed) = (0, 0usize);
    let (mut lines, mut details) = (Vec::new(), Vec::new());
    for row in kinds {
        let rounds = of(row);
        let speed = best(&rounds);
        let ratio = ours(&row.0, row.1) / speed.tokens_per_second;
        let wanted = target(&row.0, row.1).filter(|_| matches!(device, DeviceKind::Cuda(_)));
        if let Some(wanted) = wanted {
            wanted_all += 1;
            // A NaN ratio misses the target too.
            missed += usize::from(ratio.partial_cmp(&wanted).is_none_or(|order| order.is_lt()));
        }
        let dash = || "–".to_owned();
        lines.push(vec![
            row.0.clone(),
            row.1.to_owned(),
            format!("{:.0}", speed.tokens_per_second),
            speed
                .gflops
                .map_or_else(dash, |gflops| format!("{:.2}", gflops / 1e3)),
            speed.memory_bytes.map_or_else(dash, human::bytes),
            if ratio > 0.0 {
                format!("{ratio:.2}")
            } else {
                dash()
            },
        ]);
        let all: Vec<f64> = rounds.iter().map(|speed| speed.tokens_per_second).collect();
        details.push(json!({
            "shape": row.0, "engine": row.1, "tokens_per_second": speed.tokens_per_second, "rounds": all,
            "tflops": speed.gflops.map(|gflops| gflops / 1e3), "memory_bytes": speed.memory_bytes, "specbook_ratio": (ratio > 0.0).then_some(ratio), "target": wanted,
        }));
    }
    for ((shape, engine), reason) in skipped {
        let mut line = vec![shape.clone(), (*engine).to_owned()];
        line.extend(["–", "–", "–", "–"].map(str::to_owned));
        lines.push(line);
        details.push(json!({"shape": shape, "engine": engine, "skipped": reason}));
    }
    let mut reasons: Vec<&str> = skipped.iter().map(|(_, reason)| reason.as_str()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    let why = match reasons.len() {
        0 => String::new(),
        _ => format!("; {} skipped: {}", skipped.len(), reasons.join("; ")),
    };
    let header = [
        "shape",
        "engine",
        "tokens/s",
        "TFLOP/s",
        "memory",
        "specbook is × as fast",
    ];
    Part {
        name: "speed",
        outcome: match (rows.len(), wanted_all, missed) {
            (0, ..) => Outcome::Skipped,
            (_, 0, _) => Outcome::Measured,
            (_, _, 0) => Outcome::Passed,
            _ => Outcome::Failed,
        },
        summary: format!(
            "best of the rounds of {} measurements; {missed} of {wanted_all} targets beside PyTorch missed{why}",
            rows.len()
        ),
        table: print::table(&header, &lines),
        details: json!(details),
        seconds: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speed(tokens_per_second: f64) -> Speed {
        Speed {
            tokens_per_second,
            gflops: Some(2000.0),
            memory_bytes: None,
        }
    }

    #[test]
    fn ratios_are_ours_to_theirs_and_skipped_ones_are_named() {
        let row = |engine| ("llama-s".to_owned(), engine);
        let rows = [
            (row("specbook f32"), speed(300.0)),
            (row("PyTorch eager f32"), speed(200.0)),
            (row("specbook f32"), speed(400.0)),
        ];
        let skipped = [(row("PyTorch compiled f32"), "no torch".to_owned())];
        let part = part(&rows, &skipped, DeviceKind::Cpu);
        assert_eq!(part.outcome, Outcome::Measured);
        insta::assert_snapshot!(part.table, @"
        shape    engine                tokens/s  TFLOP/s  memory  specbook is × as fast
        llama-s  specbook f32               400     2.00       –                   1.00
        llama-s  PyTorch eager f32          200     2.00       –                   2.00
        llama-s  PyTorch compiled f32         –        –       –                      –
        ");
        assert!(
            part.summary.ends_with("1 skipped: no torch"),
            "{}",
            part.summary
        );
        assert_eq!(part.details[0]["rounds"], json!([300.0, 400.0]));
    }

    #[test]
    fn a_gpu_has_targets_beside_pytorch() {
        let row = |engine: &'static str| ("llama-l10".to_owned(), engine);
        let outcome = |ours| {
            let rows = [
                (row("specbook bf16"), speed(ours)),
                (row("PyTorch compiled bf16"), speed(100.0)),
            ];
            part(&rows, &[], DeviceKind::Cuda(0)).outcome
        };
        assert_eq!(outcome(120.0), Outcome::Passed);
        assert_eq!(outcome(119.0), Outcome::Failed);
        let alone = [(row("specbook f32"), speed(1.0))];
        let alone = part(&alone, &[], DeviceKind::Cuda(0));
        assert_eq!(alone.outcome, Outcome::Measured);
    }
}
