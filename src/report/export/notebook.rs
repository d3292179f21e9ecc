//! `report.ipynb`: the report as a Jupyter notebook (nbformat 4.5). Texts and tables are Markdown
//! cells. A figure is a code cell with its output already present; run in the report folder, it
//! redraws the figure from its data.

use super::markdown;
use crate::report::chart::Kind;
use crate::report::context::{Block, FigureView, ReportContext};
use crate::report::{ReportError, ReportFile};
use serde_json::{Value, json};

pub(super) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let mut cells = vec![text_cell("head", &markdown::head(report, "")?)];
    for block in &report.lead {
        if let Block::Figure(figure) = block {
            cells.push(code(figure));
            cells.push(text_cell(
                &format!("{}-caption", figure.anchor),
                &caption(figure),
            ));
        }
    }
    for cell in &report.cells {
        let mut text = markdown::heading(cell);
        let mut part = 0;
        let mut flush = |text: &mut String, cells: &mut Vec<Value>| {
            if !text.trim().is_empty() {
                part += 1;
                cells.push(text_cell(&format!("{}-part-{part}", cell.anchor), text));
            }
            text.clear();
        };
        for block in &cell.blocks {
            if let Block::Figure(figure) = block {
                flush(&mut text, &mut cells);
                cells.push(code(figure));
                text = caption(figure) + "\n\n";
            } else {
                text.push_str(&markdown::block(report, block)?);
                text.push_str("\n\n");
            }
        }
        flush(&mut text, &mut cells);
    }
    cells.push(text_cell("foot", &markdown::foot(report)));
    let notebook = json!({
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "title": report.title,
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    });
    let mut bytes = serde_json::to_vec_pretty(&notebook)?;
    bytes.push(b'\n');
    Ok(vec![ReportFile::new("report.ipynb", bytes)])
}

/// Text as the list of lines that the format requires, with line feeds kept.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn text_cell(id: &str, text: &str) -> Value {
    let text = markdown::tidy(text);
    json!({
        "cell_type": "markdown",
        "id": id,
        "metadata": {},
        "source": lines(text.trim_end()),
    })
}

fn caption(figure: &FigureView) -> String {
    format!("**Figure {}.** {}", figure.number, figure.caption.markdown)
}

fn code(figure: &FigureView) -> Value {
    let source = python(figure);
    json!({
        "cell_type": "code",
        "execution_count": null,
        "id": figure.anchor,
        "metadata": {"jupyter": {"source_hidden": true}},
        "outputs": [{
            "output_type": "display_data",
            "data": {
                "image/svg+xml": lines(&figure.svg),
                "text/plain": [figure.alt],
            },
            "metadata": {},
        }],
        "source": lines(&source),
    })
}

/// Python code that reads the data of a figure and redraws it.
fn python(figure: &FigureView) -> String {
    let (data, drawn) = (&figure.csv, &figure.figure);
    let label = |text: &str| serde_json::Value::from(text).to_string();
    let scale = |is_log: bool| if is_log { "log" } else { "linear" };
    let [x, y] = [&drawn.x, &drawn.y].map(|axis| (label(&axis.label), scale(axis.is_log)));
    let head = format!(
        "import matplotlib.pyplot as plt\nimport pandas as pd\n\ndata = pd.read_csv({})\n",
        label(data)
    );
    let body = match drawn.kind {
        Kind::Lines => include_str!("notebook/lines.py"),
        Kind::Scatter => include_str!("notebook/scatter.py"),
        Kind::Rows => include_str!("notebook/rows.py"),
        Kind::Heat => include_str!("notebook/heat.py"),
    };
    let body = body
        .replace("X_LABEL", &x.0)
        .replace("Y_LABEL", &y.0)
        .replace("X_SCALE", x.1)
        .replace("Y_SCALE", y.1);
    format!("{head}{}", body.trim_end())
}
