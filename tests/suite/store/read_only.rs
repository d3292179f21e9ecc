//! A store that may be read only: users and permissions.

use super::*;
use std::os::unix::fs::PermissionsExt as _;

/// A command as a user with read-only access to the project; `None` if that is not possible.
fn as_reader(project: &Project, arguments: &[&str]) -> Option<Command> {
    // A store of another owner is used if named explicitly.
    let program = project.command(&[arguments, &["--store", ".specbook"]].concat());
    if !nix::unistd::Uid::effective().is_root() {
        return Some(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command.arg("true");
    if !command.status().is_ok_and(|status| status.success()) {
        return None;
    }
    // A place where other users can start it.
    let own = std::path::Path::new("/tmp").join(format!("specbook-reader-{}", std::process::id()));
    // Copied by another process: a file open for writing here may be inherited by processes started by other tests.
    let mut copy = Command::new("cp");
    copy.arg(program.get_program()).arg(&own);
    assert!(copy.status().unwrap().success());
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(own)
        .args(program.get_args())
        .current_dir(project.path())
        .env_remove("SPECBOOK_STORE")
        .stdin(Stdio::null());
    Some(command)
}

/// Sets or removes write permission for everything below a folder.
fn set_writable(folder: &Path, writable: bool) {
    let mut pending = vec![folder.to_path_buf()];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(
                std::fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        let mode = match (path.is_dir(), writable) {
            (true, true) => 0o755,
            (true, false) => 0o555,
            (false, true) => 0o644,
            (false, false) => 0o444,
        };
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
}

#[test]
fn a_store_that_can_only_be_read_serves_all_that_only_looks() {
    let project = sweep(1, 3);
    project.run(&["run", "specs/tiny.yaml"]).success();
    // Missing slices are tokenised again.
    let slices = project.path().join(".specbook/tokens-v1/slices");
    std::fs::remove_dir_all(slices).unwrap();
    let export = ["export", "tiny/base", "out", "--to", "hf"];
    project.run(&export).success();
    project.run(&["import", "out"]).success();
    let place = tempfile::tempdir().unwrap();
    let everybody = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(place.path(), everybody).unwrap();
    let bundle = place.path().join("tiny.zip").display().to_string();
    set_writable(project.path(), false);
    let commands: [&[&str]; 12] = [
        &["verify", "specs/tiny.yaml"],
        &["data", "stats", "specs/tiny.yaml"],
        &["status", "specs/tiny.yaml"],
        &["plan", "specs/tiny.yaml"],
        &["ls"],
        &["store", "verify"],
        &["store", "du"],
        &["store", "gc"],
        &["sample", "out"],
        &["import", "out"],
        &["bundle", "specs/tiny.yaml", "-o", &bundle],
        &["run", "specs/tiny.yaml", "--no-report"],
    ];
    let mut told = Vec::new();
    for arguments in commands {
        let Some(mut command) = as_reader(&project, arguments) else {
            println!("skipped: no user who may only read");
            break;
        };
        let ran = project.ran(command.output().unwrap());
        told.push((arguments, ran));
    }
    set_writable(project.path(), true);
    for (arguments, ran) in told {
        assert_eq!(ran.code, 0, "{arguments:?}: {}", ran.stderr);
        let warns = ran.stderr.contains("warning: nothing is kept in");
        assert_eq!(
            warns,
            arguments[0] == "data",
            "{arguments:?}: {}",
            ran.stderr
        );
    }
}
