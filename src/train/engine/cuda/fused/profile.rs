//! The time of each operation of a step on the GPU, measured by events before and after it.

use super::super::api::{self, Handle};
use super::super::{Operation, Profile, traffic};
use super::CudaFused;
use crate::record::MetricPoint;
use crate::train::engine::local::LocalEngine;
use crate::train::{Checkpoint, Engine as _, Observer, StepTiming, TrainError, TrainJob};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::ops::ControlFlow;

/// Number of untimed steps before the timed ones.
const WARM_UP: usize = 2;
/// Number of steps timed as a whole.
const PLAIN: usize = 3;
/// Number of steps whose operations are timed.
const TIMED: usize = 3;

thread_local! {
    /// The calls timed in this thread.
    static SPANS: RefCell<Option<Vec<Span>>> = const { RefCell::new(None) };
}

/// A call between two events.
struct Span {
    name: String,
    bytes: f64,
    operations: f64,
    events: [Handle; 2],
}

/// Trains a few steps of `job` on GPU `number` and times a step, and its operations; the longest comes
/// first.
///
/// # Errors
/// The GPU cannot be used, or fails.
pub(in crate::train::engine::cuda) fn measured(
    number: usize,
    job: &TrainJob<'_>,
) -> Result<Profile, TrainError> {
    let mut watch = Watch::default();
    let trained = LocalEngine::<CudaFused>::on(number).train(job, None, &mut watch);
    SPANS.take();
    trained.map(|_| Profile {
        seconds: watch.seconds / PLAIN as f64,
        operations: watch.found,
    })
}

/// Makes a launch, and times it if requested.
pub(super) fn launch(
    name: &str,
    blocks: [u32; 2],
    parameters: *mut *mut c_void,
    stream: Handle,
    call: impl FnOnce(),
) {
    // SAFETY: the engine passes the right parameters to every kernel.
    let work = || unsafe {
        let bytes = traffic::bytes(name, blocks, parameters) as f64;
        (
            name.to_owned(),
            bytes,
            traffic::operations(name, blocks, parameters),
        )
    };
    span(work, stream, call);
}

/// Whether operations are being timed in this thread: then each must be called.
pub(super) fn is_timing() -> bool {
    SPANS.with_borrow(Option::is_some)
}

/// Makes a product, and times it if requested. `bytes`: size of a number of the factors, and of the result.
pub(super) fn product(
    [rows, columns, inner]: [usize; 3],
    bytes: [usize; 2],
    stream: Handle,
    call: impl FnOnce(),
) {
    let work = || {
        let [m, n, k] = [rows, columns, inner].map(|size| size as f64);
        let [factor, result] = bytes.map(|size| size as f64);
        let moved = factor * (m * k + k * n) + result * m * n;
        (
            format!("product {rows} × {columns} over {inner}"),
            moved,
            2.0 * m * n * k,
        )
    };
    span(work, stream, call);
}

fn span(work: impl FnOnce() -> (String, f64, f64), stream: Handle, call: impl FnOnce()) {
    if !is_timing() {
        return call();
    }
    let (name, bytes, operations) = work();
    let event = || {
        let mut event = std::ptr::null_mut();
        // SAFETY: the handle outlives the calls.
        unsafe {
            api::cuEventCreate(&raw mut event, 0);
            api::cuEventRecord(event, stream);
        }
        event
    };
    let before = event();
    call();
    let events = [before, event()];
    SPANS.with_borrow_mut(|spans| {
        spans.get_or_insert_default().push(Span {
            name,
            bytes,
            operations,
            events,
        });
    });
}

/// Starts timing after the first steps, and ends the training after the last one.
#[derive(Default)]
struct Watch {
    steps: usize,
    seconds: f64,
    found: Vec<Operation>,
}

impl Observer for Watch {
    fn on_step(&mut self, _: &MetricPoint, timing: StepTiming) -> ControlFlow<()> {
        self.steps += 1;
        if self.steps > WARM_UP && self.steps <= WARM_UP + PLAIN {
            self.seconds += timing.train_seconds;
        }
        if self.steps == WARM_UP + PLAIN {
            SPANS.set(Some(Vec::new()));
        }
        if self.steps < WARM_UP + PLAIN + TIMED {
            return ControlFlow::Continue(());
        }
        // The step has waited for the GPU, so all events have occurred.
        self.found = summed(SPANS.take().unwrap_or_default());
        ControlFlow::Break(())
    }

    fn wants_checkpoint(&mut self) -> bool {
        false
    }

    fn on_checkpoint(&mut self, _: &Checkpoint) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn summed(spans: Vec<Span>) -> Vec<Operation> {
    let mut by_name: BTreeMap<String, Operation> = BTreeMap::new();
    for span in spans {
        let mut milliseconds = 0.0f32;
        let [before, after] = span.events;
        // SAFETY: both events were recorded, and the number outlives the call; the events are not used after
        // this.
        unsafe {
            api::cuEventElapsedTime(&raw mut milliseconds, before, after);
            api::cuEventDestroy_v2(before);
            api::cuEventDestroy_v2(after);
        }
        let name = span.name.clone();
        let found = by_name.entry(span.name).or_insert_with(|| Operation {
            name,
            launches: 0.0,
            seconds: 0.0,
            bytes: 0.0,
            operations: 0.0,
        });
        found.launches += 1.0;
        found.seconds += f64::from(milliseconds) / 1e3;
        found.bytes += span.bytes;
        found.operations += span.operations;
    }
    let of_a_step = |sums: Operation| Operation {
        launches: sums.launches / TIMED as f64,
        seconds: sums.seconds / TIMED as f64,
        bytes: sums.bytes / TIMED as f64,
        operations: sums.operations / TIMED as f64,
        ..sums
    };
    let mut all: Vec<Operation> = by_name.into_values().map(of_a_step).collect();
    all.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    all
}
