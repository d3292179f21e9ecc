//! Maintenance of a store: failures, damage, copies, `verify`, `store verify`, `store gc`, `store du`.

use super::*;
use crate::project::Ran;

/// Runs `verify` on the sweep.
fn verified(project: &Project, more: &[&str]) -> Ran {
    project.run(&[&["verify", "specs/tiny.yaml"], more].concat())
}

#[test]
fn verify_trains_again_and_shows_the_first_step_that_differs() {
    let project = sweep(2, 6);
    let nothing = verified(&project, &[]).code(4);
    assert!(
        nothing.stderr.contains("none of the runs is finished"),
        "{}",
        nothing.stderr
    );
    project.run(&arguments(&[])).success();
    let equal = verified(&project, &["--format", "json", "--threads", "3"]).success();
    assert_eq!(equal.json()["runs"][1]["result"], "equal");
    // Another device is another engine, so losses are compared.
    let reference = [
        "--device",
        "cpu-reference",
        "--filter",
        "seed=0",
        "--format",
        "json",
    ];
    let other = verified(&project, &reference).success();
    assert_eq!(other.json()["runs"][0]["result"], "not_comparable");
    assert_eq!(other.json()["runs"][0]["losses"]["agree"], true);
    // A run name is enough if its plan is known.
    let by_run = project.run(&["verify", "tiny/base,seed=1"]).success();
    assert!(
        by_run.stdout.contains("1 equal in every bit, 0 differ"),
        "{}",
        by_run.stdout
    );
    forge(&project);
    let differs = verified(&project, &[]).code(7);
    assert!(
        differs
            .stdout
            .contains("DIFFERS, first at step 4\n  train/loss: stored 9.5"),
        "{}",
        differs.stdout
    );
    assert!(
        differs.stdout.contains("1 equal in every bit, 1 differ"),
        "{}",
        differs.stdout
    );
}

/// Changes the fourth step of the first run's metrics, and adapts the record so that the store is consistent.
fn forge(project: &Project) {
    use specbook::internals::digest::Sha256Hex;
    let found = files(&project.path().join(".specbook/runs-v1"));
    let metrics = found
        .iter()
        .find(|path| path.ends_with("metrics.jsonl"))
        .unwrap();
    let old = std::fs::read_to_string(metrics).unwrap();
    let mut lines: Vec<String> = old.lines().map(str::to_owned).collect();
    let mut point: serde_json::Value = serde_json::from_str(&lines[3]).unwrap();
    point["train/loss"] = serde_json::json!(9.5);
    lines[3] = point.to_string();
    let new = lines.join("\n") + "\n";
    std::fs::write(metrics, &new).unwrap();
    let record = metrics.with_file_name("record.json");
    let digest = |text: &str| Sha256Hex::of(text.as_bytes()).to_string();
    let text = std::fs::read_to_string(&record).unwrap();
    let text = text.replace(&digest(&old), &digest(&new));
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    value["files"]["metrics.jsonl"]["bytes"] = serde_json::json!(new.len());
    value.as_object_mut().unwrap().remove("sha256");
    let body = value.to_string();
    let body = body.trim_end_matches('}').to_owned()
        + &"}".repeat(body.len() - body.trim_end_matches('}').len() - 1);
    std::fs::write(
        &record,
        format!("{body},\"sha256\":\"{}\"}}\n", digest(&body)),
    )
    .unwrap();
}

