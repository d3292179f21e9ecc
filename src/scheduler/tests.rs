use super::testing::*;
use super::*;
use crate::record::RunStatus;
use crate::store::{Entry, LeaseTiming, verify};
use crate::train::FakeEngine;
use std::fs;

mod damage;

fn temp() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn the_second_run_trains_nothing() {
    let (dir, plan, work) = (temp(), plan(3, 4), SmallWork::default());
    let store = store(dir.path());
    let first = go_with(&store, &plan, options(), &work).unwrap();
    assert_eq!((first.trained, first.evaluated, first.steps), (3, 3, 12));
    for jobs in [1, 4] {
        let options = Options { jobs, ..options() };
        let second = go_with(&store, &plan, options, &work).unwrap();
        assert_eq!((second.cached, second.trained, second.steps), (3, 0, 0));
    }
    assert_eq!(work.prepared.load(Ordering::SeqCst), 3);
    assert_eq!(work.evaluated.load(Ordering::SeqCst), 3);
    assert_eq!(verify(&store).unwrap().problems, []);
    let files: Vec<_> = fs::read_dir(store.run_dir(&plan.runs[0].id))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(files.len(), 6, "{files:?}");
}

#[test]
fn equal_runs_train_once_and_a_lost_evaluation_does_not_train_again() {
    let dir = temp();
    let mut plan = plan(1, 2);
    plan.runs.push(Run {
        name: "twin".to_owned(),
        ..plan.runs[0].clone()
    });
    let store = store(dir.path());
    let summary = go(&store, &plan).unwrap();
    assert_eq!((summary.runs, summary.trained), (1, 1));
    plan.runs[1].eval_id = crate::record::EvalId(Sha256Hex::of(b"another prompt"));
    let summary = go(&store, &plan).unwrap();
    assert_eq!((summary.trained, summary.evaluated), (0, 1));
}

#[test]
fn stopped_at_each_step_it_ends_with_the_same_digests() {
    let plan = plan(1, 5);
    let whole = temp();
    let straight = store(whole.path());
    go(&straight, &plan).unwrap();
    for at in 1..=5 {
        let dir = temp();
        let store = store(dir.path());
        let stop = AtomicBool::new(false);
        let events = |event: Event<'_>| {
            if matches!(event, Event::Step { point, .. } if point.step == at) {
                stop.store(true, Ordering::SeqCst);
            }
        };
        let options = Options {
            checkpoint_every: Duration::from_secs(3600),
            ..options()
        };
        let scheduler = Scheduler {
            store: &store,
            engine: &FakeEngine::default(),
            options,
        };
        let first = scheduler
            .run(&plan, &SmallWork::default(), &events, &stop)
            .unwrap();
        let second = go(&store, &plan).unwrap();
        if at < 5 {
            assert_eq!(first.stopped, ["seed=0"]);
            assert_eq!((first.steps, second.steps), (at, 5 - at));
        } else {
            assert!(first.is_complete(), "nothing is left to stop");
        }
        assert_eq!(fingerprint(&store, &plan), fingerprint(&straight, &plan));
        assert_eq!(
            store.metrics(&plan.runs[0].id).unwrap(),
            straight.metrics(&plan.runs[0].id).unwrap()
        );
    }
}

#[test]
fn jobs_and_threads_change_no_digest() {
    let plan = plan(5, 3);
    let prints: Vec<_> = [(1, 1), (2, 3), (8, 2)]
        .iter()
        .map(|(jobs, threads)| {
            let dir = temp();
            let store = store(dir.path());
            let options = Options {
                jobs: *jobs,
                threads: *threads,
                ..options()
            };
            go_with(&store, &plan, options, &SmallWork::default()).unwrap();
            fingerprint(&store, &plan)
        })
        .collect();
    assert_eq!(prints[0], prints[1]);
    assert_eq!(prints[0], prints[2]);
}

