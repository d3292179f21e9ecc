//! `report --to tex`: the report for LaTeX. `numbers.tex` has a macro for every claim and every
//! metric of a setting; tables use booktabs, and pgfplots draws figures from their data.

use super::paper::{Dialect, body};
use crate::report::chart::{Figure, Series, Style};
use crate::report::context::{CardView, ColumnView, FigureView, ReportContext, TableView};
use crate::report::text::one_line;
use crate::report::{ReportError, ReportFile};
use std::fmt::Write as _;

/// The first line of every file.
const MARK: &str = "% Made by specbook.\n";

/// The beginning of `report.tex`.
const HEAD: &str = r"\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage[margin=25mm]{geometry}
\usepackage{amsmath,amssymb,booktabs,graphicx,pgfplots,textcomp,longtable}
\usepackage[hidelinks]{hyperref}
\usepgfplotslibrary{groupplots}
\pgfplotsset{compat=1.16}
\input{numbers}
";

pub(in crate::report) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let mut text = format!(
        "{MARK}{HEAD}\\title{{{}}}\n\\date{{}}\n\\begin{{document}}\n\\maketitle\n\n",
        Tex.escape(&report.title)
    );
    text.push_str(&body(report, &Tex));
    let _ = writeln!(
        text,
        "Made by \\texttt{{{}}}.\n\\end{{document}}",
        Tex.escape(&report.command)
    );
    let mut files = vec![
        ReportFile::new("report.tex", text.into_bytes()),
        ReportFile::new("numbers.tex", numbers(report).into_bytes()),
    ];
    for figure in report.figures() {
        let name = format!("figures/{}.tex", figure.anchor);
        files.push(ReportFile::new(&name, picture(&figure.figure).into_bytes()));
    }
    let pictures = report.pictures.iter().cloned();
    files.extend(pictures.filter(|picture| is_included(&picture.path)));
    Ok(files)
}

/// Whether LaTeX can include a picture: SVG and WebP would need conversion, so words replace them.
fn is_included(file: &str) -> bool {
    [".png", ".jpg"].iter().any(|ending| file.ends_with(ending))
}

/// Defines a macro for each number: `\specbook{EF-3}`, `\specbook{25x100/val_loss}`.
fn numbers(report: &ReportContext) -> String {
    let mut out = format!(
        "{MARK}% \\specbook{{NAME}} is a number of the report.\n\\newcommand\\specbook[1]{{\\ifcsname specbook@#1\\endcsname\\csname specbook@#1\\endcsname\\else\\textbf{{?#1?}}\\fi}}\n"
    );
    for number in &report.numbers {
        let name = one_line(&number.name).replace(['{', '}', '\\', '%', '#', '^', '~'], "-");
        let text = match &number.spread {
            Some(spread) => format!("{} ± {spread}", number.text),
            None => number.text.clone(),
        };
        let _ = writeln!(
            out,
            "\\expandafter\\def\\csname specbook@{name}\\endcsname{{{}}}",
            Tex.escape(&text)
        );
    }
    out
}

/// Commands for the letters from alpha to omega.
const GREEK: [&str; 25] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "zeta",
    "eta",
    "theta",
    "iota",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "xi",
    "mathrm{o}",
    "pi",
    "rho",
    "varsigma",
    "sigma",
    "tau",
    "upsilon",
    "phi",
    "chi",
    "psi",
    "omega",
];

struct Tex;

