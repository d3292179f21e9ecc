//! Expressions over results: the measures of claims and the `{{ }}` of text cells. Built on minijinja, limited by fuel.
//!
//! An expression sees [`Results`] only: no file, no clock, no other template. Corpus and sample texts are values, never
//! templates. Statements (`{% %}`) are not available, so nothing can loop; lengths, fuel and output are bounded all the same.
//!
//! [`FUNCTIONS`] and [`FILTERS`] list what there is.
//!
//! Replicates of a setting differ in their seed or in their draw of documents. [`Scope::Mean`] averages every metric over the
//! seeds of each draw and then over the draws, and every series point by point; [`Scope::Seed`] and [`Scope::Draw`] take the
//! replicates with that seed or draw. `run('25x100,seed=1')` is that replicate in any scope.

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

/// Which replicates an expression sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The mean over all of them.
    Mean,
    /// Those with this seed, of the draws that have every seed.
    Seed(u64),
    /// Those with another seed.
    WithoutSeed(u64),
    /// Those of this draw of documents, with the seeds that every draw has.
    Draw(u64),
    /// All of them; metrics that follow from the scores of held-out documents are taken over the n-th resample of these.
    Documents(u64),
    /// All of them; such metrics are taken without one of so many groups of documents.
    WithoutDocuments {
        /// The group that is left out: documents `part`, `part + groups` and so on.
        part: usize,
        /// How many groups there are.
        groups: usize,
    },
    /// All of them; two settings exchange their values in some of their common seeds, each moved by the difference of their medians.
    Exchanged {
        /// Places of the settings.
        settings: [usize; 2],
        /// Bit n: in the n-th common seed.
        seeds: u64,
    },
}

/// Why an expression gives nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ExprError {
    /// A run, metric or step that is not there (yet): the expression is right, the results lack it.
    #[error("{what}")]
    NotAvailable {
        /// What is missing and why.
        what: String,
    },
    /// A name that nothing has.
    #[error("unknown {kind} `{name}`{}", hint(.near, *.all))]
    Unknown {
        /// `run`, `metric`, `series`, `axis`, `function`, `filter`.
        kind: &'static str,
        /// As written.
        name: String,
        /// Names it could be, nearest first where there are many.
        near: Vec<String>,
        /// Whether `near` is all there is.
        all: bool,
    },
    /// The expression cannot be read or evaluated.
    #[error("{reason}")]
    Invalid {
        /// What is wrong.
        reason: String,
    },
    /// The expression is right, but has no value over these results: it divides by a measured zero, for example.
    #[error("{reason}")]
    NoValue {
        /// Why not.
        reason: String,
    },
    /// It asks for more work or text than is allowed.
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
    /// Whether only results are missing: the claim is then `not checkable here`.
    pub fn is_not_available(&self) -> bool {
        match self {
            Self::NotAvailable { .. } => true,
            Self::InText { source, .. } => source.is_not_available(),
            _ => false,
        }
    }

    /// Whether the results at hand are to blame, and not the expression.
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
        // Few names are all shown; of many, the likest: those that hold the word first.
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

/// What an expression gave, and what it looked at on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The number, or the numbers of a list.
    pub values: Vec<f64>,
    /// Whether it gave a list.
    pub is_list: bool,
    /// Seeds that every setting it read has (settings pinned to one replicate do not count); empty where it read none.
    pub seeds: Vec<u64>,
    /// Draws of documents that every setting has.
    pub draws: Vec<u64>,
    /// Places of the settings it read.
    pub settings: Vec<usize>,
    /// The metrics and series it read that vary with the seed.
    pub varying: Vec<String>,
    /// The held-out documents there are to resample, where all that varies follows from their scores.
    pub documents: Option<HeldOut>,
}

/// A text with its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// The text.
    pub text: String,
    /// Why values are missing, each reason once.
    pub missing: Vec<String>,
}

/// Results prepared for many expressions.
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

    /// Prepares `expression` to be evaluated in several scopes.
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

    /// Knows the names of the runs and settings of all profiles: one that the profile at hand lacks is missing, one that no
    /// profile has is a mistake.
    pub fn with_all_names(
        mut self,
        names: impl FnOnce() -> BTreeSet<String> + Send + 'static,
    ) -> Self {
        if let Some(runs) = Arc::get_mut(&mut self.runs) {
            runs.everywhere = Some(runs::Lazy::new(Box::new(names)));
        }
        self
    }

    /// Replaces every `{{ expression }}` of `template` by its value ([`Scope::Mean`]), and by a dash where these results
    /// give it none.
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
    /// The number or the list of numbers that the expression gives in each of `scopes`.
    ///
    /// # Errors
    /// See [`ExprError`]; also where the result is neither. NaN is a number here.
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

/// Evaluates `expression`; what the context noted as missing goes before any other error.
fn evaluate(expression: &str, context: &Context) -> Result<Value, ExprError> {
    checked_length(expression)?;
    let environment = environment(expression, context);
    let compiled = environment
        .compile_expression(expression)
        .map_err(|error| invalid(&error))?;
    settled(expression, context, compiled.eval(()))
}

/// The value, or the error that tells most.
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
        // An unknown function is only seen when it is called: say its name and what there is.
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

/// Numbers and truth values (1 and 0).
fn number_of(value: &Value) -> Option<f64> {
    match value.kind() {
        minijinja::value::ValueKind::Number => f64::try_from(value.clone()).ok(),
        minijinja::value::ValueKind::Bool => Some(f64::from(u8::from(value.is_true()))),
        _ => None,
    }
}

/// A number, or all numbers of a list, and whether it was a list.
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
