//! Text that appears as it is generated.

use super::args::DrawArgs;
use super::failure::Failure;
use super::shared::LoadedModel;
use crate::data::{Stop, TextTokenizer};
use crate::train::SampleJob;

/// Refuses meaningless settings.
pub(crate) fn check(draw: &DrawArgs) -> Result<(), Failure> {
    if !(draw.temperature >= 0.0 && draw.temperature.is_finite()) {
        return Err(Failure::usage("`--temperature` is a number from 0"));
    }
    if draw.top_p.is_some_and(|p| !(p > 0.0 && p <= 1.0)) {
        return Err(Failure::usage("`--top-p` is a number above 0, at most 1"));
    }
    if draw.top_k == Some(0) {
        return Err(Failure::usage("`--top-k` is a whole number from 1"));
    }
    Ok(())
}

/// The job that continues `prompts` with `model`.
pub(crate) fn job<'a>(
    model: &'a LoadedModel,
    prompts: &'a [Vec<u32>],
    draw: &DrawArgs,
) -> SampleJob<'a> {
    SampleJob {
        model: &model.model,
        prompts,
        max_new_tokens: draw.max_new_tokens,
        temperature: draw.temperature,
        top_k: draw.top_k,
        top_p: draw.top_p,
        seed: draw.seed,
        stop: Some(model.tokenizer.eos()),
        usable_vocab: model.usable_vocab(),
        threads: model.threads,
        halt: Stop::never(),
    }
}

/// A continuation being generated: returns the text added by each new id, once its characters are
/// complete.
pub(crate) struct Continuation<'a> {
    tokenizer: &'a TextTokenizer,
    prompt: &'a [u32],
    new: Vec<u32>,
    told: String,
}

impl<'a> Continuation<'a> {
    /// Nothing yet.
    pub(crate) fn new(tokenizer: &'a TextTokenizer, prompt: &'a [u32]) -> Self {
        Self {
            tokenizer,
            prompt,
            new: Vec::new(),
            told: String::new(),
        }
    }

    /// The text that `id` adds.
    pub(crate) fn push(&mut self, id: u32) -> String {
        self.new.push(id);
        let text = self.text();
        // Incomplete characters decode to this until their remaining bytes arrive.
        let whole = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
        self.tell(whole)
    }

    /// The remaining text at the end.
    pub(crate) fn rest(&mut self) -> String {
        let text = self.text();
        self.tell(&text)
    }

    fn text(&self) -> String {
        let text = self.tokenizer.decode_continuation(self.prompt, &self.new);
        text.unwrap_or_default()
    }

    fn tell(&mut self, text: &str) -> String {
        let more = text.strip_prefix(&self.told).unwrap_or_default().to_owned();
        self.told.push_str(&more);
        more
    }
}
