//! Results of a plan's runs for claims, expressions and reports: plain numbers, series and texts.

use super::{Estimate, EvalResult, MetricPoint, RunId, RunRecord, RunStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Results of a plan, in plan order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Name of the spec.
    pub spec: String,
    /// Profile.
    pub profile: String,
    /// One entry per run of the plan, present or not.
    pub runs: Vec<RunResult>,
}

/// Result of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Identity.
    pub id: RunId,
    /// Name in the plan (`25x100,seed=1`).
    pub name: String,
    /// Name without draw and seed, shared by the replicates of one setting (`25x100`).
    pub group: String,
    /// Axis names and values.
    pub axes: Vec<(String, serde_json::Value)>,
    /// Seed.
    pub seed: u64,
    /// Its estimated cost.
    pub estimate: Estimate,
    /// The run's key, as in `key.json`.
    pub key: serde_json::Value,
    /// Finished, failed or missing.
    pub status: RunStatus,
    /// The record, if finished or failed.
    pub record: Option<RunRecord>,
    /// Metrics of the record and of the evaluation by name.
    pub metrics: BTreeMap<String, f64>,
    /// Steps.
    pub series: Vec<MetricPoint>,
    /// Evaluation, if any.
    pub eval: Option<EvalResult>,
    /// Ids per training document (for length histograms).
    pub document_tokens: Vec<u32>,
}

/// Axes whose values are replicates of one setting.
pub const REPLICATE_AXES: [&str; 2] = ["draw", "seed"];

impl RunResult {
    /// The document draw it was trained on; 0 if the spec has no axis of draws.
    pub fn draw(&self) -> u64 {
        let draw = self.axes.iter().find(|(name, _)| name == "draw");
        draw.and_then(|(_, value)| value.as_u64()).unwrap_or(0)
    }
}
