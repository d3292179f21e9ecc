//! Cells of the notebook: from settings and results to what the templates show.

mod best;
pub(crate) mod claims;
mod columns;
mod numbers;
pub(crate) mod perplexity;
pub(crate) mod runs;
pub(crate) mod samples;
pub(crate) mod table;

use super::assets::Assets;
use super::bibliography::Bibliography;
use super::refs::Targets;
pub(crate) use numbers::numbers;

use super::ReportError;
use super::chart::{self, Figure, Size};
use super::context::{Block, CellView, FigureView, LegendView, PanelView, Prose};
use super::scope::Scope;
use super::text::{
    clean, closed, escape, escape_markdown, inert_but, inert_markdown, markdown_to_html, one_line,
    slug, typeset,
};
use crate::claim::Judged;
use crate::expr::{ExprError, Session};
use crate::spec::{Cell, Located, Spec, TextCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// Builds cells in reading order and numbers figures and tables.
pub(crate) struct Builder<'a, 'b> {
    pub(crate) scope: &'b Scope<'a>,
    pub(crate) claims: &'b [Judged],
    assets: &'b Assets,
    targets: Targets,
    figures: usize,
    tables: usize,
    /// Numbers of the tables inside texts, by the anchor of the cell.
    captions: BTreeMap<String, Vec<usize>>,
}

impl<'a, 'b> Builder<'a, 'b> {
    pub(crate) fn new(
        scope: &'b Scope<'a>,
        claims: &'b [Judged],
        assets: &'b Assets,
    ) -> Result<Self, ReportError> {
        let ids = claims.iter().map(|claim| claim.id.as_str());
        let targets = targets(scope.spec, ids, assets)?;
        Ok(Self {
            scope,
            claims,
            assets,
            targets,
            figures: 0,
            tables: 0,
            captions: BTreeMap::new(),
        })
    }

    /// Prose of the spec with its references resolved and its pictures included. `anchor` makes the
    /// names of its footnotes unique among the texts.
    pub(crate) fn text(
        &self,
        markdown: &str,
        anchor: &str,
        line: usize,
    ) -> Result<Prose, ReportError> {
        let resolved = self.targets.resolve(markdown, anchor, self.assets);
        let resolved = resolved.map_err(|message| ReportError::Reference { line, message })?;
        let picture = |file: &str| self.assets.inline(file);
        Ok(Prose {
            html: markdown_to_html(&resolved, &picture),
            markdown: closed(&inert_but(clean(&resolved).trim_end(), &|file| {
                picture(file).is_some()
            })),
        })
    }

    /// A text cell, once all figures and tables have their numbers.
    pub(crate) fn text_cell(
        &self,
        index: usize,
        text: &str,
        line: usize,
    ) -> Result<Block, ReportError> {
        let anchor = format!("cell-{}", index + 1);
        let numbers = self.captions.get(&anchor).map_or(&[][..], Vec::as_slice);
        let markdown = numbered(&computed(text, self.scope.session(), line)?, numbers);
        Ok(Block::Prose(self.text(&markdown, &anchor, line)?))
    }

    /// The works that the texts cite.
    pub(crate) fn references(&self) -> Option<CellView> {
        let cited = self.targets.cited();
        if cited.is_empty() {
            return None;
        }
        let (mut html, mut markdown) = ("<ul class=\"references\">".to_owned(), String::new());
        for work in cited {
            let anchor = format!("ref-{}", slug(&work.key));
            let (long, address) = (clean(&work.long), clean(&work.address));
            let is_web = address.starts_with("https://") || address.starts_with("http://");
            let _ = write!(html, "<li id=\"{anchor}\">{}", escape(&typeset(&long)));
            let inert = escape_markdown(&long);
            let _ = write!(markdown, "- <a id=\"{anchor}\"></a>{inert}");
            if is_web {
                let address = escape(&address);
                let _ = write!(html, " <a href=\"{address}\">{address}</a>");
                let _ = write!(markdown, " <{address}>");
            }
            html += "</li>";
            markdown += "\n";
        }
        html += "</ul>";
        Some(CellView {
            anchor: "references".to_owned(),
            heading: Some("References"),
            blocks: vec![Block::Prose(Prose { html, markdown })],
        })
    }

    /// Builds the cell at `line` of the spec.
    pub(crate) fn cell(
        &mut self,
        index: usize,
        cell: &Cell,
        line: usize,
    ) -> Result<CellView, ReportError> {
        let anchor = format!("cell-{}", index + 1);
        let shown = shown(cell);
        let blocks = shown.blocks(
            self,
            &Place {
                anchor: &anchor,
                line,
            },
        )?;
        let view = CellView {
            anchor,
            heading: shown.heading(),
            blocks,
        };
        if let Some(id) = cell.get().id() {
            let place = view.all_blocks().find_map(|block| match block {
                Block::Figure(figure) => {
                    let words = format!("Figure {}", figure.number);
                    Some((format!("fig-{id}"), words, figure.anchor.clone()))
                }
                Block::Table(table) => {
                    let words = format!("Table {}", table.number?);
                    Some((format!("tbl-{id}"), words, table.anchor.clone()))
                }
                Block::Prose(_) | Block::Cards(_) | Block::Tally(_) | Block::Fold(_) => None,
            });
            if let Some((name, words, anchor)) = place {
                self.targets.add(name, words, anchor);
            }
        }
        Ok(view)
    }

    /// The finding: the text below the title.
    pub(crate) fn finding(&self, text: &Located<String>) -> Result<Prose, ReportError> {
        let markdown = computed(&text.value, self.scope.session(), text.line)?;
        self.text(&markdown, "finding", text.line)
    }

    /// Our result for a claim, in the words of its `show`.
    pub(crate) fn shown(&self, id: &str) -> Result<Option<String>, ReportError> {
        let claims = &self.scope.spec.claims;
        let claim = claims.iter().find(|claim| claim.id == id);
        let Some((show, line)) = claim.and_then(|claim| Some((claim.show.as_ref()?, claim.line)))
        else {
            return Ok(None);
        };
        let filled = self.scope.session().text(show);
        let filled = filled.map_err(|error| located(error, show, line))?;
        Ok(Some(one_line(&filled.text)))
    }

    /// Numbers the next table.
    pub(crate) fn next_table(&mut self) -> usize {
        self.tables += 1;
        self.tables
    }

    /// Renders a figure both inline and as a file.
    pub(crate) fn figure(
        &mut self,
        figure: &Figure,
        caption: Option<&str>,
    ) -> Result<Block, ReportError> {
        self.figures += 1;
        let number = self.figures;
        let count = figure.panels.len();
        let (size, columns) = match count {
            0 | 1 => ((560, 330), 1),
            2 | 4 => ((400, 270), 2),
            _ => ((300, 230), 3),
        };
        let (width, height) = figure.size.unwrap_or(size);
        let drawings = chart::draw(figure, Size { width, height })?;
        let head = caption.map(|text| clean(text).trim().to_owned());
        let head = head.unwrap_or_else(|| escape_markdown(&figure.alt));
        let text = [head.as_str(), figure.notes.as_str()].join(" ");
        let panels = figure
            .panels
            .iter()
            .zip(&drawings)
            .map(|(panel, drawing)| PanelView {
                title: panel.title.clone(),
                svg: chart::inline(drawing, &panel_title(number, &panel.title), &figure.alt),
            })
            .collect();
        let titles = figure.panels.iter().map(|panel| panel.title.clone());
        let titled: Vec<_> = titles.zip(drawings).collect();
        let name = format!("figure-{number}");
        Ok(Block::Figure(Box::new(FigureView {
            anchor: name.clone(),
            number,
            alt: figure.alt.clone(),
            caption: prose_line(text.trim()),
            file: format!("figures/{name}.svg"),
            csv: format!("data/{name}.csv"),
            panels,
            legend: figure
                .legend
                .iter()
                .map(|key| LegendView {
                    label: key.label.clone(),
                    class: key.look.class(),
                })
                .collect(),
            svg: chart::standalone(
                &titled,
                &figure.legend,
                columns,
                &format!("Figure {number}"),
                &figure.alt,
            ),
            csv_text: chart::csv(figure),
            figure: figure.clone(),
        })))
    }
}

/// How the report shows a kind of cell. The spec's knowledge of it is in `spec/cell`.
pub(crate) trait Shown {
    /// A heading above the cell, used if no text of the spec provides one.
    fn heading(&self) -> Option<&'static str> {
        None
    }

    /// The names and expressions that cannot be resolved: [`Self::blocks`] would fail with the
    /// first of them.
    fn look_up(&self, scope: &Scope<'_>, session: &Session, line: usize) -> Vec<ReportError>;

    /// The blocks that the exporters render.
    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError>;
}

/// The position of a cell.
pub(crate) struct Place<'a> {
    /// Its anchor on the page.
    pub(crate) anchor: &'a str,
    /// Its line in the spec.
    pub(crate) line: usize,
}

