//! N-gram baselines: how well the frequencies of words, pairs and triples in a run's training text
//! predict its evaluation text.
//!
//! Interpolated Witten–Bell smoothing (Witten and Bell 1991; equation 5 of Chen and Goodman 1998,
//! “An empirical study of smoothing techniques for language modeling”): with `c` the count of the
//! context and `n` the number of different ids seen after it, `p(w | context) = (count(context w) +
//! n · p(w | shorter context)) / (c + n)`, ending in the uniform distribution over the vocabulary.
//!
//! A pure function of ids. Counts are exact (sorted lists, no hashing), and sums run in the order
//! of the targets, so the numbers are the same on every machine. A model with target shift k is
//! compared with pairs and triples whose last member is k ids ahead.

use crate::data::SequenceSet;
use std::ops::Range;

/// Names of the orders, from 1.
pub const ORDERS: [&str; 3] = ["unigram", "bigram", "trigram"];

/// Target counts for contexts of 0, 1 and 2 ids.
#[derive(Debug)]
pub struct Ngrams {
    /// Size of the uniform distribution.
    vocab_size: usize,
    /// By order.
    orders: [Order; 3],
}

/// The targets of every context of one length.
#[derive(Debug, Default)]
struct Order {
    /// Contexts in ascending order, two ids packed into one number.
    contexts: Vec<Context>,
    /// `(target, count)`, grouped by context and in ascending order within it.
    targets: Vec<(u32, u32)>,
}

#[derive(Debug)]
struct Context {
    ids: u64,
    /// The range of its targets.
    targets: Range<usize>,
    /// Number of occurrences.
    seen: u64,
}

impl Ngrams {
    /// Counts `lines` of ids; n-grams never span two lines. A target is `shift` ids after the end
    /// of its context. `vocab_size` is the number of ids that can occur.
    pub fn count<'a>(
        lines: impl IntoIterator<Item = &'a [u32]>,
        shift: usize,
        vocab_size: usize,
    ) -> Self {
        let mut events: [Vec<(u64, u32)>; 3] = Default::default();
        for line in lines {
            for (at, &target) in line.iter().enumerate().skip(shift) {
                let contexts = contexts(&line[..=at - shift]);
                for (events, context) in events.iter_mut().zip(contexts) {
                    events.extend(context.map(|context| (context, target)));
                }
            }
        }
        Self {
            vocab_size,
            orders: events.map(Order::of),
        }
    }

    /// Mean negative log-likelihood in nats per target of `windows`, by order; `None` if there is
    /// no target. The windows are scored separately, as models score them: the first target of each
    /// has one id of context.
    pub fn nll(&self, windows: &SequenceSet) -> Option<[f64; 3]> {
        let mut sums = [0.0; 3];
        for index in 0..windows.len() {
            let (inputs, targets) = windows.get(index);
            for (at, &target) in targets.iter().enumerate() {
                let predicted = self.probabilities(&inputs[..=at], target);
                for (sum, probability) in sums.iter_mut().zip(predicted) {
                    *sum -= libm::log(probability);
                }
            }
        }
        let targets = windows.targets.len();
        (targets > 0).then(|| sums.map(|sum| sum / targets as f64))
    }

    /// The probability of `target` after `inputs`, by order; for an unseen context, that of the
    /// shorter context.
    fn probabilities(&self, inputs: &[u32], target: u32) -> [f64; 3] {
        let contexts = contexts(inputs);
        let mut probability = 1.0 / self.vocab_size as f64;
        std::array::from_fn(|order| {
            if let Some(context) = contexts[order] {
                probability = self.orders[order].interpolate(context, target, probability);
            }
            probability
        })
    }
}

impl Order {
    fn of(mut events: Vec<(u64, u32)>) -> Self {
        events.sort_unstable();
        let mut order = Self::default();
        for of_context in events.chunk_by(|a, b| a.0 == b.0) {
            let first = order.targets.len();
            let same = of_context.chunk_by(|a, b| a == b);
            order
                .targets
                .extend(same.map(|same| (same[0].1, same.len() as u32)));
            order.contexts.push(Context {
                ids: of_context[0].0,
                targets: first..order.targets.len(),
                seen: of_context.len() as u64,
            });
        }
        order
    }

    fn interpolate(&self, context: u64, target: u32, shorter: f64) -> f64 {
        let Ok(index) = self
            .contexts
            .binary_search_by_key(&context, |seen| seen.ids)
        else {
            return shorter;
        };
        let context = &self.contexts[index];
        let targets = &self.targets[context.targets.clone()];
        let count = targets
            .binary_search_by_key(&target, |(target, _)| *target)
            .map_or(0, |index| targets[index].1);
        let kinds = targets.len() as f64;
        (f64::from(count) + kinds * shorter) / (context.seen as f64 + kinds)
    }
}

/// The contexts of 0, 1 and 2 ids at the end of `ids`; `None` if there are not enough ids.
fn contexts(ids: &[u32]) -> [Option<u64>; 3] {
    let last = |back: usize| ids.len().checked_sub(back).map(|at| u64::from(ids[at]));
    let pair = last(2).zip(last(1));
    [Some(0), last(1), pair.map(|(a, b)| a << 32 | b)]
}

