//! Problems of a spec: all at once, each with the line that caused it, the allowed values and the nearest name.

use super::tree::{Span, shorten};
use std::fmt;
use std::path::PathBuf;
use unicode_width::UnicodeWidthStr as _;

/// Maximum number of problems shown.
const SHOWN: usize = 20;
/// Maximum number of problems gathered.
const GATHERED: usize = 1000;
/// Maximum number of names compared to find the nearest.
const COMPARED: usize = 500;
/// Widest source line shown, in characters.
const WIDTH: usize = 120;

/// Name of a `--set` argument where messages would name a file.
const SET: &str = "--set";

/// Why a spec cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is larger than any spec.
    #[error("`{}` is too large: a spec has at most {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The largest size.
        limit: u64,
    },
    /// The file is not UTF-8.
    #[error("`{}` is not UTF-8 text (line {line})", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Line with the first bad byte, from 1.
        line: usize,
    },
    /// The file has a different format number: it was written for a newer specbook.
    #[error("{problem}")]
    Format {
        /// The number in the file.
        found: u64,
        /// Where.
        problem: Box<SpecProblem>,
    },
    /// The file has problems.
    #[error("{0}")]
    Invalid(SpecProblems),
}

/// All problems of a spec, in the order of their places.
#[derive(Clone, Debug)]
pub struct SpecProblems {
    /// The problems (at most 1000).
    pub problems: Vec<SpecProblem>,
}

/// One problem of a spec.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct SpecProblem {
    /// What is wrong: `model.dmi: unknown key`.
    pub message: String,
    /// The text that caused it, if any.
    pub place: Option<Place>,
    /// What is allowed.
    pub allowed: Option<String>,
    /// Runs and other places involved.
    pub notes: Vec<String>,
    /// What to do.
    pub hint: Option<String>,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The file as given, or `--set`.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// Characters to underline.
    pub len: usize,
    /// The line.
    pub text: String,
}

impl fmt::Display for SpecProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        match self.problems.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            1 => f.write_str("\n\nand 1 more problem"),
            more => write!(f, "\n\nand {more} more problems"),
        }
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut margin = 1;
        if let Some(place) = &self.place {
            margin = place.line.to_string().len();
            place.fmt_with(f, margin)?;
        }
        let allowed = self.allowed.as_ref().map(|text| ("allowed", text));
        let notes = self.notes.iter().map(|text| ("note", text));
        let hint = self.hint.as_ref().map(|text| ("hint", text));
        for (label, text) in allowed.into_iter().chain(notes).chain(hint) {
            write!(f, "\n{:margin$} = {label}: {text}", "")?;
        }
        Ok(())
    }
}

impl Place {
    fn fmt_with(&self, f: &mut fmt::Formatter<'_>, margin: usize) -> fmt::Result {
        let before: String = self.text.chars().take(self.column - 1).collect();
        let marked: String = self
            .text
            .chars()
            .skip(self.column - 1)
            .take(self.len.max(1))
            .collect();
        let long = self.text.chars().count() > WIDTH && before.chars().count() > WIDTH / 2;
        let (text, before) = if long {
            let cut: String = before
                .chars()
                .skip(before.chars().count() - WIDTH / 2)
                .collect();
            let rest: String = self.text.chars().skip(self.column - 1).collect();
            (format!("…{cut}{rest}"), format!("…{cut}"))
        } else {
            (self.text.clone(), before)
        };
        write!(f, "\n{:margin$}--> {}", "", self.file)?;
        if self.file != SET {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        write!(
            f,
            "\n{:>margin$} | {}\n{:margin$} | {}{}",
            self.line,
            shorten(&text, WIDTH),
            "",
            " ".repeat(before.width()),
            "^".repeat(marked.width().clamp(1, WIDTH / 2)),
        )
    }
}

/// A problem being gathered: its place is still a [`Span`].
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    message: String,
    span: Option<Span>,
    allowed: Option<String>,
    notes: Vec<String>,
    hint: Option<String>,
    /// Runs in which it occurs.
    runs: Vec<String>,
}

impl From<crate::choices::Finding> for Problem {
    fn from(finding: crate::choices::Finding) -> Self {
        Self {
            allowed: finding.allowed,
            hint: finding.hint,
            ..Self::new(finding.message)
        }
    }
}

/// Start of the message for text that is not YAML.
pub(crate) const NO_YAML: &str = "not valid YAML: ";

/// Longest list of names shown in full.
const MANY: usize = 20;
/// Number of names shown from a longer list.
const NEAR: usize = 5;

