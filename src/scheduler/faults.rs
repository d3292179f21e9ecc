//! What survives: every file operation of a small sweep fails, or is the last one of the process.
//!
//! The usual test run takes every [`SAMPLED`]th operation, `cargo test faults -- --ignored` all of them.

use super::testing::*;
use crate::fsx::{Fault, FaultFs, RealFs};
use crate::store::verify;
use std::sync::Arc;

/// One in so many operations is tried; odd, so that writes, syncs and renames, which follow one another in a rhythm, all are.
const SAMPLED: usize = 9;
/// All operations are tried.
const ALL: usize = 1;

fn inner() -> Arc<RealFs> {
    Arc::new(RealFs::without_sync())
}

/// Operations of an undisturbed sweep, and what it leaves.
fn undisturbed(runs: u64, steps: usize) -> (u64, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let fs = FaultFs::counting(inner());
    let plan = plan(runs, steps);
    let store = store_on(dir.path(), Arc::new(fs.clone()));
    assert!(go(&store, &plan).unwrap().is_complete());
    let count = fs.operations();
    (count, fingerprint(&store, &plan))
}

/// Lets one in `every` operations in turn suffer `fault`; then the next run must complete with the same digests.
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

/// One error, and a disk that is full from some moment on.
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
        // The head of a checkpoint is in place once its folder was synced after the rename.
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