/// The report's view of a cell.
pub(crate) fn shown(cell: &Cell) -> &dyn Shown {
    match cell {
        Cell::Text(cell) => cell,
        Cell::Plot(cell) => cell,
        Cell::Table(cell) => cell,
        Cell::Histogram(cell) => cell,
        Cell::Scatter(cell) => cell,
        Cell::Differences(cell) => cell,
        Cell::Bars(cell) => cell,
        Cell::Heat(cell) => cell,
        Cell::Samples(cell) => cell,
        Cell::Perplexity(cell) => cell,
        Cell::Claims(cell) => cell,
        Cell::Plan(cell) => cell,
    }
}

/// The only error of a look-up, if any.
pub(crate) fn problem<T>(looked: Result<T, ReportError>) -> Vec<ReportError> {
    looked.err().into_iter().collect()
}

impl<T: chart::Drawn> Shown for T {
    fn look_up(&self, scope: &Scope<'_>, _: &Session, line: usize) -> Vec<ReportError> {
        problem(chart::Drawn::look_up(self, scope, line))
    }

    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        let figure = self.figure(builder.scope, place.line)?;
        Ok(vec![builder.figure(&figure, self.caption())?])
    }
}

impl Shown for TextCell {
    fn look_up(&self, _: &Scope<'_>, session: &Session, line: usize) -> Vec<ReportError> {
        in_text(&self.0, session, line)
    }

