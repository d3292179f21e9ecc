//! `specbook import`: stores a model written by another program.

use super::args::{Global, ImportArgs};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, project};
use crate::interop;
use crate::plan::ModelKey;
use serde_json::json;

/// Reads the model and stores it.
pub(crate) fn execute(args: &ImportArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let read = interop::read(&args.path, args.tokenizer.as_deref())?;
    let stem = match args.path.is_dir() {
        true => args
            .path
            .canonicalize()
            .ok()
            .and_then(|path| Some(path.file_name()?.to_owned())),
        false => args.path.file_stem().map(ToOwned::to_owned),
    };
    let stem = stem.map(|stem| stem.to_string_lossy().into_owned());
    let name = args
        .name
        .clone()
        .or(stem)
        .unwrap_or_else(|| "model".to_owned());
    let store = project::store_here(global)?;
    let key = ModelKey {
        model: read.model,
        weights: read.weights.digest(),
        tokenizer: read.tokenizer.sha256(),
    };
    let record = store.put_model(
        &name,
        &key,
        &read.weights,
        read.tokenizer.json(),
        &read.notes,
    )?;
    for note in store.take_warnings().iter().chain(&record.notes) {
        printer.warning(note);
    }
    let model = &record.key.model;
    if printer.json() {
        printer.json_result(&json!({
            "format": 1, "id": record.id, "name": record.name, "model": model, "params": model.parameters(),
            "tokenizer": record.key.tokenizer, "notes": record.notes,
        }))?;
    } else {
        printer.result(&format!(
            "{}  {} ({}, {} parameters)",
            record.id,
            record.name,
            model.arch.name(),
            model.parameters()
        ));
        if record.name != name {
            printer.note(&format!(
                "it was in the store already, as `{}`",
                record.name
            ));
        }
        printer.note(&format!(
            "`specbook sample {}` writes text with it",
            record.name
        ));
    }
    Ok(exit::OK)
}
