//! Named f32 arrays, and checkpoints of training.

use crate::digest::{Hasher, Sha256Hex};

/// A named array.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Hugging Face's name (`model.layers.0.self_attn.q_proj.weight`).
    pub name: String,
    /// Sizes, outermost first.
    pub shape: Vec<usize>,
    /// Values in row-major order; their number is the product of `shape`.
    pub data: Vec<f32>,
}

/// All tensors of a model, in the model's fixed order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub Vec<NamedTensor>);

impl Weights {
    /// Digest of names, shapes and values (little-endian), independent of the file format.
    pub fn digest(&self) -> Sha256Hex {
        let mut hasher = Hasher::new();
        for tensor in &self.0 {
            hasher.update_prefixed(tensor.name.as_bytes());
            tensor
                .shape
                .iter()
                .for_each(|size| hasher.update(&(*size as u64).to_le_bytes()));
            tensor
                .data
                .iter()
                .for_each(|value| hasher.update(&value.to_le_bytes()));
        }
        hasher.finish()
    }
}

/// Everything needed to continue: plain data, without generator state (randomness is counter-based).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Checkpoint {
    /// Optimizer steps done.
    pub step: u64,
    /// Scored training targets so far.
    pub tokens: u64,
    /// Parameters.
    pub weights: Weights,
    /// First moments, in the order of `weights`.
    pub first_moments: Vec<Vec<f32>>,
    /// Second moments.
    pub second_moments: Vec<Vec<f32>>,
    /// Lowest validation loss so far and its weights, if required by `keep`.
    pub best: Option<(f64, Weights)>,
    /// Sum and count of the batch losses of the current epoch (for epoch means).
    pub epoch_loss: (f64, u64),
}
