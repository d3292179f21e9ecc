//! Statistics of curves and lists: pure functions that sum in the given order.

use crate::record::MetricPoint;
use crate::stats::{mean, population_sd};
use std::collections::BTreeMap;

/// The measured `(step, value)` pairs of series `name`; `None` for an unknown name.
pub fn series(points: &[MetricPoint], name: &str) -> Option<Vec<(u64, f64)>> {
    let measured = |point: &MetricPoint| Some((point.step, point.value(name)?));
    MetricPoint::SERIES
        .contains(&name)
        .then(|| points.iter().filter_map(measured).collect())
}

/// The metrics of a run that are derived from its steps:
///
/// `steps`, `epochs`, `tokens`; `train_loss` (mean over the last epoch that was started),
/// `train_loss_first`, `_last`, `_min`, `_mean` (all steps), `train_mean25`, `train_mean50`,
/// `train_sd50` (last 25 or 50 steps; population); `train_ce` (over the same steps as
/// `train_loss`); `val_loss` (last), `val_loss_first`, `_min`, `_max`, `val_loss_min_step`,
/// `val_ce`, `val_loss_batch_mean` (last). Values that are not finite are left out.
pub fn training_metrics(points: &[MetricPoint]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, value: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            metrics.insert(name.to_owned(), value);
        }
    };
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return metrics;
    };
    put("steps", Some(points.len() as f64));
    put("epochs", Some(last.epoch));
    put("tokens", Some(last.tokens as f64));
    let losses: Vec<f64> = points.iter().map(|point| point.train_loss).collect();
    let ces: Vec<f64> = points.iter().map(|point| point.train_ce).collect();
    let epoch = last_epoch(last, points.len());
    let tail = |count: usize| &losses[losses.len().saturating_sub(count)..];
    put("train_loss", mean(&losses[epoch..]));
    put("train_ce", mean(&ces[epoch..]));
    put("train_loss_first", Some(first.train_loss));
    put("train_loss_last", Some(last.train_loss));
    put("train_loss_min", losses.iter().copied().reduce(f64::min));
    put("train_loss_mean", mean(&losses));
    put("train_mean25", mean(tail(25)));
    put("train_mean50", mean(tail(50)));
    put("train_sd50", fluctuation(&losses, 50));
    let measured = || {
        points
            .iter()
            .filter_map(|point| Some((point.step, point.val_loss?)))
    };
    let values = || measured().map(|(_, value)| value);
    put("val_loss", values().next_back());
    put("val_loss_first", values().next());
    put("val_loss_min", values().reduce(f64::min));
    put("val_loss_max", values().reduce(f64::max));
    let lowest = measured().reduce(|a, b| if b.1 < a.1 { b } else { a });
    put("val_loss_min_step", lowest.map(|(step, _)| step as f64));
    let last_of = |name: &str| points.iter().rev().find_map(|point| point.value(name));
    put("val_ce", last_of("val/ce"));
    put("val_loss_batch_mean", last_of("val/loss_batch_mean"));
    metrics
}

/// Index of the first step of the last epoch that was started, out of `steps` steps. The last point
/// gives the steps per epoch: its step divided by its epoch.
fn last_epoch(last: &MetricPoint, steps: usize) -> usize {
    let per_epoch = (last.step as f64 / last.epoch).round();
    let per_epoch = if per_epoch.is_finite() {
        per_epoch.max(1.0) as usize
    } else {
        steps.max(1)
    };
    (steps - 1) / per_epoch * per_epoch
}

/// Population standard deviation of the last `last` values (docs/studies.md#e9 uses 50), or of all if there are fewer.
pub fn fluctuation(values: &[f64], last: usize) -> Option<f64> {
    population_sd(&values[values.len().saturating_sub(last)..])
}

/// First step whose value is below `threshold`.
pub fn first_step_below(series: &[(u64, f64)], threshold: f64) -> Option<u64> {
    series
        .iter()
        .find(|(_, value)| *value < threshold)
        .map(|(step, _)| *step)
}

/// The value measured at `step`, or at the last measured step before it.
pub fn at_step(series: &[(u64, f64)], step: u64) -> Option<f64> {
    series
        .iter()
        .rev()
        .find(|(at, _)| *at <= step)
        .map(|(_, value)| *value)
}

/// Spearman's rank correlation; ties get their average rank.
///
/// `None` for lists of different lengths, of fewer than two values, with NaN, or where one list is constant.
pub fn spearman(xs: &[f64], ys: &[f64]) -> Option<f64> {
    if xs.len() != ys.len() || xs.len() < 2 || xs.iter().chain(ys).any(|value| value.is_nan()) {
        return None;
    }
    let (xs, ys) = (ranks(xs), ranks(ys));
    let centre = (xs.len() as f64 + 1.0) / 2.0;
    let product = |a: &[f64], b: &[f64]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| (a - centre) * (b - centre))
            .sum()
    };
    let scale = (product(&xs, &xs) * product(&ys, &ys)).sqrt();
    (scale > 0.0).then(|| product(&xs, &ys) / scale)
}

