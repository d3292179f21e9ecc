//! Messages about impossible training, data and evaluation settings.

use super::{FRENZY, edit, told};
use insta::assert_snapshot;

#[test]
fn two_lengths() {
    assert_snapshot!(edit("    epochs: 1\n", "    epochs: 1\n    max_steps: 10\n"), @"
    `train.epochs` and `train.max_steps` both say how long to train
      --> s.yaml:17:16
    17 |     max_steps: 10
       |                ^^
       = hint: keep one; an override removes the other with `train.epochs: null`
    ");
}

/// The messages for a spec of one run with this instead of its `epochs`.
fn with_length(length: &str) -> String {
    let (one_run, _) = FRENZY.split_once("cases:").unwrap();
    told(&one_run.replace("epochs: 1", length), None, &[])
}

#[test]
fn a_budget_of_tokens_beside_other_lengths() {
    assert_eq!(with_length("max_tokens: 500"), "no problem");
    assert_snapshot!(with_length("max_tokens: 0"), @"
    `train.max_tokens` is 0; it has to be at least 1
      --> s.yaml:16:17
    16 |     max_tokens: 0
       |                 ^
    ");
    for other in ["epochs", "max_steps"] {
        let told = with_length(&format!("{other}: 10\n    max_tokens: 500"));
        let says = format!("`train.{other}` and `train.max_tokens` both say how long to train");
        assert!(told.starts_with(&says), "{told}");
    }
    assert_snapshot!(with_length("max_tokens: 500\n    max_batches: 10"), @"
    `train.max_batches` cuts epochs, and `train.max_tokens` already says how long to train
      --> s.yaml:17:18
    17 |     max_batches: 10
       |                  ^^
    ");
    assert_snapshot!(with_length("max_tokens: 500\n    last_batch: drop"), @"
    `train.last_batch: drop` drops different sequences in each epoch, so the tokens for `train.max_tokens` cannot be counted in advance
      --> s.yaml:17:17
    17 |     last_batch: drop
       |                 ^^^^
       = hint: leave it out: the last step ends at the last token anyway
    ");
}

#[test]
fn a_budget_of_tokens_needs_to_know_what_a_window_counts() {
    let (one_run, _) = FRENZY.split_once("cases:").unwrap();
    let stream = one_run.replace("next_token", "stream");
    let stream = stream.replace("{every: epoch}", "{every: end}");
    let told = |length| told(&stream.replace("epochs: 1", length), None, &[]);
    assert_eq!(told("max_tokens: 500"), "no problem");
    assert_snapshot!(told("max_tokens: 500\n    ignore_index: 3"), @"
    with `train.ignore_index`, the scored targets of a stream depend on the draws, so it cannot have `train.max_tokens`
      --> s.yaml:16:17
    16 |     max_tokens: 500
       |                 ^^^
       = hint: write `train.max_steps: …`
    ");
}

#[test]
fn optimizer_out_of_range() {
    assert_snapshot!(edit("betas: [0.9, 0.999]", "betas: [0.9, 1]"), @"
    `train.optimizer.adamw.betas.1` is 1; it has to be at least 0 and below 1
      --> s.yaml:18:59
    18 |     optimizer: {adamw: {learning_rate: 1e-3, betas: [0.9, 1], weight_decay: 0.01, decay: all}}
       |                                                           ^
    ");
    assert_snapshot!(edit("learning_rate: 1e-3", "learning_rate: 0"), @"
    `train.optimizer.adamw.learning_rate` is 0; it has to be above 0
      --> s.yaml:18:40
    18 |     optimizer: {adamw: {learning_rate: 0, betas: [0.9, 0.999], weight_decay: 0.01, decay: all}}
       |                                        ^
    ");
    assert_snapshot!(edit("decay: all", "eps: 0"), @"
    `train.optimizer.adamw.eps` is 0; it has to be at least 1.2e-38, the smallest normal f32
      --> s.yaml:18:92
    18 |     optimizer: {adamw: {learning_rate: 1e-3, betas: [0.9, 0.999], weight_decay: 0.01, eps: 0}}
       |                                                                                            ^
    ");
    assert_snapshot!(edit("weight_decay: 0.01", "weight_decay: -1"), @"
    `train.optimizer.adamw.weight_decay` is -1; it has to be at least 0
      --> s.yaml:18:81
    18 |     optimizer: {adamw: {learning_rate: 1e-3, betas: [0.9, 0.999], weight_decay: -1, decay: all}}
       |                                                                                 ^^
    ");
}

#[test]
fn schedules() {
    assert_snapshot!(edit("    loss:", "    schedule: {cosine: {warmup_steps: 100, decay_steps: 100, min_lr: 0}}\n    loss:"), @"
    the warm-up of 100 steps does not end before `decay_steps` 100
      --> s.yaml:17:39
    17 |     schedule: {cosine: {warmup_steps: 100, decay_steps: 100, min_lr: 0}}
       |                                       ^^^
    ");
    assert_snapshot!(edit("    loss:", "    schedule: {cosine: {decay_steps: 100, min_lr: 1}}\n    loss:"), @"
    `min_lr` 1 is above the peak `learning_rate` 0.001
      --> s.yaml:17:51
    17 |     schedule: {cosine: {decay_steps: 100, min_lr: 1}}
       |                                                   ^
    ");
}

#[test]
fn counts() {
    assert_snapshot!(edit("batch_size: 10", "batch_size: 0"), @"
    `train.batch_size` is 0; it has to be at least 1
      --> s.yaml:15:17
    15 |     batch_size: 0
       |                 ^
    ");
    assert_snapshot!(edit("train.epochs: 100", "train.epochs: 0"), @"
    `train.epochs` is 0; it has to be at least 1
      --> s.yaml:25:42
    25 |   25x100: {data.train: 25, train.epochs: 0}
       |                                          ^
       = note: in run `25x100,seed=0` and 2 more
    ");
    assert_snapshot!(edit("every: epoch", "every: {steps: 0}"), @"
    `train.validate.every.steps` is 0; it has to be at least 1
      --> s.yaml:19:31
    19 |     validate: {every: {steps: 0}}
       |                               ^
       = note: in run `25x100,seed=0` and 5 more
    ");
    assert_snapshot!(edit("    loss:", "    grad_clip: 0\n    loss:"), @"
    `train.grad_clip` is 0; it has to be above 0
      --> s.yaml:17:16
    17 |     grad_clip: 0
       |                ^
       = hint: leave it out for no clipping
    ");
}

#[test]
fn losses() {
    assert_snapshot!(edit("loss: cross_entropy", "loss: {square: {k: 0}}"), @"
    `train.loss.square.k` is 0; it has to be above 0
      --> s.yaml:17:24
    17 |     loss: {square: {k: 0}}
       |                        ^
    ");
    assert_snapshot!(edit("loss: cross_entropy", "reduction: sum_classes"), @"
    `train.reduction` has no meaning for `cross_entropy`: it has no square term
      --> s.yaml:17:16
    17 |     reduction: sum_classes
       |                ^^^^^^^^^^^
    ");
}

#[test]
fn streams() {
    assert_snapshot!(edit("sequence: next_token", "sequence: stream"), @"
    `data.sequence: stream` draws windows without end, so it needs `train.max_steps` or `train.max_tokens`
      --> s.yaml:16:13
    16 |     epochs: 1
       |             ^
       = note: in run `2500x1,seed=0` and 2 more
       = hint: write `train.max_steps: …`

    `data.sequence: stream` has no epochs to validate after
      --> s.yaml:19:23
    19 |     validate: {every: epoch}
       |                       ^^^^^
       = allowed: `step`, `{steps: n}`, `{tokens: n}`, `end`
       = note: in run `25x100,seed=0` and 5 more

    `data.sequence: stream` draws windows without end, so it needs `train.max_steps` or `train.max_tokens`
      --> s.yaml:25:42
    25 |   25x100: {data.train: 25, train.epochs: 100}
       |                                          ^^^
       = note: in run `25x100,seed=0` and 2 more
       = hint: write `train.max_steps: …`

    `data.sequence: stream` draws windows without end, so it needs `train.max_steps` or `train.max_tokens`
      --> s.yaml:26:43
    26 |   250x10: {data.train: 250, train.epochs: 10}
       |                                           ^^
       = note: in run `250x10,seed=0` and 2 more
       = hint: write `train.max_steps: …`
    ");
}

#[test]
fn slices() {
    assert_snapshot!(edit("train: 2500\n    validation: 100", "train: {skip: 50, take: 2500}\n    validation: {skip: 0, take: 100}"), @"
    `data.validation` (documents 0 to 99) and `data.train` (50 to 2549) overlap
      --> s.yaml:11:17
    11 |     validation: {skip: 0, take: 100}
       |                 ^
       = note: in run `2500x1,seed=0` and 2 more
    ");
    assert_snapshot!(edit("validation: 100", "validation: 10"), @"
    `eval.perplexity` scores 100 documents, but `data.validation` has 10
      --> s.yaml:21:29
    21 |     perplexity: {documents: 100}
       |                             ^^^
    ");
}

#[test]
fn sequences() {
    assert_snapshot!(edit("sequence: next_token", "seq_len: 128"), @"
    `data.seq_len` 128 is longer than `model.max_seq_len` 64
      --> s.yaml:12:14
    12 |     seq_len: 128
       |              ^^^
       = hint: a sequence, including BOS, has at most `model.max_seq_len` tokens
    ");
    assert_snapshot!(edit("sequence: next_token", "target_shift: 3"), @"
    `data.target_shift` is 3
      --> s.yaml:12:19
    12 |     target_shift: 3
       |                   ^
       = allowed: 1 (the next token) or 2 (the one after it)
    ");
    assert_snapshot!(edit("sequence: next_token", "sequence: {informed_as_run: {tol: 0}}"), @"
    `data.sequence.informed_as_run.tol` is 0; it has to be at least 1
      --> s.yaml:12:39
    12 |     sequence: {informed_as_run: {tol: 0}}
       |                                       ^
    ");
}

#[test]
fn corpora_and_tokenizers() {
    assert_snapshot!(edit("vocab_size: 2048", "vocab_size: 256"), @"
    `data.tokenizer.train_bpe.vocab_size` is 256; it has to be at least 257
     --> s.yaml:9:41
    9 |     tokenizer: {train_bpe: {vocab_size: 256}}
      |                                         ^^^
    ");
    assert_snapshot!(edit("vocab_size: 2048", "vocab_size: 100000"), @"
    `data.tokenizer.train_bpe.vocab_size` is 100000; it may be at most 65536
     --> s.yaml:9:41
    9 |     tokenizer: {train_bpe: {vocab_size: 100000}}
      |                                         ^^^^^^
    ");
    assert_eq!(edit("vocab_size: 2048", "vocab_size: 257"), "no problem");
    assert_snapshot!(edit("documents: {version: 1}", "documents: {version: 7}"), @"
    the corpus `documents` has no version 7
     --> s.yaml:8:35
    8 |     corpus: {documents: {version: 7}}
      |                                   ^
      = allowed: 1 or 2
    ");
    assert_snapshot!(edit("{documents: {version: 1}}", r#"{text: {path: a.txt, separator: ""}}"#), @r#"
    an empty separator cannot end a document
     --> s.yaml:8:45
    8 |     corpus: {text: {path: a.txt, separator: ""}}
      |                                             ^^
    "#);
    assert_snapshot!(edit("{documents: {version: 1}}", "{folder: {path: src, extension: .rs}}"), @"
    an extension is written without its dot
     --> s.yaml:8:45
    8 |     corpus: {folder: {path: src, extension: .rs}}
      |                                             ^^^
    ");
}

#[test]
fn samples() {
    assert_snapshot!(edit(r#"prompts: ["Once upon a time"]"#, "prompts: []"), @"
    `eval.samples.prompts` is empty: nothing would be sampled
      --> s.yaml:22:24
    22 |     samples: {prompts: [], max_new_tokens: 64, temperature: 0.8, top_p: 0.95, seed: 1}
       |                        ^
       = hint: write a prompt, or leave `eval.samples` out
    ");
    assert_snapshot!(edit(r#"prompts: ["Once upon a time"]"#, r#"prompts: [""]"#), @r#"
    an empty prompt leaves nothing to continue
      --> s.yaml:22:25
    22 |     samples: {prompts: [""], max_new_tokens: 64, temperature: 0.8, top_p: 0.95, seed: 1}
       |                         ^^
    "#);
    assert_snapshot!(edit("top_p: 0.95", "top_p: 0"), @r#"
    `eval.samples.top_p` is 0; it has to be above 0 and at most 1
      --> s.yaml:22:91
    22 |     samples: {prompts: ["Once upon a time"], max_new_tokens: 64, temperature: 0.8, top_p: 0, seed: 1}
       |                                                                                           ^
    "#);
    assert_snapshot!(edit("temperature: 0.8", "temperature: -1"), @r#"
    `eval.samples.temperature` is -1; it has to be at least 0
      --> s.yaml:22:79
    22 |     samples: {prompts: ["Once upon a time"], max_new_tokens: 64, temperature: -1, top_p: 0.95, seed: 1}
       |                                                                               ^^
    "#);
}

#[test]
fn windows_and_ids() {
    assert_snapshot!(edit("    perplexity: {documents: 100}", "    random_windows: {batches: 10, windows: 4, tokens: 256}"), @"
    windows of 256 tokens are longer than `model.max_seq_len` 64
      --> s.yaml:21:55
    21 |     random_windows: {batches: 10, windows: 4, tokens: 256}
       |                                                       ^^^
    ");
    assert_snapshot!(edit("{documents: {version: 1}}", "{bin: {path: train.bin}}"), @"
    `bin` contains token ids, not text to train a tokenizer on
     --> s.yaml:9:16
    9 |     tokenizer: {train_bpe: {vocab_size: 2048}}
      |                ^
      = hint: name the tokenizer that made them: `data.tokenizer: {file: …}`
    ");
}
