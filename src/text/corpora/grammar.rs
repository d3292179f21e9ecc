//! A small grammar language: rules with alternatives, memory, characters and speech. It contains no vocabulary.
//!
//! A rule is `name = alternative | alternative …`; lines that start with a space continue it, `#` starts a comment line.
//! Inside an alternative: `[a|b|]` is a choice, `{rule}` another rule, `{$x=rule}` binds `x` to an expansion once per
//! scope and `{$x}` repeats it (`{$x.1}` its second field, fields being cut at `/`), `{#3-9}` a number, `{H}` a mention of
//! the character `H` (name or pronoun, whichever reads well), `{H.n}` name, `{H.s}` he, `{H.o}` him, `{H.p}` his,
//! `{H.r}` himself, `{H.k}` the noun for its kind, `{H.t}` “Pip the fox”, `<H:words>` direct speech, `^` a capital, `\n` a new line, `{@n}` the rule `n_2` in
//! a text on subject 2.

use crate::rng::Stream;
use std::collections::BTreeMap;

/// One piece of an alternative.
#[derive(Debug)]
enum Node {
    Text(String),
    Choice(Vec<Sequence>),
    Rule(usize),
    Bound {
        variable: usize,
        rule: Option<usize>,
        field: usize,
    },
    Number(u64, u64),
    Who(usize, Form),
    Say(usize, Sequence),
    Capital,
    /// One rule for each subject.
    Subject([usize; SUBJECTS]),
}

type Sequence = Vec<Node>;

/// Form of mentioning a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Subject,
    Name,
    He,
    Him,
    His,
    Himself,
    Kind,
    /// Name, and for an animal its kind.
    Title,
}

/// Someone in a text.
#[derive(Clone, Debug, Default)]
pub(super) struct Character {
    /// Name used by the narrator.
    pub name: String,
    /// Whether the pronoun is “she”.
    pub female: bool,
    /// Noun for the kind, such as “girl” or “fox”.
    pub kind: String,
}

/// Number of subjects of texts: `{@n}` is the rule `n_` plus the number of the text's subject.
pub(super) const SUBJECTS: usize = 6;

/// Letters that name characters in a grammar.
const ROLES: &str = "HFEO";

/// Rules, compiled.
#[derive(Debug, Default)]
pub(super) struct Grammar {
    names: BTreeMap<String, usize>,
    rules: Vec<Vec<Sequence>>,
    variables: BTreeMap<String, usize>,
}

impl Grammar {
    /// Compiles related sources. They are constants of this crate, so an error in one is a bug and panics with its
    /// place; a test compiles all of them.
    pub(super) fn compile(sources: &[&str]) -> Self {
        let mut grammar = Self::default();
        let mut bodies: Vec<(usize, String)> = Vec::new();
        for line in sources.iter().flat_map(|source| source.lines()) {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if line.starts_with(' ') {
                let (_, body) = bodies.last_mut().expect("a rule starts before its lines");
                body.push(' ');
                body.push_str(line.trim());
            } else {
                let (name, body) = line.split_once('=').expect("a rule is `name = body`");
                let id = grammar.rule_id(name.trim());
                bodies.push((id, body.trim().to_owned()));
            }
        }
        for (id, body) in &bodies {
            assert!(
                grammar.rules[*id].is_empty(),
                "rule is written twice: {body}"
            );
            let mut rest = body.as_str();
            let alternatives = grammar.alternatives(&mut rest, None);
            grammar.rules[*id] = alternatives;
        }
        for (name, id) in &grammar.names {
            assert!(
                !grammar.rules[*id].is_empty(),
                "rule `{name}` is used but not written"
            );
        }
        grammar
    }

    fn rule_id(&mut self, name: &str) -> usize {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.rules.len();
        self.names.insert(name.to_owned(), id);
        self.rules.push(Vec::new());
        id
    }

    fn variable_id(&mut self, name: &str) -> usize {
        let next = self.variables.len();
        *self.variables.entry(name.to_owned()).or_insert(next)
    }

