//! Everything the templates see, typed and already formatted. `report --context` prints it as JSON.
//!
//! Text is cleaned of control characters but not escaped: the templates do that, except for fields named `html`, `svg`
//! and `markdown`, which are finished markup.

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
    /// Paragraph below the title.
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
    /// Short facts below the title.
    pub facts: Vec<Fact>,
    /// What the reader has to know first: missing and failed runs, an engine without the bit-for-bit contract.
    pub warnings: Vec<String>,
    /// Claims by verdict, where the spec has claims.
    pub scoreboard: Option<Scoreboard>,
    /// Table of contents.
    pub contents: Vec<Entry>,
    /// The notebook.
    pub cells: Vec<CellView>,
    /// Settings that all runs share.
    pub shared_settings: Vec<Setting>,
    /// The runs.
    pub runs: Vec<RunView>,
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

/// A cell, ready to be shown.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CellView {
    /// Prose.
    Text(TextView),
    /// One figure.
    Figure(FigureView),
    /// One table.
    Table(TableView),
    /// Sampled text.
    Samples(SamplesView),
    /// Perplexity per document: a table, the documents at its ends, a figure.
    Perplexity(Box<PerplexityView>),
    /// Claims and verdicts.
    Claims(ClaimsView),
    /// What was run.
    Plan(TableView),
}

/// A text cell.
#[derive(Clone, Debug, Serialize)]
pub struct TextView {
    /// Anchor.
    pub anchor: String,
    /// Its text.
    pub prose: Prose,
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
#[derive(Clone, Debug, Serialize)]
pub struct TableView {
    /// Anchor.
    pub anchor: String,
    /// Number, from 1.
    pub number: usize,
    /// Caption.
    pub caption: Prose,
    /// Columns, the row head first.
    pub columns: Vec<ColumnView>,
    /// Rows.
    pub rows: Vec<RowView>,
    /// Data, relative to the report.
    pub csv: String,
    /// Contents of `csv`.
    #[serde(skip)]
    pub csv_text: String,
}

/// A column.
#[derive(Clone, Debug, Serialize)]
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
#[derive(Clone, Debug, Serialize)]
pub struct RowView {
    /// Cells, the row head first.
    pub cells: Vec<ValueView>,
}

/// A value with its uncertainty and its origin.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ValueView {
    /// As text.
    pub text: String,
    /// Half-width of the interval, as text.
    pub spread: Option<String>,
    /// Anchor of the run it comes from.
    pub run: Option<String>,
    /// What a pointer that rests on it shows.
    pub hint: Option<String>,
    /// Whether it is the best of its column.
    pub is_best: bool,
}

/// Sampled text, by prompt.
#[derive(Clone, Debug, Serialize)]
pub struct SamplesView {
    /// Anchor.
    pub anchor: String,
    /// Whether it needs a heading of its own: the text before it has none.
    pub has_heading: bool,
    /// How they were sampled.
    pub note: String,
    /// One group per prompt.
    pub prompts: Vec<PromptView>,
}

/// Continuations of one prompt.
#[derive(Clone, Debug, Serialize)]
pub struct PromptView {
    /// The prompt.
    pub prompt: String,
    /// How many of `samples`, from the first, are shown at once: one per setting; the replicates follow.
    pub shown: usize,
    /// Its continuations.
    pub samples: Vec<SampleView>,
}

/// A continuation.
#[derive(Clone, Debug, Serialize)]
pub struct SampleView {
    /// Name of the run.
    pub run_name: String,
    /// Anchor of the run.
    pub run: String,
    /// The prompt again, as it stands before the continuation.
    pub prompt: String,
    /// The continuation.
    pub continuation: String,
    /// Length and end.
    pub note: String,
    /// Prompt and continuation in a Markdown code block, fences included.
    pub markdown: String,
}

