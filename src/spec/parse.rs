//! Reading a spec from file to checked runs: the order of the steps, and nothing else.

use super::axes::Axes;
use super::dead::report_dead;
use super::error::{Problem, Problems, Sources, SpecError};
use super::experiment::{Experiment, Layer};
use super::load::{self, MAX_BYTES, Origin};
use super::refs::{self, Names};
use super::schema::{self, Shape};
use super::setting::{Setting, TEXTS};
use super::structure::{Check, is_sound, show};
use super::tree::{Key, Node, Span, Value};
use super::{Cell, Claim, Located, RunNames, Source, Spec, SpecRun, expand};
use crate::DEFAULT_PROFILE;
use crate::digest::Sha256Hex;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Spec file format that this version reads.
const FORMAT: u64 = 1;
/// Maximum number of profiles.
const MAX_PROFILES: usize = 64;

/// The requested profile and the overrides of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadRequest {
    /// Profile; `None` and `desk`: the base as written.
    pub profile: Option<String>,
    /// `--set` arguments in order, `path=value`, the value as YAML. They override profile and cases, but not axes
    /// (`vary.<path>=[…]` does).
    pub overrides: Vec<String>,
}

/// Reads the spec at `path`.
///
/// # Errors
/// As [`SpecText::read`] and [`SpecText::spec`].
pub fn load(path: &Path, request: &LoadRequest) -> Result<Spec, SpecError> {
    SpecText::read(path)?.spec(request)
}

/// Reads a spec from its text; `path` is named in messages and kept in the result.
///
/// # Errors
/// As [`SpecText::new`] and [`SpecText::spec`].
pub fn parse(text: &str, path: &Path, request: &LoadRequest) -> Result<Spec, SpecError> {
    SpecText::new(text.to_owned(), path)?.spec(request)
}

/// A spec's text, parsed once for all its profiles.
#[derive(Debug)]
pub struct SpecText {
    path: PathBuf,
    digest: Sha256Hex,
    text: Arc<str>,
    /// `None` if there is no tree; `problems` then holds the reason.
    root: Option<Node>,
    problems: Problems,
}

impl SpecText {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// A file that cannot be read, is not UTF-8, or is larger than 1 MiB.
    pub fn read(path: &Path) -> Result<Self, SpecError> {
        let read = |source| SpecError::Read {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(read)?;
        let mut bytes = Vec::new();
        // The reported size is wrong for devices and growing files.
        file.take(MAX_BYTES as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(read)?;
        if bytes.len() > MAX_BYTES {
            return Err(too_large(path));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let line = 1 + error.as_bytes()[..good]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
            SpecError::NotText {
                path: path.to_owned(),
                line,
            }
        })?;
        Self::new(text, path)
    }

    /// Parses `text`; `path` is named in messages and kept in specs.
    ///
    /// # Errors
    /// A text larger than 1 MiB.
    pub fn new(text: String, path: &Path) -> Result<Self, SpecError> {
        if text.len() > MAX_BYTES {
            return Err(too_large(path));
        }
        let mut problems = Problems::default();
        Ok(Self {
            path: path.to_owned(),
            digest: Sha256Hex::of(text.as_bytes()),
            root: load::parse_tree(without_mark(&text), Origin::default(), &mut problems),
            text: text.into(),
            problems,
        })
    }

    /// The file, as given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the spec in the requested profile, with `--set` applied.
    ///
    /// # Errors
    /// A different format number, or problems: all at once.
    pub fn spec(&self, request: &LoadRequest) -> Result<Spec, SpecError> {
        self.with_profiles(request).map(|(spec, _)| spec)
    }

    /// As [`Self::spec`], and also lays out all profiles, so that their runs can be made. `--set` changes only the
    /// requested one.
    ///
    /// # Errors
    /// As [`Self::spec`].
    pub fn with_profiles(&self, request: &LoadRequest) -> Result<(Spec, Profiles<'_>), SpecError> {
        let sources = || self.sources(request);
        if let Some((found, problem)) = self.root.as_ref().and_then(other_format) {
            return Err(SpecError::Format {
                found,
                problem: Box::new(sources().problem(problem)),
            });
        }
        let mut problems = self.problems.clone();
        let root = self.root.as_ref();
        match root.and_then(|root| read(root, request, &mut problems)) {
            Some((spec, laid_out)) if problems.is_empty() => {
                let spec = Spec {
                    path: self.path.clone(),
                    digest: self.digest,
                    text: Arc::clone(&self.text),
                    ..spec
                };
                let profiles = Profiles {
                    text: self,
                    laid_out,
                };
                Ok((spec, profiles))
            }
            _ => Err(SpecError::Invalid(problems.finish(&sources()))),
        }
    }

    fn sources(&self, request: &LoadRequest) -> Sources {
        let text = without_mark(&self.text);
        Sources::new(self.path.display().to_string(), text, &request.overrides)
    }
}

/// The laid-out profiles of a spec without problems.
#[derive(Debug)]
pub struct Profiles<'a> {
    text: &'a SpecText,
    laid_out: Vec<LaidOut>,
}

