//! `specbook export`: a run's model for another program.

use super::args::{ComputeArgs, ExportArgs, Global};
use super::failure::Failure;
use super::print::Printer;
use super::shared::{LoadedModel, Origin};
use super::{exit, project};
use crate::data::Stop;
use crate::fsx::RealFs;
use crate::interop::{Card, FORMATS, Folder, Format, Portable};
use crate::train::{SampleJob, Weights};
use serde_json::json;

/// Writes the model in the format asked for.
pub(crate) fn execute(args: &ExportArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let Some(format) = FORMATS.iter().find(|format| format.name() == args.to) else {
        let known = FORMATS
            .iter()
            .map(|format| format!("`{}`: {}", format.name(), format.about()));
        let known: Vec<String> = known.collect();
        let message = format!("there is no format `{}`", args.to);
        return Err(Failure::usage(message).hint(known.join("\n      ")));
    };
    model(*format, args, global, printer)
}

fn model(
    format: &dyn Format,
    args: &ExportArgs,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let store = project::store_here(global)?;
    let loaded = LoadedModel::open(&store, &args.target, &ComputeArgs::default(), printer)?;
    let card = card(&loaded)?;
    let portable = Portable {
        model: &loaded.model,
        weights: &loaded.weights,
        tokenizer: &loaded.tokenizer,
        card: &card,
    };
    let names = format.files(&portable);
    let fs = RealFs::new();
    let mut folder = Folder::begin(&fs, &args.place, format.name(), &loaded.id, &names)?;
    let mut notes = format.write(&portable, &mut folder)?;
    let files = folder.finish(&names)?;
    if let Some(rounded) = format.rounded(&loaded.weights) {
        notes.push(difference(&loaded, &rounded)?);
    }
    for note in &notes {
        printer.warning(note);
    }
    let place = args.place.display();
    if printer.json() {
        printer.json_result(&json!({
            "format": 1, "run": loaded.id, "to": format.name(), "folder": place.to_string(), "files": files, "notes": notes,
        }))?;
    } else {
        printer.result(&format!("wrote {} to `{place}`", files.join(", ")));
    }
    Ok(exit::OK)
}

/// How far rounded weights change what the model computes, measured on a text of its own.
fn difference(loaded: &LoadedModel, rounded: &Weights) -> Result<String, Failure> {
    let (model, threads) = (&loaded.model, loaded.threads);
    let prompts = [vec![loaded.tokenizer.bos()]];
    let job = SampleJob {
        model,
        prompts: &prompts,
        max_new_tokens: 128,
        temperature: 1.0,
        top_k: None,
        top_p: None,
        seed: 0,
        stop: None,
        usable_vocab: loaded.usable_vocab(),
        threads,
        halt: Stop::never(),
    };
    let text = loaded.engine.generate(&loaded.weights, &job)?;
    let ids = [&prompts[0][..], &text[0]].concat();
    let of = |weights: &Weights| loaded.engine.logits(weights, model, &ids, threads);
    let (exact, rounded) = (of(&loaded.weights)?, of(rounded)?);
    let pairs = exact.iter().zip(&rounded);
    let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let nats = |logits: &[f32]| {
        let rows = logits.chunks(model.vocab_size).zip(&ids[1..]);
        let nats = rows.map(|(row, next)| {
            let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let sum: f64 = row.iter().map(|logit| f64::from(logit - most).exp()).sum();
            sum.ln() - f64::from(row[*next as usize] - most)
        });
        nats.sum::<f64>() / (ids.len() - 1) as f64
    };
    Ok(format!(
        "the matrices are rounded: over {} tokens of the model's own text logits differ by at most {largest:.1e}, and its {:.4} nats per token by {:+.1e}",
        ids.len() - 1,
        nats(&exact),
        nats(&rounded) - nats(&exact)
    ))
}

/// What a reader should know of the model.
fn card(loaded: &LoadedModel) -> Result<Card, Failure> {
    let mut card = Card {
        id: loaded.id.clone(),
        ..Card::default()
    };
    match &loaded.origin {
        Origin::Run(record) => {
            card.title = format!("{}/{}", record.spec, record.name);
            card.metrics = record.metrics.clone();
            card.settings = serde_json::to_string_pretty(&record.key)?;
        }
        Origin::Model(record) => {
            card.title = record.name.clone();
            card.settings = serde_json::to_string_pretty(&record.key)?;
        }
        Origin::Files => {
            card.title = loaded.id.clone();
            card.settings = serde_json::to_string_pretty(&loaded.model)?;
        }
    }
    Ok(card)
}
