//! The shipped specs: their runs in the profiles desk and smoke, and their claims and cells.

use crate::project::Project;
use specbook::internals::{eval, plan, spec};
use specbook::{DataContext, LoadRequest, Plan, Spec};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

pub(crate) const NAMES: [&str; 5] = [
    "epoch-frenzy",
    "grid-search",
    "loss-comparison",
    "scale-up",
    "sequence-handling",
];

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("specs")
        .join(format!("{name}.yaml"))
}

pub(crate) fn load(name: &str, profile: &str) -> Spec {
    let request = LoadRequest {
        profile: Some(profile.to_owned()),
        ..LoadRequest::default()
    };
    spec::load(&file(name), &request).unwrap_or_else(|error| panic!("{name}, {profile}: {error}"))
}

/// The plan, without any cache: all specs use an embedded corpus and a trained tokenizer.
fn planned(name: &str, profile: &str) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let context = DataContext {
        base: folder.path().to_path_buf(),
        ..DataContext::default()
    };
    plan::expand(&load(name, profile), &context).unwrap()
}

/// One line per run: the start of its id and its name.
fn lines(plan: &Plan) -> String {
    let mut text = String::new();
    for run in &plan.runs {
        writeln!(text, "{} {}", &run.id.to_string()[..12], run.name).unwrap();
    }
    text
}

#[test]
fn every_spec_is_listed_here() {
    let entries = std::fs::read_dir(file("x").parent().unwrap()).unwrap();
    let mut found: Vec<String> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "yaml"))
        .map(|path| path.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    found.sort();
    assert_eq!(found, NAMES);
    for name in NAMES {
        assert_eq!(load(name, "desk").name, name);
    }
}

