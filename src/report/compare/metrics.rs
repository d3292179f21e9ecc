//! Differences of metrics, and whether they exceed the variation between seeds.

use super::Compared;
use crate::stats::{interval, mean, welch};
use serde::Serialize;
use std::collections::BTreeSet;

/// How an interval was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Student's t over the differences between runs with the same seed.
    Paired,
    /// Welch's t over two unpaired sets of seeds, with the degrees of freedom rounded down.
    Welch,
}

/// A metric on both sides.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MetricDifference {
    /// Name.
    pub name: String,
    /// Mean of the first side over the common seeds if there are two or more, otherwise over all
    /// its seeds.
    pub a: Option<f64>,
    /// Mean of the second side, likewise.
    pub b: Option<f64>,
    /// `b − a`.
    pub difference: Option<f64>,
    /// 95 % interval of the difference; needs at least two seeds on both sides.
    pub interval: Option<[f64; 2]>,
    /// How `interval` was computed.
    pub method: Option<Method>,
    /// Whether `interval` excludes 0.
    pub is_significant: Option<bool>,
}

/// All metrics of either side, by name.
pub(super) fn differences(a: &[Compared], b: &[Compared]) -> Vec<MetricDifference> {
    let names: BTreeSet<&String> = a
        .iter()
        .chain(b)
        .flat_map(|run| run.metrics.keys())
        .collect();
    names
        .into_iter()
        .map(|name| difference(name, a, b))
        .collect()
}

fn difference(name: &str, a: &[Compared], b: &[Compared]) -> MetricDifference {
    let values = |side: &[Compared]| -> Vec<(u64, f64)> {
        let runs = side.iter();
        let finite = |value: &f64| value.is_finite();
        runs.filter_map(|run| Some((run.seed, *run.metrics.get(name).filter(|v| finite(v))?)))
            .collect()
    };
    let (a, b) = common(values(a), values(b));
    let plain = |side: &[(u64, f64)]| side.iter().map(|(_, value)| *value).collect::<Vec<f64>>();
    let (mean_a, mean_b) = (mean(&plain(&a)), mean(&plain(&b)));
    let found = paired(&a, &b)
        .map(|interval| (interval, Method::Paired))
        .or_else(|| Some((welch(&plain(&a), &plain(&b))?, Method::Welch)));
    MetricDifference {
        name: name.to_owned(),
        a: mean_a,
        b: mean_b,
        difference: mean_a.zip(mean_b).map(|(a, b)| b - a),
        interval: found.map(|(interval, _)| interval),
        method: found.map(|(_, method)| method),
        is_significant: found.map(|([low, high], _)| low > 0.0 || high < 0.0),
    }
}

/// One side: its values by seed.
type Side = Vec<(u64, f64)>;

/// Both sides restricted to their common seeds if there are two or more, because other seeds add
/// other variation.
fn common(a: Side, b: Side) -> (Side, Side) {
    let seeds = |side: &Side| -> BTreeSet<u64> { side.iter().map(|(seed, _)| *seed).collect() };
    let shared: BTreeSet<u64> = seeds(&a).intersection(&seeds(&b)).copied().collect();
    let is_once = |side: &Side| seeds(side).len() == side.len();
    if shared.len() < 2 || !is_once(&a) || !is_once(&b) {
        return (a, b);
    }
    let only = |side: Side| {
        let side = side.into_iter();
        side.filter(|(seed, _)| shared.contains(seed)).collect()
    };
    (only(a), only(b))
}

/// The interval over pairs, if both sides have the same seeds, each once.
fn paired(a: &[(u64, f64)], b: &[(u64, f64)]) -> Option<[f64; 2]> {
    let seeds = |side: &[(u64, f64)]| {
        side.iter()
            .map(|(seed, _)| *seed)
            .collect::<BTreeSet<u64>>()
    };
    let own = seeds(a);
    if own.len() != a.len() || a.len() != b.len() || own != seeds(b) {
        return None;
    }
    let pairs = a.iter().filter_map(|(seed, a)| {
        let (_, b) = b.iter().find(|(other, _)| other == seed)?;
        Some(b - a)
    });
    interval(&pairs.collect::<Vec<f64>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_those_of_equal_seeds() {
        // The variation between seeds is common to both sides: only pairing shows the constant
        // difference.
        let a = [(0, 1.0), (1, 9.0), (2, 5.0)];
        let b = [(2, 5.5), (0, 1.5), (1, 9.5)];
        assert_eq!(paired(&a, &b), Some([0.5, 0.5]));
        assert_eq!(paired(&a, &[(3, 1.0), (1, 1.0), (2, 1.0)]), None);
        assert_eq!(paired(&a[..1], &b[1..2]), None);
        // If one side has more seeds, only the common ones count.
        let more = [(0, 1.5), (1, 9.5), (2, 5.5), (7, 100.0)];
        let (left, right) = common(a.to_vec(), more.to_vec());
        assert_eq!(paired(&left, &right), Some([0.5, 0.5]));
    }
}
