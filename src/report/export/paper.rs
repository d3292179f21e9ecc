//! Shared parts of the exporters for papers: a walk over Markdown that asks a dialect for each
//! construct, and the order of blocks.

use crate::report::context::{Block, CardView, FigureView, ReportContext, TableView};
use crate::report::text::EXTENSIONS;
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Options, Parser, Tag, TagEnd};

/// The language of a paper format: how each construct is written. Arguments named `inner` are
/// finished text in that language.
pub(super) trait Dialect {
    fn escape(&self, text: &str) -> String;
    fn heading(&self, level: usize, inner: &str) -> String;
    fn emphasis(&self, inner: &str) -> String;
    fn strong(&self, inner: &str) -> String;
    fn code(&self, text: &str) -> String;
    fn code_block(&self, text: &str) -> String;
    fn link(&self, target: &str, inner: &str) -> String;
    fn math(&self, latex: &str, is_block: bool) -> String;
    fn list(&self, is_ordered: bool, items: &[String]) -> String;
    fn quote(&self, inner: &str) -> String;
    fn line_break(&self) -> &'static str;
    fn picture(&self, file: &str, inner: &str) -> String;
    fn footnote(&self, inner: &str) -> String;
    /// Rows of finished cells, starting with the head.
    fn plain_table(&self, rows: &[Vec<String>]) -> String;
    fn figure(&self, figure: &FigureView, caption: &str) -> String;
    fn table(&self, table: &TableView, caption: &str) -> String;
    fn card(&self, card: &CardView) -> String;
}

/// Finding, method and cells, without the appendix of runs.
pub(super) fn body(report: &ReportContext, dialect: &dyn Dialect) -> String {
    let mut out = String::new();
    let mut add = |text: String| {
        out.push_str(text.trim_end());
        out.push_str("\n\n");
    };
    if let Some(finding) = &report.finding {
        add(markdown(&finding.markdown, dialect));
    }
    report.lead.iter().for_each(|one| add(block(one, dialect)));
    if !report.summary.markdown.is_empty() {
        add(dialect.heading(2, &dialect.escape("Question and method")));
        add(markdown(&report.summary.markdown, dialect));
    }
    for cell in report.cells.iter().filter(|cell| cell.anchor != "runs") {
        if let Some(heading) = cell.heading {
            add(dialect.heading(2, &dialect.escape(heading)));
        }
        cell.blocks.iter().for_each(|one| add(block(one, dialect)));
    }
    out
}

/// A block; folded blocks are omitted, as in print.
fn block(block: &Block, dialect: &dyn Dialect) -> String {
    match block {
        Block::Prose(prose) => markdown(&prose.markdown, dialect),
        Block::Figure(figure) => dialect.figure(figure, &line(&figure.caption.markdown, dialect)),
        Block::Table(table) => dialect.table(table, &line(&table.caption.markdown, dialect)),
        Block::Cards(cards) => cards
            .cards
            .iter()
            .map(|card| dialect.card(card))
            .collect::<Vec<_>>()
            .join("\n\n"),
        Block::Tally(board) => {
            let counts = board
                .counts
                .iter()
                .map(|part| format!("{} {}", part.count, part.verdict));
            dialect.escape(
                &counts
                    .chain(board.aside.clone())
                    .collect::<Vec<_>>()
                    .join("; "),
            )
        }
        Block::Fold(_) => String::new(),
    }
}

pub(super) fn line(text: &str, dialect: &dyn Dialect) -> String {
    markdown(text, dialect).trim().replace("\n\n", " ")
}

/// A construct that is open while Markdown is read.
enum Open {
    Block,
    Emphasis,
    Strong,
    Heading(usize),
    Link(String),
    Picture(String),
    Quote,
    Code,
    List(bool, Vec<String>),
    Footnote,
    Table(Vec<Vec<String>>),
    Row(Vec<String>),
}

/// Markdown translated into a dialect.
pub(super) fn markdown(text: &str, dialect: &dyn Dialect) -> String {
    let options = EXTENSIONS.union(Options::ENABLE_MATH);
    let footnotes = footnotes(text, dialect, options);
    walk(text, dialect, options, &footnotes)
}

/// The texts of footnotes by name.
fn footnotes(text: &str, dialect: &dyn Dialect, options: Options) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open: Option<(String, usize)> = None;
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::FootnoteDefinition(name)) => {
                open = Some((name.to_string(), range.start))
            }
            Event::End(TagEnd::FootnoteDefinition) => {
                if let Some((name, start)) = open.take() {
                    let inner = text[start..range.end]
                        .split_once("]:")
                        .map_or("", |(_, rest)| rest);
                    found.push((
                        name,
                        walk(inner.trim(), dialect, options, &[]).trim().to_owned(),
                    ));
                }
            }
            _ => {}
        }
    }
    found
}

