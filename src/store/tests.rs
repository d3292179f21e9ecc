use super::*;
use crate::fsx::RealFs;
use crate::scheduler::testing;
#[cfg(unix)]
use crate::scheduler::{Event, Scheduler};
use crate::weights::{Checkpoint, NamedTensor, Weights};
use std::fs;
use std::sync::Arc;

#[cfg(unix)]
mod folders;
mod gc;
mod hostile;
mod verify;

fn finished() -> (tempfile::TempDir, Store, crate::plan::Plan) {
    let dir = tempfile::tempdir().unwrap();
    let plan = testing::plan(2, 2);
    let store = testing::store(dir.path());
    testing::go(&store, &plan).unwrap();
    (dir, store, plan)
}

/// An imported model with one tensor, and a tokenizer.
fn imported(store: &Store, value: f32) -> ModelRecord {
    let weights = Weights(vec![NamedTensor {
        name: "w".to_owned(),
        shape: vec![1],
        data: vec![value],
    }]);
    let key = crate::plan::ModelKey {
        model: testing::plan(1, 1).runs[0].model.clone(),
        weights: weights.digest(),
        tokenizer: crate::digest::Sha256Hex::of(b"{}"),
    };
    let model = store.put_model("theirs", &key, &weights, b"{}", &[]);
    model.unwrap()
}

fn model_dir(store: &Store, record: &ModelRecord) -> std::path::PathBuf {
    let id = record.id.to_string();
    store.root().join("models-v1").join(&id[..2]).join(id)
}

#[test]
fn runs_are_found_by_id_prefix_and_name() {
    let (_dir, store, plan) = finished();
    let id = plan.runs[0].id;
    for text in [
        id.to_string(),
        id.0.short(),
        id.to_string()[..6].to_uppercase(),
        "small/seed=0".to_owned(),
    ] {
        assert_eq!(store.resolve(&text).unwrap(), id, "{text}");
    }
    insta::assert_snapshot!(store.resolve("nothing").unwrap_err(), @"no run `nothing` in the store; `specbook ls` lists the runs");
    assert!(matches!(
        store.resolve("../../etc"),
        Err(StoreError::NoSuchRun { .. })
    ));
    assert_eq!(store.list().unwrap().len(), 2);
}

#[test]
fn a_checkpoint_reads_back_with_moments_and_best() {
    let dir = tempfile::tempdir().unwrap();
    let weights = |value: f32| {
        Weights(vec![
            NamedTensor {
                name: "b/weight".to_owned(),
                shape: vec![2, 2],
                data: vec![value, -0.0, f32::MIN_POSITIVE, 1e-42],
            },
            NamedTensor {
                name: "a".to_owned(),
                shape: vec![1],
                data: vec![value],
            },
        ])
    };
    let saved = Checkpoint {
        step: 7,
        tokens: 99,
        weights: weights(1.0),
        first_moments: vec![vec![0.1, 0.2, 0.3, 0.4], vec![0.5]],
        second_moments: vec![vec![1.1, 1.2, 1.3, 1.4], vec![1.5]],
        best: Some((0.1 + 0.2, weights(2.0))),
        epoch_loss: (1.0 / 3.0, 3),
    };
    let numerics = crate::record::Numerics {
        engine: "fake".to_owned(),
        recipe: 0,
        isa: "none".to_owned(),
        dtype: "f32".to_owned(),
    };
    let entry = crate::record::FileEntry {
        bytes: 0,
        sha256: crate::digest::Sha256Hex::of(b""),
    };
    let fs = RealFs::without_sync();
    let progress = Progress::default();
    for step in [6, 7] {
        let checkpoint = Checkpoint {
            step,
            ..saved.clone()
        };
        checkpoint::save(&fs, dir.path(), &checkpoint, &numerics, entry, 0, progress).unwrap();
    }
    let loaded = checkpoint::load(&fs, dir.path()).unwrap().unwrap();
    assert_eq!(loaded.checkpoint, saved);
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        2,
        "the older one is gone"
    );
}

