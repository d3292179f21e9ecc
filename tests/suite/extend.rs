//! Longer runs that extend shorter ones equal an uninterrupted run in every bit.

use crate::project::{Project, TINY};
use std::collections::BTreeMap;

/// A spec of one run with this training.
fn spec(model: &str, sequence: &str, train: &str) -> String {
    format!(
        "specbook: 1
name: tiny
title: Tiny
base:
  data: {{corpus: {{stories: {{version: 1}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 9, validation: 2{sequence}}}
  model: {model}
  train: {{batch_size: 2, optimizer: {{adamw: {{learning_rate: 3e-3}}}}, {train}}}
"
    )
}

const LLAMA: &str = "{dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}";
const GPT2: &str = "{arch: gpt2, dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16, dropout: 0.2}";

/// Runs `specs/tiny.yaml` with the text; returns its messages.
fn run(project: &Project, text: &str, more: &[&str]) -> String {
    project.write("specs/tiny.yaml", text);
    let arguments = [&["run", "specs/tiny.yaml", "--no-report"], more].concat();
    project.run(&arguments).success().stderr
}

/// Weights and metrics of all runs, by file.
fn bits(project: &Project) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![project.path().join(".specbook/runs-v1")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let wanted = [
                "model.safetensors",
                "best.safetensors",
                "metrics.jsonl",
                "key.json",
            ];
            if path.is_dir() {
                folders.push(path);
            } else if wanted.iter().any(|name| path.ends_with(name)) {
                let name = path
                    .strip_prefix(project.path())
                    .unwrap()
                    .display()
                    .to_string();
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// Runs `long` after `short`, whose checkpoint is kept, and compares it with `long` from the start.
#[track_caller]
fn extended(short: &str, long: &str, words: Option<&str>) {
    let (project, straight) = (Project::new(), Project::new());
    run(&project, short, &["--keep-checkpoints"]);
    project.write("specs/tiny.yaml", long);
    let plan = project.run(&["plan", "specs/tiny.yaml"]).success().stdout;
    let explained = project
        .run(&["explain", "specs/tiny.yaml"])
        .success()
        .stdout;
    let said = run(&project, long, &[]);
    match words {
        Some(words) => {
            assert!(
                said.contains(&format!("base: continues from tiny/base at step {words}")),
                "{said}"
            );
            assert!(plan.contains("base continues from tiny/base ("), "{plan}");
            assert!(plan.contains(&format!(" at step {words}")), "{plan}");
            assert!(
                explained.contains("base (missing): continues from tiny/base ("),
                "{explained}"
            );
        }
        None => assert!(
            !said.contains("continues") && !plan.contains("continues"),
            "{said}{plan}"
        ),
    }
    run(&straight, long, &[]);
    let (now, expected) = (bits(&project), bits(&straight));
    assert!(now.len() >= 2 * expected.len() && expected.len() >= 3);
    for (name, bytes) in expected {
        assert!(now[&name] == bytes, "{name} differs");
    }
    project.run(&["verify", "specs/tiny.yaml"]).success();
    project.run(&["store", "verify"]).success();
}

#[test]
fn more_epochs_go_on_from_fewer() {
    for model in [LLAMA, GPT2] {
        let train = |epochs: usize| {
            let text = format!("epochs: {epochs}, validate: {{every: epoch}}, keep: both");
            spec(model, "", &text)
        };
        extended(&train(1), &train(3), Some("5 of 15"));
    }
}

#[test]
fn more_steps_go_on_from_the_middle_of_an_epoch() {
    // The last step of the shorter run was validated; in the longer one that step is not.
    let train = |length: &str| spec(GPT2, "", &format!("{length}, validate: {{every: end}}"));
    extended(
        &train("max_steps: 7"),
        &train("max_steps: 12"),
        Some("7 of 12"),
    );
    extended(&train("max_steps: 7"), &train("epochs: 2"), Some("7 of 10"));
    extended(
        &train("max_steps: 7"),
        &train("max_tokens: 500"),
        Some("7 of 18"),
    );
    // Its last step may be truncated, so it is never extended.
    extended(&train("max_tokens: 300"), &train("max_steps: 12"), None);
    let train = |length: &str| {
        spec(
            LLAMA,
            ", sequence: stream",
            &format!("{length}, validate: {{every: {{steps: 4}}}}"),
        )
    };
    extended(
        &train("max_steps: 6"),
        &train("max_steps: 9"),
        Some("6 of 9"),
    );
}

#[test]
fn schedules_that_agree_so_far() {
    let train = |steps: usize, warmup: usize, decay: usize| {
        let schedule =
            format!("{{cosine: {{warmup_steps: {warmup}, decay_steps: {decay}, min_lr: 1e-4}}}}");
        let text = format!("max_steps: {steps}, schedule: {schedule}, validate: {{every: end}}");
        spec(LLAMA, "", &text)
    };
    extended(&train(6, 2, 20), &train(9, 2, 20), Some("6 of 9"));
    // Both are still warming up.
    extended(&train(4, 5, 8), &train(9, 5, 9), Some("4 of 9"));
    extended(&train(6, 2, 6), &train(9, 2, 9), None);
}

#[test]
fn what_else_differs_begins_at_its_first_step() {
    let train = |text: &str| spec(LLAMA, "", text);
    let short = train("max_steps: 4, validate: {every: end}");
    for long in [
        "max_steps: 8, validate: {every: end}, seed: 1",
        "max_steps: 8, validate: {every: epoch}",
        "max_steps: 8, validate: {every: end}, grad_clip: 1.0",
        "max_steps: 3, validate: {every: end}",
    ] {
        extended(&short, &train(long), None);
    }
    // The best weights may be those at the end of the shorter run, where the longer one does not
    // validate.
    let best = |steps: usize| {
        train(&format!(
            "max_steps: {steps}, validate: {{every: end}}, keep: best"
        ))
    };
    extended(&best(4), &best(8), None);
}

#[test]
fn only_kept_checkpoints_that_are_whole_and_only_where_wanted() {
    let train = |steps: usize| {
        spec(
            LLAMA,
            "",
            &format!("max_steps: {steps}, validate: {{every: end}}"),
        )
    };
    let project = Project::new();
    run(&project, &train(4), &[]);
    assert!(
        !run(&project, &train(6), &[]).contains("continues"),
        "no checkpoint was kept"
    );
    run(&project, &train(7), &["--keep-checkpoints"]);
    assert!(!run(&project, &train(8), &["--no-extend"]).contains("continues"));
    let plan = ["plan", "specs/tiny.yaml", "--format", "json"];
    project.write("specs/tiny.yaml", train(9));
    let planned = project.run(&plan).success().json();
    let reason = planned[0]["runs"][0]["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("continues from tiny/base (") && reason.ends_with(") at step 7 of 9"),
        "{reason}"
    );
    let planned = project
        .run(&[&plan[..], &["--no-extend"]].concat())
        .success()
        .json();
    assert!(
        planned[0]["runs"][0]["reason"]
            .as_str()
            .unwrap()
            .starts_with("differs from tiny/base")
    );
    // A damaged one is not extended.
    let mut states = Vec::new();
    let mut folders = vec![project.path().join(".specbook/runs-v1")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.parent().unwrap().ends_with("checkpoint")
                && path.to_string_lossy().contains("state-7")
            {
                states.push(path);
            }
        }
    }
    let mut bytes = std::fs::read(&states[0]).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&states[0], bytes).unwrap();
    let said = run(&project, &train(9), &[]);
    assert!(
        said.contains("its state does not have the digest; `base` begins at its first step"),
        "{said}"
    );
    project.run(&["verify", "specs/tiny.yaml"]).success();
}

#[test]
fn a_setting_is_not_mixed_with_its_longer_runs() {
    let project = Project::new();
    project.write("specs/tiny.yaml", format!("{TINY}seeds: [0, 1]\n"));
    for sets in [&["--set", "train.max_steps=2"][..], &[]] {
        let run = ["run", "specs/tiny.yaml", "--no-report"];
        project.run(&[&run, sets].concat()).success();
    }
    let diff = project
        .run(&["diff", "tiny/dim=16", "tiny/dim=32", "--format", "json"])
        .success()
        .json();
    let compared = &diff["comparisons"][0];
    for side in ["a", "b"] {
        assert_eq!(compared[side]["seeds"], serde_json::json!([0, 1]), "{side}");
    }
    let metrics = compared["metrics"].as_array().unwrap();
    let steps = metrics.iter().find(|metric| metric["name"] == "steps");
    assert_eq!(steps.unwrap()["a"], 5.0, "{compared}");
}
