//! Expressions over results: the measures of claims and the `{{ }}` of text cells. Built on minijinja, limited by fuel.
//!
//! An expression sees [`Results`] only: no file, no clock, no other template. Corpus and sample texts are values, never
//! templates. Statements (`{% %}`) are not available, so nothing can loop; lengths, fuel and output are bounded all the same.
//!
//! [`FUNCTIONS`] and [`FILTERS`] list what there is.
//!
//! With several seeds, [`Scope::Seed`] takes each setting's replicate with that seed and [`Scope::Mean`] averages every
//! metric, and every series point by point, over the replicates. `run('25x100,seed=1')` is that replicate in any scope.

mod functions;
mod list;
mod names;
mod runs;
mod text;
mod value;

#[cfg(test)]
pub(crate) mod tests;

use crate::record::Results;
pub(crate) use list::{FILTERS, FUNCTIONS, Function};
use minijinja::{Environment, UndefinedBehavior, Value};
use std::collections::BTreeSet;
use std::sync::Arc;
use value::Context;

/// Longest expression, in bytes.
const MAX_EXPRESSION: usize = 4_000;
/// Virtual machine steps per expression.
const FUEL: u64 = 20_000;

/// Which replicates an expression sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Those with this seed.
    Seed(u64),
    /// The mean over all seeds.
    Mean,
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
    fn is_without_value(&self) -> bool {
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
            let likeness = |known: &str| {
                strsim::jaro_winkler(known, name) + f64::from(u8::from(known.contains(name)))
            };
            near.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)).then(a.cmp(b)));
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
    /// The number.
    pub value: f64,
    /// Seeds that every setting it read has (settings pinned to one replicate do not count); empty where it read none.
    pub seeds: Vec<u64>,
    /// Whether a single seed can decide it: it reads metrics that vary with the seed from single runs, and is
    /// neither a count, nor made of five or more runs or pairs, nor declared a `formula`.
    pub seed_dependent: bool,
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

    /// Evaluates `expression` to a number.
    ///
    /// # Errors
    /// See [`ExprError`]; also where the result is no number. NaN is a number here.
    pub fn measure(&self, expression: &str, at: Scope) -> Result<Measured, ExprError> {
        let context = Context::new(Arc::clone(&self.runs), at);
        let value = evaluate(expression, &context)?;
        let value = number_of(&value).ok_or_else(|| ExprError::Invalid {
            reason: format!("the expression gives {} instead of a number", value.kind()),
        })?;
        Ok(Measured {
            value,
            seeds: context.common_seeds(),
            seed_dependent: context.seed_dependent(),
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
    let value = compiled.eval(());
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
