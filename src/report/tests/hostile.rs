//! Records from somebody else: they give an error or a report, never a panic, and never need more
//! memory than their size explains.

use super::{files, fixture, text};
use crate::fsx::RealFs;
use crate::report::{Making, Report, ReportFolder, TemplateFolder, read_records, read_summary};
use crate::test_support::cases;
use proptest::prelude::*;
use proptest::sample::Index;
use std::io::{BufReader, Read};
use std::sync::OnceLock;

fn records() -> &'static str {
    static RECORDS: OnceLock<String> = OnceLock::new();
    RECORDS.get_or_init(|| text(&files(&fixture::three_runs()), "data/records.jsonl"))
}

#[test]
fn short_lines_that_stand_for_endless_lists_are_refused() {
    let message = |text: &str| read_records(text.as_bytes()).unwrap_err().to_string();
    let line = records().lines().nth(2).unwrap();
    let mut run: serde_json::Value = serde_json::from_str(line).unwrap();
    let mut series = run["run"]["series"].clone();
    for (name, column) in series.as_object_mut().unwrap() {
        match name.as_str() {
            "points" => *column = 1_000_000_000_000_u64.into(),
            "step" => *column = "1..".into(),
            _ => *column = 1.into(),
        }
    }
    run["run"]["series"] = series;
    let bomb = records().replacen(line, &run.to_string(), 1);
    insta::assert_snapshot!(message(&bomb), @"`data/records.jsonl`, line 3: it stands for more values than a report can have");
    let long = records().replacen(line, &" ".repeat((64 << 20) + 1), 1);
    insta::assert_snapshot!(message(&long), @"`data/records.jsonl`, line 3: it is longer than 67108864 bytes and is not read");
    let many = records().replacen("\"runs\":3", "\"runs\":18446744073709551615", 1);
    assert_ne!(many, records());
    assert!(
        message(&many).contains("expected `run`"),
        "{}",
        message(&many)
    );
}

/// A reader that fails the test if the file is read this far.
struct Unread;

impl Read for Unread {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        panic!("what follows a damaged line is read")
    }
}

#[test]
fn records_are_read_a_line_at_a_time() {
    let header = records().lines().next().unwrap();
    let message = |text: &str| {
        let source = || text.as_bytes().chain(BufReader::new(Unread));
        let summary = read_summary(source()).unwrap_err().to_string();
        assert_eq!(summary, read_records(source()).unwrap_err().to_string());
        summary
    };
    insta::assert_snapshot!(message("{}\n"), @"`data/records.jsonl`, line 1: it is not the first line of a report's records");
    insta::assert_snapshot!(message(&format!("{header}\n{{\n")), @"`data/records.jsonl`, line 2: EOF while parsing an object at line 2 column 0");
    let endless = header.as_bytes().chain(&b"\n"[..]);
    let endless = endless.chain(BufReader::new(std::io::repeat(b'x')));
    let message = read_records(endless).unwrap_err().to_string();
    insta::assert_snapshot!(message, @"`data/records.jsonl`, line 2: it is longer than 67108864 bytes and is not read");
}

#[test]
fn a_summary_is_what_the_records_say() {
    let read = read_records(records().as_bytes()).unwrap();
    let summary = read_summary(records().as_bytes()).unwrap();
    assert_eq!(summary, (read.header, read.claims));
    let line = records().lines().nth(3).unwrap();
    let broken = records().replacen(line, "{\"ran\":{}}", 1);
    let message = read_summary(broken.as_bytes()).unwrap_err().to_string();
    insta::assert_snapshot!(message, @"`data/records.jsonl`, line 4: missing field `run` at line 1 column 10");
}

#[test]
fn changed_records_are_read_or_refused() {
    let words = [
        "\"runs\":",
        "\"series\":",
        "\"1..\"",
        "1e999",
        "null",
        "[",
        "]",
        "{",
        "}",
        "\n",
        "\u{202e}",
        "../../x",
    ];
    crate::test_support::fuzz("records", &[records().into()], &words, 60, |bytes| {
        if let Ok(read) = read_records(bytes) {
            let fixture = fixture::three_runs();
            let judged =
                crate::claim::judge(&fixture.spec.claims, &fixture.spec.profile, &read.results);
            if let Ok(report) =
                Report::build(&fixture.spec, &read.results, &judged, &Making::default())
            {
                let _ = report.files();
            }
        }
    });
}

