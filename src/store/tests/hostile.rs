//! Store files written by somebody else: no panic, no more memory than their size, no effect outside the store.

use super::super::{seal, verify};
use super::*;
use crate::fsx::AnyPath;
use crate::scheduler::{Options, testing};
use crate::test_support::cases;
use proptest::prelude::*;
use proptest::sample::Index;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Path and contents of every file of a store, and its plan.
type Template = (Vec<(PathBuf, Vec<u8>)>, crate::plan::Plan);

/// A store with a finished run that kept its checkpoint, an unfinished run, a plan, tokens and a calibration.
fn template() -> &'static Template {
    static TEMPLATE: OnceLock<Template> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let plan = testing::plan(2, 2);
        let store = testing::store(dir.path());
        let keep = Options {
            keep_checkpoints: true,
            ..testing::options()
        };
        testing::go_with(&store, &plan, keep, &testing::SmallWork::default()).unwrap();
        let digest = crate::digest::Sha256Hex::of(b"spec");
        store
            .put_plan(&Manifest::new(&plan, None, digest, Vec::new()))
            .unwrap();
        store.put_tokenizer(b"ids").unwrap();
        store.put_calibration(&Calibration::default()).unwrap();
        let run = store.run_dir(&plan.runs[1].id);
        fs::remove_file(run.join("record.json")).unwrap();
        let work = run.with_file_name(format!("{}.work-1", plan.runs[1].id));
        fs::rename(&run, &work).unwrap();
        let claim = run.with_file_name(format!("{}.claim-1", plan.runs[1].id));
        fs::write(claim, "0123456789abcdef - 00000000000000000001\n").unwrap();
        let read = |path: PathBuf| {
            let name = path.strip_prefix(dir.path()).unwrap().to_owned();
            (name, fs::read(path).unwrap())
        };
        let files = testing::files(dir.path()).into_iter().map(read).collect();
        (files, plan)
    })
}

/// Writes the store with changed contents of one file, and uses all of it.
fn use_all(changed: &Path, contents: &[u8]) {
    let (files, plan) = template();
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("store");
    for (name, bytes) in files {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, if name == changed { contents } else { bytes }).unwrap();
    }
    let store = testing::store(&root);
    for run in &plan.runs {
        let id = &run.id;
        let _ = (
            store.status(id),
            store.record(id),
            store.metrics(id),
            store.weights(id),
        );
        let _ = (
            store.checkpoint(id),
            store.timing(id),
            store.eval(&run.eval_id),
        );
        let _ = (store.has_eval(&run.eval_id), store.keeps_checkpoint(id));
        if let Ok(Some((_, tail))) = store.log_tail(id, 5) {
            assert!(!tail.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
        }
    }
    let _ = (
        store.calibration(),
        store.plans(),
        store.resolve("small/seed=0"),
    );
    let _ = store.tokenizer(&crate::digest::Sha256Hex::of(b"ids"));
    let _ = (
        store.list(),
        verify(&store),
        du(&store),
        gc(&store, &GcOptions::default()),
    );
    // Whatever happened, the sweep still ends (a newer format is left alone, with an error that states this).
    if let Err(error) = testing::go(&store, plan) {
        let text = crate::store::chain(&error);
        assert!(text.contains("update specbook"), "{text}");
    }
    let outside = fs::read_dir(outer.path()).unwrap().count();
    assert_eq!(outside, 1, "nothing is written outside the store");
}

fn edited(bytes: &[u8], edits: &[(Index, u8)], cut: Option<Index>) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in edits {
        if !bytes.is_empty() {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
    }
    if let Some(cut) = cut {
        bytes.truncate(cut.index(bytes.len() + 1));
    }
    bytes
}

/// Replaces one value of a JSON tree.
fn replace(value: &mut serde_json::Value, place: &mut usize, with: &serde_json::Value) {
    if *place == 0 {
        *value = with.clone();
    }
    *place = place.wrapping_sub(1);
    match value {
        serde_json::Value::Object(map) => map
            .values_mut()
            .for_each(|inner| replace(inner, place, with)),
        serde_json::Value::Array(list) => list
            .iter_mut()
            .for_each(|inner| replace(inner, place, with)),
        _ => {}
    }
}

