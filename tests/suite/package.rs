//! The packages contain everything needed to build the program and little else; the action works as documented.

use crate::project::repository;
#[cfg(unix)]
use crate::project::{Project, TINY};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Files of a package, as selected by cargo.
fn packaged(package: &str) -> BTreeSet<String> {
    let listed = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline", "--quiet"])
        .args(["--package", package])
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listed = String::from_utf8(listed.stdout).unwrap();
    listed.lines().map(|line| line.replace('\\', "/")).collect()
}

/// Files embedded by the sources in `folder`, except tests, as paths in the package.
fn embedded(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            embedded(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            for rest in text.split("include_str!(\"").skip(1) {
                let mut file: PathBuf = folder.strip_prefix(repository()).unwrap().into();
                for part in rest[..rest.find('"').unwrap()].split('/') {
                    match part {
                        ".." => assert!(file.pop()),
                        part => file.push(part),
                    }
                }
                found.insert(file.to_str().unwrap().replace('\\', "/"));
            }
        }
    }
}

#[test]
#[cfg_attr(
    windows,
    ignore = "asks cargo, which a program built on Linux does not find"
)]
fn the_package_holds_what_the_program_is_built_from() {
    let files = packaged("specbook");
    let mut wanted = BTreeSet::new();
    embedded(&repository().join("src"), &mut wanted);
    assert!(wanted.contains("specs/epoch-frenzy.yaml"), "{wanted:?}");
    for file in [
        "src/main.rs",
        "src/text/corpora/stories/mod.rs",
        "src/train/engine/cuda/kernels/kernels.cu",
        "README.md",
        "LICENSE-MIT",
        "LICENSE-APACHE",
    ] {
        wanted.insert(file.to_owned());
    }
    let missing: Vec<_> = wanted.difference(&files).collect();
    assert!(missing.is_empty(), "not packaged: {missing:?}");
    let places = ["src/", "specs/", "templates/"];
    let lean = |file: &&String| {
        let test = file.contains("/tests/") || file.ends_with("/tests.rs");
        file.contains('/') && (test || !places.iter().any(|place| file.starts_with(place)))
    };
    let needless: Vec<_> = files.iter().filter(lean).collect();
    assert!(needless.is_empty(), "packaged: {needless:?}");
}

#[test]
#[cfg_attr(
    windows,
    ignore = "asks cargo, which a program built on Linux does not find"
)]
fn the_packages_of_the_crates_hold_their_sources() {
    for (package, file) in [
        ("specbook-kernels", "src/gemm.rs"),
        ("specbook-rng", "src/lib.rs"),
    ] {
        let files = packaged(package);
        assert!(files.contains(file), "{files:?}");
        let place = |file: &String| {
            file.starts_with("src/") || file.starts_with("Cargo.") || file.starts_with(".cargo")
        };
        assert!(files.iter().all(place), "{files:?}");
    }
}

/// The image's build: cargo accepts the files that the `Dockerfile` copies.
#[test]
#[cfg_attr(
    windows,
    ignore = "asks cargo, which a program built on Linux does not find"
)]
fn the_image_has_all_that_cargo_wants() {
    let folder = tempfile::tempdir().unwrap();
    let docker = std::fs::read_to_string(repository().join("Dockerfile")).unwrap();
    let mut copied = 0;
    for line in docker.lines().filter_map(|line| line.strip_prefix("COPY ")) {
        let words: Vec<&str> = line.split(' ').collect();
        let Some((to, from)) = words.split_last().filter(|_| !line.starts_with("--")) else {
            continue;
        };
        for from in from {
            let to = match *to {
                "./" => folder.path().join(from),
                to => folder.path().join(to),
            };
            copy(&repository().join(from), &to);
            copied += 1;
        }
    }
    assert!(copied > 5, "only {copied} places copied");
    let read = Command::new(env!("CARGO"))
        .args(["metadata", "--locked", "--offline", "--format-version", "1"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&read.stderr);
    assert!(read.status.success(), "{told}");
}

fn copy(from: &Path, to: &Path) {
    if from.is_file() {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
        return;
    }
    for entry in std::fs::read_dir(from).unwrap() {
        let name = entry.unwrap().file_name();
        if name != "target" {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}

/// The commands of `action.yml`, in order, as executed by a runner.
#[cfg(unix)]
#[test]
fn the_commands_of_the_action_run() {
    let project = Project::new();
    project.write(
        "specs/tiny.yaml",
        format!("{TINY}profiles:\n  smoke: {{seeds: [1]}}\n"),
    );
    project.run(&["run", "specs/tiny.yaml"]).success();
    let action = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    let action: serde_json::Value = serde_yaml::from_str(&action).unwrap();
    let output = project.path().join("output");
    let program = Path::new(env!("CARGO_BIN_EXE_specbook")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut ran = Vec::new();
    for cached in ["false", "true"] {
        for step in action["runs"]["steps"].as_array().unwrap() {
            let (Some(script), Some(name)) = (step["run"].as_str(), step["name"].as_str()) else {
                continue;
            };
            if name == "Build the program" {
                continue;
            }
            std::fs::write(&output, "").unwrap();
            let done = Command::new("bash")
                .args([
                    "--noprofile",
                    "--norc",
                    "-e",
                    "-o",
                    "pipefail",
                    "-c",
                    script,
                ])
                .current_dir(project.path())
                .env("PATH", format!("{}:{path}", program.display()))
                .env("SPECBOOK_STORE", project.path().join("store"))
                .env(
                    "SPECS",
                    action["inputs"]["specs"]["default"].as_str().unwrap(),
                )
                .env(
                    "PROFILE",
                    action["inputs"]["profile"]["default"].as_str().unwrap(),
                )
                .env("STRICT", "true")
                .env("RUNNER_TEMP", project.path().join("temp"))
                .env("RUNNER_OS", "Linux")
                .env("RUNNER_ARCH", "X64")
                .env("GITHUB_ACTION_PATH", repository())
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_PATH", project.path().join("path"))
                .output()
                .unwrap();
            assert!(done.status.success(), "{name}: {done:?}");
            if step["id"] == "status" {
                assert_eq!(project.read("output"), format!("cached={cached}\n"));
            }
            ran.push(name);
        }
        assert!(
            project
                .path()
                .join("temp/reports/tiny@smoke/index.html")
                .exists()
        );
    }
    assert_eq!(ran.len(), 8, "{ran:?}");
}
