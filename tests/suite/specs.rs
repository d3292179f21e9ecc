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
    3990784ae21c 25x100,seed=0
    f72367662aab 25x100,seed=1
    997d57ee7bfa 25x100,seed=2
    f23aa90bd5b8 250x10,seed=0
    47f894128f83 250x10,seed=1
    e11cc1f76531 250x10,seed=2
    137b423ec83c 2500x1,seed=0
    37498b04e556 2500x1,seed=1
    4ea49692cbb9 2500x1,seed=2
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
    58f920f293a5 dim=32,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    36038c6bc9ce dim=32,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    59322f4eb815 dim=32,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    70b15e162684 dim=32,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    ec56ac755395 dim=32,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    2949b32abe39 dim=32,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    ce7dc4ac34fb dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    fa97003accde dim=32,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    4ae8f1972d25 dim=32,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    7ecfaadd73e8 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    6b317757c280 dim=32,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    9a348ac9ab90 dim=32,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    4b9afbfdf2f5 dim=32,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    f11bdd9c9572 dim=32,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    d848c955b3e1 dim=32,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    8a059ba09a83 dim=32,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    e46e7cf50713 dim=32,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    4adfb5c5a4f8 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    bc5d2092a9c0 dim=32,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    42a9f7b53839 dim=32,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    aa14c840ce3b dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    dff0772cadfb dim=32,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    3720d735b620 dim=128,n_layers=1,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    79952956d11d dim=128,n_layers=1,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    fd42a9910ee5 dim=128,n_layers=1,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    e9c85856f8cc dim=128,n_layers=1,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    e59d5e83c42a dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    57e4c6481524 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    8042e8337cf8 dim=128,n_layers=1,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    bb197ccd9091 dim=128,n_layers=1,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    804b74ab593b dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    cc27fe256741 dim=128,n_layers=1,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    3dd091d8d889 dim=128,n_layers=1,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    4c885f927208 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    e6b1825683b0 dim=128,n_layers=1,n_heads=8,max_seq_len=128,target_shift=1,seed=0
    5b98ea7bb7e0 dim=128,n_layers=4,n_heads=2,max_seq_len=8,target_shift=2,seed=0
    280d914ab14a dim=128,n_layers=4,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    a408e38900a8 dim=128,n_layers=4,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    d1dbbb7726e7 dim=128,n_layers=4,n_heads=4,max_seq_len=8,target_shift=2,seed=0
    5d90df133393 dim=128,n_layers=4,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    9726b3f009bb dim=128,n_layers=4,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    634d2cf7897c dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=2,seed=0
    90646696eb43 dim=128,n_layers=4,n_heads=8,max_seq_len=8,target_shift=1,seed=0
    98314f351057 dim=128,n_layers=4,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    e17fc3f57707 dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    7c6bc9de9e27 dim=128,n_layers=4,n_heads=8,max_seq_len=128,target_shift=1,seed=0
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
    3fff9705fad7 ce,seed=0
    f278b8033136 ce,seed=1
    f210fb63827c ce,seed=2
    6aea4726f5bd squentropy,seed=0
    d27acec389e2 squentropy,seed=1
    423c9b76eb6e squentropy,seed=2
    c09d444f9a1f capstone,seed=0
    dc9cb86191c2 capstone,seed=1
    9a2f2b37e0cc capstone,seed=2
    ab0b25371584 capstone-65,seed=0
    81d4854fccfa capstone-65,seed=1
    df019e897307 capstone-65,seed=2
    8b9095bb42f2 square,seed=0
    b3739bef395d square,seed=1
    23ad3262a9b0 square,seed=2
    9d0ff26d5499 square-100,seed=0
    aa25e80e0023 square-100,seed=1
    bd7f767cbf4e square-100,seed=2
    6a6fe882ce3e square-rescaled,seed=0
    8f438e8da095 square-rescaled,seed=1
    90072d14f7e3 square-rescaled,seed=2
    eda19a546b0d published-ce,seed=0
    138fbdfef6b9 published-ce,seed=1
    b550a2c1c776 published-ce,seed=2
    2026281bac9f published-squentropy,seed=0
    55401279e7b2 published-squentropy,seed=1
    7650c5cf210d published-squentropy,seed=2
    f77db2bc4df8 probable-squentropy,seed=0
    6a823b5dc61b probable-squentropy,seed=1
    6183e08872da probable-squentropy,seed=2
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
    89437908f5b5 capstone,learning_rate=6e-6,dropout=0.0,n_layers=2
    7e9d64ee59c8 capstone,learning_rate=6e-6,dropout=0.0,n_layers=3
    58f8171b0189 capstone,learning_rate=6e-6,dropout=0.0,n_layers=4
    58f9aef1fac8 capstone,learning_rate=6e-6,dropout=0.1,n_layers=2
    7547794de5b0 capstone,learning_rate=6e-6,dropout=0.1,n_layers=3
    5359e09ca391 capstone,learning_rate=6e-6,dropout=0.1,n_layers=4
    764c340b0d47 capstone,learning_rate=6e-6,dropout=0.2,n_layers=2
    4e96b7b6ca64 capstone,learning_rate=6e-6,dropout=0.2,n_layers=3
    5247281d33c3 capstone,learning_rate=6e-6,dropout=0.2,n_layers=4
    bd96c28ce5f6 capstone,learning_rate=0.0006,dropout=0.0,n_layers=2
    c90df56f3e95 capstone,learning_rate=0.0006,dropout=0.0,n_layers=3
    9aa16c27c831 capstone,learning_rate=0.0006,dropout=0.0,n_layers=4
    7cdc1f8bcc31 capstone,learning_rate=0.0006,dropout=0.1,n_layers=2
    5a4ff7b30a0b capstone,learning_rate=0.0006,dropout=0.1,n_layers=3
    4396288fada9 capstone,learning_rate=0.0006,dropout=0.1,n_layers=4
    229537690c00 capstone,learning_rate=0.0006,dropout=0.2,n_layers=2
    e8777b6c43ec capstone,learning_rate=0.0006,dropout=0.2,n_layers=3
    816f0b9b89f2 capstone,learning_rate=0.0006,dropout=0.2,n_layers=4
    cd67049f42ff capstone,learning_rate=0.06,dropout=0.0,n_layers=2
    1867323571e7 capstone,learning_rate=0.06,dropout=0.0,n_layers=3
    41741104fdd5 capstone,learning_rate=0.06,dropout=0.0,n_layers=4
    3684bdeeb472 capstone,learning_rate=0.06,dropout=0.1,n_layers=2
    37ee04e3d799 capstone,learning_rate=0.06,dropout=0.1,n_layers=3
    48b48e460a2b capstone,learning_rate=0.06,dropout=0.1,n_layers=4
    474961c3b961 capstone,learning_rate=0.06,dropout=0.2,n_layers=2
    ce995ff8712c capstone,learning_rate=0.06,dropout=0.2,n_layers=3
    8582d383e50a capstone,learning_rate=0.06,dropout=0.2,n_layers=4
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
    4c885f927208 grid-best
    e17fc3f57707 grid-largest
    e6aef5cdbd52 scale-up
    fd53e622b4d7 next-token
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
    683ce2d580de naive-discard,seed=0
    9fc3d0fc7b0c naive-discard,seed=1
    96916fbda73d naive-discard,seed=2
    1d1139d270fb naive-impute,seed=0
    0e7b0d8888fd naive-impute,seed=1
    6e10cf70fe08 naive-impute,seed=2
    21af165cbc2e pad-discard-20,seed=0
    d2a373b0de00 pad-discard-20,seed=1
    84cf2c3b2e91 pad-discard-20,seed=2
    f016fa0364d0 pad-impute-20,seed=0
    bda80a448686 pad-impute-20,seed=1
    bf89395534ae pad-impute-20,seed=2
    575a15225223 pad-discard-100,seed=0
    80bbfc011c8e pad-discard-100,seed=1
    51c10d287365 pad-discard-100,seed=2
    3e3b42ac193a pad-impute-100,seed=0
    60a137bf3010 pad-impute-100,seed=1
    15a1efee918c pad-impute-100,seed=2
    31acd2f68e35 pad-discard-250,seed=0
    dc85d6753b9b pad-discard-250,seed=1
    b642ca3075ab pad-discard-250,seed=2
    b24ebc093514 pad-impute-250,seed=0
    9b1ede55754f pad-impute-250,seed=1
    70cd3eb5dfdb pad-impute-250,seed=2
    0f90fff33869 informed-50,seed=0
    78b67908519a informed-50,seed=1
    c39a77cc188b informed-50,seed=2
    2da5204d9367 informed-100,seed=0
    1553144e2b99 informed-100,seed=1
    08afb54ef497 informed-100,seed=2
    90602e63b4e5 informed-150,seed=0
    1b4918602ee0 informed-150,seed=1
    72778ec40412 informed-150,seed=2
    38c0dad4e5f4 informed-200,seed=0
    085ffd8c3b62 informed-200,seed=1
    d72fa6036dbb informed-200,seed=2
    3fa867359b64 described-impute-100,seed=0
    5b24421d8541 described-impute-100,seed=1
    aa4736b38b84 described-impute-100,seed=2
    63309d90de64 described-informed-50,seed=0
    7bca2ce76b49 described-informed-50,seed=1
    2288b9cb6f90 described-informed-50,seed=2
    3607053412c4 described-informed-100,seed=0
    4d850783d9d2 described-informed-100,seed=1
    29f4c913eb6f described-informed-100,seed=2
    d774ff030f01 shuffled-naive-discard,seed=0
    db475d79ff60 shuffled-naive-discard,seed=1
    e1728abcd2da shuffled-naive-discard,seed=2
    d7a29ff6b6e7 shuffled-naive-impute,seed=0
    0842f38f052c shuffled-naive-impute,seed=1
    598fdb9568cd shuffled-naive-impute,seed=2
    6933b7b3b4e1 shuffled-pad-discard-100,seed=0
    fd05bb52b224 shuffled-pad-discard-100,seed=1
    ad87b22a60e9 shuffled-pad-discard-100,seed=2
    cc680fc4bcf9 shuffled-pad-impute-100,seed=0
    7a93708afb7e shuffled-pad-impute-100,seed=1
    bb78f82c2d3b shuffled-pad-impute-100,seed=2
    51514c67b8d7 equal-discard,seed=0
    4a5a54bd8248 equal-discard,seed=1
    523181bb207b equal-discard,seed=2
    f2b90282d829 equal-impute,seed=0
    61f9c24a1711 equal-impute,seed=1
    36fedaf7816d equal-impute,seed=2
    cc332c3c892f equal-described-impute,seed=0
    809830567411 equal-described-impute,seed=1
    1735edf30dd5 equal-described-impute,seed=2
    e36870a5ffde equal-informed,seed=0
    6cff646531df equal-informed,seed=1
    a823cd48ff22 equal-informed,seed=2
    0bfc27a848bf equal-described-informed,seed=0
    bc96048f0646 equal-described-informed,seed=1
    bd6c223844d1 equal-described-informed,seed=2
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
