//! Damage: any file of a store truncated at any byte, or with one bit flipped, is detected when used, and repaired.
//!
//! The default test run tries some positions in every file, `cargo test damage -- --ignored` every byte.

use super::super::testing::*;
use super::super::*;
use crate::plan::Plan;
use crate::store::{Verification, verify};
use crate::train::FakeEngine;
use std::fs;
use std::path::Path;

/// The text truncated at a byte, or with one of its bits flipped, at about `tries` positions including the first and
/// the last.
fn mutations(text: &[u8], tries: usize) -> Vec<(String, Vec<u8>)> {
    let step = text.len().div_ceil(tries).max(1);
    let mut places: Vec<usize> = (0..text.len()).step_by(step).collect();
    places.extend(text.len().checked_sub(1));
    places.dedup();
    let mut all = Vec::new();
    for at in places {
        all.push((format!("cut at {at}"), text[..at].to_vec()));
        let bit = (at * 5 + 2) % 8;
        let mut flipped = text.to_vec();
        flipped[at] ^= 1 << bit;
        // A digit of a digest in upper case means the same; nothing is damaged.
        let same = bit == 5 && text[at].is_ascii_lowercase();
        if !same {
            all.push((format!("bit {bit} of byte {at} flipped"), flipped));
        }
    }
    all
}

/// Runs the plan again; returns its summary and the number of warnings.
fn again(dir: &Path, plan: &Plan, paranoid: bool) -> (Summary, usize) {
    let warned = Mutex::new(0);
    let events = |event: Event<'_>| {
        if let Event::Warning(_) = event {
            *warned.lock().unwrap() += 1;
        }
    };
    let scheduler = Scheduler {
        store: &store(dir),
        engine: &FakeEngine::default(),
        options: Options {
            paranoid,
            ..options()
        },
    };
    let stop = AtomicBool::new(false);
    let summary = scheduler.run(plan, &SmallWork::default(), &events, &stop);
    let warned = warned.into_inner().unwrap();
    (summary.unwrap(), warned)
}

fn verified(dir: &Path) -> Verification {
    verify(&store(dir)).unwrap()
}

fn finished_files_heal(tries: usize) {
    let dir = tempfile::tempdir().unwrap();
    let plan = plan(1, 2);
    go(&store(dir.path()), &plan).unwrap();
    let expected = fingerprint(&store(dir.path()), &plan);
    let paths = files(dir.path());
    assert_eq!(paths.len(), 10);
    let mut tried = 0;
    for path in paths {
        let original = fs::read(&path).unwrap();
        for (what, bytes) in mutations(&original, tries) {
            let context = format!("{}: {what}", path.display());
            fs::write(&path, &bytes).unwrap();
            assert_eq!(verified(dir.path()).problems.len(), 1, "{context}");
            let (summary, warned) = again(dir.path(), &plan, true);
            assert!(summary.is_complete() && warned > 0, "{context}");
            assert_eq!(
                fingerprint(&store(dir.path()), &plan),
                expected,
                "{context}"
            );
            assert_eq!(verified(dir.path()).problems, [], "{context}");
            tried += 1;
        }
    }
    let kept = fs::read_dir(dir.path().join("damaged")).unwrap().count();
    assert_eq!(kept, tried, "what is damaged is kept");
    println!("{tried} damaged files noticed and healed");
}

#[test]
fn damage_to_any_file_of_a_finished_run_is_noticed_and_heals() {
    finished_files_heal(5);
}

#[test]
#[ignore = "minutes"]
fn damage_at_every_byte_of_a_finished_run_is_noticed_and_heals() {
    finished_files_heal(usize::MAX);
}

/// Stops a run of four steps after its second, with a checkpoint.
fn begun(dir: &Path, plan: &Plan) {
    let stop = AtomicBool::new(false);
    let events = |event: Event<'_>| {
        if matches!(event, Event::Step { point, .. } if point.step == 2) {
            stop.store(true, Ordering::SeqCst);
        }
    };
    let scheduler = Scheduler {
        store: &store(dir),
        engine: &FakeEngine::default(),
        options: options(),
    };
    let summary = scheduler.run(plan, &SmallWork::default(), &events, &stop);
    assert_eq!(summary.unwrap().stopped.len(), 1);
}

