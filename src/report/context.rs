//! Everything the templates see, typed and already formatted. `report --context` prints it as JSON.
//!
//! Control characters are removed from text, but it is not escaped: the templates do that, except
//! for the fields `html`, `svg` and `markdown`, which are finished markup.

use super::ReportFile;
use super::chart::Figure;
use super::export::Templates;
use serde::Serialize;

/// Format number of the context.
pub const CONTEXT_FORMAT: u32 = 1;

/// A report before templates are applied.
#[derive(Clone, Debug, Serialize)]
pub struct ReportContext {
    /// [`CONTEXT_FORMAT`].
    pub format: u32,
    /// Name of the spec and of the report folder.
    pub name: String,
    /// Title.
    pub title: String,
    /// The result, shown below the title.
    pub finding: Option<Prose>,
    /// The kind of interval that a ± of the finding is half of; `None` if the finding has no ±.
    pub interval: Option<&'static str>,
    /// The question and the method.
    pub summary: Prose,
    /// Study and section.
    pub source: String,
    /// Profile.
    pub profile: String,
    /// `--set` arguments.
    pub overrides: Vec<String>,
    /// The command line that rebuilds this report.
    pub command: String,
    /// The first 12 hexadecimal digits of the spec file's SHA-256.
    pub spec_digest: String,
    /// Sizes, as short facts.
    pub facts: Vec<Fact>,
    /// Text, tokenizer, device and program.
    pub origin: Vec<Fact>,
    /// Folder of the previous report, next to this one's.
    pub before: Option<String>,
    /// Folder of the next report.
    pub after: Option<String>,
    /// What the reader must know first: missing and failed runs, an engine without the bit-for-bit
    /// contract.
    pub warnings: Vec<String>,
    /// Counts of verdicts, if the spec has claims.
    pub scoreboard: Option<Scoreboard>,
    /// The first findings that are contradicted by our runs or by the study itself.
    pub disagreements: Vec<Disagreement>,
    /// The figure that carries the finding, shown below it.
    pub lead: Vec<Block>,
    /// Table of contents.
    pub contents: Vec<Entry>,
    /// The notebook's cells, followed by the appendix of runs and settings.
    pub cells: Vec<CellView>,
    /// CSS generated from the spec's theme; may be empty.
    pub theme: String,
    /// Claims and metrics by name, for papers.
    #[serde(skip)]
    pub(super) numbers: Vec<Number>,
    /// Pictures of texts.
    #[serde(skip)]
    pub(super) pictures: Vec<ReportFile>,
    /// The templates that render the page and its Markdown.
    #[serde(skip)]
    pub(super) templates: Templates,
}

impl ReportContext {
    /// All figures, in reading order.
    pub(super) fn figures(&self) -> impl Iterator<Item = &FigureView> {
        let cells = self.cells.iter().flat_map(|cell| cell.all_blocks());
        self.lead
            .iter()
            .chain(cells)
            .filter_map(|block| match block {
                Block::Figure(figure) => Some(&**figure),
                _ => None,
            })
    }
}

/// A named number.
#[derive(Clone, Debug)]
pub(super) struct Number {
    /// Id of a claim, or `setting/metric`.
    pub(super) name: String,
    /// As text.
    pub(super) text: String,
    /// Half-width of its interval.
    pub(super) spread: Option<String>,
}

/// Prose as HTML and Markdown.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Prose {
    /// Finished HTML.
    pub html: String,
    /// Finished Markdown.
    pub markdown: String,
}

/// A named fact.
#[derive(Clone, Debug, Serialize)]
pub struct Fact {
    /// Name.
    pub label: String,
    /// Value, as text.
    pub value: String,
}

/// An entry of the table of contents.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Where it points.
    pub anchor: String,
    /// Text.
    pub title: String,
    /// Whether it is a figure or a table, listed under a heading.
    pub is_minor: bool,
}

/// A cell ready for display; exporters see only its blocks.
#[derive(Clone, Debug, Serialize)]
pub struct CellView {
    /// Anchor.
    pub anchor: String,
    /// Its own heading; none if the text before it provides one.
    pub heading: Option<&'static str>,
    /// Its contents, in reading order.
    pub blocks: Vec<Block>,
}

