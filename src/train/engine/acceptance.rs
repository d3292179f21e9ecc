//! Checks that a device agrees with the CPU: compares every operation, loss and gradient with the reference in f64.
//!
//! For machines on which the tests do not run (`scripts/gpu-acceptance.sh`). It checks numbers, not speed.

use super::dropout::{Dropout, Pass};
use super::fused::Fused;
use super::layout::Layout;
use super::local::DeviceKind;
use super::network::Network;
use super::ops::{
    Activation, AdamwStep, Element, Grid, Heads, Kept, Linear, LossTask, Matrix, Moments, NormKind,
    Operations, Recording, Rotary, ScoreTask,
};
use super::reference::Reference;
use crate::choices::loss::Formula;
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, Dtype, Init, Loss, ModelConfig, Reduction};
use crate::train::{TrainError, Weights};
use dfdx::prelude::{Cpu, NoneTape, PutTape};
use std::sync::Arc;

/// One comparison.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The compared item: an operation, or a model with a loss; output and all gradients.
    pub what: String,
    /// Largest difference, relative to the largest number.
    pub error: f64,
    /// Largest accepted difference.
    pub allowed: f64,
}

impl Comparison {
    /// Whether the difference is accepted.
    pub fn holds(&self) -> bool {
        self.error <= self.allowed
    }

    fn named(self, prefix: &str) -> Self {
        let what = format!("{prefix}{}", self.what);
        Self { what, ..self }
    }
}

/// Largest relative difference in f32.
pub const TOLERANCE: f64 = 1e-4;
/// The same for an operation whose inputs, outputs and product factors are bfloat16, which has 8 bits.
pub const BF16_TOLERANCE: f64 = 1e-2;
/// The same for a model with two layers, whose gradients have been rounded dozens of times.
pub const BF16_MODEL_TOLERANCE: f64 = 5e-2;

type Exact = Reference<f64, Cpu>;
type Result<T, E = TrainError> = std::result::Result<T, E>;
/// Lists of numbers: an output, followed by the gradient of each input.
type Lists = Vec<Vec<f64>>;

/// Compares everything on `device` with the reference.
///
/// # Errors
/// The device cannot be used, or fails.
pub fn compare(device: DeviceKind, threads: usize) -> Result<Vec<Comparison>> {
    match device {
        DeviceKind::Cpu => in_each_dtype::<Fused>(0, threads, ""),
        DeviceKind::CpuReference => in_each_dtype::<Reference<f32, Cpu>>(0, threads, ""),
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda(number) => {
            super::cuda::usable(number)?;
            use super::cuda::{Fused as OnCuda, Stock, Support, support};
            let mut found = in_each_dtype::<OnCuda>(number, threads, "")?;
            // Builds for type checking have none of the tensor library's kernels.
            if support() == Support::Full {
                let stock = in_each_dtype::<Stock>(number, threads, "stock operations: ")?;
                found.extend(stock);
            }
            Ok(found)
        }
        #[cfg(not(feature = "cuda"))]
        DeviceKind::Cuda(number) => {
            super::cuda::usable(number)?;
            Ok(Vec::new())
        }
    }
}

/// Compares everything in every number format of these operations.
fn in_each_dtype<O: Operations>(
    number: usize,
    threads: usize,
    prefix: &str,
) -> Result<Vec<Comparison>> {
    let mut found = compare_on(&O::open_on(number, threads, Dtype::F32)?, Dtype::F32)?;
    if O::lacks(Dtype::Bf16).is_none() {
        let ops = O::open_on(number, threads, Dtype::Bf16)?;
        let low = compare_on(&ops, Dtype::Bf16)?.into_iter();
        found.extend(low.map(|found| found.named("bf16: ")));
    }
    Ok(found.into_iter().map(|found| found.named(prefix)).collect())
}

