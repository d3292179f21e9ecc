//! The shipped spec on real text, if available.

use crate::project::{Project, real_data};

#[test]
fn tinystories_with_its_own_tokenizer() {
    let Some(data) = real_data() else { return };
    let project = Project::with_shipped("epoch-frenzy.yaml");
    let text = format!(
        "data.corpus.text.path={}",
        data.join("tinystories-v2-gpt4-head/TinyStoriesV2-GPT4-head.txt")
            .display()
    );
    let tokenizer = format!(
        "data.tokenizer.file={}",
        data.join("tinystories-bpe-4096/tokenizer.json").display()
    );
    let ran = project
        .run(&[
            "run",
            "specs/epoch-frenzy.yaml",
            "-p",
            "smoke",
            "--filter",
            "25x100",
            "--set",
            &text,
            "--set",
            &tokenizer,
        ])
        .success();
    assert!(ran.stderr.contains("1 trained"), "{}", ran.stderr);
}

#[test]
fn the_pile_with_the_llama_tokenizer_starts_at_the_loss_of_the_formula() {
    let Some(data) = real_data() else { return };
    let project = Project::with_shipped("epoch-frenzy.yaml");
    let text = format!(
        "data.corpus.jsonl.path={}",
        data.join("pile-test-a/pile-test-a.jsonl.zst").display()
    );
    let tokenizer = format!(
        "data.tokenizer.file={}",
        data.join("llama-tokenizer/tokenizer.json").display()
    );
    let arguments = [
        "run",
        "specs/epoch-frenzy.yaml",
        "-p",
        "smoke",
        "--filter",
        "25x100",
        "--set",
        &text,
        "--set",
        &tokenizer,
    ];
    project
        .run(
            &[
                &arguments[..],
                &["--set", "model.dim=64", "--set", "train.max_batches=1"],
            ]
            .concat(),
        )
        .success();
    let runs = project.run(&["ls", "--format", "json"]).success().json();
    let first = runs["runs"][0]["metrics"]["train_loss_first"]
        .as_f64()
        .unwrap();
    // docs/studies.md#a0: ln C plus half the variance of the logits.
    let expected = 32_000f64.ln() + 64.0 / (32_000.0 + 64.0);
    assert!(
        (first - expected).abs() < 0.03,
        "{first} against {expected}"
    );
}
