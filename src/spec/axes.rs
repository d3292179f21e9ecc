//! The axes of an experiment, their labels, and the walk over their product.

use super::error::{Problem, Problems};
use super::experiment::Experiment;
use super::tree::{Key, Node, Span, Value, join_path};
use super::{Axis, tree};
use std::collections::BTreeMap;

/// Maximum number of runs when the spec does not set `max_runs`.
const DEFAULT_MAX_RUNS: u64 = 10_000;
/// Largest allowed `max_runs`.
const LARGEST_MAX_RUNS: u64 = 100_000;

/// The axes of an experiment, outermost first.
#[derive(Debug)]
pub(crate) struct Axes {
    pub(crate) list: Vec<AxisPlan>,
    /// Excluded combinations: axes, each with its excluded values.
    excluded: Vec<Vec<(usize, Vec<usize>)>>,
}

/// An axis.
#[derive(Debug)]
pub(crate) struct AxisPlan {
    pub(crate) axis: Axis,
    /// Dot path of the setting.
    path: String,
    /// The values as written in run names; unique.
    labels: Vec<String>,
    pub(crate) kind: AxisKind,
}

/// The setting an axis controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AxisKind {
    Case,
    /// The n-th entry of `vary`.
    Vary(usize),
    Seed,
}

impl AxisPlan {
    /// Whether its values are replicates of one setting: seeds or document draws.
    fn is_of_replicates(&self) -> bool {
        self.kind == AxisKind::Seed || self.path == "data.draw"
    }
}

impl Axes {
    /// Lays out the axes of `experiment`; `None` if they cannot be walked.
    pub(crate) fn new(experiment: &Experiment, problems: &mut Problems) -> Option<Self> {
        if !fits(experiment, problems) {
            return None;
        }
        let before = problems.len();
        let mut list = Vec::new();
        if !experiment.cases.is_empty() {
            let names: Vec<String> = experiment
                .cases
                .iter()
                .map(|case| case.name.clone())
                .collect();
            list.push(AxisPlan {
                axis: Axis {
                    name: "case".to_owned(),
                    values: names.iter().map(|name| name.as_str().into()).collect(),
                },
                path: "case".to_owned(),
                labels: names,
                kind: AxisKind::Case,
            });
        }
        for index in 0..experiment.vary.len() {
            list.push(varied(experiment, index, problems));
        }
        if let Some((place, seeds)) = &experiment.seeds {
            if seeds.is_empty() {
                let problem = Problem::new("`seeds` is an empty list").at(*place);
                problems.push(problem.hint("write `seeds: [0]`, or leave the key out"));
            }
            list.push(AxisPlan {
                axis: Axis {
                    name: "seed".to_owned(),
                    values: seeds.iter().map(Node::to_json).collect(),
                },
                path: "train.seed".to_owned(),
                labels: labels("seed", seeds, problems),
                kind: AxisKind::Seed,
            });
        }
        let mut axes = Self {
            list,
            excluded: Vec::new(),
        };
        axes.exclude(experiment, problems);
        (problems.len() == before).then_some(axes)
    }

    /// Number of combinations before exclusions.
    fn product(&self) -> u128 {
        self.list.iter().fold(1, |product: u128, axis| {
            product.saturating_mul(axis.axis.values.len() as u128)
        })
    }

    /// Reads `exclude`. An inherited one may name values that the profile or `--set` has removed.
    fn exclude(&mut self, experiment: &Experiment, problems: &mut Problems) {
        for exclude in &experiment.exclude {
            let mut pairs = Vec::new();
            for (key, node) in exclude.entries() {
                // One value, or a list of them.
                let nodes = match &node.value {
                    Value::List(items) if self.excluded_value(key, node).is_err() => items,
                    _ => std::slice::from_ref(node),
                };
                let mut values = Vec::new();
                let mut axis = None;
                for node in nodes.iter() {
                    match self.excluded_value(key, node) {
                        Ok((index, value)) => {
                            axis = Some(index);
                            values.push(value);
                        }
                        Err(problem) if experiment.own_exclude => problems.push(*problem),
                        Err(_) => {}
                    }
                }
                pairs.extend(axis.map(|axis| (axis, values)));
            }
            if exclude.entries().is_empty() {
                let message = "`exclude`: this leaves out every run";
                problems.push(Problem::new(message).at(exclude.span));
            }
            if pairs.len() == exclude.entries().len() {
                self.excluded.push(pairs);
            }
        }
    }

