//! `specbook sample`: generates text with a model. It appears as it is generated, one text after
//! another.

use super::args::{Global, SampleArgs};
use super::failure::Failure;
use super::print::Printer;
use super::shared::LoadedModel;
use super::stream::{self, Continuation};
use super::{exit, project};
use serde_json::json;
use std::io::Read as _;
use std::ops::ControlFlow;
use std::path::Path;

/// Maximum length of a file of prompts, in bytes.
const LIMIT: u64 = 16 << 20;

/// Continues the prompts.
pub(crate) fn execute(args: &SampleArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    stream::check(&args.draw)?;
    let texts = prompts(args)?;
    let store = project::store_here(global)?;
    let model = LoadedModel::open(&store, &args.run, &args.compute, printer)?;
    let ids: Vec<Vec<u32>> = texts
        .iter()
        .map(|text| model.prompt(text))
        .collect::<Result<_, _>>()?;
    let positions = model.model.max_seq_len;
    let fills = |ids: &Vec<u32>| ids.len() >= positions;
    for (number, ids) in ids.iter().enumerate().filter(|(_, ids)| fills(ids)) {
        printer.warning(&format!(
            "prompt {} has {} tokens, with the one that begins a text, and the model's context {positions}: there is no room for a continuation",
            number + 1,
            ids.len()
        ));
    }
    let each = usize::from(args.samples);
    let rows: Vec<Vec<u32>> = ids.iter().flat_map(|ids| vec![ids.clone(); each]).collect();
    let job = stream::job(&model, &rows, &args.draw);
    if printer.json() {
        let continuations = model.engine.generate(&model.weights, &job)?;
        let samples = continuations.iter().zip(&rows).enumerate();
        let samples = samples.map(|(row, (new, ids))| {
            let text = model.tokenizer.decode_continuation(ids, new)?;
            Ok(json!({
                "prompt": texts[row / each], "continuation": text, "fills_context": fills(ids), "prompt_ids": ids, "ids": new,
            }))
        });
        let samples: Vec<_> = samples.collect::<Result<_, Failure>>()?;
        printer.json_result(&json!({"format": 1, "run": model.id, "samples": samples}))?;
        return Ok(exit::OK);
    }
    let titles = (0..rows.len())
        .map(|row| texts[row / each].as_str())
        .collect();
    let mut live = Live::new(printer, titles);
    let mut making: Vec<_> = rows
        .iter()
        .map(|ids| Continuation::new(&model.tokenizer, ids))
        .collect();
    live.begin();
    let made = model
        .engine
        .generate_each(&model.weights, &job, &mut |row, id| {
            live.add(row, &making[row].push(id));
            ControlFlow::Continue(())
        });
    made?;
    for (row, making) in making.iter_mut().enumerate() {
        live.add(row, &making.rest());
        live.end();
    }
    Ok(exit::OK)
}

/// The texts to continue.
fn prompts(args: &SampleArgs) -> Result<Vec<String>, Failure> {
    let mut texts = args.prompt.clone();
    if let Some(path) = &args.prompts {
        let mut text = String::new();
        let read = match path == Path::new("-") {
            true => std::io::stdin().take(LIMIT).read_to_string(&mut text),
            false => std::fs::File::open(path)
                .and_then(|file| file.take(LIMIT).read_to_string(&mut text)),
        };
        let failed = |error| {
            Failure::input(format!(
                "cannot read the prompts of `{}`: {error}",
                path.display()
            ))
        };
        read.map_err(failed)?;
        texts.extend(
            text.lines()
                .filter(|line| !line.trim().is_empty())
                .map(str::to_owned),
        );
        if texts.is_empty() {
            return Err(Failure::input(format!(
                "`{}` holds no text to continue",
                path.display()
            )));
        }
    }
    if texts.is_empty() {
        texts.push("Once upon a time".to_owned());
    }
    Ok(texts)
}

/// Texts generated at the same time and shown one after another: the first as it is generated, each
/// other one from its current length on.
struct Live<'a> {
    printer: Printer,
    prompts: Vec<&'a str>,
    waiting: Vec<String>,
    shown: usize,
}

impl<'a> Live<'a> {
    fn new(printer: Printer, prompts: Vec<&'a str>) -> Self {
        Self {
            waiting: vec![String::new(); prompts.len()],
            printer,
            prompts,
            shown: 0,
        }
    }

    /// Shows the start of the next text.
    fn begin(&mut self) {
        if let Some(prompt) = self.prompts.get(self.shown) {
            self.printer.piece(prompt);
            let waiting = std::mem::take(&mut self.waiting[self.shown]);
            self.printer.piece(&waiting);
        }
    }

    /// Appends to a text.
    fn add(&mut self, row: usize, text: &str) {
        if row == self.shown {
            self.printer.piece(text);
        } else {
            self.waiting[row].push_str(text);
        }
    }

    /// Marks the shown text as complete.
    fn end(&mut self) {
        self.shown += 1;
        let is_last = self.shown == self.prompts.len();
        self.printer.piece(if is_last { "\n" } else { "\n\n" });
        self.begin();
    }
}
