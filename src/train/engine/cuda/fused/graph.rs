//! A training step as one CUDA graph: recorded once, then started again for every step with batches of the same
//! sizes.
//!
//! Without it, the host makes hundreds of calls per step, which takes it longer than the GPU needs for a small
//! model. It is used for steps whose calls take the host longer than the GPU by [`Work::seconds`], unless the
//! variable [`SWITCH`] is `off`. Results have the same bits with and without it.
//!
//! The first steps of a size run call by call, until one needs no new memory, because none can be requested while
//! recording. The next one is recorded while nothing runs, and started; later ones are only started. What differs between them (ids, targets, streams of dropout, numbers of the update) is
//! read from one block of memory, the [`Script`], which is uploaded before: three calls per step, with the
//! download of losses and norm.
//!
//! A graph writes the buffers that the recorded step used. They stay in the pool, where validation uses them
//! too; a step is started only if nobody owns any of them at that time, and recorded anew otherwise. Where the
//! driver refuses to record, steps run call by call.

use super::super::api::{self, Handle};
use super::super::graphs;
use super::gpu::Gpu;
use super::layers::{runs, stream};
use super::memory::{Blocks, Buffer};
use super::{CudaFused, head, optimizer, profile};
use crate::data::batch::Batch;
use crate::spec::Arch;
use crate::train::engine::dropout::Pass;
use crate::train::engine::step::Step;
use std::cell::RefCell;
use std::rc::Rc;

/// The variable that switches graphs off.
const SWITCH: &str = "SPECBOOK_CUDA_GRAPH";

/// A number of 32 bits.
pub(super) trait Word: Copy {
    /// Its bits.
    fn bits(self) -> u32;
}

impl Word for u32 {
    fn bits(self) -> u32 {
        self
    }
}

impl Word for i32 {
    fn bits(self) -> u32 {
        self.cast_unsigned()
    }
}

impl Word for f32 {
    fn bits(self) -> u32 {
        self.to_bits()
    }
}

/// Everything that a step sends to the GPU, in order, and its place there.
pub(super) struct Script {
    at: u64,
    words: Vec<u32>,
    /// Number of words already asked for.
    asked: usize,
    /// Whether something else was asked for.
    differs: bool,
}

impl Script {
    /// The address of the next words, which must be `values`.
    pub(super) fn next<T: Word>(&mut self, values: &[T]) -> u64 {
        let (at, end) = (self.asked, self.asked + values.len());
        let known = self.words.get(at..end).unwrap_or_default();
        self.differs |= !known
            .iter()
            .copied()
            .eq(values.iter().map(|value| value.bits()));
        self.asked = end;
        self.at + 4 * at as u64
    }

    fn is_complete(&self) -> bool {
        !self.differs && self.asked == self.words.len()
    }
}

/// Sequences and positions of each micro-batch.
type Sizes = Vec<[usize; 2]>;

/// A graph that can be started.
struct Graph {
    sizes: Sizes,
    executable: Handle,
    block: Rc<Buffer>,
}

impl Graph {
    fn start(&self, ops: &CudaFused, words: &[u32]) {
        ops.gpu.send_to(self.block.at, words);
        // SAFETY: its memory exists, and nobody owns what it writes.
        unsafe { api::cuGraphLaunch(self.executable, ops.gpu.stream) };
        graphs::with(|graphs| graphs.steps += 1);
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: it is not started after this.
        unsafe { api::cuGraphExecDestroy(self.executable) };
    }
}

/// The graphs of a job.
#[derive(Default)]
pub(super) struct Graphs(RefCell<State>);

#[derive(Default)]
struct State {
    /// Whether none is used any more.
    over: bool,
    graph: Option<Graph>,
    /// The sizes of the last step, if such a step can be recorded.
    seen: Option<Sizes>,
    /// Memory for scripts of up to this many words.
    block: Option<(usize, Rc<Buffer>)>,
    now: Now,
}

impl State {
    /// Gives up graphs, because the driver has none.
    fn refuse(&mut self, gpu: &Gpu, why: String) {
        self.over = true;
        gpu.pool.keep(Blocks::new());
        graphs::with(|graphs| graphs.refused = Some(why));
    }
}

/// The current step.
#[derive(Default)]
enum Now {
    /// Call by call.
    #[default]
    Plain,
    /// Call by call, and its work and memory are noted.
    Watched(Sizes),
    Recorded(Sizes, Rc<Buffer>),
}

impl Graphs {
    /// For a new job.
    pub(super) fn new() -> Self {
        let off = std::env::var_os(SWITCH).is_some_and(|value| value == "off");
        Self(RefCell::new(State {
            over: off || graphs::with(|graphs| graphs.never),
            ..State::default()
        }))
    }

    /// Gives up all graphs.
    pub(super) fn end(&self, ops: &CudaFused) {
        self.0.replace(State {
            over: true,
            ..State::default()
        });
        ops.gpu.pool.keep(Blocks::new());
    }

