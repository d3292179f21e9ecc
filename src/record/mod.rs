//! Records of finished runs: plain data, written by the scheduler and read by everything else.
//!
//! Everything here is reproducible except [`Timing`] and [`Provenance`], which are never compared.

pub mod format;
mod metrics;
mod names;
mod results;

pub use metrics::{METRICS, Metric, metric, ngram_mark};
pub use names::{same_run, same_value, setting_of};
pub use results::{REPLICATE_AXES, Results, RunResult};

use crate::digest::Sha256Hex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the training computations; raise it with every change of a training run's bits.
pub const RECIPE: u32 = 2;

/// Format number of `record.json`.
pub const RECORD_FORMAT: u32 = 1;

/// Identity of a run: sha256 of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub Sha256Hex);

/// Identity of an evaluation: sha256 of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EvalId(pub Sha256Hex);

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl std::fmt::Display for EvalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// One line of `metrics.jsonl`: one optimizer step. Losses in nats per scored token.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricPoint {
    /// Optimizer steps done, from 1.
    pub step: u64,
    /// Passes over the training sequences done, with fraction.
    pub epoch: f64,
    /// Scored training targets so far.
    pub tokens: u64,
    /// Loss of the step's batch before the update, including auxiliary terms.
    #[serde(rename = "train/loss")]
    pub train_loss: f64,
    /// Its cross-entropy part (equal to `train/loss` for plain cross-entropy).
    #[serde(rename = "train/ce")]
    pub train_ce: f64,
    /// Its square part (0 for plain cross-entropy).
    #[serde(rename = "train/square")]
    pub train_square: f64,
    /// Validation loss after the update, weighted by tokens, if due.
    #[serde(rename = "val/loss", default, skip_serializing_if = "Option::is_none")]
    pub val_loss: Option<f64>,
    /// The cross-entropy part of the validation loss.
    #[serde(rename = "val/ce", default, skip_serializing_if = "Option::is_none")]
    pub val_ce: Option<f64>,
    /// Unweighted mean of the validation batches' losses, as the studies computed it.
    #[serde(
        rename = "val/loss_batch_mean",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub val_loss_batch_mean: Option<f64>,
    /// Learning rate of the step.
    pub lr: f64,
    /// Global gradient norm before clipping.
    pub grad_norm: f64,
}

impl MetricPoint {
    /// The series of a run: counters, followed by the measured numbers of `metrics.jsonl`.
    pub const SERIES: [&str; 10] = [
        "epoch",
        "tokens",
        "train/loss",
        "train/ce",
        "train/square",
        "val/loss",
        "val/ce",
        "val/loss_batch_mean",
        "lr",
        "grad_norm",
    ];
    /// The curves of a run: the measured series.
    pub const CURVES: &[&str] = Self::SERIES.split_at(2).1;

    /// Description of a series in one sentence; empty for an unknown name.
    pub fn about(series: &str) -> &'static str {
        match series {
            "epoch" => "Passes over the training sequences so far, including fractions.",
            "tokens" => "Scored training targets so far.",
            "train/loss" => "Training loss of the step's batch, before its update.",
            "train/ce" => "Its cross-entropy part, in nats.",
            "train/square" => "Its square part; 0 for plain cross-entropy.",
            "val/loss" => "Validation loss after the update, weighted by tokens, if due.",
            "val/ce" => "The cross-entropy part of the validation loss, in nats.",
            "val/loss_batch_mean" => {
                "Unweighted mean of the validation batches' losses, as the studies computed it."
            }
            "lr" => "Learning rate of the step.",
            "grad_norm" => "Global norm of the gradients, before clipping.",
            _ => "",
        }
    }

    /// The value of a series at this step; `None` if it was not measured or the name is unknown.
    pub fn value(&self, series: &str) -> Option<f64> {
        match series {
            "epoch" => Some(self.epoch),
            "tokens" => Some(self.tokens as f64),
            "train/loss" => Some(self.train_loss),
            "train/ce" => Some(self.train_ce),
            "train/square" => Some(self.train_square),
            "val/loss" => self.val_loss,
            "val/ce" => self.val_ce,
            "val/loss_batch_mean" => self.val_loss_batch_mean,
            "lr" => Some(self.lr),
            "grad_norm" => Some(self.grad_norm),
            _ => None,
        }
    }
}

