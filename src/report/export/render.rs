//! The templates: embedded, strict, rendered by minijinja. HTML templates escape automatically;
//! Markdown templates use the filter `md` (for one line) and insert finished Markdown unchanged.

use crate::digest::Sha256Hex;
use crate::fsx::AnyPath;
use crate::fsx::Fs;
use crate::report::{ReportError, text};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Value;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

const TEMPLATES: [(&str, &str); 9] = [
    (
        "report.html.j2",
        include_str!("../../../templates/report.html.j2"),
    ),
    (
        "blocks.html.j2",
        include_str!("../../../templates/blocks.html.j2"),
    ),
    (
        "live.html.j2",
        include_str!("../../../templates/live.html.j2"),
    ),
    ("style.css", include_str!("../../../templates/style.css")),
    ("figure.css", crate::report::chart::FIGURE_CSS),
    ("sort.js", include_str!("../../../templates/sort.js")),
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

/// The shipped templates, parsed once.
static SHIPPED: LazyLock<Result<Arc<Environment<'static>>, Broken>> =
    LazyLock::new(|| environment(&BTreeMap::new()).map(Arc::new));

/// A template that does not parse: its name and why.
type Broken = (String, String);

/// The user's templates, which replace shipped ones of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateFolder {
    /// The folder, as named by the user.
    pub folder: AnyPath,
    /// SHA-256 of each template.
    pub sha256: BTreeMap<String, Sha256Hex>,
    /// The templates by name.
    #[serde(skip)]
    texts: BTreeMap<String, String>,
}

impl TemplateFolder {
    /// Reads the templates in a folder: its files with the name of a shipped template.
    ///
    /// # Errors
    /// A folder without templates; a file that is not text or is larger than 1 MiB.
    pub fn read(folder: &Path, fs: &dyn Fs) -> Result<Self, ReportError> {
        let refused = |name: &str, reason: &str| ReportError::Asset {
            name: folder.join(name).display().to_string(),
            reason: reason.to_owned(),
        };
        let mut texts = BTreeMap::new();
        for (name, _) in TEMPLATES {
            match fs.read(&folder.join(name), 1 << 20) {
                Ok(bytes) => {
                    let text = String::from_utf8(bytes);
                    let text = text.map_err(|_| refused(name, "it is not UTF-8 text"))?;
                    texts.insert(name.to_owned(), text);
                }
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        if texts.is_empty() {
            let names: Vec<&str> = TEMPLATES.iter().map(|(name, _)| *name).collect();
            let reason = format!("it has none of the templates `{}`", names.join("`, `"));
            return Err(refused("", &reason));
        }
        let digest =
            |(name, text): (&String, &String)| (name.clone(), Sha256Hex::of(text.as_bytes()));
        Ok(Self {
            folder: folder.into(),
            sha256: texts.iter().map(digest).collect(),
            texts,
        })
    }
}

/// The templates for rendering a report.
#[derive(Clone)]
pub(in crate::report) struct Templates(Arc<Environment<'static>>);

impl std::fmt::Debug for Templates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Templates")
    }
}

impl Templates {
    /// The shipped templates, with the user's in their place.
    pub(in crate::report) fn new(own: Option<&TemplateFolder>) -> Result<Self, ReportError> {
        let made = match own {
            None => SHIPPED.clone(),
            Some(own) => environment(&own.texts).map(Arc::new),
        };
        made.map(Self)
            .map_err(|(name, message)| ReportError::Template { name, message })
    }
}

fn environment(own: &BTreeMap<String, String>) -> Result<Environment<'static>, Broken> {
    let broken = |name: &str| {
        let name = name.to_owned();
        move |error: minijinja::Error| (name, format!("{error}"))
    };
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
    environment.add_filter("typeset", |text: &str| text::typeset(text));
    // The hash allows the page's own script and no other to run in a browser.
    environment.add_filter("csp_hash", |text: &str| {
        let hash = base64::encode(Sha256Hex::of(text.as_bytes()).bytes());
        Value::from_safe_string(format!("sha256-{hash}"))
    });
    for (name, shipped) in TEMPLATES {
        let added = match own.get(name) {
            Some(text) => environment.add_template_owned(name, text.clone()),
            None => environment.add_template(name, shipped),
        };
        added.map_err(broken(name))?;
    }
    Ok(environment)
}

pub(in crate::report) fn render(
    templates: &Templates,
    name: &str,
    context: Value,
) -> Result<String, ReportError> {
    let rendered = templates.0.get_template(name);
    rendered
        .and_then(|template| template.render(context))
        .map_err(|error| ReportError::Template {
            name: name.to_owned(),
            message: format!("{error}"),
        })
}
