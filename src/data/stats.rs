//! Count tables of the sequence policies, from document lengths alone, without building sequences.

use super::DataError;
use super::sequence::{batches, sequence_length, sequences};
use crate::spec::{SeqLen, Sequence};
use serde::Serialize;

/// Tolerances of the published table.
pub const TOLERANCES: [usize; 4] = [50, 100, 150, 200];

/// One line of a count table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CountRow {
    /// Name of the policy, as in specs.
    pub policy: String,
    /// Tolerance of an informed policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tol: Option<usize>,
    /// Sequence length, including BOS.
    pub seq_len: usize,
    /// Sequences (`data_length` in the study's table); `None` for a stream.
    pub sequences: Option<usize>,
    /// Batches per epoch.
    pub batches: Option<usize>,
}

/// Summary of document lengths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LengthSummary {
    /// Documents.
    pub documents: usize,
    /// Total ids.
    pub tokens: u64,
    /// Ids of the shortest document.
    pub shortest: u32,
    /// Lower median.
    pub median: u32,
    /// Ids of the longest document.
    pub longest: u32,
    /// Mean ids per document.
    pub mean: f64,
}

/// Summarises document lengths.
pub fn summarise(lengths: &[u32]) -> LengthSummary {
    let mut sorted = lengths.to_vec();
    sorted.sort_unstable();
    let tokens = sorted.iter().map(|n| u64::from(*n)).sum();
    LengthSummary {
        documents: sorted.len(),
        tokens,
        shortest: sorted.first().copied().unwrap_or(0),
        median: sorted
            .get(sorted.len().saturating_sub(1) / 2)
            .copied()
            .unwrap_or(0),
        longest: sorted.last().copied().unwrap_or(0),
        mean: if sorted.is_empty() {
            0.0
        } else {
            tokens as f64 / sorted.len() as f64
        },
    }
}

/// Counts every policy at `seq_len` for documents of these `lengths`; the naive pair is also counted at the shortest
/// document's length.
///
/// # Errors
/// An impossible sequence length.
pub fn count_table(
    lengths: &[u32],
    batch_size: usize,
    seq_len: SeqLen,
    max_seq_len: usize,
) -> Result<Vec<CountRow>, DataError> {
    let length = sequence_length(seq_len, max_seq_len, lengths)?;
    let shortest = lengths
        .iter()
        .min()
        .map_or(0, |shortest| *shortest as usize);
    let mut rows = Vec::new();
    let mut row = |policy: Sequence, seq_len: usize| {
        let count = sequences(policy, lengths, seq_len);
        rows.push(CountRow {
            policy: policy.name().to_owned(),
            tol: policy.get().tolerance().map(|(tol, _)| tol),
            seq_len,
            sequences: count,
            batches: count.map(|count| batches(count, batch_size)),
        });
    };
    if shortest >= 2 && shortest != length {
        row(Sequence::Discard, shortest);
        row(Sequence::ImputeConcat, shortest);
    }
    for policy in Sequence::examples() {
        match policy.get().tolerance() {
            None => row(policy, length),
            Some((_, with)) => TOLERANCES.iter().for_each(|tol| row(with(*tol), length)),
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_counts_every_policy() {
        let lengths = [39, 500, 120, 99, 60, 1000];
        let table = count_table(&lengths, 2, SeqLen::Tokens(100), 256).unwrap();
        let shown: Vec<String> = table
            .iter()
            .map(|row| {
                let number =
                    |value: Option<usize>| value.map_or("-".to_owned(), |value| value.to_string());
                format!(
                    "{:<24}{:>4}{:>5}{:>5}{:>5}",
                    row.policy,
                    number(row.tol),
                    row.seq_len,
                    number(row.sequences),
                    number(row.batches)
                )
            })
            .collect();
        insta::assert_snapshot!(shown.join("\n"), @"
        discard                    -   39    6    3
        impute_concat              -   39   47   24
        next_token                 -  100    6    3
        discard                    -  100    6    3
        impute_concat              -  100   18    9
        pad_discard                -  100    6    3
        pad_impute_concat          -  100   18    9
        pad_impute_per_document    -  100   22   11
        informed_as_run           50  100    3    2
        informed_as_run          100  100    5    3
        informed_as_run          150  100    7    4
        informed_as_run          200  100    7    4
        informed_as_described     50  100   18    9
        informed_as_described    100  100   17    9
        informed_as_described    150  100   17    9
        informed_as_described    200  100   17    9
        stream                     -  100    -    -
        ");
        assert!(count_table(&lengths, 2, SeqLen::Tokens(300), 256).is_err());
        let summary = summarise(&lengths);
        assert_eq!(
            (
                summary.documents,
                summary.tokens,
                summary.shortest,
                summary.median,
                summary.longest
            ),
            (6, 1818, 39, 99, 1000)
        );
        assert_eq!(summarise(&[]), LengthSummary::default());
    }
}
