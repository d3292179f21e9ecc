//! The context shared by all cells: the spec, the runs, and each run's anchor on the page.

use super::ReportError;
use super::chart::{Colours, same};
use super::metric::{self, Metric};
use super::text::{one_line, shorten, slug};
use crate::expr::{Estimate, Session};
use crate::record::{REPLICATE_AXES, Results, RunResult, same_run};
use crate::spec::{Filter, Selection, Spec};
use crate::stats;
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// The spec, its results, and the anchors of the runs.
pub(crate) struct Scope<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) results: &'a Results,
    /// Colours of settings and axis values.
    pub(crate) colours: Colours,
    anchors: Vec<String>,
    session: OnceCell<Session>,
}

/// Replicates of one setting: runs that differ only in their seed.
pub(crate) struct Group<'a> {
    pub(crate) name: String,
    pub(crate) runs: Vec<&'a RunResult>,
}

impl<'a> Scope<'a> {
    pub(crate) fn new(spec: &'a Spec, results: &'a Results) -> Self {
        let mut used = BTreeSet::new();
        let anchors = results
            .runs
            .iter()
            .map(|run| {
                let base = format!("run-{}", slug(&run.name));
                let mut anchor = base.clone();
                let mut number = 2;
                while !used.insert(anchor.clone()) {
                    anchor = format!("{base}-{number}");
                    number += 1;
                }
                anchor
            })
            .collect();
        Self {
            anchors,
            ..Self::without_anchors(spec, results)
        }
    }

    /// The same without anchors, for resolving names without making a page.
    pub(crate) fn without_anchors(spec: &'a Spec, results: &'a Results) -> Self {
        Self {
            spec,
            results,
            colours: Colours::default(),
            anchors: Vec::new(),
            session: OnceCell::new(),
        }
    }

    /// The results as seen by expressions.
    pub(crate) fn session(&self) -> &Session {
        self.session
            .get_or_init(|| Session::new(self.results.clone()))
    }

    /// A metric over replicates of one setting, with half of its widest interval: the value behind
    /// every ±.
    pub(crate) fn estimate(&self, runs: &[&RunResult], name: &str) -> Option<Estimate> {
        let names = runs.iter().map(|run| run.name.as_str());
        let finished = self.session().estimate(names, name);
        // Runs that are only planned have nothing but counts.
        finished.or_else(|| {
            let planned = runs.iter().filter_map(|run| metric::value(run, name));
            let mean = stats::mean(&planned.collect::<Vec<f64>>())?;
            Some(Estimate { mean, half: None })
        })
    }

