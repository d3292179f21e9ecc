//! Reports: from a spec and its results to HTML, Markdown, a notebook, figures and data.
//!
//! A report is a pure function of the spec, the results and the judged claims: it does not depend
//! on the clock, the host or absolute paths, and rendering twice gives the same bytes. Only
//! `timing.json` holds volatile figures. A report is made in these steps:
//!
//! ```text
//! Spec, Results, claims ─► ReportContext (typed, formatted) ─► templates (minijinja) ─► index.html, report.md, report.ipynb
//!                              └─► figures as data ─► plotters ─► finishing step ─► inline SVG, figures/*.svg, data/*.csv
//! ```
//!
//! This module does not train, read a store or use tensors. `data/records.jsonl` contains
//! everything that a report used, so [`check`] can compare a committed report with the one built
//! from its own records.

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
