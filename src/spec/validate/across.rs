//! Rules of the section `eval` and rules across sections.

use crate::choices::Findings;
use crate::spec::{
    DataSettings, EvalSettings, Every, ModelSettings, SampleSettings, SeqLen, Split, TrainSettings,
};
use crate::text::sequence::Shape;

/// Bound of settings limited only by memory.
const MOST: usize = usize::MAX;

pub(super) fn eval_in_range(eval: &EvalSettings, findings: &mut Findings) {
    if let Some(perplexity) = &eval.perplexity {
        let documents = perplexity.documents;
        findings.count("eval.perplexity.documents", documents, 1..=MOST);
    }
    if let Some(samples) = &eval.samples {
        samples_in_range(samples, findings);
    }
    if let Some(windows) = &eval.random_windows {
        findings.count("eval.random_windows.batches", windows.batches, 1..=MOST);
        findings.count("eval.random_windows.windows", windows.windows, 1..=MOST);
        findings.count("eval.random_windows.tokens", windows.tokens, 1..=MOST);
    }
}

fn samples_in_range(samples: &SampleSettings, findings: &mut Findings) {
    if samples.prompts.is_empty() {
        let message = "`eval.samples.prompts` is empty: nothing would be sampled";
        let hint = "write a prompt, or leave `eval.samples` out";
        findings.say("eval.samples.prompts", message).hint(hint);
    }
    for (index, prompt) in samples.prompts.iter().enumerate() {
        if prompt.is_empty() {
            let path = format!("eval.samples.prompts.{index}");
            findings.say(path, "an empty prompt leaves nothing to continue");
        }
    }
    let (new, each) = (samples.max_new_tokens, samples.per_prompt);
    findings.count("eval.samples.max_new_tokens", new, 1..=1 << 20);
    findings.count("eval.samples.per_prompt", each, 1..=10_000);
    let temperature = samples.temperature;
    let path = "eval.samples.temperature";
    findings.number(path, temperature, temperature >= 0.0, "at least 0");
    if let Some(k) = samples.top_k {
        findings.count("eval.samples.top_k", k, 1..=MOST);
    }
    if let Some(p) = samples.top_p {
        let holds = p > 0.0 && p <= 1.0;
        findings.number("eval.samples.top_p", p, holds, "above 0 and at most 1");
    }
}

/// A window must fit in one pass of the model.
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
        findings.say("eval.random_windows.tokens", message);
    }
}

/// A sequence has at most `max_seq_len` positions, including BOS.
pub(super) fn sequence_fits_model(
    data: &DataSettings,
    model: &ModelSettings,
    findings: &mut Findings,
) {
    let SeqLen::Tokens(tokens) = data.seq_len else {
        return;
    };
    findings.count("data.seq_len", tokens, 2..=MOST);
    if tokens > model.max_seq_len {
        let most = model.max_seq_len;
        let message = format!("`data.seq_len` {tokens} is longer than `model.max_seq_len` {most}");
        let hint = "a sequence, including BOS, has at most `model.max_seq_len` tokens";
        findings.say("data.seq_len", message).hint(hint);
    }
}

pub(super) fn length_fits_sequence(
    data: &DataSettings,
    train: &TrainSettings,
    findings: &mut Findings,
) {
    if data.sequence.get().shape() != Shape::Stream {
        return;
    }
    if train.max_steps.is_none() && train.max_tokens.is_none() {
        let message = "`data.sequence: stream` draws windows without end, so it needs `train.max_steps` or `train.max_tokens`";
        findings
            .say("train.epochs", message)
            .hint("write `train.max_steps: …`");
    }
    if train.max_tokens.is_some() && train.ignore_index.is_some() {
        let message = "with `train.ignore_index`, the scored targets of a stream depend on the draws, so it cannot have `train.max_tokens`";
        let hint = "write `train.max_steps: …`";
        findings.say("train.max_tokens", message).hint(hint);
    }
    if train.max_batches.is_some() {
        let message = "`train.max_batches` cuts epochs, and `data.sequence: stream` has none";
        findings.say("train.max_batches", message);
    }
    if train.validate.every == Every::Epoch {
        let message = "`data.sequence: stream` has no epochs to validate after";
        findings
            .say("train.validate.every", message)
            .allowed("`step`, `{steps: n}`, `{tokens: n}`, `end`");
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
    // The number of documents in a share is known only after reading the text, which reports
    // missing ones.
    let is_known = data.split.is_none() || perplexity.split == Split::Test;
    if is_known && perplexity.documents > slice.take {
        let message = format!(
            "`eval.perplexity` scores {} documents, but `{name}` has {}",
            perplexity.documents, slice.take
        );
        findings.say("eval.perplexity.documents", message);
    }
}
