//! Checks the names in all branches of an expression, from its syntax alone.
//!
//! Nothing is evaluated, so no value can make a valid expression look wrong. Anything the syntax leaves open is
//! accepted.

use super::advice::{self, is_function, is_metric, names_of, unreadable};
use super::list::{FILTERS, FUNCTIONS};
use super::runs::Runs;
use super::value::is_plain;
use super::{ExprError, Session, checked_length, functions, text};
use crate::record::{METRICS, MetricPoint};
use minijinja::Value;
use minijinja::machinery::ast::{BinOpKind, Call, CallArg, Expr, GetAttr, UnaryOpKind};
use minijinja::machinery::parse_expr;
use minijinja::value::ValueKind;

/// The kind of result of an expression, as far as its syntax determines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Number,
    Text,
    List,
    /// One setting.
    Run,
    /// Several settings.
    Runs,
    Pairs,
    Open,
}

type Checked = Result<Kind, ExprError>;

impl Session {
    /// Checks the measure of a claim: an expression that gives a number or, with `lists`, a list of numbers; `more` are
    /// metrics it may name besides the usual ones.
    ///
    /// # Errors
    /// The first mistake: an unknown name, a wrong argument, or another kind of result.
    pub fn check_measure(
        &self,
        expression: &str,
        lists: bool,
        more: &[&str],
    ) -> Result<(), ExprError> {
        match self.kind(expression, more)? {
            Kind::Number | Kind::Open => Ok(()),
            Kind::List if lists => Ok(()),
            kind => Err(ExprError::Invalid {
                reason: format!("the expression gives {} instead of a number", kind.word()),
            }),
        }
    }

    /// Checks every `{{ expression }}` in a text; returns the first mistake of each as an [`ExprError::InText`].
    pub fn check_text(&self, template: &str) -> Vec<ExprError> {
        text::each_expression(template, |source| match self.kind(source, &[])? {
            kind @ (Kind::List | Kind::Runs | Kind::Pairs) => Err(ExprError::Invalid {
                reason: format!(
                    "the expression gives {}; a text shows numbers and texts",
                    kind.word()
                ),
            }),
            _ => Ok(()),
        })
    }

    fn kind(&self, expression: &str, more: &[&str]) -> Checked {
        checked_length(expression)?;
        let syntax = parse_expr(expression).map_err(|error| unreadable(expression, &error))?;
        let names = Names {
            runs: &self.runs,
            more,
        };
        names.expr(&syntax)
    }
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::Number => "a number",
            Self::Text => "a text",
            Self::List => "a list",
            Self::Run => "a run",
            Self::Runs => "several runs",
            Self::Pairs => "pairs of runs",
            Self::Open => "a value",
        }
    }

    /// Whether the result may be one of `kinds`.
    fn may_be(self, kinds: &[Self]) -> bool {
        self == Self::Open || kinds.contains(&self)
    }

    /// Either of two kinds.
    fn or(self, other: Self) -> Self {
        if self == other { self } else { Self::Open }
    }
}

struct Names<'a> {
    runs: &'a Runs,
    more: &'a [&'a str],
}

