//! Makes text from specs, corpora and models safe for a page: removes control characters, escapes
//! markup, converts Markdown to HTML.

use super::math::mathml;
use pulldown_cmark::{
    CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd, html,
};
use std::collections::BTreeMap;
use std::ops::Range;

/// Extensions of CommonMark that are supported.
pub(crate) const EXTENSIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_FOOTNOTES);

/// Removes characters that no reader sees but some programs obey: control characters (line feeds
/// and tabs stay; carriage returns become line feeds) and characters that change the direction of
/// text.
pub(crate) fn clean(text: &str) -> String {
    text.replace("\r\n", "\n")
        .chars()
        .filter_map(|c| match c {
            '\r' => Some('\n'),
            '\n' | '\t' => Some(c),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => None,
            '\u{feff}' | '\u{fffe}' | '\u{ffff}' => None,
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// Cleans a text and joins it into one line.
pub(crate) fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Truncates to `limit` characters, with an ellipsis.
pub(crate) fn shorten(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut out: String = text.chars().take(limit.saturating_sub(1)).collect();
    out.truncate(out.trim_end().len());
    out.push('…');
    out
}

/// Truncates to at most `limit` characters, between words.
pub(crate) fn shorten_words(text: &str, limit: usize) -> String {
    let short = shorten(text, limit);
    if short == text {
        return short;
    }
    match short.rsplit_once(' ') {
        Some((words, _)) => format!("{words} …"),
        None => short,
    }
}

/// Applies typographic conventions to plain text: curved apostrophes and quotation marks, and no
/// line break between a number and its per cent sign.
pub(crate) fn typeset(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for c in with_signs(text).chars() {
        let before = out.chars().next_back();
        let opens = before.is_none_or(|c| c.is_whitespace() || "([–—".contains(c));
        out.push(match c {
            '"' if opens => '“',
            '"' => '”',
            '\'' if opens => '‘',
            '\'' => '’',
            c => c,
        });
    }
    out
}

/// Keeps a per cent sign on the line of its number, and a half-width on the line of its value.
fn with_signs(text: &str) -> String {
    let text = text.replace(" ± ", "\u{a0}±\u{a0}");
    let mut parts = text.split(" %");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_number = out.ends_with(|c: char| c.is_ascii_digit());
        out.push_str(if is_number { "\u{a0}%" } else { " %" });
        out.push_str(part);
    }
    out
}

/// Escapes for HTML and XML, both in text and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Escapes for one line of Markdown, including table cells.
pub(crate) fn escape_markdown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in one_line(text).chars() {
        match c {
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => {
                out.push('\\');
                out.push(c);
            }
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            c => out.push(c),
        }
    }
    // Characters that would open a heading, a list or a rule at the start of a line.
    match out.chars().next() {
        Some('#' | '+' | '-' | '=') => format!("\\{out}"),
        _ => out,
    }
}

/// A fence longer than any sequence of backticks in `text`.
pub(crate) fn fence(text: &str) -> String {
    let longest = text
        .split(|c| c != '`')
        .map(str::len)
        .max()
        .unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

/// One line of text as a Markdown code span.
pub(crate) fn code(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or_default() + 1);
    let pad = if text.contains('`') { " " } else { "" };
    format!("{fence}{pad}{text}{pad}{fence}")
}

/// One line of Markdown that cannot open any construct in its surroundings: flattened, then made
/// inert.
pub(crate) fn inert_line(markdown: &str) -> String {
    inert_markdown(&one_line(markdown))
}

/// Whether a link is allowed in a report: to the web, to a mail address, or within the report. All
/// others (scripts, data, files) are dropped.
fn is_safe_link(target: &str) -> bool {
    let lower = target.trim().to_ascii_lowercase();
    lower.starts_with("https://")
        || lower.starts_with("http://")
        || lower.starts_with("mailto:")
        || lower.starts_with('#')
        || !lower.contains(':')
}

/// Converts Markdown to HTML. Raw HTML is shown as text; pictures known to `picture` (as `data:`
/// addresses) are embedded, others become links (a page loads nothing); formulas become MathML;
/// quotation marks and apostrophes are typeset; headings are level 2 or lower, below the page's
/// own.
pub(crate) fn markdown_to_html(markdown: &str, picture: &dyn Fn(&str) -> Option<String>) -> String {
    let cleaned = clean(markdown);
    let mut dropped_links = Vec::new();
    let mut shown: Vec<bool> = Vec::new();
    let mut is_code = false;
    let options = EXTENSIONS
        .union(Options::ENABLE_MATH)
        .union(Options::ENABLE_SMART_PUNCTUATION);
    let events = Parser::new_ext(&cleaned, options).filter_map(|event| match event {
        Event::InlineMath(formula) => Some(Event::InlineHtml(mathml(&formula, false).into())),
        Event::DisplayMath(formula) => Some(Event::InlineHtml(mathml(&formula, true).into())),
        Event::Start(Tag::Image {
            dest_url, title, ..
        }) if picture(&dest_url).is_some() => {
            shown.push(true);
            Some(Event::Start(Tag::Image {
                link_type: LinkType::Inline,
                dest_url: picture(&dest_url).unwrap_or_default().into(),
                title,
                id: CowStr::from(""),
            }))
        }
        Event::End(TagEnd::Image) if shown.last() == Some(&true) => {
            shown.pop();
            Some(Event::End(TagEnd::Image))
        }
        Event::Html(raw) | Event::InlineHtml(raw) => Some(Event::Text(raw)),
        Event::Start(Tag::HtmlBlock) => Some(Event::Start(Tag::Paragraph)),
        Event::End(TagEnd::HtmlBlock) => Some(Event::End(TagEnd::Paragraph)),
        Event::Start(
            Tag::Link {
                dest_url, title, ..
            }
            | Tag::Image {
                dest_url, title, ..
            },
        ) => {
            shown.push(false);
            // Links cannot be nested.
            let is_kept = is_safe_link(&dest_url) && dropped_links.iter().all(|dropped| *dropped);
            dropped_links.push(!is_kept);
            is_kept.then(|| {
                Event::Start(Tag::Link {
                    link_type: LinkType::Inline,
                    dest_url,
                    title,
                    id: CowStr::from(""),
                })
            })
        }
        Event::End(TagEnd::Link | TagEnd::Image) => {
            shown.pop();
            let is_kept = !dropped_links.pop().unwrap_or(false);
            is_kept.then_some(Event::End(TagEnd::Link))
        }
        Event::Start(Tag::Heading {
            level: old,
            id: _,
            classes: _,
            attrs: _,
        }) => Some(Event::Start(Tag::Heading {
            level: nested(old),
            id: None,
            classes: Vec::<CowStr<'_>>::new(),
            attrs: Vec::new(),
        })),
        Event::End(TagEnd::Heading(old)) => Some(Event::End(TagEnd::Heading(nested(old)))),
        Event::Start(Tag::CodeBlock(kind)) => {
            is_code = true;
            Some(Event::Start(Tag::CodeBlock(kind)))
        }
        Event::End(TagEnd::CodeBlock) => {
            is_code = false;
            Some(Event::End(TagEnd::CodeBlock))
        }
        Event::Text(words) if !is_code => Some(Event::Text(with_signs(&words).into())),
        other => Some(other),
    });
    let mut out = String::with_capacity(markdown.len() * 5 / 4);
    html::push_html(&mut out, events);
    out
}

/// Markdown for other programs to render: raw HTML becomes text, and so do links refused by
/// [`is_safe_link`]; pictures become links. Everything else stays as written, to the byte.
pub(crate) fn inert_markdown(markdown: &str) -> String {
    inert_but(markdown, &|_| false)
}

/// The same, except for pictures that are `known`.
pub(crate) fn inert_but(markdown: &str, known: &dyn Fn(&str) -> bool) -> String {
    let mut text = markdown.to_owned();
    // Former HTML is then read as Markdown, so it is checked again; each round leaves fewer
    // characters to escape.
    loop {
        let escapes = escapes(&text, known);
        if escapes.is_empty() {
            return text;
        }
        let mut out = String::with_capacity(text.len() + 8 * escapes.len());
        let mut rest = 0;
        for (at, with) in escapes {
            out.push_str(&text[rest..at]);
            out.push_str(with);
            rest = at + 1;
        }
        out.push_str(&text[rest..]);
        text = out;
    }
}

/// The one-byte characters that make HTML or a refused link out of a text, and their replacements.
fn escapes(text: &str, known: &dyn Fn(&str) -> bool) -> BTreeMap<usize, &'static str> {
    let bytes = text.as_bytes();
    let mut escapes = BTreeMap::new();
    let is_escaped = |at: usize| {
        let backslashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\');
        backslashes.count() % 2 == 1
    };
    // Not HTML to us, but to renderers that take `<svg/onload=…>` for a tag, as browsers do.
    let is_almost_html = |at: usize| {
        let next = bytes.get(at + 1).copied().unwrap_or_default();
        bytes[at] == b'<'
            && !is_escaped(at)
            && (next.is_ascii_alphabetic() || b"/!?".contains(&next))
    };
    let mut escape = |range: Range<usize>| {
        for at in range {
            match bytes[at] {
                b'<' => drop(escapes.insert(at, "&lt;")),
                b'[' if !is_escaped(at) => drop(escapes.insert(at, "\\[")),
                b'!' if !is_escaped(at) && bytes.get(at + 1) == Some(&b'[') => {
                    escapes.insert(at, "");
                }
                _ => {}
            }
        }
    };
    let events = Parser::new_ext(text, EXTENSIONS).into_offset_iter();
    let definitions = events.reference_definitions().iter();
    let refused = definitions.filter(|(_, definition)| !is_safe_link(&definition.dest));
    refused.for_each(|(_, definition)| escape(definition.span.clone()));
    let mut is_code = false;
    for (event, range) in events {
        match event {
            Event::Html(_) | Event::InlineHtml(_) => escape(range),
            Event::Start(Tag::CodeBlock(_)) => is_code = true,
            Event::End(TagEnd::CodeBlock) => is_code = false,
            Event::Text(_) if !is_code => {
                let almost = range.filter(|at| is_almost_html(*at));
                almost.for_each(|at| escape(at..at + 1));
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. })
                if !is_safe_link(&dest_url) =>
            {
                escape(range);
            }
            // A picture becomes a link: a report loads nothing.
            Event::Start(Tag::Image { dest_url, .. }) if !known(&dest_url) => {
                escape(range.start..range.start + 1);
            }
            _ => {}
        }
    }
    escapes
}

