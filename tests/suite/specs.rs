//! The shipped specs: which runs they plan at desk and smoke, and what their claims and cells are made of.

use specbook::data::DataContext;
use specbook::plan::{self, Plan};
use specbook::spec::{self, LoadRequest, Spec};
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

/// The plan, without any cache: everything is an embedded corpus and a tokenizer trained by the run.
fn planned(name: &str, profile: &str) -> Plan {
    let folder = tempfile::tempdir().unwrap();
    let context = DataContext {
        base: folder.path().to_path_buf(),
        ..DataContext::default()
    };
    plan::expand(&load(name, profile), &context).unwrap()
}

/// One line a run: the start of its id and its name.
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
    7841bd4a6a8a 25x100,seed=0
    97fbf2ac6666 25x100,seed=1
    2bc931695747 25x100,seed=2
    0723a1572620 250x10,seed=0
    14570ec3ac69 250x10,seed=1
    40dde917d7c9 250x10,seed=2
    f89746828623 2500x1,seed=0
    4dcc80ba10cd 2500x1,seed=1
    d90ccf4bb54d 2500x1,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("epoch-frenzy", "smoke")), @"
    99fc6ec36598 25x100
    ba7a44c605ff 250x10
    e293c2e9fc63 2500x1
    ");
}

#[test]
fn plans_of_grid_search() {
    insta::assert_snapshot!(lines(&planned("grid-search", "desk")), @"
    cae9501353ba dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    fbf85b60e7f3 dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    09e850327a55 dim=32,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    bbb751b3048d dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    7edc198c7535 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    3127ae3a526b dim=32,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    c2748665f17b dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    8471ed9303dc dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    21f0f5b8a12e dim=32,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    e35246a9444c dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    c170eed46ac3 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    9d01653bb6a3 dim=32,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    4136c1424ecd dim=32,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    66ba60d3c387 dim=32,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    da6b6a8ee187 dim=32,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    d9d659f77aba dim=32,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    4094d6007756 dim=32,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    48110e5b2963 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    b2eba4233c26 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    d507e0746909 dim=32,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    663be31f0821 dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    4167dd83153f dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    6db71c14f0b4 dim=128,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    890fd6b2b359 dim=128,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    44f859ab6fd0 dim=128,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    5fbc818ecfb0 dim=128,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    2432114e0220 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    ffc23d0a38a2 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    09c905f1d633 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    fbc4a91db72f dim=128,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    a793811d0e68 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    ebef2c3b73ff dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    2f032098d6b7 dim=128,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    a01c82a50520 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    085fbe706be6 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    406956a1cbbb dim=128,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    6d1731d91f18 dim=128,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    0102d9ae9ec5 dim=128,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    80ed00e05c83 dim=128,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    1500ffd9ea3e dim=128,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    f5adf6253708 dim=128,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    6ef6830b6d15 dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    c60141b0916f dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    fe9559d4ea47 dim=128,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    89b686a17a1b dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    54c8c2fcff87 dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    ");
    insta::assert_snapshot!(lines(&planned("grid-search", "smoke")), @"
    e39b0936fb0a dim=16,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2
    5957e94c7d28 dim=16,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2
    092ed7ea56f1 dim=16,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2
    45f1b533c3f5 dim=16,n_layers=1,n_heads=4,max_seq_len=8,target_shift=1
    efd0e9f6da2e dim=16,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2
    acd832cd92cc dim=16,n_layers=1,n_heads=4,max_seq_len=32,target_shift=1
    3c88e8fe4048 dim=16,n_layers=2,n_heads=2,max_seq_len=8,target_shift=2
    d5daaaf74f5f dim=16,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    a67a83f18bb3 dim=16,n_layers=2,n_heads=4,max_seq_len=8,target_shift=2
    6fd72643b828 dim=16,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    51609304bc73 dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2
    14a3a928e69c dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2
    c9d87b0d4c37 dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2
    bf67478ce781 dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=1
    9df61534452b dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2
    e8873b2bca89 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=1
    2b457e8edd40 dim=32,n_layers=2,n_heads=2,max_seq_len=8,target_shift=2
    7740a443cd16 dim=32,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    941a04875556 dim=32,n_layers=2,n_heads=4,max_seq_len=8,target_shift=2
    566ce6d7b7d4 dim=32,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    ");
}

#[test]
fn plans_of_loss_comparison() {
    insta::assert_snapshot!(lines(&planned("loss-comparison", "desk")), @"
    770b9396b608 ce,seed=0
    9ca9beb9f70d ce,seed=1
    a4f7eb54da88 ce,seed=2
    40aa36af46d5 squentropy,seed=0
    a0b60fd3bc28 squentropy,seed=1
    83b256b55fab squentropy,seed=2
    ed3b4da52be9 capstone,seed=0
    cbea9a92abad capstone,seed=1
    40f0794c5c20 capstone,seed=2
    2f84672b5f43 capstone-65,seed=0
    0d3f32a3177d capstone-65,seed=1
    25b8aff6d6c8 capstone-65,seed=2
    ce3781f8be3b square,seed=0
    c22bdfcbf062 square,seed=1
    3b29297134a2 square,seed=2
    e124169644eb square-100,seed=0
    337caeb40dcb square-100,seed=1
    880ea7a26e24 square-100,seed=2
    dff588129628 square-rescaled,seed=0
    2440c05e37d3 square-rescaled,seed=1
    37ccf6ffada8 square-rescaled,seed=2
    1035ee9edd80 published-ce,seed=0
    ba7c44520e27 published-ce,seed=1
    451ea6367e05 published-ce,seed=2
    872b0c1c913c published-squentropy,seed=0
    03f1e63881c1 published-squentropy,seed=1
    0fb566639546 published-squentropy,seed=2
    05ad45198ae1 probable-squentropy,seed=0
    84ae3f418916 probable-squentropy,seed=1
    06dbba3ed7e9 probable-squentropy,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("loss-comparison", "smoke")), @"
    b0d349e0e3ce ce
    0af0154fc1f2 squentropy
    be0ea693a10d capstone
    35b83603d079 capstone-65
    53341b4310c4 square
    cdd8a1434e5d square-100
    2ebad4f479ef square-rescaled
    446814cb0565 published-ce
    4fc5fc5a3175 published-squentropy
    cf76de6b8e8e probable-squentropy
    ");
    insta::assert_snapshot!(lines(&planned("loss-comparison", "search")), @"
    38e62b0fc8e9 capstone,learning_rate=6e-6,dropout=0.0,n_layers=2
    f8bf295a4529 capstone,learning_rate=6e-6,dropout=0.0,n_layers=3
    d04c514adeec capstone,learning_rate=6e-6,dropout=0.0,n_layers=4
    c795830a3bf6 capstone,learning_rate=6e-6,dropout=0.1,n_layers=2
    57bf34d1ea7a capstone,learning_rate=6e-6,dropout=0.1,n_layers=3
    97a24bfd1202 capstone,learning_rate=6e-6,dropout=0.1,n_layers=4
    4fc612f88e70 capstone,learning_rate=6e-6,dropout=0.2,n_layers=2
    e85217d2486f capstone,learning_rate=6e-6,dropout=0.2,n_layers=3
    017ef151a9ee capstone,learning_rate=6e-6,dropout=0.2,n_layers=4
    8f9fbb0e6c08 capstone,learning_rate=0.0006,dropout=0.0,n_layers=2
    99eb5c31e130 capstone,learning_rate=0.0006,dropout=0.0,n_layers=3
    3ba63328db30 capstone,learning_rate=0.0006,dropout=0.0,n_layers=4
    a47795d58932 capstone,learning_rate=0.0006,dropout=0.1,n_layers=2
    a33f03439391 capstone,learning_rate=0.0006,dropout=0.1,n_layers=3
    3c1d5586d088 capstone,learning_rate=0.0006,dropout=0.1,n_layers=4
    34556606a341 capstone,learning_rate=0.0006,dropout=0.2,n_layers=2
    2be87e5daa0f capstone,learning_rate=0.0006,dropout=0.2,n_layers=3
    18101bc29cce capstone,learning_rate=0.0006,dropout=0.2,n_layers=4
    8445634bfab3 capstone,learning_rate=0.06,dropout=0.0,n_layers=2
    0bcbe4c608c8 capstone,learning_rate=0.06,dropout=0.0,n_layers=3
    5ad901741c9f capstone,learning_rate=0.06,dropout=0.0,n_layers=4
    205d32f7ff1d capstone,learning_rate=0.06,dropout=0.1,n_layers=2
    614b4251f283 capstone,learning_rate=0.06,dropout=0.1,n_layers=3
    e883612b7066 capstone,learning_rate=0.06,dropout=0.1,n_layers=4
    76ce0905d41b capstone,learning_rate=0.06,dropout=0.2,n_layers=2
    4cc6e41297a1 capstone,learning_rate=0.06,dropout=0.2,n_layers=3
    68b5a38d6a0e capstone,learning_rate=0.06,dropout=0.2,n_layers=4
    ");
}

#[test]
fn plans_of_scale_up() {
    insta::assert_snapshot!(lines(&planned("scale-up", "desk")), @"
    a01c82a50520 grid-best
    89b686a17a1b grid-largest
    c492b7a8ccf9 scale-up
    bcf24b67868a next-token
    ");
    insta::assert_snapshot!(lines(&planned("scale-up", "smoke")), @"
    9d66f8b29760 grid-best
    4cf31cfa2867 grid-largest
    bdcacb59fe62 scale-up
    2e56bcce4242 next-token
    ");
}

#[test]
fn plans_of_sequence_handling() {
    insta::assert_snapshot!(lines(&planned("sequence-handling", "desk")), @"
    65f1c56192e2 naive-discard,seed=0
    7a66b1156415 naive-discard,seed=1
    e242d346a273 naive-discard,seed=2
    02ab4b45881c naive-impute,seed=0
    14b53bb1f8ae naive-impute,seed=1
    69b5c0e73f39 naive-impute,seed=2
    330d01f2413f pad-discard-20,seed=0
    507186ebf80e pad-discard-20,seed=1
    88a52e11505b pad-discard-20,seed=2
    ec359e708bb5 pad-impute-20,seed=0
    19a420b72d3d pad-impute-20,seed=1
    3b0a8a169806 pad-impute-20,seed=2
    7d7bbdfa4ee3 pad-discard-100,seed=0
    f17bde863261 pad-discard-100,seed=1
    46ee34e9710c pad-discard-100,seed=2
    ea33b80890af pad-impute-100,seed=0
    9480082628b4 pad-impute-100,seed=1
    8e562966b307 pad-impute-100,seed=2
    50563d95ce88 pad-discard-250,seed=0
    cc05bc745d69 pad-discard-250,seed=1
    0c3d2d4240ff pad-discard-250,seed=2
    aa6b643c8c69 pad-impute-250,seed=0
    a21c8621c2f8 pad-impute-250,seed=1
    74a71d420f31 pad-impute-250,seed=2
    359844647582 informed-50,seed=0
    5f37e0c65209 informed-50,seed=1
    65f5f0200d0e informed-50,seed=2
    75eaf943eec2 informed-100,seed=0
    0a89cbacdf84 informed-100,seed=1
    1476d5ecedf2 informed-100,seed=2
    3b84e7d3b13b informed-150,seed=0
    5a4445507e49 informed-150,seed=1
    0dbaca685a04 informed-150,seed=2
    3f1c9d105597 informed-200,seed=0
    2687c1ce15c3 informed-200,seed=1
    bdab7b7b1ec4 informed-200,seed=2
    0e62e8f8419c described-impute-100,seed=0
    8464cc3bfbca described-impute-100,seed=1
    54e05159bbe5 described-impute-100,seed=2
    d5f33fdde972 described-informed-50,seed=0
    83ce37586233 described-informed-50,seed=1
    89e9b010293b described-informed-50,seed=2
    c283e659cce7 described-informed-100,seed=0
    0ed84fcd15c6 described-informed-100,seed=1
    7e01a0c855b1 described-informed-100,seed=2
    0600d9148414 shuffled-naive-discard,seed=0
    9bfaa5b53860 shuffled-naive-discard,seed=1
    87b5a682be86 shuffled-naive-discard,seed=2
    5cc5dd147d14 shuffled-naive-impute,seed=0
    40c9e7bc4089 shuffled-naive-impute,seed=1
    084573fa7f2d shuffled-naive-impute,seed=2
    38102cc563ac shuffled-pad-discard-100,seed=0
    9ae0e1e5b495 shuffled-pad-discard-100,seed=1
    c794cff50ab5 shuffled-pad-discard-100,seed=2
    e0ccfe18826b shuffled-pad-impute-100,seed=0
    48cde02f2740 shuffled-pad-impute-100,seed=1
    3bf121807c1b shuffled-pad-impute-100,seed=2
    bf7eec1426e1 equal-discard,seed=0
    46cf0e566079 equal-discard,seed=1
    3ed3cfa8e5a4 equal-discard,seed=2
    c3567588c89d equal-impute,seed=0
    46a421ba6b29 equal-impute,seed=1
    5b5ed1ee130e equal-impute,seed=2
    537a2f567dc3 equal-described-impute,seed=0
    cab9e580f8cd equal-described-impute,seed=1
    def8431431e0 equal-described-impute,seed=2
    37ca20941c02 equal-informed,seed=0
    324a0d3d2855 equal-informed,seed=1
    b99b0d4cd33c equal-informed,seed=2
    87a178cd0e13 equal-described-informed,seed=0
    dca060a0c2d7 equal-described-informed,seed=1
    dee211d746f7 equal-described-informed,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("sequence-handling", "smoke")), @"
    ddb3366fb8d0 naive-discard
    c22cdeb8fd20 naive-impute
    e342faf8c606 pad-discard-20
    0d5b90394618 pad-impute-20
    c932dae55aae pad-discard-100
    915febc45921 pad-impute-100
    196ecf115b04 pad-discard-250
    816b9d8cdbde pad-impute-250
    d09436a0422f informed-50
    a52f5b26e233 informed-100
    3c8afd0d558d informed-150
    8ff4beceb32f informed-200
    0d0a11302ec6 described-impute-100
    ac2dd9870a94 described-informed-50
    b0bdbfb6fec8 described-informed-100
    f5683e58b220 shuffled-naive-discard
    3665d319ce65 shuffled-naive-impute
    407081a397b0 shuffled-pad-discard-100
    1baddfbc6d33 shuffled-pad-impute-100
    24d987a52213 equal-discard
    0eeee98bef11 equal-impute
    f7c688fd8255 equal-described-impute
    8e9c938dc599 equal-informed
    6062e46c9fbe equal-described-informed
    ");
}

/// Two cells of the grid stand in the scale-up as well: their identities have to be the same, so that they are trained once.
#[test]
fn the_scale_up_shares_runs_with_the_grid() {
    let (grid, scale_up) = (planned("grid-search", "desk"), planned("scale-up", "desk"));
    for (case, cell) in [
        (
            "grid-best",
            "dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0",
        ),
        (
            "grid-largest",
            "dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0",
        ),
    ] {
        let id = |plan: &Plan, name: &str| {
            plan.runs
                .iter()
                .find(|run| run.name == name)
                .map(|run| run.id.to_string())
        };
        assert!(id(&grid, cell).is_some(), "{cell}");
        assert_eq!(id(&scale_up, case), id(&grid, cell), "{case}");
    }
}

/// What `check` accepts as a metric is what evaluations know: a spec of one table cell per name is read.
#[test]
fn the_spec_reader_knows_every_metric() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics.yaml");
    let columns: Vec<&str> = specbook::eval::METRICS
        .iter()
        .map(|metric| metric.name)
        .collect();
    let spec = |columns: &str| {
        format!(
            "specbook: 1\nname: metrics\ntitle: t\nbase:\n  data: {{corpus: {{stories: {{version: 1}}}}, tokenizer: {{train_bpe: {{vocab_size: 300}}}}, train: 4, validation: 2}}\n  model: {{dim: 8, n_layers: 1, n_heads: 2, max_seq_len: 8}}\n  train: {{batch_size: 2, optimizer: {{adamw: {{learning_rate: 0.001}}}}, validate: {{every: end}}}}\nseeds: [0]\ncells:\n  - table: {{rows: run, columns: [{columns}]}}\n"
        )
    };
    std::fs::write(&path, spec(&columns.join(", "))).unwrap();
    spec::load(&path, &LoadRequest::default()).unwrap_or_else(|error| panic!("{error}"));
    // The other direction: every name that the reader offers is a metric; it says how many it knows by refusing one.
    std::fs::write(&path, spec("no_such_metric")).unwrap();
    let error = spec::load(&path, &LoadRequest::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no_such_metric"), "{error}");
}

/// Every expression of every claim and text cell is one that the evaluator can read.
#[test]
fn every_expression_can_be_read() {
    for name in NAMES {
        let spec = load(name, "desk");
        for claim in &spec.claims {
            if let Some(measure) = &claim.measure {
                specbook::expr::check(measure)
                    .unwrap_or_else(|error| panic!("{name}, {}: {error}", claim.id));
            }
        }
        for cell in &spec.cells {
            if let spec::Cell::Text(text) = &cell.value {
                specbook::expr::check_text(text)
                    .unwrap_or_else(|error| panic!("{name}, line {}: {error}", cell.line));
            }
        }
    }
}