/// The parts of cells.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Block {
    /// Prose.
    Prose(Prose),
    /// One figure.
    Figure(Box<FigureView>),
    /// One table.
    Table(TableView),
    /// Cards of text, side by side.
    Cards(CardsView),
    /// Counts of verdicts.
    Tally(Scoreboard),
    /// Blocks shown on request.
    Fold(FoldView),
}

/// Blocks behind a line that unfolds them.
#[derive(Clone, Debug, Serialize)]
pub struct FoldView {
    /// The visible line.
    pub summary: String,
    /// Whether it is unfolded at first.
    pub is_open: bool,
    /// Whether it is omitted in print.
    pub is_bulk: bool,
    /// The hidden blocks; no nested folds.
    pub blocks: Vec<Block>,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    /// Anchor.
    pub anchor: String,
    /// Number, from 1.
    pub number: usize,
    /// A one-sentence description of the picture, used as its title and description.
    pub alt: String,
    /// Caption.
    pub caption: Prose,
    /// Path of the vector graphic for other programs, relative to the report.
    pub file: String,
    /// Path of the data, relative to the report.
    pub csv: String,
    /// The panels as inline graphics.
    pub panels: Vec<PanelView>,
    /// The legend, outside the panels.
    pub legend: Vec<LegendView>,
    /// The whole figure as one graphic with literal colours (contents of `file`).
    #[serde(skip)]
    pub svg: String,
    /// Contents of `csv`.
    #[serde(skip)]
    pub csv_text: String,
    /// Its contents, as data.
    #[serde(skip)]
    pub(super) figure: Figure,
}

/// A panel of a figure.
#[derive(Clone, Debug, Serialize)]
pub struct PanelView {
    /// Title; empty if there is only one panel.
    pub title: String,
    /// Finished inline SVG.
    pub svg: String,
}

/// A legend entry.
#[derive(Clone, Debug, Serialize)]
pub struct LegendView {
    /// Text.
    pub label: String,
    /// CSS classes: that of the line or bar, and that of its colour.
    pub class: String,
}

/// A table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableView {
    /// Anchor.
    pub anchor: String,
    /// Number, from 1; none for tables that belong to another block.
    pub number: Option<usize>,
    /// Caption.
    pub caption: Prose,
    /// Columns, starting with the row head.
    pub columns: Vec<ColumnView>,
    /// Rows.
    pub rows: Vec<RowView>,
    /// Path of the data, relative to the report; empty if another file contains it.
    pub csv: String,
    /// Contents of `csv`.
    #[serde(skip)]
    pub csv_text: String,
}

/// A column.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ColumnView {
    /// Head.
    pub label: String,
    /// Unit; may be empty.
    pub unit: String,
    /// Its contents, in one sentence.
    pub about: Option<String>,
    /// Whether it holds numbers, which are right-aligned.
    pub is_number: bool,
}

/// A row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RowView {
    /// Anchor, if links point to it.
    pub anchor: Option<String>,
    /// CSS class, if any: that of a verdict.
    pub class: Option<&'static str>,
    /// Cells, starting with the row head.
    pub cells: Vec<ValueView>,
    /// Folded details below the row head: summary and text.
    pub details: Option<(String, Prose)>,
}

/// A value with its uncertainty and its origin.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValueView {
    /// As text.
    pub text: String,
    /// Half-width of the interval, as text.
    pub spread: Option<String>,
    /// Invisible padding after the number, so that the decimal points of a column are aligned.
    pub pad: Option<String>,
    /// Invisible padding after the half-width, for the same reason.
    pub tail: Option<String>,
    /// Anchor of its run.
    pub run: Option<String>,
    /// Small text below it.
    pub note: Option<String>,
    /// Its tooltip.
    pub hint: Option<String>,
    /// Whether it is the best value of its column.
    pub is_best: bool,
}

/// Cards of text.
#[derive(Clone, Debug, Serialize)]
pub struct CardsView {
    /// The cards.
    pub cards: Vec<CardView>,
}

