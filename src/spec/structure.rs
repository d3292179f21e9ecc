//! Checks a tree against its shape: unknown and missing keys, wrong types, unknown choices; reports all, each
//! with its place.

use super::advice;
use super::error::{Problem, Problems, nearest};
use super::schema::{Field, Shape, Variant};
use super::tree::{Key, Node, Span, Value, join_path};
use std::borrow::Cow;

/// Position of a check: keys, and list indices as `[2]`.
type Path<'n> = Vec<Cow<'n, str>>;

/// A structure check in progress.
pub(crate) struct Check<'a> {
    /// Whether missing keys are reported (not for a base that cases or profiles complete).
    pub(crate) complete: bool,
    pub(crate) problems: &'a mut Problems,
    /// Name of the root: `the spec`, `base`.
    pub(crate) root: &'static str,
    /// Name of the run being checked.
    pub(crate) run: Option<&'a str>,
}

impl Check<'_> {
    /// Checks `node` at `path`; `place` is the place of its key.
    pub(crate) fn node<'n>(
        &mut self,
        node: &'n Node,
        shape: &Shape,
        path: &mut Path<'n>,
        place: Span,
    ) {
        match (shape, &node.value) {
            (Shape::Any, _)
            | (_, Value::Refused)
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Text, Value::String(_))
            | (Shape::Number, Value::Number(_))
            | (Shape::Nullable(_), Value::Null) => {}
            (Shape::Nullable(shape), _) => self.node(node, shape, path, place),
            (Shape::Integer(most), Value::Number(number)) => {
                if number.as_u64().is_none_or(|number| number > *most) {
                    self.mismatch(node, shape, path);
                }
            }
            (Shape::List(_, Some(len)), Value::List(items)) if items.len() != *len => {
                let message = format!(
                    "`{}` has to have {len} items, not {}",
                    show(path),
                    items.len()
                );
                self.push(Problem::new(message).at(node.span));
            }
            (Shape::List(shape, _), Value::List(items)) => {
                for (index, item) in items.iter().enumerate() {
                    path.push(format!("[{index}]").into());
                    self.node(item, shape, path, item.span);
                    path.pop();
                }
            }
            (Shape::Map(shape), Value::Map(entries)) => {
                for (key, child) in entries {
                    self.child(key, child, shape, path);
                }
            }
            (Shape::Record(fields), Value::Map(entries)) => {
                self.record(entries, fields, path, place);
            }
            (Shape::Choice(variants), _) => self.choice(node, variants, shape, path),
            (Shape::Either(shapes), _) => self.either(node, shapes, shape, path, place),
            _ => self.mismatch(node, shape, path),
        }
    }

    /// Checks the whole file; of the keys in `only_present`, only that they are present.
    pub(crate) fn file(&mut self, root: &Node, shape: &Shape, only_present: &[&str]) {
        let Shape::Record(fields) = shape else {
            return;
        };
        let mut path = Vec::new();
        self.keys(root.entries(), fields, &path, root.span);
        for (key, child) in root.entries() {
            if !only_present.contains(&key.name.as_str())
                && let Some(shape) = shape.child(&key.name)
            {
                self.child(key, child, shape, &mut path);
            }
        }
    }

    fn child<'n>(&mut self, key: &'n Key, node: &'n Node, shape: &Shape, path: &mut Path<'n>) {
        path.push(key.name.as_str().into());
        self.node(node, shape, path, key.span);
        path.pop();
    }

    fn record<'n>(
        &mut self,
        entries: &'n [(Key, Node)],
        fields: &[Field],
        path: &mut Path<'n>,
        place: Span,
    ) {
        self.keys(entries, fields, path, place);
        for (key, child) in entries {
            if let Some(field) = fields.iter().find(|field| field.name == key.name) {
                self.child(key, child, &field.shape, path);
            }
        }
    }

    /// Reports keys that are unknown or missing.
    fn keys(&mut self, entries: &[(Key, Node)], fields: &[Field], path: &Path<'_>, place: Span) {
        let is_field = |key: &Key| fields.iter().any(|field| field.name == key.name);
        let mut meant = Vec::new();
        let unknown = entries.iter().enumerate();
        for (index, (key, _)) in unknown.filter(|(_, (key, _))| !is_field(key)) {
            let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
            let message = format!("unknown key `{}` in {}", key.name, whole(path, self.root));
            let mut problem = Problem::new(message).at(key.span);
            problem = problem.choices(&key.name, names.iter().copied());
            let comma = advice::of_comma(entries, index);
            match comma.or_else(|| super::setting::elsewhere(&key.name)) {
                Some(hint) => problem = problem.hint(hint),
                None => meant.extend(nearest(&key.name, &names)),
            }
            self.push(problem);
        }
        if !self.complete {
            return;
        }
        for field in fields.iter().filter(|field| field.required) {
            let is_meant = meant.contains(&field.name);
            if !is_meant && !entries.iter().any(|(key, _)| key.name == field.name) {
                let message = format!("{} lacks the key `{}`", whole(path, self.root), field.name);
                let problem = Problem::new(message).at(place);
                self.push(match field.name {
                    "specbook" if path.is_empty() => problem.hint("begin with `specbook: 1`"),
                    _ => problem.allowed(field.shape.expected()),
                });
            }
        }
    }

    fn choice<'n>(
        &mut self,
        node: &'n Node,
        variants: &[Variant],
        shape: &Shape,
        path: &mut Path<'n>,
    ) {
        let names = || variants.iter().map(|variant| variant.name);
        let find = |name: &str| variants.iter().find(|variant| variant.name == name);
        let unknown = |name: &str, span| {
            let path = show(path);
            let problem = Problem::new(format!("`{path}` cannot be `{name}`"))
                .at(span)
                .choices(name, names())
                .allowed(shape.expected());
            match advice::of_choice(name, variants, &path) {
                Some(hint) => problem.hint(hint),
                None => problem,
            }
        };
        match &node.value {
            Value::String(name) => match find(name) {
                None => self.push(unknown(name, node.span)),
                Some(variant) if variant.shape.is_some() => {
                    let message = format!("`{}`: `{name}` needs its settings", show(path));
                    let hint = format!("write {}", variant.written());
                    self.push(Problem::new(message).at(node.span).hint(hint));
                }
                Some(_) => {}
            },
            Value::Map(entries) => match entries.as_slice() {
                [(key, child)] => match find(&key.name) {
                    None => self.push(unknown(&key.name, key.span)),
                    Some(Variant {
                        shape: Some(shape), ..
                    }) => self.child(key, child, shape, path),
                    Some(_) => {
                        let message = format!("`{}`: `{}` has no settings", show(path), key.name);
                        let hint = format!("write `{}` alone", key.name);
                        self.push(Problem::new(message).at(key.span).hint(hint));
                    }
                },
                [] => self.mismatch(node, shape, path),
                [_, (second, _), ..] => {
                    let message = format!(
                        "`{}`: only one of these {} choices can hold",
                        show(path),
                        entries.len()
                    );
                    let problem = Problem::new(message).at(second.span);
                    let problem = problem.allowed(shape.expected());
                    self.push(match advice::of_comma(entries, 1) {
                        Some(hint) => problem.hint(hint),
                        None => problem,
                    });
                }
            },
            _ => self.mismatch(node, shape, path),
        }
    }

    fn either<'n>(
        &mut self,
        node: &'n Node,
        shapes: &[Shape],
        whole: &Shape,
        path: &mut Path<'n>,
        place: Span,
    ) {
        let kind = |shape: &&Shape| {
            matches!(
                (shape, &node.value),
                (Shape::Record(_) | Shape::Map(_), Value::Map(_))
                    | (Shape::List(..), Value::List(_))
                    | (Shape::Integer(_) | Shape::Number, Value::Number(_))
                    | (Shape::Choice(_) | Shape::Text, Value::String(_))
            )
        };
        match shapes.iter().find(kind) {
            Some(shape @ Shape::Choice(variants)) => {
                let known = |name| variants.iter().any(|variant| variant.name == name);
                match node.as_str() {
                    Some(name) if !known(name) => {
                        let names = variants.iter().map(|variant| variant.name);
                        let message = format!("`{}` cannot be `{name}`", show(path));
                        let problem = Problem::new(message).at(node.span).choices(name, names);
                        self.push(problem.allowed(whole.expected()));
                    }
                    _ => self.node(node, shape, path, place),
                }
            }
            Some(shape) => self.node(node, shape, path, place),
            None => self.mismatch(node, whole, path),
        }
    }

    fn mismatch(&mut self, node: &Node, shape: &Shape, path: &Path<'_>) {
        let (path, found) = (show(path), node.describe());
        let problem = match shape {
            Shape::Bool | Shape::Text | Shape::Integer(_) | Shape::Number | Shape::List(..) => {
                Problem::new(format!(
                    "`{path}` has to be {}, not {found}",
                    shape.expected()
                ))
            }
            _ => Problem::new(format!("`{path}` cannot be {found}")).allowed(shape.expected()),
        }
        .at(node.span);
        self.push(match advice::of_value(node, shape, &path) {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    fn push(&mut self, problem: Problem) {
        self.problems.push(match self.run {
            Some(run) => problem.run(run),
            None => problem,
        });
    }
}

/// Whether the structure of `node` has no problems.
pub(crate) fn is_sound(node: &Node, shape: &Shape) -> bool {
    let mut problems = Problems::default();
    let mut check = Check {
        complete: true,
        problems: &mut problems,
        root: "",
        run: None,
    };
    check.node(node, shape, &mut Vec::new(), node.span);
    problems.is_empty()
}

/// `model.dim`; list indices are written without a dot: `claims[2].id`.
pub(crate) fn show<S: AsRef<str>>(path: &[S]) -> String {
    join_path(path).replace(".[", "[")
}

fn whole(path: &Path<'_>, root: &str) -> String {
    if path.is_empty() {
        root.to_owned()
    } else {
        format!("`{}`", show(path))
    }
}
