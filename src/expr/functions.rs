//! The functions and filters of expressions. Argument errors name the function and its parameters.

use super::list::FUNCTIONS;
use super::runs::{Found, RunData};
use super::value::{Context, Many, Setting, is_plain};
use super::{ExprError, MAX_LIST, number_of};
use crate::eval::curve;
use crate::{human, stats};
use minijinja::value::{Kwargs, Rest};
use minijinja::{Environment, Error, ErrorKind, Value};

type Answer = Result<Value, ExprError>;

/// Installs the functions and filters named in `expression`; functions record typed errors in `context`.
pub(super) fn install(environment: &mut Environment<'static>, expression: &str, context: &Context) {
    let mut add = |name: &'static str, function: fn(&Context, &[Value], &Kwargs) -> Answer| {
        if !expression.contains(name) {
            return;
        }
        let context = context.clone();
        environment.add_function(
            name,
            move |args: Rest<Value>, kwargs: Kwargs| -> Result<Value, Error> {
                let value =
                    function(&context, &args, &kwargs).map_err(|error| context.fail(error))?;
                kwargs.assert_all_used()?;
                Ok(value)
            },
        );
    };
    add("run", run);
    add("runs", runs);
    add("settings", settings);
    add("pairs", pairs);
    add("count", count);
    add("mean", |_, args, _| {
        list_of("mean", args).and_then(|list| not_empty("mean", stats::mean(&list)))
    });
    add("sd", |_, args, _| {
        let list = list_of("sd", args)?;
        let lone = || ExprError::NoValue {
            reason: format!("`sd` needs two values or more, not {}", list.len()),
        };
        stats::sd(&list).map(Value::from).ok_or_else(lone)
    });
    add("spearman", spearman);
    add("difference", difference);
    add("trend", |_, args, _| {
        list_of("trend", args).map(|list| Value::from(trend(&list)))
    });
    add("after_min", |_, args, _| {
        list_of("after_min", args).map(|list| Value::from(after_min(&list)))
    });
    add("first_step_below", first_step_below);
    add("at_step", at_step);
    add("fluctuation", fluctuation);
    add("min", |_, args, _| extreme("min", args, f64::min));
    add("max", |_, args, _| extreme("max", args, f64::max));
    add("abs", |_, args, _| mapped("abs", args, f64::abs));
    add("log", |_, args, _| mapped("log", args, libm::log));
    add("exp", |_, args, _| mapped("exp", args, libm::exp));
    add("sqrt", |_, args, _| mapped("sqrt", args, f64::sqrt));
    add("pow", |_, args, _| match args {
        [x, y] => Ok(Value::from(libm::pow(one("pow", x)?, one("pow", y)?))),
        _ => Err(refused("pow")),
    });
    add("sorted", |_, args, _| {
        let mut list = list_of("sorted", args)?;
        list.sort_by(f64::total_cmp);
        Ok(Value::from(list))
    });
    environment.add_filter("round", |value: Value, digits: Option<usize>| {
        filter(&value, |x| human::ungrouped(x, digits.unwrap_or(0)))
    });
    environment.add_filter("thousands", |value: Value, digits: Option<usize>| {
        filter(&value, |x| human::fixed(x, digits.unwrap_or(0)))
    });
    for (name, example) in [
        ("pm", "x | pm"),
        ("sign", "x | sign('above', 'below', 'undecided')"),
    ] {
        environment.add_filter(
            name,
            move |_: Value, _: Rest<Value>| -> Result<Value, Error> {
                let reason = format!(
                    "`{name}` stands at the end of an expression in a text: `{{{{ {example} }}}}`"
                );
                Err(Error::new(ErrorKind::InvalidOperation, reason))
            },
        );
    }
    environment.add_filter("percent", |value: Value, digits: Option<usize>| {
        filter(&value, |x| {
            format!("{} %", human::ungrouped(100.0 * x, digits.unwrap_or(0)))
        })
    });
}

/// Error: wrong arguments for `function`.
pub(super) fn refused(function: &str) -> ExprError {
    let known = FUNCTIONS.iter().find(|known| known.name == function);
    wrong(
        function,
        known.map_or("other arguments", |known| known.takes),
    )
}

/// Error: axis values match `count` settings instead of one.
pub(super) fn several(count: usize) -> ExprError {
    let reason = format!("`run` needs one setting, these axis values have {count}: use `runs`");
    ExprError::Invalid { reason }
}

