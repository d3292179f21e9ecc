//! Rules of the section `model`.

use super::{Findings, add, between, in_range, say};
use crate::spec::error::Problem;
use crate::spec::{Arch, ModelSettings};

pub(super) fn model_sizes(model: &ModelSettings, findings: &mut Findings) {
    const MOST: usize = 1 << 20;
    between(findings, "model.dim", model.dim, 1, MOST);
    between(findings, "model.n_layers", model.n_layers, 1, 10_000);
    between(findings, "model.n_heads", model.n_heads, 1, MOST);
    between(findings, "model.max_seq_len", model.max_seq_len, 2, MOST);
    between(
        findings,
        "model.pad_vocab_to_multiple",
        model.pad_vocab_to_multiple,
        1,
        MOST,
    );
    for (path, value) in [
        ("model.n_kv_heads", model.n_kv_heads),
        ("model.hidden_dim", model.hidden_dim),
        ("model.multiple_of", model.multiple_of),
        ("model.vocab_size", model.vocab_size),
    ] {
        if let Some(value) = value {
            between(findings, path, value, 1, 1 << 24);
        }
    }
    let eps = model.norm_eps;
    in_range(
        findings,
        "model.norm_eps",
        eps,
        eps > 0.0 && eps < 1.0,
        "above 0 and below 1",
    );
    let theta = model.rope_theta;
    in_range(findings, "model.rope_theta", theta, theta > 0.0, "above 0");
    let dropout = model.dropout;
    let holds = (0.0..1.0).contains(&dropout);
    in_range(
        findings,
        "model.dropout",
        dropout,
        holds,
        "at least 0 and below 1",
    );
}

pub(super) fn heads_divide_dim(model: &ModelSettings, findings: &mut Findings) {
    if model.n_heads == 0 || model.dim == 0 {
        return;
    }
    let (dim, heads) = (model.dim, model.n_heads);
    if !dim.is_multiple_of(heads) {
        let fitting: Vec<String> = (1..=dim.min(256))
            .filter(|heads| dim.is_multiple_of(*heads))
            .filter(|heads| model.arch == Arch::Gpt2 || (dim / heads).is_multiple_of(2))
            .map(|heads| heads.to_string())
            .collect();
        let message = format!("`model.dim` {dim} is not a multiple of `model.n_heads` {heads}");
        let problem = Problem::new(message);
        let allowed = format!("for {dim}: {} heads", fitting.join(", "));
        add(
            findings,
            "model.n_heads",
            if fitting.is_empty() {
                problem
            } else {
                problem.allowed(allowed)
            },
        );
    } else if model.arch == Arch::Llama && !(dim / heads).is_multiple_of(2) {
        let head = dim / heads;
        let message =
            format!("a head is {head} wide ({dim} / {heads}); rotary positions need an even width");
        say(findings, "model.n_heads", message);
    }
    if let Some(kv) = model.n_kv_heads
        && kv > 0
        && !heads.is_multiple_of(kv)
    {
        let message = format!("`model.n_kv_heads` {kv} does not divide `model.n_heads` {heads}");
        say(findings, "model.n_kv_heads", message);
    }
}

pub(super) fn arch_has_its_settings(model: &ModelSettings, findings: &mut Findings) {
    let refuse = |findings: &mut Findings, path: &str, arch: &str, other: &str| {
        let problem = Problem::new(format!(
            "`{path}` has no meaning for the `{arch}` architecture"
        ));
        add(
            findings,
            path,
            problem.hint(format!("remove it, or set `model.arch: {other}`")),
        );
    };
    match model.arch {
        Arch::Llama => {
            if model.dropout != 0.0 {
                refuse(findings, "model.dropout", "llama", "gpt2");
            }
            if model.biases {
                refuse(findings, "model.biases", "llama", "gpt2");
            }
        }
        Arch::Gpt2 => {
            if model.n_kv_heads.is_some_and(|kv| kv != model.n_heads) {
                refuse(findings, "model.n_kv_heads", "gpt2", "llama");
            }
            if model.multiple_of.is_some() {
                refuse(findings, "model.multiple_of", "gpt2", "llama");
            }
            if model.rope_theta != 10_000.0 {
                refuse(findings, "model.rope_theta", "gpt2", "llama");
            }
        }
    }
    if model.hidden_dim.is_some() && model.multiple_of.is_some() {
        let message = "`model.hidden_dim` is given, so `model.multiple_of` has nothing to round";
        add(
            findings,
            "model.multiple_of",
            Problem::new(message).hint("keep one of the two"),
        );
    }
}