/// How many orders of n-grams, from 1 on, a model outperforms: on the validation documents if they
/// were scored individually, otherwise on the held-out documents. `None` if neither was scored.
pub fn beaten(result: &crate::record::EvalResult) -> Option<f64> {
    let tokens: u64 = result.validation.iter().map(|(tokens, _)| tokens).sum();
    let nats: f64 = result.validation.iter().map(|(_, nll)| nll).sum();
    let (prefix, own) = match tokens {
        0 => ("nll", *result.metrics.get("nll")?),
        tokens => ("val", nats / tokens as f64),
    };
    let baselines = ORDERS
        .iter()
        .map(|order| result.metrics.get(&format!("{prefix}_{order}")).copied());
    let baselines: Vec<f64> = baselines.collect::<Option<_>>()?;
    Some(baselines.iter().take_while(|nll| own < **nll).count() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [&[u32]; 2] = [&[0, 1, 2, 1, 2], &[0, 1, 3]];

    #[test]
    fn witten_bell_by_hand() {
        let ngrams = Ngrams::count(LINES, 1, 8);
        // Targets 1 2 1 2 1 3: 6 of 3 kinds; 2 occurs twice.
        let unigram = (2.0 + 3.0 / 8.0) / 9.0;
        // After 1: 2 2 3.
        let bigram = (2.0 + 2.0 * unigram) / 5.0;
        // After 0 1: 2 3.
        let trigram = (1.0 + 2.0 * bigram) / 4.0;
        assert_eq!(ngrams.probabilities(&[0, 1], 2), [unigram, bigram, trigram]);
        // With one id of context, the trigram gives the bigram's probability; with an unseen
        // context, the unigram's.
        assert_eq!(ngrams.probabilities(&[1], 2), [unigram, bigram, bigram]);
        assert_eq!(ngrams.probabilities(&[3], 2), [unigram; 3]);
        assert_eq!(ngrams.probabilities(&[1], 7)[0], 3.0 / 8.0 / 9.0);
    }

    #[test]
    fn probabilities_of_every_context_add_up_to_one() {
        for shift in [1, 2] {
            let ngrams = Ngrams::count(LINES, shift, 8);
            for context in [&[0, 1][..], &[2, 1], &[1, 2], &[3], &[5, 5]] {
                let mut sums = [0.0; 3];
                for target in 0..8 {
                    let added = ngrams.probabilities(context, target);
                    sums.iter_mut().zip(added).for_each(|(sum, p)| *sum += p);
                }
                assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 1e-15), "{sums:?}");
            }
        }
    }

    #[test]
    fn a_shift_of_two_skips_one_id() {
        let ngrams = Ngrams::count([&[7, 5, 6, 5, 6][..]], 2, 8);
        // 7 → 6, 5 → 5, 6 → 6.
        let after_5 = |target| ngrams.probabilities(&[5], target)[1];
        assert!(after_5(5) > after_5(6));
    }

    #[test]
    fn windows_are_scored_apart_and_averaged_over_targets() {
        let ngrams = Ngrams::count(LINES, 1, 8);
        let mut windows = SequenceSet::new();
        windows.push(&[0, 1], &[1, 2]);
        windows.push(&[2], &[1]);
        let probabilities = [
            ngrams.probabilities(&[0], 1),
            ngrams.probabilities(&[0, 1], 2),
            ngrams.probabilities(&[2], 1),
        ];
        let mean = |order: usize| -> f64 {
            let logs = probabilities.iter().map(|p| -libm::log(p[order]));
            logs.sum::<f64>() / 3.0
        };
        assert_eq!(ngrams.nll(&windows), Some([mean(0), mean(1), mean(2)]));
        assert_eq!(ngrams.nll(&SequenceSet::new()), None);
    }

    #[test]
    #[cfg_attr(
        windows,
        ignore = "without the processor time of a thread, other load decides"
    )]
    fn a_million_ids_are_counted_exactly() {
        let draws = crate::rng::Stream::new(1, crate::rng::Purpose::Corpus, 0);
        let line: Vec<u32> = (0..1_000_000)
            .map(|index| {
                let uniform = (draws.below(index, 1 << 20) as f64 + 1.0) / f64::from(1 << 20);
                (8.0 / uniform) as u32 % 4096
            })
            .collect();
        let count = || Ngrams::count([line.as_slice()], 1, 4096);
        let (ngrams, took) = crate::test_support::worked(count);
        // Room for an unoptimised build.
        assert!(took.as_secs_f64() < 10.0, "{took:?}");
        assert_eq!(ngrams.orders[0].contexts[0].seen, 999_999);
        let totals = ngrams.orders.each_ref().map(|order| {
            let seen: u64 = order.contexts.iter().map(|context| context.seen).sum();
            let counted: u64 = order.targets.iter().map(|target| u64::from(target.1)).sum();
            [seen, counted]
        });
        assert_eq!(totals, [[999_999; 2], [999_999; 2], [999_998; 2]]);
    }
}
