//! Steps as CUDA graphs: the same bits as call by call, whatever happens between them.

use super::super::super::graphs::{Graphs, watched};
use super::*;
use crate::data::{SequenceSet, TrainingData};
use crate::train::engine::cuda::emulator::look;
use crate::train::engine::trainer;
use crate::train::{Observer, StepTiming};
use std::collections::BTreeMap;
use std::ops::ControlFlow;

/// Two epochs of five steps and a shorter one, with a new learning rate in each; targets 3 do not count.
const STEPS: &str = r#"{
    "epochs": 2, "grad_accum_steps": 2, "grad_clip": 0.5, "keep": "both", "seed": 4, "ignore_index": 3,
    "schedule": {"cosine": {"warmup_steps": 2, "decay_steps": 9, "min_lr": 0.001}}, "validate": {"every": "step"}
}"#;

/// Training on sequences of one length, so that all steps but the last of an epoch have the same sizes.
fn even(arch: Arch, dtype: Dtype) -> Setting {
    let mut setting = setting(arch, dtype);
    setting.train = Setting::new(arch, STEPS).train;
    setting.train.dtype = dtype;
    let mut set = SequenceSet::new();
    for sequence in 0..22u32 {
        let ids: Vec<u32> = (0..=6)
            .map(|place| (place * 5 + sequence * sequence) % 11)
            .collect();
        set.push(&ids[..6], &ids[1..]);
    }
    setting.data = TrainingData::Sequences(set);
    setting
}

/// Everything that a training returns and reports.
#[derive(Debug, PartialEq)]
struct Results {
    last: Checkpoint,
    points: Vec<MetricPoint>,
    checkpoints: Vec<Checkpoint>,
}

fn results(setting: &Setting, resume: Option<&Checkpoint>, never: bool) -> (Results, Graphs) {
    watched(never, || {
        let mut recorder = Recorder {
            checkpoint_every_step: true,
            ..Recorder::default()
        };
        let last = finished(setting, resume, &mut recorder);
        Results {
            last,
            points: recorder.points,
            checkpoints: recorder.checkpoints,
        }
    })
}

#[test]
fn steps_as_graphs_have_the_same_bits_as_call_by_call() {
    if !compiled::are_there() {
        return;
    }
    for arch in [Arch::Llama, Arch::Gpt2] {
        for dtype in [Dtype::F32, Dtype::Bf16] {
            let setting = even(arch, dtype);
            let ((), gpu) = with(Emulated::default(), || {
                let (plain, none) = results(&setting, None, true);
                assert_eq!((none.steps, look(|gpu| gpu.graph_launches)), (0, 0));
                assert_eq!(plain.points.len(), 12);
                let (graph, used) = results(&setting, None, false);
                assert!(graph == plain, "{arch:?}, {dtype:?}");
                // Of ten whole steps, the first two went call by call.
                assert_eq!((used.steps, used.refused), (8, None));
                for middle in [0, 3, 6] {
                    let middle = &plain.checkpoints[middle];
                    let (rest, used) = results(&setting, Some(middle), false);
                    assert!(
                        rest.last == plain.last,
                        "resumed after step {}",
                        middle.step
                    );
                    assert!(used.steps > 0);
                }
            });
            is_clean(&gpu);
        }
    }
}

/// Takes and fills buffers of a graph after step 5, and looks at them after step 8.
struct Holder<'a> {
    ops: &'a CudaFused,
    held: Vec<Rc<Buffer>>,
    steps: u64,
}

