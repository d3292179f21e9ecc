//! ZIP files and metadata are read back; changes are detected.

use super::*;

fn files() -> BTreeMap<String, Vec<u8>> {
    let named = [
        ("specs/a.yaml", "specbook: 1"),
        ("reports/a/report.md", "# A\n"),
        ("empty.txt", ""),
    ];
    named
        .map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()))
        .into()
}

fn whole() -> BTreeMap<String, Vec<u8>> {
    let mut files = files();
    let about = crate_file::About {
        title: "A",
        summary: "",
        spec: "specs/a.yaml",
        date: "2026-11-30",
        license: "none",
        runs: &[],
    };
    let text = crate_file::text(&about, &files);
    files.insert(METADATA.to_owned(), text.into_bytes());
    files
}

#[test]
fn a_zip_file_comes_back_and_one_that_leads_outside_does_not() {
    let bytes = zip::write(&files()).unwrap();
    assert_eq!(zip::read(&bytes).unwrap(), files());
    assert_eq!(zip::write(&files()).unwrap(), bytes);
    let outside = [("../x".to_owned(), Vec::new())].into();
    assert!(
        zip::read(&zip::write(&outside).unwrap())
            .unwrap_err()
            .contains("../x")
    );
}

#[test]
fn damaged_zip_files_do_not_panic() {
    let bytes = zip::write(&whole()).unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x5A;
        if let Ok(files) = zip::read(&damaged) {
            assert!(
                files == whole() || !check(&files).problems.is_empty(),
                "byte {at}"
            );
        }
        let _ = zip::read(&bytes[..at]);
    }
}

#[test]
fn what_was_changed_added_or_removed_is_found() {
    assert_eq!(check(&whole()).problems, [""; 0]);
    let mut changed = whole();
    changed.insert("specs/a.yaml".to_owned(), b"specbook: 2".to_vec());
    changed.insert("new".to_owned(), Vec::new());
    changed.remove("empty.txt");
    assert_eq!(
        check(&changed).problems,
        [
            "`empty.txt` is missing",
            "`specs/a.yaml` does not have its digest",
            "`new` is not listed"
        ]
    );
}

/// Bundles may come from somebody else.
#[test]
fn changed_bundles_are_read_or_refused() {
    let files = whole();
    let list = &files[METADATA];
    let seeds = [zip::write(&files).unwrap(), list.clone()];
    let words = [
        "../",
        "/",
        "null",
        "[",
        "{",
        "PK\u{1}\u{2}",
        "PK\u{5}\u{6}",
        "specs/a.yaml",
        "-1",
    ];
    crate::test_support::fuzz("bundles", &seeds, &words, 1000, |bytes| {
        if let Ok(read) = zip::read(bytes) {
            let leads_outside = |name: &String| name.starts_with('/') || name.contains("..");
            assert!(!read.keys().any(leads_outside));
            let problems = check(&read).problems;
            assert!(read == files || !problems.is_empty());
        }
        let mut listed = files.clone();
        listed.insert(METADATA.to_owned(), bytes.to_vec());
        let _ = check(&listed);
    });
}
