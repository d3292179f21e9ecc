//! A training step as a whole, for devices that can run it at once.

use super::dropout::Pass;
use super::ops::AdamwStep;
use crate::data::batch::Batch;
use crate::spec::ModelConfig;

/// Everything in which a step differs from others of the same job.
#[cfg_attr(
    not(any(test, feature = "cuda")),
    expect(dead_code, reason = "only GPUs run a step at once")
)]
pub(crate) struct Step<'a> {
    /// The model.
    pub(crate) model: &'a ModelConfig,
    /// The micro-batches, checked by the caller.
    pub(crate) batches: &'a [Batch],
    /// The pass of the first micro-batch.
    pub(crate) pass: Pass,
    /// The update.
    pub(crate) update: AdamwStep<'a>,
}
