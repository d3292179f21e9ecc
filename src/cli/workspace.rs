//! Specs named on the command line, opened into plans.

use super::args::SpecArgs;
use super::failure::Failure;
use super::fetch;
use super::print::Printer;
use crate::data::{DataContext, Stop};
use crate::digest::Sha256Hex;
use crate::error::Error;
use crate::plan::{self, Outline, Outlined, Plan, PlanError, Run};
use crate::queue::SweepSpec;
use crate::record::{same_run, same_value};
use crate::spec::{Axis, LoadRequest, Profiles, Spec, SpecText};
use crate::store::{Manifest, Store};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A spec with its plan and its location.
pub(crate) struct Opened {
    pub(crate) spec: Spec,
    /// Its runs, filtered.
    pub(crate) plan: Plan,
    /// All its runs, regardless of the filter: what `store gc` keeps.
    pub(crate) manifest: Manifest,
    /// Digest of all its runs, regardless of the filter.
    pub(crate) whole: Sha256Hex,
    /// Whether a filter excluded runs.
    pub(crate) filtered: bool,
    /// Where relative paths start and inputs are cached.
    pub(crate) context: DataContext,
}

/// The spec files named by the arguments; folders are read for `*.yaml` and `*.yml`, sorted. Hidden
/// files belong to editors and systems (`.#grid.yaml`, `._grid.yaml`) and are skipped.
pub(crate) fn spec_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |error: std::io::Error| {
            Failure::input(format!("cannot read folder `{}`: {error}", path.display()))
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if !is_spec(&file) || is_hidden(&file) {
                continue;
            }
            // A pipe would wait for a writer forever.
            if std::fs::metadata(&file).is_ok_and(|found| !found.is_file()) {
                let message = format!("`{}` is not a file, so it is not a spec", file.display());
                return Err(Failure::input(message)
                    .hint("move it out of the folder, or name the specs one by one"));
            }
            found.push(file);
        }
        if found.is_empty() {
            return Err(Failure::input(format!(
                "no specs (`*.yaml`) in folder `{}`",
                path.display()
            )));
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}

/// Whether a file has the name of a spec.
pub(crate) fn is_spec(file: &Path) -> bool {
    let extension = file.extension();
    extension.is_some_and(|extension| extension == "yaml" || extension == "yml")
}

fn is_hidden(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".")
}

/// Loads all specs; the problems of all of them are printed before the command ends.
pub(crate) fn load(args: &SpecArgs, printer: Printer) -> Result<Vec<Spec>, Failure> {
    let texts = texts(args)?;
    let specs = read(&texts, args, printer)?;
    Ok(specs.into_iter().map(|(spec, _)| spec).collect())
}

/// The texts of all specs.
pub(crate) fn texts(args: &SpecArgs) -> Result<Vec<Result<SpecText, Failure>>, Failure> {
    let read = |file: PathBuf| {
        SpecText::read(&file).map_err(|error| Failure::from(error).invalid_spec(&file))
    };
    Ok(spec_files(&args.specs)?.into_iter().map(read).collect())
}

