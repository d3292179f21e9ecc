//! Values in expressions: runs, lists of runs, pairs of runs.

use super::held_out::HeldOut;
use super::runs::{RunData, Runs};
use super::{ExprError, Scope};
use crate::eval::curve;
use crate::record::{METRICS, MetricPoint, metric};
use crate::stats;
use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A source of variation of a run: its seed or document draw.
type Source = fn(&RunData) -> u64;

#[derive(Debug, Default)]
struct Seen {
    error: Option<ExprError>,
    /// Indices of settings.
    groups: BTreeSet<usize>,
    /// Metrics and series that vary with the seed.
    varying: BTreeSet<String>,
    /// Whether any of them depends on more than the scores of single documents.
    other_than_documents: bool,
    /// The documents of the run with the fewest.
    documents: Option<HeldOut>,
}

/// Results, scope, and notes on what an evaluation read. Cheap to clone; clones share their notes.
#[derive(Clone, Debug)]
pub(super) struct Context {
    pub(super) runs: Arc<Runs>,
    scope: Arc<Mutex<Scope>>,
    seen: Arc<Mutex<Seen>>,
}

impl Context {
    pub(super) fn new(runs: Arc<Runs>, scope: Scope) -> Self {
        Self {
            runs,
            scope: Arc::new(Mutex::new(scope)),
            seen: Arc::default(),
        }
    }

