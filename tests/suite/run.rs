//! From spec to report with the real engine: the commands on one tiny experiment.

use crate::project::{Project, TINY};

pub(crate) fn trained() -> Project {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    project
}

#[test]
fn a_second_run_trains_nothing_and_reports_are_reproducible() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let first = project.run(&["run", "specs/tiny.yaml"]).success();
    assert!(
        first
            .stderr
            .contains("tiny: 2 trained, 0 cached, 2 evaluated"),
        "{}",
        first.stderr
    );
    let html = project.read("reports/tiny/index.html");
    let second = project.run(&["run", "specs/tiny.yaml"]).success();
    assert!(
        second.stderr.contains("tiny: 0 trained, 2 cached"),
        "{}",
        second.stderr
    );
    assert_eq!(project.read("reports/tiny/index.html"), html);
    project.run(&["report", "--check", "specs"]).success();

    // As on another machine: another folder, other threads, from scratch, the same bytes.
    let other = Project::new();
    other.write("specs/tiny.yaml", TINY);
    other
        .run(&["run", "specs/tiny.yaml", "-q", "--threads", "3", "-j", "2"])
        .success();
    for file in [
        "index.html",
        "report.md",
        "report.ipynb",
        "data/records.jsonl",
    ] {
        let name = format!("reports/tiny/{file}");
        assert!(
            project.read(&name) == other.read(&name),
            "{file} differs between two machines"
        );
    }
}

#[test]
fn a_changed_digit_of_a_committed_report_is_found() {
    let project = trained();
    let text = project.read("reports/tiny/report.md");
    let changed = text.replacen("nats", "bits", 1);
    assert_ne!(text, changed);
    project.write("reports/tiny/report.md", changed);
    let checked = project
        .run(&["report", "--check", "specs/tiny.yaml"])
        .code(8);
    assert!(checked.stderr.contains("report.md"), "{}", checked.stderr);
    let check = ["report", "--check", "specs/tiny.yaml", "--format", "json"];
    let told = project.run(&check).code(8).json();
    assert_eq!(told[0]["same"], false);
    let difference = &told[0]["differences"][0];
    assert_eq!(difference["kind"], "changed");
    assert_eq!(difference["path"], "report.md");
    project.write("reports/tiny/report.md", text);
    let told = project.run(&check).success().json();
    let mut expected = serde_json::json!([{
        "format": 1, "spec": "tiny", "profile": "desk", "same": true, "differences": [],
    }]);
    expected[0]["folder"] = told[0]["folder"].clone();
    assert_eq!(told, expected);
}

#[test]
fn a_cell_that_fails_over_stored_runs_is_told_with_its_file() {
    let project = trained();
    let text = TINY.replace("run('dim=32').val_loss", "run('dim=32').val_los");
    project.write("specs/tiny.yaml", text);
    for (command, place) in [
        ("run", "--> specs/tiny.yaml:27:46"),
        ("report", "error: `specs/tiny.yaml`: line 27: "),
    ] {
        let ran = project.run(&[command, "specs/tiny.yaml"]).code(2);
        assert!(ran.stderr.contains(place), "{}", ran.stderr);
    }
}

#[test]
fn two_seeds_of_a_setting_differ() {
    let project = Project::new();
    let head = TINY.split("claims:").next().unwrap();
    let text = head.to_owned() + "seeds: [0, 1]\n";
    project.write("specs/tiny.yaml", text);
    project.run(&["run", "specs/tiny.yaml"]).success();
    let names = ["tiny/dim=16,seed=0", "tiny/dim=16,seed=1"];
    let diff = project.run(&["diff", names[0], names[1]]).success();
    for part in ["train.seed 0 → 1", "weights: differ"] {
        assert!(diff.stdout.contains(part), "{}", diff.stdout);
    }
    // Two settings are paired by seed.
    let diff = project
        .run(&["diff", "tiny/dim=16", "tiny/dim=32"])
        .success();
    let pairs = diff.stdout.matches("means over 2 seeds").count();
    assert_eq!(pairs, 2, "{}", diff.stdout);
    let unknown = project.run(&["diff", "tiny/dim=15", "tiny/dim=32"]).code(4);
    let near = "hint: the nearest names are `tiny/dim=16,seed=0`";
    assert!(unknown.stderr.contains(near), "{}", unknown.stderr);
    // A run finished without a checkpoint cannot be extended later.
    let kept = project.run(&["run", "specs/tiny.yaml", "--keep-checkpoints"]);
    let note = "4 finished runs kept no checkpoint and cannot be extended";
    assert!(kept.success().stderr.contains(note));
    let option = project
        .run(&["run", "specs/tiny.yaml", "--lr", "3"])
        .code(2);
    let hint = "`train.optimizer.adamw.learning_rate` is a setting: `--set train.optimizer.adamw.learning_rate=VALUE`";
    assert!(option.stderr.contains(hint), "{}", option.stderr);
}

