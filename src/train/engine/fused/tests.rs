//! The fused operations against the reference in f64: forward, all gradients, every loss, tied weights, accumulation, dropout, scores,
//! cached attention; and equal bits across threads, instruction sets and concurrent jobs.

use super::*;
use crate::choices::loss::Formula;
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, Init, Loss, ModelConfig, Reduction};
use crate::train::engine::dropout::Pass;
use crate::train::engine::network::Network;
use crate::train::engine::ops::Element;
use crate::train::engine::reference::Reference;
use crate::train::{NamedTensor, Weights};

type Exact = Reference<f64, Cpu>;

const GRID: Grid = Grid {
    sequences: 2,
    length: 67,
};

fn llama() -> ModelConfig {
    ModelConfig {
        arch: Arch::Llama,
        dim: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        hidden_dim: 40,
        max_seq_len: 70,
        vocab_size: 61,
        norm_eps: 1e-5,
        rope_theta: 10_000.0,
        biases: false,
        tied_output: false,
        dropout: 0.0,
        init: Init::XavierNormal,
    }
}

fn gpt2(biases: bool, dropout: f64) -> ModelConfig {
    ModelConfig {
        arch: Arch::Gpt2,
        n_kv_heads: 4,
        rope_theta: 0.0,
        biases,
        tied_output: true,
        dropout,
        ..llama()
    }
}

/// Weights of ordinary size for every tensor, including norms and biases.
fn weights(config: &ModelConfig) -> Weights {
    let layout = crate::train::engine::layout::Layout::new(config);
    let tensors = layout.parts().enumerate().map(|(number, part)| {
        let stream = Stream::new(3, Purpose::Init, number as u64);
        let norm = part.shape.len() == 1 && part.name.ends_with("weight");
        let n: usize = part.shape.iter().product();
        let draw = |i| (stream.uniform(i) - 0.5) * 0.5 + if norm { 1.0 } else { 0.0 };
        NamedTensor {
            name: part.name.clone(),
            shape: part.shape.clone(),
            data: (0..n as u64).map(|i| draw(i) as f32).collect(),
        }
    });
    Weights(tensors.collect())
}

fn ids(seed: u64, n: usize, vocab: usize) -> Vec<u32> {
    let stream = Stream::new(seed, Purpose::Corpus, 0);
    (0..n as u64)
        .map(|i| stream.below(i, vocab as u64) as u32)
        .collect()
}

/// Forward and backward over `micros` micro-batches: (ce, square, objective) of each, then the gradient of every parameter.
fn gradients<O: Operations>(
    ops: &O,
    config: &ModelConfig,
    loss: &Loss,
    micros: usize,
) -> (Vec<[f64; 3]>, Vec<Vec<f64>>) {
    let network = Network::new(ops, config, &weights(config)).unwrap();
    let formula = Formula::new(loss, Reduction::MeanClasses, config.vocab_size);
    let mut kept = ops.gradients(&network.parameters);
    let mut values = Vec::new();
    for micro in 0..micros {
        let n = GRID.rows();
        let (input, targets) = (
            ids(micro as u64, n, config.vocab_size),
            ids(9 + micro as u64, n, config.vocab_size),
        );
        let mask: Vec<bool> = (0..n).map(|row| row % GRID.length < 60 + micro).collect();
        let pass = Pass {
            seed: 1,
            step: 4,
            micro,
            probability: config.dropout,
        };
        let tape = ops.tape(kept).unwrap();
        let x = network.hidden(ops, &input, GRID, Some(pass), tape).unwrap();
        let task = LossTask {
            targets: &targets,
            mask: &mask,
            formula: &formula,
            scale: 1.0 / micros as f64,
        };
        let value = ops.head_loss(x, network.head(), &task).unwrap();
        values.push([value.ce, value.square, value.objective.as_vec()[0].widen()]);
        kept = ops.backward(value.objective).unwrap();
    }
    let slopes = network.parameters.iter().map(|parameter| {
        let gradient: Matrix<O> = kept.get(parameter);
        ops.download(&gradient)
            .into_iter()
            .map(Element::widen)
            .collect()
    });
    (values, slopes.collect())
}

fn assert_close(what: &str, got: &[f64], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-12, |m: f64, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (g - w).abs() <= tolerance * largest,
            "{what}, entry {i}: {g} instead of {w} (largest {largest})"
        );
    }
}

