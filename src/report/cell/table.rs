//! The cell `table`: rows by axis or by run, one column per metric or per value of another axis.

use super::best::mark_best;
use super::columns::take_constant;
use super::runs::marked;
use super::{Builder, Place, Shown, problem, prose_line};
use crate::eval::PERPLEXITY_SHOWN_UP_TO;
use crate::expr::Session;
use crate::record::RunResult;
use crate::report::ReportError;
use crate::report::chart::same;
use crate::report::context::{Block, ColumnView, RowView, TableView, ValueView};
use crate::report::csv;
use crate::report::metric::{self, Metric, Shape};
use crate::report::scope::{Scope, axis_value, groups, value_text};
use crate::report::text::{clean, escape_markdown, one_line};
use crate::spec::TableCell;
use crate::{human, stats};
use serde_json::Value;

/// A row before its values are computed.
pub(super) struct Row<'a> {
    name: String,
    /// The cells before the values: the name, or one value per axis.
    heads: Vec<String>,
    pub(super) runs: Vec<&'a RunResult>,
}

/// A measured value and its parts.
pub(super) struct Measured {
    pub(super) mean: f64,
    /// Half-width of the 95 % interval if the runs are replicates.
    half_width: Option<f64>,
    values: Vec<f64>,
}

/// A column: a metric over all runs of a row, or over those with one value of the pivot.
pub(super) struct Column {
    pub(super) metric: String,
    pub(super) about: Metric,
    pub(super) pivot: Option<Value>,
}

/// Checks that the axes named by a table exist.
fn look_up(scope: &Scope<'_>, cell: &TableCell, line: usize) -> Result<(), ReportError> {
    let rows = Some(&cell.rows).filter(|rows| *rows != "run");
    let mut axes = rows
        .into_iter()
        .chain(&cell.pivot)
        .chain(cell.filter.keys());
    axes.try_for_each(|axis| scope.axis(axis, line))
}