    /// See [`crate::train::engine::ops::Operations::begin_step`].
    pub(super) fn begin(&self, ops: &CudaFused, step: &Step<'_>) -> bool {
        let (gpu, mut state) = (&ops.gpu, self.0.borrow_mut());
        state.now = Now::Plain;
        let mut scored = step.batches.iter().map(Batch::scored);
        if state.over
            || step.batches.is_empty()
            || scored.any(|count| count == 0)
            || profile::is_timing()
        {
            return false;
        }
        let sizes: Sizes = step
            .batches
            .iter()
            .map(|batch| [batch.rows, batch.cols])
            .collect();
        // Leftovers of the last pass own nothing.
        gpu.table.borrow_mut().begin_pass();
        if !gpu.pool.is_kept_unused() {
            (state.graph, state.seen) = (None, None);
        }
        if let Some(graph) = &state.graph {
            if graph.sizes != sizes {
                return false;
            }
            graph.start(ops, &words(step));
            for batch in step.batches {
                ops.late.next(batch.scored());
            }
            return true;
        }
        let most = most_words(step);
        let block = match &state.block {
            Some((room, block)) if *room >= most => Rc::clone(block),
            // Memory is requested only in the first step of a size.
            _ => {
                let block = gpu.bytes(4 * most);
                state.block = Some((most, Rc::clone(&block)));
                block
            }
        };
        match state.seen.take() {
            Some(seen) if seen == sizes => {
                const THIS_THREAD: u32 = 1;
                // SAFETY: the stream is this job's own.
                unsafe { api::cuStreamBeginCapture_v2(gpu.stream, THIS_THREAD) };
                if let Some(why) = api::forgive() {
                    state.refuse(gpu, why);
                    return false;
                }
                *gpu.script.borrow_mut() = Some(Script {
                    at: block.at,
                    words: words(step),
                    asked: 0,
                    differs: false,
                });
                state.now = Now::Recorded(sizes, block);
            }
            _ => {
                gpu.work.take();
                state.now = Now::Watched(sizes);
            }
        }
        gpu.pool.watch();
        false
    }

    /// See [`crate::train::engine::ops::Operations::end_step`].
    pub(super) fn end_step(&self, ops: &CudaFused, complete: bool) -> bool {
        let (gpu, mut state) = (&ops.gpu, self.0.borrow_mut());
        match std::mem::take(&mut state.now) {
            Now::Plain => true,
            Now::Watched(sizes) => {
                let [host, device] = gpu.work.get().seconds();
                let (is_host_slower, used) = (host > device, gpu.pool.watched());
                let kept = if is_host_slower { used } else { Blocks::new() };
                gpu.pool.keep(kept);
                state.seen = (is_host_slower && !gpu.pool.has_grown()).then_some(sizes);
                true
            }
            Now::Recorded(sizes, block) => {
                let script = gpu.script.take();
                gpu.pool.keep(gpu.pool.watched());
                let is_whole = complete && script.as_ref().is_some_and(Script::is_complete);
                let words = script.map_or_else(Vec::new, |script| script.words);
                let executable = recorded(gpu.stream, is_whole);
                match executable {
                    Ok(executable) => {
                        let graph = Graph {
                            sizes,
                            executable,
                            block,
                        };
                        graph.start(ops, &words);
                        state.graph = Some(graph);
                        true
                    }
                    Err(why) => {
                        // What was recorded has not run.
                        ops.late.forget();
                        state.refuse(gpu, why);
                        !complete
                    }
                }
            }
        }
    }
}

/// Ends recording; a graph that can be started, if `is_whole`.
fn recorded(stream: Handle, is_whole: bool) -> Result<Handle, String> {
    let (mut graph, mut executable) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: both handles outlive the calls; the graph is not needed once it can be started.
    unsafe {
        api::cuStreamEndCapture(stream, &raw mut graph);
        if is_whole {
            // Skipped after a fault, as all calls.
            api::cuGraphInstantiateWithFlags(&raw mut executable, graph, 0);
        }
        api::cuGraphDestroy(graph);
    }
    match api::forgive() {
        None if is_whole => Ok(executable),
        None => Err("the step sent something unexpected".to_owned()),
        Some(fault) => Err(fault),
    }
}

/// Number of places where a model drops, and whether it has a table of positions.
fn sites(step: &Step<'_>) -> (usize, bool) {
    match step.model.arch {
        Arch::Llama => (0, false),
        Arch::Gpt2 => (1 + 3 * step.model.n_layers, true),
    }
}

fn most_words(step: &Step<'_>) -> usize {
    let (sites, _) = sites(step);
    // Ids, positions, targets; for both tables, order, starts and ids of runs.
    let of = |rows: usize| 9 * rows + 3 + 4 * sites;
    let batches = step.batches.iter();
    batches
        .map(|batch| of(batch.rows * batch.cols))
        .sum::<usize>()
        + 8
}

/// Everything that a step sends, in the order of its operations.
fn words(step: &Step<'_>) -> Vec<u32> {
    let mut words: Vec<u32> = Vec::new();
    let (sites, has_positions) = sites(step);
    let scale = 1.0 / step.batches.len() as f64;
    for (micro, batch) in step.batches.iter().enumerate() {
        let pass = Pass { micro, ..step.pass };
        let mut streams = (0..sites).map(|site| pass.site(site).as_ref().map(stream));
        let mut put = |numbers: &[i32]| words.extend(numbers.iter().map(|number| number.bits()));
        let ids: Vec<i32> = batch.inputs.iter().map(|id| id.cast_signed()).collect();
        let places = match has_positions {
            true => (0..ids.len())
                .map(|row| (row % batch.cols) as i32)
                .collect(),
            false => Vec::new(),
        };
        let mut drops = |put: &mut dyn FnMut(&[i32]), count: usize| {
            for stream in streams.by_ref().take(count).flatten() {
                put(&stream.map(u32::cast_signed));
            }
        };
        drops(&mut put, 1);
        put(&ids);
        put(&places);
        drops(&mut put, sites);
        put(&head::wanted(&batch.targets, &batch.mask, scale));
        put(&runs(&ids));
        if has_positions {
            put(&runs(&places));
        }
    }
    words.extend(optimizer::numbers(&step.update).map(f32::to_bits));
    words
}
