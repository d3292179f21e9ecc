//! `index.html`: one self-contained page.

use super::render::render;
use crate::report::context::ReportContext;
use crate::report::{ReportError, ReportFile};
use minijinja::{context, value::Serde};

pub(super) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let page = render(
        &report.templates,
        "report.html.j2",
        context! { report => Serde(report) },
    )?;
    Ok(vec![ReportFile::new("index.html", page.into_bytes())])
}
