//! A byte-level BPE trained on the first training documents.

use super::train::{self, ALGORITHM, MAX_BPE_VOCAB, MIN_BPE_VOCAB, WordCounts};
use super::{Learning, Made, OfDocuments, TokenizerKind};
use crate::choices::Findings;
use crate::text::{DataError, Stop};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// For the documentation.
pub const ABOUT: &str = "A byte-level BPE trained on the first training documents.";
/// An example.
pub const EXAMPLE: TrainBpe = TrainBpe {
    vocab_size: 4096,
    documents: Some(2000),
};

/// A tokenizer trained as part of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TrainBpe {
    /// Vocabulary size, including the 256 bytes and the special tokens.
    pub vocab_size: usize,
    /// Number of documents to train on, from the start of the training slice; default: `data.train`. Set it to
    /// compare runs with different `data.train`: losses are comparable only with the same tokenizer.
    #[serde(default)]
    pub documents: Option<usize>,
}

impl TokenizerKind for TrainBpe {
    fn made(&self) -> Made<'_> {
        Made::OfDocuments(self)
    }

    fn check(&self, path: &str, findings: &mut Findings) {
        let entries = format!("{path}.vocab_size");
        findings.count(&entries, self.vocab_size, MIN_BPE_VOCAB..=MAX_BPE_VOCAB);
        if let Some(documents) = self.documents {
            findings.count(&format!("{path}.documents"), documents, 1..=1 << 40);
        }
    }
}

impl OfDocuments for TrainBpe {
    fn documents(&self) -> Option<usize> {
        self.documents
    }

    fn entries(&self) -> Option<usize> {
        Some(self.vocab_size)
    }

    fn recipe(&self) -> Map<String, Value> {
        Map::from_iter([
            ("algorithm".to_owned(), ALGORITHM.into()),
            ("vocab_size".to_owned(), self.vocab_size.into()),
        ])
    }

    fn is_possible(&self) -> Result<(), DataError> {
        train::check_vocab_size(self.vocab_size)
    }

    fn learn(&self) -> Box<dyn Learning> {
        let (words, vocab_size) = (WordCounts::default(), self.vocab_size);
        Box::new(Counted { words, vocab_size })
    }
}

/// The words seen so far.
struct Counted {
    words: WordCounts,
    vocab_size: usize,
}

impl Learning for Counted {
    fn add(&mut self, texts: &[String], stop: &Stop) -> Result<(), DataError> {
        self.words.add(texts, stop)
    }

    fn finish(self: Box<Self>, stop: &Stop) -> Result<Vec<u8>, DataError> {
        train::train(self.words, self.vocab_size, stop)
    }
}
