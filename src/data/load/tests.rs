use super::*;
use crate::data::Look;
use crate::data::test_support::{real, yaml};
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
    let lengths = document_lengths(&settings, &context).unwrap();
    let expected = lengths.iter().sum::<u32>() as usize / 15;
    assert_eq!(count(), Some(expected));
    assert_eq!(load_with(&settings, &context).unwrap().sequences, expected);
    assert_eq!(
        document_lengths(&settings, &DataContext::default()).unwrap(),
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
    let lengths = document_lengths(&cut, &DataContext::default()).unwrap();
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
    assert_snapshot!(all(Split::Test, 4).unwrap_err(), @"4 documents of `data.test` were asked for, which has 3; lower `eval.perplexity.documents` or raise `data.test`");
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
    // Same size and time: the plan cannot see it, loading does.
    std::fs::write(&path, "one\n---\ntwo\n---\nten").unwrap();
    age(1_700_000_000);
    assert_snapshot!(load_with(&settings, &context).unwrap_err(), @"`a.txt` changed while it was in use: its documents differ from those the run was planned with; plan again");
    age(1_700_000_009);
    assert_eq!(load_with(&settings, &context).unwrap().documents, 2);
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
