//! Sampling: the cache against full passes, and the choice of an id.

use super::super::fused::Fused;
use super::super::generate::{logits, sample};
use super::super::local::initial_weights;
use super::super::network::Network;
use super::super::ops::{Grid, Operations};
use super::*;
use crate::data::Stop;
use crate::train::{SampleJob, Weights};
use dfdx::prelude::NoneTape;

/// Fresh weights, enlarged so that logits differ clearly.
fn loud(config: &ModelConfig) -> Weights {
    let mut weights = initial_weights(config, 11, 1);
    for tensor in &mut weights.0 {
        let factor = if tensor.shape.len() > 1 { 4.0 } else { 1.0 };
        tensor.data.iter_mut().for_each(|value| *value *= factor);
    }
    weights
}

fn job<'a>(model: &'a ModelConfig, prompts: &'a [Vec<u32>]) -> SampleJob<'a> {
    SampleJob {
        model,
        prompts,
        max_new_tokens: 10,
        temperature: 0.8,
        top_k: None,
        top_p: Some(0.95),
        seed: 1,
        stop: None,
        usable_vocab: model.vocab_size,
        threads: 1,
        halt: Stop::never(),
    }
}

fn generate(weights: &Weights, job: &SampleJob<'_>) -> Vec<Vec<u32>> {
    open(DeviceKind::Cpu)
        .unwrap()
        .generate(weights, job)
        .unwrap()
}

/// Compares every `stride`-th of 200 ids with a full pass over the text.
fn cache_equals_whole_passes<O: Operations>(stride: usize) {
    for arch in [Arch::Llama, Arch::Gpt2] {
        let mut config = tiny(arch);
        config.max_seq_len = 210;
        let weights = loud(&config);
        let prompts = [vec![3, 1, 4]];
        let job = SampleJob {
            max_new_tokens: 200,
            ..job(&config, &prompts)
        };
        let ops = O::open(1).unwrap();
        let ids = super::super::generate::generate(&ops, &weights, &job, &mut |_, _| {
            std::ops::ControlFlow::Continue(())
        })
        .unwrap()
        .remove(0);
        assert_eq!(ids.len(), 200);
        let network = Network::<O>::new(&ops, &config, &weights).unwrap();
        let mut caches = network.caches(&ops, 1, 210).unwrap();
        let mut text = prompts[0].clone();
        let mut fed = 0;
        for (count, &id) in ids.iter().enumerate() {
            let cached = logits(&ops, &network, &text[fed..], &mut caches, &[0]).unwrap();
            fed = text.len();
            if count % stride == 0 {
                let grid = Grid {
                    sequences: 1,
                    length: text.len(),
                };
                let hidden = network.hidden(&ops, &text, grid, None, NoneTape).unwrap();
                let last = ops.select_rows(hidden, &[text.len() - 1]).unwrap();
                let whole = ops.head_logits(last, network.head()).unwrap();
                let largest = whole.iter().fold(1.0f32, |max, f| max.max(f.abs()));
                for (a, b) in whole.iter().zip(&cached) {
                    assert!((a - b).abs() < 1e-5 * largest, "{arch:?}: {a} {b}");
                }
                let draw = Stream::new(1, Purpose::Sample, text.len() as u64).uniform(0);
                assert_eq!(sample(&job, &whole, draw), id, "{arch:?} id {count}");
            }
            text.push(id);
        }
    }
}

#[test]
fn cached_passes_equal_whole_passes_over_200_ids() {
    cache_equals_whole_passes::<Stock>(33);
    cache_equals_whole_passes::<Fused>(1);
}

#[test]
fn rows_do_not_depend_on_each_other_but_on_their_number() {
    let config = tiny(Arch::Llama);
    let weights = loud(&config);
    let prompts = [vec![1], vec![2, 3, 4], vec![1]];
    let all = generate(&weights, &job(&config, &prompts));
    // `max_seq_len` is 8, including the prompt.
    assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [7, 5, 7]);
    let alone = generate(&weights, &job(&config, &prompts[..1]));
    assert_eq!(alone[0], all[0]);
    assert_ne!(all[0], all[2]);
    let other_seed = SampleJob {
        seed: 2,
        ..job(&config, &prompts)
    };
    assert_ne!(generate(&weights, &other_seed), all);
}