impl Dialect for Tex {
    fn escape(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for c in text.chars() {
            match c {
                '\\' => out.push_str("\\textbackslash{}"),
                '{' | '}' | '#' | '$' | '%' | '&' | '_' => {
                    out.push('\\');
                    out.push(c);
                }
                '~' => out.push_str("\\textasciitilde{}"),
                '^' => out.push_str("\\textasciicircum{}"),
                '<' => out.push_str("\\textless{}"),
                '>' => out.push_str("\\textgreater{}"),
                '±' => out.push_str("$\\pm$"),
                '×' => out.push_str("$\\times$"),
                '−' => out.push_str("$-$"),
                '≈' => out.push_str("$\\approx$"),
                '≠' => out.push_str("$\\neq$"),
                '✓' => out.push_str("$\\checkmark$"),
                '✗' => out.push_str("$\\times$"),
                '→' => out.push_str("$\\rightarrow$"),
                '·' => out.push_str("$\\cdot$"),
                '⁻' => out.push_str("$^{-}$"),
                '⟫' => out.push_str("$\\gg$"),
                '\u{a0}' => out.push('~'),
                '–' => out.push_str("--"),
                '†' => out.push_str("\\dag{}"),
                '‡' => out.push_str("\\ddag{}"),
                '≤' => out.push_str("$\\leq$"),
                '≥' => out.push_str("$\\geq$"),
                '…' => out.push_str("\\ldots{}"),
                c @ ('⁰'..='⁹' | '¹' | '²' | '³') => {
                    let _ = write!(out, "$^{}$", superscript(c));
                }
                c if c.is_ascii() || c.is_alphabetic() && (c as u32) < 0x250 => out.push(c),
                c @ 'α'..='ω' => {
                    let _ = write!(out, "$\\{}$", GREEK[c as usize - 'α' as usize]);
                }
                '\n' => out.push(c),
                // Characters missing from common fonts are given by number.
                c => {
                    let _ = write!(out, "[U+{:04X}]", c as u32);
                }
            }
        }
        out
    }

    fn heading(&self, level: usize, inner: &str) -> String {
        let command = match level {
            0..=2 => "section",
            3 => "subsection",
            _ => "subsubsection",
        };
        format!("\\{command}{{{inner}}}")
    }

    fn emphasis(&self, inner: &str) -> String {
        format!("\\emph{{{inner}}}")
    }

    fn strong(&self, inner: &str) -> String {
        format!("\\textbf{{{inner}}}")
    }

    fn code(&self, text: &str) -> String {
        format!("\\texttt{{{}}}", self.escape(text))
    }

    fn code_block(&self, text: &str) -> String {
        let lines: Vec<String> = text
            .trim_end()
            .lines()
            .map(|line| format!("\\texttt{{{}}}", self.escape(line).replace(' ', "~")))
            .collect();
        format!(
            "\\begin{{flushleft}}\\small\n{}\n\\end{{flushleft}}",
            lines.join("\\\\\n")
        )
    }

    fn link(&self, target: &str, inner: &str) -> String {
        match target.strip_prefix('#') {
            Some(anchor) if anchor.starts_with("figure-") || anchor.starts_with("table-") => {
                format!("\\hyperref[{anchor}]{{{inner}}}")
            }
            Some(_) => inner.to_owned(),
            None => format!(
                "\\href{{{}}}{{{inner}}}",
                target
                    .replace(['\\', '{', '}'], "")
                    .replace('%', "\\%")
                    .replace('#', "\\#")
            ),
        }
    }

    fn math(&self, latex: &str, is_block: bool) -> String {
        if is_block {
            format!("\\[{}\\]", latex.trim())
        } else {
            format!("${latex}$")
        }
    }

    fn list(&self, is_ordered: bool, items: &[String]) -> String {
        let kind = if is_ordered { "enumerate" } else { "itemize" };
        let items: String = items
            .iter()
            .map(|item| format!("\\item {item}\n"))
            .collect();
        format!("\\begin{{{kind}}}\n{items}\\end{{{kind}}}")
    }

    fn quote(&self, inner: &str) -> String {
        format!("\\begin{{quote}}\n{inner}\n\\end{{quote}}")
    }

