//! Kernels alone: recorded launches replayed, and operations of a step timed.

use super::super::{profile, replay};
use super::*;
use crate::spec::Every;
use crate::train::engine::cuda::Profile;
use crate::train::engine::cuda::launches::{Buffer, Kind, Launch, Parameter, Target};

/// `add_to` on three numbers in `to`; `after` is the result that the test recorded.
fn addition(after: [f32; 3], count: u64) -> Launch {
    let bytes = |numbers: [f32; 3]| numbers.map(f32::to_le_bytes).concat();
    let buffer = |name: &str, before, after: Option<[f32; 3]>| Buffer {
        name: name.to_owned(),
        kind: Kind::F32,
        size: 12,
        from: 0,
        before: bytes(before),
        after: after.map(bytes),
        pointers: Vec::new(),
    };
    let pointer = |buffer| Parameter {
        bytes: vec![0; 8],
        target: Some(Target { buffer, offset: 0 }),
    };
    let number = Parameter {
        bytes: count.to_le_bytes().to_vec(),
        target: None,
    };
    Launch {
        kernel: "add_to".to_owned(),
        test: "copies".to_owned(),
        only_block: 0,
        grid: [1; 3],
        block: [256, 1, 1],
        allowed: 1e-6,
        parameters: vec![pointer(0), pointer(1), number],
        buffers: vec![
            buffer("to", [1.0, 2.0, 3.0], Some(after)),
            buffer("from", [0.5, 0.25, 0.125], None),
        ],
    }
}

#[test]
fn recorded_launches_run_again_and_what_is_wrong_is_said() {
    if !compiled::are_there() {
        return;
    }
    let right = [1.5, 2.25, 3.125];
    let said = |launch: Launch| {
        let (found, gpu) = with(Emulated::default(), || replay::replayed(0, &[launch]));
        is_clean(&gpu);
        let found = &found.unwrap()["add_to"];
        assert_eq!(found.launches, 1);
        found.wrong.clone().unwrap_or_default()
    };
    assert_eq!(said(addition(right, 3)), "");
    let wrong = said(addition([1.5, 2.25, 3.0], 3));
    assert_eq!(wrong, "copies: `to` is 4.2e-2 apart, 1e-6 allowed");
    // One element too far, into the guard.
    assert_eq!(said(addition(right, 4)), "copies: it writes beside `to`");
    // A device that does nothing.
    let dry = Emulated {
        dry: true,
        ..Emulated::default()
    };
    let (found, _) = with(dry, || replay::replayed(0, &[addition(right, 3)]));
    assert!(found.unwrap()["add_to"].wrong.is_some());
}

#[test]
fn every_operation_of_a_step_is_timed() {
    let setting = setting(Arch::Llama, Dtype::Bf16);
    let mut train = setting.train.clone();
    (train.epochs, train.max_steps) = (None, Some(9));
    train.validate.every = Every::End;
    let job = TrainJob {
        model: &setting.model,
        train: &train,
        data: &setting.data,
        validation: &setting.validation,
        start: None,
        threads: 1,
    };
    let dry = Emulated {
        dry: true,
        ..Emulated::default()
    };
    let (found, gpu) = with(dry, || profile::measured(0, &job));
    is_clean(&gpu);
    let Profile {
        seconds,
        operations: found,
    } = found.unwrap();
    assert!(seconds > 0.0);
    let named = |name: &str| found.iter().find(|of| of.name == name).unwrap();
    // Two micro-batches per step, one update.
    assert_eq!(named("adamw").launches, 1.0);
    assert_eq!(named("head_row_bf16").launches, 2.0);
    assert!(named("adamw").bytes > 0.0);
    let products = found.iter().filter(|of| of.name.starts_with("product"));
    assert!(products.clone().count() > 3);
    assert!(products.clone().all(|of| of.operations > 0.0));
    let attention = found.iter().filter(|of| of.name.starts_with("attention_"));
    assert_eq!(
        attention.clone().filter(|of| of.operations > 0.0).count(),
        3
    );
    // On the emulated GPU, each takes a millisecond.
    for of in &found {
        assert!((of.seconds - 1e-3 * of.launches).abs() < 1e-9, "{of:?}");
    }
    assert!(found.is_sorted_by(|a, b| a.seconds >= b.seconds));
}
