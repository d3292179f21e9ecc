//! Models: number of parameters, initial values, initial losses, weights by name.

use super::super::layout::Layout;
use super::super::local::{DeviceKind, initial_weights, open};
use super::super::network::Network;
use super::super::ops::{Grid, LossTask, Operations};
use super::*;
use crate::choices::loss::Formula;
use crate::spec::{Loss, Reduction};
use crate::train::Weights;
use crate::weights::file as weights_file;
use dfdx::prelude::NoneTape;

#[test]
fn parameters_are_as_many_as_the_configuration_says() {
    for arch in [Arch::Llama, Arch::Gpt2] {
        for (biases, tied_output) in [(false, true), (false, false), (true, true), (true, false)] {
            let mut config = tiny(arch);
            config.biases = biases && arch == Arch::Gpt2;
            config.tied_output = tied_output;
            let layout = Layout::new(&config);
            let named: usize = layout.parts().map(|part| part.len()).sum();
            let built: usize = layout.slots.iter().map(|s| s.shape.0 * s.shape.1).sum();
            let drawn = layout.initial(&config, 1, 1);
            let values: usize = drawn.0.iter().map(|tensor| tensor.data.len()).sum();
            assert_eq!(
                [named, built, values],
                [config.parameters(); 3],
                "{config:?}"
            );
        }
    }
}

