//! How long the documents of a run are, and what there is to prepare, before the data is loaded: counted where a slice was tokenised
//! before, else guessed from its first documents.

use super::DataContext;
use super::cache::{Cache, Found};
use super::identity::{DataKey, Identified, TokenizerKey, slice_cache_key, tokenizer_cache_key};
use super::sample::{Sample, Sampler};
use super::sequence::{input_lengths, sequence_length, sequences, validation_lengths};
use super::slices::DocumentRange;
use super::source::GENERATED_TOGETHER;
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
    /// Bytes of text that are generated together, where the corpus is generated and still to be tokenised.
    pub generated_bytes: u64,
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
            Tokenizer::File(file) => std::fs::metadata(context.resolve(&file.path)).ok(),
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

/// How far a survey looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// At what was counted before.
    Counts,
    /// Also at the first documents of slices that were never tokenised, which takes a tenth of a second. What it finds is kept
    /// in the cache where that has a folder already.
    Documents,
}

/// Surveys the data of a run. Where a guess cannot be made, lengths are `None`: what is wrong is told when the data is loaded.
pub fn survey(
    settings: &DataSettings,
    model: &ModelSettings,
    identified: &Identified,
    context: &DataContext,
    look: Look,
) -> Survey {
    let Identified { key, slices, .. } = identified;
    let cache = Cache::new(context.cache.as_deref());
    let mut sampler = Sampler::new(settings, key, slices, context);
    let mut sample = |range: &DocumentRange, slice| {
        let looks = look == Look::Documents && range.range.len() <= LARGEST;
        looks.then(|| sampler.sample(range, slice).ok()).flatten()
    };
    let mut known = |range, slice| {
        let counted = cache.lengths(&slice_cache_key(slice, &key.tokenizer));
        match counted {
            Some(lengths) => Known::Counted(lengths),
            None => sample(range, slice).map_or(Known::Nothing, Known::Sampled),
        }
    };
    let training = known(&slices.train, &key.train);
    let validation = known(&slices.validation, &key.validation);
    let mut preparation = Preparation::of(settings, context);
    let documents = slices.train.range.len();
    match &training {
        Known::Counted(_) => preparation.is_compressed = false,
        Known::Sampled(found) => {
            preparation.text_bytes = found.text_bytes(documents);
            if slices.train.corpus.path().is_none() {
                preparation.generated_bytes = found.text_bytes(documents.min(GENERATED_TOGETHER));
            }
        }
        Known::Nothing => preparation.text_bytes = Preparation::usual(documents).text_bytes,
    }
    let is_counted = matches!(training, Known::Counted(_));
    if let (Some(range), TokenizerKey::TrainBpe { slice, .. }) = (&slices.tokenizer, &key.tokenizer)
        && !is_counted
        && !matches!(
            cache.tokenizer(&tokenizer_cache_key(&key.tokenizer)),
            Found::Hit(_)
        )
    {
        let found = sample(range, slice).unwrap_or_default();
        preparation.learned_bytes = found.text_bytes(range.range.len());
    }
    let training = training.lengths(documents);
    let validation = validation.lengths(slices.validation.range.len());
    preparation.ids = training
        .as_ref()
        .map_or(Preparation::usual(documents).ids, |lengths| {
            lengths.iter().map(|ids| u64::from(*ids)).sum()
        });
    Survey {
        is_counted,
        preparation,
        ..Survey::of(key, model, documents, [training, validation])
    }
}

/// What is known of the documents of a slice.
enum Known {
    /// Ids of each.
    Counted(Vec<u32>),
    /// The first ones.
    Sampled(Sample),
    Nothing,
}

impl Known {
    /// Ids of each of so many documents.
    fn lengths(self, documents: usize) -> Option<Vec<u32>> {
        match self {
            Self::Counted(lengths) => Some(lengths),
            Self::Sampled(found) => Some(found.lengths(documents)),
            Self::Nothing => None,
        }
    }
}

impl Survey {
    /// What follows from the lengths of training and validation documents.
    fn of(
        key: &DataKey,
        model: &ModelSettings,
        documents: usize,
        [training, validation]: [Option<Vec<u32>>; 2],
    ) -> Self {
        let lengths = training.as_deref();
        let seq_len =
            sequence_length(key.seq_len, model.max_seq_len, lengths.unwrap_or_default()).ok();
        let of_lengths = lengths.zip(seq_len);
        Self {
            sequences: match key.sequence {
                Sequence::NextToken | Sequence::Discard | Sequence::PadDiscard => Some(documents),
                Sequence::Stream => None,
                policy => {
                    of_lengths.and_then(|(lengths, seq_len)| sequences(policy, lengths, seq_len))
                }
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
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
