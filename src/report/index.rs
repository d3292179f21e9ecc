//! The page over all reports: their subjects, and the outcome of their claims.

use super::cell::claims::scoreboard;
use super::cell::prose;
use super::context::{Prose, Scoreboard};
use super::export::{Templates, render};
use super::records::read_summary;
use super::text::one_line;
use super::{ReportError, ReportFile};
use crate::digest::Sha256Hex;
use serde::Serialize;
use std::io::BufRead;

/// A report in the index.
#[derive(Clone, Debug, Serialize)]
pub struct IndexEntry {
    /// Folder of the report, relative to the index.
    pub folder: String,
    /// Title.
    pub title: String,
    /// Its finding.
    pub finding: Prose,
    /// Profile.
    pub profile: String,
    /// Number of runs.
    pub runs: usize,
    /// Counts of verdicts.
    pub scoreboard: Scoreboard,
}

impl IndexEntry {
    /// Reads an entry from the `data/records.jsonl` of the report in `folder`.
    ///
    /// # Errors
    ///
    /// A file that is damaged or of another version.
    pub fn from_records(folder: &str, source: impl BufRead) -> Result<Self, ReportError> {
        let (header, claims) = read_summary(source)?;
        Ok(Self {
            folder: folder.to_owned(),
            title: one_line(&header.title),
            finding: prose(&header.finding),
            profile: one_line(&header.profile),
            runs: header.runs,
            scoreboard: scoreboard(claims.iter()),
        })
    }
}

/// Renders the index page, `index.html` of the folder `reports`, with the reports in the given
/// order.
///
/// # Errors
///
/// Bugs in specbook only.
pub fn index(entries: &[IndexEntry]) -> Result<ReportFile, ReportError> {
    let html = render(
        &Templates::new(None)?,
        "index.html.j2",
        minijinja::context! { entries => minijinja::value::Serde(entries) },
    )?;
    let digest = Sha256Hex::of(html.as_bytes());
    Ok(ReportFile {
        path: "index.html".to_owned(),
        bytes: format!("{html}{SEAL}{digest} -->\n").into_bytes(),
    })
}

/// Begins the last line of the page, which tells whether somebody edited it.
const SEAL: &str = "<!-- SHA-256 of all lines above: ";

/// Whether somebody edited the page, ignoring line endings; unknown for one that an older version wrote.
pub(super) fn was_edited(page: &[u8]) -> bool {
    let page = String::from_utf8_lossy(page).replace("\r\n", "\n");
    page.rsplit_once(SEAL).is_some_and(|(above, seal)| {
        seal.trim_end() != format!("{} -->", Sha256Hex::of(above.as_bytes()))
    })
}
