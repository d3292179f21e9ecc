//! The notebook: cells in reading order. A cell's file holds its settings and checks the names in them; `report`
//! renders it.

use super::refs::Checker;
use crate::choices::choices;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bars::BarsCell;
pub use claims::ClaimsCell;
pub use differences::{DifferencesCell, Pairing};
pub use heat::HeatCell;
pub use histogram::{HistogramCell, HistogramOf};
pub use perplexity::PerplexityCell;
pub use plan::PlanCell;
pub use plot::{PlotCell, PlotX, PublishedCurve};
pub use samples::SamplesCell;
pub use scatter::ScatterCell;
pub use table::TableCell;
pub use text::TextCell;

choices! {
    /// One cell of the report.
    Cell: CellKind {
        text: Text(TextCell),
        plot: Plot(PlotCell),
        table: Table(TableCell),
        histogram: Histogram(HistogramCell),
        scatter: Scatter(ScatterCell),
        differences: Differences(DifferencesCell),
        bars: Bars(BarsCell),
        heat: Heat(HeatCell),
        samples: Samples(SamplesCell),
        perplexity: Perplexity(PerplexityCell),
        claims: Claims(ClaimsCell),
        plan: Plan(PlanCell),
    }
}

/// What a spec needs to know about a cell.
pub trait CellKind {
    /// The name by which text cells refer to its figure or table.
    fn id(&self) -> Option<&str> {
        None
    }

    /// Whether it shows the lengths of training documents, which are read only if some cell does.
    fn shows_lengths(&self) -> bool {
        false
    }

    /// Checks the axes, metrics, runs and claims it names.
    fn check(&self, checker: &mut Checker<'_, '_>);
}

/// `all`, or a list of names: runs, cases or claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    #[default]
    All,
    /// These, in this order.
    Only(Vec<String>),
}

/// Axes with the value, or list of values, that runs must have.
pub type Filter = std::collections::BTreeMap<String, serde_json::Value>;

/// An axis of a plot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PlotAxis {
    /// Horizontal.
    X,
    /// Vertical.
    Y,
}