#[test]
fn whole_models_have_the_values_and_gradients_of_the_reference() {
    let tied = ModelConfig {
        tied_output: true,
        n_kv_heads: 4,
        ..llama()
    };
    for (name, config) in [
        ("llama", llama()),
        ("tied llama", tied),
        ("gpt2", gpt2(true, 0.0)),
        ("gpt2 without biases", gpt2(false, 0.0)),
        ("gpt2 with dropout", gpt2(true, 0.2)),
    ] {
        let (fused, exact) = (Fused::open(2).unwrap(), Exact::open(1).unwrap());
        let losses = Loss::examples();
        let count = if name == "llama" || name == "gpt2" {
            losses.len()
        } else {
            1
        };
        for loss in &losses[..count] {
            let (values, slopes) = gradients(&fused, &config, loss, 2);
            let (exact_values, exact_slopes) = gradients(&exact, &config, loss, 2);
            for (got, want) in values.iter().zip(&exact_values) {
                assert_close(&format!("{name}, {loss:?}, value"), got, want, 1e-5);
            }
            for (number, (got, want)) in slopes.iter().zip(&exact_slopes).enumerate() {
                assert_close(
                    &format!("{name}, {loss:?}, parameter {number}"),
                    got,
                    want,
                    1e-5,
                );
            }
        }
    }
}

/// Some steps of training with clipping; returns every parameter and both moments.
fn train(ops: &Fused, config: &ModelConfig, steps: u64) -> Vec<Vec<u32>> {
    let mut network = Network::new(ops, config, &weights(config)).unwrap();
    let like = |ops: &Fused| -> Vec<Matrix<Fused>> {
        let shapes = network.layout.slots.iter().map(|slot| slot.shape);
        shapes
            .map(|shape| ops.upload(vec![0.0; shape.0 * shape.1], shape).unwrap())
            .collect()
    };
    let mut moments = Moments {
        first: like(ops),
        second: like(ops),
    };
    let mut kept = ops.gradients(&network.parameters);
    let formula = Formula::new(&Loss::Squentropy, Reduction::MeanClasses, config.vocab_size);
    let mut seen = Vec::new();
    for step in 0..steps {
        let n = GRID.rows();
        let (input, targets) = (
            ids(step, n, config.vocab_size),
            ids(step + 50, n, config.vocab_size),
        );
        let pass = Pass {
            seed: 1,
            step,
            micro: 0,
            probability: config.dropout,
        };
        let x = network
            .hidden(ops, &input, GRID, Some(pass), ops.tape(kept).unwrap())
            .unwrap();
        let task = LossTask {
            targets: &targets,
            mask: &vec![true; n],
            formula: &formula,
            scale: 1.0,
        };
        let value = ops.head_loss(x, network.head(), &task).unwrap();
        seen.push(value.total().to_bits() as u32);
        kept = ops.backward(value.objective).unwrap();
        let clip = ops
            .grad_norm_clip(&network.parameters, &mut kept, Some(0.5))
            .unwrap();
        let step = AdamwStep {
            step: step + 1,
            learning_rate: 1e-2,
            betas: [0.9, 0.95],
            eps: 1e-8,
            weight_decay: 0.1,
            decays: &vec![true; network.parameters.len()],
            gradient_scale: clip.scale,
        };
        ops.adamw_step(&mut network.parameters, &mut moments, &mut kept, &step)
            .unwrap();
    }
    let mut all = vec![seen];
    for matrix in network
        .parameters
        .iter()
        .chain(&moments.first)
        .chain(&moments.second)
    {
        all.push(ops.download(matrix).iter().map(|v| v.to_bits()).collect());
    }
    all
}

#[test]
fn training_has_the_same_bits_for_all_threads_and_instruction_sets_and_for_jobs_at_once() {
    for config in [llama(), gpt2(true, 0.2)] {
        let first = train(&Fused::open(1).unwrap(), &config, 3);
        for threads in [2, 3, 8] {
            assert!(
                train(&Fused::open(threads).unwrap(), &config, 3) == first,
                "{threads} threads"
            );
        }
        for isa in Isa::available() {
            assert!(
                train(&Fused::with(isa, 2).unwrap(), &config, 3) == first,
                "{}",
                isa.name()
            );
        }
        std::thread::scope(|scope| {
            let jobs: Vec<_> = (1..4)
                .map(|threads| {
                    scope.spawn(move || {
                        (
                            threads,
                            train(&Fused::open(threads).unwrap(), &config_of(threads), 3),
                        )
                    })
                })
                .collect();
            let again = train(&Fused::open(2).unwrap(), &config, 3);
            assert!(again == first, "beside other jobs");
            for job in jobs {
                let (threads, bits) = job.join().unwrap();
                assert!(
                    bits == train(&Fused::open(1).unwrap(), &config_of(threads), 3),
                    "job with {threads} threads"
                );
            }
        });
    }
}

/// A model for each of several concurrent jobs.
fn config_of(job: usize) -> ModelConfig {
    ModelConfig {
        dim: 16 + 8 * job,
        n_heads: 4,
        n_kv_heads: 4,
        ..llama()
    }
}

