//! Speed of whole training steps. Run one shape a process, to see its memory:
//! `cargo test --release --lib fused::speed::small -- --ignored --nocapture`.

use super::*;
use crate::rng::{Purpose, Stream};
use crate::spec::{Arch, Init, ModelConfig};
use crate::train::engine::layout::Layout;
use crate::train::engine::loss::Formula;
use crate::train::engine::network::Network;
use std::time::Instant;

/// dim, layers, heads, hidden, vocabulary, positions, batch.
fn measure(
    name: &str,
    [
        dim,
        n_layers,
        n_heads,
        hidden_dim,
        vocab_size,
        length,
        sequences,
    ]: [usize; 7],
    seconds: f64,
) {
    let config = ModelConfig {
        arch: Arch::Llama,
        dim,
        n_layers,
        n_heads,
        n_kv_heads: n_heads,
        hidden_dim,
        max_seq_len: length,
        vocab_size,
        norm_eps: 1e-5,
        rope_theta: 10_000.0,
        biases: false,
        tied_output: false,
        dropout: 0.0,
        init: Init::XavierNormal,
    };
    for threads in [2, 1] {
        let ops = Fused::open(threads).unwrap();
        let mut network =
            Network::new(&ops, &config, &Layout::new(&config).initial(&config, 1, 2)).unwrap();
        let zeros = || -> Vec<Matrix<Fused>> {
            let shapes = network.layout.slots.iter().map(|slot| slot.shape);
            shapes
                .map(|shape| ops.upload(vec![0.0; shape.0 * shape.1], shape).unwrap())
                .collect()
        };
        let mut moments = Moments {
            first: zeros(),
            second: zeros(),
        };
        let decays = vec![true; network.parameters.len()];
        let mut kept = ops.gradients(&network.parameters);
        let formula = Formula {
            cross_entropy: true,
            square: None,
        };
        let grid = Grid { sequences, length };
        let stream = Stream::new(1, Purpose::Corpus, 0);
        let ids: Vec<u32> = (0..grid.rows() as u64 + 1)
            .map(|i| stream.below(i, vocab_size as u64) as u32)
            .collect();
        let mask = vec![true; grid.rows()];
        let (mut times, mut parts, start) = (Vec::new(), [0.0; 3], Instant::now());
        while times.len() < 4 || start.elapsed().as_secs_f64() < seconds {
            let t0 = Instant::now();
            let tape = ops.tape(kept).unwrap();
            let x = network
                .hidden(&ops, &ids[..grid.rows()], grid, None, tape)
                .unwrap();
            let task = LossTask {
                targets: &ids[1..],
                mask: &mask,
                formula: &formula,
                scale: 1.0,
            };
            let value = ops.head_loss(x, network.head(), &task).unwrap();
            let t1 = Instant::now();
            kept = ops.backward(value.objective).unwrap();
            let t2 = Instant::now();
            let clip = ops
                .grad_norm_clip(&network.parameters, &mut kept, None)
                .unwrap();
            let step = AdamwStep {
                step: times.len() as u64 + 1,
                learning_rate: 1e-3,
                betas: [0.9, 0.95],
                eps: 1e-8,
                weight_decay: 0.1,
                decays: &decays,
                gradient_scale: clip.scale,
            };
            ops.adamw_step(&mut network.parameters, &mut moments, &mut kept, &step)
                .unwrap();
            let t3 = Instant::now();
            times.push((t3 - t0).as_secs_f64());
            for (part, time) in parts.iter_mut().zip([t1 - t0, t2 - t1, t3 - t2]) {
                *part += time.as_secs_f64();
            }
        }
        let steps = times.len() as f64;
        times.sort_by(f64::total_cmp);
        let rate = |seconds: f64| grid.rows() as f64 / seconds;
        println!(
            "{name}, {threads} threads: best {:.0}, median {:.0} tokens/s; forward {:.1}, backward {:.1}, update {:.1} ms; {steps} steps",
            rate(times[0]),
            rate(times[times.len() / 2]),
            parts[0] / steps * 1e3,
            parts[1] / steps * 1e3,
            parts[2] / steps * 1e3,
        );
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap_or("peak unknown");
    println!("{name}: {peak}");
}

#[test]
#[ignore = "a measurement"]
fn small() {
    measure("S", [128, 2, 4, 344, 2048, 128, 16], 4.0);
}

#[test]
#[ignore = "a measurement"]
fn small_short() {
    measure(
        "S, 64 tokens, batch 10",
        [128, 2, 4, 344, 2048, 64, 10],
        4.0,
    );
}

#[test]
#[ignore = "a measurement"]
fn large() {
    measure("L", [512, 8, 8, 1376, 32_000, 256, 4], 12.0);
}
