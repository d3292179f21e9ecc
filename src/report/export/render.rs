//! The templates: embedded, strict, rendered by minijinja. HTML templates escape by themselves; Markdown templates use the
//! filters `md` (one line), and leave finished Markdown as it is.

use crate::report::{ReportError, text};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};
use std::sync::LazyLock;

const TEMPLATES: [(&str, &str); 7] = [
    (
        "report.html.j2",
        include_str!("../../../templates/report.html.j2"),
    ),
    (
        "blocks.html.j2",
        include_str!("../../../templates/blocks.html.j2"),
    ),
    ("style.css", include_str!("../../../templates/style.css")),
    ("figure.css", crate::report::chart::FIGURE_CSS),
    ("head.md.j2", include_str!("../../../templates/head.md.j2")),
    (
        "block.md.j2",
        include_str!("../../../templates/block.md.j2"),
    ),
    (
        "index.html.j2",
        include_str!("../../../templates/index.html.j2"),
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
    environment.add_filter("code", |text: &str| text::code(text));
    for (name, source) in TEMPLATES {
        let added = environment.add_template(name, source);
        added.map_err(broken(name))?;
    }
    Ok(environment)
}

pub(in crate::report) fn render(name: &str, context: Value) -> Result<String, ReportError> {
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
