//! `store gc` beside projects and processes that share the store.

use super::*;

/// The runs in the store.
fn stored(project: &Project) -> usize {
    let listed = project.run(&["ls", "--columns", "id"]).success();
    listed.stdout.lines().count().saturating_sub(1)
}

#[test]
fn two_projects_with_specs_of_one_name_keep_their_runs() {
    let project = sweep(1, 2);
    let text = project.read("specs/tiny.yaml");
    let other = text.replace("1e-3", "5e-3");
    project.write("else/where/tiny.yaml", &other);
    let more: [&[&str]; 4] = [
        &["specs/tiny.yaml"],
        &["else/where/tiny.yaml"],
        &["specs/tiny.yaml", "--set", "model.dim=32"],
        &[
            "else/where/tiny.yaml",
            "--set",
            "train.max_steps=3",
            "--out",
            "out",
        ],
    ];
    for (number, specific) in more.iter().enumerate() {
        let run = ["run", "--store", ".specbook", "--threads", "1"];
        project
            .run(&[&run[..], specific].concat())
            .code(match number {
                2 => 2, // A report with other settings needs a separate folder.
                _ => 0,
            });
        let run = [&run[..], specific, &["--no-report"]].concat();
        project.run(&run).success();
    }
    // One file is edited, another one is gone.
    project.write("specs/tiny.yaml", text.replace("seeds: [0]", "seeds: [9]"));
    std::fs::remove_dir_all(project.path().join("else")).unwrap();
    age(&project.path().join(".specbook"), 24 * 365);
    let kept = project.run(&["store", "gc", "--yes"]).success();
    assert_eq!(stored(&project), 4, "{}", kept.stdout);
    // `--unused-for` keeps only runs of the current specs.
    let gone = ["store", "gc", "--unused-for", "30", "--yes"];
    let gone = project.run(&gone).success();
    assert!(gone.stdout.contains("4 plan ("), "{}", gone.stdout);
    assert!(
        gone.stdout.contains("of ../else/where/tiny.yaml"),
        "{}",
        gone.stdout
    );
    assert_eq!(stored(&project), 0);
}

/// No process fails because another one cleans up.
#[test]
fn runs_begin_beside_a_gc_in_a_loop() {
    let project = sweep(1, 2);
    project.run(&arguments(&[])).success();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cleaning = scope.spawn(|| {
            let mut rounds = 0;
            while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                let cleaned = project.run(&["store", "gc", "--yes"]);
                assert_eq!(cleaned.code, 0, "{}", cleaned.stderr);
                rounds += 1;
            }
            rounds
        });
        for seed in 1..=12 {
            let seeds = format!("seeds=[{seed}]");
            let ran = project.run(&arguments(&["--set", &seeds]));
            assert_eq!(ran.code, 0, "{}", ran.stderr);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        assert!(cleaning.join().unwrap() > 3);
    });
    assert_eq!(stored(&project), 13);
    project.run(&["store", "verify"]).success();
}

#[test]
fn a_run_waits_for_a_gc_and_not_for_a_dead_one() {
    let project = sweep(1, 2);
    let store = project.path().join(".specbook");
    std::fs::create_dir(&store).unwrap();
    let lease = store.join("gc.claim-1");
    std::fs::write(&lease, "0123456789abcdef ffffffffffffffff:1:1 7\n").unwrap();
    let began = Instant::now();
    let waited = project.run(&arguments(&["--lease-stale", "0.5"])).success();
    assert!(began.elapsed() > Duration::from_millis(500));
    let words = "another process removes what nothing refers to; waiting";
    assert_eq!(waited.stderr.matches(words).count(), 1, "{}", waited.stderr);
    age(&store, 1);
    let gone = project.run(&["store", "gc", "--yes"]).success();
    assert!(gone.stdout.contains("gc.claim-1"), "{}", gone.stdout);
    assert!(!lease.exists());
}

