//! Simulates a large sweep with a fake clock: the store operations of 500 workers, the duration, and the cost of
//! faults. The chunks are those of `submit`, the operations of a run are counted on a real store, and the timing of
//! leases is that of tasks.

use super::*;
use crate::fsx::{FaultFs, LeaseTiming, RealFs};
use crate::rng::{Purpose, Stream};
use crate::scheduler::Options;
use crate::scheduler::testing::{SmallWork, go_with, options, plan, store_on};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::time::Duration;

/// The simulated setup.
#[derive(Clone, Copy)]
struct Setting {
    runs: usize,
    workers: usize,
    timing: LeaseTiming,
    /// One in this many tasks is killed once; `None`: no faults.
    killed: Option<u64>,
    /// Whether a requeued task immediately takes over its leases, as job names in leases allow.
    names_jobs: bool,
}

/// The results.
#[derive(Debug)]
struct Outcome {
    seconds: f64,
    /// Share of all workers' time spent on training that was not lost.
    useful: f64,
    /// Mean heartbeats per second.
    beats: f64,
    /// Store operations per second: mean, and in the busiest second after the first minute.
    operations: [f64; 2],
    /// Seconds of repeated training, and seconds of waiting for stale leases.
    lost: [f64; 2],
}

/// Seconds between checkpoints.
const CHECKPOINT: f64 = 30.0;
/// Seconds until a queue restarts a task.
const REQUEUED: f64 = 120.0;
/// Minimum seconds per task, as in `submit`.
const TASK: f64 = 1800.0;

/// Store operations of one run, from the first lookup to its evaluation, without heartbeats.
fn operations_of_a_run() -> u64 {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::counting(Arc::new(RealFs::without_sync()));
    let store = store_on(dir.path(), Arc::new(fs.clone()));
    let alone = Options {
        checkpoint_every: Duration::from_secs(30),
        ..options()
    };
    let summary = go_with(&store, &plan(1, 4), alone, &SmallWork::default()).unwrap();
    assert_eq!(summary.trained, 1);
    fs.operations()
}

fn simulate(setting: Setting, per_run: u64) -> Outcome {
    let draws = Stream::new(1, Purpose::Corpus, 0);
    // From one to eleven minutes.
    let length = |run: usize| 60.0 + draws.below(run as u64, 600) as f64;
    let pieces: Vec<Piece<usize>> = (0..setting.runs)
        .map(|run| Piece {
            run,
            seconds: Some(length(run)),
        })
        .collect();
    let tasks: Vec<f64> = chunks(&pieces, TASK)
        .iter()
        .map(|chunk| chunk.iter().map(|piece| length(piece.run)).sum())
        .collect();
    let counts: Vec<usize> = chunks(&pieces, TASK).iter().map(Vec::len).collect();
    let beat = setting.timing.beat.as_secs_f64();
    let mut seconds = vec![0_u64; 1 << 17];
    let mut lost = [0.0, 0.0];
    let (mut beats, mut end) = (0_u64, 0.0_f64);
    // When each worker is free; tasks wait in order, killed ones with their remaining work.
    let mut workers: BinaryHeap<Reverse<u64>> = (0..setting.workers).map(|_| Reverse(0)).collect();
    let mut waiting: std::collections::VecDeque<(usize, f64, f64, bool)> = tasks
        .iter()
        .enumerate()
        .map(|(task, length)| (task, *length, 0.0, false))
        .collect();
    while let Some((task, left, not_before, again)) = waiting.pop_front() {
        let Reverse(free) = workers.pop().unwrap();
        let mut begin = (free as f64 / 1000.0).max(not_before);
        if again && !setting.names_jobs {
            let wait = setting.timing.stale.as_secs_f64();
            lost[1] += wait;
            begin += wait;
        }
        let dies = setting
            .killed
            .is_some_and(|one_in| !again && draws.below(1_000_000 + task as u64, one_in) == 0);
        let share = draws.below(2_000_000 + task as u64, 1000) as f64 / 1000.0;
        let works = if dies { left * share } else { left };
        let stop = begin + works;
        for number in 1..=(works / beat) as u64 {
            seconds[(begin + number as f64 * beat) as usize] += 1;
            beats += 1;
        }
        // The runs of a task are sequential.
        for run in 0..counts[task] {
            let at = begin + works * run as f64 / counts[task] as f64;
            seconds[at as usize] += per_run;
        }
        if dies {
            let saved = (works / CHECKPOINT).floor() * CHECKPOINT;
            lost[0] += works - saved;
            waiting.push_back((task, left - saved, stop + REQUEUED, true));
        }
        end = end.max(stop);
        workers.push(Reverse((stop * 1000.0) as u64));
    }
    let all: u64 = seconds.iter().sum();
    let work: f64 = tasks.iter().sum();
    Outcome {
        seconds: end,
        useful: work / (end * setting.workers as f64),
        beats: beats as f64 / end,
        operations: [
            all as f64 / end,
            *seconds[60..].iter().max().unwrap() as f64,
        ],
        lost,
    }
}

#[test]
fn ten_thousand_runs_by_five_hundred_workers() {
    let per_run = operations_of_a_run();
    let calm = Setting {
        runs: 10_000,
        workers: 500,
        timing: LeaseTiming::GENTLE,
        killed: None,
        names_jobs: true,
    };
    let hasty = Setting {
        timing: LeaseTiming::default(),
        ..calm
    };
    let faulty = Setting {
        killed: Some(20),
        ..calm
    };
    let nameless = Setting {
        names_jobs: false,
        ..faulty
    };
    let [calm, hasty, faulty, nameless] =
        [calm, hasty, faulty, nameless].map(|setting| simulate(setting, per_run));
    println!(
        "{per_run} operations a run\ncalm {calm:?}\nevery 2 s {hasty:?}\none in 20 killed {faulty:?}\nleases without jobs {nameless:?}"
    );
    // With a heartbeat of 30 s, 500 workers write 500 / 30 times per second; with 2 s, fifteen times as often.
    assert!(calm.beats < 17.0, "{calm:?}");
    assert!(hasty.beats > 10.0 * calm.beats, "{hasty:?}");
    // The rest is the runs' own operations; whole sweeps stay within the capacity of one file server.
    assert!(calm.operations[0] < 300.0, "{calm:?}");
    // Longest first: the workers end at nearly the same time.
    assert!(calm.useful > 0.9, "{calm:?}");
    // A killed task costs at most the time since its last checkpoint, and job names avoid waiting for its lease.
    let killed = nameless.lost[1] / LeaseTiming::GENTLE.stale.as_secs_f64();
    assert!(
        killed > 20.0 && faulty.lost[0] <= killed * CHECKPOINT,
        "{faulty:?}"
    );
    assert_eq!(faulty.lost[1], 0.0);
    assert!(faulty.seconds < calm.seconds * 1.3, "{faulty:?}");
}