/// Compares everything that `ops`, opened for `dtype`, computes with the reference. Scores and samples are always in
/// f32.
///
/// # Errors
/// The device fails.
pub(crate) fn compare_on<O: Operations>(ops: &O, dtype: Dtype) -> Result<Vec<Comparison>> {
    let exact = Exact::open(1)?;
    let (rounded, of_models) = match dtype {
        Dtype::F32 => (TOLERANCE, TOLERANCE),
        Dtype::Bf16 => (BF16_TOLERANCE, BF16_MODEL_TOLERANCE),
    };
    let mut found = vec![compared("upload and download", &transport(ops)?, 0.0)];
    for operation in OPERATIONS {
        let pair = [operation.run(ops)?, operation.run(&exact)?];
        ops.check()?;
        let allowed = if operation.rounds() {
            rounded
        } else {
            TOLERANCE
        };
        found.push(compared(operation.name(), &pair, allowed));
    }
    for (name, config) in models() {
        for loss in &Loss::examples() {
            let loss_name = loss.name();
            let pair = [
                whole_model(ops, &config, loss)?,
                whole_model(&exact, &config, loss)?,
            ];
            ops.check()?;
            let what = format!("{name}, {loss_name}: loss, gradients");
            found.push(compared(&what, &pair, of_models));
        }
        if dtype == Dtype::Bf16 {
            continue;
        }
        let pair = [scores(ops, &config)?, scores(&exact, &config)?];
        ops.check()?;
        found.push(compared(&format!("{name}: scores"), &pair, TOLERANCE));
        let pair = [continued(ops, &config)?, continued(&exact, &config)?];
        ops.check()?;
        found.push(compared(
            &format!("{name}: logits with a cache"),
            &pair,
            TOLERANCE,
        ));
    }
    Ok(found)
}

/// The largest relative difference of two results. A list whose exact numbers are all close to 0 is measured against
/// the largest of all lists.
fn compared(what: &str, [got, want]: &[Lists; 2], allowed: f64) -> Comparison {
    let largest = |list: &[f64]| list.iter().fold(0.0f64, |most, x| most.max(x.abs()));
    let overall = want.iter().map(|list| largest(list)).fold(0.0, f64::max);
    let mut error = if got.len() == want.len() {
        0.0
    } else {
        f64::INFINITY
    };
    for (got, want) in got.iter().zip(want) {
        let scale = largest(want).max(1e-3 * overall).max(f64::MIN_POSITIVE);
        if got.len() != want.len() {
            error = f64::INFINITY;
        }
        for (g, w) in got.iter().zip(want) {
            let difference = (g - w).abs() / scale;
            // NaN counts as an infinite error.
            error = if difference.is_nan() {
                f64::INFINITY
            } else {
                error.max(difference)
            };
        }
    }
    Comparison {
        what: what.to_owned(),
        error,
        allowed,
    }
}

const GRID: Grid = Grid {
    sequences: 2,
    length: 67,
};
const DIM: usize = 24;
const HIDDEN: usize = 40;
const CLASSES: usize = 61;

fn draws(number: u64, len: usize) -> impl Iterator<Item = f32> {
    let stream = Stream::new(number, Purpose::Init, 77);
    (0..len as u64).map(move |index| (stream.uniform(index) - 0.5) as f32)
}

/// Numbers that depend on `number`, the same on every device.
fn matrix<O: Operations>(ops: &O, number: u64, shape: (usize, usize)) -> Result<Matrix<O>> {
    let values = draws(number, shape.0 * shape.1);
    let values = values.map(|value| O::Element::narrow(f64::from(value)));
    ops.upload(values.collect(), shape)
}

fn ids(seed: u64, len: usize) -> Vec<u32> {
    let stream = Stream::new(seed, Purpose::Corpus, 0);
    (0..len as u64)
        .map(|index| stream.below(index, CLASSES as u64) as u32)
        .collect()
}

fn numbers<O: Operations>(ops: &O, matrix: &Matrix<O>) -> Vec<f64> {
    ops.download(matrix)
        .into_iter()
        .map(Element::widen)
        .collect()
}

fn gradients_of<O: Operations>(
    ops: &O,
    gradients: &Kept<O>,
    matrices: &[Matrix<O>],
) -> Vec<Vec<f64>> {
    let gradient = |matrix| ops.gradient(gradients, matrix);
    let widened = |list: Vec<O::Element>| list.into_iter().map(Element::widen).collect();
    matrices.iter().map(gradient).map(widened).collect()
}

fn dropout(site: usize) -> Option<Dropout> {
    let pass = Pass {
        seed: 3,
        step: 5,
        micro: 1,
        probability: 0.2,
    };
    pass.site(site)
}

fn transport<O: Operations>(ops: &O) -> Result<[Lists; 2]> {
    let there = matrix(ops, 1, (31, 33))?;
    let back = numbers(ops, &there);
    ops.check()?;
    let sent = draws(1, 31 * 33).map(f64::from).collect();
    Ok([vec![back], vec![sent]])
}

