//! Parameters of a model: their initial values, and the layout of named tensors in the engine's matrices.

use super::threads::share_out;
use crate::choices::arch::{Slot, Start, Tensor};
use crate::spec::ModelConfig;
use crate::train::{NamedTensor, TrainError, Weights};
use std::collections::BTreeMap;

/// All parameters of a model, in the model's fixed order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    /// The engine's matrices.
    pub(crate) slots: Vec<Slot>,
}

impl Layout {
    /// The layout of `config`.
    pub(crate) fn new(config: &ModelConfig) -> Self {
        Self {
            slots: config.tensors(),
        }
    }

    /// The named tensors in order.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &Tensor> {
        self.slots.iter().flat_map(|slot| &slot.tensors)
    }

    /// Initial weights: element `i` of tensor `n` of the order is drawn at index `i / 2` of stream `(seed, Init, n)`.
    pub(crate) fn initial(&self, config: &ModelConfig, seed: u64, threads: usize) -> Weights {
        let tensors = self.parts().enumerate().map(|(number, part)| {
            let data = match part.start {
                Start::Zeros => vec![0.0; part.len()],
                Start::Ones => vec![1.0; part.len()],
                Start::Normal | Start::NormalResidual => {
                    let deviation = deviation(part, config);
                    normal(part.len(), deviation, seed, number as u64, threads)
                }
            };
            NamedTensor {
                name: part.name.clone(),
                shape: part.shape.clone(),
                data,
            }
        });
        Weights(tensors.collect())
    }

    /// The tensors of `weights`, sorted into this layout's order.
    ///
    /// # Errors
    /// A tensor is missing, superfluous, given twice or of another shape.
    pub(crate) fn arranged<'a>(
        &self,
        weights: &'a Weights,
    ) -> Result<Vec<&'a NamedTensor>, TrainError> {
        let mut by_name: BTreeMap<&str, &NamedTensor> = BTreeMap::new();
        for tensor in &weights.0 {
            if by_name.insert(&tensor.name, tensor).is_some() {
                let name = &tensor.name;
                return Err(TrainError::Weights(format!("`{name}` is there twice")));
            }
        }
        let mut ordered = Vec::with_capacity(weights.0.len());
        for part in self.parts() {
            let Some(tensor) = by_name.remove(&part.name[..]) else {
                return Err(TrainError::Weights(format!("`{}` is missing", part.name)));
            };
            if tensor.shape != part.shape || tensor.data.len() != part.len() {
                return Err(TrainError::Weights(format!(
                    "`{}` has shape {:?} and {} values, the model needs {:?}",
                    part.name,
                    tensor.shape,
                    tensor.data.len(),
                    part.shape
                )));
            }
            ordered.push(tensor);
        }
        match by_name.keys().next() {
            Some(name) => Err(TrainError::Weights(format!(
                "the model has no tensor `{name}`"
            ))),
            None => Ok(ordered),
        }
    }

    /// Values of each slot with its shape, one slot at a time, from one list of values per named tensor (weights or moments).
    pub(crate) fn pack<'a>(
        &'a self,
        lists: impl Iterator<Item = &'a [f32]> + 'a,
    ) -> impl Iterator<Item = Result<(Vec<f32>, (usize, usize)), TrainError>> + 'a {
        let mut lists = lists;
        self.slots.iter().map(move |slot| {
            let mut values = Vec::with_capacity(slot.shape.0 * slot.shape.1);
            for part in &slot.tensors {
                match lists.next() {
                    Some(list) if list.len() == part.len() => values.extend_from_slice(list),
                    _ => {
                        return Err(TrainError::Weights(format!(
                            "the values of `{}` are missing or not {} many",
                            part.name,
                            part.len()
                        )));
                    }
                }
            }
            Ok((values, slot.shape))
        })
    }

    /// Values of each named tensor, from the values of each slot.
    pub(crate) fn unpack(&self, slots: impl Iterator<Item = Vec<f32>>) -> Vec<Vec<f32>> {
        let mut lists = Vec::new();
        for (slot, values) in self.slots.iter().zip(slots) {
            let mut rest = values;
            for part in &slot.tensors {
                let later = rest.split_off(part.len().min(rest.len()));
                let mut first = std::mem::replace(&mut rest, later);
                // it still has the capacity of the whole slot
                first.shrink_to_fit();
                lists.push(first);
            }
        }
        lists
    }

    /// Names lists of values.
    pub(crate) fn named(&self, lists: Vec<Vec<f32>>) -> Weights {
        let tensors = self.parts().zip(lists).map(|(part, data)| NamedTensor {
            name: part.name.clone(),
            shape: part.shape.clone(),
            data,
        });
        Weights(tensors.collect())
    }
}

/// Standard deviation of the initial values of a drawn tensor.
fn deviation(tensor: &Tensor, config: &ModelConfig) -> f64 {
    let (rows, cols) = match tensor.shape[..] {
        [rows, cols] => (rows, cols),
        _ => (1, tensor.len()),
    };
    let is_residual = tensor.start == Start::NormalResidual;
    let init = config.init.get();
    init.deviation(rows, cols, is_residual, config.n_layers)
}

/// `n` draws with standard deviation `deviation`, computed on several threads (each value depends only on its index).
fn normal(n: usize, deviation: f64, seed: u64, tensor: u64, threads: usize) -> Vec<f32> {
    use crate::rng::{Purpose, Stream};
    let stream = Stream::new(seed, Purpose::Init, tensor);
    let mut values = vec![0.0f32; n];
    let share = n.div_ceil(threads.max(1)).next_multiple_of(2).max(2);
    share_out(
        threads,
        values.chunks_mut(share).enumerate(),
        |(number, chunk)| {
            let first = (number * share / 2) as u64;
            for (pair, slots) in chunk.chunks_mut(2).enumerate() {
                let draws = stream.normal_pair(first + pair as u64);
                for (slot, draw) in slots.iter_mut().zip(draws) {
                    *slot = (draw * deviation) as f32;
                }
            }
        },
    );
    values
}
