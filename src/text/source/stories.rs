//! The embedded corpus of short stories.

use super::{BinVocabulary, DataError, Documents, Origin, Source};
use crate::text::corpora::{Embedded, Generator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// For the documentation.
pub const ABOUT: &str = "Embedded generator of short stories, in any number.";
/// An example.
pub const EXAMPLE: Stories = Stories(Embedded {
    version: NEWEST,
    seed: 0,
});
/// The newest version of the generator.
const NEWEST: u32 = 1;
/// Maximum documents per slice: about 4 GiB of text.
const MOST: usize = 4_000_000;

/// Version and seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Stories(pub Embedded);

impl Source for Stories {
    fn origin(&self) -> Origin<'_> {
        Origin::Generated {
            generator: Generator::Stories,
            parameters: &self.0,
            newest: NEWEST,
            most: MOST,
        }
    }

    /// It has no files.
    fn read(&self, _: PathBuf, _: Option<BinVocabulary>) -> Result<Documents, DataError> {
        Ok(Box::new(std::iter::empty()))
    }
}
