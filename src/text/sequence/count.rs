//! Numbers of sequences and batches by closed formula, from document lengths alone.

use super::{Sequence, Shape};

/// Number of sequences that `policy` makes from documents of these `lengths`, with m = `seq_len` - 1 ids of content
/// each. `None` for `stream`, which draws windows as long as training lasts. Empty documents count only for
/// `next_token` and its variants (shift 1).
pub fn sequences(policy: Sequence, lengths: &[u32], seq_len: usize) -> Option<usize> {
    let m = seq_len.checked_sub(1).filter(|m| *m > 0)? as u64;
    usize::try_from(policy.get().sequences(lengths, m)?).ok()
}

/// Positions of each sequence that `policy` makes from documents of these `lengths`, in order; `None` for `stream`.
pub fn input_lengths(
    policy: Sequence,
    lengths: &[u32],
    seq_len: usize,
    shift: usize,
) -> Option<Vec<u32>> {
    let m = u32::try_from(seq_len.checked_sub(1).filter(|m| *m > 0)?).ok()?;
    let of_chunk = |chunk: u32| (chunk + 2).saturating_sub(shift as u32);
    Some(match policy.get().shape() {
        Shape::Beginnings => validation_lengths(lengths, seq_len, shift),
        Shape::Full => vec![of_chunk(m); sequences(policy, lengths, seq_len)?],
        // The full chunks of each document, and its remainder if long enough.
        Shape::Chunks { least } => {
            let chunks = lengths.iter().flat_map(move |length| {
                let (full, rest) = ((length / m) as usize, length % m);
                let rest = (rest > 0 && rest as usize >= least).then_some(rest);
                std::iter::repeat_n(m, full).chain(rest)
            });
            chunks.map(of_chunk).collect()
        }
        Shape::Stream => return None,
    })
}

/// Positions of each validation sequence for documents of these `lengths`, for all policies but `stream`.
pub fn validation_lengths(lengths: &[u32], seq_len: usize, shift: usize) -> Vec<u32> {
    let content = seq_len.saturating_sub(1) as u32;
    let there = lengths.iter().filter(|length| **length > 0 || shift == 1);
    there
        .map(|length| (content.min(*length) + 2).saturating_sub(shift as u32))
        .collect()
}

/// Number of batches of `batch_size`, including an incomplete last one.
pub fn batches(sequences: usize, batch_size: usize) -> usize {
    sequences.div_ceil(batch_size.max(1))
}
