//! Two texts side by side, shown line by line as they grow.

use crate::cli::print::{Printer, clean, shortened};
use unicode_width::UnicodeWidthChar as _;

/// Width, in columns, if the output is not a terminal.
const WIDTH: usize = 100;
/// Separator between two texts.
const BETWEEN: &str = " │ ";

/// The texts, each as a list of lines; the last line of each may still grow.
pub(super) struct Columns {
    printer: Printer,
    width: usize,
    texts: Vec<Vec<String>>,
    shown: usize,
}

impl Columns {
    /// Empty columns headed by their names.
    pub(super) fn new(printer: Printer, names: &[String]) -> Self {
        let terminal = terminal_size::terminal_size_of(std::io::stdout());
        let all = terminal.map_or(WIDTH, |(width, _)| usize::from(width.0));
        let width =
            (all.saturating_sub(BETWEEN.chars().count() * (names.len() - 1)) / names.len()).max(8);
        let columns = Self {
            printer,
            width,
            texts: vec![vec![String::new()]; names.len()],
            shown: 0,
        };
        let names: Vec<String> = names.iter().map(|name| shortened(name, width)).collect();
        columns.line(&names);
        columns.line(&vec!["─".repeat(width); names.len()]);
        columns
    }

    /// Appends to a text and shows the lines that are complete on both sides.
    pub(super) fn add(&mut self, side: usize, text: &str) {
        for letter in clean(text).chars() {
            let lines = &mut self.texts[side];
            if letter == '\n' {
                lines.push(String::new());
                continue;
            }
            let Some(last) = lines.last_mut() else {
                continue;
            };
            last.push(if letter == '\t' { ' ' } else { letter });
            if wide(last) > self.width {
                // A word that does not fit moves to the next line; a word longer than a line is split.
                let at = last.rfind(' ').filter(|at| *at > 0);
                let rest = match at {
                    Some(at) => last.split_off(at).trim_start().to_owned(),
                    None => last.pop().map_or(String::new(), String::from),
                };
                lines.push(rest);
            }
        }
        let whole = self.texts.iter().map(Vec::len).min().unwrap_or(1) - 1;
        self.show(whole);
    }

    /// Shows the remaining lines.
    pub(super) fn end(&mut self) {
        let all = self.texts.iter().map(Vec::len).max().unwrap_or(0);
        self.show(all);
    }

    fn show(&mut self, until: usize) {
        for line in self.shown..until {
            let parts: Vec<String> = self
                .texts
                .iter()
                .map(|text| text.get(line).cloned().unwrap_or_default())
                .collect();
            self.line(&parts);
        }
        self.shown = self.shown.max(until);
    }

    fn line(&self, parts: &[String]) {
        let padded = parts.iter().map(|part| {
            format!(
                "{part}{}",
                " ".repeat(self.width.saturating_sub(wide(part)))
            )
        });
        let padded: Vec<String> = padded.collect();
        self.printer.result(padded.join(BETWEEN).trim_end());
    }
}

fn wide(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or(0)).sum()
}