/// A profile applied to the base.
#[derive(Debug)]
struct LaidOut {
    profile: String,
    experiment: Experiment,
    axes: Arc<Axes>,
}

impl Profiles<'_> {
    /// Makes the runs of `profile`; none if there is no such profile.
    ///
    /// # Errors
    /// All problems of the runs at once.
    pub fn runs(&self, profile: &str) -> Result<Vec<SpecRun>, SpecError> {
        let mut all = self.laid_out.iter();
        let laid_out = all.find(|one| one.profile == profile);
        let (Some(root), Some(laid_out)) = (&self.text.root, laid_out) else {
            return Ok(Vec::new());
        };
        let mut problems = Problems::default();
        let runs = laid_out.runs(root, &mut problems);
        if problems.is_empty() {
            return Ok(runs);
        }
        let sources = self.text.sources(&LoadRequest::default());
        Err(SpecError::Invalid(problems.finish(&sources)))
    }
}

impl LaidOut {
    fn runs(&self, root: &Node, problems: &mut Problems) -> Vec<SpecRun> {
        let base = root.place(&["base"], false);
        let runs = expand::runs(&self.experiment, &self.axes, base, problems);
        if runs.is_empty() && problems.is_empty() {
            let place = root.place(&["exclude"], false);
            problems.push(Problem::new("no run is left: `exclude` removes all").at(place));
        }
        runs
    }
}

fn too_large(path: &Path) -> SpecError {
    SpecError::TooLarge {
        path: path.to_owned(),
        limit: MAX_BYTES as u64,
    }
}

/// The text without a leading byte order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// An integer format number other than ours.
fn other_format(root: &Node) -> Option<(u64, Problem)> {
    let (_, node) = root.entry("specbook")?;
    let Value::Number(number) = &node.value else {
        return None;
    };
    let found = number.as_u64().filter(|found| *found != FORMAT)?;
    let message = if found > FORMAT {
        format!("written for a newer specbook: format {found}, and this one reads format {FORMAT}")
    } else {
        format!("there is no format {found}; this specbook reads format {FORMAT}")
    };
    let hint = if found > FORMAT {
        "install a newer specbook"
    } else {
        "write `specbook: 1`"
    };
    Some((found, Problem::new(message).at(node.span).hint(hint)))
}