/// The operations, with relevant settings.
#[derive(Clone, Copy)]
enum Operation {
    Embed,
    EmbedPositionsDropout,
    NormRms,
    NormLayer,
    AttentionRotaryGrouped,
    AttentionBiasDropout,
    MlpSwiglu,
    MlpGelu,
    LinearResidualDropout,
    ClipAndAdamw,
}

const OPERATIONS: [Operation; 10] = [
    Operation::Embed,
    Operation::EmbedPositionsDropout,
    Operation::NormRms,
    Operation::NormLayer,
    Operation::AttentionRotaryGrouped,
    Operation::AttentionBiasDropout,
    Operation::MlpSwiglu,
    Operation::MlpGelu,
    Operation::LinearResidualDropout,
    Operation::ClipAndAdamw,
];

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::EmbedPositionsDropout => "embed with positions and dropout",
            Self::NormRms => "RMSNorm",
            Self::NormLayer => "LayerNorm",
            Self::AttentionRotaryGrouped => "attention, rotary, grouped heads",
            Self::AttentionBiasDropout => "attention with bias and dropout",
            Self::MlpSwiglu => "SwiGLU",
            Self::MlpGelu => "GELU with bias",
            Self::LinearResidualDropout => "projection, dropout, residual",
            Self::ClipAndAdamw => "gradient norm, clipping, AdamW",
        }
    }

    /// Whether it has products or activations that bf16 rounds.
    fn rounds(self) -> bool {
        !matches!(
            self,
            Self::Embed | Self::EmbedPositionsDropout | Self::ClipAndAdamw
        )
    }

    /// Output and gradients.
    fn run<O: Operations>(self, ops: &O) -> Result<Lists> {
        let rows = GRID.rows();
        let vector = |number, len| matrix(ops, number, (1, len));
        match self {
            Self::Embed | Self::EmbedPositionsDropout => self.embed(ops),
            Self::NormRms | Self::NormLayer => {
                let layer = matches!(self, Self::NormLayer);
                let kind = if layer {
                    NormKind::Layer
                } else {
                    NormKind::Rms
                };
                let inputs = [
                    matrix(ops, 1, (rows, DIM))?,
                    vector(2, DIM)?,
                    vector(3, DIM)?,
                ];
                let inputs = &inputs[..if layer { 3 } else { 2 }];
                slopes(ops, inputs, |x| {
                    ops.norm(x, kind, &inputs[1], inputs.get(2), 1e-5)
                })
            }
            Self::AttentionRotaryGrouped | Self::AttentionBiasDropout => self.attention(ops),
            Self::MlpSwiglu | Self::MlpGelu => {
                let gelu = matches!(self, Self::MlpGelu);
                let (activation, out) = match gelu {
                    true => (Activation::Gelu, HIDDEN),
                    false => (Activation::Swiglu, 2 * HIDDEN),
                };
                let inputs = [
                    matrix(ops, 1, (rows, DIM))?,
                    matrix(ops, 2, (out, DIM))?,
                    vector(3, out)?,
                ];
                let inputs = &inputs[..if gelu { 3 } else { 2 }];
                slopes(ops, inputs, |x| {
                    let linear = Linear {
                        weight: &inputs[1],
                        bias: inputs.get(2),
                    };
                    ops.mlp(x, linear, activation)
                })
            }
            Self::LinearResidualDropout => {
                let inputs = [
                    matrix(ops, 1, (rows, HIDDEN))?,
                    matrix(ops, 2, (DIM, HIDDEN))?,
                    vector(3, DIM)?,
                    matrix(ops, 4, (rows, DIM))?,
                ];
                slopes(ops, &inputs, |x| {
                    let linear = Linear {
                        weight: &inputs[1],
                        bias: Some(&inputs[2]),
                    };
                    ops.linear_residual(x, linear, inputs[3].clone(), dropout(2))
                })
            }
            Self::ClipAndAdamw => adamw(ops),
        }
    }

    fn embed<O: Operations>(self, ops: &O) -> Result<Lists> {
        let rows = GRID.rows();
        let inputs = [
            matrix(ops, 1, (CLASSES, DIM))?,
            matrix(ops, 2, (GRID.length, DIM))?,
        ];
        let positions: Vec<usize> = (0..rows).map(|row| row % GRID.length).collect();
        let both = matches!(self, Self::EmbedPositionsDropout);
        let inputs = &inputs[..if both { 2 } else { 1 }];
        let kept = ops.gradients(inputs);
        let tape = ops.tape(kept)?;
        let table = inputs.get(1).map(|table| (table, &positions[..]));
        let dropout = dropout(0).filter(|_| both);
        let y = ops.embed(&inputs[0], table, &ids(1, rows), dropout, tape)?;
        finished(ops, inputs, y)
    }

    fn attention<O: Operations>(self, ops: &O) -> Result<Lists> {
        let bias = matches!(self, Self::AttentionBiasDropout);
        let n_kv_heads = if bias { 4 } else { 2 };
        let head_dim = DIM / 4;
        let rotary = Rotary::new(GRID.length, head_dim, 10_000.0);
        let heads = Heads {
            n_heads: 4,
            n_kv_heads,
            head_dim,
            rotary: (!bias).then(|| Arc::new(rotary)),
        };
        let out = heads.dim() + 2 * heads.kv_dim();
        let inputs = [
            matrix(ops, 1, (GRID.rows(), DIM))?,
            matrix(ops, 2, (out, DIM))?,
            matrix(ops, 3, (1, out))?,
        ];
        let inputs = &inputs[..if bias { 3 } else { 2 }];
        slopes(ops, inputs, |x| {
            let qkv = Linear {
                weight: &inputs[1],
                bias: inputs.get(2),
            };
            let dropout = dropout(1).filter(|_| bias);
            ops.qkv_rope_attention(x, qkv, &heads, GRID, dropout)
        })
    }
}