fn wrong(function: &str, takes: &str) -> ExprError {
    ExprError::Invalid {
        reason: format!("`{function}` takes {takes}"),
    }
}

fn one(function: &str, value: &Value) -> Result<f64, ExprError> {
    number_of(value).ok_or_else(|| wrong(function, &format!("numbers, not {}", value.kind())))
}

fn not_empty(function: &str, value: Option<f64>) -> Answer {
    let what = || format!("`{function}` of no values");
    value
        .map(Value::from)
        .ok_or_else(|| ExprError::NotAvailable { what: what() })
}

/// `compute` of a number, or of each number of a list.
fn mapped(function: &str, args: &[Value], compute: fn(f64) -> f64) -> Answer {
    match args {
        [list] if number_of(list).is_none() && list.try_iter().is_ok() => {
            let list = numbers(function, list)?;
            let list: Vec<f64> = list.into_iter().map(compute).collect();
            Ok(Value::from(list))
        }
        [x] => Ok(Value::from(compute(one(function, x)?))),
        _ => Err(refused(function)),
    }
}

fn numbers(function: &str, value: &Value) -> Result<Vec<f64>, ExprError> {
    let items = value.try_iter().map_err(|_| {
        wrong(
            function,
            &format!("a list of numbers, not {}", value.kind()),
        )
    })?;
    let mut list = Vec::new();
    for item in items {
        if list.len() == MAX_LIST {
            return Err(ExprError::TooCostly {
                limit: format!("a list of more than {MAX_LIST} numbers"),
            });
        }
        list.push(one(function, &item)?);
    }
    Ok(list)
}

fn list_of(function: &str, args: &[Value]) -> Result<Vec<f64>, ExprError> {
    match args {
        [list] => numbers(function, list),
        _ => Err(refused(function)),
    }
}

fn extreme(function: &str, args: &[Value], pick: fn(f64, f64) -> f64) -> Answer {
    let list = match args {
        [list] if number_of(list).is_none() => numbers(function, list)?,
        args => args
            .iter()
            .map(|value| one(function, value))
            .collect::<Result<_, _>>()?,
    };
    // `f64::min` drops NaN; a measure must not.
    let any_nan = list.iter().any(|value| value.is_nan());
    let value = if any_nan {
        Some(f64::NAN)
    } else {
        list.into_iter().reduce(pick)
    };
    not_empty(function, value)
}

/// Indices of the settings whose axes have the values of `kwargs`, in plan order.
fn filtered(context: &Context, kwargs: &Kwargs) -> Result<Vec<usize>, ExprError> {
    let mut wanted = Vec::new();
    for axis in kwargs.args() {
        if !context.has_axis(axis) {
            return Err(ExprError::unknown("axis", axis, context.axis_names()));
        }
        let value: Value = kwargs.get(axis).map_err(|error| ExprError::Invalid {
            reason: error.to_string(),
        })?;
        wanted.push((axis, value));
    }
    let fits = |(_, run): &(usize, &RunData)| {
        wanted.iter().all(|(axis, value)| {
            let mut axes = run.axes.iter();
            axes.any(|(name, own)| name == axis && is_plain(own, value))
        })
    };
    let settings = context.runs.firsts().enumerate().filter(fits);
    Ok(settings.map(|(place, _)| place).collect())
}

fn run(context: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    let name = match args {
        [] if kwargs.args().next().is_some() => {
            let places = filtered(context, kwargs)?;
            match places.as_slice() {
                [place] => return context.select(*place).map(Value::from_object),
                [] => {
                    return Err(ExprError::NotAvailable {
                        what: "no run has these axis values".to_owned(),
                    });
                }
                found => return Err(several(found.len())),
            }
        }
        [name] if name.as_str().is_some() => name.to_string(),
        _ => {
            return Err(refused("run"));
        }
    };
    match context.runs.find(&name) {
        Some(Found::Setting(place)) => context.select(place).map(Value::from_object),
        Some(Found::Replicate(index)) => Ok(Value::from_object(Setting {
            context: context.clone(),
            members: vec![index],
        })),
        None => Err(context.runs.without(&name)),
    }
}