/// Perplexity per document.
#[derive(Clone, Debug, Serialize)]
pub struct PerplexityView {
    /// Anchor.
    pub anchor: String,
    /// Whether it needs a heading of its own: the text before it has none.
    pub has_heading: bool,
    /// Summary by run.
    pub table: TableView,
    /// Best, median and worst document by run.
    pub documents: Vec<DocumentsView>,
    /// Histogram.
    pub figure: Option<FigureView>,
}

/// The documents at the ends and in the middle of a run's order.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentsView {
    /// Name of the run.
    pub run_name: String,
    /// Anchor of the run.
    pub run: String,
    /// `best`, `median`, `worst`.
    pub rows: Vec<DocumentView>,
}

/// A scored document.
#[derive(Clone, Debug, Serialize)]
pub struct DocumentView {
    /// `best`, `median` or `worst`.
    pub place: &'static str,
    /// Perplexity.
    pub perplexity: String,
    /// Scored tokens.
    pub tokens: String,
    /// Index in the slice.
    pub document: usize,
    /// First characters.
    pub excerpt: String,
}

/// Claims and their verdicts.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimsView {
    /// Anchor.
    pub anchor: String,
    /// Whether it needs a heading of its own: the text before it has none.
    pub has_heading: bool,
    /// Verdicts counted.
    pub scoreboard: Scoreboard,
    /// The claims.
    pub claims: Vec<ClaimView>,
    /// Data, relative to the report.
    pub csv: String,
    /// Contents of `csv`.
    #[serde(skip)]
    pub csv_text: String,
}

/// Verdicts counted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scoreboard {
    /// All.
    pub total: usize,
    /// By verdict, every verdict that occurs, in fixed order.
    pub counts: Vec<VerdictCount>,
}

/// How often a verdict occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerdictCount {
    /// Verdict as text: `holds`.
    pub verdict: String,
    /// CSS class: `holds`, `fails`, `inconclusive`, `unchecked`, `inconsistent`.
    pub class: String,
    /// A sign that tells it without colour.
    pub sign: String,
    /// How many.
    pub count: usize,
}

/// A judged claim.
#[derive(Clone, Debug, Serialize)]
pub struct ClaimView {
    /// Anchor.
    pub anchor: String,
    /// Id.
    pub id: String,
    /// The statement.
    pub says: String,
    /// What kind of statement: `order`.
    pub kind: Option<String>,
    /// Where the study makes it.
    pub place: String,
    /// Published value.
    pub published: Option<String>,
    /// How it is known: `printed`, `stored output`, …
    pub mark: Option<String>,
    /// Measured value, with its interval.
    pub ours: Option<ValueView>,
    /// What was asked of it: `> 0.1`.
    pub expected: Option<String>,
    /// Distance to the bound, signed so that positive is good.
    pub margin: Option<String>,
    /// Verdict.
    pub verdict: String,
    /// CSS class of the verdict.
    pub class: String,
    /// Sign of the verdict.
    pub sign: String,
    /// Why, where it is not plain.
    pub reason: Option<Prose>,
    /// Remark of the spec.
    pub note: Option<Prose>,
    /// The measure, as in the spec.
    pub measure: Option<String>,
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Setting {
    /// Dot path in the run's key.
    pub path: String,
    /// Value as JSON.
    pub value: String,
}

/// A run, in the appendix that numbers link to.
#[derive(Clone, Debug, Serialize)]
pub struct RunView {
    /// Anchor.
    pub anchor: String,
    /// Name.
    pub name: String,
    /// Identity, 64 digits.
    pub id: String,
    /// Identity, 12 digits.
    pub short_id: String,
    /// `cached`, `missing`, `failed`, …
    pub status: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// Sizes.
    pub counts: Vec<Fact>,
    /// Final metrics, full precision.
    pub metrics: Vec<Fact>,
    /// Settings that differ between the runs of this report.
    pub settings: Vec<Setting>,
    /// What computed it.
    pub numerics: Option<String>,
    /// Digests of weights and metrics.
    pub digests: Vec<Fact>,
}