    fn scope(&self) -> Scope {
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins an evaluation in another scope, with empty notes.
    pub(super) fn enter(&self, scope: Scope) {
        *self.scope.lock().unwrap_or_else(PoisonError::into_inner) = scope;
        *self.seen() = Seen::default();
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the first error with its type; minijinja carries only its text.
    pub(super) fn fail(&self, error: ExprError) -> Error {
        let text = error.to_string();
        self.seen().error.get_or_insert(error);
        Error::new(ErrorKind::InvalidOperation, text)
    }

    pub(super) fn take_error(&self) -> Option<ExprError> {
        self.seen().error.take()
    }

    /// The metrics and series read that vary with the seed.
    pub(super) fn varying(&self) -> BTreeSet<String> {
        self.seen().varying.clone()
    }

    /// The held-out documents of the run with the fewest, if everything that varies follows from document scores.
    pub(super) fn documents(&self) -> Option<HeldOut> {
        let seen = self.seen();
        seen.documents.filter(|_| !seen.other_than_documents)
    }

    /// The seeds common to all settings that were read.
    pub(super) fn common_seeds(&self) -> Vec<u64> {
        self.common(|run| run.seed)
    }

    /// The document draws common to all settings that were read.
    pub(super) fn common_draws(&self) -> Vec<u64> {
        self.common(|run| run.draw)
    }

    /// The indices of the settings that were read.
    pub(super) fn settings(&self) -> Vec<usize> {
        self.seen().groups.iter().copied().collect()
    }

    fn common(&self, value: fn(&RunData) -> u64) -> Vec<u64> {
        let seen = self.seen();
        let mut common: Option<BTreeSet<u64>> = None;
        for group in &seen.groups {
            let of_group = self.runs.groups[*group].members.iter();
            let own: BTreeSet<u64> = of_group
                .map(|index| value(&self.runs.all[*index]))
                .collect();
            common = Some(match common {
                Some(common) => common.intersection(&own).copied().collect(),
                None => own,
            });
        }
        common.unwrap_or_default().into_iter().collect()
    }

    /// The `value`s that occur together with every `other` of the setting's runs.
    fn full(
        &self,
        members: &[usize],
        value: fn(&RunData) -> u64,
        other: fn(&RunData) -> u64,
    ) -> BTreeSet<u64> {
        let all = &self.runs.all;
        let others: BTreeSet<u64> = members.iter().map(|index| other(&all[*index])).collect();
        let values: BTreeSet<u64> = members.iter().map(|index| value(&all[*index])).collect();
        let has_all = |one: &u64| {
            let own = members.iter().map(|index| &all[*index]);
            let own = own.filter(|run| value(run) == *one);
            own.map(other).collect::<BTreeSet<u64>>() == others
        };
        values.into_iter().filter(has_all).collect()
    }

    /// The replicates of the setting at index `place` selected by the scope.
    pub(super) fn select(&self, place: usize) -> Result<Setting, ExprError> {
        let group = &self.runs.groups[place];
        let all = &self.runs.all;
        let mut members = group.members.clone();
        let seed: Source = |run| run.seed;
        let draw: Source = |run| run.draw;
        let missing = match self.scope() {
            Scope::Mean
            | Scope::Documents(_)
            | Scope::WithoutDocuments { .. }
            | Scope::Exchanged { .. } => String::new(),
            Scope::Seed(wanted) => {
                // One source of variation at a time: the same draws for every seed.
                let draws = self.full(&members, draw, seed);
                members.retain(|index| {
                    all[*index].seed == wanted && draws.contains(&all[*index].draw)
                });
                format!("with seed {wanted}")
            }
            Scope::WithoutSeed(left_out) => {
                members.retain(|index| all[*index].seed != left_out);
                format!("with another seed than {left_out}")
            }
            Scope::Draw(wanted) => {
                let seeds = self.full(&members, seed, draw);
                members.retain(|index| {
                    all[*index].draw == wanted && seeds.contains(&all[*index].seed)
                });
                format!("of draw {wanted}")
            }
        };
        if members.is_empty() {
            return Err(ExprError::NotAvailable {
                what: format!("`{}` has no run {missing}", group.name),
            });
        }
        self.seen().groups.insert(place);
        Ok(Setting {
            context: self.clone(),
            members,
        })
    }

    /// Whether any run has this axis.
    pub(super) fn has_axis(&self, name: &str) -> bool {
        self.runs.axes.contains(name)
    }

    /// Axis names of all runs.
    pub(super) fn axis_names(&self) -> impl Iterator<Item = &str> {
        self.runs.axes.iter().map(String::as_str)
    }

    /// Records that `name` was read, if it varies with the seed; `documents` are those that determine it, if any.
    fn note(&self, name: &str, documents: Option<HeldOut>) {
        let mut seen = self.seen();
        seen.varying.insert(name.to_owned());
        seen.other_than_documents |= documents.is_none();
        seen.documents = match (seen.documents, documents) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
    }
}

/// One setting in a scope: one replicate, or several to average.
#[derive(Clone, Debug)]
pub(super) struct Setting {
    pub(super) context: Context,
    /// Indices of runs; never empty.
    pub(super) members: Vec<usize>,
}

impl Setting {
    fn replicates(&self) -> impl Iterator<Item = &RunData> {
        let all = &self.context.runs.all;
        self.members.iter().map(|index| &all[*index])
    }

    fn first(&self) -> &RunData {
        &self.context.runs.all[self.members[0]]
    }

    /// Keeps the replicates of a pair's settings with the seeds and draws that both have, if there are any.
    pub(super) fn match_replicates(&mut self, other: &mut Self) {
        let all = Arc::clone(&self.context.runs);
        let source = |index: &usize| (all.all[*index].seed, all.all[*index].draw);
        let own: BTreeSet<_> = self.members.iter().map(source).collect();
        let both: BTreeSet<_> = other.members.iter().map(source).collect();
        let both: BTreeSet<_> = own.intersection(&both).copied().collect();
        if !both.is_empty() {
            for members in [&mut self.members, &mut other.members] {
                members.retain(|index| both.contains(&source(index)));
            }
        }
    }

    fn present(&self) -> Result<(), ExprError> {
        match self.replicates().find_map(|run| run.absent.clone()) {
            Some(what) => Err(ExprError::NotAvailable { what }),
            None => Ok(()),
        }
    }

    /// Metric `name`, averaged over the replicates: over the seeds of each draw of documents, and then over the draws.
    pub(super) fn metric(&self, name: &str) -> Result<f64, ExprError> {
        let known = metric(name);
        let elsewhere = || {
            self.context
                .runs
                .iter()
                .any(|run| run.metric(name).is_some())
        };
        if known.is_none() && !elsewhere() {
            return Err(ExprError::unknown(
                "metric",
                name,
                METRICS.iter().map(|metric| metric.name),
            ));
        }
        self.present()?;
        if known.is_none_or(|metric| metric.varies) {
            let documents: Option<Vec<HeldOut>> =
                self.replicates().map(|run| run.held_out(name)).collect();
            let fewest = documents.and_then(|all| all.into_iter().min());
            self.context.note(name, fewest);
        }
        let scope = self.context.scope();
        let mut values = Vec::with_capacity(self.members.len());
        for index in &self.members {
            let runs = &self.context.runs;
            let run = &runs.all[*index];
            let value = match scope {
                Scope::Exchanged { settings, seeds } => {
                    runs.exchanged(*index, name, settings, seeds)
                }
                _ => run.in_scope(name, scope),
            };
            let value = value.ok_or_else(|| ExprError::NotAvailable {
                what: format!("run `{}` has no `{name}`", run.name),
            })?;
            values.push((run.draw, value));
        }
        Ok(stats::mean(&stats::by_draw(&values)).unwrap_or(f64::NAN))
    }

    /// Series `name`, averaged over the replicates point by point.
    pub(super) fn series(&self, name: &str) -> Result<Vec<(u64, f64)>, ExprError> {
        if !MetricPoint::SERIES.contains(&name) {
            return Err(ExprError::unknown("series", name, MetricPoint::SERIES));
        }
        self.present()?;
        self.context.note(name, None);
        let mut all = self
            .replicates()
            .map(|run| curve::series(&run.series, name).unwrap_or_default());
        let mut sum = all.next().unwrap_or_default();
        for series in all {
            if !series
                .iter()
                .map(|(step, _)| step)
                .eq(sum.iter().map(|(step, _)| step))
            {
                return Err(ExprError::NotAvailable {
                    what: format!(
                        "the replicates of `{}` measured `{name}` at different steps",
                        self.first().group
                    ),
                });
            }
            sum.iter_mut()
                .zip(&series)
                .for_each(|(sum, (_, value))| sum.1 += value);
        }
        if sum.is_empty() {
            return Err(ExprError::NotAvailable {
                what: format!("run `{}` has no `{name}`", self.first().name),
            });
        }
        sum.iter_mut()
            .for_each(|(_, value)| *value /= self.members.len() as f64);
        Ok(sum)
    }

    fn attribute(&self, name: &str) -> Result<Value, ExprError> {
        let first = self.first();
        match name {
            "name" if self.members.len() == 1 => return Ok(Value::from(first.name.clone())),
            "name" | "group" => return Ok(Value::from(first.group.clone())),
            "seed" => return Ok(Value::from(first.seed)),
            "replicates" => return Ok(Value::from(self.members.len())),
            "document_tokens" if first.document_tokens.is_empty() => {
                let what = format!("run `{}` has no counted documents", first.name);
                return Err(ExprError::NotAvailable { what });
            }
            "document_tokens" => {
                let lengths = first.document_tokens.iter().copied().map(f64::from);
                return Ok(Value::from(lengths.collect::<Vec<f64>>()));
            }
            _ => {}
        }
        if metric(name).is_none()
            && let Some((_, value)) = first.axes.iter().find(|(axis, _)| axis == name)
        {
            return Ok(plain(value));
        }
        self.metric(name).map(Value::from)
    }

    /// A setting of the run's key by dot path (`train.epochs`).
    fn setting(&self, path: &str) -> Result<Value, ExprError> {
        let mut value = &*self.first().key;
        for part in path.split('.') {
            value = value.get(part).ok_or_else(|| {
                let keys: Vec<&str> = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| key.as_str())
                    .collect();
                ExprError::unknown("setting", path, keys)
            })?;
        }
        Ok(plain(value))
    }
}

/// A setting or axis value: scalars unchanged, lists and maps as JSON text.
pub(super) fn plain(value: &serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::from(()),
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(value) => match value.as_i64() {
            Some(whole) => Value::from(whole),
            None => Value::from(value.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(value) => Value::from(value.as_str()),
        other => Value::from(other.to_string()),
    }
}

/// Whether the expression's `value` equals [`plain`] of the axis value `own`.
pub(super) fn is_plain(own: &serde_json::Value, value: &Value) -> bool {
    match (own, value.as_str()) {
        (serde_json::Value::String(own), Some(text)) => own == text,
        (serde_json::Value::String(_), None) => false,
        (own, _) => plain(own) == *value,
    }
}

/// The single string argument of a method.
fn one_text(method: &str, args: &[Value]) -> Result<String, ExprError> {
    match args {
        [name] if name.as_str().is_some() => Ok(name.to_string()),
        _ => Err(ExprError::Invalid {
            reason: format!("`{method}` takes one text, such as `.{method}('val/loss')`"),
        }),
    }
}

impl Object for Setting {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        Some(
            self.attribute(name)
                .unwrap_or_else(|error| Value::from(self.context.fail(error))),
        )
    }

    fn call_method(
        self: &Arc<Self>,
        _: &mut State<'_, '_>,
        method: &str,
        args: &[Value],
    ) -> Result<Value, Error> {
        let list = |values: Vec<f64>| Value::from(values);
        let result = one_text(method, args).and_then(|name| match method {
            "series" => self
                .series(&name)
                .map(|points| list(points.iter().map(|point| point.1).collect())),
            "steps" => self
                .series(&name)
                .map(|points| list(points.iter().map(|point| point.0 as f64).collect())),
            "metric" => self.metric(&name).map(Value::from),
            "setting" => self.setting(&name),
            _ => Err(ExprError::unknown(
                "method",
                method,
                ["series", "steps", "metric", "setting"],
            )),
        });
        result.map_err(|error| self.context.fail(error))
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.first().group)
    }
}

