//! Checks that types cannot express: ranges and rules between settings, each a named function. Nothing here
//! changes a value.

mod across;
mod data;
mod train;

use super::{DataSettings, EvalSettings, ModelSettings, TrainSettings};
use crate::choices::{Finding, Findings};
use across::{
    eval_fits_slices, eval_in_range, length_fits_sequence, sequence_fits_model, windows_fit_model,
};
use data::{data_counts, slices_do_not_overlap, tokenizer_fits_corpus};
use train::{choices_are_allowed, optimizer_in_range, train_counts};

/// The successfully decoded sections of a run.
pub(crate) struct Sections<'a> {
    pub(crate) data: Option<&'a DataSettings>,
    pub(crate) model: Option<&'a ModelSettings>,
    pub(crate) train: Option<&'a TrainSettings>,
    pub(crate) eval: Option<&'a EvalSettings>,
}

/// Checks one run's settings.
pub(crate) fn check(sections: &Sections<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    if let Some(model) = sections.model {
        model.check(&mut findings);
    }
    if let Some(train) = sections.train {
        train_counts(train, &mut findings);
        optimizer_in_range(train, &mut findings);
        choices_are_allowed(train, &mut findings);
    }
    if let Some(data) = sections.data {
        data_counts(data, &mut findings);
        tokenizer_fits_corpus(data, &mut findings);
        slices_do_not_overlap(data, &mut findings);
    }
    if let Some(eval) = sections.eval {
        eval_in_range(eval, &mut findings);
    }
    if let (Some(data), Some(model)) = (sections.data, sections.model) {
        sequence_fits_model(data, model, &mut findings);
    }
    if let (Some(data), Some(train)) = (sections.data, sections.train) {
        length_fits_sequence(data, train, &mut findings);
    }
    if let (Some(eval), Some(model)) = (sections.eval, sections.model) {
        windows_fit_model(eval, model, &mut findings);
    }
    if let (Some(data), Some(eval)) = (sections.data, sections.eval) {
        eval_fits_slices(data, eval, &mut findings);
    }
    findings.0
}