fn begun_files_heal(tries: usize) {
    let plan = plan(1, 4);
    let straight = tempfile::tempdir().unwrap();
    go(&store(straight.path()), &plan).unwrap();
    let expected = fingerprint(&store(straight.path()), &plan);
    let template = tempfile::tempdir().unwrap();
    begun(template.path(), &plan);
    let names: Vec<_> = files(template.path())
        .iter()
        .map(|path| path.strip_prefix(template.path()).unwrap().to_owned())
        .collect();
    assert_eq!(names.len(), 6, "{names:?}");
    let (mut tried, mut restarted) = (0, 0);
    for name in &names {
        let original = fs::read(template.path().join(name)).unwrap();
        for (what, bytes) in mutations(&original, tries) {
            let context = format!("{}: {what}", name.display());
            let dir = tempfile::tempdir().unwrap();
            copy(template.path(), dir.path());
            fs::write(dir.path().join(name), bytes).unwrap();
            let (summary, warned) = again(dir.path(), &plan, false);
            assert!(summary.is_complete(), "{context}");
            // Training never continues from untrusted files; key, log and times do not affect results.
            let trusted = ["key.json", "log.txt", "timing.jsonl"]
                .iter()
                .any(|other| name.ends_with(other));
            assert_eq!(summary.steps, if trusted { 2 } else { 4 }, "{context}");
            assert!(trusted || warned > 0, "{context}");
            assert_eq!(
                fingerprint(&store(dir.path()), &plan),
                expected,
                "{context}"
            );
            assert_eq!(verified(dir.path()).problems, [], "{context}");
            tried += 1;
            restarted += usize::from(!trusted);
        }
    }
    println!(
        "{tried} damaged files of a run in the making, {restarted} of them noticed, all healed"
    );
}

fn copy(from: &Path, to: &Path) {
    for path in files(from) {
        let target = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(path, target).unwrap();
    }
}

#[test]
fn damage_to_any_file_of_a_run_in_the_making_heals() {
    begun_files_heal(3);
}

#[test]
#[ignore = "minutes"]
fn damage_at_every_byte_of_a_run_in_the_making_heals() {
    begun_files_heal(usize::MAX);
}

#[test]
fn damaged_weights_are_noticed_when_an_evaluation_needs_them() {
    let (dir, plan) = (tempfile::tempdir().unwrap(), plan(1, 2));
    go(&store(dir.path()), &plan).unwrap();
    let expected = fingerprint(&store(dir.path()), &plan);
    let id = plan.runs[0].id;
    let path = store(dir.path()).run_dir(&id).join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(matches!(
        store(dir.path()).weights(&id),
        Err(StoreError::Damaged { .. })
    ));
    // While nothing needs the contents, only sizes are checked.
    assert_eq!(again(dir.path(), &plan, false).0.trained, 0);
    fs::remove_dir_all(dir.path().join("evals-v1")).unwrap();
    let (summary, warned) = again(dir.path(), &plan, false);
    assert_eq!((summary.trained, summary.evaluated), (1, 1));
    assert!(warned > 0);
    assert_eq!(fingerprint(&store(dir.path()), &plan), expected);
    assert_eq!(verified(dir.path()).problems, []);
}

#[test]
fn a_copied_store_has_the_same_runs_and_bits() {
    let (dir, plan) = (tempfile::tempdir().unwrap(), plan(2, 3));
    go(&store(dir.path()), &plan).unwrap();
    let other = tempfile::tempdir().unwrap();
    let root = other.path().join("elsewhere");
    copy(dir.path(), &root);
    assert_eq!(
        fingerprint(&store(&root), &plan),
        fingerprint(&store(dir.path()), &plan)
    );
    assert_eq!(verified(&root).problems, []);
    let (summary, _) = again(&root, &plan, true);
    assert_eq!((summary.cached, summary.steps), (2, 0));
}
