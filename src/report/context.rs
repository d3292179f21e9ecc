//! Everything the templates see, typed and already formatted. `report --context` prints it as JSON.
//!
//! Text is cleaned of control characters but not escaped: the templates do that, except for fields named `html`, `svg`
//! and `markdown`, which are finished markup.

use super::ReportFile;
use super::chart::Figure;
use super::export::Templates;
use serde::Serialize;

/// Format number of the context.
pub const CONTEXT_FORMAT: u32 = 1;

/// A report before its templates.
#[derive(Clone, Debug, Serialize)]
pub struct ReportContext {
    /// [`CONTEXT_FORMAT`].
    pub format: u32,
    /// Name of the spec and of the report folder.
    pub name: String,
    /// Title.
    pub title: String,
    /// What came out, below the title.
    pub finding: Option<Prose>,
    /// What a ± of the finding is half of; `None` where it has none.
    pub interval: Option<&'static str>,
    /// What was asked, and how.
    pub summary: Prose,
    /// Study and section.
    pub source: String,
    /// Profile.
    pub profile: String,
    /// `--set` arguments.
    pub overrides: Vec<String>,
    /// The command line that makes this report again.
    pub command: String,
    /// SHA-256 of the spec file, its first 12 digits.
    pub spec_digest: String,
    /// Sizes, as short facts.
    pub facts: Vec<Fact>,
    /// Text, tokenizer, device and program.
    pub origin: Vec<Fact>,
    /// Folder of the report before this one, beside this one's.
    pub before: Option<String>,
    /// Folder of the report after this one.
    pub after: Option<String>,
    /// What the reader has to know first: missing and failed runs, an engine without the bit-for-bit contract.
    pub warnings: Vec<String>,
    /// Claims by verdict, where the spec has claims.
    pub scoreboard: Option<Scoreboard>,
    /// Findings that our runs contradict or that the study does: the first of them.
    pub disagreements: Vec<Disagreement>,
    /// The figure that carries the finding, which stands below it.
    pub lead: Vec<Block>,
    /// Table of contents.
    pub contents: Vec<Entry>,
    /// The notebook, and the appendix of runs and settings after it.
    pub cells: Vec<CellView>,
    /// CSS that the spec's theme makes; may be empty.
    pub theme: String,
    /// Claims and metrics by name, for papers.
    #[serde(skip)]
    pub(super) numbers: Vec<Number>,
    /// Pictures of texts.
    #[serde(skip)]
    pub(super) pictures: Vec<ReportFile>,
    /// What the page and its Markdown are rendered with.
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

/// A number with a name.
#[derive(Clone, Debug)]
pub(super) struct Number {
    /// Id of a claim, or `setting/metric`.
    pub(super) name: String,
    /// As text.
    pub(super) text: String,
    /// Half-width of its interval.
    pub(super) spread: Option<String>,
}

/// Prose in both forms.
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
    /// What.
    pub label: String,
    /// How much.
    pub value: String,
}

/// An entry of the table of contents.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// Where it points.
    pub anchor: String,
    /// Text.
    pub title: String,
    /// Whether it is a figure or a table, which stand under the headings.
    pub is_minor: bool,
}

/// A cell, ready to be shown: exporters know its blocks and nothing else of it.
#[derive(Clone, Debug, Serialize)]
pub struct CellView {
    /// Anchor.
    pub anchor: String,
    /// Its own heading; none where the text before it has one.
    pub heading: Option<&'static str>,
    /// What it shows, in reading order.
    pub blocks: Vec<Block>,
}

/// What cells are made of.
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
    /// Verdicts counted.
    Tally(Scoreboard),
    /// Blocks that are shown when they are asked for.
    Fold(FoldView),
}

/// Blocks behind a line that opens them.
#[derive(Clone, Debug, Serialize)]
pub struct FoldView {
    /// The line.
    pub summary: String,
    /// Whether it is open at first.
    pub is_open: bool,
    /// Whether it is left out in print.
    pub is_bulk: bool,
    /// What it hides; no folds.
    pub blocks: Vec<Block>,
}

/// A figure.
#[derive(Clone, Debug, Serialize)]
pub struct FigureView {
    /// Anchor.
    pub anchor: String,
    /// Number, from 1.
    pub number: usize,
    /// What is seen, in one sentence (title and description of the picture).
    pub alt: String,
    /// Caption.
    pub caption: Prose,
    /// Vector graphic for other programs, relative to the report.
    pub file: String,
    /// Data, relative to the report.
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
    /// What it shows, as data.
    #[serde(skip)]
    pub(super) figure: Figure,
}