/// Reads the tree; problems are collected, and the spec is complete only if there are none.
fn read(
    root: &Node,
    request: &LoadRequest,
    problems: &mut Problems,
) -> Option<(Spec, Vec<LaidOut>)> {
    if !matches!(root.value, Value::Map(_)) {
        let problem = Problem::new(format!("a spec is a map, not {}", root.describe()));
        problems.push(problem.at(root.span).hint("begin with `specbook: 1`"));
        return None;
    }
    check_top(root, problems);
    let name = read_name(root, problems);
    let profiles = profile_names(root, request, problems);
    let mut names = Names::default();
    let laid_out = lay_out(root, request, &profiles, &mut names, problems);
    let wanted = request.profile.as_deref().unwrap_or(DEFAULT_PROFILE);
    let chosen = laid_out.iter().find(|one| one.profile == wanted);
    let own = with_texts_of(root, wanted);
    let root = &own;
    let claims = read_list::<Claim>(root, "claims", problems);
    let cells = read_list::<Cell>(root, "cells", problems);
    let labels = root.get("labels").and_then(|node| node.decode().ok());
    let labels: BTreeMap<String, String> = labels.unwrap_or_default();
    let runs = chosen.map(|chosen| chosen.runs(root, problems));
    refs::labels(root, &labels, &names, problems);
    let theme: Option<BTreeMap<String, String>> =
        root.get("theme").and_then(|node| node.decode().ok());
    refs::theme(root, theme.iter().flatten(), problems);
    refs::check(root, &claims, &cells, &profiles, &names, problems);
    let chosen = chosen?;
    let text = |key: &str| {
        root.get(key)
            .and_then(Node::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let title = Some(text("title")).filter(|title| !title.is_empty());
    let source = root
        .get("source")
        .and_then(|node| node.decode::<Source>().ok());
    let spec = Spec {
        path: PathBuf::new(),
        digest: Sha256Hex::of(b""),
        text: Arc::default(),
        title: title.unwrap_or_else(|| name.clone()),
        name,
        source: source.unwrap_or_default(),
        summary: text("summary"),
        finding: root.get("finding").and_then(|node| {
            let value = node.as_str()?.to_owned();
            let line = node.span.line as usize;
            (!value.trim().is_empty()).then_some(Located { value, line })
        }),
        labels,
        bibliography: text("bibliography"),
        theme: theme.unwrap_or_default(),
        profile: wanted.to_owned(),
        profiles,
        overrides: request.overrides.clone(),
        axes: chosen
            .axes
            .list
            .iter()
            .map(|plan| plan.axis.clone())
            .collect(),
        runs: runs?,
        claims: claims
            .into_iter()
            .flatten()
            .map(|Located { value, line }| Claim { line, ..value })
            .collect(),
        cells: cells.into_iter().flatten().collect(),
        run_names: RunNames(Arc::new(names)),
    };
    Some((spec, laid_out))
}

/// The spec with its texts replaced by those of a profile.
fn with_texts_of(root: &Node, profile: &str) -> Node {
    let mut own = root.clone();
    let texts = root.get("profiles").and_then(|all| all.get(profile));
    for (key, node) in texts.map(Node::entries).unwrap_or_default() {
        if TEXTS.contains(&key.name.as_str()) {
            own.put(key.clone(), node.clone());
        }
    }
    own
}

/// Applies every profile to the base, so that all are checked, and `--set` to the requested one; returns those with
/// axes.
fn lay_out(
    root: &Node,
    request: &LoadRequest,
    profiles: &[String],
    names: &mut Names,
    problems: &mut Problems,
) -> Vec<LaidOut> {
    let wanted = request.profile.as_deref().unwrap_or(DEFAULT_PROFILE);
    let base = Experiment::read(root, problems);
    report_dead(&base, &[], problems);
    let base_has_axes = Axes::new(&base, problems).is_some();
    names.incomplete = !base_has_axes || base.lacks_axes;
    let mut laid_out = Vec::new();
    for profile in profiles {
        let active = profile == wanted;
        let mut experiment = base.clone();
        experiment.own_exclude = false;
        let mut overrides = Vec::new();
        if let Some((key, node)) = root.get("profiles").and_then(|all| all.entry(profile)) {
            overrides = apply_profile(&mut experiment, key, node, problems);
            if problems.is_empty() && sets_nothing(&base, &experiment) {
                let message = format!("the profile `{profile}` sets nothing new");
                problems.push(Problem::new(message).at(key.span));
            }
        }
        if active {
            apply_sets(&mut experiment, &request.overrides, problems);
        }
        report_dead(&experiment, &overrides, problems);
        // axes that fail in the base would fail again here with the same message
        let axes = base_has_axes
            .then(|| Axes::new(&experiment, problems))
            .flatten();
        names.incomplete |= axes.is_none() || experiment.lacks_axes;
        if let Some(axes) = axes.map(Arc::new) {
            names.add(Arc::clone(&axes));
            laid_out.push(LaidOut {
                profile: profile.clone(),
                experiment,
                axes,
            });
        }
    }
    laid_out
}

/// Checks the keys of the file; `base` and the keys that define runs are checked where they are read.
fn check_top(root: &Node, problems: &mut Problems) {
    let later = ["base", "vary", "cases", "seeds", "exclude", "max_runs"];
    let mut check = Check {
        complete: true,
        problems,
        root: "the spec",
        run: None,
    };
    check.file(root, schema::file(), &later);
}

fn read_name(root: &Node, problems: &mut Problems) -> String {
    let Some(node) = root.get("name") else {
        return String::new();
    };
    let name = node.as_str().unwrap_or_default();
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if node.as_str().is_some() && !(starts && name.chars().all(fits) && name.len() <= 64) {
        let problem = Problem::new(format!(
            "`{name}` cannot name a spec: it also names a folder"
        ));
        let allowed = "at most 64 lower-case letters, digits, `-` and `_`; a letter or digit first";
        let problem = problem.at(node.span).allowed(allowed);
        problems.push(match near_name(name) {
            Some(near) => problem.hint(format!("write `{near}`")),
            None => problem,
        });
    } else if is_device(name) {
        let message = format!("`{name}` cannot name a spec: on Windows it names a device");
        problems.push(Problem::new(message).at(node.span));
    }
    name.to_owned()
}

/// The name with disallowed characters replaced.
fn near_name(name: &str) -> Option<String> {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let parts: Vec<&str> = parts.filter(|part| !part.is_empty()).collect();
    let near = parts.join("-").to_ascii_lowercase();
    let fits = name.is_ascii() && near.starts_with(|c: char| c.is_ascii_alphanumeric());
    (fits && near.len() <= 64).then_some(near)
}

/// Device names that Windows reserves in every folder.
fn is_device(name: &str) -> bool {
    let port = name.strip_prefix("com").or(name.strip_prefix("lpt"));
    matches!(name, "con" | "prn" | "aux" | "nul")
        || port.is_some_and(|number| matches!(number.as_bytes(), [b'1'..=b'9']))
}

/// All profiles, `desk` first.
fn profile_names(root: &Node, request: &LoadRequest, problems: &mut Problems) -> Vec<String> {
    let mut names = vec![DEFAULT_PROFILE.to_owned()];
    if let Some((key, node)) = root.entry("profiles")
        && node.entries().len() > MAX_PROFILES
    {
        let message = format!("a spec has at most {MAX_PROFILES} profiles");
        problems.push(Problem::new(message).at(key.span));
        return names;
    }
    for (key, _) in root.get("profiles").map(Node::entries).unwrap_or_default() {
        if key.name == DEFAULT_PROFILE {
            let message = "the profile `desk` is the base as written; it cannot be defined";
            problems.push(
                Problem::new(message)
                    .at(key.span)
                    .hint("put its settings into `base`"),
            );
        } else if key.name.is_empty()
            || key
                .name
                .contains(|c: char| c.is_whitespace() || c.is_control())
        {
            problems.push(Problem::new("a profile needs a name without spaces").at(key.span));
        } else {
            names.push(key.name.clone());
        }
    }
    if let Some(wanted) = &request.profile
        && !names.contains(wanted)
    {
        let problem = Problem::new(format!("there is no profile `{wanted}`"));
        problems.push(problem.choices(wanted, names.iter().map(String::as_str)));
    }
    names
}

/// Applies a profile to the experiment; returns its settings of `base`.
fn apply_profile(
    experiment: &mut Experiment,
    key: &Key,
    node: &Node,
    problems: &mut Problems,
) -> Vec<Setting> {
    if node.entries().is_empty() {
        let message = format!("the profile `{}` sets nothing", key.name);
        problems.push(Problem::new(message).at(key.span));
    }
    let mut settings = Vec::new();
    for (key, node) in node.entries() {
        settings.extend(experiment.apply(key, node, Layer::Profile, problems));
    }
    settings
}

/// Whether a profile changes nothing.
fn sets_nothing(before: &Experiment, after: &Experiment) -> bool {
    before.base.same(&after.base) && before.same_runs(after)
}

fn apply_sets(experiment: &mut Experiment, arguments: &[String], problems: &mut Problems) {
    for (index, argument) in arguments.iter().enumerate() {
        let source = index as u32 + 1;
        let span = |column: usize, len: usize| Span {
            source,
            line: 1,
            column: column as u32 + 1,
            len: len as u32,
        };
        let quoted = argument.strip_prefix('"').and_then(|rest| rest.find('"'));
        let from = quoted.map_or(0, |end| end + 2);
        let Some(at) = argument[from..].find('=').map(|at| at + from) else {
            let problem = Problem::new("`--set` needs a path and a value");
            let whole = span(0, argument.chars().count());
            problems.push(
                problem
                    .at(whole)
                    .hint("write `--set path=value`, such as `--set model.dim=64`"),
            );
            continue;
        };
        let (path, value) = (&argument[..at], &argument[at + 1..]);
        let width = path.chars().count();
        let key = Key {
            name: path.trim().to_owned(),
            span: span(0, width),
        };
        if value.trim().is_empty() {
            let problem = Problem::new(format!("`--set` gives `{path}` no value"));
            problems.push(
                problem
                    .at(span(width, 1))
                    .hint(format!("to unset it, write `{path}=null`")),
            );
            continue;
        }
        let origin = Origin {
            source,
            column: width as u32 + 1,
        };
        if let Some(node) = load::parse_tree(value, origin, problems) {
            experiment.apply(&key, &node, Layer::Set, problems);
        }
    }
}

/// Decodes a list item by item; `None` for items that do not decode (already reported).
fn read_list<T: DeserializeOwned>(
    root: &Node,
    key: &str,
    problems: &mut Problems,
) -> Vec<Option<Located<T>>> {
    let items = root.get(key).map(Node::items).unwrap_or_default();
    let shape = match schema::file().child(key) {
        Some(Shape::List(item, _)) => item,
        _ => &Shape::Any,
    };
    // serde would decode a list as a record, with its items as the fields in order.
    let one = |(index, item): (usize, &Node)| match item.decode() {
        _ if !is_sound(item, shape) => None,
        Ok(value) => Some(Located {
            value,
            line: item.span.line as usize,
        }),
        Err(error) => {
            if problems.is_empty() {
                let path = show(&[key.to_owned(), format!("[{index}]")]);
                problems.push(Problem::new(format!("{path}: {error}")).at(item.span));
            }
            None
        }
    };
    items.iter().enumerate().map(one).collect()
}
