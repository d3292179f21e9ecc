//! Two tables for spreadsheets and data frames: `runs.csv`, a line per run with all settings and results, and `steps.csv`, a line per
//! step of every run.

use super::{TableFormat, Tracked, text};
use crate::interop::{Folder, InteropError};
use crate::record::MetricPoint;
use std::collections::BTreeSet;

/// The format.
pub struct Csv;

impl TableFormat for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "`runs.csv` (settings and results, a line per run) and `steps.csv` (a line per step)."
    }

    fn files(&self, _: &[Tracked]) -> Vec<String> {
        vec!["runs.csv".to_owned(), "steps.csv".to_owned()]
    }

    fn write(&self, runs: &[Tracked], out: &mut Folder<'_>) -> Result<(), InteropError> {
        let table = runs_table(runs);
        let mut lines = line(table.iter().map(|column| column.name.as_str()));
        for row in 0..runs.len() {
            let cells: Vec<String> = table.iter().map(|column| column.cell(row)).collect();
            lines += &line(cells.iter().map(String::as_str));
        }
        out.put_bytes("runs.csv", lines.as_bytes())?;
        out.put("steps.csv", |out| {
            let head = ["id", "name", "step"]
                .into_iter()
                .chain(MetricPoint::SERIES);
            out.write_all(line(head).as_bytes())?;
            for run in runs {
                for point in &run.points {
                    let values = MetricPoint::SERIES.map(|series| point.value(series));
                    let values =
                        values.map(|value| value.map_or(String::new(), |value| value.to_string()));
                    let step = point.step.to_string();
                    let cells = [run.id.as_str(), &run.name, &step];
                    out.write_all(
                        line(cells.into_iter().chain(values.iter().map(String::as_str))).as_bytes(),
                    )?;
                }
            }
            Ok(())
        })
    }
}

/// A column of the table of runs.
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its values, a run each.
    pub values: Values,
}

/// Values of a column.
pub enum Values {
    /// Texts.
    Texts(Vec<Option<String>>),
    /// Numbers.
    Numbers(Vec<Option<f64>>),
}

impl Column {
    fn cell(&self, row: usize) -> String {
        match &self.values {
            Values::Texts(texts) => texts[row].clone().unwrap_or_default(),
            Values::Numbers(numbers) => {
                numbers[row].map_or(String::new(), |number| number.to_string())
            }
        }
    }
}

/// The table of runs: id, spec, profile, name, settings in the order in which they first occur, metrics by name.
pub fn runs_table(runs: &[Tracked]) -> Vec<Column> {
    let texts = |name: &str, of: &dyn Fn(&Tracked) -> Option<String>| Column {
        name: name.to_owned(),
        values: Values::Texts(runs.iter().map(of).collect()),
    };
    let mut table = vec![
        texts("id", &|run| Some(run.id.clone())),
        texts("spec", &|run| Some(run.spec.clone())),
        texts("profile", &|run| Some(run.profile.clone())),
        texts("name", &|run| Some(run.name.clone())),
    ];
    let mut seen = BTreeSet::new();
    let settings = runs.iter().flat_map(|run| &run.settings);
    for (path, _) in settings.filter(|(path, _)| seen.insert(path.as_str())) {
        let of = |run: &Tracked| {
            run.settings
                .iter()
                .find(|(name, _)| name == path)
                .map(|(_, value)| value.clone())
        };
        let values: Vec<_> = runs.iter().map(of).collect();
        let is_number = values.iter().flatten().all(serde_json::Value::is_number);
        table.push(Column {
            name: path.clone(),
            values: match is_number {
                true => Values::Numbers(
                    values
                        .iter()
                        .map(|value| value.as_ref()?.as_f64())
                        .collect(),
                ),
                false => Values::Texts(
                    values
                        .iter()
                        .map(|value| value.as_ref().map(text))
                        .collect(),
                ),
            },
        });
    }
    let metrics: BTreeSet<&String> = runs.iter().flat_map(|run| run.metrics.keys()).collect();
    for metric in metrics {
        // Such a setting and such a metric are two things.
        let is_taken = table.iter().any(|column| column.name == *metric);
        table.push(Column {
            name: if is_taken {
                format!("metrics.{metric}")
            } else {
                metric.clone()
            },
            values: Values::Numbers(
                runs.iter()
                    .map(|run| run.metrics.get(metric).copied())
                    .collect(),
            ),
        });
    }
    table
}

/// A line of RFC 4180. A text that a spreadsheet would take for a formula begins with an apostrophe.
fn line<'a>(fields: impl IntoIterator<Item = &'a str>) -> String {
    let field = |text: &str| {
        let is_formula =
            text.starts_with(['=', '+', '-', '@', '\t', '\r']) && text.parse::<f64>().is_err();
        let guarded = if is_formula {
            format!("'{text}")
        } else {
            text.to_owned()
        };
        match guarded.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", guarded.replace('"', "\"\"")),
            false => guarded,
        }
    };
    let mut line = fields.into_iter().map(field).collect::<Vec<_>>().join(",");
    line.push('\n');
    line
}
