//! The functions of the driver and of cuBLAS that the fused engine and the tensor library call, defined in this
//! program.
//!
//! The tensor library (feature `cuda`) expects to be linked with them, turns each of their errors into a panic
//! somewhere (even in a `Drop`, where a second panic ends the process), and requests allocations of 0 bytes,
//! which drivers refuse. So they are defined here: each looks up its original at run time, and the first error
//! of a thread is kept as a [`Fault`]. From then on, every call except those that free something does nothing
//! and reports success; data read from the device is zeros. The caller must call [`check`] before trusting any
//! result. A fault belongs to a thread because a job does: no other thread computes anything of a GPU job.

use super::choose::refusal;
use super::driver::error_name;
use super::library::Library;
use crate::train::TrainError;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ffi::{c_char, c_int, c_void};
use std::sync::{Mutex, OnceLock, PoisonError};

/// The first error of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The function that failed.
    pub(super) call: &'static str,
    /// Its error code.
    pub(super) code: u32,
}

/// The error code of a function that no library provides.
const NOT_FOUND: u32 = 500;

#[derive(Default)]
struct State {
    number: usize,
    fault: Option<Fault>,
    /// Replaces the installed libraries in tests.
    calls: Option<&'static Calls>,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
}

/// Begins a job on device `number` in this thread.
pub(super) fn begin(number: usize) {
    STATE.with_borrow_mut(|state| {
        state.number = number;
        state.fault = None;
    });
}

/// Makes this thread use `calls` instead of the installed libraries.
#[cfg(test)]
pub(super) fn instead(calls: Option<&'static Calls>) {
    STATE.with_borrow_mut(|state| state.calls = calls);
}

/// Returns the error that occurred since [`begin`], if any.
pub(super) fn check() -> Result<(), TrainError> {
    STATE.with_borrow(|state| match state.fault {
        None => Ok(()),
        Some(fault) => Err(explained(state.number, fault)),
    })
}

/// Forgets the fault of calls that the job can do without; none may have occurred before them. Returns it in
/// words.
pub(super) fn forgive() -> Option<String> {
    let fault = STATE.with_borrow_mut(|state| state.fault.take());
    fault.map(|Fault { call, code }| format!("{call} returned error {code}"))
}

fn explained(number: usize, fault: Fault) -> TrainError {
    let Fault { call, code } = fault;
    let blas = call.starts_with("cublas");
    let memory = code == if blas { 3 } else { 2 };
    if memory {
        return TrainError::DeviceFailed {
            device: format!("cuda:{number}"),
            reason: format!(
                "its memory is full ({call}); a smaller `train.batch_size` with more `train.grad_accum_steps` gives nearly the same training \
                 in less memory"
            ),
        };
    }
    match (blas, code) {
        (false, NOT_FOUND) => refusal(
            number,
            format!("`{call}` is in none of its libraries; update the driver"),
        ),
        (false, 221) => refusal(
            number,
            "its driver lacks the library that compiles kernels for a GPU newer than this build (`libnvidia-ptxjitcompiler.so.1`); install it (a \
             container needs the driver capability `compute`), or build with this GPU's CUDA_COMPUTE_CAP",
        ),
        (false, 223) => refusal(
            number,
            "its driver is set to compile no kernels (CUDA_DISABLE_PTX_JIT), and this build has none for this GPU; unset it, or build with this GPU's \
             CUDA_COMPUTE_CAP",
        ),
        (false, 218 | 222) => refusal(
            number,
            format!(
                "its driver is too old for the kernels of this build (error {code}: {}); update the driver",
                error_name(code)
            ),
        ),
        (false, 209) => refusal(
            number,
            "it is older than the GPUs that this build was made for; build with a lower CUDA_COMPUTE_CAP",
        ),
        _ => TrainError::DeviceFailed {
            device: format!("cuda:{number}"),
            reason: format!(
                "{call} returned error {code} ({}); checkpoints are kept, and the next `run` continues from the last one",
                if blas { "cuBLAS" } else { error_name(code) }
            ),
        },
    }
}

