//! What types cannot say: ranges and rules between settings, each a named function. Nothing here changes a value.

mod across;
mod data;
mod model;
mod train;

use super::error::Problem;
use super::{DataSettings, EvalSettings, ModelSettings, TrainSettings};
use across::{
    eval_fits_slices, eval_in_range, length_fits_sequence, sequence_fits_model, windows_fit_model,
};
use data::{data_counts, slices_do_not_overlap, tokenizer_fits_corpus};
use model::{arch_has_its_settings, heads_divide_dim, model_sizes};
use train::{loss_in_range, optimizer_in_range, schedule_fits, train_counts};

/// The sections of a run that could be decoded.
pub(crate) struct Sections<'a> {
    pub(crate) data: Option<&'a DataSettings>,
    pub(crate) model: Option<&'a ModelSettings>,
    pub(crate) train: Option<&'a TrainSettings>,
    pub(crate) eval: Option<&'a EvalSettings>,
}

/// A problem and the setting it points at.
pub(crate) struct Finding {
    pub(crate) path: String,
    pub(crate) problem: Problem,
}

type Findings = Vec<Finding>;

/// Checks one run's settings.
pub(crate) fn check(sections: &Sections<'_>) -> Findings {
    let mut findings = Vec::new();
    if let Some(model) = sections.model {
        model_sizes(model, &mut findings);
        heads_divide_dim(model, &mut findings);
        arch_has_its_settings(model, &mut findings);
    }
    if let Some(train) = sections.train {
        train_counts(train, &mut findings);
        optimizer_in_range(train, &mut findings);
        schedule_fits(train, &mut findings);
        loss_in_range(train, &mut findings);
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
    findings
}

fn add(findings: &mut Findings, path: &str, problem: Problem) {
    findings.push(Finding {
        path: path.to_owned(),
        problem,
    });
}

fn say(findings: &mut Findings, path: &str, message: impl Into<String>) {
    add(findings, path, Problem::new(message));
}

/// A whole number of at least `least`.
fn at_least(findings: &mut Findings, path: &str, value: usize, least: usize) {
    if value < least {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it has to be at least {least}"),
        );
    }
}

/// A whole number within bounds.
fn between(findings: &mut Findings, path: &str, value: usize, least: usize, most: usize) {
    at_least(findings, path, value, least);
    if value > most {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it may be at most {most}"),
        );
    }
}

/// A number that has to satisfy `holds`, described by `range`.
fn in_range(findings: &mut Findings, path: &str, value: f64, holds: bool, range: &str) {
    if !holds || !value.is_finite() {
        say(
            findings,
            path,
            format!("`{path}` is {value}; it has to be {range}"),
        );
    }
}