    /// The kind of interval that a ± is half of.
    pub(crate) fn interval_told(&self) -> &'static str {
        match self.results.runs.iter().any(|run| run.draw() != 0) {
            true => {
                "the widest 95 % interval, over seeds, draws of documents or held-out documents"
            }
            false => "the widest 95 % interval, over seeds or held-out documents",
        }
    }

    /// The anchor of a run in this report.
    pub(crate) fn anchor(&self, run: &RunResult) -> String {
        self.results
            .runs
            .iter()
            .position(|known| known.name == run.name)
            .and_then(|index| self.anchors.get(index).cloned())
            .unwrap_or_default()
    }

    /// The runs that a cell selects by name, group or value of the axis `case`.
    pub(crate) fn select(
        &self,
        selection: &Selection,
        line: usize,
    ) -> Result<Vec<&'a RunResult>, ReportError> {
        let Selection::Only(names) = selection else {
            return Ok(self.results.runs.iter().collect());
        };
        let mut runs = Vec::new();
        for name in names {
            let found: Vec<&RunResult> = self
                .results
                .runs
                .iter()
                .filter(|run| same_run(&run.name, name) || same_run(&run.group, name))
                .collect();
            if found.is_empty() {
                return Err(ReportError::Unknown {
                    line,
                    what: "run",
                    name: name.clone(),
                    known: self.results.runs.iter().map(|r| r.name.clone()).collect(),
                });
            }
            runs.extend(found);
        }
        Ok(runs)
    }

    /// Checks that an axis exists.
    pub(crate) fn axis(&self, axis: &str, line: usize) -> Result<(), ReportError> {
        let is_known = self.spec.axes.iter().any(|known| known.name == axis)
            || axis == "seed"
            || self
                .results
                .runs
                .iter()
                .any(|run| run.axes.iter().any(|(name, _)| name == axis));
        if is_known {
            return Ok(());
        }
        Err(ReportError::Unknown {
            line,
            what: "axis",
            name: axis.to_owned(),
            known: self.spec.axes.iter().map(|a| a.name.clone()).collect(),
        })
    }

    /// The values of an axis among `runs`: in the order of the spec, followed by values that the
    /// spec does not name.
    pub(crate) fn values(&self, axis: &str, runs: &[&RunResult]) -> Vec<Value> {
        let mut occurring: Vec<Value> = Vec::new();
        for run in runs {
            if let Some(value) = axis_value(run, axis)
                && !occurring.iter().any(|known| same(known, &value))
            {
                occurring.push(value);
            }
        }
        let written = self.spec.axes.iter().find(|known| known.name == axis);
        let place = |value: &Value| {
            written
                .and_then(|axis| axis.values.iter().position(|v| same(v, value)))
                .unwrap_or(usize::MAX)
        };
        occurring.sort_by_key(place);
        occurring
    }

    /// The runs that have all of these axis values.
    pub(crate) fn filtered(
        &self,
        filter: &Filter,
        line: usize,
    ) -> Result<Vec<&'a RunResult>, ReportError> {
        for axis in filter.keys() {
            self.axis(axis, line)?;
        }
        let wanted: Vec<(&String, Vec<Value>)> = filter
            .iter()
            .map(|(axis, value)| (axis, self.wanted(axis, value)))
            .collect();
        let fits = |run: &&RunResult| {
            wanted.iter().all(|(axis, values)| {
                axis_value(run, axis)
                    .is_some_and(|value| values.iter().any(|wanted| same(&value, wanted)))
            })
        };
        Ok(self.results.runs.iter().filter(fits).collect())
    }

    /// The spec's label for a name, if any.
    fn label(&self, name: &str) -> Option<String> {
        self.spec.labels.get(name).map(|label| one_line(label))
    }

    /// Whether any run has this axis.
    pub(crate) fn is_axis(&self, name: &str) -> bool {
        let mut runs = self.results.runs.iter();
        runs.any(|run| axis_value(run, name).is_some())
    }

    /// An axis in words.
    pub(crate) fn axis_name(&self, axis: &str) -> String {
        self.label(axis).unwrap_or_else(|| one_line(axis))
    }

    /// A setting (a run regardless of its seed) in words.
    pub(crate) fn setting_name(&self, group: &Group<'_>) -> String {
        let run = group.runs.first();
        let words = run.and_then(|run| self.words(run));
        words.unwrap_or_else(|| one_line(&group.name))
    }

    /// A run in words: its setting and the number of the replicate; or its name, if the spec has no
    /// label for it.
    pub(crate) fn run_name(&self, run: &RunResult) -> String {
        let Some(mut words) = self.words(run) else {
            return one_line(&run.name);
        };
        for part in run.name.split(',') {
            if let Some((axis, value)) = part.split_once('=')
                && REPLICATE_AXES.contains(&axis)
            {
                words += &[", ", axis, " ", value].concat();
            }
        }
        words
    }

    /// The label of a run's setting, or the values of its axes if the spec has a label for one of
    /// them.
    fn words(&self, run: &RunResult) -> Option<String> {
        let of_axes = || {
            let axes = run.axes.iter();
            let axes = axes.filter(|(axis, _)| !REPLICATE_AXES.contains(&axis.as_str()));
            let is_named = |(axis, value): &(String, Value)| {
                self.label(axis).is_some() || self.value_name(axis, value) != value_text(value)
            };
            let titles = axes
                .clone()
                .map(|(axis, value)| self.value_title(axis, value));
            let has_words = axes.clone().any(is_named);
            has_words.then(|| titles.collect::<Vec<_>>().join(", "))
        };
        self.label(&run.group).or_else(of_axes)
    }

    /// A value of an axis in words.
    pub(crate) fn value_name(&self, axis: &str, value: &Value) -> String {
        let text = value_text(value);
        let of_text = || value.as_str().and_then(|text| self.label(text));
        let label = self.label(&format!("{axis}={text}")).or_else(of_text);
        label.unwrap_or(text)
    }

    /// The same as a title of a panel or row: cases and choices name themselves, while numbers need
    /// their axis.
    pub(crate) fn value_title(&self, axis: &str, value: &Value) -> String {
        let name = self.value_name(axis, value);
        match value {
            Value::String(_) | Value::Object(_) => name,
            other if name != one_line(&other.to_string()) => name,
            _ => match self.label(axis) {
                Some(label) => format!("{label} {name}"),
                None => format!("{axis} = {name}"),
            },
        }
    }

    /// A curve in words.
    pub(crate) fn curve_name(&self, curve: &str) -> String {
        self.label(curve)
            .unwrap_or_else(|| metric::curve_label(curve).to_owned())
    }

    /// The description of a metric, with the spec's label.
    pub(crate) fn metric(&self, name: &str) -> Metric {
        let known = metric::describe(name);
        Metric {
            label: self.label(name).unwrap_or(known.label),
            ..known
        }
    }

    /// The values that a filter asks for; `min` and `max` select those of a numeric axis.
    pub(crate) fn wanted(&self, axis: &str, value: &Value) -> Vec<Value> {
        let extreme = |larger: bool| {
            let runs = self.results.runs.iter();
            let values: Option<Vec<Value>> = runs
                .filter_map(|run| axis_value(run, axis))
                .map(|value| value.is_number().then_some(value))
                .collect();
            values?.into_iter().reduce(|a, b| {
                if (b.as_f64() > a.as_f64()) == larger {
                    b
                } else {
                    a
                }
            })
        };
        let meant = |value: &Value| match value.as_str() {
            Some("max") => extreme(true).unwrap_or_else(|| value.clone()),
            Some("min") => extreme(false).unwrap_or_else(|| value.clone()),
            _ => value.clone(),
        };
        match value {
            Value::Array(list) => list.iter().map(meant).collect(),
            one => vec![meant(one)],
        }
    }
}