impl<'a> Builder<'a, '_> {
    pub(crate) fn table(
        &mut self,
        cell: &TableCell,
        line: usize,
    ) -> Result<TableView, ReportError> {
        look_up(self.scope, cell, line)?;
        let runs = self.scope.filtered(&cell.filter, line)?;
        let mut rows = self.rows(cell, &runs);
        let columns = self.columns(cell, &runs);
        if let Some(sort) = &cell.sort {
            let key = |row: &Row<'_>| {
                measure(self.scope, &row.runs, sort).map_or(f64::INFINITY, |m| m.mean)
            };
            rows.sort_by(|a, b| key(a).total_cmp(&key(b)));
        }
        let measured: Vec<Vec<Option<Measured>>> = rows
            .iter()
            .map(|row| {
                columns
                    .iter()
                    .map(|c| column_value(self.scope, row, c, cell))
                    .collect()
            })
            .collect();
        let mut views: Vec<RowView> = Vec::with_capacity(rows.len());
        let decimals: Vec<Option<usize>> = (0..columns.len())
            .map(|index| decimals(&measured, index, &columns[index].about))
            .collect();
        for (row, values) in rows.iter().zip(&measured) {
            views.push(self.row(row, values, &columns, &decimals, cell));
        }
        let axes = self.head_axes(cell);
        let head_count = axes.len().max(1);
        mark_best(&mut views, (&rows, &measured), &columns, cell, head_count);
        let number = self.next_table();
        let name = format!("table-{number}");
        let csv_text = csv_text(cell, &rows, &columns, &measured);
        let mut table = TableView {
            anchor: name.clone(),
            number: Some(number),
            columns: heads(self.scope, cell, &columns, &axes),
            rows: views,
            csv: format!("data/{name}.csv"),
            csv_text,
            ..TableView::default()
        };
        let results = head_count..head_count + columns.len();
        let constant = match cell.pivot {
            None => take_constant(&mut table, results),
            Some(_) => Vec::new(),
        };
        let told = caption(self.scope, cell, &columns, &measured, &rows);
        let constant = match constant.is_empty() {
            true => String::new(),
            false => format!(" The same in all rows: {}.", constant.join(", ")),
        };
        table.caption = prose_line(&(told + &constant));
        // Numeric axes are shown as numbers.
        for index in 1..head_count {
            let mut cells = table.rows.iter().filter_map(|row| row.cells.get(index));
            table.columns[index].is_number = cells.all(|cell| cell.text.parse::<f64>().is_ok());
        }
        table.align();
        Ok(table)
    }

    fn rows(&self, cell: &TableCell, all: &[&'a RunResult]) -> Vec<Row<'a>> {
        if cell.rows == "run" {
            let axes = self.head_axes(cell);
            let head = |run: &RunResult| -> Vec<String> {
                let values = axes.iter().map(|axis| axis_value(run, axis));
                values
                    .zip(&axes)
                    .map(|(value, axis)| match value {
                        Some(value) => self.scope.value_name(axis, &value),
                        None => "–".to_owned(),
                    })
                    .collect()
            };
            return groups(all)
                .into_iter()
                .map(|group| Row {
                    heads: match group.runs.first() {
                        Some(run) if !axes.is_empty() => head(run),
                        _ => vec![self.scope.setting_name(&group)],
                    },
                    name: one_line(&group.name),
                    runs: group.runs,
                })
                .collect();
        }
        self.scope
            .values(&cell.rows, all)
            .into_iter()
            .map(|value| Row {
                heads: vec![self.scope.value_name(&cell.rows, &value)],
                name: value_text(&value),
                runs: all
                    .iter()
                    .copied()
                    .filter(|run| axis_value(run, &cell.rows).is_some_and(|v| same(&v, &value)))
                    .collect(),
            })
            .collect()
    }

    /// The axes that name a run, if there are several: one column per axis reads better than one
    /// long name.
    fn head_axes(&self, cell: &TableCell) -> Vec<String> {
        let axes = self
            .scope
            .spec
            .axes
            .iter()
            .filter(|axis| axis.name != "seed");
        let axes: Vec<String> = axes.map(|axis| axis.name.clone()).collect();
        if cell.rows == "run" && axes.len() > 1 {
            axes
        } else {
            Vec::new()
        }
    }

    fn columns(&self, cell: &TableCell, all: &[&RunResult]) -> Vec<Column> {
        let mut columns = Vec::new();
        for metric in cell
            .columns
            .iter()
            .filter(|name| published_head(name).is_none())
        {
            let column = |pivot| Column {
                metric: metric.clone(),
                about: self.scope.metric(metric),
                pivot,
            };
            match &cell.pivot {
                None => columns.push(column(None)),
                Some(axis) => {
                    let values = self.scope.values(axis, all);
                    columns.extend(values.into_iter().map(|value| column(Some(value))));
                }
            }
        }
        columns
    }

    fn row(
        &self,
        row: &Row<'_>,
        values: &[Option<Measured>],
        columns: &[Column],
        decimals: &[Option<usize>],
        cell: &TableCell,
    ) -> RowView {
        let only = groups(&row.runs).len() == 1;
        let run = row.runs.first().filter(|_| only);
        let anchor = run.map(|run| self.scope.anchor(run));
        let mut cells: Vec<ValueView> = row
            .heads
            .iter()
            .map(|head| ValueView {
                text: head.clone(),
                run: anchor.clone(),
                ..ValueView::default()
            })
            .collect();
        if let Some(first) = cells.first_mut() {
            first.text.push_str(&marked(row.runs.iter().copied()));
        }
        for ((value, column), decimals) in values.iter().zip(columns).zip(decimals) {
            cells.push(match value {
                None => ValueView {
                    text: "–".to_owned(),
                    ..ValueView::default()
                },
                Some(measured) => {
                    let inside = inside(row, column, cell);
                    self.value(measured, &column.about, *decimals, &inside)
                }
            });
        }
        if !cell.published.is_empty() {
            let published = cell.published.get(&row.name);
            cells.push(ValueView {
                text: published.map_or_else(|| "–".to_owned(), |text| one_line(text)),
                ..ValueView::default()
            });
        }
        RowView {
            cells,
            ..RowView::default()
        }
    }

    fn value(
        &self,
        measured: &Measured,
        about: &Metric,
        decimals: Option<usize>,
        runs: &[&RunResult],
    ) -> ValueView {
        let (text, spread) = format(measured, about, decimals);
        let names: Vec<String> = runs.iter().map(|run| one_line(&run.name)).take(4).collect();
        let hint = match measured.values.len() {
            0 | 1 => format!("run {}", names.join(", ")),
            n if measured.values.windows(2).all(|pair| pair[0] == pair[1]) => {
                format!("the same in {n} runs")
            }
            n => {
                let values = measured.values.iter().take(12);
                let values: Vec<String> = values.map(|v| human::significant(*v, 5)).collect();
                let more = if n > 12 { ", …" } else { "" };
                format!("mean of {n} runs: {}{more}", values.join(", "))
            }
        };
        ValueView {
            text,
            spread,
            run: runs.first().map(|run| self.scope.anchor(run)),
            hint: Some(hint),
            ..ValueView::default()
        }
    }
}

/// The factor applied to values for display.
fn scale(about: &Metric) -> f64 {
    if about.shape == Shape::Percent {
        100.0
    } else {
        1.0
    }
}

/// Number of decimals for a column with intervals, the same in all rows: two significant digits of
/// the median half-width.
fn decimals(measured: &[Vec<Option<Measured>>], index: usize, about: &Metric) -> Option<usize> {
    let mut halves: Vec<f64> = measured
        .iter()
        .filter_map(|row| row[index].as_ref()?.half_width)
        .filter(|half| *half > 0.0)
        .collect();
    halves.sort_by(f64::total_cmp);
    let median = halves.get(halves.len() / 2)? * scale(about);
    usize::try_from(1 - human::exponent(median))
        .ok()
        .map(|decimals| decimals.min(5))
        .or(Some(0))
}

/// A value as text, with its half-width.
fn format(
    measured: &Measured,
    about: &Metric,
    decimals: Option<usize>,
) -> (String, Option<String>) {
    let mean = measured.mean * scale(about);
    let half = measured.half_width.filter(|half| *half > 0.0);
    let half = half.map(|half| half * scale(about));
    if let (Some(decimals), Some(half)) = (decimals, half)
        && about.shape != Shape::Count
    {
        let half = human::fixed(half, decimals);
        return (human::fixed(mean, decimals), Some(half));
    }
    let text = match about.shape {
        Shape::Loss => human::fixed(mean, 3),
        Shape::Percent => human::fixed(mean, 1),
        Shape::Ratio if about.unit.is_empty() && mean > PERPLEXITY_SHOWN_UP_TO => {
            format!("> {}", human::fixed(PERPLEXITY_SHOWN_UP_TO, 0))
        }
        Shape::Ratio => human::significant(mean, 4),
        Shape::Count if mean.fract() == 0.0 && mean >= 0.0 => human::count(mean as u64),
        Shape::Count => human::fixed(mean, 1),
    };
    (text, None)
}

/// The runs of a row that belong to a column.
pub(super) fn inside<'a>(row: &Row<'a>, column: &Column, cell: &TableCell) -> Vec<&'a RunResult> {
    let has = |run: &RunResult| match (&cell.pivot, &column.pivot) {
        (Some(axis), Some(wanted)) => axis_value(run, axis).is_some_and(|v| same(&v, wanted)),
        _ => true,
    };
    row.runs.iter().copied().filter(|run| has(run)).collect()
}