#[test]
fn another_version_is_not_damage() {
    let (_dir, store, plan) = finished();
    let id = plan.runs[0].id;
    let path = store.run_dir(&id).join("record.json");
    fs::write(&path, r#"{"format":2,"anything":true}"#).unwrap();
    let error = store.status(&id).unwrap_err();
    assert!(
        error.to_string().starts_with('`') && !error.is_damage(),
        "{error}"
    );
    assert!(error.chain().ends_with("a run's record has format 2, written by a newer specbook than this one (which reads up to 1); update specbook"), "{}", error.chain());
    assert!(testing::go(&store, &plan).is_err(), "it is not overwritten");
    assert!(path.exists());
}

#[test]
fn tokenizers_and_calibration_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = testing::store(dir.path());
    let id = crate::digest::Sha256Hex::of(b"ids");
    assert_eq!(store.tokenizer(&id).unwrap(), None);
    store.put_tokenizer(b"ids").unwrap();
    assert_eq!(store.tokenizer(&id).unwrap().unwrap(), b"ids");
    let path = dir.path().join("tokens-v1").join(id.to_string());
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    assert_eq!(verify(&store).unwrap().problems.len(), 1);
    assert_eq!(store.tokenizer(&id).unwrap(), None);
    assert_eq!(store.take_warnings().len(), 1);
    let mut calibration = store.calibration();
    calibration.add("cpu".to_owned(), 2e9, 2.0);
    calibration.add("cpu".to_owned(), f64::NAN, 2.0);
    store.put_calibration(&calibration).unwrap();
    assert_eq!(store.calibration().seconds("cpu", 3e9), Some(3.0));
    assert_eq!(store.calibration().seconds("gpu", 3e9), None);
}

#[test]
fn an_entry_of_an_older_version_is_moved_aside_and_made_anew() {
    let (dir, store, plan) = finished();
    let id = plan.runs[0].id;
    let before = testing::fingerprint(&store, &plan);
    let rewrite = |path: &std::path::Path| {
        let mut value: serde_json::Value =
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        value["format"] = 0.into();
        value.as_object_mut().unwrap().remove("sha256");
        fs::write(path, seal::seal("x", &value).unwrap()).unwrap();
    };
    rewrite(&store.run_dir(&id).join("record.json"));
    rewrite(&store.layout.eval(&plan.runs[1].eval_id).join("result.json"));
    assert_eq!(verify(&store).unwrap().problems.len(), 2);
    let Entry::Damaged { reason } = store.entry(&id).unwrap() else {
        panic!("it cannot be used");
    };
    assert!(reason.ends_with("a run's record has format 0, which is too old (this specbook reads from 1); run again to recreate it"), "{reason}");
    let summary = testing::go(&store, &plan).unwrap();
    assert_eq!((summary.trained, summary.evaluated), (1, 1));
    assert_eq!(testing::fingerprint(&store, &plan), before);
    assert_eq!(verify(&store).unwrap().problems, []);
    assert_eq!(fs::read_dir(dir.path().join("damaged")).unwrap().count(), 2);
}

#[test]
fn records_cannot_point_outside() {
    let (_dir, store, plan) = finished();
    let id = plan.runs[0].id;
    let mut record = store.record(&id).unwrap().unwrap();
    let file = record.files["log.txt"];
    record.files.insert("../../../secret".to_owned(), file);
    let bytes = seal::seal("a run's record", &record).unwrap();
    fs::write(store.run_dir(&id).join("record.json"), bytes).unwrap();
    let Entry::Damaged { reason } = store.entry(&id).unwrap() else {
        panic!("not noticed");
    };
    insta::assert_snapshot!(reason, @"its record lists `../../../secret`");
}

#[test]
fn a_log_is_shown_without_control_characters() {
    assert_eq!(
        reading::tail(b"one\ntwo \x1b[31mred\nthree", 2),
        "two \u{fffd}[31mred\nthree"
    );
}