impl Observer for Holder<'_> {
    fn on_step(&mut self, _: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
        self.steps += 1;
        let gpu = &self.ops.gpu;
        if self.steps == 5 {
            assert_eq!(look(|gpu| gpu.graph_launches), 3);
            let unused = gpu.pool.unused().into_iter();
            self.held = unused.map(|(bytes, _)| gpu.bytes(bytes)).collect();
            for buffer in &self.held {
                gpu.upload_to(buffer.at, &[7.0f32; 64]);
            }
        }
        if self.steps == 8 {
            for buffer in self.held.drain(..) {
                assert_eq!(gpu.download::<f32>(buffer.at, 64), [7.0; 64]);
            }
        }
        ControlFlow::Continue(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[test]
fn a_graph_writes_no_buffer_that_somebody_holds() {
    if !compiled::are_there() {
        return;
    }
    let setting = even(Arch::Llama, Dtype::F32);
    let ((), gpu) = with(Emulated::default(), || {
        let (plain, _) = results(&setting, None, true);
        let (trained, used) = watched(false, || {
            let ops = CudaFused::open_on(0, 1, Dtype::F32).unwrap();
            let (held, steps) = (Vec::new(), 0);
            let ops = &ops;
            trainer::train(ops, &job(&setting), None, &mut Holder { ops, held, steps }).unwrap()
        });
        let Trained::Finished(trained) = trained else {
            panic!("nobody stopped it");
        };
        assert!(trained.checkpoint == plain.last);
        // Steps 3 to 5, and 8 to 11 after another recording.
        assert_eq!((used.steps, used.refused), (7, None));
    });
    is_clean(&gpu);
}

#[test]
fn where_the_driver_refuses_steps_go_call_by_call() {
    if !compiled::are_there() {
        return;
    }
    let mut setting = even(Arch::Gpt2, Dtype::F32);
    setting.validation = SequenceSet::new();
    // Calls up to the end of each step, and graphs started.
    let mut ends: Vec<[u64; 2]> = Vec::new();
    let (plain, _) = with(Emulated::default(), || {
        struct Ends<'a>(&'a mut Vec<[u64; 2]>);
        impl Observer for Ends<'_> {
            fn on_step(&mut self, _: &MetricPoint, _: StepTiming) -> ControlFlow<()> {
                self.0.push(look(|gpu| [gpu.calls, gpu.graph_launches]));
                ControlFlow::Continue(())
            }
            fn wants_checkpoint(&mut self) -> bool {
                false
            }
            fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
                ControlFlow::Continue(())
            }
        }
        match engine()
            .train(&job(&setting), None, &mut Ends(&mut ends))
            .unwrap()
        {
            Trained::Finished(finished) => finished.checkpoint,
            Trained::Stopped => panic!("nobody stopped it"),
        }
    });
    let recorded = ends.iter().position(|[_, graphs]| *graphs == 1).unwrap();
    let [[first, _], [last, _]] = [ends[recorded - 1], ends[recorded]];
    let mut refusals = BTreeMap::new();
    // The last four calls start the graph and read the results.
    for at in (first + 1..last - 4).step_by(7).chain([last - 4]) {
        let emulated = Emulated {
            fail: Some((at, 801)),
            once: true,
            ..Emulated::default()
        };
        let ((last, used), gpu) = with(emulated, || {
            watched(false, || finished(&setting, None, &mut Recorder::default()))
        });
        is_clean(&gpu);
        assert!(last == plain, "call {at}");
        let why = used.refused.unwrap_or_default();
        assert_eq!((used.steps, why.is_empty()), (0, false), "call {at}");
        *refusals.entry(why).or_insert(0) += 1;
    }
    let refusals: Vec<String> = refusals.into_keys().collect();
    for call in [
        "cuStreamBeginCapture_v2",
        "cuLaunchKernel",
        "cublasSgemm_v2",
        "cuGraphInstantiateWithFlags",
    ] {
        assert!(
            refusals.iter().any(|why| why.starts_with(call)),
            "{refusals:?}"
        );
    }
}

#[test]
fn calls_that_wait_or_ask_for_memory_or_use_the_default_stream_cannot_be_recorded() {
    let ends = |call: &dyn Fn(&gpu::Gpu, u64)| {
        let emulated = Emulated {
            dry: true,
            ..Emulated::default()
        };
        let (ended, gpu) = with(emulated, || {
            let gpu = gpu::Gpu::open(0, Dtype::F32).unwrap();
            let memory = gpu.floats(4);
            let mut graph = std::ptr::null_mut();
            // SAFETY: the handle outlives the calls.
            unsafe { api::cuStreamBeginCapture_v2(gpu.stream, 1) };
            gpu.add(memory.at, memory.at, 4);
            call(&gpu, memory.at);
            // SAFETY: as above.
            unsafe {
                api::cuStreamEndCapture(gpu.stream, &raw mut graph);
                api::cuGraphDestroy(graph);
            }
            assert!(look(|gpu| gpu.launches.is_empty()), "nothing runs");
            api::forgive()
        });
        assert!(gpu.graphs.is_empty());
        ended.unwrap_or_default()
    };
    insta::assert_snapshot!(ends(&|_, _| ()), @"");
    insta::assert_snapshot!(ends(&|gpu, _| drop(gpu.floats(1 << 20))), @"cuMemAlloc_v2 returned error 900");
    insta::assert_snapshot!(ends(&|gpu, at| drop(gpu.download::<f32>(at, 1))), @"cuStreamSynchronize returned error 900");
    // SAFETY: there is room for it.
    let fill = |_: &gpu::Gpu, at| unsafe {
        api::cuMemsetD8Async(at, 0, 4, std::ptr::null_mut());
    };
    insta::assert_snapshot!(ends(&fill), @"cuMemsetD8Async returned error 906");
}
