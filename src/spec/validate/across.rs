//! Rules of the section `eval`, and rules between sections.

use super::{Findings, add, at_least, between, in_range, say};
use crate::spec::error::Problem;
use crate::spec::{
    DataSettings, EvalSettings, Every, ModelSettings, SampleSettings, SeqLen, Sequence, Split,
    TrainSettings,
};

pub(super) fn eval_in_range(eval: &EvalSettings, findings: &mut Findings) {
    if let Some(perplexity) = &eval.perplexity {
        at_least(
            findings,
            "eval.perplexity.documents",
            perplexity.documents,
            1,
        );
    }
    if let Some(samples) = &eval.samples {
        samples_in_range(samples, findings);
    }
    if let Some(windows) = &eval.random_windows {
        at_least(findings, "eval.random_windows.batches", windows.batches, 1);
        at_least(findings, "eval.random_windows.windows", windows.windows, 1);
        at_least(findings, "eval.random_windows.tokens", windows.tokens, 1);
    }
}

fn samples_in_range(samples: &SampleSettings, findings: &mut Findings) {
    if samples.prompts.is_empty() {
        let problem = Problem::new("`eval.samples.prompts` is empty: nothing would be sampled");
        let problem = problem.hint("write a prompt, or leave `eval.samples` out");
        add(findings, "eval.samples.prompts", problem);
    }
    for (index, prompt) in samples.prompts.iter().enumerate() {
        if prompt.is_empty() {
            let path = format!("eval.samples.prompts.{index}");
            say(
                findings,
                &path,
                "an empty prompt leaves nothing to continue",
            );
        }
    }
    between(
        findings,
        "eval.samples.max_new_tokens",
        samples.max_new_tokens,
        1,
        1 << 20,
    );
    between(
        findings,
        "eval.samples.per_prompt",
        samples.per_prompt,
        1,
        10_000,
    );
    let temperature = samples.temperature;
    in_range(
        findings,
        "eval.samples.temperature",
        temperature,
        temperature >= 0.0,
        "at least 0",
    );
    if let Some(k) = samples.top_k {
        at_least(findings, "eval.samples.top_k", k, 1);
    }
    if let Some(p) = samples.top_p {
        in_range(
            findings,
            "eval.samples.top_p",
            p,
            p > 0.0 && p <= 1.0,
            "above 0 and at most 1",
        );
    }
}

/// A window is scored by one pass of the model.
pub(super) fn windows_fit_model(
    eval: &EvalSettings,
    model: &ModelSettings,
    findings: &mut Findings,
) {
    let most = model.max_seq_len;
    if let Some(windows) = &eval.random_windows
        && windows.tokens > most
    {
        let tokens = windows.tokens;
        let message =
            format!("windows of {tokens} tokens are longer than `model.max_seq_len` {most}");
        say(findings, "eval.random_windows.tokens", message);
    }
}

/// An input holds BOS and the content, so a sequence has at most `max_seq_len` positions.
pub(super) fn sequence_fits_model(
    data: &DataSettings,
    model: &ModelSettings,
    findings: &mut Findings,
) {
    let SeqLen::Tokens(tokens) = data.seq_len else {
        return;
    };
    at_least(findings, "data.seq_len", tokens, 2);
    if tokens > model.max_seq_len {
        let most = model.max_seq_len;
        let message = format!("`data.seq_len` {tokens} is longer than `model.max_seq_len` {most}");
        let hint = "a sequence, BOS counted, has at most `model.max_seq_len` tokens";
        add(findings, "data.seq_len", Problem::new(message).hint(hint));
    }
}

pub(super) fn length_fits_sequence(
    data: &DataSettings,
    train: &TrainSettings,
    findings: &mut Findings,
) {
    if data.sequence != Sequence::Stream {
        return;
    }
    if train.max_steps.is_none() && train.max_tokens.is_none() {
        let message = "`data.sequence: stream` draws windows without end, so it needs `train.max_steps` or `train.max_tokens`";
        add(
            findings,
            "train.epochs",
            Problem::new(message).hint("write `train.max_steps: …`"),
        );
    }
    if train.max_tokens.is_some() && train.ignore_index.is_some() {
        let message = "`train.ignore_index` takes targets away that only the draws can tell, so a stream with it has no `train.max_tokens`";
        let hint = "write `train.max_steps: …`";
        add(
            findings,
            "train.max_tokens",
            Problem::new(message).hint(hint),
        );
    }
    if train.max_batches.is_some() {
        let message = "`train.max_batches` cuts epochs, and `data.sequence: stream` has none";
        say(findings, "train.max_batches", message);
    }
    if train.validate.every == Every::Epoch {
        let message = "`data.sequence: stream` has no epochs to validate after";
        let problem = Problem::new(message).allowed("`step`, `{steps: n}`, `{tokens: n}`, `end`");
        add(findings, "train.validate.every", problem);
    }
}

pub(super) fn eval_fits_slices(data: &DataSettings, eval: &EvalSettings, findings: &mut Findings) {
    let Some(perplexity) = &eval.perplexity else {
        return;
    };
    let (name, slice) = match perplexity.split {
        Split::Validation => ("data.validation", &data.validation),
        Split::Test => ("data.test", &data.test),
    };
    if perplexity.documents > slice.take {
        let message = format!(
            "`eval.perplexity` scores {} documents, but `{name}` has {}",
            perplexity.documents, slice.take
        );
        say(findings, "eval.perplexity.documents", message);
    }
}
