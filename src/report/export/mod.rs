//! Exporters: the output formats of a report. An exporter is one file and one line of [`EXPORTERS`]
//! or [`Paper`]; it sees blocks and does not know cells.

mod data;
mod html;
mod live;
mod markdown;
mod notebook;
mod paper;
mod render;
mod tex;
mod theme;
mod typst;

use super::context::ReportContext;
use super::{ReportError, ReportFile};

pub use live::{LiveRun, live_page, steps_done};
pub use render::TemplateFolder;
pub(super) use render::{Templates, render};
pub(super) use theme::theme;

/// Returns the files of one format.
type Exporter = fn(&ReportContext) -> Result<Vec<ReportFile>, ReportError>;

/// All formats of a report folder.
pub(super) const EXPORTERS: [Exporter; 4] =
    [html::files, markdown::files, notebook::files, data::files];

/// Formats for papers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    /// LaTeX: a macro for each number, booktabs, pgfplots.
    Tex,
    /// Typst: a dictionary of numbers, vector graphics.
    Typst,
}

impl Paper {
    /// The files of a paper.
    pub(super) fn files(self, report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
        match self {
            Self::Tex => tex::files(report),
            Self::Typst => typst::files(report),
        }
    }

    /// The file to pass to the compiler of the format.
    pub fn main(self) -> &'static str {
        match self {
            Self::Tex => "report.tex",
            Self::Typst => "report.typ",
        }
    }
}
