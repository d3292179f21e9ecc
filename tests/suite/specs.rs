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
    6fd4abd93910 ce,seed=0
    fde8bd256e88 ce,seed=1
    250e006e5f03 ce,seed=2
    684298798bee ce,seed=3
    c984f9bb86b7 ce,seed=4
    b09842ab4fab ce,seed=5
    69f4d59d6aa6 ce,seed=6
    407a3cbb5432 ce,seed=7
    3af71a5d2ae7 squentropy,seed=0
    23e4011a39e2 squentropy,seed=1
    8acbddf4b6f3 squentropy,seed=2
    b35e548ae128 squentropy,seed=3
    c3bcf0018606 squentropy,seed=4
    f8c802aced82 squentropy,seed=5
    a16c31b7c116 squentropy,seed=6
    c742e87e9538 squentropy,seed=7
    2a40ddd16e38 capstone,seed=0
    b0685db4a829 capstone,seed=1
    9133231e22d9 capstone,seed=2
    8761ff29e661 capstone-65,seed=0
    9406700b4447 capstone-65,seed=1
    c2b6e5989fe4 capstone-65,seed=2
    266b6c9187ca capstone-classes,seed=0
    d8c3158bdc0f capstone-classes,seed=1
    05354fd52717 capstone-classes,seed=2
    3e6b60870a05 square,seed=0
    7354986b6191 square,seed=1
    1d1e29edc472 square,seed=2
    07b793536c33 square-100,seed=0
    8c58747fc84e square-100,seed=1
    25c8f306747a square-100,seed=2
    5d8db8ba1815 square-rescaled,seed=0
    9b8ed8322c83 square-rescaled,seed=1
    fc1ecedc14f8 square-rescaled,seed=2
    3d213f675c69 softmax-square,seed=0
    2a4f04d763dd softmax-square,seed=1
    b6c3e1c646bd softmax-square,seed=2
    f7c2ef5de1fa softmax-square-100,seed=0
    c9e89e8d68fb softmax-square-100,seed=1
    5f57fb36e53b softmax-square-100,seed=2
    6454d0de2619 ce-slow,seed=0
    2c87a53e0e34 ce-slow,seed=1
    7b89c1eb4297 ce-slow,seed=2
    71ff5acae9c2 ce-fast,seed=0
    d2238bc58d85 ce-fast,seed=1
    724f7e1b64b6 ce-fast,seed=2
    3a5bd8af0ec4 squentropy-slow,seed=0
    f5886219dbec squentropy-slow,seed=1
    32061d6872f7 squentropy-slow,seed=2
    15051fdd8eaa squentropy-fast,seed=0
    670054868822 squentropy-fast,seed=1
    e7affe55f488 squentropy-fast,seed=2
    7a430622f3a1 published-ce,seed=0
    4d3b45e66885 published-ce,seed=1
    fe180652b467 published-ce,seed=2
    2024eaa1f7a7 published-squentropy,seed=0
    4802b09e97c2 published-squentropy,seed=1
    f0d34e91eb2a published-squentropy,seed=2
    99d3ce936f5e probable-squentropy,seed=0
    6bdcbd8d29a0 probable-squentropy,seed=1
    d93abe409b46 probable-squentropy,seed=2
    ");
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
    899269e76f2e ce-slow
    60c6bd85cf6f ce-fast
    1451a24d4e33 squentropy-slow
    4126c47f460a squentropy-fast
    5e9dd9f50569 published-ce
    09c89cb2e197 published-squentropy
    90870f7d0164 probable-squentropy
    ");
    insta::assert_snapshot!(lines(&planned("loss-comparison", "search")), @"
    5217a2d05ad5 capstone,learning_rate=6e-6,dropout=0.0,n_layers=2
    3e0d4b99e215 capstone,learning_rate=6e-6,dropout=0.0,n_layers=3
    b48d57366b9f capstone,learning_rate=6e-6,dropout=0.0,n_layers=4
    26705c108733 capstone,learning_rate=6e-6,dropout=0.1,n_layers=2
    609a6a83efab capstone,learning_rate=6e-6,dropout=0.1,n_layers=3
    0112945dc460 capstone,learning_rate=6e-6,dropout=0.1,n_layers=4
    5292fdf0175b capstone,learning_rate=6e-6,dropout=0.2,n_layers=2
    fb91e448c6ff capstone,learning_rate=6e-6,dropout=0.2,n_layers=3
    bdd2d54f67db capstone,learning_rate=6e-6,dropout=0.2,n_layers=4
    449c64619fb8 capstone,learning_rate=0.0006,dropout=0.0,n_layers=2
    fe29a435e5e2 capstone,learning_rate=0.0006,dropout=0.0,n_layers=3
    d426c00de7e6 capstone,learning_rate=0.0006,dropout=0.0,n_layers=4
    6354623862e3 capstone,learning_rate=0.0006,dropout=0.1,n_layers=2
    e0818c4ab136 capstone,learning_rate=0.0006,dropout=0.1,n_layers=3
    b4bfe9773d49 capstone,learning_rate=0.0006,dropout=0.1,n_layers=4
    c18bcbc78774 capstone,learning_rate=0.0006,dropout=0.2,n_layers=2
    2d7b0d95e5a5 capstone,learning_rate=0.0006,dropout=0.2,n_layers=3
    f3fa60d5c785 capstone,learning_rate=0.0006,dropout=0.2,n_layers=4
    93eb97b4529a capstone,learning_rate=0.06,dropout=0.0,n_layers=2
    4680eb272fc7 capstone,learning_rate=0.06,dropout=0.0,n_layers=3
    b775d00055de capstone,learning_rate=0.06,dropout=0.0,n_layers=4
    eacb4eac962b capstone,learning_rate=0.06,dropout=0.1,n_layers=2
    e76b30e06773 capstone,learning_rate=0.06,dropout=0.1,n_layers=3
    a595f4292f78 capstone,learning_rate=0.06,dropout=0.1,n_layers=4
    2ffdc860fb4c capstone,learning_rate=0.06,dropout=0.2,n_layers=2
    9f062bc913b2 capstone,learning_rate=0.06,dropout=0.2,n_layers=3
    a7f81fe3757f capstone,learning_rate=0.06,dropout=0.2,n_layers=4
    ");
}

