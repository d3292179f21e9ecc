//! Messages about keys, types and choices.

use super::edit;
use insta::assert_snapshot;

#[test]
fn unknown_keys() {
    assert_snapshot!(edit("title:", "titel:"), @r#"
    unknown key `titel` in the spec
     --> s.yaml:3:1
    3 | titel: "Epoch frenzy"
      | ^^^^^
      = allowed: `specbook`, `name`, `title`, `source`, `summary`, `finding`, `labels`, `bibliography`, `theme`, `base`, `cases`, `vary`, `seeds`, `exclude`, `max_runs`, `profiles`, `claims`, `cells`
      = hint: did you mean `title`?
    "#);
    assert_snapshot!(edit("n_heads: 4", "n_haeds: 4"), @"
    unknown key `n_haeds` in `model`
      --> s.yaml:13:47
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_haeds: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                               ^^^^^^^
       = allowed: `arch`, `dim`, `n_layers`, `n_heads`, `n_kv_heads`, `hidden_dim`, `multiple_of`, `max_seq_len`, `norm_eps`, `rope_theta`, `biases`, `tied_output`, `dropout`, `init`, `pad_vocab_to_multiple`, `vocab_size`
       = hint: did you mean `n_heads`?
    ");
    assert_snapshot!(edit("    batch_size: 10\n", "    batch_size: 10\n    dropout: 0.1\n"), @"
    unknown key `dropout` in `train`
      --> s.yaml:16:5
    16 |     dropout: 0.1
       |     ^^^^^^^
       = allowed: `batch_size`, `grad_accum_steps`, `epochs`, `max_steps`, `max_tokens`, `max_batches`, `shuffle`, `last_batch`, `loss`, `reduction`, `ignore_index`, `optimizer`, `schedule`, `grad_clip`, `dtype`, `validate`, `keep`, `seed`, `init_from`
       = hint: it belongs to `model.dropout`
    ");
    assert_snapshot!(edit("  model: {arch", "  colour: red\n  model: {arch"), @"
    unknown key `colour` in `base`
      --> s.yaml:13:3
    13 |   colour: red
       |   ^^^^^^
       = allowed: `data`, `model`, `train`, `eval`
    ");
    assert_snapshot!(edit("where: figure 3", "were: figure 3"), @"
    unknown key `were` in `claims[0]`
      --> s.yaml:37:5
    37 |     were: figure 3
       |     ^^^^
       = allowed: `id`, `says`, `kind`, `type`, `where`, `published`, `quantity`, `unit`, `measure`, `expect`, `show`, `needs`, `inconsistent`, `note`
       = hint: did you mean `where`?
    ");
    assert_snapshot!(edit("x: epoch, panels", "x: epoch, pannels"), @"
    unknown key `pannels` in `cells[1].plot`
      --> s.yaml:45:54
    45 |   - plot: {curves: [train/loss, val/loss], x: epoch, pannels: case}
       |                                                      ^^^^^^^
       = allowed: `curves`, `x`, `panels`, `colours`, `filter`, `log`, `smooth`, `y_range`, `published`, `caption`, `id`
       = hint: did you mean `panels`?
    ");
}

#[test]
fn missing_keys() {
    assert_snapshot!(edit("name: epoch-frenzy\n", ""), @"
    the spec lacks the key `name`
     --> s.yaml:1:1
    1 | specbook: 1
      | ^
      = allowed: text
    ");
    assert_snapshot!(edit("dim: 128, ", ""), @"
    `model` lacks the key `dim`
      --> s.yaml:13:3
    13 |   model: {arch: llama, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |   ^^^^^
       = allowed: a whole number of at least 0
    ");
    assert_snapshot!(edit("  model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}\n", ""), @"
    `base` lacks the section `model`
     --> s.yaml:6:1
    6 | base:
      | ^^^^
    ");
    assert_snapshot!(edit("    validate: {every: epoch}\n", ""), @"
    `train` lacks the key `validate`
      --> s.yaml:14:3
    14 |   train:
       |   ^^^^^
       = allowed: a map with the keys `every`
       = note: in run `25x100,seed=0` and 5 more
    ");
    assert_snapshot!(edit(r#"{study: "A study, 2023", "#, "{"), @r#"
    `source` lacks the key `study`
     --> s.yaml:4:1
    4 | source: {section: "3.1"}
      | ^^^^^^
      = allowed: text
    "#);
}

#[test]
fn wrong_types() {
    assert_snapshot!(edit("dim: 128", "dim: wide"), @"
    `model.dim` has to be a whole number of at least 0, not the text `wide`
      --> s.yaml:13:29
    13 |   model: {arch: llama, dim: wide, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                             ^^^^
    ");
    assert_snapshot!(edit("dim: 128", "dim: -128"), @"
    `model.dim` has to be a whole number of at least 0, not `-128`
      --> s.yaml:13:29
    13 |   model: {arch: llama, dim: -128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                             ^^^^
    ");
    assert_snapshot!(edit("train: 2500\n", "train: 1e3\n"), @"
    `data.train` has to be a whole number of at least 0, not `1000.0`
      --> s.yaml:10:12
    10 |     train: 1e3
       |            ^^^
       = hint: write it without point and exponent: `1000`
    ");
    assert_snapshot!(edit("train: 2500\n", "train: 2_500\n"), @"
    `data.train` cannot be the text `2_500`
      --> s.yaml:10:12
    10 |     train: 2_500
       |            ^^^^^
       = allowed: a whole number of at least 0, or a map with the keys `skip`, `take`, `corpus`
       = hint: write `2500`
    ");
    assert_snapshot!(edit("n_layers: 2", "n_layers: [2]"), @"
    `model.n_layers` has to be a whole number of at least 0, not a list
      --> s.yaml:13:44
    13 |   model: {arch: llama, dim: 128, n_layers: [2], n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                            ^
    ");
    assert_snapshot!(edit("1e-3", "fast"), @"
    `train.optimizer.adamw.learning_rate` has to be a number, not the text `fast`
      --> s.yaml:18:40
    18 |     optimizer: {adamw: {learning_rate: fast, betas: [0.9, 0.999], weight_decay: 0.01, decay: all}}
       |                                        ^^^^
    ");
    assert_snapshot!(edit("betas: [0.9, 0.999]", "betas: [0.9]"), @"
    `train.optimizer.adamw.betas` has to have 2 items, not 1
      --> s.yaml:18:53
    18 |     optimizer: {adamw: {learning_rate: 1e-3, betas: [0.9], weight_decay: 0.01, decay: all}}
       |                                                     ^
    ");
    assert_snapshot!(edit(r#"value: "2500x1 < 250x10 < 25x100""#, "value: 3.1"), @"
    `claims[0].published.value` has to be text, not `3.1`
      --> s.yaml:38:24
    38 |     published: {value: 3.1, mark: printed}
       |                        ^^^
       = hint: put it in quotes
    ");
    assert_snapshot!(edit("seeds: [0, 1, 2]", "seeds: 3"), @"
    `seeds` has to be a list (each item: a whole number of at least 0), not `3`
      --> s.yaml:28:8
    28 | seeds: 3
       |        ^
       = hint: write `[0, 1, 2]` for 3 seeds
    ");
    assert_snapshot!(edit("version: 1", "version: 5000000000"), @"
    `data.corpus.documents.version` has to be a whole number of at least 0, not `5000000000`
     --> s.yaml:8:35
    8 |     corpus: {documents: {version: 5000000000}}
      |                                   ^^^^^^^^^^
      = hint: at most 4294967295
    ");
}

#[test]
fn unknown_choices() {
    assert_snapshot!(edit("loss: cross_entropy", "loss: squentropi"), @"
    `train.loss` cannot be `squentropi`
      --> s.yaml:17:11
    17 |     loss: squentropi
       |           ^^^^^^^^^^
       = allowed: `cross_entropy`, `square`, `{square_softmax: {w: …}}`, `squentropy`, `{squentropy_capstone: {w: …}}`
       = hint: did you mean `squentropy`?
    ");
    assert_snapshot!(edit("documents: {version: 1}", "storys: {version: 1}"), @"
    `data.corpus` cannot be `storys`
     --> s.yaml:8:14
    8 |     corpus: {storys: {version: 1}}
      |              ^^^^^^
      = allowed: `{stories: {version: …}}`, `{documents: {version: …}}`, `{text: {path: …}}`, `{folder: {path: …}}`, `{jsonl: {path: …}}`, `{json: {path: …}}`, `{parquet: {path: …}}`, `{bin: {path: …}}`, `{dataset: …}`
      = hint: did you mean `stories`?
    ");
    assert_snapshot!(edit("every: epoch", "every: epochs"), @"
    `train.validate.every` cannot be `epochs`
      --> s.yaml:19:23
    19 |     validate: {every: epochs}
       |                       ^^^^^^
       = allowed: `epoch`, `step`, `{steps: …}`, `{tokens: …}`, `end`
       = hint: did you mean `epoch`?
    ");
    assert_snapshot!(edit("arch: llama", "arch: lama"), @"
    `model.arch` cannot be `lama`
      --> s.yaml:13:17
    13 |   model: {arch: lama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                 ^^^^
       = allowed: `llama`, `gpt2`
       = hint: did you mean `llama`?
    ");
    assert_snapshot!(edit("x: epoch", "x: time"), @"
    `cells[1].plot.x` cannot be `time`
      --> s.yaml:45:47
    45 |   - plot: {curves: [train/loss, val/loss], x: time, panels: case}
       |                                               ^^^^
       = allowed: `step`, `epoch`, `tokens`
    ");
    assert_snapshot!(edit("- samples: {runs: all}", "- sample: {runs: all}"), @"
    `cells[3]` cannot be `sample`
      --> s.yaml:47:5
    47 |   - sample: {runs: all}
       |     ^^^^^^
       = allowed: `{text: …}`, `{plot: {curves: …}}`, `{table: {rows: …, columns: …}}`, `{histogram: {of: …}}`, `{scatter: {x: …, y: …}}`, `{differences: {metric: …, pairs: …}}`, `{bars: {metric: …, rows: …}}`, `{heat: {metric: …, x: …, y: …}}`, `samples`, `perplexity`, `{claims: …}`, `{plan: …}`
       = hint: did you mean `samples`?
    ");
    assert_snapshot!(edit("sequence: next_token", "seq_len: min"), @"
    `data.seq_len` cannot be `min`
      --> s.yaml:12:14
    12 |     seq_len: min
       |              ^^^
       = allowed: a whole number of at least 0, or `max`, `shortest`
    ");
}

#[test]
fn choices_written_wrongly() {
    assert_snapshot!(edit("sequence: next_token", "sequence: informed_as_run"), @"
    `data.sequence`: `informed_as_run` needs its settings
      --> s.yaml:12:15
    12 |     sequence: informed_as_run
       |               ^^^^^^^^^^^^^^^
       = hint: write `{informed_as_run: {tol: …}}`
    ");
    assert_snapshot!(edit("sequence: next_token", "sequence: {stream: {tol: 3}}"), @"
    `data.sequence`: `stream` has no settings
      --> s.yaml:12:16
    12 |     sequence: {stream: {tol: 3}}
       |                ^^^^^^
       = hint: write `stream` alone
    ");
    assert_snapshot!(edit("{documents: {version: 1}}", "{documents: {version: 1}, stories: {version: 1}}"), @"
    `data.corpus`: only one of these 2 choices can hold
     --> s.yaml:8:39
    8 |     corpus: {documents: {version: 1}, stories: {version: 1}}
      |                                       ^^^^^^^
      = allowed: `{stories: {version: …}}`, `{documents: {version: …}}`, `{text: {path: …}}`, `{folder: {path: …}}`, `{jsonl: {path: …}}`, `{json: {path: …}}`, `{parquet: {path: …}}`, `{bin: {path: …}}`, `{dataset: …}`
    ");
    assert_snapshot!(edit("{runs: all}", "{runs: some}"), @"
    `cells[3].samples.runs` cannot be `some`
      --> s.yaml:47:21
    47 |   - samples: {runs: some}
       |                     ^^^^
       = allowed: `all`, or a list (each item: text)
    ");
}

#[test]
fn another_format() {
    assert_snapshot!(edit("specbook: 1", "specbook: 2"), @"
    written for a newer specbook: format 2, and this one reads format 1
     --> s.yaml:1:11
    1 | specbook: 2
      |           ^
      = hint: install a newer specbook
    ");
    assert_snapshot!(edit("specbook: 1", "specbook: 0"), @"
    there is no format 0; this specbook reads format 1
     --> s.yaml:1:11
    1 | specbook: 0
      |           ^
      = hint: write `specbook: 1`
    ");
    assert_snapshot!(edit("specbook: 1", "specbook: one"), @"
    `specbook` has to be a whole number of at least 0, not the text `one`
     --> s.yaml:1:11
    1 | specbook: one
      |           ^^^
    ");
}

#[test]
fn a_name_that_cannot_be_a_folder() {
    assert_snapshot!(edit("name: epoch-frenzy", "name: Epoch Frenzy"), @"
    `Epoch Frenzy` cannot name a spec: it also names a folder
     --> s.yaml:2:7
    2 | name: Epoch Frenzy
      |       ^^^^^^^^^^^^
      = allowed: at most 64 lower-case letters, digits, `-` and `_`; a letter or digit first
      = hint: write `epoch-frenzy`
    ");
    assert_snapshot!(edit("name: epoch-frenzy", "name: com1"), @"
    `com1` cannot name a spec: on Windows it names a device
     --> s.yaml:2:7
    2 | name: com1
      |       ^^^^
    ");
    assert_snapshot!(edit("name: epoch-frenzy", "name: com10"), @"no problem");
}

/// One mistake, one message: a list is not read as a record with fields in order.
#[test]
fn a_list_in_the_place_of_a_map_is_told_once() {
    for (from, to, what) in [
        (
            "claims:\n",
            "claims:\n  - [A, x]\n",
            "`claims[0]` cannot be a list",
        ),
        (
            "cells:\n",
            "cells:\n  - table: [run, [val_los]]\n",
            "`cells[0].table` cannot be a list",
        ),
    ] {
        let told = edit(from, to);
        assert!(told.starts_with(what), "{told}");
        assert_eq!(told.matches("--> s.yaml").count(), 1, "{told}");
    }
}

/// One mistake, one message, whose last line suggests what was meant.
#[test]
fn what_was_meant_is_told() {
    for (from, to, hint) in [
        (
            "learning_rate: 1e-3",
            "learning_rate: 0.1%",
            "write `0.001`",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: 0,001",
            "a point stands before decimals: `learning_rate: 0.001`",
        ),
        (
            "learning_rate: 1e-3",
            "learning_rate: 1/500",
            "write `0.002`",
        ),
        ("top_p: 0.95", "top_p: 95%", "write `0.95`"),
        ("train: 2500", "train: 2.5k", "write `2500`"),
        ("train: 2500", "train: 2 500", "write `2500`"),
        ("batch_size: 10", "batch_size: \"10\"", "write `10`"),
        (
            "expect: {above: 0.1}",
            "expect: {above: 0,1}",
            "a point stands before decimals: `above: 0.1`",
        ),
        (
            "expect: {above: 0.1}",
            "expect: above 0.1",
            "write `{above: 0.1}`",
        ),
        (
            "expect: {above: 0.1}",
            "expect: \"> 0.1\"",
            "write `{above: 0.1}`",
        ),
        (
            "expect: {above: 0.1}",
            "expect: {within: 0.4 ± 0.1}",
            "write `[0.4, 0.1]`",
        ),
        ("seeds: [0, 1, 2]", "seeds: 0..2", "write `[0, 1, 2]`"),
        (
            "seeds: [0, 1, 2]",
            "vary: {model.dim: \"32, 64\"}",
            "write `[32, 64]`",
        ),
        (
            "seeds: [0, 1, 2]",
            "vary: {model: {dim: [32, 64]}}",
            "name the whole path: `model.dim: [a, b]`",
        ),
        (
            "epochs: 1\n",
            "epochs: 1\n    shuffle: yes\n",
            "write `true`",
        ),
        (
            "validate: {every: epoch}",
            "validate: 25",
            "write `{every: {steps: 25}}`",
        ),
        (
            "corpus: {documents: {version: 1}}",
            "corpus: my.txt",
            "write `{text: {path: my.txt}}`",
        ),
        (
            "tokenizer: {train_bpe: {vocab_size: 2048}}",
            "tokenizer: tokenizer.json",
            "write `{file: tokenizer.json}`",
        ),
        (
            "- table: {rows: case,",
            "- table: {rows: [case],",
            "write `case`",
        ),
    ] {
        let told = edit(from, to);
        let (_, last) = told
            .rsplit_once("= hint: ")
            .unwrap_or_else(|| panic!("{to}: {told}"));
        assert_eq!(last, hint, "{to}");
        assert_eq!(told.matches("--> ").count(), 1, "{to}: {told}");
    }
}

/// An invalid axis is reported once, and not again for cells that name it.
#[test]
fn what_follows_from_an_axis_is_not_told() {
    let told = edit(
        "cells:\n",
        "vary: {model.n_layers: 2}\ncells:\n  - table: {rows: n_layers, columns: [val_loss]}\n",
    );
    assert!(told.contains("an axis needs a list"), "{told}");
    assert_eq!(told.matches("--> ").count(), 1, "{told}");
}
