//! The initial weights of a run that starts from an imported model.

use crate::plan::Run;
use crate::spec::ModelConfig;
use crate::store::{Store, StoreError};
use crate::train::Weights;

/// Why a run cannot start from an imported model.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It is missing or is a different model.
    #[error("{0}")]
    Model(String),
}

/// The weights named by `train.init_from`, with a note for readers; `None` if the run draws its own.
///
/// # Errors
/// A model that is not in the store, is damaged, or differs from that of the run.
pub(super) fn start(
    store: &Store,
    run: &Run,
    tokenizer: &crate::digest::Sha256Hex,
) -> Result<Option<(Weights, Option<String>)>, StartError> {
    let Some(id) = &run.settings.train.init_from else {
        return Ok(None);
    };
    let Some(record) = store.model(id)? else {
        return Err(StartError::Model(format!(
            "`train.init_from` names the model {}, which is not in the store; `specbook import` puts it there",
            id.short()
        )));
    };
    let differing = differing(&run.model, &record.key.model);
    if !differing.is_empty() {
        return Err(StartError::Model(format!(
            "the section `model` is not that of `{}`, which `train.init_from` names: {}",
            record.name,
            differing.join(", ")
        )));
    }
    let other = record.key.tokenizer != *tokenizer;
    let note = other.then(|| {
        format!(
            "run `{}` begins with the model `{}`, whose tokenizer is another file: right only if it gives the same ids",
            run.name, record.name
        )
    });
    Ok(Some((store.model_weights(&record)?, note)))
}

/// The settings in which two models differ, in words, ignoring initialiser and dropout.
fn differing(ours: &ModelConfig, theirs: &ModelConfig) -> Vec<String> {
    let same = ModelConfig {
        dropout: ours.dropout,
        init: ours.init,
        ..theirs.clone()
    };
    let [ours, theirs] = [ours, &same].map(|model| serde_json::to_value(model).unwrap_or_default());
    let fields = ours.as_object().into_iter().flatten();
    fields
        .filter(|(name, value)| theirs[name.as_str()] != **value)
        .map(|(name, value)| format!("`{name}` is {value}, not {}", theirs[name.as_str()]))
        .collect()
}
