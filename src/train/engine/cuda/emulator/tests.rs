//! The CUDA engine on the emulated GPU: the same numbers as on the CPU, nothing of what is slow there, and no panic whatever fails.

use super::{Emulated, compiled, look, with};
use crate::data::Stop;
use crate::spec::{Arch, Dtype};
use crate::train::engine::acceptance::compare_on;
use crate::train::engine::local::LocalEngine;
use crate::train::engine::ops::Operations as _;
use crate::train::engine::reference::Reference;
use crate::train::engine::tests::{Recorder, Setting, tiny};
use crate::train::{
    Checkpoint, Engine, EvalJob, SampleJob, TrainError, TrainJob, Trained, Weights,
};
use dfdx::prelude::Cuda;

type OnCuda = Reference<f32, Cuda>;

const LONG: &str = r#"{"epochs": 1, "grad_accum_steps": 2, "grad_clip": 0.5, "keep": "both", "seed": 4, "validate": {"every": "step"}}"#;

fn engine() -> LocalEngine<OnCuda> {
    LocalEngine::on(0)
}

fn setting(arch: Arch) -> Setting {
    let mut setting = Setting::new(arch, LONG);
    if arch == Arch::Gpt2 {
        setting.model.dropout = 0.2;
    }
    setting
}

fn train(
    engine: &dyn Engine,
    setting: &Setting,
    resume: Option<&Checkpoint>,
    recorder: &mut Recorder,
) -> Result<Trained, TrainError> {
    let job = TrainJob {
        model: &setting.model,
        train: &setting.train,
        data: &setting.data,
        validation: &setting.validation,
        start: None,
        threads: 1,
    };
    engine.train(&job, resume, recorder)
}

#[test]
fn every_operation_loss_and_gradient_is_that_of_the_reference() {
    if !compiled::are_there() {
        return;
    }
    let (found, gpu) = with(Emulated::default(), || {
        compare_on(&OnCuda::open(2).unwrap(), Dtype::F32)
    });
    assert_eq!(gpu.nonsense, Vec::<String>::new());
    let found = found.unwrap();
    assert_eq!(gpu.in_use(), 0, "everything was freed");
    let wrong: Vec<_> = found.iter().filter(|found| !found.holds()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(found.len(), 1 + 10 + 2 * 7);
}

#[test]
fn training_takes_the_course_of_the_cpu_and_goes_on_from_checkpoints() {
    if !compiled::are_there() {
        return;
    }
    for arch in [Arch::Llama, Arch::Gpt2] {
        let setting = setting(arch);
        let mut cpu = Recorder::default();
        setting.finish(&mut cpu);
        let ((), gpu) = with(Emulated::default(), || {
            let mut whole = Recorder {
                checkpoint_every_step: true,
                ..Recorder::default()
            };
            let all = train(&engine(), &setting, None, &mut whole).unwrap();
            for (ours, due) in whole.points.iter().zip(&cpu.points) {
                assert!(
                    (ours.train_loss - due.train_loss).abs() < 1e-4,
                    "{ours:?}, {due:?}"
                );
                assert!((ours.grad_norm - due.grad_norm).abs() < 1e-3 * due.grad_norm);
                let [a, b] = [ours, due].map(|point| point.val_loss.unwrap());
                assert!((a - b).abs() < 1e-4);
            }
            assert_eq!(whole.points.len(), cpu.points.len());
            let middle = &whole.checkpoints[0];
            let rest = train(&engine(), &setting, Some(middle), &mut Recorder::default()).unwrap();
            let (Trained::Finished(all), Trained::Finished(rest)) = (all, rest) else {
                panic!("nobody stopped it");
            };
            // Emulated sums have an order, so even the bits agree.
            assert_eq!(all.checkpoint, rest.checkpoint);
        });
        assert_eq!(gpu.nonsense, Vec::<String>::new());
        assert_eq!(gpu.in_use(), 0);
    }
}

#[test]
fn scores_and_samples_are_those_of_the_cpu() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Llama);
    let weights = setting.finish(&mut Recorder::default()).last;
    let eval = EvalJob {
        model: &setting.model,
        sequences: &setting.validation,
        temperatures: &[0.5],
        clipped_linear_eps: None,
        threads: 2,
        halt: Stop::never(),
    };
    let sample = SampleJob {
        model: &setting.model,
        prompts: &[vec![1, 2, 3], vec![4]],
        max_new_tokens: 4,
        temperature: 0.0,
        top_k: None,
        top_p: None,
        seed: 1,
        stop: None,
        usable_vocab: 11,
        threads: 1,
        halt: Stop::never(),
    };
    let cpu = crate::train::open(setting.device).unwrap();
    let due = (
        cpu.evaluate(&weights, &eval).unwrap(),
        cpu.generate(&weights, &sample).unwrap(),
    );
    let (ours, gpu) = with(Emulated::default(), || {
        let scores = engine().evaluate(&weights, &eval).unwrap();
        (scores, engine().generate(&weights, &sample).unwrap())
    });
    assert_eq!(gpu.nonsense, Vec::<String>::new());
    assert_eq!(ours.1, due.1);
    assert_eq!(ours.0.rank, due.0.rank);
    for (a, b) in ours.0.log_likelihood.iter().zip(&due.0.log_likelihood) {
        assert!((a - b).abs() < 1e-5);
    }
}

