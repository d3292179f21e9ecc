//! The identity of an evaluation, made of the run and the evaluation settings. A new prompt never retrains.

use crate::data::identity::SliceKey;
use crate::digest::Sha256Hex;
use crate::record::{EvalId, RunId};
use crate::spec::EvalSettings;
use serde::{Deserialize, Serialize};

/// Version of the evaluation computations; raise it with every change of an evaluation's numbers.
pub const EVAL_RECIPE: u32 = 5;

const DOMAIN: &[u8] = b"specbook.eval.v1\n";

/// Everything that can change an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvalKey {
    /// [`EVAL_RECIPE`].
    pub recipe: u32,
    /// The run whose weights are evaluated.
    pub run: RunId,
    /// Perplexity sets, samples, random windows.
    pub eval: EvalSettings,
    /// The test slice, if scored (the validation slice is in the run's key).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<SliceKey>,
}

impl EvalKey {
    /// The identity.
    pub fn id(&self) -> EvalId {
        let mut bytes = DOMAIN.to_vec();
        serde_json::to_writer(&mut bytes, self)
            .expect("a key holds only strings and finite numbers, checked by `spec::validate`");
        EvalId(Sha256Hex::of(&bytes))
    }
}
