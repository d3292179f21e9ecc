//! Speed and memory of whole training steps through the door of the trainer. One shape a process, so that its peak memory is its own:
//!
//! `cargo bench --bench training -- SHAPE [THREADS [SECONDS [cpu-reference]]]`, SHAPE one of `S`, `S64`, `L`.
#![expect(
    clippy::print_stdout,
    reason = "a benchmark reports on standard output"
)]

use specbook::data::{SequenceSet, TrainingData};
use specbook::record::MetricPoint;
use specbook::spec::{ModelConfig, ModelSettings, TrainSettings};
use specbook::train::engine::{DeviceKind, open};
use specbook::train::{Checkpoint, Observer, StepTiming, TrainJob};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// A model and its batches.
struct Shape {
    model: &'static str,
    vocab_size: usize,
    length: usize,
    batch: usize,
}

fn shape(name: &str) -> Shape {
    const SMALL: &str = "{dim: 128, n_layers: 2, n_heads: 4, hidden_dim: 344, max_seq_len: 128}";
    const LARGE: &str = "{dim: 512, n_layers: 8, n_heads: 8, hidden_dim: 1376, max_seq_len: 256}";
    let (model, vocab_size, length, batch) = match name {
        "S" => (SMALL, 2048, 128, 16),
        "S64" => (SMALL, 2048, 64, 10),
        "L" => (LARGE, 32_000, 256, 4),
        other => panic!("unknown shape `{other}`: S, S64 or L"),
    };
    Shape {
        model,
        vocab_size,
        length,
        batch,
    }
}

/// Takes the times and stops when the time is over.
struct Stopwatch {
    end: Instant,
    seconds: Vec<f64>,
    processor_seconds: Vec<f64>,
    peak_memory: String,
}

impl Observer for Stopwatch {
    fn on_step(&mut self, _: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        self.seconds.push(timing.train_seconds);
        self.processor_seconds.push(processor_seconds());
        // Here and not at the end: the checkpoint after the last step is no part of training.
        self.peak_memory = peak_memory();
        if self.seconds.len() > 4 && Instant::now() > self.end {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Sequences of ids that follow each other without a pattern.
fn sequences(count: usize, shape: &Shape) -> SequenceSet {
    let mut state = 1u64;
    let mut set = SequenceSet::new();
    for _ in 0..count {
        let ids: Vec<u32> = (0..=shape.length)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                ((state >> 33) % shape.vocab_size as u64) as u32
            })
            .collect();
        set.push(&ids[..shape.length], &ids[1..]);
    }
    set
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a != "--bench")
        .collect();
    let argument =
        |i: usize, default: &'static str| arguments.get(i).map_or(default, |a| a.as_str());
    let name = argument(0, "S").to_owned();
    let threads: usize = argument(1, "2").parse().expect("THREADS is a number");
    let seconds: f64 = argument(2, "8").parse().expect("SECONDS is a number");
    let device = match argument(3, "cpu") {
        "cpu-reference" => DeviceKind::CpuReference,
        _ => DeviceKind::Cpu,
    };
    let shape = shape(&name);
    let settings: ModelSettings =
        serde_yaml::from_str(shape.model).expect("the model is well written");
    let model: ModelConfig = settings.resolve(shape.vocab_size);
    let text = format!(
        r#"{{"batch_size": {}, "max_steps": 100000, "optimizer": {{"adamw": {{"learning_rate": 0.001}}}}, "validate": {{"every": "end"}}}}"#,
        shape.batch
    );
    let train: TrainSettings = serde_json::from_str(&text).expect("the settings are well written");
    let data = TrainingData::Sequences(sequences(8 * shape.batch, &shape));
    let validation = sequences(1, &shape);
    let job = TrainJob {
        model: &model,
        train: &train,
        data: &data,
        validation: &validation,
        threads,
    };
    let mut watch = Stopwatch {
        end: Instant::now() + Duration::from_secs_f64(seconds),
        seconds: Vec::new(),
        processor_seconds: Vec::new(),
        peak_memory: String::new(),
    };
    let engine = open(device).expect("the device opens");
    engine.train(&job, None, &mut watch).expect("training runs");
    let mut times = watch.seconds.split_off(2);
    times.sort_by(f64::total_cmp);
    let rate = |seconds: f64| (shape.batch * shape.length) as f64 / seconds;
    let numerics = engine.numerics(train.dtype);
    let mut busy: Vec<f64> = watch
        .processor_seconds
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    busy.sort_by(f64::total_cmp);
    println!(
        "{name}, {threads} threads, {} {}: best {:.0}, median {:.0} tokens/s over {} steps; {:.0} tokens per second of a processor; peak memory {}",
        numerics.engine,
        numerics.isa,
        rate(times[0]),
        rate(times[times.len() / 2]),
        times.len(),
        rate(busy[busy.len() / 2]),
        watch.peak_memory,
    );
}

/// Time that all threads of this process have run: what a step costs, whatever else the machine does. 0 where the system does not say.
fn processor_seconds() -> f64 {
    let Ok(threads) = std::fs::read_dir("/proc/self/task") else {
        return 0.0;
    };
    let nanoseconds = |thread: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    };
    threads.filter_map(nanoseconds).sum::<f64>() / 1e9
}

/// The largest resident size of this process, where the system says.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or("unknown".to_owned(), |kib| {
        format!("{:.0} MiB", kib / 1024.0)
    })
}
