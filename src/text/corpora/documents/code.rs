//! Source code: functions over integers and lists, printed in one of five languages. Names are declared before use.

use crate::text::corpora::grammar::Draws;

const VERBS: &[&str] = &[
    "add", "apply", "build", "check", "clean", "collect", "compute", "copy", "count", "decode",
    "drain", "drop", "encode", "fetch", "fill", "filter", "find", "flush", "fold", "group", "hash",
    "index", "insert", "join", "load", "mark", "merge", "move", "pack", "parse", "pick", "probe",
    "prune", "push", "rank", "read", "reduce", "reset", "resize", "rotate", "scale", "scan",
    "score", "seek", "send", "shift", "skip", "sort", "split", "store", "sum", "swap", "sync",
    "trim", "unpack", "update", "visit", "walk", "wrap", "write",
];
const NOUNS: &[&str] = &[
    "account", "age", "batch", "block", "bucket", "buffer", "octet", "cell", "chunk", "code",
    "column", "cost", "count", "cursor", "delta", "depth", "edge", "entry", "error", "event",
    "field", "file", "flag", "frame", "gap", "grid", "group", "head", "height", "index", "item",
    "key", "label", "layer", "length", "level", "limit", "line", "mask", "message", "node",
    "offset", "order", "packet", "page", "pixel", "point", "price", "queue", "radius", "rate",
    "record", "region", "report", "row", "sample", "score", "segment", "shape", "size", "slot",
    "state", "step", "stock", "symbol", "table", "task", "ticket", "token", "total", "track",
    "user", "value", "vector", "weight", "width", "window", "word", "zone",
];
const ADJECTIVES: &[&str] = &[
    "active", "base", "best", "cached", "current", "dirty", "empty", "final", "first", "free",
    "global", "inner", "last", "local", "lower", "max", "min", "new", "next", "old", "open",
    "outer", "parent", "pending", "prev", "raw", "remote", "shared", "stale", "target", "temp",
    "upper", "valid",
];

/// A programming language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Language {
    Python,
    JavaScript,
    Java,
    C,
    Rust,
}

impl Language {
    pub(super) const ALL: [Self; 5] = [
        Self::Python,
        Self::JavaScript,
        Self::Java,
        Self::C,
        Self::Rust,
    ];

    fn camel(self) -> bool {
        matches!(self, Self::JavaScript | Self::Java)
    }

    fn braces(self) -> bool {
        self != Self::Python
    }

    fn end(self) -> &'static str {
        if self == Self::Python { "" } else { ";" }
    }
}

/// A file being generated.
struct File<'a> {
    draws: &'a mut Draws,
    language: Language,
    out: String,
    depth: usize,
    functions: Vec<(String, usize)>,
    /// Assignable integers in scope.
    scope: Vec<String>,
    /// Constants of the file.
    constants: Vec<String>,
    list: String,
}

/// A source file of about `words` words.
pub(super) fn file(
    draws: &mut Draws,
    words: usize,
    remark: &mut dyn FnMut(&mut Draws) -> String,
) -> String {
    let language = *draws.pick(&Language::ALL);
    let mut file = File {
        draws,
        language,
        out: String::new(),
        depth: 0,
        functions: Vec::new(),
        scope: Vec::new(),
        constants: Vec::new(),
        list: String::new(),
    };
    file.head(remark);
    loop {
        file.function(remark);
        if file.out.len() > words * 6 {
            break;
        }
    }
    file.tail();
    file.out
}

