//! `bench`, and whether `plan` knows how much memory a run takes.

use crate::project::Project;

#[test]
fn a_shape_is_measured() {
    let project = Project::new();
    let ran = project.run(&[
        "bench",
        "--shape",
        "desk-gpt2",
        "--steps",
        "3",
        "--threads",
        "1",
        "--format",
        "json",
    ]);
    let found = ran.success().json();
    assert_eq!(found["shape"], "desk-gpt2");
    assert_eq!((&found["format"], &found["steps"]), (&1.into(), &3.into()));
    for key in ["tokens_per_second", "gflops", "peak_gflops", "mfu"] {
        assert!(found[key].as_f64().unwrap() > 0.0, "{key}");
    }
    assert!(found["parts"]["attention"].as_f64().unwrap() > 0.0);
    if cfg!(target_os = "linux") {
        assert!(found["peak_rss_bytes"].as_u64().unwrap() > 4 << 20);
    }
    assert!(
        !project.path().join(".specbook").exists(),
        "no store is made for a shape"
    );
}

#[test]
fn several_shapes_stand_in_one_table() {
    let ran = Project::new()
        .run(&["bench", "desk-gpt2", "desk-llama", "--steps", "1"])
        .success();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", ran.stdout);
    assert!(lines[0].starts_with("shape") && lines[2].starts_with("desk-llama"));
}

#[test]
fn a_run_of_a_spec_is_measured_and_nothing_is_stored_but_its_speed() {
    let project = Project::new();
    project.write("specs/tiny.yaml", crate::project::TINY);
    let arguments = [
        "bench",
        "specs/tiny.yaml",
        "--run",
        "dim=32",
        "--steps",
        "2",
        "--format",
        "json",
    ];
    let found = project.run(&arguments).success().json();
    assert_eq!(found["shape"], "tiny/dim=32");
    let plan = project
        .run(&["plan", "specs/tiny.yaml", "--format", "json"])
        .success()
        .json();
    let run = &plan[0]["runs"][1];
    assert_eq!(run["status"], "missing");
}

#[test]
fn unknown_names_are_refused() {
    let project = Project::new();
    let ran = project.run(&["bench", "llama-xl"]).code(2);
    assert!(
        ran.stderr.contains("no shape is called `llama-xl`"),
        "{}",
        ran.stderr
    );
    let ran = project
        .run(&["bench", "llama-s", "--part", "heads"])
        .code(2);
    assert!(
        ran.stderr.contains("parts are `embedding`"),
        "{}",
        ran.stderr
    );
    let ran = project.run(&["bench", "llama-s", "--isa", "sse2"]).code(2);
    assert!(ran.stderr.contains("this machine has"), "{}", ran.stderr);
}

/// The model of shape `llama-s`, and one whose memory is all vocabulary: few steps of each.
const SIZES: &str = r#"
specbook: 1
name: sizes
title: Sizes
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 1024, documents: 100}}
    train: 400
    validation: 4
    sequence: stream
  model: {dim: 128, n_layers: 2, n_heads: 4, hidden_dim: 344, max_seq_len: 128, pad_vocab_to_multiple: 2048}
  train:
    batch_size: 16
    max_steps: 2
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: end}
cases:
  small: {}
  vocabulary: {model.pad_vocab_to_multiple: 32000, model.max_seq_len: 16}
"#;

#[test]
#[cfg(target_os = "linux")]
fn the_estimate_of_memory_is_near_the_truth() {
    for name in ["small", "vocabulary"] {
        let project = Project::new();
        project.write("specs/sizes.yaml", SIZES);
        let plan = [
            "plan",
            "specs/sizes.yaml",
            "--filter",
            name,
            "--format",
            "json",
        ];
        let plan = project.run(&plan).success().json();
        let estimate = plan[0]["runs"][0]["estimate"]["peak_rss_bytes"]
            .as_f64()
            .unwrap();
        // A process of its own, so that the peak is this run's.
        project
            .run(&["run", "specs/sizes.yaml", "--filter", name])
            .success();
        let show = ["show", &format!("sizes/{name}"), "--format", "json"];
        let found = project.run(&show).success().json();
        let truth = found["timing"]["peak_rss_bytes"].as_f64().unwrap();
        let ratio = estimate / truth;
        println!("{name}: estimate {estimate}, truth {truth}, ratio {ratio:.3}");
        assert!(
            (0.85..1.15).contains(&ratio),
            "{name}: {estimate} against {truth}"
        );
    }
}
