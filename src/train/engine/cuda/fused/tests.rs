//! The engine on the emulated GPU, whose kernels are the real ones compiled for the CPU.

mod alone;
mod dry;
mod graph;

use super::super::emulator::{Emulated, compiled, with};
use super::*;
use crate::data::Stop;
use crate::record::MetricPoint;
use crate::spec::{Arch, Loss, Optimizer};
use crate::train::engine::acceptance::compare_on;
use crate::train::engine::local::LocalEngine;
use crate::train::engine::tests::{Recorder, Setting};
use crate::train::{Checkpoint, Engine, EvalJob, SampleJob, TrainJob, Trained};

const LONG: &str = r#"{"epochs": 1, "grad_accum_steps": 2, "grad_clip": 0.5, "keep": "both", "seed": 4, "validate": {"every": "step"}}"#;

fn engine() -> LocalEngine<CudaFused> {
    LocalEngine::on(0)
}

fn setting(arch: Arch, dtype: Dtype) -> Setting {
    let mut setting = Setting::new(arch, LONG);
    setting.train.dtype = dtype;
    if arch == Arch::Gpt2 {
        setting.model.dropout = 0.2;
    }
    setting
}

/// In f32: a LLaMA, a GPT-2, and a LLaMA with two heads of 256, as at width 512 of the published grid.
fn settings() -> [Setting; 3] {
    let [llama, gpt2, mut wide] =
        [Arch::Llama, Arch::Gpt2, Arch::Llama].map(|arch| setting(arch, Dtype::F32));
    (wide.model.dim, wide.model.n_layers) = (512, 1);
    (wide.model.n_heads, wide.model.n_kv_heads) = (2, 2);
    // With the learning rate of the other models its losses fluctuate, and so does the effect of every
    // rounding.
    let Optimizer::Adamw(adamw) = &mut wide.train.optimizer;
    adamw.learning_rate = 1e-4;
    [llama, gpt2, wide]
}

fn job(setting: &Setting) -> TrainJob<'_> {
    TrainJob {
        model: &setting.model,
        train: &setting.train,
        data: &setting.data,
        validation: &setting.validation,
        start: None,
        threads: 1,
    }
}

fn train(
    setting: &Setting,
    resume: Option<&Checkpoint>,
    recorder: &mut Recorder,
) -> Result<Trained, TrainError> {
    engine().train(&job(setting), resume, recorder)
}

fn finished(setting: &Setting, resume: Option<&Checkpoint>, recorder: &mut Recorder) -> Checkpoint {
    match train(setting, resume, recorder).unwrap() {
        Trained::Finished(finished) => finished.checkpoint,
        Trained::Stopped => panic!("nobody stopped it"),
    }
}

/// Checks that a GPU was used correctly.
fn is_clean(gpu: &Emulated) {
    assert_eq!(gpu.nonsense, Vec::<String>::new());
    assert_eq!(gpu.in_use(), 0, "everything was freed");
    assert!(gpu.graphs.is_empty(), "{:?}", gpu.graphs);
}

#[test]
fn every_operation_loss_and_gradient_is_that_of_the_reference() {
    if !compiled::are_there() {
        return;
    }
    let models = 2 * Loss::examples().len();
    for (dtype, count) in [(Dtype::F32, models + 4), (Dtype::Bf16, models)] {
        let (found, gpu) = with(Emulated::default(), || {
            compare_on(&CudaFused::open_on(0, 1, dtype).unwrap(), dtype)
        });
        is_clean(&gpu);
        let found = found.unwrap();
        for found in &found {
            println!("{dtype:?} {:<45} {:.1e}", found.what, found.error);
        }
        let wrong: Vec<_> = found.iter().filter(|found| !found.holds()).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(found.len(), 1 + 10 + count);
        // No kernel of the tensor library was launched.
        let stock = ["axpy", "sum_to", "gather_fwd", "badd", "fill_with"];
        for kernel in gpu.launches.keys() {
            assert!(!stock.iter().any(|name| kernel.contains(name)), "{kernel}");
        }
    }
}

