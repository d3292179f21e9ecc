//! Tests of reading specs, and of the message for every mistake.

mod aliases;
mod axes;
mod hostile;
mod model;
mod notebook;
mod profiles;
mod runs;
mod shipped;
mod structure;
mod train;
mod yaml;

use super::{LoadRequest, Spec, parse};
use std::path::Path;

/// A complete spec like the shipped ones.
pub(super) const FRENZY: &str = r#"specbook: 1
name: epoch-frenzy
title: "Epoch frenzy"
source: {study: "A study, 2023", section: "3.1"}

base:
  data:
    corpus: {documents: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 2048}}
    train: 2500
    validation: 100
    sequence: next_token
  model: {arch: llama, dim: 128, n_layers: 2, n_heads: 4, max_seq_len: 64, norm_eps: 1e-5}
  train:
    batch_size: 10
    epochs: 1
    loss: cross_entropy
    optimizer: {adamw: {learning_rate: 1e-3, betas: [0.9, 0.999], weight_decay: 0.01, decay: all}}
    validate: {every: epoch}
  eval:
    perplexity: {documents: 100}
    samples: {prompts: ["Once upon a time"], max_new_tokens: 64, temperature: 0.8, top_p: 0.95, seed: 1}

cases:
  25x100: {data.train: 25, train.epochs: 100}
  250x10: {data.train: 250, train.epochs: 10}
  2500x1: {train.validate: {every: {steps: 10}}}
seeds: [0, 1, 2]

profiles:
  smoke: {seeds: [0], model.dim: 32, data.validation: 10, eval.perplexity.documents: 10}
  paper: {data.corpus: {jsonl: {path: data/pile/03.jsonl.zst}}, model.dim: 512, model.n_layers: 8, model.n_heads: 8, model.max_seq_len: 256}

claims:
  - id: EF-3
    says: The final validation loss falls when more documents are each seen less often.
    where: figure 3
    published: {value: "2500x1 < 250x10 < 25x100", mark: printed}
    measure: min(run('25x100').val_loss - run('250x10').val_loss, run('250x10').val_loss - run('2500x1').val_loss)
    expect: {above: 0.1}

cells:
  - text: |
      With 25 documents the model reaches a training loss of {{ run('25x100').train_loss | round(2) }}.
  - plot: {curves: [train/loss, val/loss], x: epoch, panels: case}
  - table: {rows: case, columns: [train_loss, val_loss, perplexity]}
  - samples: {runs: all}
  - claims: all
"#;

/// Parses with `--set` arguments.
pub(super) fn with(text: &str, profile: Option<&str>, sets: &[&str]) -> Result<Spec, String> {
    let request = LoadRequest {
        profile: profile.map(str::to_owned),
        overrides: sets.iter().map(|set| (*set).to_owned()).collect(),
    };
    parse(text, Path::new("s.yaml"), &request).map_err(|error| error.to_string())
}

/// The runs' names with a setting of each.
pub(super) fn table(spec: &Spec, show: impl Fn(&super::Settings) -> String) -> String {
    let line = |run: &super::SpecRun| format!("{}: {}", run.name, show(&run.settings));
    spec.runs.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The messages for a text.
fn told(text: &str, profile: Option<&str>, sets: &[&str]) -> String {
    with(text, profile, sets).map_or_else(|told| told, |_| "no problem".to_owned())
}

/// The messages for [`FRENZY`] with its first `from` replaced.
fn edit(from: &str, to: &str) -> String {
    assert!(FRENZY.contains(from), "`{from}` does not stand in it");
    told(&FRENZY.replacen(from, to, 1), None, &[])
}

/// The messages for `--set` arguments.
fn set(sets: &[&str]) -> String {
    told(FRENZY, None, sets)
}

/// The messages for a profile.
fn profile(name: &str, sets: &[&str]) -> String {
    told(FRENZY, Some(name), sets)
}

/// An axis far beyond the limit.
fn huge_axis() -> String {
    let values: Vec<String> = (1..=20_000).map(|value| value.to_string()).collect();
    let text = format!(
        "seeds: [0, 1, 2]\nvary: {{train.max_batches: [{}]}}",
        values.join(", ")
    );
    edit("seeds: [0, 1, 2]", &text)
}

/// More problems than the limit shown.
fn many() -> String {
    let lines: String = (0..30).map(|n| format!("key_{n}: 1\n")).collect();
    let told = edit("claims:\n", &format!("{lines}claims:\n"));
    told.lines().rev().take(1).collect()
}
