//! The training loop: resume, validation, accumulation, divergence, overfitting.

use super::super::super::TrainError;
use super::*;
use crate::data::Stop;
use crate::spec::{Dtype, Every};
use crate::train::{Checkpoint, engine};

const DEVICES: [DeviceKind; 2] = [DeviceKind::Cpu, DeviceKind::CpuReference];

const LONG: &str = r#"{"epochs": 2, "grad_accum_steps": 2, "grad_clip": 0.5, "keep": "both", "seed": 4, "validate": {"every": "step"},
    "schedule": {"cosine": {"warmup_steps": 2, "decay_steps": 6, "min_lr": 0.001}}}"#;

#[test]
fn going_on_from_any_step_gives_the_same_bits() {
    let archs = [Arch::Llama, Arch::Gpt2];
    for (arch, device) in archs
        .iter()
        .flat_map(|arch| DEVICES.map(|device| (*arch, device)))
    {
        let mut setting = Setting::new(arch, LONG);
        setting.device = device;
        if arch == Arch::Gpt2 {
            setting.model.dropout = 0.2;
        }
        let mut whole = Recorder {
            checkpoint_every_step: true,
            ..Recorder::default()
        };
        let finished = setting.finish(&mut whole);
        assert_eq!(whole.points.len(), 6);
        assert_eq!(whole.checkpoints.len(), 5);
        for stop in 1..6 {
            let mut first = Recorder {
                stop_after: Some(stop),
                ..Recorder::default()
            };
            let stopped = setting.run(None, &mut first).unwrap();
            assert!(matches!(stopped, Trained::Stopped));
            let checkpoint = first.checkpoints.pop().unwrap();
            assert_eq!(checkpoint, whole.checkpoints[stop as usize - 1]);
            let mut second = Recorder::default();
            let Trained::Finished(rest) = setting.run(Some(&checkpoint), &mut second).unwrap()
            else {
                panic!("nobody stopped it");
            };
            first.points.extend(second.points);
            assert_eq!(first.points, whole.points);
            assert_eq!(rest.checkpoint, finished.checkpoint);
            assert_eq!(rest.last.digest(), finished.last.digest());
        }
    }
}

/// Digests of weights, the same on every processor.
const GOLDEN: [(Arch, &str); 2] = [
    (
        Arch::Llama,
        "8b95ebc644c1cf13d7c54ae003cb61702140aaa6bb4998a11eee88686720cf99",
    ),
    (
        Arch::Gpt2,
        "d508da4c835321b1a2e19474a848d540a0ad5c8a3295f34fdc098b8e3c2fe396",
    ),
];

#[test]
fn threads_and_processors_never_change_a_bit() {
    for (arch, golden) in GOLDEN {
        let digest = |threads| {
            let mut setting = Setting::new(arch, LONG);
            setting.model.dim = 32;
            setting.model.vocab_size = 300;
            setting.threads = threads;
            let mut recorder = Recorder::default();
            let last = setting.finish(&mut recorder).last;
            (last.digest(), recorder.points)
        };
        let one = digest(1);
        assert_eq!(one.0.to_string(), golden, "{arch:?}");
        assert_eq!(one, digest(2));
        assert_eq!(one, digest(3));
    }
}

