//! Two tables for spreadsheets and data frames: `runs.csv`, one line per run with all settings and results, and
//! `steps.csv`, one line per step of every run.

use super::table::runs_table;
use super::{TableFormat, Tracked};
use crate::interop::{Folder, InteropError};
use crate::record::MetricPoint;

/// The format.
pub struct Csv;

impl TableFormat for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "`runs.csv` (settings and results, one line per run) and `steps.csv` (one line per step)."
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

/// A line of RFC 4180. A text that a spreadsheet would interpret as a formula is prefixed with an apostrophe.
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
