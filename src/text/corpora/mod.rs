//! Two embedded corpora, generated: short stories for children and mixed documents.
//!
//! A document is a pure function of generator, version, seed and number, so any slice can be made separately and in any
//! order. The text of a version never changes: a test pins its digest. The corpora do *not* replace real text for
//! reproducing published numbers; `docs/corpora.md` compares them with real text.

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

/// Parameters of an embedded corpus. A slice takes at most 4,000,000 `stories` or 600,000 `documents`, about 4 GiB of
/// text each, since it is held in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Embedded {
    /// Version of the generator; any change of its text is a new version.
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
    /// Prose, code, lists, tables, letters and more, with log-normal lengths.
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

/// Document `index` of a corpus. Depends only on its arguments; the caller must check `parameters.version` (specs with
/// an unknown version are refused).
pub fn document(generator: Generator, parameters: &Embedded, index: u64) -> String {
    // The generator and the version are part of the seed, so corpora with the same seed are independent.
    let salt = (generator as u64 + 1) << 56 | u64::from(parameters.version) << 40;
    let draws = Draws::new(Stream::new(parameters.seed ^ salt, Purpose::Corpus, index));
    match generator {
        Generator::Stories => stories::story(draws),
        Generator::Documents => documents::document(draws, parameters.version),
    }
}
