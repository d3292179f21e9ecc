//! Mixed documents: prose of many kinds, letters, questions, rules, lists, tables, logs, pages and source code.
//!
//! A document draws its length first (log-normal, in words), then its kind and subject; it grows by sections, each with
//! its own persons, places and topic, until it is long enough. Version 1 has no document below 40 words; version 2 goes
//! down to eight, and documents below 120 words are notes of a few sentences.

mod code;
mod plain;
mod prose;
mod vocabulary;

use super::finish::finish;
use super::grammar::{Draws, Grammar, SUBJECTS, Writer};
use std::sync::LazyLock;

static GRAMMAR: LazyLock<Grammar> =
    LazyLock::new(|| Grammar::compile(&[vocabulary::RULES, prose::RULES]));

/// Median length in words and spread of its logarithm; bounds keep single documents from filling a corpus.
const MEDIAN_WORDS: f64 = 380.0;
const LOG_SPREAD: f64 = 1.5;
const MIN_WORDS: [f64; 2] = [40.0, 8.0];
const MAX_WORDS: f64 = 40_000.0;

/// A kind of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Article,
    News,
    Essay,
    Letter,
    Questions,
    Paper,
    Patent,
    Law,
    Guide,
    Table,
    Csv,
    Log,
    Html,
    Code,
    /// Version 2 only, below [`NOTE_WORDS`].
    Note,
}

/// Words below which a document of version 2 is a note.
const NOTE_WORDS: usize = 120;

/// Relative frequency of each kind.
const KINDS: [(Kind, usize); 14] = [
    (Kind::Article, 16),
    (Kind::News, 10),
    (Kind::Essay, 8),
    (Kind::Letter, 8),
    (Kind::Questions, 9),
    (Kind::Paper, 11),
    (Kind::Patent, 4),
    (Kind::Law, 5),
    (Kind::Guide, 4),
    (Kind::Table, 3),
    (Kind::Csv, 2),
    (Kind::Log, 3),
    (Kind::Html, 4),
    (Kind::Code, 13),
];

/// The document of these draws; `version` is 1 or 2.
pub(super) fn document(mut draws: Draws, version: u32) -> String {
    let normal = draws.normal();
    let least = MIN_WORDS[usize::from(version > 1)];
    let words = (MEDIAN_WORDS * libm::exp(LOG_SPREAD * normal)).clamp(least, MAX_WORDS) as usize;
    let mut at = draws.below(KINDS.iter().map(|(_, weight)| weight).sum());
    let kind = KINDS.iter().find(|(_, weight)| {
        let hit = at < *weight;
        at = at.saturating_sub(*weight);
        hit
    });
    let kind = match kind {
        _ if version > 1 && words < NOTE_WORDS => Kind::Note,
        kind => kind.map_or(Kind::Article, |(kind, _)| *kind),
    };
    let subject = draws.below(SUBJECTS);
    let mut writer = Writer::new(&GRAMMAR, draws);
    writer.subject = subject;
    let mut page = Page { writer, words };
    match kind {
        Kind::Article => page.article(),
        Kind::News => page.news(),
        Kind::Essay => page.essay(),
        Kind::Letter => page.letter(),
        Kind::Questions => page.questions(),
        Kind::Paper => page.paper(),
        Kind::Patent => page.numbered("claim", "What is claimed is:"),
        Kind::Law => page.numbered("legal", "The parties agree as follows."),
        Kind::Guide => page.guide(),
        Kind::Table => page.table(),
        Kind::Csv => page.csv(),
        Kind::Log => page.log(),
        Kind::Html => page.html(),
        Kind::Code => return page.code(),
        Kind::Note => page.note(),
    }
    let text = std::mem::take(&mut page.writer.out);
    text.trim().to_owned()
}

/// A document being generated.
struct Page {
    writer: Writer<'static>,
    /// Target length in words.
    words: usize,
}

impl Page {
    /// Whether the target length is reached (a word is about six characters with its space).
    fn full(&self) -> bool {
        self.writer.out.len() >= self.words * 6
    }

    /// Writes a finished expansion of `rule`, then `after`.
    fn put(&mut self, rule: &str, after: &str) {
        let text = finish(&self.writer.text(rule));
        self.writer.out.push_str(&text);
        self.writer.out.push_str(after);
    }

    /// Writes `text` unchanged.
    fn raw(&mut self, text: &str) {
        self.writer.out.push_str(text);
    }

    /// A new section: other people, another place, another topic.
    fn turn(&mut self) {
        self.writer.forget("s_");
    }

    fn article(&mut self) {
        self.put("title", "\n\n");
        self.put("intro", "\n\n");
        let marks = *self.writer.draws.pick(&["", "== ", "## "]);
        while !self.full() {
            self.turn();
            self.raw(marks);
            self.put("heading", if marks == "== " { " ==\n" } else { "\n\n" });
            for _ in 0..self.writer.draws.between(1, 4) {
                if !self.full() {
                    self.put("paragraph", "\n\n");
                }
            }
            if self.writer.draws.chance(15) {
                self.list();
            }
        }
    }