#[test]
fn plan_and_status_follow_the_store() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let plan = project
        .run(&["plan", "specs/tiny.yaml", "--format", "json"])
        .success()
        .json();
    assert_eq!(plan[0]["format"], 1);
    assert_eq!(plan[0]["spec"], "tiny");
    assert_eq!(plan[0]["profile"], "desk");
    let run = &plan[0]["runs"][0];
    assert_eq!(run["status"], "missing");
    assert_eq!(run["axes"]["dim"], 16);
    assert_eq!(run["reason"], "the store has no finished run");
    assert_eq!(run["estimate"]["steps"], 5);
    assert!(run["estimate"]["params"].as_u64().unwrap() > 0);
    assert!(run["estimate"]["seconds"].is_null());
    project.run(&["status", "specs", "--exit-code"]).code(5);
    assert!(
        !project.path().join(".specbook").exists(),
        "looking must not write"
    );

    let text = || project.run(&["plan", "specs/tiny.yaml"]).success().stdout;
    let sign = "~ a guess from the first documents";
    assert!(text().contains(sign), "{}", text());

    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    project.run(&["status", "specs", "--exit-code"]).success();
    let status = || project.run(&["status", "specs"]).success().stdout;
    assert!(
        status().contains("2 of 2 cached; report up to date"),
        "{}",
        status()
    );
    project.write(
        "specs/tiny.yaml",
        TINY.replace("title: ", "title: Another "),
    );
    assert!(status().contains("report out of date"), "{}", status());
    project.run(&["status", "specs", "--exit-code"]).code(5);
    project.write("specs/tiny.yaml", TINY);
    assert!(!text().contains('~'), "{}", text());
    let plan = project
        .run(&["plan", "specs/tiny.yaml", "--format", "json"])
        .success()
        .json();
    assert_eq!(plan[0]["runs"][1]["status"], "cached");
    assert!(plan[0]["runs"][1]["reason"].is_null());
    assert!(plan[0]["runs"][1]["estimate"]["seconds"].as_f64().unwrap() > 0.0);
}

#[test]
fn explain_names_the_setting_that_changed() {
    let project = trained();
    let explained = project
        .run(&[
            "explain",
            "specs/tiny.yaml",
            "--set",
            "train.optimizer.adamw.learning_rate=3e-4",
        ])
        .success();
    let expected = "train.optimizer.adamw.learning_rate 0.01 → 0.0003; affects 2 of 2 runs";
    assert!(explained.stdout.contains(expected), "{}", explained.stdout);
    let longer = ["explain", "specs/tiny.yaml", "--set", "train.epochs=2"];
    let hint = "it is the first part of this run: had it been made with `run --keep-checkpoints`";
    let explained = project.run(&longer).success().stdout;
    assert!(explained.contains(hint), "{explained}");
    let cached = project.run(&["explain", "specs/tiny.yaml"]).success();
    assert_eq!(cached.stdout, "tiny: all 2 runs are cached");
}

#[test]
fn prose_and_prompts_never_retrain() {
    let project = trained();
    let edited = TINY
        .replace("title: Tiny", "title: Edited")
        .replace("[\"Once\"]", "[\"Twice\"]");
    assert_ne!(edited, TINY);
    project.write("specs/tiny.yaml", edited);
    let ran = project.run(&["run", "specs/tiny.yaml"]).success();
    assert!(
        ran.stderr.contains("0 trained, 2 cached, 2 evaluated"),
        "{}",
        ran.stderr
    );
}

