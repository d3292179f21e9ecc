//! From a checked spec to runs with identities.

use super::estimate::{DataCounts, estimate};
use super::eval_key::{EVAL_RECIPE, EvalKey};
use super::positions::{Lengths, Positions};
use super::{Plan, RECIPE, Run, RunKey};
use crate::data::{DataContext, Identified, identify};
use crate::record::{Counts, Estimate};
use crate::spec::{
    DataSettings, ModelConfig, PerplexitySettings, SeqLen, Sequence, Settings, Spec, Split,
    TrainSettings,
};
use rayon::prelude::*;
use std::collections::BTreeMap;

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
        source: Box<crate::data::DataError>,
    },
}

/// Gives every run of `spec` its identity and its estimate. Reads input files only to digest them.
///
/// # Errors
/// A corpus or tokenizer that is missing, damaged or too small for the slices.
pub fn expand(spec: &Spec, context: &DataContext) -> Result<Plan, PlanError> {
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut identities: Vec<Identified> = Vec::new();
    let mut of_run = Vec::with_capacity(spec.runs.len());
    for run in &spec.runs {
        let settings = &run.settings;
        let memo = memo_key(settings);
        let index = match known.get(&memo) {
            Some(index) => *index,
            None => {
                let identified =
                    identify(&settings.data, &settings.model, context).map_err(|source| {
                        PlanError::Data {
                            spec: spec.name.clone(),
                            run: run.name.clone(),
                            source: Box::new(source),
                        }
                    })?;
                identities.push(identified);
                known.insert(memo, identities.len() - 1);
                identities.len() - 1
            }
        };
        of_run.push(index);
    }
    let runs = spec.runs.par_iter().zip(&of_run).with_min_len(64);
    let runs = runs.map(|(run, index)| {
        let (name, axes) = (run.name.clone(), run.axes.clone());
        planned(name, axes, &run.settings, &identities[*index])
    });
    let runs = runs.collect();
    Ok(Plan {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        runs,
    })
}

/// Everything that `identify` looks at.
fn memo_key(settings: &Settings) -> String {
    serde_json::to_string(&(&settings.data, settings.model.max_seq_len))
        .expect("settings hold only strings and finite numbers")
}

fn planned(
    name: String,
    axes: Vec<(String, serde_json::Value)>,
    settings: &Settings,
    identified: &Identified,
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
    let estimate = estimated(
        settings,
        &model,
        identified.sequences,
        identified.seq_len,
        Lengths::of(identified),
    );
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
        awaits_text: awaits_text(&settings.data, identified.sequences, identified.seq_len),
    }
}

/// The settings with the one default written out that depends on another setting.
fn with_defaults(train: &TrainSettings) -> TrainSettings {
    let epochs = train.epochs.or(train.max_steps.is_none().then_some(1));
    TrainSettings {
        epochs,
        ..train.clone()
    }
}

/// Whether only the text tells how many sequences it makes, or how long they are, and it has not been counted yet.
pub(super) fn awaits_text(
    data: &DataSettings,
    sequences: Option<usize>,
    seq_len: Option<usize>,
) -> bool {
    let by_document = matches!(
        data.sequence,
        Sequence::NextToken | Sequence::Discard | Sequence::PadDiscard | Sequence::Stream
    );
    (!by_document && sequences.is_none()) || (data.seq_len == SeqLen::Shortest && seq_len.is_none())
}

/// The cost of training `model`; where the text would have to be read, sequences count as one a document and a length of
/// `shortest` as the longest possible.
pub(super) fn estimated(
    settings: &Settings,
    model: &ModelConfig,
    sequences: Option<usize>,
    seq_len: Option<usize>,
    lengths: Lengths<'_>,
) -> Estimate {
    let data = &settings.data;
    let sequences = match data.sequence {
        Sequence::Stream => None,
        _ => Some(sequences.unwrap_or(data.train.take)),
    };
    let seq_len = match data.seq_len {
        SeqLen::Tokens(tokens) => tokens,
        SeqLen::Max => model.max_seq_len,
        SeqLen::Shortest => seq_len.unwrap_or(model.max_seq_len),
    };
    let counts = DataCounts {
        sequences,
        validation: data.validation.take,
        seq_len,
        positions: Positions::of(settings, model, seq_len, sequences, lengths),
    };
    estimate(model, &settings.train, counts)
}

impl Run {
    /// The estimate by what was counted when the run was trained.
    pub fn estimate_of(&self, counts: &Counts) -> Estimate {
        let sequences = Some(counts.sequences as usize);
        let of_length = |seq_len| {
            let lengths = Lengths::default();
            estimated(
                &self.settings,
                &self.model,
                sequences,
                Some(seq_len),
                lengths,
            )
        };
        // So many sequences; targets that the loss ignores are not among the tokens.
        let trained = of_length(1).tokens.max(1);
        of_length(counts.tokens.div_ceil(trained).max(1) as usize)
    }
}
