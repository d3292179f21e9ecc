//! Synthetic runs for testing expressions and claims.

use crate::digest::Sha256Hex;
use crate::record::{
    Counts, Digests, Estimate, MetricPoint, Numerics, Provenance, RECORD_FORMAT, Results, RunId,
    RunRecord, RunResult, RunStatus, Timing,
};
use serde_json::json;
use std::collections::BTreeMap;

/// A finished run whose curve falls from 10 by `slope` per step, over 10 steps.
pub(crate) fn run(
    group: &str,
    axes: &[(&str, serde_json::Value)],
    seed: u64,
    slope: f64,
) -> RunResult {
    let digest = Sha256Hex::of(group.as_bytes());
    let point = |step: u64| MetricPoint {
        step,
        epoch: step as f64 / 5.0,
        tokens: step * 100,
        train_loss: 10.0 - slope * step as f64,
        val_loss: step.is_multiple_of(2).then_some(10.5 - slope * step as f64),
        ..MetricPoint::default()
    };
    RunResult {
        id: RunId(digest),
        name: format!("{group},seed={seed}"),
        group: group.to_owned(),
        axes: axes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        seed,
        estimate: Estimate::default(),
        key: json!({"train": {"epochs": 2, "optimizer": {"adamw": {"learning_rate": 0.001}}}}),
        status: RunStatus::Cached,
        record: Some(RunRecord {
            format: RECORD_FORMAT,
            id: RunId(digest),
            name: group.to_owned(),
            spec: "test".to_owned(),
            status: RunStatus::Cached,
            key: json!({}),
            numerics: Numerics {
                engine: "fake".to_owned(),
                recipe: 0,
                isa: "none".to_owned(),
                dtype: "f32".to_owned(),
            },
            counts: Counts {
                params: 1_234_567,
                steps: 10,
                tokens: 1000,
                docs: 25,
                sequences: 25,
            },
            metrics: BTreeMap::new(),
            digests: Digests {
                weights: None,
                metrics: digest,
                tokenizer: digest,
                ids: None,
            },
            files: BTreeMap::new(),
            notes: Vec::new(),
            failure: None,
            timing: Timing::default(),
            provenance: Provenance::default(),
        }),
        metrics: BTreeMap::from([("perplexity".to_owned(), 6.25)]),
        series: (1..=10).map(point).collect(),
        eval: None,
        document_tokens: vec![3, 5, 10],
    }
}

/// Two axes, two seeds; `dim` 512 learns faster.
pub(crate) fn grid(seeds: &[u64]) -> Results {
    let mut runs = Vec::new();
    for dim in [128, 512] {
        for layers in [2, 4, 8] {
            for &seed in seeds {
                let slope = dim as f64 / 1024.0 + 0.01 * seed as f64 + 0.001 * layers as f64;
                let axes = [
                    ("dim", json!(dim)),
                    ("n_layers", json!(layers)),
                    ("seed", json!(seed)),
                ];
                runs.push(run(
                    &format!("dim={dim},n_layers={layers}"),
                    &axes,
                    seed,
                    slope,
                ));
            }
        }
    }
    Results {
        spec: "test".to_owned(),
        profile: "desk".to_owned(),
        runs,
    }
}
