//! Sweeps for job queues: `submit` and `worker`. `scripts/cluster-test.sh` tests with a real Slurm.

use crate::project::{Project, TINY};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

mod beside;
mod paths;

/// A project with the spec `tiny`, and its sweep file in the store `store`.
fn submitted(text: &str, arguments: &[&str]) -> (Project, PathBuf) {
    let project = Project::new();
    project.write("specs/tiny.yaml", text);
    let submit = [
        "submit",
        "specs/tiny.yaml",
        "--to",
        "script",
        "--store",
        "store",
    ];
    project.run(&[&submit, arguments].concat()).success();
    let sweep = sweep_of(&project);
    (project, sweep)
}

fn sweep_of(project: &Project) -> PathBuf {
    let jobs = project.path().join("store/jobs-v1");
    let mut sweeps: Vec<_> = std::fs::read_dir(jobs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    sweeps.sort();
    sweeps.pop().unwrap().join("sweep.json")
}

fn worker(project: &Project, sweep: &Path, index: &str) -> crate::project::Ran {
    project.run(&["worker", sweep.to_str().unwrap(), "--index", index])
}

/// Digests of weights and metrics of all runs in a store.
fn digests(project: &Project, store: &str) -> Vec<String> {
    let listed = project
        .run(&[
            "ls",
            "--store",
            store,
            "--format",
            "json",
            "--columns",
            "id",
        ])
        .success();
    let mut ids: Vec<String> = listed.json()["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| run["id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    let show = |id: &String| {
        let record = project
            .run(&["show", id, "--store", store, "--format", "json"])
            .success()
            .json();
        format!("{id} {} {}", record["status"], record["digests"])
    };
    ids.iter().map(show).collect()
}

#[test]
fn the_chunks_of_a_sweep_make_what_a_run_makes() {
    let (project, sweep) = submitted(TINY, &[]);
    project
        .run(&["worker", sweep.to_str().unwrap(), "--prepare"])
        .success();
    // Queued tasks use the text as submitted.
    project.write("specs/tiny.yaml", TINY.replace("Tiny", "Changed since"));
    let first = worker(&project, &sweep, "0").success();
    assert!(
        first.stderr.contains("1 trained, 0 cached, 1 evaluated"),
        "{}",
        first.stderr
    );
    let again = worker(&project, &sweep, "0").success();
    assert!(
        again.stderr.contains("0 trained, 1 cached"),
        "{}",
        again.stderr
    );
    worker(&project, &sweep, "1").success();
    let none = worker(&project, &sweep, "2").code(2);
    assert!(
        none.stderr
            .contains("there is no chunk 2: the sweep has 2, from 0"),
        "{}",
        none.stderr
    );
    project.write("specs/tiny.yaml", TINY);
    project
        .run(&["run", "specs/tiny.yaml", "--store", "alone", "--no-report"])
        .success();
    assert_eq!(digests(&project, "store"), digests(&project, "alone"));
    let nothing = project.run(&[
        "submit",
        "specs/tiny.yaml",
        "--to",
        "script",
        "--store",
        "store",
    ]);
    assert_eq!(
        nothing.stderr.trim(),
        "nothing to submit: all 2 runs are cached"
    );
    assert_eq!(nothing.code, 0);
}

#[test]
fn a_sweep_whose_data_has_changed_or_whose_file_is_damaged_is_refused() {
    let text = TINY.replace(
        "corpus: {stories: {version: 1}}",
        "corpus: {jsonl: {path: ../stories.jsonl}}",
    );
    let project = Project::new();
    let documents = |word: &str| {
        (0..40)
            .map(|n| format!("{{\"text\": \"{word} {n} once upon a time\"}}\n"))
            .collect::<String>()
    };
    project.write("stories.jsonl", documents("one"));
    project.write("specs/tiny.yaml", &text);
    project
        .run(&[
            "submit",
            "specs/tiny.yaml",
            "--to",
            "script",
            "--store",
            "store",
        ])
        .success();
    let sweep = sweep_of(&project);
    project.write("stories.jsonl", documents("other"));
    let changed = worker(&project, &sweep, "0").code(4);
    assert!(
        changed
            .stderr
            .contains("the data of `tiny` has changed since the sweep was submitted"),
        "{}",
        changed.stderr
    );
    let whole = std::fs::read(&sweep).unwrap();
    std::fs::write(&sweep, &whole[..whole.len() / 2]).unwrap();
    worker(&project, &sweep, "0").code(4);
    std::fs::remove_file(&sweep).unwrap();
    worker(&project, &sweep, "0").code(4);
}

/// Starts chunk 0 and waits until it trains.
fn training(project: &Project, sweep: &Path) -> Child {
    let mut command = project.command(&["worker", sweep.to_str().unwrap(), "--index", "0"]);
    let child = command.spawn().unwrap();
    let began = Instant::now();
    let log = |path: PathBuf| {
        std::fs::read_to_string(path).is_ok_and(|text| text.contains("steps from step"))
    };
    while !logs(project).into_iter().any(log) {
        assert!(
            began.elapsed() < Duration::from_secs(120),
            "it never trains"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

/// Logs of runs in progress.
fn logs(project: &Project) -> Vec<PathBuf> {
    let mut found = files(&project.path().join("store/runs-v1"));
    found.retain(|path| path.ends_with("log.txt"));
    found
}

/// Leases of runs.
fn leases(project: &Project) -> Vec<PathBuf> {
    let mut found = files(&project.path().join("store/runs-v1"));
    found.retain(|path| path.to_string_lossy().contains(".claim-"));
    found
}

#[test]
fn signals_of_queues_end_a_task_that_goes_on_when_it_is_called_again() {
    let long = TINY
        .replace("batch_size: 4", "batch_size: 4\n    epochs: 600")
        .replace("{every: step}", "{every: end}")
        .replace("[16, 32]", "[16]");
    let long = long
        .replace("run('dim=16').steps", "'1'")
        .replace("run('dim=32').val_loss", "1");
    let (project, sweep) = submitted(&long, &[]);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGTERM] {
        let mut child = training(&project, &sweep);
        kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(143), "{signal}");
        for log in logs(&project) {
            std::fs::remove_file(log).unwrap();
        }
    }
    worker(&project, &sweep, "0").success();
    let log = std::fs::read_to_string(logs(&project).remove(0)).unwrap();
    let from: usize = log
        .split("steps from step ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!(from > 0, "{log}");
    project
        .run(&["run", "specs/tiny.yaml", "--store", "alone", "--no-report"])
        .success();
    assert_eq!(digests(&project, "store"), digests(&project, "alone"));
}

#[test]
fn slurm_needs_times_and_a_queue() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let submit = |arguments: &[&str]| {
        let words = [
            "submit",
            "specs/tiny.yaml",
            "--to",
            "slurm",
            "--store",
            "store",
        ];
        let mut command = project.command(&[&words, arguments].concat());
        // No `sbatch` anywhere.
        project.ran(command.env("PATH", "/nowhere").output().unwrap())
    };
    let unknown = submit(&[]).code(2);
    assert!(
        unknown
            .stderr
            .contains("it is not known how long the runs take"),
        "{}",
        unknown.stderr
    );
    let shown = submit(&["--time", "5", "--dry-run", "--", "--account=lab"]).success();
    assert!(
        shown.stdout.contains("--array=0-1") && shown.stdout.contains("--account=lab"),
        "{}",
        shown.stdout
    );
    assert!(
        !project.path().join("store/jobs-v1").exists(),
        "nothing is written"
    );
    let failed = submit(&["--time", "5"]).code(4);
    assert!(
        failed.stderr.contains("cannot start `sbatch`")
            && failed.stderr.contains("nothing was submitted"),
        "{}",
        failed.stderr
    );
    let paced = submit(&["--lease-beat", "10", "--lease-stale", "20"]).code(2);
    assert!(paced.stderr.contains("three times"), "{}", paced.stderr);
    project.write("specs/tiny.yaml", TINY.replace("[16, 32]", "[16, 33]"));
    submit(&["--time", "5"]).code(2);
}
