//! Suggestions for bare names, unknown axis values, and invalid expressions.

use super::list::{FILTERS, FUNCTIONS, Function};
use super::runs::Runs;
use super::value::is_plain;
use super::{ExprError, invalid};
use crate::eval::curve::training_metrics;
use crate::record::{MetricPoint, metric};
use minijinja::machinery::ast::Expr;
use std::collections::BTreeSet;

/// The error for a bare name without a value.
pub(super) fn alone(runs: &Runs, more: &[&str], name: &str) -> ExprError {
    let advice = |advice: String| ExprError::Alone {
        name: name.to_owned(),
        advice,
    };
    let setting = runs.groups.first().map_or("…", |first| &first.name);
    let is_known = |functions| names_of(functions).any(|known| known == name);
    if runs.find(name).is_some() {
        advice(format!(
            "a run is named in quotes: `run('{name}').val_loss`"
        ))
    } else if is_metric(name) || more.contains(&name) {
        advice(format!(
            "a metric belongs to a run: `run('{setting}').{name}`"
        ))
    } else if runs.axes.contains(name) {
        advice(format!(
            "an axis belongs to a run: `run('{setting}').{name}`"
        ))
    } else if is_known(FUNCTIONS) {
        advice(format!("it is a function: `{name}(…)`"))
    } else if is_known(FILTERS) {
        advice(format!("it is a filter: `x | {name}`"))
    } else {
        ExprError::unknown("value", name, [])
    }
}

/// Checks that the axis has the value in the default profile, which has every run that a notebook names.
pub(super) fn axis_value(runs: &Runs, axis: &str, value: &Expr<'_>) -> Result<(), ExprError> {
    let Expr::Const(constant) = value else {
        return Ok(());
    };
    let own = runs.all.iter().flat_map(|run| &run.axes);
    let own = || own.clone().filter(|(name, _)| name == axis);
    let is_there = own().any(|(_, own)| is_plain(own, &constant.value));
    if runs.is_part() || is_there || own().next().is_none() {
        return Ok(());
    }
    let known: Vec<String> = own().map(|(_, own)| plain_text(own)).collect();
    let known: BTreeSet<&str> = known.iter().map(String::as_str).collect();
    let wanted = constant.value.to_string();
    Err(ExprError::unknown("axis value", &wanted, known))
}

/// Why an expression cannot be parsed, with advice on common mistakes.
pub(super) fn unreadable(expression: &str, error: &minijinja::Error) -> ExprError {
    let parentheses = |sign| expression.matches(sign).count();
    let advice = if expression.contains("{{") {
        "a `{{` is not closed by `}}`"
    } else if parentheses('(') > parentheses(')') {
        "a `(` is not closed by `)`"
    } else if expression.contains(":.") {
        "digits are told by a filter: `x | round(2)`"
    } else if expression.contains('%') {
        "a percentage is shown by a filter: `x | percent`"
    } else if expression.contains('^') {
        "a power is `pow(x, 2)`"
    } else if expression.contains(" = ") || expression.contains(';') {
        "an expression is one value: it assigns nothing and ends without `;`"
    } else {
        return invalid(error);
    };
    ExprError::Invalid {
        reason: format!("{}; {advice}", invalid(error)),
    }
}

/// An axis value as written in an expression without quotes.
fn plain_text(value: &serde_json::Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether a run may have the metric: a listed one, or one derived from curves.
pub(super) fn is_metric(name: &str) -> bool {
    let point = MetricPoint {
        val_loss: Some(1.0),
        val_ce: Some(1.0),
        val_loss_batch_mean: Some(1.0),
        ..MetricPoint::default()
    };
    metric(name).is_some() || training_metrics(&[point]).contains_key(name)
}

pub(super) fn names_of(functions: &'static [Function]) -> impl Iterator<Item = &'static str> {
    functions.iter().map(|function| function.name)
}

pub(super) fn is_function(name: &str) -> bool {
    names_of(FUNCTIONS).any(|known| known == name)
}
