//! Parses text into a tree with places: the only user of `serde_yaml` (values) and `saphyr-parser` (marks).
//!
//! The marks come first because the event parser can be stopped: deeply nested text and multiplying aliases are refused
//! before anything is built. The values are then read along the marks; if the two differ, the file is refused.

use super::error::{NO_YAML, Problem, Problems};
use super::indentation;
use super::tree::{Key, Node, Span, Value};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use serde_json::Value as Json;
use std::collections::{BTreeMap, BTreeSet};

/// Maximum size of a spec in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of maps and lists.
const MAX_DEPTH: usize = 32;
/// Maximum number of values that aliases (`*name`) may add.
const MAX_ALIASED: usize = 100_000;

/// Origin of a text: its number and the column of its first character, from 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) source: u32,
    pub(crate) column: u32,
}

/// Parses `text` and gathers its problems; `None` if no tree can be built.
pub(crate) fn parse_tree(text: &str, origin: Origin, problems: &mut Problems) -> Option<Node> {
    if let Some(problem) = forbidden(text, origin) {
        problems.push(problem);
        return None;
    }
    let mark = match Marks::new(text, origin).document() {
        Ok(mark) => mark,
        Err(problem) => {
            problems.push(advised(*problem, text, origin));
            return None;
        }
    };
    let whole = mark.span;
    let joined = Joined {
        mark,
        problems: &mut *problems,
    };
    match joined.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(node) => node,
        Err(error) => {
            let span = error.location().map_or(whole, |at| {
                origin.span(at.line(), at.column().saturating_sub(1), 1)
            });
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            problems.push(Problem::new(format!("{NO_YAML}{text}")).at(span));
            None
        }
    }
}

/// The problem of text that is not YAML, moved to its likely place.
fn advised(problem: Problem, text: &str, origin: Origin) -> Problem {
    let Some((line, message)) = problem.syntax() else {
        return problem;
    };
    match indentation::advice(text, line, message) {
        Some(advice) => problem
            .at(origin.span(advice.line, advice.column, 1))
            .hint(advice.hint),
        None => problem,
    }
}

/// The first character that YAML allows nowhere, not even in comments.
fn forbidden(text: &str, origin: Origin) -> Option<Problem> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    let (at, found) = text.char_indices().find(|(_, c)| !allowed(*c))?;
    let before = &text[..at];
    let line = 1 + before.matches('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    let code = found as u32;
    let message = format!("{NO_YAML}the control character U+{code:04X}");
    let hint = format!("remove it; in a text with double quotes it can be written `\\u{code:04x}`");
    Some(
        Problem::new(message)
            .at(origin.span(line, column, 1))
            .hint(hint),
    )
}

impl Origin {
    /// A place, from a `column` that counts from 0.
    fn span(self, line: usize, column: usize, len: usize) -> Span {
        let shift = if line <= 1 { self.column as usize } else { 0 };
        Span {
            source: self.source,
            line: line.max(1) as u32,
            column: (column + shift + 1) as u32,
            len: len as u32,
        }
    }
}

/// A node of the mark tree.
#[derive(Clone, Debug)]
struct Mark {
    span: Span,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// Text with escapes and folding resolved, and whether it is unquoted.
    Scalar(String, bool),
    List(Vec<Mark>),
    /// Keys and values, alternating.
    Map(Vec<Mark>),
}

impl Mark {
    fn size(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(..) => 0,
            Kind::List(items) | Kind::Map(items) => items.iter().map(Self::size).sum(),
        }
    }
}

/// Builds the mark tree from events without recursion.
struct Marks<'a> {
    parser: Parser<'a, saphyr_parser::StrInput<'a>>,
    origin: Origin,
    /// Open collections with their anchors.
    open: Vec<(Mark, usize)>,
    anchors: BTreeMap<usize, Mark>,
    aliased: usize,
    root: Option<Mark>,
}

type Marked<T> = Result<T, Box<Problem>>;

impl<'a> Marks<'a> {
    fn new(text: &'a str, origin: Origin) -> Self {
        Self {
            parser: Parser::new_from_str(text),
            origin,
            open: Vec::new(),
            anchors: BTreeMap::new(),
            aliased: 0,
            root: None,
        }
    }

