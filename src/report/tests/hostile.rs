//! Records that somebody else wrote: an error or a report, never a panic, never more memory than their size explains.

use super::{files, fixture, text};
use crate::report::{Making, Report, read_records};
use crate::test_support::cases;
use proptest::prelude::*;
use proptest::sample::Index;
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
    let many = records().replacen("\"runs\":3", "\"runs\":18446744073709551615", 1);
    assert_ne!(many, records());
    assert!(
        message(&many).contains("expected `run`"),
        "{}",
        message(&many)
    );
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "\\PC{0,200}") {
        let _ = read_records(&bytes);
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
        if let Ok(read) = read_records(&bytes) {
            let fixture = fixture::three_runs();
            let judged = crate::claim::judge(&fixture.spec.claims, &fixture.spec.profile, &read.results);
            if let Ok(report) = Report::build(&fixture.spec, &read.results, &judged, &Making::default()) {
                let _ = report.files();
            }
        }
    }
}