impl Names<'_> {
    fn expr(&self, expr: &Expr<'_>) -> Checked {
        // A sequence of signs may be long: no recursion.
        if matches!(expr, Expr::UnaryOp(_)) {
            let (mut inner, mut is_negative) = (expr, false);
            while let Expr::UnaryOp(operation) = inner {
                is_negative |= matches!(operation.op, UnaryOpKind::Neg);
                inner = &operation.expr;
            }
            let kind = self.expr(inner)?;
            if is_negative {
                calculable(kind, true)?;
            }
            return Ok(Kind::Number);
        }
        Ok(match expr {
            Expr::Var(name) => return Err(advice::alone(self.runs, self.more, name.id)),
            Expr::Const(constant) => match constant.value.kind() {
                ValueKind::Number | ValueKind::Bool => Kind::Number,
                ValueKind::String => Kind::Text,
                ValueKind::Seq => Kind::List,
                _ => Kind::Open,
            },
            Expr::Slice(slice) => {
                let parts = [&slice.start, &slice.stop, &slice.step];
                for part in parts.into_iter().flatten() {
                    self.expr(part)?;
                }
                match self.expr(&slice.expr)? {
                    Kind::List => Kind::List,
                    _ => Kind::Open,
                }
            }
            Expr::UnaryOp(_) => Kind::Number,
            Expr::BinOp(operation) => {
                let left = self.expr(&operation.left)?;
                let right = self.expr(&operation.right)?;
                self.binary(operation.op, left, right)?
            }
            Expr::Compare(comparison) => {
                self.expr(&comparison.expr)?;
                for compared in &comparison.ops {
                    self.expr(&compared.expr)?;
                }
                Kind::Number
            }
            Expr::IfExpr(choice) => {
                self.expr(&choice.test_expr)?;
                let first = self.expr(&choice.true_expr)?;
                match &choice.false_expr {
                    Some(other) => first.or(self.expr(other)?),
                    None => Kind::Open,
                }
            }
            Expr::Filter(filter) => {
                let kind = match &filter.expr {
                    Some(expr) => self.expr(expr)?,
                    None => Kind::Open,
                };
                self.args(&filter.args)?;
                let known = || names_of(FILTERS);
                if is_function(filter.name) {
                    return Err(advice::alone(self.runs, self.more, filter.name));
                }
                if !known().any(|name| name == filter.name) {
                    return Err(ExprError::unknown("filter", filter.name, known()));
                }
                let takes_list = matches!(filter.name, "pm" | "sign") && kind.may_be(&[Kind::List]);
                if !takes_list && !kind.may_be(&[Kind::Number]) {
                    let reason = format!("the filter takes a number, not {}", kind.word());
                    return Err(ExprError::Invalid { reason });
                }
                Kind::Text
            }
            Expr::Test(test) => return Err(ExprError::unknown("test", test.name, [])),
            Expr::GetAttr(attribute) => self.attribute(attribute)?,
            Expr::GetItem(item) => {
                self.expr(&item.subscript_expr)?;
                let kind = self.expr(&item.expr)?;
                if let Some(name) = text_of(&item.subscript_expr) {
                    return self.named(kind, name);
                }
                match kind {
                    Kind::List => Kind::Number,
                    Kind::Runs => Kind::Run,
                    _ => Kind::Open,
                }
            }
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => self.items(&list.items)?,
            Expr::Tuple(tuple) => self.items(&tuple.items)?,
            Expr::Map(map) => {
                self.items(&map.keys)?;
                self.items(&map.values)?;
                Kind::Open
            }
        })
    }

    fn items(&self, items: &[Expr<'_>]) -> Checked {
        items
            .iter()
            .try_for_each(|item| self.expr(item).map(drop))?;
        Ok(Kind::List)
    }

    fn binary(&self, operation: BinOpKind, left: Kind, right: Kind) -> Checked {
        Ok(match operation {
            BinOpKind::ScAnd | BinOpKind::ScOr => left.or(right),
            BinOpKind::Concat => Kind::Text,
            BinOpKind::Add
            | BinOpKind::Sub
            | BinOpKind::Mul
            | BinOpKind::Div
            | BinOpKind::FloorDiv
            | BinOpKind::Rem
            | BinOpKind::Pow => {
                // Strings can be concatenated and repeated.
                let is_number = !matches!(operation, BinOpKind::Add | BinOpKind::Mul);
                for kind in [left, right] {
                    calculable(kind, is_number)?;
                }
                let numbers = [left, right] == [Kind::Number; 2];
                if numbers { Kind::Number } else { Kind::Open }
            }
            _ => Kind::Number,
        })
    }

    fn attribute(&self, attribute: &GetAttr<'_>) -> Checked {
        self.named(self.expr(&attribute.expr)?, attribute.name)
    }

    /// The attribute `name` of a value.
    fn named(&self, kind: Kind, name: &str) -> Checked {
        Ok(match (kind, name) {
            (Kind::Run, "name" | "group") => Kind::Text,
            (Kind::Run, "seed" | "replicates") => Kind::Number,
            (Kind::Run, "document_tokens") => Kind::List,
            (Kind::Pairs, "first" | "second") => Kind::Runs,
            (Kind::Run, name) if !is_metric(name) && self.runs.axes.contains(name) => Kind::Open,
            (Kind::Runs, name) if !is_metric(name) && self.runs.axes.contains(name) => Kind::List,
            (Kind::Run, name) => {
                self.metric(name)?;
                Kind::Number
            }
            (Kind::Runs | Kind::Pairs, name) => {
                self.metric(name)?;
                Kind::List
            }
            _ => Kind::Open,
        })
    }

    fn metric(&self, name: &str) -> Result<(), ExprError> {
        if is_metric(name) || self.more.contains(&name) {
            return Ok(());
        }
        let known = METRICS.iter().map(|metric| metric.name);
        Err(ExprError::unknown("metric", name, known))
    }

    fn series(&self, name: &Expr<'_>) -> Result<(), ExprError> {
        match text_of(name) {
            Some(name) if !MetricPoint::SERIES.contains(&name) => {
                Err(ExprError::unknown("series", name, MetricPoint::SERIES))
            }
            _ => Ok(()),
        }
    }

    fn axis(&self, name: &str) -> Result<(), ExprError> {
        if self.runs.axes.contains(name) {
            return Ok(());
        }
        let known = self.runs.axes.iter().map(String::as_str);
        Err(ExprError::unknown("axis", name, known))
    }

    /// The kinds of the positional arguments.
    fn args(&self, args: &[CallArg<'_>]) -> Result<Vec<Kind>, ExprError> {
        let mut kinds = Vec::new();
        for arg in args {
            match arg {
                CallArg::Pos(expr) => kinds.push(self.expr(expr)?),
                CallArg::Kwarg(_, expr) | CallArg::PosSplat(expr) | CallArg::KwargSplat(expr) => {
                    self.expr(expr)?;
                }
            }
        }
        Ok(kinds)
    }

    fn call(&self, call: &Call<'_>) -> Checked {
        let kinds = self.args(&call.args)?;
        let args: Vec<&Expr<'_>> = call.args.iter().filter_map(positional).collect();
        match &call.expr {
            Expr::Var(function) => self.function(function.id, call, &args, &kinds),
            Expr::GetAttr(method) => {
                if self.expr(&method.expr)? != Kind::Run {
                    return Ok(Kind::Open);
                }
                self.method(method.name, &args)
            }
            other => self.expr(other).map(|_| Kind::Open),
        }
    }

    fn method(&self, name: &str, args: &[&Expr<'_>]) -> Checked {
        match (name, args) {
            ("series" | "steps", [series]) => self.series(series).map(|()| Kind::List),
            ("metric", [metric]) => {
                text_of(metric).map_or(Ok(()), |name| self.metric(name))?;
                Ok(Kind::Number)
            }
            ("setting", [_]) => Ok(Kind::Open),
            ("series" | "steps" | "metric" | "setting", _) => Err(ExprError::Invalid {
                reason: format!("`{name}` takes one text, such as `.{name}('val/loss')`"),
            }),
            _ => Err(ExprError::unknown(
                "method",
                name,
                ["series", "steps", "metric", "setting"],
            )),
        }
    }

    fn function(&self, name: &str, call: &Call<'_>, args: &[&Expr<'_>], kinds: &[Kind]) -> Checked {
        let lists = [Kind::List, Kind::Runs, Kind::Pairs];
        let result = match (name, kinds) {
            ("run", [] | [Kind::Text | Kind::Open]) => self.run(call, args)?,
            ("runs" | "settings", []) => {
                self.axes(call)?;
                Kind::Runs
            }
            ("pairs", [axis, _, _]) if axis.may_be(&[Kind::Text]) => {
                if let Some(axis) = text_of(args[0]) {
                    self.axis(axis)?;
                    advice::axis_value(self.runs, axis, args[1])?;
                    advice::axis_value(self.runs, axis, args[2])?;
                }
                self.axes(call)?;
                Kind::Pairs
            }
            ("mean" | "sd" | "trend" | "after_min" | "sorted", [list])
                if list.may_be(&[Kind::List]) =>
            {
                if matches!(name, "after_min" | "sorted") {
                    Kind::List
                } else {
                    Kind::Number
                }
            }
            ("count", [list]) if list.may_be(&lists) => Kind::Number,
            ("spearman" | "difference", [a, b])
                if a.may_be(&[Kind::List]) && b.may_be(&[Kind::List]) =>
            {
                if name == "difference" {
                    Kind::List
                } else {
                    Kind::Number
                }
            }
            ("first_step_below" | "at_step" | "fluctuation", [target, _, ..])
                if target.may_be(&[Kind::Run, Kind::Runs, Kind::Pairs]) =>
            {
                self.series(args[1])?;
                match target {
                    Kind::Run => Kind::Number,
                    Kind::Open => Kind::Open,
                    _ => Kind::List,
                }
            }
            ("min" | "max", [_, ..]) if kinds.iter().all(|kind| !kind.is_runs()) => Kind::Number,
            ("abs" | "log" | "exp" | "sqrt", [kind @ (Kind::Number | Kind::List | Kind::Open)]) => {
                *kind
            }
            ("pow", [a, b]) if a.may_be(&[Kind::Number]) && b.may_be(&[Kind::Number]) => {
                Kind::Number
            }
            _ if is_function(name) => return Err(functions::refused(name)),
            _ if names_of(FILTERS).any(|known| known == name) => {
                return Err(advice::alone(self.runs, self.more, name));
            }
            _ => return Err(unknown_function(name)),
        };
        Ok(result)
    }

    /// Checks the axes named by keyword arguments, and their values.
    fn axes(&self, call: &Call<'_>) -> Result<(), ExprError> {
        let mut named = call.args.iter().filter_map(|arg| match arg {
            CallArg::Kwarg(name, value) => Some((*name, value)),
            _ => None,
        });
        named.try_for_each(|(name, value)| {
            self.axis(name)?;
            advice::axis_value(self.runs, name, value)
        })
    }

    fn run(&self, call: &Call<'_>, args: &[&Expr<'_>]) -> Checked {
        self.axes(call)?;
        if let Some(name) = args.first().and_then(|name| text_of(name)) {
            match self.runs.find(name) {
                Some(_) => {}
                None => match self.runs.without(name) {
                    error if error.is_not_available() => {}
                    error => return Err(error),
                },
            }
        } else if args.is_empty() {
            let wanted: Option<Vec<(&str, &Value)>> = call
                .args
                .iter()
                .map(|arg| match arg {
                    CallArg::Kwarg(axis, Expr::Const(value)) => Some((*axis, &value.value)),
                    _ => None,
                })
                .collect();
            if let Some(wanted) = wanted {
                let fits = |run: &&super::runs::RunData| {
                    wanted.iter().all(|(axis, value)| {
                        let mut axes = run.axes.iter();
                        axes.any(|(name, own)| name == axis && is_plain(own, value))
                    })
                };
                let count = self.runs.firsts().filter(fits).count();
                if wanted.is_empty() {
                    return Err(functions::refused("run"));
                }
                if count > 1 {
                    return Err(functions::several(count));
                }
            }
        }
        Ok(Kind::Run)
    }
}

