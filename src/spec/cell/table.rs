//! A table of results.

use super::{CellKind, Checker, Filter};
use crate::spec::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// For the documentation.
pub const ABOUT: &str = "A table of results.";
/// An example.
pub static EXAMPLE: LazyLock<TableCell> = LazyLock::new(|| TableCell {
    rows: "dim".to_owned(),
    columns: vec!["val_loss".to_owned(), "train_loss".to_owned()],
    pivot: None,
    filter: Filter::new(),
    best: vec!["val_loss".to_owned()],
    sort: None,
    published: BTreeMap::new(),
    caption: Some("Final losses by width.".to_owned()),
    id: None,
});

/// A table of results.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TableCell {
    /// Axis whose values are the rows, or `run`.
    pub rows: String,
    /// Metrics, or `published: <text>` columns by name.
    pub columns: Vec<String>,
    /// Axis spread over columns (one metric only).
    #[serde(default)]
    pub pivot: Option<String>,
    /// Only runs with these axis values, as in a plot.
    #[serde(default)]
    pub filter: Filter,
    /// Columns whose best value is set in bold; default: none. Name only columns whose rows are
    /// comparable.
    #[serde(default)]
    pub best: Vec<String>,
    /// Metric to sort by, ascending; default: plan order.
    #[serde(default)]
    pub sort: Option<String>,
    /// Published values by row name, shown in a separate column.
    #[serde(default)]
    pub published: BTreeMap<String, String>,
    /// Sentence below the table.
    #[serde(default)]
    pub caption: Option<String>,
    /// Name by which texts refer to it: `@tbl-NAME`.
    #[serde(default)]
    pub id: Option<String>,
}

impl CellKind for TableCell {
    fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn check(&self, checker: &mut Checker<'_, '_>) {
        checker.rows(&self.rows);
        checker.filter(&self.filter);
        if let Some(pivot) = &self.pivot {
            checker.axis(&["pivot"], pivot, &[]);
            if self.columns.len() != 1 {
                let problem = Problem::new(
                    "`pivot` spreads one metric over columns, so `columns` has to name one",
                );
                checker.push(&["columns"], problem);
            }
        }
        if self.columns.is_empty() {
            checker.push(&["columns"], Problem::new("this table has no columns"));
        }
        for (at, column) in self.columns.iter().enumerate() {
            if !column.starts_with("published:") {
                checker.metric(&["columns", &at.to_string()], column);
            }
        }
        for (at, name) in self.best.iter().enumerate() {
            if !self.columns.contains(name) {
                let problem = Problem::new(format!("this table has no column `{name}`"));
                let problem = problem.choices(name, self.columns.iter().map(String::as_str));
                checker.push(&["best", &at.to_string()], problem);
            }
        }
        if let Some(sort) = &self.sort {
            checker.metric(&["sort"], sort);
        }
    }
}
