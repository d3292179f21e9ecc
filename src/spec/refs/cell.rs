//! References in cells.

use super::Refs;
use crate::record::{METRICS, metric, same_run};
use crate::spec::error::Problem;
use crate::spec::{Cell, Filter, Selection};

/// Checks the names in one cell. Paths are relative to the cell's name.
pub struct Checker<'c, 'a> {
    refs: &'c mut Refs<'a>,
    index: usize,
    cell: &'static str,
    /// Ids of all claims, sorted.
    claims: &'c [&'c str],
}

impl Refs<'_> {
    pub(super) fn cell(&mut self, index: usize, cell: &Cell, claims: &[&str]) {
        cell.get().check(&mut Checker {
            refs: self,
            index,
            cell: cell.name(),
            claims,
        });
    }
}

impl Checker<'_, '_> {
    pub(crate) fn push(&mut self, path: &[&str], problem: Problem) {
        let path = [&[self.cell], path].concat();
        self.refs.push("cells", self.index, &path, problem);
    }

    /// A list of runs.
    pub(crate) fn runs(&mut self, path: &[&str], selection: &Selection) {
        let names = self.refs.names.runs();
        let is_known = |name: &str| names.iter().any(|known| same_run(known, name));
        let is_unknown = |name: &str| !self.refs.names.incomplete && !is_known(name);
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        self.selection(path, selection, "run", &known, is_unknown);
    }

    /// A list of claims.
    pub(crate) fn claims(&mut self, selection: &Selection) {
        let known = self.claims;
        self.selection(&[], selection, "claim", known, |name| {
            !known.contains(&name)
        });
    }

    fn selection(
        &mut self,
        path: &[&str],
        selection: &Selection,
        kind: &str,
        known: &[&str],
        is_unknown: impl Fn(&str) -> bool,
    ) {
        let Selection::Only(wanted) = selection else {
            return;
        };
        let unknown: Vec<(usize, &String)> = wanted
            .iter()
            .enumerate()
            .filter(|(_, name)| is_unknown(name))
            .take(20)
            .collect();
        if wanted.is_empty() {
            let problem = Problem::new(format!("this list names no {kind}"));
            self.push(path, problem.hint("write `all`, or leave the cell out"));
        }
        for (at, name) in unknown {
            let problem = Problem::new(format!("there is no {kind} `{name}`"));
            let problem = problem.choices(name, known.iter().copied());
            self.push(&[path, &[&at.to_string()]].concat(), problem);
        }
    }

    /// Whether the spec has an axis of this name.
    pub(crate) fn has_axis(&self, name: &str) -> bool {
        self.refs.names.axes().contains(name)
    }

    /// Whether the values of an axis have a smallest and a largest.
    pub(crate) fn has_extremes(&self, axis: &str) -> bool {
        let values = self.refs.names.values(axis);
        values.iter().all(|value| value.parse::<f64>().is_ok())
    }

    /// An axis, or one of the words in `also`.
    pub(crate) fn axis(&mut self, path: &[&str], name: &str, also: &[&str]) {
        let names = self.refs.names.axes();
        if self.refs.names.incomplete || names.contains(name) || also.contains(&name) {
            return;
        }
        let known: Vec<&str> = names.iter().chain(also).copied().collect();
        let problem = Problem::new(format!("there is no axis `{name}`"));
        let problem = if known.is_empty() {
            problem.hint("this spec has no axes: no `cases`, `vary` or `seeds`")
        } else {
            problem.choices(name, known)
        };
        self.push(path, problem);
    }

    /// The given axes, by setting.
    pub(crate) fn axes(&mut self, axes: &[(&str, &Option<String>)]) {
        for (key, axis) in axes {
            if let Some(axis) = axis {
                self.axis(&[key], axis, &[]);
            }
        }
    }

    /// The setting `rows`: an axis or `run`.
    pub(crate) fn rows(&mut self, name: &str) {
        self.axis(&["rows"], name, &["run"]);
    }

    pub(crate) fn metric(&mut self, path: &[&str], name: &str) {
        if metric(name).is_some() {
            return;
        }
        let known = METRICS.iter().map(|metric| metric.name);
        let problem = Problem::new(format!("there is no metric `{name}`")).choices(name, known);
        let problem = if self.has_axis(name) {
            problem.hint("axis values already label the rows")
        } else {
            problem.or_hint("`specbook help metrics` explains all of them")
        };
        self.push(path, problem);
    }

    /// The setting `filter`.
    pub(crate) fn filter(&mut self, filter: &Filter) {
        for (axis, value) in filter {
            self.axis(&["filter", axis], axis, &[]);
            self.value(&["filter", axis], axis, value);
        }
    }

    /// One or several values of an axis.
    pub(crate) fn value(&mut self, path: &[&str], axis: &str, value: &serde_json::Value) {
        if self.refs.names.incomplete || !self.has_axis(axis) {
            return;
        }
        let values = self.refs.names.values(axis);
        let has_extremes = self.has_extremes(axis);
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
                self.push(path, problem);
            }
        }
    }
}

fn same_number(a: &str, b: &str) -> bool {
    a.parse::<f64>().is_ok_and(|a| b.parse() == Ok(a))
}
