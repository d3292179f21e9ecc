//! The only place that writes to the terminal: results to standard output, everything else to
//! standard error.
//!
//! Failing to print a message never ends a command: a full disk behind `2> log` must not stop a
//! sweep. Results that could not be written are reported at the end ([`lost_results`]).

use super::args::{Format, Global};
use crate::human::is_hidden;
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{self, IsTerminal, Write};
use std::sync::OnceLock;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const DIM: Style = Style::new().dimmed();

/// The reason why results could not be written.
static LOST: OnceLock<io::Error> = OnceLock::new();

/// The reason why results could not be written; `None` if all were, or if the reader closed the
/// pipe (`| head`).
pub(crate) fn lost_results() -> Option<&'static io::Error> {
    let lost = LOST.get();
    lost.filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
}

/// Writes a line of results.
fn put(line: &str) {
    write(&format!("{line}\n"));
}

/// Writes results, which contain no escape codes; does nothing after a failure.
fn write(text: &str) {
    if LOST.get().is_some() {
        return;
    }
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    if let Err(error) = written {
        // Only the first reason counts.
        let _ = LOST.set(error);
    }
}

/// Writes a line to standard error, in colour if that is a terminal.
fn say(line: Arguments<'_>) {
    // If nobody can read it, there is nobody to inform.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Verbosity and output format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Printer {
    /// Only results and errors.
    pub(crate) quiet: bool,
    /// More details.
    pub(crate) verbose: bool,
    /// Form of results.
    pub(crate) format: Format,
}

impl Printer {
    /// Takes its values from the global flags.
    pub(crate) fn new(global: &Global) -> Self {
        Self {
            quiet: global.quiet,
            verbose: global.verbose,
            format: global.format,
        }
    }

    /// Prints only warnings and errors.
    pub(crate) fn silent() -> Self {
        Self {
            quiet: true,
            verbose: false,
            format: Format::Text,
        }
    }

    /// Whether results are JSON.
    pub(crate) fn json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a result.
    pub(crate) fn result(&self, text: &str) {
        put(clean(text).trim_end_matches('\n'));
    }

    /// Prints part of a result, without a line end.
    pub(crate) fn piece(&self, text: &str) {
        write(&clean(text));
    }

    /// Prints a result as JSON.
    pub(crate) fn json_result(&self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        put(&escaped(&serde_json::to_string_pretty(value)?));
        Ok(())
    }

    /// Prints a progress message.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            say(format_args!("{}", clean(text)));
        }
    }

    /// Asks a yes-or-no question; `None` if nobody can answer.
    pub(crate) fn ask(&self, question: &str) -> Option<bool> {
        let terminals = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        if !terminals {
            return None;
        }
        let _ = write!(anstream::stderr(), "{} [y/N] ", clean(question));
        let mut answer = String::new();
        std::io::stdin().read_line(&mut answer).ok()?;
        Some(matches!(answer.trim(), "y" | "Y" | "yes"))
    }

    /// Prints details.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            say(format_args!("{DIM}{}{DIM:#}", clean(text)));
        }
    }

    /// Warns about a problem that does not stop the work.
    pub(crate) fn warning(&self, text: &str) {
        say(format_args!("{WARNING}warning{WARNING:#}: {}", clean(text)));
    }

    /// Prints the error that ends the work.
    pub(crate) fn error(&self, text: &str, hint: Option<&str>) {
        say(format_args!("{ERROR}error{ERROR:#}: {}", clean(text)));
        hint.into_iter().for_each(self::hint);
    }
}

/// Prints a hint below an error.
pub(crate) fn hint(text: &str) {
    say(format_args!("\n{HINT}hint{HINT:#}: {}", clean(text)));
}

/// Removes control characters from texts of specs, corpora and models, so that escape sequences
/// never reach the terminal.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    if text.contains(is_hidden) {
        Cow::Owned(
            text.chars()
                .map(|c| if is_hidden(c) { '\u{fffd}' } else { c })
                .collect(),
        )
    } else {
        Cow::Borrowed(text)
    }
}

/// JSON whose strings contain no character that a terminal interprets: those that JSON allows are
/// escaped.
pub(crate) fn escaped(json: &str) -> Cow<'_, str> {
    let clean = clean(json);
    if let Cow::Borrowed(_) = clean {
        return clean;
    }
    let escaped = json.chars().zip(clean.chars()).map(|(c, shown)| {
        if c == shown {
            c.to_string()
        } else {
            format!("\\u{:04x}", c as u32)
        }
    });
    Cow::Owned(escaped.collect())
}

/// A table fitted to the width of the terminal, or unabridged if the output goes elsewhere.
/// `expendable` columns are dropped first, in order; then the widest column, the names, is
/// shortened in the middle.
pub(crate) fn fitted(header: &[&str], rows: &[Vec<String>], expendable: &[&str]) -> String {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    match terminal {
        Some((terminal_size::Width(width), _)) => fit(header, rows, expendable, width.into()),
        None => table(header, rows),
    }
}

