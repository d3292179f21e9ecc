//! Exporters: the forms in which a report leaves. An exporter is one file and one line of [`EXPORTERS`]; it sees blocks and
//! knows no cell.

mod data;
mod html;
mod markdown;
mod notebook;
mod render;

use super::context::ReportContext;
use super::{ReportError, ReportFile};

pub(super) use render::render;

/// The files of a form.
type Exporter = fn(&ReportContext) -> Result<Vec<ReportFile>, ReportError>;

/// All forms.
pub(super) const EXPORTERS: [Exporter; 4] =
    [html::files, markdown::files, notebook::files, data::files];