/// Measures speed: `cargo test --release --lib store::tests::speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement, for release builds"]
fn speed_of_many_runs() {
    let count: usize = 10_000;
    let (_small, small, plan) = finished();
    let template = small.record(&plan.runs[0].id).unwrap().unwrap();
    let from = small.run_dir(&plan.runs[0].id);
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Arc::new(RealFs::without_sync()));
    let mut ids = Vec::new();
    for number in 0..count {
        let id = crate::record::RunId(crate::digest::Sha256Hex::of(&number.to_le_bytes()));
        let to = store.run_dir(&id);
        fs::create_dir_all(&to).unwrap();
        for name in template.files.keys() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
        let record = crate::record::RunRecord {
            id,
            ..template.clone()
        };
        fs::write(to.join("record.json"), seal::seal("x", &record).unwrap()).unwrap();
        ids.push(id);
    }
    for number in [36, count] {
        for _ in 0..3 {
            let began = std::time::Instant::now();
            let states = store.statuses(&ids[..number]).unwrap();
            let took = began.elapsed();
            assert!(
                states
                    .iter()
                    .all(|s| *s == crate::record::RunStatus::Cached)
            );
            println!("status of {number}: {took:?}");
        }
    }
    let began = std::time::Instant::now();
    assert_eq!(store.list().unwrap().len(), count);
    println!("list of {count}: {:?}", began.elapsed());
}

/// Whatever is in the place of an entry, nothing behind it is read or removed, and the run is made anew.
#[cfg(unix)]
#[test]
fn a_link_or_a_pipe_in_a_store_is_damage() {
    use std::os::unix::fs::symlink;
    for kind in ["run", "work", "file", "pipe"] {
        let (dir, store, plan) = finished();
        let victim = dir.path().join("victim");
        let run = store.run_dir(&plan.runs[0].id);
        let metrics = run.join("metrics.jsonl");
        fs::create_dir(&victim).unwrap();
        fs::copy(&metrics, victim.join("metrics.jsonl")).unwrap();
        fs::write(victim.join("mine"), "mine").unwrap();
        match kind {
            "run" => {
                fs::remove_dir_all(&run).unwrap();
                symlink(&victim, &run).unwrap();
            }
            "work" => {
                fs::remove_dir_all(&run).unwrap();
                symlink(
                    &victim,
                    run.with_file_name(format!("{}.work-1", plan.runs[0].id)),
                )
                .unwrap();
            }
            "file" => {
                fs::remove_file(&metrics).unwrap();
                symlink(victim.join("metrics.jsonl"), &metrics).unwrap();
            }
            _ => {
                fs::remove_file(&metrics).unwrap();
                let mode = nix::sys::stat::Mode::S_IRWXU;
                nix::unistd::mkfifo(&metrics, mode).unwrap();
            }
        }
        let told = std::sync::Mutex::new(Vec::new());
        let events = |event: Event<'_>| {
            if let Event::Warning(text) = event {
                told.lock().unwrap().push(text.to_owned());
            }
        };
        let scheduler = Scheduler {
            store: &store,
            engine: &crate::train::FakeEngine::default(),
            options: testing::options(),
        };
        let stop = std::sync::atomic::AtomicBool::new(false);
        let work = testing::SmallWork::default();
        scheduler.run(&plan, &work, &events, &stop).unwrap();
        assert_eq!(
            store.status(&plan.runs[0].id).unwrap(),
            crate::record::RunStatus::Cached,
            "{kind}"
        );
        assert!(fs::symlink_metadata(&run).unwrap().is_dir(), "{kind}");
        assert!(fs::symlink_metadata(&metrics).unwrap().is_file(), "{kind}");
        assert_eq!(fs::read_dir(&victim).unwrap().count(), 2, "{kind}");
        assert_eq!(told.into_inner().unwrap().len(), 1, "{kind}");
    }
}
