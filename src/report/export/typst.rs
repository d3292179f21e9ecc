//! `report --to typst`: the report for Typst. `numbers.typ` has every claim and every metric of a
//! setting by name; figures are the report's vector graphics.

use super::paper::{Dialect, body};
use crate::report::context::{CardView, FigureView, ReportContext, TableView, ValueView};
use crate::report::text::one_line;
use crate::report::{ReportError, ReportFile};
use std::fmt::Write as _;

/// The first line of every file.
const MARK: &str = "// Made by specbook.\n";

/// The beginning of `report.typ`.
const HEAD: &str = r#"#import "numbers.typ": specbook
#set page(margin: 25mm, numbering: "1")
#set text(size: 10.5pt)
#set par(justify: true)
#set table(stroke: none, inset: (x: 0.5em, y: 0.35em))
#show figure.where(kind: table): set figure.caption(position: top)
#show figure: set block(breakable: true)
#show table: set text(size: 8pt)
"#;

pub(in crate::report) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let mut text = format!(
        "{MARK}{HEAD}\n#align(center, text(size: 17pt, weight: \"bold\")[{}])\n\n",
        Typst.escape(&report.title)
    );
    text.push_str(&body(report, &Typst));
    let _ = writeln!(text, "Made by {}.", Typst.code(&report.command));
    let mut numbers =
        format!("{MARK}// `#specbook(\"EF-3\")` is a number of the report.\n#let numbers = (\n");
    for number in &report.numbers {
        let text = match &number.spread {
            Some(spread) => format!("{} ± {spread}", number.text),
            None => number.text.clone(),
        };
        let _ = writeln!(numbers, "  {}: {},", quoted(&number.name), quoted(&text));
    }
    numbers.push_str("  \"\": \"\",\n)\n#let specbook(name) = numbers.at(name)\n");
    let mut files = vec![
        ReportFile::new("report.typ", text.into_bytes()),
        ReportFile::new("numbers.typ", numbers.into_bytes()),
    ];
    for figure in report.figures() {
        files.push(ReportFile::new(
            &figure.file,
            light(&figure.svg).into_bytes(),
        ));
    }
    files.extend(report.pictures.iter().cloned());
    Ok(files)
}

/// A picture without its rules for dark mode.
fn light(svg: &str) -> String {
    match svg.split_once("@media (prefers-color-scheme:dark)") {
        Some((before, after)) => match after.split_once("</style>") {
            Some((_, rest)) => format!("{before}</style>{rest}"),
            None => svg.to_owned(),
        },
        None => svg.to_owned(),
    }
}

/// A Typst string literal.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        one_line(text).replace('\\', "\\\\").replace('"', "\\\"")
    )
}

struct Typst;

impl Dialect for Typst {
    fn escape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            if "\\#$*_`<>@[]~=-+/".contains(c) {
                out.push('\\');
            }
            out.push(c);
        }
        out
    }

    fn heading(&self, level: usize, inner: &str) -> String {
        format!("{} {inner}", "=".repeat(level.saturating_sub(1).max(1)))
    }

    fn emphasis(&self, inner: &str) -> String {
        format!("#emph[{inner}]")
    }

    fn strong(&self, inner: &str) -> String {
        format!("#strong[{inner}]")
    }

    fn code(&self, text: &str) -> String {
        format!("#raw({})", quoted(text))
    }

    fn code_block(&self, text: &str) -> String {
        let text = text
            .trim_end()
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        format!("#raw(block: true, \"{text}\")")
    }

    fn link(&self, target: &str, inner: &str) -> String {
        match target.strip_prefix('#') {
            Some(anchor) if anchor.starts_with("figure-") || anchor.starts_with("table-") => {
                format!("#link(<{anchor}>)[{inner}]")
            }
            Some(_) => inner.to_owned(),
            None => format!("#link({})[{inner}]", quoted(target)),
        }
    }

    /// Typst has its own language for formulas, so the LaTeX source is shown as text.
    fn math(&self, latex: &str, is_block: bool) -> String {
        match is_block {
            true => self.code_block(latex),
            false => self.code(latex),
        }
    }

    fn list(&self, is_ordered: bool, items: &[String]) -> String {
        let name = if is_ordered { "enum" } else { "list" };
        let items: Vec<String> = items.iter().map(|item| format!("[{item}]")).collect();
        format!("#{name}({})", items.join(", "))
    }

    fn quote(&self, inner: &str) -> String {
        format!("#quote(block: true)[{inner}]")
    }

    fn line_break(&self) -> &'static str {
        " \\\n"
    }

    fn picture(&self, file: &str, inner: &str) -> String {
        match file.starts_with("figures/") {
            true => format!("#image({}, width: 80%)", quoted(file)),
            false => inner.to_owned(),
        }
    }

    fn footnote(&self, inner: &str) -> String {
        format!("#footnote[{inner}]")
    }

    fn plain_table(&self, rows: &[Vec<String>]) -> String {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
        let cells: String = rows
            .iter()
            .flatten()
            .map(|cell| format!("[{cell}], "))
            .collect();
        format!("#table(columns: {columns}, table.hline(), {cells}table.hline())")
    }

    fn figure(&self, figure: &FigureView, caption: &str) -> String {
        format!(
            "#figure(image({}, width: 100%), numbering: _ => \"{}\", caption: [{caption}]) <{}>",
            quoted(&figure.file),
            figure.number,
            figure.anchor
        )
    }

    fn table(&self, table: &TableView, caption: &str) -> String {
        let align: Vec<&str> = table
            .columns
            .iter()
            .map(|column| if column.is_number { "right" } else { "left" })
            .collect();
        let heads = table
            .columns
            .iter()
            .map(|column| match column.unit.as_str() {
                "" => format!("[*{}*], ", self.escape(&column.label)),
                unit => format!(
                    "[*{} ({})*], ",
                    self.escape(&column.label),
                    self.escape(unit)
                ),
            });
        let value = |value: &ValueView| {
            let text = match &value.spread {
                Some(spread) => format!("{} ± {spread}", value.text),
                None => value.text.clone(),
            };
            let text = self.escape(&text);
            if value.is_best {
                format!("[*{text}*], ")
            } else {
                format!("[{text}], ")
            }
        };
        let rows: String = table
            .rows
            .iter()
            .map(|row| format!("  {}\n", row.cells.iter().map(value).collect::<String>()))
            .collect();
        format!(
            "#figure(table(columns: {}, align: ({},),\n  table.hline(), table.header({}), table.hline(stroke: 0.5pt),\n{rows}  table.hline()),\n  numbering: _ => \"{}\", caption: [{caption}]) <{}>",
            table.columns.len(),
            align.join(", "),
            heads.collect::<String>(),
            table.number.unwrap_or_default(),
            table.anchor
        )
    }

    fn card(&self, card: &CardView) -> String {
        let text = self.escape(&format!("{} {}", card.mark, card.text));
        format!("#strong[{}] {text}", self.escape(&card.title))
    }
}
