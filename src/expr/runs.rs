//! The runs available to expressions, grouped into replicates of settings.

use super::ExprError;
use super::Scope;
use super::held_out::{HeldOut, RESAMPLES};
use crate::DEFAULT_PROFILE;
use crate::eval::{
    DOCUMENT_METRICS, VALIDATION_METRICS, counts_by_formula, curve, of_documents, of_validation,
};
use crate::record::{
    DocumentScore, MetricPoint, REPLICATE_AXES, Results, RunResult, RunStatus, same_run,
};
use crate::rng::{Purpose, Stream};
use crate::stats;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock, Mutex, OnceLock, PoisonError};

/// A value computed on first use.
pub(super) type Lazy<T> = LazyLock<T, Box<dyn FnOnce() -> T + Send>>;

/// The data of a run available to expressions.
#[derive(Debug)]
pub(super) struct RunData {
    pub(super) name: String,
    pub(super) group: String,
    pub(super) axes: Vec<(String, serde_json::Value)>,
    pub(super) seed: u64,
    /// The document draw.
    pub(super) draw: u64,
    pub(super) key: Lazy<serde_json::Value>,
    /// Why there are no results; `None` if there are.
    pub(super) absent: Option<String>,
    pub(super) metrics: Arc<BTreeMap<String, f64>>,
    /// Metrics derived from the curves alone, computed on first use.
    pub(super) of_curves: OnceLock<BTreeMap<String, f64>>,
    pub(super) series: Arc<Vec<MetricPoint>>,
    pub(super) document_tokens: Arc<Vec<u32>>,
    /// Scores of the held-out documents.
    pub(super) documents: Arc<Vec<DocumentScore>>,
    /// Scores of the validation documents in the run's validation: tokens and nats.
    validation: Arc<Vec<(u64, f64)>>,
    /// Metrics on every resample of the documents, computed on first use.
    resampled: Mutex<BTreeMap<String, Arc<Vec<Option<f64>>>>>,
}

impl RunData {
    fn new(run: RunResult) -> Self {
        let draw = run.draw();
        let mut metrics = run.metrics;
        if let Some(record) = &run.record {
            let counts = record.counts;
            let counts = [
                ("steps", counts.steps),
                ("params", counts.params),
                ("tokens", counts.tokens),
                ("docs", counts.docs),
                ("sequences", counts.sequences),
            ];
            for (name, value) in counts {
                metrics.entry(name.to_owned()).or_insert(value as f64);
            }
        }
        let failure = run
            .record
            .as_ref()
            .and_then(|record| record.failure.as_ref());
        let absent = match run.status {
            RunStatus::Cached => None,
            RunStatus::Failed => Some(format!(
                "run `{}` failed{}",
                run.name,
                failure
                    .map(|failure| format!(": {}", failure.message))
                    .unwrap_or_default()
            )),
            RunStatus::Missing => Some(format!("run `{}` has not been trained", run.name)),
            RunStatus::Partial | RunStatus::Running => {
                Some(format!("run `{}` is not finished", run.name))
            }
        };
        let eval = run.eval.unwrap_or_default();
        let (documents, validation) = (eval.documents, eval.validation);
        Self {
            draw,
            name: run.name,
            group: run.group,
            axes: without_replicates(run.axes),
            seed: run.seed,
            key: Lazy::new(Box::new(move || run.key)),
            absent,
            metrics: Arc::new(metrics),
            of_curves: OnceLock::new(),
            series: Arc::new(run.series),
            document_tokens: Arc::new(run.document_tokens),
            documents: Arc::new(documents),
            validation: Arc::new(validation),
            resampled: Mutex::default(),
        }
    }

    /// The documents that determine a metric; `None` if it depends on anything else.
    pub(super) fn held_out(&self, name: &str) -> Option<HeldOut> {
        if DOCUMENT_METRICS.contains(&name) {
            HeldOut::of(self.documents.iter().map(|document| document.tokens))
        } else if VALIDATION_METRICS.contains(&name) {
            HeldOut::of(self.validation.iter().map(|(tokens, _)| *tokens))
        } else {
            None
        }
    }

