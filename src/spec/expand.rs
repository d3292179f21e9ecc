//! From an experiment to runs: for each combination of axis values the sections are put together, checked and decoded.
//!
//! A section is decoded once for each combination of the axes that touch it, so that ten thousand seeds decode one model.

use super::axes::{Axes, AxisKind, Combination};
use super::decode::decode;
use super::error::{Problem, Problems, nearest};
use super::experiment::Experiment;
use super::schema;
use super::setting::{SECTIONS, Setting, set};
use super::structure::Check;
use super::tree::{Key, Node, Span, Value};
use super::validate::{self, Sections};
use super::{DataSettings, EvalSettings, ModelSettings, Settings, SpecRun, TrainSettings};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Makes the runs of `experiment`; problems name the runs they were met in.
pub(crate) fn runs(
    experiment: &Experiment,
    axes: &Axes,
    base_place: Span,
    problems: &mut Problems,
) -> Vec<SpecRun> {
    let mut memo = Memos {
        data: Memo::new(0, experiment, axes),
        model: Memo::new(1, experiment, axes),
        train: Memo::new(2, experiment, axes),
        eval: Memo::new(3, experiment, axes),
        fine: None,
    };
    let maker = Maker {
        experiment,
        axes,
        base_place,
    };
    let mut runs = Vec::new();
    for combination in axes.walk() {
        problems.checked_runs += 1;
        if let Some(run) = maker.run(&combination, &mut memo, problems) {
            runs.push(run);
        }
    }
    runs
}

struct Memos {
    data: Memo<DataSettings>,
    model: Memo<ModelSettings>,
    train: Memo<TrainSettings>,
    eval: Memo<EvalSettings>,
    /// The settings that were found to be in order last: runs that differ in their seed alone share them.
    fine: Option<Vec<usize>>,
}

/// Decoded forms of a section, by the values of the axes that touch it.
struct Memo<T> {
    section: &'static str,
    /// Axes that touch the section, the seed left out.
    axes: Vec<usize>,
    /// Which cases touch it.
    cases: Vec<bool>,
    decoded: BTreeMap<Vec<usize>, Option<Rc<T>>>,
}

impl<T: DeserializeOwned> Memo<T> {
    fn new(section: usize, experiment: &Experiment, axes: &Axes) -> Self {
        let section = SECTIONS[section];
        let touches = |setting: &Setting| setting.path[0] == section;
        let cases = experiment.cases.iter();
        let cases: Vec<bool> = cases
            .map(|case| case.settings.iter().any(touches))
            .collect();
        let axes = axes
            .list
            .iter()
            .enumerate()
            .filter(|(_, axis)| match axis.kind {
                AxisKind::Case => cases.contains(&true),
                AxisKind::Vary(index) => experiment.vary[index].path[0] == section,
                AxisKind::Seed => false,
            });
        Self {
            section,
            axes: axes.map(|(index, _)| index).collect(),
            cases,
            decoded: BTreeMap::new(),
        }
    }

    fn get(
        &mut self,
        maker: &Maker<'_>,
        combination: &Combination<'_>,
        problems: &mut Problems,
    ) -> Option<Rc<T>> {
        // Cases that do not touch the section share one form of it.
        let value = |axis: &usize| match (maker.axes.list[*axis].kind, combination.values[*axis]) {
            (AxisKind::Case, case) if !self.cases[case] => usize::MAX,
            (_, value) => value,
        };
        let key: Vec<usize> = self.axes.iter().map(value).collect();
        if let Some(decoded) = self.decoded.get(&key) {
            return decoded.clone();
        }
        let decoded = maker
            .decode(self.section, combination, problems)
            .map(Rc::new);
        self.decoded.insert(key, decoded.clone());
        decoded
    }
}

struct Maker<'a> {
    experiment: &'a Experiment,
    axes: &'a Axes,
    /// Where the key `base` stands.
    base_place: Span,
}

