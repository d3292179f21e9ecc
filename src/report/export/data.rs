//! Standalone pictures of the figures, and the data of figures and tables as CSV.

use crate::report::context::{Block, ReportContext};
use crate::report::{ReportError, ReportFile};

pub(super) fn files(report: &ReportContext) -> Result<Vec<ReportFile>, ReportError> {
    let mut files = Vec::new();
    for picture in &report.pictures {
        files.push(picture.clone());
    }
    let mut file = |path: &str, text: &str| {
        if !path.is_empty() {
            files.push(ReportFile::new(path, text.as_bytes().to_vec()));
        }
    };
    let cells = report.cells.iter().flat_map(|cell| cell.all_blocks());
    for block in report.lead.iter().chain(cells) {
        match block {
            Block::Figure(figure) => {
                file(&figure.file, &figure.svg);
                file(&figure.csv, &figure.csv_text);
            }
            Block::Table(table) => file(&table.csv, &table.csv_text),
            Block::Prose(_) | Block::Cards(_) | Block::Tally(_) | Block::Fold(_) => {}
        }
    }
    Ok(files)
}
