//! `specbook sample`: text from a stored run.

use super::args::{Global, SampleArgs};
use super::failure::Failure;
use super::print::Printer;
use super::shared::LoadedModel;
use super::{exit, project};
use crate::data::Stop;
use crate::train::SampleJob;
use serde_json::json;

/// Continues the prompts.
pub(crate) fn execute(args: &SampleArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    if !(args.temperature >= 0.0 && args.temperature.is_finite()) {
        return Err(Failure::usage("`--temperature` is a number from 0"));
    }
    if args.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
        return Err(Failure::usage("`--top-p` is a number above 0, at most 1"));
    }
    if args.top_k == Some(0) {
        return Err(Failure::usage("`--top-k` is a whole number from 1"));
    }
    let store = project::store_here(global)?;
    let trained = LoadedModel::open(&store, &args.run, &args.compute, printer)?;
    let tokenizer = &trained.tokenizer;
    let prompts: Vec<Vec<u32>> = args
        .prompt
        .iter()
        .map(|prompt| trained.prompt(prompt))
        .collect::<Result<_, _>>()?;
    let positions = trained.model.max_seq_len;
    let fills = |ids: &Vec<u32>| ids.len() >= positions;
    for (number, ids) in prompts.iter().enumerate().filter(|(_, ids)| fills(ids)) {
        printer.warning(&format!(
            "prompt {} has {} tokens, with the one that begins a text, and the model's context {positions}: there is no room for a continuation",
            number + 1,
            ids.len()
        ));
    }
    let job = SampleJob {
        model: &trained.model,
        prompts: &prompts,
        max_new_tokens: args.max_new_tokens,
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        seed: args.seed,
        stop: Some(tokenizer.eos()),
        usable_vocab: trained.usable_vocab(),
        threads: trained.threads,
        halt: Stop::never(),
    };
    let continuations = trained.engine.generate(&trained.weights, &job)?;
    let texts: Vec<String> = continuations
        .iter()
        .zip(&prompts)
        .map(|(new, prompt)| tokenizer.decode_continuation(prompt, new))
        .collect::<Result<_, _>>()?;
    if printer.json() {
        let samples: Vec<_> = args
            .prompt
            .iter()
            .zip(texts.iter().zip(&prompts).zip(&continuations))
            .map(|(prompt, ((text, ids), new))| {
                json!({"prompt": prompt, "continuation": text, "fills_context": fills(ids), "prompt_ids": ids, "ids": new})
            })
            .collect();
        printer.json_result(&json!({"format": 1, "run": trained.id, "samples": samples}))?;
    } else {
        let shown: Vec<String> = args
            .prompt
            .iter()
            .zip(&texts)
            .map(|(prompt, text)| format!("{prompt}{text}"))
            .collect();
        printer.result(&shown.join("\n\n"));
    }
    Ok(exit::OK)
}
