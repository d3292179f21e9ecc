//! The shipped specs: which runs they plan at desk and smoke, and what their claims and cells are made of.

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
    016ef0988fd0 25x100,seed=0
    8cbce5b43fa8 25x100,seed=1
    624595dec288 25x100,seed=2
    d4befcdb1e6e 250x10,seed=0
    d34e15541abf 250x10,seed=1
    7f3de360f19d 250x10,seed=2
    1945be818090 2500x1,seed=0
    7e867421e389 2500x1,seed=1
    24195b2bbf7e 2500x1,seed=2
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
    insta::assert_snapshot!(lines(&planned("grid-search", "desk")), @"
    12f2436661e9 dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    fdd0d262cc08 dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    b66356987e56 dim=32,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    c041186492da dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    22bcf40322b3 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    52715f99eb52 dim=32,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    9f45aa426be9 dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    c5e23ba46b0c dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    253cbdab87d5 dim=32,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    62e0c176e2c4 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    349b7080b4d2 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    727b211fef8c dim=32,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    823afb2e7674 dim=32,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    5fc7033cd1f8 dim=32,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    78ffa0dea2c5 dim=32,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    68d92904821f dim=32,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    0a3aca7bf863 dim=32,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    8cb4c466eb10 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    6cae8610acf0 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    edc2c828ccb4 dim=32,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    9e9b8cccb68c dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    6c96eec3cc9d dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    bd4deedcf2b1 dim=128,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    12ca532f20b4 dim=128,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    e9104164c729 dim=128,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    9736903b5193 dim=128,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    a79be0b8d6ba dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    b0590604276e dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    079da5d39c53 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    1f37de0ab34a dim=128,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    ce0ee00da709 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    73780573ac01 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    291acf394995 dim=128,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    441e13a54094 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    4588ccc4b282 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    99c0eceff260 dim=128,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    4bb7a5da378c dim=128,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    ba2f74e78c61 dim=128,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    a5e2d53dced4 dim=128,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    76425c56fd7c dim=128,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    7bd979a71b20 dim=128,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    5d63fbd270c8 dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    52dcbe189297 dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    1707528a0dfd dim=128,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    dccb35949ca2 dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    98aa33a167aa dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    ");
    insta::assert_snapshot!(lines(&planned("grid-search", "smoke")), @"
    c6f650f08605 dim=16,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2
    c06131a0d9e2 dim=16,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2
    652567f5067f dim=16,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2
    206636e67cf0 dim=16,n_layers=1,n_heads=4,max_seq_len=8,target_shift=1
    9d7d2fe007f5 dim=16,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2
    d4f0a9f61485 dim=16,n_layers=1,n_heads=4,max_seq_len=32,target_shift=1
    c126872af5c1 dim=16,n_layers=2,n_heads=2,max_seq_len=8,target_shift=2
    7ed9d66119f9 dim=16,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    fcca60b7baf7 dim=16,n_layers=2,n_heads=4,max_seq_len=8,target_shift=2
    651065aeeacf dim=16,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    680278a6f805 dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2
    0f701c402687 dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2
    c77e395c9a85 dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2
    be09875c3fa4 dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=1
    720adb9e0f20 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2
    e3d7980efcb2 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=1
    450c67182532 dim=32,n_layers=2,n_heads=2,max_seq_len=8,target_shift=2
    494e2fd8ce42 dim=32,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    44128c3027a1 dim=32,n_layers=2,n_heads=4,max_seq_len=8,target_shift=2
    c2816a7f510a dim=32,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    ");
}

#[test]
fn plans_of_loss_comparison() {
    insta::assert_snapshot!(lines(&planned("loss-comparison", "desk")), @"
    2c8fa390d37c ce,seed=0
    45e52ca6e115 ce,seed=1
    5dd69f4f5397 ce,seed=2
    abea098173b7 squentropy,seed=0
    63b43f040e5e squentropy,seed=1
    8ae1f9e66653 squentropy,seed=2
    8d97436a54c9 capstone,seed=0
    72a7c70b5812 capstone,seed=1
    6b972c23c53e capstone,seed=2
    06311550b740 capstone-65,seed=0
    0a3886f269f1 capstone-65,seed=1
    bbc86ba9c012 capstone-65,seed=2
    534c3b507f54 square,seed=0
    4e40b22e02ea square,seed=1
    cd35b70d347e square,seed=2
    10775c004557 square-100,seed=0
    bdf80ccea11b square-100,seed=1
    faac89d6447d square-100,seed=2
    95177dddae10 square-rescaled,seed=0
    a6c62e216383 square-rescaled,seed=1
    ed313505f87e square-rescaled,seed=2
    06f168ae3ed8 published-ce,seed=0
    5028076574bf published-ce,seed=1
    8bc373d6588e published-ce,seed=2
    5468affaa2b5 published-squentropy,seed=0
    6e113fa953a3 published-squentropy,seed=1
    d9907854ee33 published-squentropy,seed=2
    eec554e22495 probable-squentropy,seed=0
    84d20c134dbc probable-squentropy,seed=1
    90c10dbfafa5 probable-squentropy,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("loss-comparison", "smoke")), @"
    092501be9207 ce
    0d4b837a989b squentropy
    4205cb501e37 capstone
    a704d5eb4118 capstone-65
    fe32d93adb8e square
    6bcd68b072aa square-100
    842c68b0bd15 square-rescaled
    5e9dd9f50569 published-ce
    09c89cb2e197 published-squentropy
    90870f7d0164 probable-squentropy
    ");
    insta::assert_snapshot!(lines(&planned("loss-comparison", "search")), @"
    53758f3ada41 capstone,learning_rate=6e-6,dropout=0.0,n_layers=2
    37b6be827e02 capstone,learning_rate=6e-6,dropout=0.0,n_layers=3
    5b141f1d0e96 capstone,learning_rate=6e-6,dropout=0.0,n_layers=4
    5c8f248ece22 capstone,learning_rate=6e-6,dropout=0.1,n_layers=2
    28c839a5c3d4 capstone,learning_rate=6e-6,dropout=0.1,n_layers=3
    cd76818773fb capstone,learning_rate=6e-6,dropout=0.1,n_layers=4
    9709f4f039e9 capstone,learning_rate=6e-6,dropout=0.2,n_layers=2
    e6e42684f867 capstone,learning_rate=6e-6,dropout=0.2,n_layers=3
    68010838af7c capstone,learning_rate=6e-6,dropout=0.2,n_layers=4
    7530d5a8e3dc capstone,learning_rate=0.0006,dropout=0.0,n_layers=2
    21d364a0aa18 capstone,learning_rate=0.0006,dropout=0.0,n_layers=3
    c5bddedcc537 capstone,learning_rate=0.0006,dropout=0.0,n_layers=4
    7ed7dd8c1ee5 capstone,learning_rate=0.0006,dropout=0.1,n_layers=2
    20b5bf8c9b8f capstone,learning_rate=0.0006,dropout=0.1,n_layers=3
    ed345488a364 capstone,learning_rate=0.0006,dropout=0.1,n_layers=4
    d7013807d5c6 capstone,learning_rate=0.0006,dropout=0.2,n_layers=2
    4ae9c5168a9a capstone,learning_rate=0.0006,dropout=0.2,n_layers=3
    a2172491efaf capstone,learning_rate=0.0006,dropout=0.2,n_layers=4
    2e2c93289be9 capstone,learning_rate=0.06,dropout=0.0,n_layers=2
    eb576fd2e360 capstone,learning_rate=0.06,dropout=0.0,n_layers=3
    496ed835933d capstone,learning_rate=0.06,dropout=0.0,n_layers=4
    99201ff51491 capstone,learning_rate=0.06,dropout=0.1,n_layers=2
    c43a6063e812 capstone,learning_rate=0.06,dropout=0.1,n_layers=3
    baa110cd3780 capstone,learning_rate=0.06,dropout=0.1,n_layers=4
    43598179a28b capstone,learning_rate=0.06,dropout=0.2,n_layers=2
    b25f0c06389e capstone,learning_rate=0.06,dropout=0.2,n_layers=3
    74c9ffcafc11 capstone,learning_rate=0.06,dropout=0.2,n_layers=4
    ");
}

#[test]
fn plans_of_scale_up() {
    insta::assert_snapshot!(lines(&planned("scale-up", "desk")), @"
    441e13a54094 grid-best
    dccb35949ca2 grid-largest
    8db419b78899 scale-up
    4ff5902ddc83 next-token
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
    insta::assert_snapshot!(lines(&planned("sequence-handling", "desk")), @"
    c57be0928bd1 naive-discard,seed=0
    14458b0f07eb naive-discard,seed=1
    5a61fa0a24eb naive-discard,seed=2
    96f2bbf4e67f naive-impute,seed=0
    8c23ce5a02df naive-impute,seed=1
    57c44da30c12 naive-impute,seed=2
    8121ed0ee492 pad-discard-20,seed=0
    1edbabbde577 pad-discard-20,seed=1
    9236481b452a pad-discard-20,seed=2
    3309912ebe0c pad-impute-20,seed=0
    97d850125b2a pad-impute-20,seed=1
    0ae6ae9b99f7 pad-impute-20,seed=2
    657075c67d79 pad-discard-100,seed=0
    8bde20aa14b4 pad-discard-100,seed=1
    bc49cd713bb3 pad-discard-100,seed=2
    bf71db00b41e pad-impute-100,seed=0
    5095e3c128fc pad-impute-100,seed=1
    5014bdbd8755 pad-impute-100,seed=2
    cd5990bc959d pad-discard-250,seed=0
    62f5d3b9714c pad-discard-250,seed=1
    25479fefe251 pad-discard-250,seed=2
    582a5063661f pad-impute-250,seed=0
    a67de727f7cf pad-impute-250,seed=1
    d11f60677ab1 pad-impute-250,seed=2
    83a0f584fe85 informed-50,seed=0
    c4ee32b7becc informed-50,seed=1
    dd1a9403382e informed-50,seed=2
    dae2a0f4f33a informed-100,seed=0
    2f17bd0765c8 informed-100,seed=1
    d3f786daa5db informed-100,seed=2
    45cd197e2f25 informed-150,seed=0
    5bb08bbabe0f informed-150,seed=1
    ca96953614f9 informed-150,seed=2
    c6db54f3be76 informed-200,seed=0
    f6b930b528f7 informed-200,seed=1
    1dc80cf41552 informed-200,seed=2
    456c9f1c265c described-impute-100,seed=0
    55b88ab5156b described-impute-100,seed=1
    e23d5cb9bf17 described-impute-100,seed=2
    8063b4dcd281 described-informed-50,seed=0
    d22dabb323b8 described-informed-50,seed=1
    9243d168479a described-informed-50,seed=2
    7d6c60d84cda described-informed-100,seed=0
    74baac0a6d84 described-informed-100,seed=1
    3634159d6a4a described-informed-100,seed=2
    24404fd26ce7 shuffled-naive-discard,seed=0
    2a0e1e0802bb shuffled-naive-discard,seed=1
    49151caeff7f shuffled-naive-discard,seed=2
    c56619434d18 shuffled-naive-impute,seed=0
    42de2c54a021 shuffled-naive-impute,seed=1
    c78cd2397b31 shuffled-naive-impute,seed=2
    8b38bc977dce shuffled-pad-discard-100,seed=0
    825df6f57c21 shuffled-pad-discard-100,seed=1
    ed476e317a26 shuffled-pad-discard-100,seed=2
    62f981cceb1b shuffled-pad-impute-100,seed=0
    a605fbbe94f6 shuffled-pad-impute-100,seed=1
    b5c993d7c029 shuffled-pad-impute-100,seed=2
    025a810006b2 equal-discard,seed=0
    a23c3f8f2a7b equal-discard,seed=1
    6f80a22ae2c3 equal-discard,seed=2
    8fd753c079a3 equal-impute,seed=0
    c6d881d31451 equal-impute,seed=1
    cbdf3d72433b equal-impute,seed=2
    f8b0315cbcf2 equal-described-impute,seed=0
    15e19379de49 equal-described-impute,seed=1
    195fa3c4e3a0 equal-described-impute,seed=2
    d9825f79aca7 equal-informed,seed=0
    9e6846fbd9c7 equal-informed,seed=1
    afa1ac2f05a9 equal-informed,seed=2
    f94209719ae8 equal-described-informed,seed=0
    7c981cc3fef8 equal-described-informed,seed=1
    5e792064d9b5 equal-described-informed,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("sequence-handling", "smoke")), @"
    674c500e0749 naive-discard
    d0c2bd898026 naive-impute
    99498ad3b3f0 pad-discard-20
    4fc76554acc3 pad-impute-20
    652958118255 pad-discard-100
    f4b6b8bae209 pad-impute-100
    8bcccea73edf pad-discard-250
    7ff2814e55da pad-impute-250
    0da0b0d2d800 informed-50
    43b3ce3f13e3 informed-100
    f63981184732 informed-150
    33cf98ba2836 informed-200
    d18ac1486a48 described-impute-100
    cfeab99cbab9 described-informed-50
    4468205799a2 described-informed-100
    7df5c63932f5 shuffled-naive-discard
    f1c646ff2a2f shuffled-naive-impute
    91336e7b3dc0 shuffled-pad-discard-100
    6618b26c7da7 shuffled-pad-impute-100
    615ff0a511b2 equal-discard
    d2c78950aa6d equal-impute
    02a690decb7f equal-described-impute
    063a0beb238b equal-informed
    74247e0eba24 equal-described-informed
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
        let case = format!("{case},seed=0");
        assert_eq!(id(&scale_up, &case), id(&grid, cell), "{case}");
    }
}

/// What `check` accepts as a metric is what evaluations know: a spec of one table cell per name is read.
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
    // The other direction: every name that the reader offers is a metric; it says how many it knows by refusing one.
    std::fs::write(&path, spec("no_such_metric")).unwrap();
    let error = spec::load(&path, &LoadRequest::default())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no_such_metric"), "{error}");
}