#[test]
fn a_failure_is_recorded_and_the_others_go_on() {
    let (dir, plan) = (temp(), plan(2, 4));
    let store = store(dir.path());
    let engine = FakeEngine {
        diverge_at: Some(3),
        ..FakeEngine::default()
    };
    let tails = Mutex::new(Vec::new());
    let events = |event: Event<'_>| {
        if let Event::Failed { tail, log, .. } = event {
            assert!(log.unwrap().is_file());
            tails.lock().unwrap().push(tail.to_owned());
        }
    };
    let scheduler = Scheduler {
        store: &store,
        engine: &engine,
        options: options(),
    };
    let run = |scheduler: &Scheduler<'_>| {
        scheduler
            .run(
                &plan,
                &SmallWork::default(),
                &events,
                &AtomicBool::new(false),
            )
            .unwrap()
    };
    let summary = run(&scheduler);
    assert_eq!(summary.failed.len(), 2);
    insta::assert_snapshot!(summary.failed[0].1, @"training diverged at step 3: train/loss is NaN; the last good step is 2");
    let tail = tails.lock().unwrap()[0].clone();
    assert!(
        tail.ends_with(
            "failed: training diverged at step 3: train/loss is NaN; the last good step is 2"
        ),
        "{tail}"
    );
    let id = plan.runs[0].id;
    let record = store.record(&id).unwrap().unwrap();
    assert_eq!(record.failure.unwrap().last_good_step, Some(2));
    assert_eq!(store.status(&id).unwrap(), RunStatus::Failed);
    assert_eq!(verify(&store).unwrap().problems, []);
    // Without retrying, nothing is done; with retrying and a working engine, the run continues from its checkpoint.
    let patient = Scheduler {
        options: Options {
            retry_failed: false,
            ..options()
        },
        ..scheduler
    };
    let summary = run(&patient);
    assert_eq!((summary.failed.len(), summary.steps), (2, 0));
    let summary = go(&store, &plan).unwrap();
    assert_eq!((summary.trained, summary.steps), (2, 4));
    assert_eq!(store.status(&id).unwrap(), RunStatus::Cached);
}

#[test]
fn a_run_is_of_one_engine() {
    let (dir, plan) = (temp(), plan(1, 4));
    let store = store(dir.path());
    let begin = |engine: FakeEngine| {
        let started = Mutex::new(None);
        let events = |event: Event<'_>| {
            if let Event::Started { resumed_at, .. } = event {
                *started.lock().unwrap() = resumed_at;
            }
        };
        let scheduler = Scheduler {
            store: &store,
            engine: &engine,
            options: options(),
        };
        let stop = AtomicBool::new(false);
        let summary = scheduler.run(&plan, &SmallWork::default(), &events, &stop);
        (summary.unwrap().trained, started.into_inner().unwrap())
    };
    let failing = FakeEngine {
        diverge_at: Some(3),
        ..FakeEngine::default()
    };
    assert_eq!(begin(failing), (0, None));
    let other = FakeEngine {
        name: Some("another"),
        ..FakeEngine::default()
    };
    assert_eq!(
        begin(FakeEngine {
            diverge_at: Some(4),
            ..other
        }),
        (0, None),
        "not at step 2"
    );
    assert_eq!(begin(other), (1, Some(3)), "its own checkpoint");
    let aside: Vec<_> = files(&dir.path().join("damaged"));
    let is_state = |path: &&std::path::PathBuf| path.ends_with("state-2.safetensors");
    assert_eq!(aside.iter().filter(is_state).count(), 1, "{aside:?}");
    let record = store.record(&plan.runs[0].id).unwrap().unwrap();
    assert_eq!(record.numerics.engine, "another");
}

#[test]
fn fail_fast_and_missing_input() {
    let (dir, plan) = (temp(), plan(3, 2));
    let store = store(dir.path());
    let work = SmallWork {
        missing_input: true,
        ..SmallWork::default()
    };
    let options = Options {
        keep_going: false,
        ..options()
    };
    let summary = go_with(&store, &plan, options, &work).unwrap();
    assert_eq!(
        summary.failed,
        [("seed=0".to_owned(), "no such corpus".to_owned())]
    );
    assert_eq!(summary.stopped, ["seed=1", "seed=2"]);
}

