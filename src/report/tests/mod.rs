//! Tests of whole reports over made-up results.

pub(crate) mod fixture;

use super::{Report, ReportFile};
use fixture::Fixture;

fn report(fixture: &Fixture) -> Report {
    Report::build(&fixture.spec, &fixture.results, &fixture.claims).unwrap()
}

fn files(fixture: &Fixture) -> Vec<ReportFile> {
    report(fixture).files().unwrap()
}

/// Writes sample reports to the folder `specbook-sample` of the system's temporary folder, to be looked at.
#[test]
#[ignore = "writes files to look at"]
fn write_sample() {
    let root = std::env::temp_dir().join("specbook-sample");
    for (name, fixture) in [
        ("three", fixture::three_runs()),
        ("grid", fixture::grid(1)),
        ("seeds", fixture::grid(3)),
    ] {
        for file in files(&fixture) {
            let path = root.join(name).join(&file.path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.bytes).unwrap();
        }
    }
    println!("{}", root.display());
}