    /// A metric on the documents selected by `scope`; `None` if it selects none, or if the metric does not follow from
    /// them.
    fn over_documents(&self, name: &str, scope: Scope) -> Option<f64> {
        match scope {
            Scope::Documents(resample) => {
                let mut all = self
                    .resampled
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Some(known) = all.get(name) {
                    return *known.get(resample as usize)?;
                }
                let each = (0..RESAMPLES).map(|resample| self.over_resample(name, resample));
                let new = Arc::new(each.collect::<Vec<_>>());
                all.insert(name.to_owned(), Arc::clone(&new));
                *new.get(resample as usize)?
            }
            Scope::WithoutDocuments { part, groups } => {
                let count = self.held_out(name)?.count;
                let left = (0..count).filter(|index| index % groups != part);
                self.over_places(name, &left.collect::<Vec<usize>>())
            }
            _ => None,
        }
    }

    fn over_resample(&self, name: &str, resample: u64) -> Option<f64> {
        let count = self.held_out(name)?.count as u64;
        // Runs of one draw have the same documents and the same resample: differences are paired.
        let draws = Stream::new(self.draw, Purpose::Bootstrap, resample);
        let places = (0..count).map(|index| draws.below(index, count) as usize);
        self.over_places(name, &places.collect::<Vec<usize>>())
    }

    fn over_places(&self, name: &str, places: &[usize]) -> Option<f64> {
        if VALIDATION_METRICS.contains(&name) {
            let batch = self.key["train"]["batch_size"].as_u64()?;
            return of_validation(name, &self.validation, places, batch as usize);
        }
        of_documents(name, &self.documents, places)
    }

    /// A metric in `scope`: on the documents it selects, otherwise as recorded.
    pub(super) fn in_scope(&self, name: &str, scope: Scope) -> Option<f64> {
        self.over_documents(name, scope)
            .or_else(|| self.metric(name))
    }

    /// A metric as recorded, otherwise from the curves, otherwise from settings and documents.
    pub(super) fn metric(&self, name: &str) -> Option<f64> {
        let of_curves = || {
            self.of_curves
                .get_or_init(|| curve::training_metrics(&self.series))
                .get(name)
        };
        let measured = self.metrics.get(name).or_else(of_curves).copied();
        measured.or_else(|| {
            let counts = counts_by_formula(&self.key, &self.document_tokens);
            let found = counts.into_iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value)
        })
    }
}

pub(super) fn without_replicates(
    mut axes: Vec<(String, serde_json::Value)>,
) -> Vec<(String, serde_json::Value)> {
    axes.retain(|(name, _)| !REPLICATE_AXES.contains(&name.as_str()));
    axes
}

/// What a name refers to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found {
    /// Index of a setting.
    Setting(usize),
    /// Index of one of its runs.
    Replicate(usize),
}

/// A setting: its replicates.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) name: String,
    /// Indices of its runs; never empty.
    pub(super) members: Vec<usize>,
}

/// All runs, grouped into replicates of settings.
#[derive(Debug, Default)]
pub(super) struct Runs {
    pub(super) all: Vec<RunData>,
    /// Settings in plan order.
    pub(super) groups: Vec<Group>,
    /// Index of a setting in `groups`.
    places: BTreeMap<String, usize>,
    /// Names of all axes except those of replicates.
    pub(super) axes: BTreeSet<String>,
    /// The profile, if not the default one. The default must have every run that a notebook names; others may lack
    /// some.
    part: Option<String>,
    /// Names of the runs and settings of all profiles, if known.
    pub(super) everywhere: Option<Lazy<BTreeSet<String>>>,
}

impl Runs {
    pub(super) fn new(results: Results) -> Self {
        Self::of_runs(results.profile, results.runs.into_iter().map(RunData::new))
    }