    fn line_break(&self) -> &'static str {
        "\\\\\n"
    }

    fn picture(&self, file: &str, inner: &str) -> String {
        if is_included(file) {
            format!("\\includegraphics[width=\\linewidth]{{{file}}}")
        } else {
            inner.to_owned()
        }
    }

    fn footnote(&self, inner: &str) -> String {
        format!("\\footnote{{{inner}}}")
    }

    fn plain_table(&self, rows: &[Vec<String>]) -> String {
        let columns = rows.iter().map(Vec::len).max().unwrap_or(1);
        let row = |row: &Vec<String>| row.join(" & ") + " \\\\\n";
        let (head, rest) = rows
            .split_first()
            .map_or((String::new(), &[][..]), |(head, rest)| (row(head), rest));
        format!(
            "\\begin{{center}}\\small\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{{}}}\n\\toprule\n{head}\\midrule\n{}\\bottomrule\n\\end{{tabular}}}}\\end{{center}}",
            "l".repeat(columns),
            rest.iter().map(row).collect::<String>()
        )
    }

    fn figure(&self, figure: &FigureView, caption: &str) -> String {
        format!(
            "\\setcounter{{figure}}{{{1}}}\n\\begin{{figure}}[htbp]\n\\centering\n\\input{{figures/{0}}}\n\\caption{{{caption}}}\n\\label{{{0}}}\n\\end{{figure}}",
            figure.anchor,
            figure.number.saturating_sub(1)
        )
    }

    fn table(&self, table: &TableView, caption: &str) -> String {
        let heads = table
            .columns
            .iter()
            .map(|column| match column.unit.as_str() {
                "" => self.escape(&column.label),
                unit => self.escape(&format!("{} ({unit})", column.label)),
            });
        let value = |value: &crate::report::context::ValueView| {
            let text = match &value.spread {
                Some(spread) => format!("{} ± {spread}", value.text),
                None => value.text.clone(),
            };
            let text = self.escape(&text);
            if value.is_best {
                format!("\\textbf{{{text}}}")
            } else {
                text
            }
        };
        let has_words = |column: usize| {
            let cells = table.rows.iter().filter_map(|row| row.cells.get(column));
            !table.columns[column].is_number
                && cells.into_iter().any(|cell| cell.text.chars().count() > 40)
        };
        let of_words: Vec<bool> = (0..table.columns.len()).map(has_words).collect();
        // A ledger of sentences may span pages; a wide table with few words is scaled to fit one.
        let is_words = of_words[..].contains(&true) && table.columns.len() < 6;
        let kind = |(index, column): (usize, &ColumnView)| match (is_words, column.is_number) {
            (_, true) if !is_words => "r",
            (true, _) if index == 0 => "p{0.4\\linewidth}",
            (true, _) => "p{0.16\\linewidth}",
            (false, _) if of_words[index] => "p{60mm}",
            (false, _) => "l",
        };
        let kinds: String = table.columns.iter().enumerate().map(kind).collect();
        let rows: String = table
            .rows
            .iter()
            .map(|row| row.cells.iter().map(value).collect::<Vec<_>>().join(" & ") + " \\\\\n")
            .collect();
        let heads = heads.collect::<Vec<_>>().join(" & ");
        let number = table.number.unwrap_or(1).saturating_sub(1);
        if is_words {
            return format!(
                "\\setcounter{{table}}{{{number}}}\n{{\\small\n\\begin{{longtable}}{{{kinds}}}\n\\caption{{{caption}}}\\label{{{}}}\\\\\n\\toprule\n{heads} \\\\\n\\midrule\n\\endhead\n{rows}\\bottomrule\n\\end{{longtable}}}}",
                table.anchor
            );
        }
        format!(
            "\\setcounter{{table}}{{{number}}}\n\\begin{{table}}[htbp]\n\\centering\\small\n\\caption{{{caption}}}\n\\label{{{}}}\n\\resizebox{{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}}{{!}}{{%\n\\begin{{tabular}}{{{kinds}}}\n\\toprule\n{heads} \\\\\n\\midrule\n{rows}\\bottomrule\n\\end{{tabular}}}}\n\\end{{table}}",
            table.anchor
        )
    }

    fn card(&self, card: &CardView) -> String {
        let text = self
            .escape(&format!("{} {}", card.mark, card.text))
            .replace('\n', " ");
        format!("\\paragraph{{{}}} {text}", self.escape(&card.title))
    }
}

fn superscript(c: char) -> u32 {
    match c {
        '¹' => 1,
        '²' => 2,
        '³' => 3,
        c => c as u32 - '⁰' as u32,
    }
}

