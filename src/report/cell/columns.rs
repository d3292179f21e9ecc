//! Columns that carry no information of their own: they are removed from tables and described in
//! words.

use crate::report::context::{RowView, TableView};
use crate::report::text::escape_markdown;
use std::ops::Range;

/// Removes the result columns that have the same text in every row of a table with several rows,
/// and returns them as text for the caption.
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

/// Removes each result column of a table of several runs that repeats an earlier one in every row
/// (as the cross-entropy of models trained on it does), and returns the pairs of names.
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
            // A constant column does not repeat another constant column; it is handled by
            // `take_constant`.
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
