//! The part of a spec that defines runs: base, cases, axes and seeds, with the overrides of profiles and `--set`.

use super::alias;
use super::error::{Problem, Problems};
use super::schema::{self, Shape};
use super::setting::{EXTRAS, Setting, TEXTS, check, not_a_path, read_settings, set};
use super::tree::{Key, Node, Span, Value, join_path, split_path};

/// A named group of settings.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) place: Span,
    pub(crate) settings: Vec<Setting>,
}

/// A setting and the values it takes.
#[derive(Clone, Debug)]
pub(crate) struct Varied {
    pub(crate) path: Vec<String>,
    pub(crate) place: Span,
    pub(crate) values: Vec<Node>,
}

/// Everything runs are made from.
#[derive(Clone, Debug)]
pub(crate) struct Experiment {
    pub(crate) base: Node,
    pub(crate) cases: Vec<Case>,
    pub(crate) vary: Vec<Varied>,
    /// Seeds, if written, and their place.
    pub(crate) seeds: Option<(Span, Vec<Node>)>,
    pub(crate) exclude: Vec<Node>,
    /// Whether `exclude` was written for these axes, not inherited.
    pub(crate) own_exclude: bool,
    pub(crate) max_runs: Option<(Span, u64)>,
    /// Settings from `--set`; they override everything else.
    pub(crate) sets: Vec<Setting>,
    /// Whether invalid cases, axes or seeds were left out.
    pub(crate) lacks_axes: bool,
}

/// The source of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Profile,
    Set,
}

impl Experiment {
    /// Reads the keys of the spec; unreadable values are reported and left out.
    pub(crate) fn read(root: &Node, problems: &mut Problems) -> Self {
        let mut base = root.get("base").cloned().unwrap_or(Node {
            value: Value::Map(Vec::new()),
            span: root.span,
        });
        alias::canonicalize(&mut base, &[], problems);
        schema::settings().canonicalize(&mut base);
        let place = root.place(&["base"], false);
        check(&base, schema::settings(), &[], place, false, problems);
        let mut experiment = Self {
            base,
            cases: Vec::new(),
            vary: Vec::new(),
            seeds: None,
            exclude: Vec::new(),
            own_exclude: true,
            max_runs: None,
            sets: Vec::new(),
            lacks_axes: false,
        };
        for name in EXTRAS {
            if let Some((key, node)) = root.entry(name) {
                experiment.extra(&[name.to_owned()], key, node, problems);
            }
        }
        experiment
    }

    /// Applies one override to the experiment.
    ///
    /// Returns the override as a setting of `base`, if it is one.
    pub(crate) fn apply(
        &mut self,
        key: &Key,
        node: &Node,
        layer: Layer,
        problems: &mut Problems,
    ) -> Option<Setting> {
        let Some(path) = split_path(&key.name) else {
            problems.push(not_a_path(key));
            return None;
        };
        if EXTRAS.contains(&path[0].as_str()) {
            self.extra(&path, key, node, problems);
            return None;
        }
        if layer == Layer::Profile && TEXTS.contains(&key.name.as_str()) {
            let shape = schema::file().child(&key.name).unwrap_or(&Shape::Any);
            check(node, shape, &path, key.span, true, problems);
            return None;
        }
        let setting = Setting::read(path, key, node, problems)?;
        match layer {
            Layer::Set => self.sets.push(setting.clone()),
            Layer::Profile => set(&mut self.base, schema::settings(), &setting),
        }
        Some(setting)
    }

