//! Document lengths of a run before its data is loaded: counted if a slice was tokenised before, otherwise estimated
//! from its first documents.

use super::DataContext;
use super::cache::Cache;
use super::identity::{DataKey, Identified, slice_cache_key};
use super::sample::{Sample, Sampler};
use super::sequence::{Shape, input_lengths, sequence_length, sequences, validation_lengths};
use super::slices::DocumentRange;
use super::source::GENERATED_TOGETHER;
use crate::spec::{DataSettings, ModelSettings};

/// Largest slice, in documents, whose lengths are estimated.
const LARGEST: usize = 1 << 22;
/// Assumed ids of an unknown document.
const USUAL: u64 = 350;

/// Known or estimated lengths of a run's data.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Survey {
    /// Ids of each training document.
    pub training: Option<Vec<u32>>,
    /// Ids of each validation document.
    pub validation: Option<Vec<u32>>,
    /// Whether all training documents were counted.
    pub is_counted: bool,
    /// Positions of each training sequence; `None` also for a stream.
    pub training_inputs: Option<Vec<u32>>,
    /// Positions of each validation sequence; `None` also for a stream.
    pub validation_inputs: Option<Vec<u32>>,
    /// Training sequences, if they follow from the settings or the lengths; `None` for a stream.
    pub sequences: Option<usize>,
    /// Positions of a full sequence, if they follow from the settings or the lengths.
    pub seq_len: Option<usize>,
    /// Ids of all training documents.
    pub ids: u64,
    /// Share of a generated corpus that is generated at once; 0 for files.
    pub together: f64,
}

/// The extent of a survey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// Only lengths counted before.
    Counts,
    /// Also the first documents of untokenised slices, which takes about 0.1 s. The results are cached if the cache
    /// folder exists.
    Documents,
}

/// Surveys the data of a run. Lengths that cannot be estimated are `None`: errors are reported when the data is loaded.
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

/// Known facts about the documents of a slice.
enum Known {
    /// Number of ids of each.
    Counted(Vec<u32>),
    /// A sample of the first documents.
    Sampled(Sample),
    Nothing,
}

impl Known {
    /// Lengths in ids of `documents` documents.
    fn lengths(self, documents: usize) -> Option<Vec<u32>> {
        match self {
            Self::Counted(lengths) => Some(lengths),
            Self::Sampled(found) => Some(found.lengths(documents)),
            Self::Nothing => None,
        }
    }
}

impl Survey {
    /// A survey of `documents` unknown documents.
    pub fn unknown(documents: usize) -> Self {
        Self {
            ids: USUAL.saturating_mul(documents as u64),
            ..Self::default()
        }
    }

    /// A survey from the lengths of training and validation documents.
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