#[test]
fn a_continuation_ends_at_the_stop_id_or_the_limit() {
    let config = tiny(Arch::Gpt2);
    let weights = loud(&config);
    let prompts = [vec![1, 2]];
    let free = generate(&weights, &job(&config, &prompts)).remove(0);
    assert_eq!(free.len(), 6);
    let stop = free[3];
    let at = free.iter().position(|&id| id == stop).unwrap();
    let stopped = SampleJob {
        stop: Some(stop),
        ..job(&config, &prompts)
    };
    assert_eq!(generate(&weights, &stopped)[0], free[..at]);
    let short = SampleJob {
        max_new_tokens: 2,
        ..job(&config, &prompts)
    };
    assert_eq!(generate(&weights, &short)[0], free[..2]);
    let none = SampleJob {
        max_new_tokens: 0,
        ..job(&config, &prompts)
    };
    assert!(generate(&weights, &none)[0].is_empty());
    let full = [vec![1; 8]];
    assert!(generate(&weights, &job(&config, &full))[0].is_empty());
}

#[test]
fn prompts_that_do_not_fit_are_errors() {
    let config = tiny(Arch::Llama);
    let weights = loud(&config);
    let refusal = |prompts: &[Vec<u32>]| {
        let engine = open(DeviceKind::Cpu).unwrap();
        let error = engine.generate(&weights, &job(&config, prompts));
        error.unwrap_err().to_string()
    };
    insta::assert_snapshot!(refusal(&[vec![1], vec![]]), @"prompt 1 is empty");
    insta::assert_snapshot!(refusal(&[vec![11]]), @"token id 11 is not below the vocabulary's size 11");
    // A prompt longer than the context has no continuation, like one that fills it.
    let engine = open(DeviceKind::Cpu).unwrap();
    let long = [vec![1; 9]];
    assert_eq!(
        engine.generate(&weights, &job(&config, &long)).unwrap(),
        [Vec::<u32>::new()]
    );
}

/// The ids chosen by a grid of draws, with their shares.
fn shares(job: &SampleJob<'_>, logits: &[f32]) -> Vec<(u32, f64)> {
    let mut counts = std::collections::BTreeMap::new();
    for step in 0..1000 {
        let id = sample(job, logits, (f64::from(step) + 0.5) / 1000.0);
        *counts.entry(id).or_insert(0.0) += 0.001;
    }
    counts.into_iter().collect()
}

