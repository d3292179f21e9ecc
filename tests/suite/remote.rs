//! One cache for several stores, over a local web server. `scripts/s3-test.sh` tests with a real S3 server.

use crate::project::{Project, TINY};
use crate::server::{Server, Trick};

#[test]
fn what_one_trains_all_have() {
    let server = Server::start();
    let url = format!("{}/lab", server.url);
    let (mine, theirs) = (Project::new(), Project::new());
    for project in [&mine, &theirs] {
        project.write("specs/tiny.yaml", TINY);
    }
    mine.run(&["run", "specs/tiny.yaml"]).success();
    let pushed = mine
        .run(&["store", "push", &url, "specs/tiny.yaml", "--format", "json"])
        .success()
        .json();
    assert_eq!(
        (&pushed["runs"], &pushed["evaluations"]),
        (&2.into(), &2.into())
    );
    let again = mine
        .run(&["store", "push", &url, "--format", "json"])
        .success()
        .json();
    assert_eq!(
        (&again["runs"], &again["there"], &again["bytes"]),
        (&0.into(), &2.into(), &0.into())
    );
    let ran = theirs
        .run(&["run", "specs/tiny.yaml", "--remote", &url])
        .success();
    assert!(
        ran.stderr.contains("2 runs and 2 evaluations pulled"),
        "{}",
        ran.stderr
    );
    assert!(ran.stderr.contains("0 trained, 2 cached"), "{}", ran.stderr);
    assert_eq!(
        mine.read("reports/tiny/report.md"),
        theirs.read("reports/tiny/report.md")
    );
    // The tokenizer was pulled too.
    theirs
        .run(&[
            "sample",
            "tiny/dim=16",
            "--prompt",
            "Once",
            "--max-new-tokens",
            "2",
        ])
        .success();
    theirs.run(&["store", "verify"]).success();
}

#[test]
fn a_run_gives_what_is_new_and_who_may_only_read_keeps_it() {
    let server = Server::start();
    let url = format!("{}/lab", server.url);
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--no-report", "--remote", &url])
        .success();
    assert!(
        ran.stderr.contains("2 are not there") && ran.stderr.contains("2 runs pushed"),
        "{}",
        ran.stderr
    );
    assert_eq!(
        server
            .files()
            .keys()
            .filter(|name| name.ends_with("record.json"))
            .count(),
        2
    );
    server.decide(|method, _| match method {
        "PUT" => Trick::Status(405, String::new()),
        _ => Trick::None,
    });
    project.write("specs/tiny.yaml", TINY.replace("[16, 32]", "[16, 32, 48]"));
    let ran = project
        .run(&["run", "specs/tiny.yaml", "--no-report", "--remote", &url])
        .success();
    assert!(
        ran.stderr.contains("1 trained") && ran.stderr.contains("nothing pushed"),
        "{}",
        ran.stderr
    );
    let refused = project.run(&["store", "push", &url]).code(4);
    assert!(
        refused.stderr.contains("405") && refused.stderr.contains("credentials"),
        "{}",
        refused.stderr
    );
    project
        .run(&["run", "specs/tiny.yaml", "--remote", "ftp://host"])
        .code(2);
    project.write("specs/tiny.yaml", TINY.replace("[16, 32]", "[64]"));
    let nobody = project
        .run(&["store", "pull", "http://127.0.0.1:9/x", "specs/tiny.yaml"])
        .code(4);
    assert!(
        nobody.stderr.contains("http://127.0.0.1:9/x"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn a_folder_and_a_damaged_blob() {
    let (mine, theirs) = (Project::new(), Project::new());
    for project in [&mine, &theirs] {
        project.write("specs/tiny.yaml", TINY);
    }
    let url = format!("file://{}", mine.path().join("cache").display());
    mine.run(&["run", "specs/tiny.yaml", "--no-report", "--remote", &url])
        .success();
    // A bit of a blob used by only one run.
    let id = mine
        .run(&["show", "tiny/dim=16", "--format", "json"])
        .success()
        .json();
    let sha = id["files"]["model.safetensors"]["sha256"]
        .as_str()
        .unwrap()
        .to_owned();
    let path = mine.path().join(format!("cache/blobs/{}/{sha}", &sha[..2]));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 4;
    std::fs::write(&path, bytes).unwrap();
    let pulled = theirs
        .run(&["store", "pull", &url, "specs/tiny.yaml"])
        .code(4);
    assert!(
        pulled
            .stderr
            .contains("run `dim=16`: `model.safetensors` is damaged"),
        "{}",
        pulled.stderr
    );
    assert!(
        pulled.stdout.contains("1 runs and 1 evaluations pulled"),
        "{}",
        pulled.stdout
    );
    theirs.run(&["store", "verify"]).success();
}

/// `status` and `report` work with the runs and the plan but without the text.
#[test]
fn status_and_report_without_the_text() {
    let text = TINY.replace(
        "corpus: {stories: {version: 1}}",
        "corpus: {jsonl: {path: ../stories.jsonl}}",
    );
    let split = text.replace("train: 20\n    validation: 4", "split: 0.8");
    let split = split.replace("    perplexity: {documents: 4}\n", "");
    let split = split.replace("[val_loss, perplexity]", "[val_loss]");
    for text in [text, split] {
        let (mine, theirs) = (Project::new(), Project::new());
        for project in [&mine, &theirs] {
            project.write("specs/tiny.yaml", &text);
        }
        let line = |n: usize| format!("{{\"text\": \"Once upon a time there were {n} hens.\"}}\n");
        mine.write("stories.jsonl", (0..40).map(line).collect::<String>());
        let url = format!("file://{}", mine.path().join("cache").display());
        mine.run(&["run", "specs/tiny.yaml", "--remote", &url])
            .success();
        let whole = mine.read("reports/tiny/report.md");
        std::fs::remove_file(mine.path().join("stories.jsonl")).unwrap();
        theirs.run(&["status", "specs/tiny.yaml"]).code(4);
        theirs
            .run(&["store", "pull", &url, "specs/tiny.yaml"])
            .success();
        for project in [&mine, &theirs] {
            let status = project.run(&["status", "specs/tiny.yaml"]).success();
            assert!(status.stdout.contains("2 of 2 cached"), "{}", status.stdout);
            assert!(
                status
                    .stderr
                    .contains("its runs are those of the plan that is in the store"),
                "{}",
                status.stderr
            );
            project.run(&["report", "specs/tiny.yaml"]).success();
            assert_eq!(project.read("reports/tiny/report.md"), whole);
            project.run(&["run", "specs/tiny.yaml"]).code(4);
        }
        // Another text of the spec is another plan.
        theirs.write("specs/tiny.yaml", text.replace("dim: 16", "dim: 24"));
        theirs.run(&["status", "specs/tiny.yaml"]).code(4);
    }
}
