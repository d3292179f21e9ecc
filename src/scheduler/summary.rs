//! The metrics of a record, from the metrics of its steps.

use crate::record::MetricPoint;
use std::collections::BTreeMap;

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Population standard deviation.
fn sd(values: &[f64]) -> f64 {
    let centre = mean(values);
    let squares: Vec<f64> = values.iter().map(|x| (x - centre) * (x - centre)).collect();
    mean(&squares).sqrt()
}

/// Sums a run up, `steps_per_epoch` steps making an epoch:
///
/// `steps`, `epochs`, `tokens`; `train_loss` (mean over the last epoch begun), `train_loss_first`, `_last`, `_min`, `_mean` (all
/// steps), `train_mean25`, `train_mean50`, `train_sd50` (last 25 or 50 steps; population); `train_ce` (as
/// `train_loss`); `val_loss` (last), `val_loss_first`, `_min`, `_max`, `val_loss_min_step`, `val_ce`, `val_loss_batch_mean` (last).
/// Only finite numbers: the others are left out.
pub fn summarize(points: &[MetricPoint], steps_per_epoch: u64) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let mut put = |name: &str, value: f64| {
        if value.is_finite() {
            metrics.insert(name.to_owned(), value);
        }
    };
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return metrics;
    };
    put("steps", points.len() as f64);
    put("epochs", last.epoch);
    put("tokens", last.tokens as f64);
    let losses: Vec<f64> = points.iter().map(|point| point.train_loss).collect();
    let ces: Vec<f64> = points.iter().map(|point| point.train_ce).collect();
    let per_epoch = steps_per_epoch.max(1) as usize;
    let epoch = (points.len() - 1) / per_epoch * per_epoch;
    let tail = |count: usize| &losses[losses.len().saturating_sub(count)..];
    put("train_loss", mean(&losses[epoch..]));
    put("train_ce", mean(&ces[epoch..]));
    put("train_loss_first", first.train_loss);
    put("train_loss_last", last.train_loss);
    put(
        "train_loss_min",
        losses.iter().copied().fold(f64::INFINITY, f64::min),
    );
    put("train_loss_mean", mean(&losses));
    put("train_mean25", mean(tail(25)));
    put("train_mean50", mean(tail(50)));
    put("train_sd50", sd(tail(50)));
    let measured: Vec<(u64, f64)> = points
        .iter()
        .filter_map(|point| Some((point.step, point.val_loss?)))
        .collect();
    if let (Some((_, first)), Some((_, last))) = (measured.first(), measured.last()) {
        put("val_loss", *last);
        put("val_loss_first", *first);
        let values = || measured.iter().map(|(_, value)| *value);
        put("val_loss_max", values().fold(f64::NEG_INFINITY, f64::max));
        let mut lowest = (0, f64::INFINITY);
        for (step, value) in measured {
            if value < lowest.1 {
                lowest = (step, value);
            }
        }
        put("val_loss_min", lowest.1);
        put("val_loss_min_step", lowest.0 as f64);
    }
    let last_of = |value: fn(&MetricPoint) -> Option<f64>| points.iter().rev().find_map(value);
    if let Some(value) = last_of(|point| point.val_ce) {
        put("val_ce", value);
    }
    if let Some(value) = last_of(|point| point.val_loss_batch_mean) {
        put("val_loss_batch_mean", value);
    }
    metrics
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_a_small_example() {
        let point = |step: u64, loss: f64, val: Option<f64>| MetricPoint {
            step,
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
        let metrics = summarize(&points, 2);
        // The last epoch that was begun holds step 5 alone.
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
        assert!((summarize(&points[..4], 2)["train_loss"] - 2.5).abs() < 1e-12);
        assert!(summarize(&[], 2).is_empty());
        let infinite = summarize(&[point(1, f64::INFINITY, None)], 1);
        assert!(!infinite.contains_key("train_loss"));
    }
}