impl Maker<'_> {
    fn run(
        &self,
        combination: &Combination<'_>,
        memo: &mut Memos,
        problems: &mut Problems,
    ) -> Option<SpecRun> {
        let data = memo.data.get(self, combination, problems);
        let model = memo.model.get(self, combination, problems);
        let train = memo.train.get(self, combination, problems);
        let eval = memo.eval.get(self, combination, problems);
        let sections = Sections {
            data: data.as_deref(),
            model: model.as_deref(),
            train: train.as_deref(),
            eval: eval.as_deref(),
        };
        let settings = self.unseeded(combination);
        let findings = match memo.fine.as_ref() == Some(&settings) {
            true => Vec::new(),
            false => validate::check(&sections),
        };
        if findings.is_empty() {
            memo.fine = Some(settings);
        } else {
            let tree = self.tree(combination);
            let name = combination.name();
            for finding in findings {
                let path: Vec<&str> = finding.path.split('.').collect();
                let place = tree.place(&path, true);
                let problem = finding.problem.at(place);
                problems.push(if self.axes.list.is_empty() {
                    problem
                } else {
                    problem.run(&name)
                });
            }
        }
        if !problems.is_empty() {
            return None;
        }
        let mut settings = Settings {
            data: (*data?).clone(),
            model: (*model?).clone(),
            train: (*train?).clone(),
            eval: (*eval?).clone(),
        };
        for (axis, value) in self.axes.list.iter().zip(&combination.values) {
            if axis.kind == AxisKind::Seed {
                settings.train.seed = axis.axis.values[*value].as_u64()?;
            }
        }
        Some(SpecRun {
            name: combination.name(),
            axes: combination.axes(),
            settings: Arc::new(settings),
        })
    }

    /// The values of all axes but the seed.
    fn unseeded(&self, combination: &Combination<'_>) -> Vec<usize> {
        let values = self.axes.list.iter().zip(&combination.values);
        let settings = values.filter(|(axis, _)| axis.kind != AxisKind::Seed);
        settings.map(|(_, value)| *value).collect()
    }

    fn decode<T: DeserializeOwned>(
        &self,
        section: &str,
        combination: &Combination<'_>,
        problems: &mut Problems,
    ) -> Option<T> {
        let field = schema::settings().field(section)?;
        let (written, place, tree) = self.section(section, combination);
        if !written && field.required {
            let misspelled =
                |(key, _): &(Key, Node)| nearest(&key.name, &SECTIONS) == Some(section);
            if self.experiment.base.entries().iter().any(misspelled) {
                return None;
            }
            let message = format!("`base` lacks the section `{section}`");
            problems.push(Problem::new(message).at(place));
            return None;
        }
        let before = problems.len();
        let name = combination.name();
        let mut check = Check {
            complete: true,
            problems,
            root: "`base`",
            run: (!self.axes.list.is_empty()).then_some(name.as_str()),
        };
        check.node(&tree, &field.shape, &mut vec![section.into()], place);
        match decode(&tree) {
            Ok(decoded) => Some(decoded),
            Err(error) => {
                if problems.len() == before && problems.is_empty() {
                    problems.push(Problem::new(format!("`{section}`: {error}")).at(place));
                }
                None
            }
        }
    }

    /// A section with everything laid over it, whether there is anything in it, and the place of its key.
    fn section(&self, name: &str, combination: &Combination<'_>) -> (bool, Span, Node) {
        let empty = Node {
            value: Value::Map(Vec::new()),
            span: self.base_place,
        };
        let entry = self.experiment.base.entry(name);
        let place = entry.map_or(self.base_place, |(key, _)| key.span);
        let key = Key {
            name: name.to_owned(),
            span: place,
        };
        let section = entry.map_or_else(|| empty.clone(), |(_, node)| node.clone());
        let mut whole = Node {
            value: Value::Map(vec![(key, section)]),
            span: place,
        };
        for setting in self.settings(combination) {
            if setting.path[0] == name {
                set(&mut whole, schema::settings(), setting.as_ref());
            }
        }
        let node = whole.take(name).map_or(empty, |(_, node)| node);
        let written = entry.is_some() || !node.entries().is_empty();
        (written, place, node)
    }

    /// All settings laid over the base, in order: case, axes, `--set`.
    fn settings<'s>(
        &'s self,
        combination: &'s Combination<'_>,
    ) -> impl Iterator<Item = std::borrow::Cow<'s, Setting>> {
        use std::borrow::Cow;
        let values = self.axes.list.iter().zip(&combination.values);
        let laid = values.flat_map(|(axis, value)| match axis.kind {
            AxisKind::Case => {
                let settings = &self.experiment.cases[*value].settings;
                settings.iter().map(Cow::Borrowed).collect::<Vec<_>>()
            }
            AxisKind::Vary(index) => {
                let axis = &self.experiment.vary[index];
                let node = axis.values[*value].clone();
                vec![Cow::Owned(Setting {
                    path: axis.path.clone(),
                    place: node.span,
                    node,
                })]
            }
            AxisKind::Seed => Vec::new(),
        });
        laid.chain(self.experiment.sets.iter().map(Cow::Borrowed))
    }

    /// All sections, to find places in.
    fn tree(&self, combination: &Combination<'_>) -> Node {
        let entry = |name: &&str| {
            let (_, span, node) = self.section(name, combination);
            let name = (*name).to_owned();
            (Key { name, span }, node)
        };
        Node {
            value: Value::Map(SECTIONS.iter().map(entry).collect()),
            span: self.base_place,
        }
    }
}
