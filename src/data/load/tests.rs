use super::*;
use crate::data::Look;
use crate::data::test_support::{real, trained_and_encoded, yaml};
use insta::assert_snapshot;
use std::path::PathBuf;

fn settings(data: &str, max_seq_len: usize) -> Settings {
    yaml(&format!(
        "{{data: {{{data}}}, model: {{dim: 8, n_layers: 1, n_heads: 1, max_seq_len: {max_seq_len}}}, \
         train: {{batch_size: 4, optimizer: {{adamw: {{learning_rate: 0.001}}}}, validate: {{every: end}}}}}}"
    ))
}

const STORIES: &str = "corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 320}}, train: 20, validation: 5, test: 3";

fn load_with(settings: &Settings, context: &DataContext) -> Result<LoadedData, DataError> {
    let found = identify(&settings.data, &settings.model, context)?;
    load(settings, &settings.model.resolve(found.vocab_size), context)
}

fn cached(folder: &Path) -> DataContext {
    DataContext {
        base: folder.to_owned(),
        cache: Some(folder.join("tokens-v1")),
        paranoid: false,
        ..DataContext::default()
    }
}

fn set(data: &LoadedData) -> &SequenceSet {
    match &data.training {
        TrainingData::Sequences(set) => set,
        TrainingData::Stream { .. } => panic!("no stream was asked for"),
    }
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut pending = vec![folder.to_owned()];
    while let Some(folder) = pending.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
            } else if path.extension().is_some_and(|other| other == extension) {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn cached_data_equals_fresh_data() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(STORIES, 16);
    let fresh = load_with(&settings, &DataContext::default()).unwrap();
    let first = load_with(&settings, &cached(folder.path())).unwrap();
    let second = load_with(&settings, &cached(folder.path())).unwrap();
    for other in [&first, &second] {
        assert_eq!(other.training, fresh.training);
        assert_eq!(other.validation, fresh.validation);
        assert_eq!(other.tokenizer.sha256(), fresh.tokenizer.sha256());
        assert_eq!(other.notes, fresh.notes);
    }
    assert_eq!(
        (
            fresh.documents,
            fresh.sequences,
            set(&fresh).longest(),
            fresh.validation.len()
        ),
        (20, 20, 16, 5)
    );
    assert_eq!(files(folder.path(), "ids").len(), 2);
}

#[test]
fn plans_know_the_sequences_of_a_tokenised_slice() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&format!("{STORIES}, sequence: impute_concat"), 16);
    let context = cached(folder.path());
    let count = || {
        let Settings { data, model, .. } = &settings;
        let found = identify(data, model, &context).unwrap();
        let survey = crate::data::survey(data, model, &found, &context, Look::Counts);
        survey.sequences.filter(|_| survey.is_counted)
    };
    assert_eq!(count(), None);
    let lengths = document_lengths(&settings, &context, &mut Vec::new()).unwrap();
    let expected = lengths.iter().sum::<u32>() as usize / 15;
    assert_eq!(count(), Some(expected));
    assert_eq!(load_with(&settings, &context).unwrap().sequences, expected);
    assert_eq!(
        document_lengths(&settings, &DataContext::default(), &mut Vec::new()).unwrap(),
        lengths
    );
}

#[test]
fn damaged_entries_are_said_and_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(STORIES, 16);
    let context = cached(folder.path());
    let whole = load_with(&settings, &context).unwrap();
    for path in files(folder.path(), "ids")
        .into_iter()
        .chain(files(&folder.path().join("tokens-v1/bpe"), "json"))
    {
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }
    let again = load_with(&settings, &context).unwrap();
    assert_eq!(again.training, whole.training);
    assert_eq!(
        again
            .warnings
            .iter()
            .filter(|note| note.ends_with("was damaged and is made again"))
            .count(),
        3,
        "{:?}",
        again.notes
    );
    assert_eq!(load_with(&settings, &context).unwrap().notes, whole.notes);
    for path in files(folder.path(), "ids") {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 3]).unwrap();
    }
    assert_eq!(
        load_with(&settings, &context).unwrap().training,
        whole.training
    );
}

