//! Likely causes when text is not YAML: nearly always the indentation, or a string that needs quotes.

/// A line, from 1, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Advice {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) hint: String,
}

/// Finds the first badly indented line up to `line`, where parsing failed.
pub(super) fn advice(text: &str, line: usize, message: &str) -> Option<Advice> {
    // A tab is reported for the line before it.
    let until = line + usize::from(message.contains("tab"));
    let found = indented(text, until);
    found.or_else(|| colons(text, line, message)).or_else(|| {
        let written = text.lines().nth(line - 1)?;
        let hint = OPEN.iter().find(|(part, _)| message.contains(part))?.1;
        Some(Advice {
            line,
            column: written.len() - written.trim_start().len(),
            hint: hint.to_owned(),
        })
    })
}

/// Parser messages for something left open above, or of another kind than the line above.
const OPEN: [(&str, &str); 5] = [
    (
        "flow mapping",
        "a `{` before it is not closed with `}`, or a `,` is missing",
    ),
    (
        "flow sequence",
        "a `[` before it is not closed with `]`, or a `,` is missing",
    ),
    (
        "quoted scalar",
        "a string that begins with a quote here is not closed",
    ),
    (
        "block collection",
        "the lines before it begin with `- `: a map has no dashes, and each item of a list has one",
    ),
    (
        "did not find expected key",
        "in a list each item begins with `- `, in a map none does",
    ),
];

/// A string that contains a colon, or a key without one.
fn colons(text: &str, line: usize, message: &str) -> Option<Advice> {
    if message.contains("simple key") {
        // The parser reports it at the next key.
        let mut before = text
            .lines()
            .zip(1..line)
            .collect::<Vec<_>>()
            .into_iter()
            .rev();
        let (written, line) = before.find(|(text, _)| {
            let text = text.trim();
            !text.is_empty() && !text.starts_with('#')
        })?;
        return Some(Advice {
            line,
            column: written.len() - written.trim_start().len(),
            hint: "a colon and a space stand between a key and its value: `key: value`".to_owned(),
        });
    }
    if !message.contains("mapping values") {
        return None;
    }
    let written = text.lines().nth(line - 1)?;
    let value = written.split_once(": ").map_or("", |(_, value)| value);
    let Some(at) = value.find(": ") else {
        return joined(text, line);
    };
    let before = written.len() - value.len() + at;
    Some(Advice {
        line,
        column: written[..before].chars().count(),
        hint: "quote a string that contains `: `".to_owned(),
    })
}

/// A `key:value` on the line before, which the parser reads as a string that no key can follow.
fn joined(text: &str, line: usize) -> Option<Advice> {
    let line = line - 1;
    let written = text.lines().nth(line.checked_sub(1)?)?;
    let (before, value) = written.split_once(':')?;
    let key = before.trim().trim_start_matches("- ");
    let is_key = !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_key && !value.is_empty() && !value.starts_with(' ')).then(|| Advice {
        line,
        column: before.chars().count(),
        hint: format!("a space stands behind the colon: `{key}: {}`", value.trim()),
    })
}

/// Open levels, outermost first, and how the line before ended.
#[derive(Default)]
struct Levels {
    open: Vec<usize>,
    /// Whether the next line may be indented deeper.
    opens: bool,
    /// Lines indented deeper than this belong to a multi-line string.
    block: Option<usize>,
    /// Number of open brackets.
    brackets: isize,
    /// Quote character of an open multi-line string.
    quote: Option<char>,
}

fn indented(text: &str, until: usize) -> Option<Advice> {
    let mut levels = Levels {
        open: vec![0],
        ..Levels::default()
    };
    let mut lines = text.lines().zip(1..=until);
    lines.find_map(|(text, line)| {
        let hint = levels.take(text)?;
        let column = text.len() - text.trim_start().len();
        Some(Advice { line, column, hint })
    })
}

