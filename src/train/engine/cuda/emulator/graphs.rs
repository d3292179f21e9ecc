//! Recording of calls: while a stream is recorded nothing runs, and calls that a driver refuses then are errors.
//! A graph repeats the calls with the addresses and values of the recording.

use super::{Handle, called, compiled, execute, look, nonsense};
use std::ffi::c_void;
use std::fmt;
use std::rc::Rc;

/// Errors of calls that cannot be recorded, of recordings with such a call, and of calls on the default stream.
const UNSUPPORTED: u32 = 900;
const INVALIDATED: u32 = 901;
const IMPLICIT: u32 = 906;

type Work = Rc<dyn Fn() -> u32>;

/// Calls in order.
#[derive(Clone, Default)]
pub(in crate::train::engine::cuda) struct Recording {
    work: Vec<Work>,
    is_invalid: bool,
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls", self.work.len())
    }
}

pub(super) fn is_recording() -> bool {
    look(|gpu| gpu.recording.is_some())
}

fn invalid(code: u32) -> u32 {
    look(|gpu| {
        if let Some(recording) = &mut gpu.recording {
            recording.is_invalid = true;
        }
    });
    code
}

/// The answer to a call that cannot be recorded: it waits, or it asks for memory.
pub(super) fn outside() -> u32 {
    match is_recording() {
        true => invalid(UNSUPPORTED),
        false => 0,
    }
}

/// Does `work`, or records it if `stream` is recorded.
pub(super) fn issue(stream: Handle, work: impl Fn() -> u32 + 'static) -> u32 {
    if !is_recording() {
        return work();
    }
    if stream.is_null() {
        return invalid(IMPLICIT);
    }
    look(|gpu| {
        if let Some(recording) = &mut gpu.recording {
            recording.work.push(Rc::new(work));
        }
    });
    0
}

/// A launch with the parameters that `parameters` has now.
pub(super) unsafe fn record(
    stream: Handle,
    name: &str,
    moved: u64,
    [grid, block]: [[u32; 3]; 2],
    parameters: *mut *mut c_void,
) -> u32 {
    let copied = match look(|gpu| gpu.dry) {
        true => Vec::new(),
        // SAFETY: the caller gives the kernel's parameters.
        false => unsafe { compiled::copied(name, look(|gpu| gpu.finer), parameters) },
    };
    let name = name.to_owned();
    issue(stream, move || {
        let mut copied = copied.clone();
        let mut pointers: Vec<*mut c_void> = copied
            .iter_mut()
            .map(|words| words.as_mut_ptr().cast())
            .collect();
        // SAFETY: these are copies of the kernel's parameters.
        unsafe { execute(&name, moved, grid, block, pointers.as_mut_ptr()) }
    })
}

/// A product on the stream of `cublas`, with its own workspace.
pub(super) fn product(work: impl Fn() -> u32 + 'static) -> u32 {
    let (stream, has_workspace) = look(|gpu| gpu.blas);
    if is_recording() && !has_workspace {
        return nonsense("a product without a workspace is recorded".to_owned());
    }
    issue(std::ptr::without_provenance_mut(stream), work)
}

fn enter(recording: Recording) -> Handle {
    look(|gpu| {
        gpu.last_graph += 1;
        gpu.graphs.insert(gpu.last_graph, recording);
        std::ptr::without_provenance_mut(gpu.last_graph)
    })
}

pub(super) unsafe extern "C" fn begin(stream: Handle, _: u32) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    if stream.is_null() || is_recording() {
        return invalid(UNSUPPORTED);
    }
    look(|gpu| gpu.recording = Some(Recording::default()));
    0
}

pub(super) unsafe extern "C" fn end(_: Handle, graph: *mut Handle) -> u32 {
    let failed = called();
    match look(|gpu| gpu.recording.take()) {
        _ if failed != 0 => failed,
        None => nonsense("the end of no recording".to_owned()),
        Some(recording) if recording.is_invalid => INVALIDATED,
        Some(recording) => {
            // SAFETY: the caller gives room for a handle.
            unsafe { graph.write(enter(recording)) };
            0
        }
    }
}

pub(super) unsafe extern "C" fn instantiate(executable: *mut Handle, graph: Handle, _: u64) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    match look(|gpu| gpu.graphs.get(&graph.addr()).cloned()) {
        Some(recording) => {
            // SAFETY: the caller gives room for a handle.
            unsafe { executable.write(enter(recording)) };
            0
        }
        None => nonsense("no graph".to_owned()),
    }
}

pub(super) unsafe extern "C" fn launch(executable: Handle, stream: Handle) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    let Some(recording) = look(|gpu| gpu.graphs.get(&executable.addr()).cloned()) else {
        return nonsense("no graph".to_owned());
    };
    look(|gpu| gpu.graph_launches += 1);
    issue(stream, move || {
        let codes = recording.work.iter().map(|work| work());
        codes.into_iter().find(|code| *code != 0).unwrap_or(0)
    })
}

pub(super) unsafe extern "C" fn destroy(graph: Handle) -> u32 {
    match look(|gpu| gpu.graphs.remove(&graph.addr())) {
        Some(_) => 0,
        None => nonsense("a graph that does not exist is destroyed".to_owned()),
    }
}