/// Several settings, or pairs of settings: reading a metric gives a list.
#[derive(Clone, Debug)]
pub(super) struct Many {
    pub(super) context: Context,
    pub(super) first: Vec<Setting>,
    /// The second settings of pairs; as many as `first`.
    pub(super) second: Option<Vec<Setting>>,
}

impl Many {
    /// `read` of every setting; for pairs, first − second.
    pub(super) fn each(
        &self,
        read: impl Fn(&Setting) -> Result<f64, ExprError>,
    ) -> Result<Vec<f64>, ExprError> {
        let values = |settings: &[Setting]| -> Result<Vec<f64>, ExprError> {
            settings.iter().map(&read).collect()
        };
        let mut first = values(&self.first)?;
        if let Some(second) = &self.second {
            first
                .iter_mut()
                .zip(values(second)?)
                .for_each(|(a, b)| *a -= b);
        }
        Ok(first)
    }

    fn half(&self, settings: &[Setting]) -> Value {
        Value::from_object(Self {
            context: self.context.clone(),
            first: settings.to_vec(),
            second: None,
        })
    }
}

impl Object for Many {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Iterable
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        match (name, &self.second) {
            ("first", Some(_)) => return Some(self.half(&self.first)),
            ("second", Some(second)) => return Some(self.half(second)),
            _ => {}
        }
        if self.second.is_none() && metric(name).is_none() && self.context.has_axis(name) {
            let values: Result<Vec<Value>, ExprError> = self
                .first
                .iter()
                .map(|setting| setting.attribute(name))
                .collect();
            return Some(
                values.map_or_else(|error| Value::from(self.context.fail(error)), Value::from),
            );
        }
        let list = self.each(|setting| setting.metric(name));
        Some(list.map_or_else(|error| Value::from(self.context.fail(error)), Value::from))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        let values: Vec<Value> = match &self.second {
            None => self.first.iter().cloned().map(Value::from_object).collect(),
            Some(second) => self
                .first
                .iter()
                .zip(second)
                .map(|(a, b)| {
                    Value::from(vec![
                        Value::from_object(a.clone()),
                        Value::from_object(b.clone()),
                    ])
                })
                .collect(),
        };
        Enumerator::Values(values)
    }

    fn render(self: &Arc<Self>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} {}",
            self.first.len(),
            if self.second.is_some() {
                "pairs"
            } else {
                "runs"
            }
        )
    }
}
