//! `specbook register`: records the claims and sizes of specs before they are run.

use super::args::{Global, RegisterArgs};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, project, report, workspace};
use crate::claim::Verdict;
use crate::fsx::AnyPath;
use crate::fsx::{Fs, RealFs};
use crate::ledger::{self, Ledger};
use crate::shell;
use crate::spec::Spec;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

/// Appends an entry to the ledger of each spec that has changed.
pub(crate) fn execute(args: &RegisterArgs, _: &Global, printer: Printer) -> Result<u8, Failure> {
    let texts = workspace::texts(&args.spec)?;
    let mut all = Vec::new();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let date = ledger::day(now.map_or(0, |now| now.as_secs()));
    for (spec, _) in workspace::read(&texts, &args.spec, printer)? {
        let path = ledger::path_of(&spec.path);
        let known = of(&spec)?;
        let verdicts = verdicts(&spec)?;
        let note = args.note.clone().unwrap_or_default();
        let entry = known.entry(&spec, date.clone(), note, verdicts.as_ref());
        let told = match &entry {
            None => "nothing has changed".to_owned(),
            Some(entry) => {
                let fs = RealFs::new();
                let mut text = text(&path)?.unwrap_or_default();
                text.push_str(&entry.line()?);
                fs.write_atomic(&path, text.as_bytes())?;
                entry.about()
            }
        };
        printer.result(&format!("{}: {told}", path.display()));
        all.push(json!({"spec": spec.name, "ledger": AnyPath::from(&path), "entry": entry}));
    }
    if printer.json() {
        printer.json_result(&all)?;
    }
    Ok(exit::OK)
}

/// The text of a ledger; `None` if there is none.
fn text(path: &Path) -> Result<Option<String>, Failure> {
    let bytes = match RealFs::new().read(path, ledger::LIMIT) {
        Err(error) if error.is_not_found() => return Ok(None),
        read => read?,
    };
    let text = String::from_utf8(bytes);
    let text = text.map_err(|_| Failure::input(format!("`{}` is not UTF-8", path.display())))?;
    Ok(Some(text))
}

/// The ledger of a spec; empty if there is none.
pub(crate) fn of(spec: &Spec) -> Result<Ledger, Failure> {
    let path = ledger::path_of(&spec.path);
    let parsed = text(&path)?.map(|text| Ledger::parse(&text)).transpose();
    let parsed = parsed.map_err(|error| {
        Failure::input(format!("`{}`: {error}", path.display()))
            .hint("a ledger is only ever added to: take it from version control")
    })?;
    Ok(parsed.unwrap_or_default())
}

/// The verdicts of the spec's existing report, if any.
fn verdicts(spec: &Spec) -> Result<Option<BTreeMap<String, Verdict>>, Failure> {
    let folder = project::committed_reports(None, &spec.path).join(report::folder_name(spec));
    let records = folder.join("data/records.jsonl");
    if !records.is_file() {
        return Ok(None);
    }
    let source = BufReader::new(RealFs::new().open_read(&records)?);
    let (_, claims) = crate::report::read_summary(source)?;
    let verdicts = claims.into_iter().map(|claim| (claim.id, claim.verdict));
    Ok(Some(verdicts.collect()))
}

/// Reports how a spec differs from its last registration, if it has a ledger.
pub(crate) fn note(spec: &Spec, printer: Printer) -> Result<(), Failure> {
    if !ledger::path_of(&spec.path).exists() {
        return Ok(());
    }
    let differences = of(spec)?.differences(spec);
    if !differences.is_empty()
        && spec.overrides.is_empty()
        && spec.profile == crate::DEFAULT_PROFILE
    {
        let more = match differences.len() {
            1 => String::new(),
            several => format!(" and {} more", several - 1),
        };
        printer.warning(&format!(
            "{}: {}{more} differs from the ledger; `specbook register {}` adds an entry",
            spec.name,
            differences[0],
            shell::path(&spec.path)
        ));
    }
    Ok(())
}
