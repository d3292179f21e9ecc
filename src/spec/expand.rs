//! Expands an experiment into runs: for each combination of axis values, assembles, checks and decodes the sections.

use super::axes::{Axes, AxisKind, Combination};
use super::error::{Problem, Problems, nearest};
use super::experiment::Experiment;
use super::schema;
use super::setting::{SECTIONS, Setting, set};
use super::structure::Check;
use super::tree::{Key, Node, Span};
use super::validate::{self, Sections};
use super::{Settings, SpecRun};
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// Makes the runs of `experiment`; problems name the runs they occur in.
pub(crate) fn runs(
    experiment: &Experiment,
    axes: &Axes,
    base_place: Span,
    problems: &mut Problems,
) -> Vec<SpecRun> {
    let maker = Maker {
        experiment,
        axes,
        base_place,
    };
    let mut runs = Vec::new();
    // The seed is the innermost axis: runs that differ only in their seed are adjacent and checked once.
    let mut last: Option<(Vec<usize>, Option<Settings>)> = None;
    for combination in axes.walk() {
        problems.checked_runs += 1;
        let varied = combination.without_seed();
        let (varied, settings) = match last.take() {
            Some(last) if last.0 == varied && last.1.is_some() => last,
            _ => {
                let settings = maker.settings(&combination, problems);
                (varied, settings)
            }
        };
        runs.extend(settings.as_ref().map(|settings| SpecRun {
            name: combination.name(),
            axes: combination.axes(),
            settings: Arc::new(seeded(settings.clone(), axes, &combination)),
        }));
        last = Some((varied, settings));
    }
    runs
}

fn seeded(mut settings: Settings, axes: &Axes, combination: &Combination<'_>) -> Settings {
    for (axis, value) in axes.list.iter().zip(&combination.values) {
        if axis.kind == AxisKind::Seed
            && let Some(seed) = axis.axis.values[*value].as_u64()
        {
            settings.train.seed = seed;
        }
    }
    settings
}

struct Maker<'a> {
    experiment: &'a Experiment,
    axes: &'a Axes,
    /// Place of the key `base`.
    base_place: Span,
}

impl Maker<'_> {
    /// The settings of a combination except its seed; `None` if anything is wrong.
    fn settings(&self, combination: &Combination<'_>, problems: &mut Problems) -> Option<Settings> {
        let tree = self.tree(combination);
        let name = combination.name();
        let run = (!self.axes.list.is_empty()).then_some(name.as_str());
        let data = self.section(&tree, "data", run, problems);
        let model = self.section(&tree, "model", run, problems);
        let train = self.section(&tree, "train", run, problems);
        let eval = self.section(&tree, "eval", run, problems);
        let findings = validate::check(&Sections {
            data: data.as_ref(),
            model: model.as_ref(),
            train: train.as_ref(),
            eval: eval.as_ref(),
        });
        for finding in findings {
            let path: Vec<&str> = finding.path.split('.').collect();
            let place = tree.place(&path, true);
            let problem = Problem::from(finding).at(place);
            problems.push(match run {
                Some(run) => problem.run(run),
                None => problem,
            });
        }
        if !problems.is_empty() {
            return None;
        }
        Some(Settings {
            data: data?,
            model: model?,
            train: train?,
            eval: eval?,
        })
    }

    /// Checks and decodes a section of `tree`.
    fn section<T: DeserializeOwned>(
        &self,
        tree: &Node,
        name: &str,
        run: Option<&str>,
        problems: &mut Problems,
    ) -> Option<T> {
        let field = schema::settings().field(name)?;
        let Some((key, node)) = tree.entry(name) else {
            let is_misspelled =
                |(key, _): &(Key, Node)| nearest(&key.name, &SECTIONS) == Some(name);
            if field.required && !self.experiment.base.entries().iter().any(is_misspelled) {
                let message = format!("`base` lacks the section `{name}`");
                problems.push(Problem::new(message).at(self.base_place));
            }
            // An optional section has only defaults.
            return serde_json::from_str("{}").ok().filter(|_| !field.required);
        };
        let before = problems.len();
        let mut check = Check {
            complete: true,
            problems,
            root: "`base`",
            run,
        };
        check.node(node, &field.shape, &mut vec![name.into()], key.span);
        let decoded = node.decode();
        if let Err(error) = &decoded
            && problems.len() == before
            && problems.is_empty()
        {
            problems.push(Problem::new(format!("`{name}`: {error}")).at(key.span));
        }
        decoded.ok()
    }

    /// The base with all overrides applied in order: case, axes, `--set`.
    fn tree(&self, combination: &Combination<'_>) -> Node {
        let mut tree = self.experiment.base.clone();
        let mut lay = |setting: &Setting| set(&mut tree, schema::settings(), setting);
        for (axis, value) in self.axes.list.iter().zip(&combination.values) {
            match axis.kind {
                AxisKind::Case => self.experiment.cases[*value]
                    .settings
                    .iter()
                    .for_each(&mut lay),
                AxisKind::Vary(index) => {
                    let axis = &self.experiment.vary[index];
                    let node = axis.values[*value].clone();
                    let (path, place) = (axis.path.clone(), node.span);
                    lay(&Setting { path, place, node });
                }
                AxisKind::Seed => {}
            }
        }
        self.experiment.sets.iter().for_each(lay);
        tree
    }
}