    fn document(mut self) -> Marked<Mark> {
        let mut last = self.origin.span(1, 0, 1);
        while let Some(event) = self.parser.next_event() {
            let (event, place) = event.map_err(|error| {
                let at = error.marker();
                let span = self.origin.span(at.line(), at.col(), 1);
                // the scanner has its own depth limit, which it can hit while looking ahead
                let message = match error.info() {
                    "recursion limit exceeded" => {
                        format!("nested more than {MAX_DEPTH} levels deep")
                    }
                    info => format!("{NO_YAML}{info}"),
                };
                Box::new(Problem::new(message).at(span))
            })?;
            let len = if place.start.line() == place.end.line() {
                place.len()
            } else {
                1
            };
            last = self.origin.span(place.start.line(), place.start.col(), len);
            self.event(event, last)?;
        }
        self.root
            .ok_or_else(|| Box::new(Problem::new("there is nothing in it").at(last)))
    }

    fn event(&mut self, event: Event<'a>, span: Span) -> Marked<()> {
        let refuse = |message: &str| Err(Box::new(Problem::new(message).at(span)));
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                refuse("a second document begins here; a spec is one document")
            }
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => {
                refuse("tags (`!name`) are not allowed: a spec is plain data")
            }
            Event::Scalar(text, style, anchor, None) => {
                let kind = Kind::Scalar(text.into_owned(), style == ScalarStyle::Plain);
                self.close(Mark { span, kind }, anchor)
            }
            Event::SequenceStart(anchor, None) => self.start(Kind::List(Vec::new()), anchor, span),
            Event::MappingStart(anchor, None) => self.start(Kind::Map(Vec::new()), anchor, span),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some((mark, anchor)) => self.close(mark, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some(mark) = self.anchors.get(&anchor) else {
                    return refuse("this alias is inside the value it refers to");
                };
                self.aliased += mark.size();
                if self.aliased > MAX_ALIASED {
                    return refuse(&format!("aliases repeat more than {MAX_ALIASED} values"));
                }
                let kind = mark.kind.clone();
                self.close(Mark { span, kind }, 0)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, kind: Kind, anchor: usize, span: Span) -> Marked<()> {
        if self.open.len() >= MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} levels deep");
            return Err(Box::new(Problem::new(message).at(span)));
        }
        self.open.push((Mark { span, kind }, anchor));
        Ok(())
    }

    fn close(&mut self, mark: Mark, anchor: usize) -> Marked<()> {
        if anchor > 0 {
            self.aliased += mark.size();
            if self.aliased > MAX_ALIASED {
                let message = format!("anchors and aliases repeat more than {MAX_ALIASED} values");
                return Err(Box::new(Problem::new(message).at(mark.span)));
            }
            self.anchors.insert(anchor, mark.clone());
        }
        match self.open.last_mut() {
            Some((parent, _)) => match &mut parent.kind {
                Kind::List(items) | Kind::Map(items) => items.push(mark),
                Kind::Scalar(..) => {}
            },
            None => self.root = Some(mark),
        }
        Ok(())
    }
}

/// Joins a mark with the value `serde_yaml` reads at the same place; `None` if no tree can be built.
struct Joined<'a> {
    mark: Mark,
    problems: &'a mut Problems,
}

impl Joined<'_> {
    fn scalar(self, value: Value) -> Option<Node> {
        let span = self.mark.span;
        match self.mark.kind {
            Kind::Scalar(..) => Some(Node { value, span }),
            _ => ambiguous(span, self.problems),
        }
    }

    /// A number that JSON cannot hold: NaN, an infinity, or more than 64 bits.
    fn unfit(self) -> Option<Node> {
        if let Kind::Scalar(text, _) = &self.mark.kind {
            let message = format!("`{text}` is not a finite number of at most 64 bits");
            self.problems.push(Problem::new(message).at(self.mark.span));
        }
        self.scalar(Value::Refused)
    }
}

/// The two parsers disagree.
fn ambiguous(span: Span, problems: &mut Problems) -> Option<Node> {
    let message = "this is ambiguous; quote the strings around it";
    problems.push(Problem::new(message).at(span));
    None
}