/// After a power loss, leases from before the reboot neither count as running nor protect anything.
#[test]
fn leases_of_another_boot_are_not_believed_for_ever() {
    let project = sweep(1, 1_000_000);
    let mut process = Process::start(&project, EVERY_STEP);
    process.wait_for("steps on");
    process.child.kill().unwrap();
    process.finish();
    let runs = project.path().join(".specbook/runs-v1");
    let found = files(&runs);
    let is_lease = |path: &&PathBuf| path.to_string_lossy().contains(".claim-");
    let lease = found.iter().find(is_lease).unwrap();
    for text in ["0123456789abcdef ffffffffffffffff:1:1 7\n", "0123", ""] {
        std::fs::write(lease, text).unwrap();
        let status = project.run(&["status", "specs/tiny.yaml"]).success();
        assert!(status.stdout.contains("running"), "{}", status.stdout);
        age(&runs, 1);
        let status = project.run(&["status", "specs/tiny.yaml"]).success();
        assert!(!status.stdout.contains("running"), "{}", status.stdout);
    }
    project.run(&["store", "gc", "--yes"]).success();
    assert!(
        !lease.exists(),
        "the dead lease goes, the run of a plan stays"
    );
    assert!(files(&runs).iter().any(|file| file.ends_with("log.txt")));
}

/// Imported models are removed by name, but not while a plan needs them.
#[test]
fn imported_models_go_by_name() {
    let project = sweep(1, 2);
    project.run(&arguments(&[])).success();
    let nothing = project.run(&["store", "rm", "gone"]).code(4);
    assert!(
        nothing
            .stderr
            .contains("no imported model is called `gone`")
            && nothing.stderr.contains("this one holds nothing of it"),
        "{}",
        nothing.stderr
    );
    let export = ["export", "tiny/base", "out", "--to", "hf"];
    project.run(&export).success();
    let import = ["import", "out", "--name", "back", "--format", "json"];
    let imported = project.run(&import).success().json();
    let id = imported["id"].as_str().unwrap();
    let begins = format!("train.init_from={id}");
    let tokenizer = "data.tokenizer={file: ../out/tokenizer.json}";
    let sets = ["--set", &begins, "--set", tokenizer];
    project.run(&arguments(&sets)).success();
    let models = || files(&project.path().join(".specbook/models-v1")).len();
    let before = models();
    let needed = project.run(&["store", "rm", "back", "--yes"]).code(4);
    let words = "`back` stays: runs of this plan begin with it: tiny (desk, train.init_from=";
    assert!(needed.stderr.contains(words), "{}", needed.stderr);
    age(&project.path().join(".specbook/plans-v1"), 48);
    let let_go = ["store", "gc", "--unused-for", "1", "--yes"];
    project.run(&let_go).success();
    // Without an answer, nothing is removed.
    let asked = project.run(&["store", "rm", &id[..12]]).success();
    assert!(asked.stdout.contains("1 model ("), "{}", asked.stdout);
    assert_eq!(models(), before);
    let other = project.run(&["store", "rm", "other", "--yes"]).code(4);
    assert!(
        other.stderr.contains("there are `back`"),
        "{}",
        other.stderr
    );
    let gone = ["store", "rm", "back", "--yes", "--format", "json"];
    let gone = project.run(&gone).success().json();
    assert_eq!(gone["garbage"][0]["name"], "back");
    assert_eq!(models(), 0);
    assert_eq!(stored(&project), 2, "runs stay");
    project.run(&["store", "verify"]).success();
}

#[test]
fn a_lease_lasts_for_a_tenth_of_a_second_at_least() {
    let project = sweep(1, 2);
    for (flag, value) in [("--lease-stale", "0"), ("--claim-stale", "0.01")] {
        let refused = project.run(&arguments(&[flag, value])).code(2);
        assert!(
            refused.stderr.contains("it has to be at least 0.1"),
            "{}",
            refused.stderr
        );
    }
    project.run(&arguments(&["--claim-stale", "0.4"])).success();
}
