//! Marks the best value of a table column if it is the best beyond doubt.

use super::table::{Column, Measured, Row, inside};
use crate::record::{REPLICATE_AXES, RunResult};
use crate::report::context::RowView;
use crate::report::metric::{self, Better};
use crate::spec::TableCell;
use crate::stats;
use std::collections::BTreeMap;

/// Minimum number of matched runs, or of document draws, for which a difference has an interval.
const ENOUGH: usize = 3;

/// Marks the best value of each column that asks for it (in a pivot, of the whole table), provided
/// it is the best beyond doubt: the intervals of its differences from all other values, over runs
/// that differ in nothing else, exclude 0.
pub(super) fn mark_best(
    views: &mut [RowView],
    (rows, measured): (&[Row<'_>], &[Vec<Option<Measured>>]),
    columns: &[Column],
    cell: &TableCell,
    heads: usize,
) {
    let is_asked = |index: &usize| cell.best.contains(&columns[*index].metric);
    let asked: Vec<usize> = (0..columns.len()).filter(is_asked).collect();
    let sets: Vec<&[usize]> = match cell.pivot.is_some() {
        true => vec![&asked[..]],
        false => asked.chunks(1).collect(),
    };
    for set in sets {
        let values = measured.iter().enumerate().flat_map(|(row, values)| {
            let values = set
                .iter()
                .map(move |index| (row, *index, values[*index].as_ref()));
            values.filter_map(|(row, index, value)| Some((row, index, value?)))
        });
        let mut values: Vec<(usize, usize, &Measured)> = values.collect();
        let sign = match set.first().map(|index| columns[*index].about.better) {
            Some(Better::Lower) => 1.0,
            Some(Better::Higher) => -1.0,
            Some(Better::Neither) | None => continue,
        };
        values.sort_by(|a, b| (sign * a.2.mean).total_cmp(&(sign * b.2.mean)));
        let [(row, index, _), others @ ..] = values.as_slice() else {
            continue;
        };
        let values = |row: usize, index: usize| matched(&rows[row], &columns[index], cell);
        let own = values(*row, *index);
        let is_apart = |row: usize, index: usize| {
            let others = values(row, index);
            let pairs = own
                .iter()
                .filter_map(|(key, value)| Some((key.0, sign * (others.get(key)? - value))));
            let pairs: Vec<(u64, f64)> = pairs.collect();
            let draws = stats::by_draw(&pairs);
            let differences = match draws.len() {
                0 | 1 => pairs.iter().map(|(_, value)| *value).collect(),
                _ => draws,
            };
            let interval = stats::interval(&differences).filter(|_| differences.len() >= ENOUGH);
            interval.is_some_and(|[low, _]| low > 0.0)
        };
        let mut others = others.iter();
        if own.len() >= ENOUGH && others.all(|(row, index, _)| is_apart(*row, *index)) {
            views[*row].cells[index + heads].is_best = true;
        }
    }
}

/// The values of single runs, keyed by their draw of documents and by the other settings that
/// distinguish them within the row.
fn matched(row: &Row<'_>, column: &Column, cell: &TableCell) -> BTreeMap<(u64, String), f64> {
    let is_of_row = |axis: &str| match cell.rows.as_str() {
        "run" => !REPLICATE_AXES.contains(&axis),
        rows => axis == rows || Some(axis) == cell.pivot.as_deref(),
    };
    let key = |run: &RunResult| {
        let own = run.axes.iter().filter(|(axis, _)| !is_of_row(axis));
        own.map(|(axis, value)| format!("{axis}={value},"))
            .collect::<String>()
    };
    let runs = inside(row, column, cell).into_iter();
    runs.filter_map(|run| {
        let value = metric::value(run, &column.metric)?;
        Some(((run.draw(), key(run)), value))
    })
    .collect()
}