    /// Whether cases, axes, seeds, exclusions and limit are equal.
    pub(crate) fn same_runs(&self, other: &Self) -> bool {
        let nodes =
            |a: &[Node], b: &[Node]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same(b));
        let settings = |a: &[Setting], b: &[Setting]| {
            let same = |(a, b): (&Setting, &Setting)| a.path == b.path && a.node.same(&b.node);
            a.len() == b.len() && a.iter().zip(b).all(same)
        };
        let seeds = |experiment: &Self| experiment.seeds.clone().map(|(_, seeds)| seeds);
        self.cases.len() == other.cases.len()
            && self
                .cases
                .iter()
                .zip(&other.cases)
                .all(|(a, b)| a.name == b.name && settings(&a.settings, &b.settings))
            && self.vary.len() == other.vary.len()
            && self
                .vary
                .iter()
                .zip(&other.vary)
                .all(|(a, b)| a.path == b.path && nodes(&a.values, &b.values))
            && match (seeds(self), seeds(other)) {
                (Some(a), Some(b)) => nodes(&a, &b),
                (a, b) => a.is_none() && b.is_none(),
            }
            && nodes(&self.exclude, &other.exclude)
            && self.max_runs.map(|(_, most)| most) == other.max_runs.map(|(_, most)| most)
    }

    fn extra(&mut self, path: &[String], key: &Key, node: &Node, problems: &mut Problems) {
        let before = problems.len();
        self.read_extra(path, key, node, problems);
        self.lacks_axes |= problems.len() > before;
    }

    fn read_extra(&mut self, path: &[String], key: &Key, node: &Node, problems: &mut Problems) {
        match (path[0].as_str(), &path[1..]) {
            ("vary", rest) => self.vary(rest, key, node, problems),
            ("cases", rest) => self.case(rest, key, node, problems),
            (name, []) => {
                let shape = schema::file().child(name).unwrap_or(&Shape::Any);
                if !check(node, shape, path, key.span, true, problems) {
                    return;
                }
                match name {
                    "seeds" => self.seeds = Some((key.span, node.items().to_vec())),
                    "exclude" => {
                        self.exclude = node.items().to_vec();
                        self.own_exclude = true;
                    }
                    _ => self.max_runs = number(node).map(|most| (node.span, most)),
                }
            }
            (name, _) => {
                let message = format!("`{}`: `{name}` has no parts", key.name);
                problems.push(Problem::new(message).at(key.span));
            }
        }
    }

    fn vary(&mut self, path: &[String], key: &Key, node: &Node, problems: &mut Problems) {
        if !path.is_empty() {
            self.axis(path, key, node, problems);
            return;
        }
        self.vary.clear();
        if !matches!(node.value, Value::Map(_)) {
            let message = format!(
                "`vary` has to be a map from paths to lists, not {}",
                node.describe()
            );
            return problems.push(Problem::new(message).at(node.span));
        }
        for (key, node) in node.entries() {
            let Some(mut path) = split_path(&key.name) else {
                problems.push(not_a_path(key));
                continue;
            };
            alias::canonical_path(&mut path);
            if let Some(other) = self.vary.iter().find(|axis| axis.path == path) {
                let message = format!("the axis `{}` is given twice", join_path(&path));
                let line = other.place.line;
                let problem = Problem::new(message).at(key.span);
                problems.push(problem.note(format!("first given at line {line}")));
                continue;
            }
            self.axis(&path, key, node, problems);
        }
    }

    /// Sets, adds or (with null values) removes an axis.
    fn axis(&mut self, path: &[String], key: &Key, node: &Node, problems: &mut Problems) {
        let mut path = path.to_vec();
        alias::canonical_path(&mut path);
        let name = join_path(&path);
        let old = self.vary.iter().position(|axis| axis.path == path);
        let items = match &node.value {
            Value::List(items) if !items.is_empty() => items,
            Value::List(_) => {
                let message = format!("the axis `{name}` has no values");
                return problems.push(Problem::new(message).at(node.span));
            }
            Value::Null if old.is_some() => {
                self.vary.retain(|axis| axis.path != path);
                return;
            }
            Value::Null => {
                let names: Vec<String> =
                    self.vary.iter().map(|axis| join_path(&axis.path)).collect();
                let message = format!("there is no axis `{name}` to remove");
                let problem = Problem::new(message).at(key.span);
                return problems.push(problem.choices(&name, names.iter().map(String::as_str)));
            }
            _ => {
                let message = format!("`{name}`: an axis needs a list, not {}", node.describe());
                let hint = super::advice::of_axis(&name, node);
                return problems.push(Problem::new(message).at(node.span).hint(hint));
            }
        };
        let values: Vec<Node> = items
            .iter()
            .map_while(|item| Setting::read(path.clone(), key, item, problems))
            .map(|setting| setting.node)
            .collect();
        if values.is_empty() {
            return;
        }
        let axis = Varied {
            path,
            place: key.span,
            values,
        };
        match old {
            Some(index) => self.vary[index] = axis,
            None => self.vary.push(axis),
        }
    }

    fn case(&mut self, path: &[String], key: &Key, node: &Node, problems: &mut Problems) {
        match path {
            [] => {
                self.cases.clear();
                let shape = schema::file().child("cases").unwrap_or(&Shape::Any);
                if check(node, shape, &["cases".to_owned()], key.span, true, problems) {
                    for (key, node) in node.entries() {
                        // the keys of a map are unique: there is no case to replace
                        self.whole_case(&key.name, None, key, node, problems);
                    }
                }
            }
            [name] => {
                let old = self.cases.iter().position(|case| case.name == *name);
                self.whole_case(name, old, key, node, problems);
            }
            [name, rest @ ..] => {
                let Some(setting) = Setting::read(rest.to_vec(), key, node, problems) else {
                    return;
                };
                match self.cases.iter_mut().find(|case| case.name == *name) {
                    Some(case) => {
                        case.settings.retain(|old| old.path != setting.path);
                        case.settings.push(setting);
                    }
                    None => problems.push(self.no_case(name, key)),
                }
            }
        }
    }

    /// Sets, adds or (with null settings) removes a case; `old` is the index of an existing case with that name.
    fn whole_case(
        &mut self,
        name: &str,
        old: Option<usize>,
        key: &Key,
        node: &Node,
        problems: &mut Problems,
    ) {
        let settings = match &node.value {
            Value::Map(entries) => read_settings(entries, problems),
            Value::Null if old.is_some() => {
                self.cases.retain(|case| case.name != name);
                return;
            }
            Value::Null => return problems.push(self.no_case(name, key)),
            _ => {
                let message = format!("the case `{name}` has to be a map from paths to values");
                return problems.push(Problem::new(message).at(node.span));
            }
        };
        if name.is_empty() || name.trim() != name || name.contains([',', '=', '/', '"', '\'', '`'])
        {
            let problem = Problem::new(format!("`{name}` cannot name a case")).at(key.span);
            problems.push(problem.allowed("any text without `,` `=` `/`, quotes and outer spaces"));
        }
        let case = Case {
            name: name.to_owned(),
            place: key.span,
            settings,
        };
        match old {
            Some(index) => self.cases[index] = case,
            None => self.cases.push(case),
        }
    }

    fn no_case(&self, name: &str, key: &Key) -> Problem {
        let names = self.cases.iter().map(|case| case.name.as_str());
        Problem::new(format!("there is no case `{name}`"))
            .at(key.span)
            .choices(name, names)
    }
}

fn number(node: &Node) -> Option<u64> {
    match &node.value {
        Value::Number(number) => number.as_u64(),
        _ => None,
    }
}