#[test]
fn names_are_those_of_hugging_face() {
    let names = |arch| {
        let mut config = tiny(arch);
        config.n_layers = 1;
        let layout = Layout::new(&config);
        let lines: Vec<String> = layout
            .parts()
            .map(|part| format!("{} {:?}", part.name, part.shape))
            .collect();
        lines.join("\n")
    };
    insta::assert_snapshot!(names(Arch::Llama), @r"
    model.embed_tokens.weight [11, 8]
    model.layers.0.input_layernorm.weight [8]
    model.layers.0.self_attn.q_proj.weight [8, 8]
    model.layers.0.self_attn.k_proj.weight [4, 8]
    model.layers.0.self_attn.v_proj.weight [4, 8]
    model.layers.0.self_attn.o_proj.weight [8, 8]
    model.layers.0.post_attention_layernorm.weight [8]
    model.layers.0.mlp.gate_proj.weight [12, 8]
    model.layers.0.mlp.up_proj.weight [12, 8]
    model.layers.0.mlp.down_proj.weight [8, 12]
    model.norm.weight [8]
    lm_head.weight [11, 8]
    ");
    insta::assert_snapshot!(names(Arch::Gpt2), @r"
    transformer.wte.weight [11, 8]
    transformer.wpe.weight [8, 8]
    transformer.h.0.ln_1.weight [8]
    transformer.h.0.ln_1.bias [8]
    transformer.h.0.attn.c_attn.weight [24, 8]
    transformer.h.0.attn.c_attn.bias [24]
    transformer.h.0.attn.c_proj.weight [8, 8]
    transformer.h.0.attn.c_proj.bias [8]
    transformer.h.0.ln_2.weight [8]
    transformer.h.0.ln_2.bias [8]
    transformer.h.0.mlp.c_fc.weight [12, 8]
    transformer.h.0.mlp.c_fc.bias [12]
    transformer.h.0.mlp.c_proj.weight [8, 12]
    transformer.h.0.mlp.c_proj.bias [8]
    transformer.ln_f.weight [8]
    transformer.ln_f.bias [8]
    ");
}

fn deviation(weights: &Weights, name: &str) -> f64 {
    let tensor = weights.0.iter().find(|tensor| tensor.name == name).unwrap();
    let squares: f64 = tensor.data.iter().map(|v| f64::from(*v).powi(2)).sum();
    (squares / tensor.data.len() as f64).sqrt()
}

#[test]
fn initial_values_have_the_deviations_of_their_initialiser() {
    let mut config = tiny(Arch::Llama);
    (config.dim, config.hidden_dim, config.vocab_size) = (64, 160, 300);
    let weights = initial_weights(&config, 3, 2);
    assert_eq!(weights, initial_weights(&config, 3, 1));
    assert_eq!(weights, initial_weights(&config, 3, 3));
    assert_ne!(weights, initial_weights(&config, 4, 1));
    let near = |ours: f64, due: f64| assert!((ours / due - 1.0).abs() < 0.03, "{ours} for {due}");
    let xavier = |rows: usize, cols: usize| (2.0 / (rows + cols) as f64).sqrt();
    near(
        deviation(&weights, "model.embed_tokens.weight"),
        xavier(300, 64),
    );
    near(
        deviation(&weights, "model.layers.1.self_attn.q_proj.weight"),
        xavier(64, 64),
    );
    near(
        deviation(&weights, "model.layers.1.self_attn.k_proj.weight"),
        xavier(32, 64),
    );
    near(
        deviation(&weights, "model.layers.0.mlp.down_proj.weight"),
        xavier(64, 160),
    );
    assert_eq!(deviation(&weights, "model.norm.weight"), 1.0);
    config = ModelConfig {
        dim: 64,
        hidden_dim: 256,
        vocab_size: 300,
        ..tiny(Arch::Gpt2)
    };
    let weights = initial_weights(&config, 3, 2);
    near(deviation(&weights, "transformer.wte.weight"), 0.02);
    near(
        deviation(&weights, "transformer.h.1.attn.c_attn.weight"),
        0.02,
    );
    near(
        deviation(&weights, "transformer.h.1.attn.c_proj.weight"),
        0.01,
    );
    near(
        deviation(&weights, "transformer.h.0.mlp.c_proj.weight"),
        0.01,
    );
    assert_eq!(deviation(&weights, "transformer.h.0.mlp.c_fc.bias"), 0.0);
}

/// The loss of fresh weights on random ids.
fn initial_loss(config: &ModelConfig, loss: &Loss) -> (f64, f64) {
    let ops = Stock::open(2).unwrap();
    let network = Network::<Stock>::new(&ops, config, &initial_weights(config, 5, 2)).unwrap();
    let grid = Grid {
        sequences: 8,
        length: 8,
    };
    let draws = Stream::new(6, Purpose::Corpus, 0);
    let id = |index: usize| draws.below(index as u64, config.vocab_size as u64) as u32;
    let ids: Vec<u32> = (0..grid.rows()).map(id).collect();
    let targets: Vec<u32> = (1000..1000 + grid.rows()).map(id).collect();
    let hidden = network.hidden(&ops, &ids, grid, None, NoneTape).unwrap();
    let task = LossTask {
        targets: &targets,
        mask: &vec![true; grid.rows()],
        formula: &Formula::new(loss, Reduction::MeanClasses, config.vocab_size),
        scale: 1.0,
    };
    let value = ops.head_loss(hidden, network.head(), &task).unwrap();
    (value.ce, value.square)
}

// docs/studies.md#a0: ln C + var / 2 with var = 2 dim / (C + dim), 10.377 for the LLaMA study's small model.
#[test]
fn initial_loss_of_the_llama_study_is_the_published_one() {
    let config = ModelConfig {
        dim: 128,
        hidden_dim: 384,
        vocab_size: 32_000,
        n_kv_heads: 4,
        ..tiny(Arch::Llama)
    };
    let (ce, _) = initial_loss(&config, &Loss::CrossEntropy);
    assert!((ce - 10.377).abs() < 0.03, "{ce}");
}

// docs/studies.md#a5 (LC-1, LC-2): logits of variance dim · 0.02² give ln C + var / 2, and squentropy adds the variance.
#[test]
fn initial_losses_of_gpt2_follow_the_formula() {
    let config = ModelConfig {
        dim: 384,
        hidden_dim: 384,
        n_layers: 1,
        vocab_size: 3000,
        ..tiny(Arch::Gpt2)
    };
    let variance = 384.0 * 0.02 * 0.02;
    let (ce, square) = initial_loss(&config, &Loss::Squentropy);
    let due = libm::log(3000.0) + variance / 2.0;
    assert!((ce - due).abs() < 0.12, "{ce} for {due}");
    assert!(
        (square / variance - 1.0).abs() < 0.03,
        "{square} for {variance}"
    );
}

#[test]
fn weights_survive_the_device_and_the_file() {
    for arch in [Arch::Llama, Arch::Gpt2] {
        let config = tiny(arch);
        let weights = initial_weights(&config, 2, 1);
        let ops = Stock::open(1).unwrap();
        let network = Network::<Stock>::new(&ops, &config, &weights).unwrap();
        assert_eq!(network.weights(&ops), weights);
        let file = weights_file::to_bytes(&weights);
        assert_eq!(weights_file::from_bytes(&file).unwrap(), weights);
        // The order of the tensors does not matter to the model.
        let mut turned = weights.clone();
        turned.0.reverse();
        let network = Network::<Stock>::new(&ops, &config, &turned).unwrap();
        assert_eq!(network.weights(&ops), weights);
    }
}

#[test]
fn weights_of_another_model_are_refused() {
    let config = tiny(Arch::Llama);
    let layout = Layout::new(&config);
    let refusal = |change: fn(&mut Weights)| {
        let mut weights = initial_weights(&config, 1, 1);
        change(&mut weights);
        layout
            .arranged(&weights)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refusal(|w| { w.0.pop(); }), @"weights do not fit the model: `lm_head.weight` is missing");
    insta::assert_snapshot!(refusal(|w| w.0[1].name = "x".to_owned()), @"weights do not fit the model: `model.layers.0.input_layernorm.weight` is missing");
    insta::assert_snapshot!(refusal(|w| { let t = w.0[0].clone(); w.0.push(t); }), @"weights do not fit the model: `model.embed_tokens.weight` is there twice");
    insta::assert_snapshot!(refusal(|w| { w.0[1].data.pop(); }), @"weights do not fit the model: `model.layers.0.input_layernorm.weight` has shape [8] and 7 values, the model needs [8]");
    insta::assert_snapshot!(refusal(|w| { let mut t = w.0[0].clone(); t.name = "y".to_owned(); w.0.push(t); }), @"weights do not fit the model: the model has no tensor `y`");
}

#[test]
fn devices_open_or_say_why_not() {
    assert_eq!(
        open(DeviceKind::Cpu)
            .unwrap()
            .numerics(crate::spec::Dtype::F32)
            .dtype,
        "f32"
    );
    let reference = open(DeviceKind::CpuReference).unwrap();
    assert_eq!(
        reference.numerics(crate::spec::Dtype::F32).engine,
        "cpu-reference"
    );
    for device in [
        DeviceKind::Cpu,
        DeviceKind::CpuReference,
        DeviceKind::Cuda(3),
    ] {
        assert_eq!(device.to_string().parse::<DeviceKind>().unwrap(), device);
    }
    assert_eq!("cuda".parse::<DeviceKind>().unwrap(), DeviceKind::Cuda(0));
    let error = "gpu".parse::<DeviceKind>().unwrap_err();
    insta::assert_snapshot!(error, @"device `gpu` cannot be used: expected `cpu`, `cpu-reference`, `cuda` or `cuda:N`");
}
