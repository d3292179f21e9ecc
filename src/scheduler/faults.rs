//! Fault injection: every file operation of a small sweep fails, or is the last one of the process.
//!
//! The default test run tries every [`SAMPLED`]th operation, `cargo test faults -- --ignored` all of them.

use super::testing::*;
use crate::fsx::{ClientFs, Fault, FaultFs, LeaseTiming, RealFs, Weather};
use crate::store::{GcOptions, gc, remove_garbage, verify};
use std::sync::Arc;
use std::time::Duration;

/// Sampling interval; odd, so that the repeating pattern of writes, syncs and renames is covered.
const SAMPLED: usize = 9;
/// Try all operations.
const ALL: usize = 1;

fn inner() -> Arc<RealFs> {
    Arc::new(RealFs::without_sync())
}

/// Number of operations in an undisturbed sweep, and its results.
fn undisturbed(runs: u64, steps: usize) -> (u64, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::counting(inner());
    let plan = plan(runs, steps);
    let store = store_on(dir.path(), Arc::new(fs.clone()));
    assert!(go(&store, &plan).unwrap().is_complete());
    let count = fs.operations();
    (count, fingerprint(&store, &plan))
}

/// Injects `fault` into one in `every` operations in turn; the next run must then complete with the same digests.
fn sweep(runs: u64, steps: usize, fault: Fault, every: usize) -> u64 {
    let (count, expected) = undisturbed(runs, steps);
    let plan = plan(runs, steps);
    let mut repeated = 0;
    for at in (0..count).step_by(every) {
        let dir = tempfile::tempdir().unwrap();
        let fs = FaultFs::new(inner(), at, fault);
        let broken = store_on(dir.path(), Arc::new(fs.clone()));
        let first = go(&broken, &plan);
        let what = fs.log().get(at as usize).cloned().unwrap_or_default();
        let context = format!("{fault:?} at {at}: {what}");
        if let Err(error) = &first {
            let text = crate::store::chain(error);
            assert!(text.contains("cannot ") && text.contains('`'), "{text}");
        }
        drop(broken);
        let whole = store(dir.path());
        let after = verify(&whole).unwrap();
        assert_eq!(after.problems, [], "{context}: the store is valid at once");
        let second = go(&whole, &plan).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert!(second.is_complete(), "{context}: {second:?}");
        assert_eq!(fingerprint(&whole, &plan), expected, "{context}");
        let found = verify(&whole).unwrap();
        assert_eq!(found.problems, [], "{context}");
        let left = whole.ids(true).unwrap().len();
        assert_eq!(left, plan.runs.len(), "{context}");
        repeated = repeated.max(second.steps);
    }
    assert!(repeated > 0);
    count
}

#[test]
fn killed_at_some_operations() {
    let count = sweep(2, 3, Fault::Kill, SAMPLED);
    assert!(count > 150, "{count} operations");
}

#[test]
#[ignore = "minutes"]
fn killed_at_every_operation() {
    sweep(2, 3, Fault::Kill, ALL);
}

/// Single errors, and a disk that becomes full.
const ERRORS: [Fault; 3] = [Fault::Fail(5), Fault::Fail(13), Fault::FailFrom(28)];

#[test]
fn an_error_at_some_operations() {
    for fault in ERRORS {
        sweep(1, 3, fault, SAMPLED);
    }
}

#[test]
#[ignore = "minutes"]
fn an_error_at_every_operation() {
    for fault in ERRORS {
        sweep(1, 3, fault, ALL);
    }
}

fn short_writes(every: usize) {
    let (count, expected) = undisturbed(1, 2);
    let plan = plan(1, 2);
    for at in (0..count).step_by(every) {
        let dir = tempfile::tempdir().unwrap();
        let fs = FaultFs::new(inner(), at, Fault::ShortWrite);
        let store = store_on(dir.path(), Arc::new(fs));
        assert!(go(&store, &plan).unwrap().is_complete());
        assert_eq!(fingerprint(&store, &plan), expected, "{at}");
    }
}

#[test]
fn short_writes_at_some_operations() {
    short_writes(SAMPLED);
}

#[test]
#[ignore = "minutes"]
fn short_writes_at_every_operation() {
    short_writes(ALL);
}

fn killed_runs_go_on(every: usize) {
    let plan = plan(1, 6);
    let (count, _) = undisturbed(1, 6);
    let (mut resumed, mut tried) = (0, 0);
    for at in (0..count).step_by(every) {
        let dir = tempfile::tempdir().unwrap();
        let fs = FaultFs::new(inner(), at, Fault::Kill);
        let broken = store_on(dir.path(), Arc::new(fs.clone()));
        assert!(go(&broken, &plan).is_err());
        let heads = fs.log();
        // The head of a checkpoint is durable once its folder is synced after the rename.
        let saved = heads
            .iter()
            .filter(|line| line.starts_with("rename") && line.contains("checkpoint.json"))
            .count() as u64;
        drop(broken);
        let again = go(&store(dir.path()), &plan).unwrap();
        // The rename that was killed did not happen.
        assert!(again.steps <= 6 - saved.saturating_sub(1).min(6), "{at}");
        resumed += u64::from(again.steps < 6);
        tried += 1;
    }
    assert!(resumed > tried / 2, "{resumed} of {tried}");
}

