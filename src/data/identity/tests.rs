use super::*;
use crate::data::test_support::{data_settings, yaml};
use insta::assert_snapshot;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::path::Path;
use std::path::PathBuf;

fn model() -> ModelSettings {
    yaml("{dim: 8, n_layers: 1, n_heads: 1, max_seq_len: 32}")
}

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn context(&self) -> DataContext {
        DataContext {
            base: self.0.path().to_owned(),
            cache: Some(self.0.path().join("tokens-v1")),
            paranoid: false,
            ..DataContext::default()
        }
    }

    fn identify(&self, fields: &str) -> Result<Identified, String> {
        let fields = format!("tokenizer: {{train_bpe: {{vocab_size: 300}}}}, {fields}");
        identify(&data_settings(&fields), &model(), &self.context())
            .map_err(|error| error.to_string())
    }

    fn jsonl(&self, fields: &str) -> Identified {
        self.identify(&format!("corpus: {{jsonl: {{path: a.jsonl}}}}, {fields}"))
            .unwrap()
    }
}

fn lines(texts: &[&str]) -> String {
    texts
        .iter()
        .map(|text| serde_json::json!({ "text": text }).to_string() + "\n")
        .collect()
}

/// Sets a file's time back, so that a later lookup can trust the cache.
fn age(path: &Path, seconds: u64) {
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(
        std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 + seconds),
    )
    .unwrap();
}

const SLICES: &str = "train: 2, validation: 1";

#[test]
fn embedded_slices_are_their_recipe() {
    let found = Dir::new()
        .identify("corpus: {stories: {version: 1}}, train: 1000000000000, validation: 100, test: 7, target_shift: 2")
        .unwrap();
    assert_snapshot!(serde_json::json!(found.key), @r#"{"train":{"embedded":{"generator":"stories","parameters":{"version":1,"seed":0},"skip":107,"take":1000000000000}},"validation":{"embedded":{"generator":"stories","parameters":{"version":1,"seed":0},"skip":0,"take":100}},"tokenizer":{"train_bpe":{"algorithm":1,"vocab_size":300,"slice":{"embedded":{"generator":"stories","parameters":{"version":1,"seed":0},"skip":107,"take":1000000000000}}}},"sequence":"next_token","seq_len":32,"target_shift":2}"#);
    assert_eq!(found.vocab_size, 300);
    let slices = &found.slices;
    assert_eq!(
        (slices.train.range.len(), slices.validation.range.len()),
        (1_000_000_000_000, 100)
    );
    assert!(matches!(
        found.test,
        Some(SliceKey::Embedded {
            skip: 100,
            take: 7,
            ..
        })
    ));
}

#[test]
fn only_the_documents_of_the_slices_count() {
    let dir = Dir::new();
    dir.write("a.jsonl", lines(&["v", "t1", "t2", "x"]));
    let key = dir.jsonl(SLICES).key;
    // Compressed, with escapes and another field order, as text, and followed by more documents.
    dir.write(
        "a.jsonl.zst",
        compress_to_vec(
            lines(&["v", "t1", "t2", "y"]).as_bytes(),
            CompressionLevel::Fastest,
        ),
    );
    assert_eq!(
        dir.identify(&format!(
            "corpus: {{jsonl: {{path: a.jsonl.zst}}}}, {SLICES}"
        ))
        .unwrap()
        .key,
        key
    );
    dir.write(
        "b.jsonl",
        "{\"text\":\"\\u0076\"}\n\n{\"meta\":1,\"text\":\"t1\"}\n{\"text\":\"t2\"}\n{broken",
    );
    assert_eq!(
        dir.identify(&format!("corpus: {{jsonl: {{path: b.jsonl}}}}, {SLICES}"))
            .unwrap()
            .key,
        key
    );
    dir.write("c.txt", "v\n<|endoftext|>\nt1\n<|endoftext|>\nt2");
    assert_eq!(
        dir.identify(&format!("corpus: {{text: {{path: c.txt}}}}, {SLICES}"))
            .unwrap()
            .key,
        key
    );
    // Any changed document changes the identity, and so does a moved boundary between two documents.
    dir.write("a.jsonl", lines(&["v", "t1", "t3"]));
    assert_ne!(dir.jsonl(SLICES).key.train, key.train);
    assert_eq!(dir.jsonl(SLICES).key.validation, key.validation);
    dir.write("a.jsonl", lines(&["v", "t", "1t2"]));
    assert_ne!(dir.jsonl(SLICES).key.train, key.train);
}

/// Replaces a digest in the cached facts about files.
fn replace_kept(dir: &Dir, from: &SliceKey, to: &SliceKey) {
    let digest = |key: &SliceKey| match key {
        SliceKey::Documents { sha256, .. } => sha256.to_string(),
        SliceKey::Embedded { .. } => panic!("of a file"),
    };
    for entry in std::fs::read_dir(dir.0.path().join("tokens-v1/stat")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(path, text.replace(&digest(from), &digest(to))).unwrap();
    }
}

#[test]
fn unchanged_files_are_not_read_again() {
    let dir = Dir::new();
    let path = dir.write("a.jsonl", lines(&["v", "t1", "t2"]));
    age(&path, 0);
    // A cached fact counts only if it is newer than the file by a clock tick.
    std::thread::sleep(std::time::Duration::from_millis(30));
    let key = dir.jsonl(SLICES).key;
    replace_kept(&dir, &key.train, &key.validation);
    assert_ne!(dir.jsonl(SLICES).key.train, key.train, "it is believed");
    let settings = data_settings(&format!(
        "corpus: {{jsonl: {{path: a.jsonl}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, {SLICES}"
    ));
    let paranoid = DataContext {
        paranoid: true,
        ..dir.context()
    };
    assert_eq!(identify(&settings, &model(), &paranoid).unwrap().key, key);
    assert_eq!(dir.jsonl(SLICES).key, key, "and mended by a look inside");
    // Other slices of the same file are digested separately.
    assert_ne!(dir.jsonl("train: 1, validation: 1").key.train, key.train);
}

/// Same size, modification time and inode: only the change time differs, which cannot be set back.
#[cfg(unix)]
#[test]
fn a_file_that_was_changed_in_place_and_set_back_is_read_again() {
    let dir = Dir::new();
    let path = dir.write("a.jsonl", lines(&["v", "t1", "t2"]));
    age(&path, 0);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let key = dir.jsonl(SLICES).key;
    let before = std::fs::metadata(&path).unwrap();
    std::fs::write(&path, lines(&["v", "t1", "t9"])).unwrap();
    age(&path, 0);
    let after = std::fs::metadata(&path).unwrap();
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
    assert_eq!(before.len(), after.len());
    assert_ne!(dir.jsonl(SLICES).key.train, key.train);
    assert_eq!(dir.jsonl(SLICES).key.validation, key.validation);
}

#[test]
#[cfg_attr(
    windows,
    ignore = "without the processor time of a thread, other load decides"
)]
fn repeated_looks_are_quick() {
    let dir = Dir::new();
    let texts: Vec<String> = (0..3000)
        .map(|i| format!("document {i} ").repeat(40))
        .collect();
    let path = dir.write(
        "a.jsonl",
        lines(&texts.iter().map(String::as_str).collect::<Vec<_>>()),
    );
    age(&path, 0);
    let first = dir.jsonl("train: 2500, validation: 300");
    let start = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(dir.jsonl("train: 2500, validation: 300"), first);
    }
    let each = start.elapsed() / 20;
    eprintln!("{each:?} for a repeated look");
    assert!(each < std::time::Duration::from_millis(5), "{each:?}");
}

