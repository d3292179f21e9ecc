//! Import and export of models, and `chat`, as used from the command line.

use crate::project::{Project, TINY, real_data};
use std::io::Write as _;
use std::process::Stdio;

fn trained() -> Project {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project
        .run(&["run", "specs/tiny.yaml", "--no-report"])
        .success();
    project
}

fn with_input(project: &Project, arguments: &[&str], input: &str) -> crate::project::Ran {
    let mut command = project.command(arguments);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    project.ran(child.wait_with_output().unwrap())
}

#[test]
fn a_run_goes_out_and_comes_back_and_begins_another() {
    let project = trained();
    let sample = |model: &str| {
        let ran = project
            .run(&["sample", model, "--format", "json", "--temperature", "0"])
            .success();
        ran.json()["samples"][0]["ids"].clone()
    };
    let exported = project
        .run(&["export", "tiny/dim=32", "out", "--to", "hf"])
        .success();
    insta::assert_snapshot!(exported.stdout, @"wrote config.json, model.safetensors, generation_config.json, tokenizer.json, tokenizer_config.json, README.md to `out`");
    assert!(project.read("out/README.md").contains("# tiny/dim=32"));
    let ours = sample("tiny/dim=32");
    assert_eq!(sample("out"), ours, "the folder as it is");
    let imported = project
        .run(&["import", "out", "--name", "back", "--format", "json"])
        .success()
        .json();
    assert_eq!(sample("back"), ours);
    let id = imported["id"].as_str().unwrap().to_owned();
    assert_eq!(sample(&id[..12]), ours);
    project
        .run(&["export", "tiny/dim=32", "out", "--to", "hf"])
        .success();
    let again = project
        .run(&["import", "out", "--format", "json"])
        .success()
        .json();
    assert_eq!(again["id"], imported["id"], "the same model is one entry");

    // A run that starts from it without any step is the model itself.
    let begins = format!("train.init_from={id}");
    let tokenizer = "data.tokenizer={file: ../out/tokenizer.json}";
    let set = [
        "run",
        "specs/tiny.yaml",
        "--no-report",
        "--filter",
        "dim=32",
        "--set",
        &begins,
        "--set",
        tokenizer,
    ];
    let evaluated = project
        .run(&[&set[..], &["--set", "train.max_steps=0"]].concat())
        .success();
    assert!(
        evaluated.stderr.contains("1 trained"),
        "{}",
        evaluated.stderr
    );
    let listed = || {
        project.run(&["ls", "--format", "json"]).success().json()["runs"]
            .as_array()
            .unwrap()
            .clone()
    };
    let of = |steps: u64| {
        let found = listed()
            .into_iter()
            .filter(|run| run["key"]["train"]["init_from"] == id.as_str());
        found
            .filter(|run| run["counts"]["steps"] == steps)
            .map(|run| run["id"].as_str().unwrap().to_owned())
            .next()
    };
    assert_eq!(sample(&of(0).unwrap()), ours);
    project
        .run(&[&set[..], &["--set", "train.max_steps=2"]].concat())
        .success();
    assert!(of(2).is_some());
    project.run(&["verify", &of(2).unwrap()]).success();

    // Another shape and a missing model are refused.
    let wider = project
        .run(&[
            "run",
            "specs/tiny.yaml",
            "--no-report",
            "--filter",
            "dim=16",
            "--set",
            &begins,
        ])
        .code(3);
    assert!(
        wider.stderr.contains("`dim` is 16, not 32"),
        "{}",
        wider.stderr
    );
    let nobody = format!("train.init_from={}", "ab".repeat(32));
    let missing = project
        .run(&[
            "run",
            "specs/tiny.yaml",
            "--no-report",
            "--filter",
            "dim=16",
            "--set",
            &nobody,
        ])
        .code(3);
    assert!(
        missing.stderr.contains("not in the store"),
        "{}",
        missing.stderr
    );
}

#[test]
fn a_card_tells_the_finding_of_the_report() {
    let project = Project::new();
    let finding = "title: Tiny\nfinding: \"Width 32 takes {{ run('dim=32').steps }} steps.\"";
    project.write("specs/tiny.yaml", TINY.replace("title: Tiny", finding));
    let card = || {
        project
            .run(&["export", "tiny/dim=32", "out", "--to", "hf"])
            .success();
        project.read("out/README.md")
    };
    project
        .run(&["run", "specs/tiny.yaml", "--no-report"])
        .success();
    assert!(!card().contains("Width 32"), "there is no report yet");
    project.run(&["report", "specs/tiny.yaml"]).success();
    let told = card();
    assert!(
        told.contains("## What was found\n\nWidth 32 takes 5 steps.\n"),
        "{told}"
    );
}