/// Markdown with its last code block closed if the author left it open, so that the block ends with
/// the text.
pub(crate) fn closed(markdown: &str) -> String {
    let probe = format!("{markdown}\n\nend");
    let last = Parser::new_ext(&probe, EXTENSIONS).into_offset_iter();
    let last = last.filter(|(event, _)| {
        matches!(
            event,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(_)))
        )
    });
    match last.last() {
        Some((_, range)) if range.end == probe.len() => {
            let opening = markdown[range.start..].trim_start();
            let mark = opening.chars().next().unwrap_or('`');
            let fence: String = opening.chars().take_while(|c| *c == mark).collect();
            format!("{markdown}\n{fence}")
        }
        _ => markdown.to_owned(),
    }
}

fn nested(level: HeadingLevel) -> HeadingLevel {
    level.max(HeadingLevel::H2)
}

/// The headings of a Markdown text (level 1 or 2), for the table of contents.
pub(crate) fn headings(markdown: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut current: Option<String> = None;
    for event in Parser::new(markdown) {
        match event {
            Event::Start(Tag::Heading { level, .. }) if (level as usize) <= 2 => {
                current = Some(String::new());
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut current {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => found.extend(current.take()),
            _ => {}
        }
    }
    found
}

/// A name that is safe in file names and anchors: lower-case letters, digits and hyphens.
pub(crate) fn slug(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            out.push(c.to_ascii_lowercase());
        } else if !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        markdown_to_html(markdown, &|_| None)
    }

    #[test]
    fn control_and_direction_characters_go() {
        assert_eq!(
            clean("a\u{0}b\u{1b}[31mc\r\nd\u{202e}e\tf"),
            "ab[31mc\nde\tf"
        );
    }

    #[test]
    fn words_stay_whole() {
        assert_eq!(shorten_words("one two three", 13), "one two three");
        assert_eq!(shorten_words("one two three", 11), "one two …");
        assert_eq!(shorten_words("onetwothree", 5), "onet…");
    }

    #[test]
    fn raw_html_is_shown_not_run() {
        let page = html(
            "a <script>alert(1)</script> *b*\n\n<img src=x onerror=alert(1)>\n\n![alt](http://x/y.png) [l](javascript:alert(1)) [m](https://x.org)",
        );
        assert!(
            !page.contains("<script") && !page.contains("<img"),
            "{page}"
        );
        assert!(!page.contains("javascript:"), "{page}");
        assert!(page.contains("&lt;script&gt;") && page.contains("<em>b</em>"));
        assert!(page.contains("<a href=\"https://x.org\">m</a>") && page.contains(">alt</a>"));
    }

    #[test]
    fn prose_for_other_renderers_has_no_html_and_no_scripts() {
        let hostile = "a <script>alert(1)</script> *b* `<b>`\n\n<img src=x onerror=alert(1)>\n\n[l](javascript:alert(1)) [m](https://x.org) <javascript:a> [r]\n\n[r]: data:text/html,x\n";
        insta::assert_snapshot!(inert_markdown(hostile), @r"
        a &lt;script>alert(1)&lt;/script> *b* `<b>`

        &lt;img src=x onerror=alert(1)>

        \[l](javascript:alert(1)) [m](https://x.org) &lt;javascript:a> \[r]

        \[r]: data:text/html,x
        ");
        // Browsers take these for tags.
        let almost =
            "a <svg/onload=x> <a\"b> </ b> <!x, n <k\n\n| <svg/x |\n|---|\n\n```\n<svg/x\n```\n";
        insta::assert_snapshot!(inert_markdown(almost), @r#"
        a &lt;svg/onload=x> &lt;a"b> &lt;/ b> &lt;!x, n &lt;k

        | &lt;svg/x |
        |---|

        ```
        <svg/x
        ```
        "#);
        // A backtick inside HTML must not open former code.
        let shifted = "<!-- ` -->\n`<script>alert(1)</script>`";
        insta::assert_snapshot!(inert_markdown(shifted), @"
        &lt;!-- ` -->
        `&lt;script>alert(1)&lt;/script>`
        ");
        let behind_a_backslash = r"\\[l](javascript:alert(1)) \[m](javascript:alert(1))";
        let inert = r"\\\[l](javascript:alert(1)) \[m](javascript:alert(1))";
        assert_eq!(inert_markdown(behind_a_backslash), inert);
        for text in [hostile, almost, shifted, behind_a_backslash] {
            assert!(escapes(&inert_markdown(text), &|_| false).is_empty());
        }
        let harmless = "# A <https://x.org> & `<b>`\n\n1 < 2, a \\<b>\n\n    <i>\n\n| a |\n|---|\n| [b](#c) |\n";
        assert_eq!(inert_markdown(harmless), harmless);
    }

    #[test]
    fn formulas_are_mathematics_on_the_page() {
        let page = html("a $x*y*z$ b\n\n$$a_1 + b*c*d$$\n\ncosts $5 *now*");
        assert_eq!(page.matches("<math").count(), 2, "{page}");
        assert!(!page.contains("<em>y"), "{page}");
        assert!(page.contains("costs $5 <em>now</em>"), "{page}");
        assert!(!html("$<script>$").contains("<script"));
        assert!(!inert_markdown("$<script>$").contains("<script"));
    }

    #[test]
    fn pictures_are_links_on_the_page_and_in_other_forms() {
        let text = "![the rig](../rig.png) ![far](https://x.org/y.png) ![no](data:image/png,x)";
        let page = html(text);
        assert!(
            page.contains("<a href=\"../rig.png\">the rig</a>"),
            "{page}"
        );
        assert!(!page.contains("<img") && !page.contains("data:"), "{page}");
        insta::assert_snapshot!(inert_markdown(text), @r"[the rig](../rig.png) [far](https://x.org/y.png) \[no](data:image/png,x)");
        let nested = html("[![a](b.png)](https://x.org)");
        assert_eq!(nested, "<p><a href=\"https://x.org\">a</a></p>\n");
    }

    #[test]
    fn prose_is_typeset_and_code_is_not() {
        let page = html("The grid's \"best\" has 95 % of it; `a's 5 %`\n\n```\nb's 5 %\n```\n");
        assert!(
            page.contains("The grid’s “best” has 95\u{a0}% of it"),
            "{page}"
        );
        assert!(
            page.contains("a's 5 %") && page.contains("b's 5 %"),
            "{page}"
        );
        assert_eq!(
            typeset("a \"b\" ('c'), d's 5 ± 1 %, 5 % % e"),
            "a “b” (‘c’), d’s 5\u{a0}±\u{a0}1\u{a0}%, 5\u{a0}% % e"
        );
    }

    #[test]
    fn a_code_block_ends_with_its_text() {
        assert_eq!(closed("a\n\n````text\nb"), "a\n\n````text\nb\n````");
        assert_eq!(closed("~~~\nb"), "~~~\nb\n~~~");
        for whole in ["a `b", "```\nx\n```", "```\nx\n```\n\ny", "    code"] {
            assert_eq!(closed(whole), whole);
        }
    }

    #[test]
    fn headings_nest_under_the_page() {
        assert_eq!(html("# A\n### B"), "<h2>A</h2>\n<h3>B</h3>\n");
        assert_eq!(headings("# A `b`\n\ntext\n\n### no\n"), ["A b"]);
    }

    #[test]
    fn markdown_escapes_hold_in_tables() {
        assert_eq!(
            escape_markdown("a|b\n<b> `c` *d*"),
            "a\\|b &lt;b&gt; \\`c\\` \\*d\\*"
        );
        assert_eq!(fence("x ```` y"), "`````");
        assert_eq!(slug("25x100, seed=1"), "25x100-seed-1");
    }
}