#[test]
fn kept_checkpoints_are_part_of_the_record() {
    let (dir, plan) = (temp(), plan(1, 3));
    let store = store(dir.path());
    let options = Options {
        keep_checkpoints: true,
        ..options()
    };
    go_with(&store, &plan, options, &SmallWork::default()).unwrap();
    let record = store.record(&plan.runs[0].id).unwrap().unwrap();
    assert_eq!(record.files.len(), 7);
    let checkpoint = store.checkpoint(&plan.runs[0].id).unwrap().unwrap();
    assert_eq!(checkpoint.step, 3);
    assert_eq!(verify(&store).unwrap().problems, []);
}

#[test]
fn workers_on_one_folder_publish_each_run_once() {
    let (dir, plan) = (temp(), plan(6, 3));
    let trained = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let store = store(dir.path()).with_lease_timing(LeaseTiming::default());
                let events = |event: Event<'_>| {
                    if let Event::Trained { index, .. } = event {
                        trained.lock().unwrap().push(index);
                    }
                };
                let scheduler = Scheduler {
                    store: &store,
                    engine: &FakeEngine {
                        step_sleep: Duration::from_millis(2),
                        ..FakeEngine::default()
                    },
                    options: options(),
                };
                let stop = AtomicBool::new(false);
                let summary = scheduler
                    .run(&plan, &SmallWork::default(), &events, &stop)
                    .unwrap();
                assert!(summary.is_complete(), "{summary:?}");
            });
        }
    });
    let mut trained = trained.into_inner().unwrap();
    trained.sort_unstable();
    assert_eq!(trained, [0, 1, 2, 3, 4, 5]);
    assert_eq!(verify(&store(dir.path())).unwrap().problems, []);
}

#[test]
#[cfg_attr(windows, ignore = "wine replaces no file that a process holds open")]
fn a_former_owner_that_comes_back_discards_its_work() {
    let (dir, plan) = (temp(), plan(1, 4));
    let slow = store(dir.path());
    let events = |event: Event<'_>| {
        // Between two steps, the process is delayed for longer than a lease lasts, and another one does all the
        // work.
        if matches!(event, Event::Step { point, .. } if point.step == 2) {
            assert!(go(&store(dir.path()), &plan).unwrap().is_complete());
        }
    };
    let scheduler = Scheduler {
        store: &slow,
        engine: &FakeEngine::default(),
        options: options(),
    };
    let stop = AtomicBool::new(false);
    let summary = scheduler
        .run(&plan, &SmallWork::default(), &events, &stop)
        .unwrap();
    assert!(summary.is_complete(), "{summary:?}");
    assert_eq!(summary.trained, 0);
    assert_eq!(verify(&slow).unwrap().problems, []);
    assert_eq!(
        files(&dir.path().join("runs-v1")).len(),
        6,
        "no lease or work is left"
    );
    let entry = slow.entry(&plan.runs[0].id).unwrap();
    assert!(matches!(entry, Entry::Cached));
}

#[test]
fn a_run_that_is_stopped_while_it_is_prepared_has_not_failed() {
    let (dir, plan) = (temp(), plan(2, 2));
    let store = store(dir.path());
    let work = SmallWork {
        stops: true,
        ..SmallWork::default()
    };
    let summary = go_with(&store, &plan, options(), &work).unwrap();
    assert_eq!(summary.failed, []);
    assert_eq!(summary.stopped, ["seed=0", "seed=1"]);
    assert_eq!(verify(&store).unwrap().problems, []);
    for run in &plan.runs {
        assert!(store.record(&run.id).unwrap().is_none());
    }
    let summary = go(&store, &plan).unwrap();
    assert_eq!((summary.trained, summary.evaluated), (2, 2));
}
