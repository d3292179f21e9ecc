//! From text to a tree with places: the only user of `serde_yaml` (values) and of `saphyr-parser` (marks).
//!
//! The marks come first, because the event parser can be stopped: text that nests deeply or whose aliases multiply is refused
//! before anything is built from it. Then both trees are walked together; where they differ, the file is refused.

use super::error::{Problem, Problems};
use super::tree::{Key, Node, Span, Value};
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Number;
use std::collections::BTreeMap;

/// Largest spec in bytes.
pub(crate) const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of maps and lists.
const MAX_DEPTH: usize = 32;
/// Most values that aliases (`*name`) may add.
const MAX_ALIASED: usize = 100_000;

/// Where a text stands: its number and the column of its first character, from 0.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Origin {
    pub(crate) source: u32,
    pub(crate) column: u32,
}

/// Parses `text`; gives `None` where no tree can be had, and always the problems that were met.
pub(crate) fn parse_tree(text: &str, origin: Origin, problems: &mut Problems) -> Option<Node> {
    if let Some(problem) = forbidden(text, origin) {
        problems.push(problem);
        return None;
    }
    let mark = match Marks::new(text, origin).document() {
        Ok(mark) => mark,
        Err(problem) => {
            problems.push(*problem);
            return None;
        }
    };
    match serde_yaml::from_str::<Raw>(text) {
        Ok(raw) => join(raw, mark, problems),
        Err(error) => {
            let span = error.location().map_or(mark.span, |at| {
                origin.span(at.line(), at.column().saturating_sub(1), 1)
            });
            let text = error.to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            problems.push(Problem::new(format!("not valid YAML: {text}")).at(span));
            None
        }
    }
}

/// The first character that YAML does not allow anywhere, comments included.
fn forbidden(text: &str, origin: Origin) -> Option<Problem> {
    let allowed = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
    let (at, found) = text.char_indices().find(|(_, c)| !allowed(*c))?;
    let before = &text[..at];
    let line = 1 + before.matches('\n').count();
    let column = before.chars().rev().take_while(|c| *c != '\n').count();
    let code = found as u32;
    let message = format!("not valid YAML: the control character U+{code:04X}");
    let hint = format!("remove it; in a text with double quotes it can be written `\\u{code:04x}`");
    Some(
        Problem::new(message)
            .at(origin.span(line, column, 1))
            .hint(hint),
    )
}

impl Origin {
    /// A place; `column` counts from 0.
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
    /// Text as written (escapes and folding decided) and whether it stands without quotes.
    Scalar(String, bool),
    List(Vec<Mark>),
    /// Keys and values in turn.
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

/// Builds the mark tree from events, without recursion.
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
                // the scanner has a depth limit of its own, which it meets when it looks ahead
                let message = match error.info() {
                    "recursion limit exceeded" => {
                        format!("nested more than {MAX_DEPTH} levels deep")
                    }
                    info => format!("not valid YAML: {info}"),
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
                    return refuse("this alias stands inside the value that it names");
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

/// A value as `serde_yaml` sees it; repeated keys are kept, so that they can be refused by place.
#[derive(Debug)]
enum Raw {
    Null,
    Bool(bool),
    Number(Number),
    /// A number that JSON cannot hold: NaN, an infinity, or more than 64 bits.
    Unfit,
    String(String),
    List(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Null)
    }

    fn visit_bool<E>(self, yes: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(yes))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Raw, E> {
        Ok(Raw::Number(number.into()))
    }

    fn visit_i128<E>(self, _: i128) -> Result<Raw, E> {
        Ok(Raw::Unfit)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Raw, E> {
        Ok(Raw::Unfit)
    }

    fn visit_f64<E>(self, number: f64) -> Result<Raw, E> {
        // `-0.0 + 0.0` is `0.0`: one zero, so that both spellings give one run
        Ok(Number::from_f64(number + 0.0).map_or(Raw::Unfit, Raw::Number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Raw::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Raw, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Map(entries))
    }
}

/// Puts values and marks together.
fn join(raw: Raw, mark: Mark, problems: &mut Problems) -> Option<Node> {
    let span = mark.span;
    let value = match (raw, mark.kind) {
        (Raw::Null, Kind::Scalar(..)) => Value::Null,
        (Raw::Bool(yes), Kind::Scalar(..)) => Value::Bool(yes),
        (Raw::Number(number), Kind::Scalar(..)) => Value::Number(number),
        (Raw::Unfit, Kind::Scalar(text, _)) => {
            problems.push(
                Problem::new(format!(
                    "`{text}` is not a finite number of at most 64 bits"
                ))
                .at(span),
            );
            Value::Refused
        }
        (Raw::String(text), Kind::Scalar(..)) => Value::String(text),
        (Raw::List(raws), Kind::List(marks)) if raws.len() == marks.len() => Value::List(
            raws.into_iter()
                .zip(marks)
                .map(|(raw, mark)| join(raw, mark, problems))
                .collect::<Option<_>>()?,
        ),
        (Raw::Map(raws), Kind::Map(marks)) if raws.len() * 2 == marks.len() => {
            Value::Map(join_entries(raws, marks, problems)?)
        }
        _ => {
            let message = "this can be read in two ways; quote the texts around it";
            problems.push(Problem::new(message).at(span));
            return None;
        }
    };
    Some(Node { value, span })
}

fn join_entries(
    raws: Vec<(Raw, Raw)>,
    marks: Vec<Mark>,
    problems: &mut Problems,
) -> Option<Vec<(Key, Node)>> {
    let mut entries: Vec<(Key, Node)> = Vec::with_capacity(raws.len());
    let mut seen: BTreeMap<String, Span> = BTreeMap::new();
    let mut marks = marks.into_iter();
    for (_, raw) in raws {
        let (key, mark) = (marks.next()?, marks.next()?);
        let span = key.span;
        let Kind::Scalar(name, plain) = key.kind else {
            problems.push(Problem::new("a key has to be a word, not a list or a map").at(span));
            continue;
        };
        let node = join(raw, mark, problems)?;
        if plain && name == "<<" {
            let message = "merge keys (`<<`) are not allowed; use `base` and overrides";
            problems.push(Problem::new(message).at(span));
        } else if let Some(first) = seen.get(&name) {
            problems.push(
                Problem::new(format!("`{name}` is given twice"))
                    .at(span)
                    .note(format!("first given at line {}", first.line)),
            );
        } else {
            seen.insert(name.clone(), span);
            entries.push((Key { name, span }, node));
        }
    }
    Some(entries)
}
