//! A report: built once from its inputs, written as files.

use super::assets::Assets;
use super::cell::{self, Builder};
use super::chart::PlotError;
use super::context::{Block, CONTEXT_FORMAT, CellView, Entry, ReportContext};
use super::making::Making;
use super::records::{self, ClaimLine};
use super::scope::Scope;
use super::text::{headings, one_line, shorten_words};
use super::{export, facts};
use crate::DEFAULT_PROFILE;
use crate::claim::Judged;
use crate::expr::{ExprError, Session};
use crate::record::Results;
use crate::shell;
use crate::spec::{Cell, Located, Selection, Spec};
use std::ffi::OsStr;

/// Reasons why a report cannot be built or read.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A cell names something that does not exist.
    #[error(
        "line {line}: unknown {what} `{name}`, expected one of {}",
        list(known)
    )]
    Unknown {
        /// Line of the spec.
        line: usize,
        /// `curve`, `axis`, `run` or `claim`.
        what: &'static str,
        /// The unknown name.
        name: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// An expression in a text failed.
    #[error("line {line}: {error}")]
    Text {
        /// Line of the spec.
        line: usize,
        /// The expression.
        expression: String,
        /// The error.
        error: ExprError,
    },
    /// A text refers to something that does not exist.
    #[error("line {line}: {message}")]
    Reference {
        /// Line of the spec.
        line: usize,
        /// Description of the problem.
        message: String,
    },
    /// A file beside the spec cannot be included.
    #[error("`{name}` cannot be taken into the report: {reason}")]
    Asset {
        /// The file, as named in the spec.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A template failed: the user's, or a shipped one because of a bug.
    #[error("template `{name}`: {message}")]
    Template {
        /// Name of the template.
        name: String,
        /// The error.
        message: String,
    },
    /// A figure could not be drawn (a bug in specbook).
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A value could not be written as JSON (a bug in specbook).
    #[error("could not write JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A file of a report cannot be read or written.
    #[error(transparent)]
    Fs(#[from] crate::fsx::FsError),
    /// A path that the report would overwrite holds something that no report wrote.
    #[error("`{}` is not one of specbook's: a report would be written over it", path.display())]
    Foreign {
        /// The folder or the file.
        path: std::path::PathBuf,
    },
    /// The folder of reports is itself a report.
    #[error("`{}` is the page of a report: the index of reports would be written over it", path.display())]
    PageOfReport {
        /// The page.
        path: std::path::PathBuf,
    },
    /// The report in a folder cannot be read.
    #[error("`{}`: {error}", folder.display())]
    Folder {
        /// The folder.
        folder: std::path::PathBuf,
        /// The reason.
        error: Box<Self>,
    },
    /// `data/records.jsonl` is damaged.
    #[error("`data/records.jsonl`, line {line}: {reason}")]
    Records {
        /// Line of the file.
        line: usize,
        /// Description of the problem.
        reason: String,
    },
    /// `data/records.jsonl` has another version.
    #[error(
        "`data/records.jsonl` has format {found}, expected {known}; run `specbook report` again to rewrite it"
    )]
    RecordsFormat {
        /// Version found in the file.
        found: u64,
        /// Supported version.
        known: u32,
    },
}

impl ReportError {
    /// The same error, with the folder that it concerns.
    pub(super) fn of_folder(self, folder: &std::path::Path) -> Self {
        Self::Folder {
            folder: folder.to_path_buf(),
            error: Box::new(self),
        }
    }
}