#[test]
fn every_policy_loads() {
    for (policy, sequences) in [
        ("next_token", 20),
        ("discard", 20),
        ("pad_discard", 20),
        ("stream", 0),
    ] {
        let data = load_with(
            &settings(
                &format!("{STORIES}, sequence: {policy}, target_shift: 2"),
                16,
            ),
            &DataContext::default(),
        )
        .unwrap();
        assert_eq!(data.sequences, sequences, "{policy}");
    }
    let cut = settings(
        &format!("{STORIES}, sequence: impute_concat, seq_len: shortest"),
        4096,
    );
    let shortest = load_with(&cut, &DataContext::default()).unwrap();
    let lengths = document_lengths(&cut, &DataContext::default(), &mut Vec::new()).unwrap();
    assert_eq!(
        set(&shortest).longest(),
        *lengths.iter().min().unwrap() as usize
    );
    let error = load_with(
        &settings(
            &format!("{STORIES}, sequence: {{informed_as_run: {{tol: 0}}}}"),
            16,
        ),
        &DataContext::default(),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("`data.train` gives no sequence of 16 tokens: 20 documents with "),
        "{error}"
    );
}

#[test]
fn held_out_texts_are_those_of_the_slice() {
    let data = settings(STORIES, 16).data;
    let all = |split, count| held_out(&data, split, count, &DataContext::default());
    let validation = all(Split::Validation, 5).unwrap();
    let test = all(Split::Test, 3).unwrap();
    let parameters = crate::spec::Embedded {
        version: 1,
        seed: 0,
    };
    let expected: Vec<String> = (0..8)
        .map(|index| {
            super::super::corpora::document(
                super::super::corpora::Generator::Stories,
                &parameters,
                index,
            )
        })
        .collect();
    assert_eq!([validation, test].concat(), expected);
    assert_eq!(all(Split::Test, 0).unwrap(), Vec::<String>::new());
    assert_snapshot!(all(Split::Test, 4).unwrap_err(), @"4 documents of `data.test` were requested, but it has 3; lower `eval.perplexity.documents` or raise `data.test`");
}

#[test]
fn a_changed_file_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    let age = |seconds| {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        std::fs::File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(time)
            .unwrap();
    };
    std::fs::write(&path, "one\n---\ntwo\n---\nsix").unwrap();
    age(1_700_000_000);
    let settings = settings(
        "corpus: {text: {path: a.txt, separator: '---'}}, tokenizer: {train_bpe: {vocab_size: 300}}, train: 2, validation: 1",
        16,
    );
    let context = cached(folder.path());
    identify(&settings.data, &settings.model, &context).unwrap();
    // An undetectable change: the cached facts claim to describe the current file.
    std::fs::write(&path, "one\n---\ntwo\n---\nten").unwrap();
    age(1_700_000_000);
    let now = crate::data::source::fingerprint_of(std::slice::from_ref(&path)).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(30));
    for entry in std::fs::read_dir(folder.path().join("tokens-v1/stat")).unwrap() {
        let path = entry.unwrap().path();
        let mut kept: serde_json::Value =
            serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        kept["fingerprint"] = now.text.clone().into();
        std::fs::write(path, kept.to_string()).unwrap();
    }
    assert_snapshot!(load_with(&settings, &context).unwrap_err(), @"`a.txt` changed while it was in use: its documents differ from those the run was planned with; plan again (with `--paranoid` if its size and times are unchanged)");
    // The wrong facts are deleted, so planning again works.
    assert_eq!(load_with(&settings, &context).unwrap().documents, 2);
}

