//! Reads files from another program (pyarrow 26.0.1) and our own; modified ones are read or refused.
//! `scripts/interop.sh parquet` compares many more files and reads ours with pandas.

use super::*;
use std::io::Cursor;

type Read = Result<Vec<Option<String>>, Fault>;

fn read(file: &[u8], field: &str) -> Read {
    let mut texts = Texts::open(Cursor::new(file), field)?;
    let mut found = Vec::new();
    while let Some(text) = texts.next()? {
        found.push(text.map(|text| String::from_utf8_lossy(text).into_owned()));
    }
    Ok(found)
}

fn message(read: Read) -> String {
    match read.unwrap_err() {
        Fault::Io(error) => error.to_string(),
        Fault::Ends => "ends".to_owned(),
        Fault::Damaged(what) | Fault::Unread(what) => what,
    }
}

/// Files with different encodings: plain, dictionary, lengths first, prefixes; pages of both versions.
const FILES: [(&str, &[u8]); 6] = [
    ("plain", include_bytes!("tests/plain.parquet")),
    (
        "snappy, dictionary",
        include_bytes!("tests/snappy-dictionary.parquet"),
    ),
    ("zstd, version 2", include_bytes!("tests/zstd-v2.parquet")),
    (
        "gzip, lengths",
        include_bytes!("tests/gzip-lengths.parquet"),
    ),
    (
        "snappy, prefixes, version 2",
        include_bytes!("tests/prefixes-v2.parquet"),
    ),
    ("without nulls", include_bytes!("tests/required.parquet")),
];

/// Their contents, repeated three times.
const TEXTS: [Option<&str>; 8] = [
    Some("one é\n"),
    Some(""),
    None,
    Some("two 😀"),
    Some("a longer text, a longer text, a longer text"),
    Some("one é\n"),
    None,
    Some("three"),
];

#[test]
fn files_of_another_program_are_read() {
    let texts = [TEXTS; 3].concat();
    for (name, file) in FILES {
        let is_required = name == "without nulls";
        let of = |text: &Option<&str>| match text {
            None if is_required => Some(String::new()),
            text => text.map(str::to_owned),
        };
        let expected: Vec<_> = texts.iter().map(of).collect();
        assert_eq!(read(file, "text").unwrap(), expected, "{name}");
        if !is_required {
            let upper: Vec<_> = texts
                .iter()
                .map(|text| text.map(str::to_uppercase))
                .collect();
            assert_eq!(read(file, "meta.body").unwrap(), upper, "{name}");
        }
    }
}

#[test]
fn what_is_not_read_is_named() {
    let (plain, brotli) = (FILES[0].1, include_bytes!("tests/brotli.parquet"));
    let said = [
        message(read(brotli, "text")),
        message(read(brotli, "tags.list.element")),
        message(read(brotli, "n")),
        message(read(plain, "body")),
        message(read(b"PAR1", "text")),
        message(read(b"[1, 2, 3, 4, 5]", "text")),
        message(read(&plain[..plain.len() - 9], "text")),
    ];
    insta::assert_snapshot!(said.join("\n"), @"
    it is compressed with brotli; snappy, gzip and zstd are read
    the column `tags.list.element` holds lists, not one text per row
    the column `n` holds whole numbers, not texts
    it has no column `body`, only `n`, `text`, `meta.body`
    it does not end like a Parquet file: it is truncated
    it does not begin like a Parquet file
    it does not end like a Parquet file: it is truncated
    ");
    // Pages with checksums, and a changed letter in each.
    let mut changed = FILES[2].1.to_vec();
    let frames = changed.windows(4).enumerate();
    let frames = frames.filter(|(_, four)| four == b"\x28\xB5\x2F\xFD");
    let frames: Vec<usize> = frames.map(|(at, _)| at).collect();
    frames.iter().for_each(|at| changed[at + 5] ^= 1);
    let said = message(read(&changed, "text"));
    assert_eq!(said, "the checksum of a page differs");
}

#[test]
fn our_own_tables_are_read() {
    let mut file = Vec::new();
    let kinds = [
        ("yes", Kind::Booleans),
        ("n", Kind::Integers),
        ("x", Kind::Numbers),
        ("text", Kind::Texts),
    ];
    let kinds = kinds.map(|(name, kind)| (name.to_owned(), kind));
    let mut writer = Writer::new(&mut file, kinds.into()).unwrap();
    let text = |row: i64| (row % 3 != 1).then(|| format!("{row} é "));
    for group in 0..3 {
        let mut cells: [Cells; 4] = Default::default();
        for row in group * 500..(group + 1) * 500 {
            cells[0].boolean((row % 5 != 0).then_some(row % 2 == 0));
            cells[1].integer((row % 7 != 0).then_some(row));
            cells[2].number(Some(row as f64 / 3.0));
            cells[3].text(text(row).as_deref());
        }
        writer.group(cells.into()).unwrap();
    }
    writer.group(vec![Cells::default()]).unwrap();
    writer.finish().unwrap();
    assert_eq!(
        read(&file, "text").unwrap(),
        (0..1500).map(text).collect::<Vec<_>>()
    );
    assert_eq!(
        message(read(&file, "x")),
        "the column `x` holds numbers, not texts"
    );
}

#[test]
fn changed_files_are_read_or_refused() {
    let seeds: Vec<Vec<u8>> = FILES.map(|(_, file)| file.to_vec()).into();
    let words = ["PAR1", "text", "\u{15}", "\u{c}", "\u{19}\u{1c}"];
    crate::test_support::fuzz("parquet", &seeds, &words, 3000, |bytes| {
        for field in ["text", "meta.body"] {
            let Ok(mut texts) = Texts::open(Cursor::new(bytes), field) else {
                continue;
            };
            for _ in 0..20_000 {
                if !matches!(texts.next(), Ok(Some(_))) {
                    break;
                }
            }
        }
    });
}

/// Sizes merely claimed by a file cause no allocation.
#[test]
fn claims_cost_nothing() {
    let plain = FILES[0].1;
    let huge = |length: u32| {
        let mut file = plain.to_vec();
        let at = file.len() - 8;
        file[at..at + 4].copy_from_slice(&length.to_le_bytes());
        message(read(&file, "text"))
    };
    assert_eq!(huge(10_000), "its metadata is longer than the file");
    assert_eq!(
        huge(u32::MAX),
        "its metadata takes more than 16777216 bytes"
    );
    // A list of 2^60 columns.
    let mut file = b"PAR1".to_vec();
    let description = [
        0x29, 0xFC, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10,
    ];
    file.extend(description);
    file.extend((description.len() as u32).to_le_bytes());
    file.extend(MAGIC);
    assert_eq!(message(read(&file, "text")), "ends");
}