/// Skips a test, with a message, if the processor has no bfloat16 products.
fn has_bf16() -> bool {
    let setting = Setting::new(Arch::Llama, r#"{"dtype": "bf16"}"#);
    let engine = engine::open(DeviceKind::Cpu).unwrap();
    let refusal = engine.unsupported(&setting.model, &setting.train);
    if let Some(reason) = &refusal {
        println!("skipped: {reason}");
    }
    refusal.is_none()
}

#[test]
fn bfloat16_products_give_nearly_the_course_of_f32_and_the_same_bits_for_any_threads_and_stops() {
    if !has_bf16() {
        return;
    }
    for arch in [Arch::Llama, Arch::Gpt2] {
        let run = |dtype, threads, resume: Option<&Checkpoint>, stop_after| {
            let mut setting = Setting::new(arch, LONG);
            setting.model.dim = 32;
            setting.model.vocab_size = 300;
            setting.train.dtype = dtype;
            setting.threads = threads;
            let mut recorder = Recorder {
                stop_after,
                ..Recorder::default()
            };
            let trained = setting.run(resume, &mut recorder).unwrap();
            (trained, recorder)
        };
        let whole = |dtype, threads| match run(dtype, threads, None, None) {
            (Trained::Finished(finished), recorder) => (finished.last.digest(), recorder.points),
            (Trained::Stopped, _) => panic!("nobody stopped it"),
        };
        let (exact, half) = (whole(Dtype::F32, 2), whole(Dtype::Bf16, 1));
        assert_eq!(half, whole(Dtype::Bf16, 2));
        assert_eq!(half, whole(Dtype::Bf16, 3));
        assert_ne!(half.0, exact.0);
        for (a, b) in half.1.iter().zip(&exact.1) {
            let [a, b] = [a, b].map(|point| point.val_loss.unwrap());
            assert!((a - b).abs() < 0.01 * b, "{a} {b}");
        }
        let (_, mut first) = run(Dtype::Bf16, 2, None, Some(3));
        let checkpoint = first.checkpoints.pop().unwrap();
        let (rest, second) = run(Dtype::Bf16, 1, Some(&checkpoint), None);
        let Trained::Finished(rest) = rest else {
            panic!("nobody stopped it");
        };
        assert_eq!(rest.last.digest(), half.0);
        assert_eq!([first.points, second.points].concat(), half.1);
    }
}

#[test]
fn both_engines_take_the_same_course() {
    for arch in [Arch::Llama, Arch::Gpt2] {
        let points = |device| {
            let mut setting = Setting::new(arch, LONG);
            setting.device = device;
            if arch == Arch::Gpt2 {
                setting.model.dropout = 0.2;
            }
            let mut recorder = Recorder::default();
            setting.finish(&mut recorder);
            recorder.points
        };
        let [fast, stock] = DEVICES.map(points);
        for (a, b) in fast.iter().zip(&stock) {
            assert!((a.train_loss - b.train_loss).abs() < 1e-4, "{a:?} {b:?}");
            assert!((a.grad_norm - b.grad_norm).abs() < 1e-3 * a.grad_norm);
            let [a, b] = [a, b].map(|point| point.val_loss.unwrap());
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

#[test]
fn a_step_that_is_stopped_in_its_validation_is_done_again() {
    let setting = Setting::new(Arch::Llama, LONG);
    let mut whole = Recorder::default();
    setting.finish(&mut whole);
    let mut first = Recorder {
        stop_after: Some(1),
        ..Recorder::default()
    };
    setting.run(None, &mut first).unwrap();
    let checkpoint = first.checkpoints.first();
    let mut second = Recorder {
        stop_in_validation: true,
        ..Recorder::default()
    };
    let stopped = setting.run(checkpoint, &mut second).unwrap();
    assert!(matches!(stopped, Trained::Stopped));
    assert_eq!((second.points.len(), second.checkpoints.len()), (0, 0));
    assert_eq!(second.validations, 1, "it is not finished");
    let mut rest = Recorder::default();
    setting.run(checkpoint, &mut rest).unwrap();
    assert_eq!(rest.points, whole.points[1..]);
}

#[test]
fn a_checkpoint_of_another_model_is_refused() {
    let setting = Setting::new(Arch::Llama, r#"{"epochs": 1}"#);
    let checkpoint = setting.finish(&mut Recorder::default()).checkpoint;
    let refusal = |change: fn(&mut Checkpoint)| {
        let mut bad = checkpoint.clone();
        change(&mut bad);
        let trained = setting.run(Some(&bad), &mut Recorder::default());
        trained.map(|_| ()).unwrap_err().to_string()
    };
    insta::assert_snapshot!(refusal(|c| c.weights.0.reverse()), @"weights do not fit the model: the tensors of a checkpoint are not in the model's order");
    insta::assert_snapshot!(refusal(|c| { c.second_moments.pop(); }), @"weights do not fit the model: the values of `lm_head.weight` are missing or not 88 many");
    insta::assert_snapshot!(refusal(|c| c.first_moments[0].push(0.0)), @"weights do not fit the model: the values of `model.embed_tokens.weight` are missing or not 88 many");
}

#[test]
fn stopping_at_the_last_step_finishes() {
    let setting = Setting::new(Arch::Llama, r#"{"epochs": 1}"#);
    let mut recorder = Recorder {
        stop_after: Some(6),
        ..Recorder::default()
    };
    let trained = setting.run(None, &mut recorder).unwrap();
    assert!(matches!(trained, Trained::Finished(_)));
    assert!(recorder.checkpoints.is_empty());
}

#[test]
fn a_finished_run_can_be_made_longer() {
    let mut setting = Setting::new(Arch::Llama, r#"{"epochs": 1}"#);
    let short = setting.finish(&mut Recorder::default());
    setting.train.epochs = Some(2);
    let mut whole = Recorder::default();
    let long = setting.finish(&mut whole);
    let mut rest = Recorder::default();
    let Trained::Finished(extended) = setting.run(Some(&short.checkpoint), &mut rest).unwrap()
    else {
        panic!("nobody stopped it");
    };
    assert_eq!(extended.last, long.last);
    assert_eq!(rest.points, whole.points[6..]);
}

#[test]
fn seeds_and_dropout_change_the_run() {
    let digest = |seed: u64, dropout: f64| {
        let mut setting = Setting::new(Arch::Gpt2, r#"{"epochs": 1}"#);
        setting.train.seed = seed;
        setting.model.dropout = dropout;
        setting.finish(&mut Recorder::default()).last.digest()
    };
    assert_eq!(digest(1, 0.1), digest(1, 0.1));
    assert_ne!(digest(1, 0.1), digest(2, 0.1));
    assert_ne!(digest(1, 0.1), digest(1, 0.0));
}

#[test]
fn metrics_count_what_they_say() {
    let setting = Setting::new(
        Arch::Llama,
        r#"{"epochs": 2, "loss": "squentropy", "validate": {"every": "epoch"}, "keep": "best", "ignore_index": 3}"#,
    );
    let mut recorder = Recorder::default();
    let finished = setting.finish(&mut recorder);
    let TrainingData::Sequences(set) = &setting.data else {
        panic!("sequences");
    };
    let scored = set.targets.iter().filter(|&&id| id != 3).count() as u64;
    let points = &recorder.points;
    assert_eq!(points.len(), 12);
    assert_eq!((points[5].tokens, points[11].tokens), (scored, 2 * scored));
    assert_eq!((points[5].epoch, points[11].epoch), (1.0, 2.0));
    for point in points {
        assert!((point.train_ce + point.train_square - point.train_loss).abs() < 1e-12);
        assert!(point.train_square > 0.0 && point.grad_norm > 0.0);
        assert_eq!(point.val_loss.is_some(), point.step % 6 == 0);
    }
    let last_epoch: f64 = points[6..].iter().map(|point| point.train_loss).sum();
    let (sum, count) = finished.checkpoint.epoch_loss;
    assert_eq!(count, 6);
    assert!((sum - last_epoch).abs() < 1e-9);
    // 5 validation sequences in batches of 2, twice.
    assert_eq!(recorder.validations, 6);
    let last = &points[11];
    assert_ne!(last.val_loss, last.val_loss_batch_mean);
    let lowest = points.iter().filter_map(|point| point.val_loss);
    let best = finished.checkpoint.best.unwrap();
    assert_eq!(best.0, lowest.fold(f64::INFINITY, f64::min));
    let last_is_best = last.val_loss == Some(best.0);
    assert_eq!(best.1 == finished.last, last_is_best);
}

#[test]
fn validation_agrees_with_the_evaluation_of_the_same_weights() {
    let setting = Setting::new(Arch::Gpt2, r#"{"epochs": 1, "keep": "last"}"#);
    let mut recorder = Recorder::default();
    let finished = setting.finish(&mut recorder);
    assert_eq!(finished.checkpoint.best, None);
    let job = crate::train::EvalJob {
        model: &setting.model,
        sequences: &setting.validation,
        temperatures: &[1.0, 2.0],
        clipped_linear_eps: Some(1e-6),
        threads: 1,
        halt: Stop::never(),
    };
    let scores = open(setting.device)
        .unwrap()
        .evaluate(&finished.last, &job)
        .unwrap();
    let all = setting.validation.targets.len();
    assert_eq!(scores.lengths.iter().sum::<usize>(), all);
    assert_eq!(scores.rank.len(), all);
    assert_eq!(scores.clipped_linear.len(), all);
    let mean = scores
        .log_likelihood
        .iter()
        .map(|l| f64::from(*l))
        .sum::<f64>()
        / all as f64;
    let measured = recorder.points.last().and_then(|point| point.val_loss);
    assert!(
        (mean + measured.unwrap()).abs() < 1e-5,
        "{mean} {measured:?}"
    );
    for (plain, tempered) in scores.log_likelihood.iter().zip(&scores.tempered[0]) {
        assert!((plain - tempered).abs() < 1e-6);
    }
    for (row, &rank) in scores.rank.iter().enumerate() {
        let likeliest = (scores.confidence[row].ln() - scores.log_likelihood[row]).abs() < 1e-5;
        assert_eq!(rank == 0, likeliest, "row {row}");
    }
}

#[test]
fn accumulated_micro_batches_of_equal_length_equal_one_batch() {
    let mut set = SequenceSet::new();
    for row in 0..8u32 {
        let ids: Vec<u32> = (0..6).map(|index| (row * 3 + index * 2) % 11).collect();
        set.push(&ids[..5], &ids[1..]);
    }
    let run = |train: &str| {
        let mut setting = Setting::new(Arch::Llama, train);
        setting.data = TrainingData::Sequences(set.clone());
        let mut recorder = Recorder::default();
        let finished = setting.finish(&mut recorder);
        (recorder.points, finished.last)
    };
    let (whole, weights) = run(r#"{"epochs": 2, "batch_size": 4}"#);
    let (parts, other) = run(r#"{"epochs": 2, "batch_size": 2, "grad_accum_steps": 2}"#);
    assert_eq!(whole.len(), parts.len());
    for (a, b) in whole.iter().zip(&parts) {
        assert!((a.train_loss - b.train_loss).abs() < 1e-4 * a.train_loss);
        assert!((a.grad_norm - b.grad_norm).abs() < 1e-3 * a.grad_norm);
    }
    assert_eq!(weights.0.len(), other.0.len());
}

#[test]
fn one_batch_is_learned_by_heart() {
    for arch in [Arch::Llama, Arch::Gpt2] {
        let mut setting = Setting::new(
            arch,
            r#"{"batch_size": 4, "max_steps": 150, "shuffle": false}"#,
        );
        setting.model.dim = 16;
        let mut set = SequenceSet::new();
        for row in 0..4u32 {
            // The first id distinguishes the sequences.
            let ids = [row, 4 + row, 10, 4, (row * 2) % 11, 9];
            set.push(&ids[..5], &ids[1..]);
        }
        setting.data = TrainingData::Sequences(set);
        setting.validation = SequenceSet::new();
        let mut recorder = Recorder::default();
        setting.finish(&mut recorder);
        let last = recorder.points.last().unwrap();
        assert!(last.train_loss < 0.01, "{arch:?}: {}", last.train_loss);
        assert_eq!(last.val_loss, None);
    }
}

#[test]
fn every_loss_trains() {
    for loss in [
        r#"{"square": {"k": 15, "m": 30}}"#,
        r#"{"square_softmax": {"w": 100}}"#,
        r#""squentropy""#,
        r#"{"squentropy_capstone": {"w": {"per_50304": 65}}}"#,
    ] {
        let setting = Setting::new(Arch::Llama, &format!(r#"{{"epochs": 12, "loss": {loss}}}"#));
        let mut recorder = Recorder::default();
        setting.finish(&mut recorder);
        let epoch = |range: std::ops::Range<usize>| -> f64 {
            recorder.points[range].iter().map(|p| p.train_loss).sum()
        };
        assert!(epoch(66..72) < 0.95 * epoch(0..6), "{loss}");
    }
}

#[test]
fn random_windows_over_a_stream_train() {
    let mut setting = Setting::new(Arch::Gpt2, r#"{"max_steps": 4}"#);
    setting.data = TrainingData::Stream {
        ids: (0..60).map(|index| index * 7 % 11).collect(),
        window: 8,
        shift: 1,
    };
    setting.train.validate.every = Every::Steps(2);
    let mut recorder = Recorder::default();
    setting.finish(&mut recorder);
    let validated: Vec<u64> = recorder
        .points
        .iter()
        .filter(|point| point.val_loss.is_some())
        .map(|point| point.step)
        .collect();
    assert_eq!(validated, [1, 2, 4]);
    assert_eq!(recorder.points[3].tokens, 4 * 2 * 8);
}

#[test]
fn divergence_names_the_last_good_step() {
    let setting = Setting::new(
        Arch::Llama,
        r#"{"epochs": 3, "optimizer": {"adamw": {"learning_rate": 1.0e38, "weight_decay": 0}}}"#,
    );
    let mut recorder = Recorder::default();
    let error = setting.run(None, &mut recorder).unwrap_err();
    let TrainError::Diverged {
        step,
        last_good_step,
        ..
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(last_good_step, recorder.points.len() as u64);
    assert_eq!(step, last_good_step + 1);
}

/// The loss of a softmax hides NaN; the weights do not.
#[test]
fn weights_that_the_last_step_broke_are_no_result() {
    let setting = Setting::new(
        Arch::Llama,
        r#"{"epochs": 1, "max_batches": 1, "loss": {"square_softmax": {"w": 1}},
            "optimizer": {"adamw": {"learning_rate": 1.0e39, "weight_decay": 0}}}"#,
    );
    let error = setting.run(None, &mut Recorder::default()).unwrap_err();
    assert!(
        matches!(
            error,
            TrainError::Diverged {
                step: 1,
                what: "a weight",
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn inputs_that_do_not_fit_are_errors() {
    let mut setting = Setting::new(Arch::Llama, r#"{"epochs": 1}"#);
    let mut bad = SequenceSet::new();
    bad.push(&[1, 99], &[2, 3]);
    setting.data = TrainingData::Sequences(bad.clone());
    let message = |setting: &Setting| {
        setting
            .run(None, &mut Recorder::default())
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(message(&setting), @"token id 99 is not below the vocabulary's size 11");
    let mut bad = SequenceSet::new();
    bad.push(&[1, 2], &[2, 77]);
    setting.data = TrainingData::Sequences(bad);
    insta::assert_snapshot!(message(&setting), @"token id 77 is not below the vocabulary's size 11");
    let mut bad = SequenceSet::new();
    bad.push(&[1; 9], &[1; 9]);
    setting.data = TrainingData::Sequences(bad);
    insta::assert_snapshot!(message(&setting), @"a sequence has 9 positions, `max_seq_len` is 8");
    setting.data = TrainingData::Stream {
        ids: vec![1; 8],
        window: 8,
        shift: 1,
    };
    insta::assert_snapshot!(message(&setting), @"the training stream has 8 ids, a window of 8 and its targets need 9");
    setting.device = DeviceKind::CpuReference;
    setting.train.dtype = Dtype::Bf16;
    insta::assert_snapshot!(message(&setting), @"`train.dtype: bf16` (this engine has `f32` only) is not supported by the cpu-reference engine");
}

#[test]
fn unsupported_settings_say_what_is_wrong() {
    let refusal = |change: fn(&mut Setting)| {
        let mut setting = Setting::new(Arch::Llama, "{}");
        change(&mut setting);
        open(setting.device)
            .unwrap()
            .unsupported(&setting.model, &setting.train)
    };
    assert_eq!(refusal(|_| ()), None);
    assert_eq!(refusal(|s| s.model = tiny(Arch::Gpt2)), None);
    let refused: [fn(&mut Setting); 9] = [
        |s| s.model.dropout = 0.1,
        |s| s.model.biases = true,
        |s| s.model.n_heads = 3,
        |s| s.model.n_kv_heads = 3,
        |s| s.model.n_heads = 8,
        |s| s.model.dim = 0,
        |s| s.train.batch_size = 0,
        |s| s.train.grad_accum_steps = 0,
        |s| {
            s.model = tiny(Arch::Gpt2);
            s.model.n_kv_heads = 2;
        },
    ];
    for (number, change) in refused.into_iter().enumerate() {
        assert!(refusal(change).is_some(), "{number}");
    }
}
