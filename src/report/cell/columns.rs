//! Columns of tables that tell nothing of their own: they are taken out and told in words.

use crate::report::context::{RowView, TableView};
use crate::report::text::escape_markdown;
use std::ops::Range;

/// Takes the columns of results out of a table of several rows that have the same text in all of them; the caption tells these.
pub(super) fn take_constant(table: &mut TableView, results: Range<usize>) -> Vec<String> {
    let mut told = Vec::new();
    if table.rows.len() < 3 {
        return told;
    }
    for place in results.rev() {
        let of = |row: &RowView| {
            row.cells
                .get(place)
                .map(|cell| (cell.text.clone(), cell.spread.clone()))
        };
        let first = of(&table.rows[0]);
        let Some((text, None)) = &first else { continue };
        if table.rows.iter().any(|row| of(row) != first) {
            continue;
        }
        let column = table.columns.remove(place);
        let unit = match column.unit.is_empty() {
            true => String::new(),
            false => format!("\u{a0}{}", column.unit),
        };
        told.push(escape_markdown(&format!("{} {text}{unit}", column.label)));
        for row in &mut table.rows {
            row.cells.remove(place);
        }
    }
    told.reverse();
    told
}

/// Takes out of a table of several runs every column of results that has in each row what an earlier one has, as the
/// cross-entropy of models trained on it; gives the pairs of names.
pub(super) fn drop_repeats(table: &mut TableView) -> Vec<(String, String)> {
    let mut repeats = Vec::new();
    if table.rows.len() < 3 {
        return repeats;
    }
    let mut place = 1;
    while place < table.columns.len() {
        let is_alike = |earlier: usize| {
            let mut rows = table.rows.iter();
            let is_result = table.columns[place].is_number && table.columns[earlier].is_number;
            // What is the same in all rows is no repeat of another such column, only as constant.
            let first = &table.rows[0].cells[place].text;
            let varies = table.rows.iter().any(|row| row.cells[place].text != *first);
            is_result && varies && rows.all(|row| row.cells[place].text == row.cells[earlier].text)
        };
        let Some(earlier) = (1..place).find(|earlier| is_alike(*earlier)) else {
            place += 1;
            continue;
        };
        let name = table.columns[earlier].label.clone();
        repeats.push((table.columns.remove(place).label, name));
        for row in &mut table.rows {
            row.cells.remove(place);
        }
    }
    repeats
}
