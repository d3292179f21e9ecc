//! Robustness of a store, seen from outside: processes killed, stopped, suspended, and several at once.

use crate::project::Project;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

mod gc;
#[cfg(unix)]
mod read_only;
#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod storm;
mod upkeep;
mod verify;

/// A project with a sweep of `seeds` runs of `steps` steps, small enough to train quickly.
fn sweep(seeds: usize, steps: usize) -> Project {
    let project = Project::new();
    let seeds: Vec<String> = (0..seeds).map(|seed| seed.to_string()).collect();
    let text = format!(
        "specbook: 1
name: tiny
title: \"A sweep of small runs\"
base:
  data:
    corpus: {{stories: {{version: 1}}}}
    tokenizer: {{train_bpe: {{vocab_size: 300}}}}
    train: 8
    validation: 2
  model: {{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}}
  train:
    batch_size: 2
    max_steps: {steps}
    optimizer: {{adamw: {{learning_rate: 1e-3}}}}
    validate: {{every: epoch}}
  eval:
    perplexity: {{documents: 2}}
seeds: [{}]
",
        seeds.join(", ")
    );
    project.write("specs/tiny.yaml", text);
    project
}

/// Arguments of `run` without a report, on one thread, plus `more`.
fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut all = vec![
        "run",
        "specs/tiny.yaml",
        "--no-report",
        "--keep-going",
        "--threads",
        "1",
    ];
    all.extend(more);
    all
}

/// A checkpoint after every step, so that a kill finds every kind of file half written.
#[cfg(unix)]
const EVERY_STEP: &[&str] = &["--checkpoint-every", "0"];
/// On Windows only an expired lease tells that a process is dead.
#[cfg(windows)]
const EVERY_STEP: &[&str] = &["--checkpoint-every", "0", "--lease-stale", "2"];

/// A process killed when dropped.
struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
}

impl Process {
    fn start(project: &Project, more: &[&str]) -> Self {
        Self::of(project.command(&arguments(more)))
    }

    fn of(mut command: Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Self { child, lines }
    }