    /// Reads alternatives up to `end` (or the end of the text).
    fn alternatives(&mut self, rest: &mut &str, end: Option<char>) -> Vec<Sequence> {
        let mut all = Vec::new();
        let mut nodes: Sequence = Vec::new();
        let mut text = String::new();
        let flush = |text: &mut String, nodes: &mut Sequence| {
            if !text.is_empty() {
                nodes.push(Node::Text(std::mem::take(text)));
            }
        };
        loop {
            let Some(c) = rest.chars().next() else {
                assert!(end.is_none(), "missing `{end:?}` after {nodes:?}");
                break;
            };
            *rest = &rest[c.len_utf8()..];
            match c {
                _ if Some(c) == end => break,
                '|' => {
                    if end.is_none() {
                        text.truncate(text.trim_end().len());
                    }
                    flush(&mut text, &mut nodes);
                    all.push(std::mem::take(&mut nodes));
                    if end.is_none() {
                        *rest = rest.trim_start();
                    }
                    continue;
                }
                '\\' => {
                    assert!(rest.starts_with('n'), "only `\\n` is an escape: {rest}");
                    *rest = &rest[1..];
                    text.push('\n');
                    continue;
                }
                '[' | '{' | '<' | '^' => flush(&mut text, &mut nodes),
                _ => {
                    text.push(c);
                    continue;
                }
            }
            nodes.push(self.node(c, rest));
        }
        flush(&mut text, &mut nodes);
        all.push(nodes);
        all
    }

    fn node(&mut self, opening: char, rest: &mut &str) -> Node {
        match opening {
            '[' => Node::Choice(self.alternatives(rest, Some(']'))),
            '^' => Node::Capital,
            '<' => {
                let role = role_of(&rest[..1]).expect("a role follows `<`");
                *rest = &rest[2..];
                let mut body = self.alternatives(rest, Some('>'));
                assert_eq!(body.len(), 1, "choices in speech need brackets");
                Node::Say(role, body.remove(0))
            }
            _ => {
                let (inner, after) = rest.split_once('}').expect("`{` needs `}`");
                *rest = after;
                self.reference(inner)
            }
        }
    }

    fn reference(&mut self, inner: &str) -> Node {
        if let Some(range) = inner.strip_prefix('#') {
            let (low, high) = range.split_once('-').expect("a number is `{#low-high}`");
            let parse = |digits: &str| digits.parse().expect("bounds are whole numbers");
            return Node::Number(parse(low), parse(high));
        }
        if let Some(name) = inner.strip_prefix('@') {
            return Node::Subject(std::array::from_fn(|i| {
                self.rule_id(&format!("{name}_{i}"))
            }));
        }
        let (name, field) = inner.split_once('.').unwrap_or((inner, ""));
        if let Some(variable) = inner.strip_prefix('$') {
            let (variable, rule) = match variable.split_once('=') {
                Some((variable, rule)) => (variable, Some(self.rule_id(rule))),
                None => (variable, None),
            };
            let (variable, field) = variable.split_once('.').unwrap_or((variable, "0"));
            return Node::Bound {
                variable: self.variable_id(variable),
                rule,
                field: field.parse().expect("a field is a number"),
            };
        }
        match role_of(name) {
            Some(role) => Node::Who(role, form_of(field)),
            None => Node::Rule(self.rule_id(inner)),
        }
    }
}

fn role_of(name: &str) -> Option<usize> {
    (name.len() == 1).then(|| ROLES.find(name)).flatten()
}

fn form_of(field: &str) -> Form {
    match field {
        "" => Form::Subject,
        "n" => Form::Name,
        "s" => Form::He,
        "o" => Form::Him,
        "p" => Form::His,
        "r" => Form::Himself,
        "k" => Form::Kind,
        "t" => Form::Title,
        other => panic!("unknown form `{other}`"),
    }
}

/// Random draws of one document: a stream and the current index into it.
#[derive(Clone, Debug)]
pub(super) struct Draws {
    stream: Stream,
    next: u64,
}