/// [`fitted`] for a given number of columns.
fn fit(header: &[&str], rows: &[Vec<String>], expendable: &[&str], width: usize) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut kept: Vec<usize> = (0..header.len()).collect();
    let column = |index: usize| rows.iter().filter_map(move |row| row.get(index));
    let widest = |index: usize| {
        let entries = column(index).map(|entry| entry.width());
        entries.max().unwrap_or(0).max(header[index].width())
    };
    let total = |kept: &[usize]| kept.iter().map(|&index| widest(index) + 2).sum::<usize>();
    let mut left_out = Vec::new();
    for name in expendable {
        if total(&kept) <= width + 2 {
            break;
        }
        kept.retain(|&index| header[index] != *name);
        left_out.push(*name);
    }
    let excess = total(&kept).saturating_sub(width + 2);
    let names = kept.iter().copied().max_by_key(|&index| widest(index));
    let room = names.map_or(0, widest);
    let room = room.saturating_sub(excess).max(SHORTEST);
    let rows = rows.iter().map(|row| {
        let entries = kept.iter().filter_map(|&index| {
            let entry = row.get(index)?;
            Some(match names == Some(index) {
                true => shortened(entry, room),
                false => entry.clone(),
            })
        });
        entries.collect()
    });
    let names: Vec<&str> = kept.iter().map(|&index| header[index]).collect();
    let mut text = table(&names, &rows.collect::<Vec<_>>());
    if !left_out.is_empty() {
        text.push_str("\n(not shown in this width: ");
        text.push_str(&left_out.join(", "));
        text.push(')');
    }
    text
}

/// Minimum width of a shortened name.
const SHORTEST: usize = 16;

/// A plain table: a header, a rule, rows; each column is as wide as its longest entry.
pub(crate) fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    use unicode_width::UnicodeWidthStr;
    let mut widths: Vec<usize> = header.iter().map(|name| name.width()).collect();
    for row in rows {
        for (width, entry) in widths.iter_mut().zip(row) {
            *width = (*width).max(entry.width());
        }
    }
    let numeric: Vec<bool> = (0..header.len())
        .map(|column| {
            rows.iter().all(|row| {
                row.get(column).is_none_or(|entry| {
                    entry.is_empty() || entry == "–" || starts_like_a_number(entry)
                })
            })
        })
        .collect();
    let line = |entries: Vec<&str>| {
        let mut line = String::new();
        for (column, entry) in entries.iter().enumerate() {
            let padding = " ".repeat(widths[column] - entry.width());
            let (before, after) = if numeric[column] {
                (padding.as_str(), "")
            } else {
                ("", padding.as_str())
            };
            line.push_str(if column > 0 { "  " } else { "" });
            line.push_str(before);
            line.push_str(entry);
            line.push_str(after);
        }
        line.trim_end().to_owned()
    };
    let mut text = line(header.to_vec());
    for row in rows {
        text.push('\n');
        text.push_str(&line(row.iter().map(String::as_str).collect()));
    }
    text
}

fn starts_like_a_number(entry: &str) -> bool {
    entry
        .trim_start_matches(['-', '−', '+', '~', '<'])
        .starts_with(|c: char| c.is_ascii_digit())
}

/// Shortens a text to at most `width` columns by replacing its middle with `…`.
pub(crate) fn shortened(text: &str, width: usize) -> String {
    let chars: Vec<char> = text.chars().collect();
    if chars.len() <= width || width < 3 {
        return text.to_owned();
    }
    let end = (width - 1) / 2;
    let start = width - 1 - end;
    let head: String = chars[..start].iter().collect();
    let tail: String = chars[chars.len() - end..].iter().collect();
    format!("{head}…{tail}")
}

/// As many of the first `parts` as fit into `width` columns, at least one.
pub(crate) fn joined(parts: &[String], width: usize) -> String {
    let mut text = parts.first().cloned().unwrap_or_default();
    for part in parts.iter().skip(1) {
        if text.chars().count() + 2 + part.chars().count() > width {
            break;
        }
        text.push_str(", ");
        text.push_str(part);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_do_not_fit_are_left_out_whole() {
        let parts = ["loss 2.498", "val 2.583", "47,512 tokens/s"].map(str::to_owned);
        assert_eq!(joined(&parts, 38), "loss 2.498, val 2.583, 47,512 tokens/s");
        assert_eq!(joined(&parts, 37), "loss 2.498, val 2.583");
        assert_eq!(joined(&parts, 3), "loss 2.498");
    }

    #[test]
    fn escape_sequences_never_reach_the_terminal() {
        assert_eq!(
            clean("a\u{1b}[31mb\u{7}\n\tc\u{202e}d"),
            "a\u{fffd}[31mb\u{fffd}\n\tc\u{fffd}d"
        );
    }

    #[test]
    fn json_is_the_same_without_them() {
        let text = "a\u{9b}31m\u{7f}\u{202e}b\u{e9}";
        let json = serde_json::to_string(text).unwrap();
        let shown = escaped(&json);
        assert_eq!(shown, "\"a\\u009b31m\\u007f\\u202eb\u{e9}\"");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }

    #[test]
    fn tables_align_numbers_to_the_right() {
        let rows = [
            vec!["a".to_owned(), "1.5".to_owned()],
            vec!["bcd".to_owned(), "12.25".to_owned()],
        ];
        insta::assert_snapshot!(table(&["name", "loss"], &rows), @r"
        name   loss
        a       1.5
        bcd   12.25
        ");
    }

    #[test]
    fn tables_fit_the_terminal() {
        let rows = [vec![
            "n_layers=2,learning_rate=0.0003,seed=1".to_owned(),
            "f14b5915684a".to_owned(),
            "24.3 GFLOP".to_owned(),
        ]];
        let header = ["run", "id", "work"];
        assert_eq!(fit(&header, &rows, &["work"], 80), table(&header, &rows));
        insta::assert_snapshot!(fit(&header, &rows, &["work"], 40), @r"
        run                         id
        n_layers=2,le….0003,seed=1  f14b5915684a
        (not shown in this width: work)
        ");
    }
}
