//! Messages about text that is not a plain, single, finite YAML document.

use super::edit;
use insta::assert_snapshot;

#[test]
fn bad_syntax() {
    assert_snapshot!(edit("source: {study", "source: {study: [}, {study"), @r#"
    not valid YAML: while parsing a node, did not find expected node content
     --> s.yaml:4:18
    4 | source: {study: [}, {study: "A study, 2023", section: "3.1"}
      |                  ^
    "#);
}

#[test]
fn a_tab_as_indentation() {
    assert_snapshot!(edit("  data:\n", "	data:\n"), @"
    not valid YAML: tabs disallowed within this context (block indentation)
     --> s.yaml:7:2
    7 |  data:
      |  ^
      = hint: YAML is indented with spaces; this line has a tab
    ");
}

#[test]
fn a_key_given_twice() {
    assert_snapshot!(edit("    train: 2500\n", "    train: 2500\n    train: 25\n"), @"
    `train` is given twice
      --> s.yaml:11:5
    11 |     train: 25
       |     ^^^^^
       = note: first given at line 10
    ");
}

#[test]
fn not_a_number() {
    assert_snapshot!(edit("norm_eps: 1e-5", "norm_eps: .nan"), @"
    `.nan` is not a finite number of at most 64 bits
      --> s.yaml:13:86
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: .nan}
       |                                                                                      ^^^^
    ");
    assert_snapshot!(edit("learning_rate: 1e-3", "learning_rate: .inf"), @"
    `.inf` is not a finite number of at most 64 bits
      --> s.yaml:18:40
    18 |     optimizer: {adamw: {learning_rate: .inf, betas: [0.9, 0.999], weight_decay: 0.01, decay: all}}
       |                                        ^^^^
    ");
    assert_snapshot!(edit("seed: 1}", "seed: 99999999999999999999}"), @"
    `99999999999999999999` is not a finite number of at most 64 bits
      --> s.yaml:22:103
    22 | …], max_new_tokens: 64, temperature: 0.8, top_p: 0.95, seed: 99999999999999999999}
       |                                                              ^^^^^^^^^^^^^^^^^^^^
    ");
}

#[test]
fn a_tag() {
    assert_snapshot!(edit("dim: 128", "dim: !!int 128"), @"
    tags (`!name`) are not allowed: a spec is plain data
      --> s.yaml:13:29
    13 |   model: {arch: llama, dim: !!int 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                             ^^^^^^^^^
    ");
}

#[test]
fn a_merge_key() {
    assert_snapshot!(edit("{seeds: [0], model.dim: 32,", "{<<: {model.n_layers: 1}, model.dim: 32,"), @"
    merge keys (`<<`) are not allowed; use `base` and overrides
      --> s.yaml:31:11
    31 |   smoke: {<<: {model.n_layers: 1}, model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}
       |           ^^
    ");
}

#[test]
fn a_key_that_is_no_word() {
    assert_snapshot!(edit("name: epoch-frenzy", "[a]: b\nname: epoch-frenzy"), @"
    a key has to be a word, not a list or a map
     --> s.yaml:2:1
    2 | [a]: b
      | ^
    ");
}

#[test]
fn two_documents() {
    assert_snapshot!(edit("\ncells:", "\n---\ncells:"), @"
    a second document begins here; a spec is one document
      --> s.yaml:42:1
    42 | ---
       | ^^^
    ");
}

#[test]
fn an_unknown_alias() {
    assert_snapshot!(edit("dim: 128", "dim: *width"), @"
    not valid YAML: while parsing node, found unknown anchor
      --> s.yaml:13:29
    13 |   model: {arch: llama, dim: *width, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                             ^
    ");
}