/// Each setting once, with its replicates averaged.
fn settings(context: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    if !args.is_empty() {
        return Err(refused("settings"));
    }
    let first = filtered(context, kwargs)?
        .into_iter()
        .map(|place| context.select(place))
        .collect::<Result<_, _>>()?;
    Ok(Value::from_object(Many {
        context: context.clone(),
        first,
        second: None,
    }))
}

/// Every run separately, without averaging replicates.
fn runs(context: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    if !args.is_empty() {
        return Err(refused("runs"));
    }
    let mut single = Vec::new();
    for group in filtered(context, kwargs)? {
        let setting = context.select(group)?;
        let alone = |index: &usize| Setting {
            context: context.clone(),
            members: vec![*index],
        };
        single.extend(setting.members.iter().map(alone));
    }
    Ok(Value::from_object(Many {
        context: context.clone(),
        first: single,
        second: None,
    }))
}

fn pairs(context: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    let [axis, a, b] = args else {
        return Err(refused("pairs"));
    };
    let axis = axis.as_str().ok_or_else(|| refused("pairs"))?;
    if !context.has_axis(axis) {
        return Err(ExprError::unknown("axis", axis, context.axis_names()));
    }
    let mut halves: [Vec<usize>; 2] = Default::default();
    for place in filtered(context, kwargs)? {
        let mut axes = context.runs.first_at(place).axes.iter();
        let Some((_, own)) = axes.find(|(name, _)| name == axis) else {
            continue;
        };
        for (half, value) in halves.iter_mut().zip([a, b]) {
            if is_plain(own, value) {
                half.push(place);
            }
        }
    }
    let [firsts, seconds] = halves;
    let mut many = Many {
        context: context.clone(),
        first: Vec::new(),
        second: None,
    };
    let mut others = Vec::new();
    let rest = |place: &usize| {
        let axes = context.runs.first_at(*place).axes.iter();
        axes.filter(|(name, _)| name != axis)
    };
    for place in &firsts {
        if let Some(other) = seconds.iter().find(|other| rest(other).eq(rest(place))) {
            let (mut first, mut second) = (context.select(*place)?, context.select(*other)?);
            first.match_replicates(&mut second);
            many.first.push(first);
            others.push(second);
        }
    }
    if others.is_empty() {
        return Err(ExprError::NotAvailable {
            what: format!("no two runs differ only in `{axis}` ({a} and {b})"),
        });
    }
    many.second = Some(others);
    Ok(Value::from_object(many))
}

fn count(_: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    let [list] = args else {
        return Err(refused("count"));
    };
    let bound = |name: &str| -> Result<Option<f64>, ExprError> {
        if !kwargs.has(name) {
            return Ok(None);
        }
        let value: Value = kwargs.get(name).map_err(|error| ExprError::Invalid {
            reason: error.to_string(),
        })?;
        one("count", &value).map(Some)
    };
    let (above, below, equals) = (bound("above")?, bound("below")?, bound("equals")?);
    if above.is_none() && below.is_none() && equals.is_none() {
        let items = list.try_iter().map_err(|_| wrong("count", "a list"))?;
        return Ok(Value::from(items.take(MAX_LIST).count()));
    }
    let fits = |x: &&f64| {
        above.is_none_or(|bound| **x > bound)
            && below.is_none_or(|bound| **x < bound)
            && equals.is_none_or(|bound| **x == bound)
    };
    Ok(Value::from(
        numbers("count", list)?.iter().filter(fits).count(),
    ))
}

fn two_lists(function: &str, args: &[Value]) -> Result<[Vec<f64>; 2], ExprError> {
    match args {
        [xs, ys] => {
            let (xs, ys) = (numbers(function, xs)?, numbers(function, ys)?);
            if xs.len() == ys.len() {
                Ok([xs, ys])
            } else {
                Err(refused(function))
            }
        }
        _ => Err(refused(function)),
    }
}

fn spearman(_: &Context, args: &[Value], _: &Kwargs) -> Answer {
    let [xs, ys] = two_lists("spearman", args)?;
    let what = "`spearman` of fewer than two values, of a constant list or of NaN".to_owned();
    curve::spearman(&xs, &ys)
        .map(Value::from)
        .ok_or(ExprError::NotAvailable { what })
}

/// Spearman's rank correlation of a list with its positions; 0 if the list is too short or constant.
fn trend(list: &[f64]) -> f64 {
    let positions: Vec<f64> = (0..list.len()).map(|index| index as f64).collect();
    if list.iter().any(|value| value.is_nan()) {
        return f64::NAN;
    }
    curve::spearman(&positions, list).unwrap_or(0.0)
}

