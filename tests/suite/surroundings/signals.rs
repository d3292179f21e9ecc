//! Signals: everything ends within three seconds, at any stage.

use super::unix::apart;
use crate::project::{Project, TINY};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// A run on one thread that reports progress.
const RUN: &[&str] = &[
    "run",
    "specs/tiny.yaml",
    "--no-report",
    "--threads",
    "1",
    "-v",
];

/// How long the program may take to end after a signal.
const IN_TIME: Duration = Duration::from_secs(3);

/// The stage at which the signal is sent.
enum When {
    /// This long after the word appeared on standard error.
    Said(&'static str, Duration),
    /// As soon as it has opened the file with this name.
    Reads(&'static str),
    /// As soon as this file or folder exists.
    Makes(PathBuf),
}

impl When {
    /// Waits until the program reaches this stage; panics if it ends before.
    fn wait(&self, child: &mut Child) {
        match self {
            Self::Said(word, wait) => {
                let mut lines = BufReader::new(child.stderr.as_mut().unwrap()).lines();
                lines
                    .find(|line| line.as_ref().unwrap().contains(word))
                    .unwrap_or_else(|| panic!("it ended before `{word}`"))
                    .unwrap();
                std::thread::sleep(*wait);
            }
            Self::Reads(name) => {
                let open = format!("/proc/{}/fd", child.id());
                let has_opened = || {
                    let entries = std::fs::read_dir(&open).into_iter().flatten().flatten();
                    let mut files = entries.filter_map(|file| std::fs::read_link(file.path()).ok());
                    files.any(|file| file.ends_with(name))
                };
                while !has_opened() {
                    assert_eq!(child.try_wait().unwrap(), None, "it never opened {name}");
                }
            }
            Self::Makes(path) => {
                while !path.exists() {
                    assert_eq!(child.try_wait().unwrap(), None, "it never made {path:?}");
                    std::thread::yield_now();
                }
            }
        }
    }
}

/// Starts the program, waits for the stage, sends a signal, and returns the exit status; asserts that it ends in time.
fn ended(project: &Project, arguments: &[&str], when: &When, signal: Signal) -> ExitStatus {
    let mut command = project.command(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    when.wait(&mut child);
    assert_eq!(
        child.try_wait().unwrap(),
        None,
        "{arguments:?} ended before the signal"
    );
    let sent = Instant::now();
    kill(Pid::from_raw(child.id() as i32), signal).unwrap();
    while sent.elapsed() < IN_TIME {
        if let Some(status) = child.try_wait().unwrap() {
            println!("{arguments:?}: {:.2} s", sent.elapsed().as_secs_f64());
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    panic!("{arguments:?} is still there {IN_TIME:?} after {signal}");
}

/// A spec whose validations, evaluations or samples take a minute.
fn slow(validation: usize, every: &str, eval: &str) -> String {
    let text = TINY
        .replace(
            "validation: 4",
            &format!("validation: {validation}\n    test: 300"),
        )
        .replace(
            "{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 24, multiple_of: 16}",
            "{dim: 16, n_layers: 4, n_heads: 4, max_seq_len: 128}",
        )
        .replace("vary:\n  model.dim: [16, 32]", "vary:\n  model.dim: [384]")
        .replace(
            "validate: {every: step}",
            &format!("validate: {{every: {every}}}\n    max_steps: 2"),
        );
    let (head, _) = text.split_once("  eval:").unwrap();
    format!("{head}  eval: {{{eval}}}\nvary:\n  model.dim: [384]\n")
}

#[test]
fn one_signal_ends_everything_within_three_seconds() {
    let few = "perplexity: {documents: 2}";
    let scores = "perplexity: {documents: 300, split: test, calibrated: true}";
    let samples = "samples: {prompts: [\"Once\"], per_prompt: 2000, max_new_tokens: 100}";
    let phases = [
        ("validation", slow(1500, "step", few), "steps on", 1500),
        ("evaluation", slow(2, "end", scores), "evaluating", 500),
        ("sampling", slow(2, "end", samples), "evaluating", 500),
    ];
    for (name, text, word, wait) in phases {
        let project = Project::new();
        project.write("specs/tiny.yaml", text);
        let when = When::Said(word, Duration::from_millis(wait));
        let end = ended(&project, RUN, &when, Signal::SIGTERM);
        assert_eq!(end.code(), Some(143), "{name}");
        project.run(&["store", "verify"]).success();
    }
}

#[test]
fn one_signal_ends_a_step_that_takes_longer_and_what_is_read() {
    let project = Project::new();
    let text = slow(2, "end", "perplexity: {documents: 2}")
        .replace("train: 20", "train: 4000")
        .replace("batch_size: 4", "batch_size: 4\n    grad_accum_steps: 1000");
    project.write("specs/tiny.yaml", text);
    let when = When::Said("steps on", Duration::from_millis(300));
    let end = ended(&project, RUN, &when, Signal::SIGTERM);
    assert_eq!(end.code(), Some(143));
    project.run(&["store", "verify"]).success();
    let line = format!("{{\"text\": \"{}\"}}\n", "once upon a time ".repeat(60));
    project.write("specs/large.jsonl", line.repeat(100_000));
    let text = TINY
        .replace("{stories: {version: 1}}", "{jsonl: {path: large.jsonl}}")
        .replace("train: 20", "train: 99000");
    project.write("specs/tiny.yaml", text);
    // Planning has nothing to save: a signal ends it like any program. (Not SIGINT, which is ignored if a shell started
    // the tests in the background.)
    let when = When::Reads("large.jsonl");
    for command in ["plan", "run"] {
        let end = ended(
            &project,
            &[command, "specs/tiny.yaml"],
            &when,
            Signal::SIGTERM,
        );
        assert_eq!(end.signal(), Some(Signal::SIGTERM as i32), "{command}");
    }
}

/// A report with many figures takes long to render; after a signal there is either the old report or the new one, and
/// nothing else.
#[test]
fn one_signal_ends_a_report_and_leaves_the_old_one_or_the_new() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let cached = ["run", "specs/tiny.yaml", "--threads", "1"];
    project.run(&cached).success();
    let before = project.read("reports/tiny/report.md");
    let plot = "  - plot: {curves: [train/loss, val/loss], panels: dim}\n";
    project.write("specs/tiny.yaml", TINY.replace(plot, &plot.repeat(400)));
    let staging = project.path().join("reports/.specbook-write");
    let when = When::Makes(staging.clone());
    for command in [&cached[..], &["report", "specs/tiny.yaml"]] {
        let end = ended(&project, command, &when, Signal::SIGTERM);
        // The next command cleans up and finds one or the other.
        let check = project.run(&["report", "--check", "specs/tiny.yaml"]);
        let is_old = project.read("reports/tiny/report.md") == before;
        // A fast machine may finish the report before the signal.
        assert!(!is_old || !end.success(), "{end}");
        assert!(is_old || check.code == 0, "{}", check.stderr);
        assert!(!staging.exists());
    }
    project.run(&cached).success();
    assert_ne!(project.read("reports/tiny/report.md"), before);
    project
        .run(&["report", "--check", "specs/tiny.yaml"])
        .success();
}

#[test]
fn the_first_process_of_a_container_obeys_signals() {
    let project = Project::new();
    let line = format!("{{\"text\": \"{}\"}}\n", "once upon a time ".repeat(60));
    project.write("specs/large.jsonl", line.repeat(60_000));
    let text = TINY
        .replace("{stories: {version: 1}}", "{jsonl: {path: large.jsonl}}")
        .replace("train: 20", "train: 59000");
    project.write("specs/tiny.yaml", text);
    // The program is process 1; the signal is sent from outside, as soon as the corpus is being read. The creator of
    // the namespace ends with the same status.
    let script = "mount -t proc proc /proc || exit 99; \
        (until ls -l /proc/1/fd | grep -q large.jsonl; do :; done; kill -TERM 1) & exec \"$0\" \"$@\"";
    for command in ["plan", "run"] {
        let begun = Instant::now();
        let arguments = [command, "specs/tiny.yaml"];
        let Some(ran) = apart(&project, script, &arguments) else {
            return;
        };
        assert_eq!(ran.code, 143, "{command}: {}", ran.stderr);
        assert!(
            begun.elapsed() < IN_TIME + Duration::from_secs(1),
            "{:?}",
            begun.elapsed()
        );
    }
}
