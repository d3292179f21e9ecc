//! Names compared with contents, in every kind of file.

use super::*;
use crate::digest::Sha256Hex;
use crate::fsx::AnyPath;
use std::path::{Path, PathBuf};

/// A store with two runs and their evaluations, a plan, a tokenizer, a calibration and an unfinished run.
fn full() -> (tempfile::TempDir, Store, crate::plan::Plan) {
    let (dir, store, plan) = finished();
    let place = Some(AnyPath("specs/a.yaml".into()));
    let digest = Sha256Hex::of(b"spec");
    let manifest = Manifest::new(&plan, place, digest, Vec::new());
    store.put_plan(&manifest).unwrap();
    store.put_tokenizer(b"a tokenizer").unwrap();
    store.put_calibration(&store.calibration()).unwrap();
    let options = crate::scheduler::Options {
        keep_checkpoints: true,
        ..testing::options()
    };
    let mut third = testing::plan(3, 2);
    third.runs = vec![third.runs[2].clone()];
    testing::go_with(&store, &third, options, &testing::SmallWork::default()).unwrap();
    let run = store.run_dir(&third.runs[0].id);
    fs::remove_file(run.join("record.json")).unwrap();
    let work = format!("{}.work-1", third.runs[0].id);
    fs::rename(&run, run.with_file_name(work)).unwrap();
    (dir, store, plan)
}

fn move_to(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::rename(from, to).unwrap();
}

#[test]
fn every_name_and_every_file_is_looked_at() {
    let (_dir, store, _) = full();
    let sound = verify(&store).unwrap();
    assert_eq!(sound.problems, []);
    // 2 runs with 6 files each, 3 evaluations with 4 each, a plan, a tokenizer, a calibration, a checkpoint.
    assert_eq!((sound.runs, sound.evals, sound.files), (2, 3, 28));
    type Change = fn(&Path, &Store, &crate::plan::Plan) -> PathBuf;
    let cases: [(&str, Change); 13] = [
        (
            "it is in the wrong folder, where nothing finds it",
            |_, store, plan| {
                let run = store.run_dir(&plan.runs[0].id);
                let name = run.file_name().unwrap();
                let to = store.layout.runs().join("xy").join(name);
                move_to(&run, &to);
                to
            },
        ),
        ("no entry of a store", |_, store, plan| {
            let stranger = store.run_dir(&plan.runs[0].id).with_file_name("mine");
            fs::write(&stranger, "").unwrap();
            stranger
        }),
        ("it is of another evaluation", |_, store, plan| {
            let [from, to] = [0, 1].map(|run| store.layout.eval(&plan.runs[run].eval_id));
            fs::remove_dir_all(&to).unwrap();
            move_to(&from, &to);
            to
        }),
        ("the record does not list it", |_, store, plan| {
            let more = store.layout.eval(&plan.runs[0].eval_id).join("more.json");
            fs::write(&more, "{}").unwrap();
            more
        }),
        ("the record does not list it", |_, store, plan| {
            let more = AnyPath::of_bytes(b"caf\xe9".to_vec()).0;
            let more = store.run_dir(&plan.runs[0].id).join(more);
            fs::write(&more, "").unwrap();
            more
        }),
        ("no entry of a store", |_, store, plan| {
            let stranger = AnyPath::of_bytes(b"caf\xe9".to_vec()).0;
            let stranger = store.run_dir(&plan.runs[0].id).with_file_name(stranger);
            fs::create_dir(&stranger).unwrap();
            stranger
        }),
        (
            "it is not the tokenizer whose digest is its name",
            |dir, _, _| {
                let from = dir.join("tokens-v1");
                let from = from.join(Sha256Hex::of(b"a tokenizer").to_string());
                let to = from.with_file_name(Sha256Hex::of(b"another").to_string());
                move_to(&from, &to);
                to
            },
        ),
        ("no file of a store", |dir, _, _| {
            let stranger = dir.join("tokens-v1/notes.txt");
            fs::write(&stranger, "").unwrap();
            stranger
        }),
        ("it is the plan of another name", |dir, _, _| {
            let plans = dir.join("plans-v1");
            let from = fs::read_dir(&plans).unwrap().next().unwrap();
            let to = plans.join("other-0123456789ab.json");
            move_to(&from.unwrap().path(), &to);
            to
        }),
        ("(cut short?)", |dir, _, _| {
            let path = dir.join("calibration.json");
            fs::write(&path, "{\"format\":1}").unwrap();
            path
        }),
        ("its state does not have the digest", |dir, _, _| {
            let of_state = |path: &PathBuf| path.to_string_lossy().contains("state-");
            let runs = testing::files(&dir.join("runs-v1"));
            let path = runs.into_iter().find(of_state).unwrap();
            let mut bytes = fs::read(&path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&path, bytes).unwrap();
            path.parent().unwrap().to_path_buf()
        }),
        (
            "it does not have the digest of the record",
            |_, store, plan| {
                let path = store.run_dir(&plan.runs[0].id).join("model.safetensors");
                let mut bytes = fs::read(&path).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                fs::write(&path, bytes).unwrap();
                path
            },
        ),
        ("no folder of a store", |dir, _, _| {
            let path = dir.join("runs-v1/stray");
            fs::write(&path, "").unwrap();
            path
        }),
    ];
    for (reason, change) in cases {
        let (dir, store, plan) = full();
        let path = change(dir.path(), &store, &plan);
        let found = verify(&store).unwrap().problems;
        let [problem] = &found[..] else {
            panic!("{reason}: {found:?}")
        };
        assert_eq!(problem.path, path, "{reason}");
        assert!(problem.reason.ends_with(reason), "{}", problem.reason);
        // Whatever the damage, other commands are not affected.
        testing::go(&store, &plan).unwrap();
        store.list().unwrap();
        du(&store).unwrap();
        super::super::gc(&store, &GcOptions::default()).unwrap();
    }
}

/// A tokenizer with other contents is not returned under the requested name.
#[test]
fn a_foreign_tokenizer_is_not_believed() {
    let (dir, store, _) = full();
    let name = |bytes: &[u8]| Sha256Hex::of(bytes);
    let tokens = dir.path().join("tokens-v1");
    fs::copy(
        tokens.join(name(b"a tokenizer").to_string()),
        tokens.join(name(b"another").to_string()),
    )
    .unwrap();
    assert_eq!(store.tokenizer(&name(b"another")).unwrap(), None);
    assert_eq!(store.take_warnings().len(), 1);
    assert!(store.tokenizer(&name(b"a tokenizer")).unwrap().is_some());
    assert_eq!(verify(&store).unwrap().problems, []);
}

/// All digests of the record are right, but the weights are another model's.
#[test]
fn a_model_under_the_id_of_another_is_found() {
    let (_dir, store, _) = finished();
    let [one, other] = [1.0, 2.0].map(|value| imported(&store, value));
    assert_eq!(verify(&store).unwrap().problems, []);
    let [to, from] = [&one, &other].map(|model| model_dir(&store, model));
    fs::copy(from.join("model.safetensors"), to.join("model.safetensors")).unwrap();
    let lie = ModelRecord {
        files: other.files.clone(),
        ..one.clone()
    };
    let lie = super::super::seal::seal("a lie", &lie).unwrap();
    fs::write(to.join("record.json"), lie).unwrap();
    let problems = verify(&store).unwrap().problems;
    let [problem] = &problems[..] else {
        panic!("{problems:?}");
    };
    assert_eq!(problem.path, to);
    assert_eq!(
        problem.reason,
        "its weights or its tokenizer are not those that its id stands for"
    );
}
