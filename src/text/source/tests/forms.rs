//! Forms of input files: compression, patterns, line ends, pieces, JSON, links, widths.

use super::*;

pub(super) fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// `{"text": "one"}` and `{"text": "two"}` on two lines, by `xz`.
pub(super) const XZ: &[u8] = &[
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
    // A missing shard is reported when reached.
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
    assert_snapshot!(error(r#"{"score": NaN, "text": "a"}"#), @"`a.jsonl`, line 1: expected a JSON object with the text in `text`, found `NaN` (column 11), which is not JSON; Python writes it unless `allow_nan=False`; 0 documents read before it");
    assert_snapshot!(error(r#"{"score": -Infinity, "text": "a"}"#), @"`a.jsonl`, line 1: expected a JSON object with the text in `text`, found `-Infinity` (column 12), which is not JSON; Python writes it unless `allow_nan=False`; 0 documents read before it");
    let lone = error(r#"{"text": "\\ud83d\ude00 \ud83d"}"#);
    assert!(
        lone.contains("an unpaired surrogate, which is not a character"),
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
    assert!(error.contains("an endless loop"), "{error}");
    // Names that are not UTF-8 are sorted too.
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
    assert_snapshot!(dir.read("{bin: {path: a.bin}}", 1).unwrap_err(), @"`a.bin`: every second id of 16 bits is 0, as in files with ids of 32 bits; write `width: 32` where it holds such ids");
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