/// Ranks from 1, ties averaged.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for tied in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let below = values
            .iter()
            .filter(|value| **value < values[tied[0]])
            .count();
        for &index in tied {
            ranks[index] = below as f64 + (tied.len() as f64 + 1.0) / 2.0;
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spearman_averages_ties_and_knows_its_ends() {
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[2.0, 4.0, 9.0]), Some(1.0));
        assert_eq!(spearman(&[1.0, 2.0, 3.0], &[9.0, 4.0, 2.0]), Some(-1.0));
        // Ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4: 4.5 / sqrt(4.5 · 5).
        let tied = spearman(&[1.0, 2.0, 2.0, 3.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!((tied - 0.948_683_298_050_513_8).abs() < 1e-15, "{tied}");
        assert_eq!(spearman(&[1.0, 1.0], &[1.0, 2.0]), None);
        assert_eq!(spearman(&[1.0, f64::NAN], &[1.0, 2.0]), None);
    }

    #[test]
    fn steps_and_fluctuation() {
        let curve = [(10, 9.0), (20, 8.0), (30, 7.5)];
        assert_eq!(first_step_below(&curve, 8.0), Some(30));
        assert_eq!(first_step_below(&curve, 7.0), None);
        assert_eq!(at_step(&curve, 29), Some(8.0));
        assert_eq!(at_step(&curve, 9), None);
        assert_eq!(fluctuation(&[100.0, 1.0, 3.0], 2), Some(1.0));
        assert_eq!(population_sd(&[]), None);
    }

    #[test]
    fn the_last_epoch_is_averaged() {
        let point = |step: u64, loss: f64| MetricPoint {
            step,
            epoch: step as f64 / 3.0,
            train_loss: loss,
            val_loss: step.is_multiple_of(3).then_some(loss + 1.0),
            ..MetricPoint::default()
        };
        let points: Vec<_> = (1..=6)
            .map(|step| point(step, 10.0 - step as f64))
            .collect();
        let metrics = training_metrics(&points);
        assert_eq!(metrics["train_loss"], 5.0);
        assert_eq!(metrics["train_loss_mean"], 6.5);
        assert_eq!((metrics["val_loss_first"], metrics["val_loss"]), (8.0, 5.0));
        assert_eq!(
            (metrics["val_loss_min"], metrics["val_loss_max"]),
            (5.0, 8.0)
        );
        assert!(!metrics.contains_key("val_ce"));
    }

    #[test]
    fn numbers_are_those_of_a_small_example() {
        let point = |step: u64, loss: f64, val: Option<f64>| MetricPoint {
            step,
            epoch: step as f64 / 2.0,
            train_loss: loss,
            train_ce: loss / 2.0,
            val_loss: val,
            val_ce: val,
            ..MetricPoint::default()
        };
        let points = [
            point(1, 8.0, Some(9.0)),
            point(2, 6.0, Some(3.0)),
            point(3, 4.0, Some(5.0)),
            point(4, 1.0, None),
            point(5, 3.0, Some(4.0)),
        ];
        let metrics = training_metrics(&points);
        // The last epoch that was started contains only step 5.
        for (name, value) in [
            ("train_loss", 3.0),
            ("train_ce", 1.5),
            ("train_loss_first", 8.0),
            ("train_loss_last", 3.0),
            ("train_loss_min", 1.0),
            ("train_loss_mean", 4.4),
            ("train_mean25", 4.4),
            ("val_loss", 4.0),
            ("val_loss_first", 9.0),
            ("val_loss_min", 3.0),
            ("val_loss_min_step", 2.0),
            ("val_loss_max", 9.0),
            ("steps", 5.0),
        ] {
            assert!(
                (metrics[name] - value).abs() < 1e-12,
                "{name}: {}",
                metrics[name]
            );
        }
        let variance = [3.6, 1.6, -0.4, -3.4, -1.4]
            .iter()
            .map(|x| x * x)
            .sum::<f64>()
            / 5.0;
        assert!((metrics["train_sd50"] - variance.sqrt()).abs() < 1e-12);
        assert!((training_metrics(&points[..4])["train_loss"] - 2.5).abs() < 1e-12);
        assert!(training_metrics(&[]).is_empty());
        let infinite = training_metrics(&[point(1, f64::INFINITY, None)]);
        assert!(!infinite.contains_key("train_loss"));
    }
}
