//! Variety and repetition of sampled texts, measured on token ids.

use std::collections::BTreeSet;

/// Length of the n-grams whose recurrence counts as repetition.
const REPEATED: usize = 4;

/// Variety of a set of continuations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Variety {
    /// Distinct tokens / tokens.
    pub distinct_1: Option<f64>,
    /// Distinct pairs / pairs; pairs never span two continuations.
    pub distinct_2: Option<f64>,
    /// Share of 4-grams that occurred before in the same continuation.
    pub repetition: Option<f64>,
}

/// Measures `continuations`; a number is `None` if no n-gram of its length exists.
pub fn variety(continuations: &[Vec<u32>]) -> Variety {
    Variety {
        distinct_1: distinct(continuations, 1),
        distinct_2: distinct(continuations, 2),
        repetition: repetition(continuations),
    }
}

fn distinct(continuations: &[Vec<u32>], n: usize) -> Option<f64> {
    let all: usize = continuations.iter().map(|ids| ids.windows(n).count()).sum();
    let set: BTreeSet<&[u32]> = continuations
        .iter()
        .flat_map(|ids| ids.windows(n))
        .collect();
    (all > 0).then(|| set.len() as f64 / all as f64)
}

fn repetition(continuations: &[Vec<u32>]) -> Option<f64> {
    let (mut all, mut repeated) = (0usize, 0usize);
    for ids in continuations {
        let mut seen = BTreeSet::new();
        for gram in ids.windows(REPEATED) {
            all += 1;
            repeated += usize::from(!seen.insert(gram));
        }
    }
    (all > 0).then(|| repeated as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variety_counts_ngrams_within_continuations() {
        let found = variety(&[vec![1, 2, 1, 2, 1, 2], vec![3, 3]]);
        assert_eq!(found.distinct_1, Some(3.0 / 8.0));
        assert_eq!(found.distinct_2, Some(3.0 / 6.0));
        assert_eq!(found.repetition, Some(1.0 / 3.0));
        let none = Variety {
            distinct_1: None,
            distinct_2: None,
            repetition: None,
        };
        assert_eq!(variety(&[]), none);
        assert_eq!(variety(&[vec![]]), none);
    }
}