impl Problem {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            span: None,
            allowed: None,
            notes: Vec::new(),
            hint: None,
            runs: Vec::new(),
        }
    }

    pub(crate) fn at(mut self, span: Span) -> Self {
        self.span = Some(span);
        self
    }

    /// Line and parser message, if the text is not YAML.
    pub(crate) fn syntax(&self) -> Option<(usize, &str)> {
        let said = self.message.strip_prefix(NO_YAML)?;
        self.span.map(|span| (span.line as usize, said))
    }

    pub(crate) fn allowed(mut self, text: impl Into<String>) -> Self {
        self.allowed = Some(text.into());
        self
    }

    pub(crate) fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    pub(crate) fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// Adds a hint unless there is one.
    pub(crate) fn or_hint(mut self, hint: &str) -> Self {
        self.hint.get_or_insert_with(|| hint.to_owned());
        self
    }

    /// Lists the allowed names and suggests the one nearest to `given`, if any is near.
    pub(crate) fn choices<'a>(self, given: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        self.choices_of(given, names, false)
    }

    /// As [`Self::choices`], for an incomplete list of names.
    pub(crate) fn choices_of<'a>(
        mut self,
        given: &str,
        names: impl IntoIterator<Item = &'a str>,
        has_more: bool,
    ) -> Self {
        let names: Vec<&str> = names.into_iter().collect();
        if let Some(near) = nearest(given, &names) {
            self.hint = Some(format!("did you mean `{near}`?"));
        }
        if names.len() > MANY {
            let mut near = names.clone();
            crate::human::likest_first(&mut near, given);
            near.truncate(NEAR);
            let others = names.len() - NEAR;
            self.allowed = Some(format!("{} and {others} other names", list(&near)));
        } else if !names.is_empty() {
            let others = if has_more { " and others" } else { "" };
            self.allowed = Some(list(&names) + others);
        }
        self
    }

    pub(crate) fn run(mut self, name: &str) -> Self {
        self.runs.push(name.to_owned());
        self
    }

    fn finish(self, sources: &Sources) -> SpecProblem {
        let mut notes = self.notes;
        match self.runs.as_slice() {
            [] => {}
            [run] => notes.push(format!("in run `{run}`")),
            [run, more @ ..] => notes.push(format!("in run `{run}` and {} more", more.len())),
        }
        SpecProblem {
            message: self.message,
            place: self.span.map(|span| sources.place(span)),
            allowed: self.allowed,
            notes,
            hint: self.hint,
        }
    }
}

/// `a`, `b`, `c`; long lists are truncated.
pub(crate) fn list(names: &[&str]) -> String {
    const MOST: usize = 40;
    let mut text = names
        .iter()
        .take(MOST)
        .map(|name| format!("`{}`", shorten(name, 60)))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > MOST {
        text.push_str(" and ");
        text.push_str(&(names.len() - MOST).to_string());
        text.push_str(" more");
    }
    text
}

/// The name nearest to `given`, if one is near enough for `given` to be a typo.
pub(crate) fn nearest<'a>(given: &str, names: &[&'a str]) -> Option<&'a str> {
    if given.parse::<f64>().is_ok() || names.len() > COMPARED {
        return None;
    }
    let given = given.to_lowercase();
    let length = given.chars().count();
    if length > 100 {
        return None;
    }
    let limit = (length / 3).max(1);
    names
        .iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let spelled = lower.replace('-', "_") == given.replace('-', "_");
            let distance = strsim::damerau_levenshtein(&given, &lower);
            (if spelled { 0 } else { distance }, *name)
        })
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
        .or_else(|| {
            let inside = |name: &&&str| length >= 3 && name.to_lowercase().contains(&given);
            names.iter().find(inside).copied()
        })
}

/// Problems being gathered; each is kept once, with the runs in which it occurs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Problems {
    list: Vec<Problem>,
    index: std::collections::BTreeMap<(Option<Span>, String), usize>,
    /// Number of runs checked: a problem of all runs lists none.
    pub(crate) checked_runs: usize,
}

impl Problems {
    pub(crate) fn push(&mut self, problem: Problem) {
        let key = (problem.span, problem.message.clone());
        if let Some(&index) = self.index.get(&key) {
            // first reported without a run: it is in the base
            if !self.list[index].runs.is_empty() {
                self.list[index].runs.extend(problem.runs);
            }
        } else if self.list.len() < GATHERED {
            self.index.insert(key, self.list.len());
            self.list.push(problem);
        }
    }

    pub(crate) fn append(&mut self, other: Self) {
        other
            .list
            .into_iter()
            .for_each(|problem| self.push(problem));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.list.len()
    }

    /// All problems, those of the spec first, each source in line order.
    pub(crate) fn finish(mut self, sources: &Sources) -> SpecProblems {
        self.list.sort_by_key(|problem| problem.span);
        for problem in &mut self.list {
            if problem.runs.len() >= self.checked_runs {
                problem.runs.clear();
            }
        }
        SpecProblems {
            problems: self
                .list
                .into_iter()
                .map(|problem| problem.finish(sources))
                .collect(),
        }
    }
}

/// The texts that were read: the spec and the `--set` arguments.
#[derive(Debug)]
pub(crate) struct Sources {
    /// Name and lines of each text.
    texts: Vec<(String, Vec<String>)>,
}

impl Sources {
    pub(crate) fn new(file: String, text: &str, overrides: &[String]) -> Self {
        let lines = |text: &str| text.lines().map(str::to_owned).collect();
        let mut texts = vec![(file, lines(text))];
        texts.extend(overrides.iter().map(|set| (SET.to_owned(), lines(set))));
        Self { texts }
    }

    fn place(&self, span: Span) -> Place {
        let (file, lines) = &self.texts[span.source as usize];
        // the end of the text is a valid place too
        let (line, column) = if span.line as usize > lines.len() {
            let end = lines
                .last()
                .map_or(0, |line| line.trim_end().chars().count());
            (lines.len().max(1), end + 1)
        } else {
            (span.line as usize, span.column.max(1) as usize)
        };
        let text = lines.get(line - 1).map_or("", String::as_str);
        Place {
            file: file.clone(),
            line,
            column,
            len: span.len as usize,
            text: text.trim_end().to_owned(),
        }
    }

    /// `problem` with its place.
    pub(crate) fn problem(&self, problem: Problem) -> SpecProblem {
        problem.finish(self)
    }
}