impl Draws {
    /// The draws of `stream` from its start.
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, next: 0 }
    }

    /// An integer in `0..bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.next += 1;
        self.stream.below(self.next - 1, bound as u64) as usize
    }

    /// Skips `count` draws.
    pub(super) fn skip(&mut self, count: u64) {
        self.next += count;
    }

    /// An integer in `low..=high`.
    pub(super) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    /// True with a probability of `percent`.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of `items`.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// A standard normal number.
    pub(super) fn normal(&mut self) -> f64 {
        self.next += 1;
        self.stream.normal_pair(self.next - 1)[0]
    }
}

/// A text being generated.
pub(super) struct Writer<'g> {
    grammar: &'g Grammar,
    /// Source of randomness.
    pub draws: Draws,
    /// The text so far.
    pub out: String,
    /// Characters by role: H, F, E, O.
    pub cast: [Character; 4],
    /// Subject of the text: `0..SUBJECTS`.
    pub subject: usize,
    bound: Vec<Option<String>>,
    recent: Vec<[u16; 2]>,
    /// The character last mentioned as a grammatical subject, and the mentions since its name.
    last: Option<(usize, u8)>,
    quoting: bool,
}

impl<'g> Writer<'g> {
    /// An empty text.
    pub(super) fn new(grammar: &'g Grammar, draws: Draws) -> Self {
        Self {
            grammar,
            draws,
            out: String::new(),
            cast: Default::default(),
            subject: 0,
            bound: vec![None; grammar.variables.len()],
            recent: vec![[u16::MAX; 2]; grammar.rules.len()],
            last: None,
            quoting: false,
        }
    }

    /// Writes an expansion of the rule `name`.
    pub(super) fn rule(&mut self, name: &str) {
        let id = *self
            .grammar
            .names
            .get(name)
            .unwrap_or_else(|| panic!("no rule `{name}`"));
        self.expand(id);
    }

    /// Returns an expansion of the rule `name` without writing it.
    pub(super) fn text(&mut self, name: &str) -> String {
        let held = std::mem::take(&mut self.out);
        self.rule(name);
        std::mem::replace(&mut self.out, held)
    }

    /// Clears every variable whose name starts with `prefix`.
    pub(super) fn forget(&mut self, prefix: &str) {
        for (name, id) in &self.grammar.variables {
            if name.starts_with(prefix) {
                self.bound[*id] = None;
            }
        }
    }

    fn expand(&mut self, rule: usize) {
        let grammar = self.grammar;
        let alternatives = &grammar.rules[rule];
        let count = alternatives.len();
        let mut pick = self.draws.below(count);
        let recent = self.recent[rule];
        for _ in 0..2 {
            // The two most recent picks are avoided if there are enough others.
            if count > 3 && recent.contains(&(pick as u16)) {
                pick = (pick + 1) % count;
            }
        }
        self.recent[rule] = [pick as u16, recent[0]];
        self.sequence(&alternatives[pick]);
    }

    fn sequence(&mut self, nodes: &[Node]) {
        for node in nodes {
            match node {
                Node::Text(text) => {
                    if text.contains('\n') {
                        self.last = None; // in a new paragraph everyone is mentioned by name first
                    }
                    self.out.push_str(text);
                }
                Node::Choice(all) => {
                    let pick = self.draws.below(all.len());
                    self.sequence(&all[pick]);
                }
                Node::Rule(rule) => self.expand(*rule),
                Node::Bound {
                    variable,
                    rule,
                    field,
                } => self.bound(*variable, *rule, *field),
                Node::Number(low, high) => {
                    let number = self.draws.between(*low as usize, *high as usize);
                    self.out.push_str(&number.to_string());
                }
                Node::Who(role, form) => self.mention(*role, *form),
                Node::Say(role, words) => self.say(*role, words),
                Node::Capital => self.out.push('^'),
                Node::Subject(rules) => self.expand(rules[self.subject]),
            }
        }
    }

