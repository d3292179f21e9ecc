//! Estimates the lengths of all documents of an untokenised slice from its first documents.

use super::cache::{Cache, Found};
use super::identity::{DataKey, SliceKey, slice_cache_key, tokenizer_cache_key};
use super::load::bin_vocabulary;
use super::slices::{DocumentRange, Slices};
use super::source::{self, BinVocabulary, Document, Wanted};
use super::tokenizer::{self, TextTokenizer};
use super::{DataContext, DataError};
use crate::spec::DataSettings;
use std::path::Path;

/// Number of documents to sample.
pub(super) const DOCUMENTS: usize = 2048;
/// Bytes of document beginnings to encode; the document that reaches this limit is the last.
const ENCODED_BYTES: usize = 1 << 19;
/// Bytes to encode per document.
const BEGINNING: usize = 1 << 16;

/// The first documents of a slice.
#[derive(Default)]
pub(super) struct Sample {
    /// Number of ids of each.
    ids: Vec<u32>,
    /// Bytes of the text of each; empty if the file holds ids.
    bytes: Vec<u32>,
}

impl Sample {
    /// Lengths in ids for `documents` documents: those of the sampled ones, repeated.
    pub(super) fn lengths(&self, documents: usize) -> Vec<u32> {
        self.ids.iter().copied().cycle().take(documents).collect()
    }
}

/// Samples the slices of a run, and caches the results if there is a cache.
pub(super) struct Sampler<'a> {
    settings: &'a DataSettings,
    key: &'a DataKey,
    context: &'a DataContext,
    cache: Cache<'a>,
    slices: &'a Slices,
    tokenizer: Option<TextTokenizer>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(
        settings: &'a DataSettings,
        key: &'a DataKey,
        slices: &'a Slices,
        context: &'a DataContext,
    ) -> Self {
        Self {
            settings,
            key,
            context,
            cache: Cache::new(context),
            slices,
            tokenizer: None,
        }
    }

    /// Samples the first documents of a slice.
    pub(super) fn sample(
        &mut self,
        range: &DocumentRange,
        slice: &SliceKey,
    ) -> Result<Sample, DataError> {
        let of_slice = slice_cache_key(slice, &self.key.tokenizer);
        let cache_key = format!("specbook.sample.v1\n{of_slice}");
        if let Some(kept) = self.cache.lengths(&cache_key) {
            let (ids, bytes) = kept.split_at(range.range.len().min(DOCUMENTS).min(kept.len()));
            let [ids, bytes] = [ids, bytes].map(<[u32]>::to_vec);
            return Ok(Sample { ids, bytes });
        }
        let tokenizer = match self.tokenizer.take() {
            Some(tokenizer) => tokenizer,
            None => self.likely_tokenizer()?,
        };
        let tokenizer = self.tokenizer.insert(tokenizer);
        let first = First::of(range, Some(bin_vocabulary(tokenizer)), self.context)?;
        let sample = Sample {
            ids: first.lengths(tokenizer)?,
            bytes: first.bytes,
        };
        // Sampling creates no store, and a cache that cannot be written only makes the next lookup
        // slower.
        if self.cache.is_there() {
            let kept = [&sample.ids[..], &sample.bytes].concat();
            let _ = self.cache.put_lengths(&cache_key, &kept);
        }
        Ok(sample)
    }

    /// The tokenizer of the run; an untrained one is trained on a few of its documents.
    fn likely_tokenizer(&self) -> Result<TextTokenizer, DataError> {
        let Some(kind) = self.settings.tokenizer.learns() else {
            let opened = tokenizer::open(&self.settings.tokenizer, self.context)?;
            return Ok(opened.expect("only a tokenizer that learns needs documents"));
        };
        let key = tokenizer_cache_key(&self.key.tokenizer);
        let bytes = match self.cache.tokenizer(&key) {
            Found::Hit(bytes) => bytes,
            _ => {
                let slice = self.slices.tokenizer.as_ref().unwrap_or(&self.slices.train);
                let first = First::of(slice, None, self.context)?;
                let mut learning = kind.learn();
                learning.add(&first.beginnings, &self.context.stop)?;
                learning.finish(&self.context.stop)?
            }
        };
        TextTokenizer::from_bytes(&bytes, Path::new("trained BPE"))
    }
}

/// The first documents of a slice, read.
#[derive(Default)]
struct First {
    /// Beginnings of the encoded documents.
    beginnings: Vec<String>,
    /// Bytes of the text of each.
    bytes: Vec<u32>,
    /// Number of ids of each, if the file holds ids.
    ids: Vec<u32>,
}

impl First {
    fn of(
        range: &DocumentRange,
        vocabulary: Option<BinVocabulary>,
        context: &DataContext,
    ) -> Result<Self, DataError> {
        let DocumentRange {
            slice,
            corpus,
            range,
        } = range;
        let end = range.end.min(range.start.saturating_add(DOCUMENTS));
        let wanted = Wanted {
            slice,
            range: range.start..end,
        };
        let (mut first, mut encoded) = (Self::default(), 0);
        source::read_ranges(corpus, &[wanted], vocabulary, context, |_, document| {
            match document {
                Document::Ids(ids) => first.ids.push(ids.len() as u32),
                Document::Text(text) => {
                    first.bytes.push(text.len() as u32);
                    if encoded < ENCODED_BYTES {
                        let beginning = &text[..text.floor_char_boundary(BEGINNING)];
                        encoded += beginning.len();
                        first.beginnings.push(beginning.to_owned());
                    }
                }
            }
            Ok(())
        })?;
        Ok(first)
    }

    /// Number of ids of each, extrapolated by bytes where a text was not encoded completely.
    fn lengths(&self, tokenizer: &TextTokenizer) -> Result<Vec<u32>, DataError> {
        let encoded = tokenizer.encode_all(&self.beginnings)?;
        let ratio = |ids: usize, bytes: usize| ids as f64 / bytes.max(1) as f64;
        let ids = encoded.iter().map(Vec::len).sum();
        let usual = ratio(ids, self.beginnings.iter().map(String::len).sum());
        let own = self.beginnings.iter().zip(&encoded);
        let own = own.map(|(beginning, ids)| ratio(ids.len(), beginning.len()));
        let ratios = own.chain(std::iter::repeat(usual));
        let of_texts = self.bytes.iter().zip(ratios);
        let of_texts = of_texts.map(|(bytes, ratio)| (f64::from(*bytes) * ratio).round() as u32);
        Ok(self.ids.iter().copied().chain(of_texts).collect())
    }
}
