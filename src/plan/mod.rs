//! Turns a spec into runs with identities. Trains and renders nothing; reads inputs only to digest and sample them.

mod diff;
mod estimate;
mod eval_key;
mod expand;
mod memory;
mod model_key;
mod outline;
mod run_key;
#[cfg(test)]
mod tests;

pub use diff::{Change, Nearest, changes};
pub use estimate::forward_flops;
#[cfg(test)]
pub use eval_key::EVAL_RECIPE;
pub use eval_key::EvalKey;
pub use expand::{KnownPlan, PlanError, expand, expand_known};
pub use model_key::ModelKey;
pub use outline::{Outline, Outlined, outline};
pub use run_key::{RECIPE, RunKey};

use crate::record::{Estimate, EvalId, RunId};
use crate::spec::{ModelConfig, Settings};

/// The runs of a spec, in order.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the spec.
    pub spec: String,
    /// Profile.
    pub profile: String,
    /// Runs in plan order; two runs may share an id.
    pub runs: Vec<Run>,
    /// What is known about their data: enough to rebuild the plan without the text.
    pub data: KnownPlan,
}

/// A run of a plan.
#[derive(Clone, Debug)]
pub struct Run {
    /// Identity.
    pub id: RunId,
    /// Identity of its evaluation (run and evaluation settings).
    pub eval_id: EvalId,
    /// Stable readable name, unique in the plan.
    pub name: String,
    /// Axis names and values, in axis order, including `seed` if there are several.
    pub axes: Vec<(String, serde_json::Value)>,
    /// Seed.
    pub seed: u64,
    /// The key behind the identity.
    pub key: RunKey,
    /// The key behind the evaluation's identity.
    pub eval_key: EvalKey,
    /// Decoded settings.
    pub settings: Settings,
    /// The resolved model.
    pub model: ModelConfig,
    /// Estimated cost.
    pub estimate: Estimate,
    /// The parts of the estimate that are guesses.
    pub uncounted: Uncounted,
}

/// Quantities that need the text and have not been counted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// The number of sequences, or of steps within a token budget.
    pub sequences: bool,
    /// The lengths of sequences that may be shorter than the full length.
    pub lengths: bool,
    /// Whether the estimate uses the lengths of the first documents; otherwise it assumes one full sequence per
    /// document.
    pub is_sampled: bool,
}

impl Uncounted {
    /// Whether anything is uncounted.
    pub fn any(self) -> bool {
        self.sequences || self.lengths
    }
}

impl Run {
    /// Name without draw and seed, shared by the replicates of one setting.
    pub fn group(&self) -> &str {
        crate::record::setting_of(&self.name, self.settings.data.draw, self.seed)
    }

    /// The imported model it starts from.
    pub fn init_from(&self) -> Option<crate::digest::Sha256Hex> {
        self.settings.train.init_from
    }
}
