//! Perplexities and accuracies from token scores (docs/studies.md#e8 and #e9).

use crate::record::DocumentScore;
use crate::stats::median;
use crate::train::TokenScores;
use std::collections::BTreeMap;

/// Perplexities above this are shown as `> 1e6`: they only tell that the model failed.
pub const PERPLEXITY_SHOWN_UP_TO: f64 = 1e6;

/// `exp(nll)`, kept finite: exponents above 700 count as 700 (the NLL is reported too).
pub fn bounded_exp(nll: f64) -> f64 {
    libm::exp(nll.min(700.0))
}

/// The score of one document.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct DocumentSum {
    /// Scored targets.
    pub(super) tokens: u64,
    /// Summed negative log-likelihood, nats.
    pub(super) nll: f64,
    /// UTF-8 bytes of the text.
    pub(super) bytes: u64,
    /// Targets that have the largest logit.
    pub(super) hits: u64,
}

impl DocumentSum {
    fn mean_nll(&self) -> f64 {
        self.nll / self.tokens as f64
    }

    /// `exp(nll / tokens)`.
    pub(super) fn perplexity(&self) -> f64 {
        bounded_exp(self.mean_nll())
    }
}

/// Token-weighted mean NLL; `None` if nothing was scored.
pub(super) fn corpus_nll(documents: &[DocumentSum]) -> Option<f64> {
    let tokens: u64 = documents.iter().map(|document| document.tokens).sum();
    let nll: f64 = documents.iter().map(|document| document.nll).sum();
    (tokens > 0).then(|| nll / tokens as f64)
}

/// `nll`, `perplexity*` and `bits_per_byte`. Documents without a scored target are left out.
pub(super) fn perplexities(documents: &[DocumentSum]) -> BTreeMap<String, f64> {
    let mut metrics = BTreeMap::new();
    let scored: Vec<DocumentSum> = documents
        .iter()
        .copied()
        .filter(|document| document.tokens > 0)
        .collect();
    let Some(nll) = corpus_nll(&scored) else {
        return metrics;
    };
    let each: Vec<f64> = scored.iter().map(DocumentSum::perplexity).collect();
    let count = scored.len() as f64;
    let mean_nll = scored.iter().map(DocumentSum::mean_nll).sum::<f64>() / count;
    let sum_nll: f64 = scored.iter().map(|document| document.nll).sum();
    let bytes: u64 = scored.iter().map(|document| document.bytes).sum();
    let mut put = |name: &str, value: f64| metrics.insert(name.to_owned(), value);
    put("nll", nll);
    put("perplexity", bounded_exp(nll));
    if let Some(median) = median(&each) {
        put("perplexity_median", median);
    }
    put("perplexity_mean", each.iter().sum::<f64>() / count);
    put("perplexity_geometric", bounded_exp(mean_nll));
    if bytes > 0 {
        put(
            "bits_per_byte",
            sum_nll / (std::f64::consts::LN_2 * bytes as f64),
        );
    }
    metrics
}

/// The metrics computed from the scores of single documents, and so available over resampled
/// documents.
pub const DOCUMENT_METRICS: [&str; 6] = [
    "nll",
    "perplexity",
    "perplexity_median",
    "perplexity_mean",
    "perplexity_geometric",
    "accuracy",
];

/// One of [`DOCUMENT_METRICS`] over the documents of `documents` with the indices `places`,
/// counting repetitions.
pub fn of_documents(name: &str, documents: &[DocumentScore], places: &[usize]) -> Option<f64> {
    let chosen = || places.iter().filter_map(|place| documents.get(*place));
    if name == "accuracy" {
        let hits: Option<Vec<u64>> = chosen().map(|document| document.hits).collect();
        let tokens: u64 = chosen().map(|document| document.tokens).sum();
        return (tokens > 0).then_some(hits?.iter().sum::<u64>() as f64 / tokens as f64);
    }
    if matches!(name, "nll" | "perplexity") {
        let tokens: u64 = chosen().map(|document| document.tokens).sum();
        let nll: f64 = chosen().map(|document| document.nll).sum();
        let mean = (tokens > 0).then(|| nll / tokens as f64)?;
        return Some(if name == "nll" {
            mean
        } else {
            bounded_exp(mean)
        });
    }
    let sums: Vec<DocumentSum> = chosen()
        .map(|document| DocumentSum {
            tokens: document.tokens,
            nll: document.nll,
            ..DocumentSum::default()
        })
        .collect();
    perplexities(&sums).remove(name)
}

/// The metrics computed from the scores of single validation documents.
pub const VALIDATION_METRICS: [&str; 2] = ["val_loss", "val_loss_batch_mean"];

/// Whether a metric is computed from the scores of single documents.
pub fn is_of_documents(name: &str) -> bool {
    DOCUMENT_METRICS.contains(&name) || VALIDATION_METRICS.contains(&name)
}

