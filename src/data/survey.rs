//! How long the documents of a run are, before the data is loaded: counted where a slice was tokenised before, else guessed from its
//! first documents.

use super::DataContext;
use super::cache::Cache;
use super::identity::{DataKey, Identified, slice_cache_key};
use super::sample::{Sample, Sampler};
use super::sequence::{Shape, input_lengths, sequence_length, sequences, validation_lengths};
use super::slices::DocumentRange;
use super::source::GENERATED_TOGETHER;
use crate::spec::{DataSettings, ModelSettings};

/// Documents of the largest slice whose lengths are guessed.
const LARGEST: usize = 1 << 22;
/// Ids of a document of which nothing is known.
const USUAL: u64 = 350;

/// What is known of the lengths of a run's data.
#[derive(Clone, Debug, Default, PartialEq)]
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
    /// Ids of all training documents.
    pub ids: u64,
    /// Share of a generated corpus that is generated together; 0 for files.
    pub together: f64,
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
    let cache = Cache::new(context);
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
    let is_counted = matches!(training, Known::Counted(_));
    let documents = slices.train.range.len();
    let training = training.lengths(documents);
    let validation = validation.lengths(slices.validation.range.len());
    let unknown = Survey::unknown(documents);
    let ids = |lengths: &Vec<u32>| lengths.iter().map(|ids| u64::from(*ids)).sum();
    Survey {
        is_counted,
        ids: training.as_ref().map_or(unknown.ids, ids),
        together: match slices.train.corpus.path() {
            None => GENERATED_TOGETHER.min(documents) as f64 / documents.max(1) as f64,
            Some(_) => 0.0,
        },
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
    /// Documents of which nothing is known.
    pub fn unknown(documents: usize) -> Self {
        Self {
            ids: USUAL.saturating_mul(documents as u64),
            ..Self::default()
        }
    }

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
        let shape = key.sequence.get().shape();
        Self {
            sequences: match shape {
                Shape::Beginnings => Some(documents),
                Shape::Stream => None,
                Shape::Full | Shape::Chunks { .. } => of_lengths
                    .and_then(|(lengths, seq_len)| sequences(key.sequence, lengths, seq_len)),
            },
            training_inputs: of_lengths.and_then(|(lengths, seq_len)| {
                input_lengths(key.sequence, lengths, seq_len, key.target_shift)
            }),
            validation_inputs: (validation.as_deref().zip(seq_len))
                .filter(|_| shape != Shape::Stream)
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