/// Output and gradients of an operation whose main input is the first of `inputs`.
fn slopes<O: Operations>(
    ops: &O,
    inputs: &[Matrix<O>],
    operation: impl FnOnce(Matrix<O, Recording<O>>) -> Result<Matrix<O, Recording<O>>>,
) -> Result<Lists> {
    let tape = ops.tape(ops.gradients(inputs))?;
    let y = operation(inputs[0].clone().put_tape(tape))?;
    finished(ops, inputs, y)
}

/// Runs the backward pass from a weighted sum of `y`.
fn finished<O: Operations>(
    ops: &O,
    inputs: &[Matrix<O>],
    y: Matrix<O, Recording<O>>,
) -> Result<Lists> {
    use dfdx::prelude::HasShape;
    let weights = matrix(ops, 9, *y.shape())?;
    let mut lists: Lists = vec![numbers(ops, &y.retaped::<NoneTape>())];
    let gradients = ops.backward(ops.weighted_sum(y, weights)?)?;
    lists.extend(gradients_of(ops, &gradients, inputs));
    Ok(lists)
}

/// Three steps with clipping: norms, parameters, moments.
fn adamw<O: Operations>(ops: &O) -> Result<Lists> {
    let shapes = [(20, 15), (1, 33)];
    let mut parameters = vec![matrix(ops, 1, shapes[0])?, matrix(ops, 2, shapes[1])?];
    let zeros = || -> Result<Vec<Matrix<O>>> {
        let zeros = |shape: (usize, usize)| {
            ops.upload(vec![O::Element::narrow(0.0); shape.0 * shape.1], shape)
        };
        shapes.into_iter().map(zeros).collect()
    };
    let mut moments = Moments::<O> {
        first: zeros()?,
        second: zeros()?,
    };
    let mut kept = ops.gradients(&parameters);
    let mut norms = Vec::new();
    for step in 1..4 {
        for (number, parameter) in parameters.iter().enumerate() {
            let tape = ops.tape(kept)?;
            let x = parameter.clone().put_tape(tape);
            let slope = matrix(ops, 10 * step + number as u64, shapes[number])?;
            kept = ops.backward(ops.weighted_sum(x, slope)?)?;
        }
        let clip = ops.grad_norm_clip(&parameters, &mut kept, Some(0.5))?;
        norms.push(ops.readings().map_or(clip.norm, |late| late.norm));
        let step = AdamwStep {
            step,
            learning_rate: 1e-2,
            betas: [0.9, 0.95],
            eps: 1e-8,
            weight_decay: 0.1,
            decays: &[true, false],
            gradient_scale: clip.scale,
        };
        ops.adamw_step(&mut parameters, &mut moments, &mut kept, &step)?;
    }
    let all = parameters
        .iter()
        .chain(&moments.first)
        .chain(&moments.second);
    let lists = all.map(|matrix| numbers(ops, matrix));
    Ok(std::iter::once(norms).chain(lists).collect())
}

