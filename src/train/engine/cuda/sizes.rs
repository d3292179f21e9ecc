//! The maximum GPU memory of a training run, computed without a GPU from the sizes of the buffers of `fused`.

use crate::spec::{Arch, Dtype, ModelConfig, TrainSettings};

/// Workspace of cuBLAS, in bytes. Products repeat bit for bit only with a user-provided workspace; this is the
/// size recommended for Hopper GPUs.
pub(super) const WORKSPACE: usize = 32 << 20;

/// Maximum size, in bytes, of the logits held at a time; their probabilities are never stored.
pub(super) const CHUNK: usize = 1 << 30;

/// Sizes of buffers: multiples of a sixteenth of the next power of two, so that batches of similar lengths
/// share buffers.
pub(super) fn rounded(bytes: usize) -> usize {
    bytes
        .max(1)
        .next_multiple_of((bytes.next_power_of_two() / 16).max(512))
}

/// Peak size of a training run's buffers, in bytes: at the beginning of the backward pass.
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
    // Parameter, gradient and two moments; the rounded copies of matrices.
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