    fn list(&mut self) {
        let numbered = self.writer.draws.chance(40);
        for i in 1..=self.writer.draws.between(3, 8) {
            if numbered {
                self.raw(&format!("{i}. "));
            } else {
                self.raw("- ");
            }
            self.put("item", "\n");
        }
        self.raw("\n");
    }

    fn news(&mut self) {
        self.put("title", "\n\n");
        self.put("news", "\n\n");
        while !self.full() {
            self.put("news_more", "\n\n");
            if self.writer.draws.chance(20) {
                self.turn();
            }
        }
    }

    fn essay(&mut self) {
        if self.writer.draws.chance(60) {
            self.put("title", "\n\n");
        }
        loop {
            self.put("essay", "\n\n");
            if self.full() {
                return;
            }
            if self.writer.draws.chance(25) {
                self.turn();
            }
        }
    }

    fn letter(&mut self) {
        loop {
            self.turn();
            let (from, to) = (self.writer.text("person"), self.writer.text("person"));
            if self.writer.draws.chance(50) {
                let user = self.writer.text("user");
                self.raw(&format!(
                    "From: {from} <{user}@example.org>\nTo: {to}\nDate: "
                ));
                self.put("date", "\nSubject: ");
                self.put("title", "\n\n");
            } else {
                self.put("body", "\n");
                self.put("town", ", ");
                self.put("date", "\n\n");
            }
            self.raw(&format!("Dear {to},\n\n"));
            self.put("letter_open", " ");
            self.put("sentence", "\n\n");
            while self.writer.draws.chance(60) && !self.full() {
                self.put("letter_body", "\n\n");
            }
            self.put("letter_close", "\n\n");
            self.put("sign_off", ",\n");
            self.raw(&format!("{from}\n"));
            if self.full() {
                return;
            }
            self.raw("\n");
        }
    }

    fn questions(&mut self) {
        loop {
            self.turn();
            self.raw("Q: ");
            self.put("qtext", "\n\n");
            self.put("qbody", "\n\n");
            for _ in 0..self.writer.draws.between(1, 3) {
                self.raw("A: ");
                self.put("answer", "\n\n");
            }
            if self.full() {
                return;
            }
        }
    }

    fn paper(&mut self) {
        self.put("title", "\n\n");
        let authors: Vec<String> = (0..self.writer.draws.between(1, 4))
            .map(|_| self.writer.text("person"))
            .collect();
        self.raw(&authors.join(", "));
        self.raw("\n\nAbstract. ");
        self.put("abstract_text", "\n\n");
        let mut number = 1;
        while !self.full() {
            self.turn();
            self.raw(&format!("{number}. "));
            self.put("heading", "\n\n");
            for _ in 0..self.writer.draws.between(2, 4) {
                self.put("paragraph", "\n\n");
            }
            if self.writer.draws.chance(30) {
                self.raw(&format!("Table {number}: "));
                self.put("title", "\n");
                self.aligned(4);
            }
            number += 1;
        }
    }

    fn numbered(&mut self, rule: &str, opening: &str) {
        self.put("title", "\n\n");
        if self.writer.draws.chance(50) {
            self.put("abstract_text", "\n\n");
        }
        self.raw(opening);
        self.raw("\n\n");
        let mut number = 1;
        loop {
            self.raw(&format!("{number}. "));
            self.put(rule, "\n\n");
            number += 1;
            if self.full() {
                return;
            }
            if number % 8 == 0 {
                self.turn();
                self.put("heading", "\n\n");
            }
        }
    }

    fn guide(&mut self) {
        self.put("title", "\n\n");
        self.put("sentence", "\n\n");
        loop {
            self.turn();
            self.put("heading", "\n\n");
            self.list();
            for i in 1..=self.writer.draws.between(3, 7) {
                self.raw(&format!("Step {i}. "));
                self.put("step", "\n");
            }
            self.raw("\n");
            if self.full() {
                return;
            }
        }
    }

    fn note(&mut self) {
        let opening = *self.writer.draws.pick(&["sentence", "qtext", "news"]);
        self.put(if self.words < 30 { "sentence" } else { opening }, " ");
        while !self.full() {
            self.put("sentence", " ");
        }
    }

    fn code(&mut self) -> String {
        let words = self.words;
        let mut draws = self.writer.draws.clone();
        // Remarks draw from the writer, statements from a separate, distant stream.
        draws.skip(1 << 40);
        let writer = &mut self.writer;
        let mut remark = |_: &mut Draws| {
            writer.forget("s_");
            finish(&writer.text("remark"))
        };
        code::file(&mut draws, words, &mut remark)
            .trim_end()
            .to_owned()
    }
}