/// State of a run in a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Finished and intact.
    Cached,
    /// Not in the store.
    Missing,
    /// Interrupted, with a checkpoint.
    Partial,
    /// Leased by a live process.
    Running,
    /// Ended with an error.
    Failed,
}

/// `record.json` of a finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// [`RECORD_FORMAT`].
    pub format: u32,
    /// The run.
    pub id: RunId,
    /// Name of the run in the spec that first trained it.
    pub name: String,
    /// Name of that spec.
    pub spec: String,
    /// `cached` or `failed`.
    pub status: RunStatus,
    /// The run's key, as in `key.json`.
    pub key: serde_json::Value,
    /// The numerics that computed it.
    pub numerics: Numerics,
    /// Sizes.
    pub counts: Counts,
    /// Final metrics by name: `train_loss` (mean over the last epoch), `val_loss` (last), `val_loss_min`, … finite numbers only.
    pub metrics: BTreeMap<String, f64>,
    /// Digests of the compared parts.
    pub digests: Digests,
    /// Size and digest of every other file in the run folder.
    pub files: BTreeMap<String, FileEntry>,
    /// Notes on the data for readers: disabled settings of the tokenizer, lost characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it failed, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Wall-clock figures: never compared.
    pub timing: Timing,
    /// Where it was computed: never compared.
    pub provenance: Provenance,
}

/// A file of a run folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length in bytes.
    pub bytes: u64,
    /// Digest of the contents.
    pub sha256: Sha256Hex,
}

/// The numerics that computed a run: recorded, not part of the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Numerics {
    /// `cpu-fused`, `cpu-reference`, `cuda`, `fake`.
    pub engine: String,
    /// Version of the training computations.
    pub recipe: u32,
    /// Instruction set: `x86_64+avx512`, `x86_64+avx2`, `aarch64+neon`, …; for bf16, `x86_64+avx512bf16`,
    /// `x86_64+avx512+amx` or `aarch64+neonbf16`. For a GPU: its type, cuBLAS, stream and workspace, then the driver.
    pub isa: String,
    /// Number format of the matrix products.
    pub dtype: String,
}

impl Numerics {
    /// Whether both guarantee the same course: all fields are equal, except for parts of the instruction set that
    /// [`Numerics::decisive_isa`] ignores. Only such runs continue or reproduce each other.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let course = |of: &Self| {
            let isa = of.decisive_isa().to_owned();
            (of.engine.clone(), of.recipe, of.dtype.clone(), isa)
        };
        course(self) == course(other)
    }

    /// The part of the instruction set that results depend on. The fused kernels give the same bits in f32 on every
    /// processor; in bf16, instruction sets round differently; other engines guarantee nothing beyond a processor
    /// family.
    pub fn decisive_isa(&self) -> &str {
        match (self.engine.as_str(), self.dtype.as_str()) {
            // The driver follows a `+`.
            ("cuda", _) => self.isa.split('+').next().unwrap_or_default(),
            (_, "bf16") => &self.isa,
            ("cpu-fused", _) => "any processor",
            _ => self.isa.split('+').next().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Numerics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} ({}, {}, recipe {})",
            self.engine, self.isa, self.dtype, self.recipe
        )
    }
}

/// Sizes of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Trained parameters.
    pub params: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Scored training targets.
    pub tokens: u64,
    /// Training documents.
    pub docs: u64,
    /// Training sequences.
    pub sequences: u64,
}

/// Digests for comparing reruns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Of the final weights (names, shapes and little-endian f32 values; not of the file).
    pub weights: Option<Sha256Hex>,
    /// Of `metrics.jsonl`.
    pub metrics: Sha256Hex,
    /// Of the tokenizer.
    pub tokenizer: Sha256Hex,
    /// Of the ids of the training and validation documents; `None` in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<Sha256Hex>,
}