/// A panel of a figure.
#[derive(Clone, Debug, Serialize)]
pub struct PanelView {
    /// Title; empty where there is one panel.
    pub title: String,
    /// Finished inline SVG.
    pub svg: String,
}

/// A line of a legend.
#[derive(Clone, Debug, Serialize)]
pub struct LegendView {
    /// Text.
    pub label: String,
    /// CSS classes: of the line or bar, and of its colour.
    pub class: String,
}

/// A table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableView {
    /// Anchor.
    pub anchor: String,
    /// Number, from 1; none for tables that belong to something else.
    pub number: Option<usize>,
    /// Caption.
    pub caption: Prose,
    /// Columns, the row head first.
    pub columns: Vec<ColumnView>,
    /// Rows.
    pub rows: Vec<RowView>,
    /// Data, relative to the report; empty where it is part of another file.
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
    /// What it holds, in one sentence.
    pub about: Option<String>,
    /// Whether it holds numbers (set flush right).
    pub is_number: bool,
}

/// A row.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RowView {
    /// Anchor, where links point to it.
    pub anchor: Option<String>,
    /// CSS class, where it has one: that of a verdict.
    pub class: Option<&'static str>,
    /// Cells, the row head first.
    pub cells: Vec<ValueView>,
    /// What stands folded below the row head: its summary, and the text.
    pub details: Option<(String, Prose)>,
}

/// A value with its uncertainty and its origin.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValueView {
    /// As text.
    pub text: String,
    /// Half-width of the interval, as text.
    pub spread: Option<String>,
    /// What stands unseen after the number, so that the decimal points of a column lie below each other.
    pub pad: Option<String>,
    /// What stands unseen after the half-width, for the same reason.
    pub tail: Option<String>,
    /// Anchor of the run it comes from.
    pub run: Option<String>,
    /// Small words below it.
    pub note: Option<String>,
    /// What a pointer that rests on it shows.
    pub hint: Option<String>,
    /// Whether it is the best of its column.
    pub is_best: bool,
}

/// Cards of text.
#[derive(Clone, Debug, Serialize)]
pub struct CardsView {
    /// The cards.
    pub cards: Vec<CardView>,
}

/// A card: a text whose beginning is marked.
#[derive(Clone, Debug, Serialize)]
pub struct CardView {
    /// Title: the name of a run.
    pub title: String,
    /// Anchor that the title links to.
    pub target: String,
    /// Remark beside the title.
    pub note: String,
    /// The beginning, marked: a prompt.
    pub mark: String,
    /// The rest: what a model wrote.
    pub text: String,
    /// Both in a Markdown code block, fences included.
    pub markdown: String,
}

/// Verdicts counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scoreboard {
    /// All findings.
    pub total: usize,
    /// Settings and formulas, which are no findings, and how many of them hold.
    pub aside: Option<String>,
    /// By verdict, every verdict that occurs, in fixed order.
    pub counts: Vec<VerdictCount>,
}

/// A finding that does not come out as published.
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
    /// A sign that tells it without colour.
    pub sign: &'static str,
}

/// How often a verdict occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictCount {
    /// Verdict as text: `holds`.
    pub verdict: String,
    /// CSS class: `holds`, `fails`, `inconclusive`, `unchecked`, `inconsistent`.
    pub class: &'static str,
    /// A sign that tells it without colour.
    pub sign: &'static str,
    /// How many.
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
    /// Sets the numbers of each column so that their decimal points lie below each other, with and without half-widths.
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
    /// A plain text.
    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// A text that links to a run.
    pub(crate) fn of_run(text: impl Into<String>, anchor: &str) -> Self {
        Self {
            run: Some(anchor.to_owned()),
            ..Self::text(text)
        }
    }
}

impl CellView {
    /// All of its blocks, those in folds too.
    pub(crate) fn all_blocks(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().flat_map(|block| match block {
            Block::Fold(fold) => fold.blocks.iter().collect(),
            other => vec![other],
        })
    }

    /// The prose that it begins with.
    pub(crate) fn prose(&self) -> Option<&Prose> {
        match self.blocks.first() {
            Some(Block::Prose(prose)) => Some(prose),
            _ => None,
        }
    }
}
