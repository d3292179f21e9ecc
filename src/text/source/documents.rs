//! The embedded corpus of mixed documents.

use super::{BinVocabulary, DataError, Documents, Origin, Source};
use crate::text::corpora::{Embedded, Generator};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// For the documentation.
pub const ABOUT: &str = "Embedded generator of mixed documents with log-normal lengths.";
/// An example.
pub const EXAMPLE: Mixed = Mixed(Embedded {
    version: NEWEST,
    seed: 0,
});
/// The newest version of the generator.
const NEWEST: u32 = 2;
/// Maximum documents per slice: about 4 GiB of text.
const MOST: usize = 600_000;

/// Version and seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(transparent)]
pub struct Mixed(pub Embedded);

impl Source for Mixed {
    fn origin(&self) -> Origin<'_> {
        Origin::Generated {
            generator: Generator::Documents,
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
