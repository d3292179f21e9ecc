//! `specbook check`: reports every problem of specs, and of their data if present.

use super::args::{Check, Global};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, project, report, workspace};
use crate::error::Error;
use crate::plan::{self, PlanError};
use crate::shell;
use crate::spec::{Spec, SpecError, SpecProblems, SpecRun};
use crate::train::engine::{self, DeviceKind};
use crate::{human, mistakes};
use serde_json::json;
use std::collections::BTreeMap;

/// Checks the specs in every profile (or in the requested one, with `--profile` or `--set`), and
/// that the engine supports their settings.
pub(crate) fn execute(args: &Check, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let texts = workspace::texts(&args.spec)?;
    let specs = workspace::read(&texts, &args.spec, printer)?;
    let one_profile = args.spec.profile.is_some() || !args.spec.overrides.is_empty();
    let engine = engine::open(DeviceKind::Cpu)?;
    let mut checked = Vec::new();
    for (spec, profiles) in specs {
        supported(&spec, &spec.profile, &spec.runs, engine.as_ref())?;
        no_mistakes(&spec)?;
        if args.ledger {
            as_registered(&spec)?;
        }
        report::check_files(&spec)?;
        fitting_data(&spec, args.spec.paranoid, global)?;
        if let Some(warning) = rounded_alike(&spec.runs) {
            printer.warning(&format!("{}: {warning}", spec.path.display()));
        }
        let mut all = vec![(spec.profile.clone(), spec.runs.len())];
        let is_other = |name: &&String| !one_profile && **name != spec.profile;
        for profile in spec.profiles.iter().filter(is_other) {
            let runs = profiles.runs(profile);
            let runs =
                runs.map_err(|error| Failure::from(error).invalid_profile(&spec.path, profile))?;
            supported(&spec, profile, &runs, engine.as_ref())?;
            let mistakes = mistakes::mistakes_elsewhere(&spec, profile, &runs);
            refuse(mistakes).map_err(|failure| failure.invalid_profile(&spec.path, profile))?;
            all.push((profile.clone(), runs.len()));
        }
        checked.push((spec, all));
    }
    if printer.json() {
        let all: Vec<_> = checked
            .iter()
            .map(|(spec, profiles)| {
                let profiles: BTreeMap<_, _> = profiles.iter().map(|(name, runs)| (name, runs)).collect();
                json!({"format": 1, "spec": spec.name, "profile": spec.profile, "runs": spec.runs.len(), "profiles": profiles, "claims": spec.claims.len(), "cells": spec.cells.len()})
            })
            .collect();
        printer.json_result(&all)?;
    } else {
        for (spec, profiles) in &checked {
            let runs: Vec<_> = profiles
                .iter()
                .map(|(profile, runs)| format!("{runs} in {profile}"))
                .collect();
            printer.result(&format!(
                "{}: ok (runs: {}; {}, {})",
                spec.path.display(),
                runs.join(", "),
                human::counted(spec.claims.len() as u64, "claim"),
                human::counted(spec.cells.len() as u64, "cell")
            ));
        }
    }
    Ok(exit::OK)
}

/// Maximum number of runs whose data `check` examines.
const MOST_RUNS: usize = 1000;

/// Refuses data files that are present but do not fit, as `plan` would. Missing files are not a
/// mistake, embedded text always fits, and a store is neither created nor needed.
fn fitting_data(spec: &Spec, paranoid: bool, global: &Global) -> Result<(), Failure> {
    let mut data = spec.runs.iter().map(|run| &run.settings.data);
    let has_files = data.any(|data| data.corpus.path().or(data.tokenizer.path()).is_some());
    if !has_files || spec.runs.len() > MOST_RUNS {
        return Ok(());
    }
    let Ok(store) = project::store(global, &spec.path) else {
        return Ok(());
    };
    let mut context = workspace::context(spec, paranoid, &store)?;
    if !store.root().is_dir() {
        context.cache = None;
    }
    match plan::expand(spec, &context) {
        Err(PlanError::Data { source, .. }) if source.is_missing_file() => Ok(()),
        Err(error) => Err(Error::from(error).into()),
        Ok(_) => Ok(()),
    }
}

/// Refuses a spec that differs from the last entry of its ledger.
fn as_registered(spec: &Spec) -> Result<(), Failure> {
    let differences = super::register::of(spec)?.differences(spec);
    if differences.is_empty() {
        return Ok(());
    }
    let file = spec.path.display();
    let told = differences.join("; ");
    let word = shell::path(&spec.path);
    Err(
        Failure::usage(format!("`{file}` is not as its ledger has it: {told}")).hint(format!(
            "`specbook register {word} --note WHY` adds an entry"
        )),
    )
}

/// Refuses settings that the engine cannot train, before anything is read.
pub(crate) fn supported(
    spec: &Spec,
    profile: &str,
    runs: &[SpecRun],
    engine: &dyn crate::train::Engine,
) -> Result<(), Failure> {
    for run in runs {
        // Support does not depend on the vocabulary size, so any will do.
        let model = run.settings.model.resolve(1);
        if let Some(reason) = engine.unsupported(&model, &run.settings.train) {
            return Err(Failure::usage(format!(
                "run `{}` of `{}` (profile {profile}) cannot be trained here: {reason}",
                run.name,
                spec.path.display(),
            )));
        }
    }
    Ok(())
}

/// Reports two widths whose feed-forward layers are rounded to the same width, because the axis
/// then does not mean what it seems to.
fn rounded_alike(runs: &[SpecRun]) -> Option<String> {
    let mut seen: BTreeMap<usize, usize> = BTreeMap::new();
    for run in runs {
        let settings = &run.settings.model;
        if settings.hidden_dim.is_some() {
            continue;
        }
        let model = settings.resolve(1);
        match seen.insert(model.hidden_dim, model.dim) {
            Some(other) if other != model.dim => {
                let (a, b) = (other.min(model.dim), other.max(model.dim));
                return Some(format!(
                    "widths {a} and {b} have the same feed-forward width, {}: it is rounded up to a multiple of \
                     `model.multiple_of`; a smaller one lets it grow with the width",
                    model.hidden_dim
                ));
            }
            _ => {}
        }
    }
    None
}

/// Finds mistakes in expressions and cells before training.
pub(crate) fn no_mistakes(spec: &Spec) -> Result<(), Failure> {
    refuse(mistakes::mistakes(spec)).map_err(|failure| failure.invalid_spec(&spec.path))
}

/// Returns all mistakes at once, if there are any.
fn refuse(mistakes: SpecProblems) -> Result<(), Failure> {
    if mistakes.problems.is_empty() {
        return Ok(());
    }
    Err(SpecError::Invalid(mistakes).into())
}
