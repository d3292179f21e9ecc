//! The driver calls of a step at the published shapes, counted in a dry run, which stores and computes nothing.

use super::*;
use crate::data::{SequenceSet, TrainingData};
use crate::spec::{Every, Init};
use crate::train::engine::cuda::emulator::look;
use crate::train::engine::cuda::traffic::Work;
use crate::train::{NamedTensor, Observer, StepTiming, Weights};
use std::ops::ControlFlow;

/// Counts for one step.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    kernels: u64,
    products: u64,
    copies: u64,
    waits: u64,
    allocations: u64,
    moved: u64,
    calls: u64,
    graphs: u64,
}

impl Counts {
    fn now() -> Self {
        look(|gpu| Self {
            kernels: gpu.launches.values().sum(),
            products: gpu.products,
            copies: gpu.copies,
            waits: gpu.waits,
            allocations: gpu.allocations,
            moved: gpu.moved,
            calls: gpu.calls,
            graphs: gpu.graph_launches,
        })
    }

    fn since(self, before: Self) -> Self {
        Self {
            kernels: self.kernels - before.kernels,
            products: self.products - before.products,
            copies: self.copies - before.copies,
            waits: self.waits - before.waits,
            allocations: self.allocations - before.allocations,
            moved: self.moved - before.moved,
            calls: self.calls - before.calls,
            graphs: self.graphs - before.graphs,
        }
    }

    /// Number of operations that the GPU starts.
    fn launches(self) -> u64 {
        self.kernels + self.products + self.copies
    }
}

#[derive(Default)]
struct Steps(Vec<Counts>);

