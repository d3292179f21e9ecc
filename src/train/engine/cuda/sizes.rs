//! How much memory of the GPU a training takes at most, counted without one: the buffers of `fused`, by their sizes.

use crate::spec::{Arch, Dtype, ModelConfig, TrainSettings};

/// What cuBLAS works in. Products repeat bit for bit only with a workspace of one's own; this much is what Hopper GPUs are advised to have.
pub(super) const WORKSPACE: usize = 32 << 20;

/// Logits are there for so many bytes of rows at a time; their probabilities never.
pub(super) const CHUNK: usize = 1 << 30;

/// The sizes of buffers: multiples of a sixteenth of the next power of two, so that batches of nearly the same length share buffers.
pub(super) fn rounded(bytes: usize) -> usize {
    bytes
        .max(1)
        .next_multiple_of((bytes.next_power_of_two() / 16).max(512))
}

/// Bytes of a training's buffers when they are most: at the beginning of the way back.
pub(crate) fn training_bytes(model: &ModelConfig, train: &TrainSettings) -> u64 {
    let low = train.dtype == Dtype::Bf16;
    let element = if low { 2 } else { 4 };
    let rows = train.batch_size * model.max_seq_len;
    let (dim, heads) = (model.dim, model.n_heads);
    let qkv = dim + 2 * model.n_kv_heads * model.head_dim();
    let before = match model.arch {
        Arch::Llama => 2 * model.hidden_dim,
        Arch::Gpt2 => model.hidden_dim,
    };
    let wide = |columns: usize| rounded(4 * rows * columns);
    let of = |columns: usize| rounded(element * rows * columns);
    // Parameter, gradient, two moments; the rounded copies of matrices.
    let slots = model.tensors();
    let lens = slots.iter().map(|slot| slot.shape.0 * slot.shape.1);
    let parameters: usize = lens
        .map(|len| 4 * rounded(4 * len) + if low { rounded(2 * len) } else { 0 })
        .sum();
    // Two sums of the residual stream, two norms, attention, feed-forward layer.
    let layer = 2 * (wide(dim) + of(dim) + wide(2))
        + of(qkv)
        + of(dim)
        + wide(heads)
        + of(before)
        + of(model.hidden_dim);
    let most = (CHUNK / (element * model.vocab_size)).clamp(1, rows);
    let head = rounded(element * most * model.vocab_size) + 2 * of(dim) + 2 * wide(2);
    let stream = 2 * wide(dim) + of(dim);
    let way_back = of(model.hidden_dim) + of(qkv) + wide(heads) + wide(dim);
    let all = parameters + model.n_layers * layer + head + stream + way_back;
    (all + WORKSPACE + (2 << 20)) as u64
}
