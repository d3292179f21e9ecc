//! Two embedded corpora, generated: short stories for children and mixed documents.
//!
//! A document is a pure function of generator, version, seed and number, so that any slice can be made on its own and in
//! any order. The text of a version never changes: a test pins its digest. What the corpora are *not*: a replacement of
//! real text where a published number is to be met; `docs/corpora.md` compares them with real text.

mod documents;
mod finish;
mod grammar;
mod stories;

#[cfg(test)]
mod tests;

use crate::rng::{Purpose, Stream};
use grammar::Draws;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Parameters of an embedded corpus. A slice takes at most 4,000,000 `stories` or 600,000 `documents`, each about 4 GiB of text:
/// it is generated, learnt from and tokenised in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Version of the generator: a changed text is a new version.
    pub version: u32,
    /// Seed of the generator; default 0.
    #[serde(default)]
    pub seed: u64,
}

/// An embedded generator of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Generator {
    /// Short stories in a child's vocabulary.
    Stories,
    /// Prose, code, lists, tables, letters and more, of log-normal lengths.
    Documents,
}

impl Generator {
    /// All generators.
    pub const ALL: [Self; 2] = [Self::Stories, Self::Documents];

    /// The name in specs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stories => "stories",
            Self::Documents => "documents",
        }
    }
}

/// Document `index` of a corpus. Depends on nothing but its arguments; `parameters.version` is the caller's to check (the reader of a spec refuses others).
pub fn document(generator: Generator, parameters: &Embedded, index: u64) -> String {
    // The generator and the version are part of the seed, so that corpora of one seed have nothing in common.
    let salt = (generator as u64 + 1) << 56 | u64::from(parameters.version) << 40;
    let draws = Draws::new(Stream::new(parameters.seed ^ salt, Purpose::Corpus, index));
    match generator {
        Generator::Stories => stories::story(draws),
        Generator::Documents => documents::document(draws, parameters.version),
    }
}
