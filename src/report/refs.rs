//! References in texts: to figures, tables and claims (`@fig-NAME`, `@tbl-NAME`, `@claim-ID`), to
//! works (`@KEY`, `[@KEY; @KEY]`), to pictures beside the spec; and footnotes, whose names are made
//! unique within the report.

use super::assets::Assets;
use super::bibliography::{Bibliography, Work};
use super::text::{EXTENSIONS, escape_markdown};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;

/// Targets that texts can refer to.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    /// Words and anchor by name: `fig-width` → (`Figure 2`, `figure-2`).
    places: BTreeMap<String, (String, String)>,
    works: Bibliography,
    /// Keys of the cited works, in order.
    cited: RefCell<Vec<String>>,
}

/// Prefixes of names that refer to places.
const KINDS: [&str; 3] = ["fig-", "tbl-", "claim-"];

impl Targets {
    pub(crate) fn new(works: Bibliography) -> Self {
        Self {
            works,
            ..Self::default()
        }
    }

    pub(crate) fn add(&mut self, name: String, words: String, anchor: String) {
        self.places.insert(name, (words, anchor));
    }

    /// The cited works, in order.
    pub(crate) fn cited(&self) -> Vec<Work> {
        let keys = self.cited.borrow();
        keys.iter()
            .filter_map(|key| self.works.get(key))
            .cloned()
            .collect()
    }

    /// Replaces references with links; `anchor` makes the names of footnotes unique.
    ///
    /// # Errors
    /// A message about a figure, table or claim that does not exist.
    pub(crate) fn resolve(
        &self,
        markdown: &str,
        anchor: &str,
        assets: &Assets,
    ) -> Result<String, String> {
        let mut changes: Vec<(Range<usize>, String)> = Vec::new();
        let mut texts: Vec<Range<usize>> = Vec::new();
        let mut inside = 0_usize;
        let options = EXTENSIONS.union(Options::ENABLE_MATH);
        for (event, range) in Parser::new_ext(markdown, options).into_offset_iter() {
            match event {
                Event::Start(Tag::Image { dest_url, .. }) => {
                    inside += 1;
                    let at = markdown[range.clone()].find(&format!("]({dest_url}"));
                    if let (Some(at), Some(file)) = (at, assets.file(&dest_url)) {
                        let from = range.start + at + 2;
                        changes.push((from..from + dest_url.len(), file.to_owned()));
                    }
                }
                Event::Start(Tag::Link { .. } | Tag::CodeBlock(_)) => inside += 1,
                Event::End(TagEnd::Image | TagEnd::Link | TagEnd::CodeBlock) => {
                    inside = inside.saturating_sub(1)
                }
                Event::FootnoteReference(_) => {
                    changes.push((range.start + 2..range.start + 2, format!("{anchor}-")));
                }
                Event::Start(Tag::FootnoteDefinition(_)) => {
                    let at = markdown[range.start..].find("[^").unwrap_or_default() + range.start;
                    changes.push((at + 2..at + 2, format!("{anchor}-")));
                }
                Event::Text(_) if inside == 0 => match texts.last_mut() {
                    // The parser splits a text at brackets.
                    Some(last) if last.end == range.start => last.end = range.end,
                    _ => texts.push(range),
                },
                _ => {}
            }
        }
        for range in texts {
            self.names(markdown, range, &mut changes)?;
        }
        changes.sort_by_key(|(range, _)| range.start);
        let mut out = String::with_capacity(markdown.len());
        let mut rest = 0;
        for (range, with) in changes {
            if range.start >= rest {
                out.push_str(&markdown[rest..range.start]);
                out.push_str(&with);
                rest = range.end;
            }
        }
        out.push_str(&markdown[rest..]);
        Ok(out)
    }

    /// The references in a stretch of text.
    fn names(
        &self,
        markdown: &str,
        range: Range<usize>,
        changes: &mut Vec<(Range<usize>, String)>,
    ) -> Result<(), String> {
        let text = &markdown[range.clone()];
        for (at, _) in text.match_indices('@') {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '@' || c == '\\') {
                continue;
            }
            let is_part = |c: char| c.is_ascii_alphanumeric() || "-_:".contains(c);
            let rest = &text[at + 1..];
            let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
            let name = rest[..length].trim_end_matches(['-', '_', ':']);
            if name.is_empty() {
                continue;
            }
            let mut whole = at..at + 1 + name.len();
            let with = if let Some((words, anchor)) = self.places.get(name) {
                format!("[{}](#{anchor})", escape_markdown(words))
            } else if let Some(work) = self.works.get(name) {
                let mut cited = self.cited.borrow_mut();
                if !cited.contains(&work.key) {
                    cited.push(work.key.clone());
                }
                let mut link = format!(
                    "[{}](#ref-{})",
                    escape_markdown(&work.short),
                    super::text::slug(&work.key)
                );
                if before == Some('[') {
                    whole.start -= 1;
                    link.insert(0, '(');
                }
                if text[whole.end..].starts_with(']') {
                    whole.end += 1;
                    link.push(')');
                }
                link
            } else if KINDS.iter().any(|kind| name.starts_with(kind)) {
                let known: Vec<&str> = self.places.keys().map(String::as_str).collect();
                return Err(format!(
                    "unknown reference `@{name}`, expected one of `@{}`",
                    known.join("`, `@")
                ));
            } else if is_citation(&text[..at]) && self.works.has_file() {
                return Err(format!(
                    "unknown citation `@{name}`, expected one of `@{}`",
                    self.works.keys().join("`, `@")
                ));
            } else {
                continue;
            };
            changes.push((range.start + whole.start..range.start + whole.end, with));
        }
        Ok(())
    }
}

/// Whether the following text is inside citing brackets: `[@one; @two`.
fn is_citation(before: &str) -> bool {
    match before.rsplit_once('[') {
        Some((_, inside)) => {
            !inside.contains(']') && (inside.is_empty() || inside.starts_with('@'))
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_links() {
        let works = Bibliography::parse("@misc{a1, author = {Ada Lee}, year = {2020}}").unwrap();
        let mut targets = Targets::new(works);
        targets.add(
            "fig-width".to_owned(),
            "Figure 2".to_owned(),
            "figure-2".to_owned(),
        );
        let resolve = |text: &str| targets.resolve(text, "cell-1", &Assets::default());
        assert_eq!(
            resolve("See @fig-width, `@fig-width` and a@fig-width.").unwrap(),
            "See [Figure 2](#figure-2), `@fig-width` and a@fig-width."
        );
        assert_eq!(
            resolve("So [@a1] and @a1.").unwrap(),
            "So ([Lee 2020](#ref-a1)) and [Lee 2020](#ref-a1)."
        );
        assert_eq!(
            resolve("A[^1] $x@fig-y$.\n\n[^1]: Note.").unwrap(),
            "A[^cell-1-1] $x@fig-y$.\n\n[^cell-1-1]: Note."
        );
        assert!(resolve("@fig-none").unwrap_err().contains("`@fig-width`"));
        for unknown in ["So [@a2].", "So [@a1; @a2]."] {
            assert!(
                resolve(unknown)
                    .unwrap_err()
                    .contains("`@a2`, expected one of `@a1`")
            );
        }
        assert_eq!(
            resolve("Write to @somebody.").unwrap(),
            "Write to @somebody."
        );
        assert_eq!(targets.cited().len(), 1);
    }
}