/// The rule of [`sample`], implemented literally.
fn by_the_rule(job: &SampleJob<'_>, logits: &[f32], draw: f64) -> u32 {
    let mut order: Vec<usize> = (0..job.usable_vocab.min(logits.len())).collect();
    order.sort_by(|a, b| (logits[*b] + 0.0).total_cmp(&(logits[*a] + 0.0)));
    order.truncate(job.top_k.unwrap_or(usize::MAX));
    let max = f64::from(logits[order[0]]);
    let mass = |id: &usize| libm::exp((f64::from(logits[*id]) - max) / job.temperature);
    let reach = |masses: &[f64], aim: f64| {
        let sums = masses.iter().scan(0.0, |sum, mass| {
            *sum += mass;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= aim)
            .count()
            .min(masses.len() - 1)
    };
    let mut masses: Vec<f64> = order.iter().map(mass).collect();
    if let Some(p) = job.top_p {
        masses.truncate(1 + reach(&masses, p * masses.iter().sum::<f64>()));
    }
    order[reach(&masses, draw * masses.iter().sum::<f64>())] as u32
}

#[test]
fn ids_of_large_vocabularies_are_chosen_by_the_same_rule() {
    let config = tiny(Arch::Llama);
    let n = 3_000;
    let normal = |i: u64| Stream::new(5, Purpose::Sample, 0).normal_pair(i)[0] as f32;
    let spread: Vec<f32> = (0..n).map(normal).collect();
    let equal = vec![0.25; n as usize];
    let steep: Vec<f32> = spread.iter().map(|logit| 40.0 * logit).collect();
    let mut ids = std::collections::BTreeSet::new();
    for logits in [&spread, &equal, &steep] {
        for (top_k, top_p) in [
            (None, None),
            (None, Some(0.1)),
            (None, Some(0.999)),
            (None, Some(1.0)),
            (Some(2_000), Some(0.9)),
            (Some(9), None),
        ] {
            for temperature in [0.2, 1.0, 30.0] {
                let job = SampleJob {
                    top_k,
                    top_p,
                    temperature,
                    usable_vocab: n as usize - 1,
                    ..job(&config, &[])
                };
                for draw in [
                    0.0,
                    1e-9,
                    0.03,
                    0.5,
                    0.9,
                    0.999_999,
                    1.0 - f64::EPSILON / 2.0,
                ] {
                    let id = sample(&job, logits, draw);
                    assert_eq!(
                        id,
                        by_the_rule(&job, logits, draw),
                        "{top_k:?} {top_p:?} {temperature} {draw}"
                    );
                    ids.insert(id);
                }
            }
        }
    }
    assert!(ids.len() > 50, "{}", ids.len());
}

#[test]
fn an_id_is_chosen_by_probability_within_the_allowed_set() {
    let config = tiny(Arch::Llama);
    let base = SampleJob {
        temperature: 1.0,
        top_p: None,
        ..job(&config, &[])
    };
    // Probabilities 0.1, 0.4, 0.1, 0.4.
    let logits = [1.0f32, 4.0, 1.0, 4.0].map(|x| libm::log(f64::from(x)) as f32);
    let near = |ours: Vec<(u32, f64)>, due: &[(u32, f64)]| {
        assert_eq!(ours.len(), due.len(), "{ours:?}");
        for (a, b) in ours.iter().zip(due) {
            assert!(a.0 == b.0 && (a.1 - b.1).abs() < 0.003, "{ours:?}");
        }
    };
    near(
        shares(&base, &logits),
        &[(0, 0.1), (1, 0.4), (2, 0.1), (3, 0.4)],
    );
    let job = |top_k, top_p, temperature, usable_vocab| SampleJob {
        top_k,
        top_p,
        temperature,
        usable_vocab,
        ..base
    };
    near(
        shares(&job(Some(3), None, 1.0, 4), &logits),
        &[(0, 1.0 / 9.0), (1, 4.0 / 9.0), (3, 4.0 / 9.0)],
    );
    near(shares(&job(Some(1), None, 1.0, 4), &logits), &[(1, 1.0)]);
    // 0.4 does not exceed 0.45, 0.8 does.
    near(
        shares(&job(None, Some(0.45), 1.0, 4), &logits),
        &[(1, 0.5), (3, 0.5)],
    );
    near(
        shares(&job(None, Some(0.85), 1.0, 4), &logits),
        &[(0, 1.0 / 9.0), (1, 4.0 / 9.0), (3, 4.0 / 9.0)],
    );
    near(shares(&job(None, Some(0.0), 1.0, 4), &logits), &[(1, 1.0)]);
    near(
        shares(&job(None, Some(1.0), 1.0, 4), &logits),
        &[(0, 0.1), (1, 0.4), (2, 0.1), (3, 0.4)],
    );
    near(
        shares(&job(None, None, 0.5, 4), &logits),
        &[
            (0, 1.0 / 34.0),
            (1, 16.0 / 34.0),
            (2, 1.0 / 34.0),
            (3, 16.0 / 34.0),
        ],
    );
    near(
        shares(&job(None, None, 1.0, 2), &logits),
        &[(0, 0.2), (1, 0.8)],
    );
    // Greedy: ties go to the lower id.
    near(shares(&job(None, None, 0.0, 4), &logits), &[(1, 1.0)]);
    assert!(sample(&base, &[f32::NAN, f32::INFINITY], 0.99) < 2);
}
