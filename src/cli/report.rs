//! `specbook report`: builds reports from stored results and checks committed ones.

use super::args::{Global, ReportArgs};
use super::failure::Failure;
use super::print::Printer;
use super::workspace::{self, Opened};
use super::{exit, outcome, project, results, shared};
use crate::DEFAULT_PROFILE;
use crate::claim::{self, Judged};
use crate::error::Error;
use crate::fsx::AnyPath;
use crate::fsx::{Fs as _, RealFs};
use crate::interop::Folder;
use crate::record::Results;
use crate::report::{
    Assets, Making, Paper, Records, Report, ReportError, ReportFolder, TemplateFolder, report_files,
};
use crate::spec::{self, LoadRequest, Spec};
use crate::store::Store;
use serde_json::{Value, json};
use std::path::Path;

/// Writes, checks or dumps the reports.
pub(crate) fn execute(args: &ReportArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let (out, near) = (args.out.as_deref(), &args.spec.specs[0]);
    if args.check {
        return check(args, &project::committed_reports(out, near), printer);
    }
    let reports = project::reports(out, near)?;
    let store = project::store(global, near)?;
    let mut all = Vec::new();
    let mut fails = false;
    let opened = workspace::open_known(&args.spec, &store, printer)?;
    if !args.context && args.to.is_none() {
        let specs = opened.iter().map(|opened| &opened.spec);
        check_places(specs, &reports, args.out.is_some())?;
    }
    let names: Vec<String> = opened.iter().map(|one| folder_name(&one.spec)).collect();
    for opened in opened {
        if args.spec.paranoid {
            let finished = opened.plan.runs.iter().filter(|run| store.has_run(&run.id));
            for run in finished {
                shared::every_digest(&store, run)?;
            }
        }
        let mut making = making(&opened.spec, &reports, &names)?;
        if let Some(folder) = &args.template {
            making.templates = Some(TemplateFolder::read(folder, &RealFs::new())?);
        }
        let Built { report, judged, .. } = build(&opened, &store, &making)?;
        for warning in store.take_warnings() {
            printer.warning(&warning);
        }
        if let Some(claims) = outcome::failing(&judged).filter(|_| args.strict_claims) {
            printer.error(&claims, None);
            fails = true;
        }
        if args.context {
            printer.json_result(report.context())?;
            continue;
        }
        if let Some(form) = args.to {
            paper(
                &report,
                form,
                &reports.join(folder_name(&opened.spec)),
                printer,
            )?;
            continue;
        }
        super::register::note(&opened.spec, printer)?;
        write(&opened.spec, &report, &reports, printer)?;
        all.push(summary(&opened, &judged));
    }
    if printer.json() && !args.context && args.to.is_none() {
        printer.json_result(&all)?;
    }
    Ok(if fails { exit::CLAIM_FAILS } else { exit::OK })
}

/// A report and its inputs.
pub(crate) struct Built {
    pub(crate) report: Report,
    /// The results of all its runs.
    pub(crate) results: Results,
    /// The verdicts.
    pub(crate) judged: Vec<Judged>,
}

/// Builds the report of an opened spec.
pub(crate) fn build(opened: &Opened, store: &Store, making: &Making) -> Result<Built, Failure> {
    let (results, judged) = results::judged(opened, store)?;
    Ok(Built {
        report: made(&opened.spec, &results, &judged, making)?,
        results,
        judged,
    })
}

/// Makes a report; errors in the spec are reported with its file.
fn made(
    spec: &Spec,
    results: &Results,
    judged: &[Judged],
    making: &Making,
) -> Result<Report, Failure> {
    Report::build(spec, results, judged, making).map_err(|error| {
        let failure = Failure::from(error);
        match failure.code {
            exit::USAGE => failure.at(&spec.path),
            _ => failure,
        }
    })
}

/// Whether the report in its folder is what the stored results give now, regardless of how the
/// command was invoked.
pub(crate) fn is_current(
    opened: &Opened,
    store: &Store,
    folder: &ReportFolder<'_>,
    records: &Records,
) -> Result<bool, Failure> {
    let (results, judged) = results::judged(opened, store)?;
    let header = &records.header;
    let making = with_files(header.making.clone(), &opened.spec)?;
    let mut spec = opened.spec.clone();
    spec.path.clone_from(&header.file.0);
    let report = made(&spec, &results, &judged, &making)?;
    Ok(crate::report::check(folder, &report_files(&report)?).is_ok())
}