#[test]
fn a_step_asks_for_nothing_that_is_slow_on_a_gpu() {
    if !compiled::are_there() {
        return;
    }
    for arch in [Arch::Llama, Arch::Gpt2] {
        let mut setting = setting(arch);
        setting.train.max_steps = Some(3);
        setting.train.validate.every = crate::spec::Every::End;
        setting.validation = crate::data::SequenceSet::new();
        let ((), gpu) = with(Emulated::default(), || {
            train(&engine(), &setting, None, &mut Recorder::default())
                .map(|_| ())
                .unwrap();
        });
        for kernel in gpu.launches.keys() {
            assert!(
                !kernel.contains("dropout") && !kernel.contains("reshape"),
                "{kernel}"
            );
        }
        // Two micro-batches of three products a part: no product per sequence or head.
        let parts = match arch {
            Arch::Llama => 2 * (1 + 2 + 2 + 1 + 1 + 1) + 1,
            Arch::Gpt2 => 2 * (1 + 2 + 1 + 1 + 1) + 1,
        };
        assert_eq!(gpu.products, 3 * 2 * 3 * parts, "{arch:?}");
        // Ids, masks and tables go up; a few numbers of the loss and the norms come down, and the weights at the end.
        let weights = 4 * setting.model.parameters();
        assert!(
            gpu.downloaded < 5 * weights,
            "{} of {weights}",
            gpu.downloaded
        );
        let _ = gpu.uploaded;
    }
}

/// Trains with a GPU that fails at call `at`; gives the error and what the observer got.
fn failing(at: u64, code: u32, once: bool) -> (Result<Trained, TrainError>, Recorder, Emulated) {
    let setting = setting(Arch::Llama);
    let mut recorder = Recorder {
        checkpoint_every_step: true,
        ..Recorder::default()
    };
    let emulated = Emulated {
        fail: Some((at, code)),
        once,
        ..Emulated::default()
    };
    let (result, gpu) = with(emulated, || train(&engine(), &setting, None, &mut recorder));
    (result, recorder, gpu)
}

#[test]
fn a_gpu_that_disappears_at_any_call_is_an_error_and_no_panic() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Llama);
    let ((whole, last), gpu) = with(Emulated::default(), || {
        let mut recorder = Recorder {
            checkpoint_every_step: true,
            ..Recorder::default()
        };
        match train(&engine(), &setting, None, &mut recorder).unwrap() {
            Trained::Finished(finished) => (recorder, finished.checkpoint),
            Trained::Stopped => panic!("nobody stopped it"),
        }
    });
    assert!(gpu.calls > 1000);
    let early = 1..60;
    let later = (60..gpu.calls).step_by(gpu.calls as usize / 60);
    let mut finished = 0;
    for at in early.chain(later).chain([gpu.calls]) {
        for once in [false, true] {
            let (result, recorder, gpu) = failing(at, 719, once);
            match result {
                Err(error) => assert!(
                    matches!(error, TrainError::DeviceFailed { .. }),
                    "call {at}: {error}"
                ),
                // It failed when everything was done.
                Ok(Trained::Finished(done)) => {
                    assert_eq!(done.checkpoint, last, "call {at}");
                    finished += 1;
                }
                Ok(Trained::Stopped) => panic!("call {at}: nobody stopped it"),
            }
            // What got out before is right, and nothing came after.
            let steps = recorder.points.len();
            assert_eq!(recorder.points, whole.points[..steps], "call {at}");
            let saved = recorder.checkpoints.len();
            assert_eq!(
                recorder.checkpoints,
                whole.checkpoints[..saved],
                "call {at}"
            );
            assert_eq!(gpu.nonsense, Vec::<String>::new(), "call {at}");
            assert_eq!(gpu.in_use(), 0, "call {at}");
        }
    }
    assert!(finished <= 4, "{finished}");
}

