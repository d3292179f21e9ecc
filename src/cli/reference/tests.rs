use super::*;
use std::path::Path;

/// The pages of `docs/reference` equal the generated ones; `SPECBOOK_WRITE_REFERENCE=1` writes
/// them.
#[test]
fn pages_of_the_reference_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference");
    let pages = TOPICS
        .iter()
        .map(|topic| (format!("{}.md", topic.name), page(topic)));
    let schema = serde_json::to_string_pretty(&crate::spec::json_schema_of(true)).unwrap();
    let schema = ("specbook.schema.json".to_owned(), format!("{schema}\n"));
    for (name, text) in pages.chain([schema]) {
        let path = folder.join(&name);
        if std::env::var_os("SPECBOOK_WRITE_REFERENCE").is_some() {
            std::fs::write(&path, text).unwrap();
            continue;
        }
        let committed = std::fs::read_to_string(&path).unwrap_or_default();
        let what = "run `SPECBOOK_WRITE_REFERENCE=1 cargo test --lib reference` and commit it";
        assert!(
            committed == text,
            "docs/reference/{name} is out of date: {what}"
        );
    }
}

#[test]
fn entries_fit_the_terminal() {
    for (topic, width) in TOPICS.iter().flat_map(|topic| [(topic, 60), (topic, 80)]) {
        let text = terminal(&topic.entries(), width);
        let wide = text.lines().find(|line| line.chars().count() > width);
        assert_eq!(wide, None, "{} at {width}", topic.name);
    }
}

#[test]
fn every_entry_is_explained_and_named_once() {
    for topic in TOPICS {
        let entries = topic.entries();
        assert!(entries.len() > 3, "{}", topic.name);
        for (index, entry) in entries.iter().enumerate() {
            let place = format!("{} {}", topic.name, entry.name);
            assert!(!entry.about.is_empty(), "{place} has no explanation");
            let earlier = entries[..index]
                .iter()
                .any(|other| other.name == entry.name);
            assert!(!earlier, "{place} stands twice");
        }
    }
}

/// Every setting in the reference can be named in a spec, and vice versa.
#[test]
fn settings_are_those_of_the_shape() {
    let settings = TOPICS
        .iter()
        .find(|topic| topic.name == "settings")
        .unwrap();
    let names: Vec<String> = settings
        .entries()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    for known in [
        "data.corpus.text.path",
        "train.loss.square",
        "model.dim",
        "train.optimizer.adamw.learning_rate",
    ] {
        assert!(names.iter().any(|name| name == known), "{known}");
    }
}
