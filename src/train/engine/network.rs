//! A model with its parameters on a device: the forward passes shared by training, evaluation and generation.

use super::dropout::{Dropout, Pass};
use super::layout::Layout;
use super::ops::{Element, Grid, Heads, Linear, Matrix, Operations, Rotary};
use super::{gpt2, llama};
use crate::data::batch::Batch;
use crate::spec::{Arch, ModelConfig};
use crate::train::{TrainError, Weights};
use dfdx::prelude::{NoneTape, Tape};
use std::sync::Arc;

/// Input of a forward pass, one entry per row.
pub(crate) struct Input<'a> {
    /// Token ids, below the vocabulary size.
    pub(crate) ids: &'a [u32],
    /// Positions in their sequences, below `max_seq_len`.
    pub(crate) positions: &'a [usize],
    /// Dropout masks; `None` in evaluation.
    pub(crate) pass: Option<Pass>,
}

/// Attention of a block: block number, normalised input, projection, dropout on the probabilities.
pub(crate) type Attend<'a, O, T> = dyn FnMut(usize, Matrix<O, T>, Linear<'_, O>, Option<Dropout>) -> Result<Matrix<O, T>, TrainError>
    + 'a;

/// A model on a device.
pub(crate) struct Network<O: Operations> {
    /// Its configuration.
    pub(crate) config: ModelConfig,
    /// Its parameters' names and order.
    pub(crate) layout: Layout,
    /// Its parameters, one matrix per slot of the layout.
    pub(crate) parameters: Vec<Matrix<O>>,
    heads: Heads<O::Element>,
}

/// Keys and values of all layers for several sequences.
pub(crate) struct Caches<O: Operations> {
    layers: Vec<O::Cache>,
    lengths: Vec<usize>,
}

impl<O: Operations> Network<O> {
    /// Puts `weights` on the device.
    ///
    /// # Errors
    /// Weights that do not match `config`.
    pub(crate) fn new(
        ops: &O,
        config: &ModelConfig,
        weights: &Weights,
    ) -> Result<Self, TrainError> {
        let layout = Layout::new(config);
        let tensors = layout.arranged(weights)?;
        let lists = tensors.into_iter().map(|tensor| &tensor.data[..]);
        let parameters = upload(ops, layout.pack(lists))?;
        let rotary = config.arch.get().is_rotary().then(|| {
            let tables = Rotary::new(config.max_seq_len, config.head_dim(), config.rope_theta);
            Arc::new(tables)
        });
        let heads = Heads {
            n_heads: config.n_heads,
            n_kv_heads: config.n_kv_heads,
            head_dim: config.head_dim(),
            rotary,
        };
        Ok(Self {
            config: config.clone(),
            layout,
            parameters,
            heads,
        })
    }

    /// The output matrix `(C, dim)`.
    pub(crate) fn head(&self) -> &Matrix<O> {
        let untied = self.parameters.len() - 1;
        &self.parameters[if self.config.tied_output { 0 } else { untied }]
    }

    /// The weights, named.
    pub(crate) fn weights(&self, ops: &O) -> Weights {
        self.layout.named(self.lists(ops, &self.parameters))
    }

    /// Values of matrices in the layout of the parameters (parameters, moments), one list per named tensor.
    pub(crate) fn lists(&self, ops: &O, matrices: &[Matrix<O>]) -> Vec<Vec<f32>> {
        let values = matrices.iter().map(|matrix| to_f32(ops.download(matrix)));
        self.layout.unpack(values)
    }

    /// As [`Network::lists`], freeing each matrix once it is read.
    pub(crate) fn drained(&self, ops: &O, matrices: Vec<Matrix<O>>) -> Vec<Vec<f32>> {
        let values = matrices
            .into_iter()
            .map(|matrix| to_f32(ops.download(&matrix)));
        self.layout.unpack(values)
    }

    /// Checks that a batch fits the model.
    ///
    /// # Errors
    /// A sequence longer than `max_seq_len`, or an id outside the vocabulary.
    pub(crate) fn check_ids(&self, ids: &[u32], length: usize) -> Result<(), TrainError> {
        let (longest, classes) = (self.config.max_seq_len, self.config.vocab_size);
        if length > longest {
            return Err(TrainError::Input(format!(
                "a sequence has {length} positions, `max_seq_len` is {longest}"
            )));
        }
        match ids.iter().find(|&&id| id as usize >= classes) {
            Some(id) => Err(TrainError::Input(format!(
                "token id {id} is not below the vocabulary's size {classes}"
            ))),
            None => Ok(()),
        }
    }

