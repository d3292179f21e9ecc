//! `specbook export`: writes a run's model for another program, or the runs of a spec for a
//! tracker.

use super::args::{ComputeArgs, ExportArgs, Global, SpecArgs};
use super::failure::Failure;
use super::print::Printer;
use super::shared::{LoadedModel, Origin};
use super::{exit, project, workspace};
use crate::data::Stop;
use crate::fsx::AnyPath;
use crate::fsx::{Fs as _, RealFs};
use crate::human;
use crate::interop::{Card, FORMATS, Folder, Format, Portable};
use crate::record::RunRecord;
use crate::report::ReportFolder;
use crate::trackers::{self, TableFormat, Tracked, mlflow};
use crate::train::{SampleJob, Weights};
use serde_json::json;
use std::path::Path;

/// Writes the model or the runs in the requested format.
pub(crate) fn execute(args: &ExportArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    if let Some(format) = FORMATS.iter().find(|format| format.name() == args.to) {
        return model(*format, args, global, printer);
    }
    let tables = trackers::FORMATS.iter();
    if let Some(format) = tables.clone().find(|format| format.name() == args.to) {
        return table(*format, args, global, printer);
    }
    if args.to == mlflow::NAME {
        return server(args, global, printer);
    }
    let models = FORMATS.iter().map(|format| (format.name(), format.about()));
    let tables = tables.map(|format| (format.name(), format.about()));
    let known = models.chain(tables).chain([(mlflow::NAME, mlflow::ABOUT)]);
    let known: Vec<String> = known
        .map(|(name, about)| format!("`{name}`: {about}"))
        .collect();
    let message = format!("there is no format `{}`", args.to);
    Err(Failure::usage(message).hint(known.join("\n      ")))
}

/// The finished runs of the spec.
fn runs(args: &ExportArgs, global: &Global, printer: Printer) -> Result<Vec<Tracked>, Failure> {
    let spec = SpecArgs {
        specs: vec![args.target.clone().into()],
        profile: args.profile.clone(),
        overrides: args.overrides.clone(),
        filter: args.filter.clone(),
        paranoid: false,
    };
    let store = project::store(global, &spec.specs[0])?;
    let mut all = Vec::new();
    for opened in workspace::open(&spec, &store, printer)? {
        let (runs, missing) = trackers::gather(&opened.plan, &store)?;
        if missing > 0 {
            printer.warning(&format!(
                "{missing} of {} runs of `{}` are not finished: left out",
                opened.plan.runs.len(),
                opened.plan.spec
            ));
        }
        all.extend(runs);
    }
    if all.is_empty() {
        return Err(Failure::input("there is no finished run to export")
            .hint("train them with `specbook run`"));
    }
    Ok(all)
}

fn table(
    format: &dyn TableFormat,
    args: &ExportArgs,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let runs = runs(args, global, printer)?;
    let names = format.files(&runs);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let fs = RealFs::new();
    let mut folder = Folder::begin(
        &fs,
        &args.place,
        format.name(),
        &args.target.to_string_lossy(),
        &names,
    )?;
    format.write(&runs, &mut folder)?;
    folder.aside().iter().for_each(|text| printer.warning(text));
    let files = folder.finish(&names)?;
    let place = args.place.display();
    if printer.json() {
        printer.json_result(&json!({
            "format": 1, "spec": AnyPath::from(&args.target), "to": format.name(), "folder": AnyPath::from(&args.place), "runs": runs.len(), "files": files,
        }))?;
    } else {
        let runs = human::counted(runs.len() as u64, "run");
        printer.result(&format!("wrote {runs} to `{place}`"));
    }
    Ok(exit::OK)
}

fn server(args: &ExportArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let uri = args.place.to_string_lossy();
    if !uri.starts_with("http://") && !uri.starts_with("https://") {
        let message = format!("`{uri}` is not the address of a server");
        return Err(Failure::usage(message)
            .hint("`mlflow server` prints one, such as `http://127.0.0.1:5000`"));
    }
    let runs = runs(args, global, printer)?;
    let sent = mlflow::send(&uri, &runs)?;
    if printer.json() {
        printer.json_result(&json!({
            "format": 1, "spec": AnyPath::from(&args.target), "to": mlflow::NAME, "server": uri, "sent": sent.sent, "there": sent.there,
        }))?;
    } else {
        printer.result(&format!(
            "sent {} runs to `{uri}`; {} were there",
            sent.sent, sent.there
        ));
    }
    Ok(exit::OK)
}

fn model(
    format: &dyn Format,
    args: &ExportArgs,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let is_spec = Path::new(&args.target)
        .extension()
        .is_some_and(|ending| ending == "yaml");
    if is_spec {
        let target = args.target.to_string_lossy();
        let message = format!(
            "`{}` writes a model, and `{target}` is a spec",
            format.name()
        );
        return Err(Failure::usage(message).hint(
            "name one of its runs, as `specbook ls` lists them; `--to csv` writes tables of a spec",
        ));
    }
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
    notes.extend(folder.aside().iter().cloned());
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
            "format": 1, "run": loaded.id, "to": format.name(), "folder": AnyPath::from(&args.place), "files": files, "notes": notes,
        }))?;
    } else {
        printer.result(&format!("wrote {} to `{place}`", files.join(", ")));
    }
    Ok(exit::OK)
}

/// The effect of rounded weights on the model's output, measured on a fixed text.
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

/// The finding shown with the run: that of the project's report that contains it, preferring the
/// default profile.
fn finding(record: &RunRecord) -> Option<String> {
    let (fs, reports) = (
        RealFs::new(),
        project::committed_reports(None, Path::new(".")),
    );
    let mut names: Vec<String> = fs
        .list(&reports)
        .ok()?
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    names.retain(|name| name.split('@').next() == Some(&record.spec));
    names.sort_unstable();
    let shown = names.into_iter().filter_map(|name| {
        let records = ReportFolder::new(&reports, &name, &fs).records().ok()?;
        let shows = records.results.runs.iter().any(|run| run.id == record.id);
        shows.then_some(records.header.finding)
    });
    shown.into_iter().find(|finding| !finding.trim().is_empty())
}

/// What readers should know about the model.
fn card(loaded: &LoadedModel) -> Result<Card, Failure> {
    let mut card = Card {
        id: loaded.id.clone(),
        ..Card::default()
    };
    match &loaded.origin {
        Origin::Run(record) => {
            card.title = format!("{}/{}", record.spec, record.name);
            card.finding = finding(record).unwrap_or_default();
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
