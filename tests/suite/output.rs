//! Output to terminals, pipes and other programs.

use crate::project::{Project, TINY};
use crate::run::trained;

#[test]
fn counts_of_several_specs_are_one_json_document() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    project.write(
        "specs/other.yaml",
        TINY.replace("name: tiny", "name: other"),
    );
    let stats = ["data", "stats", "specs", "--format", "json"];
    let told = project.run(&stats).success().json();
    let names = [&told[0]["spec"], &told[1]["spec"]];
    assert_eq!(names, ["other", "tiny"]);
    assert!(!told[0]["tables"].as_array().unwrap().is_empty());
}

#[test]
fn a_run_ends_with_its_results() {
    let project = trained();
    let told = project.run(&["run", "specs/tiny.yaml"]).success().stderr;
    for part in [
        "settings",
        "train loss",
        "val loss",
        "\ndim=16 ",
        "\ndim=32 ",
        " 1/1 ",
        "\nclaims: ",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(
        told.lines().all(|line| line.chars().count() <= 80),
        "{told}"
    );
}

#[test]
fn every_spec_of_init_is_valid_and_knows_its_schema() {
    let project = Project::new();
    let listed = project.run(&["init", "--format", "json"]).success().json();
    for spec in listed.as_array().unwrap() {
        let name = spec["name"].as_str().unwrap();
        assert!(!spec["about"].as_str().unwrap().is_empty());
        project.run(&["init", name]).success();
        let file = format!("specs/{name}.yaml");
        let text = project.read(&file);
        assert!(text.starts_with("# yaml-language-server: $schema=specbook.schema.json\n"));
        project.run(&["check", &file]).success();
    }
    assert_eq!(project.read(".gitignore").matches(".specbook/").count(), 1);
    let schema: serde_json::Value =
        serde_json::from_str(&project.read("specs/specbook.schema.json")).unwrap();
    assert!(schema["properties"]["base"].is_object());
}

#[test]
fn negative_values_get_the_message_of_the_option() {
    let project = Project::new();
    let told = project
        .run(&["sample", "x", "--temperature", "-1"])
        .code(2)
        .stderr;
    assert_eq!(told, "error: `--temperature` is a number from 0");
}

#[test]
fn init_schema_completions_and_man_need_no_project() {
    let project = Project::new();
    project.run(&["init", "epoch-frenzy"]).success();
    project.run(&["check", "specs/epoch-frenzy.yaml"]).success();
    project.run(&["init", "epoch-frenzy"]).code(2);
    let unknown = project.run(&["init", "epoch-frenzi"]).code(2);
    assert!(
        unknown
            .stderr
            .contains("there are: minimal, compare, sweep, epoch-frenzy"),
        "{}",
        unknown.stderr
    );
    let schema = project.run(&["schema"]).success().json();
    assert!(schema["properties"]["base"].is_object(), "{schema}");
    let completions = project.run(&["completions", "bash"]).success();
    assert!(completions.stdout.contains("specbook"));
    project.run(&["man", "--out", "man/man1"]).success();
    assert!(project.read("man/man1/specbook-run.1").starts_with(".ie"));
}

#[test]
fn what_somebody_else_wrote_is_not_replaced() {
    let project = Project::new();
    let page = project.write("man/specbook-run.1", "mine");
    let told = project.run(&["man", "--out", "man"]).code(2).stderr;
    assert!(
        told.contains("specbook-run.1` is not a page written by specbook"),
        "{told}"
    );
    assert_eq!(
        std::fs::read_dir(page.parent().unwrap()).unwrap().count(),
        1
    );
    std::fs::remove_file(page).unwrap();
    project.run(&["man", "--out", "man"]).success();
    project.run(&["man", "--out", "man"]).success();

    let schema = project.write("specs/specbook.schema.json", "{\"type\": \"mine\"}");
    let told = project.run(&["init", "minimal"]).code(2).stderr;
    assert!(
        told.contains("is not a schema written by specbook"),
        "{told}"
    );
    assert!(!project.path().join("specs/minimal.yaml").exists());
    std::fs::remove_file(schema).unwrap();
    project.write(".gitignore", b"\xff\n");
    let told = project.run(&["init", "minimal"]).success().stderr;
    assert!(
        told.contains("`./.gitignore` should name `.specbook/`"),
        "{told}"
    );
    project.run(&["init", "compare"]).success();

    #[cfg(unix)]
    {
        let ignore = project.path().join(".gitignore");
        std::fs::remove_file(&ignore).unwrap();
        project.write("mine", "*.o\n");
        std::os::unix::fs::symlink("mine", &ignore).unwrap();
        project.run(&["init", "sweep"]).success();
        assert_eq!(project.read("mine"), "*.o\n");
        assert!(ignore.is_symlink());
    }
}

/// `> /dev/full` and `2> /dev/full`: every write fails as on a full disk.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_behind_the_output_stops_no_run_and_is_told() {
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let mut run = project.command(&["run", "specs/tiny.yaml", "-v"]);
    assert!(run.stderr(full()).status().unwrap().success());
    let mut ls = project.command(&["ls"]);
    let ran = project.ran(ls.stdout(full()).output().unwrap()).code(1);
    insta::assert_snapshot!(ran.stderr, @"error: cannot write to standard output: No space left on device (os error 28)");
}

#[test]
fn a_reader_that_stops_reading_is_no_error() {
    let project = Project::new();
    let mut schema = project.command(&["schema"]);
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let ran = project.ran(schema.stdout(writer).output().unwrap());
    assert_eq!(ran.success().stderr, "");
}

#[test]
fn a_dry_run_as_json_is_the_plan() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let plan = project
        .run(&["plan", "specs", "--format", "json"])
        .success();
    let dry = project
        .run(&["run", "-n", "specs", "--format", "json"])
        .success();
    assert_eq!(dry.json(), plan.json());
    assert_eq!(dry.json()[0]["runs"].as_array().unwrap().len(), 2);
    assert!(!project.path().join("reports").exists());
}

#[test]
fn a_prompt_that_fills_the_context_is_told() {
    let long = "Once there was a small dog who ran to the park and met a cat by the old tree";
    let project = Project::new();
    let text = TINY.replace("[\"Once\"]", &format!("[\"Once\", \"{long}\"]"));
    assert_ne!(text, TINY);
    project.write("specs/tiny.yaml", text);
    project.run(&["run", "specs/tiny.yaml", "-q"]).success();
    let sample = |more: &[&str]| {
        let run = ["sample", "tiny/dim=16", "--max-new-tokens", "3"];
        let prompts = ["--prompt", "Once", "--prompt", long];
        project.run(&[&run[..], &prompts, more].concat()).success()
    };
    let told = sample(&[]).stderr;
    let ends = "and the model's context 24: there is no room for a continuation";
    assert!(
        told.contains("prompt 2 has ") && told.trim_end().ends_with(ends),
        "{told}"
    );
    assert!(!told.contains("prompt 1"), "{told}");
    let json = sample(&["--format", "json"]).json();
    assert_eq!(json["samples"][0]["fills_context"], false);
    assert_eq!(json["samples"][1]["fills_context"], true);
    assert_eq!(json["samples"][1]["continuation"], "");
}
