//! `specbook export`: a run's model for another program.

use super::args::{ComputeArgs, ExportArgs, Global};
use super::failure::Failure;
use super::print::Printer;
use super::shared::{LoadedModel, Origin};
use super::{exit, project};
use crate::fsx::RealFs;
use crate::interop::{Card, FORMATS, Folder, Format, Portable};
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
    let notes = format.write(&portable, &mut folder)?;
    let files = folder.finish(&names)?;
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
