//! GPUs on the command line: what a machine without one is told, and the rehearsal of the acceptance on the processor.

use crate::project::{Project, TINY};

#[test]
fn a_gpu_that_is_not_there_ends_with_a_message() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    for command in [
        &["run", "specs/tiny.yaml", "--device", "cuda:9"][..],
        &["doctor", "--device", "cuda:9"],
        &["gpu-acceptance", "--device", "cuda:9"],
    ] {
        let ran = project.run(command).code(2);
        assert!(
            ran.stderr
                .contains("error: device `cuda:9` cannot be used: "),
            "{}",
            ran.stderr
        );
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    assert!(
        !project.path().join(".specbook").exists(),
        "nothing was begun"
    );
}

#[test]
fn the_doctor_says_what_would_be_used() {
    let project = Project::new();
    let text = project.run(&["doctor"]).code(0).stdout;
    for line in [
        "specbook",
        "processor",
        "memory",
        "cuda",
        "store",
        "would use    cpu: engine cpu-fused on ",
    ] {
        assert!(
            text.lines().any(|found| found.starts_with(line)),
            "{line} in {text}"
        );
    }
    let json = project.run(&["doctor", "--format", "json"]).code(0).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], 1);
    assert_eq!(json["would_use"]["engine"], "cpu-fused");
    assert_eq!(json["would_use"]["dtypes"]["f32"], true);
    assert!(json["processor"]["cores"].as_u64().unwrap() >= 1);
    let unknown = project.run(&["doctor", "--device", "tpu"]).code(2);
    assert!(
        unknown
            .stderr
            .contains("expected `cpu`, `cpu-reference`, `cuda` or `cuda:N`"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn the_acceptance_rehearses_on_the_processor() {
    let project = Project::new();
    let short = "cases.25x100.train.epochs=1";
    let shorter = "data.tokenizer.train_bpe.vocab_size=300";
    let ran = project
        .run(&[
            "gpu-acceptance",
            "--device",
            "cpu",
            "--shape",
            "none",
            "--curve-set",
            short,
            "--curve-set",
            shorter,
            "--curve-set",
            "cases.2500x1.data.train=20",
            "--curve-set",
            "cases.250x10.train.epochs=1",
            "--out",
            "found/acceptance.json",
        ])
        .code(0);
    for line in [
        "parity  passed",
        "curves  passed",
        "speed   skipped  no shape was asked for",
        "paper   skipped  no text was supplied",
    ] {
        assert!(
            ran.stdout.lines().any(|found| found.starts_with(line)),
            "{line} in {}",
            ran.stdout
        );
    }
    assert!(
        ran.stdout
            .contains("0 failed, 2 skipped; a rehearsal on cpu"),
        "{}",
        ran.stdout
    );
    let json = std::fs::read(project.path().join("found/acceptance.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["is_rehearsal"], true);
    assert_eq!(json["parts"].as_array().unwrap().len(), 5);
}