#[test]
fn adamw_and_the_norm_are_those_of_the_reference() {
    fn run<O: Operations>() -> (Vec<f64>, Vec<f64>) {
        let ops = O::open(2).unwrap();
        let stream = Stream::new(4, Purpose::Init, 0);
        let matrix = |from: u64| {
            let values = (0..300)
                .map(|i| O::Element::narrow(f64::from((stream.uniform(from + i) - 0.5) as f32)));
            ops.upload(values.collect(), (20, 15)).unwrap()
        };
        let mut parameters = vec![matrix(0), matrix(1000)];
        let zeros = || {
            (0..2)
                .map(|_| {
                    ops.upload(vec![O::Element::narrow(0.0); 300], (20, 15))
                        .unwrap()
                })
                .collect()
        };
        let mut moments = Moments::<O> {
            first: zeros(),
            second: zeros(),
        };
        let mut kept = ops.gradients(&parameters);
        let mut norms = Vec::new();
        for step in 1..4 {
            // A linear layer used twice gives gradients to add: y = x W1ᵀ + r, loss over W2.
            let tape = ops.tape(kept).unwrap();
            let x = matrix(2000 + step * 10).put_tape(tape);
            let x = ops
                .norm(x, NormKind::Rms, &matrix_row(&ops), None, 1e-5)
                .unwrap();
            let targets: Vec<u32> = (0..20).collect();
            let formula = Formula {
                cross_entropy: true,
                square: None,
            };
            let task = LossTask {
                targets: &targets,
                mask: &[true; 20],
                formula: &formula,
                scale: 1.0,
            };
            let value = ops
                .head_loss(x, &parameters[(step % 2) as usize], &task)
                .unwrap();
            kept = ops.backward(value.objective).unwrap();
            let clip = ops
                .grad_norm_clip(&parameters, &mut kept, Some(0.01))
                .unwrap();
            norms.extend([clip.norm, clip.scale]);
            let step = AdamwStep {
                step,
                learning_rate: 1e-2,
                betas: [0.9, 0.95],
                eps: 1e-8,
                weight_decay: 0.1,
                decays: &[true, false],
                gradient_scale: clip.scale,
            };
            ops.adamw_step(&mut parameters, &mut moments, &mut kept, &step)
                .unwrap();
        }
        let values = parameters
            .iter()
            .flat_map(|p| ops.download(p))
            .map(Element::widen)
            .collect();
        (norms, values)
    }
    fn matrix_row<O: Operations>(ops: &O) -> Matrix<O> {
        ops.upload(vec![O::Element::narrow(1.0); 15], (1, 15))
            .unwrap()
    }
    let ((norms, values), (exact_norms, exact_values)) = (run::<Fused>(), run::<Exact>());
    assert_close("norms", &norms, &exact_norms, 1e-5);
    assert_close("parameters", &values, &exact_values, 1e-5);
}

#[test]
fn scores_logits_and_cached_attention_are_those_of_the_reference() {
    fn run<O: Operations>(config: &ModelConfig) -> (Scores, Vec<f32>, Vec<f64>, Vec<f64>) {
        let ops = O::open(2).unwrap();
        let network = Network::new(&ops, config, &weights(config)).unwrap();
        let n = GRID.rows();
        let input = ids(1, n, config.vocab_size);
        let x = network.hidden(&ops, &input, GRID, None, NoneTape).unwrap();
        let whole: Vec<f64> = ops.download(&x).into_iter().map(Element::widen).collect();
        let targets = ids(2, n, config.vocab_size);
        let mask: Vec<bool> = (0..n).map(|row| row % 3 != 0).collect();
        let task = ScoreTask {
            targets: &targets,
            mask: &mask,
            temperatures: &[0.5, 2.0],
            clipped_linear_eps: Some(1e-3),
        };
        let scores = ops.head_scores(x, network.head(), &task).unwrap();
        // The same sequences in pieces of growing size after a cache.
        let mut caches = network.caches(&ops, GRID.sequences, GRID.length).unwrap();
        let mut pieces = vec![0.0; whole.len()];
        let (mut from, mut logits) = (0, Vec::new());
        for count in [1, 1, 2, 5, 30, 28] {
            let piece: Vec<u32> = (0..GRID.sequences)
                .flat_map(|s| &input[s * GRID.length + from..s * GRID.length + from + count])
                .copied()
                .collect();
            let x = network
                .continued(&ops, &piece, &mut caches, &[0, 1])
                .unwrap();
            let values: Vec<f64> = ops.download(&x).into_iter().map(Element::widen).collect();
            for (s, rows) in values.chunks(count * config.dim).enumerate() {
                let at = (s * GRID.length + from) * config.dim;
                pieces[at..at + rows.len()].copy_from_slice(rows);
            }
            logits = ops.head_logits(x, network.head()).unwrap();
            from += count;
        }
        assert_eq!(from, GRID.length);
        (scores, logits, whole, pieces)
    }
    for config in [llama(), gpt2(true, 0.0)] {
        let (got, exact) = (run::<Fused>(&config), run::<Exact>(&config));
        let wide = |x: &[f32]| x.iter().map(|&v| f64::from(v)).collect::<Vec<_>>();
        assert_eq!(got.0.rank, exact.0.rank);
        for (what, a, b) in [
            (
                "log-likelihood",
                &got.0.log_likelihood,
                &exact.0.log_likelihood,
            ),
            ("confidence", &got.0.confidence, &exact.0.confidence),
            ("tempered", &got.0.tempered[0], &exact.0.tempered[0]),
            ("tempered", &got.0.tempered[1], &exact.0.tempered[1]),
            (
                "clipped linear",
                &got.0.clipped_linear,
                &exact.0.clipped_linear,
            ),
            ("logits", &got.1, &exact.1),
        ] {
            assert_close(what, &wide(a), &wide(b), 1e-5);
        }
        assert_close("hidden", &got.2, &exact.2, 1e-5);
        assert_close("cached", &got.3, &exact.2, 1e-5);
    }
}

