//! `report.md`: the report for repository hosts and other programs.

use super::render::render;
use crate::report::context::{Block, CellView, ReportContext};
use crate::report::{ReportError, ReportFile};
use minijinja::{context, value::Serde};

pub(super) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let lead = report
        .lead
        .iter()
        .map(|one| block(report, one))
        .collect::<Result<Vec<_>, _>>()?;
    let mut text = head(report, &lead.join("\n\n"))?;
    for cell in &report.cells {
        text.push_str(&heading(cell));
        for shown in &cell.blocks {
            text.push_str(&block(report, shown)?);
            text.push_str("\n\n");
        }
    }
    text.push_str(&foot(report));
    Ok(vec![ReportFile::new("report.md", tidy(&text).into_bytes())])
}

/// Title, finding, `lead` (Markdown of the figure that carries it), facts and method.
pub(super) fn head(report: &ReportContext, lead: &str) -> Result<String, ReportError> {
    let context = context! { report => Serde(report), lead };
    Ok(render(&report.templates, "head.md.j2", context)? + "\n\n")
}

/// The heading of a cell, with its anchor.
pub(super) fn heading(cell: &CellView) -> String {
    cell.heading
        .map_or_else(String::new, |title| format!("## {title}\n\n"))
}

pub(super) fn block(report: &ReportContext, block: &Block) -> Result<String, ReportError> {
    render(
        &report.templates,
        "block.md.j2",
        context! { block => Serde(block) },
    )
}

/// The last line.
pub(super) fn foot(report: &ReportContext) -> String {
    format!(
        "Spec `{}`. All numbers: [records.jsonl](data/records.jsonl). Times, costs and machines: [timing.json](timing.json).\n",
        report.spec_digest
    )
}

/// Allows at most one empty line in a row outside code blocks, no trailing spaces except the two of
/// a hard line break, and one line feed at the end.
pub(super) fn tidy(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut fence: Option<String> = None;
    let mut was_empty = true;
    for line in text.lines() {
        let ticks: String = line.chars().take_while(|c| *c == '`').collect();
        let is_fence = ticks.len() >= 3;
        match &fence {
            Some(open) if line == open => fence = None,
            None if is_fence => fence = Some(ticks),
            _ => {}
        }
        if fence.is_some() || is_fence {
            out.push_str(line);
        } else {
            let text = line.trim_end();
            if text.is_empty() && was_empty {
                continue;
            }
            out.push_str(text);
            if !text.is_empty() && line.ends_with("  ") {
                // A hard line break intended by the author.
                out.push_str("  ");
            }
        }
        out.push('\n');
        was_empty = fence.is_none() && line.trim_end().is_empty();
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::tidy;

    #[test]
    fn hard_line_breaks_stay() {
        assert_eq!(tidy("a   \nb \n\n\n  \nc\n"), "a  \nb\n\nc\n");
    }
}
