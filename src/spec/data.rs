//! Data settings: corpus, tokenizer, slices and the sequence policy.

use crate::text::{Corpus, SeqLen, Sequence, Tokenizer};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The section `data` of a spec.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DataSettings {
    /// Where documents come from.
    pub corpus: Corpus,
    /// How text becomes ids.
    pub tokenizer: Tokenizer,
    /// Training documents: a number, or `{skip, take, corpus}`.
    #[serde(default)]
    pub train: Slice,
    /// Documents for the validation loss.
    #[serde(default)]
    pub validation: Slice,
    /// Share of the documents to train on, counted from the first (`split: 0.9`); the rest are for the validation loss.
    /// Replaces `train` and `validation`; only for corpora of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<f64>,
    /// Test documents; default none.
    #[serde(default)]
    pub test: Slice,
    /// How documents become sequences.
    #[serde(default)]
    pub sequence: Sequence,
    /// Sequence length in tokens, including BOS; default: `model.max_seq_len`.
    #[serde(default)]
    pub seq_len: SeqLen,
    /// 1: predict the next token; 2: the one after it (the off-by-one of the grid and scale-up runs, docs/studies.md#a0).
    #[serde(default = "default_target_shift")]
    pub target_shift: usize,
    /// Draw of documents: 0 takes the slices as written, `n` shifts them by `n` times the end of the last one. The
    /// tokenizer stays the same. As an axis (`vary: {data.draw: [0, 1, 2]}`), its runs are replicates, like those of
    /// `seeds`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub draw: usize,
}

fn is_zero(draw: &usize) -> bool {
    *draw == 0
}

fn default_target_shift() -> usize {
    1
}

/// A range of documents of a corpus.
///
/// Written as a number or a map. Without `skip`, held-out documents come first: validation takes the first documents of
/// the corpus, test the next, and training those after them, so that runs with different `train` share their held-out
/// sets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Slice {
    /// First document, counted from 0; `None`: the rule above.
    pub skip: Option<usize>,
    /// Number of documents.
    pub take: usize,
    /// Corpus to use instead of `data.corpus`.
    pub corpus: Option<Corpus>,
}
