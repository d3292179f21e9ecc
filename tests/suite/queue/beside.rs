//! Tasks of a sweep beside other processes, and leftovers of a sweep.

use super::*;
use std::process::Command;

/// A sweep of one run that trains for seconds.
fn long() -> (Project, PathBuf) {
    let text = TINY
        .replace("batch_size: 4", "batch_size: 4\n    epochs: 1000")
        .replace("{every: step}", "{every: end}")
        .replace("[16, 32]", "[16]");
    let text = text
        .replace("run('dim=16').steps", "'1'")
        .replace("run('dim=32').val_loss", "1");
    submitted(&text, &[])
}

#[test]
fn a_worker_leaves_a_run_to_the_process_that_makes_it() {
    let (project, sweep) = long();
    let mut other = training(&project, &sweep);
    let began = Instant::now();
    let leaves = worker(&project, &sweep, "0").success();
    assert!(
        leaves.stderr.contains("1 left to other processes"),
        "{}",
        leaves.stderr
    );
    assert_eq!(other.try_wait().unwrap(), None, "it waited");
    // A suspended process still holds its run.
    kill(Pid::from_raw(other.id() as i32), Signal::SIGSTOP).unwrap();
    worker(&project, &sweep, "0").success();
    assert!(began.elapsed() < Duration::from_secs(60));
    kill(Pid::from_raw(other.id() as i32), Signal::SIGCONT).unwrap();
    assert!(other.wait().unwrap().success());
    worker(&project, &sweep, "0").success();
}

