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
    insta::assert_snapshot!(table(&spec, show), @"x");
}
