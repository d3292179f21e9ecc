//! The commands of a sweep, for any other system.

use super::Calls;
use crate::shell;

/// One command per line: first the one that all others wait for, last the one that waits for all
/// others.
pub fn commands(calls: &Calls, chunks: usize) -> String {
    let mut lines = vec![
        "# First, and alone: data and tokenizers.".to_owned(),
        shell::line(&calls.prepare()),
        "# In any order, on any machine that sees the store; each again where it was ended."
            .to_owned(),
    ];
    lines.extend((0..chunks).map(|index| shell::line(&calls.chunk(index))));
    if let Some(report) = calls.report() {
        lines.push("# Last: reports.".to_owned());
        lines.push(shell::line(&report));
    }
    lines.join("\n")
}
