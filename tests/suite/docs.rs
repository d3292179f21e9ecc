//! The documentation: its links and anchors exist, its specs are valid, and every page is in the table of contents.

use crate::project::{Project, repository};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[cfg(unix)]
mod carried_out;

/// Folders whose files may cite `docs/studies.md`.
const CITING: &[&str] = &["src", "crates", "tests", "benches", "specs", "docs"];

/// Files below a folder of the repository, without build outputs.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else {
        return found;
    };
    for entry in entries.map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            if !entry.ends_with("target") {
                found.extend(files(&entry));
            }
        } else {
            found.push(entry);
        }
    }
    found.sort();
    found
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// The pages of the documentation.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = files(&repository().join("docs"))
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect();
    pages.extend(["README.md", "CONTRIBUTING.md"].map(|name| repository().join(name)));
    pages
}

/// Targets of `[…](target)`.
fn links(page: &str) -> Vec<&str> {
    page.split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target)
        .collect()
}

/// Names that `#name` can point to: explicit anchors, and headings as GitHub and mdBook name them.
fn anchors(page: &str) -> BTreeSet<String> {
    let explicit = page
        .split("<a id=\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(name, _)| name.to_owned());
    let headings = page
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .replace(' ', "-")
                .replace(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_'), "")
        });
    explicit.chain(headings).collect()
}

#[test]
fn links_of_the_documentation_lead_somewhere() {
    let mut seen = 0;
    for page in pages() {
        let content = text(&page);
        for link in links(&content) {
            if link.starts_with("http") {
                continue;
            }
            seen += 1;
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() {
                page.clone()
            } else {
                page.parent().unwrap().join(file)
            };
            assert!(target.exists(), "{}: no file `{link}`", page.display());
            assert!(
                anchor.is_empty() || anchors(&text(&target)).contains(anchor),
                "{}: no anchor `{link}`",
                page.display()
            );
        }
    }
    assert!(seen > 20, "only {seen} links found");
}

#[test]
fn citations_of_the_studies_have_their_anchor() {
    let known = anchors(&text(&repository().join("docs/studies.md")));
    let mut seen = 0;
    for path in CITING
        .iter()
        .flat_map(|folder| files(&repository().join(folder)))
    {
        let Ok(content) = std::fs::read_to_string(&path) else {
            continue; // not text
        };
        for rest in content.split("studies.md#").skip(1) {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            let name = &rest[..end];
            if name.is_empty() {
                continue; // this file's own search string
            }
            seen += 1;
            assert!(
                known.contains(name),
                "{}: docs/studies.md has no `#{name}`",
                path.display()
            );
        }
    }
    assert!(seen > 20, "only {seen} citations found");
}

#[test]
fn every_page_is_once_in_the_table_of_contents() {
    let summary = text(&repository().join("docs/SUMMARY.md"));
    for page in files(&repository().join("docs")) {
        let name = page.strip_prefix(repository().join("docs")).unwrap();
        let name = name.to_str().unwrap().replace('\\', "/");
        if !name.ends_with(".md") || name == "SUMMARY.md" {
            continue;
        }
        let times = summary.matches(&format!("({name})")).count();
        assert_eq!(
            times, 1,
            "`{name}` in docs/SUMMARY.md (mdBook wants it once)"
        );
    }
}

/// The first YAML block of a page.
fn yaml(page: &str) -> String {
    let content = text(&repository().join(page));
    let (_, rest) = content.split_once("```yaml\n").unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

#[test]
fn specs_of_the_documentation_are_valid() {
    let tutorial = yaml("docs/tutorial.md");
    let base = &tutorial[..tutorial.find("vary:\n").unwrap()];
    let gpt2 = base
        .replace("arch: llama", "arch: gpt2")
        .replace(", multiple_of: 8", "");
    for (name, spec) in [
        ("readme", yaml("README.md")),
        ("tutorial", tutorial.clone()),
        ("compare", gpt2 + &yaml("docs/how-to/compare.md")),
        ("sweep", base.to_owned() + &yaml("docs/how-to/sweep.md")),
    ] {
        let project = Project::new();
        let file = format!("specs/{name}.yaml");
        project.write(&file, &spec);
        project.run(&["check", &file]).success();
    }
}

/// The commands of a page's console blocks and text, as arguments; comments and redirections are removed.
fn commands(page: &str) -> Vec<Vec<String>> {
    let page = page.replace("\\\n", " ");
    let blocks = page.lines().filter_map(|line| {
        line.strip_prefix("$ specbook ")
            .or_else(|| line.strip_prefix("$ bin/specbook "))
    });
    let spans = page.split('`').filter_map(|span| {
        let command = span.strip_prefix("specbook ")?;
        let is_whole = !command.contains(['|', '…', '\n']);
        is_whole.then_some(command)
    });
    blocks
        .chain(spans)
        .map(|line| {
            let end = [" #", " >"].iter().filter_map(|cut| line.find(cut)).min();
            line[..end.unwrap_or(line.len())]
                .split_whitespace()
                .map(|word| word.trim_matches('"').to_owned())
                .collect()
        })
        .collect()
}

#[test]
fn commands_of_the_documentation_are_understood() {
    let project = Project::new();
    let mut seen = 0;
    for page in pages() {
        for command in commands(&text(&page)) {
            seen += 1;
            // With `--help` at the end, all arguments before it are parsed and nothing is done.
            let mut arguments: Vec<&str> = command.iter().map(String::as_str).collect();
            arguments.push("--help");
            let ran = project.run(&arguments);
            assert!(
                ran.code == 0,
                "{}: `specbook {}`: {}",
                page.display(),
                command.join(" "),
                ran.stderr
            );
        }
    }
    assert!(seen > 100, "only {seen} commands found");
}

#[test]
fn help_explains_topics_names_and_commands() {
    let project = Project::new();
    let help = |words: &[&str]| project.run(&[&["help"], words].concat()).success().stdout;
    assert!(help(&["settings", "train.batch_size"]).contains("train.batch_size  whole number"));
    assert!(help(&["adamw"]).contains("train.optimizer.adamw.learning_rate"));
    assert!(help(&["functions", "pairs"]).contains("e.g. mean(pairs("));
    assert!(help(&["n_layer"]).contains("model.n_layers  whole number"));
    assert!(help(&["run"]).contains("--keep-going"));
    assert!(help(&[]).contains("Topics of `specbook help`: spec, settings"));
    let unknown = project
        .run(&["help", "metrics", "perplexitee"])
        .code(2)
        .stderr;
    assert!(
        unknown.contains("the nearest names are perplexity"),
        "{unknown}"
    );
    let schema = project.run(&["schema", "--draft", "7"]).success().stdout;
    assert!(schema.contains("draft-07"));
}
