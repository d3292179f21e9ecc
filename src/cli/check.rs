//! `specbook check`: every problem of specs, without reading corpora.

use super::args::{Check, Global};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, workspace};
use crate::spec::{LoadRequest, Spec, SpecText};
use crate::train::engine::{self, DeviceKind};
use serde_json::json;
use std::collections::BTreeMap;

/// Checks the specs in every profile (with `--profile` or `--set`: in the one asked for), and that the engine can do what they ask.
pub(crate) fn execute(args: &Check, _: &Global, printer: Printer) -> Result<u8, Failure> {
    let specs = workspace::load_with_text(&args.spec, printer)?;
    let one_profile = args.spec.profile.is_some() || !args.spec.overrides.is_empty();
    let engine = engine::open(DeviceKind::Cpu)?;
    let mut checked = Vec::new();
    for (text, spec) in specs {
        supported(&spec, engine.as_ref())?;
        let others = || -> Result<Vec<_>, Failure> {
            let is_other = |name: &&String| !one_profile && **name != spec.profile;
            let other = |profile: &String| {
                let other = in_profile(&text, &spec, profile)?;
                supported(&other, engine.as_ref())?;
                Ok((profile.clone(), other.runs.len()))
            };
            spec.profiles.iter().filter(is_other).map(other).collect()
        };
        rehearse(&spec)?;
        let mut all = vec![(spec.profile.clone(), spec.runs.len())];
        all.extend(others()?);
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
                "{}: ok (runs: {}; {} claims, {} cells)",
                spec.path.display(),
                runs.join(", "),
                spec.claims.len(),
                spec.cells.len()
            ));
        }
    }
    Ok(exit::OK)
}

/// The same spec in another of its profiles.
fn in_profile(text: &SpecText, spec: &Spec, profile: &str) -> Result<Spec, Failure> {
    let request = LoadRequest {
        profile: Some(profile.to_owned()),
        overrides: Vec::new(),
    };
    text.spec(&request)
        .map_err(|error| Failure::from(error).invalid_profile(&spec.path, profile))
}

/// Refuses what the engine cannot train, before anything is read.
pub(crate) fn supported(spec: &Spec, engine: &dyn crate::train::Engine) -> Result<(), Failure> {
    for run in &spec.runs {
        // The vocabulary does not matter for what is supported; any size will do.
        let model = run.settings.model.resolve(1);
        if let Some(reason) = engine.unsupported(&model, &run.settings.train) {
            return Err(Failure::usage(format!(
                "run `{}` of `{}` (profile {}) cannot be trained here: {reason}",
                run.name,
                spec.path.display(),
                spec.profile
            )));
        }
    }
    Ok(())
}

/// Finds mistakes in expressions and cells before anything is trained.
pub(crate) fn rehearse(spec: &Spec) -> Result<(), Failure> {
    crate::rehearsal::rehearse(spec).map_err(|error| Failure::from(error).at(&spec.path))
}
