//! Messages about cases, axes, seeds and their product.

use super::edit;
use insta::assert_snapshot;

#[test]
fn axes_that_name_nothing() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dmi: [1, 2]}"), @"
    there is no setting `dmi` in `model`
      --> s.yaml:28:8
    28 | vary: {model.dmi: [1, 2]}
       |        ^^^^^^^^^
       = allowed: `arch`, `dim`, `n_layers`, `n_heads`, `n_kv_heads`, `hidden_dim`, `multiple_of`, `max_seq_len`, `norm_eps`, `rope_theta`, `biases`, `tied_output`, `dropout`, `init`, `pad_vocab_to_multiple`, `vocab_size`
       = hint: did you mean `dim`?
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {modle.dim: [1, 2]}"), @"
    there is no setting `modle.dim`
      --> s.yaml:28:8
    28 | vary: {modle.dim: [1, 2]}
       |        ^^^^^^^^^
       = allowed: `data`, `model`, `train`, `eval`, `seeds`, `vary`, `cases`, `exclude`, `max_runs`
       = hint: did you mean `model.dim`?
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {dim: [64, 128]}"), @"
    there is no setting `dim`
      --> s.yaml:28:8
    28 | vary: {dim: [64, 128]}
       |        ^^^
       = allowed: `data`, `model`, `train`, `eval`, `seeds`, `vary`, `cases`, `exclude`, `max_runs`
       = hint: it belongs to `model.dim`
    ");
    assert_snapshot!(edit("data.train: 25,", "base.data.train: 25,"), @"
    there is no setting `base.data.train`
      --> s.yaml:25:12
    25 |   25x100: {base.data.train: 25, train.epochs: 100}
       |            ^^^^^^^^^^^^^^^
       = hint: paths start below `base`: `data.train`
    ");
    assert_snapshot!(edit("data.train: 25,", "data.sequence.next_token.x: 25,"), @"
    there is no setting `next_token` in `data.sequence`
      --> s.yaml:25:12
    25 |   25x100: {data.sequence.next_token.x: 25, train.epochs: 100}
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^
       = allowed: `informed_as_run`, `informed_as_described`
    ");
    assert_snapshot!(edit("data.train: 25,", "data..train: 25,"), @"
    `data..train` is not a dot path
      --> s.yaml:25:12
    25 |   25x100: {data..train: 25, train.epochs: 100}
       |            ^^^^^^^^^^^
       = allowed: names joined by dots, such as `model.dim`; put a name that contains a dot in double quotes
    ");
    assert_snapshot!(edit("data.train: 25,", "model: {dim: 3},"), @"
    `model` is a whole section; name the setting
      --> s.yaml:25:12
    25 |   25x100: {model: {dim: 3}, train.epochs: 100}
       |            ^^^^^
       = hint: write `model.dim: …`
    ");
}

#[test]
fn values_that_do_not_fit() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dim: [128, wide]}"), @"
    `model.dim` has to be a whole number of at least 0, not the text `wide`
      --> s.yaml:28:25
    28 | vary: {model.dim: [128, wide]}
       |                         ^^^^

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
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dim: 128}"), @"
    `model.dim`: an axis needs a list, not `128`
      --> s.yaml:28:19
    28 | vary: {model.dim: 128}
       |                   ^^^
       = hint: write `[128]`
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dim: []}"), @"
    the axis `model.dim` has no values
      --> s.yaml:28:19
    28 | vary: {model.dim: []}
       |                   ^
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: []"), @"
    `seeds` is an empty list
      --> s.yaml:28:1
    28 | seeds: []
       | ^^^^^
       = hint: write `seeds: [0]`, or leave the key out
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: [0, 1, 1]"), @"
    the axis `seed` has `1` twice
      --> s.yaml:28:15
    28 | seeds: [0, 1, 1]
       |               ^
       = note: first at line 28
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {train.loss: [mse, {square: {k: 1, m: 1}}]}"), @"
    the axis `loss` has `square{k=1;m=1}` twice
      --> s.yaml:28:26
    28 | vary: {train.loss: [mse, {square: {k: 1, m: 1}}]}
       |                          ^
       = note: first at line 28
    ");
}