/// Hidden states and logits after each id, for one to four sequences at once, on every instruction set and with
/// every number of threads.
#[test]
fn frozen_weights_give_the_same_bits() {
    for config in [llama(), gpt2(true, 0.0)] {
        let mut found = Vec::new();
        for (isa, threads) in Isa::available()
            .into_iter()
            .flat_map(|isa| [(isa, 1), (isa, 3)])
        {
            for is_frozen in [false, true] {
                let ops = Fused::with(isa, threads).unwrap();
                let network = Network::new(&ops, &config, &weights(&config)).unwrap();
                if is_frozen {
                    ops.freeze(&network.parameters);
                }
                let mut bits = Vec::new();
                for sequences in 1..=4 {
                    let which: Vec<usize> = (0..sequences).collect();
                    let mut caches = network.caches(&ops, sequences, 3).unwrap();
                    for position in 0..3 {
                        let ids = ids(position, sequences, config.vocab_size);
                        let hidden = network.continued(&ops, &ids, &mut caches, &which);
                        let hidden = hidden.unwrap();
                        bits.extend(ops.download(&hidden).into_iter().map(f32::to_bits));
                        let logits = ops.head_logits(hidden, network.head()).unwrap();
                        bits.extend(logits.into_iter().map(f32::to_bits));
                    }
                }
                found.push(bits);
            }
        }
        assert!(found.len() >= 8, "on two instruction sets at least");
        assert!(found.iter().all(|bits| *bits == found[0]));
    }
}

#[test]
fn nothing_counts_where_every_target_is_masked() {
    let ops = Fused::open(1).unwrap();
    let config = llama();
    let network = Network::new(&ops, &config, &weights(&config)).unwrap();
    let kept = ops.gradients(&network.parameters);
    let input = ids(1, GRID.rows(), config.vocab_size);
    let x = network
        .hidden(&ops, &input, GRID, None, ops.tape(kept).unwrap())
        .unwrap();
    let formula = Formula {
        cross_entropy: true,
        square: None,
    };
    let mask = vec![false; GRID.rows()];
    let task = LossTask {
        targets: &vec![u32::MAX; GRID.rows()],
        mask: &mask,
        formula: &formula,
        scale: 1.0,
    };
    let value = ops.head_loss(x, network.head(), &task).unwrap();
    assert_eq!((value.ce, value.square), (0.0, 0.0));
    let mut kept = ops.backward(value.objective).unwrap();
    let clip = ops
        .grad_norm_clip(&network.parameters, &mut kept, Some(1.0))
        .unwrap();
    assert_eq!((clip.norm, clip.scale), (0.0, 1.0));
}

#[test]
fn memory_that_waits_is_bounded_however_many_lengths_there_are() {
    let ops = Fused::open(1).unwrap();
    let config = llama();
    let network = Network::new(&ops, &config, &weights(&config)).unwrap();
    let mut waiting = Vec::new();
    // The longest first, then up to it again.
    for length in (1..=64).rev().chain(2..=64) {
        let grid = Grid {
            sequences: 2,
            length,
        };
        let input = ids(1, grid.rows(), config.vocab_size);
        network.hidden(&ops, &input, grid, None, NoneTape).unwrap();
        waiting.push(ops.stock.waiting());
    }
    let most = waiting.iter().max().unwrap();
    assert!(
        *most <= waiting[0],
        "{most} numbers wait, {} after the first",
        waiting[0]
    );
    let sizes = Sizes::default();
    let crowded: Vec<bool> = [100, 30, 100, 60, 30, 90, 100]
        .iter()
        .map(|&rows| sizes.crowded_by(rows))
        .collect();
    assert_eq!(crowded, [false, true, true, true, false, true, true]);
}
