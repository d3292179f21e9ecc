//! `report.ipynb`: the report as a Jupyter notebook (nbformat 4.5). Text and tables are Markdown cells; a figure is a code
//! cell whose output is there already, and which shows the same file when it is run in the report folder.

use super::ReportError;
use super::context::{FigureView, ReportContext};
use super::{build, render};
use serde_json::{Value, json};

/// Renders the notebook.
pub(crate) fn notebook(report: &ReportContext) -> Result<Vec<u8>, ReportError> {
    let (head, parts, appendix) = render::markdown_parts(report)?;
    let mut cells = vec![markdown("head", &head)];
    for (index, (cell, text)) in report.cells.iter().zip(&parts).enumerate() {
        if !text.trim().is_empty() {
            cells.push(markdown(&format!("cell-{}", index + 1), text));
        }
        if let (Some(figure), _) = build::parts(cell) {
            cells.push(code(figure));
        }
    }
    cells.push(markdown("appendix", &appendix));
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
    Ok(bytes)
}

/// Text as the list of lines that the format has, line feeds kept.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

fn markdown(id: &str, text: &str) -> Value {
    json!({
        "cell_type": "markdown",
        "id": id,
        "metadata": {},
        "source": lines(text.trim_end()),
    })
}

fn code(figure: &FigureView) -> Value {
    let source = format!(
        "from IPython.display import SVG\nSVG(filename=\"{}\")",
        figure.file
    );
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
