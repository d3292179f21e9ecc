//! The runs of a spec whose input is missing: names and, as far as settings determine them, costs. Identities need the
//! text.

use super::Uncounted;
use super::expand::{PlanError, estimated, uncounted};
use crate::data::{DataContext, Survey};
use crate::record::Estimate;
use crate::spec::Spec;
use crate::text::remote::is_address;
use serde_json::Value;
use std::path::PathBuf;

/// The outline of a spec without its input.
#[derive(Clone, Debug)]
pub struct Outline {
    /// Name of the spec.
    pub spec: String,
    /// Profile.
    pub profile: String,
    /// The missing inputs, in words.
    pub missing: Vec<String>,
    /// Runs in plan order.
    pub runs: Vec<Outlined>,
}

/// A run without an identity.
#[derive(Clone, Debug)]
pub struct Outlined {
    /// Stable readable name, unique in the plan.
    pub name: String,
    /// Axis names and values, as in a planned run.
    pub axes: Vec<(String, Value)>,
    /// Seed.
    pub seed: u64,
    /// Estimated cost; `None` if neither `model.vocab_size` nor a trained tokenizer gives the size of the model.
    pub estimate: Option<Estimate>,
    /// The parts of the estimate that are guesses.
    pub uncounted: Uncounted,
}

/// Lists the runs of `spec`; `reason` is why it cannot be planned.
///
/// # Errors
/// `reason` itself, if the input exists but is invalid.
pub fn outline(
    spec: &Spec,
    context: &DataContext,
    reason: PlanError,
) -> Result<Outline, PlanError> {
    let PlanError::Data { source, .. } = &reason;
    if !source.is_absence() {
        return Err(reason);
    }
    let mut missing: Vec<String> = absent_files(spec, context)
        .iter()
        .map(|path| format!("`{}` is not there", path.display()))
        .collect();
    if missing.is_empty() {
        missing.push(source.to_string());
    }
    let runs = spec.runs.iter().map(|run| {
        let settings = &run.settings;
        let unknown = Survey::unknown(settings.data.train.take);
        let entries = settings.data.tokenizer.entries();
        let entries = entries.or(settings.model.vocab_size);
        Outlined {
            name: run.name.clone(),
            axes: run.axes.clone(),
            seed: settings.train.seed,
            uncounted: uncounted(settings, &unknown),
            estimate: entries.map(|vocab_size| {
                let model = settings.model.resolve(vocab_size);
                estimated(settings, &model, &unknown)
            }),
        }
    });
    Ok(Outline {
        spec: spec.name.clone(),
        profile: spec.profile.clone(),
        missing,
        runs: runs.collect(),
    })
}

/// Missing files and folders of all runs, each once, in order of first use.
fn absent_files(spec: &Spec, context: &DataContext) -> Vec<PathBuf> {
    let mut absent: Vec<PathBuf> = Vec::new();
    for run in &spec.runs {
        let data = &run.settings.data;
        let corpora = [&data.train, &data.validation, &data.test]
            .into_iter()
            .filter(|slice| slice.take > 0 || data.split.is_some())
            .map(|slice| slice.corpus.as_ref().unwrap_or(&data.corpus));
        let tokenizer = data.tokenizer.path();
        let corpora = corpora.flat_map(|corpus| crate::data::absent_files(corpus, context));
        let tokenizer = tokenizer.and_then(|path| match is_address(path) {
            true => context
                .fetched
                .files(path)
                .is_err()
                .then(|| path.to_owned()),
            false => Some(context.resolve(path)),
        });
        for path in corpora.chain(tokenizer) {
            if !path.exists() && !absent.contains(&path) {
                absent.push(path);
            }
        }
    }
    absent
}
