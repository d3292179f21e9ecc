//! `specbook check`: every problem of specs, without reading corpora.

use super::args::{Check, Global};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, workspace};
use crate::spec::Spec;
use crate::train::engine::{self, DeviceKind};
use serde_json::json;

/// Checks the specs, and that the engine can do what they ask.
pub(crate) fn execute(args: &Check, _: &Global, printer: Printer) -> Result<u8, Failure> {
    let specs = workspace::load(&args.spec, printer)?;
    let engine = engine::open(DeviceKind::Cpu)?;
    for spec in &specs {
        supported(spec, engine.as_ref())?;
        rehearse(spec)?;
    }
    if printer.json() {
        let all: Vec<_> = specs
            .iter()
            .map(|spec| json!({"format": 1, "spec": spec.name, "profile": spec.profile, "runs": spec.runs.len(), "claims": spec.claims.len(), "cells": spec.cells.len()}))
            .collect();
        printer.json_result(&all)?;
    } else {
        for spec in &specs {
            printer.result(&format!(
                "{}: ok ({} runs, {} claims, {} cells in profile {})",
                spec.path.display(),
                spec.runs.len(),
                spec.claims.len(),
                spec.cells.len(),
                spec.profile
            ));
        }
    }
    Ok(exit::OK)
}

/// Refuses what the engine cannot train, before anything is read.
pub(crate) fn supported(spec: &Spec, engine: &dyn crate::train::Engine) -> Result<(), Failure> {
    for run in &spec.runs {
        // The vocabulary does not matter for what is supported; any size will do.
        let model = run.settings.model.resolve(1);
        if let Some(reason) = engine.unsupported(&model, &run.settings.train) {
            return Err(Failure::usage(format!(
                "run `{}` of `{}` cannot be trained here: {reason}",
                run.name,
                spec.path.display()
            )));
        }
    }
    Ok(())
}

/// Finds mistakes in expressions and cells before anything is trained.
pub(crate) fn rehearse(spec: &Spec) -> Result<(), Failure> {
    crate::rehearsal::rehearse(spec).map_err(|error| Failure::from(error).at(&spec.path))
}
