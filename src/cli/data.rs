//! `specbook data fetch`: downloads. `specbook data stats`: what the sequence policies make of the
//! training documents, counted without training.

use super::args::{DataCommand, Global};
use super::failure::Failure;
use super::print::{self, Printer};
use super::workspace::{self, Opened};
use super::{exit, fetch, project};
use crate::data::{self, DataError, stats};
use crate::human;
use crate::plan::Run;
use crate::spec::SeqLen;
use serde::Serialize;
use serde_json::json;

/// The documents shared by some runs, and their table of counts.
#[derive(Debug, Serialize)]
struct Counted {
    /// Names of the runs.
    runs: Vec<String>,
    batch_size: usize,
    lengths: stats::LengthSummary,
    counts: Vec<stats::CountRow>,
}

/// Prints the tables.
pub(crate) fn execute(
    command: &DataCommand,
    global: &Global,
    printer: Printer,
) -> Result<u8, Failure> {
    let args = match command {
        DataCommand::Fetch(args) => {
            let specs = workspace::load(args, printer)?;
            let fetched = specs.iter().map(|spec| fetch::fetch(spec, true, printer));
            let fetched = fetched.collect::<Result<Vec<_>, _>>()?;
            match printer.json() {
                true => printer.json_result(&fetched)?,
                false => fetched
                    .iter()
                    .for_each(|one| printer.result(&fetch::as_text(one))),
            }
            return Ok(exit::OK);
        }
        DataCommand::Stats(args) => args,
    };
    let store = project::store(global, &args.specs[0])?;
    let mut all = Vec::new();
    for opened in &workspace::open(args, &store, printer)? {
        let mut warnings = Vec::new();
        let counted = count(opened, &mut warnings).map_err(crate::error::Error::from)?;
        warnings.iter().for_each(|text| printer.warning(text));
        if printer.json() {
            let (spec, profile) = (&opened.plan.spec, &opened.plan.profile);
            all.push(json!({"format": 1, "spec": spec, "profile": profile, "tables": counted}));
        } else {
            printer.result(&text(opened, &counted));
        }
    }
    if printer.json() {
        printer.json_result(&all)?;
    }
    Ok(exit::OK)
}

/// One table for all runs with equal counts.
fn count(opened: &Opened, warnings: &mut Vec<String>) -> Result<Vec<Counted>, DataError> {
    let mut groups: Vec<Vec<&Run>> = Vec::new();
    for run in &opened.plan.runs {
        match groups.iter_mut().find(|group| alike(group[0], run)) {
            Some(group) => group.push(run),
            None => groups.push(vec![run]),
        }
    }
    let tables = groups.iter().map(|group| table(group, opened, warnings));
    tables.collect()
}

/// Whether two runs have the same documents, tokenizer, batches and length.
fn alike(a: &Run, b: &Run) -> bool {
    let length = |run: &Run| match run.settings.data.seq_len {
        SeqLen::Max => SeqLen::Tokens(run.settings.model.max_seq_len),
        other => other,
    };
    a.key.data.train == b.key.data.train
        && a.key.data.tokenizer == b.key.data.tokenizer
        && a.settings.train.batch_size == b.settings.train.batch_size
        && length(a) == length(b)
}

fn table(runs: &[&Run], opened: &Opened, warnings: &mut Vec<String>) -> Result<Counted, DataError> {
    let settings = &runs[0].settings;
    let lengths = data::document_lengths(settings, &opened.context, warnings)?;
    let counts = stats::count_table(
        &lengths,
        settings.train.batch_size,
        settings.data.seq_len,
        settings.model.max_seq_len,
    )?;
    Ok(Counted {
        runs: runs.iter().map(|run| run.name.clone()).collect(),
        batch_size: settings.train.batch_size,
        lengths: stats::summarise(&lengths),
        counts,
    })
}

fn text(opened: &Opened, tables: &[Counted]) -> String {
    let mut lines = vec![format!(
        "{} (profile {})",
        opened.plan.spec, opened.plan.profile
    )];
    for table in tables {
        let lengths = &table.lengths;
        lines.push(format!(
            "\n{} documents, {} tokens: shortest {}, median {}, mean {:.1}, longest {}; batches of {}\nfor {}",
            human::count(lengths.documents as u64),
            human::count(lengths.tokens),
            lengths.shortest,
            lengths.median,
            lengths.mean,
            lengths.longest,
            table.batch_size,
            named(&table.runs),
        ));
        let number = |value: Option<usize>| {
            value.map_or_else(|| "–".to_owned(), |value| human::count(value as u64))
        };
        let rows = table.counts.iter().map(|row| {
            vec![
                row.policy.clone(),
                number(row.tol),
                row.seq_len.to_string(),
                number(row.sequences),
                number(row.batches),
            ]
        });
        lines.push(print::table(
            &["policy", "tol", "seq_len", "sequences", "batches"],
            &rows.collect::<Vec<_>>(),
        ));
    }
    lines.join("\n")
}

/// The first names of a list, and the number of further ones.
fn named(runs: &[String]) -> String {
    const SHOWN: usize = 6;
    let shown = runs[..runs.len().min(SHOWN)].join(" ");
    match runs.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