/// The list from its (first) minimum on.
fn after_min(list: &[f64]) -> Vec<f64> {
    let lowest = (0..list.len()).min_by(|&a, &b| list[a].total_cmp(&list[b]));
    lowest.map_or(Vec::new(), |start| list[start..].to_vec())
}

fn difference(_: &Context, args: &[Value], _: &Kwargs) -> Answer {
    let [xs, ys] = two_lists("difference", args)?;
    Ok(Value::from(
        xs.iter().zip(&ys).map(|(x, y)| x - y).collect::<Vec<f64>>(),
    ))
}

/// Applies `read` to a run (a number), to runs (a list) or to pairs (a list of differences).
fn over(
    function: &str,
    target: &Value,
    read: impl Fn(&Setting) -> Result<f64, ExprError>,
) -> Answer {
    if let Some(setting) = target.downcast_object_ref::<Setting>() {
        return read(setting).map(Value::from);
    }
    match target.downcast_object_ref::<Many>() {
        Some(many) => many.each(read).map(Value::from),
        None => Err(wrong(function, "a run, runs or pairs first")),
    }
}

fn first_step_below(_: &Context, args: &[Value], kwargs: &Kwargs) -> Answer {
    let (target, name, bound) = match args {
        [target, name] if kwargs.has("drop") => {
            let drop: Value = kwargs
                .get("drop")
                .map_err(|_| refused("first_step_below"))?;
            (target, name, Err(one("first_step_below", &drop)?))
        }
        [target, name, bound] => (target, name, Ok(one("first_step_below", bound)?)),
        _ => return Err(refused("first_step_below")),
    };
    let name = name.as_str().ok_or_else(|| refused("first_step_below"))?;
    let never = if kwargs.has("never") {
        let never: Value = kwargs
            .get("never")
            .map_err(|_| refused("first_step_below"))?;
        Some(one("first_step_below", &never)?)
    } else {
        None
    };
    over("first_step_below", target, |setting| {
        let series = setting.series(name)?;
        let bound = match bound {
            Ok(bound) => bound,
            Err(drop) => series.first().map_or(f64::NAN, |(_, first)| first - drop),
        };
        let step = curve::first_step_below(&series, bound).map(|step| step as f64);
        step.or(never).ok_or_else(|| ExprError::NotAvailable {
            what: format!("`{name}` never falls below {bound}"),
        })
    })
}

fn at_step(_: &Context, args: &[Value], _: &Kwargs) -> Answer {
    let [target, name, step] = args else {
        return Err(refused("at_step"));
    };
    let name = name.as_str().ok_or_else(|| refused("at_step"))?;
    let step = one("at_step", step)?;
    over("at_step", target, |setting| {
        let series = setting.series(name)?;
        let what = || format!("`{name}` was not measured at or before step {step}");
        // A float below zero or NaN becomes step 0, which no series has.
        curve::at_step(&series, step as u64).ok_or_else(|| ExprError::NotAvailable { what: what() })
    })
}

fn fluctuation(_: &Context, args: &[Value], _: &Kwargs) -> Answer {
    let (target, name, last) = match args {
        [target, name] => (target, name, 50.0),
        [target, name, last] => (target, name, one("fluctuation", last)?),
        _ => return Err(refused("fluctuation")),
    };
    let name = name.as_str().ok_or_else(|| refused("fluctuation"))?;
    over("fluctuation", target, |setting| {
        let values: Vec<f64> = setting.series(name)?.iter().map(|point| point.1).collect();
        let what = "`fluctuation` of no values".to_owned();
        curve::fluctuation(&values, last as usize).ok_or(ExprError::NotAvailable { what })
    })
}

fn filter(value: &Value, format: impl Fn(f64) -> String) -> Result<String, Error> {
    match number_of(value) {
        Some(number) if number.is_finite() => Ok(format(number)),
        Some(number) => Err(Error::new(
            minijinja::ErrorKind::InvalidOperation,
            format!("{number} is not a number to show"),
        )),
        None => Err(Error::new(
            minijinja::ErrorKind::InvalidOperation,
            format!("the filter takes a number, not {}", value.kind()),
        )),
    }
}