/// A card: a text whose beginning is highlighted.
#[derive(Clone, Debug, Serialize)]
pub struct CardView {
    /// Title: the name of a run.
    pub title: String,
    /// Anchor that the title links to.
    pub target: String,
    /// Note beside the title.
    pub note: String,
    /// The highlighted beginning: a prompt.
    pub mark: String,
    /// The rest: the model's text.
    pub text: String,
    /// Both as a Markdown code block, including its fences.
    pub markdown: String,
}

/// Counts of verdicts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scoreboard {
    /// Number of findings.
    pub total: usize,
    /// A sentence on settings and formulas, which are not findings, and on how many of them hold.
    pub aside: Option<String>,
    /// Counts of all verdicts that occur, in fixed order.
    pub counts: Vec<VerdictCount>,
}

/// A finding with a different outcome than published.
#[derive(Clone, Debug, Serialize)]
pub struct Disagreement {
    /// Anchor of its row in the ledger.
    pub anchor: String,
    /// The statement.
    pub says: String,
    /// The verdict.
    pub verdict: String,
    /// CSS class of the verdict.
    pub class: &'static str,
    /// A sign that distinguishes the verdict without colour.
    pub sign: &'static str,
}

/// The count of one verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictCount {
    /// Verdict as text: `holds`.
    pub verdict: String,
    /// CSS class: `holds`, `fails`, `inconclusive`, `unchecked`, `inconsistent`.
    pub class: &'static str,
    /// A sign that distinguishes it without colour.
    pub sign: &'static str,
    /// Number of claims.
    pub count: usize,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Dot path in the run's key.
    pub path: String,
    /// Value as JSON.
    pub value: String,
}

impl ColumnView {
    /// A column with a plain head.
    pub(crate) fn new(label: &str, is_number: bool) -> Self {
        Self {
            label: label.to_owned(),
            is_number,
            ..Self::default()
        }
    }
}

impl TableView {
    /// Pads the numbers of each column so that their decimal points are aligned, with and without
    /// half-widths.
    pub(crate) fn align(&mut self) {
        let fraction = |text: &str| {
            text.rsplit_once('.')
                .map_or(0, |(_, digits)| digits.len() + 1)
        };
        let is_number = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_digit() || "−>".contains(c))
                && !text.contains(['×', ' '])
        };
        for (index, column) in self.columns.iter().enumerate() {
            if !column.is_number {
                continue;
            }
            let cells = || {
                self.rows
                    .iter()
                    .filter_map(|row| row.cells.get(index))
                    .filter(|cell| is_number(&cell.text))
            };
            let longest = cells().map(|cell| fraction(&cell.text)).max().unwrap_or(0);
            let spread = cells()
                .filter_map(|cell| cell.spread.as_ref())
                .map(|spread| spread.chars().count())
                .max();
            for cell in self
                .rows
                .iter_mut()
                .filter_map(|row| row.cells.get_mut(index))
            {
                if !is_number(&cell.text) {
                    continue;
                }
                let missing = longest - fraction(&cell.text);
                let zeros = |count: usize| "0".repeat(count);
                cell.pad = match (missing, fraction(&cell.text)) {
                    (0, _) => None,
                    (missing, 0) => Some(format!(".{}", zeros(missing - 1))),
                    (missing, _) => Some(zeros(missing)),
                };
                let Some(spread) = spread else { continue };
                cell.tail = match &cell.spread {
                    Some(own) => {
                        Some(zeros(spread - own.chars().count())).filter(|tail| !tail.is_empty())
                    }
                    None => Some(format!(" ± {}", zeros(spread))),
                };
            }
        }
    }
}

impl ValueView {
    /// A plain text value.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A text value that links to a run.
    pub(crate) fn of_run(text: impl Into<String>, anchor: &str) -> Self {
        Self {
            run: Some(anchor.to_owned()),
            ..Self::text(text)
        }
    }
}

impl CellView {
    /// All its blocks, including those in folds.
    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().flat_map(|block| match block {
            Block::Fold(fold) => fold.blocks.iter().collect(),
            other => vec![other],
        })
    }

    /// The prose that it begins with, if any.
    pub(crate) fn prose(&self) -> Option<&Prose> {
        match self.blocks.first() {
            Some(Block::Prose(prose)) => Some(prose),
            _ => None,
        }
    }
}
