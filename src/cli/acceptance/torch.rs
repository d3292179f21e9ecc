//! PyTorch's side of the comparison: its commands, and its compilations in the background.
//!
//! `torch.compile` takes up to a minute per shape. All shapes are compiled while nothing is timed, into a cache that the timed processes read; the timed
//! parts begin when all are compiled, or no more time is given to it.

use super::clock::Clock;
use super::{Outcome, Part};
use crate::cli::args::AcceptanceArgs;
use crate::cli::failure::Failure;
use crate::cli::print;
use crate::train::engine::DeviceKind;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

/// How much of the minutes compilations may take, from their beginning.
const SHARE: f64 = 1.0 / 3.0;
/// How much of the GPU's memory compilations may take, so that enough is left for the parts beside them.
const MEMORY: f64 = 0.8;
/// Most compilations at a time.
const WORKERS: usize = 4;

/// A Python with PyTorch, the script of the comparison, and the cache of all its processes.
#[derive(Clone)]
pub(super) struct Torch {
    python: String,
    script: PathBuf,
    device: DeviceKind,
    cache: Arc<tempfile::TempDir>,
}

impl Torch {
    /// `None` if no script is named.
    pub(super) fn of(args: &AcceptanceArgs, device: DeviceKind) -> Result<Option<Self>, Failure> {
        let Some(script) = &args.torch else {
            return Ok(None);
        };
        let cache = tempfile::tempdir().map_err(|error| Failure::input(error.to_string()))?;
        Ok(Some(Self {
            python: args.python.clone(),
            script: script.clone(),
            device,
            cache: Arc::new(cache),
        }))
    }

    /// Trains `shape` in a way (`eager`, `compile`) and number format, and prints JSON; how long is for the caller to add.
    pub(super) fn command(&self, shape: &str, mode: &str, dtype: &str) -> Command {
        let mut command = Command::new(&self.python);
        let device = match self.device {
            DeviceKind::Cuda(_) => "cuda",
            _ => "cpu",
        };
        command.arg(&self.script).args([shape, "--mode", mode]);
        command.args(["--dtype", dtype, "--device", device, "--json"]);
        command.env("TORCHINDUCTOR_CACHE_DIR", self.cache.path());
        command.env("TORCHINDUCTOR_FX_GRAPH_CACHE", "1");
        command.env("TORCHINDUCTOR_AUTOGRAD_CACHE", "1");
        if let DeviceKind::Cuda(number) = self.device {
            command.env("CUDA_VISIBLE_DEVICES", number.to_string());
        }
        command
    }
}

/// Runs a command and reads the JSON that it prints.
pub(super) fn answer(command: &mut Command, clock: Clock) -> Result<Value, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = clock.output(command)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let error = text.lines().find(|line| line.starts_with("error"));
        let last = || text.lines().rev().find(|line| !line.trim().is_empty());
        let reason = error.or_else(last).unwrap_or("it failed without a word");
        return Err(format!("`{name}`: {}", reason.trim()));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("its answer is no JSON: {error}"))
}

/// A shape in a number format, and how long its compilation took or why there is none.
struct Compiled {
    what: [String; 2],
    seconds: Result<f64, String>,
}

/// Compilations that are under way.
pub(super) struct Background {
    begun: Instant,
    workers: Vec<JoinHandle<Vec<Compiled>>>,
}

impl Background {
    /// Begins to compile `shapes`. `cores`: those of the machine, of which half are used.
    pub(super) fn begin(torch: &Torch, shapes: &[String], cores: usize, clock: Clock) -> Self {
        let clock = clock.first(SHARE);
        // The format with a target beside compiled code comes first; the queue is emptied from its end.
        let pairs = ["bf16", "f32"]
            .into_iter()
            .flat_map(|dtype| shapes.iter().map(move |shape| [shape, dtype]));
        let mut queue: Vec<[String; 2]> = pairs.map(|pair| pair.map(str::to_owned)).collect();
        queue.reverse();
        let workers = (cores / 2).clamp(1, WORKERS);
        let memory = format!("{:.2}", MEMORY / workers as f64);
        let queue = Arc::new(Mutex::new(queue));
        let work = || {
            let (torch, queue, memory) = (torch.clone(), queue.clone(), memory.clone());
            move || {
                let mut done = Vec::new();
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let Some(what) = next else { return done };
                    let mut command = torch.command(&what[0], "compile", &what[1]);
                    let begun = Instant::now();
                    command.args(["--steps", "1", "--memory-share", &memory]);
                    let found = answer(&mut command, clock);
                    let seconds = found.map(|_| begun.elapsed().as_secs_f64());
                    done.push(Compiled { what, seconds });
                }
            }
        };
        Self {
            begun: Instant::now(),
            workers: (0..workers).map(|_| std::thread::spawn(work())).collect(),
        }
    }

    /// Waits until nothing is compiled any more.
    pub(super) fn end(self) -> Part {
        let done = self.workers.into_iter().filter_map(|it| it.join().ok());
        let mut done: Vec<Compiled> = done.flatten().collect();
        done.sort_by(|a, b| a.what.cmp(&b.what));
        part(&done, self.begun.elapsed().as_secs_f64())
    }
}

