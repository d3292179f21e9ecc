//! Evaluation settings: perplexity sets and samples. They never enter a run's identity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `eval` of a spec.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSettings {
    /// Perplexity of held-out documents; default none.
    #[serde(default)]
    pub perplexity: Option<PerplexitySettings>,
    /// Sampled continuations; default none.
    #[serde(default)]
    pub samples: Option<SampleSettings>,
    /// The studies' procedure over random windows (docs/studies.md#e8); default none.
    #[serde(default)]
    pub random_windows: Option<RandomWindows>,
}

/// The held-out documents to score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerplexitySettings {
    /// Number of documents, from the start of `split`.
    pub documents: usize,
    /// `validation` (default) or `test`.
    #[serde(default)]
    pub split: Split,
    /// Whether to compute scores for losses that do not give probabilities (calibrated and clipped-linear perplexity,
    /// E7).
    #[serde(default)]
    pub calibrated: bool,
    /// Whether results and reports quote the beginning of each document (default true). `false` shows only its number
    /// and a SHA-256 prefix, for text that must not be published.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub quote: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// A held-out slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Split {
    /// `data.validation`.
    #[default]
    Validation,
    /// `data.test`.
    Test,
}

/// Sampling settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleSettings {
    /// Texts to continue.
    pub prompts: Vec<String>,
    /// Maximum length of a continuation in tokens.
    pub max_new_tokens: usize,
    /// 0 takes the most likely token; default 1.
    #[serde(default = "unit")]
    pub temperature: f64,
    /// Sample from the k most likely tokens; default: all.
    #[serde(default)]
    pub top_k: Option<usize>,
    /// Sample from the smallest set whose probability exceeds this, in (0, 1]; default: all.
    #[serde(default)]
    pub top_p: Option<f64>,
    /// Seed; default 0.
    #[serde(default)]
    pub seed: u64,
    /// Continuations per prompt; default 1.
    #[serde(default = "one")]
    pub per_prompt: usize,
}

fn unit() -> f64 {
    1.0
}

fn one() -> usize {
    1
}

/// Random windows of the validation stream (the capstone: 10 batches of 4 windows of 256 tokens, seed 1337).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RandomWindows {
    /// Batches.
    pub batches: usize,
    /// Windows per batch.
    pub windows: usize,
    /// Tokens per window.
    pub tokens: usize,
    /// Seed; default 1337.
    #[serde(default = "seed_1337")]
    pub seed: u64,
}

fn seed_1337() -> u64 {
    1337
}
