//! `specbook logits`: prints a model's output numbers, for checks against other programs.

use super::args::{Global, LogitsArgs};
use super::failure::Failure;
use super::print::Printer;
use super::shared::LoadedModel;
use super::{exit, project};
use serde_json::json;

/// Prints the ids of the text and the logits after each of them.
pub(crate) fn execute(args: &LogitsArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store_here(global)?;
    let loaded = LoadedModel::open(&store, &args.run, &args.compute, printer)?;
    let ids = loaded.prompt(&args.prompt)?;
    let (model, threads) = (&loaded.model, loaded.threads);
    let logits = loaded
        .engine
        .logits(&loaded.weights, model, &ids, threads)?;
    let rows: Vec<&[f32]> = logits.chunks(model.vocab_size).collect();
    printer.json_result(&json!({"format": 1, "ids": ids, "logits": rows}))?;
    Ok(exit::OK)
}