    pub(super) fn of_runs(profile: String, runs: impl Iterator<Item = RunData>) -> Self {
        let mut new = Self {
            part: Some(profile).filter(|profile| profile != DEFAULT_PROFILE),
            ..Self::default()
        };
        for (index, run) in runs.enumerate() {
            match new.places.get(&run.group) {
                Some(place) => new.groups[*place].members.push(index),
                None => {
                    new.places.insert(run.group.clone(), new.groups.len());
                    new.groups.push(Group {
                        name: run.group.clone(),
                        members: vec![index],
                    });
                }
            }
            for (name, _) in &run.axes {
                if !new.axes.contains(name) {
                    new.axes.insert(name.clone());
                }
            }
            new.all.push(run);
        }
        new
    }

    /// Whether these runs belong to a profile other than the default one.
    pub(super) fn is_part(&self) -> bool {
        self.part.is_some()
    }

    /// The error for a missing run or setting `name`: unknown, or missing only in this profile.
    pub(super) fn without(&self, name: &str) -> ExprError {
        let everywhere = self.everywhere.as_deref();
        match (&self.part, everywhere) {
            (Some(_), Some(all)) if !all.iter().any(|known| same_run(known, name)) => {
                ExprError::unknown("run", name, all.iter().map(String::as_str))
            }
            (Some(profile), _) => ExprError::NotAvailable {
                what: format!("the profile `{profile}` has no run `{name}`"),
            },
            (None, _) => {
                let known = self.groups.iter().map(|group| group.name.as_str());
                ExprError::unknown("run", name, known)
            }
        }
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, RunData> {
        self.all.iter()
    }

    /// A metric of a run after two settings exchanged their values in some of their common seeds
    /// ([`Scope::Exchanged`]).
    pub(super) fn exchanged(
        &self,
        index: usize,
        name: &str,
        settings: [usize; 2],
        seeds: u64,
    ) -> Option<f64> {
        let run = &self.all[index];
        let members = |place: usize| self.groups[place].members.iter().map(|one| &self.all[*one]);
        let is_own = |place: &usize| self.groups[*place].members.contains(&index);
        let (own, other) = match settings {
            [a, b] if is_own(&a) => (a, b),
            [a, b] if is_own(&b) => (b, a),
            _ => return run.metric(name),
        };
        let seeds_of = |place| {
            members(place)
                .map(|run| run.seed)
                .collect::<BTreeSet<u64>>()
        };
        let common = &seeds_of(own) & &seeds_of(other);
        let place = common.iter().position(|seed| *seed == run.seed);
        if place.is_none_or(|place| seeds >> place & 1 == 0) {
            return run.metric(name);
        }
        let partner = members(other).find(|one| (one.seed, one.draw) == (run.seed, run.draw))?;
        let middle = |place| {
            let values: Option<Vec<f64>> = members(place).map(|run| run.metric(name)).collect();
            stats::median(&values?)
        };
        Some(partner.metric(name)? - middle(other)? + middle(own)?)
    }

    /// The finished run with this name.
    pub(super) fn named(&self, name: &str) -> Option<&RunData> {
        let is_it = |run: &&RunData| run.name == name && run.absent.is_none();
        self.all.iter().find(is_it)
    }

    /// The setting or replicate named `name`.
    pub(super) fn find(&self, name: &str) -> Option<Found> {
        let setting = self.places.get(name).copied().map(Found::Setting);
        let exact = || self.all.iter().position(|run| run.name == name);
        let alike = || self.groups.iter().position(|one| same_run(&one.name, name));
        let replicate = || self.all.iter().position(|run| same_run(&run.name, name));
        setting
            .or_else(|| exact().map(Found::Replicate))
            .or_else(|| alike().map(Found::Setting))
            .or_else(|| replicate().map(Found::Replicate))
    }

    /// The first replicate of each setting, in plan order.
    pub(super) fn firsts(&self) -> impl Iterator<Item = &RunData> {
        self.groups.iter().map(|group| &self.all[group.members[0]])
    }

    /// The first replicate of the setting at index `place`.
    pub(super) fn first_at(&self, place: usize) -> &RunData {
        &self.all[self.groups[place].members[0]]
    }
}
