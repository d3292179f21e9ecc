//! Expressions over made-up results: whether every name they hold is known, in whichever branch it stands.

use super::runs::{Lazy, RunData, Runs, without_seed};
use super::value::Context;
use super::{ExprError, Scope, Session, check, evaluate, text};
use crate::record::MetricPoint;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

/// A run of a rehearsal.
pub struct MadeUpRun {
    /// Name in the plan (`25x100,seed=1`).
    pub name: String,
    /// Name without the seed.
    pub group: String,
    /// Axis names and values.
    pub axes: Vec<(String, serde_json::Value)>,
    /// Seed.
    pub seed: u64,
    /// Makes the run's key, when an expression first asks for a setting.
    pub key: Box<dyn FnOnce() -> serde_json::Value + Send>,
}

/// What every run of a rehearsal has for its results.
#[derive(Debug)]
pub struct MadeUpResults {
    /// Metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// Steps.
    pub series: Vec<MetricPoint>,
    /// Ids per training document.
    pub document_tokens: Vec<u32>,
}

impl Session {
    /// Prepares made-up results. `everywhere` gives the names of the runs and settings of all profiles: one that `profile`
    /// lacks is missing, one that no profile has is a mistake.
    pub fn rehearsal(
        profile: String,
        runs: impl IntoIterator<Item = MadeUpRun>,
        results: MadeUpResults,
        everywhere: impl FnOnce() -> BTreeSet<String> + Send + 'static,
    ) -> Self {
        let metrics = Arc::new(results.metrics);
        let series = Arc::new(results.series);
        let document_tokens = Arc::new(results.document_tokens);
        let run = |run: MadeUpRun| RunData {
            name: run.name,
            group: run.group,
            axes: without_seed(run.axes),
            seed: run.seed,
            key: Lazy::new(run.key),
            absent: None,
            metrics: Arc::clone(&metrics),
            of_curves: OnceLock::new(),
            series: Arc::clone(&series),
            document_tokens: Arc::clone(&document_tokens),
        };
        let mut runs = Runs::of_runs(profile, runs.into_iter().map(run));
        runs.everywhere = Some(Lazy::new(Box::new(everywhere)));
        Self {
            runs: Arc::new(runs),
        }
    }

    /// Whether `expression` gives a number, and names only what there is, also where it does not get to. Results that are
    /// missing are no mistake.
    ///
    /// # Errors
    /// As [`Session::measure`].
    pub fn rehearse_measure(&self, expression: &str) -> Result<(), ExprError> {
        unless_missing(self.measure(expression, Scope::Mean).map(drop))?;
        self.every_branch(expression)
    }

    /// The same of every `{{ expression }}` of a text.
    ///
    /// # Errors
    /// As [`Session::text`].
    pub fn rehearse_text(&self, template: &str) -> Result<(), ExprError> {
        let mut length = template.len();
        text::each_expression(template, |source| {
            let context = Context::new(Arc::clone(&self.runs), Scope::Mean);
            let shown = evaluate(source, &context).and_then(|value| text::shown(&value));
            let shown = shown.map(|shown| length = length + shown.len() - source.len());
            unless_missing(shown)?;
            self.every_branch(source)
        })?;
        text::fits(length)
    }

    /// Looks for unknown names in what an evaluation may pass by. What else could be wrong there, a condition may keep away.
    fn every_branch(&self, expression: &str) -> Result<(), ExprError> {
        let operands = operands(expression);
        if !operands.is_empty() {
            check(expression)?;
        }
        for operand in operands {
            let context = Context::new(Arc::clone(&self.runs), Scope::Mean);
            if let Err(error @ ExprError::Unknown { .. }) = evaluate(operand, &context) {
                return Err(error);
            }
        }
        Ok(())
    }
}

fn unless_missing(result: Result<(), ExprError>) -> Result<(), ExprError> {
    match result {
        Err(error) if !error.is_not_available() => Err(error),
        _ => Ok(()),
    }
}

/// What `if`, `else`, `and` and `or` stand between, at any depth of brackets: each an expression of its own. Nothing where there
/// is no such word.
fn operands(expression: &str) -> Vec<&str> {
    /// An open bracket (or the whole): where its current operand begins, and whether one of the words was met since a comma.
    struct Level {
        start: usize,
        found: bool,
    }
    let mut operands = Vec::new();
    let level = |start| Level {
        start,
        found: false,
    };
    let mut levels = vec![level(0)];
    let bytes = expression.as_bytes();
    let mut end_level = |level: &Level, end: usize| {
        if level.found {
            operands.push(expression[level.start..end].trim());
        }
    };
    let (mut quote, mut index) = (None, 0);
    while index < bytes.len() {
        let Some(current) = levels.last_mut() else {
            return Vec::new();
        };
        match (quote, bytes[index]) {
            (Some(_), b'\\') => index += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'(' | b'[' | b'{') => levels.push(level(index + 1)),
            (None, b')' | b']' | b'}') => {
                end_level(current, index);
                levels.pop();
            }
            (None, b',' | b':') => {
                end_level(current, index);
                *current = level(index + 1);
            }
            // `name=value` of a call; comparisons keep both sides in one operand
            (None, b'=') if is_assignment(bytes, index) => *current = level(index + 1),
            (None, byte) if byte.is_ascii_alphabetic() || byte == b'_' => {
                let rest = &bytes[index..];
                let is_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
                let length = rest.iter().take_while(|byte| is_word(byte)).count();
                if matches!(&rest[..length], b"if" | b"else" | b"and" | b"or") {
                    current.found = true;
                    end_level(current, index);
                    current.start = index + length;
                }
                index += length - 1;
            }
            _ => {}
        }
        index += 1;
    }
    if let Some(level) = levels.last() {
        end_level(level, expression.len());
    }
    operands.retain(|operand| !operand.is_empty());
    operands
}

fn is_assignment(bytes: &[u8], index: usize) -> bool {
    let before = index.checked_sub(1).map(|before| bytes[before]);
    let after = bytes.get(index + 1);
    after != Some(&b'=') && !matches!(before, Some(b'=' | b'!' | b'<' | b'>'))
}

#[cfg(test)]
mod tests {
    use super::operands;

    #[test]
    fn operands_stand_between_the_words() {
        assert_eq!(operands("min(run('a').val_loss, 2)"), Vec::<&str>::new());
        assert_eq!(operands("a if b else c"), ["a", "b", "c"]);
        assert_eq!(
            operands("round(x('if, or') if y(1) > 2 else -z, n=3 or w) + (p and not q)"),
            ["x('if, or')", "y(1) > 2", "-z", "3", "w", "p", "not q"]
        );
        assert_eq!(operands("f(a == b and c)"), ["a == b", "c"]);
        assert_eq!(operands("notify(order)"), Vec::<&str>::new());
    }
}
