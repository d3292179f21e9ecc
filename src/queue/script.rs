//! The commands of a sweep, for whatever else runs commands.

use super::{Calls, shell};

/// One command a line: first the one that everything waits for, last the one that waits for everything.
pub fn commands(calls: &Calls, chunks: usize) -> String {
    let mut lines = vec![
        "# First, and alone: data and tokenizers.".to_owned(),
        shell(&calls.prepare()),
        "# In any order, on any machine that sees the store; each again where it was ended."
            .to_owned(),
    ];
    lines.extend((0..chunks).map(|index| shell(&calls.chunk(index))));
    if let Some(report) = calls.report() {
        lines.push("# Last: reports.".to_owned());
        lines.push(shell(&report));
    }
    lines.join("\n")
}