/// The first ten names, in backticks.
fn list<T: AsRef<str>>(names: &[T]) -> String {
    let mut shown: Vec<String> = names
        .iter()
        .take(10)
        .map(|n| format!("`{}`", n.as_ref()))
        .collect();
    if names.len() > 10 {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}

/// A file of a report folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportFile {
    /// Path relative to the report folder, with forward slashes.
    pub path: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// A finished report.
#[derive(Clone, Debug)]
pub struct Report {
    context: ReportContext,
    records: Vec<u8>,
    timing: Vec<u8>,
}

impl ReportFile {
    pub(super) fn new(path: &str, bytes: Vec<u8>) -> Self {
        Self {
            path: path.to_owned(),
            bytes,
        }
    }
}

impl Report {
    /// Builds the report of a spec from its results and its judged claims; `making` holds the other
    /// facts that the report states about itself.
    ///
    /// # Errors
    ///
    /// Cells that name curves, axes, runs or claims that do not exist, with their line in the spec.
    pub fn build(
        spec: &Spec,
        results: &Results,
        claims: &[Judged],
        making: &Making,
    ) -> Result<Self, ReportError> {
        let shown = shown_claims(spec, claims);
        let timing = records::timing(spec, results)?;
        let results = records::stable(results);
        let scope = Scope::new(spec, &results);
        let mut builder = Builder::new(&scope, claims, &making.assets)?;
        let mut cells = cells(spec, &mut builder)?;
        let finding = spec.finding.as_ref();
        let finding = finding.map(|text| builder.finding(text)).transpose()?;
        let has_intervals = finding
            .as_ref()
            .is_some_and(|text| text.markdown.contains('±'));
        let summary = builder.text(&spec.summary, "method", 1)?;
        drop_headings(&mut cells);
        cells.extend(builder.references());
        cells.push(cell::runs::appendix(&scope));
        let contents = contents(&cells);
        let lead = match finding.is_some() {
            true => lead(&mut cells),
            false => Vec::new(),
        };
        let context = ReportContext {
            format: CONTEXT_FORMAT,
            name: one_line(&spec.name),
            title: one_line(&spec.title),
            interval: has_intervals.then(|| scope.interval_told()),
            finding,
            summary,
            source: source(spec),
            profile: one_line(&spec.profile),
            overrides: spec.overrides.iter().map(|text| one_line(text)).collect(),
            command: command(spec),
            spec_digest: spec.digest.short(),
            facts: facts::sizes(&results),
            origin: facts::origin(spec, &results, &making.specbook),
            before: making.before.clone(),
            after: making.after.clone(),
            warnings: facts::warnings(&results),
            contents,
            scoreboard: (!shown.is_empty()).then(|| cell::claims::scoreboard(shown.iter())),
            disagreements: cell::claims::disagreements(&shown),
            lead,
            cells,
            theme: export::theme(spec),
            numbers: cell::numbers(&scope, claims),
            pictures: making
                .assets
                .pictures()
                .map(|picture| ReportFile::new(&picture.file, picture.bytes.clone()))
                .collect(),
            templates: export::Templates::new(making.templates.as_ref())?,
        };
        let lines: Vec<ClaimLine> = shown
            .iter()
            .map(|judged| ClaimLine {
                id: judged.id.clone(),
                verdict: judged.verdict,
                aside: cell::claims::is_aside(judged),
                published: judged.published.as_ref().map(|p| p.value.clone()),
                ours: judged.ours.filter(|ours| ours.is_finite()),
            })
            .collect();
        let finding = context.finding.as_ref();
        let finding = finding.map_or("", |finding| &finding.markdown);
        let records = records::write(spec, finding, making, &results, &lines)?;
        Ok(Self {
            context,
            records,
            timing,
        })
    }

    /// Resolves the names and expressions of a report's cells without building the cells, and
    /// returns the errors that would make [`Report::build`] fail: the first one of each cell.
    /// `session` is a rehearsal of the same runs.
    pub fn look_up(spec: &Spec, results: &Results, session: &Session) -> Vec<ReportError> {
        let scope = Scope::without_anchors(spec, results);
        let mistakes =
            |cell: &Located<Cell>| cell::shown(&cell.value).look_up(&scope, session, cell.line);
        let mut all: Vec<ReportError> = cell::texts(spec, session);
        all.extend(spec.cells.iter().flat_map(mistakes));
        all
    }

    /// Checks that the figures, tables, claims and works that the spec's texts refer to exist.
    ///
    /// # Errors
    ///
    /// The first reference that cannot be resolved, with its line in the spec; a bibliography that
    /// cannot be read.
    pub fn check_references(spec: &Spec, assets: &Assets) -> Result<(), ReportError> {
        cell::check_references(spec, assets)
    }

    /// Reads the results behind a report from its `data/records.jsonl`: everything that
    /// [`Report::build`] needs besides the spec, so a report can be rebuilt without a store and
    /// without training.
    ///
    /// # Errors
    ///
    /// A file that is damaged or of another version.
    pub fn from_records(bytes: &[u8]) -> Result<Results, ReportError> {
        super::read_records(bytes).map(|records| records.results)
    }

    /// The context passed to the templates.
    pub fn context(&self) -> &ReportContext {
        &self.context
    }

    /// The files of the report folder except `timing.json`: a pure function of the stable part of
    /// the inputs.
    ///
    /// # Errors
    ///
    /// Bugs in specbook only.
    pub fn files(&self) -> Result<Vec<ReportFile>, ReportError> {
        let mut files = Vec::new();
        for exporter in export::EXPORTERS {
            files.extend(exporter(&self.context)?);
        }
        files.push(ReportFile::new("data/records.jsonl", self.records.clone()));
        Ok(files)
    }

    /// The report in a format for papers.
    ///
    /// # Errors
    ///
    /// Bugs in specbook only.
    pub fn paper(&self, form: export::Paper) -> Result<Vec<ReportFile>, ReportError> {
        form.files(&self.context)
    }

    /// `timing.json`: wall-clock times and hosts, which are never compared.
    pub fn timing(&self) -> ReportFile {
        ReportFile {
            path: "timing.json".to_owned(),
            bytes: self.timing.clone(),
        }
    }
}

fn source(spec: &Spec) -> String {
    let source = &spec.source;
    let section = if source.section.is_empty() {
        String::new()
    } else {
        // A bare number is a section; `table 3` already names its kind.
        let is_number = source.section.starts_with(|c: char| c.is_ascii_digit());
        let word = if is_number { "section " } else { "" };
        format!(", {word}{}", source.section)
    };
    one_line(&format!("{}{section}", source.study))
}

/// The claims shown by cells, if any cell shows claims: a profile may concern only a few of them.
fn shown_claims(spec: &Spec, claims: &[Judged]) -> Vec<Judged> {
    let cells = spec.cells.iter().filter_map(|cell| match &cell.value {
        Cell::Claims(cell) => Some(&cell.0),
        _ => None,
    });
    let selections: Vec<&Selection> = cells.collect();
    let is_shown = |judged: &&Judged| {
        selections.is_empty()
            || selections.iter().any(|selection| match selection {
                Selection::All => true,
                Selection::Only(ids) => ids.contains(&judged.id),
            })
    };
    claims.iter().filter(is_shown).cloned().collect()
}

/// The command line that rebuilds the report, with words quoted for a POSIX shell.
fn command(spec: &Spec) -> String {
    let file = records::file(spec).0;
    let mut words = ["specbook", "run"].map(OsStr::new).to_vec();
    words.push(file.as_os_str());
    if spec.profile != DEFAULT_PROFILE {
        words.extend(["--profile", &spec.profile].map(OsStr::new));
    }
    for text in &spec.overrides {
        words.extend(["--set", text].map(OsStr::new));
    }
    one_line(&shell::line(&words))
}

/// Drops a cell's own heading if the text before it already provides one.
fn drop_headings(cells: &mut [CellView]) {
    let mut is_under_one = false;
    for cell in cells {
        if is_under_one {
            cell.heading = None;
        }
        is_under_one = cell
            .prose()
            .is_some_and(|prose| !headings(&prose.markdown).is_empty());
    }
}

/// Removes the first figure from the cells: it carries the finding and is shown at the top.
fn lead(cells: &mut [CellView]) -> Vec<Block> {
    let is_figure = |block: &Block| matches!(block, Block::Figure(_));
    for cell in cells {
        if let Some(place) = cell.blocks.iter().position(is_figure) {
            return vec![cell.blocks.remove(place)];
        }
    }
    Vec::new()
}

fn cells(spec: &Spec, builder: &mut Builder<'_, '_>) -> Result<Vec<CellView>, ReportError> {
    let cells = || spec.cells.iter().enumerate();
    let mut views = cells()
        .map(|(index, cell)| builder.cell(index, &cell.value, cell.line))
        .collect::<Result<Vec<_>, _>>()?;
    // Texts come last because they refer to figures and tables by number.
    for (index, cell) in cells() {
        if let Cell::Text(text) = &cell.value {
            views[index].blocks = vec![builder.text_cell(index, &text.0, cell.line)?];
        }
    }
    Ok(views)
}

/// Maximum length, in characters, of a caption that the table of contents shows beyond its first
/// clause.
const CLAUSE: usize = 45;

fn contents(cells: &[CellView]) -> Vec<Entry> {
    let entry = |anchor: &str, title: String, is_minor| Entry {
        anchor: anchor.to_owned(),
        title,
        is_minor,
    };
    // Enough of a caption to recognise the figure or table.
    let titled = |kind: &str, number: usize, caption: &str| {
        let first = caption.split(['.', ';', ':']).next().unwrap_or_default();
        let plain = one_line(&first.replace('`', ""));
        let short = match plain.split_once(", ") {
            Some((clause, _)) if plain.chars().count() > CLAUSE => clause,
            _ => &plain,
        };
        format!("{kind} {number}. {}", shorten_words(short, 60))
    };
    let mut contents = Vec::new();
    for cell in cells {
        // Only the first heading of a text, because the anchor belongs to the cell.
        let prose = cell.prose().map(|prose| headings(&prose.markdown));
        let of_text = prose.into_iter().flatten().next();
        let heading = cell.heading.map(str::to_owned).or(of_text);
        contents.extend(heading.map(|title| entry(&cell.anchor, one_line(&title), false)));
        for block in cell.all_blocks() {
            match block {
                Block::Figure(figure) => {
                    let title = titled("Figure", figure.number, &figure.caption.markdown);
                    contents.push(entry(&figure.anchor, title, true));
                }
                Block::Table(table) => contents.extend(table.number.map(|number| {
                    let title = titled("Table", number, &table.caption.markdown);
                    entry(&table.anchor, title, true)
                })),
                Block::Prose(prose) => {
                    let tables = cell::captions(&prose.markdown);
                    contents.extend(tables.map(|(number, caption)| {
                        entry(&cell.anchor, titled("Table", number, caption), true)
                    }));
                }
                Block::Cards(_) | Block::Tally(_) | Block::Fold(_) => {}
            }
        }
    }
    contents
}
