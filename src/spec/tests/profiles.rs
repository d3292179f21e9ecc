//! Messages about profiles and `--set`.

use super::{edit, profile, set};
use insta::assert_snapshot;

#[test]
fn profiles_that_set_nothing() {
    assert_snapshot!(edit("seeds: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10", "model.dim: 128"), @"
    the profile `smoke` sets nothing new
      --> s.yaml:31:3
    31 |   smoke: {model.dim: 128}
       |   ^^^^^
    ");
    assert_snapshot!(edit("{seeds: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}", "{}"), @"
    the profile `smoke` sets nothing
      --> s.yaml:31:3
    31 |   smoke: {}
       |   ^^^^^
    ");
    assert_snapshot!(edit("  smoke:", "  desk:"), @"
    the profile `desk` is the base as written; it cannot be defined
      --> s.yaml:31:3
    31 |   desk: {seeds: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}
       |   ^^^^
       = hint: put its settings into `base`
    ");
}

#[test]
fn profile_overrides() {
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "seeds: [0], model.dims: 32"), @"
    there is no setting `dims` in `model`
      --> s.yaml:31:23
    31 |   smoke: {seeds: [0], model.dims: 32, data.validation: 10, eval.perplexity.documents: 10}
       |                       ^^^^^^^^^^
       = allowed: `arch`, `dim`, `n_layers`, `n_heads`, `n_kv_heads`, `hidden_dim`, `multiple_of`, `max_seq_len`, `norm_eps`, `rope_theta`, `biases`, `tied_output`, `dropout`, `init`, `pad_vocab_to_multiple`, `vocab_size`
       = hint: did you mean `dim`?
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "seeds: [0], model.dim: small"), @"
    `model.dim` has to be a whole number of at least 0, not the text `small`
      --> s.yaml:31:34
    31 |   smoke: {seeds: [0], model.dim: small, data.validation: 10, eval.perplexity.documents: 10}
       |                                  ^^^^^
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "seeds: [0], name: small"), @"
    there is no setting `name`
      --> s.yaml:31:23
    31 |   smoke: {seeds: [0], name: small, data.validation: 10, eval.perplexity.documents: 10}
       |                       ^^^^
       = allowed: `data`, `model`, `train`, `eval`, `seeds`, `vary`, `cases`, `exclude`, `max_runs`
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "cases.25x10.train.epochs: 3"), @"
    there is no case `25x10`
      --> s.yaml:31:11
    31 |   smoke: {cases.25x10.train.epochs: 3, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^^^^^^^^^^^^^^^^^^^^^^^
       = allowed: `25x100`, `250x10`, `2500x1`
       = hint: did you mean `25x100`?
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "cases.25x10: null"), @"
    there is no case `25x10`
      --> s.yaml:31:11
    31 |   smoke: {cases.25x10: null, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^^^^^^^^^^
       = allowed: `25x100`, `250x10`, `2500x1`
       = hint: did you mean `25x100`?
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "vary.model.dim: null"), @"
    there is no axis `model.dim` to remove
      --> s.yaml:31:11
    31 |   smoke: {vary.model.dim: null, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^^^^^^^^^^^^^
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "train.seed: 3"), @"
    `train.seed` is never used: `seeds` sets it
      --> s.yaml:31:11
    31 |   smoke: {train.seed: 3, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^^^^^^^^^
       = note: `seeds` is at line 28
       = hint: override `seeds`
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dim: [64, 128]}"), @"
    `model.dim` is an axis: every run sets it
      --> s.yaml:31:23
    31 |   smoke: {seeds: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}
       |                       ^^^^^^^^^
       = hint: override the axis: `vary.model.dim: […]`

    `model.dim` is an axis: every run sets it
      --> s.yaml:32:65
    32 | …per: {data.corpus: {jsonl: {path: data/pile/03.jsonl.zst}}, model.dim: 512, model.n_layers: 8, model.n_heads: 8, model.…
       |                                                              ^^^^^^^^^
       = hint: override the axis: `vary.model.dim: […]`
    ");
}