fn walk(
    text: &str,
    dialect: &dyn Dialect,
    options: Options,
    footnotes: &[(String, String)],
) -> String {
    let mut stack: Vec<(Open, String)> = vec![(Open::Block, String::new())];
    for event in Parser::new_ext(text, options) {
        let open = match &event {
            Event::Start(Tag::Emphasis) => Some(Open::Emphasis),
            Event::Start(Tag::Strong) => Some(Open::Strong),
            Event::Start(Tag::Heading { level, .. }) => {
                Some(Open::Heading((*level).max(HeadingLevel::H2) as usize))
            }
            Event::Start(Tag::Link { dest_url, .. }) => Some(Open::Link(dest_url.to_string())),
            Event::Start(Tag::Image { dest_url, .. }) => Some(Open::Picture(dest_url.to_string())),
            Event::Start(Tag::BlockQuote(_)) => Some(Open::Quote),
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_) | CodeBlockKind::Indented)) => {
                Some(Open::Code)
            }
            Event::Start(Tag::List(first)) => Some(Open::List(first.is_some(), Vec::new())),
            Event::Start(Tag::FootnoteDefinition(_)) => Some(Open::Footnote),
            Event::Start(Tag::Table(_)) => Some(Open::Table(Vec::new())),
            Event::Start(Tag::TableHead | Tag::TableRow) => Some(Open::Row(Vec::new())),
            Event::Start(_) => Some(Open::Block),
            _ => None,
        };
        if let Some(open) = open {
            stack.push((open, String::new()));
            continue;
        }
        let is_code = matches!(stack.last(), Some((Open::Code, _)));
        let piece = match event {
            Event::Text(text) if is_code => text.to_string(),
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                dialect.escape(&text)
            }
            Event::Code(text) => dialect.code(&text),
            Event::InlineMath(latex) => dialect.math(&latex, false),
            Event::DisplayMath(latex) => dialect.math(&latex, true),
            Event::SoftBreak => "\n".to_owned(),
            Event::HardBreak => dialect.line_break().to_owned(),
            Event::Rule => "\n\n".to_owned(),
            Event::FootnoteReference(name) => {
                let text = footnotes.iter().find(|(known, _)| **known == *name);
                text.map_or_else(String::new, |(_, text)| dialect.footnote(text))
            }
            Event::End(end) => {
                let Some((open, inner)) = stack.pop() else {
                    continue;
                };
                let done = close(open, &inner, dialect);
                match (end, stack.last_mut()) {
                    (TagEnd::Item, Some((Open::List(_, items), _))) => {
                        items.push(inner.trim().to_owned());
                        continue;
                    }
                    (TagEnd::TableCell, Some((Open::Row(cells), _))) => {
                        cells.push(inner.trim().to_owned());
                        continue;
                    }
                    (TagEnd::TableHead | TagEnd::TableRow, Some((Open::Table(rows), _))) => {
                        rows.extend(done.1);
                        continue;
                    }
                    (TagEnd::Paragraph, _) => format!("{}\n\n", done.0.trim_end()),
                    _ => done.0,
                }
            }
            _ => continue,
        };
        if let Some((_, buffer)) = stack.last_mut() {
            buffer.push_str(&piece);
        }
    }
    stack.into_iter().map(|(_, text)| text).collect()
}

/// A closed construct: its text and, for a row, its cells.
fn close(open: Open, inner: &str, dialect: &dyn Dialect) -> (String, Option<Vec<String>>) {
    let text = match open {
        Open::Block => inner.to_owned(),
        Open::Emphasis => dialect.emphasis(inner),
        Open::Strong => dialect.strong(inner),
        Open::Heading(level) => format!("{}\n\n", dialect.heading(level, inner.trim())),
        Open::Link(target) => dialect.link(&target, inner),
        Open::Picture(file) => dialect.picture(&file, inner),
        Open::Quote => format!("{}\n\n", dialect.quote(inner.trim())),
        Open::Code => format!("{}\n\n", dialect.code_block(inner)),
        Open::List(is_ordered, items) => format!("{}\n\n", dialect.list(is_ordered, &items)),
        Open::Footnote => String::new(),
        Open::Table(rows) => format!("{}\n\n", dialect.plain_table(&rows)),
        Open::Row(cells) => return (String::new(), Some(cells)),
    };
    (text, None)
}
