//! From a spec to runs with identities. Pure: trains nothing, renders nothing; reads inputs only to digest them.

mod run_key;

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
    /// Decoded settings.
    pub settings: Settings,
    /// The model, decided.
    pub model: ModelConfig,
    /// What it will cost.
    pub estimate: Estimate,
}