impl Levels {
    /// Takes the next line; returns a hint if it is badly indented.
    fn take(&mut self, line: &str) -> Option<String> {
        let content = line.trim_start_matches(' ');
        let indent = line.len() - content.len();
        if content.trim().is_empty() || content.starts_with('#') {
            return None;
        }
        if self.block.is_some_and(|block| indent > block) {
            return None;
        }
        self.block = None;
        if let Some(quote) = self.quote {
            self.quote = self.quote.filter(|_| !content.contains(quote));
            return None;
        }
        if content.starts_with('\t') {
            return Some("YAML is indented with spaces; this line has a tab".to_owned());
        }
        let is_inside = self.brackets > 0;
        let text = without_comment(content);
        self.brackets += brackets(text);
        if is_inside {
            return None;
        }
        let top = self.open.last().copied().unwrap_or(0);
        let is_entry = text.contains(": ") || text.ends_with(':') || text.starts_with("- ");
        if indent > top && !self.opens {
            // Otherwise it continues the line before.
            let hint = format!(
                "it is indented by {indent} spaces, the line before it by {top}, which has its value already"
            );
            return is_entry.then_some(hint);
        }
        self.open.retain(|level| *level <= indent);
        let around = self.open.last().copied().unwrap_or(0);
        if indent < top && around != indent {
            return Some(format!(
                "it is indented by {indent} spaces, the lines around it by {around} or {top}"
            ));
        }
        self.level(indent);
        // The key after a dash opens its own level.
        let mut inner = text;
        while let Some(rest) = inner.strip_prefix("- ") {
            inner = rest.trim_start();
            self.level(indent + text.len() - inner.len());
        }
        let value = inner.split_once(": ").map_or(inner, |(_, value)| value);
        if value.starts_with(['|', '>']) {
            self.block = self.open.last().copied();
        }
        self.quote = value
            .chars()
            .next()
            .filter(|first| matches!(first, '"' | '\'') && value.matches(*first).count() % 2 == 1);
        self.opens = text.ends_with(':') || text.ends_with('-');
        None
    }

    fn level(&mut self, indent: usize) {
        if self.open.last().is_none_or(|last| *last < indent) {
            self.open.push(indent);
        }
    }
}

fn without_comment(text: &str) -> &str {
    text.split_once(" #")
        .map_or(text, |(text, _)| text)
        .trim_end()
}

fn brackets(text: &str) -> isize {
    let mut quote = None;
    let mut depth = 0;
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str, message: &str) -> Option<(usize, String)> {
        let line = text.lines().count();
        advice(text, line, message).map(|advice| (advice.line, advice.hint))
    }

    #[test]
    fn the_line_that_stands_askew_is_told() {
        let askew = "base:\n  train:\n    epochs: 1\n   batch_size: 4\n    max_steps: 2\n";
        let hint = "it is indented by 3 spaces, the lines around it by 2 or 4";
        assert_eq!(told(askew, ""), Some((4, hint.to_owned())));
        let deep = "base:\n  train:\n    epochs: 1\n      batch_size: 4\n";
        let told_of = told(deep, "").unwrap();
        assert_eq!(told_of.0, 4);
        assert!(
            told_of
                .1
                .starts_with("it is indented by 6 spaces, the line before it by 4")
        );
        let tab = "base:\n\ttrain: {}\n";
        assert_eq!(told(tab, "").unwrap().0, 2);
    }

    #[test]
    fn texts_with_colons_want_quotes() {
        let title = "name: x\ntitle: Width: does it help?\n";
        let hint = "quote a string that contains `: `";
        assert_eq!(
            told(title, "mapping values are not allowed"),
            Some((2, hint.to_owned()))
        );
    }

    #[test]
    fn a_colon_without_its_space_is_told() {
        let text = "train:\n  batch_size:16\n  epochs: 1\n";
        let hint = "a space stands behind the colon: `batch_size: 16`";
        assert_eq!(
            told(text, "mapping values are not allowed"),
            Some((2, hint.to_owned()))
        );
    }

    #[test]
    fn keys_without_colons_and_open_brackets_are_told() {
        let key = "a: 1\nepochs:1\n# note\nb: 2\n";
        let hint = "a colon and a space stand between a key and its value: `key: value`";
        assert_eq!(
            told(key, "simple key expect ':'"),
            Some((2, hint.to_owned()))
        );
        let open = told(
            "a: {b: 1\nc: 2\n",
            "while parsing a flow mapping, did not find",
        )
        .unwrap();
        assert_eq!(
            open.1,
            "a `{` before it is not closed with `}`, or a `,` is missing"
        );
    }

    /// Valid constructs that specs use are not reported.
    #[test]
    fn what_is_in_order_is_not_blamed() {
        for text in [
            include_str!("../../specs/epoch-frenzy.yaml"),
            include_str!("../../specs/grid-search.yaml"),
            include_str!("../../specs/loss-comparison.yaml"),
            include_str!("../../specs/scale-up.yaml"),
            include_str!("../../specs/sequence-handling.yaml"),
        ] {
            assert_eq!(told(text, ""), None);
        }
        let rest = "a:\n- b: 1\n  c: [1,\n    2]\n- - d\n  - e: |\n      x: y\n      z\nf: >\n  g\nh: \"i\n    j: k\"\nl: m\n  n\n";
        assert_eq!(told(rest, ""), None);
    }
}
