//! `bench`, and the accuracy of `plan`'s memory estimates.

use crate::project::Project;
use std::process::Stdio;

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

/// The model of shape `llama-s`, and one dominated by its vocabulary, with few steps each.
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

/// Batches of many lengths, and an evaluation that needs more memory than training.
const LENGTHS: &str = r#"
specbook: 1
name: sizes
title: Sizes
base:
  data:
    corpus: {documents: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 320, documents: 24}}
    train: 24
    validation: {skip: 24, take: 4}
  model: {arch: ARCH, dim: 64, n_layers: 2, n_heads: 2, hidden_dim: 512, max_seq_len: 512}
  train:
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: end}
cases:
  prepared:
    data.seq_len: 16
    train.batch_size: 1
    train.max_steps: 1
  lengths:
    data.sequence: {informed_as_described: {tol: 20}}
    train.batch_size: 4
    train.max_steps: 3
  evaluation:
    data.seq_len: 16
    train.batch_size: 1
    train.max_steps: 1
    eval.perplexity: {documents: 4}
    eval.samples: {prompts: ["The"], max_new_tokens: 8}
"#;

/// Whether the peak of a process can be read and reset.
fn peaks_are_told() -> bool {
    // Wine shows a Windows program the `/proc` of Linux.
    let told = cfg!(unix) && std::path::Path::new("/proc/self/clear_refs").exists();
    if !told {
        println!("skipped: this system does not tell the peak of a process");
    }
    told
}

/// Runs `specs/sizes.yaml/name` in a separate process and returns its peak, including evaluation.
fn peak_of(project: &Project, name: &str) -> f64 {
    let mut command = project.command(&["run", "specs/sizes.yaml", "--filter", name]);
    let (out, err) = (Stdio::null(), Stdio::null());
    let mut process = command.stdout(out).stderr(err).spawn().unwrap();
    let status = format!("/proc/{}/status", process.id());
    let mut peak = 0.0f64;
    let ended = loop {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(kib.unwrap_or(0.0) * 1024.0);
        if let Some(ended) = process.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    };
    assert!(ended.success(), "{name}: {ended}");
    peak
}

/// The estimate of `specs/sizes.yaml/name`.
fn estimate_of(project: &Project, name: &str) -> f64 {
    let arguments = [
        "plan",
        "specs/sizes.yaml",
        "--filter",
        name,
        "--format",
        "json",
    ];
    let plan = project.run(&arguments).success().json();
    let estimate = &plan[0]["runs"][0]["estimate"]["peak_rss_bytes"];
    estimate.as_f64().unwrap()
}

/// The training peak in the record of `sizes/name`.
fn recorded(project: &Project, name: &str) -> f64 {
    let show = ["show", &format!("sizes/{name}"), "--format", "json"];
    let found = project.run(&show).success().json();
    found["timing"]["peak_rss_bytes"].as_f64().unwrap()
}

fn near(name: &str, estimate: f64, truth: f64) {
    let ratio = estimate / truth;
    println!("{name}: estimate {estimate}, truth {truth}, ratio {ratio:.3}");
    assert!(
        (0.7..1.3).contains(&ratio),
        "{name}: {estimate} against {truth}"
    );
}

#[test]
fn the_estimate_of_memory_is_near_the_truth() {
    if !peaks_are_told() {
        return;
    }
    for name in ["small", "vocabulary"] {
        let project = Project::new();
        project.write("specs/sizes.yaml", SIZES);
        let estimate = estimate_of(&project, name);
        peak_of(&project, name);
        near(name, estimate, recorded(&project, name));
    }
}

#[test]
fn the_estimate_of_memory_holds_for_many_lengths_and_for_an_evaluation() {
    if !peaks_are_told() {
        return;
    }
    for arch in ["llama", "gpt2"] {
        let project = Project::new();
        project.write("specs/sizes.yaml", LENGTHS.replace("ARCH", arch));
        // From here on the lengths of the documents are known.
        peak_of(&project, "prepared");
        for name in ["lengths", "evaluation"] {
            let estimate = estimate_of(&project, name);
            let truth = peak_of(&project, name);
            near(&format!("{arch}, {name}"), estimate, truth);
            if name == "evaluation" {
                let training = recorded(&project, name);
                assert!(training < 0.8 * truth, "{training} against {truth}");
            }
        }
    }
}

#[test]
fn the_estimate_of_memory_is_near_the_truth_before_the_text_is_tokenised() {
    if !peaks_are_told() {
        return;
    }
    for name in ["short", "prepared", "cut"] {
        let project = Project::new();
        project.write("specs/sizes.yaml", UNTOKENISED);
        let estimate = estimate_of(&project, name);
        let truth = peak_of(&project, name);
        near(name, estimate, truth);
    }
}

/// Documents much shorter than the context; more text than model; documents that are cut into sequences.
const UNTOKENISED: &str = r#"
specbook: 1
name: sizes
title: Sizes
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 512, documents: 200}}
    train: 200
    validation: {skip: 200, take: 4}
  model: {dim: 64, n_layers: 2, n_heads: 2, hidden_dim: 512, max_seq_len: 2048}
  train:
    batch_size: 8
    max_steps: 3
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: end}
cases:
  short: {}
  prepared:
    data.corpus: {documents: {version: 1}}
    data.train: 2500
    data.validation.skip: 2500
    model.max_seq_len: 32
  cut:
    data.sequence: {informed_as_described: {tol: 20}}
    model.max_seq_len: 512
"#;

#[test]
fn a_run_has_its_own_peak_and_not_that_of_the_run_before_it() {
    if !peaks_are_told() {
        return;
    }
    let project = Project::new();
    project.write("specs/sizes.yaml", TWO_SIZES);
    project
        .run(&["run", "specs/sizes.yaml", "--jobs", "1"])
        .success();
    let [large, small] = ["large", "small"].map(|name| recorded(&project, name));
    println!("large {large}, small {small}");
    assert!(small < 0.6 * large, "{small} after {large}");
}

/// A run that needs much memory, followed by one that needs little.
const TWO_SIZES: &str = r#"
specbook: 1
name: sizes
title: Sizes
base:
  data:
    corpus: {stories: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 320, documents: 16}}
    train: 16
    validation: 4
    sequence: stream
  model: {dim: 64, n_layers: 1, n_heads: 2, max_seq_len: 32}
  train:
    batch_size: 2
    max_steps: 1
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: end}
cases:
  large: {model.pad_vocab_to_multiple: 64000}
  small: {}
"#;
