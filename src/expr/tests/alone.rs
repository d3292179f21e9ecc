//! Bare names, unknown axis values, and invalid expressions.

use super::check;
use insta::assert_snapshot;

#[test]
fn names_that_stand_alone_are_told_what_they_are() {
    for (alone, advice) in [
        (
            "val_loss",
            "a metric belongs to a run: `run('dim=128,n_layers=2').val_loss`",
        ),
        (
            "dim",
            "an axis belongs to a run: `run('dim=128,n_layers=2').dim`",
        ),
        ("mean", "it is a function: `mean(…)`"),
        ("1 | mean", "it is a function: `mean(…)`"),
        ("round(1.25, 1)", "it is a filter: `x | round`"),
    ] {
        let told = check(alone).unwrap_err().to_string();
        assert!(
            told.ends_with(&format!("alone is not a value: {advice}")),
            "{told}"
        );
    }
}

#[test]
fn what_no_axis_and_no_run_has_is_told() {
    assert_snapshot!(check("pairs('dim', 512, 129).nll[0]").unwrap_err(), @"unknown axis value `129`, expected one of `128`, `512`");
    assert_snapshot!(check("runs(dim=129).nll[0]").unwrap_err(), @"unknown axis value `129`, expected one of `128`, `512`");
    assert_snapshot!(check("runs()[0]['val/loss']").unwrap_err(), @"unknown metric `val/loss`, the nearest names are `val_loss`, `val_loss_max`, `val_loss_min`");
    assert_snapshot!(check("log(2").unwrap_err(), @"syntax error: unexpected end of input, expected `,`; a `(` is not closed by `)`");
    assert_snapshot!(check("1.5:.2f").unwrap_err(), @"syntax error: unexpected input after expression; digits are told by a filter: `x | round(2)`");
}