impl<'de> DeserializeSeed<'de> for Joined<'_> {
    type Value = Option<Node>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Node>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Joined<'_> {
    type Value = Option<Node>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Option<Node>, E> {
        Ok(self.scalar(Value::Null))
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Option<Node>, E> {
        Ok(self.scalar(Value::Bool(yes)))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Option<Node>, E> {
        Ok(self.scalar(Value::Number(number.into())))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Option<Node>, E> {
        Ok(self.scalar(Value::Number(number.into())))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Option<Node>, E> {
        Ok(self.unfit())
    }

    fn visit_u128<E>(self, _: u128) -> Result<Option<Node>, E> {
        Ok(self.unfit())
    }

    fn visit_f64<E>(self, number: f64) -> Result<Option<Node>, E> {
        // `-0.0 + 0.0` is `0.0`: a single zero, so both spellings give the same run
        Ok(match Number::from_f64(number + 0.0) {
            Some(number) => self.scalar(Value::Number(number)),
            None => self.unfit(),
        })
    }

    fn visit_str<E>(mut self, text: &str) -> Result<Option<Node>, E> {
        // The mark has the same text: taking it saves a copy.
        let text = match &mut self.mark.kind {
            Kind::Scalar(own, _) if own == text => std::mem::take(own),
            _ => text.to_owned(),
        };
        Ok(self.scalar(Value::String(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Option<Node>, A::Error> {
        let Self { mark, problems } = self;
        let Mark { span, kind } = mark;
        let Kind::List(marks) = kind else {
            while access.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(ambiguous(span, problems));
        };
        let mut items = Vec::with_capacity(marks.len());
        for mark in marks {
            let problems = &mut *problems;
            match access.next_element_seed(Joined { mark, problems })? {
                Some(item) => items.push(item),
                None => return Ok(ambiguous(span, problems)),
            }
        }
        if access.next_element::<IgnoredAny>()?.is_some() {
            while access.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(ambiguous(span, problems));
        }
        let items: Option<Vec<Node>> = items.into_iter().collect();
        Ok(items.map(|items| Node {
            value: Value::List(items),
            span,
        }))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Option<Node>, A::Error> {
        let Self { mark, problems } = self;
        let Mark { span, kind } = mark;
        let Kind::Map(marks) = kind else {
            while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(ambiguous(span, problems));
        };
        let mut entries = Vec::with_capacity(marks.len() / 2);
        let mut marks = marks.into_iter();
        while let (Some(key), Some(mark)) = (marks.next(), marks.next()) {
            if access.next_key::<IgnoredAny>()?.is_none() {
                return Ok(ambiguous(span, problems));
            }
            let problems = &mut *problems;
            let value = access.next_value_seed(Joined { mark, problems })?;
            entries.push((key, value));
        }
        if access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
            while access.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(ambiguous(span, problems));
        }
        Ok(map(entries, problems).map(|entries| Node {
            value: Value::Map(entries),
            span,
        }))
    }
}

/// The entries of a map, with checked keys.
fn map(read: Vec<(Mark, Option<Node>)>, problems: &mut Problems) -> Option<Vec<(Key, Node)>> {
    let mut entries: Vec<(Key, Node)> = Vec::with_capacity(read.len());
    for (key, node) in read {
        let span = key.span;
        match key.kind {
            Kind::Scalar(name, true) if name == "<<" => {
                let message = "merge keys (`<<`) are not allowed; use `base` and overrides";
                problems.push(Problem::new(message).at(span));
            }
            Kind::Scalar(name, _) => entries.push((Key { name, span }, node?)),
            _ => {
                let message = "a key has to be a word, not a list or a map";
                problems.push(Problem::new(message).at(span));
            }
        }
    }
    let repeated = repeated(&entries);
    for &(index, first) in &repeated {
        let (key, first) = (&entries[index].0, &entries[first].0);
        problems.push(
            Problem::new(format!("`{}` is given twice", key.name))
                .at(key.span)
                .note(format!("first given at line {}", first.span.line)),
        );
    }
    if repeated.is_empty() {
        return Some(entries);
    }
    let repeated: BTreeSet<usize> = repeated.into_iter().map(|(index, _)| index).collect();
    let entries = entries.into_iter().enumerate();
    let first = entries.filter(|(index, _)| !repeated.contains(index));
    Some(first.map(|(_, entry)| entry).collect())
}

/// Entries with a repeated key, in order, each with the first occurrence.
fn repeated(entries: &[(Key, Node)]) -> Vec<(usize, usize)> {
    let name = |index: usize| &entries[index].0.name;
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|index| (name(*index), *index));
    let same = order.chunk_by(|a, b| name(*a) == name(*b));
    let mut repeated: Vec<(usize, usize)> = same
        .flat_map(|same| same[1..].iter().map(|index| (*index, same[0])))
        .collect();
    repeated.sort_unstable();
    repeated
}

/// The values of a YAML text without places; `None` if it is not YAML.
pub(crate) fn values(text: &str) -> Option<Json> {
    serde_yaml::from_str(text).ok()
}

/// A value as YAML on one line.
pub(crate) fn flow(value: &Json) -> String {
    match value {
        Json::Array(list) => {
            let items: Vec<String> = list.iter().map(flow).collect();
            format!("[{}]", items.join(", "))
        }
        Json::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(key, value)| format!("{key}: {}", flow(value)))
                .collect();
            format!("{{{}}}", pairs.join(", "))
        }
        value => serde_yaml::to_string(value)
            .map_or_else(|_| value.to_string(), |text| text.trim_end().to_owned()),
    }
}
