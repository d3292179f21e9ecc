//! Messages about claims and cells.

use super::{FRENZY, edit, with};
use crate::spec::Cell;
use insta::assert_snapshot;

#[test]
fn claims() {
    assert_snapshot!(edit("    expect: {above: 0.1}\n", ""), @"
    the claim `EF-3` has a `measure` but no `expect`
      --> s.yaml:39:14
    39 |     measure: min(run('25x100').val_loss - run('250x10').val_loss, run('250x10').val_loss - run('2500x1').val_loss)
       |              ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       = allowed: `{above: x}`, `{below: x}`, `{within: [centre, tolerance]}`, `{equals: x}`, `{increasing: gap}`, `{decreasing: gap}`
    ");
    assert_snapshot!(edit("expect: {above: 0.1}", "expect: {over: 0.1}"), @"
    `claims[0].expect` cannot be `over`
      --> s.yaml:40:14
    40 |     expect: {over: 0.1}
       |              ^^^^
       = allowed: `{above: …}`, `{below: …}`, `{within: …}`, `{equals: …}`, `{increasing: …}`, `{decreasing: …}`
       = hint: write `{above: …}`
    ");
    assert_snapshot!(edit("expect: {above: 0.1}", "expect: {within: [0.1, -1]}"), @"
    the tolerance -1 is below 0
      --> s.yaml:40:28
    40 |     expect: {within: [0.1, -1]}
       |                            ^^
       = allowed: `within: [centre, tolerance]`
    ");
    assert_snapshot!(edit("mark: printed", "mark: seen"), @r#"
    `claims[0].published.mark` cannot be `seen`
      --> s.yaml:38:58
    38 |     published: {value: "2500x1 < 250x10 < 25x100", mark: seen}
       |                                                          ^^^^
       = allowed: `printed`, `code`, `stored_output`, `derived`
    "#);
    assert_snapshot!(edit("    where: figure 3", "    needs: {profiles: [papr]}"), @"
    the claim `EF-3` needs a profile `papr`, which does not exist
      --> s.yaml:37:24
    37 |     needs: {profiles: [papr]}
       |                        ^^^^
       = allowed: `desk`, `smoke`, `paper`
       = hint: did you mean `paper`?
    ");
    assert_snapshot!(edit("claims:\n", "claims:\n  - {id: EF-3, says: Something., inconsistent: figure 2 says otherwise}\n"), @"
    the claim id `EF-3` is given twice
      --> s.yaml:36:9
    36 |   - id: EF-3
       |         ^^^^
       = note: first given at line 35
    ");
    assert_snapshot!(edit("claims:\n", "claims:\n  - {id: EF-4, says: Something.}\n"), @"
    nothing decides the claim `EF-4`
      --> s.yaml:35:5
    35 |   - {id: EF-4, says: Something.}
       |     ^
       = hint: write `measure` and `expect`, `inconsistent: why`, or `needs: {reading: true}`
    ");
}

#[test]
fn plots() {
    assert_snapshot!(edit("[train/loss, val/loss]", "[train/loss, val/los]"), @"
    there is no curve `val/los`
      --> s.yaml:45:33
    45 |   - plot: {curves: [train/loss, val/los], x: epoch, panels: case}
       |                                 ^^^^^^^
       = allowed: `train/loss`, `train/ce`, `train/square`, `val/loss`, `val/ce`, `val/loss_batch_mean`, `lr`, `grad_norm`
       = hint: did you mean `val/loss`?
    ");
    assert_snapshot!(edit("panels: case", "panels: dim"), @"
    there is no axis `dim`
      --> s.yaml:45:62
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, panels: dim}
       |                                                              ^^^
       = allowed: `case`, `seed`
    ");
    assert_snapshot!(edit("panels: case", "filter: {case: 25x10}"), @"
    the axis `case` has no value `25x10`
      --> s.yaml:45:69
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, filter: {case: 25x10}}
       |                                                                     ^^^^^
       = allowed: `2500x1`, `250x10`, `25x100`
       = hint: did you mean `250x10`?
    ");
    assert_snapshot!(edit("panels: case", "smooth: 0"), @"
    a moving mean over 0 points has no value
      --> s.yaml:45:62
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, smooth: 0}
       |                                                              ^
       = allowed: at least 1
    ");
    assert_snapshot!(edit("panels: case", "y_range: [3, 1]"), @"
    the range from 3 to 1 is empty
      --> s.yaml:45:63
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, y_range: [3, 1]}
       |                                                               ^
       = allowed: `[lowest, highest]`
    ");
    assert_snapshot!(edit("panels: case", "log: [y], y_range: [0, 6]"), @"
    a logarithmic axis cannot begin at 0
      --> s.yaml:45:73
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, log: [y], y_range: [0, 6]}
       |                                                                         ^
       = allowed: a lowest value above 0
    ");
    assert_snapshot!(edit("[train/loss, val/loss]", "[]"), @"
    this plot has no curves
      --> s.yaml:45:20
    45 |   - plot: {curves: [], x: epoch, panels: case}
       |                    ^
       = allowed: `train/loss`, `train/ce`, `train/square`, `val/loss`, `val/ce`, `val/loss_batch_mean`, `lr`, `grad_norm`
    ");
}

#[test]
fn tables() {
    assert_snapshot!(edit("rows: case", "rows: cases"), @"
    there is no axis `cases`
      --> s.yaml:46:19
    46 |   - table: {rows: cases, columns: [train_loss, val_loss, perplexity]}
       |                   ^^^^^
       = allowed: `case`, `seed`, `run`
       = hint: did you mean `case`?
    ");
    assert_snapshot!(edit("val_loss, perplexity]", "val_los, perplexity]"), @"
    there is no metric `val_los`
      --> s.yaml:46:47
    46 |   - table: {rows: case, columns: [train_loss, val_los, perplexity]}
       |                                               ^^^^^^^
       = allowed: `val_loss`, `val_loss_min`, `val_loss_max`, `val_loss_first`, `val_loss_batch_mean` and 36 other names
       = hint: did you mean `val_loss`?
    ");
    assert_snapshot!(edit("val_loss, perplexity]", "val_loss], pivot: seed"), @"
    `pivot` spreads one metric over columns, so `columns` has to name one
      --> s.yaml:46:34
    46 |   - table: {rows: case, columns: [train_loss, val_loss], pivot: seed}
       |                                  ^
    ");
    assert_snapshot!(edit("perplexity]}", "perplexity], sort: valu}"), @"
    there is no metric `valu`
      --> s.yaml:46:76
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], sort: valu}
       |                                                                            ^^^^
       = allowed: `val_unigram`, `val_ce`, `val_loss`, `val_bigram`, `val_trigram` and 36 other names
       = hint: `specbook help metrics` explains all of them
    ");
}

#[test]
fn selections() {
    assert_snapshot!(edit("runs: all", "runs: [25x10]"), @"
    there is no run `25x10`
      --> s.yaml:47:22
    47 |   - samples: {runs: [25x10]}
       |                      ^^^^^
       = allowed: `2500x1`, `2500x1,seed=0`, `2500x1,seed=1`, `2500x1,seed=2`, `250x10`, `250x10,seed=0`, `250x10,seed=1`, `250x10,seed=2`, `25x100`, `25x100,seed=0`, `25x100,seed=1`, `25x100,seed=2`
       = hint: did you mean `250x10`?
    ");
    assert_snapshot!(edit("claims: all", "claims: [EF-4]"), @"
    there is no claim `EF-4`
      --> s.yaml:48:14
    48 |   - claims: [EF-4]
       |              ^^^^
       = allowed: `EF-3`
       = hint: did you mean `EF-3`?
    ");
    assert_snapshot!(edit("claims: all", "plan: []"), @"
    this list names no run
      --> s.yaml:48:11
    48 |   - plan: []
       |           ^
       = hint: write `all`, or leave the cell out
    ");
    assert_snapshot!(edit("- samples: {runs: all}", "- histogram: {of: document_tokens, bins: 0}"), @"
    a histogram cannot have 0 bins
      --> s.yaml:47:44
    47 |   - histogram: {of: document_tokens, bins: 0}
       |                                            ^
       = allowed: 1 to 1000
    ");
}

#[test]
fn everything_is_gathered() {
    assert_snapshot!(edit("dim: 128", "dmi: 128").lines().filter(|line| !line.starts_with(' ')).collect::<Vec<_>>().join("\n"), @"
    unknown key `dmi` in `model`
    13 |   model: {arch: llama, dmi: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
    ");
    assert_snapshot!(super::many(), @"and 10 more problems");
}

#[test]
fn columns_and_data() {
    assert_snapshot!(edit("val_loss, perplexity]", "case]"), @"
    there is no metric `case`
      --> s.yaml:46:47
    46 |   - table: {rows: case, columns: [train_loss, case]}
       |                                               ^^^^
       = allowed: `ece`, `val_ce`, `sequences`, `train_sd50`, `val_loss_min` and 36 other names
       = hint: axis values already label the rows
    ");
    assert_snapshot!(edit("    where: figure 3", "    needs: {data: pile}"), @"
    the claim `EF-3` needs the data `pile`, which no run can have
      --> s.yaml:37:19
    37 |     needs: {data: pile}
       |                   ^^^^
       = allowed: `stories`, `documents`, `files`
    ");
    assert_snapshot!(edit("    measure: min(", "    note: min("), @"
    the claim `EF-3` has an `expect` but no `measure`
      --> s.yaml:40:13
    40 |     expect: {above: 0.1}
       |             ^
       = hint: write `measure:` with an expression that gives one number
    ");
    assert_snapshot!(edit("where: figure 3", "measure: ''\n    where: figure 3"), @"
    the `measure` of the claim `EF-3` is empty
      --> s.yaml:37:14
    37 |     measure: ''
       |              ^^

    `measure` is given twice
      --> s.yaml:40:5
    40 |     measure: min(run('25x100').val_loss - run('250x10').val_loss, run('250x10').val_loss - run('2500x1').val_loss)
       |     ^^^^^^^
       = note: first given at line 37
    ");
}

#[test]
fn filters_of_tables() {
    let filter = |filter: &str| edit("perplexity]}", &format!("perplexity], filter: {filter}}}"));
    assert_snapshot!(filter("{dim: 16}"), @"
    there is no axis `dim`
      --> s.yaml:46:84
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: {dim: 16}}
       |                                                                                    ^^
       = allowed: `case`, `seed`
    ");
    assert_snapshot!(filter("{case: 25x10}"), @"
    the axis `case` has no value `25x10`
      --> s.yaml:46:85
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: {case: 25x10}}
       |                                                                                     ^^^^^
       = allowed: `2500x1`, `250x10`, `25x100`
       = hint: did you mean `250x10`?
    ");
    assert_snapshot!(filter("{case: [25x100, 25x1]}"), @"
    the axis `case` has no value `25x1`
      --> s.yaml:46:85
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: {case: [25x100, 25x1]}}
       |                                                                                     ^
       = allowed: `2500x1`, `250x10`, `25x100`
       = hint: did you mean `25x100`?
    ");
    assert_snapshot!(filter("{case: max}"), @"
    the axis `case` has no value `max`
      --> s.yaml:46:85
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: {case: max}}
       |                                                                                     ^^^
       = allowed: `2500x1`, `250x10`, `25x100`
    ");
    assert_snapshot!(filter("{seed: 7}"), @"
    the axis `seed` has no value `7`
      --> s.yaml:46:85
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: {seed: 7}}
       |                                                                                     ^
       = allowed: `0`, `1`, `2`
    ");
    assert_snapshot!(filter("25x100"), @"
    `cells[2].table.filter` cannot be the text `25x100`
      --> s.yaml:46:78
    46 |   - table: {rows: case, columns: [train_loss, val_loss, perplexity], filter: 25x100}
       |                                                                              ^^^^^^
       = allowed: a map
    ");
    assert_snapshot!(filter("{seed: max}"), @"no problem");
}

#[test]
fn first_documents_of_histograms() {
    let first = |first: &str| {
        let cell = format!("- histogram: {{of: document_tokens, bins: 9, first: {first}}}");
        edit("- samples: {runs: all}", &cell)
    };
    assert_snapshot!(first("[0]"), @"
    these panels cannot be drawn
      --> s.yaml:47:54
    47 |   - histogram: {of: document_tokens, bins: 9, first: [0]}
       |                                                      ^
       = allowed: at most 12 numbers of documents, each at least 1
    ");
    assert_snapshot!(first("[25, many]"), @"
    `cells[3].histogram.first[1]` has to be a whole number of at least 0, not the text `many`
      --> s.yaml:47:59
    47 |   - histogram: {of: document_tokens, bins: 9, first: [25, many]}
       |                                                           ^^^^
    ");
    assert_snapshot!(first("25"), @"
    `cells[3].histogram.first` has to be a list (each item: a whole number of at least 0), not `25`
      --> s.yaml:47:54
    47 |   - histogram: {of: document_tokens, bins: 9, first: 25}
       |                                                      ^^
    ");
    assert_snapshot!(first("[25, 250]"), @"no problem");
    assert_snapshot!(edit("- samples: {runs: all}", "- histogram: {of: perplexity, bins: 9, first: [25]}"), @"
    `first` counts training documents
      --> s.yaml:47:49
    47 |   - histogram: {of: perplexity, bins: 9, first: [25]}
       |                                                 ^
       = hint: write `of: document_tokens`, or leave `first` out
    ");
    assert_snapshot!(edit("- samples: {runs: all}", "- histogram: {of: document_tokens, bins: 9, frist: [25]}"), @"
    unknown key `frist` in `cells[3].histogram`
      --> s.yaml:47:47
    47 |   - histogram: {of: document_tokens, bins: 9, frist: [25]}
       |                                               ^^^^^
       = allowed: `of`, `first`, `bins`, `log`, `caption`, `id`
       = hint: did you mean `first`?
    ");
}

#[test]
fn steps_of_published_curves() {
    let published = |x: &str, steps: &str| {
        let more =
            format!("x: {x}, published: [{{label: theirs, points: [[0, 2.5], [1, 2]], {steps}}}]");
        edit("x: epoch, panels: case", &more)
    };
    assert_snapshot!(published("step", "of_steps: 0"), @"
    `of_steps` scales a curve over steps
      --> s.yaml:45:119
    45 | …hed: [{label: theirs, points: [[0, 2.5], [1, 2]], of_steps: 0}]}
       |                                                              ^
       = allowed: at least 1, in a plot with `x: step`
    ");
    assert_snapshot!(published("step", "of_steps: all"), @"
    `cells[1].plot.published[0].of_steps` has to be a whole number of at least 0, not the text `all`
      --> s.yaml:45:119
    45 | …hed: [{label: theirs, points: [[0, 2.5], [1, 2]], of_steps: all}]}
       |                                                              ^^^
    ");
    assert_snapshot!(published("epoch", "of_steps: 100"), @"
    `of_steps` scales a curve over steps
      --> s.yaml:45:120
    45 | …hed: [{label: theirs, points: [[0, 2.5], [1, 2]], of_steps: 100}]}
       |                                                              ^^^
       = allowed: at least 1, in a plot with `x: step`
    ");
    assert_snapshot!(published("step", "of_step: 100"), @"
    unknown key `of_step` in `cells[1].plot.published[0]`
      --> s.yaml:45:109
    45 | …ep, published: [{label: theirs, points: [[0, 2.5], [1, 2]], of_step: 100}]}
       |                                                              ^^^^^^^
       = allowed: `label`, `panel`, `points`, `of_steps`, `classes`
       = hint: did you mean `of_steps`?
    ");
    assert_snapshot!(published("step", "of_steps: 100"), @"no problem");
}

#[test]
fn generated_text_is_bounded_before_it_is_made() {
    assert_snapshot!(super::set(&["data.train=2000000000"]), @"
    `data.train` takes 2000000000 documents of the embedded corpus `documents`
     --> --set
    1 | data.train=2000000000
      |            ^^^^^^^^^^
      = allowed: at most 600000, about 4 GiB of text
      = hint: take fewer, or name a corpus of your own with `data.corpus`
    ");
    let stories = "data.validation={take: 4000001, corpus: {stories: {version: 1}}}";
    assert_snapshot!(super::set(&[stories]), @"
    `data.validation` takes 4000001 documents of the embedded corpus `stories`
     --> --set
    1 | data.validation={take: 4000001, corpus: {stories: {version: 1}}}
      |                 ^
      = allowed: at most 4000000, about 4 GiB of text
      = hint: take fewer, or name a corpus of your own with `data.corpus`
    ");
    assert_snapshot!(super::set(&["data.tokenizer.train_bpe.documents=600001"]), @"
    `data.tokenizer.train_bpe.documents` takes 600001 documents of the embedded corpus `documents`
     --> --set
    1 | data.tokenizer.train_bpe.documents=600001
      |                                    ^^^^^^
      = allowed: at most 600000, about 4 GiB of text
      = hint: take fewer, or name a corpus of your own with `data.corpus`
    ");
    assert_snapshot!(super::set(&["data.train=600000"]), @"no problem");
    // A file needs no limit.
    assert_snapshot!(super::profile("paper", &["data.train=2000000000"]), @"no problem");
}

/// The examples in the documentation, as cells of one spec.
#[test]
fn every_example_of_a_cell_is_read_as_it_is_written() {
    let examples = Cell::examples();
    let (before, _) = FRENZY.split_once("\ncases:").unwrap();
    let text = format!(
        "{before}\nvary: {{model.dim: [32, 64], model.n_layers: [1, 2]}}\n\
         claims: [{{id: A-1, says: Something., needs: {{reading: true}}}}]\n\
         cells: {}\n",
        serde_json::to_string(&examples).unwrap()
    );
    let cells = with(&text, None, &[]).unwrap().cells;
    let read: Vec<Cell> = cells.into_iter().map(|cell| cell.value).collect();
    assert_eq!(read, examples);
}
