//! What cells refer to.

use super::Refs;
use crate::record::{METRICS, MetricPoint, metric, same_run};
use crate::spec::error::{Problem, list};
use crate::spec::{
    Cell, DifferencesCell, Filter, HistogramCell, HistogramOf, PlotAxis, PlotCell, PlotX,
    Selection, TableCell,
};

impl Refs<'_> {
    pub(super) fn cell(&mut self, index: usize, cell: &Cell, ids: &[&str]) {
        match cell {
            Cell::Text(text) if text.trim().is_empty() => {
                self.push(
                    "cells",
                    index,
                    &["text"],
                    Problem::new("this text cell is empty"),
                );
            }
            Cell::Text(_) => {}
            Cell::Histogram(histogram) => self.histogram(index, histogram),
            Cell::Plot(plot) => self.plot(index, plot),
            Cell::Table(table) => self.table(index, table),
            Cell::Scatter(cell) => {
                for (key, axis) in [("panels", &cell.panels), ("colours", &cell.colours)] {
                    if let Some(axis) = axis {
                        self.axis(index, &["scatter", key], axis, &[]);
                    }
                }
                if !self.names.axes().contains(cell.x.as_str()) {
                    self.metric(index, &["scatter", "x"], &cell.x);
                }
                self.metric(index, &["scatter", "y"], &cell.y);
                self.filter(index, "scatter", &cell.filter);
            }
            Cell::Differences(cell) => self.differences(index, cell),
            Cell::Bars(cell) => {
                self.metric(index, &["bars", "metric"], &cell.metric);
                self.axis(index, &["bars", "rows"], &cell.rows, &["run"]);
                self.filter(index, "bars", &cell.filter);
            }
            Cell::Heat(cell) => {
                self.metric(index, &["heat", "metric"], &cell.metric);
                self.axis(index, &["heat", "x"], &cell.x, &[]);
                self.axis(index, &["heat", "y"], &cell.y, &[]);
                self.filter(index, "heat", &cell.filter);
            }
            Cell::Samples(samples) => self.runs(index, &["samples", "runs"], &samples.runs),
            Cell::Perplexity(perplexity) => {
                self.runs(index, &["perplexity", "runs"], &perplexity.runs)
            }
            Cell::Plan(selection) => self.runs(index, &["plan"], selection),
            Cell::Claims(Selection::All) => {}
            Cell::Claims(Selection::Only(wanted)) => {
                self.selection(index, &["claims"], wanted, "claim", ids);
            }
        }
    }

    fn runs(&mut self, index: usize, path: &[&str], selection: &Selection) {
        if let Selection::Only(wanted) = selection {
            let names = self.names.runs();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.selection(index, path, wanted, "run", &names);
        }
    }

    /// Checks names against the sorted names that there are.
    fn selection(
        &mut self,
        index: usize,
        path: &[&str],
        wanted: &[String],
        kind: &str,
        known: &[&str],
    ) {
        if wanted.is_empty() {
            let problem = Problem::new(format!("this list names no {kind}"));
            self.push(
                "cells",
                index,
                path,
                problem.hint("write `all`, or leave the cell out"),
            );
        }
        if kind == "run" && self.names.incomplete {
            return;
        }
        let unknown = |(_, name): &(usize, &String)| match kind {
            "run" => !known.iter().any(|known| same_run(known, name)),
            _ => !known.contains(&name.as_str()),
        };
        for (at, name) in wanted.iter().enumerate().filter(unknown).take(20) {
            let at = at.to_string();
            let problem = Problem::new(format!("there is no {kind} `{name}`"));
            let problem = problem.choices(name, known.iter().copied());
            self.push("cells", index, &[path, &[&at]].concat(), problem);
        }
    }

    fn axis(&mut self, index: usize, path: &[&str], name: &str, also: &[&str]) {
        let names = self.names.axes();
        if self.names.incomplete || names.contains(name) || also.contains(&name) {
            return;
        }
        let known: Vec<&str> = names.iter().chain(also).copied().collect();
        let problem = Problem::new(format!("there is no axis `{name}`"));
        let problem = if known.is_empty() {
            problem.hint("this spec has no axes: no `cases`, `vary` or `seeds`")
        } else {
            problem.choices(name, known)
        };
        self.push("cells", index, path, problem);
    }

    fn differences(&mut self, index: usize, cell: &DifferencesCell) {
        self.metric(index, &["differences", "metric"], &cell.metric);
        self.filter(index, "differences", &cell.filter);
        if cell.pairs.is_empty() {
            let problem = Problem::new("no pair of settings is compared");
            let hint = "write `pairs: [{axis: dim}]`, or with `from:` and `to:`";
            self.push(
                "cells",
                index,
                &["differences", "pairs"],
                problem.hint(hint),
            );
        }
        for (at, pairing) in cell.pairs.iter().enumerate() {
            let at = at.to_string();
            let path = ["differences", "pairs", &at, "axis"];
            self.axis(index, &path, &pairing.axis, &[]);
            for (key, end) in [("from", &pairing.from), ("to", &pairing.to)] {
                match end {
                    Some(value) => {
                        let path = ["differences", "pairs", &at, key];
                        self.filter_value(index, &path, &pairing.axis, value);
                    }
                    None if self
                        .names
                        .values(&pairing.axis)
                        .iter()
                        .any(|value| value.parse::<f64>().is_err()) =>
                    {
                        let message = format!(
                            "the axis `{}` has no smallest or largest value",
                            pairing.axis
                        );
                        let problem = Problem::new(message)
                            .hint(format!("write `{key}:` with one of its values"));
                        self.push("cells", index, &["differences", "pairs", &at], problem);
                    }
                    None => {}
                }
            }
        }
    }

    fn histogram(&mut self, index: usize, histogram: &HistogramCell) {
        if !(1..=1000).contains(&histogram.bins) {
            let problem = Problem::new(format!("a histogram cannot have {} bins", histogram.bins));
            let path = ["histogram", "bins"];
            self.push("cells", index, &path, problem.allowed("1 to 1000"));
        }
        if histogram.log.contains(&PlotAxis::Y) {
            let problem = Problem::new(
                "counts stand on a linear axis: bars on a logarithmic one have no foot",
            );
            self.push(
                "cells",
                index,
                &["histogram", "log"],
                problem.allowed("`[x]`"),
            );
        }
        let path = ["histogram", "first"];
        if !histogram.first.is_empty() && histogram.of == HistogramOf::Perplexity {
            let problem = Problem::new("`first` counts training documents");
            let hint = "write `of: document_tokens`, or leave `first` out";
            self.push("cells", index, &path, problem.hint(hint));
        }
        if histogram.first.contains(&0) || histogram.first.len() > 12 {
            let problem = Problem::new("these panels cannot be drawn");
            let allowed = "at most 12 numbers of documents, each at least 1";
            self.push("cells", index, &path, problem.allowed(allowed));
        }
    }

    fn plot(&mut self, index: usize, plot: &PlotCell) {
        if plot.curves.is_empty() {
            let problem =
                Problem::new("this plot has no curves").allowed(list(MetricPoint::CURVES));
            self.push("cells", index, &["plot", "curves"], problem);
        }
        for (at, curve) in plot.curves.iter().enumerate() {
            if !MetricPoint::CURVES.contains(&curve.as_str()) {
                let problem = Problem::new(format!("there is no curve `{curve}`"));
                let at = at.to_string();
                self.push(
                    "cells",
                    index,
                    &["plot", "curves", &at],
                    problem.choices(curve, MetricPoint::CURVES.iter().copied()),
                );
            }
        }
        for (key, axis) in [("panels", &plot.panels), ("colours", &plot.colours)] {
            if let Some(axis) = axis {
                self.axis(index, &["plot", key], axis, &[]);
            }
        }
        self.filter(index, "plot", &plot.filter);
        for (at, curve) in plot.published.iter().enumerate() {
            if curve.classes.is_some_and(|classes| classes < 2) {
                let problem = Problem::new("a published run has two classes or more");
                let path = ["plot", "published", &at.to_string(), "classes"];
                self.push("cells", index, &path, problem);
            }
            if curve.of_steps == Some(0) || curve.of_steps.is_some() && plot.x != PlotX::Step {
                let problem = Problem::new("`of_steps` scales a curve over steps");
                let path = ["plot", "published", &at.to_string(), "of_steps"];
                let allowed = "at least 1, in a plot with `x: step`";
                self.push("cells", index, &path, problem.allowed(allowed));
            }
        }
        if plot.smooth == Some(0) {
            let problem = Problem::new("a moving mean over 0 points has no value");
            self.push(
                "cells",
                index,
                &["plot", "smooth"],
                problem.allowed("at least 1"),
            );
        }
        if let Some([low, _]) = plot.y_range
            && plot.log.contains(&PlotAxis::Y)
            && low <= 0.0
        {
            let problem = Problem::new(format!("a logarithmic axis cannot begin at {low}"));
            let path = ["plot", "y_range"];
            self.push(
                "cells",
                index,
                &path,
                problem.allowed("a lowest value above 0"),
            );
        } else if let Some([low, high]) = plot.y_range
            && low >= high
        {
            let problem = Problem::new(format!("the range from {low} to {high} is empty"));
            self.push(
                "cells",
                index,
                &["plot", "y_range"],
                problem.allowed("`[lowest, highest]`"),
            );
        }
    }

    fn filter(&mut self, index: usize, cell: &str, filter: &Filter) {
        for (axis, value) in filter {
            self.axis(index, &[cell, "filter", axis], axis, &[]);
            self.filter_value(index, &[cell, "filter", axis], axis, value);
        }
    }

    fn filter_value(&mut self, index: usize, path: &[&str], axis: &str, value: &serde_json::Value) {
        if self.names.incomplete || !self.names.axes().contains(axis) {
            return;
        }
        let values = self.names.values(axis);
        let is_number = |value: &String| value.parse::<f64>().is_ok();
        let has_extremes = values.iter().all(is_number);
        let wanted: Vec<&serde_json::Value> = match value {
            serde_json::Value::Array(list) => list.iter().collect(),
            one => vec![one],
        };
        for value in wanted {
            let text = value.to_string();
            let is_extreme = has_extremes && matches!(value.as_str(), Some("min" | "max"));
            let is_same =
                |known: &String| *known == text || value.is_number() && same_number(known, &text);
            if !is_extreme && !values.iter().any(is_same) {
                let problem = Problem::new(format!(
                    "the axis `{axis}` has no value `{}`",
                    text.trim_matches('"')
                ));
                let known = values.iter().map(|value| value.trim_matches('"'));
                let problem = problem.choices(text.trim_matches('"'), known);
                self.push("cells", index, path, problem);
            }
        }
    }

    fn table(&mut self, index: usize, table: &TableCell) {
        self.axis(index, &["table", "rows"], &table.rows, &["run"]);
        self.filter(index, "table", &table.filter);
        if let Some(pivot) = &table.pivot {
            self.axis(index, &["table", "pivot"], pivot, &[]);
            if table.columns.len() != 1 {
                let problem = Problem::new(
                    "`pivot` spreads one metric over columns, so `columns` has to name one",
                );
                self.push("cells", index, &["table", "columns"], problem);
            }
        }
        if table.columns.is_empty() {
            self.push(
                "cells",
                index,
                &["table", "columns"],
                Problem::new("this table has no columns"),
            );
        }
        for (at, column) in table.columns.iter().enumerate() {
            if !column.starts_with("published:") {
                self.metric(index, &["table", "columns", &at.to_string()], column);
            }
        }
        for (at, name) in table.best.iter().enumerate() {
            if !table.columns.contains(name) {
                let problem = Problem::new(format!("this table has no column `{name}`"));
                let problem = problem.choices(name, table.columns.iter().map(String::as_str));
                let at = at.to_string();
                self.push("cells", index, &["table", "best", &at], problem);
            }
        }
        if let Some(sort) = &table.sort {
            self.metric(index, &["table", "sort"], sort);
        }
    }

    fn metric(&mut self, index: usize, path: &[&str], name: &str) {
        if metric(name).is_some() {
            return;
        }
        let known = METRICS.iter().map(|metric| metric.name);
        let problem = Problem::new(format!("there is no metric `{name}`")).choices(name, known);
        let problem = if self.names.axes().contains(name) {
            problem.hint("the values of the axes head the rows by themselves")
        } else {
            problem.or_hint("`specbook help metrics` explains all of them")
        };
        self.push("cells", index, path, problem);
    }
}

fn same_number(a: &str, b: &str) -> bool {
    a.parse::<f64>().is_ok_and(|a| b.parse() == Ok(a))
}
