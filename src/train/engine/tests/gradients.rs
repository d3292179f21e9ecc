//! The reference in f64: gradients against central differences, and the golden table of losses through the head.

use super::super::dropout::Pass;
use super::super::fused::Fused;
use super::super::layout::Layout;
use super::super::loss::tests as golden;
use super::super::network::Network;
use super::super::ops::{Grid, LossTask, Matrix, Operations};
use super::super::reference::Reference;
use super::tiny;
use crate::choices::loss::Formula;
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, Loss, ModelConfig, Reduction};
use dfdx::prelude::{Cpu, NoneTape};

type Exact = Reference<f64, Cpu>;

struct Case {
    ids: Vec<u32>,
    targets: Vec<u32>,
    mask: Vec<bool>,
    grid: Grid,
    formula: Formula,
    pass: Option<Pass>,
}

impl Case {
    fn new(config: &ModelConfig, loss: &Loss, reduction: Reduction) -> Self {
        let grid = Grid {
            sequences: 2,
            length: 5,
        };
        let draws = Stream::new(3, Purpose::Corpus, 0);
        let id = |index: usize| draws.below(index as u64, config.vocab_size as u64) as u32;
        Self {
            ids: (0..grid.rows()).map(id).collect(),
            targets: (0..grid.rows()).map(|row| id(100 + row)).collect(),
            mask: (0..grid.rows()).map(|row| row % 4 != 3).collect(),
            grid,
            formula: Formula::new(loss, reduction, config.vocab_size),
            pass: (config.dropout > 0.0).then_some(Pass {
                seed: 1,
                step: 2,
                micro: 0,
                probability: config.dropout,
            }),
        }
    }

    fn task(&self) -> LossTask<'_> {
        LossTask {
            targets: &self.targets,
            mask: &self.mask,
            formula: &self.formula,
            scale: 0.5,
        }
    }

    fn objective(&self, ops: &Exact, network: &Network<Exact>) -> f64 {
        let hidden = network
            .hidden(ops, &self.ids, self.grid, self.pass, NoneTape)
            .unwrap();
        let value = ops.head_loss(hidden, network.head(), &self.task()).unwrap();
        assert!((value.objective.as_vec()[0] - 0.5 * value.total()).abs() < 1e-12);
        value.objective.as_vec()[0]
    }
}

/// A network with no value at a special initial value, so that no gradient is zero by symmetry.
fn network(ops: &Exact, config: &ModelConfig) -> Network<Exact> {
    let layout = Layout::new(config);
    let mut weights = layout.initial(config, 9, 1);
    for (number, tensor) in weights.0.iter_mut().enumerate() {
        let draws = Stream::new(8, Purpose::Init, number as u64);
        for (index, value) in tensor.data.iter_mut().enumerate() {
            *value += 0.3 * draws.normal_pair(index as u64)[0] as f32;
        }
    }
    Network::new(ops, config, &weights).unwrap()
}

fn check(config: &ModelConfig, loss: &Loss, reduction: Reduction) {
    let ops = Exact::open(1).unwrap();
    let mut network = network(&ops, config);
    let case = Case::new(config, loss, reduction);
    let tape = ops.tape(ops.gradients(&network.parameters)).unwrap();
    let hidden = network
        .hidden(&ops, &case.ids, case.grid, case.pass, tape)
        .unwrap();
    let value = ops.head_loss(hidden, network.head(), &case.task()).unwrap();
    let gradients = ops.backward(value.objective).unwrap();
    let step = 1e-5;
    for slot in 0..network.parameters.len() {
        let ours = gradients.get(&network.parameters[slot]).as_vec();
        let values = network.parameters[slot].as_vec();
        let largest = ours.iter().fold(0.0f64, |max, g| max.max(g.abs()));
        let draws = Stream::new(4, Purpose::Corpus, slot as u64);
        for probe in 0..6 {
            let at = draws.below(probe, values.len() as u64) as usize;
            let mut moved = |by: f64| {
                let mut values = values.clone();
                values[at] += by;
                network.parameters[slot].copy_from(&values);
                case.objective(&ops, &network)
            };
            let difference = (moved(step) - moved(-step)) / (2.0 * step);
            moved(0.0);
            assert!(
                (difference - ours[at]).abs() <= 1e-6 * (largest + 0.1),
                "{config:?} {loss:?}: slot {slot} element {at}: {difference} against {}",
                ours[at]
            );
        }
    }
}

