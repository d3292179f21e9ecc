//! The two tables of [`super::csv`] as Parquet, with types: `runs.parquet` and `steps.parquet`.

use super::table::{Values, runs_table};
use super::{TableFormat, Tracked};
use crate::interop::{Folder, InteropError};
use crate::parquet::{Cells, Kind, Writer};
use crate::record::MetricPoint;
use std::io;

/// Rows per row group of steps, held in memory at once.
const ROWS: usize = 1 << 16;

/// The format.
pub struct Parquet;

impl TableFormat for Parquet {
    fn name(&self) -> &'static str {
        "parquet"
    }

    fn about(&self) -> &'static str {
        "`runs.parquet` and `steps.parquet`: the tables of `csv`, with types."
    }

    fn files(&self, _: &[Tracked]) -> Vec<String> {
        vec!["runs.parquet".to_owned(), "steps.parquet".to_owned()]
    }

    fn write(&self, runs: &[Tracked], out: &mut Folder<'_>) -> Result<(), InteropError> {
        out.put("runs.parquet", |out| write_runs(runs, out))?;
        out.put("steps.parquet", |out| write_steps(runs, out))
    }
}

fn write_runs(runs: &[Tracked], out: &mut dyn io::Write) -> io::Result<()> {
    let table = runs_table(runs);
    let kinds = table.iter().map(|column| {
        let kind = match column.values {
            Values::Texts(_) => Kind::Texts,
            Values::Booleans(_) => Kind::Booleans,
            Values::Integers(_) => Kind::Integers,
            Values::Numbers(_) => Kind::Numbers,
        };
        (column.name.clone(), kind)
    });
    let mut writer = Writer::new(out, kinds.collect())?;
    let columns = table.iter().map(|column| {
        let mut cells = Cells::default();
        match &column.values {
            Values::Texts(texts) => texts.iter().for_each(|text| cells.text(text.as_deref())),
            Values::Booleans(values) => values.iter().for_each(|yes| cells.boolean(*yes)),
            Values::Integers(numbers) => numbers.iter().for_each(|n| cells.integer(*n)),
            Values::Numbers(numbers) => numbers.iter().for_each(|n| cells.number(*n)),
        }
        cells
    });
    writer.group(columns.collect())?;
    writer.finish()
}

fn write_steps(runs: &[Tracked], out: &mut dyn io::Write) -> io::Result<()> {
    let mut kinds = vec![
        ("id".to_owned(), Kind::Texts),
        ("name".to_owned(), Kind::Texts),
        ("step".to_owned(), Kind::Integers),
    ];
    kinds.extend(MetricPoint::SERIES.map(|series| (series.to_owned(), Kind::Numbers)));
    let width = kinds.len();
    let empty = || (0..width).map(|_| Cells::default()).collect::<Vec<_>>();
    let mut writer = Writer::new(out, kinds)?;
    let (mut cells, mut rows) = (empty(), 0);
    for run in runs {
        for point in &run.points {
            cells[0].text(Some(&run.id));
            cells[1].text(Some(&run.name));
            cells[2].integer(Some(point.step as i64));
            for (cells, series) in cells[3..].iter_mut().zip(MetricPoint::SERIES) {
                cells.number(point.value(series));
            }
            rows += 1;
            if rows % ROWS == 0 {
                writer.group(std::mem::replace(&mut cells, empty()))?;
            }
        }
    }
    writer.group(cells)?;
    writer.finish()
}