#[test]
fn damaged_entries_of_the_cache_are_ignored() {
    let dir = Dir::new();
    let path = dir.write("a.jsonl", lines(&["v", "t1", "t2"]));
    age(&path, 0);
    let key = dir.jsonl(SLICES).key;
    for entry in std::fs::read_dir(dir.0.path().join("tokens-v1/stat")).unwrap() {
        std::fs::write(entry.unwrap().path(), "{\"format\":1").unwrap();
    }
    assert_eq!(dir.jsonl(SLICES).key, key);
}

#[test]
fn a_cache_that_cannot_be_written_is_no_error() {
    let dir = Dir::new();
    dir.write("a.jsonl", lines(&["v", "t1", "t2"]));
    dir.write("tokens-v1", "a file where the folder should be");
    assert_eq!(dir.jsonl(SLICES).slices.train.range.len(), 2);
}

#[test]
fn the_tokenizer_file_counts_by_its_bytes() {
    let dir = Dir::new();
    let json = TextTokenizer::train_bpe(&["a b a b"], 260).unwrap();
    let path = dir.write("t.json", &json);
    let of = |name: &str| {
        let fields =
            format!("corpus: {{stories: {{version: 1}}}}, tokenizer: {{file: {name}}}, {SLICES}");
        identify(&data_settings(&fields), &model(), &dir.context())
    };
    let found = of("t.json").unwrap();
    assert_eq!(
        found.key.tokenizer,
        TokenizerKey::File {
            sha256: Sha256Hex::of(&json)
        }
    );
    assert_eq!(found.vocab_size, 258);
    age(&path, 0);
    let again = of("t.json").unwrap();
    assert_eq!((&again, &of("./t.json").unwrap()), (&found, &found));
    std::fs::remove_file(path).unwrap();
    assert!(
        of("t.json")
            .unwrap_err()
            .to_string()
            .starts_with("cannot read ")
    );
}

#[test]
fn ids_need_the_tokenizer_that_made_them() {
    let dir = Dir::new();
    dir.write("a.bin", [5, 0, 0, 0, 6, 0, 0, 0, 7, 0]);
    let corpus = format!("corpus: {{bin: {{path: a.bin}}}}, {SLICES}");
    let error = dir.identify(&corpus).unwrap_err();
    assert!(error.ends_with("holds token ids, so `data.tokenizer` must be the `file` they were made with, not `train_bpe`"), "{error}");
    dir.write(
        "t.json",
        TextTokenizer::train_bpe(&["a b a b"], 260).unwrap(),
    );
    let found = identify(
        &data_settings(&format!("{corpus}, tokenizer: {{file: t.json}}")),
        &model(),
        &dir.context(),
    )
    .unwrap();
    assert!(matches!(
        found.key.train,
        SliceKey::Documents { take: 2, .. }
    ));
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let refused = |fields: &str| {
        Dir::new()
            .identify(&format!(
                "corpus: {{stories: {{version: 1}}}}, {SLICES}, {fields}"
            ))
            .unwrap_err()
    };
    assert_snapshot!(refused("target_shift: 3"), @"`data.target_shift` is 3; allowed are 1 (the next token) and 2 (the one after it)");
    assert_snapshot!(refused("seq_len: 33"), @"a sequence length of 33 (`data.seq_len`) is not possible: the model has 32 positions (`model.max_seq_len`)");
    let fields = format!(
        "corpus: {{stories: {{version: 1}}}}, {SLICES}, tokenizer: {{train_bpe: {{vocab_size: 99999}}}}"
    );
    let error = identify(&data_settings(&fields), &model(), &DataContext::default()).unwrap_err();
    assert_snapshot!(error, @"`data.tokenizer.train_bpe.vocab_size` is 99999; allowed are 257 to 65536 (256 bytes and one special token come first)");
}
