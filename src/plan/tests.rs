use super::*;
use crate::data::DataContext;
use crate::spec::{LoadRequest, parse};
use std::collections::BTreeSet;
use std::path::Path;

const SPEC: &str = r#"
specbook: 1
name: identity
title: Identity
base:
  data:
    corpus: {documents: {version: 1}}
    tokenizer: {train_bpe: {vocab_size: 512, documents: 40}}
    train: 40
    validation: 10
    test: 5
  model: {arch: llama, dim: 32, n_layers: 2, n_heads: 4, max_seq_len: 32}
  train:
    batch_size: 4
    optimizer: {adamw: {learning_rate: 1e-3}}
    validate: {every: epoch}
  eval:
    perplexity: {documents: 10}
    samples: {prompts: ["Once"], max_new_tokens: 4}
cells:
  - text: "{{ run('identity').val_loss }}"
"#;

fn plan_with(text: &str, overrides: &[&str]) -> Plan {
    let request = LoadRequest {
        profile: None,
        overrides: overrides.iter().map(ToString::to_string).collect(),
    };
    let spec = parse(text, Path::new("identity.yaml"), &request)
        .unwrap_or_else(|error| panic!("{overrides:?}: {error}"));
    expand(&spec, &DataContext::default()).unwrap_or_else(|error| panic!("{overrides:?}: {error}"))
}

fn ids(overrides: &[&str]) -> (crate::record::RunId, crate::record::EvalId) {
    let plan = plan_with(SPEC, overrides);
    (plan.runs[0].id, plan.runs[0].eval_id)
}

/// Every setting of the key with a non-default value (and further settings that the value needs).
const IN_THE_KEY: &[&[&str]] = &[
    &[
        "data.corpus.documents.version=1",
        "data.corpus.documents.seed=7",
    ],
    &["data.corpus={stories: {version: 1}}"],
    &["data.train=41"],
    &["data.train={skip: 20, take: 40}"],
    &["data.validation=11"],
    &["data.tokenizer.train_bpe.vocab_size=600"],
    &["data.tokenizer.train_bpe.documents=39"],
    &["data.sequence=discard"],
    &["data.sequence={informed_as_run: {tol: 9}}"],
    &["data.sequence={informed_as_run: {tol: 10}}"],
    &[
        "data.sequence=stream",
        "train.max_steps=3",
        "train.validate.every=end",
    ],
    &["data.seq_len=16"],
    &["data.seq_len=shortest"],
    &["data.target_shift=2"],
    &["model.arch=gpt2"],
    &["model.arch=gpt2", "model.biases=true"],
    &["model.arch=gpt2", "model.dropout=0.1"],
    &["model.dim=64"],
    &["model.n_layers=3"],
    &["model.n_heads=2"],
    &["model.n_kv_heads=2"],
    &["model.hidden_dim=96"],
    &["model.multiple_of=40"],
    &["model.max_seq_len=64", "data.seq_len=32"],
    &["model.norm_eps=1e-6"],
    &["model.rope_theta=500000.0"],
    &["model.tied_output=true"],
    &["model.init=gpt2"],
    &["model.pad_vocab_to_multiple=100"],
    &["train.batch_size=5"],
    &["train.grad_accum_steps=2"],
    &["train.epochs=2"],
    &["train.max_steps=4"],
    &["train.max_tokens=400"],
    &["train.init_from=5e020000000000000000000000000000000000000000000000000000000000ab"],
    &["train.max_batches=2"],
    &["train.shuffle=false"],
    &["train.last_batch=drop"],
    &["train.loss=squentropy"],
    &["train.loss={square: {k: 100}}"],
    &["train.loss={square: {k: 100, m: 2}}"],
    &["train.loss={square_softmax: {w: 65}}"],
    &["train.loss={squentropy_capstone: {w: 65}}"],
    &["train.loss={squentropy_capstone: {w: {per_50304: 65}}}"],
    &["train.loss={square: {k: 1}}", "train.reduction=sum_classes"],
    &["train.ignore_index=3"],
    &["train.optimizer.adamw.learning_rate=3e-4"],
    &["train.optimizer.adamw.betas=[0.9, 0.95]"],
    &["train.optimizer.adamw.eps=1e-7"],
    &["train.optimizer.adamw.weight_decay=0.1"],
    &["train.optimizer.adamw.decay=matrices"],
    &["train.schedule={cosine: {decay_steps: 9, min_lr: 1e-4}}"],
    &["train.schedule={cosine: {decay_steps: 9, min_lr: 1e-4, warmup_steps: 2}}"],
    &[
        "train.schedule={cosine: {decay_steps: 9, min_lr: 1e-4, warmup_steps: 2, warmup_from: zero}}",
    ],
    &["train.grad_clip=1.0"],
    &["train.dtype=bf16"],
    &["train.validate.every=step"],
    &["train.validate.every={steps: 3}"],
    &["train.keep=best"],
    &["train.seed=1"],
];

