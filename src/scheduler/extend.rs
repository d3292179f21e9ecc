//! Longer runs that extend shorter ones.
//!
//! A run that differs from a finished one only in its length, and in a schedule that gave the same rates so far, begins
//! with the same steps. If the shorter run kept its final checkpoint, the longer one continues from there and ends with
//! the same bits. The final validation that the shorter run added to its last step is removed again.

use crate::data::batch::Course;
use crate::plan::{Run, RunKey};
use crate::record::{MetricPoint, Numerics, RunId, RunRecord, RunStatus};
use crate::spec::Keep;
use crate::store::{Store, StoreError};
use crate::train::{Place, learning_rate, validation_due};
use std::sync::{Mutex, PoisonError};

/// A finished run that kept its final checkpoint.
#[derive(Clone, Debug)]
pub struct Base {
    /// The run.
    pub id: RunId,
    /// Its spec and name, `spec/name`.
    pub name: String,
    /// Steps done.
    pub steps: u64,
    steps_per_epoch: u64,
    key: RunKey,
    numerics: Numerics,
}

impl Base {
    /// The facts needed to continue from a record; `None` for a run without a checkpoint.
    fn of(record: &RunRecord) -> Option<Self> {
        let mut files = record.files.keys();
        let has_checkpoint = files.any(|name| name.starts_with("checkpoint/"));
        Self::without_checkpoint(record).filter(|_| has_checkpoint)
    }

    /// As [`Self::of`], whether or not the checkpoint was kept; `None` for a run that failed, has no steps, or was made
    /// by another version.
    fn without_checkpoint(record: &RunRecord) -> Option<Self> {
        let steps = record.counts.steps;
        let per_epoch = steps as f64 / record.metrics.get("epochs")?;
        let is_usable = record.status == RunStatus::Cached && per_epoch.is_finite();
        is_usable.then_some(Self {
            id: record.id,
            name: format!("{}/{}", record.spec, record.name),
            steps,
            steps_per_epoch: (per_epoch.round() as u64).max(1),
            key: serde_json::from_value(record.key.clone()).ok()?,
            numerics: record.numerics.clone(),
        })
    }

    /// Whether a run with this key and number of steps begins with the steps of this one.
    fn begins(&self, key: &RunKey, steps: u64) -> bool {
        // A token budget may truncate the last step.
        if self.steps == 0 || self.steps >= steps || self.key.train.max_tokens.is_some() {
            return false;
        }
        let mut same = self.key.clone();
        same.train.epochs = key.train.epochs;
        same.train.max_steps = key.train.max_steps;
        same.train.max_tokens = key.train.max_tokens;
        same.train.schedule = key.train.schedule;
        if same != *key {
            return false;
        }
        let rate = |key: &RunKey, step| learning_rate(&key.train, step).to_bits();
        let same_rates = self.key.train.schedule == key.train.schedule
            || (0..self.steps).all(|step| rate(&self.key, step) == rate(key, step));
        // The validation at the end of the shorter run may have chosen weights that the longer one never validates.
        same_rates && (key.train.keep == Keep::Last || self.end_is_validated(key, steps))
    }

    fn end_is_validated(&self, key: &RunKey, steps: u64) -> bool {
        let end_of_epoch = self.steps.is_multiple_of(self.steps_per_epoch);
        let is_stream = key.data.sequence.get().shape() == crate::data::sequence::Shape::Stream;
        let place = Place {
            step: self.steps - 1,
            steps,
            end_of_epoch: end_of_epoch && !is_stream,
            // Unknown for one step: a token cadence then gives false.
            tokens: [0, 0],
        };
        validation_due(&key.train, place)
    }
}

/// Whether `run` begins with the steps of a finished run, and could extend it had it kept its checkpoint.
pub fn begins_like(record: &RunRecord, run: &Run) -> bool {
    let base = Base::without_checkpoint(record);
    base.is_some_and(|base| base.begins(&run.key, run.estimate.steps))
}

/// The finished runs of a store that can be extended; read on first use.
#[derive(Debug, Default)]
pub struct Bases(Mutex<Option<Vec<Base>>>);

impl Bases {
    /// The longest finished run whose steps `run` begins with, if `numerics` guarantees the same bits.
    ///
    /// # Errors
    /// A store that cannot be read.
    pub fn find(
        &self,
        store: &Store,
        run: &Run,
        steps: u64,
        numerics: &Numerics,
    ) -> Result<Option<Base>, StoreError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bases = match &mut *known {
            Some(bases) => bases,
            None => known.insert(Self::read(store)?),
        };
        let fits =
            |base: &&Base| base.numerics.agrees_with(numerics) && base.begins(&run.key, steps);
        Ok(bases
            .iter()
            .filter(fits)
            .max_by_key(|base| base.steps)
            .cloned())
    }

    fn read(store: &Store) -> Result<Vec<Base>, StoreError> {
        let mut bases = Vec::new();
        for id in store.ids(false)? {
            if store.keeps_checkpoint(&id)?
                && let Ok(Some(record)) = store.record(&id)
            {
                bases.extend(Base::of(&record));
            }
        }
        Ok(bases)
    }

    /// Adds a newly finished run.
    pub(super) fn add(&self, record: &RunRecord) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bases) = &mut *known {
            bases.extend(Base::of(record));
        }
    }
}

/// Adapts a step of a shorter run to the longer one with the given `course`; `before` is the token count of the steps
/// before it.
pub(super) fn adapt(point: &mut MetricPoint, before: u64, run: &Run, course: &Course<'_>) {
    point.epoch = course.epochs_done(point.step);
    let place = Place {
        step: point.step - 1,
        steps: course.steps(),
        end_of_epoch: point.step.is_multiple_of(course.steps_per_epoch().max(1)),
        tokens: [before, point.tokens],
    };
    if !validation_due(&run.settings.train, place) {
        (point.val_loss, point.val_ce, point.val_loss_batch_mean) = (None, None, None);
    }
}
