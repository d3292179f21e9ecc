//! From a spec to runs with identities. Pure: trains nothing, renders nothing; reads inputs only to digest them.

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
    /// What is known of their data: enough to make the plan again without the text.
    pub data: KnownPlan,
}

/// A run of a plan.
#[derive(Clone, Debug)]
pub struct Run {
    /// Identity.
    pub id: RunId,
    /// Identity of its evaluation (run and evaluation settings).
    pub eval_id: EvalId,
    /// Stable human name, unique in the plan.
    pub name: String,
    /// Axis names and values, in axis order, `seed` included where there are several.
    pub axes: Vec<(String, serde_json::Value)>,
    /// Seed.
    pub seed: u64,
    /// What the identity is made of.
    pub key: RunKey,
    /// What its evaluation's identity is made of.
    pub eval_key: EvalKey,
    /// Decoded settings.
    pub settings: Settings,
    /// The model, decided.
    pub model: ModelConfig,
    /// What it will cost.
    pub estimate: Estimate,
    /// What of the estimate is a guess.
    pub uncounted: Uncounted,
}

/// What only the text tells and has not been counted yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uncounted {
    /// How many sequences there are, or in how many steps a budget of tokens is spent.
    pub sequences: bool,
    /// How long sequences are that may be shorter than the full length.
    pub lengths: bool,
    /// Whether the estimate has lengths like those of the first documents; else it has one full sequence a document.
    pub is_sampled: bool,
}

impl Uncounted {
    /// Whether anything is.
    pub fn any(self) -> bool {
        self.sequences || self.lengths
    }
}

impl Run {
    /// Name without draw and seed: equal for the replicates of one setting.
    pub fn group(&self) -> &str {
        crate::record::setting_of(&self.name, self.settings.data.draw, self.seed)
    }

    /// The imported model that it begins with.
    pub fn init_from(&self) -> Option<crate::digest::Sha256Hex> {
        self.settings.train.init_from
    }
}
