//! Cases and shapes to measure.

use crate::data::{SequenceSet, TrainingData};
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, ModelConfig, ModelSettings, TrainSettings};
use crate::train::TrainJob;
use serde::Deserialize;
use serde_json::json;

/// A model with the size of its batches.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Its name: `llama-s`.
    pub name: String,
    /// The model.
    pub model: ModelConfig,
    /// Positions per sequence (T).
    pub seq_len: usize,
    /// Sequences per batch (B).
    pub batch_size: usize,
}

/// An entry of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    arch: Arch,
    dim: usize,
    n_layers: usize,
    n_heads: usize,
    hidden_dim: usize,
    vocab_size: usize,
    seq_len: usize,
    batch_size: usize,
}

/// All shapes, in order of measurement.
pub fn shapes() -> Vec<Shape> {
    let file: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(include_str!("shapes.json")).expect("the embedded file is an object");
    let shape = |(name, value): (String, serde_json::Value)| {
        let entry: Entry = serde_json::from_value(value).expect("its values are shapes");
        Shape {
            name,
            model: entry.model(),
            seq_len: entry.seq_len,
            batch_size: entry.batch_size,
        }
    };
    file.into_iter().map(shape).collect()
}

impl Entry {
    fn model(&self) -> ModelConfig {
        let settings = json!({
            "arch": self.arch,
            "dim": self.dim,
            "n_layers": self.n_layers,
            "n_heads": self.n_heads,
            "max_seq_len": self.seq_len,
        });
        let settings: ModelSettings =
            serde_json::from_value(settings).expect("these are the settings without defaults");
        ModelConfig {
            hidden_dim: self.hidden_dim,
            ..settings.resolve(self.vocab_size)
        }
    }
}

/// A training job to measure.
#[derive(Clone, Debug)]
pub struct Case {
    /// Name in results.
    pub name: String,
    /// The model.
    pub model: ModelConfig,
    /// Loss, optimizer, batch size.
    pub train: TrainSettings,
    /// Training data.
    pub data: TrainingData,
    /// Positions of a full sequence, for counting operations.
    pub seq_len: usize,
}

/// Number of synthetic batches before they repeat.
const BATCHES: usize = 4;

impl Case {
    /// The training job of this case, from fresh weights, with the settings `train` instead of its own.
    pub fn job<'a>(
        &'a self,
        train: &'a TrainSettings,
        validation: &'a SequenceSet,
        threads: usize,
    ) -> TrainJob<'a> {
        TrainJob {
            model: &self.model,
            train,
            data: &self.data,
            validation,
            start: None,
            threads,
        }
    }

    /// The training of `shape`: AdamW and cross-entropy on random ids.
    pub fn of_shape(shape: &Shape) -> Self {
        let train = json!({
            "batch_size": shape.batch_size,
            "optimizer": {"adamw": {"learning_rate": 1e-3}},
            "validate": {"every": "end"},
        });
        let classes = shape.model.vocab_size as u64;
        let mut set = SequenceSet::new();
        for sequence in 0..BATCHES * shape.batch_size {
            let draws = Stream::new(0, Purpose::Corpus, sequence as u64);
            let ids: Vec<u32> = (0..=shape.seq_len as u64)
                .map(|at| draws.below(at, classes) as u32)
                .collect();
            set.push(&ids[..shape.seq_len], &ids[1..]);
        }
        Self {
            name: shape.name.clone(),
            model: shape.model.clone(),
            train: serde_json::from_value(train).expect("these are the settings without defaults"),
            data: TrainingData::Sequences(set),
            seq_len: shape.seq_len,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_the_models_that_are_compared() {
        let all = shapes();
        let of = |name: &str| all.iter().find(|shape| shape.name == name).unwrap();
        let counts = [
            "llama-s",
            "llama-l",
            "gpt2-s",
            "grid-128-2-512",
            "grid-512-8-32",
        ]
        .map(|name| of(name).model.parameters());
        assert_eq!(
            counts,
            [920_192, 58_073_600, 30_036_864, 8_618_624, 58_466_816]
        );
        assert!(of("gpt2-s").model.tied_output && !of("gpt2-s").model.biases);
        assert_eq!(of("llama-l10").batch_size, 10);
        assert_eq!(
            all.iter()
                .filter(|shape| shape.name.starts_with("grid-"))
                .count(),
            12
        );
    }

    #[test]
    fn batches_fill_the_shape() {
        let all = shapes();
        let shape = &all[0];
        let TrainingData::Sequences(set) = Case::of_shape(shape).data else {
            panic!("made-up sequences");
        };
        assert_eq!(set.len(), BATCHES * shape.batch_size);
        let (inputs, targets) = set.get(set.len() - 1);
        assert_eq!(
            (inputs.len(), &inputs[1..]),
            (shape.seq_len, &targets[..shape.seq_len - 1])
        );
        assert!(
            targets
                .iter()
                .all(|&id| (id as usize) < shape.model.vocab_size)
        );
    }
}
