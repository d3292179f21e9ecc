//! Expands a checked spec into runs with identities.

use super::estimate::{DataCounts, estimate};
use super::eval_key::{EVAL_RECIPE, EvalKey};
use super::memory::Held;
use super::{Plan, RECIPE, Run, RunKey, Uncounted};
use crate::data::batch::Length;
use crate::data::sequence::Shape;
use crate::data::{
    DataContext, DataError, Identified, KnownData, Look, Survey, identify, resolve_split, survey,
};
use crate::digest::Sha256Hex;
use crate::record::{Counts, Estimate};
use crate::spec::{ModelConfig, PerplexitySettings, SeqLen, Settings, Spec, Split, TrainSettings};
use rayon::prelude::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why a plan cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A run's data cannot be identified.
    #[error("run `{run}` of `{spec}`: {source}")]
    Data {
        /// Name of the spec.
        spec: String,
        /// Name of the run.
        run: String,
        /// What is wrong with the data.
        source: Box<DataError>,
    },
}

/// Maximum number of data settings per plan whose untokenised documents are sampled, to keep this within seconds.
const SAMPLED: usize = 32;

/// Gives every run of `spec` its identity and its estimate. Reads input files only to digest them and to sample the
/// first documents of slices that were never tokenised.
///
/// # Errors
/// A corpus or tokenizer that is missing, damaged or too small for the slices.
pub fn expand(spec: &Spec, context: &DataContext) -> Result<Plan, PlanError> {
    expand_known(spec, context, &KnownPlan::new())
}

/// As [`expand`], with data `known` from an earlier plan in place of missing files.
///
/// # Errors
/// As [`expand`].
pub fn expand_known(
    spec: &Spec,
    context: &DataContext,
    known: &KnownPlan,
) -> Result<Plan, PlanError> {
    let written = spec;
    let spec = &*with_slices(spec, context, known)?;
    let mut indices: BTreeMap<String, usize> = BTreeMap::new();
    let mut keep = KnownPlan::new();
    let mut data: Vec<(Identified, Survey)> = Vec::new();
    let mut of_run = Vec::with_capacity(spec.runs.len());
    for (run, written) in spec.runs.iter().zip(&written.runs) {
        let settings = &run.settings;
        let memo = memo_key(settings);
        let index = match indices.get(&memo) {
            Some(index) => *index,
            None => {
                let (of_data, of_model) = (&settings.data, &settings.model);
                let name = known_name(&written.settings);
                let identified = match (identify(of_data, of_model, context), known.get(&name)) {
                    (Err(error), Some(known)) if error.is_missing_file() => {
                        known.identified(of_data, context)
                    }
                    (identified, _) => identified,
                };
                let identified =
                    identified.map_err(|source| data_error(spec, &run.name, source))?;
                let split = written.settings.data.split.is_some();
                keep.insert(name, identified.known(split.then(|| of_data.clone())));
                let look = match data.len() {
                    ..SAMPLED => Look::Documents,
                    _ => Look::Counts,
                };
                let survey = survey(of_data, of_model, &identified, context, look);
                data.push((identified, survey));
                indices.insert(memo, data.len() - 1);
                data.len() - 1
            }
        };
        of_run.push(index);
    }
    let runs = spec.runs.par_iter().zip(&of_run).with_min_len(64);
    let runs = runs.map(|(run, index)| {
        let (name, axes) = (run.name.clone(), run.axes.clone());
        planned(name, axes, &run.settings, &data[*index])
    });
    let runs = runs.collect();
    Ok(Plan {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        runs,
        data: keep,
    })
}

/// Known data, by the data settings.
pub type KnownPlan = BTreeMap<String, KnownData>;

/// The key of the data settings in a [`KnownPlan`].
fn known_name(settings: &Settings) -> String {
    Sha256Hex::of(memo_key(settings).as_bytes()).short()
}

fn data_error(spec: &Spec, run: &str, source: DataError) -> PlanError {
    PlanError::Data {
        spec: spec.name.clone(),
        run: run.to_owned(),
        source: Box::new(source),
    }
}

/// The spec with every `data.split` replaced by slices of documents.
fn with_slices<'a>(
    spec: &'a Spec,
    context: &DataContext,
    known: &KnownPlan,
) -> Result<Cow<'a, Spec>, PlanError> {
    let mut spec = Cow::Borrowed(spec);
    for index in 0..spec.runs.len() {
        if spec.runs[index].settings.data.split.is_some() {
            let run = &mut spec.to_mut().runs[index];
            let kept = known.get(&known_name(&run.settings));
            let kept = kept.and_then(|known| known.resolved.clone());
            let (name, settings) = (run.name.clone(), Arc::make_mut(&mut run.settings));
            match (resolve_split(&mut settings.data, context), kept) {
                (Err(error), Some(resolved)) if error.is_missing_file() => settings.data = resolved,
                (result, _) => result.map_err(|source| data_error(&spec, &name, source))?,
            }
        }
    }
    Ok(spec)
}

/// All settings that `identify` and `survey` read.
fn memo_key(settings: &Settings) -> String {
    serde_json::to_string(&(&settings.data, settings.model.max_seq_len))
        .expect("settings hold only strings and finite numbers")
}

