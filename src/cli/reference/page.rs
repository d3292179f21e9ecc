//! The reference as Markdown pages and as terminal text.

use super::{Entry, Topic};
use std::fmt::Write as _;

/// The page of a topic, as Markdown.
pub(crate) fn page(topic: &Topic) -> String {
    let mut page = format!(
        "# {}\n\n<!-- Made by `specbook help {} --markdown`; a test keeps it so. -->\n\n{}\n",
        topic.title, topic.name, topic.about
    );
    let entries = topic.entries();
    let is_plain = |entry: &Entry| entry.takes.is_empty() && entry.example.is_none();
    if entries.iter().all(is_plain) {
        page.push_str("\n| Name | Meaning |\n|---|---|\n");
        for entry in &entries {
            let _ = writeln!(
                page,
                "| `{}` | {} |",
                entry.name,
                entry.about.replace('|', "\\|")
            );
        }
        return page;
    }
    let mut section = "";
    for entry in &entries {
        let own = entry.name.split('.').next().unwrap_or_default();
        let is_head = entries
            .iter()
            .any(|other| other.name.starts_with(&format!("{own}.")));
        if own != section && (is_head || section.is_empty()) {
            let _ = write!(
                page,
                "{}",
                if is_head {
                    format!("\n## {own}\n")
                } else {
                    String::new()
                }
            );
            page.push('\n');
            section = own;
        }
        let _ = write!(page, "- **`{}`**", entry.name);
        if let Some(facts) = facts(entry) {
            let _ = write!(page, " ({facts})");
        }
        let _ = write!(page, ": {}", entry.about);
        if let Some(example) = &entry.example {
            let _ = write!(page, " Example: `{example}`");
        }
        page.push('\n');
    }
    page
}

fn facts(entry: &Entry) -> Option<String> {
    let default = entry.default.as_deref().map(|default| match default {
        "required" => default.to_owned(),
        default => format!("default `{default}`"),
    });
    let facts = [Some(entry.takes.clone()), default];
    let facts: Vec<String> = facts
        .into_iter()
        .flatten()
        .filter(|fact| !fact.is_empty())
        .collect();
    (!facts.is_empty()).then(|| facts.join("; "))
}

/// Entries for a terminal of `width` columns.
pub(crate) fn terminal(entries: &[Entry], width: usize) -> String {
    let mut text = String::new();
    for entry in entries {
        let facts = facts(entry).map(|facts| format!("  {}", facts.replace('`', "")));
        let head = entry.name.clone() + facts.as_deref().unwrap_or_default();
        let narrow = textwrap::Options::new(width.max(20)).subsequent_indent("        ");
        for line in textwrap::wrap(&head, narrow) {
            let _ = writeln!(text, "{line}");
        }
        let example = entry
            .example
            .as_ref()
            .map(|example| format!("e.g. {example}"));
        for paragraph in [Some(&entry.about), example.as_ref()].into_iter().flatten() {
            for line in textwrap::wrap(paragraph, width.saturating_sub(4).max(20)) {
                let _ = writeln!(text, "    {line}");
            }
        }
    }
    text
}
