//! The shipped specs: which runs they plan under each profile, and what their claims and cells are made of.

use specbook::data::DataContext;
use specbook::plan::{self, Plan};
use specbook::spec::{self, LoadRequest, Spec};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

const NAMES: [&str; 5] = [
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

fn load(name: &str, profile: &str) -> Spec {
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

/// Names of a profile's runs; its files need not be there.
fn run_names(name: &str, profile: &str) -> String {
    load(name, profile)
        .runs
        .iter()
        .map(|run| run.name.as_str())
        .collect::<Vec<_>>()
        .join("\n")
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
    insta::assert_snapshot!(run_names("epoch-frenzy", "paper"), @"
    25x100
    250x10
    2500x1
    ");
}

#[test]
fn plans_of_grid_search() {
    insta::assert_snapshot!(lines(&planned("grid-search", "desk")), @"
    0ba0fd3c28d9 dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    db37cd3eb68f dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    9c9fa3282380 dim=32,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    a1ff1f13e75c dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    1b8c154e4e76 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    2a226d1beb2e dim=32,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    e6bc9146af56 dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    910538c5e1fc dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    a40823788819 dim=32,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    54849fd9b5ca dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    4267019aa445 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    47397d98fbea dim=32,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    73169c6e0a8f dim=32,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    1397278ea385 dim=32,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    6b94d702e61d dim=32,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    a295f92bf07c dim=32,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    4f1fe3d1b3a8 dim=32,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    2ab6d074bd85 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    64dc117690b3 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    5d7e8345b648 dim=32,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    6236c7393bf7 dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    edce605e6359 dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    b0af36c80fd4 dim=128,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    44bdd84cde58 dim=128,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    57398555223c dim=128,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    e097926cd754 dim=128,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    31f398cd224d dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    83430338e386 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    5399c9123908 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    599233aafaea dim=128,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    8bc791f951b8 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    730442c5ce52 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    0c483e7db0d2 dim=128,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    ae1314e6dfd1 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    295d462c6c6a dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    db399f6732b9 dim=128,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    ce0ed32717db dim=128,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    0047fb064338 dim=128,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    04540454fdd5 dim=128,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    78248d9c38d9 dim=128,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    cd757ca23de9 dim=128,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    93c531f5504e dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    dd13cc84bc8a dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    c5d1e684d913 dim=128,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    6d55ddb13ae5 dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    de9394880bcc dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
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
    insta::assert_snapshot!(run_names("grid-search", "paper"), @"
    dim=128,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    dim=128,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2
    dim=128,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2
    dim=128,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    dim=128,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2
    dim=128,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2
    dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2
    dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1
    dim=128,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2
    dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2
    dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1
    dim=128,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2
    dim=128,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2
    dim=128,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2
    dim=128,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2
    dim=128,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2
    dim=128,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2
    dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2
    dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1
    dim=128,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2
    dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2
    dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1
    dim=512,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2
    dim=512,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2
    dim=512,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2
    dim=512,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2
    dim=512,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2
    dim=512,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2
    dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2
    dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1
    dim=512,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2
    dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2
    dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1
    dim=512,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2
    dim=512,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2
    dim=512,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2
    dim=512,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2
    dim=512,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2
    dim=512,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2
    dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2
    dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1
    dim=512,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2
    dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2
    dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1
    ");
}

#[test]
fn plans_of_loss_comparison() {
    insta::assert_snapshot!(lines(&planned("loss-comparison", "desk")), @"
    b7fc3dce0bc4 ce,seed=0
    7cf1aff34a14 ce,seed=1
    a00b9f08359e ce,seed=2
    cafd46ec89c9 squentropy,seed=0
    ec6f0c23d207 squentropy,seed=1
    7a1fac3ff5ba squentropy,seed=2
    5aed0876762c capstone,seed=0
    df176c39a9c6 capstone,seed=1
    21ba3bf0e5ce capstone,seed=2
    04c6c984559a capstone-65,seed=0
    b34d06bb0e43 capstone-65,seed=1
    b2d7c8ab97e1 capstone-65,seed=2
    a2330aad91c2 square,seed=0
    5ad1b0696606 square,seed=1
    14db29715539 square,seed=2
    5fcd96aec597 square-100,seed=0
    b56be4ef2eb4 square-100,seed=1
    d360964cef2c square-100,seed=2
    f46fe8df32c4 square-rescaled,seed=0
    aea4743251b3 square-rescaled,seed=1
    8f83634fb047 square-rescaled,seed=2
    9fa6cec1a070 published-ce,seed=0
    bc97bbbe18f9 published-ce,seed=1
    4205f212024c published-ce,seed=2
    9f9f3a57d5bb published-squentropy,seed=0
    8cbcadccb91f published-squentropy,seed=1
    a33b50242ef5 published-squentropy,seed=2
    78da9b0463c9 probable-squentropy,seed=0
    248eeff113c7 probable-squentropy,seed=1
    2afe680a30be probable-squentropy,seed=2
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
    90fb8702ce2c capstone,learning_rate=6e-6,dropout=0.0,n_layers=2
    44da9131ac87 capstone,learning_rate=6e-6,dropout=0.0,n_layers=3
    c7a11d1e7bd9 capstone,learning_rate=6e-6,dropout=0.0,n_layers=4
    788f74930f6d capstone,learning_rate=6e-6,dropout=0.1,n_layers=2
    238dca787f7d capstone,learning_rate=6e-6,dropout=0.1,n_layers=3
    41909a3e31a3 capstone,learning_rate=6e-6,dropout=0.1,n_layers=4
    b09003e32408 capstone,learning_rate=6e-6,dropout=0.2,n_layers=2
    9d79f9dba5d3 capstone,learning_rate=6e-6,dropout=0.2,n_layers=3
    350e6e2068e1 capstone,learning_rate=6e-6,dropout=0.2,n_layers=4
    ee59c4430364 capstone,learning_rate=0.0006,dropout=0.0,n_layers=2
    0d58b9d81923 capstone,learning_rate=0.0006,dropout=0.0,n_layers=3
    bd7a4196d888 capstone,learning_rate=0.0006,dropout=0.0,n_layers=4
    6c819c36f867 capstone,learning_rate=0.0006,dropout=0.1,n_layers=2
    db4bb1659fc3 capstone,learning_rate=0.0006,dropout=0.1,n_layers=3
    888895ba594a capstone,learning_rate=0.0006,dropout=0.1,n_layers=4
    3c9e14c9dac6 capstone,learning_rate=0.0006,dropout=0.2,n_layers=2
    8146f39ed38c capstone,learning_rate=0.0006,dropout=0.2,n_layers=3
    ca63eeaf3928 capstone,learning_rate=0.0006,dropout=0.2,n_layers=4
    92756d20e01c capstone,learning_rate=0.06,dropout=0.0,n_layers=2
    1c1abc4e8bca capstone,learning_rate=0.06,dropout=0.0,n_layers=3
    86f08ede5c1b capstone,learning_rate=0.06,dropout=0.0,n_layers=4
    4d999fbdd257 capstone,learning_rate=0.06,dropout=0.1,n_layers=2
    2fb5ff19f913 capstone,learning_rate=0.06,dropout=0.1,n_layers=3
    c8c02ef1df7c capstone,learning_rate=0.06,dropout=0.1,n_layers=4
    b09f7ea5b1d7 capstone,learning_rate=0.06,dropout=0.2,n_layers=2
    40fdda583ae2 capstone,learning_rate=0.06,dropout=0.2,n_layers=3
    9973fa9026c4 capstone,learning_rate=0.06,dropout=0.2,n_layers=4
    ");
    insta::assert_snapshot!(run_names("loss-comparison", "paper"), @"
    ce
    squentropy
    capstone
    capstone-65
    square
    square-100
    square-rescaled
    published-ce
    published-squentropy
    probable-squentropy
    ");
}

#[test]
fn plans_of_scale_up() {
    insta::assert_snapshot!(lines(&planned("scale-up", "desk")), @"
    ae1314e6dfd1 grid-best
    6d55ddb13ae5 grid-largest
    904bacb86d20 scale-up
    3f96c239303d next-token
    ");
    insta::assert_snapshot!(lines(&planned("scale-up", "smoke")), @"
    9d66f8b29760 grid-best
    4cf31cfa2867 grid-largest
    bdcacb59fe62 scale-up
    2e56bcce4242 next-token
    ");
    insta::assert_snapshot!(run_names("scale-up", "paper"), @"
    grid-best
    grid-largest
    scale-up
    next-token
    ");
}

#[test]
fn plans_of_sequence_handling() {
    insta::assert_snapshot!(lines(&planned("sequence-handling", "desk")), @"
    53a15db5e57e naive-discard,seed=0
    c8322341a5d0 naive-discard,seed=1
    3a1a17eeb190 naive-discard,seed=2
    d9a8791dfac4 naive-impute,seed=0
    93231beeca7e naive-impute,seed=1
    3f75efb15c78 naive-impute,seed=2
    86545d606ffb pad-discard-20,seed=0
    b801c1a82789 pad-discard-20,seed=1
    49c01798b7c8 pad-discard-20,seed=2
    6f8b4744c2bb pad-impute-20,seed=0
    88513003106a pad-impute-20,seed=1
    a889ce0e4a80 pad-impute-20,seed=2
    0143cde36e6e pad-discard-100,seed=0
    4e39d4e80eed pad-discard-100,seed=1
    445ca71e2384 pad-discard-100,seed=2
    d15d1299542f pad-impute-100,seed=0
    dc050efc3872 pad-impute-100,seed=1
    7cce8204af27 pad-impute-100,seed=2
    11e7e9e0fdd5 pad-discard-250,seed=0
    e5b716a80865 pad-discard-250,seed=1
    4d323c49ad7b pad-discard-250,seed=2
    87da246c00ab pad-impute-250,seed=0
    8c0c77f44c9a pad-impute-250,seed=1
    eb83a8d759e8 pad-impute-250,seed=2
    0049e5b84e24 informed-50,seed=0
    98dfa893039b informed-50,seed=1
    6cd12813b231 informed-50,seed=2
    48007710468d informed-100,seed=0
    75d337903708 informed-100,seed=1
    9caa99072ddb informed-100,seed=2
    b34606baa1c9 informed-150,seed=0
    aa4764f9d6ee informed-150,seed=1
    c74005da829e informed-150,seed=2
    8fbaaae87002 informed-200,seed=0
    fc6baceacb5a informed-200,seed=1
    e7dedc01b499 informed-200,seed=2
    02c8a32c7aa1 described-impute-100,seed=0
    f6072206da6a described-impute-100,seed=1
    328bb69f366f described-impute-100,seed=2
    248b99edc634 described-informed-50,seed=0
    fafbcd9a9317 described-informed-50,seed=1
    3e892809d6c3 described-informed-50,seed=2
    c89d9ea2628a described-informed-100,seed=0
    47d314c91cf3 described-informed-100,seed=1
    d2cd192c96f7 described-informed-100,seed=2
    039a2a7dea3c shuffled-naive-discard,seed=0
    c715a3bd6737 shuffled-naive-discard,seed=1
    e7dad183a4c4 shuffled-naive-discard,seed=2
    aef26bf49e5b shuffled-naive-impute,seed=0
    46e8d3294251 shuffled-naive-impute,seed=1
    3a999358d2e0 shuffled-naive-impute,seed=2
    4f7ab867c7bd shuffled-pad-discard-100,seed=0
    86b404ddeec9 shuffled-pad-discard-100,seed=1
    cee81d9c0fca shuffled-pad-discard-100,seed=2
    29e81f4b5230 shuffled-pad-impute-100,seed=0
    f4ff4e1311ac shuffled-pad-impute-100,seed=1
    6b2568f010a3 shuffled-pad-impute-100,seed=2
    43116cae70f7 equal-discard,seed=0
    3589591b89d4 equal-discard,seed=1
    03aa86e5deaf equal-discard,seed=2
    476a783711f6 equal-impute,seed=0
    6a279199365c equal-impute,seed=1
    787b2514319d equal-impute,seed=2
    bfb347d4b9be equal-described-impute,seed=0
    d42d8077c34f equal-described-impute,seed=1
    f0af48314fb0 equal-described-impute,seed=2
    fe7d2bb0be77 equal-informed,seed=0
    67cf93804ec1 equal-informed,seed=1
    9aa3202ff4f3 equal-informed,seed=2
    e184f23469bd equal-described-informed,seed=0
    5f41902d6c04 equal-described-informed,seed=1
    a293bbbb10ce equal-described-informed,seed=2
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
    insta::assert_snapshot!(run_names("sequence-handling", "paper"), @"
    naive-discard
    naive-impute
    pad-discard-20
    pad-impute-20
    pad-discard-100
    pad-impute-100
    pad-discard-250
    pad-impute-250
    informed-50
    informed-100
    informed-150
    informed-200
    described-impute-100
    described-informed-50
    described-informed-100
    shuffled-naive-discard
    shuffled-naive-impute
    shuffled-pad-discard-100
    shuffled-pad-impute-100
    equal-discard
    equal-impute
    equal-described-impute
    equal-informed
    equal-described-informed
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

/// Published sizes, from the plans' own settings (vocabulary of 32,000 and 50,257 entries).
#[test]
fn paper_profiles_have_the_published_models() {
    let parameters = |name: &str, run: &str, vocabulary: usize| {
        let spec = load(name, "paper");
        let run = spec
            .runs
            .iter()
            .find(|one| one.name == run)
            .unwrap_or_else(|| panic!("{name}: {run}"));
        run.settings.model.resolve(vocabulary).parameters()
    };
    let grid = |dim, layers| {
        format!("dim={dim},n_layers={layers},n_heads=8,max_seq_len=512,target_shift=2")
    };
    assert_eq!(parameters("grid-search", &grid(128, 2), 32_000), 8_618_624);
    assert_eq!(parameters("grid-search", &grid(512, 8), 32_000), 58_466_816);
    assert_eq!(parameters("scale-up", "scale-up", 32_000), 60_039_680);
    assert_eq!(parameters("epoch-frenzy", "2500x1", 32_000), 60_039_680);
    assert_eq!(
        parameters("sequence-handling", "naive-discard", 32_000),
        60_039_680
    );
    let positions = 1024 * 768;
    let millions = |run: &str| {
        format!(
            "{:.2}",
            (parameters("loss-comparison", run, 50_257) - positions) as f64 / 1e6
        )
    };
    assert_eq!(
        (millions("published-ce"), millions("published-squentropy")),
        ("123.59".to_owned(), "151.91".to_owned())
    );
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
