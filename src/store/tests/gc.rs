//! What may be removed and what stays, also while other processes work.

use super::*;
use crate::digest::Sha256Hex;
use crate::fsx::AnyPath;
use crate::plan::Plan;
#[cfg(unix)]
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);

/// Options that protect nothing for being young.
fn at_once() -> GcOptions {
    GcOptions {
        grace: Grace {
            finished: Duration::ZERO,
            unfinished: Duration::ZERO,
        },
        ..GcOptions::default()
    }
}

fn manifest(plan: &Plan, place: impl Into<PathBuf>, text: &str) -> Manifest {
    let digest = Sha256Hex::of(text.as_bytes());
    Manifest::new(plan, Some(AnyPath(place.into())), digest, Vec::new())
}

#[cfg(unix)]
fn not_utf8(path: &'static [u8]) -> &'static OsStr {
    std::os::unix::ffi::OsStrExt::from_bytes(path)
}

/// The plan with only one of its runs.
fn only(plan: &Plan, run: usize) -> Plan {
    Plan {
        runs: vec![plan.runs[run].clone()],
        ..plan.clone()
    }
}

fn kinds(garbage: &[Garbage]) -> Vec<GarbageKind> {
    garbage.iter().map(|item| item.kind).collect()
}

/// Makes a file, or all files in a folder, this old.
fn age_by(path: &Path, old: Duration) {
    let time = SystemTime::now() - old;
    for file in match path.is_dir() {
        true => testing::files(path),
        false => vec![path.to_path_buf()],
    } {
        let file = fs::File::options().write(true).open(file).unwrap();
        file.set_modified(time).unwrap();
    }
}

#[test]
fn garbage_is_what_no_plan_refers_to() {
    let (_dir, store, plan) = finished();
    let kept = manifest(&only(&plan, 0), "specs/a.yaml", "a");
    store.put_plan(&kept).unwrap();
    let garbage = gc(&store, &at_once()).unwrap();
    assert_eq!(kinds(&garbage), [GarbageKind::Run, GarbageKind::Eval]);
    assert_eq!(garbage[0].name.as_deref(), Some("small/seed=1"));
    let rooted = GcOptions {
        runs: [plan.runs[1].id].into(),
        evals: [plan.runs[1].eval_id].into(),
        ..at_once()
    };
    assert_eq!(gc(&store, &rooted).unwrap(), []);
    let before = du(&store).unwrap();
    assert_eq!((before["runs"].entries, before["weights"].entries), (2, 2));
    let removed = remove_garbage(&store, &at_once(), &garbage).unwrap();
    assert_eq!(removed.failed, [""; 0]);
    let after = du(&store).unwrap();
    let bytes = |usage: &std::collections::BTreeMap<&str, Usage>| {
        usage["runs"].bytes + usage["evals"].bytes
    };
    assert_eq!(bytes(&before) - bytes(&after), removed.bytes);
    assert_eq!(verify(&store).unwrap().problems, []);
    assert_eq!(store.list().unwrap().len(), 1);
}

/// Two projects with specs of the same name, two texts of one spec, other overrides: each keeps its runs.
#[test]
fn every_plan_that_was_run_keeps_its_runs() {
    let (_dir, store, plan) = finished();
    let (first, second) = (only(&plan, 0), only(&plan, 1));
    for (one, other) in [
        (
            manifest(&first, "../alice/tiny.yaml", "text"),
            manifest(&second, "../bob/tiny.yaml", "text"),
        ),
        (
            manifest(&first, "../specs/tiny.yaml", "before"),
            manifest(&second, "../specs/tiny.yaml", "edited"),
        ),
        (
            manifest(&first, "../specs/tiny.yaml", "text"),
            Manifest {
                overrides: vec!["model.dim=8".to_owned()],
                ..manifest(&second, "../specs/tiny.yaml", "text")
            },
        ),
        #[cfg(unix)]
        (
            manifest(&first, not_utf8(b"../caf\xe9/tiny.yaml"), "text"),
            manifest(&second, not_utf8(b"../caf\xe8/tiny.yaml"), "text"),
        ),
    ] {
        let paths = [&one, &other].map(|plan| store.put_plan(plan).unwrap());
        assert_ne!(paths[0], paths[1]);
        assert_eq!(gc(&store, &at_once()).unwrap(), []);
        // A name means the run of the most recently run plan.
        age_by(&paths[0], HOUR);
        let mut plans = store.plans().unwrap();
        assert_eq!(plans.remove(0).runs, other.runs);
        for path in paths {
            fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn a_name_means_the_text_of_a_spec_that_was_run_last() {
    let (_dir, store, plan) = finished();
    let [mut before, mut after] = [only(&plan, 0), only(&plan, 1)];
    before.runs[0].name = "one".to_owned();
    after.runs[0].name = "one".to_owned();
    let old = store.put_plan(&manifest(&before, "a.yaml", "before"));
    age_by(&old.unwrap(), HOUR);
    store
        .put_plan(&manifest(&after, "a.yaml", "after"))
        .unwrap();
    assert_eq!(store.resolve("small/one").unwrap(), plan.runs[1].id);
    // In another project, it is another run.
    store
        .put_plan(&manifest(&before, "b.yaml", "before"))
        .unwrap();
    assert!(matches!(
        store.resolve("small/one"),
        Err(StoreError::Ambiguous { .. })
    ));
}

#[test]
fn plans_are_let_go_only_when_asked_and_after_a_while() {
    let (_dir, store, plan) = finished();
    let path = store.put_plan(&manifest(&plan, "gone.yaml", "a")).unwrap();
    let days = |days: u32| GcOptions {
        unused_for: Some(24 * HOUR * days),
        ..GcOptions::default()
    };
    for run in &plan.runs {
        age_by(&store.run_dir(&run.id), 40 * 24 * HOUR);
        age_by(&store.layout.eval(&run.eval_id), 40 * 24 * HOUR);
    }
    age_by(&path, HOUR / 2);
    assert_eq!(gc(&store, &days(0)).unwrap(), [], "it was just run");
    age_by(&path, 30 * 24 * HOUR);
    assert_eq!(gc(&store, &GcOptions::default()).unwrap(), []);
    assert_eq!(gc(&store, &days(31)).unwrap(), []);
    let listed = gc(&store, &days(29)).unwrap();
    let (plans, runs, evals) = (GarbageKind::Plan, GarbageKind::Run, GarbageKind::Eval);
    assert_eq!(kinds(&listed), [plans, runs, runs, evals, evals]);
    assert_eq!(listed[0].name.as_deref(), Some("small (desk) of gone.yaml"));
    // While somebody reads the list, the plan is run again.
    store.put_plan(&manifest(&plan, "gone.yaml", "a")).unwrap();
    assert_eq!(remove_garbage(&store, &days(29), &listed).unwrap().bytes, 0);
    assert_eq!(store.take_warnings().len(), 5);
    assert!(path.exists() && store.has_run(&plan.runs[0].id));
    age_by(&path, 30 * 24 * HOUR);
    remove_garbage(&store, &days(29), &listed).unwrap();
    assert_eq!(store.list().unwrap(), []);
    assert_eq!(gc(&store, &at_once()).unwrap(), []);
}

#[test]
fn what_is_young_stays() {
    let (_dir, store, plan) = finished();
    let ids = |run: usize| (plan.runs[run].id, plan.runs[run].eval_id);
    let (run, eval) = ids(0);
    age_by(&store.run_dir(&run), HOUR - Duration::from_secs(20));
    age_by(&store.layout.eval(&eval), HOUR - Duration::from_secs(20));
    assert_eq!(gc(&store, &GcOptions::default()).unwrap(), []);
    age_by(&store.run_dir(&run), HOUR);
    age_by(&store.layout.eval(&eval), HOUR);
    let listed = gc(&store, &GcOptions::default()).unwrap();
    assert_eq!(kinds(&listed), [GarbageKind::Run, GarbageKind::Eval]);
    // A run made anew since it was listed is young again.
    age_by(&store.run_dir(&run), Duration::ZERO);
    let removed = remove_garbage(&store, &GcOptions::default(), &listed).unwrap();
    assert!(removed.bytes > 0 && store.has_run(&run));
    assert_eq!(store.take_warnings().len(), 1);
    assert_eq!(store.eval(&eval).unwrap(), None);
}

#[test]
fn what_a_plan_that_began_meanwhile_needs_stays() {
    let (_dir, store, plan) = finished();
    let listed = gc(&store, &at_once()).unwrap();
    assert_eq!(listed.len(), 4);
    store
        .put_plan(&manifest(&only(&plan, 1), "b.yaml", "b"))
        .unwrap();
    remove_garbage(&store, &at_once(), &listed).unwrap();
    assert!(!store.has_run(&plan.runs[0].id) && store.has_run(&plan.runs[1].id));
    assert!(store.eval(&plan.runs[1].eval_id).unwrap().is_some());
}

#[test]
fn what_a_process_makes_is_no_garbage_and_what_a_killed_one_left_is() {
    let (dir, store, plan) = finished();
    let store = store.with_lease_timing(LeaseTiming::default());
    let [first, second] = [plan.runs[0].id, plan.runs[1].id];
    let found = || gc(&store, &at_once()).unwrap();
    let listed = found();
    assert_eq!(listed.len(), 4, "no plan refers to anything");
    let other = testing::store(dir.path());
    let lease = other.lease(&first).unwrap().unwrap();
    remove_garbage(&store, &at_once(), &listed).unwrap();
    assert!(store.has_run(&first) && !store.has_run(&second));
    assert_eq!(store.take_warnings().len(), 1);
    assert_eq!(found(), [], "the run whose lease somebody has");
    drop(lease);
    let gone = store
        .run_dir(&first)
        .with_file_name(format!("{first}.work-gone"));
    fs::create_dir_all(gone.join("checkpoint")).unwrap();
    assert_eq!(kinds(&found()), [GarbageKind::Run, GarbageKind::Temporary]);
    remove_garbage(&store, &at_once(), &found()).unwrap();
    assert_eq!(found(), []);
    assert!(!gone.exists() && !store.has_run(&first));
}

/// After a power loss, no process is known to be dead, so the times of files decide.
#[test]
fn leases_and_temporary_files_of_another_boot_are_found_everywhere() {
    let (dir, store, plan) = finished();
    let store = store.with_lease_timing(LeaseTiming::default());
    store.put_plan(&manifest(&plan, "a.yaml", "a")).unwrap();
    let run = plan.runs[0].id;
    let lost = Sha256Hex::of(b"a run of no plan").to_string();
    let shard = format!("runs-v1/{}", &lost[..2]);
    let eval = store.layout.eval(&plan.runs[0].eval_id);
    let eval = eval.strip_prefix(dir.path()).unwrap().display();
    let names = [
        ".tmp-0123-1-calibration.json".to_owned(),
        "gc.claim-3".to_owned(),
        "runs-v1/.tmp-1".to_owned(),
        format!("{shard}/.tmp-2"),
        format!("{shard}/{lost}.claim-4"),
        format!("{shard}/{lost}.work-4/metrics.jsonl"),
        format!("{shard}/{lost}.4.work-gone/record.json"),
        format!("evals-v1/{}/.tmp-3", &lost[..2]),
        format!("{eval}.work-0123456789abcdef-ffff_1_2/key.json"),
        "tokens-v1/.tmp-4".to_owned(),
        "tokens-v1/.tmpXyZ".to_owned(),
        "tokens-v1/bpe/.tmp-5".to_owned(),
        "tokens-v1/bpe/0123.claim-1".to_owned(),
        "tokens-v1/slices/01/.tmp-6".to_owned(),
        "plans-v1/.tmp-7".to_owned(),
        "damaged/.tmp-8/record.json".to_owned(),
    ];
    let paths: Vec<PathBuf> = names.iter().map(|name| dir.path().join(name)).collect();
    for path in &paths {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "0123456789abcdef ffffffffffffffff:1:1 7\n").unwrap();
    }
    assert_eq!(gc(&store, &GcOptions::default()).unwrap(), []);
    for path in &paths {
        age_by(path, 2 * HOUR);
    }
    let listed = gc(&store, &GcOptions::default()).unwrap();
    assert_eq!(listed.len(), paths.len(), "{listed:#?}");
    let removed = remove_garbage(&store, &GcOptions::default(), &listed).unwrap();
    assert_eq!(removed.failed, [""; 0]);
    for path in &paths {
        assert!(!path.exists(), "{}", path.display());
    }
    assert!(!dir.path().join("damaged/.tmp-8").exists());
    assert_eq!(gc(&store, &GcOptions::default()).unwrap(), []);
    assert!(store.has_run(&run) && verify(&store).unwrap().problems.is_empty());
}

/// An unreadable manifest might refer to every run: none is removed, and everything else continues to work.
#[test]
fn an_unreadable_manifest_keeps_all_runs() {
    let (dir, store, plan) = finished();
    let path = store.put_plan(&manifest(&plan, "a.yaml", "a")).unwrap();
    fs::write(&path, "{}").unwrap();
    fs::write(dir.path().join(".tmp-1"), "{").unwrap();
    let listed = gc(&store, &at_once()).unwrap();
    assert_eq!(kinds(&listed), [GarbageKind::Temporary]);
    assert_eq!(store.take_warnings().len(), 1);
    let options = GcOptions {
        damaged: true,
        ..at_once()
    };
    let listed = gc(&store, &options).unwrap();
    assert_eq!(
        kinds(&listed),
        [GarbageKind::Damaged, GarbageKind::Temporary]
    );
    remove_garbage(&store, &options, &listed).unwrap();
    assert_eq!(gc(&store, &at_once()).unwrap().len(), 4);
}

#[test]
fn models_go_only_when_asked_and_where_no_plan_begins_with_them() {
    let (_dir, store, plan) = finished();
    let [named, other] = [1.0, 2.0].map(|value| imported(&store, value));
    let mut begins = only(&plan, 0);
    begins.runs[0].settings.train.init_from = Some(named.id);
    let path = store.put_plan(&manifest(&begins, "a.yaml", "a")).unwrap();
    let models = |options: &GcOptions| -> Vec<PathBuf> {
        let garbage = gc(&store, options).unwrap();
        let models = garbage
            .iter()
            .filter(|item| item.kind == GarbageKind::Model);
        models.map(|item| item.path.clone()).collect()
    };
    let asked = |grace| GcOptions {
        imported: true,
        grace,
        ..GcOptions::default()
    };
    let none = at_once().grace;
    assert_eq!(models(&at_once()), [] as [PathBuf; 0]);
    assert_eq!(models(&asked(none)), [model_dir(&store, &other)]);
    assert_eq!(
        models(&asked(Grace::default())),
        [] as [PathBuf; 0],
        "young"
    );
    let kept = GcOptions {
        models: [other.id].into(),
        ..asked(none)
    };
    assert_eq!(models(&kept), [] as [PathBuf; 0]);
    // An older manifest does not state which models it needs, and an unreadable one may need any.
    let of_before = Manifest {
        models: None,
        ..manifest(&plan, "b.yaml", "b")
    };
    let of_before = store.put_plan(&of_before).unwrap();
    assert_eq!(models(&asked(none)), [] as [PathBuf; 0]);
    fs::write(&of_before, "half").unwrap();
    assert_eq!(models(&asked(none)), [] as [PathBuf; 0]);
    fs::remove_file(of_before).unwrap();
    fs::remove_file(path).unwrap();
    assert_eq!(models(&asked(none)).len(), 2);
    store.take_warnings();
}

/// While the removal of a model is being confirmed, somebody imports it again, and somebody runs a plan that
/// starts from it.
#[test]
fn a_model_that_is_used_meanwhile_stays() {
    let (_dir, store, plan) = finished();
    let grace = GcOptions {
        imported: true,
        grace: Grace {
            finished: HOUR,
            unfinished: Duration::ZERO,
        },
        ..GcOptions::default()
    };
    let models: Vec<_> = [1.0, 2.0, 3.0].map(|value| imported(&store, value)).into();
    for model in &models {
        age_by(&model_dir(&store, model), 2 * HOUR);
    }
    age_by(&store.root().join("runs-v1"), Duration::ZERO);
    let garbage = gc(&store, &grace).unwrap();
    assert_eq!(kinds(&garbage), [GarbageKind::Model; 3]);
    imported(&store, 1.0);
    let mut begins = only(&plan, 0);
    begins.runs[0].settings.train.init_from = Some(models[1].id);
    store.put_plan(&manifest(&begins, "a.yaml", "a")).unwrap();
    remove_garbage(&store, &grace, &garbage).unwrap();
    let left: Vec<_> = store.models().unwrap().iter().map(|left| left.id).collect();
    assert!(left.contains(&models[0].id) && left.contains(&models[1].id));
    assert_eq!(left.len(), 2);
    assert_eq!(verify(&store).unwrap().problems, []);
    store.take_warnings();
}