#[test]
fn what_bf16_is_off_by_is_rounding() {
    if !compiled::are_there() {
        return;
    }
    let errors = |finer| {
        let gpu = Emulated {
            finer,
            ..Emulated::default()
        };
        let compare = || compare_on(&CudaFused::open_on(0, 1, Dtype::Bf16).unwrap(), Dtype::Bf16);
        let found = with(gpu, compare).0.unwrap().into_iter();
        // Outputs of single operations are downloaded as bfloat16; gradients of models are f32.
        let models = found.filter(|found| found.what.contains("gradients"));
        models.map(|found| found.error).collect::<Vec<_>>()
    };
    let (coarse, fine) = (errors(false), errors(true));
    let short = |list: &[f64]| {
        list.iter()
            .map(|error| format!(" {error:.1e}"))
            .collect::<String>()
    };
    println!("bf16{}\nfiner{}", short(&coarse), short(&fine));
    assert_eq!(fine.len(), 2 * Loss::examples().len());
    for (fine, coarse) in fine.iter().zip(&coarse) {
        assert!(*fine <= coarse / 2.5, "{fine:e} for {coarse:e}");
    }
}

#[test]
fn training_takes_the_course_of_the_cpu_and_repeats_and_resumes_bit_for_bit() {
    if !compiled::are_there() {
        return;
    }
    for setting in settings() {
        let mut cpu = Recorder::default();
        setting.finish(&mut cpu);
        let ((), gpu) = with(Emulated::default(), || {
            let mut whole = Recorder {
                checkpoint_every_step: true,
                ..Recorder::default()
            };
            let all = finished(&setting, None, &mut whole);
            assert_eq!(whole.points.len(), cpu.points.len());
            for (ours, due) in whole.points.iter().zip(&cpu.points) {
                let near = |a: f64, b: f64, allowed: f64| {
                    let difference = (a - b).abs();
                    assert!(difference <= allowed * b.abs(), "{ours:?}, {due:?}");
                };
                near(ours.train_loss, due.train_loss, 1e-5);
                near(ours.train_ce, due.train_ce, 1e-5);
                near(ours.grad_norm, due.grad_norm, 1e-4);
                near(ours.val_loss.unwrap(), due.val_loss.unwrap(), 1e-5);
            }
            let again = finished(&setting, None, &mut Recorder::default());
            assert_eq!(again, all, "a repeated run");
            for middle in &whole.checkpoints {
                let rest = finished(&setting, Some(middle), &mut Recorder::default());
                assert_eq!(rest, all, "resumed after step {}", middle.step);
            }
        });
        is_clean(&gpu);
    }
}

#[test]
fn scores_and_samples_are_those_of_the_cpu() {
    if !compiled::are_there() {
        return;
    }
    for setting in settings() {
        let weights = setting.finish(&mut Recorder::default()).last;
        let eval = EvalJob {
            model: &setting.model,
            sequences: &setting.validation,
            temperatures: &[0.5],
            clipped_linear_eps: Some(1e-3),
            threads: 2,
            halt: Stop::never(),
        };
        let sample = SampleJob {
            model: &setting.model,
            prompts: &[vec![1, 2, 3], vec![4]],
            max_new_tokens: 4,
            temperature: 0.8,
            top_k: None,
            top_p: None,
            seed: 1,
            stop: None,
            usable_vocab: 11,
            threads: 1,
            halt: Stop::never(),
        };
        let cpu = crate::train::open(setting.device).unwrap();
        let ids = [3, 1, 4, 1, 5];
        let due = (
            cpu.evaluate(&weights, &eval).unwrap(),
            cpu.generate(&weights, &sample).unwrap(),
            cpu.logits(&weights, &setting.model, &ids, 1).unwrap(),
        );
        let (ours, gpu) = with(Emulated::default(), || {
            let engine = engine();
            (
                engine.evaluate(&weights, &eval).unwrap(),
                engine.generate(&weights, &sample).unwrap(),
                engine.logits(&weights, &setting.model, &ids, 1).unwrap(),
            )
        });
        is_clean(&gpu);
        assert_eq!(ours.1, due.1);
        assert_eq!(ours.0.rank, due.0.rank);
        let near = |ours: &[f32], due: &[f32]| {
            assert_eq!(ours.len(), due.len());
            assert!(ours.iter().zip(due).all(|(a, b)| (a - b).abs() <= 1e-5));
        };
        near(&ours.0.log_likelihood, &due.0.log_likelihood);
        near(&ours.0.confidence, &due.0.confidence);
        near(&ours.0.clipped_linear, &due.0.clipped_linear);
        near(&ours.0.tempered[0], &due.0.tempered[0]);
        near(&ours.2, &due.2);
    }
}