fn column_value(
    scope: &Scope<'_>,
    row: &Row<'_>,
    column: &Column,
    cell: &TableCell,
) -> Option<Measured> {
    measure(scope, &inside(row, column, cell), &column.metric)
}

/// The mean over runs: over replicates first, so that every setting counts equally, whatever its
/// number of seeds.
fn measure(scope: &Scope<'_>, runs: &[&RunResult], metric: &str) -> Option<Measured> {
    let groups = groups(runs);
    let of_group: Vec<Vec<(u64, f64)>> = groups
        .iter()
        .map(|group| {
            let runs = group.runs.iter();
            let values = runs.filter_map(|run| Some((run.draw(), metric::value(run, metric)?)));
            values.collect::<Vec<(u64, f64)>>()
        })
        .filter(|values| !values.is_empty())
        .collect();
    let means = of_group.iter().map(|values| stats::by_draw(values));
    let means: Vec<f64> = means.filter_map(|draws| stats::mean(&draws)).collect();
    let mean = stats::mean(&means)?;
    let plain =
        |values: &[(u64, f64)]| -> Vec<f64> { values.iter().map(|(_, value)| *value).collect() };
    let half_width = match groups.as_slice() {
        [only] => scope
            .estimate(&only.runs, metric)
            .and_then(|known| known.half),
        _ => None,
    };
    Some(Measured {
        mean,
        half_width,
        values: of_group.iter().flat_map(|values| plain(values)).collect(),
    })
}

/// The head of the column of published values, if an entry of `columns` names one:
/// `published: figure 3`.
fn published_head(column: &str) -> Option<&str> {
    column.strip_prefix("published:").map(str::trim)
}

