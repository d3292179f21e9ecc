//! All metrics by name: accepted by `check`, known to expressions, explained in reports.

/// A metric of a run or of its evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// Name in records, expressions and tables.
    pub name: &'static str,
    /// Unit as shown; empty for pure numbers.
    pub unit: &'static str,
    /// Its definition, in one sentence.
    pub about: &'static str,
    /// Whether smaller is better; `None` if neither is.
    pub lower_is_better: Option<bool>,
    /// Whether it depends on the seed. Counts do not: they are the same in every replicate.
    pub varies: bool,
}

const fn loss(name: &'static str, about: &'static str) -> Metric {
    Metric {
        name,
        unit: "nats",
        about,
        lower_is_better: Some(true),
        varies: true,
    }
}

const fn score(
    name: &'static str,
    unit: &'static str,
    lower: Option<bool>,
    about: &'static str,
) -> Metric {
    Metric {
        name,
        unit,
        about,
        lower_is_better: lower,
        varies: true,
    }
}

const fn count(name: &'static str, about: &'static str) -> Metric {
    Metric {
        name,
        unit: "",
        about,
        lower_is_better: None,
        varies: false,
    }
}

/// Every metric, training first.
pub const METRICS: &[Metric] = &[
    loss(
        "train_loss",
        "Mean training loss over the last epoch, each batch before its update.",
    ),
    loss(
        "train_loss_first",
        "Training loss of the first step, before any update.",
    ),
    loss(
        "train_loss_last",
        "Training loss of the last step, before its update.",
    ),
    loss("train_loss_mean", "Mean training loss over all steps."),
    loss(
        "val_loss",
        "Validation loss after the last step, weighted by tokens.",
    ),
    loss("val_loss_min", "Lowest measured validation loss."),
    loss(
        "val_loss_max",
        "Highest measured validation loss (after at least one step).",
    ),
    loss(
        "val_loss_first",
        "First measured validation loss (after at least one step).",
    ),
    loss(
        "val_loss_batch_mean",
        "Final validation loss as the unweighted mean over batches, as the studies computed it.",
    ),
    loss("val_ce", "Cross-entropy part of the final validation loss."),
    score(
        "train_sd50",
        "nats",
        None,
        "Population standard deviation of the last 50 training losses.",
    ),
    count("steps", "Optimizer steps."),
    count("params", "Trained parameters."),
    count("tokens", "Scored training targets."),
    count("docs", "Training documents."),
    count("sequences", "Training sequences."),
    count(
        "sequences_by_formula",
        "Training sequences by the policy's closed formula, from document lengths alone.",
    ),
    count(
        "sequence_length",
        "Tokens of a full training sequence, as resolved from the data.",
    ),
    score(
        "nll",
        "nats/token",
        Some(true),
        "Mean negative log-likelihood of the held-out documents, weighted by tokens.",
    ),
    score(
        "nll_unigram",
        "nats/token",
        Some(true),
        "As `nll`, predicted by word frequencies of the run's training text (interpolated Witten-Bell).",
    ),
    score(
        "nll_bigram",
        "nats/token",
        Some(true),
        "As `nll`, predicted by pair frequencies of the run's training text (interpolated Witten-Bell).",
    ),
    score(
        "nll_trigram",
        "nats/token",
        Some(true),
        "As `nll`, predicted by triple frequencies of the run's training text (interpolated Witten-Bell).",
    ),
    score(
        "val_unigram",
        "nats/token",
        Some(true),
        "Cross-entropy of the validation targets, predicted by word frequencies of the run's training text.",
    ),
    score(
        "val_bigram",
        "nats/token",
        Some(true),
        "As `val_unigram`, by pairs whose second id is as far ahead as the run's targets.",
    ),
    score(
        "val_trigram",
        "nats/token",
        Some(true),
        "As `val_bigram`, by triples.",
    ),
    score(
        "beats_ngrams",
        "",
        Some(false),
        "Largest n (up to 3) such that the run predicts better than all n-grams of its training text up to n, on the validation documents or otherwise on whole held-out ones. 0: it learned no more than word frequencies; 1: no more than pair frequencies.",
    ),
    score(
        "perplexity",
        "",
        Some(true),
        "exp of the mean token cross-entropy over all held-out documents.",
    ),
    score(
        "perplexity_median",
        "",
        Some(true),
        "Median over documents of each document's perplexity.",
    ),
    score(
        "perplexity_mean",
        "",
        Some(true),
        "Arithmetic mean over documents of each document's perplexity.",
    ),
    score(
        "perplexity_geometric",
        "",
        Some(true),
        "exp of the mean over documents of each document's mean token cross-entropy.",
    ),
    score(
        "bits_per_byte",
        "bits/byte",
        Some(true),
        "Negative log-likelihood in bits per UTF-8 byte of the documents.",
    ),
    score(
        "accuracy",
        "",
        Some(false),
        "Share of targets with the largest logit.",
    ),
    score(
        "top5",
        "",
        Some(false),
        "Share of targets among the five largest logits.",
    ),
    score(
        "perplexity_calibrated",
        "",
        Some(true),
        "Perplexity of the odd documents after dividing logits by a temperature fitted on the even ones.",
    ),
    score(
        "temperature",
        "",
        None,
        "The temperature fitted on the even documents.",
    ),
    score(
        "perplexity_clipped_linear",
        "",
        Some(true),
        "Perplexity with probabilities proportional to max(logit, 1e-6), for square losses.",
    ),
    score(
        "ece",
        "",
        Some(true),
        "Expected calibration error over ten equal-width bins of the largest probability.",
    ),
    score(
        "perplexity_random_windows",
        "",
        Some(true),
        "Perplexity over random windows of the validation stream (the capstone's procedure).",
    ),
    score(
        "distinct_1",
        "",
        Some(false),
        "Distinct tokens of the samples as a share of all their tokens.",
    ),
    score(
        "distinct_2",
        "",
        Some(false),
        "Distinct pairs of neighbouring tokens in the samples as a share of all such pairs.",
    ),
    score(
        "repetition",
        "",
        Some(true),
        "Share of the samples' 4-grams that occurred earlier in the same sample.",
    ),
];

/// The metric of this name.
pub fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| metric.name == name)
}

/// The mark, with its meaning, of a run whose `beats_ngrams` shows that it learned no more than word or pair
/// frequencies.
pub fn ngram_mark(beats_ngrams: f64) -> Option<(char, &'static str)> {
    if beats_ngrams < 1.0 {
        Some((
            '†',
            "learned no more than the word frequencies of its own training text",
        ))
    } else if beats_ngrams < 2.0 {
        Some((
            '‡',
            "learned no more than the frequencies of words and word pairs in its training text",
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_sentences_end() {
        for (index, metric) in METRICS.iter().enumerate() {
            assert!(
                METRICS[..index]
                    .iter()
                    .all(|other| other.name != metric.name),
                "{}",
                metric.name
            );
            assert!(metric.about.ends_with('.'), "{}", metric.name);
        }
        assert!(metric("steps").is_some_and(|metric| !metric.varies));
        assert_eq!(metric("loss"), None);
    }
}