/// The place of a report among its neighbours: the existing reports, and those in `names`, which
/// are written together with it.
pub(crate) fn making(spec: &Spec, reports: &Path, names: &[String]) -> Result<Making, Failure> {
    let fs = RealFs::new();
    let has_report = |name: &String| {
        let records = reports.join(name).join("data/records.jsonl");
        matches!(fs.metadata(&records), Ok(Some(_)))
    };
    let there = fs.list(reports).unwrap_or_default();
    let there = there.into_iter().map(|entry| entry.name).filter(has_report);
    let folders = there.chain(names.iter().cloned()).collect();
    with_files(Making::among(&folder_name(spec), folders), spec)
}

/// Refuses a spec whose texts name files that cannot be included in a report, or refer to something
/// that does not exist.
pub(crate) fn check_files(spec: &Spec) -> Result<(), Failure> {
    let assets = Assets::load(spec, &RealFs::new());
    assets
        .and_then(|assets| Report::check_references(spec, &assets))
        .map_err(|error| Failure::from(error).at(&spec.path))
}

/// Adds the files beside the spec and the templates that it names.
fn with_files(making: Making, spec: &Spec) -> Result<Making, Failure> {
    let fs = RealFs::new();
    let named = making.templates.as_ref();
    let templates = named.map(|templates| TemplateFolder::read(&templates.folder.0, &fs));
    let assets = Assets::load(spec, &fs).map_err(|error| Failure::from(error).at(&spec.path))?;
    Ok(Making {
        templates: templates.transpose()?,
        assets,
        ..making
    })
}

/// Writes a report for a paper to its own folder. A folder that holds something else is refused.
fn paper(report: &Report, form: Paper, folder: &Path, printer: Printer) -> Result<(), Failure> {
    let files = report.paper(form)?;
    let names: Vec<&str> = files.iter().map(|file| &*file.path).collect();
    let of = &report.context().name;
    let mut out = Folder::begin(&RealFs::new(), folder, form.main(), of, &names)?;
    for file in &files {
        out.put_bytes(&file.path, &file.bytes)?;
    }
    out.aside().iter().for_each(|text| printer.warning(text));
    out.finish(&names)?;
    let main = folder.join(form.main());
    printer.note(&format!("paper: {}", main.display()));
    Ok(())
}

/// Name of the report's folder: the name of the spec, followed by `@` and the profile if it is not
/// the default one.
pub(crate) fn folder_name(spec: &Spec) -> String {
    match spec.profile.as_str() {
        DEFAULT_PROFILE => spec.name.clone(),
        profile => format!("{}@{profile}", spec.name),
    }
}

/// Refuses requests whose report could not be written: overrides without a folder of their own, and
/// folders that are not ours.
pub(crate) fn check_places<'a>(
    specs: impl Iterator<Item = &'a Spec>,
    reports: &Path,
    is_named: bool,
) -> Result<(), Failure> {
    for spec in specs {
        if !spec.overrides.is_empty() && !is_named {
            let message = "`--set` makes a different report, which needs its own folder";
            return Err(
                Failure::usage(message).hint("add `--out DIR`; `run --no-report` writes none")
            );
        }
        check_files(spec)?;
        let name = folder_name(spec);
        ReportFolder::new(reports, &name, &RealFs::new())
            .check_place()
            .map_err(refused)?;
    }
    Ok(())
}

fn refused(error: ReportError) -> Failure {
    let foreign = matches!(
        error,
        ReportError::Foreign { .. } | ReportError::PageOfReport { .. }
    );
    let failure = Failure::from(error);
    match foreign {
        true => failure.hint("move it away, or choose another folder with `--out DIR`"),
        false => failure,
    }
}

/// Writes a report to its folder below `reports`, and the index over all reports there.
pub(crate) fn write(
    spec: &Spec,
    report: &Report,
    reports: &Path,
    printer: Printer,
) -> Result<(), Failure> {
    let name = folder_name(spec);
    let folder = ReportFolder::new(reports, &name, &RealFs::new());
    for warning in folder.write(report).map_err(refused)? {
        printer.warning(&warning);
    }
    let page = reports.join(&name).join("index.html");
    printer.note(&format!("report: {}", page.display()));
    Ok(())
}