/// Free and total memory, in bytes.
pub(super) fn memory() -> Option<(u64, u64)> {
    let (mut free, mut total) = (0usize, 0usize);
    // SAFETY: both outlive the call.
    unsafe { cuMemGetInfo_v2(&raw mut free, &raw mut total) };
    check().ok().map(|()| (free as u64, total as u64))
}

/// Selects device `number` for this thread's calls. The installed driver's context is kept until the process
/// ends, so the next job finds it unchanged.
pub(super) fn enter(number: usize) {
    static KEPT: Mutex<BTreeSet<usize>> = Mutex::new(BTreeSet::new());
    begin(number);
    let (mut device, mut context) = (0, std::ptr::null_mut());
    // SAFETY: both outlive the calls.
    unsafe {
        cuInit(0);
        cuDeviceGet(&raw mut device, number as c_int);
        cuDevicePrimaryCtxRetain(&raw mut context, device);
        cuCtxSetCurrent(context);
    }
    let made_up = STATE.with_borrow(|state| state.calls.is_some());
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if check().is_ok() && (made_up || !kept.insert(number)) {
        // SAFETY: retained above and, unless the driver is a test double, also by the first job.
        unsafe { cuDevicePrimaryCtxRelease_v2(device) };
    }
}

/// Lets the driver keep freed memory for later allocations; otherwise it returns all of it at every
/// synchronisation.
#[cfg(feature = "cuda")]
pub(super) fn keep_memory(number: usize) {
    const RELEASE_THRESHOLD: u32 = 4;
    const NOT_SUPPORTED: u32 = 801;
    let Some(calls) = calls(false) else { return };
    let mut pool = std::ptr::null_mut();
    let mut device = 0;
    let mut threshold = u64::MAX;
    // A device without pools is not a fault: nothing is set then.
    let worked = |call, code| {
        note(call, if code == NOT_SUPPORTED { 0 } else { code });
        code == 0
    };
    // SAFETY: all three outlive the calls.
    unsafe {
        let code = (calls.cuDeviceGet)(&raw mut device, number as c_int);
        if !worked("cuDeviceGet", code) {
            return;
        }
        let code = (calls.cuDeviceGetDefaultMemPool)(&raw mut pool, device);
        if !worked("cuDeviceGetDefaultMemPool", code) {
            return;
        }
        let value = (&raw mut threshold).cast();
        let code = (calls.cuMemPoolSetAttribute)(pool, RELEASE_THRESHOLD, value);
        worked("cuMemPoolSetAttribute", code);
    }
}

/// The functions of this machine's libraries, if it has them.
fn installed() -> Option<&'static Calls> {
    static FOUND: OnceLock<Option<Calls>> = OnceLock::new();
    let load = || {
        let libraries = Libraries {
            driver: Library::driver()?.0,
            blas: Library::blas()?.0,
        };
        Some(Calls::load(libraries))
    };
    FOUND.get_or_init(load).as_ref()
}

#[derive(Clone, Copy)]
struct Libraries {
    driver: Library,
    blas: Library,
}

fn note(call: &'static str, code: u32) {
    if code != 0 {
        STATE.with_borrow_mut(|state| {
            state.fault.get_or_insert(Fault { call, code });
        });
    }
}

/// The functions to call, unless an earlier call failed (with `even_then`, nevertheless).
fn calls(even_then: bool) -> Option<&'static Calls> {
    let (fault, calls) = STATE.with_borrow(|state| (state.fault, state.calls));
    if fault.is_some() && !even_then {
        return None;
    }
    calls.or_else(installed)
}

/// Whether a handle or an address is null.
trait Nothing {
    fn is_nothing(&self) -> bool;
}

impl Nothing for u64 {
    fn is_nothing(&self) -> bool {
        *self == 0
    }
}

