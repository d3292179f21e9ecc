//! Evaluation of trained weights: perplexity, calibration, variety of samples, statistics of curves.
//!
//! Everything here works on plain data. It drives [`crate::train::Engine`] and never sees a tensor; it reads no file and
//! knows no tokenizer (texts come in as ids, continuations go out through a function). Sums run in f64 in the order of the
//! documents; `exp` and `ln` are those of `libm`, so that every machine gives the same numbers.
//!
//! A perplexity is always computed from cross-entropy, never from a training loss with auxiliary terms. Documents longer
//! than the model's context are cut into windows that do not overlap; later windows start without context.

mod calibration;
mod counts;
pub mod curve;
mod evaluate;
pub mod ngram;
mod perplexity;
pub mod text;

#[cfg(test)]
mod tests;

pub use crate::record::{METRICS, metric};
pub use counts::counts_by_formula;
pub use evaluate::{Decode, EvalError, EvalRequest, ScoredDocument, by_sequence, evaluate, gather};
pub use perplexity::{
    DOCUMENT_METRICS, PERPLEXITY_SHOWN_UP_TO, VALIDATION_METRICS, is_of_documents, of_documents,
    of_validation,
};
