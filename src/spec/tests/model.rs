//! Messages about impossible models.

use super::edit;
use insta::assert_snapshot;

#[test]
fn heads_do_not_divide_dim() {
    assert_snapshot!(edit("n_heads: 4", "n_heads: 5"), @"
    `model.dim` 128 is not a multiple of `model.n_heads` 5
      --> s.yaml:13:56
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 5, max_seq_len: 64, norm_eps: 1e-5}
       |                                                        ^
       = allowed: for 128: 1, 2, 4, 8, 16, 32, 64 heads
    ");
}

#[test]
fn rotary_heads_are_even() {
    assert_snapshot!(edit("n_heads: 4", "n_heads: 128"), @"
    a head is 1 wide (128 / 128); rotary positions need an even width
      --> s.yaml:13:56
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 128, max_seq_len: 64, norm_eps: 1e-5}
       |                                                        ^^^
    ");
}

#[test]
fn kv_heads_divide_heads() {
    assert_snapshot!(edit("n_heads: 4", "n_heads: 4, n_kv_heads: 3"), @"
    `model.n_kv_heads` 3 does not divide `model.n_heads` 4
      --> s.yaml:13:71
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, n_kv_heads: 3, max_seq_len: 64, norm_eps: 1e-5}
       |                                                                       ^
    ");
}

#[test]
fn settings_of_the_other_architecture() {
    assert_snapshot!(edit("n_heads: 4", "n_heads: 4, dropout: 0.1"), @"
    `model.dropout` has no meaning for the `llama` architecture
      --> s.yaml:13:68
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, dropout: 0.1, max_seq_len: 64, norm_eps: 1e-5}
       |                                                                    ^^^
       = hint: remove it, or set `model.arch: gpt2`
    ");
    assert_snapshot!(edit("n_heads: 4", "n_heads: 4, biases: true"), @"
    `model.biases` has no meaning for the `llama` architecture
      --> s.yaml:13:67
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, biases: true, max_seq_len: 64, norm_eps: 1e-5}
       |                                                                   ^^^^
       = hint: remove it, or set `model.arch: gpt2`
    ");
    assert_snapshot!(edit("arch: llama", "arch: gpt2, n_kv_heads: 2"), @"
    `model.n_kv_heads` has no meaning for the `gpt2` architecture
      --> s.yaml:13:35
    13 |   model: {arch: gpt2, n_kv_heads: 2, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                   ^
       = hint: remove it, or set `model.arch: llama`
    ");
}

#[test]
fn two_widths() {
    assert_snapshot!(edit("n_heads: 4", "n_heads: 4, hidden_dim: 512, multiple_of: 64"), @"
    `model.hidden_dim` is given, so `model.multiple_of` has nothing to round
      --> s.yaml:13:89
    13 | …128, n_layers: 2, n_heads: 4, hidden_dim: 512, multiple_of: 64, max_seq_len: 64, norm_eps: 1e-5}
       |                                                              ^^
       = hint: keep one of the two
    ");
}

#[test]
fn out_of_range() {
    assert_snapshot!(edit("n_layers: 2", "n_layers: 0"), @"
    `model.n_layers` is 0; it has to be at least 1
      --> s.yaml:13:44
    13 |   model: {arch: llama, dim: 128, n_layers: 0, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                            ^
    ");
    assert_snapshot!(edit("norm_eps: 1e-5", "norm_eps: 0"), @"
    `model.norm_eps` is 0; it has to be above 0 and below 1
      --> s.yaml:13:86
    13 |   model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 0}
       |                                                                                      ^
    ");
    assert_snapshot!(edit("arch: llama", "arch: gpt2, dropout: 1"), @"
    `model.dropout` is 1; it has to be at least 0 and below 1
      --> s.yaml:13:32
    13 |   model: {arch: gpt2, dropout: 1, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                ^
    ");
    assert_snapshot!(edit("arch: llama", "rope_theta: -1"), @"
    `model.rope_theta` is -1; it has to be above 0
      --> s.yaml:13:23
    13 |   model: {rope_theta: -1, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                       ^^
    ");
}
