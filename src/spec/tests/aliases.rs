//! Other tools' names: accepted, and refused if they contradict each other.

use super::edit;
use insta::assert_snapshot;

#[test]
fn two_names_of_one_setting_that_disagree() {
    assert_snapshot!(edit("dim: 128,", "dim: 128, n_embd: 64,"), @"
    `n_embd` and another name of `model.dim` disagree
      --> s.yaml:13:34
    13 |   model: {arch: llama, dim: 128, n_embd: 64, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
       |                                  ^^^^^^
       = note: the other value is `128`, at line 13
       = hint: keep `dim` alone
    ");
    assert_snapshot!(edit("    batch_size: 10\n", "    batch_size: 10\n    lr: 3e-4\n"), @"
    `lr` and another name of `train.optimizer.adamw.learning_rate` disagree
      --> s.yaml:16:5
    16 |     lr: 3e-4
       |     ^^
       = note: the other value is `0.001`, at line 19
       = hint: keep `learning_rate` alone
    ");
    assert_snapshot!(edit("    batch_size: 10\n", "    batch_size: 10\n    schedule: constant\n    warmup_iters: 10\n"), @"
    `warmup_iters` stands for `train.schedule.cosine.warmup_steps`, but `schedule` is the text `constant`
      --> s.yaml:17:5
    17 |     warmup_iters: 10
       |     ^^^^^^^^^^^^
    ");
}

#[test]
fn an_alias_in_the_wrong_section() {
    assert_snapshot!(edit("    batch_size: 10\n", "    batch_size: 10\n    block_size: 64\n"), @"
    unknown key `block_size` in `train`
      --> s.yaml:16:5
    16 |     block_size: 64
       |     ^^^^^^^^^^
       = allowed: `batch_size`, `grad_accum_steps`, `epochs`, `max_steps`, `max_tokens`, `max_batches`, `shuffle`, `last_batch`, `loss`, `reduction`, `ignore_index`, `optimizer`, `schedule`, `grad_clip`, `dtype`, `validate`, `keep`, `seed`, `init_from`
       = hint: it belongs to `model.max_seq_len`
    ");
}
