//! How long the documents of a run are, and what there is to prepare, before the data is loaded: counted where a slice was tokenised
//! before, else guessed from its first documents.

use super::DataContext;
use super::cache::{Cache, Found};
use super::identity::{Identified, TokenizerKey, slice_cache_key, tokenizer_cache_key};
use super::sample::Sampler;
use super::sequence::{input_lengths, sequence_length, sequences, validation_lengths};
use super::slices::DocumentRange;
use crate::spec::{DataSettings, ModelSettings, Sequence, Tokenizer};

/// Documents of the largest slice whose lengths are guessed.
const LARGEST: usize = 1 << 22;
/// Ids of a document of which nothing is known, and bytes of each.
const USUAL: [u64; 2] = [350, 3];

/// What is known of the lengths of a run's data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Ids of each training document.
    pub training: Option<Vec<u32>>,
    /// Ids of each validation document.
    pub validation: Option<Vec<u32>>,
    /// Whether the training documents were counted, all of them.
    pub is_counted: bool,
    /// Positions of each training sequence; `None` for a stream too.
    pub training_inputs: Option<Vec<u32>>,
    /// Positions of each validation sequence; `None` for a stream too.
    pub validation_inputs: Option<Vec<u32>>,
    /// Training sequences, where they follow from the settings or from the lengths; `None` for a stream.
    pub sequences: Option<usize>,
    /// Positions of a full sequence, where they follow from the settings or from the lengths.
    pub seq_len: Option<usize>,
    /// What is to be done before the training.
    pub preparation: Preparation,
}

/// What there is to prepare.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preparation {
    /// Ids of all training documents.
    pub ids: u64,
    /// Bytes of text that are still to be tokenised.
    pub text_bytes: u64,
    /// Bytes of text that a tokenizer is still to be trained on.
    pub learned_bytes: u64,
    /// Bytes of the tokenizer's file; 0 for one that is trained.
    pub tokenizer_bytes: u64,
    /// Whether text that is to be read is compressed.
    pub is_compressed: bool,
}

impl Preparation {
    /// What the settings tell of it.
    fn of(settings: &DataSettings, context: &DataContext) -> Self {
        let file = match &settings.tokenizer {
            Tokenizer::File(path) => std::fs::metadata(context.resolve(path)).ok(),
            Tokenizer::TrainBpe(_) => None,
        };
        let corpus = settings.train.corpus.as_ref().unwrap_or(&settings.corpus);
        let extension = corpus.path().and_then(|path| path.extension());
        Self {
            tokenizer_bytes: file.map_or(0, |file| file.len()),
            is_compressed: extension.is_some_and(|extension| extension == "zst"),
            ..Self::default()
        }
    }

    /// That of so many documents of which nothing is known.
    pub fn usual(documents: usize) -> Self {
        let ids = USUAL[0].saturating_mul(documents as u64);
        Self {
            ids,
            text_bytes: ids.saturating_mul(USUAL[1]),
            ..Self::default()
        }
    }
}

/// Surveys the data of a run. The first look at a slice that was never tokenised takes a tenth of a second; what it finds is
/// kept in the cache of `context` where that has a folder already. Where a guess cannot be made, lengths are `None`: what is wrong is told when the data is
/// loaded.
pub fn survey(
    settings: &DataSettings,
    model: &ModelSettings,
    identified: &Identified,
    context: &DataContext,
) -> Survey {
    let Identified { key, slices, .. } = identified;
    let cache = Cache::new(context.cache.as_deref());
    let counted = |slice| cache.lengths(&slice_cache_key(slice, &key.tokenizer));
    let mut sampler = Sampler::new(settings, key, slices, context);
    let mut sample = |range: &DocumentRange, slice| {
        let is_small = range.range.len() <= LARGEST;
        is_small
            .then(|| sampler.sample(range, slice).ok())
            .flatten()
    };
    let (documents, held_out) = (slices.train.range.len(), slices.validation.range.len());
    let mut preparation = Preparation::of(settings, context);
    let training = counted(&key.train);
    let is_counted = training.is_some();
    let training = training.or_else(|| {
        let found = sample(&slices.train, &key.train);
        preparation.text_bytes = match &found {
            Some(found) => found.text_bytes(documents),
            None => Preparation::usual(documents).text_bytes,
        };
        if let (Some(range), TokenizerKey::TrainBpe { slice, .. }) =
            (&slices.tokenizer, &key.tokenizer)
            && !matches!(
                cache.tokenizer(&tokenizer_cache_key(&key.tokenizer)),
                Found::Hit(_)
            )
        {
            let found = sample(range, slice);
            preparation.learned_bytes =
                found.map_or(0, |found| found.text_bytes(range.range.len()));
        }
        found.map(|found| found.lengths(documents))
    });
    let validation = counted(&key.validation).or_else(|| {
        let found = sample(&slices.validation, &key.validation);
        found.map(|found| found.lengths(held_out))
    });
    let lengths = training.as_deref();
    preparation.ids = lengths.map_or(Preparation::usual(documents).ids, |lengths| {
        lengths.iter().map(|ids| u64::from(*ids)).sum()
    });
    preparation.is_compressed &= !is_counted;
    let seq_len = sequence_length(key.seq_len, model.max_seq_len, lengths.unwrap_or_default()).ok();
    let of_lengths = lengths.zip(seq_len);
    Survey {
        sequences: match key.sequence {
            Sequence::NextToken | Sequence::Discard | Sequence::PadDiscard => Some(documents),
            Sequence::Stream => None,
            policy => of_lengths.and_then(|(lengths, seq_len)| sequences(policy, lengths, seq_len)),
        },
        training_inputs: of_lengths.and_then(|(lengths, seq_len)| {
            input_lengths(key.sequence, lengths, seq_len, key.target_shift)
        }),
        validation_inputs: (validation.as_deref().zip(seq_len))
            .filter(|_| key.sequence != Sequence::Stream)
            .map(|(lengths, seq_len)| validation_lengths(lengths, seq_len, key.target_shift)),
        seq_len,
        training,
        validation,
        is_counted,
        preparation,
    }
}

#[cfg(test)]
mod tests;
