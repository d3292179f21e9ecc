//! Statistics of curves and lists: pure functions of numbers, summed in the order given.

use crate::record::MetricPoint;
use std::collections::BTreeMap;

/// Names of the series of `metrics.jsonl`.
pub const SERIES: &[&str] = &[
    "epoch",
    "tokens",
    "train/loss",
    "train/ce",
    "train/square",
    "val/loss",
    "val/ce",
    "val/loss_batch_mean",
    "lr",
    "grad_norm",
];

/// `(step, value)` of series `name` where it was measured; `None` for an unknown name.
pub fn series(points: &[MetricPoint], name: &str) -> Option<Vec<(u64, f64)>> {
    let read: fn(&MetricPoint) -> Option<f64> = match name {
        "epoch" => |point| Some(point.epoch),
        "tokens" => |point| Some(point.tokens as f64),
        "train/loss" => |point| Some(point.train_loss),
        "train/ce" => |point| Some(point.train_ce),
        "train/square" => |point| Some(point.train_square),
        "val/loss" => |point| point.val_loss,
        "val/ce" => |point| point.val_ce,
        "val/loss_batch_mean" => |point| point.val_loss_batch_mean,
        "lr" => |point| Some(point.lr),
        "grad_norm" => |point| Some(point.grad_norm),
        _ => return None,
    };
    Some(
        points
            .iter()
            .filter_map(|point| read(point).map(|value| (point.step, value)))
            .collect(),
    )
}

/// The training metrics of [`super::METRICS`] that follow from the steps alone. Only finite numbers.
pub fn training_metrics(points: &[MetricPoint]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, value: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            metrics.insert(name.to_owned(), value);
        }
    };
    let losses: Vec<f64> = points.iter().map(|point| point.train_loss).collect();
    // The last epoch began at the largest whole number below the final epoch count.
    let began = points.last().map_or(0.0, |last| last.epoch.ceil() - 1.0);
    let last_epoch: Vec<f64> = points
        .iter()
        .filter(|point| point.epoch > began + 1e-9)
        .map(|point| point.train_loss)
        .collect();
    put("train_loss", mean(&last_epoch));
    put("train_loss_first", losses.first().copied());
    put("train_loss_last", losses.last().copied());
    put("train_loss_mean", mean(&losses));
    put("train_sd50", fluctuation(&losses, 50));
    let validations: Vec<f64> = points.iter().filter_map(|point| point.val_loss).collect();
    put("val_loss", validations.last().copied());
    put("val_loss_first", validations.first().copied());
    put("val_loss_min", validations.iter().copied().reduce(f64::min));
    put("val_loss_max", validations.iter().copied().reduce(f64::max));
    put("val_ce", points.iter().rev().find_map(|point| point.val_ce));
    put(
        "val_loss_batch_mean",
        points
            .iter()
            .rev()
            .find_map(|point| point.val_loss_batch_mean),
    );
    metrics
}

/// Arithmetic mean; `None` for an empty list.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Population standard deviation (divided by n); `None` for an empty list.
pub fn sd(values: &[f64]) -> Option<f64> {
    let centre = mean(values)?;
    let squares: f64 = values
        .iter()
        .map(|value| (value - centre) * (value - centre))
        .sum();
    Some((squares / values.len() as f64).sqrt())
}

/// Population standard deviation of the last `last` values (PAPER-FACTS E9 uses 50); fewer where there are fewer.
pub fn fluctuation(values: &[f64], last: usize) -> Option<f64> {
    sd(&values[values.len().saturating_sub(last)..])
}

/// Population standard deviation of the first differences: a fluctuation that a trend does not raise.
pub fn difference_fluctuation(values: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    sd(&differences)
}

/// First step whose value is below `threshold`.
pub fn first_step_below(series: &[(u64, f64)], threshold: f64) -> Option<u64> {
    series
        .iter()
        .find(|(_, value)| *value < threshold)
        .map(|(step, _)| *step)
}

/// The value measured at `step` or, where none was, at the last measured step before it.
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
        assert_eq!(difference_fluctuation(&[0.0, 1.0, 2.0, 3.0]), Some(0.0));
        assert_eq!(sd(&[]), None);
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
}