#[test]
fn a_run_goes_on_where_the_gpu_was_lost() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Llama);
    let mut calls = Vec::new();
    let ((), gpu) = with(Emulated::default(), || {
        train(&engine(), &setting, None, &mut Recorder::default())
            .map(|_| ())
            .unwrap();
    });
    calls.extend([gpu.calls / 2, gpu.calls * 3 / 4]);
    for at in calls {
        let (result, recorder, _) = failing(at, 999, false);
        let message = result.map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("the next `run` continues"), "{message}");
        let checkpoint = recorder.checkpoints.last().unwrap();
        let (rest, _) = with(Emulated::default(), || {
            let mut rest = Recorder::default();
            train(&engine(), &setting, Some(checkpoint), &mut rest)
                .map(|_| rest)
                .unwrap()
        });
        assert_eq!(rest.points.len() as u64 + checkpoint.step, 3);
    }
}

#[test]
fn errors_of_the_driver_say_what_to_do() {
    if !compiled::are_there() {
        return;
    }
    let message = |code| {
        let (result, ..) = failing(40, code, false);
        result.map(|_| ()).unwrap_err().to_string()
    };
    assert!(
        message(222).contains("its driver is too old"),
        "{}",
        message(222)
    );
    assert!(
        message(209).contains("CUDA_COMPUTE_CAP"),
        "{}",
        message(209)
    );
    assert!(
        message(999).contains("returned error 999 (unknown error)"),
        "{}",
        message(999)
    );
}

#[test]
fn too_little_memory_is_refused_before_or_said_in_the_middle() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Llama);
    let run = |capacity| {
        let emulated = Emulated {
            capacity: Some(capacity),
            ..Emulated::default()
        };
        let (result, gpu) = with(emulated, || {
            train(&engine(), &setting, None, &mut Recorder::default()).map(|_| ())
        });
        assert_eq!(gpu.nonsense, Vec::<String>::new());
        assert_eq!(gpu.in_use(), 0, "memory is given back after it ran out");
        result
    };
    assert!(run(1 << 24).is_ok());
    let before = run(4 * 4 * setting.model.parameters())
        .unwrap_err()
        .to_string();
    assert!(
        before.contains("training needs at least 1 MiB of its memory"),
        "{before}"
    );
    let middle = 4 * (4 * setting.model.parameters() + 2 * 2 * 8 * 11) + 4096;
    let middle = run(middle).unwrap_err();
    assert!(
        matches!(middle, TrainError::DeviceFailed { .. }),
        "{middle}"
    );
    assert!(
        middle.to_string().contains("its memory is full"),
        "{middle}"
    );
}

#[test]
fn scoring_and_sampling_fail_cleanly_too() {
    if !compiled::are_there() {
        return;
    }
    let config = tiny(Arch::Gpt2);
    let weights: Weights = crate::train::engine::local::initial_weights(&config, 1, 1);
    let sample = SampleJob {
        model: &config,
        prompts: &[vec![1, 2, 3]],
        max_new_tokens: 4,
        temperature: 0.7,
        top_k: None,
        top_p: None,
        seed: 1,
        stop: None,
        usable_vocab: 11,
        threads: 1,
        halt: Stop::never(),
    };
    // Calls after the last numbers have come only give things back: their failure changes nothing.
    let ((whole, calls), _) = with(Emulated::default(), || {
        let whole = engine().generate(&weights, &sample).unwrap();
        (whole, look(|gpu| gpu.last_wait))
    });
    assert_eq!(whole.len(), 1);
    for at in (1..=calls).step_by(7) {
        let emulated = Emulated {
            fail: Some((at, 700)),
            ..Emulated::default()
        };
        let (result, _) = with(emulated, || engine().generate(&weights, &sample));
        assert!(
            matches!(result, Err(TrainError::DeviceFailed { .. })),
            "call {at}"
        );
    }
}