    fn excluded_value(&self, key: &Key, node: &Node) -> Result<(usize, usize), Box<Problem>> {
        let Some(index) = self.find(&key.name) else {
            let names = self.list.iter().map(|axis| axis.axis.name.as_str());
            let message = format!("`exclude`: there is no axis `{}`", key.name);
            let problem = Problem::new(message).at(key.span);
            return Err(Box::new(problem.choices(&key.name, names)));
        };
        let axis = &self.list[index];
        let (label, json) = (node.label(), node.to_json());
        let mut values = axis.labels.iter().zip(&axis.axis.values);
        let value = values.position(|(one, value)| *one == label || *value == json);
        value.map(|value| (index, value)).ok_or_else(|| {
            let message = format!("`exclude`: the axis `{}` has no value `{label}`", key.name);
            let known = axis.labels.iter().map(String::as_str);
            Box::new(Problem::new(message).at(node.span).choices(&label, known))
        })
    }

    /// The axis with this name or path.
    fn find(&self, name: &str) -> Option<usize> {
        let mut path = tree::split_path(name)?;
        super::alias::canonical_path(&mut path);
        let path = join_path(&path);
        self.list
            .iter()
            .position(|axis| axis.axis.name == name || axis.path == path)
    }
}

/// Whether the product of the axes is within bounds; called before anything is built from it.
fn fits(experiment: &Experiment, problems: &mut Problems) -> bool {
    let (place, most) = match experiment.max_runs {
        Some((place, most)) => (Some(place), most),
        None => (None, DEFAULT_MAX_RUNS),
    };
    if most > LARGEST_MAX_RUNS {
        let problem = Problem::new(format!("`max_runs` is at most {LARGEST_MAX_RUNS}"));
        problems.push(problem.at(place.unwrap_or_default()));
        return false;
    }
    let seeds = experiment.seeds.as_ref();
    let case = (experiment.cases.len(), "case");
    let varied = experiment.vary.iter().map(|axis| {
        let name = axis.path.last().map_or("", String::as_str);
        (axis.values.len(), name)
    });
    let seed = (seeds.map_or(0, |(_, seeds)| seeds.len()), "seed");
    let axes = std::iter::once(case).chain(varied).chain([seed]);
    let axes: Vec<(usize, &str)> = axes.filter(|(count, _)| *count > 0).collect();
    let multiply = |product: u128, axis: &(usize, &str)| product.saturating_mul(axis.0 as u128);
    let product = axes.iter().fold(1, multiply);
    if product <= most.into() {
        return true;
    }
    let message = format!("the axes multiply to {product} runs; at most {most} are allowed");
    let factors: Vec<String> = axes
        .iter()
        .map(|(count, name)| format!("{count} {name}"))
        .collect();
    let mut problem = Problem::new(message).note(factors.join(" × "));
    let longest = experiment.vary.iter().max_by_key(|axis| axis.values.len());
    let place = longest
        .map(|axis| axis.place)
        .or(seeds.map(|(place, _)| *place))
        .or(experiment.cases.first().map(|case| case.place));
    if let Some(place) = place {
        problem = problem.at(place);
    }
    if product <= LARGEST_MAX_RUNS.into() {
        problem = problem.hint(format!("if this is intended, write `max_runs: {product}`"));
    }
    problems.push(problem);
    false
}