fn models() -> [(&'static str, ModelConfig); 2] {
    let llama = ModelConfig {
        arch: Arch::Llama,
        dim: DIM,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        hidden_dim: HIDDEN,
        max_seq_len: 70,
        vocab_size: CLASSES,
        norm_eps: 1e-5,
        rope_theta: 10_000.0,
        biases: false,
        tied_output: false,
        dropout: 0.0,
        init: Init::XavierNormal,
    };
    let gpt2 = ModelConfig {
        arch: Arch::Gpt2,
        n_kv_heads: 4,
        rope_theta: 0.0,
        biases: true,
        tied_output: true,
        dropout: 0.1,
        ..llama.clone()
    };
    [("LLaMA", llama), ("GPT-2", gpt2)]
}

/// Initial weights moved away from their special values, so that no gradient is 0 by symmetry.
fn weights(config: &ModelConfig) -> Weights {
    let mut weights = Layout::new(config).initial(config, 9, 1);
    for (number, tensor) in weights.0.iter_mut().enumerate() {
        let moved = draws(100 + number as u64, tensor.data.len());
        for (value, by) in tensor.data.iter_mut().zip(moved) {
            *value += 0.3 * by;
        }
    }
    weights
}

/// Loss parts and gradients of a whole model on one batch with masked targets.
fn whole_model<O: Operations>(ops: &O, config: &ModelConfig, loss: &Loss) -> Result<Lists> {
    let network = Network::new(ops, config, &weights(config))?;
    let rows = GRID.rows();
    let mask: Vec<bool> = (0..rows).map(|row| row % GRID.length < 60).collect();
    let pass = Pass {
        seed: 1,
        step: 4,
        micro: 0,
        probability: config.dropout,
    };
    let tape = ops.tape(ops.gradients(&network.parameters))?;
    let hidden = network.hidden(ops, &ids(1, rows), GRID, Some(pass), tape)?;
    let formula = Formula::new(loss, Reduction::MeanClasses, config.vocab_size);
    let task = LossTask {
        targets: &ids(2, rows),
        mask: &mask,
        formula: &formula,
        scale: 0.5,
    };
    let value = ops.head_loss(hidden, network.head(), &task)?;
    let mut lists = vec![vec![value.ce, value.square]];
    let gradients = ops.backward(value.objective)?;
    if let Some(late) = ops.readings() {
        lists[0] = late.losses.concat();
    }
    lists.extend(gradients_of(ops, &gradients, &network.parameters));
    Ok(lists)
}

fn scores<O: Operations>(ops: &O, config: &ModelConfig) -> Result<Lists> {
    let network = Network::new(ops, config, &weights(config))?;
    let rows = GRID.rows();
    let hidden = network.hidden(ops, &ids(1, rows), GRID, None, NoneTape)?;
    let task = ScoreTask {
        targets: &ids(2, rows),
        mask: &(0..rows).map(|row| row % 3 != 0).collect::<Vec<_>>(),
        temperatures: &[0.7],
        clipped_linear_eps: Some(1e-3),
    };
    let scores = ops.head_scores(hidden, network.head(), &task)?;
    let wide = |list: &[f32]| list.iter().copied().map(f64::from).collect();
    Ok(vec![
        wide(&scores.log_likelihood),
        wide(&scores.confidence),
        wide(&scores.tempered[0]),
        wide(&scores.clipped_linear),
    ])
}

/// Logits after a prompt and after each of three more ids, for two sequences.
fn continued<O: Operations>(ops: &O, config: &ModelConfig) -> Result<Lists> {
    let network = Network::new(ops, config, &weights(config))?;
    let mut caches = network.caches(ops, 2, config.max_seq_len)?;
    let mut lists = Vec::new();
    for (number, count) in [5, 1, 1, 1].into_iter().enumerate() {
        let ids = ids(20 + number as u64, 2 * count);
        let logits = super::generate::logits(ops, &network, &ids, &mut caches, &[0, 1])?;
        lists.push(logits.into_iter().map(f64::from).collect());
    }
    Ok(lists)
}
