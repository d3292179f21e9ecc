//! From axes, cases, seeds, profiles and `--set` to runs.

use super::{FRENZY, table, with};

#[test]
fn cases_and_seeds_make_runs() {
    let spec = with(FRENZY, None, &[]).unwrap();
    let show = |s: &crate::spec::Settings| {
        format!(
            "{} {:?} {:?} {}",
            s.data.train.take, s.train.epochs, s.train.validate.every, s.train.seed
        )
    };
    insta::assert_snapshot!(table(&spec, show), @"
    25x100,seed=0: 25 Some(100) Epoch 0
    25x100,seed=1: 25 Some(100) Epoch 1
    25x100,seed=2: 25 Some(100) Epoch 2
    250x10,seed=0: 250 Some(10) Epoch 0
    250x10,seed=1: 250 Some(10) Epoch 1
    250x10,seed=2: 250 Some(10) Epoch 2
    2500x1,seed=0: 2500 Some(1) Steps(10) 0
    2500x1,seed=1: 2500 Some(1) Steps(10) 1
    2500x1,seed=2: 2500 Some(1) Steps(10) 2
    ");
}
