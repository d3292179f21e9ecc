//! Reports: from a spec and its results to HTML, Markdown, a notebook, figures and data.
//!
//! A report is a pure function of the spec, the results and the judged claims: no clock, host or absolute path enters it,
//! and rendering twice gives the same bytes. What is volatile stands in `timing.json` alone. The way of a report is
//!
//! ```text
//! Spec, Results, claims ─► ReportContext (typed, formatted) ─► templates (minijinja) ─► index.html, report.md, report.ipynb
//!                              └─► figures as data ─► plotters ─► finishing step ─► inline SVG, figures/*.svg, data/*.csv
//! ```
//!
//! Nothing here trains, reads a store, or knows of tensors. `data/records.jsonl` holds everything that a report used, so
//! that [`check`] can compare a committed report with the one its own records give.

mod assets;
mod bibliography;
mod build;
mod cell;
mod chart;
mod check;
pub mod compare;
mod context;
mod csv;
mod export;
mod facts;
mod folder;
mod index;
mod making;
mod math;
mod metric;
mod records;
mod refs;
mod scope;
mod staging;
#[cfg(test)]
pub(crate) mod tests;
mod text;

pub use assets::Assets;
pub use build::{Report, ReportError, ReportFile};
#[cfg(test)]
pub use check::Difference;
pub use check::check;
pub use export::{LiveRun, Paper, TemplateFolder, live_page, steps_done};
pub use folder::{ReportFolder, report_files};
pub use index::{IndexEntry, index};
pub use making::Making;
pub(crate) use metric::mark;
pub(crate) use records::read_summary;
pub use records::{Records, read_records, stable};