fn values() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::json;
    prop::sample::select(vec![
        json!(null),
        json!(-1),
        json!(0),
        json!(1),
        json!(u64::MAX),
        json!(1e308),
        json!(true),
        json!(""),
        json!("../../../../etc/passwd"),
        json!("/dev/zero"),
        json!("\u{1b}[2J\u{9b}31m\u{202e}"),
        json!([]),
        json!({}),
        json!("x".repeat(70_000)),
        json!({"../x": {"bytes": 1, "sha256": "00"}}),
        json!("0".repeat(64)),
        json!("cached"),
        json!("failed"),
        json!("running"),
    ])
}

proptest! {
    #![proptest_config(cases(120))]

    #[test]
    fn arbitrary_bytes_do_no_harm(file in any::<Index>(), bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let (name, _) = file.get(&template().0);
        use_all(name, &bytes);
    }

    #[test]
    fn mutated_files_do_no_harm(
        file in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), any::<u8>()), 0..5),
        cut in prop::option::of(any::<Index>()),
    ) {
        let (name, bytes) = file.get(&template().0);
        use_all(name, &edited(bytes, &edits, cut));
    }

    #[test]
    fn sealed_lies_do_no_harm(file in any::<Index>(), place in any::<Index>(), value in values()) {
        let sealed: Vec<_> = template().0.iter().filter(|(_, bytes)| bytes.ends_with(b"\"}\n")).collect();
        assert!(sealed.len() >= 6);
        let (name, bytes) = file.get(&sealed);
        let mut tree: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        tree.as_object_mut().unwrap().remove("sha256");
        replace(&mut tree, &mut (1 + place.index(60)), &value);
        use_all(name, &seal::seal("a lie", &tree).unwrap());
    }
}

/// Whatever a manifest contains: nothing that it refers to is removed, and nothing at all while it is
/// unreadable.
#[test]
fn changed_manifests_keep_what_they_name() {
    let dir = tempfile::tempdir().unwrap();
    let plan = testing::plan(2, 1);
    let store = testing::store(dir.path());
    testing::go(&store, &plan).unwrap();
    let digest = crate::digest::Sha256Hex::of(b"spec");
    let manifest = Manifest::new(&plan, Some(AnyPath("../a.yaml".into())), digest, Vec::new());
    let path = store.put_plan(&manifest).unwrap();
    let whole = fs::read(&path).unwrap();
    let unsealed = serde_json::to_vec(&manifest).unwrap();
    let ids: Vec<String> = plan.runs.iter().map(|run| run.id.to_string()).collect();
    let options = GcOptions {
        grace: Grace {
            finished: std::time::Duration::ZERO,
            unfinished: std::time::Duration::ZERO,
        },
        imported: true,
        ..GcOptions::default()
    };
    let words = [
        "\"runs\":",
        "\"models\":",
        "null",
        "[",
        "]",
        "{",
        "}",
        &ids[0],
        "../../x",
    ];
    let read = |bytes: &[u8]| {
        // Unchanged, and with a valid seal if it is JSON at all.
        let sealed = serde_json::from_slice(bytes)
            .ok()
            .map(|mut tree: serde_json::Value| {
                tree.as_object_mut().map(|map| map.remove("sha256"));
                seal::seal("a lie", &tree).unwrap()
            });
        for contents in [Some(bytes.to_vec()), sealed].into_iter().flatten() {
            fs::write(&path, contents).unwrap();
            let garbage = gc(&store, &options).unwrap();
            let named = store.plans().unwrap().pop().map(|plan| plan.runs);
            for item in garbage {
                let Some(named) = &named else {
                    panic!(
                        "{} goes, and the manifest cannot be read",
                        item.path.display()
                    );
                };
                let path = item.path.display().to_string();
                assert!(named.iter().all(|run| !path.ends_with(&run.id.to_string())));
            }
            let _ = verify(&store);
            store.take_warnings();
        }
    };
    crate::test_support::fuzz("manifests", &[whole, unsealed], &words, 60, read);
}
