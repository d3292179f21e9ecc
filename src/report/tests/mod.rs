//! Tests of whole reports over made-up results.

mod browser;
mod cells;
mod figures;
pub(crate) mod fixture;
mod hostile;
mod looks;
mod notebook;
mod texts;
mod validity;
mod whole;

use super::{Making, Report, ReportFile};
use fixture::Fixture;

pub(crate) fn report(fixture: &Fixture) -> Report {
    Report::build(
        &fixture.spec,
        &fixture.results,
        &fixture.claims,
        &Making::default(),
    )
    .unwrap()
}

pub(crate) fn files(fixture: &Fixture) -> Vec<ReportFile> {
    report(fixture).files().unwrap()
}

/// The text of one file.
pub(crate) fn text(files: &[ReportFile], path: &str) -> String {
    let file = files.iter().find(|file| file.path == path);
    let file = file.unwrap_or_else(|| panic!("no {path} among {:?}", paths(files)));
    String::from_utf8(file.bytes.clone()).unwrap()
}

/// A page without its own script, which sorts the table of runs.
pub(crate) fn without_own_script(page: &str) -> String {
    let sort = include_str!("../../../templates/sort.js");
    page.replacen(&format!("<script>{sort}</script>"), "", 1)
}

pub(crate) fn paths(files: &[ReportFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

/// Writes files into a folder.
pub(crate) fn put(root: &std::path::Path, files: &[ReportFile]) {
    for file in files {
        let path = root.join(&file.path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.bytes).unwrap();
    }
}

/// Writes sample reports for inspection to the folder `specbook-sample` in the system's temporary
/// folder.
#[test]
#[ignore = "writes files to look at"]
fn write_sample() {
    let root = std::env::temp_dir().join("specbook-sample");
    let mut entries = Vec::new();
    for (name, fixture) in [
        ("three", fixture::three_runs()),
        ("grid", fixture::grid(1)),
        ("seeds", fixture::grid(3)),
    ] {
        let files = files(&fixture);
        put(&root.join(name), &files);
        let records = text(&files, "data/records.jsonl");
        entries.push(super::IndexEntry::from_records(name, records.as_bytes()).unwrap());
    }
    // The committed reports, rebuilt from their own records.
    let committed = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("reports");
    for entry in std::fs::read_dir(committed).unwrap() {
        let folder = entry.unwrap().path();
        let Ok(records) = std::fs::read(folder.join("data/records.jsonl")) else {
            continue;
        };
        let name = folder.file_name().unwrap().to_str().unwrap();
        let results = super::read_records(&records[..]).unwrap().results;
        let spec = format!("{}/specs/{name}.yaml", env!("CARGO_MANIFEST_DIR"));
        let spec = crate::spec::load(spec.as_ref(), &crate::spec::LoadRequest::default()).unwrap();
        let judged = crate::claim::judge(&spec.claims, &spec.profile, &results);
        let report = Report::build(&spec, &results, &judged, &Making::default()).unwrap();
        put(&root.join(name), &report.files().unwrap());
        for (form, ending) in [(super::Paper::Tex, "tex"), (super::Paper::Typst, "typst")] {
            let folder = root.join("papers").join(format!("{name}-{ending}"));
            put(&folder, &report.paper(form).unwrap());
        }
        entries.push(super::IndexEntry::from_records(name, &records[..]).unwrap());
    }
    put(&root, &[super::index(&entries).unwrap()]);
    println!("{}", root.display());
}
