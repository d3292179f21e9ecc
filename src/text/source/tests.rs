use super::*;
use crate::text::test_support::{real, yaml};
use insta::assert_snapshot;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{BufReader, Write};
use std::path::PathBuf;

mod forms;

const VOCABULARY: BinVocabulary = BinVocabulary {
    eos: 3,
    vocab_size: 300,
};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn with(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    fn context(&self) -> DataContext {
        DataContext {
            base: self.0.path().to_owned(),
            ..DataContext::default()
        }
    }

    /// The first `take` documents of a corpus, or the message.
    fn read(&self, corpus: &str, take: usize) -> Result<Vec<String>, String> {
        let corpus: Corpus = yaml(corpus);
        let wanted = Wanted {
            slice: "train",
            range: 0..take,
        };
        let mut found = Vec::new();
        read_ranges(
            &corpus,
            &[wanted],
            Some(VOCABULARY),
            &self.context(),
            |_, document| {
                found.push(match document {
                    Document::Text(text) => text.clone(),
                    Document::Ids(ids) => format!("{ids:?}"),
                });
                Ok(())
            },
        )
        .map(|()| found)
        .map_err(|error| {
            let folder = self.0.path().join("");
            let text = error.to_string().replace(&*folder.to_string_lossy(), "");
            // On Windows, a different separator follows the folder `d` of these tests.
            text.replace(r"`d\", "`d/")
        })
    }
}

fn jsonl(texts: &[&str]) -> String {
    texts
        .iter()
        .map(|text| serde_json::json!({"meta": {"n": [1]}, "text": text}).to_string() + "\n")
        .collect()
}

fn zst(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

#[test]
fn embedded_documents_come_in_order_over_gaps() {
    let corpus: Corpus = yaml("{documents: {version: 1, seed: 4}}");
    let wanted = [600..603, 0..300, 299..301].map(|range| Wanted {
        slice: "train",
        range,
    });
    let mut found = vec![Vec::new(); 3];
    read_ranges(
        &corpus,
        &wanted,
        None,
        &DataContext::default(),
        |number, document| {
            found[number].push(document.clone());
            Ok(())
        },
    )
    .unwrap();
    let parameters = Embedded {
        version: 1,
        seed: 4,
    };
    for (documents, w) in found.into_iter().zip(wanted) {
        let expected: Vec<Document> = w
            .range
            .map(|index| {
                Document::Text(corpora::document(
                    Generator::Documents,
                    &parameters,
                    index as u64,
                ))
            })
            .collect();
        assert!(documents == expected);
    }
}

#[test]
fn text_is_cut_at_separator_lines() {
    let dir = Dir::new().with(
        "a.txt",
        "\u{feff}\n one\ntwo \n<|endoftext|>\r\n\n<|endoftext|>\nthree <|endoftext|> four\r\nfive",
    );
    let found = dir.read("{text: {path: a.txt}}", 2).unwrap();
    assert_eq!(found, ["one\ntwo", "three <|endoftext|> four\nfive"]);
    assert_snapshot!(dir.read("{text: {path: a.txt}}", 3).unwrap_err(), @"`a.txt` has 2 documents, but `data.train` asks for documents 1 to 3");
    let poems = Dir::new().with("b.txt", "a\nb\n---\nc\n");
    assert_eq!(
        poems
            .read("{text: {path: b.txt, separator: '---'}}", 2)
            .unwrap(),
        ["a\nb", "c"]
    );
}

#[test]
fn folders_are_read_in_path_order() {
    let dir = Dir::new()
        .with("d/b.txt", "B")
        .with("d/a/z.txt", "Z ")
        .with("d/c.md", "C")
        .with("d/.hidden", "H")
        .with("d/a.txt", "A");
    assert_eq!(
        dir.read("{folder: {path: d}}", 4).unwrap(),
        ["A", "Z ", "B", "C"]
    );
    assert_eq!(
        dir.read("{folder: {path: d, extension: md}}", 1).unwrap(),
        ["C"]
    );
    let bad = Dir::new().with("d/x", [b'a', 0xff]);
    assert_snapshot!(bad.read("{folder: {path: d}}", 1).unwrap_err(), @"`d/x`: invalid UTF-8 at byte 1; documents must be UTF-8 text");
    assert!(
        bad.read("{folder: {path: e}}", 1)
            .unwrap_err()
            .starts_with("cannot read `e`: ")
    );
}

#[test]
fn bin_is_cut_at_end_of_text() {
    let ids = |ids: &[u16]| {
        ids.iter()
            .flat_map(|id| id.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let dir = Dir::new().with("a.bin", ids(&[3, 7, 8, 3, 3, 299, 3, 4]));
    assert_eq!(
        dir.read("{bin: {path: a.bin}}", 3).unwrap(),
        ["[7, 8]", "[299]", "[4]"]
    );
    let dir = dir.with("b.bin", ids(&[7, 300]));
    assert_snapshot!(dir.read("{bin: {path: b.bin}}", 1).unwrap_err().replace(&format!("{}/", dir.0.path().display()), ""), @"`b.bin`, token 2, read as ids of 16 bits: token id 300 is beyond the vocabulary of 300 entries; the ids were made with another tokenizer");
    let dir = dir.with("c.bin", [7, 0, 9]);
    assert_snapshot!(dir.read("{bin: {path: c.bin}}", 1).unwrap_err(), @"`c.bin`: 3 bytes are not a whole number of 16-bit token ids");
}

#[test]
fn jsonl_takes_one_field() {
    let lines = format!(
        "{}\n \r\n{}",
        jsonl(&["one \u{e9}", ""]),
        r#"{"text":"\ud83d\ude00","body":"x"}"#
    );
    let dir = Dir::new().with("a.jsonl", lines);
    assert_eq!(
        dir.read("{jsonl: {path: a.jsonl}}", 3).unwrap(),
        ["one \u{e9}", "", "\u{1f600}"]
    );
    assert_snapshot!(dir.read("{jsonl: {path: a.jsonl, field: body}}", 1).unwrap_err(), @"`a.jsonl`, line 1: expected a field `body`, found only `meta`, `text`; 0 documents read before it");
}

#[test]
fn bad_lines_are_named() {
    let second = |line: &str| {
        let dir = Dir::new().with("a.jsonl", format!("{}\n{line}\n", jsonl(&["x"])));
        dir.read("{jsonl: {path: a.jsonl}}", 2).unwrap_err()
    };
    assert_snapshot!(second("{\"text\": \"cut"), @"`a.jsonl`, line 3: expected a JSON object with the text in `text`, found EOF while parsing a string (column 13); 1 document read before it");
    assert_snapshot!(second("{\"text\": [1, {\"a\": 2}]}"), @"`a.jsonl`, line 3: expected a string in `text`, found a list; 1 document read before it");
    assert_snapshot!(second("{\"text\": null}"), @"`a.jsonl`, line 3: expected a string in `text`, found `null`; 1 document read before it");
    assert_snapshot!(second("[\"text\"]"), @"`a.jsonl`, line 3: expected a JSON object with the text in `text`, found a list; 1 document read before it");
    assert_snapshot!(second("{\"text\": \"a\"} {}"), @"`a.jsonl`, line 3: expected a JSON object with the text in `text`, found trailing characters (column 15); 1 document read before it");
    assert_snapshot!(second("{\"text\": \"a\", \"text\": \"b\"}"), @"`a.jsonl`, line 3: expected a field `text`, found the field `text` twice; 1 document read before it");
    assert_snapshot!(second("{}"), @"`a.jsonl`, line 3: expected a field `text`, found an object without fields; 1 document read before it");
    let dir = Dir::new().with(
        "a.jsonl",
        [b"{\"text\":\"".as_slice(), &[0xc3, b'"', b'}']].concat(),
    );
    assert_snapshot!(dir.read("{jsonl: {path: a.jsonl}}", 1).unwrap_err(), @"`a.jsonl`: invalid UTF-8 at byte 9; documents must be UTF-8 text");
}

#[test]
fn only_what_is_needed_is_read() {
    // The third line is invalid but not requested.
    let dir = Dir::new().with("a.jsonl", jsonl(&["x", "y"]) + "{broken");
    assert_eq!(dir.read("{jsonl: {path: a.jsonl}}", 2).unwrap().len(), 2);
    assert!(dir.read("{jsonl: {path: a.jsonl}}", 3).is_err());
}

#[test]
fn zst_is_read_frame_by_frame() {
    let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    let bytes = [
        zst(jsonl(&["one"]).as_bytes()),
        skippable,
        zst(b""),
        zst(jsonl(&["two", "three"]).as_bytes()),
    ]
    .concat();
    let dir = Dir::new().with("a.jsonl.zst", bytes);
    assert_eq!(
        dir.read("{jsonl: {path: a.jsonl.zst}}", 3).unwrap(),
        ["one", "two", "three"]
    );
}

#[test]
fn truncated_and_damaged_zst_are_told_apart() {
    let texts: Vec<String> = (0..4000)
        .map(|i| format!("document {i} {}", i * 7919 % 1013))
        .collect();
    let whole = zst(jsonl(&texts.iter().map(String::as_str).collect::<Vec<_>>()).as_bytes());
    let error = |bytes: &[u8]| {
        let dir = Dir::new().with("a.jsonl.zst", bytes);
        dir.read("{jsonl: {path: a.jsonl.zst}}", 4000).unwrap_err()
    };
    let cut = error(&whole[..whole.len() / 2]);
    assert!(
        cut.starts_with("`a.jsonl.zst`: the zstd data ends early: "),
        "{cut}"
    );
    assert!(cut.ends_with(" documents) were read before it"), "{cut}");
    let mut wrong = whole.clone();
    wrong[0] ^= 1;
    assert!(
        error(&wrong).starts_with("`a.jsonl.zst`: the zstd data is damaged: it does not begin"),
        "{}",
        error(&wrong)
    );
}

#[test]
fn windows_beyond_the_limit_are_refused() {
    // Frame header: no single segment, window descriptor with exponent 22 (4 GiB).
    let dir = Dir::new().with(
        "a.jsonl.zst",
        [0x28, 0xb5, 0x2f, 0xfd, 0x00, 22 << 3, 1, 0, 0],
    );
    assert_snapshot!(dir.read("{jsonl: {path: a.jsonl.zst}}", 1).unwrap_err(), @"`a.jsonl.zst`: unsupported zstd data: it needs a window of 4096 MiB, and at most 2048 MiB is read; compress it again with `--long=31` or less; 0 decompressed bytes (0 documents) were read before it");
}

#[test]
fn a_bomb_stops_at_the_line_limit() {
    // Blocks of type RLE: 4 bytes each make 128 KiB. 1,024 of them are 128 MiB of one line.
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 10 << 3];
    let header = |last: u32| (((128 << 10) << 3) | (1 << 1) | last).to_le_bytes();
    for block in 0..1024 {
        bytes.extend_from_slice(&header(u32::from(block == 1023))[..3]);
        bytes.push(b'x');
    }
    let dir = Dir::new().with("a.jsonl.zst", bytes);
    assert_snapshot!(dir.read("{jsonl: {path: a.jsonl.zst}}", 1).unwrap_err(), @"`a.jsonl.zst`, line 1: longer than the limit of 67108864 bytes; 0 documents read before it");
}

#[test]
fn missing_files_are_named() {
    for corpus in [
        "{text: {path: no}}",
        "{jsonl: {path: no}}",
        "{bin: {path: no}}",
        "{folder: {path: no}}",
    ] {
        let error = Dir::new().read(corpus, 1).unwrap_err();
        assert!(error.starts_with("cannot read `no`: "), "{error}");
    }
    let dir = Dir::new().with("d/x", "");
    assert!(
        dir.read("{text: {path: d}}", 1)
            .unwrap_err()
            .contains("directory")
    );
}

#[test]
fn pile_sample_streams() {
    let Some(path) = real("pile-test-a/pile-test-a.jsonl.zst") else {
        return;
    };
    let corpus = Corpus::Jsonl(Jsonl {
        path: path.into(),
        field: "text".to_owned(),
    });
    let wanted = |range| Wanted {
        slice: "train",
        range,
    };
    let (mut documents, mut bytes) = (0, 0);
    read_ranges(
        &corpus,
        &[wanted(0..300), wanted(100..250)],
        None,
        &DataContext::default(),
        |number, document| {
            if number == 1 {
                documents += 1;
                bytes += document.identity_bytes().len();
            }
            Ok(())
        },
    )
    .unwrap();
    assert_eq!(documents, 150);
    assert!(bytes > 100_000);
    let error = read_ranges(
        &corpus,
        &[wanted(4000..5000)],
        None,
        &DataContext::default(),
        |_, _| Ok(()),
    )
    .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has 4540 documents, but `data.train` asks for documents 4001 to 5000"),
        "{error}"
    );
}

#[test]
fn tiny_stories_are_cut_into_stories() {
    let Some(path) = real("tinystories-train-head/TinyStories-train-head-2MiB.txt") else {
        return;
    };
    let corpus = Corpus::Text(TextFile {
        path: path.into(),
        separator: "<|endoftext|>".to_owned(),
        pieces: None,
    });
    let count = |take| {
        let wanted = Wanted {
            slice: "train",
            range: 0..take,
        };
        read_ranges(&corpus, &[wanted], None, &DataContext::default(), |_, _| {
            Ok(())
        })
    };
    // 2,316 complete stories and a truncated one.
    assert!(count(2317).is_ok());
    assert!(count(2318).is_err());
}

/// Reads everything; errors are fine, panics and endless loops are not.
fn exhaust(documents: impl Iterator<Item = Result<Document, DataError>>) {
    for document in documents.take(2000) {
        if document.is_err() {
            break;
        }
    }
}

fn exhaust_all(bytes: &[u8]) {
    let name = || PathBuf::from("hostile");
    let plain = || -> input::Input { Box::new(std::io::Cursor::new(bytes.to_vec())) };
    let zstd: input::Input = Box::new(BufReader::new(zst::ZstReader::new(plain())));
    exhaust(jsonl::JsonLines::new(plain(), name(), "text".to_owned()));
    exhaust(jsonl::JsonLines::new(zstd, name(), "a.b".to_owned()));
    exhaust(json::JsonElements::new(plain(), name(), "text".to_owned()));
    for text in [
        "{path: f, separator: '---'}",
        "{path: f, separator: \"\\n\"}",
        "{path: f, pieces: 7}",
    ] {
        exhaust(text::TextDocuments::new(plain(), name(), &yaml(text)));
    }
    for width in [Width::Bits16, Width::Bits32] {
        exhaust(bin::BinDocuments::new(plain(), name(), width, VOCABULARY));
    }
    // Compressed files of every kind, read from disk.
    let dir = Dir::new().with("f", bytes);
    for corpus in [
        "{jsonl: {path: f}}",
        "{json: {path: f}}",
        "{text: {path: f}}",
        "{folder: {path: .}}",
    ] {
        let _ = dir.read(corpus, 2000);
    }
}

#[test]
fn changed_corpora_are_read_or_refused() {
    let lines = jsonl(&["one \u{e9}\n", "", "two \u{1f600}"]);
    let array = r#"[{"text": "one"}, {"text": "two", "n": [1, {"a": null}]}, "three"]"#;
    let plain = "one\ntwo\r\n---\n\nthree\n".as_bytes();
    let ids: Vec<u8> = (0..40_u16).flat_map(u16::to_le_bytes).collect();
    let mut seeds: Vec<Vec<u8>> = [lines.as_bytes(), array.as_bytes(), plain, &ids]
        .map(<[u8]>::to_vec)
        .into();
    for text in [lines.as_bytes(), array.as_bytes()] {
        seeds.extend([zst(text), forms::gz(text), [zst(text), zst(text)].concat()]);
    }
    seeds.push(forms::XZ.to_vec());
    let words = [
        "\"text\":",
        "\\ud83d",
        "NaN",
        "\u{feff}",
        "\r\n",
        "---\n",
        "[",
        "{",
        "\u{0}",
        "\u{1f}\u{8b}",
    ];
    crate::test_support::fuzz("corpora", &seeds, &words, 400, exhaust_all);
}

proptest! {
    #![proptest_config(crate::test_support::cases(400))]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exhaust_all(&bytes);
        exhaust_all(&[&[0x28, 0xb5, 0x2f, 0xfd], &bytes[..]].concat());
    }

    #[test]
    fn mutated_files_do_no_harm(text in "[a-z\"{}:, ]{0,400}", edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), cut in any::<prop::sample::Index>()) {
        for mut bytes in [zst(jsonl(&[&text, &text]).as_bytes()), jsonl(&[&text]).into_bytes()] {
            for (at, value) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            exhaust_all(&bytes);
            exhaust_all(&bytes[..cut.index(bytes.len())]);
        }
    }

    #[test]
    fn mutated_real_zst_does_no_harm(edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        use std::sync::OnceLock;
        static HEAD: OnceLock<Option<Vec<u8>>> = OnceLock::new();
        let head = HEAD.get_or_init(|| {
            let mut bytes = std::fs::read(real("pile-test-a/pile-test-a.jsonl.zst")?).unwrap();
            bytes.truncate(60_000);
            Some(bytes)
        });
        if let Some(head) = head {
            let mut bytes = head.clone();
            for (at, value) in &edits {
                let at = at.index(bytes.len());
                bytes[at] = *value;
            }
            exhaust_all(&bytes);
        }
    }
}
