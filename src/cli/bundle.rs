//! `specbook bundle`: a spec and everything its results depend on, in one file;
//! `specbook verify FILE.zip` checks it anywhere.

use super::args::{BundleArgs, Global, ReportArgs, SpecArgs};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, project, report, workspace};
use crate::bundle::crate_file::{self, About};
use crate::bundle::{self, METADATA, zip};
use crate::fsx::AnyPath;
use crate::fsx::{Fs, RealFs};
use crate::human::counted;
use crate::record::RunStatus;
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

/// Maximum size of a bundle that is read, in bytes.
const LIMIT: u64 = 4 << 30;
/// Maximum nesting of folders in a report.
const DEPTH: usize = 8;

/// Writes the bundle.
pub(crate) fn execute(args: &BundleArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let spec = SpecArgs {
        specs: vec![args.spec.clone()],
        profile: args.profile.clone(),
        overrides: Vec::new(),
        filter: Vec::new(),
        paranoid: false,
    };
    if args.spec.is_dir() {
        return Err(Failure::usage("a bundle is of one spec").hint("name its file"));
    }
    let store = project::store(global, &args.spec)?;
    let fs = RealFs::new();
    if fs.metadata(&args.output)?.is_some() && read(&args.output).is_err() {
        let message = format!("`{}` exists and is not a bundle", args.output.display());
        return Err(Failure::usage(message).hint("name another file"));
    }
    let opened = workspace::open(&spec, &store, printer)?;
    let Some(opened) = opened.first() else {
        return Err(Failure::usage("there is no spec"));
    };
    let (mut files, mut runs, mut missing) = (BTreeMap::new(), Vec::new(), 0);
    let spec_path = beside(&args.spec, &mut files, printer)?;
    for run in &opened.plan.runs {
        let record = store.record(&run.id)?;
        let Some(record) = record.filter(|record| record.status == RunStatus::Cached) else {
            missing += 1;
            continue;
        };
        for (name, bytes) in store.run_files(&run.id, &record, args.weights)? {
            files.insert(format!("runs/{}/{name}", run.id), bytes);
        }
        for (name, bytes) in store.eval_files(&run.eval_id)? {
            files.insert(format!("evals/{}/{name}", run.eval_id), bytes);
        }
        if !runs
            .iter()
            .any(|known: &crate::record::RunRecord| known.id == record.id)
        {
            runs.push(record);
        }
    }
    if missing > 0 {
        let of = opened.plan.runs.len();
        return Err(
            Failure::input(format!("{missing} of {of} runs are not finished"))
                .hint("train them with `specbook run`"),
        );
    }
    let name = report::folder_name(&opened.spec);
    let reports = project::committed_reports(None, &args.spec);
    let in_reports = fs.below(&reports);
    let reports = reports.join(&name);
    if in_reports.metadata(&reports)?.is_some() {
        let mut walk = Walk {
            fs: in_reports.as_ref(),
            files: &mut files,
            printer,
        };
        walk.folder(&reports, &format!("reports/{name}"), DEPTH)?;
    } else {
        printer.warning(&format!(
            "there is no report at `{}`: the bundle has none",
            reports.display()
        ));
    }
    let about = About {
        title: &opened.spec.title,
        summary: opened.spec.summary.trim(),
        spec: &spec_path,
        date: &args.date.clone().unwrap_or_else(today),
        license: &args.license,
        runs: &runs,
    };
    let list = crate_file::text(&about, &files);
    files.insert(METADATA.to_owned(), list.into_bytes());
    let bytes = zip::write(&files).map_err(Failure::usage)?;
    fs.write_atomic(&args.output, &bytes)?;
    let output = args.output.display().to_string();
    if printer.json() {
        printer.json_result(&json!({"format": 1, "file": AnyPath::from(&args.output), "bytes": bytes.len(), "files": files.len(), "runs": runs.len()}))?;
    } else {
        printer.result(&format!(
            "wrote {} of {} to `{output}`",
            counted(files.len() as u64, "file"),
            counted(runs.len() as u64, "run")
        ));
    }
    Ok(exit::OK)
}

/// Extensions of the files that belong to a spec by name; other files of that name are the user's
/// own.
const BESIDE: [&str; 3] = ["lock", "bib", "ledger.jsonl"];

/// Adds the spec and the files that belong to it by name; returns the spec's path in the bundle.
fn beside(
    spec: &Path,
    files: &mut BTreeMap<String, Vec<u8>>,
    printer: Printer,
) -> Result<String, Failure> {
    let fs = RealFs::new();
    if spec.file_name().is_some_and(|name| name.to_str().is_none()) {
        let spec = spec.display();
        printer.warning(&format!(
            "names in a bundle are UTF-8, so `{spec}` has `\u{fffd}` in its name there"
        ));
    }
    let mut take = |path: &Path| -> Result<String, Failure> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = format!("specs/{name}");
        files.insert(name.clone(), fs.read(path, LIMIT)?);
        Ok(name)
    };
    for ending in BESIDE {
        let path = spec.with_extension(ending);
        if fs.metadata(&path)?.is_some() {
            take(&path)?;
        }
    }
    take(spec)
}