#[test]
fn training_in_bf16_stays_near_that_in_f32_and_repeats_and_resumes() {
    if !compiled::are_there() {
        return;
    }
    for arch in [Arch::Llama, Arch::Gpt2] {
        let mut exact = Recorder {
            checkpoint_every_step: true,
            ..Recorder::default()
        };
        setting(arch, Dtype::F32).finish(&mut exact);
        assert!(exact.checkpoints.len() > 1);
        let setting = setting(arch, Dtype::Bf16);
        let ((), gpu) = with(Emulated::default(), || {
            let mut whole = Recorder {
                checkpoint_every_step: true,
                ..Recorder::default()
            };
            let all = finished(&setting, None, &mut whole);
            for (ours, due) in whole.points.iter().zip(&exact.points) {
                let difference = (ours.train_loss - due.train_loss).abs();
                assert!(difference <= 1e-2 * due.train_loss, "{ours:?}, {due:?}");
                assert!(difference > 0.0, "bfloat16 rounds");
            }
            assert_eq!(finished(&setting, None, &mut Recorder::default()), all);
            // Products read rounded copies of the weights, which are the same when rebuilt from a checkpoint.
            for middle in &whole.checkpoints {
                let rest = finished(&setting, Some(middle), &mut Recorder::default());
                assert_eq!(rest, all, "resumed after step {}", middle.step);
            }
        });
        is_clean(&gpu);
        assert!(gpu.launches.keys().any(|name| name.contains("16_bf16")));

        // From the same weights and moments as in f32, each step has nearly the same norm, within the precision
        // of the format. The norms of a separate bf16 training differ more, because early updates have the size
        // of the learning rate in every entry and the sign of gradients that may be close to 0.
        let off = |finer: bool| {
            let gpu = Emulated {
                finer,
                ..Emulated::default()
            };
            let (off, gpu) = with(gpu, || {
                let mut own = Recorder::default();
                finished(&setting, None, &mut own);
                let mut same = vec![own.points[0].clone()];
                for middle in &exact.checkpoints {
                    let mut rest = Recorder::default();
                    finished(&setting, Some(middle), &mut rest);
                    same.extend(rest.points.into_iter().take(1));
                }
                let most = |points: &[MetricPoint]| {
                    let pairs = points.iter().zip(&exact.points);
                    let off = pairs.map(|(ours, due)| (ours.grad_norm / due.grad_norm - 1.0).abs());
                    off.reduce(f64::max).unwrap()
                };
                assert_eq!(own.points.len(), 3);
                (most(&same), most(&own.points))
            });
            is_clean(&gpu);
            println!(
                "{arch:?}, finer {finer}: norm off by {:.4} from the same weights, {:.4} on its own course",
                off.0, off.1
            );
            off
        };
        let (coarse, fine) = (off(false), off(true));
        assert!(coarse.0 <= 3e-2 && fine.0 <= 1e-2, "{coarse:?}, {fine:?}");
        assert!(coarse.1 <= 1e-1 && fine.1 <= 3e-2, "{coarse:?}, {fine:?}");
    }
}

/// Trains on a GPU that fails at call `at` with `code`.
fn failing(
    setting: &Setting,
    at: u64,
    code: u32,
    once: bool,
) -> (Result<Trained, TrainError>, Recorder, Emulated) {
    let mut recorder = Recorder {
        checkpoint_every_step: true,
        ..Recorder::default()
    };
    let emulated = Emulated {
        fail: Some((at, code)),
        once,
        ..Emulated::default()
    };
    let (result, gpu) = with(emulated, || train(setting, None, &mut recorder));
    (result, recorder, gpu)
}

