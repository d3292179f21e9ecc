//! Training settings: loss, optimizer, schedule, length, validation.

use crate::choices::{Loss, Reduction, Schedule};
use crate::digest::Sha256Hex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `train` of a spec. Nothing in it follows from other sections, so it enters the run's identity unchanged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainSettings {
    /// Sequences per micro-batch.
    pub batch_size: usize,
    /// Micro-batches whose gradients are averaged before a step; default 1.
    #[serde(default = "one")]
    pub grad_accum_steps: usize,
    /// Passes over the training sequences; default 1 if neither `max_steps` nor `max_tokens` is given.
    #[serde(default)]
    pub epochs: Option<usize>,
    /// Optimizer steps; exclusive with `epochs`. Required for `data.sequence: stream`.
    #[serde(default)]
    pub max_steps: Option<usize>,
    /// Total scored targets; exclusive with `epochs` and `max_steps`. The last step counts only the remaining targets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<usize>,
    /// Stops each epoch after this many micro-batches.
    #[serde(default)]
    pub max_batches: Option<usize>,
    /// Whether sequences are reshuffled each epoch; default true.
    #[serde(default = "yes")]
    pub shuffle: bool,
    /// Whether an incomplete last batch is kept or dropped; default keep.
    #[serde(default)]
    pub last_batch: LastBatch,
    /// The loss.
    #[serde(default)]
    pub loss: Loss,
    /// Reduction of the square terms over classes; default mean_classes.
    #[serde(default)]
    pub reduction: Reduction,
    /// Targets equal to this id are not scored. Only for runs as published; padding is always masked by position.
    #[serde(default)]
    pub ignore_index: Option<u32>,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Learning-rate schedule; default constant.
    #[serde(default)]
    pub schedule: Schedule,
    /// Maximum global gradient norm; default: no clipping.
    #[serde(default)]
    pub grad_clip: Option<f64>,
    /// Number format of the matrix products; default f32.
    #[serde(default)]
    pub dtype: Dtype,
    /// When the validation loss is measured. Required: it can cost more than the training.
    pub validate: Validate,
    /// Which weights to keep; default last.
    #[serde(default)]
    pub keep: Keep,
    /// Seed of all randomness in a run; `seeds` makes it an axis. Default 0.
    #[serde(default)]
    pub seed: u64,
    /// Full 64-digit id of an imported model (`specbook import`) whose weights the run starts from; default: drawn by
    /// `model.init`. With `max_steps: 0` the model is only evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub init_from: Option<Sha256Hex>,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

/// Treatment of an incomplete last batch of an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LastBatch {
    /// It is used.
    #[default]
    Keep,
    /// It is dropped.
    Drop,
}

/// An optimizer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter, arXiv:1711.05101), docs/studies.md#e10.
    Adamw(Adamw),
}

/// Parameters of AdamW.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Adamw {
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay rates of the two moments, each in [0, 1); default 0.9 and 0.999.
    #[serde(default = "default_betas")]
    pub betas: [f64; 2],
    /// Added to the root of the second moment; default 1e-8.
    #[serde(default = "default_adam_eps")]
    pub eps: f64,
    /// Decoupled weight decay; default 0.01.
    #[serde(default = "default_weight_decay")]
    pub weight_decay: f64,
    /// Which tensors decay; default all.
    #[serde(default)]
    pub decay: Decay,
}

fn default_betas() -> [f64; 2] {
    [0.9, 0.999]
}

fn default_adam_eps() -> f64 {
    1e-8
}

fn default_weight_decay() -> f64 {
    0.01
}

/// Which tensors decay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Decay {
    /// All tensors, including norms (the library default, used by the LLaMA study).
    #[default]
    All,
    /// Matrices and embeddings only (nanoGPT).
    Matrices,
}

/// Number format of the matrix products; parameters and optimizer stay f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit floats.
    #[default]
    F32,
    /// bfloat16 products, accumulated in f32.
    Bf16,
}

/// When the validation loss is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Validate {
    /// `epoch`, `step`, `end`, `{steps: n}`, or `{tokens: n}`. The end of training is always measured.
    pub every: Every,
}

/// A validation cadence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Every {
    /// After each epoch.
    Epoch,
    /// After each step.
    Step,
    /// After the first step, each n-th step and the last.
    Steps(usize),
    /// After the first step, each step that completes another n scored training targets, and the last: the same points
    /// for any batch size and number of epochs.
    Tokens(usize),
    /// After the last step only.
    End,
}

/// The weights to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Keep {
    /// Those after the last step.
    #[default]
    Last,
    /// Those with the lowest validation loss.
    Best,
    /// Both; evaluations use the last.
    Both,
}