/// Several loads at once on one cache: one trains the tokenizer and encodes, the others wait and read.
#[test]
fn of_several_that_load_the_same_one_works() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(&STORIES.replace("train: 20", "train: 400"), 16);
    let began = std::sync::Barrier::new(4);
    let loaded: Vec<_> = std::thread::scope(|scope| {
        let loads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    began.wait();
                    let data = load_with(&settings, &cached(folder.path())).unwrap();
                    assert_eq!(data.warnings, [""; 0]);
                    (data.ids, trained_and_encoded())
                })
            })
            .collect();
        loads.into_iter().map(|load| load.join().unwrap()).collect()
    });
    assert!(loaded.iter().all(|(ids, _)| *ids == loaded[0].0));
    // Training and validation slice.
    let trained: usize = loaded.iter().map(|(_, (trained, _))| trained).sum();
    let encoded: usize = loaded.iter().map(|(_, (_, encoded))| encoded).sum();
    assert_eq!((trained, encoded), (1, 2));
    let left = std::fs::read_dir(folder.path().join("tokens-v1/leases")).unwrap();
    assert_eq!(left.count(), 0);
}

#[cfg(unix)]
#[test]
fn the_cache_has_the_modes_of_every_other_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    load_with(&settings(STORIES, 16), &cached(folder.path())).unwrap();
    let other = folder.path().join("other");
    std::fs::write(&other, "").unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
    for extension in ["ids", "lengths", "json", "sha256"] {
        let found = files(&folder.path().join("tokens-v1"), extension);
        assert!(!found.is_empty(), "{extension}");
        for path in found {
            assert_eq!(mode(&path), mode(&other), "{}", path.display());
        }
    }
}

#[test]
fn a_cache_that_cannot_be_written_is_done_without_and_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokens-v1"), "in the way").unwrap();
    let settings = settings(STORIES, 16);
    let fresh = load_with(&settings, &DataContext::default()).unwrap();
    let data = load_with(&settings, &cached(folder.path())).unwrap();
    assert_eq!((&data.training, data.ids), (&fresh.training, fresh.ids));
    let [told] = &data.warnings[..] else {
        panic!("{:?}", data.warnings)
    };
    assert!(told.contains("which cannot be written"), "{told}");
    let mut warnings = Vec::new();
    let lengths = document_lengths(&settings, &cached(folder.path()), &mut warnings);
    assert_eq!((lengths.unwrap().len(), warnings.len()), (20, 1));
}

