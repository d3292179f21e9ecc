//! Numbers of sequences and batches by closed formula, from document lengths alone.

use crate::spec::Sequence;

/// Number of sequences that `policy` makes of documents of these `lengths`, with m = `seq_len` - 1 ids of content each.
/// `None` for `stream`, which draws windows as long as training lasts. Documents without ids count for `next_token` and its
/// kin (shift 1), and nowhere else.
pub fn sequences(policy: Sequence, lengths: &[u32], seq_len: usize) -> Option<usize> {
    let m = seq_len.checked_sub(1).filter(|m| *m > 0)? as u64;
    let total: u64 = lengths.iter().map(|n| u64::from(*n)).sum();
    let count = match policy {
        Sequence::NextToken | Sequence::Discard | Sequence::PadDiscard => lengths.len() as u64,
        // floor(T / m)
        Sequence::ImputeConcat | Sequence::PadImputeConcat => total / m,
        // The sum of ceil(n / m).
        Sequence::PadImputePerDocument => lengths.iter().map(|n| u64::from(*n).div_ceil(m)).sum(),
        Sequence::InformedAsDescribed(parameters) => lengths
            .iter()
            .map(|n| {
                let (full, rest) = (u64::from(*n) / m, u64::from(*n) % m);
                full + u64::from(rest > 0 && rest >= parameters.tol as u64)
            })
            .sum(),
        // With L = what is carried + n, q = floor(L / m) and r = L mod m: #{j in 0..q : r + m j < tol}.
        Sequence::InformedAsRun(parameters) => {
            let mut carried = 0;
            let mut kept = 0;
            for n in lengths {
                let length = carried + u64::from(*n);
                let (chunks, rest) = (length / m, length % m);
                let within = (parameters.tol as u64).saturating_sub(rest).div_ceil(m);
                kept += chunks.min(within);
                carried = rest;
            }
            kept
        }
        Sequence::Stream => return None,
    };
    usize::try_from(count).ok()
}

/// Number of batches of `batch_size`, the last one kept.
pub fn batches(sequences: usize, batch_size: usize) -> usize {
    sequences.div_ceil(batch_size.max(1))
}