#[test]
fn the_store_is_checked_measured_and_cleaned() {
    let project = sweep(2, 3);
    project.run(&arguments(&[])).success();
    let sound = project
        .run(&["store", "verify", "--format", "json"])
        .success();
    assert_eq!(
        (&sound.json()["runs"], &sound.json()["problems"]),
        (&2.into(), &serde_json::json!([]))
    );
    let used = project
        .run(&["store", "du", "--format", "json"])
        .success()
        .json();
    assert_eq!(used["usage"]["runs"]["entries"], 2);
    let nothing = project.run(&["store", "gc"]).success();
    assert_eq!(nothing.stdout, "nothing to remove");
    // The older text of the edited spec keeps its runs until its plan is removed.
    let text = project.read("specs/tiny.yaml");
    project.write("specs/old.yaml", &text);
    project.write(
        "specs/tiny.yaml",
        text.replace("seeds: [0, 1]", "seeds: [1]"),
    );
    age(&project.path().join(".specbook"), 48);
    project.run(&arguments(&[])).success();
    let kept = project.run(&["store", "gc"]).success();
    assert_eq!(kept.stdout, "nothing to remove");
    let let_go = ["store", "gc", "--unused-for", "1"];
    let kept = project.run(&[&let_go[..], &["specs/old.yaml"]].concat());
    let kept = kept.success();
    assert!(!kept.stdout.contains(" run "), "{}", kept.stdout);
    let listed = project.run(&let_go).success();
    assert!(listed.stdout.contains("1 plan ("), "{}", listed.stdout);
    assert!(listed.stdout.contains("1 run ("), "{}", listed.stdout);
    assert!(
        listed.stdout.contains("tiny/base,seed=0"),
        "{}",
        listed.stdout
    );
    assert!(
        listed.stderr.contains("`--yes` removes"),
        "{}",
        listed.stderr
    );
    assert_eq!(results(&project).len(), 12);
    let json = project
        .run(&[&let_go[..], &["--yes", "--format", "json"]].concat())
        .success()
        .json();
    assert_eq!(json["bytes"], json["freed_bytes"]);
    assert_eq!(results(&project).len(), 6);
    project.run(&["store", "verify"]).success();
    // Damage is found and reported.
    let found = files(&project.path().join(".specbook/runs-v1"));
    let weights = found
        .iter()
        .find(|path| path.ends_with("model.safetensors"))
        .unwrap();
    let mut bytes = std::fs::read(weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(weights, bytes).unwrap();
    let broken = project.run(&["store", "verify"]).code(4);
    assert!(
        broken
            .stdout
            .contains("model.safetensors: it does not have the digest of the record"),
        "{}",
        broken.stdout
    );
    assert!(broken.stdout.ends_with("1 problem"), "{}", broken.stdout);
    project.run(&arguments(&["--paranoid"])).success();
    project.run(&["store", "verify"]).success();
}

#[test]
fn a_run_of_a_part_leaves_the_other_runs_of_its_spec_no_garbage() {
    let project = sweep(2, 3);
    project.run(&arguments(&[])).success();
    project.run(&arguments(&["--filter", "seed=1"])).success();
    age(&project.path().join(".specbook"), 48);
    let kept = project.run(&["store", "gc", "--yes"]).success();
    assert_eq!(results(&project).len(), 12, "{}", kept.stdout);
}

#[test]
fn a_failed_run_shows_the_end_of_its_log_and_is_tried_again_unless_told_otherwise() {
    let project = sweep(1, 4);
    let text = project.read("specs/tiny.yaml");
    project.write("specs/tiny.yaml", text.replace("1e-3", "1e30"));
    let failed = project.run(&arguments(&[])).code(3);
    let line = failed
        .stderr
        .lines()
        .find_map(|line| line.strip_prefix("log: "));
    let log = line
        .unwrap()
        .replace("[PROJECT]", &project.path().display().to_string());
    let log = std::fs::read_to_string(project.path().join(log)).unwrap();
    let last = log.lines().last().unwrap();
    assert!(
        last.starts_with("failed: training diverged at step "),
        "{log}"
    );
    assert!(
        failed.stderr.contains(&format!("  | {last}")),
        "{}",
        failed.stderr
    );
    let begun = |text: &str| text.matches("steps on").count();
    assert_eq!(begun(&failed.stderr), 1);
    let left = project.run(&arguments(&["--no-retry"])).code(3);
    assert_eq!(begun(&left.stderr), 0, "{}", left.stderr);
    assert!(
        left.stderr.contains(&format!("  | {last}")),
        "{}",
        left.stderr
    );
    project.run(&["store", "verify"]).success();
    let retried = project.run(&arguments(&[])).code(3);
    assert_eq!(
        begun(&retried.stderr) + retried.stderr.matches("continues at step").count(),
        1
    );
}

#[test]
fn the_message_of_a_failed_run_ends_the_summary() {
    let project = sweep(2, 4);
    let text = project.read("specs/tiny.yaml");
    project.write("specs/tiny.yaml", text.replace("1e-3", "1e30"));
    let one_by_one = ["run", "specs/tiny.yaml", "--jobs", "1"];
    let failed = project.run(&one_by_one).code(3);
    let summary = "tiny: 0 trained, 0 cached, 1 not finished, 1 failed:\n  base,seed=0: training";
    assert!(failed.stderr.contains(summary), "{}", failed.stderr);
}

#[test]
fn a_store_that_is_named_and_not_there_is_an_error() {
    let project = Project::new();
    let commands: [&[&str]; 4] = [
        &["store", "verify"],
        &["store", "du"],
        &["store", "gc"],
        &["ls"],
    ];
    for command in commands {
        let ran = project.run(&[command, &["--store", "typo"]].concat());
        let ran = ran.code(4);
        let message = "error: there is no store at `typo`: no such folder";
        assert!(ran.stderr.starts_with(message), "{}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    // The project's store does not exist before the first run.
    project.run(&["ls"]).success();
}

#[test]
fn ls_tells_which_of_two_runs_with_one_name_the_spec_makes() {
    let project = sweep(2, 2);
    project.run(&arguments(&[])).success();
    let before = project.run(&["ls"]).success();
    assert!(!before.stdout.contains("superseded"), "{}", before.stdout);
    let changed = project.read("specs/tiny.yaml").replace("1e-3", "2e-3");
    project.write("specs/tiny.yaml", changed);
    project.run(&arguments(&[])).success();
    let after = project.run(&[
        "ls",
        "--columns",
        "name,status,train.optimizer.adamw.learning_rate",
    ]);
    let after = after.success();
    insta::assert_snapshot!(after.stdout, @r"
    name         status         train.optimizer.adamw.learning_rate
    base,seed=0  cached (desk)                                0.002
    base,seed=0  superseded                                   0.001
    base,seed=1  superseded                                   0.001
    base,seed=1  cached (desk)                                0.002
    ");
    assert!(
        after.stderr.contains("specbook diff ID ID"),
        "{}",
        after.stderr
    );
    let listed = project.run(&["ls", "--format", "json"]).success().json();
    let profiles = listed["runs"].as_array().unwrap().iter();
    let mut profiles: Vec<_> = profiles.map(|run| run["profiles"].to_string()).collect();
    profiles.sort_unstable();
    assert_eq!(profiles, ["[\"desk\"]", "[\"desk\"]", "[]", "[]"]);
}

#[test]
fn ls_tells_an_empty_store_from_a_filter_that_takes_nothing() {
    let project = sweep(1, 2);
    let empty = project.run(&["ls", "--filter", "zzz"]).success();
    assert!(
        empty.stderr.contains("no runs are stored here"),
        "{}",
        empty.stderr
    );
    project.run(&arguments(&[])).success();
    let none = project.run(&["ls", "--filter", "zzz"]).success();
    assert!(
        none.stderr.contains("no stored run matches the filter"),
        "{}",
        none.stderr
    );
}

#[test]
fn a_damaged_curve_is_noticed_by_the_report_and_heals() {
    let project = sweep(1, 4);
    let text = project.read("specs/tiny.yaml");
    project.write(
        "specs/tiny.yaml",
        text + "cells:\n  - plot: {curves: [train/loss]}\n",
    );
    let run = ["run", "specs/tiny.yaml"];
    project.run(&run).success();
    let (expected, report) = (results(&project), project.read("reports/tiny/report.md"));
    let found = files(&project.path().join(".specbook/runs-v1"));
    let metrics = found
        .iter()
        .find(|path| path.ends_with("metrics.jsonl"))
        .unwrap();
    let mut bytes = std::fs::read(metrics).unwrap();
    bytes[40] ^= 1;
    std::fs::write(metrics, bytes).unwrap();
    let healed = project.run(&run).success();
    assert!(
        healed.stderr.contains("does not have the digest"),
        "{}",
        healed.stderr
    );
    assert_eq!(
        number_before(&healed.stderr, "cached"),
        1,
        "its sizes are right"
    );
    assert!(
        healed.stderr.contains("tiny: 1 trained"),
        "{}",
        healed.stderr
    );
    assert_eq!(
        results_of_runs(&results(&project)),
        results_of_runs(&expected)
    );
    assert_eq!(project.read("reports/tiny/report.md"), report);
    project.run(&["store", "verify"]).success();
    let kept = files(&project.path().join(".specbook/damaged"));
    assert!(!kept.is_empty(), "what is damaged is kept");
}

/// Without entries that were moved aside.
fn results_of_runs(all: &BTreeMap<String, Vec<u8>>) -> Vec<(&String, &Vec<u8>)> {
    all.iter()
        .filter(|(name, _)| !name.starts_with("damaged"))
        .collect()
}

#[test]
fn a_store_that_was_copied_elsewhere_is_the_same_store() {
    let project = sweep(2, 4);
    project.run(&arguments(&[])).success();
    let expected = results(&project);
    let other = sweep(2, 4);
    let from = project.path().join(".specbook");
    for path in files(&from) {
        let to = other
            .path()
            .join(".specbook")
            .join(path.strip_prefix(&from).unwrap());
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(path, to).unwrap();
    }
    let ran = other.run(&arguments(&[])).success();
    assert_eq!(number_before(&ran.stderr, "cached"), 2);
    assert_whole(&other, &expected, "after copying");
    verified(&other, &["--filter", "seed=1"]).success();
    let ids = |project: &Project| {
        project
            .run(&["ls", "--columns", "id,name"])
            .success()
            .stdout
    };
    assert_eq!(ids(&other), ids(&project));
}

#[test]
fn paranoid_looks_at_the_tokenizers_that_its_runs_use() {
    let project = sweep(1, 2);
    project.run(&arguments(&[])).success();
    let folder = project.path().join(".specbook/tokens-v1");
    let kept = || -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&folder).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_file()).collect()
    };
    let [used] = kept().try_into().unwrap();
    let sound = std::fs::read(&used).unwrap();
    let unused = folder.join("0".repeat(64));
    std::fs::write(&unused, "of no run").unwrap();
    std::fs::write(&used, [&sound[..sound.len() - 1], b"?"].concat()).unwrap();
    let quick = project.run(&arguments(&[])).success();
    assert!(!quick.stderr.contains("damaged"), "{}", quick.stderr);
    let thorough = project.run(&arguments(&["--paranoid"])).success();
    let told = thorough
        .stderr
        .matches("is damaged; it is made again")
        .count();
    assert_eq!(told, 1, "{}", thorough.stderr);
    assert!(
        thorough.stderr.contains("0 trained, 1 cached"),
        "{}",
        thorough.stderr
    );
    assert_eq!(std::fs::read(&used).unwrap(), sound);
    assert_eq!(std::fs::read(&unused).unwrap(), b"of no run");
}