fn heads(
    scope: &Scope<'_>,
    cell: &TableCell,
    columns: &[Column],
    axes: &[String],
) -> Vec<ColumnView> {
    let head = |label: &str| ColumnView {
        label: one_line(label),
        unit: String::new(),
        about: None,
        is_number: false,
    };
    let mut heads: Vec<ColumnView> = match (axes, cell.rows.as_str()) {
        ([], "run") => vec![head("Run")],
        ([], axis) => vec![head(&scope.axis_name(axis))],
        (axes, _) => axes
            .iter()
            .map(|axis| head(&scope.axis_name(axis)))
            .collect(),
    };
    heads.extend(
        columns
            .iter()
            .map(|column| match (&cell.pivot, &column.pivot) {
                (Some(axis), Some(value)) => ColumnView {
                    label: scope.value_title(axis, value),
                    unit: String::new(),
                    about: None,
                    is_number: true,
                },
                _ => ColumnView {
                    label: column.about.label.clone(),
                    unit: column.about.unit.to_owned(),
                    about: column.about.about.map(str::to_owned),
                    is_number: true,
                },
            }),
    );
    if !cell.published.is_empty() {
        heads.push(ColumnView {
            label: one_line(
                cell.columns
                    .iter()
                    .find_map(|name| published_head(name))
                    .unwrap_or("Published"),
            ),
            unit: String::new(),
            about: None,
            is_number: cell
                .published
                .values()
                .all(|text| text.trim().parse::<f64>().is_ok()),
        });
    }
    heads
}

fn caption(
    scope: &Scope<'_>,
    cell: &TableCell,
    columns: &[Column],
    measured: &[Vec<Option<Measured>>],
    rows: &[Row<'_>],
) -> String {
    let mut parts = Vec::new();
    match &cell.caption {
        Some(caption) => parts.push(clean(caption).trim().to_owned()),
        None => {
            let mut names: Vec<String> = Vec::new();
            for column in columns {
                let name = column.about.label.to_lowercase();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            let mut text = format!("{} by {}.", names.join(", "), escape_markdown(&cell.rows));
            if let Some(first) = text.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            parts.push(text);
        }
    }
    if cell.pivot.is_some()
        && let Some(column) = columns.first()
        && !column.about.unit.is_empty()
        && cell.caption.is_none()
    {
        parts.push(format!("Values in {}.", column.about.unit));
    }
    let values = || measured.iter().flatten().flatten();
    if values().any(|value| value.half_width.is_some_and(|half| half > 0.0)) {
        parts.push(format!("± is half of {}.", scope.interval_told()));
        let is_of_documents = |column: &Column| crate::eval::is_of_documents(&column.metric);
        if columns.iter().any(is_of_documents) && rows.len() > 1 {
            parts.push(
                "Rows share their held-out documents, so differences between them are more certain."
                    .to_owned(),
            );
        }
    } else if rows.iter().any(|row| groups(&row.runs).len() > 1) {
        let most = values().map(|value| value.values.len()).max().unwrap_or(1);
        if most > 1 {
            parts.push(format!("Each value is the mean of up to {most} runs."));
        }
    }
    if !cell.best.is_empty() {
        parts.push(
            "Bold: the best value of its column, where its differences from all others, in matched runs, have intervals without 0."
                .to_owned(),
        );
    }
    let marks = rows
        .iter()
        .filter_map(|row| metric::mark(row.runs.iter().copied()));
    parts.extend(metric::marks_told(marks));
    parts.join(" ")
}

fn csv_text(
    cell: &TableCell,
    rows: &[Row<'_>],
    columns: &[Column],
    measured: &[Vec<Option<Measured>>],
) -> String {
    let mut head = vec![cell.rows.clone()];
    for column in columns {
        let name = match &column.pivot {
            Some(value) => format!("{} {}", column.metric, value_text(value)),
            None => column.metric.clone(),
        };
        head.push(name.clone());
        head.push(format!("{name} half-width"));
        head.push(format!("{name} runs"));
    }
    if !cell.published.is_empty() {
        head.push("published".to_owned());
    }
    let mut out = csv::line(head.iter().map(String::as_str));
    for (row, values) in rows.iter().zip(measured) {
        let mut fields = vec![row.name.clone()];
        for value in values {
            let text = |f: &dyn Fn(&Measured) -> Option<String>| {
                value.as_ref().and_then(f).unwrap_or_default()
            };
            fields.push(text(&|m| Some(m.mean.to_string())));
            fields.push(text(&|m| m.half_width.map(|half| half.to_string())));
            fields.push(text(&|m| Some(m.values.len().to_string())));
        }
        if !cell.published.is_empty() {
            fields.push(cell.published.get(&row.name).cloned().unwrap_or_default());
        }
        out.push_str(&csv::line(fields.iter().map(String::as_str)));
    }
    out
}

impl Shown for TableCell {
    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(look_up(scope, self, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        Ok(vec![Block::Table(builder.table(self, place.line)?)])
    }
}