    fn bound(&mut self, variable: usize, rule: Option<usize>, field: usize) {
        if self.bound[variable].is_none() {
            let rule = rule.unwrap_or_else(|| {
                let name = self.grammar.variables.iter().find(|v| *v.1 == variable);
                panic!("variable {name:?} is read before it is bound")
            });
            let held = std::mem::take(&mut self.out);
            self.expand(rule);
            let value = std::mem::replace(&mut self.out, held);
            self.bound[variable] = Some(value);
        }
        let value = self.bound[variable].as_deref().unwrap_or_default();
        let part = value.split('/').nth(field);
        let part = part.unwrap_or_else(|| panic!("`{value}` has no field {field}"));
        self.out.push_str(part);
    }

    fn mention(&mut self, role: usize, form: Form) {
        let same = matches!(self.last, Some((last, count)) if last == role && count < 3);
        let form = match form {
            Form::Subject if same && !self.quoting && self.draws.chance(70) => Form::He,
            Form::Subject => Form::Name,
            form => form,
        };
        if form == Form::Title {
            let who = &self.cast[role];
            self.out.push_str(&who.name);
            if !matches!(who.kind.as_str(), "girl" | "boy" | "") {
                self.out.push_str(" the ");
                self.out.push_str(&who.kind);
            }
            self.last = Some((role, 0));
            return;
        }
        if !self.quoting {
            match (form, self.last) {
                (Form::Name, _) => self.last = Some((role, 0)),
                (Form::He, Some((last, count))) if last == role => {
                    self.last = Some((role, count + 1));
                }
                _ => {}
            }
        }
        let who = &self.cast[role];
        let word = match (form, who.female) {
            (Form::Name | Form::Subject | Form::Title, _) => &who.name,
            (Form::Kind, _) => &who.kind,
            (Form::He, true) => "she",
            (Form::He, false) => "he",
            (Form::Him | Form::His, true) => "her",
            (Form::Him, false) => "him",
            (Form::His, false) => "his",
            (Form::Himself, true) => "herself",
            (Form::Himself, false) => "himself",
        };
        self.out.push_str(word);
    }

    /// Direct speech: the words, a tag or a gesture, in one of several orders. Needs the rules `speech_say`, `speech_ask`,
    /// `speech_cry`, `speech_how` and `gesture`.
    fn say(&mut self, role: usize, words: &[Node]) {
        let held = std::mem::take(&mut self.out);
        self.quoting = true;
        self.sequence(words);
        self.quoting = false;
        let mut words = std::mem::replace(&mut self.out, held);
        words.truncate(words.trim_end().len());
        let verb = match words.chars().last() {
            Some('?') => "speech_ask",
            Some('!') => "speech_cry",
            _ => "speech_say",
        };
        let comma = |words: &str| match words.strip_suffix('.') {
            Some(bare) => format!("{bare},"),
            None => words.to_owned(),
        };
        match self.draws.below(8) {
            0..=2 => {
                self.push(&["\"", &comma(&words), "\" "]);
                let pronoun = self.last.is_some_and(|(last, _)| last == role);
                if pronoun && self.draws.chance(50) {
                    self.mention(role, Form::He);
                    self.out.push(' ');
                    self.rule(verb);
                } else {
                    self.rule(verb);
                    self.out.push(' ');
                    self.mention(role, Form::Name);
                }
                self.manner(if verb == "speech_cry" { 0 } else { 40 });
                self.out.push('.');
            }
            3..=5 => {
                self.mention(role, Form::Subject);
                self.out.push(' ');
                self.rule(verb);
                self.manner(if verb == "speech_cry" { 0 } else { 30 });
                self.push(&[", \"", &words, "\""]);
            }
            6 => {
                self.mention(role, Form::Subject);
                self.out.push(' ');
                self.rule("gesture");
                self.push(&[". \"", &words, "\""]);
            }
            _ => {
                self.push(&["\"", &words, "\" ^"]);
                self.mention(role, Form::Name);
                self.out.push(' ');
                self.rule("gesture");
                self.out.push('.');
            }
        }
        // Text after a quotation starts a sentence.
        self.out.push('^');
    }

    fn push(&mut self, parts: &[&str]) {
        self.out.extend(parts.iter().copied());
    }

    fn manner(&mut self, percent: usize) {
        if self.draws.chance(percent) {
            self.out.push(' ');
            self.rule("speech_how");
        }
    }
}
