//! References of claims and cells: ids, profiles, axes, runs, metrics. Names of any profile are known, since one
//! notebook serves all.

mod cell;
mod claim;

pub use cell::Checker;

use super::axes::Axes;
use super::error::{Problem, Problems};
use super::tree::{Node, Span};
use super::{Cell, Claim, Located, THEME};
use crate::record::{METRICS, MetricPoint};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The axes of all profiles.
#[derive(Debug, Default)]
pub(crate) struct Names {
    all: Vec<Arc<Axes>>,
    /// Whether some profile could not be laid out; no name is then reported as unknown.
    pub(crate) incomplete: bool,
}

impl Names {
    /// Adds the axes of one profile.
    pub(crate) fn add(&mut self, axes: Arc<Axes>) {
        self.all.push(axes);
    }

    fn axes(&self) -> BTreeSet<&str> {
        let plans = self.all.iter().flat_map(|axes| &axes.list);
        plans.map(|plan| plan.axis.name.as_str()).collect()
    }

    /// The values of an axis, as JSON.
    fn values(&self, axis: &str) -> BTreeSet<String> {
        let plans = self.all.iter().flat_map(|axes| &axes.list);
        let same = plans.filter(|plan| plan.axis.name == axis);
        same.flat_map(|plan| plan.axis.values.iter().map(ToString::to_string))
            .collect()
    }

    /// Names of runs, with and without their seeds.
    pub(crate) fn runs(&self) -> BTreeSet<String> {
        let combinations = self.all.iter().flat_map(|axes| axes.walk());
        combinations
            .flat_map(|run| [run.name(), run.group()])
            .collect()
    }
}

/// Checks all claims and cells.
pub(crate) fn check(
    root: &Node,
    claims: &[Option<Located<Claim>>],
    cells: &[Option<Located<Cell>>],
    profiles: &[String],
    names: &Names,
    problems: &mut Problems,
) {
    let mut refs = Refs {
        root,
        profiles,
        names,
        problems,
    };
    let mut ids: BTreeMap<&str, usize> = BTreeMap::new();
    for (index, claim) in claims.iter().enumerate() {
        if let Some(claim) = claim {
            refs.claim(index, &claim.value);
            let id = claim.value.id.as_str();
            if let Some(line) = ids.get(id) {
                let problem = Problem::new(format!("the claim id `{id}` is given twice"));
                let problem = problem.note(format!("first given at line {line}"));
                refs.push("claims", index, &["id"], problem);
            } else {
                ids.insert(id, claim.line);
            }
        }
    }
    let ids: Vec<&str> = ids.into_keys().collect();
    for (index, cell) in cells.iter().enumerate() {
        if let Some(cell) = cell {
            refs.cell(index, &cell.value, &ids);
        }
    }
}

/// Checks that labels name something: a run, a setting, an axis or one of its values, a metric or a curve.
pub(crate) fn labels(
    root: &Node,
    labels: &BTreeMap<String, String>,
    names: &Names,
    problems: &mut Problems,
) {
    if labels.is_empty() || names.incomplete {
        return;
    }
    let mut known = names.runs();
    for axis in names.axes() {
        known.insert(axis.to_owned());
        for value in names.values(axis) {
            let value = value.trim_matches('"');
            known.extend([value.to_owned(), format!("{axis}={value}")]);
        }
    }
    known.extend(METRICS.iter().map(|metric| metric.name.to_owned()));
    known.extend(MetricPoint::CURVES.iter().map(|curve| (*curve).to_owned()));
    for name in labels.keys().filter(|name| !known.contains(*name)) {
        let problem = Problem::new(format!("nothing is called `{name}`"));
        let problem = problem.choices(name, known.iter().map(String::as_str));
        problems.push(problem.at(root.place(&["labels", name], true)));
    }
}

/// Checks that a theme sets existing CSS variables to values that cannot end a declaration.
pub(crate) fn theme<'a>(
    root: &Node,
    theme: impl Iterator<Item = (&'a String, &'a String)>,
    problems: &mut Problems,
) {
    for (name, value) in theme {
        let place = root.place(&["theme", name], true);
        let known = THEME;
        let variable = name.strip_prefix("dark-").unwrap_or(name);
        if !known.contains(&variable) {
            let problem = Problem::new(format!("pages have no variable `{name}`"));
            problems.push(problem.choices(name, known.iter().copied()).at(place));
        } else if value.contains(['{', '}', ';', '<', '>', '\\', '@']) || value.contains("url(") {
            let problem = Problem::new(format!("`{value}` is no value of a variable"));
            problems.push(
                problem
                    .allowed("a colour such as `#0b5cad`, or names of fonts")
                    .at(place),
            );
        }
    }
}

pub(crate) struct Refs<'a> {
    root: &'a Node,
    profiles: &'a [String],
    names: &'a Names,
    problems: &'a mut Problems,
}

impl Refs<'_> {
    fn place(&self, list: &str, index: usize, path: &[&str]) -> Span {
        let index = index.to_string();
        let mut whole = vec![list, &index];
        whole.extend(path);
        self.root.place(&whole, true)
    }

    fn push(&mut self, list: &str, index: usize, path: &[&str], problem: Problem) {
        let place = self.place(list, index, path);
        self.problems.push(problem.at(place));
    }
}