#[test]
fn a_killed_run_goes_on_from_its_checkpoint() {
    killed_runs_go_on(SAMPLED);
}

#[test]
#[ignore = "minutes"]
fn a_run_killed_at_any_operation_goes_on_from_its_checkpoint() {
    killed_runs_go_on(ALL);
}

/// Action of another process while one is delayed.
#[derive(Clone, Copy, Debug)]
enum Others {
    /// Another process makes all runs.
    Run,
    /// Another process removes what no plan refers to.
    Clean,
}

fn meanwhile(others: Others, dir: &std::path::Path, plan: &crate::plan::Plan) {
    // By then the lease is stale.
    std::thread::sleep(std::time::Duration::from_millis(4));
    let store = store(dir);
    match others {
        Others::Run => assert!(go(&store, plan).unwrap().is_complete()),
        Others::Clean => {
            let mut options = GcOptions::default();
            options.runs.extend(plan.runs.iter().map(|run| run.id));
            options
                .evals
                .extend(plan.runs.iter().map(|run| run.eval_id));
            options.grace.unfinished = std::time::Duration::ZERO;
            let garbage = gc(&store, &options).unwrap();
            remove_garbage(&store, &options, &garbage).unwrap();
        }
    }
}

/// A process delayed before one in `every` operations, for longer than its lease lasts, ends normally.
fn held_up(every: usize) {
    for others in [Others::Run, Others::Clean] {
        let (count, expected) = undisturbed(2, 3);
        let plan = plan(2, 3);
        for at in (0..count).step_by(every) {
            let dir = tempfile::tempdir().unwrap();
            let (root, all) = (dir.path().to_path_buf(), plan.clone());
            let fs = FaultFs::held_up(inner(), at, move || meanwhile(others, &root, &all));
            let slow = store_on(dir.path(), Arc::new(fs.clone()));
            let ended = go(&slow, &plan);
            let what = fs.log().get(at as usize).cloned().unwrap_or_default();
            let context = format!("{others:?} before {at}: {what}");
            let ended = ended.unwrap_or_else(|error| {
                panic!("{context}: {}", crate::store::chain(&error));
            });
            assert!(ended.is_complete(), "{context}: {ended:?}");
            assert_eq!(fingerprint(&slow, &plan), expected, "{context}");
            assert_eq!(verify(&slow).unwrap().problems, [], "{context}");
            assert_eq!(slow.ids(true).unwrap().len(), 2, "{context}");
            // A good entry is never taken for a damaged one.
            assert!(!dir.path().join("damaged").exists(), "{context}");
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "wine replaces no file that a process holds open")]
fn held_up_before_some_operations_a_process_ends_quietly() {
    held_up(SAMPLED);
}

#[test]
#[ignore = "minutes"]
fn held_up_before_any_operation_a_process_ends_quietly() {
    held_up(ALL);
}

/// 36 runs by eight processes on a file server under `weather` give the results of a single process.
fn on_a_file_server(weather: Weather) {
    let plan = plan(36, 3);
    let alone = tempfile::tempdir().unwrap();
    let alone = store(alone.path());
    assert!(go(&alone, &plan).unwrap().is_complete());
    let dir = tempfile::tempdir().unwrap();
    let timing = LeaseTiming {
        beat: Duration::from_millis(20),
        stale: Duration::from_millis(2000),
    };
    let clients: Vec<ClientFs> = (0..8).map(|_| ClientFs::new(inner(), weather)).collect();
    std::thread::scope(|scope| {
        for client in &clients {
            scope.spawn(|| {
                let store =
                    store_on(dir.path(), Arc::new(client.clone())).with_lease_timing(timing);
                let summary =
                    go(&store, &plan).unwrap_or_else(|error| panic!("{weather:?}: {error}"));
                assert!(summary.is_complete(), "{weather:?}: {summary:?}");
            });
        }
    });
    let suffered: u64 = clients.iter().map(ClientFs::suffered).sum();
    assert!(suffered > 100, "{weather:?}: only {suffered} times");
    let shared = store(dir.path());
    assert_eq!(
        fingerprint(&shared, &plan),
        fingerprint(&alone, &plan),
        "{weather:?}"
    );
    assert_eq!(verify(&shared).unwrap().problems, [], "{weather:?}");
    println!("{weather:?}: {suffered} times");
}

#[test]
#[cfg_attr(windows, ignore = "a file server as Unix sees it")]
fn stale_handles_of_a_file_server() {
    on_a_file_server(Weather::Stale(7));
}

#[test]
#[cfg_attr(windows, ignore = "a file server as Unix sees it")]
fn late_listings_of_a_file_server() {
    on_a_file_server(Weather::Late(Duration::from_millis(50)));
}

#[test]
#[cfg_attr(windows, ignore = "a file server as Unix sees it")]
fn lost_answers_of_a_file_server() {
    on_a_file_server(Weather::LostAnswers(5));
}