#[test]
fn stored_runs_are_listed_shown_compared_sampled_and_scored() {
    let project = trained();
    let list = project
        .run(&["ls", "--format", "json", "--sort", "val_loss"])
        .success()
        .json();
    let runs = list["runs"].as_array().unwrap();
    assert_eq!((&list["format"], runs.len()), (&serde_json::json!(1), 2));
    assert!(runs[0]["metrics"]["val_loss"].as_f64() <= runs[1]["metrics"]["val_loss"].as_f64());
    let csv = project
        .run(&["ls", "--format", "csv", "--columns", "name,model.dim"])
        .success();
    insta::assert_snapshot!(csv.stdout, @r"
    name,model.dim
    dim=16,16
    dim=32,32
    ");
    let wrong = project.run(&["ls", "--columns", "val_los"]).code(2);
    assert!(
        wrong.stderr.contains("did you mean `val_loss`?"),
        "{}",
        wrong.stderr
    );

    let id = runs[0]["id"].as_str().unwrap();
    let shown = project
        .run(&["show", &id[..10], "--format", "json"])
        .success()
        .json();
    for field in [
        "id",
        "name",
        "spec",
        "status",
        "key",
        "numerics",
        "counts",
        "metrics",
        "digests",
        "timing",
        "provenance",
    ] {
        assert!(!shown[field].is_null(), "{field}");
    }
    let plot = project
        .run(&["show", "tiny/dim=16", "--plot", "val/loss"])
        .success();
    assert!(plot.stdout.contains("val/loss by step"), "{}", plot.stdout);

    let diff = project
        .run(&["diff", "tiny/dim=16", "tiny/dim=32"])
        .success();
    assert!(diff.stdout.contains("model.dim 16 → 32"), "{}", diff.stdout);
    let refused = project
        .run(&["sample", "tiny/dim=32", "--prompt", "One", "--top-k", "0"])
        .code(2);
    insta::assert_snapshot!(refused.stderr, @"error: `--top-k` is a whole number from 1");

    let sample = |seed: &str| {
        project
            .run(&[
                "sample",
                "tiny/dim=32",
                "--prompt",
                "One day",
                "--max-new-tokens",
                "8",
                "--seed",
                seed,
            ])
            .success()
            .stdout
    };
    assert!(sample("1").starts_with("One day"));
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));

    project.write("text.txt", "A cat sat.\n<|endoftext|>\nA dog ran.\n");
    let scored = project
        .run(&[
            "eval",
            "tiny/dim=32",
            "--text",
            "text.txt",
            "--format",
            "json",
        ])
        .success()
        .json();
    assert_eq!(scored["documents"].as_array().unwrap().len(), 2);
    assert!(scored["metrics"]["perplexity"].as_f64().unwrap() > 1.0);
    project.write("empty.txt", "");
    let empty = project
        .run(&["eval", "tiny/dim=32", "--text", "empty.txt"])
        .code(4);
    insta::assert_snapshot!(empty.stderr, @"
    error: `empty.txt` holds no document to score

    hint: name a file with text
    ");
    let stored = project
        .run(&["eval", "tiny/dim=32", "--format", "json"])
        .success()
        .json();
    assert!(stored["metrics"]["perplexity"].as_f64().unwrap() > 1.0);
}

#[test]
fn a_failed_claim_is_an_exit_code_only_on_request() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.replace("expect: {equals: 5}", "expect: {equals: 6}"),
    );
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    let strict = project
        .run(&[
            "run",
            "specs/tiny.yaml",
            "-q",
            "--strict-claims",
            "--format",
            "json",
        ])
        .code(6);
    assert_eq!(strict.json()[0]["claims"][0]["verdict"], "fails");
    let named = &strict.stderr;
    assert!(named.contains("1 claim fails:\n  "), "{named}");
    assert!(named.contains("expected equal to 6"), "{named}");
}

#[test]
fn a_diverged_run_is_a_warning_and_an_exit_code() {
    let project = Project::new();
    let head = TINY.split("claims:").next().unwrap();
    let text = head.replace("learning_rate: ", "learning_rate: 9");
    assert_ne!(text, head);
    project.write("specs/tiny.yaml", text);
    let told = project
        .run(&["run", "specs/tiny.yaml", "-q"])
        .code(3)
        .stderr;
    assert!(
        told.contains("` diverged: its training loss rose from "),
        "{told}"
    );
}