impl Observer for Steps {
    fn on_step(&mut self, _: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
        self.0.push(Counts::now());
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    /// Ends the job before it would copy all weights to the host.
    fn on_validation(&mut self, _: usize, _: usize) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// The setting of a published shape, with four steps and a validation that is due at the end of a fifth.
fn published(shape: &serde_json::Value, dtype: Dtype) -> Setting {
    let number = |key: &str| shape[key].as_u64().unwrap() as usize;
    let llama = shape["arch"] == "llama";
    let arch = if llama { Arch::Llama } else { Arch::Gpt2 };
    let mut setting = Setting::new(arch, r#"{"epochs": 1, "max_steps": 5, "grad_clip": 1.0}"#);
    setting.train.dtype = dtype;
    setting.train.batch_size = number("batch_size");
    setting.train.validate.every = Every::End;
    let model = &mut setting.model;
    (model.dim, model.n_layers) = (number("dim"), number("n_layers"));
    (model.n_heads, model.n_kv_heads) = (number("n_heads"), number("n_heads"));
    (model.hidden_dim, model.vocab_size) = (number("hidden_dim"), number("vocab_size"));
    (model.max_seq_len, model.tied_output) = (number("seq_len"), !llama);
    model.biases = false;
    model.init = if llama {
        Init::XavierNormal
    } else {
        Init::Gpt2
    };
    let mut set = SequenceSet::new();
    for sequence in 0..5 * number("batch_size") {
        let id = |place: usize| ((place * 7 + sequence * 13) % number("vocab_size")) as u32;
        let ids: Vec<u32> = (0..=number("seq_len")).map(id).collect();
        set.push(&ids[..number("seq_len")], &ids[1..]);
    }
    setting.data = TrainingData::Sequences(set);
    setting
}

/// Arbitrary weights, created quickly.
fn zeros(setting: &Setting) -> Weights {
    let layout = crate::train::engine::layout::Layout::new(&setting.model);
    let tensors = layout.parts().map(|part| NamedTensor {
        name: part.name.clone(),
        shape: part.shape.clone(),
        data: vec![0.0; part.shape.iter().product()],
    });
    Weights(tensors.collect())
}

/// Minimum number of bytes that a step without dropout must read and write if every operation is one kernel or
/// product: exchanged values once on each side, and each parameter's numbers once when they are updated.
/// Rotation, a second pass over logits, partial sums and ids are not counted.
fn least(setting: &Setting) -> f64 {
    let model = &setting.model;
    let low = setting.train.dtype == Dtype::Bf16;
    let e = if low { 2.0 } else { 4.0 };
    let [d, f, v] = [model.dim, model.hidden_dim, model.vocab_size].map(|size| size as f64);
    let rows = (setting.train.batch_size * model.max_seq_len) as f64;
    let layers = model.n_layers as f64;
    let q = d + (2 * model.n_kv_heads * model.head_dim()) as f64;
    let u = if model.arch == Arch::Llama {
        2.0 * f
    } else {
        f
    };
    let factors = layers * (d * q + d * d + u * d + f * d) + v * d;
    // Gradients of factors are added to; factors are read in both passes and their copies written; the norm
    // reads gradients; AdamW.
    let parameters =
        factors * (8.0 + 2.0 * e + if low { 2.0 } else { 0.0 }) + model.parameters() as f64 * 36.0;
    let norm = d * (4.0 + e) + d * (12.0 + e);
    // A product: input and output, then the gradients of its input and of its weight.
    let product = |inputs: f64, outputs: f64| 3.0 * e * (inputs + outputs);
    let residual = d * (8.0 + e) + d * if low { 4.0 + e } else { 4.0 };
    let attention = e * (q + d) + e * 2.0 * d + e * (2.0 * q + 2.0 * d);
    let activation = e * (u + f) + e * (2.0 * u + f);
    let layer = 2.0 * norm + product(d, q) + attention + product(d, d) + product(d, u);
    let layer = layer + activation + product(f, d) + 2.0 * residual;
    let head = norm + product(d, v) + 2.0 * e * v;
    parameters + rows * (layers * layer + head + 16.0 * d)
}

/// Counts of the second to the fourth step, and the peak memory over all.
fn counted(setting: &Setting) -> ([Counts; 3], usize) {
    let weights = zeros(setting);
    let dry = Emulated {
        dry: true,
        capacity: Some(140 << 30),
        ..Emulated::default()
    };
    let (steps, gpu) = with(dry, || {
        let job = TrainJob {
            model: &setting.model,
            train: &setting.train,
            data: &setting.data,
            validation: &setting.validation,
            start: Some(&weights),
            threads: 1,
        };
        let mut steps = Steps::default();
        engine().train(&job, None, &mut steps).unwrap();
        steps.0
    });
    is_clean(&gpu);
    let later = [1, 2, 3].map(|step| steps[step].since(steps[step - 1]));
    (later, gpu.peak)
}

#[test]
fn a_step_at_the_published_shapes_has_few_calls_and_waits_once() {
    let shapes = include_str!("../../../../../bench/shapes.json");
    let shapes: serde_json::Map<String, serde_json::Value> = serde_json::from_str(shapes).unwrap();
    let mut shapes: Vec<(String, serde_json::Value)> = shapes.into_iter().collect();
    // The published grid combines its widest model with both 2 heads of 256 and 4 heads.
    for heads in [2, 4] {
        let widest = shapes.iter().find(|(name, _)| name == "grid-512-8-512");
        let mut shape = widest.unwrap().1.clone();
        shape["n_heads"] = heads.into();
        shapes.push((format!("{heads} heads"), shape));
    }
    println!(
        "shape              dtype  kernels products copies  GB moved  of the least  GiB at most  ms host  ms GPU  calls, as a graph"
    );
    for (name, shape) in &shapes {
        for dtype in [Dtype::F32, Dtype::Bf16] {
            let setting = published(shape, dtype);
            let ([step, third, fourth], peak) = counted(&setting);
            let work = Work {
                calls: step.launches(),
                bytes: step.moved,
            };
            let [host, device] = work.seconds().map(|seconds| 1e3 * seconds);
            let (gb, gib) = (step.moved as f64 / 1e9, peak as f64 / (1u64 << 30) as f64);
            println!(
                "{name:<18} {:<6} {:>7} {:>8} {:>6} {gb:>9.2} {:>13.2} {gib:>12.2} {host:>8.2} {device:>7.2} {:>6} {:>10}",
                format!("{dtype:?}"),
                step.kernels,
                step.products,
                step.copies,
                step.moved as f64 / least(&setting),
                step.calls,
                if fourth.graphs == 1 {
                    fourth.calls.to_string()
                } else {
                    String::new()
                },
            );
            let known = sizes::training_bytes(&setting.model, &setting.train);
            let (known, peak) = (known as f64, peak as f64);
            let most = 1.05 * peak + 8e6;
            assert!(
                (0.97 * peak..most).contains(&known),
                "{name}: {known} for {peak}"
            );
            let least = least(&setting);
            let times = step.moved as f64 / least;
            assert!((1.0..1.3).contains(&times), "{name}: {times} of {least}");
            for later in [step, third, fourth] {
                assert_eq!((later.waits, later.allocations), (1, 0), "{name}");
                assert_eq!(
                    (later.kernels, later.products),
                    (step.kernels, step.products)
                );
            }
            // Where the host is slower, the third step is recorded and the fourth only started: with the upload
            // before and the download and wait after it.
            let is_graph = host > device;
            assert_eq!(fourth.graphs, u64::from(is_graph), "{name}: {fourth:?}");
            let calls = if is_graph { 4 } else { step.calls };
            assert_eq!(
                (fourth.calls, third.graphs),
                (calls, fourth.graphs),
                "{name}"
            );
            // For L and all other models with 8 layers; 12 layers need 12 / 8 as much per layer.
            let layers = setting.model.n_layers.max(8) as u64;
            assert!(8 * step.launches() <= 300 * layers, "{name}: {step:?}");
        }
    }
}