#[test]
fn plans_of_scale_up() {
    insta::assert_snapshot!(lines(&planned("scale-up", "desk")), @"
    441e13a54094 grid-best,seed=0
    5bd2f8b1b1be grid-best,seed=1
    9e9314c4050c grid-best,seed=2
    dccb35949ca2 grid-largest,seed=0
    7df5689b897a grid-largest,seed=1
    905780bdb8a2 grid-largest,seed=2
    013122809e1c scale-up,seed=0
    53da33e54fa2 scale-up,seed=1
    651ef713d20e scale-up,seed=2
    15cd4ea46436 next-token,seed=0
    b212895401a6 next-token,seed=1
    2bd4e2a4fdc4 next-token,seed=2
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
    fc09b574fb4c naive-discard,draw=0,seed=0
    e13b7b297019 naive-discard,draw=0,seed=1
    1eb706bc91f6 naive-discard,draw=0,seed=2
    43b12b95abb3 naive-discard,draw=1,seed=0
    14ec36d65b3c naive-discard,draw=1,seed=1
    641af4d88b60 naive-discard,draw=1,seed=2
    8db239ff6193 naive-discard,draw=2,seed=0
    32dd13a71612 naive-discard,draw=2,seed=1
    ace0c0149c53 naive-discard,draw=2,seed=2
    fcb4ba533e9c naive-impute,draw=0,seed=0
    f010eb8e2e03 naive-impute,draw=0,seed=1
    feb71a0a2c5e naive-impute,draw=0,seed=2
    8b30451b3fc0 naive-impute,draw=1,seed=0
    6ad887b324b6 naive-impute,draw=1,seed=1
    ff4410caf616 naive-impute,draw=1,seed=2
    f0d49f19e8f9 naive-impute,draw=2,seed=0
    e78c98f2010a naive-impute,draw=2,seed=1
    48fec6de84b6 naive-impute,draw=2,seed=2
    45016ddca6fe pad-discard-20,draw=0,seed=0
    e66a1facbe6e pad-discard-20,draw=0,seed=1
    4cc4f034da44 pad-discard-20,draw=0,seed=2
    43db5b284d64 pad-discard-20,draw=1,seed=0
    afb3e10a41df pad-discard-20,draw=1,seed=1
    eb6e256ab78f pad-discard-20,draw=1,seed=2
    8ca129d4885a pad-discard-20,draw=2,seed=0
    7ba3251a8a95 pad-discard-20,draw=2,seed=1
    32cf7ca88be2 pad-discard-20,draw=2,seed=2
    8886767ab6ae pad-impute-20,draw=0,seed=0
    5c412503d965 pad-impute-20,draw=0,seed=1
    24ec61a627e6 pad-impute-20,draw=0,seed=2
    da27d3c12e99 pad-impute-20,draw=1,seed=0
    f9abf123360d pad-impute-20,draw=1,seed=1
    376ad1c4720e pad-impute-20,draw=1,seed=2
    d6fc7b02f73a pad-impute-20,draw=2,seed=0
    aacdb3716893 pad-impute-20,draw=2,seed=1
    886a69221abd pad-impute-20,draw=2,seed=2
    3c20d6eaa8a2 discard-100,draw=0,seed=0
    0b9f95168504 discard-100,draw=0,seed=1
    89973b748b38 discard-100,draw=0,seed=2
    01bb2d483d0e discard-100,draw=1,seed=0
    4de04d325058 discard-100,draw=1,seed=1
    e007cf61d871 discard-100,draw=1,seed=2
    a952b49fdf2d discard-100,draw=2,seed=0
    fdc5b4e0823e discard-100,draw=2,seed=1
    4f78d8f89954 discard-100,draw=2,seed=2
    1a21ee650c5a impute-100,draw=0,seed=0
    420cf993791f impute-100,draw=0,seed=1
    6a140022fbc5 impute-100,draw=0,seed=2
    4eb88499da13 impute-100,draw=1,seed=0
    5ec4ec1dd421 impute-100,draw=1,seed=1
    193da1dd8698 impute-100,draw=1,seed=2
    24785f6605bb impute-100,draw=2,seed=0
    58d130b6e22f impute-100,draw=2,seed=1
    7fa91e4d1c00 impute-100,draw=2,seed=2
    eff93887cef9 pad-discard-100,draw=0,seed=0
    8a8bc25fc1c9 pad-discard-100,draw=0,seed=1
    37de736e3540 pad-discard-100,draw=0,seed=2
    099d1bc26f86 pad-discard-100,draw=1,seed=0
    fa88aba0ecea pad-discard-100,draw=1,seed=1
    47cc031cd712 pad-discard-100,draw=1,seed=2
    73530906899c pad-discard-100,draw=2,seed=0
    02080052594e pad-discard-100,draw=2,seed=1
    d3ba307b15ed pad-discard-100,draw=2,seed=2
    c5890014e4af pad-impute-100,draw=0,seed=0
    190d6ec40adb pad-impute-100,draw=0,seed=1
    b423690b9687 pad-impute-100,draw=0,seed=2
    ae7808602a9f pad-impute-100,draw=1,seed=0
    50dee7174086 pad-impute-100,draw=1,seed=1
    055efe11a83e pad-impute-100,draw=1,seed=2
    605de1bc4fba pad-impute-100,draw=2,seed=0
    0fbc691d5953 pad-impute-100,draw=2,seed=1
    b54b5d1ead94 pad-impute-100,draw=2,seed=2
    d2264f77ddc7 pad-discard-250,draw=0,seed=0
    ed9d3f2ae939 pad-discard-250,draw=0,seed=1
    a39782548f74 pad-discard-250,draw=0,seed=2
    20b6399fef1b pad-discard-250,draw=1,seed=0
    4e75d25a2fe6 pad-discard-250,draw=1,seed=1
    ffd2f93aa10c pad-discard-250,draw=1,seed=2
    5e5255b6c656 pad-discard-250,draw=2,seed=0
    ef9bad3ecf25 pad-discard-250,draw=2,seed=1
    bd2aff8ba096 pad-discard-250,draw=2,seed=2
    6ec10cc7968b pad-impute-250,draw=0,seed=0
    c78c7967a1b6 pad-impute-250,draw=0,seed=1
    361b5c2e42a0 pad-impute-250,draw=0,seed=2
    bedd2f9a8cc1 pad-impute-250,draw=1,seed=0
    775ac70a7c5f pad-impute-250,draw=1,seed=1
    7fc6b1726cc1 pad-impute-250,draw=1,seed=2
    238ce41ded0a pad-impute-250,draw=2,seed=0
    0dcd0ef2817e pad-impute-250,draw=2,seed=1
    23a4afd21287 pad-impute-250,draw=2,seed=2
    d04c8e36c138 informed-50,draw=0,seed=0
    f9f030ffb7f5 informed-50,draw=0,seed=1
    4615756890de informed-50,draw=0,seed=2
    44d69af75a90 informed-50,draw=1,seed=0
    5e16be7266d2 informed-50,draw=1,seed=1
    3b1ba19be4b0 informed-50,draw=1,seed=2
    64f782ece839 informed-50,draw=2,seed=0
    dddad68ed4c9 informed-50,draw=2,seed=1
    850fd2ee2676 informed-50,draw=2,seed=2
    e9dd9d10522e informed-100,draw=0,seed=0
    04a0100cde59 informed-100,draw=0,seed=1
    f6a21f4de596 informed-100,draw=0,seed=2
    db62a2639d5c informed-100,draw=1,seed=0
    b85a67120058 informed-100,draw=1,seed=1
    f62ab69b14e9 informed-100,draw=1,seed=2
    d03e24a28609 informed-100,draw=2,seed=0
    145f09ae5377 informed-100,draw=2,seed=1
    095b728f0ed9 informed-100,draw=2,seed=2
    9d4e59245eb8 informed-150,draw=0,seed=0
    c3ae75278800 informed-150,draw=0,seed=1
    da1995baaa31 informed-150,draw=0,seed=2
    19b68a13950f informed-150,draw=1,seed=0
    0002bd7a21e7 informed-150,draw=1,seed=1
    c6909852bf6a informed-150,draw=1,seed=2
    904708eba8a4 informed-150,draw=2,seed=0
    1bf93b5eeee4 informed-150,draw=2,seed=1
    06c2c0b8770a informed-150,draw=2,seed=2
    367114368b00 informed-200,draw=0,seed=0
    445a70711762 informed-200,draw=0,seed=1
    beb2857d66db informed-200,draw=0,seed=2
    01af65b93a92 informed-200,draw=1,seed=0
    0af17a642df2 informed-200,draw=1,seed=1
    e1df76f15914 informed-200,draw=1,seed=2
    c337e5640c05 informed-200,draw=2,seed=0
    5bcad3962a56 informed-200,draw=2,seed=1
    84043e75814a informed-200,draw=2,seed=2
    598a694d250f described-impute-100,draw=0,seed=0
    7ee899fef8f9 described-impute-100,draw=0,seed=1
    1ef67fcf1031 described-impute-100,draw=0,seed=2
    3dae25912cb3 described-impute-100,draw=1,seed=0
    b5f6fc913a49 described-impute-100,draw=1,seed=1
    07bf3a4899ee described-impute-100,draw=1,seed=2
    2489a900fdd5 described-impute-100,draw=2,seed=0
    5478f02d6cf8 described-impute-100,draw=2,seed=1
    9c687c4a353b described-impute-100,draw=2,seed=2
    a14436193325 described-informed-50,draw=0,seed=0
    124d132066e5 described-informed-50,draw=0,seed=1
    39f791877b24 described-informed-50,draw=0,seed=2
    2a93565ef6aa described-informed-50,draw=1,seed=0
    6f734b385130 described-informed-50,draw=1,seed=1
    8eb1d5eb86b6 described-informed-50,draw=1,seed=2
    e865bba30fbf described-informed-50,draw=2,seed=0
    b535ae2e3f6a described-informed-50,draw=2,seed=1
    3ede54827238 described-informed-50,draw=2,seed=2
    5a2e25165bb4 described-informed-100,draw=0,seed=0
    598897e2c5f3 described-informed-100,draw=0,seed=1
    386c71ce10fe described-informed-100,draw=0,seed=2
    0c95fd39e2a3 described-informed-100,draw=1,seed=0
    1f9e4a9c4b05 described-informed-100,draw=1,seed=1
    5287d3077609 described-informed-100,draw=1,seed=2
    8969b13ec117 described-informed-100,draw=2,seed=0
    d679ef02b238 described-informed-100,draw=2,seed=1
    95f982f73ad9 described-informed-100,draw=2,seed=2
    542956397625 shuffled-naive-discard,draw=0,seed=0
    19c88e1c4484 shuffled-naive-discard,draw=0,seed=1
    3c0476725f03 shuffled-naive-discard,draw=0,seed=2
    1ff759b069e4 shuffled-naive-discard,draw=1,seed=0
    5dcd5fb56a97 shuffled-naive-discard,draw=1,seed=1
    be89efe88967 shuffled-naive-discard,draw=1,seed=2
    ab9608efd7d2 shuffled-naive-discard,draw=2,seed=0
    c7d6be61b496 shuffled-naive-discard,draw=2,seed=1
    f54996d9833d shuffled-naive-discard,draw=2,seed=2
    4d6e1f39fb99 shuffled-naive-impute,draw=0,seed=0
    54f716f4935e shuffled-naive-impute,draw=0,seed=1
    28d60f98e343 shuffled-naive-impute,draw=0,seed=2
    9ae920a3590e shuffled-naive-impute,draw=1,seed=0
    0a79aa15be54 shuffled-naive-impute,draw=1,seed=1
    4d68b113cc39 shuffled-naive-impute,draw=1,seed=2
    70ed7f18e8e0 shuffled-naive-impute,draw=2,seed=0
    6197fab7b84c shuffled-naive-impute,draw=2,seed=1
    bb7edc11937c shuffled-naive-impute,draw=2,seed=2
    09efa43f6170 shuffled-pad-discard-100,draw=0,seed=0
    00688d7d634c shuffled-pad-discard-100,draw=0,seed=1
    5334be0be7d2 shuffled-pad-discard-100,draw=0,seed=2
    296158dd3144 shuffled-pad-discard-100,draw=1,seed=0
    67f7f2ae043f shuffled-pad-discard-100,draw=1,seed=1
    eaee2166fe9a shuffled-pad-discard-100,draw=1,seed=2
    42f4f0bf348a shuffled-pad-discard-100,draw=2,seed=0
    37e30d8edf29 shuffled-pad-discard-100,draw=2,seed=1
    c5e0eba32011 shuffled-pad-discard-100,draw=2,seed=2
    7921058b4bf3 shuffled-pad-impute-100,draw=0,seed=0
    500140497ad1 shuffled-pad-impute-100,draw=0,seed=1
    b4a4d41f6d63 shuffled-pad-impute-100,draw=0,seed=2
    07b4ba6ac86e shuffled-pad-impute-100,draw=1,seed=0
    a86baeb18a77 shuffled-pad-impute-100,draw=1,seed=1
    98cf4d02be2c shuffled-pad-impute-100,draw=1,seed=2
    547dd3f10a83 shuffled-pad-impute-100,draw=2,seed=0
    4c47a9bf7e3f shuffled-pad-impute-100,draw=2,seed=1
    c8c3d77ea0f4 shuffled-pad-impute-100,draw=2,seed=2
    39904510f3db equal-discard,draw=0,seed=0
    f631f4c6b74d equal-discard,draw=0,seed=1
    db9d508d0045 equal-discard,draw=0,seed=2
    e037e7cf2f05 equal-discard,draw=1,seed=0
    70e56d3df1b9 equal-discard,draw=1,seed=1
    5a4773c5f45b equal-discard,draw=1,seed=2
    9c83d3f44ed3 equal-discard,draw=2,seed=0
    0b1058ffd3fa equal-discard,draw=2,seed=1
    6025995bf194 equal-discard,draw=2,seed=2
    f2a4c34ffc0f equal-impute,draw=0,seed=0
    8b76da5c58c6 equal-impute,draw=0,seed=1
    2a1050ad4ddb equal-impute,draw=0,seed=2
    53dc314a8ffd equal-impute,draw=1,seed=0
    3d6518c347b6 equal-impute,draw=1,seed=1
    d758d294c5cc equal-impute,draw=1,seed=2
    1a9c34f05109 equal-impute,draw=2,seed=0
    8407008e6f82 equal-impute,draw=2,seed=1
    e8092590836b equal-impute,draw=2,seed=2
    04a547f35e0c equal-described-impute,draw=0,seed=0
    ef5d469324ed equal-described-impute,draw=0,seed=1
    75ec6db4be85 equal-described-impute,draw=0,seed=2
    e282c1c80d26 equal-described-impute,draw=1,seed=0
    bb9268e4f998 equal-described-impute,draw=1,seed=1
    4691de746a65 equal-described-impute,draw=1,seed=2
    0872a87a9527 equal-described-impute,draw=2,seed=0
    84f3d05e1389 equal-described-impute,draw=2,seed=1
    77df4a922d8e equal-described-impute,draw=2,seed=2
    68c623104c65 equal-informed,draw=0,seed=0
    5f1ffd5d8fe9 equal-informed,draw=0,seed=1
    6ae9727052a0 equal-informed,draw=0,seed=2
    ff3ecc37e769 equal-informed,draw=1,seed=0
    e1e60cfc727f equal-informed,draw=1,seed=1
    f053582785be equal-informed,draw=1,seed=2
    6c5c1a1c674e equal-informed,draw=2,seed=0
    0fefb9b97956 equal-informed,draw=2,seed=1
    cae1c9956ef8 equal-informed,draw=2,seed=2
    e4b0848ed550 equal-described-informed,draw=0,seed=0
    d4ca55d2cbd8 equal-described-informed,draw=0,seed=1
    8b50ec65e824 equal-described-informed,draw=0,seed=2
    a712b68184fc equal-described-informed,draw=1,seed=0
    b0c25a133710 equal-described-informed,draw=1,seed=1
    156f0622e763 equal-described-informed,draw=1,seed=2
    5bef54fbe875 equal-described-informed,draw=2,seed=0
    3a7ed8c34070 equal-described-informed,draw=2,seed=1
    461e737fc5fd equal-described-informed,draw=2,seed=2
    ");
    insta::assert_snapshot!(lines(&planned("sequence-handling", "smoke")), @"
    57bf7ed5eb82 naive-discard,draw=0
    95bfb136500c naive-discard,draw=1
    572d1705fb06 naive-impute,draw=0
    9d6530f3283a naive-impute,draw=1
    5b5e659f9b13 pad-discard-20,draw=0
    f88d12db6733 pad-discard-20,draw=1
    e99ced28768f pad-impute-20,draw=0
    f2a0d57a1116 pad-impute-20,draw=1
    dd04604b9ed4 discard-100,draw=0
    a55a197354b9 discard-100,draw=1
    01026f38ca1c impute-100,draw=0
    e4da65657baf impute-100,draw=1
    584a734a20e6 pad-discard-100,draw=0
    87525c09aec0 pad-discard-100,draw=1
    0587cc5b8d6a pad-impute-100,draw=0
    1642dabcec9f pad-impute-100,draw=1
    e7246adcfe7f pad-discard-250,draw=0
    6c8cc904fe31 pad-discard-250,draw=1
    fefc039b42df pad-impute-250,draw=0
    bd9edcad87a5 pad-impute-250,draw=1
    8e5d3a211ddd informed-50,draw=0
    25572db4acf9 informed-50,draw=1
    de3d5486c0b1 informed-100,draw=0
    32562fa93e5c informed-100,draw=1
    70509db1523a informed-150,draw=0
    0223a02d18ac informed-150,draw=1
    d185d6a97510 informed-200,draw=0
    ceca97e02c86 informed-200,draw=1
    502a19c473bc described-impute-100,draw=0
    0b9cb4ad9e7b described-impute-100,draw=1
    605314b64e2a described-informed-50,draw=0
    27f02b72ca04 described-informed-50,draw=1
    f7291f75f0e9 described-informed-100,draw=0
    7118608395ed described-informed-100,draw=1
    de971a0aa4ee shuffled-naive-discard,draw=0
    080690dd72d5 shuffled-naive-discard,draw=1
    b7aa26ab9578 shuffled-naive-impute,draw=0
    bb4cf368cb8f shuffled-naive-impute,draw=1
    40bf9ae96b0d shuffled-pad-discard-100,draw=0
    a03fc84d0f26 shuffled-pad-discard-100,draw=1
    944ecc89dfe2 shuffled-pad-impute-100,draw=0
    6d685e768fda shuffled-pad-impute-100,draw=1
    1b96e96f496c equal-discard,draw=0
    ed5ae02ca784 equal-discard,draw=1
    e8bc20bbf093 equal-impute,draw=0
    4e9df10c232a equal-impute,draw=1
    651c55709da4 equal-described-impute,draw=0
    89014aba23ff equal-described-impute,draw=1
    d129541f5cfd equal-informed,draw=0
    6652eb8a7764 equal-informed,draw=1
    c087d151df93 equal-described-informed,draw=0
    5cf3ab983a0b equal-described-informed,draw=1
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
