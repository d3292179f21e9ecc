//! Signals: checkpoints, stops, suspended processes.

use super::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

impl Process {
    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id() as i32), signal).unwrap();
    }
}

/// Whether the tests were started with a signal ignored, as by `nohup`: the program then ignores it too.
fn is_ignored(signal: Signal) -> bool {
    let script = format!("kill -{} $$; exit 0", &signal.as_str()[3..]);
    let status = Command::new("sh").args(["-c", &script]).status();
    status.unwrap().success()
}

#[test]
fn signals_that_the_caller_ignores_stay_ignored() {
    let project = sweep(1, 400);
    let program = project.command(&arguments(&[]));
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP INT; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(project.path())
        .env_remove("SPECBOOK_STORE")
        .stdin(Stdio::null());
    let mut process = Process::of(command);
    process.wait_for("400 steps on");
    process.signal(Signal::SIGHUP);
    process.signal(Signal::SIGINT);
    let (code, text) = process.finish();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("1 trained"), "{text}");
}

#[test]
fn waiting_for_another_process_is_said_once() {
    let project = sweep(1, 1_000_000);
    let mut first = Process::start(&project, &[]);
    first.wait_for("steps on");
    let mut second = Process::start(&project, &[]);
    second.wait_for("another process is training it; waiting");
    // It checks five times.
    std::thread::sleep(Duration::from_secs(1));
    second.signal(Signal::SIGTERM);
    let (code, text) = second.finish();
    assert_eq!(code, Some(143), "{text}");
    assert!(!text.contains("waiting"), "{text}");
}

#[test]
fn signals_checkpoint_and_stop() {
    let project = sweep(1, 1_000_000);
    let mut reached = 0;
    for (signal, code) in [
        (Signal::SIGTERM, 143),
        (Signal::SIGINT, 130),
        (Signal::SIGHUP, 129),
    ] {
        if is_ignored(signal) {
            continue;
        }
        // The default interval is far longer than this test, so the checkpoint is due to the signal.
        let mut process = Process::start(&project, &[]);
        if reached == 0 {
            process.wait_for("1,000,000 steps on 1 thread");
        } else {
            process.wait_for(&format!("continues at step {reached} of 1000000"));
        }
        std::thread::sleep(Duration::from_millis(30));
        process.signal(signal);
        let (ended, text) = process.finish();
        assert_eq!(ended, Some(code), "{text}");
        assert!(text.contains("checkpoints are kept"), "{text}");
        let saved = saved_steps(&project);
        assert_eq!(saved.len(), 1);
        assert!(saved[0] > reached, "{} after {reached}", saved[0]);
        reached = saved[0];
        let status = project.run(&["status", "specs/tiny.yaml"]).success();
        assert!(status.stdout.contains("partial"), "{}", status.stdout);
        let listed = project.run(&["ls"]).success().stdout;
        assert!(listed.contains("partial"), "{listed}");
    }
}

#[test]
fn a_second_signal_stops_at_once() {
    let project = sweep(1, 2);
    // A step of thousands of micro-batches: far longer than this test.
    let text = project.read("specs/tiny.yaml");
    let slow = text.replace("batch_size: 2", "batch_size: 2\n    grad_accum_steps: 4");
    let slow = slow
        .replace("train: 8", "train: 4000")
        .replace("grad_accum_steps: 4", "grad_accum_steps: 2000")
        .replace("dim: 16", "dim: 128");
    project.write("specs/tiny.yaml", slow);
    let mut process = Process::start(&project, &[]);
    process.wait_for("2 steps on");
    process.signal(Signal::SIGTERM);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(
        process.child.try_wait().unwrap(),
        None,
        "the step is not done"
    );
    let began = Instant::now();
    let (second, expected) = match is_ignored(Signal::SIGINT) {
        true => (Signal::SIGTERM, 143),
        false => (Signal::SIGINT, 130),
    };
    process.signal(second);
    let (code, text) = process.finish();
    assert_eq!(code, Some(expected), "{text}");
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(!text.contains("checkpoints are kept"), "{text}");
    project.run(&["store", "verify"]).success();
    // The lease of a process known to be dead expires immediately.
    let status = project.run(&["status", "specs/tiny.yaml"]).success();
    assert!(status.stdout.contains("missing"), "{}", status.stdout);
}

#[test]
fn a_process_held_up_for_longer_than_its_lease_lasts_discards_its_work() {
    let steps = 400;
    let (expected, _) = undisturbed(1, steps);
    let project = sweep(1, steps);
    let timing = ["--lease-stale", "0.4", "--checkpoint-every", "0"];
    let mut first = Process::start(&project, &timing);
    first.wait_for("steps on");
    first.signal(Signal::SIGSTOP);
    let began = Instant::now();
    let second = project.run(&arguments(&timing)).success();
    assert!(
        began.elapsed() > Duration::from_millis(400),
        "it waits for the lease to be stale"
    );
    assert_eq!(number_before(&second.stderr, "trained"), 1);
    std::thread::sleep(Duration::from_millis(800).saturating_sub(began.elapsed()));
    first.signal(Signal::SIGCONT);
    let (code, text) = first.finish();
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(number_before(&text, "cached"), 1, "{text}");
    assert_whole(&project, &expected, "after SIGCONT");
}

/// Enough documents to take seconds to generate, train on and encode.
const LONG: usize = 30_000;

#[test]
fn a_signal_while_data_is_prepared_ends_it_at_once_and_leaves_nothing_behind() {
    let project = sweep(1, 2);
    let text = project.read("specs/tiny.yaml");
    let long = text
        .replace("train: 8", &format!("train: {LONG}"))
        .replace("vocab_size: 300", "vocab_size: 3000");
    assert_ne!(long, text);
    project.write("specs/tiny.yaml", long);
    // Signals ignored by the caller stay ignored.
    let first = match is_ignored(Signal::SIGINT) {
        true => Signal::SIGTERM,
        false => Signal::SIGINT,
    };
    // From the first document to the last merge.
    for (signal, wait) in [(first, 0), (Signal::SIGTERM, 1000)] {
        let process = Process::start(&project, &[]);
        let runs = project.path().join(".specbook/runs-v1");
        let begun = Instant::now();
        while !files(&runs).iter().any(|file| file.ends_with("log.txt")) {
            assert!(begun.elapsed() < Duration::from_secs(60), "no run began");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(wait));
        let sent = Instant::now();
        process.signal(signal);
        let (code, said) = process.finish();
        let took = sent.elapsed();
        assert_eq!(code, Some(128 + signal as i32), "{said}");
        assert!(said.contains("stopped; checkpoints are kept"), "{said}");
        assert!(!said.contains("steps on"), "{said}");
        // A tenth of that on an idle machine.
        assert!(took < Duration::from_secs(2), "{took:?} after the signal");
        project.run(&["store", "verify"]).success();
        let left = files(&project.path().join(".specbook/tokens-v1"));
        let is_whole = |file: &PathBuf| file.parent().unwrap().ends_with("bpe");
        assert!(left.iter().all(is_whole), "{left:?}");
        assert_eq!(project.run(&["status", "specs/tiny.yaml"]).code, 0);
        std::fs::remove_dir_all(&runs).unwrap();
    }
    let done = project.run(&arguments(&[])).success();
    assert!(done.stderr.contains("1 trained"), "{}", done.stderr);
    project.run(&["store", "verify"]).success();
}