/// The JSON summary of a report for `run` and `report`.
pub(crate) fn summary(opened: &Opened, judged: &[Judged]) -> Value {
    let claims: Vec<Value> = judged
        .iter()
        .map(|judged| json!({"id": judged.id, "verdict": judged.verdict, "published": judged.published, "ours": judged.ours}))
        .collect();
    let runs: Vec<Value> = opened
        .plan
        .runs
        .iter()
        .map(|run| json!({"id": run.id, "name": run.name}))
        .collect();
    json!({"format": 1, "spec": opened.spec.name, "profile": opened.spec.profile, "claims": claims, "runs": runs})
}

/// Renders each report again from its own records and the current spec, and compares.
pub(crate) fn check(args: &ReportArgs, reports: &Path, printer: Printer) -> Result<u8, Failure> {
    let mut code = exit::OK;
    let mut specs = Vec::new();
    let mut all = Vec::new();
    for file in workspace::spec_files(&args.spec.specs)? {
        specs.push(spec::load(&file, &LoadRequest::default())?);
    }
    workspace::distinct(specs.iter())?;
    let fs = RealFs::new();
    for (Spec { path, .. }, name) in committed(&specs, args, reports)? {
        let folder = ReportFolder::new(reports, &name, &fs);
        let records = folder.records()?;
        let header = &records.header;
        let profile = Some(header.profile.clone()).filter(|profile| profile != DEFAULT_PROFILE);
        let mut spec = spec::load(
            path,
            &LoadRequest {
                profile,
                overrides: header.overrides.clone(),
            },
        )?;
        let mut making = header.making.clone();
        if let (Some(folder), Some(known)) = (&args.template, &mut making.templates) {
            known.folder = folder.as_path().into();
        }
        let making = with_files(making, &spec)?;
        let ledger = super::register::of(&spec)?;
        if !header.file.0.as_os_str().is_empty() {
            // The report names the file by the path used when the report was made.
            spec.path.clone_from(&header.file.0);
        }
        let mut judged = claim::judge(&spec.claims, &spec.profile, &records.results);
        ledger.tell(&spec, &mut judged);
        let report = made(&spec, &records.results, &judged, &making)?;
        let checked = crate::report::check(&folder, &report_files(&report)?);
        let folder = reports.join(&name);
        let differences = checked.as_ref().err().map_or(&[][..], |found| &found.0);
        all.push(json!({
            "format": 1,
            "spec": spec.name,
            "profile": spec.profile,
            "folder": AnyPath::from(&folder),
            "same": checked.is_ok(),
            "differences": differences,
        }));
        match checked {
            Ok(()) => printer.note(&format!(
                "{}: the report is what its records give",
                folder.display()
            )),
            Err(differences) => {
                code = exit::REPORT_DIFFERS;
                printer.error(&differences.to_string(), Some("`specbook report` rewrites it; commit the result if the change is intended"));
            }
        }
    }
    if printer.json() {
        printer.json_result(&all)?;
    }
    Ok(code)
}

/// The existing reports of each spec: that of the default profile, which must exist, and those of
/// its other profiles; with `--profile`, only that one.
fn committed<'a>(
    specs: &'a [Spec],
    args: &ReportArgs,
    reports: &Path,
) -> Result<Vec<(&'a Spec, String)>, Failure> {
    let mut all = Vec::new();
    let fs = RealFs::new().below(reports);
    let beside = fs.list(reports).map_err(Error::from)?;
    for spec in specs {
        if let Some(profile) = &args.spec.profile {
            let mut asked = spec.clone();
            asked.profile.clone_from(profile);
            all.push((spec, folder_name(&asked)));
            continue;
        }
        all.push((spec, spec.name.clone()));
        let prefix = format!("{}@", spec.name);
        let names = beside.iter().filter_map(|entry| entry.file_name.to_str());
        let others = names.filter(|name| name.starts_with(&prefix));
        all.extend(others.map(|name| (spec, name.to_owned())));
    }
    Ok(all)
}
