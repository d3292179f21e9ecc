//! Embedded corpora: a stand-in until the generators are merged.

use crate::rng::{Purpose, Stream};
use crate::spec::Embedded;

/// An embedded generator of documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// Short stories.
    Stories,
    /// Mixed documents with log-normal lengths.
    Documents,
}

impl Generator {
    /// Name, as specs and keys write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Stories => "stories",
            Self::Documents => "documents",
        }
    }
}

/// Makes document `index`.
pub fn document(generator: Generator, parameters: &Embedded, index: u64) -> String {
    const WORDS: [&str; 12] = [
        "river", "stone", "Mia", "walks", "a", "the", "green", "lamp", "sings", "over", "door",
        "fox",
    ];
    let draws = Stream::new(parameters.seed, Purpose::Corpus, index);
    let words = 20
        + draws.below(
            0,
            if generator == Generator::Stories {
                40
            } else {
                200
            },
        );
    let mut text = String::new();
    for word in 1..=words {
        text += WORDS[draws.below(word, WORDS.len() as u64) as usize];
        text += if word % 9 == 0 { ".\n" } else { " " };
    }
    text
}