/// The command as a process on a machine with this name, mutually invisible with our processes.
fn elsewhere(project: &Project, host: &str, arguments: &[&str]) -> Command {
    let program = project.command(arguments);
    let mut command = Command::new("unshare");
    let script = format!("echo {host} > /proc/sys/kernel/hostname && exec \"$@\"");
    command
        .args(["--user", "--map-root-user", "--uts", "--pid", "--fork"])
        .args(["--kill-child", "--mount-proc", "sh", "-c", &script, "sh"])
        .arg(program.get_program())
        .args(program.get_args())
        .current_dir(project.path());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// A task that lost its node restarts on another one: it immediately takes over its leases, which no other
/// process does.
#[test]
fn a_task_that_comes_back_on_another_machine_takes_over_at_once() {
    let (project, sweep) = long();
    let file = sweep.to_str().unwrap();
    let arguments = ["worker", file, "--index", "0", "--checkpoint-every", "0.02"];
    let task = |command: &mut Command, restarts: &str| {
        let variables = [
            ("SLURM_JOB_ID", "15"),
            ("SLURM_CLUSTER_NAME", "lab"),
            ("SLURM_ARRAY_JOB_ID", "12"),
            ("SLURM_ARRAY_TASK_ID", "0"),
            ("SLURM_RESTART_COUNT", restarts),
        ];
        command.envs(variables);
    };
    let probe = elsewhere(&project, "node07", &["--version"]).output();
    if !probe.is_ok_and(|ran| ran.status.success()) {
        println!("skipped: no namespaces of users, processes and host names here");
        return;
    }
    let mut first = elsewhere(&project, "node07", &arguments);
    task(&mut first, "0");
    let mut first = first.spawn().unwrap();
    let saved = |path: &PathBuf| path.ends_with("checkpoint/checkpoint.json");
    let began = Instant::now();
    while !files(&project.path().join("store")).iter().any(saved) {
        assert!(began.elapsed() < Duration::from_secs(120), "it never saves");
        std::thread::sleep(Duration::from_millis(10));
    }
    // The node fails with all of its processes.
    first.kill().unwrap();
    first.wait().unwrap();
    let lease = leases(&project).remove(0);
    let text = std::fs::read_to_string(&lease).unwrap();
    assert!(text.ends_with(" node07 slurm:lab:12_0#0\n"), "{text}");
    let run_on = |host: &str, restarts: Option<&str>| {
        let mut command = elsewhere(&project, host, &arguments);
        restarts.iter().for_each(|count| task(&mut command, count));
        project.ran(command.output().unwrap()).success().stderr
    };
    for other in [run_on("node08", None), run_on("node09", Some("0"))] {
        assert!(other.contains("1 left to other processes"), "{other}");
    }
    let back = run_on("node08", Some("1"));
    assert!(back.contains("1 trained"), "{back}");
    let log = std::fs::read_to_string(logs(&project).remove(0)).unwrap();
    let from = log.rsplit("steps from step ").next().unwrap();
    let from: u64 = from.split(' ').next().unwrap().parse().unwrap();
    assert!(from > 0, "{log}");
    project
        .run(&["run", "specs/tiny.yaml", "--store", "alone", "--no-report"])
        .success();
    assert_eq!(digests(&project, "store"), digests(&project, "alone"));
}

/// The next `submit` bases its time limits on the durations measured by tasks.
#[test]
fn workers_measure_how_long_runs_take() {
    let (project, sweep) = submitted(TINY, &[]);
    let submit = ["submit", "specs/tiny.yaml", "--store", "store"];
    let dry = [&submit[..], &["--to", "slurm", "--dry-run"]].concat();
    let unknown = project.run(&dry).code(2);
    assert!(
        unknown.stderr.contains("it is not known how long"),
        "{}",
        unknown.stderr
    );
    worker(&project, &sweep, "0").success();
    let known = project.run(&dry).success();
    assert!(known.stdout.contains("--time="), "{}", known.stdout);
}

/// Fake queue programs with scripted output.
pub(super) fn queue_says(project: &Project, program: &str, script: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let path = project.write(&format!("bin/{program}"), format!("#!/bin/sh\n{script}\n"));
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn sweeps_go_when_nobody_waits_for_them() {
    let (project, script) = submitted(TINY, &[]);
    queue_says(&project, "sbatch", "cat > /dev/null; echo 7");
    queue_says(&project, "squeue", "exit 0");
    let path = std::env::var("PATH").unwrap();
    let path = format!("{}:{path}", project.path().join("bin").display());
    let with_queue = |arguments: &[&str]| {
        let mut command = project.command(arguments);
        project.ran(command.env("PATH", &path).output().unwrap())
    };
    let submit = ["submit", "specs/tiny.yaml", "--store", "store"];
    with_queue(&[&submit[..], &["--to", "slurm", "--time", "5"]].concat()).success();
    let sweeps = || {
        let folder = project.path().join("store/jobs-v1");
        std::fs::read_dir(folder).unwrap().count()
    };
    let gc = |hours: u64| {
        let time = std::time::SystemTime::now() - Duration::from_secs(3600 * hours);
        let jobs = project.path().join("store/jobs-v1");
        let logs = std::fs::read_dir(&jobs).unwrap();
        let logs = logs.map(|sweep| sweep.unwrap().path().join("logs"));
        for path in files(&jobs).into_iter().chain(logs) {
            let file = std::fs::File::open(path).unwrap();
            file.set_modified(time).unwrap();
        }
        with_queue(&["store", "gc", "--yes", "--store", "store"]).success()
    };
    gc(48);
    assert_eq!(sweeps(), 2, "runs are missing: what is logged says why");
    worker(&project, &script, "0").success();
    worker(&project, &script, "1").success();
    gc(0);
    assert_eq!(sweeps(), 2, "young");
    queue_says(&project, "squeue", "echo '7|0|PENDING'");
    let asked = gc(48);
    assert!(asked.stdout.contains("1 sweep ("), "{}", asked.stdout);
    assert!(!script.exists() && sweeps() == 1, "a task waits");
    queue_says(&project, "squeue", "echo broken >&2; exit 1");
    let unknown = gc(48);
    let words = "stays: what waits in its queue is not known: squeue: broken";
    assert!(unknown.stderr.contains(words), "{}", unknown.stderr);
    assert_eq!(sweeps(), 1);
    queue_says(&project, "squeue", "exit 0");
    gc(48);
    assert_eq!(sweeps(), 0);
    let listed = ["ls", "--store", "store", "--columns", "id"];
    let listed = project.run(&listed).success().stdout;
    assert_eq!(listed.lines().count(), 3, "runs stay: {listed}");
}