/// Reads the texts in the requested profile, each with its `Profiles`, which expand the others.
pub(crate) fn read<'t>(
    texts: &'t [Result<SpecText, Failure>],
    args: &SpecArgs,
    printer: Printer,
) -> Result<Vec<(Spec, Profiles<'t>)>, Failure> {
    let request = LoadRequest {
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
    };
    let mut specs = Vec::new();
    let mut failures = Vec::new();
    for text in texts {
        let read = text.as_ref().map_err(Failure::clone).and_then(|text| {
            text.with_profiles(&request)
                .map_err(|error| Failure::from(error).invalid_spec(text.path()))
        });
        match read {
            Ok(read) => specs.push(read),
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(last) = failures.pop() {
        failures.iter().for_each(|failure| failure.print(printer));
        return Err(last);
    }
    distinct(specs.iter().map(|(spec, _)| spec))?;
    Ok(specs)
}

/// Refuses two specs of the same name: each would overwrite the report and plan of the other. The
/// same file twice is fine.
pub(crate) fn distinct<'a>(specs: impl Iterator<Item = &'a Spec>) -> Result<(), Failure> {
    let mut seen: BTreeMap<&str, &Path> = BTreeMap::new();
    for spec in specs {
        let Some(first) = seen.insert(&spec.name, &spec.path) else {
            continue;
        };
        let same = |a: &Path, b: &Path| Some(a.canonicalize().ok()? == b.canonicalize().ok()?);
        if first != spec.path && same(first, &spec.path) != Some(true) {
            let message = format!(
                "`{}` and `{}` have the same name, `{}`; the name is that of the report and of the plan, so each spec needs its own",
                first.display(),
                spec.path.display(),
                spec.name
            );
            return Err(Failure::usage(message)
                .hint("change `name` in one of them, or give them one at a time"));
        }
    }
    Ok(())
}

/// Loads specs and plans their runs.
pub(crate) fn open(
    args: &SpecArgs,
    store: &Store,
    printer: Printer,
) -> Result<Vec<Opened>, Failure> {
    open_in(args, store, printer, |context| context)
}

/// The same for commands that only read: if a text is missing, the runs are those of the plan that
/// this exact spec last had here, by a run or a pull.
pub(crate) fn open_known(
    args: &SpecArgs,
    store: &Store,
    printer: Printer,
) -> Result<Vec<Opened>, Failure> {
    load(args, printer)?
        .into_iter()
        .map(|spec| {
            let context = context(&spec, args.paranoid, store)?;
            let plan = match plan::expand(&spec, &context) {
                Err(PlanError::Data { source, .. }) if source.is_missing_file() => {
                    let known = store.known_plan(&spec.name, &spec.digest, &spec.profile)?;
                    if !known.is_empty() {
                        let text =
                            "is not there; its runs are those of the plan that is in the store";
                        printer.note(&format!("the text of `{}` {text}", spec.name));
                    }
                    plan::expand_known(&spec, &context, &known)
                }
                planned => planned,
            };
            opened(spec, plan.map_err(Error::from)?, context, args, store)
        })
        .collect()
}

/// The same as [`open`], but only from the files that the specs name: nothing cached is trusted,
/// and nothing is cached.
pub(crate) fn open_afresh(
    args: &SpecArgs,
    store: &Store,
    printer: Printer,
) -> Result<Vec<Opened>, Failure> {
    open_in(args, store, printer, |context| DataContext {
        cache: None,
        paranoid: true,
        ..context
    })
}

fn open_in(
    args: &SpecArgs,
    store: &Store,
    printer: Printer,
    change: impl Fn(DataContext) -> DataContext,
) -> Result<Vec<Opened>, Failure> {
    load(args, printer)?
        .into_iter()
        .map(|spec| {
            let context = change(context(&spec, args.paranoid, store)?);
            let plan = plan::expand(&spec, &context).map_err(Error::from)?;
            opened(spec, plan, context, args, store)
        })
        .collect()
}

/// A spec with identities, or without them if its input is unavailable.
pub(crate) enum Listed {
    /// Planned.
    Opened(Box<Opened>),
    /// Only names and costs.
    Outlined(Outline),
}

/// Loads specs and lists their runs, whether or not their input is present.
pub(crate) fn list(
    args: &SpecArgs,
    store: &Store,
    printer: Printer,
) -> Result<Vec<Listed>, Failure> {
    load(args, printer)?
        .into_iter()
        .map(|spec| {
            let context = context(&spec, args.paranoid, store)?;
            match plan::expand(&spec, &context) {
                Ok(plan) => {
                    let opened = opened(spec, plan, context, args, store)?;
                    Ok(Listed::Opened(Box::new(opened)))
                }
                Err(reason) => {
                    let mut outline =
                        plan::outline(&spec, &context, reason).map_err(Error::from)?;
                    retain(&mut outline.runs, &spec, args)?;
                    Ok(Listed::Outlined(outline))
                }
            }
        })
        .collect()
}

/// Where the data of a spec is looked for and cached.
///
/// # Errors
/// A lock that cannot be read.
pub(crate) fn context(spec: &Spec, paranoid: bool, store: &Store) -> Result<DataContext, Failure> {
    Ok(DataContext {
        base: spec.path.parent().unwrap_or(Path::new("")).to_path_buf(),
        cache: Some(store.root().join("tokens-v1")),
        paranoid,
        leases: store.lease_timing(),
        stop: Stop::default(),
        fetched: Arc::new(fetch::fetched(&spec.path)?),
    })
}

fn opened(
    spec: Spec,
    mut plan: Plan,
    context: DataContext,
    args: &SpecArgs,
    store: &Store,
) -> Result<Opened, Failure> {
    let place = store.place_of(&spec.path);
    let manifest = Manifest::new(&plan, place, spec.digest, spec.overrides.clone());
    let whole = SweepSpec::digest(plan.runs.iter());
    retain(&mut plan.runs, &spec, args)?;
    Ok(Opened {
        whole,
        filtered: plan.runs.len() < manifest.runs.len(),
        manifest,
        spec,
        plan,
        context,
    })
}

/// Keeps the runs that pass the filter; at least one must remain.
fn retain<R: Named>(runs: &mut Vec<R>, spec: &Spec, args: &SpecArgs) -> Result<(), Failure> {
    if args.filter.is_empty() {
        return Ok(());
    }
    let wanted: Vec<Filter> = args
        .filter
        .iter()
        .map(|text| Filter::new(text, runs))
        .collect();
    runs.retain(|run| wanted.iter().any(|filter| filter.takes(run)));
    if !runs.is_empty() {
        return Ok(());
    }
    let failure = Failure::usage(format!("no run of `{}` matches the filter", spec.name));
    let axes: Vec<String> = spec.axes.iter().map(axis_with_values).collect();
    Err(match axes.is_empty() {
        true => failure.hint("it has no axes: its one run is `base`"),
        false => failure.hint(format!("its axes are {}", axes.join(", "))),
    })
}

/// `dim` (32, 64).
fn axis_with_values(axis: &Axis) -> String {
    const MOST: usize = 8;
    let text = |value: &serde_json::Value| match value.as_str() {
        Some(text) => text.to_owned(),
        None => value.to_string(),
    };
    let mut values: Vec<String> = axis.values.iter().take(MOST).map(text).collect();
    if axis.values.len() > MOST {
        values.push("…".to_owned());
    }
    format!("`{}` ({})", axis.name, values.join(", "))
}

/// The properties that a filter examines.
trait Named {
    fn name(&self) -> &str;
    fn axes(&self) -> &[(String, serde_json::Value)];
}

impl Named for Run {
    fn name(&self) -> &str {
        &self.name
    }

    fn axes(&self) -> &[(String, serde_json::Value)] {
        &self.axes
    }
}

impl Named for Outlined {
    fn name(&self) -> &str {
        &self.name
    }

    fn axes(&self) -> &[(String, serde_json::Value)] {
        &self.axes
    }
}

/// One `--filter`: comma-separated conditions that must all hold or, if no run meets them, part of
/// a name.
struct Filter<'a> {
    text: &'a str,
    exact: bool,
}

impl<'a> Filter<'a> {
    fn new(text: &'a str, runs: &[impl Named]) -> Self {
        let exact = runs.iter().any(|run| meets(run, text));
        Self { text, exact }
    }

    fn takes(&self, run: &impl Named) -> bool {
        if self.exact {
            meets(run, self.text)
        } else {
            run.name().contains(self.text)
        }
    }
}

/// Whether every condition of the filter is an `axis=value` of the run or a part of its name.
fn meets(run: &impl Named, filter: &str) -> bool {
    filter.split(',').all(|condition| {
        let by_axis = condition.split_once('=').is_some_and(|(axis, value)| {
            run.axes()
                .iter()
                .any(|(name, found)| name == axis && same_value(found, value))
        });
        by_axis || run.name().split(',').any(|part| same_run(part, condition))
    })
}
