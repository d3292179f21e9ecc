//! Expressions over results: the measures of claims and the `{{ }}` of text cells. Built on minijinja, limited by fuel.
//!
//! An expression can access only [`Results`]: no files, no clock, no other template. Corpus and sample texts are
//! values, never templates. Statements (`{% %}`) are not available, so nothing can loop; lengths, fuel and output are
//! bounded as well.
//!
//! See [`FUNCTIONS`] and [`FILTERS`].
//!
//! Replicates of a setting differ in their seed or document draw. [`Scope::Mean`] averages every metric over the seeds
//! of each draw and then over the draws, and every series point by point; [`Scope::Seed`] and [`Scope::Draw`] take the
//! replicates with that seed or draw. `run('25x100,seed=1')` is the same replicate in any scope.

mod advice;
mod estimate;
mod functions;
mod held_out;
mod list;
mod names;
mod runs;
mod text;
mod value;

#[cfg(test)]
pub(crate) mod tests;

pub use estimate::{Estimate, exchanges};
pub use held_out::HeldOut;

use crate::record::Results;
pub(crate) use list::{FILTERS, FUNCTIONS, Function};
use minijinja::{Environment, UndefinedBehavior, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use value::Context;

/// Longest expression, in bytes.
const MAX_EXPRESSION: usize = 4_000;
/// Longest list of numbers.
const MAX_LIST: usize = 1_000_000;
/// Virtual machine steps per expression.
const FUEL: u64 = 20_000;

/// The replicates an expression uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The mean over all replicates.
    Mean,
    /// Replicates with this seed, from the draws that have every seed.
    Seed(u64),
    /// Replicates with any other seed.
    WithoutSeed(u64),
    /// Replicates of this document draw, with the seeds that every draw has.
    Draw(u64),
    /// All replicates; metrics that follow from the scores of held-out documents are computed on the n-th resample of
    /// the documents.
    Documents(u64),
    /// All replicates; such metrics are computed without one group of documents.
    WithoutDocuments {
        /// The omitted group: documents `part`, `part + groups` and so on.
        part: usize,
        /// Number of groups.
        groups: usize,
    },
    /// All replicates; two settings exchange their values in some of their common seeds, each shifted by the difference
    /// of their medians.
    Exchanged {
        /// Indices of the settings.
        settings: [usize; 2],
        /// Bit n: exchange in the n-th common seed.
        seeds: u64,
    },
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExprError {
    /// A run, metric or step missing from the results; the expression is valid.
    #[error("{what}")]
    NotAvailable {
        /// What is missing and why.
        what: String,
    },
    /// An unknown name.
    #[error("unknown {kind} `{name}`{}", hint(.near, *.all))]
    Unknown {
        /// `run`, `metric`, `series`, `axis`, `axis value`, `function`, `filter`, `value`.
        kind: &'static str,
        /// As written.
        name: String,
        /// Candidate names, nearest first if there are many.
        near: Vec<String>,
        /// Whether `near` is complete.
        all: bool,
    },
    /// A known name that is not a value by itself.
    #[error("`{name}` alone is not a value: {advice}")]
    Alone {
        /// As written.
        name: String,
        /// Its kind and usage.
        advice: String,
    },
    /// The expression cannot be read or evaluated.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The expression is valid but has no value over these results, for example because it divides by a measured zero.
    #[error("{reason}")]
    NoValue {
        /// Why not.
        reason: String,
    },
    /// The expression exceeds a limit on work or text.
    #[error("the expression is too costly: {limit}")]
    TooCostly {
        /// Which limit.
        limit: String,
    },
    /// An error in a text cell.
    #[error("line {line} of the text: {source}")]
    InText {
        /// Line inside the text, from 1.
        line: usize,
        /// The expression.
        expression: String,
        /// The error.
        source: Box<Self>,
    },
}

fn hint(near: &[String], all: bool) -> String {
    match near {
        [] => String::new(),
        names if all => format!(", expected one of `{}`", names.join("`, `")),
        names => format!(", the nearest names are `{}`", names.join("`, `")),
    }
}

impl ExprError {
    /// Whether only results are missing; the claim is then `not checkable here`.
    pub fn is_not_available(&self) -> bool {
        match self {
            Self::NotAvailable { .. } => true,
            Self::InText { source, .. } => source.is_not_available(),
            _ => false,
        }
    }

    /// Whether the cause is the available results, not the expression.
    pub(crate) fn is_without_value(&self) -> bool {
        self.is_not_available() || matches!(self, Self::NoValue { .. })
    }

    fn unknown<'a>(
        kind: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let mut near: Vec<&str> = known.into_iter().collect();
        near.dedup();
        // A short list is shown completely; of a long one, the most similar names, those that contain the word first.
        let all = near.len() <= 6;
        if !all {
            near.sort_unstable();
            crate::human::likest_first(&mut near, name);
            near.truncate(3);
        }
        let near = near.into_iter().map(str::to_owned).collect();
        Self::Unknown {
            kind,
            name: name.to_owned(),
            near,
            all,
        }
    }
}

/// The result of an expression, and what it read.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The number, or the numbers of a list.
    pub values: Vec<f64>,
    /// Whether the result is a list.
    pub is_list: bool,
    /// Seeds common to all settings it read (settings pinned to one replicate do not count); empty if it read none.
    pub seeds: Vec<u64>,
    /// Document draws common to all settings.
    pub draws: Vec<u64>,
    /// Indices of the settings it read.
    pub settings: Vec<usize>,
    /// The metrics and series it read that vary with the seed.
    pub varying: Vec<String>,
    /// The held-out documents to resample, if everything that varies follows from their scores.
    pub documents: Option<HeldOut>,
}

/// A text with its values filled in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Reasons for missing values, each once.
    pub missing: Vec<String>,
}

