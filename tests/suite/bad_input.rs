//! Bad input gives one clear message, the right exit code, and no half-written files.

use crate::project::{Project, TINY, real_data};

/// The tiny spec with its own corpus.
fn with_corpus(project: &Project, corpus: &str) {
    let text = TINY.replace("{stories: {version: 1}}", corpus);
    assert_ne!(text, TINY);
    project.write("specs/tiny.yaml", text);
}

fn line(number: usize) -> String {
    format!(
        "{{\"text\": \"Document {number} tells of a small dog that ran to the park and back.\"}}\n"
    )
}

#[test]
fn a_missing_spec() {
    let ran = Project::new().run(&["run", "specs/none.yaml"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"
    error: cannot read `specs/none.yaml`: No such file or directory (os error 2)

    hint: `specbook init` writes a spec to start from
    ");
}

#[test]
fn two_specs_of_one_name() {
    let project = Project::new();
    project.write("specs/a.yaml", TINY);
    project.write("specs/b.yaml", TINY.replace("[16, 32]", "[16]"));
    let commands: [&[&str]; 4] = [&["run"], &["check"], &["report"], &["report", "--check"]];
    for command in commands {
        let ran = project.run(&[command, &["specs"]].concat()).code(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.stderr, @"
            error: `specs/a.yaml` and `specs/b.yaml` have the same name, `tiny`; the name is that of the report and of the plan, so each spec needs its own

            hint: change `name` in one of them, or give them one at a time
            ");
        }
    }
    assert!(!project.path().join("reports").exists());
    // The same file given twice is one spec.
    let twice = ["check", "specs/a.yaml", "./specs/a.yaml"];
    project.run(&twice).success();
}

#[test]
fn a_spec_with_problems() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.replace("n_heads: 2", "n_head: 3")
            .replace("batch_size: 4", "batch_sice: 4"),
    );
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(2);
    insta::assert_snapshot!(ran.stderr, @"
    error: invalid spec `specs/tiny.yaml`

    `model.dim` 16 is not a multiple of `model.n_heads` 3
      --> specs/tiny.yaml:11:41
    11 |   model: {dim: 16, n_layers: 1, n_head: 3, max_seq_len: 24, multiple_of: 16}
       |                                         ^
       = allowed: for 16: 1, 2, 4, 8 heads
       = note: in run `dim=16`

    `model.dim` 32 is not a multiple of `model.n_heads` 3
      --> specs/tiny.yaml:11:41
    11 |   model: {dim: 16, n_layers: 1, n_head: 3, max_seq_len: 24, multiple_of: 16}
       |                                         ^
       = allowed: for 32: 1, 2, 4, 8, 16 heads
       = note: in run `dim=32`

    unknown key `batch_sice` in `train`
      --> specs/tiny.yaml:13:5
    13 |     batch_sice: 4
       |     ^^^^^^^^^^
       = allowed: `batch_size`, `grad_accum_steps`, `epochs`, `max_steps`, `max_tokens`, `max_batches`, `shuffle`, `last_batch`, `loss`, `reduction`, `ignore_index`, `optimizer`, `schedule`, `grad_clip`, `dtype`, `validate`, `keep`, `seed`, `init_from`
       = hint: did you mean `batch_size`?
    ");
}

#[test]
fn a_missing_corpus() {
    let project = Project::new();
    with_corpus(&project, "{jsonl: {path: none.jsonl}}");
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"error: run `dim=16` of `tiny`: cannot read `specs/none.jsonl`: No such file or directory (os error 2)");
    assert!(!project.path().join("reports").exists());
}

#[test]
fn an_unreadable_line() {
    let project = Project::new();
    with_corpus(&project, "{jsonl: {path: lines.jsonl}}");
    let mut text: String = (0..6).map(line).collect();
    text.push_str("{\"text\": \n");
    text.extend((6..40).map(line));
    project.write("specs/lines.jsonl", text);
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"error: run `dim=16` of `tiny`: `specs/lines.jsonl`, line 7: expected a JSON object with the text in `text`, found EOF while parsing a value (column 9); 6 documents read before it");
}