fn part(found: &[Compiled], seconds: f64) -> Part {
    let failed = found.iter().filter_map(|it| it.seconds.as_ref().err());
    let mut reasons: Vec<&str> = failed.map(String::as_str).collect();
    let compiled = found.len() - reasons.len();
    reasons.sort_unstable();
    reasons.dedup();
    let why = match reasons[..] {
        [] => String::new(),
        _ => format!("; others: {}", reasons.join("; ")),
    };
    let rows = found.iter().map(|it| {
        let seconds = it.seconds.as_ref();
        let seconds = seconds.map_or_else(|_| "–".to_owned(), |seconds| format!("{seconds:.1}"));
        vec![it.what[0].clone(), it.what[1].clone(), seconds]
    });
    let details = found.iter().map(|it| {
        json!({"shape": it.what[0], "dtype": it.what[1], "seconds": it.seconds.as_ref().ok(), "skipped": it.seconds.as_ref().err()})
    });
    Part {
        name: "compile",
        outcome: match compiled {
            0 => Outcome::Skipped,
            _ => Outcome::Measured,
        },
        summary: format!(
            "{compiled} of {} shapes compiled by PyTorch in the background, {seconds:.0} s after the start{why}",
            found.len()
        ),
        table: print::table(&["shape", "dtype", "seconds"], &rows.collect::<Vec<_>>()),
        details: json!(details.collect::<Vec<_>>()),
        seconds: 0.0,
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;

    /// A Python that notes its cache and its arguments, and knows the shape `llama-s` alone.
    fn torch(folder: &std::path::Path) -> Torch {
        let script = folder.join("torch_train.py");
        let text = "echo \"$TORCHINDUCTOR_CACHE_DIR $*\" >> \"$0.log\"
            [ \"$1\" = llama-s ] || { echo 'no such shape' >&2; exit 1; }
            echo '{\"tokens_per_second\": 1}'";
        std::fs::write(&script, text).unwrap();
        Torch {
            python: "sh".to_owned(),
            script,
            device: DeviceKind::Cuda(0),
            cache: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    #[test]
    fn all_shapes_are_compiled_into_one_cache() {
        let folder = tempfile::tempdir().unwrap();
        let torch = torch(folder.path());
        let shapes = ["llama-s", "other"].map(str::to_owned);
        let part = Background::begin(&torch, &shapes, 4, Clock::begin(None)).end();
        assert_eq!(part.outcome, Outcome::Measured);
        assert!(
            part.summary
                .starts_with("2 of 4 shapes compiled by PyTorch"),
            "{}",
            part.summary
        );
        assert!(part.summary.ends_with("others: `sh`: no such shape"));
        let log = std::fs::read_to_string(folder.path().join("torch_train.py.log")).unwrap();
        let mut lines: Vec<&str> = log.lines().collect();
        lines.sort_unstable();
        let cache = torch.cache.path().display();
        let due = ["llama-s", "other"].map(|shape| {
            ["bf16", "f32"].map(|dtype| {
                format!(
                    "{cache} {shape} --mode compile --dtype {dtype} --device cuda --json --steps 1 --memory-share 0.40"
                )
            })
        });
        assert_eq!(lines, due.concat());
    }

    #[test]
    fn without_time_nothing_is_compiled() {
        let folder = tempfile::tempdir().unwrap();
        let torch = torch(folder.path());
        let over = Clock::begin(Some(0.0));
        let part = Background::begin(&torch, &["llama-s".to_owned()], 1, over).end();
        assert_eq!(part.outcome, Outcome::Skipped);
        assert!(
            part.summary.ends_with("others: the minutes were over"),
            "{}",
            part.summary
        );
    }

    #[test]
    fn a_program_that_fails_gives_its_last_line() {
        let mut missing = Command::new("specbook-has-no-such-program");
        let answer = answer(&mut missing, Clock::begin(None));
        assert!(answer.unwrap_err().contains("does not start"));
    }
}