    /// Checks that a batch fits the model: length, inputs, and scored targets.
    ///
    /// # Errors
    /// As [`Network::check_ids`].
    pub(crate) fn check_batch(&self, batch: &Batch) -> Result<(), TrainError> {
        self.check_ids(&batch.inputs, batch.cols)?;
        let counting = batch.targets.iter().zip(&batch.mask).filter(|pair| *pair.1);
        match counting.map(|pair| *pair.0).max() {
            Some(largest) => self.check_ids(&[largest], batch.cols),
            None => Ok(()),
        }
    }

    /// The normalised last hidden states of whole sequences, `(B·T, dim)`; ids checked by the caller.
    pub(crate) fn hidden<T: Tape<O::Element, O::Device>>(
        &self,
        ops: &O,
        ids: &[u32],
        grid: Grid,
        pass: Option<Pass>,
        tape: T,
    ) -> Result<Matrix<O, T>, TrainError> {
        let positions: Vec<usize> = (0..grid.rows()).map(|row| row % grid.length).collect();
        let input = Input {
            ids,
            positions: &positions,
            pass,
        };
        let mut attend = |_: usize, x: Matrix<O, T>, qkv: Linear<'_, O>, dropout| {
            ops.qkv_rope_attention(x, qkv, &self.heads, grid, dropout)
        };
        self.forward(ops, &input, &mut attend, tape)
    }

    fn forward<T: Tape<O::Element, O::Device>>(
        &self,
        ops: &O,
        input: &Input<'_>,
        attend: &mut Attend<'_, O, T>,
        tape: T,
    ) -> Result<Matrix<O, T>, TrainError> {
        match self.config.arch {
            Arch::Llama => llama::hidden(ops, &self.config, &self.parameters, input, attend, tape),
            Arch::Gpt2 => gpt2::hidden(ops, &self.config, &self.parameters, input, attend, tape),
        }
    }

    /// Empty caches for `sequences` sequences of at most `capacity` positions.
    pub(crate) fn caches(
        &self,
        ops: &O,
        sequences: usize,
        capacity: usize,
    ) -> Result<Caches<O>, TrainError> {
        let layers = (0..self.config.n_layers)
            .map(|_| ops.cache(sequences, capacity, self.heads.kv_dim()))
            .collect::<Result<_, _>>()?;
        Ok(Caches {
            layers,
            lengths: vec![0; sequences],
        })
    }

    /// The normalised last hidden states of new positions: `ids` holds the same number for each of `sequences`, one sequence after another.
    pub(crate) fn continued(
        &self,
        ops: &O,
        ids: &[u32],
        caches: &mut Caches<O>,
        sequences: &[usize],
    ) -> Result<Matrix<O>, TrainError> {
        let count = ids.len() / sequences.len().max(1);
        let positions: Vec<usize> = sequences
            .iter()
            .flat_map(|&sequence| (0..count).map(move |offset| (sequence, offset)))
            .map(|(sequence, offset)| caches.lengths[sequence] + offset)
            .collect();
        let input = Input {
            ids,
            positions: &positions,
            pass: None,
        };
        let layers = &mut caches.layers;
        let mut attend = |layer: usize, x: Matrix<O>, qkv: Linear<'_, O>, _: Option<Dropout>| {
            ops.attention_cached(x, qkv, &self.heads, &mut layers[layer], sequences)
        };
        let hidden = self.forward(ops, &input, &mut attend, NoneTape)?;
        for &sequence in sequences {
            caches.lengths[sequence] += count;
        }
        Ok(hidden)
    }
}

/// Puts matrices on the device, one after another.
pub(crate) fn upload<O: Operations>(
    ops: &O,
    matrices: impl Iterator<Item = Result<(Vec<f32>, (usize, usize)), TrainError>>,
) -> Result<Vec<Matrix<O>>, TrainError> {
    let upload = |matrix: Result<(Vec<f32>, _), _>| {
        let (values, shape) = matrix?;
        ops.upload(to_elements(values), shape)
    };
    matrices.map(upload).collect()
}

/// Rounds or widens f32 values to elements.
fn to_elements<E: Element>(values: Vec<f32>) -> Vec<E> {
    values
        .into_iter()
        .map(|value| E::narrow(f64::from(value)))
        .collect()
}

/// Elements as f32 values.
fn to_f32<E: Element>(values: Vec<E>) -> Vec<f32> {
    values
        .into_iter()
        .map(|value| value.widen() as f32)
        .collect()
}