/// A run's value on an axis.
pub(crate) fn axis_value(run: &RunResult, axis: &str) -> Option<Value> {
    run.axes
        .iter()
        .find(|(name, _)| name == axis)
        .map(|(_, value)| value.clone())
        .or_else(|| (axis == "seed").then(|| Value::from(run.seed)))
}

/// A value of an axis as text.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::String(text) => one_line(text),
        Value::Object(map) if map.len() == 1 => {
            let choice = map.iter().map(|(name, settings)| choice(name, settings));
            choice.collect::<String>()
        }
        other => one_line(&other.to_string()),
    }
}

/// A choice with its settings, as in run names: `cosine{warmup_steps=10}`.
fn choice(name: &str, settings: &Value) -> String {
    let Value::Object(settings) = settings else {
        return one_line(&format!("{name}={}", value_text(settings)));
    };
    let settings = settings.iter();
    let settings = settings.map(|(key, value)| format!("{key}={}", value_text(value)));
    let settings: Vec<String> = settings.collect();
    shorten(&one_line(&format!("{name}{{{}}}", settings.join(","))), 200)
}

/// Groups runs that differ only in their seed, in plan order.
pub(crate) fn groups<'a>(runs: &[&'a RunResult]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group<'a>> = Vec::new();
    for run in runs {
        match groups.iter_mut().find(|group| group.name == run.group) {
            Some(group) => group.runs.push(run),
            None => groups.push(Group {
                name: run.group.clone(),
                runs: vec![run],
            }),
        }
    }
    groups
}
