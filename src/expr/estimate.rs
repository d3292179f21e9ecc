//! Numbers of settings with the half-width of their widest 95 % interval: the source of every ± in a report.
//!
//! Sources of variation: seeds (draws averaged), draws of documents (seeds averaged), or settings if there are several
//! matched pairs, each by Student's t from [`ENOUGH`] values on; and, in addition to one of these, the held-out
//! documents ([`HeldOut`]) if the number follows from their scores. Documents alone do not show how much another
//! training run would differ.

use super::held_out::HeldOut;
use super::runs::RunData;
use super::{Scope, Session};
use crate::rng::{Purpose, Stream};
use crate::{human, stats};
use std::collections::BTreeSet;

/// Minimum number of seeds, draws or entries for an interval.
pub(super) const ENOUGH: usize = 3;

/// A number and the half-width of its widest 95 % interval, if any.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over the seeds of each document draw, then over the draws, then over the settings.
    pub mean: f64,
    /// Half-width of the interval; 0 if all values are equal up to rounding.
    pub half: Option<f64>,
}

impl Estimate {
    /// Lower and upper end.
    pub fn ends(self) -> [f64; 2] {
        let half = self.half.unwrap_or(0.0);
        [self.mean - half, self.mean + half]
    }
}

impl std::fmt::Display for Estimate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.half.filter(|half| *half > 0.0) {
            Some(half) => {
                let (mean, half) = human::with_half_width(self.mean, half);
                write!(f, "{mean}\u{a0}±\u{a0}{half}")
            }
            None => f.write_str(&human::significant(self.mean, 4)),
        }
    }
}

/// Half-width of the widest interval over one of `samples` and over `documents`; `each` recomputes the number in a
/// scope of the latter.
pub(super) fn widest(
    samples: &[Vec<f64>],
    documents: Option<HeldOut>,
    each: impl Fn(&[Scope]) -> Option<Vec<f64>>,
) -> Option<f64> {
    let enough = samples.iter().filter(|values| values.len() >= ENOUGH);
    let half = enough
        .filter_map(|values| stats::half_width(values))
        .reduce(f64::max)?;
    let over_documents = documents.and_then(|documents| {
        let each = |scopes: &[Scope]| {
            let values = each(scopes)?.into_iter();
            Some(values.map(|value| vec![value]).collect())
        };
        let error = documents.errors(each)?.first().copied()?;
        Some(stats::quantile_975(documents.degrees()) * error)
    });
    Some(half.max(over_documents.unwrap_or(0.0)))
}

/// A run, or a change from one run to its partner.
struct Observation<'a> {
    run: &'a RunData,
    partner: Option<&'a RunData>,
}

impl Observation<'_> {
    fn value(&self, metric: &str, scope: Scope) -> Option<f64> {
        let of = |run: &RunData| {
            run.in_scope(metric, scope)
                .filter(|value| value.is_finite())
        };
        let own = of(self.run)?;
        self.partner
            .map_or(Some(own), |partner| Some(of(partner)? - own))
    }

    fn held_out(&self, metric: &str) -> Option<HeldOut> {
        let own = self.run.held_out(metric)?;
        let partner = self.partner.map(|partner| partner.held_out(metric));
        partner.map_or(Some(own), |partner| Some(own.min(partner?)))
    }
}

impl Session {
    /// `metric` over replicates of one setting; `None` if none of them has it.
    pub fn estimate<'r>(
        &self,
        runs: impl IntoIterator<Item = &'r str>,
        metric: &str,
    ) -> Option<Estimate> {
        let runs = runs.into_iter().filter_map(|name| self.runs.named(name));
        let alone = |run| Observation { run, partner: None };
        of_settings(&[runs.map(alone).collect()], metric)
    }

    /// Change of `metric` from the first run of each pair to the second; the pairs in one list are replicates of one
    /// change.
    pub fn change(&self, settings: &[Vec<[&str; 2]>], metric: &str) -> Option<Estimate> {
        let pair = |[run, partner]: &[&str; 2]| {
            Some(Observation {
                run: self.runs.named(run)?,
                partner: Some(self.runs.named(partner)?),
            })
        };
        let settings = settings.iter();
        let settings: Vec<Vec<Observation<'_>>> = settings
            .map(|pairs| pairs.iter().filter_map(pair).collect())
            .collect();
        of_settings(&settings, metric)
    }
}

