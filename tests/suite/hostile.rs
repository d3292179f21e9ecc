//! Malicious text: control characters never reach the terminal.

use crate::project::Project;

/// Clears the screen, sets colours and the title, with 7-bit and 8-bit sequences; reverses the writing
/// direction.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{7f}\u{202e}x";

/// Runs the program; asserts that its output contains no terminal commands.
#[track_caller]
fn harmless(project: &Project, arguments: &[&str]) {
    let output = project.command(arguments).output().unwrap();
    assert!(output.status.code().is_some(), "{arguments:?}");
    for bytes in [&output.stdout, &output.stderr] {
        let text = String::from_utf8(bytes.clone()).unwrap();
        let bad = text.chars().find(|c| {
            c.is_control() && *c != '\n' && *c != '\t'
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        });
        assert_eq!(bad, None, "{arguments:?}: {text:?}");
    }
}

fn spec(title: &str, prompt: &str) -> String {
    format!(
        "specbook: 1
name: tiny
title: {title}
base:
  data: {{corpus: {{jsonl: {{path: text.jsonl}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 3, validation: 1}}
  model: {{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}}
  train: {{batch_size: 2, optimizer: {{adamw: {{learning_rate: 1e-3}}}}, validate: {{every: end}}}}
  eval: {{perplexity: {{documents: 1}}, samples: {{prompts: [{prompt}], max_new_tokens: 8}}}}
cases:
  one: {{train.epochs: 1}}
  other: {{train.epochs: 2}}
claims:
  - {{id: T-1, says: {prompt}, measure: \"runs()[0].steps\", expect: {{equals: 2}}, published: {{value: {prompt}, mark: printed}}}}
cells:
  - text: {prompt}
  - samples: {{runs: all}}
  - claims: all
"
    )
}

#[test]
fn escape_sequences_of_specs_and_corpora_never_reach_the_terminal() {
    let project = Project::new();
    let line = serde_json::json!({"text": format!("{ESCAPES} once upon a time {ESCAPES}")});
    project.write("specs/text.jsonl", format!("{line}\n").repeat(8));
    let quoted = serde_json::to_string(ESCAPES)
        .unwrap()
        .replace('\u{7f}', "\\x7f");
    let quoted = quoted
        .replace('\u{9b}', "\\x9b")
        .replace('\u{202e}', "\\u202e");
    project.write("specs/tiny.yaml", spec("Tiny", &quoted));
    let all: [&[&str]; 14] = [
        &["check", "specs/tiny.yaml"],
        &["plan", "specs/tiny.yaml"],
        &["run", "specs/tiny.yaml", "-v"],
        &["status", "specs/tiny.yaml", "-v"],
        &["status", "specs/tiny.yaml", "--format", "json"],
        &["plan", "specs/tiny.yaml", "--format", "json"],
        &["ls"],
        &["ls", "--format", "json"],
        &["ls", "--format", "csv"],
        &["explain", "specs/tiny.yaml", "--set", "train.seed=4"],
        &["show", "tiny/other"],
        &["eval", "tiny/other"],
        &[
            "sample",
            "tiny/other",
            "--prompt",
            ESCAPES,
            "--format",
            "json",
        ],
        &["report", "specs/tiny.yaml", "--format", "json"],
    ];
    for arguments in all {
        harmless(&project, arguments);
    }
    project
        .run(&["status", "specs/tiny.yaml", "--exit-code"])
        .success();
    harmless(&project, &["store", "verify"]);
    harmless(
        &project,
        &[
            "run",
            "specs/tiny.yaml",
            "--set",
            &format!("train.{ESCAPES}=1"),
        ],
    );
    harmless(&project, &["show", &format!("tiny/{ESCAPES}")]);
    // Raw, and in keys, because errors show the line.
    project.write("specs/raw.yaml", spec(ESCAPES, "x"));
    project.write(
        "specs/key.yaml",
        spec("Tiny", "x").replace("batch_size", &quoted),
    );
    let case = spec("Tiny", "x").replace("one:", &format!("{quoted}:"));
    project.write("specs/case.yaml", case);
    for name in ["specs/raw.yaml", "specs/key.yaml", "specs/case.yaml"] {
        harmless(&project, &["check", name]);
        harmless(&project, &["plan", name]);
    }
}

#[test]
fn names_never_lead_outside() {
    let project = Project::new();
    for name in ["../../evil", "/tmp/evil", "..", "a/b", "a\\\\b", "con\\0"] {
        let text = spec("Tiny", "x").replace("name: tiny", &format!("name: \"{name}\""));
        project.write("specs/tiny.yaml", text);
        let ran = project.run(&["run", "specs/tiny.yaml"]).code(2);
        assert!(ran.stderr.contains("name"), "{}", ran.stderr);
    }
    assert!(!project.path().join(".specbook").exists());
    assert!(!project.path().join("reports").exists());
}