#[test]
fn an_unknown_profile() {
    assert_snapshot!(profile("smok", &[]), @"
    there is no profile `smok`
      = allowed: `desk`, `smoke`, `paper`
      = hint: did you mean `smoke`?
    ");
}

#[test]
fn sets() {
    assert_snapshot!(set(&["model.dmi=4"]), @"
    there is no setting `dmi` in `model`
     --> --set
    1 | model.dmi=4
      | ^^^^^^^^^
      = allowed: `arch`, `dim`, `n_layers`, `n_heads`, `n_kv_heads`, `hidden_dim`, `multiple_of`, `max_seq_len`, `norm_eps`, `rope_theta`, `biases`, `tied_output`, `dropout`, `init`, `pad_vocab_to_multiple`, `vocab_size`
      = hint: did you mean `dim`?
    ");
    assert_snapshot!(set(&["model.dim"]), @"
    `--set` needs a path and a value
     --> --set
    1 | model.dim
      | ^^^^^^^^^
      = hint: write `--set path=value`, such as `--set model.dim=64`
    ");
    assert_snapshot!(set(&["model.dim="]), @"
    `--set` gives `model.dim` no value
     --> --set
    1 | model.dim=
      |          ^
      = hint: to unset it, write `model.dim=null`
    ");
    assert_snapshot!(set(&["model.dim=wide"]), @"
    `model.dim` has to be a whole number of at least 0, not the text `wide`
     --> --set
    1 | model.dim=wide
      |           ^^^^
    ");
    assert_snapshot!(set(&["model.dim=[1"]), @"
    not valid YAML: while parsing a flow sequence, expected ',' or ']'
     --> --set
    1 | model.dim=[1
      |             ^
    ");
    assert_snapshot!(set(&["model.n_heads=5"]), @"
    `model.dim` 128 is not a multiple of `model.n_heads` 5
     --> --set
    1 | model.n_heads=5
      |               ^
      = allowed: for 128: 1, 2, 4, 8, 16, 32, 64 heads
    ");
    assert_snapshot!(set(&["train.seed=1"]), @"
    `train.seed` is never used: `seeds` sets it
     --> --set
    1 | train.seed=1
      | ^^^^^^^^^^
      = note: `seeds` is at line 28
      = hint: override `seeds`
    ");
    assert_snapshot!(set(&["modeldim=64"]), @"
    there is no setting `modeldim`
     --> --set
    1 | modeldim=64
      | ^^^^^^^^
      = allowed: `data`, `model`, `train`, `eval`, `seeds`, `vary`, `cases`, `exclude`, `max_runs`
      = hint: did you mean `model.dim`?
    ");
    assert_snapshot!(set(&["cases.25x10.train.epochs=3"]), @"
    there is no case `25x10`
     --> --set
    1 | cases.25x10.train.epochs=3
      | ^^^^^^^^^^^^^^^^^^^^^^^^
      = allowed: `25x100`, `250x10`, `2500x1`
      = hint: did you mean `25x100`?
    ");
    assert_snapshot!(set(&["model.n_heads=3", "model.norm_eps=.nan", "eval.samples.top_p=2"]), @"
    `model.dim` 128 is not a multiple of `model.n_heads` 3
     --> --set
    1 | model.n_heads=3
      |               ^
      = allowed: for 128: 1, 2, 4, 8, 16, 32, 64 heads

    `.nan` is not a finite number of at most 64 bits
     --> --set
    1 | model.norm_eps=.nan
      |                ^^^^

    `eval.samples.top_p` is 2; it has to be above 0 and at most 1
     --> --set
    1 | eval.samples.top_p=2
      |                    ^
    ");
}

#[test]
fn a_set_on_an_axis() {
    assert_snapshot!(super::told(&super::FRENZY.replace("seeds: [0, 1, 2]", "vary: {model.n_layers: [2, 4]}"), None, &["model.n_layers=3"]), @"
    `model.n_layers` is an axis: every run sets it
      --> s.yaml:32:81
    32 | …s: {jsonl: {path: data/pile/03.jsonl.zst}}, model.dim: 512, model.n_layers: 8, model.n_heads: 8, model.max_seq_len: 256…
       |                                                              ^^^^^^^^^^^^^^
       = hint: override the axis: `vary.model.n_layers: […]`

    `model.n_layers` is an axis: its runs are named by its values
     --> --set
    1 | model.n_layers=3
      | ^^^^^^^^^^^^^^
      = hint: override the axis: `--set 'vary.model.n_layers=[…]'`
    ");
}

#[test]
fn paths_that_name_too_little_or_too_much() {
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "seeds.x: [0], model.dim: 32"), @"
    `seeds.x`: `seeds` has no parts
      --> s.yaml:31:11
    31 |   smoke: {seeds.x: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^^^^^^
    ");
    assert_snapshot!(edit("seeds: [0], model.dim: 32", "train.epochs: 3"), @"no problem");
    assert_snapshot!(super::told(&super::FRENZY.replace("2500x1: {", "2500x1: {train.epochs: 1, ").replace("model.dim: 32", "train.epochs: 3"), None, &[]), @"
    `train.epochs` is set by every case: no run would use this
      --> s.yaml:31:23
    31 |   smoke: {seeds: [0], train.epochs: 3, data.validation: 10, eval.perplexity.documents: 10}
       |                       ^^^^^^^^^^^^
       = hint: override the cases: `cases.25x100.train.epochs: …`
    ");
}

#[test]
fn a_profile_has_words_of_its_own() {
    let own = "  smoke: {title: Small, finding: 'It ran.', cells: [{plan: all}], seeds: [0],";
    let text = super::FRENZY.replace("  smoke: {seeds: [0],", own);
    let small = super::with(&text, Some("smoke"), &[]).unwrap();
    assert_eq!((small.title.as_str(), small.cells.len()), ("Small", 1));
    assert_eq!(small.finding.unwrap().value, "It ran.");
    // The others keep the texts of the spec.
    let desk = super::with(&text, None, &[]).unwrap();
    assert!(desk.title != "Small" && desk.cells.len() == 5 && desk.finding.is_none());
    // They are checked against the shape of the spec, whether or not the profile is requested.
    let broken = text.replace("[{plan: all}]", "[{plans: all}]");
    assert!(
        super::with(&broken, None, &[])
            .unwrap_err()
            .contains("`plans`")
    );
    let unknown = text.replace("[{plan: all}]", "[{claims: [EF-99]}]");
    assert!(
        super::with(&unknown, Some("smoke"), &[])
            .unwrap_err()
            .contains("EF-99")
    );
}