/// Changes of a spec that must not change a run's identity.
const NOT_IN_THE_KEY: &[&[&str]] = &[
    &["eval.perplexity.documents=9"],
    &["eval.samples.prompts=[\"Twice\"]"],
    &["model.multiple_of=256"],
    &["model.n_kv_heads=4"],
    &["train.epochs=1"],
    &["data.seq_len=32"],
    &["train.optimizer.adamw.learning_rate=0.001"],
];

#[test]
fn every_setting_in_the_key_changes_the_id() {
    let mut seen = BTreeSet::from([ids(&[]).0]);
    for overrides in IN_THE_KEY {
        assert!(
            seen.insert(ids(overrides).0),
            "{overrides:?} gives an id that another setting has already given"
        );
    }
}

#[test]
fn settings_out_of_the_key_never_change_the_id() {
    let base = ids(&[]).0;
    for overrides in NOT_IN_THE_KEY {
        assert_eq!(ids(overrides).0, base, "{overrides:?}");
    }
    let renamed = SPEC
        .replace("name: identity", "name: other")
        .replace("title: Identity", "title: Other\nsummary: Prose.");
    let renamed = renamed.replace("run('identity')", "runs()[0]");
    assert_eq!(plan_with(&renamed, &[]).runs[0].id, base);
}

#[test]
fn evaluation_settings_change_the_evaluation_alone() {
    let (run, eval) = ids(&[]);
    for overrides in [
        ["eval.perplexity.documents=9"],
        ["eval.samples.prompts=[\"Twice\"]"],
        ["eval.perplexity.split=test"],
    ] {
        let overrides: Vec<&str> = overrides
            .into_iter()
            .chain(["eval.perplexity.documents=5"])
            .collect();
        let (same_run, other_eval) = ids(&overrides);
        assert_eq!(same_run, run);
        assert_ne!(other_eval, eval);
    }
}

/// A changed id invalidates every user's cache: raise `RECIPE` and explain why in the CHANGELOG.
#[test]
fn golden_ids() {
    let short = |overrides: &[&str]| ids(overrides).0.0.short();
    insta::assert_snapshot!(short(&[]), @"4fa99ba3c510");
    insta::assert_snapshot!(short(&["model.arch=gpt2", "model.dropout=0.1"]), @"3dfbc57543e0");
    insta::assert_snapshot!(short(&["train.loss={squentropy_capstone: {w: {per_50304: 65}}}", "train.validate.every={steps: 3}"]), @"00be2d796ced");
    insta::assert_snapshot!(ids(&[]).1.0.short(), @"26b86a2814f2");
}

