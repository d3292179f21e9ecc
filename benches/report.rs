//! Times a report of 36 runs: `cargo bench --bench report`. The limit is 300 ms from results to all files.
#![allow(missing_docs, dead_code, clippy::print_stdout, clippy::unwrap_used)]

// The synthetic results of the unit tests refer to modules of the library as their own.
use specbook::internals::{claim, digest, record, rng, spec};

#[path = "../src/report/tests/fixture.rs"]
mod fixture;

use specbook::Report;
use std::time::{Duration, Instant};

/// Number of measurements.
const ROUNDS: usize = 9;

fn main() {
    let fixture = fixture::grid(3);
    let mut times: Vec<(Duration, Duration)> = Vec::new();
    let mut sizes: Vec<(String, usize)> = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let report = Report::build(
            &fixture.spec,
            &fixture.results,
            &fixture.claims,
            &Default::default(),
        )
        .unwrap();
        let built = start.elapsed();
        let files = report.files().unwrap();
        times.push((start.elapsed(), built));
        sizes = files
            .into_iter()
            .map(|file| (file.path, file.bytes.len()))
            .collect();
    }
    times.sort_unstable();
    let (median, built) = times[ROUNDS / 2];
    let runs = fixture.results.runs.len();
    let steps: usize = fixture
        .results
        .runs
        .iter()
        .map(|run| run.series.len())
        .sum();
    println!(
        "{runs} runs, {steps} steps: {:.0} ms (cells and figures {:.0} ms; fastest {:.0} ms, slowest {:.0} ms)",
        milliseconds(median),
        milliseconds(built),
        milliseconds(times[0].0),
        milliseconds(times[ROUNDS - 1].0),
    );
    for name in [
        "index.html",
        "report.md",
        "report.ipynb",
        "data/records.jsonl",
    ] {
        let size = sizes
            .iter()
            .find(|(path, _)| path == name)
            .map_or(0, |(_, size)| *size);
        println!("{name}: {} kB", size / 1000);
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
