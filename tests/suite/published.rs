//! What was published, and what the shipped specs make of it: the runs of the paper profiles with their counts, the verdict on
//! every claim, the count tables of the sequence policies.

use crate::project::{Project, repository};
use crate::specs::{NAMES, load};
use specbook::DataContext;
use specbook::internals::plan::{self, Outlined};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// The runs of a paper profile, whose files are not at hand.
fn published(name: &str) -> Vec<Outlined> {
    let folder = tempfile::tempdir().unwrap();
    let context = DataContext {
        base: folder.path().join("specs"),
        ..DataContext::default()
    };
    let spec = load(name, "paper");
    let reason = plan::expand(&spec, &context).unwrap_err();
    plan::outline(&spec, &context, reason).unwrap().runs
}

/// One line a run: parameters, optimizer steps, trained tokens.
fn counts(name: &str) -> String {
    let mut text = String::new();
    for run in published(name) {
        let cost = run.estimate.unwrap();
        let (params, steps, tokens) = (cost.params, cost.steps, cost.tokens);
        writeln!(text, "{params:>9} {steps:>4} {tokens:>8} {}", run.name).unwrap();
    }
    text
}

#[test]
fn published_runs_of_epoch_frenzy() {
    insta::assert_snapshot!(counts("epoch-frenzy"), @"
    60039680  300   640000 25x100,seed=0
    60039680  300   640000 25x100,seed=1
    60039680  300   640000 25x100,seed=2
    60039680  250   640000 250x10,seed=0
    60039680  250   640000 250x10,seed=1
    60039680  250   640000 250x10,seed=2
    60039680  250   640000 2500x1,seed=0
    60039680  250   640000 2500x1,seed=1
    60039680  250   640000 2500x1,seed=2
    60039680  300   640000 by-tokens-25x100,seed=0
    60039680  250   640000 by-tokens-250x10,seed=0
    60039680  250   640000 by-tokens-2500x1,seed=0
    ");
}

#[test]
fn published_runs_of_grid_search() {
    insta::assert_snapshot!(counts("grid-search"), @"
     8618624  157    80000 dim=128,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=0
     8618624  157    80000 dim=128,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=1
     8618624  157    80000 dim=128,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=2
     8618624  157   320000 dim=128,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=0
     8618624  157   320000 dim=128,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=1
     8618624  157   320000 dim=128,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=2
     8618624  157  1280000 dim=128,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=0
     8618624  157  1280000 dim=128,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=1
     8618624  157  1280000 dim=128,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=2
     8618624  157    80000 dim=128,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=0
     8618624  157    80000 dim=128,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=1
     8618624  157    80000 dim=128,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=2
     8618624  157   320000 dim=128,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=0
     8618624  157   320000 dim=128,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=1
     8618624  157   320000 dim=128,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=2
     8618624  157  1280000 dim=128,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=0
     8618624  157  1280000 dim=128,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=1
     8618624  157  1280000 dim=128,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=2
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=0
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=1
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=2
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=0
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=1
     8618624  157    80000 dim=128,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=2
     8618624  157   320000 dim=128,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=0
     8618624  157   320000 dim=128,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=1
     8618624  157   320000 dim=128,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=2
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=0
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=1
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=2
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=0
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=1
     8618624  157  1280000 dim=128,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=2
     9898112  157    80000 dim=128,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=0
     9898112  157    80000 dim=128,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=1
     9898112  157    80000 dim=128,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=2
     9898112  157   320000 dim=128,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=0
     9898112  157   320000 dim=128,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=1
     9898112  157   320000 dim=128,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=2
     9898112  157  1280000 dim=128,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=0
     9898112  157  1280000 dim=128,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=1
     9898112  157  1280000 dim=128,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=2
     9898112  157    80000 dim=128,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=0
     9898112  157    80000 dim=128,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=1
     9898112  157    80000 dim=128,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=2
     9898112  157   320000 dim=128,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=0
     9898112  157   320000 dim=128,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=1
     9898112  157   320000 dim=128,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=2
     9898112  157  1280000 dim=128,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=0
     9898112  157  1280000 dim=128,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=1
     9898112  157  1280000 dim=128,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=2
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=0
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=1
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=2
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=0
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=1
     9898112  157    80000 dim=128,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=2
     9898112  157   320000 dim=128,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=0
     9898112  157   320000 dim=128,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=1
     9898112  157   320000 dim=128,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=2
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=0
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=1
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=2
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=0
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=1
     9898112  157  1280000 dim=128,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=2
    39193088  157    80000 dim=512,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    39193088  157    80000 dim=512,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=1
    39193088  157    80000 dim=512,n_layers=2,n_heads=2,max_seq_len=32,target_shift=2,seed=2
    39193088  157   320000 dim=512,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    39193088  157   320000 dim=512,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=1
    39193088  157   320000 dim=512,n_layers=2,n_heads=2,max_seq_len=128,target_shift=2,seed=2
    39193088  157  1280000 dim=512,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=0
    39193088  157  1280000 dim=512,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=1
    39193088  157  1280000 dim=512,n_layers=2,n_heads=2,max_seq_len=512,target_shift=2,seed=2
    39193088  157    80000 dim=512,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    39193088  157    80000 dim=512,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    39193088  157    80000 dim=512,n_layers=2,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    39193088  157   320000 dim=512,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    39193088  157   320000 dim=512,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=1
    39193088  157   320000 dim=512,n_layers=2,n_heads=4,max_seq_len=128,target_shift=2,seed=2
    39193088  157  1280000 dim=512,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=0
    39193088  157  1280000 dim=512,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=1
    39193088  157  1280000 dim=512,n_layers=2,n_heads=4,max_seq_len=512,target_shift=2,seed=2
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=1
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=2,seed=2
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=0
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=1
    39193088  157    80000 dim=512,n_layers=2,n_heads=8,max_seq_len=32,target_shift=1,seed=2
    39193088  157   320000 dim=512,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    39193088  157   320000 dim=512,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=1
    39193088  157   320000 dim=512,n_layers=2,n_heads=8,max_seq_len=128,target_shift=2,seed=2
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=0
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=1
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=2,seed=2
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=0
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=1
    39193088  157  1280000 dim=512,n_layers=2,n_heads=8,max_seq_len=512,target_shift=1,seed=2
    58466816  157    80000 dim=512,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=0
    58466816  157    80000 dim=512,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=1
    58466816  157    80000 dim=512,n_layers=8,n_heads=2,max_seq_len=32,target_shift=2,seed=2
    58466816  157   320000 dim=512,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=0
    58466816  157   320000 dim=512,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=1
    58466816  157   320000 dim=512,n_layers=8,n_heads=2,max_seq_len=128,target_shift=2,seed=2
    58466816  157  1280000 dim=512,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=0
    58466816  157  1280000 dim=512,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=1
    58466816  157  1280000 dim=512,n_layers=8,n_heads=2,max_seq_len=512,target_shift=2,seed=2
    58466816  157    80000 dim=512,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=0
    58466816  157    80000 dim=512,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=1
    58466816  157    80000 dim=512,n_layers=8,n_heads=4,max_seq_len=32,target_shift=2,seed=2
    58466816  157   320000 dim=512,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=0
    58466816  157   320000 dim=512,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=1
    58466816  157   320000 dim=512,n_layers=8,n_heads=4,max_seq_len=128,target_shift=2,seed=2
    58466816  157  1280000 dim=512,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=0
    58466816  157  1280000 dim=512,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=1
    58466816  157  1280000 dim=512,n_layers=8,n_heads=4,max_seq_len=512,target_shift=2,seed=2
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=0
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=1
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=2,seed=2
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=0
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=1
    58466816  157    80000 dim=512,n_layers=8,n_heads=8,max_seq_len=32,target_shift=1,seed=2
    58466816  157   320000 dim=512,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=0
    58466816  157   320000 dim=512,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=1
    58466816  157   320000 dim=512,n_layers=8,n_heads=8,max_seq_len=128,target_shift=2,seed=2
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=0
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=1
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=2,seed=2
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=0
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=1
    58466816  157  1280000 dim=512,n_layers=8,n_heads=8,max_seq_len=512,target_shift=1,seed=2
    ");
}

#[test]
fn published_runs_of_loss_comparison() {
    insta::assert_snapshot!(counts("loss-comparison"), @"
    124373760 2000 491520000 ce,seed=1337
    124373760 2000 491520000 ce,seed=1338
    124373760 2000 491520000 ce,seed=1339
    124373760 2000 491520000 squentropy,seed=1337
    124373760 2000 491520000 squentropy,seed=1338
    124373760 2000 491520000 squentropy,seed=1339
    124373760 2000 491520000 capstone,seed=1337
    124373760 2000 491520000 capstone,seed=1338
    124373760 2000 491520000 capstone,seed=1339
    124373760 2000 491520000 capstone-65,seed=1337
    124373760 2000 491520000 capstone-65,seed=1338
    124373760 2000 491520000 capstone-65,seed=1339
    124373760 2000 491520000 capstone-classes,seed=1337
    124373760 2000 491520000 capstone-classes,seed=1338
    124373760 2000 491520000 capstone-classes,seed=1339
    124373760 2000 491520000 square,seed=1337
    124373760 2000 491520000 square,seed=1338
    124373760 2000 491520000 square,seed=1339
    124373760 2000 491520000 square-100,seed=1337
    124373760 2000 491520000 square-100,seed=1338
    124373760 2000 491520000 square-100,seed=1339
    124373760 2000 491520000 square-rescaled,seed=1337
    124373760 2000 491520000 square-rescaled,seed=1338
    124373760 2000 491520000 square-rescaled,seed=1339
    124373760 2000 491520000 softmax-square,seed=1337
    124373760 2000 491520000 softmax-square,seed=1338
    124373760 2000 491520000 softmax-square,seed=1339
    124373760 2000 491520000 softmax-square-100,seed=1337
    124373760 2000 491520000 softmax-square-100,seed=1338
    124373760 2000 491520000 softmax-square-100,seed=1339
    124373760 2000 491520000 ce-slow,seed=1337
    124373760 2000 491520000 ce-slow,seed=1338
    124373760 2000 491520000 ce-slow,seed=1339
    124373760 2000 491520000 ce-fast,seed=1337
    124373760 2000 491520000 ce-fast,seed=1338
    124373760 2000 491520000 ce-fast,seed=1339
    124373760 2000 491520000 squentropy-slow,seed=1337
    124373760 2000 491520000 squentropy-slow,seed=1338
    124373760 2000 491520000 squentropy-slow,seed=1339
    124373760 2000 491520000 squentropy-fast,seed=1337
    124373760 2000 491520000 squentropy-fast,seed=1338
    124373760 2000 491520000 squentropy-fast,seed=1339
    124373760 1150 282624000 published-ce,seed=1337
    124373760 1150 282624000 published-ce,seed=1338
    124373760 1150 282624000 published-ce,seed=1339
    152691456 2000 491520000 published-squentropy,seed=1337
    152691456 2000 491520000 published-squentropy,seed=1338
    152691456 2000 491520000 published-squentropy,seed=1339
    152691456 2000 491520000 probable-squentropy,seed=1337
    152691456 2000 491520000 probable-squentropy,seed=1338
    152691456 2000 491520000 probable-squentropy,seed=1339
    ");
}

#[test]
fn published_runs_of_scale_up() {
    insta::assert_snapshot!(counts("scale-up"), @"
    39193088  157  1280000 grid-best,seed=0
    39193088  157  1280000 grid-best,seed=1
    39193088  157  1280000 grid-best,seed=2
    58466816  157  1280000 grid-largest,seed=0
    58466816  157  1280000 grid-largest,seed=1
    58466816  157  1280000 grid-largest,seed=2
    60039680 1688 13824000 scale-up,seed=0
    60039680 1688 13824000 scale-up,seed=1
    60039680 1688 13824000 scale-up,seed=2
    60039680 1688 13824000 next-token,seed=0
    60039680 1688 13824000 next-token,seed=1
    60039680 1688 13824000 next-token,seed=2
    ");
}

#[test]
fn published_runs_of_sequence_handling() {
    insta::assert_snapshot!(counts("sequence-handling"), @"
    60039680   16    32768 naive-discard,seed=0
    60039680   16    32768 naive-discard,seed=1
    60039680   16    32768 naive-discard,seed=2
    60039680   16    32768 naive-impute,seed=0
    60039680   16    32768 naive-impute,seed=1
    60039680   16    32768 naive-impute,seed=2
    60039680   16     2560 pad-discard-20,seed=0
    60039680   16     2560 pad-discard-20,seed=1
    60039680   16     2560 pad-discard-20,seed=2
    60039680   16     2560 pad-impute-20,seed=0
    60039680   16     2560 pad-impute-20,seed=1
    60039680   16     2560 pad-impute-20,seed=2
    60039680   16    12800 discard-100,seed=0
    60039680   16    12800 discard-100,seed=1
    60039680   16    12800 discard-100,seed=2
    60039680   16    12800 impute-100,seed=0
    60039680   16    12800 impute-100,seed=1
    60039680   16    12800 impute-100,seed=2
    60039680   16    12800 pad-discard-100,seed=0
    60039680   16    12800 pad-discard-100,seed=1
    60039680   16    12800 pad-discard-100,seed=2
    60039680   16    12800 pad-impute-100,seed=0
    60039680   16    12800 pad-impute-100,seed=1
    60039680   16    12800 pad-impute-100,seed=2
    60039680   16    32000 pad-discard-250,seed=0
    60039680   16    32000 pad-discard-250,seed=1
    60039680   16    32000 pad-discard-250,seed=2
    60039680   16    32000 pad-impute-250,seed=0
    60039680   16    32000 pad-impute-250,seed=1
    60039680   16    32000 pad-impute-250,seed=2
    60039680   16    12800 informed-50,seed=0
    60039680   16    12800 informed-50,seed=1
    60039680   16    12800 informed-50,seed=2
    60039680   16    12800 informed-100,seed=0
    60039680   16    12800 informed-100,seed=1
    60039680   16    12800 informed-100,seed=2
    60039680   16    12800 informed-150,seed=0
    60039680   16    12800 informed-150,seed=1
    60039680   16    12800 informed-150,seed=2
    60039680   16    12800 informed-200,seed=0
    60039680   16    12800 informed-200,seed=1
    60039680   16    12800 informed-200,seed=2
    60039680   16    12800 described-impute-100,seed=0
    60039680   16    12800 described-impute-100,seed=1
    60039680   16    12800 described-impute-100,seed=2
    60039680   16    12800 described-informed-50,seed=0
    60039680   16    12800 described-informed-50,seed=1
    60039680   16    12800 described-informed-50,seed=2
    60039680   16    12800 described-informed-100,seed=0
    60039680   16    12800 described-informed-100,seed=1
    60039680   16    12800 described-informed-100,seed=2
    60039680   16    32768 shuffled-naive-discard,seed=0
    60039680   16    32768 shuffled-naive-discard,seed=1
    60039680   16    32768 shuffled-naive-discard,seed=2
    60039680   16    32768 shuffled-naive-impute,seed=0
    60039680   16    32768 shuffled-naive-impute,seed=1
    60039680   16    32768 shuffled-naive-impute,seed=2
    60039680   16    12800 shuffled-pad-discard-100,seed=0
    60039680   16    12800 shuffled-pad-discard-100,seed=1
    60039680   16    12800 shuffled-pad-discard-100,seed=2
    60039680   16    12800 shuffled-pad-impute-100,seed=0
    60039680   16    12800 shuffled-pad-impute-100,seed=1
    60039680   16    12800 shuffled-pad-impute-100,seed=2
    60039680   96    76800 equal-discard,seed=0
    60039680   96    76800 equal-discard,seed=1
    60039680   96    76800 equal-discard,seed=2
    60039680   96    76800 equal-impute,seed=0
    60039680   96    76800 equal-impute,seed=1
    60039680   96    76800 equal-impute,seed=2
    60039680   96    76800 equal-described-impute,seed=0
    60039680   96    76800 equal-described-impute,seed=1
    60039680   96    76800 equal-described-impute,seed=2
    60039680   96    76800 equal-informed,seed=0
    60039680   96    76800 equal-informed,seed=1
    60039680   96    76800 equal-informed,seed=2
    60039680   96    76800 equal-described-informed,seed=0
    60039680   96    76800 equal-described-informed,seed=1
    60039680   96    76800 equal-described-informed,seed=2
    ");
}

#[test]
fn a_plan_without_its_input_lists_the_runs_and_what_is_missing() {
    let project = Project::with_shipped("epoch-frenzy.yaml");
    let plan = ["plan", "specs/epoch-frenzy.yaml", "-p", "paper"];
    insta::assert_snapshot!(project.run(&plan).success().stdout, @"
    epoch-frenzy (profile paper): 12 runs; fix this to see run ids and cache status:
      `specs/../data/pile/03.jsonl.zst` is not there
      `specs/../data/pile/val.jsonl.zst` is not there
      `specs/../data/llama/tokenizer.json` is not there
    run                          params  steps    tokens          work    memory       disk
    25x100,seed=0            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    25x100,seed=1            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    25x100,seed=2            60,039,680    300  ~640,000  ~286.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=0            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=1            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    250x10,seed=2            60,039,680    250  ~640,000  ~183.1 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=0            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=1            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    2500x1,seed=2            60,039,680    250  ~640,000  ~457.7 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-25x100,seed=0  60,039,680    300  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-250x10,seed=0  60,039,680    250  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    by-tokens-2500x1,seed=0  60,039,680    250  ~640,000  ~185.4 TFLOP  ~1.8 GiB  229.1 MiB
    ~ estimate: one full-length sequence per document until the text is read
    ");
    let json = project.run(&[&plan[..], &["--format", "json"]].concat());
    let json = json.success().json();
    assert_eq!(json[0]["missing"].as_array().unwrap().len(), 3, "{json}");
    let run = &json[0]["runs"][6];
    assert_eq!(
        (&run["name"], &run["id"], &run["estimate"]["steps"]),
        (
            &"2500x1,seed=0".into(),
            &serde_json::Value::Null,
            &250.into()
        )
    );
    let one = project.run(&[&plan[..], &["--filter", "25x100"]].concat());
    let one = one.success().stdout;
    assert!(one.contains("3 runs") && !one.contains("2500x1"), "{one}");
    // What needs the text still says so.
    let ran = project.run(&["run", "specs/epoch-frenzy.yaml", "-p", "paper"]);
    insta::assert_snapshot!(ran.code(4).stderr, @"error: run `25x100,seed=0` of `epoch-frenzy`: cannot read `specs/../data/llama/tokenizer.json`: No such file or directory (os error 2)");
}

#[test]
fn a_plan_with_too_little_text_lists_the_runs_and_a_damaged_file_is_an_error() {
    let project = Project::new();
    let spec =
        crate::project::TINY.replace("{stories: {version: 1}}", "{text: {path: ../few.txt}}");
    project.write("specs/tiny.yaml", spec);
    project.write("few.txt", "One story.\n<|endoftext|>\nAnother.\n");
    let plan = ["plan", "specs/tiny.yaml"];
    insta::assert_snapshot!(project.run(&plan).success().stdout, @"
    tiny (profile desk): 2 runs; fix this to see run ids and cache status:
      `../few.txt` has 2 documents, but `data.train` asks for documents 5 to 24
    run     params  steps  tokens         work     memory       disk
    dim=16  13,616      5    ~480  ~34.0 MFLOP  ~24.2 MiB   58.8 KiB
    dim=32  33,888      5    ~480  ~93.5 MFLOP  ~28.6 MiB  138.0 KiB
    ~ estimate: one full-length sequence per document until the text is read
    ");
    project.write("few.txt", [0xc3, 0x28]);
    insta::assert_snapshot!(project.run(&plan).code(4).stderr, @"error: run `dim=16` of `tiny`: `specs/../few.txt`: invalid UTF-8 at byte 0; documents must be UTF-8 text");
}

#[test]
fn a_tokenizer_of_another_size_is_refused() {
    let project = Project::new();
    let spec = crate::project::TINY.replace("{dim: 16,", "{vocab_size: 32000, dim: 16,");
    project.write("specs/tiny.yaml", spec);
    insta::assert_snapshot!(project.run(&["plan", "specs/tiny.yaml"]).code(4).stderr, @"error: run `dim=16` of `tiny`: the tokenizer has 320 entries, but `model.vocab_size` says 32000; give the tokenizer that is meant, or leave `model.vocab_size` out");
}

/// Published sizes, from the plans' own settings (vocabulary of 32,000 and 50,257 entries).
#[test]
fn paper_profiles_have_the_published_models() {
    let parameters = |name: &str, run: &str, vocabulary: usize| {
        let spec = load(name, "paper");
        let run = spec
            .runs
            .iter()
            .find(|one| one.name == run || one.name.starts_with(&format!("{run},seed=")))
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

/// Every claim with what was published, how it is known, what is expected and the verdict of the committed desk report. A
/// change of a verdict is a change of this table: it has to be explained in the commit that makes it.
#[test]
fn every_claim_has_a_verdict() {
    let mut text = String::new();
    for name in NAMES {
        let claims = load(name, "desk").claims;
        let rows = committed_claims(name);
        assert_eq!(claims.len(), rows.len(), "{name}");
        writeln!(text, "{name}").unwrap();
        for (claim, row) in claims.iter().zip(rows) {
            assert_eq!(claim.id, row["id"]);
            let columns = ["type", "published", "mark", "expected", "verdict"];
            let [kind, published, mark, expected, verdict] = columns.map(|column| &row[column]);
            let given = |text: String, there: bool| if there { text } else { "–".to_owned() };
            let published = given(format!("{published} ({mark})"), !published.is_empty());
            let expected = given(expected.to_owned(), !expected.is_empty());
            let kind = given(kind.to_owned(), !kind.is_empty());
            writeln!(
                text,
                "  {} | {kind} | {verdict} | {published} | {expected}",
                claim.id
            )
            .unwrap();
        }
    }
    insta::assert_snapshot!(text, @"
    epoch-frenzy
      EF-1 | exact | holds | 25 x 100 = 250 x 10 = 2500 x 1 (printed) | equal to 0
      EF-2 | exact | holds | 300 / 250 / 250 (read from code) | equal to 0
      EF-3 | order | holds | 2500x1 < 250x10 < 25x100 (printed) | each below the one before
      EF-3b | order | holds | – | each below the one before
      EF-4 | difference | holds | mostly rises (printed) | above 0.5
      EF-4b | trend | holds | mostly rises (printed) | above 0
      EF-4c | trend | holds | – | above 0
      EF-5 | difference | holds | very near zero (printed) | below 0.05
      EF-5b | difference | not checkable here | very near zero (printed) | below 0.3
      EF-6 | difference | holds | max of 250x10 < min of 25x100 (printed) | above 0
      EF-7 | order | holds | 25x100 < 250x10 < 2500x1 (printed) | each above the one before
      EF-8 | order | holds | final 6.394, minimum 6.372 (stored output) | each below the one before
      EF-8b | difference | holds | 0.022 above it (derived) | below 0.05
      EF-9 | difference | holds | below all (printed) | above 0
      EF-10a | within | not checkable here | 6.394 (stored output) | within 0.15 of 6.394
      EF-10b | within | not checkable here | 7.12 (stored output) | within 0.15 of 7.12
      EF-10c | within | holds | 10.388 (stored output) | within 0.03 of 0
      EF-11 | within | not checkable here | 20, 20 and 50 minutes (printed) | within 0.25 of 1
      EF-12 | difference | inconclusive | – | above 0
    grid-search
      GS-1 | exact | holds | 36 (printed) | equal to 36
      GS-2 | exact | holds | 157 (read from code) | equal to 0
      GS-3 | difference | holds | 18 of 18 pairs; first step with validation loss below 8.0 is 8 to 15 against 26 to 29 (stored output) | below 0
      GS-3b | difference | holds | 18 of 18 pairs (7.588 against 7.794 in the mean) (derived) | below 0
      GS-4 | difference | holds | 12 of 12 pairs, longest against shortest (0.157 against 0.227 in the mean) (derived) | below 0
      GS-4b | difference | fails | – | below -1.386
      GS-5 | equivalence | inconclusive | final validation 7.321 / 7.288 / 7.259 for 2 / 4 / 8 heads (derived) | within 0.05 of 0
      GS-5b | equivalence | inconclusive | twelve pairs (stored output) | within 0.05 of 0
      GS-6 | equivalence | inconclusive | final validation 7.274 / 7.303 for 2 / 8 layers (derived) | within 0.05 of 0
      GS-6b | equivalence | inconclusive | eighteen pairs (stored output) | within 0.05 of 0
      GS-7 | difference | not checkable here | 1035 minutes (printed) | below 1035
      GS-8 | difference | inconclusive | rank 5 of 36 by final validation loss (stored output) | above 0
      GS-9 | within | not checkable here | 7.099 (512 wide, 2 layers, 8 heads, 512 tokens) (stored output) | within 0.15 of 7.099
      GS-9b | within | not checkable here | 7.405 (stored output) | within 0.15 of 7.405
      GS-10 | reading | not checkable here | one continuation shown (printed) | –
      GS-11 | difference | source inconsistent | 7.099 to 7.405 nats (stored output) | –
      GS-11b | difference | holds | – | below 0
      GS-12 | difference | source inconsistent | text: figures 1 to 4; captions: 4 to 7, and again 15 to 18 (printed) | –
    loss-comparison
      LC-1 | within | holds | about 10 printed; 10.97 in the curve, 10.98 in a stored log (stored output) | within 0.05 of 0
      LC-1b | within | not checkable here | about 1.8 on the site; train 1.805, test 1.826 (printed) | within 0.1 of 1.826
      LC-2 | within | holds | 11 printed; about 11.2 in the curve (stored output) | within 0.03 of 0
      LC-2b | within | holds | 11.29 (derived) | within 0.03 of 0
      LC-2c | within | not checkable here | about 2.0 on the site; train 1.885, test 1.899 (printed) | within 0.1 of 1.899
      LC-3 | within | source inconsistent | 3.8 (printed) | within 0.2 of 3.8
      LC-4 | within | source inconsistent | 3.1 and 5.2 (printed) | within 0.3 of 5.2
      LC-4b | within | not checkable here | 1.899 - ln 5.2 = 0.250 (derived) | within 0.1 of 0.25
      LC-4c | difference | source inconsistent | test loss 1.826 against 1.899; perplexity 3.8 against 5.2 (printed) | above 0
      LC-5 | difference | holds | 3.8 against 5.2 (printed) | above 0
      LC-5b | difference | holds | 3.8 against 5.2 (printed) | above 0
      LC-6 | difference | holds | no intelligible text (printed) | above 0
      LC-6a | difference | holds | no intelligible text (printed) | above 0
      LC-6b | difference | holds | 18,506 for 50,304 classes (derived) | above 1
      LC-7 | order | inconclusive | CE > x100 > plain (printed) | each below the one before
      LC-7b | order | holds | – | each below the one before
      LC-8 | difference | holds | squentropy best (printed) | above 0
      LC-8a | difference | holds | squentropy best (printed) | above 0
      LC-8b | difference | fails | – | above 0
      LC-9 | difference | source inconsistent | 6e-5, 16, 0.1 (printed) | –
      LC-10 | exact | not checkable here | 27 (read from code) | equal to 27
      LC-11 | exact | holds | identity (derived) | below 0.000001
      LC-12 | difference | holds | same hyper-parameters (printed) | below 0.05
      LC-12b | difference | fails | stated for classification (printed) | above 0
      LC-13 | reading | not checkable here | two stories shown (printed) | –
      LC-14 | reading | not checkable here | relative error 1e-5 (derived) | –
      LC-15 | difference | source inconsistent | sum over incorrect classes, factor 1 / (C - 1) (printed) | –
      LC-15b | difference | holds | – | above 0
      LC-15c | difference | holds | – | above 0
      LC-16 | difference | source inconsistent | 23 against 40 on the axis (printed) | –
      LC-17 | exact | source inconsistent | 127 M and 124 M (printed) | within 0.1 of 124.4
      LC-18 | within | source inconsistent | per story (printed) | within 0.2 of 3.8
      LC-19 | difference | holds | stated for classification (printed) | above 0
      LC-20 | spread | inconclusive | stated for classification (printed) | below 0
    scale-up
      SU-1 | exact | holds | 1688 (read from code) | equal to 0
      SU-1b | exact | not checkable here | 1688 (read from code) | equal to 1688
      SU-2 | within | not checkable here | 6.19 (first 10,000 documents of the validation set) (printed) | within 0.2 of 6.19
      SU-2b | difference | holds | 6.19 against 7.10 (derived) | above 0.3
      SU-2c | difference | not checkable here | 6.19 against 7.10 (derived) | above 0.3
      SU-3 | reading | not checkable here | two general prompts (printed) | –
      SU-4 | reading | not checkable here | four code prompts (printed) | –
      SU-5 | difference | holds | – | above 0.3
      SU-6 | difference | source inconsistent | 512 wide, 8 layers, 8 heads, 512 tokens (printed) | below 0
      SU-6b | exact | holds | 60,039,680 against 58,466,816 (derived) | above 0
      SU-7 | difference | source inconsistent | shard 02 (printed) | –
      SU-8 | difference | source inconsistent | 1 epoch (printed) | –
      SU-9 | difference | not checkable here | about 7 hours (printed) | below 7.5
    sequence-handling
      AB-1 | exact | holds | length 39, 16 batches (printed) | within 0.001 of 0
      AB-1a | exact | not checkable here | 39 (printed) | equal to 39
      AB-1b | exact | not checkable here | length 39, 915 batches (printed) | within 3.5 of 7316.5
      AB-2 | order | holds | 72, 124, 194, 240 for tolerance 50, 100, 150, 200 (printed) | each above the one before, by more than -0.5
      AB-2b | exact | not checkable here | 72, 124, 194, 240 (printed) | equal to 0
      AB-2c | exact | holds | formulas (derived) | equal to 0
      AB-3 | within | source inconsistent | 20.62, 34.40, 34.72, 34.84 (printed) | within 0.6 of 34.84
      AB-3b | difference | not checkable here | 9.16, 8.60, 8.68, 8.71 (derived) | below 0.15
      AB-4 | difference | inconclusive | 8.22 against 8.89 (derived) | above 0
      AB-4b | difference | fails | – | above 0
      AB-4c | difference | inconclusive | – | above 0
      AB-4d | difference | holds | – | above 0
      AB-5 | difference | inconclusive | 8.31 against 8.90 at length 20 (derived) | above 0
      AB-5b | difference | inconclusive | no number is legible (printed) | above 0
      AB-5c | difference | inconclusive | no number is legible (printed) | above 0
      AB-6 | difference | inconclusive | 8.89 to 8.90 and 8.22 to 8.31 for padding; 0.67 and 0.59 for overflow (derived) | below 0
      AB-6b | difference | source inconsistent | 8.89 without, 8.90 with padding (discard); 8.22, 8.31 (impute) (derived) | above 0
      AB-7 | difference | inconclusive | 250 smoother than 100 (printed) | below 0
      AB-8 | equivalence | holds | spread of 0.11 over tolerances 100 to 200 (derived) | within 0.11 of 0
      AB-9 | difference | source inconsistent | Poisson-like (printed) | –
      AB-10 | within | source inconsistent | 0.14 (printed) | within 0.15 of 8.22
      AB-10b | within | not checkable here | 131.5 / 915 = 0.144 (derived) | within 0.005 of 0.144
      AB-10c | within | source inconsistent | 0.07 (printed) | within 0.15 of 8.31
      AB-11 | difference | source inconsistent | described in prose (printed) | –
      AB-11b | difference | inconclusive | – | below 0
      AB-12 | difference | source inconsistent | described in prose (printed) | –
      AB-12b | difference | inconclusive | – | below 0
      AB-13 | difference | source inconsistent | first 16 epochs (printed) | –
      AB-14 | difference | fails | – | above 0
    ");
}

/// Rows of the claims of a committed report, by column.
fn committed_claims(name: &str) -> Vec<BTreeMap<String, String>> {
    let folder = repository().join("reports").join(name).join("data");
    let mut files = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = files
        .find(|path| path.to_string_lossy().ends_with("-claims.csv"))
        .unwrap();
    rows(&file)
}

/// The rows of a table of a committed report.
fn rows(file: &Path) -> Vec<BTreeMap<String, String>> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn arms_of_equal_budget_trained_equally_many_tokens() {
    let data = repository().join("reports/sequence-handling/data");
    let mut budgets = Vec::new();
    for run in rows(&data.join("table-2.csv")) {
        if run["case"].starts_with("equal-") {
            budgets
                .push(["tokens", "tokens half-width", "tokens runs"].map(|key| run[key].clone()));
        }
    }
    assert_eq!(budgets, vec![["76800", "0", "9"]; 5]);
}

/// The desk profile's own text: 128 generated documents.
#[test]
fn count_tables_of_sequence_handling() {
    let project = Project::with_shipped("sequence-handling.yaml");
    let ran = project.run(&["data", "stats", "specs/sequence-handling.yaml"]);
    insta::assert_snapshot!(ran.success().stdout, @"
    sequence-handling (profile desk)

    128 documents, 282,573 tokens: shortest 35, median 1113, mean 2207.6, longest 16270; batches of 8
    for naive-discard,draw=0,seed=0 naive-discard,draw=0,seed=1 naive-discard,draw=0,seed=2 naive-impute,draw=0,seed=0 naive-impute,draw=0,seed=1 naive-impute,draw=0,seed=2 and 6 more
    policy                   tol  seq_len  sequences  batches
    next_token                 –       35        128       16
    discard                    –       35        128       16
    impute_concat              –       35      8,310    1,039
    pad_discard                –       35        128       16
    pad_impute_concat          –       35      8,310    1,039
    pad_impute_per_document    –       35      8,375    1,047
    informed_as_run           50       35        181       23
    informed_as_run          100       35        371       47
    informed_as_run          150       35        539       68
    informed_as_run          200       35        713       90
    informed_as_described     50       35      8,251    1,032
    informed_as_described    100       35      8,251    1,032
    informed_as_described    150       35      8,251    1,032
    informed_as_described    200       35      8,251    1,032
    stream                     –       35          –        –

    128 documents, 320,295 tokens: shortest 33, median 1044, mean 2502.3, longest 21084; batches of 8
    for naive-discard,draw=1,seed=0 naive-discard,draw=1,seed=1 naive-discard,draw=1,seed=2 naive-impute,draw=1,seed=0 naive-impute,draw=1,seed=1 naive-impute,draw=1,seed=2 and 6 more
    policy                   tol  seq_len  sequences  batches
    next_token                 –       33        128       16
    discard                    –       33        128       16
    impute_concat              –       33     10,009    1,252
    pad_discard                –       33        128       16
    pad_impute_concat          –       33     10,009    1,252
    pad_impute_per_document    –       33     10,073    1,260
    informed_as_run           50       33        193       25
    informed_as_run          100       33        384       48
    informed_as_run          150       33        567       71
    informed_as_run          200       33        747       94
    informed_as_described     50       33      9,950    1,244
    informed_as_described    100       33      9,950    1,244
    informed_as_described    150       33      9,950    1,244
    informed_as_described    200       33      9,950    1,244
    stream                     –       33          –        –

    128 documents, 378,945 tokens: shortest 24, median 1078, mean 2960.5, longest 36744; batches of 8
    for naive-discard,draw=2,seed=0 naive-discard,draw=2,seed=1 naive-discard,draw=2,seed=2 naive-impute,draw=2,seed=0 naive-impute,draw=2,seed=1 naive-impute,draw=2,seed=2 and 6 more
    policy                   tol  seq_len  sequences  batches
    next_token                 –       24        128       16
    discard                    –       24        128       16
    impute_concat              –       24     16,475    2,060
    pad_discard                –       24        128       16
    pad_impute_concat          –       24     16,475    2,060
    pad_impute_per_document    –       24     16,534    2,067
    informed_as_run           50       24        274       35
    informed_as_run          100       24        543       68
    informed_as_run          150       24        811      102
    informed_as_run          200       24      1,057      133
    informed_as_described     50       24     16,414    2,052
    informed_as_described    100       24     16,414    2,052
    informed_as_described    150       24     16,414    2,052
    informed_as_described    200       24     16,414    2,052
    stream                     –       24          –        –

    128 documents, 282,573 tokens: shortest 35, median 1113, mean 2207.6, longest 16270; batches of 8
    for pad-discard-20,draw=0,seed=0 pad-discard-20,draw=0,seed=1 pad-discard-20,draw=0,seed=2 pad-impute-20,draw=0,seed=0 pad-impute-20,draw=0,seed=1 pad-impute-20,draw=0,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       35        128       16
    impute_concat              –       35      8,310    1,039
    next_token                 –       20        128       16
    discard                    –       20        128       16
    impute_concat              –       20     14,872    1,859
    pad_discard                –       20        128       16
    pad_impute_concat          –       20     14,872    1,859
    pad_impute_per_document    –       20     14,932    1,867
    informed_as_run           50       20        332       42
    informed_as_run          100       20        649       82
    informed_as_run          150       20        975      122
    informed_as_run          200       20      1,268      159
    informed_as_described     50       20     14,811    1,852
    informed_as_described    100       20     14,811    1,852
    informed_as_described    150       20     14,811    1,852
    informed_as_described    200       20     14,811    1,852
    stream                     –       20          –        –

    128 documents, 320,295 tokens: shortest 33, median 1044, mean 2502.3, longest 21084; batches of 8
    for pad-discard-20,draw=1,seed=0 pad-discard-20,draw=1,seed=1 pad-discard-20,draw=1,seed=2 pad-impute-20,draw=1,seed=0 pad-impute-20,draw=1,seed=1 pad-impute-20,draw=1,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       33        128       16
    impute_concat              –       33     10,009    1,252
    next_token                 –       20        128       16
    discard                    –       20        128       16
    impute_concat              –       20     16,857    2,108
    pad_discard                –       20        128       16
    pad_impute_concat          –       20     16,857    2,108
    pad_impute_per_document    –       20     16,920    2,115
    informed_as_run           50       20        335       42
    informed_as_run          100       20        646       81
    informed_as_run          150       20        958      120
    informed_as_run          200       20      1,244      156
    informed_as_described     50       20     16,799    2,100
    informed_as_described    100       20     16,799    2,100
    informed_as_described    150       20     16,799    2,100
    informed_as_described    200       20     16,799    2,100
    stream                     –       20          –        –

    128 documents, 378,945 tokens: shortest 24, median 1078, mean 2960.5, longest 36744; batches of 8
    for pad-discard-20,draw=2,seed=0 pad-discard-20,draw=2,seed=1 pad-discard-20,draw=2,seed=2 pad-impute-20,draw=2,seed=0 pad-impute-20,draw=2,seed=1 pad-impute-20,draw=2,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       24        128       16
    impute_concat              –       24     16,475    2,060
    next_token                 –       20        128       16
    discard                    –       20        128       16
    impute_concat              –       20     19,944    2,493
    pad_discard                –       20        128       16
    pad_impute_concat          –       20     19,944    2,493
    pad_impute_per_document    –       20     19,997    2,500
    informed_as_run           50       20        337       43
    informed_as_run          100       20        658       83
    informed_as_run          150       20        975      122
    informed_as_run          200       20      1,276      160
    informed_as_described     50       20     19,882    2,486
    informed_as_described    100       20     19,882    2,486
    informed_as_described    150       20     19,882    2,486
    informed_as_described    200       20     19,882    2,486
    stream                     –       20          –        –

    128 documents, 282,573 tokens: shortest 35, median 1113, mean 2207.6, longest 16270; batches of 8
    for discard-100,draw=0,seed=0 discard-100,draw=0,seed=1 discard-100,draw=0,seed=2 impute-100,draw=0,seed=0 impute-100,draw=0,seed=1 impute-100,draw=0,seed=2 and 48 more
    policy                   tol  seq_len  sequences  batches
    discard                    –       35        128       16
    impute_concat              –       35      8,310    1,039
    next_token                 –      100        128       16
    discard                    –      100        128       16
    impute_concat              –      100      2,854      357
    pad_discard                –      100        128       16
    pad_impute_concat          –      100      2,854      357
    pad_impute_per_document    –      100      2,920      365
    informed_as_run           50      100         74       10
    informed_as_run          100      100        128       16
    informed_as_run          150      100        196       25
    informed_as_run          200      100        245       31
    informed_as_described     50      100      2,856      357
    informed_as_described    100      100      2,794      350
    informed_as_described    150      100      2,794      350
    informed_as_described    200      100      2,794      350
    stream                     –      100          –        –

    128 documents, 320,295 tokens: shortest 33, median 1044, mean 2502.3, longest 21084; batches of 8
    for discard-100,draw=1,seed=0 discard-100,draw=1,seed=1 discard-100,draw=1,seed=2 impute-100,draw=1,seed=0 impute-100,draw=1,seed=1 impute-100,draw=1,seed=2 and 48 more
    policy                   tol  seq_len  sequences  batches
    discard                    –       33        128       16
    impute_concat              –       33     10,009    1,252
    next_token                 –      100        128       16
    discard                    –      100        128       16
    impute_concat              –      100      3,235      405
    pad_discard                –      100        128       16
    pad_impute_concat          –      100      3,235      405
    pad_impute_per_document    –      100      3,299      413
    informed_as_run           50      100         73       10
    informed_as_run          100      100        127       16
    informed_as_run          150      100        190       24
    informed_as_run          200      100        243       31
    informed_as_described     50      100      3,237      405
    informed_as_described    100      100      3,171      397
    informed_as_described    150      100      3,171      397
    informed_as_described    200      100      3,171      397
    stream                     –      100          –        –

    128 documents, 378,945 tokens: shortest 24, median 1078, mean 2960.5, longest 36744; batches of 8
    for discard-100,draw=2,seed=0 discard-100,draw=2,seed=1 discard-100,draw=2,seed=2 impute-100,draw=2,seed=0 impute-100,draw=2,seed=1 impute-100,draw=2,seed=2 and 48 more
    policy                   tol  seq_len  sequences  batches
    discard                    –       24        128       16
    impute_concat              –       24     16,475    2,060
    next_token                 –      100        128       16
    discard                    –      100        128       16
    impute_concat              –      100      3,827      479
    pad_discard                –      100        128       16
    pad_impute_concat          –      100      3,827      479
    pad_impute_per_document    –      100      3,890      487
    informed_as_run           50      100         63        8
    informed_as_run          100      100        127       16
    informed_as_run          150      100        188       24
    informed_as_run          200      100        245       31
    informed_as_described     50      100      3,830      479
    informed_as_described    100      100      3,762      471
    informed_as_described    150      100      3,762      471
    informed_as_described    200      100      3,762      471
    stream                     –      100          –        –

    128 documents, 282,573 tokens: shortest 35, median 1113, mean 2207.6, longest 16270; batches of 8
    for pad-discard-250,draw=0,seed=0 pad-discard-250,draw=0,seed=1 pad-discard-250,draw=0,seed=2 pad-impute-250,draw=0,seed=0 pad-impute-250,draw=0,seed=1 pad-impute-250,draw=0,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       35        128       16
    impute_concat              –       35      8,310    1,039
    next_token                 –      250        128       16
    discard                    –      250        128       16
    impute_concat              –      250      1,134      142
    pad_discard                –      250        128       16
    pad_impute_concat          –      250      1,134      142
    pad_impute_per_document    –      250      1,200      150
    informed_as_run           50      250         27        4
    informed_as_run          100      250         58        8
    informed_as_run          150      250         73       10
    informed_as_run          200      250         93       12
    informed_as_described     50      250      1,173      147
    informed_as_described    100      250      1,145      144
    informed_as_described    150      250      1,122      141
    informed_as_described    200      250      1,096      137
    stream                     –      250          –        –

    128 documents, 320,295 tokens: shortest 33, median 1044, mean 2502.3, longest 21084; batches of 8
    for pad-discard-250,draw=1,seed=0 pad-discard-250,draw=1,seed=1 pad-discard-250,draw=1,seed=2 pad-impute-250,draw=1,seed=0 pad-impute-250,draw=1,seed=1 pad-impute-250,draw=1,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       33        128       16
    impute_concat              –       33     10,009    1,252
    next_token                 –      250        128       16
    discard                    –      250        128       16
    impute_concat              –      250      1,286      161
    pad_discard                –      250        128       16
    pad_impute_concat          –      250      1,286      161
    pad_impute_per_document    –      250      1,355      170
    informed_as_run           50      250         33        5
    informed_as_run          100      250         58        8
    informed_as_run          150      250         74       10
    informed_as_run          200      250        102       13
    informed_as_described     50      250      1,321      166
    informed_as_described    100      250      1,295      162
    informed_as_described    150      250      1,271      159
    informed_as_described    200      250      1,250      157
    stream                     –      250          –        –

    128 documents, 378,945 tokens: shortest 24, median 1078, mean 2960.5, longest 36744; batches of 8
    for pad-discard-250,draw=2,seed=0 pad-discard-250,draw=2,seed=1 pad-discard-250,draw=2,seed=2 pad-impute-250,draw=2,seed=0 pad-impute-250,draw=2,seed=1 pad-impute-250,draw=2,seed=2
    policy                   tol  seq_len  sequences  batches
    discard                    –       24        128       16
    impute_concat              –       24     16,475    2,060
    next_token                 –      250        128       16
    discard                    –      250        128       16
    impute_concat              –      250      1,521      191
    pad_discard                –      250        128       16
    pad_impute_concat          –      250      1,521      191
    pad_impute_per_document    –      250      1,585      199
    informed_as_run           50      250         26        4
    informed_as_run          100      250         51        7
    informed_as_run          150      250         74       10
    informed_as_run          200      250         92       12
    informed_as_described     50      250      1,566      196
    informed_as_described    100      250      1,533      192
    informed_as_described    150      250      1,510      189
    informed_as_described    200      250      1,481      186
    stream                     –      250          –        –
    ");
    // Once the lengths are known, a plan has them too.
    let plan = ["plan", "specs/sequence-handling.yaml", "--format", "json"];
    let plan = project.run(&plan).success().json();
    let run = &plan[0]["runs"][0];
    assert_eq!(run["name"], "naive-discard,draw=0,seed=0");
    assert_eq!(run["estimate"]["tokens"], 16 * 8 * 35);
}

#[test]
fn the_committed_reports_are_what_their_records_give() {
    let mut check = Project::new().command(&["report", "--check", "specs"]);
    let output = check.current_dir(repository()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let same = told.matches("the report is what its records give");
    assert_eq!(same.count(), NAMES.len(), "{told}");
}