#[test]
fn axes_that_collide() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.dim: [1, 2], model.n_embd: [1, 2]}"), @"
    `model.dim` 1 is not a multiple of `model.n_heads` 4
      --> s.yaml:13:56
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                                        ^
       = note: in run `25x100,dim=1` and 2 more

    `model.dim` 2 is not a multiple of `model.n_heads` 4
      --> s.yaml:13:56
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                                        ^
       = allowed: for 2: 1 heads
       = note: in run `25x100,dim=2` and 2 more

    the axis `model.dim` is given twice
      --> s.yaml:28:27
    28 | vary: {model.dim: [1, 2], model.n_embd: [1, 2]}
       |                           ^^^^^^^^^^^^
       = note: first given at line 28

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
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {train.epochs: [1, 2]}"), @"
    the axis `train.epochs` and a case set the same
      --> s.yaml:25:28
    25 |   25x100: {data.train: 25, train.epochs: 100}
       |                            ^^^^^^^^^^^^
       = note: the axis is at line 28

    the axis `train.epochs` and a case set the same
      --> s.yaml:26:29
    26 |   250x10: {data.train: 250, train.epochs: 10}
       |                             ^^^^^^^^^^^^
       = note: the axis is at line 28
    ");
    assert_snapshot!(edit("data.train: 25,", "train.seed: 3, data.train: 25,"), @"
    `train.seed` is never used: `seeds` sets it
      --> s.yaml:25:12
    25 |   25x100: {train.seed: 3, data.train: 25, train.epochs: 100}
       |            ^^^^^^^^^^
       = note: `seeds` is at line 28
       = hint: override `seeds`
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {train.loss: [mse], train.loss.square.k: [1, 2]}"), @"
    the axes `train.loss` and `train.loss.square.k` set the same
      --> s.yaml:28:27
    28 | vary: {train.loss: [mse], train.loss.square.k: [1, 2]}
       |                           ^^^^^^^^^^^^^^^^^^^
    ");
    assert_snapshot!(edit("data.train: 25,", "data.train.take: 3, data.train: 25,"), @"
    `data.train` replaces `data.train.take`, which is set beside it
      --> s.yaml:25:32
    25 |   25x100: {data.train.take: 3, data.train: 25, train.epochs: 100}
       |                                ^^^^^^^^^^
       = note: the other is set at line 25
    ");
}

#[test]
fn a_product_too_large() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: [0, 1, 2]\nmax_runs: 8"), @"
    the axes multiply to 9 runs; at most 8 are allowed
      --> s.yaml:28:1
    28 | seeds: [0, 1, 2]
       | ^^^^^
       = note: 3 case × 3 seed
       = hint: if this is intended, write `max_runs: 9`
    ");
    assert_snapshot!(super::huge_axis(), @"
    the axes multiply to 180000 runs; at most 10000 are allowed
      --> s.yaml:29:8
    29 | vary: {train.max_batches: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26…
       |        ^^^^^^^^^^^^^^^^^
       = note: 3 case × 20000 max_batches × 3 seed
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "max_runs: 1000000"), @"
    `max_runs` is at most 100000
      --> s.yaml:28:11
    28 | max_runs: 1000000
       |           ^^^^^^^
    ");
}

#[test]
fn excludes() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: [0, 1]\nexclude: [{cse: 25x100}]"), @"
    `exclude`: there is no axis `cse`
      --> s.yaml:29:12
    29 | exclude: [{cse: 25x100}]
       |            ^^^
       = allowed: `case`, `seed`
       = hint: did you mean `case`?
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: [0, 1]\nexclude: [{seed: 2}]"), @"
    `exclude`: the axis `seed` has no value `2`
      --> s.yaml:29:18
    29 | exclude: [{seed: 2}]
       |                  ^
       = allowed: `0`, `1`
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: [0, 1]\nexclude: [{seed: 0}, {seed: 1}]"), @"
    no run is left: `exclude` removes all
      --> s.yaml:29:1
    29 | exclude: [{seed: 0}, {seed: 1}]
       | ^^^^^^^
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "exclude: [{}]"), @"
    `exclude`: this leaves out every run
      --> s.yaml:28:11
    28 | exclude: [{}]
       |           ^
    ");
}

#[test]
fn a_case_name() {
    assert_snapshot!(edit("  25x100:", "  25,100:"), @"
    `25,100` cannot name a case
      --> s.yaml:25:3
    25 |   25,100: {data.train: 25, train.epochs: 100}
       |   ^^^^^^
       = allowed: any text without `,` `=` `/`, quotes and outer spaces
    ");
}

#[test]
fn a_problem_of_some_runs() {
    assert_snapshot!(edit("seeds: [0, 1, 2]", "vary: {model.n_heads: [4, 5, 7]}"), @"
    `model.dim` 128 is not a multiple of `model.n_heads` 5
      --> s.yaml:28:27
    28 | vary: {model.n_heads: [4, 5, 7]}
       |                           ^
       = allowed: for 128: 1, 2, 4, 8, 16, 32, 64 heads
       = note: in run `25x100,n_heads=5` and 2 more

    `model.dim` 128 is not a multiple of `model.n_heads` 7
      --> s.yaml:28:30
    28 | vary: {model.n_heads: [4, 5, 7]}
       |                              ^
       = allowed: for 128: 1, 2, 4, 8, 16, 32, 64 heads
       = note: in run `25x100,n_heads=7` and 2 more

    `model.n_heads` is an axis: every run sets it
      --> s.yaml:32:100
    32 | …ata/pile/03.jsonl.zst}}, model.dim: 512, model.n_layers: 8, model.n_heads: 8, model.max_seq_len: 256}
       |                                                              ^^^^^^^^^^^^^
       = hint: override the axis: `vary.model.n_heads: […]`
    ");
}