/// A consistent but forged cache is detected by comparison with the runs, and ignored with `--paranoid`.
#[test]
fn a_forged_cache_is_found_and_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(STORIES, 16);
    let context = cached(folder.path());
    let whole = load_with(&settings, &context).unwrap();
    let key = identify(&settings.data, &settings.model, &context)
        .unwrap()
        .key;
    let known = crate::data::TrainedOn {
        run: "a/b".to_owned(),
        data: key,
        ids: Some(whole.ids),
        tokenizer: whole.tokenizer.sha256(),
    };
    let audit_of = |known: &crate::data::TrainedOn| {
        let cache = folder.path().join("tokens-v1");
        let fs = crate::fsx::RealFs::new();
        crate::data::audit(&cache, &fs, std::slice::from_ref(known)).unwrap()
    };
    let audit = || audit_of(&known);
    let sound = audit();
    assert_eq!((sound.files, sound.problems), (6, vec![]));
    let forge = || {
        for path in files(folder.path(), "ids") {
            let bytes = std::fs::read(&path).unwrap();
            let mut body = bytes[..bytes.len() - 64].to_vec();
            let last = body.len() - 4;
            body[last..].copy_from_slice(&7u32.to_le_bytes());
            let seal = Sha256Hex::of(&body).to_string();
            std::fs::write(path, [&body, seal.as_bytes()].concat()).unwrap();
        }
    };
    forge();
    let found = audit();
    let [(_, reason)] = &found.problems[..] else {
        panic!("{found:?}")
    };
    assert!(
        reason.ends_with("differ from those that run a/b was trained on"),
        "{reason}"
    );
    // An older run records the digest of its tokenizer, not that of its ids.
    let of_before = crate::data::TrainedOn {
        ids: None,
        ..known.clone()
    };
    assert_eq!(audit_of(&of_before).problems, []);
    let found = audit_of(&crate::data::TrainedOn {
        tokenizer: Sha256Hex::of(b"other"),
        ..of_before
    });
    let [(path, reason)] = &found.problems[..] else {
        panic!("{found:?}")
    };
    assert!(path.starts_with(folder.path().join("tokens-v1/bpe")));
    assert_eq!(
        reason,
        "it differs from the tokenizer that run a/b was trained with"
    );
    assert_ne!(load_with(&settings, &context).unwrap().ids, whole.ids);
    let paranoid = DataContext {
        paranoid: true,
        ..cached(folder.path())
    };
    let mended = load_with(&settings, &paranoid).unwrap();
    assert_eq!((&mended.training, mended.ids), (&whole.training, whole.ids));
    assert_eq!(mended.warnings.len(), 2, "{:?}", mended.warnings);
    assert_eq!(audit().problems, []);
    assert_eq!(load_with(&settings, &paranoid).unwrap().warnings, [""; 0]);
    // Damaged and unknown files are reported by name.
    for (name, text) in [
        ("bpe/x.json", "{}"),
        ("slices/x", ""),
        ("slices/00/y.ids", ""),
        ("stat/0.json", "{"),
        ("other/z", ""),
    ] {
        let path = folder.path().join("tokens-v1").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(audit().problems.len(), 5);
}

/// Ids outside the vocabulary count as damage, even in a consistent file.
#[test]
fn ids_beyond_the_vocabulary_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(STORIES, 16);
    let context = cached(folder.path());
    let whole = load_with(&settings, &context).unwrap();
    for path in files(folder.path(), "ids") {
        let bytes = std::fs::read(&path).unwrap();
        let mut body = bytes[..bytes.len() - 64].to_vec();
        let last = body.len() - 4;
        body[last..].copy_from_slice(&320u32.to_le_bytes());
        let seal = Sha256Hex::of(&body).to_string();
        std::fs::write(path, [&body, seal.as_bytes()].concat()).unwrap();
    }
    let again = load_with(&settings, &context).unwrap();
    assert_eq!((&again.training, again.ids), (&whole.training, whole.ids));
    assert_eq!(again.warnings.len(), 2, "{:?}", again.warnings);
    assert_eq!(load_with(&settings, &context).unwrap().warnings, [""; 0]);
}

#[test]
fn a_model_with_too_few_entries_is_refused() {
    let settings = settings(STORIES, 16);
    let error = load(
        &settings,
        &settings.model.resolve(100),
        &DataContext::default(),
    )
    .unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("the tokenizer: token id "), "{text}");
    assert!(
        text.contains("beyond the vocabulary of 100 entries"),
        "{text}"
    );
}

#[test]
fn bin_files_train_and_decode() {
    let folder = tempfile::tempdir().unwrap();
    let json = TextTokenizer::train_bpe(&["hello hello"], 262).unwrap();
    std::fs::write(folder.path().join("t.json"), &json).unwrap();
    let tokenizer = TextTokenizer::from_bytes(&json, Path::new("t")).unwrap();
    let mut ids = Vec::new();
    for text in ["hello", "he said hello", "oh hell"] {
        ids.extend(tokenizer.encode(text).unwrap());
        ids.push(tokenizer.eos());
    }
    std::fs::write(
        folder.path().join("a.bin"),
        ids.iter()
            .flat_map(|id| (*id as u16).to_le_bytes())
            .collect::<Vec<u8>>(),
    )
    .unwrap();
    let settings = settings(
        "corpus: {bin: {path: a.bin}}, tokenizer: {file: t.json}, train: 2, validation: 1, sequence: stream",
        4,
    );
    let context = cached(folder.path());
    let data = load_with(&settings, &context).unwrap();
    let TrainingData::Stream { ids: stream, .. } = &data.training else {
        panic!("a stream was asked for")
    };
    assert_eq!(stream[..], ids[ids.len() - stream.len()..]);
    assert_eq!(
        held_out(&settings.data, Split::Validation, 1, &context).unwrap(),
        ["hello"]
    );
}