#[test]
fn too_few_documents() {
    let project = Project::new();
    with_corpus(&project, "{jsonl: {path: lines.jsonl}}");
    project.write("specs/lines.jsonl", (0..10).map(line).collect::<String>());
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"error: run `dim=16` of `tiny`: `lines.jsonl` has 10 documents, but `data.train` asks for documents 5 to 24");
}

#[test]
fn a_truncated_zstd_file() {
    let Some(data) = real_data() else { return };
    let whole = std::fs::read(data.join("pile-test-a/pile-test-a.jsonl.zst")).unwrap();
    let project = Project::new();
    with_corpus(&project, "{jsonl: {path: cut.jsonl.zst}}");
    project.write("specs/cut.jsonl.zst", &whole[..4000]);
    let ran = project.run(&["plan", "specs/tiny.yaml"]).code(4);
    assert!(
        ran.stderr.contains("cut.jsonl.zst") && ran.stderr.contains("ends"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_tokenizer_without_an_end_of_text() {
    let project = Project::new();
    let tokenizer = r#"{"version": "1.0", "added_tokens": [], "model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": []}}"#;
    project.write("specs/tokenizer.json", tokenizer);
    project.write(
        "specs/tiny.yaml",
        TINY.replace(
            "{train_bpe: {vocab_size: 320, documents: 20}}",
            "{file: tokenizer.json}",
        ),
    );
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    insta::assert_snapshot!(ran.stderr, @r#"error: run `dim=16` of `tiny`: tokenizer `specs/tokenizer.json`: no token is known to begin or end a text: it has no special tokens; name them in the spec, as in `tokenizer: {file: {path: …, bos: "[START]", eos: "[END]"}}`"#);
}

#[test]
fn ids_above_the_vocabulary() {
    let Some(data) = real_data() else { return };
    let project = Project::new();
    std::fs::copy(
        data.join("tinystories-bpe-4096/tokenizer.json"),
        project.path().join("specs/tokenizer.json"),
    )
    .unwrap();
    let ids: Vec<u8> = [5u16, 6, 0, 7, 60_000, 0]
        .iter()
        .flat_map(|id| id.to_le_bytes())
        .collect();
    project.write("specs/train.bin", ids);
    with_corpus(&project, "{bin: {path: train.bin}}");
    let text = project.read("specs/tiny.yaml").replace(
        "{train_bpe: {vocab_size: 320, documents: 20}}",
        "{file: tokenizer.json}",
    );
    project.write("specs/tiny.yaml", text);
    let ran = project.run(&["plan", "specs/tiny.yaml"]).code(4);
    assert!(
        ran.stderr.contains("60000") && ran.stderr.contains("train.bin"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_model_that_does_not_fit_in_memory() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.replace("model.dim: [16, 32]", "model.dim: [400000]")
            .replace("run('dim=16')", "runs()[0]"),
    );
    let text = project
        .read("specs/tiny.yaml")
        .replace("run('dim=32')", "runs()[0]");
    project.write("specs/tiny.yaml", text);
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(3);
    assert!(
        ran.stderr.contains("run `dim=400000` needs about") && ran.stderr.contains("TiB of memory"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_diverged_run_is_recorded_and_the_others_go_on() {
    let project = Project::new();
    let text = TINY.replace(
        "vary:\n  model.dim: [16, 32]",
        "vary:\n  train.optimizer.adamw.learning_rate: [1e30, 1e-2]",
    );
    let text = text
        .replace("run('dim=16')", "runs()[0]")
        .replace("run('dim=32')", "runs()[1]")
        .replace("panels: dim", "panels: learning_rate")
        .replace("rows: dim", "rows: learning_rate");
    project.write("specs/tiny.yaml", text);
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--keep-going"])
        .code(3);
    assert!(
        ran.stderr.contains("diverged at step") && ran.stderr.contains("last good step"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr
            .contains("1 trained, 0 cached, 1 evaluated, 1 failed"),
        "{}",
        ran.stderr
    );
    let statuses = project
        .run(&["status", "specs/tiny.yaml", "--format", "json"])
        .success()
        .json();
    assert_eq!(statuses[0]["runs"][0]["status"], "failed");
    assert_eq!(statuses[0]["runs"][1]["status"], "cached");
    assert!(project.read("reports/tiny/report.md").contains("failed"));
    project
        .run(&["run", "specs/tiny.yaml", "--no-retry", "--keep-going"])
        .code(3);
}

#[test]
fn a_report_folder_that_cannot_be_written() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project.write("reports", "a file is in the way");
    let ran = project.run(&["run", "specs/tiny.yaml", "-q"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"
    error: the folder of reports `./reports` is not a folder

    hint: move it away, or name another folder with `--out`
    ");
    let status = project.run(&["status", "specs/tiny.yaml", "--exit-code"]);
    assert_eq!(status.code, 5, "it is refused before anything is trained");
}

#[test]
fn a_run_that_is_not_there() {
    let ran = Project::new().run(&["show", "none/run"]).code(4);
    insta::assert_snapshot!(ran.stderr, @"
    error: no run `none/run` in the store; `specbook ls` lists the runs

    hint: a run is an id, a unique prefix of one, or `spec/name`
    ");
}

#[test]
fn a_filter_that_matches_nothing() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--filter", "dim=64"])
        .code(2);
    insta::assert_snapshot!(ran.stderr, @"
    error: no run of `tiny` matches the filter

    hint: its axes are `dim` (16, 32)
    ");
}

#[test]
fn a_device_that_is_not_there() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--device", "cuda"])
        .code(2);
    insta::assert_snapshot!(ran.stderr, @"error: device `cuda:0` cannot be used: this build has no CUDA support; use `cpu`, or build with `scripts/build-cuda.sh` (see `docs/cuda.md`)");
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--device", "tpu"])
        .code(2);
    insta::assert_snapshot!(ran.stderr, @"
    error: invalid value 'tpu' for '--device <DEVICE>': device `tpu` cannot be used: expected `cpu`, `cpu-reference`, `cuda` or `cuda:N`

    For more information, try '--help'.
    ");
}

#[test]
fn bf16_is_trained_where_the_processor_can_and_refused_by_check_elsewhere() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let doctor = project.run(&["doctor", "--format", "json"]).success();
    let found = &doctor.json()["would_use"];
    let bf16 = ["specs/tiny.yaml", "--set", "train.dtype=bf16"];
    let check = project.run(&[&["check"], &bf16[..]].concat());
    if found["dtypes"]["bf16"] == true {
        check.success();
        project
            .run(&[&["run", "--no-report"], &bf16[..]].concat())
            .success();
        let shown = project.run(&["show", "tiny/dim=16", "--format", "json"]);
        let numerics = &shown.success().json()["numerics"];
        assert_eq!(numerics["dtype"], "bf16");
        let ways = ["x86_64+avx512bf16", "x86_64+avx512+amx", "aarch64+neonbf16"];
        assert!(ways.contains(&numerics["isa"].as_str().unwrap()));
        assert_eq!(numerics["isa"], found["dtype_isas"]["bf16"]);
    } else {
        let problem = check.code(2).stderr;
        assert!(
            problem.contains("bf16") && problem.contains("use `f32`"),
            "{problem}"
        );
    }
}

#[test]
fn a_problem_of_another_profile_is_found_by_check() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.to_owned() + "\nprofiles:\n  big: {model.n_heads: 3}\n",
    );
    let ran = project.run(&["check", "specs/tiny.yaml"]).code(2);
    assert!(
        ran.stderr
            .starts_with("error: invalid spec `specs/tiny.yaml` (profile big)"),
        "{}",
        ran.stderr
    );
    project
        .run(&["check", "specs/tiny.yaml", "--profile", "desk"])
        .success();
}

#[test]
fn a_metric_in_a_cell_that_does_not_exist_is_found_before_training() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.replace("run('dim=32').val_loss", "run('dim=32').val_los"),
    );
    let ran = project.run(&["check", "specs/tiny.yaml"]);
    assert_eq!(
        (ran.code, ran.stderr.contains("val_los")),
        (2, true),
        "{}",
        ran.stderr
    );
}

#[test]
fn more_generated_text_than_memory_could_hold() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let set = "data.train=2000000000";
    for command in ["check", "plan", "run"] {
        let ran = project
            .run(&[command, "specs/tiny.yaml", "--set", set])
            .code(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.stderr, @"
            error: invalid spec `specs/tiny.yaml`

            `data.train` takes 2000000000 documents of the embedded corpus `stories`
             --> --set
            1 | data.train=2000000000
              |            ^^^^^^^^^^
              = allowed: at most 4000000, about 4 GiB of text
              = hint: take fewer, or name a corpus of your own with `data.corpus`
            ");
        }
    }
}

#[test]
fn check_tells_every_cell_and_claim_with_a_mistake() {
    let project = Project::new();
    let text = TINY
        .replace("run('dim=16').steps", "run('dim=17').steps")
        .replace(
            "cells:\n",
            "cells:\n  - text: \"{{ 1 if 1 < 2 else meen([1]) }}\"\n",
        )
        .replace("run('dim=32').val_loss", "run('dim=32').val_los");
    project.write("specs/tiny.yaml", text);
    for command in ["check", "run"] {
        let ran = project.run(&[command, "specs/tiny.yaml"]).code(2);
        insta::allow_duplicates! {
            insta::assert_snapshot!(ran.stderr, @r#"
            error: invalid spec `specs/tiny.yaml`

            there is no run `dim=17`
              --> specs/tiny.yaml:24:19
            24 |     measure: run('dim=17').steps
               |                   ^^^^^^
               = allowed: `dim=16`, `dim=32`
               = note: in claim `T-1`
               = hint: did you mean `dim=16`?

            there is no function `meen`
              --> specs/tiny.yaml:27:31
            27 |   - text: "{{ 1 if 1 < 2 else meen([1]) }}"
               |                               ^^^^
               = allowed: `mean`, `min`, `difference` and others
               = hint: did you mean `mean`?

            there is no metric `val_los`
              --> specs/tiny.yaml:28:46
            28 |   - text: "Width 32 ends at {{ run('dim=32').val_los | round(2) }} nats."
               |                                              ^^^^^^^
               = allowed: `val_loss`, `val_loss_max`, `val_loss_min` and others
               = hint: did you mean `val_loss`?
            "#);
        }
    }
}

#[test]
fn widths_that_are_rounded_alike_are_told() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let checked = |multiple: &str| {
        let multiple = format!("model.multiple_of={multiple}");
        let arguments = ["check", "specs/tiny.yaml", "--set", &multiple];
        project.run(&arguments).success().stderr
    };
    let warning = "widths 16 and 32 have the same feed-forward width, 128";
    assert!(checked("128").contains(warning), "{}", checked("128"));
    assert_eq!(checked("16"), "");
}

#[test]
fn check_looks_at_the_data_that_is_there() {
    let project = Project::new();
    let corpus = "corpus: {text: {path: my.txt}}";
    let text = TINY.replace("corpus: {stories: {version: 1}}", corpus);
    assert_ne!(text, TINY);
    project.write("specs/tiny.yaml", text);
    project.run(&["check", "specs/tiny.yaml"]).success();
    project.write("specs/my.txt", "One.\n<|endoftext|>\nTwo.\n");
    let few = project.run(&["check", "specs/tiny.yaml"]).code(4);
    assert!(few.stderr.contains("2 documents"), "{}", few.stderr);
    assert!(!project.path().join(".specbook").exists());
}
