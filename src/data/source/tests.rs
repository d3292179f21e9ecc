use super::*;
use crate::data::test_support::{real, yaml};
use crate::spec::Width;
use insta::assert_snapshot;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};
use std::io::{BufReader, Write};
use std::path::PathBuf;

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
            error
                .to_string()
                .replace(&format!("{}/", self.0.path().display()), "")
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
    // The third line is broken, and nobody asks for it.
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
    assert_snapshot!(dir.read("{jsonl: {path: a.jsonl.zst}}", 1).unwrap_err(), @"`a.jsonl.zst`: zstd data that is not read: it needs a window of 4096 MiB, and at most 2048 MiB is read; compress it again with `--long=31` or less; 0 decompressed bytes (0 documents) were read before it");
}

#[test]
fn a_bomb_stops_at_the_line_limit() {
    // Blocks of type RLE: 4 bytes each make 128 KiB. 1,024 of them are 128 MiB of one endless line.
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
    let corpus = Corpus::Jsonl(crate::spec::Jsonl {
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
    let corpus = Corpus::Text(crate::spec::TextFile {
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
    // 2,316 whole stories and one that is cut off.
    assert!(count(2317).is_ok());
    assert!(count(2318).is_err());
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `{"text": "one"}` and `{"text": "two"}` on two lines, by `xz`.
const XZ: &[u8] = &[
    0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00, 0x04, 0xe6, 0xd6, 0xb4, 0x46, 0x02, 0x00, 0x21, 0x01,
    0x16, 0x00, 0x00, 0x00, 0x74, 0x2f, 0xe5, 0xa3, 0xe0, 0x00, 0x1f, 0x00, 0x1b, 0x5d, 0x00, 0x3d,
    0x88, 0x8a, 0x86, 0x94, 0x88, 0x13, 0xe0, 0xf3, 0x87, 0x24, 0xb7, 0x68, 0x36, 0x09, 0xcc, 0x4c,
    0x77, 0x52, 0x5e, 0xaa, 0x81, 0x7c, 0xd9, 0x1d, 0xd5, 0x00, 0x00, 0x00, 0x0c, 0x5d, 0x8e, 0x09,
    0xa5, 0x59, 0x04, 0xae, 0x00, 0x01, 0x37, 0x20, 0xd7, 0x35, 0xef, 0x8b, 0x1f, 0xb6, 0xf3, 0x7d,
    0x01, 0x00, 0x00, 0x00, 0x00, 0x04, 0x59, 0x5a,
];

#[test]
fn compression_is_told_by_the_first_bytes() {
    let two = [
        gz(jsonl(&["one"]).as_bytes()),
        gz(jsonl(&["two"]).as_bytes()),
    ]
    .concat();
    let dir = Dir::new()
        .with("a.jsonl", &two)
        .with("b.jsonl.gz", jsonl(&["plain"]));
    assert_eq!(
        dir.read("{jsonl: {path: a.jsonl}}", 2).unwrap(),
        ["one", "two"]
    );
    assert_eq!(
        dir.read("{jsonl: {path: b.jsonl.gz}}", 1).unwrap(),
        ["plain"]
    );
    let dir = dir.with("c.gz", &two[..two.len() - 9]);
    let error = dir.read("{jsonl: {path: c.gz}}", 3).unwrap_err();
    assert!(
        error.starts_with("`c.gz`: the gzip data ends early: "),
        "{error}"
    );
    let dir = dir.with("d", XZ).with("d.xz", &XZ[..40]);
    assert_eq!(dir.read("{jsonl: {path: d}}", 2).unwrap(), ["one", "two"]);
    let error = dir.read("{jsonl: {path: d.xz}}", 3).unwrap_err();
    assert!(
        error.starts_with("`d.xz`: the xz data ends early: "),
        "{error}"
    );
    let dir = dir
        .with("e", b"BZh91AY")
        .with("f.txt", [0xff, 0xfe, b'a', 0]);
    assert_snapshot!(dir.read("{text: {path: e}}", 1).unwrap_err(), @"cannot read `e`: it is compressed with bzip2; zstd, gzip, xz and plain files are read");
    assert_snapshot!(dir.read("{text: {path: f.txt}}", 1).unwrap_err(), @"cannot read `f.txt`: it is UTF-16 (by its byte order mark); convert it to UTF-8, as with `iconv -f UTF-16 -t UTF-8`");
}

#[test]
fn several_files_and_patterns_are_read_in_order() {
    let dir = Dir::new()
        .with("s/b-10.txt", "ten")
        .with("s/b-2.txt", "two")
        .with("s/.b-0.txt", "hidden")
        .with("s/[x].txt", "literal")
        .with("first.txt", "first\n<|endoftext|>\nsecond");
    assert_eq!(
        dir.read("{text: {path: [first.txt, s/b-*.txt]}}", 4)
            .unwrap(),
        ["first", "second", "ten", "two"]
    );
    assert_eq!(
        dir.read("{text: {path: 's/[x].txt'}}", 1).unwrap(),
        ["literal"]
    );
    assert_snapshot!(dir.read("{text: {path: 's/c*.txt'}}", 1).unwrap_err(), @"cannot read `s/c*.txt`: no file matches the pattern");
    // A missing shard is found when it is reached.
    assert!(dir.read("{text: {path: [first.txt, no.txt]}}", 2).is_ok());
    assert!(dir.read("{text: {path: [first.txt, no.txt]}}", 3).is_err());
}

#[test]
fn one_rule_for_byte_order_marks_and_line_ends() {
    let mark = "\u{feff}";
    let dir = Dir::new()
        .with("a.jsonl", format!("{mark}{}", jsonl(&["one\r\ntwo"])))
        .with("b.json", format!("{mark}[\"x\"]"))
        .with("d/c.txt", format!("{mark}one\r\ntwo\r\n"));
    assert_eq!(
        dir.read("{jsonl: {path: a.jsonl}}", 1).unwrap(),
        ["one\r\ntwo"]
    );
    assert_eq!(dir.read("{json: {path: b.json}}", 1).unwrap(), ["x"]);
    assert_eq!(dir.read("{folder: {path: d}}", 1).unwrap(), ["one\ntwo\n"]);
}

#[test]
fn text_is_cut_at_lines_empty_lines_and_into_pieces() {
    let dir = Dir::new().with("a.txt", "one\n two\n\n\nthree\r\n");
    let read = |rest: &str, take| dir.read(&format!("{{text: {{path: a.txt, {rest}}}}}"), take);
    assert_eq!(
        read("separator: \"\\n\"", 3).unwrap(),
        ["one", "two", "three"]
    );
    assert_eq!(
        read("separator: \"\\n\\n\"", 2).unwrap(),
        ["one\n two", "three"]
    );
    assert_eq!(
        read("pieces: 6", 3).unwrap(),
        ["one\n t", "wo\n\n\nt", "hree"]
    );
    assert_eq!(read("pieces: 100", 1).unwrap(), ["one\n two\n\n\nthree"]);
    assert!(read("pieces: 6", 4).is_err());
    assert_snapshot!(read("separator: '---'", 2).unwrap_err(), @r#"`a.txt` has 1 document, but `data.train` asks for documents 1 to 2; no line of it is the separator `---`: name its `separator` (`"\n"` cuts at lines, `"\n\n"` at empty lines), or cut it with `pieces: 1000` (characters)"#);
    let wide = Dir::new().with("b.txt", "äöü".repeat(50));
    let pieces = wide.read("{text: {path: b.txt, pieces: 40}}", 4).unwrap();
    assert_eq!(pieces.concat(), "äöü".repeat(50));
    assert_eq!(pieces[3].chars().count(), 30);
}

#[test]
fn json_arrays_and_objects_are_read_element_by_element() {
    let dir = Dir::new()
        .with(
            "a.json",
            "[ \"one, \\\"two\\\"]\" ,\n {\"text\": \"three\", \"n\": [1, {}]}\n]\n",
        )
        .with("b.json", r#"{"x": "one", "y}": {"meta": {"body": "two"}}}"#)
        .with("c.json", "[]");
    assert_eq!(
        dir.read("{json: {path: a.json}}", 2).unwrap(),
        ["one, \"two\"]", "three"]
    );
    assert_eq!(
        dir.read("{json: {path: b.json, field: meta.body}}", 2)
            .unwrap(),
        ["one", "two"]
    );
    assert!(
        dir.read("{json: {path: c.json}}", 1)
            .unwrap_err()
            .contains("has 0 documents")
    );
    let error = |text: &str| {
        let dir = Dir::new().with("a.json", text);
        dir.read("{json: {path: a.json}}", 9).unwrap_err()
    };
    assert_snapshot!(error("\"x\""), @r#"`a.json`, line 1: expected an array or an object of texts, found `"`; 0 documents read before it"#);
    assert_snapshot!(error("[\n\"a\",\n7]"), @"`a.json`, line 3: expected a string, or an object with the text in `text`, found a number; 1 document read before it");
    assert_snapshot!(error("[\"a\""), @"`a.json`, line 1: expected `,` or the end of the texts, found the end of the file; 1 document read before it");
    assert_snapshot!(error("[\"a\"] x"), @"`a.json`, line 1: expected the end of the file, found `x`; 1 document read before it");
}

#[test]
fn what_python_writes_is_named() {
    let error = |line: &str| {
        let dir = Dir::new().with("a.jsonl", line);
        dir.read("{jsonl: {path: a.jsonl}}", 1).unwrap_err()
    };
    assert_snapshot!(error(r#"{"score": NaN, "text": "a"}"#), @"`a.jsonl`, line 1: expected a JSON object with the text in `text`, found `NaN` (column 11), which is no JSON; Python writes it unless it is told `allow_nan=False`; 0 documents read before it");
    assert_snapshot!(error(r#"{"score": -Infinity, "text": "a"}"#), @"`a.jsonl`, line 1: expected a JSON object with the text in `text`, found `-Infinity` (column 12), which is no JSON; Python writes it unless it is told `allow_nan=False`; 0 documents read before it");
    let lone = error(r#"{"text": "\\ud83d\ude00 \ud83d"}"#);
    assert!(
        lone.contains("half of a surrogate pair, which is no character"),
        "{lone}"
    );
}

#[cfg(unix)]
#[test]
fn folders_read_links_and_refuse_what_they_cannot_read() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    let dir = Dir::new().with("real/x.txt", "linked").with("d/a.txt", "A");
    let base = dir.0.path().to_owned();
    symlink("../real", base.join("d/more")).unwrap();
    symlink("../real/x.txt", base.join("d/b.txt")).unwrap();
    assert_eq!(
        dir.read("{folder: {path: d}}", 3).unwrap(),
        ["A", "linked", "linked"]
    );
    symlink("nowhere", base.join("d/gone.txt")).unwrap();
    assert_snapshot!(dir.read("{folder: {path: d}}", 1).unwrap_err(), @"cannot read `d/gone.txt`: it is a link to `nowhere`, which does not exist; fetch that file or remove the link");
    assert!(dir.read("{folder: {path: d, extension: md}}", 0).is_ok());
    std::fs::remove_file(base.join("d/gone.txt")).unwrap();
    symlink("..", base.join("real/up")).unwrap();
    let error = dir.read("{folder: {path: d}}", 1).unwrap_err();
    assert!(error.contains("read without end"), "{error}");
    // Names that are not UTF-8 have an order of their own.
    let odd = Dir::new().with("o/z.txt", "z");
    for byte in [0xf3_u8, 0xf1, 0xf2] {
        let name = std::ffi::OsStr::from_bytes(&[byte]).to_owned();
        std::fs::write(odd.0.path().join("o").join(name), [b'0' + (byte & 7)]).unwrap();
    }
    assert_eq!(
        odd.read("{folder: {path: o}}", 4).unwrap(),
        ["z", "1", "2", "3"]
    );
}

#[test]
fn ids_of_another_width_are_told() {
    let wide = |id: u32| id.to_le_bytes();
    let ids: Vec<u8> = (0..24)
        .flat_map(|i| wide(if i % 4 == 3 { 3 } else { 40 + i }))
        .collect();
    let dir = Dir::new().with("a.bin", &ids);
    assert_snapshot!(dir.read("{bin: {path: a.bin}}", 40).unwrap_err(), @"`a.bin`: every second id of 16 bits is 0, as where ids have 32 bits; write `width: 32` where it holds such ids");
    assert_eq!(
        dir.read("{bin: {path: a.bin, width: 32}}", 2).unwrap(),
        ["[40, 41, 42]", "[44, 45, 46]"]
    );
    let narrow: Vec<u8> = (0..64_u16).flat_map(|i| (40 + i).to_le_bytes()).collect();
    let dir = dir.with("b.bin", narrow);
    assert!(
        dir.read("{bin: {path: b.bin, width: 32}}", 1)
            .unwrap_err()
            .contains("read as ids of 32 bits")
    );
}

/// Reads everything there is; errors are fine, panics and endless loops are not.
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
    exhaust(jsonl::JsonElements::new(plain(), name(), "text".to_owned()));
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
    // Compressed files of every kind, from the disk.
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
