//! Evaluation of trained weights: perplexity, calibration, text statistics.
