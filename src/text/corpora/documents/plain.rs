//! Documents made of rows: tables, comma-separated values, logs, and pages of HTML.

use super::Page;
use crate::text::corpora::finish::finish;

impl Page {
    /// A table of `rows` rows with aligned columns: a name, then numbers.
    pub(super) fn aligned(&mut self, rows: usize) {
        let columns = self.writer.draws.between(2, 4);
        let mut cells: Vec<Vec<String>> = vec![vec!["name".to_owned()]];
        for _ in 0..columns {
            let head = self.writer.text("abstract");
            cells[0].push(head);
        }
        for _ in 0..rows {
            let mut row = vec![self.writer.text("row_name")];
            for _ in 0..columns {
                row.push(self.number());
            }
            cells.push(row);
        }
        let width = |column: usize| cells.iter().map(|row| row[column].len()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..=columns).map(width).collect();
        for (i, row) in cells.iter().enumerate() {
            let mut line = format!("| {:<1$} |", row[0], widths[0]);
            for (cell, width) in row.iter().zip(&widths).skip(1) {
                line.push_str(&" ".repeat(width - cell.len() + 1));
                line.push_str(cell);
                line.push_str(" |");
            }
            line.push('\n');
            self.raw(&line);
            if i == 0 {
                let rule: Vec<String> = widths.iter().map(|width| "-".repeat(width + 2)).collect();
                self.raw(&format!("|{}|\n", rule.join("|")));
            }
        }
        self.raw("\n");
    }

    fn number(&mut self) -> String {
        let draws = &mut self.writer.draws;
        match draws.below(3) {
            0 => draws.between(1, 9999).to_string(),
            1 => format!("{}.{:02}", draws.between(0, 99), draws.below(100)),
            _ => format!("{}.{}%", draws.between(0, 99), draws.below(10)),
        }
    }

    pub(super) fn table(&mut self) {
        self.put("title", "\n\n");
        loop {
            self.turn();
            self.put("sentence", "\n\n");
            let rows = self.writer.draws.between(4, 16);
            self.aligned(rows);
            if self.full() {
                return;
            }
        }
    }

    pub(super) fn csv(&mut self) {
        self.raw("id,name,town,year,amount,ratio\n");
        let mut id = self.writer.draws.between(1, 5000);
        while !self.full() {
            let (name, town) = (self.writer.text("row_name"), self.writer.text("town"));
            let draws = &mut self.writer.draws;
            let (year, amount) = (draws.between(1950, 2021), draws.between(1, 99_999));
            let ratio = draws.below(10_000);
            self.raw(&format!(
                "{id},{name},{town},{year},{amount},0.{ratio:04}\n"
            ));
            id += self.writer.draws.between(1, 4);
        }
    }

    pub(super) fn log(&mut self) {
        let draws = &mut self.writer.draws;
        let (year, month, day) = (
            draws.between(2005, 2021),
            draws.between(1, 12),
            draws.between(1, 28),
        );
        let mut seconds = draws.below(40_000);
        while !self.full() {
            let draws = &mut self.writer.draws;
            seconds = (seconds + draws.below(90)) % 86_400;
            let level = *draws.pick(&["INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"]);
            let (millis, thread) = (draws.below(1000), draws.between(1, 16));
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            self.raw(&format!(
                "{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millis:03} [{thread}] {level:<5} "
            ));
            let message = self.writer.text("log_message");
            self.raw(&message);
            self.raw("\n");
        }
    }

    pub(super) fn html(&mut self) {
        let title = finish(&self.writer.text("title"));
        self.raw(&format!(
            "<!DOCTYPE html>\n<html>\n<head>\n  <meta charset=\"utf-8\">\n  <title>{title}</title>\n</head>\n<body>\n  <h1>{title}</h1>\n"
        ));
        loop {
            self.turn();
            let id = self.writer.draws.between(1, 999);
            self.raw(&format!("  <section id=\"s{id}\">\n    <h2>"));
            self.put("heading", "</h2>\n");
            for _ in 0..self.writer.draws.between(1, 3) {
                self.raw("    <p>");
                self.put("paragraph", "</p>\n");
            }
            if self.writer.draws.chance(50) {
                self.raw("    <ul>\n");
                for _ in 0..self.writer.draws.between(2, 6) {
                    let user = self.writer.text("user");
                    self.raw(&format!("      <li><a href=\"/{user}/{id}.html\">"));
                    self.put("item", "</a></li>\n");
                }
                self.raw("    </ul>\n");
            }
            self.raw("  </section>\n");
            if self.full() {
                break;
            }
        }
        self.raw("</body>\n</html>\n");
    }
}
