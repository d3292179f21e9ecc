//! `specbook cite`: BibTeX entries for specbook, and for the study and the data of a spec.

use super::args::{CiteArgs, Global, SpecArgs};
use super::failure::Failure;
use super::print::Printer;
use super::{exit, project, workspace};
use crate::data::identity::SliceKey;
use crate::text::source::Origin;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Prints the entries.
pub(crate) fn execute(args: &CiteArgs, global: &Global, printer: Printer) -> Result<u8, Failure> {
    let mut entries = vec![entry(
        "software",
        "specbook",
        &[
            (
                "title",
                "specbook: a reproducible-experiment notebook runner driven by declarative specs"
                    .to_owned(),
            ),
            ("author", "{The specbook authors}".to_owned()),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ],
    )];
    if let Some(path) = &args.spec {
        let spec = SpecArgs {
            specs: vec![path.clone()],
            profile: args.profile.clone(),
            overrides: Vec::new(),
            filter: Vec::new(),
            paranoid: false,
        };
        let store = project::store(global, path)?;
        for opened in workspace::open(&spec, &store, printer)? {
            let (spec, name) = (&opened.spec, &opened.spec.name);
            if !spec.source.study.is_empty() {
                let mut fields = vec![("title", spec.source.study.clone())];
                if !spec.source.section.is_empty() {
                    fields.push(("note", format!("Section {}", spec.source.section)));
                }
                entries.push(entry("misc", &format!("{name}-study"), &fields));
            }
            let slices = opened
                .plan
                .runs
                .iter()
                .flat_map(|run| [&run.key.data.train, &run.key.data.validation]);
            let slices: BTreeSet<String> = slices.map(words).collect();
            let sets = opened.plan.runs.iter().filter_map(|run| {
                let Origin::Set(set) = run.settings.data.corpus.get().origin() else {
                    return None;
                };
                Some((set.name, set))
            });
            for (name, set) in sets.collect::<BTreeMap<_, _>>() {
                let note = format!("{} Licence: {}. {}", set.about, set.licence, set.citation);
                let fields = [("title", format!("The public set {name}")), ("note", note)];
                entries.push(entry("misc", &format!("set-{name}"), &fields));
            }
            let fields = [
                ("title", format!("Data of the experiment {name}")),
                ("note", slices.into_iter().collect::<Vec<_>>().join("; ")),
            ];
            entries.push(entry("misc", &format!("{name}-data"), &fields));
        }
    }
    if printer.json() {
        printer.json_result(&json!({"format": 1, "entries": entries}))?;
    } else {
        printer.result(&entries.join("\n"));
    }
    Ok(exit::OK)
}

/// The identity of the documents of a slice, in words.
fn words(slice: &SliceKey) -> String {
    match slice {
        SliceKey::Embedded {
            generator,
            skip,
            take,
            ..
        } => {
            format!(
                "embedded generator `{generator}', documents {skip} to {}",
                skip + take
            )
        }
        SliceKey::Documents { take, sha256, .. } => format!("{take} documents, SHA-256 {sha256}"),
    }
}

/// A BibTeX entry; braces and backslashes are removed from its values.
fn entry(kind: &str, key: &str, fields: &[(&str, String)]) -> String {
    let fields = fields.iter().map(|(name, value)| {
        let outer = value
            .strip_prefix('{')
            .and_then(|value| value.strip_suffix('}'));
        let plain = outer.unwrap_or(value).replace(['{', '}', '\\'], "");
        match outer {
            Some(_) => format!("  {name} = {{{{{plain}}}}},\n"),
            None => format!("  {name} = {{{plain}}},\n"),
        }
    });
    format!("@{kind}{{{key},\n{}}}\n", fields.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_bibtex() {
        let text = entry(
            "misc",
            "a-study",
            &[
                ("title", "A {study}".to_owned()),
                ("author", "{The authors}".to_owned()),
            ],
        );
        assert_eq!(
            text,
            "@misc{a-study,\n  title = {A study},\n  author = {{The authors}},\n}\n"
        );
    }
}
