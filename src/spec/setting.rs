//! One setting of `base` by its dot path: read from an override and applied to a tree.

use super::alias;
use super::error::{Problem, Problems, nearest};
use super::schema::{self, Shape};
use super::structure::Check;
use super::tree::{Key, Node, Span, Value, join_path, split_path};
use std::borrow::Cow;

/// Sections of `base`.
pub(crate) const SECTIONS: [&str; 4] = ["data", "model", "train", "eval"];
/// Keys that a profile and `--set` may set besides settings.
pub(crate) const EXTRAS: [&str; 5] = ["seeds", "vary", "cases", "exclude", "max_runs"];
/// Texts that a profile may replace: its report need not be that of the base.
pub(crate) const TEXTS: [&str; 5] = ["title", "summary", "finding", "labels", "cells"];

/// A value for a setting.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// Path into `base`, aliases replaced.
    pub(crate) path: Vec<String>,
    /// Its place.
    pub(crate) place: Span,
    /// The value.
    pub(crate) node: Node,
}

/// Reads the settings of a case; reports a path that replaces an earlier one.
pub(crate) fn read_settings(entries: &[(Key, Node)], problems: &mut Problems) -> Vec<Setting> {
    let mut settings: Vec<Setting> = Vec::new();
    for (key, node) in entries {
        let setting = match split_path(&key.name) {
            Some(path) => Setting::read(path, key, node, problems),
            None => {
                problems.push(not_a_path(key));
                None
            }
        };
        if let Some(setting) = setting {
            report_covered(&settings, &setting, problems);
            settings.push(setting);
        }
    }
    settings
}

/// Reports a setting in `earlier` that the later `setting` replaces completely.
pub(crate) fn report_covered(earlier: &[Setting], setting: &Setting, problems: &mut Problems) {
    if let Some(old) = earlier
        .iter()
        .find(|old| old.path.starts_with(&setting.path))
    {
        let message = format!(
            "`{}` replaces `{}`, which is set beside it",
            join_path(&setting.path),
            join_path(&old.path)
        );
        let problem = Problem::new(message).at(setting.place);
        problems.push(problem.note(format!("the other is set at line {}", old.place.line)));
    }
}

impl Setting {
    /// Reads `key: node` as a setting of `base`.
    pub(crate) fn read(
        mut path: Vec<String>,
        key: &Key,
        node: &Node,
        problems: &mut Problems,
    ) -> Option<Self> {
        alias::canonical_path(&mut path);
        let shape = match schema::settings().at(&path) {
            Ok(shape) => shape,
            Err(wrong) => {
                problems.push(no_setting(&path, wrong, key));
                return None;
            }
        };
        if path.len() == 1 {
            let message = format!("`{}` is a whole section; name the setting", key.name);
            let keys = shape.keys();
            let written = node.entries().iter().map(|(key, _)| key.name.as_str());
            let mut examples = written.filter(|name| keys.contains(name));
            let example = examples
                .next()
                .or(keys.first().copied())
                .unwrap_or_default();
            let hint = format!("write `{}.{example}: …`", path[0]);
            problems.push(Problem::new(message).at(key.span).hint(hint));
            return None;
        }
        if matches!(node.value, Value::Refused) {
            return None;
        }
        let mut node = node.clone();
        alias::canonicalize(&mut node, &path, problems);
        shape.canonicalize(&mut node);
        check(&node, shape, &path, key.span, true, problems).then_some(Self {
            path,
            place: key.span,
            node,
        })
    }
}

fn no_setting(path: &[String], wrong: schema::NoSuchPath<'_>, key: &Key) -> Problem {
    let name = &path[wrong.part];
    let whole = join_path(path);
    if let Some(rest) = path
        .first()
        .filter(|first| *first == "base")
        .map(|_| &path[1..])
    {
        let problem = Problem::new(format!("there is no setting `{whole}`")).at(key.span);
        return problem.hint(format!("paths start below `base`: `{}`", join_path(rest)));
    }
    let message = match wrong.part {
        0 => format!("there is no setting `{whole}`"),
        part if wrong.allowed.is_empty() => {
            format!(
                "there is no setting `{whole}`: `{}` has no parts",
                join_path(&path[..part])
            )
        }
        part => format!(
            "there is no setting `{name}` in `{}`",
            join_path(&path[..part])
        ),
    };
    let mut allowed = wrong.allowed;
    if wrong.part == 0 {
        allowed.extend(EXTRAS);
    }
    let problem = Problem::new(message).at(key.span).choices(name, allowed);
    match elsewhere(name).or_else(|| nearest_path(&whole)) {
        Some(hint) if wrong.part == 0 || is_alias(name) => problem.hint(hint),
        _ => problem,
    }
}