fn planned(
    name: String,
    axes: Vec<(String, serde_json::Value)>,
    settings: &Settings,
    (identified, survey): &(Identified, Survey),
) -> Run {
    let model = settings.model.resolve(identified.vocab_size);
    let key = RunKey {
        recipe: RECIPE,
        data: identified.key.clone(),
        model: model.clone(),
        train: with_defaults(&settings.train),
    };
    let id = key.id();
    let scores_test = matches!(
        settings.eval.perplexity,
        Some(PerplexitySettings {
            split: Split::Test,
            ..
        })
    );
    let eval_key = EvalKey {
        recipe: EVAL_RECIPE,
        run: id,
        eval: settings.eval.clone(),
        test: scores_test.then(|| identified.test.clone()).flatten(),
    };
    let estimate = estimated(settings, &model, survey);
    Run {
        id,
        eval_id: eval_key.id(),
        name,
        axes,
        seed: settings.train.seed,
        key,
        eval_key,
        settings: settings.clone(),
        model,
        estimate,
        uncounted: uncounted(settings, survey),
    }
}

/// The settings with the one default that depends on another setting written out.
fn with_defaults(train: &TrainSettings) -> TrainSettings {
    let is_open = train.max_steps.is_none() && train.max_tokens.is_none();
    let epochs = train.epochs.or(is_open.then_some(1));
    TrainSettings {
        epochs,
        ..train.clone()
    }
}

/// The estimates of a run that need the text and are not known from `survey`.
pub(super) fn uncounted(settings: &Settings, survey: &Survey) -> Uncounted {
    let (data, train) = (&settings.data, &settings.train);
    let shape = data.sequence.get().shape();
    let by_document = matches!(shape, Shape::Beginnings | Shape::Stream);
    let is_full = matches!(shape, Shape::Full | Shape::Stream);
    let is_known = survey.is_counted;
    let is_stream = shape == Shape::Stream;
    let is_counted = is_stream || is_known && train.ignore_index.is_none();
    let is_length_open = data.seq_len == SeqLen::Shortest && !is_known;
    Uncounted {
        sequences: (!by_document && !is_known)
            || is_length_open
            || (train.max_tokens.is_some() && !is_counted),
        lengths: is_length_open || !is_full && !is_known,
        is_sampled: !is_known && survey.training.is_some(),
    }
}

/// The cost of training `model`. If nothing is known of the text, it assumes one sequence per document and the longest
/// possible length for `shortest`.
pub(super) fn estimated(settings: &Settings, model: &ModelConfig, survey: &Survey) -> Estimate {
    let data = &settings.data;
    let is_endless = data.sequence.get().shape() == Shape::Stream;
    let sequences = (!is_endless).then(|| survey.sequences.unwrap_or(data.train.take));
    let seq_len = match data.seq_len {
        SeqLen::Tokens(tokens) => tokens,
        SeqLen::Max => model.max_seq_len,
        SeqLen::Shortest => survey.seq_len.unwrap_or(model.max_seq_len),
    };
    let lengths = survey.training_inputs.as_deref();
    let targets = |index: usize| {
        let known = lengths.and_then(|known| known.get(index));
        known.map_or(seq_len, |length| *length as usize)
    };
    let counts = DataCounts {
        sequences,
        validation: data.validation.take,
        seq_len,
        training_len: mean(lengths).unwrap_or(seq_len as f64),
        validation_len: mean(survey.validation_inputs.as_deref()).unwrap_or(seq_len as f64),
        length: Length::of(sequences, &settings.train, targets),
        held: Held {
            longest: [
                longest(lengths).unwrap_or(seq_len),
                longest(survey.validation_inputs.as_deref()).unwrap_or(seq_len),
            ],
            ids: survey.ids,
            is_text: !survey.is_counted,
            together: survey.together,
        },
    };
    estimate(model, settings, counts)
}

fn longest(lengths: Option<&[u32]>) -> Option<usize> {
    lengths?.iter().max().map(|length| *length as usize)
}

fn mean(lengths: Option<&[u32]>) -> Option<f64> {
    let lengths = lengths.filter(|lengths| !lengths.is_empty())?;
    let sum: u64 = lengths.iter().map(|length| u64::from(*length)).sum();
    Some(sum as f64 / lengths.len() as f64)
}

impl Run {
    /// The estimate from the counts of the trained run.
    pub fn estimate_of(&self, counts: &Counts) -> Estimate {
        let sequences = Some(counts.sequences as usize);
        let of_length = |seq_len| {
            let counted = Survey {
                sequences,
                seq_len: Some(seq_len),
                ..Survey::default()
            };
            estimated(&self.settings, &self.model, &counted)
        };
        let train = &self.settings.train;
        // Number of sequences; targets ignored by the loss are not among the tokens.
        let trained = match train.max_tokens {
            Some(_) => counts.steps * (train.batch_size * train.grad_accum_steps) as u64,
            None => of_length(1).tokens,
        };
        let mean = counts.tokens.div_ceil(trained.max(1));
        Estimate {
            steps: counts.steps,
            ..of_length(mean.max(1) as usize)
        }
    }
}
