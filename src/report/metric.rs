//! Display of metrics by name: label, unit, direction, digits.

use crate::record::{MetricPoint, RunResult, ngram_mark};

/// The desirable direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
    Neither,
}

/// Display of a metric.
#[derive(Clone, Debug)]
pub(crate) struct Metric {
    pub(crate) label: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) shape: Shape,
    /// Its meaning, in one sentence.
    pub(crate) about: Option<&'static str>,
}

impl Metric {
    /// Label and unit as an axis label, beginning with a lower-case letter:
    /// `validation loss (nats)`.
    pub(crate) fn on_axis(&self) -> String {
        let mut name = self.with_unit();
        let is_word = name.chars().nth(1).is_some_and(char::is_lowercase);
        if let Some(first) = name.get_mut(0..1).filter(|_| is_word) {
            first.make_ascii_lowercase();
        }
        name
    }

    /// Label and unit: `Validation loss (nats)`.
    pub(crate) fn with_unit(&self) -> String {
        match self.unit {
            "" => self.label.clone(),
            unit => format!("{} ({unit})", self.label),
        }
    }
}

/// Number of digits shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Three decimals.
    Loss,
    /// Four significant digits.
    Ratio,
    /// A fraction shown as a percentage.
    Percent,
    /// A whole number.
    Count,
}

/// Describes the metric `name`: its meaning and direction come from [`crate::eval`], its display
/// from this module.
pub(crate) fn describe(name: &str) -> Metric {
    let known = crate::eval::metric(name);
    let better = match known.and_then(|metric| metric.lower_is_better) {
        Some(true) => Better::Lower,
        Some(false) => Better::Higher,
        None => Better::Neither,
    };
    let shape = match name {
        "accuracy" | "top5" => Shape::Percent,
        "bits_per_byte" | "nll" => Shape::Loss,
        "params"
        | "steps"
        | "tokens"
        | "docs"
        | "sequences"
        | "sequences_by_formula"
        | "sequence_length" => Shape::Count,
        _ if known.is_some_and(|metric| metric.unit == "nats") => Shape::Loss,
        _ => Shape::Ratio,
    };
    let unit = match shape {
        Shape::Percent => "%",
        _ => known.map_or("", |metric| metric.unit),
    };
    Metric {
        label: label(name),
        unit: if name == "bits_per_byte" { "" } else { unit },
        better,
        shape,
        about: known.map(|metric| metric.about),
    }
}

/// The head of a column.
fn label(name: &str) -> String {
    let label = match name {
        "train_loss" => "Training loss",
        "train_loss_first" => "First training loss",
        "train_loss_last" => "Last training loss",
        "train_loss_mean" => "Mean training loss",
        "train_sd50" => "Fluctuation of the training loss",
        "val_loss" => "Validation loss",
        "val_loss_min" => "Lowest validation loss",
        "val_loss_max" => "Highest validation loss",
        "val_loss_first" => "First validation loss",
        "val_ce" => "Validation cross-entropy",
        "val_loss_batch_mean" => "Validation loss, mean of batches",
        "nll" => "Negative log-likelihood",
        "nll_unigram" => "Unigram NLL",
        "nll_bigram" => "Bigram NLL",
        "nll_trigram" => "Trigram NLL",
        "val_unigram" => "Unigram loss",
        "val_bigram" => "Bigram loss",
        "val_trigram" => "Trigram loss",
        "beats_ngrams" => "N-grams beaten",
        "perplexity_median" => "Median perplexity",
        "perplexity_mean" => "Mean perplexity",
        "perplexity_geometric" => "Geometric mean perplexity",
        "perplexity_calibrated" => "Calibrated perplexity",
        "perplexity_clipped_linear" => "Clipped-linear perplexity",
        "perplexity_random_windows" => "Perplexity of random windows",
        "top5" => "Top-5 accuracy",
        "ece" => "Calibration error",
        "params" => "Parameters",
        "docs" => "Documents",
        _ => "",
    };
    if !label.is_empty() {
        return label.to_owned();
    }
    let mut words = name.replace(['_', '/'], " ");
    if let Some(first) = words.get_mut(0..1) {
        first.make_ascii_uppercase();
    }
    words
}

/// The value of the metric `name` of a run: one of its results or sizes.
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
        _ => {
            let by_formula = crate::eval::counts_by_formula(&run.key, &run.document_tokens);
            let found = by_formula.into_iter().find(|(known, _)| *known == name);
            return found.map(|(_, value)| value);
        }
    };
    Some(number as f64)
}

/// The names of the curves that a run records.
pub(crate) const CURVES: &[&str] = MetricPoint::CURVES;

/// The value of a curve at a recorded point.
pub(crate) fn at(point: &MetricPoint, curve: &str) -> Option<f64> {
    point.value(curve)
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
/// The mark for runs that have all learned no more than word or pair frequencies, and its meaning.
pub(crate) fn mark<'a>(
    runs: impl IntoIterator<Item = &'a RunResult>,
) -> Option<(char, &'static str)> {
    let beaten = runs
        .into_iter()
        .map(|run| run.metrics.get("beats_ngrams").copied());
    let most = beaten.reduce(|a, b| Some(a?.max(b?)))??;
    ngram_mark(most)
}

/// The meaning of `marks`, as a sentence of a caption.
pub(crate) fn marks_told(marks: impl Iterator<Item = (char, &'static str)>) -> Option<String> {
    let marks: std::collections::BTreeMap<char, &str> = marks.collect();
    let told: Vec<String> = marks
        .iter()
        .map(|(sign, about)| format!("{sign} {about}"))
        .collect();
    (!told.is_empty()).then(|| format!("{}.", told.join("; ")))
}