/// Results prepared for evaluating many expressions.
pub struct Session {
    runs: Arc<runs::Runs>,
}

impl Session {
    /// Prepares `results`.
    pub fn new(results: Results) -> Self {
        Self {
            runs: Arc::new(runs::Runs::new(results)),
        }
    }

    /// Prepares `expression` for evaluation in several scopes.
    ///
    /// # Errors
    /// An expression that cannot be read.
    pub fn prepare<'a>(&self, expression: &'a str) -> Result<Prepared<'a>, ExprError> {
        checked_length(expression)?;
        let context = Context::new(Arc::clone(&self.runs), Scope::Mean);
        Ok(Prepared {
            environment: environment(expression, &context),
            context,
            expression,
        })
    }

    /// Adds the names of the runs and settings of all profiles: a name that only the current profile lacks is missing,
    /// a name that no profile has is an error.
    pub fn with_all_names(
        mut self,
        names: impl FnOnce() -> BTreeSet<String> + Send + 'static,
    ) -> Self {
        if let Some(runs) = Arc::get_mut(&mut self.runs) {
            runs.everywhere = Some(runs::Lazy::new(Box::new(names)));
        }
        self
    }

    /// Replaces every `{{ expression }}` in `template` by its value ([`Scope::Mean`]), or by a dash if it has none.
    ///
    /// # Errors
    /// [`ExprError::InText`] with the line inside the text.
    pub fn text(&self, template: &str) -> Result<Filled, ExprError> {
        text::render(template, &Context::new(Arc::clone(&self.runs), Scope::Mean))
    }
}

/// An expression, ready to be evaluated.
pub struct Prepared<'a> {
    environment: Environment<'static>,
    context: Context,
    expression: &'a str,
}

impl Prepared<'_> {
    /// The number or list of numbers given by the expression in each of `scopes`.
    ///
    /// # Errors
    /// See [`ExprError`]; also if the result is neither. NaN counts as a number.
    pub fn measure(&self, scopes: &[Scope]) -> Result<Vec<Measured>, ExprError> {
        let compiled = self.environment.compile_expression(self.expression);
        let compiled = compiled.map_err(|error| invalid(&error))?;
        let one = |scope: &Scope| {
            self.context.enter(*scope);
            let value = settled(self.expression, &self.context, compiled.eval(()))?;
            let (values, is_list) = numbers_of(&value).ok_or_else(|| ExprError::Invalid {
                reason: format!("the expression gives {} instead of a number", value.kind()),
            })?;
            Ok(Measured {
                values,
                is_list,
                seeds: self.context.common_seeds(),
                draws: self.context.common_draws(),
                settings: self.context.settings(),
                varying: self.context.varying().into_iter().collect(),
                documents: self.context.documents(),
            })
        };
        scopes.iter().map(one).collect()
    }
}

fn checked_length(expression: &str) -> Result<(), ExprError> {
    let limit = format!(
        "{} bytes, at most {MAX_EXPRESSION} are allowed",
        expression.len()
    );
    if expression.len() > MAX_EXPRESSION {
        Err(ExprError::TooCostly { limit })
    } else {
        Ok(())
    }
}

fn environment(expression: &str, context: &Context) -> Environment<'static> {
    let mut environment = Environment::empty();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    environment.set_debug(false);
    functions::install(&mut environment, expression, context);
    environment
}

/// Evaluates `expression`; a missing result noted in the context takes precedence over any other error.
fn evaluate(expression: &str, context: &Context) -> Result<Value, ExprError> {
    checked_length(expression)?;
    let environment = environment(expression, context);
    let compiled = environment
        .compile_expression(expression)
        .map_err(|error| invalid(&error))?;
    settled(expression, context, compiled.eval(()))
}

/// The value, or the most informative error.
fn settled(
    expression: &str,
    context: &Context,
    value: Result<Value, minijinja::Error>,
) -> Result<Value, ExprError> {
    if let Some(error) = context.take_error() {
        return Err(error);
    }
    match value {
        Ok(value) if value.is_undefined() => Err(names::unknown_or(
            expression,
            &context.runs,
            ExprError::NoValue {
                reason: "the expression gives nothing".to_owned(),
            },
        )),
        Ok(value) => Ok(value),
        // An unknown function is found only when called: report its name and the available ones.
        Err(error) => {
            let detail = error.detail().map(str::to_owned);
            let error = match invalid(&error) {
                ExprError::Invalid { reason } => ExprError::NoValue {
                    reason: detail.unwrap_or(reason),
                },
                other => other,
            };
            Err(names::unknown_or(expression, &context.runs, error))
        }
    }
}

fn invalid(error: &minijinja::Error) -> ExprError {
    if error.kind() == minijinja::ErrorKind::OutOfFuel {
        return ExprError::TooCostly {
            limit: format!("more than {FUEL} steps"),
        };
    }
    let reason = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    ExprError::Invalid { reason }
}

/// A number, or a boolean as 1 or 0.
fn number_of(value: &Value) -> Option<f64> {
    match value.kind() {
        minijinja::value::ValueKind::Number => f64::try_from(value.clone()).ok(),
        minijinja::value::ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => None,
    }
}

/// The number, or all numbers of a list, and whether it was a list.
fn numbers_of(value: &Value) -> Option<(Vec<f64>, bool)> {
    if let Some(number) = number_of(value) {
        return Some((vec![number], false));
    }
    let is_list = value.kind() == minijinja::value::ValueKind::Seq;
    if !is_list || value.len().is_none_or(|length| length > MAX_LIST) {
        return None;
    }
    let numbers: Option<Vec<f64>> = value
        .try_iter()
        .ok()?
        .map(|item| number_of(&item))
        .collect();
    Some((numbers?, true))
}