/// Why a run failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// The error as printed.
    pub message: String,
    /// Last step with a finite loss, if training had begun.
    pub last_good_step: Option<u64>,
}

/// Wall-clock figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// Seconds of training without validation, over all sessions of the run.
    pub train_seconds: f64,
    /// Seconds of validation.
    pub validation_seconds: f64,
    /// Trained positions (batch · length) per second of training.
    pub train_tokens_per_second: f64,
    /// Peak resident set of the process since the previous run ended (with `--jobs`, of all concurrent runs), bytes.
    pub peak_rss_bytes: u64,
}

impl Timing {
    /// The measures of claims about wall-clock time, in seconds.
    pub fn metrics(&self) -> [(&'static str, f64); 2] {
        [
            ("train_seconds", self.train_seconds),
            ("validation_seconds", self.validation_seconds),
        ]
    }
}

/// Where a run was computed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// Version of specbook.
    pub specbook: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Threads used.
    pub threads: usize,
    /// Operating system and processor family.
    pub platform: String,
}

/// `result.json` of an evaluation, with the contents of its other files.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalResult {
    /// Format number.
    pub format: u32,
    /// Metrics by name (`perplexity`, `perplexity_median`, `bits_per_byte`, `accuracy`, …); finite numbers only.
    pub metrics: BTreeMap<String, f64>,
    /// One entry per scored document.
    pub documents: Vec<DocumentScore>,
    /// Continuations in the order of the prompts.
    pub samples: Vec<Sample>,
    /// Targets and nats of each validation document in the run's validation; empty if documents share sequences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub validation: Vec<(u64, f64)>,
}

/// Score of one held-out document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DocumentScore {
    /// Index of the document in its slice.
    pub document: usize,
    /// Scored tokens.
    pub tokens: u64,
    /// Negative log-likelihood in nats, summed.
    pub nll: f64,
    /// `exp(nll / tokens)`.
    pub perplexity: f64,
    /// Targets with the largest logit.
    #[serde(default)]
    pub hits: Option<u64>,
    /// The first characters of the text.
    pub excerpt: String,
}

/// A sampled continuation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The prompt.
    pub prompt: String,
    /// The continuation, without the prompt.
    pub continuation: String,
    /// Number of new tokens.
    pub new_tokens: usize,
    /// Whether it ended with end-of-text.
    pub ended: bool,
}

/// Estimated cost of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Trained parameters.
    pub params: u64,
    /// Optimizer steps.
    pub steps: u64,
    /// Trained positions; estimated from the first documents if the text has not been counted.
    pub tokens: u64,
    /// Floating-point operations of training and validation.
    pub flops: f64,
    /// Peak resident memory, bytes.
    pub peak_rss_bytes: u64,
    /// Bytes the finished run leaves in the store.
    pub disk_bytes: u64,
    /// Seconds; `None` until a run or a bench on this machine has stored a calibration.
    pub seconds: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::Numerics;

    #[test]
    fn runs_in_f32_agree_on_all_processors_and_those_in_bf16_on_one_instruction_set() {
        let numerics = |isa: &str, dtype: &str| Numerics {
            engine: if isa == "x86_64" {
                "cpu-reference"
            } else {
                "cpu-fused"
            }
            .to_owned(),
            recipe: 2,
            isa: isa.to_owned(),
            dtype: dtype.to_owned(),
        };
        let agree = |[a, b]: [&str; 2], dtype| numerics(a, dtype).agrees_with(&numerics(b, dtype));
        assert!(agree(["x86_64+avx512", "x86_64+avx2"], "f32"));
        assert!(agree(["x86_64+avx512bf16", "x86_64+avx512bf16"], "bf16"));
        assert!(!agree(["x86_64+avx512bf16", "x86_64+avx512+amx"], "bf16"));
        assert!(!agree(["x86_64+avx512bf16", "aarch64+neonbf16"], "bf16"));
        assert!(agree(["x86_64+avx512", "aarch64+neon"], "f32"));
        assert!(!agree(["x86_64", "aarch64+neon"], "f32"), "another engine");
    }
}