impl Nothing for *mut c_void {
    fn is_nothing(&self) -> bool {
        self.is_null()
    }
}

/// One function; kinds:
/// `work`: skipped after a fault; `out`: likewise, and the target of its first argument is then zero; `alloc`:
/// likewise, with at least one byte;
/// `fill`: likewise, and skipped if there are no bytes; `read`: likewise, and the bytes at its first argument
/// are then zeros; `free`: also after a fault, but never for null, and without causing a fault; `end`:
/// likewise, for device numbers, and for what must be ended in any case.
macro_rules! forward {
    (work, $name:ident, $($arg:ident),+) => {
        match calls(false) {
            Some(calls) => note(stringify!($name), (calls.$name)($($arg),+)),
            // After a fault this changes nothing, because the first one counts.
            None => note(stringify!($name), NOT_FOUND),
        }
    };
    (out, $name:ident, $first:ident $(, $arg:ident)*) => {
        std::ptr::write_bytes($first, 0, 1);
        forward!(work, $name, $first $(, $arg)*)
    };
    (alloc, $name:ident, $first:ident, $bytes:ident $(, $arg:ident)*) => {
        let $bytes = $bytes.max(1);
        forward!(out, $name, $first, $bytes $(, $arg)*)
    };
    (fill, $name:ident, $at:ident, $byte:ident, $bytes:ident $(, $arg:ident)*) => {
        if $bytes > 0 {
            forward!(work, $name, $at, $byte, $bytes $(, $arg)*)
        }
    };
    (read, $name:ident, $to:ident, $from:ident, $bytes:ident $(, $arg:ident)*) => {
        std::ptr::write_bytes($to.cast::<u8>(), 0, $bytes);
        forward!(work, $name, $to, $from, $bytes $(, $arg)*)
    };
    (free, $name:ident, $first:ident $(, $arg:ident)*) => {
        if let (false, Some(calls)) = ($first.is_nothing(), calls(true)) {
            note(stringify!($name), (calls.$name)($first $(, $arg)*));
        }
    };
    (end, $name:ident, $first:ident $(, $arg:ident)*) => {
        if let Some(calls) = calls(true) {
            note(stringify!($name), (calls.$name)($first $(, $arg)*));
        }
    };
}

macro_rules! functions {
    ($($kind:ident $library:ident $name:ident($($arg:ident: $ty:ty),+);)+) => {
        /// The functions by name.
        #[allow(non_snake_case, reason = "their own names")]
        #[derive(Clone, Copy)]
        pub(super) struct Calls {
            $(pub(super) $name: unsafe extern "C" fn($($ty),+) -> u32,)+
        }

        impl Calls {
            /// Looks up all functions; a missing one returns [`NOT_FOUND`].
            fn load(libraries: Libraries) -> Self {
                $(
                    #[allow(non_snake_case, reason = "the function's own name")]
                    unsafe extern "C" fn $name($(_: $ty),+) -> u32 {
                        NOT_FOUND
                    }
                )+
                Self {
                    // SAFETY: the function of this name has this type in every version of the library that can
                    // be opened.
                    $($name: unsafe { libraries.$library.function(stringify!($name)) }.unwrap_or($name),)+
                }
            }
        }

        $(
            #[cfg_attr(feature = "cuda", unsafe(no_mangle))]
            #[allow(non_snake_case, clippy::too_many_arguments, reason = "as the library has it")]
            #[cfg_attr(not(feature = "cuda"), allow(dead_code, reason = "only the tensor library calls some"))]
            pub(super) unsafe extern "C" fn $name($($arg: $ty),+) -> u32 {
                // SAFETY: the caller promises what the original requires, which gets the same arguments.
                #[allow(unused_unsafe, reason = "some kinds have no unsafe part")]
                unsafe {
                    forward!($kind, $name, $($arg),+);
                }
                0
            }
        )+
    };
}

pub(super) type Handle = *mut c_void;