#[test]
fn plans_of_epoch_frenzy() {
    insta::assert_snapshot!(lines(&planned("epoch-frenzy", "desk")), @"
    016ef0988fd0 25x100,seed=0
    8cbce5b43fa8 25x100,seed=1
    624595dec288 25x100,seed=2
    d4befcdb1e6e 250x10,seed=0
    d34e15541abf 250x10,seed=1
    7f3de360f19d 250x10,seed=2
    1945be818090 2500x1,seed=0
    7e867421e389 2500x1,seed=1
    24195b2bbf7e 2500x1,seed=2
    408f2850c87c 25x100-vocabulary-2048,seed=0
    2894e0e30d08 25x100-vocabulary-2048,seed=1
    ffbf041f0ae2 25x100-vocabulary-2048,seed=2
    8e79c30cc0b8 by-tokens-25x100,seed=0
    2c42519d4d2d by-tokens-250x10,seed=0
    c210441ed321 by-tokens-2500x1,seed=0
    ");
    insta::assert_snapshot!(lines(&planned("epoch-frenzy", "smoke")), @"
    04641e483862 25x100
    8d092e11a15b 250x10
    239c526b9df4 2500x1
    72c13dc7243e by-tokens-25x100
    e7a5f2b857da by-tokens-250x10
    7bf51316d486 by-tokens-2500x1
    ");
}

#[test]
fn plans_of_grid_search() {
    insta::assert_snapshot!(
        "plans_of_grid_search_desk",
        lines(&planned("grid-search", "desk"))
    );
    insta::assert_snapshot!(
        "plans_of_grid_search_smoke",
        lines(&planned("grid-search", "smoke"))
    );
}

#[test]
fn plans_of_loss_comparison() {
    insta::assert_snapshot!(
        "plans_of_loss_comparison_desk",
        lines(&planned("loss-comparison", "desk"))
    );
    insta::assert_snapshot!(lines(&planned("loss-comparison", "smoke")), @"
    092501be9207 ce
    0d4b837a989b squentropy
    4205cb501e37 capstone
    a704d5eb4118 capstone-65
    75858700e766 capstone-classes
    fe32d93adb8e square
    6bcd68b072aa square-100
    842c68b0bd15 square-rescaled
    9c31a1716fbe softmax-square
    36a5631a7862 softmax-square-100
    afeda7d3b303 softmax-square-scaled
    d5fe367f81c1 square-100-near
    899269e76f2e ce-slow
    60c6bd85cf6f ce-fast
    1451a24d4e33 squentropy-slow
    4126c47f460a squentropy-fast
    5e9dd9f50569 published-ce
    09c89cb2e197 published-squentropy
    90870f7d0164 probable-squentropy
    ");
    insta::assert_snapshot!(
        "plans_of_loss_comparison_search",
        lines(&planned("loss-comparison", "search"))
    );
}

#[test]
fn plans_of_scale_up() {
    insta::assert_snapshot!(lines(&planned("scale-up", "desk")), @"
    5496e0b34eab grid-best,seed=0
    002f840e4eef grid-best,seed=1
    269358180396 grid-best,seed=2
    e22e338f98c6 grid-largest,seed=0
    5f3cc459bad3 grid-largest,seed=1
    fbe73fa02706 grid-largest,seed=2
    291271c9fa75 scale-up,seed=0
    400890e01a8d scale-up,seed=1
    2300298ec4ed scale-up,seed=2
    fc6997872b14 next-token,seed=0
    76eeb7a25e5d next-token,seed=1
    1b61f8639307 next-token,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("scale-up", "smoke")), @"
    91db989fb6f6 grid-best
    275a053ca500 grid-largest
    5731ec96df8d scale-up
    61a0caff0a31 next-token
    ");
}

#[test]
fn plans_of_sequence_handling() {
    insta::assert_snapshot!(
        "plans_of_sequence_handling_desk",
        lines(&planned("sequence-handling", "desk"))
    );
    insta::assert_snapshot!(
        "plans_of_sequence_handling_smoke",
        lines(&planned("sequence-handling", "smoke"))
    );
}

/// Two cells of the grid also occur in the scale-up: their identities must be equal, so that they are trained once.
#[test]
fn the_scale_up_shares_runs_with_the_grid() {
    let (grid, scale_up) = (planned("grid-search", "desk"), planned("scale-up", "desk"));
    for (case, cell) in [
        (
            "grid-best",
            "dim=64,n_layers=1,n_heads=8,max_seq_len=64,target_shift=2,seed=0",
        ),
        (
            "grid-largest",
            "dim=64,n_layers=4,n_heads=8,max_seq_len=64,target_shift=2,seed=0",
        ),
    ] {
        let id = |plan: &Plan, name: &str| {
            plan.runs
                .iter()
                .find(|run| run.name == name)
                .map(|run| run.id.to_string())
        };
        assert!(id(&grid, cell).is_some(), "{cell}");
        let case = format!("{case},seed=0");
        assert_eq!(id(&scale_up, &case), id(&grid, cell), "{case}");
    }
}

/// `check` accepts exactly the metrics of evaluations: a spec with one table cell per name is valid.
#[test]
fn the_spec_reader_knows_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.yaml");
    let columns: Vec<&str> = eval::METRICS.iter().map(|metric| metric.name).collect();
    let spec = |columns: &str| {
        format!(
            "specbook: 1\nname: metrics\ntitle: t\nbase:\n  data: {{corpus: {{stories: {{version: 1}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 4, validation: 2}}\n  model: {{dim: 8, n_layers: 1, n_heads: 2, max_seq_len: 8}}\n  train: {{batch_size: 2, optimizer: {{adamw: {{learning_rate: 0.001}}}}, validate: {{every: end}}}}\nseeds: [0]\ncells:\n  - table: {{rows: run, columns: [{columns}]}}\n"
        )
    };
    std::fs::write(&path, spec(&columns.join(", "))).unwrap();
    spec::load(&path, &LoadRequest::default()).unwrap_or_else(|error| panic!("{error}"));
    // The other direction: every name offered by the reader is a metric; refusing a name lists the number of known
    // ones.
    std::fs::write(&path, spec("no_such_metric")).unwrap();
    let error = spec::load(&path, &LoadRequest::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no_such_metric"), "{error}");
}

#[test]
fn every_shipped_spec_runs_in_its_smoke_profile() {
    for name in NAMES {
        let file = format!("{name}.yaml");
        let project = Project::with_shipped(&file);
        let spec = format!("specs/{file}");
        let ran = project.run(&["run", &spec, "-p", "smoke"]).success();
        assert!(ran.stderr.contains(" 0 cached"), "{}", ran.stderr);
        let page = project.read(&format!("reports/{name}@smoke/index.html"));
        assert!(page.contains("· profile smoke</p>"), "{name}");
        project
            .run(&["report", &spec, "-p", "smoke", "--check"])
            .success();
        let again = project.run(&["run", &spec, "-p", "smoke"]).success();
        assert!(again.stderr.contains(" 0 trained"), "{}", again.stderr);
    }
}
