//! The templates: embedded, strict, rendered by minijinja. HTML templates escape by themselves; Markdown templates use the
//! filters `md` (one line), and leave finished Markdown as it is.

use super::ReportError;
use super::context::{CellView, ReportContext};
use super::text;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};
use std::sync::LazyLock;

const TEMPLATES: [(&str, &str); 9] = [
    (
        "report.html.j2",
        include_str!("../../templates/report.html.j2"),
    ),
    (
        "cells.html.j2",
        include_str!("../../templates/cells.html.j2"),
    ),
    ("style.css", include_str!("../../templates/style.css")),
    ("figure.css", super::chart::FIGURE_CSS),
    ("report.md.j2", include_str!("../../templates/report.md.j2")),
    ("head.md.j2", include_str!("../../templates/head.md.j2")),
    ("cell.md.j2", include_str!("../../templates/cell.md.j2")),
    (
        "appendix.md.j2",
        include_str!("../../templates/appendix.md.j2"),
    ),
    (
        "index.html.j2",
        include_str!("../../templates/index.html.j2"),
    ),
];

/// The templates, parsed once.
static ENVIRONMENT: LazyLock<Result<Environment<'static>, Broken>> = LazyLock::new(environment);

/// A template that does not parse, told once for all.
type Broken = (&'static str, String);

fn environment() -> Result<Environment<'static>, Broken> {
    let broken = |name| move |error: minijinja::Error| (name, format!("{error:#}"));
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
        .map_err(broken("syntax"))?;
    environment.set_syntax(syntax);
    environment.add_filter("md", |text: &str| text::escape_markdown(text));
    for (name, source) in TEMPLATES {
        let added = environment.add_template(name, source);
        added.map_err(broken(name))?;
    }
    Ok(environment)
}

pub(super) fn render(name: &str, context: Value) -> Result<String, ReportError> {
    let failed = |name: &str, message: String| ReportError::Template {
        name: name.to_owned(),
        message,
    };
    let environment = ENVIRONMENT
        .as_ref()
        .map_err(|(name, message)| failed(name, message.clone()))?;
    environment
        .get_template(name)
        .and_then(|template| template.render(context))
        .map_err(|error| failed(name, format!("{error:#}")))
}

/// `index.html`.
pub(crate) fn html(report: &ReportContext) -> Result<String, ReportError> {
    render("report.html.j2", context! { report => Serde(report) })
}

/// `report.md`.
pub(crate) fn markdown(report: &ReportContext) -> Result<String, ReportError> {
    let text = render(
        "report.md.j2",
        context! { report => Serde(report), in_notebook => false },
    )?;
    Ok(tidy(&text))
}

/// Parts of the Markdown, for the notebook: the head, one per cell, the appendix.
pub(crate) fn markdown_parts(
    report: &ReportContext,
) -> Result<(String, Vec<String>, String), ReportError> {
    let report_value = Value::from(Serde(report));
    let part = |name: &str, cell: Option<&CellView>| {
        let report = &report_value;
        let text = render(
            name,
            context! { report, cell => Serde(cell), in_notebook => true },
        )?;
        Ok::<String, ReportError>(tidy(&text))
    };
    let cells = report
        .cells
        .iter()
        .map(|cell| part("cell.md.j2", Some(cell)));
    let cells: Vec<String> = cells.collect::<Result<_, _>>()?;
    Ok((
        part("head.md.j2", None)?,
        cells,
        part("appendix.md.j2", None)?,
    ))
}

/// At most one empty line in a row outside code blocks, no spaces at the end of lines, one line feed at the end.
fn tidy(text: &str) -> String {
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
            let line = line.trim_end();
            if line.is_empty() && was_empty {
                continue;
            }
            out.push_str(line);
        }
        out.push('\n');
        was_empty = fence.is_none() && line.trim_end().is_empty();
    }
    let end = out.trim_end().len();
    out.truncate(end);
    out.push('\n');
    out
}