/// One of [`VALIDATION_METRICS`] over the documents of `scores` (tokens and nats) with the indices
/// `places`, in batches of `batch`.
pub fn of_validation(
    name: &str,
    scores: &[(u64, f64)],
    places: &[usize],
    batch: usize,
) -> Option<f64> {
    let chosen: Vec<(u64, f64)> = places
        .iter()
        .filter_map(|place| scores.get(*place).copied())
        .collect();
    let mean = |scores: &[(u64, f64)]| {
        let tokens: u64 = scores.iter().map(|(tokens, _)| tokens).sum();
        let nll: f64 = scores.iter().map(|(_, nll)| nll).sum();
        nll / tokens as f64
    };
    match name {
        _ if chosen.is_empty() => None,
        "val_loss" => Some(mean(&chosen)),
        _ => {
            let batches: Vec<f64> = chosen.chunks(batch.max(1)).map(mean).collect();
            crate::stats::mean(&batches)
        }
    }
}

/// `accuracy`, `top5` and `ece`.
pub(super) fn accuracies(scores: &TokenScores) -> BTreeMap<String, f64> {
    let all = scores.rank.len();
    if all == 0 {
        return BTreeMap::new();
    }
    let share =
        |below: u32| scores.rank.iter().filter(|rank| **rank < below).count() as f64 / all as f64;
    BTreeMap::from([
        ("accuracy".to_owned(), share(1)),
        ("top5".to_owned(), share(5)),
        ("ece".to_owned(), expected_calibration_error(scores)),
    ])
}

/// `Σ_b n_b/N · |accuracy_b − confidence_b|` over ten equal-width bins `(lo, hi]` of the largest probability.
fn expected_calibration_error(scores: &TokenScores) -> f64 {
    const BINS: usize = 10;
    let mut hits = [0.0; BINS];
    let mut confidences = [0.0; BINS];
    for (rank, confidence) in scores.rank.iter().zip(&scores.confidence) {
        let confidence = f64::from(*confidence);
        // Confidence is above 0 and at most 1; `(lo, hi]` means that 0.1 belongs to the first bin.
        let bin = (0..BINS)
            .find(|bin| confidence as f32 <= (bin + 1) as f32 / BINS as f32)
            .unwrap_or(BINS - 1);
        hits[bin] += f64::from(u8::from(*rank == 0));
        confidences[bin] += confidence;
    }
    let gaps: f64 = hits
        .iter()
        .zip(&confidences)
        .map(|(hits, sum): (&f64, &f64)| (hits - sum).abs())
        .sum();
    gaps / scores.rank.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(tokens: u64, nll: f64, bytes: u64) -> DocumentSum {
        DocumentSum {
            tokens,
            nll,
            bytes,
            hits: 0,
        }
    }

    #[test]
    fn perplexities_of_two_documents_by_hand() {
        // Means 1 and 2 nats; token-weighted (10 + 60) / 40 = 1.75.
        let metrics = perplexities(&[
            document(10, 10.0, 30),
            document(30, 60.0, 70),
            document(0, 0.0, 5),
        ]);
        let close = |name: &str, wanted: f64| {
            assert!(
                (metrics[name] - wanted).abs() < 1e-12 * wanted,
                "{name} {}",
                metrics[name]
            );
        };
        close("nll", 1.75);
        close("perplexity", 5.754_602_676_005_73);
        close("perplexity_geometric", 4.481_689_070_338_065);
        close("perplexity_mean", 5.053_668_963_694_848);
        close("perplexity_median", 5.053_668_963_694_848);
        close("bits_per_byte", 70.0 / 100.0 / std::f64::consts::LN_2);
    }

    #[test]
    fn a_failed_model_has_finite_numbers() {
        let metrics = perplexities(&[document(1, 5000.0, 1)]);
        assert_eq!(metrics["nll"], 5000.0);
        assert!(metrics.values().all(|value| value.is_finite()));
        assert!(perplexities(&[]).is_empty());
    }

    #[test]
    fn calibration_bins_are_open_below() {
        let scores = |confidence: &[f32], rank: &[u32]| TokenScores {
            confidence: confidence.to_vec(),
            rank: rank.to_vec(),
            ..TokenScores::default()
        };
        // One bin: (0.5 + 0.6 → bins 5 and 6): gaps 0.5 and 0.4 of two targets.
        let error = expected_calibration_error(&scores(&[0.5, 0.6], &[0, 0]));
        assert!((error - 0.45).abs() < 1e-7, "{error}");
        // 0.1 and 0.05 share the first bin: |1 − 0.15| / 2.
        let error = expected_calibration_error(&scores(&[0.1, 0.05], &[0, 3]));
        assert!((error - 0.425).abs() < 1e-7, "{error}");
        let metrics = accuracies(&scores(&[0.5; 4], &[0, 4, 5, 9]));
        assert_eq!((metrics["accuracy"], metrics["top5"]), (0.25, 0.5));
    }
}