/// A figure for pgfplots: one plot per panel, with the numbers inline.
fn picture(figure: &Figure) -> String {
    if figure.panels.is_empty() {
        return format!("{MARK}\\emph{{Nothing to draw.}}\n");
    }
    let count = figure.panels.len().max(1);
    let columns = match count {
        1 => 1,
        2 | 4 => 2,
        _ => 3,
    };
    let rows = count.div_ceil(columns);
    let width = match columns {
        1 => "0.75",
        2 => "0.48",
        _ => "0.36",
    };
    let mut options = vec![
        format!("width={width}\\linewidth"),
        format!("xlabel={{{}}}", Tex.escape(&figure.x.label)),
        "no markers".to_owned(),
        "legend style={font=\\scriptsize,draw=none,fill=none}".to_owned(),
        "tick label style={font=\\scriptsize}".to_owned(),
        "label style={font=\\footnotesize}".to_owned(),
        "title style={font=\\footnotesize}".to_owned(),
    ];
    if figure.x.is_log && is_wide(figure) {
        options.push("xmode=log".to_owned());
    }
    if figure.y.is_log {
        options.push("ymode=log".to_owned());
    }
    if let Some([low, high]) = figure.y.range {
        options.push(format!("ymin={low},ymax={high}"));
    }
    let names = |axis: char, names: &[String], from_top: bool| {
        let last = names.len().saturating_sub(1);
        let places: Vec<String> = (0..names.len())
            .map(|index| if from_top { last - index } else { index }.to_string())
            .collect();
        let labels: Vec<String> = names
            .iter()
            .map(|name| format!("{{{}}}", Tex.escape(name)))
            .collect();
        format!(
            "{axis}tick={{{}}},{axis}ticklabels={{{}}},{axis}min=-0.5,{axis}max={last}.5",
            places.join(","),
            labels.join(",")
        )
    };
    if !figure.x.names.is_empty() {
        options.push(names('x', &figure.x.names, false));
    }
    if !figure.y.names.is_empty() {
        options.push(names('y', &figure.y.names, true));
        // Words beside the longest bar extend beyond the axes.
        options.push("clip=false".to_owned());
        options.push(format!(
            "height={}cm",
            2.5 + 0.7 * figure.y.names.len() as f64
        ));
    }
    let mut out = format!(
        "{MARK}\\begin{{tikzpicture}}\n\\begin{{groupplot}}[group style={{group size={columns} by {rows},horizontal sep=12mm,vertical sep=16mm}},{}]\n",
        options.join(",")
    );
    for (index, panel) in figure.panels.iter().enumerate() {
        let y = if index % columns == 0 {
            Tex.escape(&figure.y.label)
        } else {
            String::new()
        };
        let _ = writeln!(
            out,
            "\\nextgroupplot[title={{{}}},ylabel={{{y}}}]",
            Tex.escape(&panel.title)
        );
        for series in &panel.series {
            series_commands(&mut out, series, middle(&panel.series));
        }
    }
    out.push_str("\\end{groupplot}\n\\end{tikzpicture}\n");
    out
}

/// Whether the horizontal axis spans a factor of two: pgfplots finds no ticks for a much narrower
/// logarithmic axis.
fn is_wide(figure: &Figure) -> bool {
    let series = figure.panels.iter().flat_map(|panel| &panel.series);
    let places = series.flat_map(|series| {
        let points = series.points.iter().map(|[x, _]| [*x, *x]);
        let bars = series.bars.iter().map(|[from, to, _]| [*from, *to]);
        points.chain(bars)
    });
    let ends = places.reduce(|[low, high], [from, to]| [low.min(from), high.max(to)]);
    ends.is_some_and(|[low, high]| high > 2.0 * low)
}

/// The colours of the style sheet, by class.
const COLOURS: [(&str, &str); 10] = [
    ("s0", "0,114,178"),
    ("s1", "213,94,0"),
    ("s2", "0,143,104"),
    ("s3", "184,85,140"),
    ("s4", "201,133,0"),
    ("s5", "59,152,207"),
    ("s6", "60,66,72"),
    ("s7", "138,130,0"),
    ("published", "109,116,125"),
    ("ink", "74,81,89"),
];