#[test]
fn pile_documents_load_with_the_llama_tokenizer() {
    let (Some(pile), Some(tokenizer)) = (
        real("pile-test-a/pile-test-a.jsonl.zst"),
        real("llama-tokenizer/tokenizer.json"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = format!(
        "corpus: {{jsonl: {{path: {}}}}}, tokenizer: {{file: {}}}, train: 60, validation: 10",
        pile.display(),
        tokenizer.display()
    );
    let settings = settings(&data, 256);
    let context = cached(folder.path());
    let first = load_with(&settings, &context).unwrap();
    assert_eq!(
        (
            first.documents,
            first.sequences,
            first.validation.len(),
            set(&first).longest()
        ),
        (60, 60, 10, 256)
    );
    assert_eq!(first.notes, Vec::<String>::new());
    assert_eq!(
        first.training,
        load_with(&settings, &context).unwrap().training
    );
    let text = &held_out(&settings.data, Split::Validation, 1, &context).unwrap()[0];
    let (input, target) = first.validation.get(0);
    assert_eq!((input[0], input.len()), (1, target.len()));
    let ids = first.tokenizer.encode(text).unwrap();
    assert_eq!(input[1..], ids[..input.len() - 1]);
}

/// After a power loss the lengths may be corrupt while the ids are intact: a lookup deletes them, and a load rewrites
/// them.
#[test]
fn torn_lengths_heal_though_the_ids_are_whole() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(STORIES, 16);
    let context = cached(folder.path());
    load_with(&settings, &context).unwrap();
    let problems = || {
        let cache = folder.path().join("tokens-v1");
        let fs = crate::fsx::RealFs::new();
        crate::data::audit(&cache, &fs, &[]).unwrap().problems.len()
    };
    for path in files(folder.path(), "lengths") {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    }
    assert_eq!(problems(), 2);
    let again = load_with(&settings, &context).unwrap();
    assert_eq!((again.warnings, problems()), (vec![], 0));
    assert_eq!(files(folder.path(), "lengths").len(), 2);
}

#[test]
fn one_long_text_with_characters_as_tokens() {
    let folder = tempfile::tempdir().unwrap();
    let verse = "Speak, speak. First, you know\nCaius Marcius is chief enemy to the people.\n\n";
    std::fs::write(folder.path().join("input.txt"), verse.repeat(40)).unwrap();
    let one = "corpus: {text: {path: input.txt, pieces: 100}}, tokenizer: characters, split: 0.9, sequence: stream";
    let mut settings = settings(one, 16);
    let context = cached(folder.path());
    super::super::resolve_split(&mut settings.data, &context).unwrap();
    let data = load_with(&settings, &context).unwrap();
    let characters: std::collections::BTreeSet<char> = verse.chars().collect();
    assert_eq!(data.tokenizer.vocab_size(), characters.len() + 2);
    assert_eq!(data.notes, [""; 0]);
    let TrainingData::Stream { ids, .. } = &data.training else {
        panic!("a stream was asked for");
    };
    let text = data.tokenizer.decode(ids).unwrap();
    assert!(verse.repeat(40).starts_with(&text) && text.len() > 2000);
    // The same from the cache, and without one.
    for context in [
        context,
        DataContext {
            cache: None,
            ..cached(folder.path())
        },
    ] {
        let again = load_with(&settings, &context).unwrap();
        assert_eq!(
            (&again.ids, again.tokenizer.sha256()),
            (&data.ids, data.tokenizer.sha256())
        );
    }
}