#[test]
fn a_gpu_that_disappears_at_any_call_is_an_error_and_no_panic() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Llama, Dtype::F32);
    let (result, whole, gpu) = failing(&setting, u64::MAX, 719, false);
    let Ok(Trained::Finished(last)) = result else {
        panic!("nothing failed");
    };
    let last = last.checkpoint;
    let (early, step) = (1..40, gpu.calls as usize / 40);
    for at in early.chain((40..=gpu.calls).step_by(step)) {
        for once in [false, true] {
            let (result, recorder, gpu) = failing(&setting, at, 719, once);
            match result {
                Err(error) => assert!(
                    matches!(error, TrainError::DeviceFailed { .. }),
                    "call {at}: {error}"
                ),
                // It failed after everything was finished.
                Ok(Trained::Finished(done)) => assert_eq!(done.checkpoint, last, "call {at}"),
                Ok(Trained::Stopped) => panic!("call {at}: nobody stopped it"),
            }
            // The results reported before the failure are right.
            let steps = recorder.points.len();
            assert_eq!(recorder.points, whole.points[..steps], "call {at}");
            let saved = recorder.checkpoints.len();
            assert_eq!(recorder.checkpoints, whole.checkpoints[..saved]);
            is_clean(&gpu);
        }
    }
}

#[test]
fn scoring_and_sampling_fail_cleanly_too() {
    if !compiled::are_there() {
        return;
    }
    let setting = setting(Arch::Gpt2, Dtype::F32);
    let weights = crate::train::engine::local::initial_weights(&setting.model, 1, 1);
    let eval = EvalJob {
        model: &setting.model,
        sequences: &setting.validation,
        temperatures: &[],
        clipped_linear_eps: None,
        threads: 1,
        halt: Stop::never(),
    };
    let both = || -> Result<_, TrainError> {
        let scores = engine().evaluate(&weights, &eval)?;
        let logits = engine().logits(&weights, &setting.model, &[3, 1, 4], 1)?;
        Ok((scores.log_likelihood, logits))
    };
    // After the last numbers have arrived, the remaining calls only free resources.
    let (whole, gpu) = with(Emulated::default(), both);
    assert_eq!(whole.unwrap().1.len(), 3 * setting.model.vocab_size);
    for at in 1..=gpu.last_wait {
        let emulated = Emulated {
            fail: Some((at, 700)),
            ..Emulated::default()
        };
        let (result, gpu) = with(emulated, both);
        assert!(
            matches!(result, Err(TrainError::DeviceFailed { .. })),
            "call {at}: {result:?}"
        );
        is_clean(&gpu);
    }
}

#[test]
fn errors_of_the_driver_say_what_to_do() {
    let message = |code| {
        let (result, ..) = failing(&setting(Arch::Llama, Dtype::F32), 5, code, false);
        result.map(|_| ()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(message(221), @"device `cuda:0` cannot be used: its driver lacks the library that compiles kernels for a GPU newer than this build (`libnvidia-ptxjitcompiler.so.1`); install it (a container needs the driver capability `compute`), or build with this GPU's CUDA_COMPUTE_CAP");
    insta::assert_snapshot!(message(223), @"device `cuda:0` cannot be used: its driver is set to compile no kernels (CUDA_DISABLE_PTX_JIT), and this build has none for this GPU; unset it, or build with this GPU's CUDA_COMPUTE_CAP");
}

#[test]
fn no_bytes_are_allocated_as_one_and_filled_not_at_all() {
    let (filled, gpu) = with(Emulated::default(), || {
        let mut at = 0;
        // SAFETY: `at` outlives the call; nothing is filled.
        unsafe {
            api::cuMemAlloc_v2(&raw mut at, 0);
            api::cuMemsetD8_v2(at, 0, 0);
            api::cuMemsetD8Async(at, 0, 0, std::ptr::null_mut());
            api::cuMemFree_v2(at);
        }
        api::check()
    });
    assert!(filled.is_ok());
    is_clean(&gpu);
    assert_eq!((gpu.allocations, gpu.copies), (1, 0));
}

#[test]
fn heads_that_are_too_wide_are_refused() {
    let mut setting = setting(Arch::Llama, Dtype::F32);
    (setting.model.dim, setting.model.n_heads) = (1024, 2);
    let refused = engine().unsupported(&setting.model, &setting.train);
    insta::assert_snapshot!(refused.unwrap(), @"heads 512 wide (`dim` / `n_heads`; up to 256 on a GPU)");
}