#[test]
fn gradients_equal_central_differences_for_every_loss() {
    for (loss, ..) in golden::golden() {
        for reduction in [Reduction::MeanClasses, Reduction::SumClasses] {
            check(&tiny(Arch::Llama), &loss, reduction);
            check(&tiny(Arch::Gpt2), &loss, reduction);
        }
    }
}

#[test]
fn gradients_equal_central_differences_for_every_option() {
    let options: [fn(&mut ModelConfig); 6] = [
        |config| config.tied_output = !config.tied_output,
        |config| config.n_layers = 1,
        |config| {
            config.n_heads = 2;
            config.n_kv_heads = if config.arch == Arch::Llama { 1 } else { 2 };
        },
        |config| config.biases = false,
        |config| config.dropout = if config.arch == Arch::Gpt2 { 0.3 } else { 0.0 },
        |config| config.n_kv_heads = config.n_heads,
    ];
    for option in options {
        for arch in [Arch::Llama, Arch::Gpt2] {
            let mut config = tiny(arch);
            option(&mut config);
            check(&config, &Loss::CrossEntropy, Reduction::MeanClasses);
        }
    }
}

/// The golden logits as a product with the identity.
fn golden_head<O: Operations>(ops: &O, loss: &Loss) -> (f64, Vec<f64>) {
    use super::super::ops::Element;
    let element = |value: f64| O::Element::narrow(value);
    let logits = golden::LOGITS.iter().flatten().map(|f| element(*f));
    let identity = (0..25).map(|index| element(f64::from(u8::from(index % 6 == 0))));
    // A fourth, masked row, with a target that must not be looked up.
    let x: Matrix<O> = ops
        .upload(logits.chain((0..5).map(|_| element(7.0))).collect(), (4, 5))
        .unwrap();
    let weight = ops.upload(identity.collect(), (5, 5)).unwrap();
    let formula = Formula::new(loss, Reduction::MeanClasses, 5);
    let task = LossTask {
        targets: &[0, 3, 1, u32::MAX],
        mask: &[true, true, true, false],
        formula: &formula,
        scale: 1.0,
    };
    let gradients = ops.gradients(std::slice::from_ref(&x));
    let tape = ops.tape(gradients).unwrap();
    use dfdx::prelude::PutTape;
    let value = ops
        .head_loss(x.clone().put_tape(tape), &weight, &task)
        .unwrap();
    let total = value.total();
    let gradients = ops.backward(value.objective).unwrap();
    let row = gradients.get(&x).as_vec();
    (total, row.into_iter().map(Element::widen).collect())
}

#[test]
fn head_equals_the_golden_table() {
    for (loss, value, gradient) in golden::golden() {
        let exact = golden_head(&Exact::open(1).unwrap(), &loss);
        assert!((exact.0 - value).abs() < 1e-6, "{loss:?}: {}", exact.0);
        assert_eq!(&exact.1[15..], &[0.0; 5], "{loss:?}");
        let stock = golden_head(&Reference::<f32, Cpu>::open(1).unwrap(), &loss);
        let fused = golden_head(&Fused::open(2).unwrap(), &loss);
        for single in [stock, fused] {
            near_golden(&loss, &single, value, &gradient);
        }
        for (class, golden) in gradient.iter().enumerate() {
            assert!(
                (exact.1[class] - golden).abs() < 1e-6,
                "{loss:?}: {:?}",
                exact.1
            );
        }
    }
}

/// Checks an f32 head.
fn near_golden(loss: &Loss, single: &(f64, Vec<f64>), value: f64, gradient: &[f64]) {
    assert!(
        (single.0 - value).abs() < 1e-5 * value,
        "{loss:?}: {}",
        single.0
    );
    let largest = gradient.iter().fold(0.1f64, |max, g| max.max(g.abs()));
    for (class, golden) in gradient.iter().enumerate() {
        let error = (single.1[class] - golden).abs();
        assert!(error < 1e-5 * largest, "{loss:?}: {:?}", single.1);
    }
    assert_eq!(&single.1[15..], &[0.0; 5], "{loss:?}");
}