    /// Reads standard error up to a line that contains `text`.
    fn wait_for(&mut self, text: &str) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            let count = self.lines.read_line(&mut line).unwrap();
            assert!(count > 0, "the process ended before it said `{text}`");
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Waits for the end; returns the exit code and the rest of standard error.
    fn finish(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut self.lines, &mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

/// Whether a process with this exit code was killed by [`Child::kill`].
fn was_killed(code: Option<i32>) -> bool {
    code == if cfg!(windows) { Some(1) } else { None }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Makes everything below a folder `hours` hours old.
fn age(folder: &Path, hours: u64) {
    let time = std::time::SystemTime::now() - Duration::from_secs(3600 * hours);
    for path in files(folder) {
        let file = std::fs::File::options().write(true).open(path).unwrap();
        file.set_modified(time).unwrap();
    }
}

/// Everything that must be the same after any disturbance: weights, metrics and evaluations, byte for byte.
fn results(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let store = project.path().join(".specbook");
    let names = [
        "model.safetensors",
        "metrics.jsonl",
        "key.json",
        "result.json",
        "perplexity.jsonl",
    ];
    files(&store)
        .into_iter()
        .filter(|path| names.iter().any(|name| path.ends_with(name)))
        .map(|path| {
            let name = path.strip_prefix(&store).unwrap().display().to_string();
            (name.replace('\\', "/"), std::fs::read(path).unwrap())
        })
        .collect()
}

/// The results of the same sweep without disturbance, and its duration.
fn undisturbed(seeds: usize, steps: usize) -> (BTreeMap<String, Vec<u8>>, Duration) {
    let project = sweep(seeds, steps);
    let began = Instant::now();
    project.run(&arguments(EVERY_STEP)).success();
    let took = began.elapsed();
    let results = results(&project);
    assert_eq!(results.len(), 6 * seeds, "{:?}", results.keys());
    (results, took)
}

/// Asserts that the sweep is complete, valid and as expected, without leftovers.
#[track_caller]
fn assert_whole(project: &Project, expected: &BTreeMap<String, Vec<u8>>, context: &str) {
    let now = results(project);
    assert_eq!(
        now.keys().collect::<Vec<_>>(),
        expected.keys().collect::<Vec<_>>(),
        "{context}"
    );
    for (name, bytes) in &now {
        assert!(*bytes == expected[name], "{name} differs; {context}");
    }
    project.run(&["store", "verify"]).success();
    let runs = files(&project.path().join(".specbook/runs-v1"));
    let left = runs.iter().find(|path| {
        [".claim-", ".work-"]
            .iter()
            .any(|part| path.to_string_lossy().contains(part))
    });
    assert_eq!(left, None, "{context}");
    assert!(
        !project.path().join(".specbook/damaged").exists(),
        "{context}"
    );
}

/// Pseudo-random numbers from a seed.
struct Draws(u64);

impl Draws {
    /// A number from 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 33) as f64 / (1u64 << 31) as f64
    }
}

/// Steps in the checkpoints of unfinished runs, except those that only need to be published.
fn saved_steps(project: &Project) -> Vec<u64> {
    let heads = files(&project.path().join(".specbook/runs-v1"));
    let heads = heads
        .iter()
        .filter(|path| path.ends_with("checkpoint/checkpoint.json"));
    let mut steps = Vec::new();
    for head in heads {
        let work = head.parent().unwrap().parent().unwrap();
        if work.join("record.json").exists() {
            continue;
        }
        let json: serde_json::Value =
            serde_json::from_slice(&std::fs::read(head).unwrap()).unwrap();
        let step = json["step"].as_u64().unwrap();
        let lines = std::fs::read_to_string(work.join("metrics.jsonl"))
            .unwrap()
            .lines()
            .count() as u64;
        assert!(
            lines >= step && lines <= step + 1,
            "{lines} lines, step {step}"
        );
        steps.push(step);
    }
    steps
}

/// Kills sweeps at random moments, up to three times each, until `kills` processes were killed while working.
fn killed(kills: usize, seed: u64) {
    let (seeds, steps) = (3, 50);
    let (expected, took) = undisturbed(seeds, steps);
    let mut draws = Draws(seed);
    let (mut done, mut resumed) = (0, 0);
    while done < kills {
        let project = sweep(seeds, steps);
        let rounds = 1 + (draws.next() * 3.0) as usize;
        for round in 0..rounds {
            let mut process = Process::start(&project, EVERY_STEP);
            if round == 0 && draws.next() < 0.5 {
                // During training, which is a small part of its time.
                process.wait_for("steps on");
                std::thread::sleep(Duration::from_secs_f64(0.2 * draws.next()));
            } else {
                std::thread::sleep(took.mul_f64(draws.next() * 0.9));
            }
            process.child.kill().unwrap();
            done += usize::from(was_killed(process.finish().0));
        }
        let saved = saved_steps(&project);
        let last = project.run(&arguments(EVERY_STEP)).success();
        for step in saved {
            let words = format!("continues at step {step} of {steps}");
            assert!(last.stderr.contains(&words), "{words}: {}", last.stderr);
            resumed += 1;
        }
        assert_whole(
            &project,
            &expected,
            &format!("after {done} kills, seed {seed}"),
        );
    }
    println!("{done} kills survived, {resumed} runs resumed from their last checkpoint");
    assert!(resumed > 0);
}

#[test]
fn killed_at_random_moments_a_sweep_ends_with_the_same_bytes() {
    killed(12, 1);
}

/// 200 kills, or `SPECBOOK_KILLS`, at moments drawn from `SPECBOOK_SEED`: see README.md for the command.
#[test]
#[ignore = "minutes"]
fn killed_at_200_random_moments_a_sweep_ends_with_the_same_bytes() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    killed(
        number("SPECBOOK_KILLS").unwrap_or(200) as usize,
        number("SPECBOOK_SEED").unwrap_or(2),
    );
}

/// The number before `word` in the last line printed by `run`.
fn number_before(text: &str, word: &str) -> usize {
    let line = text
        .lines()
        .find(|line| line.starts_with("tiny: "))
        .unwrap();
    let words: Vec<&str> = line.split([' ', ',']).collect();
    let at = words.iter().position(|found| *found == word).unwrap();
    words[at - 1].parse().unwrap()
}

/// Lets several processes work on one sweep, and kills some of them during training.
fn drained(seeds: usize, processes: usize, victims: usize) {
    let steps = 12;
    let (expected, _) = undisturbed(seeds, steps);
    let project = sweep(seeds, steps);
    let mut draws = Draws(seeds as u64);
    let mut running: Vec<Process> = (0..processes)
        .map(|_| Process::start(&project, EVERY_STEP))
        .collect();
    let (mut killed, mut trained) = (0, 0);
    let published = |text: &str| text.matches(": trained in ").count();
    for _ in 0..victims {
        let mut victim = running.remove(0);
        victim.wait_for("steps on");
        std::thread::sleep(Duration::from_secs_f64(0.05 * draws.next()));
        victim.child.kill().unwrap();
        let (code, text) = victim.finish();
        killed += usize::from(was_killed(code));
        trained += published(&text);
    }
    for process in running {
        let (code, text) = process.finish();
        assert_eq!(code, Some(0), "{text}");
        trained += published(&text);
    }
    assert_whole(&project, &expected, "several processes");
    // A killed process may have published a record without reporting it.
    assert!(
        trained <= seeds && trained + killed >= seeds,
        "{trained} records for {seeds} runs, {killed} killed"
    );
    println!(
        "{processes} processes, {killed} killed, {seeds} runs, {trained} said to be published"
    );
}

#[test]
fn three_processes_publish_each_run_once() {
    drained(6, 3, 0);
}

#[test]
fn four_processes_drain_36_runs_though_two_are_killed() {
    drained(36, 4, 2);
}

#[test]
#[ignore = "minutes"]
fn eight_processes_drain_36_runs_though_five_are_killed() {
    for _ in 0..10 {
        drained(36, 8, 5);
    }
}
