//! `specbook eval`: scores a text with the model of a stored run.

use super::args::{EvalArgs, Global};
use super::failure::Failure;
use super::print::{self, Printer};
use super::shared::LoadedModel;
use super::{exit, project};
use crate::data::{self, DataContext, Stop};
use crate::eval::{self, EvalRequest};
use crate::record::{EvalResult, RunId};
use crate::spec::{Corpus, EvalSettings, PerplexitySettings, Split, TextFile};
use crate::store::Store;
use crate::workload::scored_documents;
use serde_json::json;
use std::path::Path;

/// Scores a text file, or shows the stored evaluation.
pub(crate) fn execute(args: &EvalArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let store = project::store_here(global)?;
    let run = args.run.to_string_lossy();
    let result = match &args.text {
        Some(path) => score(args, path, &store, printer)?,
        None => stored(&store, &store.resolve(&run)?)?.ok_or_else(|| {
            Failure::input(format!("run `{run}` has no stored evaluation"))
                .hint("name a text with `--text FILE`")
        })?,
    };
    if printer.json() {
        printer.json_result(&json!({"format": 1, "run": run, "metrics": result.metrics, "documents": result.documents}))?;
    } else {
        let rows: Vec<Vec<String>> = result
            .metrics
            .iter()
            .map(|(name, value)| vec![name.clone(), format!("{value:.4}")])
            .collect();
        printer.result(&print::table(&["metric", "value"], &rows));
        printer.note(&format!("{} documents", result.documents.len()));
    }
    Ok(exit::OK)
}

/// The stored evaluation of a run, found through the plans that request one.
pub(crate) fn stored(store: &Store, id: &RunId) -> Result<Option<EvalResult>, Failure> {
    for manifest in store.plans()? {
        for run in manifest.runs.iter().filter(|run| run.id == *id) {
            if let Some(result) = store.eval(&run.eval)? {
                return Ok(Some(result));
            }
        }
    }
    Ok(None)
}

fn score(
    args: &EvalArgs,
    path: &Path,
    store: &Store,
    printer: Printer,
) -> Result<EvalResult, Failure> {
    let trained = LoadedModel::open(store, &args.run, &args.compute, printer)?;
    let (tokenizer, model) = (&trained.tokenizer, &trained.model);
    let corpus = Corpus::Text(TextFile {
        path: path.to_path_buf().into(),
        separator: args.separator.clone(),
        pieces: None,
    });
    let texts = data::read_all(&corpus, &DataContext::default())?;
    let documents = scored_documents(texts, tokenizer, model.max_seq_len, &Stop::default())?;
    if documents.is_empty() {
        let message = format!("`{}` holds no document to score", path.display());
        return Err(Failure::input(message).hint("name a file with text"));
    }
    let perplexity = PerplexitySettings {
        documents: documents.len(),
        split: Split::Validation,
        calibrated: false,
        quote: true,
    };
    let settings = EvalSettings {
        perplexity: Some(perplexity),
        ..EvalSettings::default()
    };
    let request = EvalRequest {
        model,
        settings: &settings,
        documents: &documents,
        stream: &[],
        target_shift: trained.target_shift,
        prompts: &[],
        decode: &|prompt, new| tokenizer.decode_continuation(prompt, new),
        eos: Some(tokenizer.eos()),
        usable_vocab: trained.usable_vocab(),
        loss: trained.loss,
        threads: trained.threads,
        halt: Stop::never(),
    };
    Ok(eval::evaluate(
        trained.engine.as_ref(),
        &trained.weights,
        &request,
    )?)
}