impl File<'_> {
    fn line(&mut self, text: &str) {
        let width = if matches!(self.language, Language::JavaScript | Language::C) {
            2
        } else {
            4
        };
        self.out
            .extend(std::iter::repeat_n(' ', self.depth * width));
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn cased(&self, parts: &[&str]) -> String {
        if !self.language.camel() {
            return parts.join("_");
        }
        let mut name = String::new();
        for (i, part) in parts.iter().enumerate() {
            let (head, rest) = part.split_at(1);
            name.push_str(&if i == 0 {
                head.to_owned()
            } else {
                head.to_uppercase()
            });
            name.push_str(rest);
        }
        name
    }

    /// A new name for a number.
    fn fresh(&mut self) -> String {
        loop {
            let noun = *self.draws.pick(NOUNS);
            let other = *self.draws.pick(NOUNS);
            let adjective = *self.draws.pick(ADJECTIVES);
            let name = match self.draws.below(3) {
                0 => noun.to_owned(),
                1 => self.cased(&[adjective, noun]),
                _ => self.cased(&[other, noun]),
            };
            let taken = name == self.list || self.scope.contains(&name);
            if !taken && !self.functions.iter().any(|(function, _)| *function == name) {
                return name;
            }
        }
    }

    fn comment(&mut self, text: &str) {
        let mark = if self.language == Language::Python {
            "#"
        } else {
            "//"
        };
        self.line(&format!("{mark} {text}"));
    }

    fn head(&mut self, remark: &mut dyn FnMut(&mut Draws) -> String) {
        let text = remark(self.draws);
        self.comment(&text);
        let imports: &[&str] = match self.language {
            Language::Python => &[
                "import math",
                "import sys",
                "import random",
                "from collections import deque",
                "import logging",
            ],
            Language::JavaScript => &[
                "const fs = require('fs');",
                "const path = require('path');",
                "const assert = require('assert');",
            ],
            Language::Java => &[
                "import java.util.List;",
                "import java.util.Map;",
                "import java.util.ArrayList;",
            ],
            Language::C => &[
                "#include <stdio.h>",
                "#include <stdlib.h>",
                "#include <string.h>",
                "#include <stddef.h>",
            ],
            Language::Rust => &[
                "use std::collections::BTreeMap;",
                "use std::io;",
                "use std::fmt;",
            ],
        };
        for import in imports {
            if self.draws.chance(60) {
                self.line(import);
            }
        }
        self.out.push('\n');
        if self.language == Language::Java {
            let noun = *self.draws.pick(NOUNS);
            let adjective = *self.draws.pick(ADJECTIVES);
            let name = format!("{}{}", capital(adjective), capital(noun));
            self.line(&format!("public class {name} {{"));
            self.depth = 1;
        }
        for _ in 0..self.draws.between(1, 4) {
            let name = self.cased_constant();
            let value = self.draws.between(2, 5000);
            self.line(&match self.language {
                Language::Python => format!("{name} = {value}"),
                Language::JavaScript => format!("const {name} = {value};"),
                Language::Java => format!("private static final int {name} = {value};"),
                Language::C => format!("#define {name} {value}"),
                Language::Rust => format!("const {name}: i64 = {value};"),
            });
            self.constants.push(name);
        }
    }

    fn cased_constant(&mut self) -> String {
        loop {
            let name = format!("{}_{}", self.draws.pick(ADJECTIVES), self.draws.pick(NOUNS))
                .to_uppercase();
            if !self.constants.contains(&name) {
                return name;
            }
        }
    }

    fn function(&mut self, remark: &mut dyn FnMut(&mut Draws) -> String) {
        let name = loop {
            let (verb, noun) = (*self.draws.pick(VERBS), *self.draws.pick(NOUNS));
            let adjective = *self.draws.pick(ADJECTIVES);
            let name = if self.draws.chance(50) {
                self.cased(&[verb, noun])
            } else {
                self.cased(&[verb, adjective, noun])
            };
            if !self.functions.iter().any(|(other, _)| *other == name) {
                break name;
            }
        };
        self.scope.clear();
        self.list = format!(
            "{}s",
            self.draws.pick(&[
                "item", "value", "row", "node", "token", "record", "point", "weight", "sample",
                "price", "cell"
            ])
        );
        let count = self.draws.between(1, 3);
        for _ in 0..count {
            let parameter = self.fresh();
            self.scope.push(parameter);
        }
        self.out.push('\n');
        if self.draws.chance(60) && self.language != Language::Python {
            let text = remark(self.draws);
            self.comment(&text);
        }
        self.signature(&name);
        self.depth += 1;
        if self.language == Language::Python && self.draws.chance(60) {
            let text = remark(self.draws);
            self.line(&format!("\"\"\"{text}\"\"\""));
        }
        let result = self.declare("0");
        for _ in 0..self.draws.between(2, 6) {
            self.statement(0, &result);
        }
        let value = self.expression(1);
        let tail = if self.draws.chance(50) {
            result.clone()
        } else {
            format!("{result} + {value}")
        };
        self.line(&format!("return {tail}{}", self.language.end()));
        self.depth -= 1;
        if self.language.braces() {
            self.line("}");
        }
        self.functions.push((name, count));
    }

    fn signature(&mut self, name: &str) {
        let list = self.list.clone();
        let typed = |form: &dyn Fn(&str) -> String| {
            self.scope
                .iter()
                .map(|name| form(name))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let line = match self.language {
            Language::Python => format!("def {name}({list}, {}):", typed(&|n| n.to_owned())),
            Language::JavaScript => {
                format!("function {name}({list}, {}) {{", typed(&|n| n.to_owned()))
            }
            Language::Java => format!(
                "public static int {name}(int[] {list}, {}) {{",
                typed(&|n| format!("int {n}"))
            ),
            Language::C => format!(
                "static int {name}(const int *{list}, int n_{list}, {}) {{",
                typed(&|n| format!("int {n}"))
            ),
            Language::Rust => format!(
                "fn {name}({list}: &[i64], {}) -> i64 {{",
                typed(&|n| format!("mut {n}: i64"))
            ),
        };
        self.line(&line);
    }

    /// Declares a new number and returns its name.
    fn declare(&mut self, value: &str) -> String {
        let name = self.fresh();
        self.line(&match self.language {
            Language::Python => format!("{name} = {value}"),
            Language::JavaScript => format!("let {name} = {value};"),
            Language::Java | Language::C => format!("int {name} = {value};"),
            Language::Rust => format!("let mut {name} = {value};"),
        });
        self.scope.push(name.clone());
        name
    }

    fn atom(&mut self) -> String {
        match self.draws.below(8) {
            0 | 1 => self.draws.between(1, 100).to_string(),
            2 => self.draws.pick(&self.constants).clone(),
            3 => match self.language {
                Language::Python => format!("len({})", self.list),
                Language::JavaScript | Language::Java => format!("{}.length", self.list),
                Language::C => format!("n_{}", self.list),
                Language::Rust => format!("{}.len() as i64", self.list),
            },
            _ => self.draws.pick(&self.scope).clone(),
        }
    }

    fn expression(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.atom();
        }
        let (left, right) = (self.expression(depth - 1), self.atom());
        match self.draws.below(9) {
            0 | 1 => format!("{left} + {right}"),
            2 => format!("{left} - {right}"),
            3 => format!("({left}) * {right}"),
            4 => format!("({left}) % {}", self.draws.between(2, 97)),
            5 if !self.functions.is_empty() => self.call(),
            _ => left,
        }
    }

    fn call(&mut self) -> String {
        let (name, count) = self.draws.pick(&self.functions).clone();
        let mut arguments = vec![self.list.clone()];
        if self.language == Language::C {
            arguments.push(format!("n_{}", self.list));
        }
        for _ in 0..count {
            let atom = self.atom();
            arguments.push(atom);
        }
        format!("{name}({})", arguments.join(", "))
    }

    fn condition(&mut self) -> String {
        let (left, right) = (self.draws.pick(&self.scope).clone(), self.atom());
        let sign = *self.draws.pick(&["<", ">", "<=", ">=", "==", "!="]);
        format!("{left} {sign} {right}")
    }

    /// Writes `opening`, a block of statements and its closing. Names declared inside go out of scope.
    fn block(&mut self, opening: &str, depth: usize, result: &str) {
        let known = self.scope.len();
        self.line(opening);
        self.depth += 1;
        for _ in 0..self.draws.between(1, 3) {
            self.statement(depth + 1, result);
        }
        self.depth -= 1;
        self.scope.truncate(known);
    }

    fn statement(&mut self, depth: usize, result: &str) {
        let end = self.language.end();
        let choice = if depth >= 3 {
            self.draws.below(5)
        } else {
            self.draws.below(10)
        };
        match choice {
            0 => {
                let value = self.expression(2);
                self.declare(&value);
            }
            1 | 2 => {
                let name = self.draws.pick(&self.scope).clone();
                let sign = *self.draws.pick(&["+=", "-=", "="]);
                let value = self.expression(2);
                self.line(&format!("{name} {sign} {value}{end}"));
            }
            3 => {
                let value = self.expression(1);
                self.line(&format!("{result} += {value}{end}"));
            }
            4 => self.print(),
            5 | 6 => self.condition_block(depth, result),
            7 | 8 => self.loop_over(depth, result),
            _ => {
                let name = self.draws.pick(&self.scope).clone();
                let limit = self.draws.between(1, 60);
                let opening = match self.language {
                    Language::Python => format!("while {name} > {limit}:"),
                    Language::Rust => format!("while {name} > {limit} {{"),
                    _ => format!("while ({name} > {limit}) {{"),
                };
                self.line(&opening);
                self.depth += 1;
                let step = self.draws.between(1, 9);
                self.line(&format!("{name} -= {step}{end}"));
                self.line(&format!("{result} += 1{end}"));
                self.depth -= 1;
                if self.language.braces() {
                    self.line("}");
                }
            }
        }
    }

    fn condition_block(&mut self, depth: usize, result: &str) {
        let condition = self.condition();
        let (opening, middle) = match self.language {
            Language::Python => (format!("if {condition}:"), "else:"),
            Language::Rust => (format!("if {condition} {{"), "} else {"),
            _ => (format!("if ({condition}) {{"), "} else {"),
        };
        self.block(&opening, depth, result);
        if self.draws.chance(40) {
            self.block(middle, depth, result);
        }
        if self.language.braces() {
            self.line("}");
        }
    }

    fn loop_over(&mut self, depth: usize, result: &str) {
        let name = self.fresh();
        let list = self.list.clone();
        let opening = match self.language {
            Language::Python => format!("for {name} in {list}:"),
            Language::JavaScript => format!("for (let {name} of {list}) {{"),
            Language::Java => format!("for (int {name} : {list}) {{"),
            Language::C => format!("for (int {name} = 0; {name} < n_{list}; {name}++) {{"),
            Language::Rust => format!("for mut {name} in {list}.iter().copied() {{"),
        };
        self.scope.push(name);
        self.block(&opening, depth, result);
        self.scope.pop();
        if self.language.braces() {
            self.line("}");
        }
    }

    fn print(&mut self) {
        let (name, noun) = (
            self.draws.pick(&self.scope).clone(),
            *self.draws.pick(NOUNS),
        );
        let label = format!("{} {noun}", self.draws.pick(ADJECTIVES));
        self.line(&match self.language {
            Language::Python => format!("print(f\"{label}: {{{name}}}\")"),
            Language::JavaScript => format!("console.log('{label}', {name});"),
            Language::Java => format!("System.out.println(\"{label}: \" + {name});"),
            Language::C => format!("printf(\"{label}: %d\\n\", {name});"),
            Language::Rust => format!("println!(\"{label}: {{{name}}}\");"),
        });
    }

    fn tail(&mut self) {
        let numbers: Vec<String> = (0..self.draws.between(3, 9))
            .map(|_| self.draws.between(1, 400).to_string())
            .collect();
        let numbers = numbers.join(", ");
        let (name, count) = self.draws.pick(&self.functions).clone();
        let arguments: Vec<String> = (0..count)
            .map(|_| self.draws.between(1, 90).to_string())
            .collect();
        let arguments = arguments.join(", ");
        self.out.push('\n');
        match self.language {
            Language::Python => self.line(&format!("if __name__ == \"__main__\":\n    print({name}([{numbers}], {arguments}))")),
            Language::JavaScript => self.line(&format!("module.exports = {{ {name} }};\nassert({name}([{numbers}], {arguments}) !== undefined);")),
            Language::Java => {
                self.line(&format!("public static void main(String[] args) {{\n        System.out.println({name}(new int[] {{{numbers}}}, {arguments}));\n    }}"));
                self.depth = 0;
                self.line("}");
            }
            Language::C => self.line(&format!("int main(void) {{\n  const int data[] = {{{numbers}}};\n  printf(\"%d\\n\", {name}(data, sizeof data / sizeof data[0], {arguments}));\n  return 0;\n}}")),
            Language::Rust => self.line(&format!("fn main() {{\n    println!(\"{{}}\", {name}(&[{numbers}], {arguments}));\n}}")),
        }
    }
}

fn capital(word: &str) -> String {
    let (head, rest) = word.split_at(1);
    head.to_uppercase() + rest
}
