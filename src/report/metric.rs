//! What the report knows about metrics by name: label, unit, direction, digits.

use crate::record::{MetricPoint, RunResult};

/// Which direction is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
    Neither,
}

/// How a metric is shown.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) label: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) shape: Shape,
}

/// How many digits a metric gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Three decimals.
    Loss,
    /// Four significant digits.
    Ratio,
    /// A fraction shown in per cent.
    Percent,
    /// A whole number.
    Count,
}

/// What is known of the metric `name`.
pub(crate) fn describe(name: &str) -> Metric {
    let entry = |label: &str, unit, better, shape| Metric {
        label: label.to_owned(),
        unit,
        better,
        shape,
    };
    use Better::{Higher, Lower, Neither};
    use Shape::{Count, Loss, Percent, Ratio};
    match name {
        "train_loss" => entry("Training loss", "nats", Lower, Loss),
        "train_loss_first" | "initial_loss" => entry("First training loss", "nats", Neither, Loss),
        "train_loss_mean" => entry("Mean training loss", "nats", Lower, Loss),
        "val_loss" => entry("Validation loss", "nats", Lower, Loss),
        "val_loss_min" => entry("Lowest validation loss", "nats", Lower, Loss),
        "val_ce" => entry("Validation cross-entropy", "nats", Lower, Loss),
        "val_loss_batch_mean" => entry("Validation loss (mean of batches)", "nats", Lower, Loss),
        "perplexity" => entry("Perplexity", "", Lower, Ratio),
        "perplexity_median" => entry("Median perplexity", "", Lower, Ratio),
        "perplexity_mean" => entry("Mean perplexity", "", Lower, Ratio),
        "perplexity_geometric_mean" => entry("Geometric mean perplexity", "", Lower, Ratio),
        "bits_per_byte" => entry("Bits per byte", "bits", Lower, Loss),
        "accuracy" => entry("Accuracy", "%", Higher, Percent),
        "accuracy_top5" => entry("Top-5 accuracy", "%", Higher, Percent),
        "params" => entry("Parameters", "", Neither, Count),
        "steps" => entry("Steps", "", Neither, Count),
        "tokens" => entry("Tokens", "", Neither, Count),
        "docs" => entry("Documents", "", Neither, Count),
        "sequences" => entry("Sequences", "", Neither, Count),
        "lr" => entry("Learning rate", "", Neither, Ratio),
        _ => {
            let mut words = name.replace(['_', '/'], " ");
            if let Some(first) = words.get_mut(0..1) {
                first.make_ascii_uppercase();
            }
            let better = if name.contains("loss") || name.contains("perplexity") {
                Lower
            } else if name.contains("accuracy") {
                Higher
            } else {
                Neither
            };
            let shape = if name.contains("loss") { Loss } else { Ratio };
            Metric {
                label: words,
                unit: "",
                better,
                shape,
            }
        }
    }
}

/// The value of the metric `name` of a run: a result, or one of its sizes.
pub(crate) fn value(run: &RunResult, name: &str) -> Option<f64> {
    if let Some(value) = run.metrics.get(name) {
        return Some(*value).filter(|value| value.is_finite());
    }
    let counts = run.record.as_ref().map(|record| record.counts);
    let number = match name {
        "params" => counts.map_or(run.estimate.params, |counts| counts.params),
        "steps" => counts.map_or(run.estimate.steps, |counts| counts.steps),
        "tokens" => counts.map(|counts| counts.tokens)?,
        "docs" => counts.map(|counts| counts.docs)?,
        "sequences" => counts.map(|counts| counts.sequences)?,
        _ => return None,
    };
    Some(number as f64)
}

/// The names of the curves that a run records.
pub(crate) const CURVES: [&str; 8] = [
    "train/loss",
    "train/ce",
    "train/square",
    "val/loss",
    "val/ce",
    "val/loss_batch_mean",
    "lr",
    "grad_norm",
];

/// The value of a curve at a point.
pub(crate) fn at(point: &MetricPoint, curve: &str) -> Option<f64> {
    match curve {
        "train/loss" => Some(point.train_loss),
        "train/ce" => Some(point.train_ce),
        "train/square" => Some(point.train_square),
        "val/loss" => point.val_loss,
        "val/ce" => point.val_ce,
        "val/loss_batch_mean" => point.val_loss_batch_mean,
        "lr" => Some(point.lr),
        "grad_norm" => Some(point.grad_norm),
        _ => None,
    }
}

/// The name of a curve in a legend.
pub(crate) fn curve_label(curve: &str) -> &str {
    match curve {
        "train/loss" => "training loss",
        "train/ce" => "training cross-entropy",
        "train/square" => "training square part",
        "val/loss" => "validation loss",
        "val/ce" => "validation cross-entropy",
        "val/loss_batch_mean" => "validation loss, mean of batches",
        "lr" => "learning rate",
        "grad_norm" => "gradient norm",
        other => other,
    }
}
