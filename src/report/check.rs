//! Comparison of a committed report with the one built from its records.

use super::{ReportFile, ReportFolder};
use similar::{ChangeTag, TextDiff};
use std::fmt::Write as _;

/// Maximum number of characters of a line that a difference shows.
const WIDTH: usize = 160;

/// Maximum number of files whose lines are shown.
const FILES: usize = 5;

/// Maximum number of lines shown per file.
const LINES: usize = 8;

/// The differences found.
#[derive(Debug, thiserror::Error)]
#[error("{}", show(.0))]
pub struct Differences(pub Vec<Difference>);

/// How a file differs.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Difference {
    /// It is missing.
    Missing {
        /// The file.
        path: String,
    },
    /// It could not be read.
    Unreadable {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
    /// Its contents differ.
    Changed {
        /// The file.
        path: String,
        /// Number of the first line that differs, from 1.
        line: usize,
        /// The first differing lines: `-` as committed, `+` as built from the records.
        lines: String,
    },
}

/// Compares the files of a report folder with `files`, ignoring line endings. `timing.json` and
/// other files in the folder are ignored. Links are not followed, so nothing outside the folder is
/// ever shown.
///
/// # Errors
///
/// The differences, in readable form.
pub fn check(folder: &ReportFolder<'_>, files: &[ReportFile]) -> Result<(), Differences> {
    let compared = files.iter().filter(|file| file.path != "timing.json");
    let differences: Vec<Difference> = compared.filter_map(|file| compare(folder, file)).collect();
    if differences.is_empty() {
        Ok(())
    } else {
        Err(Differences(differences))
    }
}

fn compare(folder: &ReportFolder<'_>, file: &ReportFile) -> Option<Difference> {
    let path = file.path.clone();
    // Room for other line endings and a few more lines; differences beyond that need not be shown.
    let limit = 2 * file.bytes.len() as u64 + (64 << 10);
    let found = match folder.read(&path, limit) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Some(Difference::Missing { path }),
        Err(error) => {
            let reason = error.source.to_string();
            return Some(Difference::Unreadable { path, reason });
        }
    };
    if found == file.bytes {
        return None;
    }
    // A checkout may have changed line endings; reports never contain a carriage return.
    let found = String::from_utf8_lossy(&found).replace("\r\n", "\n");
    let expected = String::from_utf8_lossy(&file.bytes);
    if found == expected {
        return None;
    }
    let (line, lines) = first_lines(&found, &expected);
    Some(Difference::Changed { path, line, lines })
}

/// The first lines that differ, and the number of the first one.
fn first_lines(found: &str, expected: &str) -> (usize, String) {
    // Only the lines between the first and the last difference: reports have lines of a hundred
    // kilobytes.
    let (old, new): (Vec<&str>, Vec<&str>) = (found.lines().collect(), expected.lines().collect());
    let same = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let reach = |lines: &[&str]| lines.len().min(same + 200);
    let old = &old[same.min(old.len())..reach(&old)];
    let new = &new[same.min(new.len())..reach(&new)];
    let diff = TextDiff::from_slices(old, new);
    let mut out = String::new();
    let changes = diff
        .iter_all_changes()
        .filter(|c| c.tag() != ChangeTag::Equal);
    let mut pending: Option<&str> = None;
    for change in changes.take(LINES) {
        let text = change.value();
        match change.tag() {
            ChangeTag::Delete => {
                let partner = new.get(change.old_index().unwrap_or_default());
                pending = partner.copied();
                let at = partner.map_or(0, |other| common_prefix(text, other));
                let _ = writeln!(out, "  - {}", window(text, at));
            }
            ChangeTag::Insert => {
                let partner = old.get(change.new_index().unwrap_or_default());
                let at = match (pending, partner) {
                    (_, Some(other)) => common_prefix(text, other),
                    _ => 0,
                };
                let _ = writeln!(out, "  + {}", window(text, at));
            }
            ChangeTag::Equal => {}
        }
    }
    (same + 1, out)
}

/// Length of the common prefix of two lines, in characters.
fn common_prefix(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// The part of a line around a character, so that a changed digit in a long line is visible.
fn window(line: &str, at: usize) -> String {
    let length = line.chars().count();
    if length <= WIDTH {
        return line.to_owned();
    }
    let start = at.saturating_sub(60);
    let start = if start + WIDTH > length {
        length.saturating_sub(WIDTH)
    } else {
        start
    };
    let part: String = line.chars().skip(start).take(WIDTH).collect();
    let before = if start > 0 { "…" } else { "" };
    let after = if start + WIDTH < length { "…" } else { "" };
    let column = start + 1;
    format!("(from column {column}) {before}{part}{after}")
}

fn show(differences: &[Difference]) -> String {
    let mut out = format!(
        "the report differs from its records in {} file{}",
        differences.len(),
        if differences.len() == 1 { "" } else { "s" }
    );
    let mut shown = 0;
    for difference in differences {
        let _ = match difference {
            Difference::Missing { path } => write!(out, "\n`{path}`: missing"),
            Difference::Unreadable { path, reason } => write!(out, "\n`{path}`: {reason}"),
            Difference::Changed { path, line, lines } => {
                shown += 1;
                if shown <= FILES {
                    write!(
                        out,
                        "\n`{path}`: line {line} (- committed, + from the records)\n{}",
                        lines.trim_end()
                    )
                } else {
                    write!(out, "\n`{path}`: line {line}")
                }
            }
        };
    }
    out
}