/// A user's templates render, or fail with the template's name.
#[test]
fn changed_templates_are_rendered_or_refused() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/templates");
    let names = ["head.md.j2", "block.md.j2", "report.html.j2"];
    let seeds = names.map(|name| std::fs::read(format!("{shipped}/{name}")).unwrap());
    let words = [
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "for",
        "endfor",
        "if",
        "else",
        "endif",
        "include",
        "'report.html.j2'",
        "macro m()",
        "m()",
        "set",
        "|",
        "safe",
        "loop.index",
        "[",
        "(",
        "- 1",
        "/ 0",
        "* 9223372036854775807",
        "~",
    ];
    let fixture = fixture::three_runs();
    let folder = tempfile::tempdir().unwrap();
    crate::test_support::fuzz("templates", &seeds, &words, 60, |bytes| {
        for name in names {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            let read = TemplateFolder::read(folder.path(), &RealFs::without_sync());
            std::fs::remove_file(folder.path().join(name)).unwrap();
            let Ok(templates) = read else { continue };
            let making = Making {
                templates: Some(templates),
                ..Making::default()
            };
            let built = Report::build(&fixture.spec, &fixture.results, &[], &making);
            if let Err(error) = built.and_then(|report| report.files()) {
                let message = error.to_string();
                assert!(names.iter().any(|name| message.contains(name)), "{message}");
            }
        }
    });
}

/// Whatever the list of files and the journal contain, nothing outside the report is touched, and
/// no file that a report did not write.
#[test]
fn changed_lists_of_files_and_journals_reach_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let reports = folder.path().join("reports");
    let fs = RealFs::without_sync();
    let report = super::report(&fixture::three_runs());
    ReportFolder::new(&reports, "mine", &fs)
        .write(&report)
        .unwrap();
    let list = std::fs::read(reports.join("mine/data/files.json")).unwrap();
    let journal = br#"{"put":["mine/report.md","../outside"],"remove":[["mine/data/own.csv","0000000000000000000000000000000000000000000000000000000000000000"]]}"#;
    let digest = crate::digest::Sha256Hex::of(b"own").to_string();
    let entry = format!("\"data/own.csv\":{{\"bytes\":3,\"sha256\":\"{digest}\"}},");
    let words = [
        "../outside",
        "/etc/passwd",
        "\"data/../../../outside\":",
        &entry,
        "{",
        "}",
        ",",
        "\"\"",
    ];
    let outside = folder.path().join("outside");
    crate::test_support::fuzz(
        "files-json",
        &[list, journal.to_vec()],
        &words,
        60,
        |bytes| {
            std::fs::write(&outside, "own").unwrap();
            std::fs::write(reports.join("mine/data/other.csv"), "other").unwrap();
            std::fs::write(reports.join("mine/data/files.json"), bytes).unwrap();
            std::fs::create_dir_all(reports.join(".specbook-write")).unwrap();
            std::fs::write(reports.join(".specbook-write/journal.json"), bytes).unwrap();
            let mine = ReportFolder::new(&reports, "mine", &fs);
            let _ = (mine.check_place(), mine.write(&report));
            assert_eq!(std::fs::read(&outside).unwrap(), b"own");
            assert_eq!(
                std::fs::read(reports.join("mine/data/other.csv")).unwrap(),
                b"other"
            );
        },
    );
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
        let _ = read_records(&bytes[..]);
        let _ = read_records(text.as_bytes());
        let header = records().lines().next().unwrap();
        let _ = read_records(format!("{header}\n{text}").as_bytes());
    }

    #[test]
    fn mutated_records_do_no_harm(edits in prop::collection::vec((any::<Index>(), any::<u8>()), 1..6), cut in any::<Index>()) {
        let mut bytes = records().as_bytes().to_vec();
        for (at, value) in &edits {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        let _ = read_records(&bytes[..cut.index(bytes.len())]);
        if let Ok(read) = read_records(&bytes[..]) {
            let fixture = fixture::three_runs();
            let judged = crate::claim::judge(&fixture.spec.claims, &fixture.spec.profile, &read.results);
            if let Ok(report) = Report::build(&fixture.spec, &read.results, &judged, &Making::default()) {
                let _ = report.files();
            }
        }
    }
}
