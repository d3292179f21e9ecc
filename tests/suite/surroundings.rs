//! The environment of a command: the folders above it, odd files, closed pipes.

#[cfg(unix)]
mod signals;
#[cfg(unix)]
mod unix;

use crate::project::{Project, TINY};
use std::process::Stdio;

/// A project `own` below a folder with its own store and reports; only the inner one has a `.git`.
fn nested(git: bool) -> Project {
    let project = Project::new();
    std::fs::remove_dir(project.path().join(".git")).unwrap();
    std::fs::create_dir_all(project.path().join(".specbook")).unwrap();
    project.write("own/specs/tiny.yaml", TINY);
    if git {
        // A file, as in a git work tree.
        project.write("own/.git", "gitdir: elsewhere\n");
    }
    project
}

#[test]
fn the_search_for_a_store_stops_at_the_first_git() {
    let project = nested(true);
    project
        .run(&["run", "own/specs/tiny.yaml", "--filter", "dim=16", "-q"])
        .success();
    assert!(project.path().join("own/.specbook/runs-v1").is_dir());
    let outer = std::fs::read_dir(project.path().join(".specbook")).unwrap();
    assert_eq!(outer.count(), 0);
    // Without it, the nearest store above is the project's.
    let project = nested(false);
    let ran = project.run(&["doctor"]).success();
    assert!(ran.stdout.contains("store"), "{}", ran.stdout);
    let deeper = project.path().join("own/specs");
    let mut doctor = project.command(&["doctor", "--format", "json"]);
    let ran = project.ran(doctor.current_dir(deeper).output().unwrap());
    assert_eq!(ran.success().json()["store"]["path"], "[PROJECT]/.specbook");
}

#[test]
fn an_empty_variable_names_no_store() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let run = ["run", "specs/tiny.yaml", "--no-report", "-q"];
    for arguments in [&["check", "specs"][..], &["schema"], &run] {
        let mut command = project.command(arguments);
        project
            .ran(command.env("SPECBOOK_STORE", "").output().unwrap())
            .success();
    }
    assert!(project.path().join(".specbook").is_dir());
    let ran = project.run(&["ls", "--store", ""]).code(2);
    assert!(
        ran.stderr.contains("`--store` names no folder"),
        "{}",
        ran.stderr
    );
}

#[test]
fn files_of_editors_and_systems_among_the_specs_are_left_out() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    #[cfg(unix)]
    std::os::unix::fs::symlink("me@host.1:2", project.path().join("specs/.#tiny.yaml")).unwrap();
    project.write("specs/._tiny.yaml", b"\0\x05\x16\x07");
    project.write("specs/.tiny.yaml.swp", "x");
    project.write("specs/tiny.yaml~", "x");
    project.write("specs/#tiny.yaml#", "x");
    let ran = project.run(&["check", "specs"]).success();
    assert_eq!(ran.stdout.lines().count(), 1, "{}", ran.stdout);
    // A file named explicitly is read.
    project.write(
        "specs/.other.yaml",
        TINY.replace("name: tiny", "name: other"),
    );
    project.run(&["check", "specs/.other.yaml"]).success();
}

#[test]
fn a_reader_that_leaves_is_no_error_for_any_command() {
    let project = Project::new();
    project.write("specs/tiny.yaml", TINY);
    let all: [&[&str]; 12] = [
        &["completions", "bash"],
        &["completions", "fish"],
        &["completions", "zsh"],
        &["completions", "powershell"],
        &["completions", "elvish"],
        &["schema"],
        &["--help"],
        &["check", "specs"],
        &["plan", "specs/tiny.yaml"],
        &["doctor"],
        &["init"],
        &["store", "du"],
    ];
    for arguments in all {
        let mut command = project.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert_eq!(said, "", "{arguments:?}");
    }
    let mut script = project.command(&["completions", "bash"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full");
    if let Ok(full) = full {
        let ran = project.ran(script.stdout(full).output().unwrap()).code(1);
        assert!(
            ran.stderr.contains("cannot write to standard output"),
            "{}",
            ran.stderr
        );
    }
}

#[test]
fn a_cut_tokenizer_file_is_told_without_a_panic() {
    let project = Project::new();
    let text = TINY.replace(
        "{train_bpe: {vocab_size: 320, documents: 20}}",
        "{file: t.json}",
    );
    project.write("specs/tiny.yaml", text);
    // The library panics if a decoder ends too early.
    project.write(
        "specs/t.json",
        r#"{"version":"1.0","added_tokens":[],"decoder":{"type":"ByteLe"#,
    );
    let ran = project.run(&["run", "specs/tiny.yaml"]).code(4);
    assert!(ran.stderr.contains("t.json"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}