/// The argument, if positional.
fn positional<'e, 's>(arg: &'e CallArg<'s>) -> Option<&'e Expr<'s>> {
    match arg {
        CallArg::Pos(expr) => Some(expr),
        _ => None,
    }
}

impl Kind {
    fn is_runs(self) -> bool {
        matches!(self, Self::Run | Self::Runs | Self::Pairs)
    }
}

/// Refuses runs in arithmetic, and strings where a number is needed.
fn calculable(kind: Kind, is_number: bool) -> Result<(), ExprError> {
    let what = kind.word();
    let reason = match kind {
        Kind::Run | Kind::Runs | Kind::Pairs => {
            format!("{what} cannot be used in arithmetic: name a metric, such as `.val_loss`")
        }
        Kind::Text if is_number => {
            format!(
                "{what} cannot be used in arithmetic; a filter comes last: `(x / y) | round(2)`"
            )
        }
        _ => return Ok(()),
    };
    Err(ExprError::Invalid { reason })
}

/// The string, if the expression is a string constant.
fn text_of<'e>(expr: &'e Expr<'_>) -> Option<&'e str> {
    match expr {
        Expr::Const(constant) => constant.value.as_str(),
        _ => None,
    }
}

fn unknown_function(name: &str) -> ExprError {
    ExprError::unknown("function", name, names_of(FUNCTIONS))
}

/// The unknown function or filter in an expression that failed with `error`, otherwise `error`; minijinja finds it only
/// when called.
pub(super) fn unknown_or(expression: &str, runs: &Runs, error: ExprError) -> ExprError {
    let names = Names { runs, more: &[] };
    let checked = parse_expr(expression).map(|syntax| names.expr(&syntax));
    match checked {
        Ok(Err(found @ (ExprError::Unknown { .. } | ExprError::Alone { .. }))) => found,
        _ => error,
    }
}