/// The `index`-th axis of `vary`. Its name is the last part of its path, or the whole path if another axis has the same
/// last part.
fn varied(experiment: &Experiment, index: usize, problems: &mut Problems) -> AxisPlan {
    let varied = &experiment.vary[index];
    let last = varied.path.last().map_or("", String::as_str);
    let taken = ["case", "seed", "run"].contains(&last)
        || experiment
            .vary
            .iter()
            .enumerate()
            .any(|(other, axis)| other != index && axis.path.last() == varied.path.last());
    let path = join_path(&varied.path);
    let name = if taken { path.clone() } else { last.to_owned() };
    AxisPlan {
        labels: labels(&name, &varied.values, problems),
        axis: Axis {
            name,
            values: varied.values.iter().map(Node::to_json).collect(),
        },
        path,
        kind: AxisKind::Vary(index),
    }
}

/// Labels of values: a choice is written by its name alone where that is unambiguous.
fn labels(axis: &str, values: &[Node], problems: &mut Problems) -> Vec<String> {
    let short = |node: &Node| match &node.value {
        Value::Map(entries) if entries.len() == 1 => entries[0].0.name.clone(),
        _ => node.label(),
    };
    let mut count: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *count.entry(short(value)).or_default() += 1;
    }
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    values
        .iter()
        .map(|value| {
            let short = short(value);
            let label = if count[&short] == 1 {
                short
            } else {
                value.label()
            };
            let label = tree::shorten(&label, 80);
            if let Some(first) = seen.insert(label.clone(), value.span) {
                let problem =
                    Problem::new(format!("the axis `{axis}` has `{label}` twice")).at(value.span);
                problems.push(problem.note(format!("first at line {}", first.line)));
            }
            label
        })
        .collect()
}

/// One combination of axis values.
pub(crate) struct Combination<'a> {
    axes: &'a Axes,
    /// Index of the value on each axis.
    pub(crate) values: Vec<usize>,
}

impl Axes {
    /// Walks the product in order, skipping excluded combinations.
    pub(crate) fn walk(&self) -> impl Iterator<Item = Combination<'_>> {
        let all = self.product() as usize;
        (0..all).filter_map(|number| {
            let mut rest = number;
            let mut values = vec![0; self.list.len()];
            for (value, axis) in values.iter_mut().zip(&self.list).rev() {
                let count = axis.axis.values.len();
                *value = rest % count;
                rest /= count;
            }
            let out = self.excluded.iter().any(|pairs| {
                !pairs.is_empty() && pairs.iter().all(|(axis, out)| out.contains(&values[*axis]))
            });
            (!out).then_some(Combination { axes: self, values })
        })
    }
}

impl Combination<'_> {
    /// The run's name: `25x100`, `dim=512,n_layers=8`, followed by `,draw=1,seed=1` if there are several draws and
    /// seeds.
    pub(crate) fn name(&self) -> String {
        let mut name = self.group();
        for (axis, value) in self.axes.list.iter().zip(&self.values) {
            if axis.is_of_replicates() && axis.labels.len() > 1 {
                name = format!("{name},{}={}", axis.axis.name, axis.labels[*value]);
            }
        }
        name
    }

    /// The values of all axes but the seed: they determine the settings to check.
    pub(crate) fn without_seed(&self) -> Vec<usize> {
        let axes = self.axes.list.iter().zip(&self.values);
        axes.filter(|(axis, _)| axis.kind != AxisKind::Seed)
            .map(|(_, value)| *value)
            .collect()
    }

    /// The name without draw and seed.
    pub(crate) fn group(&self) -> String {
        let parts: Vec<String> = self
            .axes
            .list
            .iter()
            .zip(&self.values)
            .filter_map(|(axis, value)| match axis.kind {
                _ if axis.is_of_replicates() => None,
                AxisKind::Case => Some(axis.labels[*value].clone()),
                AxisKind::Vary(_) => Some(format!("{}={}", axis.axis.name, axis.labels[*value])),
                AxisKind::Seed => None,
            })
            .collect();
        if parts.is_empty() {
            "base".to_owned()
        } else {
            parts.join(",")
        }
    }

    /// Axis names and values.
    pub(crate) fn axes(&self) -> Vec<(String, serde_json::Value)> {
        self.axes
            .list
            .iter()
            .zip(&self.values)
            .map(|(axis, value)| (axis.axis.name.clone(), axis.axis.values[*value].clone()))
            .collect()
    }
}