/// The key matches the table in `run_key.rs`: add a new field to the table and to the lists above.
#[test]
fn the_key_holds_these_settings() {
    fn paths(prefix: &str, value: &serde_json::Value, into: &mut Vec<String>) {
        match value.as_object() {
            Some(map) => map
                .iter()
                .for_each(|(name, value)| paths(&format!("{prefix}.{name}"), value, into)),
            None => into.push(prefix.trim_start_matches('.').to_owned()),
        }
    }
    let plan = plan_with(SPEC, &[]);
    let mut all = Vec::new();
    paths(
        "",
        &serde_json::to_value(&plan.runs[0].key).unwrap(),
        &mut all,
    );
    insta::assert_snapshot!(all.join("\n"), @"
    recipe
    data.train.embedded.generator
    data.train.embedded.parameters.version
    data.train.embedded.parameters.seed
    data.train.embedded.skip
    data.train.embedded.take
    data.validation.embedded.generator
    data.validation.embedded.parameters.version
    data.validation.embedded.parameters.seed
    data.validation.embedded.skip
    data.validation.embedded.take
    data.tokenizer.train_bpe.algorithm
    data.tokenizer.train_bpe.vocab_size
    data.tokenizer.train_bpe.slice.embedded.generator
    data.tokenizer.train_bpe.slice.embedded.parameters.version
    data.tokenizer.train_bpe.slice.embedded.parameters.seed
    data.tokenizer.train_bpe.slice.embedded.skip
    data.tokenizer.train_bpe.slice.embedded.take
    data.sequence
    data.seq_len
    data.target_shift
    model.arch
    model.dim
    model.n_layers
    model.n_heads
    model.n_kv_heads
    model.hidden_dim
    model.max_seq_len
    model.vocab_size
    model.norm_eps
    model.rope_theta
    model.biases
    model.tied_output
    model.dropout
    model.init
    train.batch_size
    train.grad_accum_steps
    train.epochs
    train.max_steps
    train.max_batches
    train.shuffle
    train.last_batch
    train.loss
    train.reduction
    train.ignore_index
    train.optimizer.adamw.learning_rate
    train.optimizer.adamw.betas
    train.optimizer.adamw.eps
    train.optimizer.adamw.weight_decay
    train.optimizer.adamw.decay
    train.schedule
    train.grad_clip
    train.dtype
    train.validate.every
    train.keep
    train.seed
    ");
}

#[test]
fn keys_are_read_back_as_they_were_written() {
    for overrides in IN_THE_KEY {
        let key = &plan_with(SPEC, overrides).runs[0].key;
        let text = serde_json::to_string(key).unwrap();
        assert_eq!(
            &serde_json::from_str::<RunKey>(&text).unwrap(),
            key,
            "{text}"
        );
    }
}

#[test]
fn groups_drop_the_seed_alone() {
    let text = SPEC
        .replace("cells:", "seeds: [0, 12]\ncells:")
        .replace("run('identity')", "runs()[0]");
    let plan = plan_with(&text, &[]);
    let groups: Vec<&str> = plan.runs.iter().map(Run::group).collect();
    assert_eq!(groups[0], groups[1]);
    assert!(
        !groups[0].contains("seed"),
        "{groups:?} of {:?}",
        plan.runs.iter().map(|run| &run.name).collect::<Vec<_>>()
    );
}

#[test]
fn what_only_the_text_tells_is_marked() {
    let marks = |overrides: &[&str]| {
        let uncounted = plan_with(SPEC, overrides).runs[0].uncounted;
        (uncounted.sequences, uncounted.lengths)
    };
    assert_eq!(marks(&[]), (false, true));
    assert_eq!(marks(&["data.sequence=impute_concat"]), (true, false));
    let shortest = ["data.sequence=discard", "data.seq_len=shortest"];
    assert_eq!(marks(&shortest), (true, true));
    assert_eq!(marks(&["train.max_tokens=400"]), (true, true));
    let end = "train.validate={every: end}";
    for length in ["train.max_steps=3", "train.max_tokens=400"] {
        let stream = ["data.sequence=stream", end, length];
        assert_eq!(marks(&stream), (false, false));
    }
}

#[test]
fn tokens_are_those_of_the_documents_and_not_of_full_sequences() {
    let estimate = |max_seq_len: usize| {
        let overrides = [
            "data.corpus={stories: {version: 1}}".to_owned(),
            format!("model.max_seq_len={max_seq_len}"),
        ];
        plan_with(SPEC, &overrides.each_ref().map(String::as_str)).runs[0].estimate
    };
    let [cut, whole, longer] = [32, 4000, 8000].map(estimate);
    assert_eq!(cut.tokens, 40 * 32);
    assert_eq!(whole.tokens, longer.tokens);
    assert!((40 * 33..40 * 1000).contains(&whole.tokens), "{whole:?}");
}

#[test]
fn documents_are_looked_at_for_some_settings_of_data_alone() {
    let sizes: Vec<String> = (1..=40).map(|size| size.to_string()).collect();
    let vary = format!("vary:\n  data.train: [{}]\ncells:", sizes.join(", "));
    let text = SPEC
        .replace("cells:", &vary)
        .replace("run('identity')", "runs()[0]");
    let text = text.replace(", documents: 40}", "}");
    let runs = plan_with(&text, &[]).runs;
    assert_eq!(runs.len(), 40);
    let sampled = runs.iter().map(|run| run.uncounted.is_sampled);
    assert_eq!(sampled.filter(|is| *is).count(), 32);
}