    /// Filled in by [`Builder::text_cell`] once all figures and tables have their numbers.
    fn blocks(
        &self,
        builder: &mut Builder<'_, '_>,
        place: &Place<'_>,
    ) -> Result<Vec<Block>, ReportError> {
        let captions = self.0.lines().filter(|line| line.starts_with(TABLE));
        let numbers = captions.map(|_| builder.next_table()).collect();
        builder.captions.insert(place.anchor.to_owned(), numbers);
        Ok(Vec::new())
    }
}

/// Begins the caption of a table inside a text, in a paragraph of its own above the table.
const TABLE: &str = "Table: ";

/// A text whose table captions carry their `numbers`.
fn numbered(text: &str, numbers: &[usize]) -> String {
    let mut numbers = numbers.iter();
    let line = |line: &str| {
        let caption = line.strip_prefix(TABLE);
        let numbered = caption.and_then(|caption| Some((caption, numbers.next()?)));
        match numbered {
            Some((caption, number)) => format!("**Table {number}.** {caption}"),
            None => line.to_owned(),
        }
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The tables of a numbered text: number and caption of each.
pub(crate) fn captions(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().filter_map(|line| {
        let (number, caption) = line.strip_prefix("**Table ")?.split_once(".** ")?;
        Some((number.parse().ok()?, caption))
    })
}

/// The claims and works that texts can refer to; figures and tables are added as they are numbered.
fn targets<'c>(
    spec: &Spec,
    claims: impl Iterator<Item = &'c str>,
    assets: &Assets,
) -> Result<Targets, ReportError> {
    let works = Bibliography::parse(&assets.bibliography);
    let mut works = works.map_err(|reason| ReportError::Asset {
        name: spec.bibliography.clone(),
        reason,
    })?;
    works.add_source(&spec.source.study);
    let mut targets = Targets::new(works);
    for id in claims {
        let anchor = format!("claim-{}", slug(id));
        targets.add(format!("claim-{id}"), id.to_owned(), anchor);
    }
    Ok(targets)
}

/// Checks the references in all texts before anything is computed.
pub(crate) fn check_references(spec: &Spec, assets: &Assets) -> Result<(), ReportError> {
    let claims = spec.claims.iter().map(|claim| claim.id.as_str());
    let mut targets = targets(spec, claims, assets)?;
    for cell in &spec.cells {
        let kind = match cell.value {
            Cell::Table(_) => "tbl",
            _ => "fig",
        };
        if let Some(id) = cell.value.get().id() {
            targets.add(format!("{kind}-{id}"), String::new(), String::new());
        }
    }
    let cells = spec.cells.iter().filter_map(|cell| match &cell.value {
        Cell::Text(text) => Some((text.0.as_str(), cell.line)),
        _ => None,
    });
    let finding = spec
        .finding
        .iter()
        .map(|text| (text.value.as_str(), text.line));
    let mut texts = cells.chain(finding).chain([(spec.summary.as_str(), 1)]);
    texts.try_for_each(|(text, line)| {
        let resolved = targets.resolve(text, "", assets);
        resolved
            .map(drop)
            .map_err(|message| ReportError::Reference { line, message })
    })
}

/// The mistakes in texts outside the cells: the finding and the `show` of claims.
pub(crate) fn texts(spec: &Spec, session: &Session) -> Vec<ReportError> {
    let finding = spec.finding.iter().map(|text| (&text.value, text.line));
    let shown = spec
        .claims
        .iter()
        .filter_map(|claim| Some((claim.show.as_ref()?, claim.line)));
    let all = finding.chain(shown);
    all.flat_map(|(text, line)| in_text(text, session, line))
        .collect()
}

fn in_text(text: &str, session: &Session, line: usize) -> Vec<ReportError> {
    let mistakes = session.check_text(text).into_iter();
    mistakes.map(|error| located(error, text, line)).collect()
}

/// Computes the expressions of a text. A missing value becomes a dash, and the text explains why.
fn computed(text: &str, session: &Session, line: usize) -> Result<String, ReportError> {
    let filled = session
        .text(text)
        .map_err(|error| located(error, text, line))?;
    if filled.missing.is_empty() {
        return Ok(filled.text);
    }
    let reasons: Vec<String> = filled
        .missing
        .iter()
        .take(3)
        .map(|r| escape_markdown(r))
        .collect();
    let more = match filled.missing.len().saturating_sub(reasons.len()) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    Ok(format!(
        "{}\n\n*Some values are missing: {}{more}.*",
        filled.text.trim_end(),
        reasons.join("; ")
    ))
}

/// The error with its line in the spec. A text of several lines is a block that begins one line
/// below its cell.
fn located(error: ExprError, text: &str, line: usize) -> ReportError {
    let (below, expression, error) = match error {
        ExprError::InText {
            line,
            expression,
            source,
        } => (line, expression, *source),
        other => (0, String::new(), other),
    };
    let line = if text.contains('\n') {
        line + below
    } else {
        line
    };
    ReportError::Text {
        line,
        expression,
        error,
    }
}

fn panel_title(number: usize, title: &str) -> String {
    if title.is_empty() {
        format!("Figure {number}")
    } else {
        format!("Figure {number}: {title}")
    }
}

/// Prose of several paragraphs.
pub(crate) fn prose(markdown: &str) -> Prose {
    Prose {
        html: markdown_to_html(markdown, &|_| None),
        markdown: closed(&inert_markdown(clean(markdown).trim_end())),
    }
}

/// Joins several lines into one.
fn flat(markdown: &str) -> String {
    let cleaned = clean(markdown);
    let lines = cleaned
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// Prose of one line, flattened first and without the enclosing paragraph.
pub(crate) fn prose_line(markdown: &str) -> Prose {
    let prose = prose(&flat(markdown));
    let html = prose.html.trim();
    let inner = html
        .strip_prefix("<p>")
        .and_then(|html| html.strip_suffix("</p>"))
        .filter(|inner| !inner.contains("<p>"));
    Prose {
        html: inner.unwrap_or(html).to_owned(),
        markdown: prose.markdown,
    }
}