/// The middle of the marks that carry words: words of marks to the right of it are set to the left
/// of their mark.
fn middle(series: &[Series]) -> f64 {
    let spans = series.iter().flat_map(|series| &series.remarks);
    let [low, high] = spans.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], remark| {
        [low.min(remark.span[0]), high.max(remark.span[1])]
    });
    (low + high) / 2.0
}

/// Draws a series; words of marks beyond `middle` are set to the left of them.
fn series_commands(out: &mut String, series: &Series, middle: f64) {
    let class = series.look.colour.class();
    let rgb = COLOURS
        .iter()
        .find(|(name, _)| *name == class)
        .map_or("0,0,0", |(_, rgb)| rgb);
    let parts: Vec<&str> = rgb.split(',').collect();
    let colour = match parts.as_slice() {
        [red, green, blue] => format!("color={{rgb,255:red,{red};green,{green};blue,{blue}}}"),
        _ => String::new(),
    };
    let dash = match series.look.style {
        Style::Dotted => ",dotted",
        Style::Dashed | Style::Short => ",densely dashed",
        Style::Broken => ",dashed",
        Style::DashDot => ",dash dot",
        Style::Raw => ",opacity=0.3,thin",
        _ => "",
    };
    for [from, to, height] in &series.bars {
        let _ = writeln!(
            out,
            "\\draw[{colour},fill,fill opacity=0.6] (axis cs:{from},0) rectangle (axis cs:{to},{height});"
        );
    }
    for [ax, ay, bx, by] in &series.rects {
        let opacity = match series.look.style {
            Style::Heat(shade) => 0.04 + 0.05 * f64::from(shade),
            _ => 0.6,
        };
        let _ = writeln!(
            out,
            "\\fill[{colour},opacity={opacity:.2}] (axis cs:{ax},{ay}) rectangle (axis cs:{bx},{by});"
        );
    }
    for [ax, ay, bx, by] in &series.whiskers {
        let _ = writeln!(
            out,
            "\\draw[{colour},thick] (axis cs:{ax},{ay}) -- (axis cs:{bx},{by});"
        );
    }
    if !series.points.is_empty() {
        let points: String = series
            .points
            .iter()
            .map(|[x, y]| format!("({x},{y})"))
            .collect();
        let kind = match series.look.style {
            Style::Points => "only marks,mark=*,mark size=1.6pt",
            Style::Faint => "only marks,mark=*,mark size=0.8pt,opacity=0.4",
            _ => "semithick",
        };
        let _ = writeln!(
            out,
            "\\addplot[{colour}{dash},{kind}] coordinates {{{points}}}{};",
            match &series.end {
                Some(end) => format!(
                    " node[pos=1,right,font=\\scriptsize,black] {{{}}}",
                    Tex.escape(end)
                ),
                None => String::new(),
            }
        );
    }
    if series.points.is_empty() || series.remarks.is_empty() {
        // pgfplots draws axes only if there is data.
        for [ax, ay, bx, by] in series.rects.iter().chain(&series.whiskers) {
            let _ = writeln!(
                out,
                "\\addplot[draw=none,forget plot] coordinates {{({ax},{ay})({bx},{by})}};"
            );
        }
        for [from, to, height] in &series.bars {
            let _ = writeln!(
                out,
                "\\addplot[draw=none,forget plot] coordinates {{({from},0)({to},{height})}};"
            );
        }
    }
    for remark in &series.remarks {
        let [from, to] = remark.span;
        let (side, at) = match series.rects.is_empty() && (from + to) / 2.0 > middle {
            _ if from == to => ("", to),
            true => ("left,", from),
            false => ("right,", to),
        };
        let _ = writeln!(
            out,
            "\\node[{side}font=\\scriptsize] at (axis cs:{at},{}) {{{}}};",
            remark.y,
            Tex.escape(&remark.text)
        );
    }
}