functions! {
    work driver cuInit(flags: u32);
    out driver cuDeviceGet(device: *mut c_int, number: c_int);
    out driver cuDeviceGetCount(count: *mut c_int);
    out driver cuDeviceGetAttribute(value: *mut c_int, attribute: u32, device: c_int);
    out driver cuDeviceTotalMem_v2(bytes: *mut usize, device: c_int);
    out driver cuDeviceGetDefaultMemPool(pool: *mut Handle, device: c_int);
    work driver cuMemPoolSetAttribute(pool: Handle, attribute: u32, value: *mut c_void);
    out driver cuDevicePrimaryCtxRetain(context: *mut Handle, device: c_int);
    end driver cuDevicePrimaryCtxRelease_v2(device: c_int);
    work driver cuCtxSetCurrent(context: Handle);
    out driver cuCtxGetCurrent(context: *mut Handle);
    out driver cuEventCreate(event: *mut Handle, flags: u32);
    free driver cuEventDestroy_v2(event: Handle);
    work driver cuEventRecord(event: Handle, stream: Handle);
    out driver cuEventElapsedTime(milliseconds: *mut f32, start: Handle, end: Handle);
    out driver cuStreamCreate(stream: *mut Handle, flags: u32);
    free driver cuStreamDestroy_v2(stream: Handle);
    work driver cuStreamSynchronize(stream: Handle);
    work driver cuStreamWaitEvent(stream: Handle, event: Handle, flags: u32);
    alloc driver cuMemAllocAsync(address: *mut u64, bytes: usize, stream: Handle);
    alloc driver cuMemAlloc_v2(address: *mut u64, bytes: usize);
    free driver cuMemFreeAsync(address: u64, stream: Handle);
    free driver cuMemFree_v2(address: u64);
    out driver cuMemAllocHost_v2(address: *mut Handle, bytes: usize);
    free driver cuMemFreeHost(address: Handle);
    out driver cuMemGetInfo_v2(free: *mut usize, total: *mut usize);
    work driver cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle);
    work driver cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize);
    read driver cuMemcpyDtoHAsync_v2(to: *mut c_void, from: u64, bytes: usize, stream: Handle);
    read driver cuMemcpyDtoH_v2(to: *mut c_void, from: u64, bytes: usize);
    work driver cuMemcpyHtoDAsync_v2(to: u64, from: *const c_void, bytes: usize, stream: Handle);
    work driver cuMemcpyHtoD_v2(to: u64, from: *const c_void, bytes: usize);
    fill driver cuMemsetD8Async(at: u64, byte: u8, bytes: usize, stream: Handle);
    fill driver cuMemsetD8_v2(at: u64, byte: u8, bytes: usize);
    out driver cuModuleGetFunction(function: *mut Handle, module: Handle, name: *const c_char);
    out driver cuModuleLoad(module: *mut Handle, file: *const c_char);
    out driver cuModuleLoadData(module: *mut Handle, image: *const c_void);
    free driver cuModuleUnload(module: Handle);
    work driver cuStreamBeginCapture_v2(stream: Handle, mode: u32);
    end driver cuStreamEndCapture(stream: Handle, graph: *mut Handle);
    out driver cuGraphInstantiateWithFlags(executable: *mut Handle, graph: Handle, flags: u64);
    work driver cuGraphLaunch(executable: Handle, stream: Handle);
    free driver cuGraphExecDestroy(executable: Handle);
    free driver cuGraphDestroy(graph: Handle);
    work driver cuLaunchKernel(
        function: Handle, grid_x: u32, grid_y: u32, grid_z: u32, block_x: u32, block_y: u32, block_z: u32, shared: u32, stream: Handle,
        parameters: *mut *mut c_void, extra: *mut *mut c_void
    );
    out blas cublasCreate_v2(handle: *mut Handle);
    free blas cublasDestroy_v2(handle: Handle);
    work blas cublasSetStream_v2(handle: Handle, stream: Handle);
    work blas cublasSetWorkspace_v2(handle: Handle, workspace: Handle, bytes: usize);
    work blas cublasGemmEx(
        handle: Handle, a_op: u32, b_op: u32, m: c_int, n: c_int, k: c_int, alpha: *const c_void, a: *const c_void, a_type: u32, lda: c_int,
        b: *const c_void, b_type: u32, ldb: c_int, beta: *const c_void, c: *mut c_void, c_type: u32, ldc: c_int, compute: u32, algorithm: c_int
    );
    work blas cublasSgemm_v2(
        handle: Handle, a_op: u32, b_op: u32, m: c_int, n: c_int, k: c_int, alpha: *const f32, a: *const f32, lda: c_int,
        b: *const f32, ldb: c_int, beta: *const f32, c: *mut f32, ldc: c_int
    );
    work blas cublasDgemm_v2(
        handle: Handle, a_op: u32, b_op: u32, m: c_int, n: c_int, k: c_int, alpha: *const f64, a: *const f64, lda: c_int,
        b: *const f64, ldb: c_int, beta: *const f64, c: *mut f64, ldc: c_int
    );
    work blas cublasSgemmStridedBatched(
        handle: Handle, a_op: u32, b_op: u32, m: c_int, n: c_int, k: c_int, alpha: *const f32, a: *const f32, lda: c_int, stride_a: i64,
        b: *const f32, ldb: c_int, stride_b: i64, beta: *const f32, c: *mut f32, ldc: c_int, stride_c: i64, count: c_int
    );
    work blas cublasDgemmStridedBatched(
        handle: Handle, a_op: u32, b_op: u32, m: c_int, n: c_int, k: c_int, alpha: *const f64, a: *const f64, lda: c_int, stride_a: i64,
        b: *const f64, ldb: c_int, stride_b: i64, beta: *const f64, c: *mut f64, ldc: c_int, stride_c: i64, count: c_int
    );
}

