//! The data of a run: slices of documents with identities, tokenised, cached and batched. No model, no store.

pub mod batch;
mod cache;
pub mod identity;
mod load;
mod sample;
mod slices;
pub mod stats;
mod survey;

#[cfg(test)]
pub(crate) use crate::text::test_support;
pub(crate) use crate::text::tokenizer::{
    Head as TokenizerHead, Spelling, Table as TokenTable, Token, TokenKind,
};
pub use crate::text::{
    DataContext, DataError, SequenceSet, Stop, TextTokenizer, TrainingData, corpora,
};
pub(crate) use crate::text::{sequence, source, tokenizer};
pub use cache::{TrainedOn, audit};
pub use identity::{Identified, KnownData, identify};
pub(crate) use load::stream_documents;
pub use load::{LoadedData, document_lengths, held_out, kept_lengths, load};
pub use sequence::scoring_windows;
pub(crate) use slices::{reach, resolve_split};
pub(crate) use source::absent_files;
pub use source::read_all;
pub use survey::{Look, Survey, survey};