#[test]
fn filters_name_cases_and_values_before_pieces_of_names() {
    let project = Project::new();
    let text = TINY.replace(
        "vary:\n  model.dim: [16, 32]",
        "cases:\n  ce: {}\n  published-ce: {model.dim: 32}\nseeds: [0, 1]",
    );
    let text = &text[..text.find("claims:").unwrap_or(text.len())];
    project.write("specs/tiny.yaml", text);
    let names = |filter: &str| {
        let ran = project
            .run(&[
                "plan",
                "specs/tiny.yaml",
                "--format",
                "json",
                "--filter",
                filter,
            ])
            .success();
        let plans: serde_json::Value = serde_json::from_str(&ran.stdout).expect("plan is JSON");
        let runs = plans[0]["runs"].as_array().expect("a plan has runs");
        runs.iter()
            .map(|run| run["name"].as_str().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names("ce,seed=0"), "ce,seed=0");
    assert_eq!(names("ce"), "ce,seed=0 ce,seed=1");
    assert_eq!(names("seed=1"), "ce,seed=1 published-ce,seed=1");
    assert_eq!(names("publ"), "published-ce,seed=0 published-ce,seed=1");
}

#[test]
fn a_report_does_not_depend_on_what_is_still_in_the_cache() {
    let project = Project::new();
    let spec = TINY.replace(
        "    train: 20\n",
        "    train: 20\n    sequence: pad_impute_concat\n    seq_len: 8\n",
    );
    project.write("specs/tiny.yaml", spec);
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    let first = project.read("reports/tiny/index.html");
    project.run(&["report", "specs/tiny.yaml", "-q"]).success();
    assert_eq!(first, project.read("reports/tiny/index.html"));
    std::fs::remove_dir_all(project.path().join(".specbook/tokens-v1")).unwrap();
    project.run(&["report", "specs/tiny.yaml", "-q"]).success();
    assert_eq!(first, project.read("reports/tiny/index.html"));
}

#[test]
fn prose_of_a_spec_carries_no_html_into_markdown_and_notebook() {
    let project = Project::new();
    let text = TINY.replace(
        "title: Tiny\n",
        "title: Tiny <b>\nsummary: \"Seen <img src=x onerror=alert(1)>\"\n",
    );
    let text = text.replace(
        "cells:\n",
        "cells:\n  - text: |\n      <script>alert(1)</script>\n\n      `<s>` stays, [this](javascript:alert(2)) does not.\n",
    );
    project.write("specs/tiny.yaml", text);
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    for file in ["report.md", "report.ipynb", "index.html"] {
        let text = project.read(&format!("reports/tiny/{file}"));
        for part in [
            "<script>alert",
            "<img src=x",
            " [this](javascript",
            "href=\"javascript",
            "Tiny <b>",
        ] {
            assert!(
                !text.contains(part) || file == "report.ipynb" && part == "Tiny <b>",
                "{file}: {part}"
            );
        }
    }
    assert!(
        project
            .read("reports/tiny/report.md")
            .contains("`<s>` stays")
    );
}

#[test]
fn a_budget_of_tokens_is_what_is_trained() {
    let project = Project::new();
    let spec = TINY.replace("batch_size: 4\n", "batch_size: 4\n    max_tokens: 333\n");
    assert!(spec.contains("max_tokens"), "{spec}");
    project.write("specs/tiny.yaml", spec);
    project
        .run(&["run", "specs/tiny.yaml", "--no-report"])
        .success();
    let listed = project.run(&["ls", "--format", "json"]).success().json();
    let runs = listed["runs"].as_array().unwrap();
    let trained: Vec<_> = runs.iter().map(|run| &run["counts"]["tokens"]).collect();
    assert_eq!(trained, [333, 333], "{listed}");
}

#[test]
fn what_a_share_leaves_is_scored_after_training() {
    let project = Project::new();
    let verses: Vec<String> = (0..40)
        .map(|n| format!("Verse {n} of a long song."))
        .collect();
    project.write("specs/song.txt", verses.join("\n"));
    let spec = TINY
        .replace(
            "{stories: {version: 1}}",
            "{text: {path: song.txt, separator: \"\\n\"}}",
        )
        .replace("train: 20\n    validation: 4", "split: 0.5");
    assert!(spec.contains("split: 0.5"), "{spec}");
    project.write("specs/tiny.yaml", &spec);
    project.run(&["run", "specs/tiny.yaml"]).success();
    let runs = project
        .run(&["ls", "--columns", "perplexity", "--format", "csv"])
        .success();
    assert!(
        runs.stdout
            .lines()
            .skip(1)
            .all(|value| value.parse::<f64>().is_ok()),
        "{}",
        runs.stdout
    );
    // More documents than are left.
    project.write(
        "specs/tiny.yaml",
        spec.replace("{documents: 4}", "{documents: 21}"),
    );
    let told = project.run(&["run", "specs/tiny.yaml"]).code(3).stderr;
    assert!(told.contains("lower `eval.perplexity.documents`"), "{told}");
}