fn is_alias(name: &str) -> bool {
    alias::elsewhere(name).is_some()
}

/// The setting with the path nearest to `path`, as a hint.
fn nearest_path(path: &str) -> Option<String> {
    let below = |section: &&str| {
        let keys = schema::settings().child(section).map(Shape::keys);
        let path = |key: &str| format!("{section}.{key}");
        keys.unwrap_or_default()
            .into_iter()
            .map(path)
            .collect::<Vec<_>>()
    };
    let paths: Vec<String> = SECTIONS.iter().flat_map(below).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    nearest(path, &paths).map(|near| format!("did you mean `{near}`?"))
}

/// The section that has a setting `name`, as a hint.
pub(crate) fn elsewhere(name: &str) -> Option<String> {
    if let Some(hint) = alias::elsewhere(name) {
        return Some(hint);
    }
    let section = SECTIONS.iter().find(|section| {
        let shape = schema::settings().child(section);
        shape.is_some_and(|shape| shape.field(name).is_some())
    })?;
    Some(format!("it belongs to `{section}.{name}`"))
}

pub(crate) fn not_a_path(key: &Key) -> Problem {
    Problem::new(format!("`{}` is not a dot path", key.name))
        .at(key.span)
        .allowed("names joined by dots, such as `model.dim`; put a name that contains a dot in double quotes")
}

/// Checks `node` against `shape`; returns whether it fits.
pub(crate) fn check(
    node: &Node,
    shape: &Shape,
    path: &[String],
    place: Span,
    complete: bool,
    problems: &mut Problems,
) -> bool {
    let mut found = Problems::default();
    let mut check = Check {
        complete,
        problems: &mut found,
        root: "`base`",
        run: None,
    };
    check.node(
        node,
        shape,
        &mut path.iter().map(Cow::from).collect(),
        place,
    );
    let fits = found.is_empty();
    problems.append(found);
    fits
}

/// Puts a setting into `node`, the tree of `shape`. A path through a choice selects that choice.
pub(crate) fn set(node: &mut Node, shape: &Shape, setting: &Setting) {
    put(node, shape, &setting.path, setting);
}

fn put(node: &mut Node, shape: &Shape, path: &[String], setting: &Setting) {
    let Some((name, rest)) = path.split_first() else {
        *node = setting.node.clone();
        return;
    };
    let key = Key {
        name: name.clone(),
        span: setting.place,
    };
    let shape = match shape {
        Shape::Nullable(shape) => shape,
        shape => shape,
    };
    let kept = node.get(name).is_some();
    if matches!(shape, Shape::Choice(_)) && !kept {
        node.value = Value::Map(Vec::new());
        node.span = setting.place;
    }
    if let (Shape::Either(shapes), Value::Number(_)) = (shape, &node.value)
        && let Some(Shape::Record(fields)) = shapes.iter().find(|one| one.child(name).is_some())
        && let Some(main) = fields.iter().find(|field| field.required)
    {
        // the short form of a slice: the number is its `take`
        let number = node.clone();
        let main = Key {
            name: main.name.to_owned(),
            span: node.span,
        };
        node.value = Value::Map(vec![(main, number)]);
    }
    if rest.is_empty() {
        node.put(key, setting.node.clone());
        return;
    }
    if !kept {
        let empty = Node {
            value: Value::Map(Vec::new()),
            span: setting.place,
        };
        node.put(key, empty);
    }
    if let Value::Map(entries) = &mut node.value
        && let Some((_, child)) = entries.iter_mut().find(|(key, _)| key.name == *name)
        && let Some(shape) = shape.child(name)
    {
        put(child, shape, rest, setting);
    }
}
