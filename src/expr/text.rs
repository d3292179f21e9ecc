//! Text cells: replaces each `{{ expression }}` by its value. Everything else is unchanged.

use super::estimate::{Estimate, widest};
use super::value::Context;
use super::{ExprError, Filled, Measured, Prepared, Scope, environment, evaluate, number_of};
use crate::{human, stats};
use minijinja::Value;
use minijinja::value::ValueKind;
use std::sync::Arc;

/// Longest rendered text, in bytes.
const MAX_TEXT: usize = 1_000_000;
/// Longest value of one expression, in bytes.
const MAX_VALUE: usize = 10_000;

/// A piece of a text.
enum Piece<'a> {
    Literal(&'a str),
    Expression { source: &'a str, line: usize },
}

/// Fills `template`; missing values become a dash.
pub(super) fn render(template: &str, context: &Context) -> Result<Filled, ExprError> {
    let mut filled = Filled::default();
    for piece in pieces(template)? {
        match piece {
            Piece::Literal(text) => filled.text.push_str(text),
            Piece::Expression { source, line } => {
                let value = match Ending::of(source) {
                    Some((inner, ending)) => ending.text(inner, context),
                    None => evaluate(source, context).and_then(|value| shown(&value)),
                };
                match value {
                    Ok(value) => filled.text.push_str(&value),
                    Err(error) if error.is_without_value() => {
                        filled.text.push('–');
                        let reason = error.to_string();
                        if !filled.missing.contains(&reason) {
                            filled.missing.push(reason);
                        }
                    }
                    Err(error) => return Err(at(line, source, error)),
                }
            }
        }
        fits(filled.text.len())?;
    }
    Ok(filled)
}

/// A filter at the end of an expression that needs its interval.
enum Ending<'a> {
    /// `| pm`.
    Spread,
    /// `| sign(above, below, undecided)`; holds the arguments.
    Sign(&'a str),
}

impl<'a> Ending<'a> {
    /// The expression before such a filter, and the filter.
    fn of(source: &'a str) -> Option<(&'a str, Self)> {
        let (inner, filter) = source.rsplit_once('|')?;
        let filter = filter.trim();
        let texts = || filter.strip_prefix("sign(")?.strip_suffix(')');
        let ending = match filter {
            "pm" => Self::Spread,
            _ => Self::Sign(texts()?),
        };
        Some((inner.trim(), ending))
    }

    fn text(self, source: &str, context: &Context) -> Result<String, ExprError> {
        let texts = match self {
            Self::Spread => return Ok(estimate(source, context)?.to_string()),
            Self::Sign(texts) => evaluate(&format!("[{texts}]"), context)?,
        };
        if texts.len() != Some(3) {
            let reason = "`sign` takes three texts: for a number above 0, below 0, and undecided";
            return Err(ExprError::Invalid {
                reason: reason.to_owned(),
            });
        }
        let found = estimate(source, context)?;
        let index = match found.half.map(|_| found.ends()) {
            Some([low, _]) if low > 0.0 => 0,
            Some([_, high]) if high < 0.0 => 1,
            _ => 2,
        };
        let text = texts.get_item(&Value::from(index));
        text.map_err(|error| ExprError::Invalid {
            reason: error.to_string(),
        })
        .and_then(|text| shown(&text))
    }
}

/// A number or the mean of a list ± the half-width of its widest 95 % interval: over seeds and document draws, or over
/// the entries of the list, and over held-out documents. Without ± if there are too few seeds, draws or entries
/// ([`super::estimate`]).
fn estimate(source: &str, context: &Context) -> Result<Estimate, ExprError> {
    let context = Context::new(Arc::clone(&context.runs), Scope::Mean);
    let prepared = Prepared {
        environment: environment(source, &context),
        context,
        expression: source,
    };
    let means = |scopes: &[Scope]| -> Result<Vec<f64>, ExprError> {
        let measured = prepared.measure(scopes)?.into_iter();
        let mean = |one: Measured| stats::mean(&one.values).unwrap_or(f64::NAN);
        Ok(measured.map(mean).collect())
    };
    let all = prepared.measure(&[Scope::Mean])?.remove(0);
    let mean = stats::mean(&all.values).unwrap_or(f64::NAN);
    if !mean.is_finite() {
        let reason = format!("a value is {mean}");
        return Err(ExprError::NoValue { reason });
    }
    // A list of one, as a single matched pair, varies as its only entry does.
    let samples = match all.is_list && all.values.len() > 1 {
        true => vec![all.values],
        false => {
            let seeds: Vec<Scope> = all.seeds.into_iter().map(Scope::Seed).collect();
            let draws: Vec<Scope> = all.draws.into_iter().map(Scope::Draw).collect();
            vec![means(&seeds)?, means(&draws)?]
        }
    };
    let each = |scopes: &[Scope]| means(scopes).ok();
    let half = widest(&samples, all.documents, each);
    Ok(Estimate { mean, half })
}

/// Refuses a text of more than [`MAX_TEXT`] bytes.
fn fits(length: usize) -> Result<(), ExprError> {
    if length > MAX_TEXT {
        let limit = format!("a text of more than {MAX_TEXT} bytes");
        return Err(ExprError::TooCostly { limit });
    }
    Ok(())
}

/// Calls `look` with every expression in `template`; returns all errors, each with its line and expression.
pub(super) fn each_expression(
    template: &str,
    mut look: impl FnMut(&str) -> Result<(), ExprError>,
) -> Vec<ExprError> {
    let pieces = match pieces(template) {
        Ok(pieces) => pieces,
        Err(error) => return vec![error],
    };
    let mistake = |piece| match piece {
        Piece::Expression { source, line } => {
            look(source).err().map(|error| at(line, source, error))
        }
        Piece::Literal(_) => None,
    };
    pieces.into_iter().filter_map(mistake).collect()
}

fn at(line: usize, expression: &str, source: ExprError) -> ExprError {
    ExprError::InText {
        line,
        expression: expression.to_owned(),
        source: Box::new(source),
    }
}

/// Numbers in their shortest form with up to six decimals; strings and booleans unchanged.
pub(super) fn shown(value: &Value) -> Result<String, ExprError> {
    let text = match value.kind() {
        ValueKind::Number if value.is_integer() => value.to_string(),
        ValueKind::Number => {
            let number = number_of(value).unwrap_or(f64::NAN);
            if !number.is_finite() {
                let reason = format!("a value is {number}");
                return Err(ExprError::NoValue { reason });
            }
            if number != 0.0 && number.abs() < 1e-3 {
                // Four significant digits: fixed decimals would show 0.
                return Ok(rounded_small(number));
            }
            let text = human::ungrouped(number, 6);
            if text.contains('.') {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            } else {
                text
            }
        }
        ValueKind::String => value.to_string(),
        ValueKind::Bool => value.to_string(),
        ValueKind::Plain => value.to_string(),
        kind => {
            let reason = format!("the expression gives {kind}; a text shows numbers and texts");
            return Err(ExprError::Invalid { reason });
        }
    };
    if text.len() > MAX_VALUE {
        return Err(ExprError::TooCostly {
            limit: format!("a value of more than {MAX_VALUE} bytes"),
        });
    }
    Ok(text)
}

fn rounded_small(number: f64) -> String {
    let text = format!("{number:.3e}");
    match text.split_once('e') {
        Some((digits, exponent)) => format!(
            "{}e{exponent}",
            digits.trim_end_matches('0').trim_end_matches('.')
        ),
        None => text,
    }
}

/// Splits a text at `{{` and `}}`; quotes inside an expression hide braces.
fn pieces(template: &str) -> Result<Vec<Piece<'_>>, ExprError> {
    let mut pieces = Vec::new();
    let mut start = 0;
    while let Some(offset) = template[start..].find("{{") {
        let open = start + offset;
        let line = template[..open].matches('\n').count() + 1;
        let Some(length) = expression_length(&template[open + 2..]) else {
            let reason = "`{{` without `}}`".to_owned();
            return Err(at(line, "{{", ExprError::Invalid { reason }));
        };
        pieces.push(Piece::Literal(&template[start..open]));
        let source = template[open + 2..open + 2 + length].trim();
        pieces.push(Piece::Expression { source, line });
        start = open + 2 + length + 2;
    }
    pieces.push(Piece::Literal(&template[start..]));
    let mut lines_before = 0;
    for piece in &pieces {
        if let Piece::Literal(text) = piece
            && let Some(found) = text.find("{%")
        {
            let line = lines_before + text[..found].matches('\n').count() + 1;
            let reason =
                "`{%` statements are not available in a text, only `{{ expressions }}`".to_owned();
            return Err(at(line, "{%", ExprError::Invalid { reason }));
        }
        lines_before += match piece {
            Piece::Literal(text) => text.matches('\n').count(),
            Piece::Expression { source, .. } => source.matches('\n').count(),
        };
    }
    Ok(pieces)
}

/// Length in bytes up to the closing `}}`.
fn expression_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut quote, mut index) = (None, 0);
    while index < bytes.len() {
        match (quote, bytes[index]) {
            (Some(_), b'\\') => index += 1,
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, b'}') if bytes.get(index + 1) == Some(&b'}') => return Some(index),
            _ => {}
        }
        index += 1;
    }
    None
}