#[test]
fn what_is_not_ours_is_not_overwritten() {
    let project = trained();
    project.write("mine/notes.txt", "mine");
    let refused = project
        .run(&["export", "tiny/dim=32", "mine", "--to", "llama2c"])
        .code(2);
    insta::assert_snapshot!(refused.stderr, @"
    error: `mine` was not made by an export: nothing was written

    hint: name an empty folder, or one that does not exist
    ");
    let unknown = project
        .run(&["export", "tiny/dim=32", "out", "--to", "onnx"])
        .code(2);
    assert!(
        unknown.stderr.contains("there is no format `onnx`"),
        "{}",
        unknown.stderr
    );
}

#[test]
fn samples_take_prompts_from_a_file_and_give_several_each() {
    let project = trained();
    project.write("prompts.txt", "One\n\nTwo\n");
    let base = ["sample", "tiny/dim=16", "--max-new-tokens", "4", "-n", "2"];
    let json = project
        .run(&[&base[..], &["--prompts", "prompts.txt", "--format", "json"]].concat())
        .success()
        .json();
    let texts: Vec<String> = json["samples"]
        .as_array()
        .unwrap()
        .iter()
        .map(|sample| {
            format!(
                "{}{}",
                sample["prompt"].as_str().unwrap(),
                sample["continuation"].as_str().unwrap()
            )
        })
        // Terminal control sequences are not printed.
        .map(|text| {
            text.replace(
                |c: char| c.is_control() && c != '\n' && c != '\t',
                "\u{fffd}",
            )
        })
        .collect();
    assert_eq!(texts.len(), 4);
    assert!(texts[1].starts_with("One") && texts[2].starts_with("Two"));
    let streamed = with_input(
        &project,
        &[&base[..], &["--prompts", "-"]].concat(),
        "One\nTwo\n",
    )
    .success();
    assert_eq!(
        streamed.stdout.trim_end_matches('\n'),
        texts.join("\n\n"),
        "the same texts, as they came"
    );
}

#[test]
fn a_talk_by_a_pipe() {
    let project = trained();
    let talk = "/temperature 0\n/tokens 4\nOnce\n/both tiny/dim=16\nOnce\n/both\n/nothing\n/temperature -1\n/quit\nnever\n";
    let ran = with_input(&project, &["chat", "tiny/dim=32"], talk).success();
    let one = project
        .run(&[
            "sample",
            "tiny/dim=32",
            "--prompt",
            "Once",
            "--temperature",
            "0",
            "--max-new-tokens",
            "4",
        ])
        .success();
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert!(ran.stdout.starts_with(&one.stdout), "{}", ran.stdout);
    let header = lines.iter().position(|line| line.contains('│')).unwrap();
    assert!(lines[header].starts_with("tiny/dim=32") && lines[header].contains("tiny/dim=16"));
    assert!(lines[header + 2].starts_with("Once") && lines[header + 2].contains("│ Once"));
    assert!(
        ran.stderr.contains("there is no command `/nothing`"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("takes a number from 0, not `-1`"),
        "{}",
        ran.stderr
    );
    assert!(!ran.stdout.contains("never"));
}

// The text is the greedy output of its author's program.
#[test]
fn a_published_model_is_imported_and_says_what_its_author_says_it_does() {
    let Some(data) = real_data() else { return };
    let folder = data.join("stories260K");
    let project = Project::new();
    let (model, tokens) = (folder.join("stories260K.bin"), folder.join("tok512.model"));
    let imported = project
        .run(&[
            "import",
            model.to_str().unwrap(),
            "--tokenizer",
            tokens.to_str().unwrap(),
            "--format",
            "json",
        ])
        .success();
    assert_eq!(imported.json()["params"], 260_032);
    // The complete output of the author's `run stories260K.bin -z tok512.bin -t 0 -n 256`.
    let ran = project
        .run(&[
            "sample",
            "stories260K",
            "--prompt",
            "",
            "--temperature",
            "0",
            "--max-new-tokens",
            "256",
        ])
        .success();
    insta::assert_snapshot!(ran.stdout, @r#"
    Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high.
    Lily's mom said, "Lily, let's go to the park." Lily was sad and didn't know what to do. She said, "I want to play with your ball, but I can't find it."
    Lily was sad and didn't know what to do. She said, "I'm sorry, Lily. I didn't know what to do."
    Lily didn't want to help her mom, so she said, "I'm sorry, mom. I didn't know what to do." Her mom said, "Don't worry, Lily. We can help you.
    "#);
    // The tokenizer's other file is the same tokenizer, and is written back byte for byte.
    project
        .run(&["export", "stories260K", "out", "--to", "llama2c"])
        .success();
    let same = |ours: &str, theirs: &str| {
        let [ours, theirs] = [project.path().join(ours), folder.join(theirs)]
            .map(|path| std::fs::read(path).unwrap());
        ours == theirs
    };
    assert!(same("out/tokenizer.bin", "tok512.bin"));
    let [ours, theirs] =
        [project.path().join("out/model.bin"), model].map(|path| std::fs::read(path).unwrap());
    assert_eq!(ours.len(), theirs.len());
    let tables = ours.len() - 2 * 512 * 4 * 4;
    assert!(ours[..tables] == theirs[..tables], "all weights");
}

// Two stories of a data set, each with its end: sums of nats computed by transformers 5.24 from the exported
// model.
#[test]
fn a_published_model_has_the_loss_that_others_compute() {
    let Some(data) = real_data() else { return };
    let project = Project::new();
    let set = data.join("tinystories-v2-gpt4-head/TinyStoriesV2-GPT4-head.txt");
    let text = std::fs::read_to_string(set).unwrap();
    let stories: Vec<&str> = text.split("<|endoftext|>").take(20).collect();
    project.write("twenty.txt", stories.join("<|endoftext|>"));
    let model = data.join("stories260K/stories260K.bin");
    let tokens = data.join("stories260K/tok512.model");
    project
        .run(&[
            "import",
            model.to_str().unwrap(),
            "--tokenizer",
            tokens.to_str().unwrap(),
        ])
        .success();
    let evaluated = project
        .run(&[
            "eval",
            "stories260K",
            "--text",
            "twenty.txt",
            "--format",
            "json",
        ])
        .success()
        .json();
    for (story, nats) in [(1, 432.944), (2, 237.4)] {
        let found = &evaluated["documents"][story];
        let (nll, tokens) = (found["nll"].as_f64(), found["tokens"].as_f64());
        let difference = (nll.unwrap() - nats).abs() / tokens.unwrap();
        assert!(difference < 1e-4, "story {story}: {found}");
    }
}

#[test]
fn a_bundle_is_checked_without_its_store() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project.run(&["run", "specs/tiny.yaml"]).success();
    project
        .run(&[
            "bundle",
            "specs/tiny.yaml",
            "-o",
            "tiny.zip",
            "--date",
            "2026-11-30",
        ])
        .success();
    let elsewhere = Project::new();
    let bytes = std::fs::read(project.path().join("tiny.zip")).unwrap();
    elsewhere.write("tiny.zip", &bytes);
    let checked = elsewhere
        .run(&["verify", "tiny.zip", "--format", "json"])
        .success()
        .json();
    assert_eq!(
        (&checked["runs"], &checked["report"]),
        (&2.into(), &true.into()),
        "{checked}"
    );
    // The same runs give the same file, and one changed letter is detected.
    project
        .run(&[
            "bundle",
            "specs/tiny.yaml",
            "-o",
            "tiny.zip",
            "--date",
            "2026-11-30",
        ])
        .success();
    assert!(std::fs::read(project.path().join("tiny.zip")).unwrap() == bytes);
    let mut changed = bytes.clone();
    let at = changed
        .windows(9)
        .position(|window| window == b"val/loss\"")
        .unwrap();
    changed[at] = b'w';
    elsewhere.write("changed.zip", &changed);
    assert!(elsewhere.run(&["verify", "changed.zip"]).code != 0);
    only_what_belongs_to_the_spec_is_in(&project, &elsewhere);
    #[cfg(unix)]
    a_link_is_left_out(&project, &elsewhere);
    elsewhere.write("mine.zip", "mine");
    project.write("mine.zip", "mine");
    let refused = project
        .run(&["bundle", "specs/tiny.yaml", "-o", "mine.zip"])
        .code(2);
    assert!(
        refused.stderr.contains("is not a bundle"),
        "{}",
        refused.stderr
    );
}

/// Files that merely share the spec's name are never included in a bundle.
fn only_what_belongs_to_the_spec_is_in(project: &Project, elsewhere: &Project) {
    for name in ["tiny.env", "tiny.secret.yaml", "tiny.txt"] {
        project.write(&format!("specs/{name}"), "TOKEN=secret");
    }
    let bundle = ["bundle", "specs/tiny.yaml", "-o", "tiny.zip"];
    let date = ["--date", "2026-11-30"];
    project.run(&[&bundle[..], &date].concat()).success();
    let again = std::fs::read(project.path().join("tiny.zip")).unwrap();
    assert!(again == std::fs::read(elsewhere.path().join("tiny.zip")).unwrap());
}

/// The target of a link is never included in a bundle.
#[cfg(unix)]
fn a_link_is_left_out(project: &Project, elsewhere: &Project) {
    let secret = elsewhere.write("secret.csv", "secret");
    let link = project.path().join("reports/tiny/data/link.csv");
    std::os::unix::fs::symlink(secret, link).unwrap();
    let told = project
        .run(&["bundle", "specs/tiny.yaml", "-o", "tiny.zip"])
        .success();
    assert!(
        told.stderr
            .contains("link.csv`: it is a link, a pipe or a device"),
        "{}",
        told.stderr
    );
    let checked = project.run(&["verify", "tiny.zip"]).success();
    assert!(!checked.stdout.contains("link.csv"), "{}", checked.stdout);
}

#[cfg(target_os = "linux")]
mod terminal;

#[test]
fn runs_go_to_tables_and_event_files() {
    let project = trained();
    project
        .run(&["export", "specs/tiny.yaml", "tables", "--to", "csv"])
        .success();
    let runs = project.read("tables/runs.csv");
    assert_eq!(runs.lines().count(), 3);
    assert!(runs.starts_with("id,spec,profile,name,"), "{runs}");
    assert_eq!(project.read("tables/steps.csv").lines().count(), 11);
    project
        .run(&["export", "specs/tiny.yaml", "frames", "--to", "parquet"])
        .success();
    // The written file can be read: the names of the runs become documents.
    let names = TINY.replace(
        "{stories: {version: 1}}",
        "{parquet: {path: ../frames/runs.parquet, field: name}}",
    );
    let names = names.replace("name: tiny", "name: names");
    project.write("specs/names.yaml", names);
    let short = project
        .run(&["run", "specs/names.yaml", "--no-report"])
        .code(4);
    assert!(
        short.stderr.contains("runs.parquet` has 2 documents"),
        "{}",
        short.stderr
    );
    let exported = project
        .run(&[
            "export",
            "specs/tiny.yaml",
            "events",
            "--to",
            "tensorboard",
            "--format",
            "json",
        ])
        .success()
        .json();
    assert_eq!(exported["files"].as_array().unwrap().len(), 2);
    // During training; at the end the folder equals that of `export`.
    let live = [
        "run",
        "specs/tiny.yaml",
        "--no-report",
        "--tensorboard",
        "live",
        "--set",
        "train.seed=1",
    ];
    project.run(&live).success();
    let file = "tiny/dim=16/events.out.tfevents.0.specbook";
    for folder in ["events", "live"] {
        let events = std::fs::read(project.path().join(folder).join(file)).unwrap();
        let has = |text: &[u8]| events.windows(text.len()).any(|window| window == text);
        assert!(
            has(b"val/loss") && has(b"final/perplexity") && has(b"_hparams_/session_end_info"),
            "{folder}"
        );
    }
    let nobody = project
        .run(&[
            "export",
            "specs/tiny.yaml",
            "http://127.0.0.1:9",
            "--to",
            "mlflow",
        ])
        .code(4);
    assert!(
        nobody
            .stderr
            .contains("the server at `http://127.0.0.1:9` does not take the runs"),
        "{}",
        nobody.stderr
    );
}

#[test]
fn citations_name_program_study_and_data() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        TINY.replace(
            "title: Tiny",
            "title: Tiny\nsource: {study: A study, section: \"2\"}",
        ),
    );
    let cited = project.run(&["cite", "specs/tiny.yaml"]).success();
    insta::assert_snapshot!(cited.stdout, @"
    @software{specbook,
      title = {specbook: a reproducible-experiment notebook runner driven by declarative specs},
      author = {{The specbook authors}},
      version = {[VERSION]},
    }

    @misc{tiny-study,
      title = {A study},
      note = {Section 2},
    }

    @misc{tiny-data,
      title = {Data of the experiment tiny},
      note = {embedded generator `stories', documents 0 to 4; embedded generator `stories', documents 4 to 24},
    }
    ");
}