/// Adds the contents of folders.
struct Walk<'a> {
    fs: &'a dyn Fs,
    files: &'a mut BTreeMap<String, Vec<u8>>,
    printer: Printer,
}

impl Walk<'_> {
    /// Adds the files of `folder` under `path`, and those of `depth` levels of subfolders. Omitted
    /// files are reported.
    fn folder(&mut self, folder: &Path, path: &str, depth: usize) -> Result<(), Failure> {
        for entry in self.fs.list(folder)? {
            let (inner, path) = (
                folder.join(&entry.file_name),
                format!("{path}/{}", entry.name),
            );
            let has_name = entry.file_name.to_str().is_some();
            if entry.is_dir() && depth > 0 && has_name {
                self.folder(&inner, &path, depth - 1)?;
            } else if entry.kind == crate::fsx::Kind::File && has_name {
                self.files.insert(path, self.fs.read(&inner, LIMIT)?);
            } else {
                let why = match entry.is_dir() {
                    _ if !has_name => "its name is not UTF-8",
                    true => "its folder is nested too deeply",
                    false => "it is a link, a pipe or a device",
                };
                let inner = inner.display();
                self.printer
                    .warning(&format!("the bundle leaves out `{inner}`: {why}"));
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, Failure> {
    let bytes = RealFs::new().read(path, LIMIT)?;
    let files = zip::read(&bytes).map_err(|reason| Failure::input(reason).at(path))?;
    match files.contains_key(METADATA) {
        true => Ok(files),
        false => {
            Err(Failure::input(format!("there is no `{METADATA}`: it is not a bundle")).at(path))
        }
    }
}

/// `specbook verify FILE.zip`: checks digests, identities and the report, without a store.
pub(crate) fn verify(path: &Path, printer: Printer) -> Result<u8, Failure> {
    let files = read(path)?;
    let checked = bundle::check(&files);
    for problem in &checked.problems {
        printer.error(problem, None);
    }
    let mut code = match checked.problems.is_empty() {
        true => exit::OK,
        false => exit::VERIFY_MISMATCH,
    };
    let spec = files
        .keys()
        .find(|path| path.starts_with("specs/") && path.ends_with(".yaml"));
    let has_report = files.keys().any(|path| path.starts_with("reports/"));
    if let (exit::OK, Some(spec), true) = (code, spec, has_report) {
        let folder = tempfile::tempdir()
            .map_err(|error| Failure::input(format!("no temporary folder: {error}")))?;
        let fs = RealFs::without_sync();
        for (name, bytes) in &files {
            let place = folder.path().join(name);
            fs.create_dir_all(place.parent().unwrap_or(folder.path()))?;
            fs.write_atomic(&place, bytes)?;
        }
        let args = ReportArgs::checking(folder.path().join(spec), folder.path().join("reports"));
        code = match report::check(&args, &folder.path().join("reports"), Printer::silent())? {
            exit::OK => exit::OK,
            _ => {
                printer.error("the report is not what its records give", None);
                exit::VERIFY_MISMATCH
            }
        };
    }
    if printer.json() {
        printer.json_result(&json!({
            "format": 1, "file": AnyPath::from(path), "files": checked.files, "runs": checked.runs, "problems": checked.problems,
            "report": has_report && code == exit::OK,
        }))?;
    } else if code == exit::OK {
        let report = if has_report {
            "; the report is what its records give"
        } else {
            ""
        };
        printer.result(&format!(
            "checked: digests of {}, ids and records of {}{report}",
            counted(checked.files as u64, "file"),
            counted(checked.runs as u64, "run")
        ));
    }
    Ok(code)
}

/// Today's date in UTC, by this machine's clock.
fn today() -> String {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let days = since.map_or(0, |since| since.as_secs() / 86_400) as i64;
    // Years begin in March, so that a leap day is the last day of its year; that calendar starts
    // 719,468 days before 1970.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day = shifted.rem_euclid(146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let (of_month, month, year) = (
        of_year - (153 * month + 2) / 5 + 1,
        month + if month < 10 { 3 } else { -9 },
        year + era * 400,
    );
    format!(
        "{:04}-{month:02}-{of_month:02}",
        if month <= 2 { year + 1 } else { year }
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_is_one_of_the_calendar() {
        let date = super::today();
        let parts: Vec<u32> = date.split('-').map(|part| part.parse().unwrap()).collect();
        assert!(
            parts[0] >= 2026 && (1..=12).contains(&parts[1]) && (1..=31).contains(&parts[2]),
            "{date}"
        );
    }
}