/// Results of functions that are never needed here: run-time compilation fails, and errors have no text.
#[cfg(feature = "cuda")]
const REFUSED: u32 = 11;

#[cfg(feature = "cuda")]
macro_rules! refused {
    ($($name:ident($($ty:ty),*);)+) => {$(
        #[unsafe(no_mangle)]
        #[allow(non_snake_case, reason = "as the library has it")]
        unsafe extern "C" fn $name($(_: $ty),*) -> u32 {
            note(stringify!($name), REFUSED);
            REFUSED
        }
    )+};
}

#[cfg(feature = "cuda")]
refused! {
    nvrtcCreateProgram(*mut Handle, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char);
    nvrtcCompileProgram(Handle, c_int, *const *const c_char);
    nvrtcDestroyProgram(*mut Handle);
    nvrtcGetPTXSize(Handle, *mut usize);
    nvrtcGetPTX(Handle, *mut c_char);
    nvrtcGetProgramLogSize(Handle, *mut usize);
    nvrtcGetProgramLog(Handle, *mut c_char);
    cublasSgemv_v2(Handle);
    cublasDgemv_v2(Handle);
    cublasGemmStridedBatchedEx(Handle);
}

/// The text of an error code. The driver's text is not needed, since no error gets through.
#[cfg(feature = "cuda")]
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "as the library has it")]
unsafe extern "C" fn cuGetErrorString(_code: u32, text: *mut *const c_char) -> u32 {
    // SAFETY: the caller provides room for an address; the text is static.
    unsafe { text.write(c"an error of the CUDA driver".as_ptr()) };
    0
}

/// Like [`cuGetErrorString`].
#[cfg(feature = "cuda")]
#[unsafe(no_mangle)]
#[allow(non_snake_case, reason = "as the library has it")]
unsafe extern "C" fn cuGetErrorName(code: u32, text: *mut *const c_char) -> u32 {
    // SAFETY: as promised by the caller.
    unsafe { cuGetErrorString(code, text) }
}
