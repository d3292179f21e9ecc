//! Links and files in the place of a store's folders.

use super::*;
use crate::record::RunStatus;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Puts something else in the place of a folder.
type Intruder = fn(victim: &Path, place: &Path);

const INTRUDERS: [Intruder; 4] = [
    |victim, place| symlink(victim, place).unwrap(),
    |victim, place| symlink(victim.join("nowhere"), place).unwrap(),
    |_, place| fs::write(place, "mine").unwrap(),
    |_, place| nix::unistd::mkfifo(place, nix::sys::stat::Mode::S_IRWXU).unwrap(),
];

/// A store without the folder named by `of`, and with something else in its place.
fn intruded(
    of: impl Fn(&Store, &crate::plan::Plan) -> PathBuf,
    intruder: Intruder,
) -> (tempfile::TempDir, Store, crate::plan::Plan, PathBuf) {
    let (dir, store, plan) = finished();
    let (victim, place) = (dir.path().join("victim"), of(&store, &plan));
    fs::create_dir(&victim).unwrap();
    fs::write(victim.join("mine"), "mine").unwrap();
    if place.exists() {
        fs::remove_dir_all(&place).unwrap();
    }
    intruder(&victim, &place);
    (dir, store, plan, place)
}

fn is_untouched(dir: &tempfile::TempDir) -> bool {
    let victim = dir.path().join("victim");
    fs::read_dir(&victim).unwrap().count() == 1
        && fs::read_to_string(victim.join("mine")).unwrap() == "mine"
}

#[test]
fn what_stands_where_entries_lie_is_moved_aside_and_they_are_made_anew() {
    let run = |store: &Store, plan: &crate::plan::Plan| {
        let run = store.run_dir(&plan.runs[0].id);
        run.parent().unwrap().to_path_buf()
    };
    let eval = |store: &Store, plan: &crate::plan::Plan| {
        let eval = store.layout.eval(&plan.runs[0].eval_id);
        eval.parent().unwrap().to_path_buf()
    };
    for intruder in INTRUDERS {
        for of in [
            &run as &dyn Fn(&Store, &crate::plan::Plan) -> PathBuf,
            &eval,
        ] {
            let (dir, store, plan, place) = intruded(of, intruder);
            let ids: Vec<_> = plan.runs.iter().map(|run| run.id).collect();
            assert!(!verify(&store).unwrap().problems.is_empty());
            store.statuses(&ids).unwrap();
            store.list().unwrap();
            testing::go(&store, &plan).unwrap();
            let cached = |status: &RunStatus| *status == RunStatus::Cached;
            assert!(store.statuses(&ids).unwrap().iter().all(cached));
            assert!(store.has_eval(&plan.runs[0].eval_id).unwrap());
            assert!(fs::symlink_metadata(&place).unwrap().is_dir());
            let aside = fs::read_dir(store.layout.damaged(1)).unwrap();
            assert!(aside.count() == 1 && is_untouched(&dir));
        }
    }
}

#[test]
fn damaged_entries_find_a_place_where_something_else_has_the_name() {
    for intruder in INTRUDERS {
        let (dir, store, plan, place) = intruded(|store, _| store.layout.damaged(1), intruder);
        let there = fs::symlink_metadata(&place).unwrap().file_type();
        let record = store.run_dir(&plan.runs[0].id).join("record.json");
        fs::write(&record, "{}").unwrap();
        testing::go(&store, &plan).unwrap();
        assert_eq!(
            fs::read_dir(store.layout.damaged(2)).unwrap().count(),
            1,
            "the damaged run"
        );
        let options = GcOptions {
            damaged: true,
            ..GcOptions::default()
        };
        let listed = gc(&store, &options).unwrap();
        assert!(listed.iter().any(|item| item.kind == GarbageKind::Damaged));
        assert_eq!(du(&store).unwrap()["damaged"].entries, 1);
        assert_eq!(fs::symlink_metadata(&place).unwrap().file_type(), there);
        assert!(is_untouched(&dir));
    }
}

#[test]
fn a_link_in_place_of_plans_or_runs_is_an_error_and_removes_nothing() {
    for intruder in INTRUDERS {
        for folder in ["plans-v1", "runs-v1"] {
            let (dir, store, plan, _) = intruded(|store, _| store.root().join(folder), intruder);
            assert!(testing::go(&store, &plan).is_err() || folder == "plans-v1");
            let found = gc(&store, &GcOptions::default());
            let listed = found.map(|found| found.len()).unwrap_or_default();
            assert!(listed == 0 && is_untouched(&dir), "{folder}");
            assert!(!verify(&store).unwrap().problems.is_empty());
        }
    }
}

#[test]
fn sweeps_that_cannot_be_read_are_told_and_stop_nobody() {
    for intruder in INTRUDERS {
        let (dir, store, _, place) = intruded(|store, _| store.root().join("jobs-v1"), intruder);
        assert_eq!(store.entries(&place).unwrap(), Vec::new());
        let told = store.take_warnings().concat();
        assert!(told.contains(&place.display().to_string()), "{told}");
        assert!(is_untouched(&dir));
    }
}

#[test]
fn links_in_a_run_in_the_making_are_removed_and_it_is_made() {
    for name in ["log.txt", "metrics.jsonl", "timing.jsonl", "checkpoint"] {
        for intruder in INTRUDERS {
            let work = |store: &Store, plan: &crate::plan::Plan| {
                let run = store.run_dir(&plan.runs[0].id);
                let work = run.with_file_name(format!("{}.work-1", plan.runs[0].id));
                fs::rename(&run, &work).unwrap();
                fs::remove_file(work.join("record.json")).unwrap();
                if name != "checkpoint" {
                    fs::remove_file(work.join(name)).unwrap();
                }
                work.join(name)
            };
            let (dir, store, plan, _) = intruded(work, intruder);
            testing::go(&store, &plan).unwrap();
            let status = store.status(&plan.runs[0].id).unwrap();
            assert!(status == RunStatus::Cached && is_untouched(&dir), "{name}");
        }
    }
}

/// Names like those of leases and work folders, with numbers as nobody writes them.
#[test]
fn numbers_that_nobody_writes_do_not_stop_a_run() {
    for number in [
        "007",
        "0",
        "+1",
        "-1",
        "1 ",
        "18446744073709551615",
        "99999999999999999999",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (store, plan) = (testing::store(dir.path()), testing::plan(1, 1));
        let run = store.run_dir(&plan.runs[0].id);
        for mark in ["claim", "work"] {
            let path = run.with_file_name(format!("{}.{mark}-{number}", plan.runs[0].id));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match mark {
                "claim" => fs::write(path, "1 2 3").unwrap(),
                _ => fs::create_dir(path).unwrap(),
            }
        }
        testing::go(&store, &plan).unwrap();
        let status = store.status(&plan.runs[0].id).unwrap();
        assert_eq!(status, RunStatus::Cached, "{number}");
    }
}