fn of_settings(settings: &[Vec<Observation<'_>>], metric: &str) -> Option<Estimate> {
    let has_it = |one: &&Observation<'_>| one.value(metric, Scope::Mean).is_some();
    let settings: Vec<Vec<&Observation<'_>>> = settings
        .iter()
        .map(|all| all.iter().filter(has_it).collect::<Vec<_>>())
        .filter(|all| !all.is_empty())
        .collect();
    let mean_of = |setting: &[&Observation<'_>], scope: Scope| {
        let values = setting
            .iter()
            .map(|one| Some((one.run.draw, one.value(metric, scope)?)));
        let values: Option<Vec<(u64, f64)>> = values.collect();
        stats::mean(&stats::by_draw(&values?))
    };
    let means = |scope: Scope| -> Option<Vec<f64>> {
        let means = settings.iter().map(|setting| mean_of(setting, scope));
        means.collect()
    };
    let of_all = means(Scope::Mean)?;
    let mean = stats::mean(&of_all)?;
    let samples = match settings.as_slice() {
        [only] => {
            let value = |one: &&Observation<'_>| one.value(metric, Scope::Mean);
            let values = only
                .iter()
                .filter_map(|one| Some((one.run.seed, one.run.draw, value(one)?)));
            let values: Vec<(u64, u64, f64)> = values.collect();
            let turned = values
                .iter()
                .map(|(seed, draw, value)| (*draw, *seed, *value));
            vec![along(&values), along(&turned.collect::<Vec<_>>())]
        }
        _ => vec![of_all],
    };
    let documents = settings.iter().flatten().map(|one| one.held_out(metric));
    let documents: Option<Vec<HeldOut>> = documents.collect();
    let each = |scopes: &[Scope]| -> Option<Vec<f64>> {
        let number = |scope: &Scope| stats::mean(&means(*scope)?);
        scopes.iter().map(number).collect()
    };
    let fewest = documents.and_then(|all| all.into_iter().min());
    let half = widest(&samples, fewest, each);
    // Rounding is no spread: values equal in every run have a half-width of 0.
    let is_spread = |half: f64| half > 1e-12 * mean.abs();
    Some(Estimate {
        mean,
        half: half.map(|half| if is_spread(half) { half } else { 0.0 }),
    })
}

/// Subsets of `n` seeds in which two settings exchange their values, as bits: one of each complementary pair, since the
/// other only flips the sign of a comparison; or `most` random ones, including the empty subset.
pub fn exchanges(n: usize, most: u64) -> Vec<u64> {
    let every = (1_u64 << n) - 1;
    let half = every >> 1;
    if half < most {
        return (0..=half).collect();
    }
    let draws = Stream::new(0, Purpose::Bootstrap, 0);
    let random = (1..most).map(|index| draws.below(index, every + 1));
    std::iter::once(0).chain(random).collect()
}

/// Means grouped by the first number of `values`, over the second numbers that occur with every first number.
fn along(values: &[(u64, u64, f64)]) -> Vec<f64> {
    let firsts: BTreeSet<u64> = values.iter().map(|(first, _, _)| *first).collect();
    let seconds: BTreeSet<u64> = values.iter().map(|(_, second, _)| *second).collect();
    let is_there =
        |first: u64, second: u64| values.iter().any(|one| (one.0, one.1) == (first, second));
    let is_full = |second: &&u64| firsts.iter().all(|first| is_there(*first, **second));
    let full: BTreeSet<u64> = seconds.iter().filter(is_full).copied().collect();
    let mean = |first: &u64| {
        let own = values
            .iter()
            .filter(|one| one.0 == *first && full.contains(&one.1));
        stats::mean(&own.map(|(_, _, value)| *value).collect::<Vec<f64>>())
    };
    firsts.iter().filter_map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::tests::run;
    use crate::record::{DocumentScore, EvalResult, Results};

    /// Three seeds of the settings `a` and `b` with `nll` 5.0, 5.1, 5.2 and 0.5 more; documents of one length, 2 nats apart.
    fn session(documents: usize) -> Session {
        let mut results = Results::default();
        for (group, more) in [("a", 0.0), ("b", 0.5)] {
            for seed in 0..3 {
                let nll = 5.0 + 0.1 * seed as f64 + more;
                let mut own = run(group, &[], seed, 0.1);
                own.metrics.insert("nll".to_owned(), nll);
                let scores = (0..documents).map(|document| DocumentScore {
                    document,
                    tokens: 100,
                    nll: 100.0 * (nll + if document % 2 == 0 { 1.0 } else { -1.0 }),
                    perplexity: 1.0,
                    hits: None,
                    excerpt: String::new(),
                });
                own.eval = Some(EvalResult {
                    documents: scores.collect(),
                    ..EvalResult::default()
                });
                results.runs.push(own);
            }
        }
        Session::new(results)
    }

    #[test]
    fn the_widest_interval_stands_behind_a_number() {
        let all = ["a,seed=0", "a,seed=1", "a,seed=2"];
        let of_seeds = session(0).estimate(all, "nll").unwrap();
        // 4.30265 · 0.1 / √3.
        assert!(
            (of_seeds.mean - 5.1).abs() < 1e-12
                && (of_seeds.half.unwrap() - 0.248_414).abs() < 1e-6
        );
        assert_eq!(of_seeds.to_string(), "5.10\u{a0}±\u{a0}0.25");
        // 24 documents with a standard deviation near 1: about 2.07 · 1 / √24 = 0.42.
        let of_documents = session(24).estimate(all, "nll").unwrap();
        let half = of_documents.half.unwrap();
        assert!((0.36..0.50).contains(&half), "{half}");
        let text = session(24).text("{{ run('a').nll | pm }}").unwrap().text;
        assert_eq!(text, of_documents.to_string());
        // Two seeds give no interval, with or without documents.
        assert_eq!(
            session(24)
                .estimate(all[..2].iter().copied(), "nll")
                .unwrap()
                .half,
            None
        );
        assert_eq!(session(24).estimate(["c"], "nll"), None);
    }

    #[test]
    fn changes_are_of_pairs_on_the_same_documents() {
        let pairs = [
            ["a,seed=0", "b,seed=0"],
            ["a,seed=1", "b,seed=1"],
            ["a,seed=2", "b,seed=2"],
        ];
        let change = session(24).change(&[pairs.to_vec()], "nll").unwrap();
        assert!(
            (change.mean - 0.5).abs() < 1e-12 && change.half.unwrap() < 1e-9,
            "{change:?}"
        );
        // Each pair as a separate setting: three entries.
        let entries = pairs.map(|pair| vec![pair]);
        let change = session(0).change(&entries, "nll").unwrap();
        assert!(
            (change.mean - 0.5).abs() < 1e-12 && change.half.unwrap() < 1e-9,
            "{change:?}"
        );
    }

    #[test]
    fn exchanges_are_all_or_many() {
        assert_eq!(exchanges(3, 100), [0, 1, 2, 3]);
        let some = exchanges(20, 100);
        assert_eq!((some.len(), some[0]), (100, 0));
        assert!(some.iter().all(|one| *one < 1 << 20) && some != exchanges(21, 100));
    }

    #[test]
    fn seeds_are_averaged_over_the_draws_that_all_have() {
        assert_eq!(along(&[(0, 0, 1.0), (1, 0, 2.0), (0, 1, 3.0)]), [1.0, 2.0]);
        assert_eq!(along(&[(0, 0, 1.0), (1, 1, 2.0)]), Vec::<f64>::new());
    }
}
