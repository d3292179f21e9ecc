//! A stress test: several processes on one store, killed, suspended and resumed, beside `store gc` in a loop, with
//! power losses.

use super::*;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Duration of leases, in seconds.
const STALE: &str = "0.5";

/// Counts of faults.
#[derive(Debug, Default)]
struct Weather {
    kills: usize,
    stops: usize,
    cut: usize,
    cleaned: usize,
}

/// A process that works on the sweep with two jobs; killed when dropped.
struct Worker(Child);

impl Worker {
    fn start(project: &Project) -> Self {
        let timing = ["--jobs", "2", "--lease-stale", STALE];
        let mut command = project.command(&arguments(&[EVERY_STEP, &timing].concat()));
        // Their output is not read while they work, and a full pipe would block them.
        let said = project.path().join("said.txt");
        let said = std::fs::File::options()
            .create(true)
            .append(true)
            .open(said)
            .unwrap();
        command.stdout(Stdio::null()).stderr(said);
        Self(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).unwrap();
    }

    /// Kills it; returns whether it was still running.
    fn kill(&mut self) -> bool {
        self.0.kill().unwrap();
        self.0.wait().unwrap().code().is_none()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Truncates files that were never synced: leases, temporary files, lines of unfinished runs, facts about inputs.
fn lose_power(project: &Project, draws: &mut Draws) -> usize {
    let store = project.path().join(".specbook");
    let mut cut = 0;
    for path in files(&store) {
        let name = path.strip_prefix(&store).unwrap().display().to_string();
        let unsynced = name.contains(".claim-")
            || name.contains("/.tmp-")
            || name.contains("tokens-v1/stat/")
            || (name.contains(".work-")
                && (name.ends_with("log.txt") || name.ends_with("timing.jsonl")));
        if unsynced && draws.next() < 0.7 {
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            let length = file.metadata().unwrap().len();
            file.set_len((length as f64 * draws.next()) as u64).unwrap();
            cut += 1;
        }
    }
    cut
}

/// One sweep under faults, until it is done or `enough` processes have been killed in total.
fn one(project: &Project, draws: &mut Draws, weather: &mut Weather, enough: usize) {
    let (done, cleaned) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let gc = project.run(&["store", "gc", "--yes"]);
                if gc.code == 0 {
                    cleaned.fetch_add(1, Ordering::SeqCst);
                } else {
                    println!("gc: {}", gc.stderr);
                    cleaned.store(usize::MAX / 2, Ordering::SeqCst);
                }
            }
        });
        let ended =
            std::panic::AssertUnwindSafe(|| in_bad_weather(project, draws, weather, enough));
        let ended = std::panic::catch_unwind(ended);
        done.store(true, Ordering::SeqCst);
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    weather.cleaned += cleaned.into_inner();
    assert!(weather.cleaned < usize::MAX / 4, "a `store gc` failed");
}

fn in_bad_weather(project: &Project, draws: &mut Draws, weather: &mut Weather, enough: usize) {
    let mut workers = [Worker::start(project), Worker::start(project)];
    while weather.kills < enough {
        std::thread::sleep(Duration::from_secs_f64(0.4 * draws.next()));
        let chosen = (draws.next() * 2.0) as usize;
        if workers[chosen].0.try_wait().unwrap().is_some() {
            break;
        }
        if draws.next() < 0.5 {
            workers[chosen].signal(Signal::SIGSTOP);
            // Sometimes for longer than a lease lasts.
            std::thread::sleep(Duration::from_secs_f64(1.2 * draws.next()));
            workers[chosen].signal(Signal::SIGCONT);
            weather.stops += 1;
            continue;
        }
        weather.kills += usize::from(workers[chosen].kill());
        if weather.cut == 0 || draws.next() < 0.4 {
            // Power loss: all processes die, and unsynced files are truncated.
            weather.kills += usize::from(workers[1 - chosen].kill());
            weather.cut += lose_power(project, draws);
            workers[1 - chosen] = Worker::start(project);
        }
        workers[chosen] = Worker::start(project);
    }
    // A worker that ends by itself has finished all work and succeeds.
    for worker in &mut workers {
        let status = worker.0.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{}", project.read("said.txt"));
    }
}

fn storm(kills: usize, seed: u64) {
    let (seeds, steps) = (4, 30);
    let (expected, _) = undisturbed(seeds, steps);
    let (mut draws, mut weather) = (Draws(seed), Weather::default());
    let mut digests = 0;
    while weather.kills < kills {
        let project = sweep(seeds, steps);
        one(&project, &mut draws, &mut weather, kills);
        // A single process afterwards finds everything done.
        let last = project.run(&arguments(&[])).success();
        assert_eq!(
            number_before(&last.stderr, "cached"),
            seeds,
            "{}",
            last.stderr
        );
        // Leftovers of killed processes become garbage after a while.
        age(&project.path().join(".specbook"), 2);
        project.run(&["store", "gc", "--yes"]).success();
        assert_whole(&project, &expected, &format!("{weather:?}, seed {seed}"));
        digests += expected.len();
        println!("{weather:?}, {digests} files equal");
    }
    // Every kind of fault must have occurred at least once.
    assert!(
        weather.stops > 0 && weather.cut > 0 && weather.cleaned > 0,
        "{weather:?}"
    );
}

#[test]
fn a_short_storm_changes_no_bit() {
    storm(8, 3);
}

/// 200 kills, or `SPECBOOK_KILLS`, at moments drawn from `SPECBOOK_SEED`.
#[test]
#[ignore = "minutes"]
fn a_long_storm_changes_no_bit() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    storm(
        number("SPECBOOK_KILLS").unwrap_or(200) as usize,
        number("SPECBOOK_SEED").unwrap_or(4),
    );
}
