//! A GPU made of software, for tests: the driver's functions over the host's memory.
//!
//! Kernels are the real ones: the source that nvcc compiles, compiled for the CPU ([`compiled`]). Those of the tensor library, for the reference,
//! come from its own files (`stock`).
//!
//! It shows that the CUDA code asks for the right things: arguments, strides, sizes, nothing that has to be compiled at run time, nothing after
//! a failure. It shows nothing about speed. Any call can be made to fail; in a dry run nothing is stored or computed, and calls are counted at
//! shapes that no test could train.

pub(super) mod compiled;
mod graphs;
mod products;
mod stock;
#[cfg(feature = "cuda")]
mod tests;

use super::api::{self, Calls};
use super::traffic;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};

/// What happened on the emulated GPU.
#[derive(Debug, Default)]
pub(super) struct Emulated {
    /// Calls so far, those that free left out.
    pub(super) calls: u64,
    /// The number of the last call that waited.
    pub(super) last_wait: u64,
    /// The call that fails, and how; all later ones fail likewise (a GPU that is gone) unless `once`.
    pub(super) fail: Option<(u64, u32)>,
    /// Whether only that call fails.
    pub(super) once: bool,
    /// Bytes that can be allocated at a time.
    pub(super) capacity: Option<usize>,
    /// Launches by kernel.
    pub(super) launches: BTreeMap<String, u64>,
    /// Bytes copied to the GPU and back.
    pub(super) uploaded: usize,
    pub(super) downloaded: usize,
    /// Matrix products.
    pub(super) products: u64,
    /// Calls that made no sense, in words.
    pub(super) nonsense: Vec<String>,
    /// Whether nothing is stored or computed.
    pub(super) dry: bool,
    /// Whether a finer number format stands in the place of bfloat16.
    pub(super) finer: bool,
    /// Bytes that kernels, products, copies and fills read and write, each once: see [`traffic`].
    pub(super) moved: u64,
    /// Copies and fills.
    pub(super) copies: u64,
    /// Allocations, and calls that wait for the GPU.
    pub(super) allocations: u64,
    pub(super) waits: u64,
    /// The most bytes that were allocated at a time.
    pub(super) peak: usize,
    /// Page-locked memory of the host.
    pub(super) pinned: Vec<Vec<u64>>,
    pub(super) memory: BTreeMap<u64, Vec<u64>>,
    pub(super) sizes: BTreeMap<u64, usize>,
    /// What is being recorded; graphs by handle, and the last handle; how often one was started.
    pub(super) recording: Option<graphs::Recording>,
    pub(super) graphs: BTreeMap<usize, graphs::Recording>,
    pub(super) last_graph: usize,
    pub(super) graph_launches: u64,
    /// The stream of cuBLAS, and whether it has a workspace there.
    pub(super) blas: (usize, bool),
}

impl Emulated {
    /// Bytes allocated now.
    pub(super) fn in_use(&self) -> usize {
        let pinned = self.pinned.iter().map(|words| 8 * words.len());
        self.sizes.values().sum::<usize>() + pinned.sum::<usize>()
    }
}

thread_local! {
    static GPU: RefCell<Emulated> = RefCell::default();
}

/// Runs `test` with an emulated GPU in this thread; gives what it says and what happened.
pub(super) fn with<T>(emulated: Emulated, test: impl FnOnce() -> T) -> (T, Emulated) {
    GPU.set(emulated);
    api::instead(Some(&CALLS));
    let said = test();
    api::instead(None);
    (said, GPU.take())
}

/// Looks at the GPU in the middle of a test.
pub(super) fn look<T>(look: impl FnOnce(&mut Emulated) -> T) -> T {
    GPU.with_borrow_mut(look)
}

/// Counts a call; its answer.
fn called() -> u32 {
    look(|gpu| {
        gpu.calls += 1;
        match gpu.fail {
            Some((at, code)) if gpu.calls == at || gpu.calls > at && !gpu.once => code,
            _ => 0,
        }
    })
}

fn nonsense(text: String) -> u32 {
    look(|gpu| gpu.nonsense.push(text));
    1
}

/// Whether `bytes` from `at` on are allocated.
fn is_allocated(at: u64, bytes: usize) -> bool {
    look(|gpu| {
        let before = gpu.sizes.range(..=at).next_back();
        before.is_some_and(|(start, size)| at + bytes as u64 <= start + *size as u64)
    })
}

unsafe fn allocate(address: *mut u64, bytes: usize) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    if bytes == 0 {
        return nonsense("an allocation of no bytes".to_owned());
    }
    let refused = graphs::outside();
    if refused != 0 {
        return refused;
    }
    look(|gpu| {
        if gpu.capacity.is_some_and(|most| gpu.in_use() + bytes > most) {
            return 2;
        }
        gpu.allocations += 1;
        gpu.peak = gpu.peak.max(gpu.in_use() + bytes);
        if gpu.dry {
            // Behind everything: no address is used twice.
            let last = gpu.sizes.last_key_value();
            let at = last.map_or(1 << 40, |(at, size)| at + *size as u64 + 512);
            gpu.sizes.insert(at, bytes);
            // SAFETY: the caller gives room for an address.
            unsafe { address.write(at) };
            return 0;
        }
        // Not zeros: nothing may rely on fresh memory.
        let words = vec![0x7fc0_0001_7fc0_0001u64; bytes.div_ceil(8)];
        let at = words.as_ptr() as u64;
        gpu.memory.insert(at, words);
        gpu.sizes.insert(at, bytes);
        // SAFETY: the caller gives room for an address.
        unsafe { address.write(at) };
        0
    })
}

fn free(address: u64) -> u32 {
    let refused = graphs::outside();
    if refused != 0 {
        return refused;
    }
    let known = look(|gpu| {
        gpu.sizes.remove(&address).is_some() && (gpu.dry || gpu.memory.remove(&address).is_some())
    });
    match known {
        true => look(|gpu| match gpu.fail {
            Some((at, code)) if gpu.calls >= at && !gpu.once => code,
            _ => 0,
        }),
        false => nonsense(format!("{address:x} is freed, which is not allocated")),
    }
}

/// A copy on a stream, or one for which the host waits.
unsafe fn copy(
    stream: Option<Handle>,
    to: *mut u8,
    from: *const u8,
    bytes: usize,
    on_gpu: [Option<u64>; 2],
) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    let (stream, refused) = match stream {
        Some(stream) => (stream, 0),
        None => (std::ptr::null_mut(), graphs::outside()),
    };
    if refused != 0 {
        return refused;
    }
    // SAFETY: as the caller promises; what is recorded stays until it has run.
    graphs::issue(stream, move || unsafe { transfer(to, from, bytes, on_gpu) })
}

unsafe fn transfer(to: *mut u8, from: *const u8, bytes: usize, on_gpu: [Option<u64>; 2]) -> u32 {
    look(|gpu| {
        gpu.copies += 1;
        gpu.moved += bytes as u64;
    });
    for at in on_gpu.into_iter().flatten() {
        if !is_allocated(at, bytes) {
            return nonsense(format!(
                "{bytes} bytes at {at:x} are copied, which are not allocated"
            ));
        }
    }
    if !look(|gpu| gpu.dry) {
        // SAFETY: the GPU's side was checked; the host's side is the caller's promise.
        unsafe { std::ptr::copy(from, to, bytes) };
    }
    0
}

type Handle = *mut c_void;

unsafe extern "C" fn launch(
    function: Handle,
    grid_x: u32,
    grid_y: u32,
    grid_z: u32,
    block_x: u32,
    block_y: u32,
    block_z: u32,
    _: u32,
    stream: Handle,
    parameters: *mut *mut c_void,
    _: *mut *mut c_void,
) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    if grid_x * grid_y * grid_z == 0 || block_x * block_y * block_z == 0 {
        return nonsense("a launch of no threads".to_owned());
    }
    // SAFETY: handles of functions are the names that `get_function` kept for good.
    let name = unsafe { CStr::from_ptr(function.cast::<c_char>()) };
    let name = name.to_str().unwrap_or_default();
    // SAFETY: the fused engine gives the parameters that its kernel of this name has; others are not looked at.
    let moved = unsafe { traffic::bytes(name, [grid_x, grid_y], parameters) };
    let (grid, block) = ([grid_x, grid_y, grid_z], [block_x, block_y, block_z]);
    // SAFETY: as the caller promises.
    unsafe {
        match graphs::is_recording() {
            true => graphs::record(stream, name, moved, [grid, block], parameters),
            false => execute(name, moved, grid, block, parameters),
        }
    }
}

/// Runs a kernel that reads and writes `moved` bytes.
unsafe fn execute(
    name: &str,
    moved: u64,
    grid: [u32; 3],
    block: [u32; 3],
    parameters: *mut *mut c_void,
) -> u32 {
    look(|gpu| {
        *gpu.launches.entry(name.to_owned()).or_default() += 1;
        gpu.moved += moved;
    });
    if look(|gpu| gpu.dry) {
        return 0;
    }
    let finer = look(|gpu| gpu.finer);
    // SAFETY: the engines give the parameters that their kernel of this name has.
    let ran = unsafe { compiled::run(name, finer, grid, block, parameters) };
    ran.map_or_else(|what| nonsense(format!("{name}: {what}")), |()| 0)
}

unsafe extern "C" fn get_function(function: *mut Handle, _: Handle, name: *const c_char) -> u32 {
    let failed = called();
    if failed == 0 {
        // SAFETY: the caller gives a text and room for a handle.
        unsafe { function.write(CStr::from_ptr(name).to_owned().into_raw().cast()) };
    }
    failed
}

unsafe extern "C" fn handle(handle: *mut Handle) -> u32 {
    let failed = called();
    if failed == 0 {
        // SAFETY: the caller gives room for a handle.
        unsafe { handle.write(std::ptr::without_provenance_mut(64)) };
    }
    failed
}

/// Functions that answer yes and do nothing else.
macro_rules! nothing {
    ($($ty:ty),*) => {{
        unsafe extern "C" fn nothing($(_: $ty),*) -> u32 {
            called()
        }
        nothing
    }};
}

/// Functions that free something: never counted.
macro_rules! freed {
    ($($ty:ty),*) => {{
        unsafe extern "C" fn freed($(_: $ty),*) -> u32 {
            0
        }
        freed
    }};
}

/// Functions that fill one number.
macro_rules! gives {
    ($out:ty, $value:expr $(, $ty:ty)*) => {{
        unsafe extern "C" fn gives(out: *mut $out $(, _: $ty)*) -> u32 {
            let failed = called();
            if failed == 0 {
                // SAFETY: the caller gives room for it.
                unsafe { out.write($value) };
            }
            failed
        }
        gives
    }};
}

/// Functions written out in place.
macro_rules! does {
    (|$($arg:ident: $ty:ty),*| $body:expr) => {{
        unsafe extern "C" fn does($($arg: $ty),*) -> u32 {
            // SAFETY: every body keeps to the memory that it checked or that its caller gives.
            #[allow(unused_unsafe, reason = "some bodies have no unsafe part")]
            unsafe { $body }
        }
        does
    }};
}

unsafe fn upload(stream: Option<Handle>, to: u64, from: *const c_void, bytes: usize) -> u32 {
    look(|gpu| gpu.uploaded += bytes);
    // SAFETY: `transfer` checks the GPU's side.
    unsafe { copy(stream, to as *mut u8, from.cast(), bytes, [Some(to), None]) }
}

unsafe fn download(stream: Option<Handle>, to: *mut c_void, from: u64, bytes: usize) -> u32 {
    look(|gpu| gpu.downloaded += bytes);
    // SAFETY: `transfer` checks the GPU's side.
    unsafe {
        copy(
            stream,
            to.cast(),
            from as *const u8,
            bytes,
            [None, Some(from)],
        )
    }
}

/// Notes that the next call waits.
fn waits() {
    look(|gpu| {
        gpu.waits += 1;
        gpu.last_wait = gpu.calls + 1;
    });
}

fn fill(stream: Option<Handle>, at: u64, byte: u8, bytes: usize) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    let (stream, refused) = match stream {
        Some(stream) => (stream, 0),
        None => (std::ptr::null_mut(), graphs::outside()),
    };
    if refused != 0 {
        return refused;
    }
    graphs::issue(stream, move || filled(at, byte, bytes))
}

fn filled(at: u64, byte: u8, bytes: usize) -> u32 {
    look(|gpu| {
        gpu.copies += 1;
        gpu.moved += bytes as u64;
    });
    if bytes == 0 {
        return nonsense("a fill of no bytes".to_owned());
    }
    if !is_allocated(at, bytes) {
        return nonsense(format!(
            "{bytes} bytes at {at:x} are filled, which are not allocated"
        ));
    }
    if !look(|gpu| gpu.dry) {
        // SAFETY: just checked.
        unsafe { std::ptr::write_bytes(at as *mut u8, byte, bytes) };
    }
    0
}

/// The driver and cuBLAS.
static CALLS: Calls = Calls {
    cuInit: nothing!(u32),
    cuDeviceGet: gives!(c_int, 0, c_int),
    cuDeviceGetCount: gives!(c_int, 1),
    cuDeviceGetAttribute: gives!(c_int, 1, u32, c_int),
    cuDeviceTotalMem_v2: gives!(usize, 1 << 30, c_int),
    cuDeviceGetDefaultMemPool: does!(|pool: *mut Handle, _device: c_int| handle(pool)),
    cuMemPoolSetAttribute: nothing!(Handle, u32, *mut c_void),
    cuDevicePrimaryCtxRetain: does!(|context: *mut Handle, _device: c_int| handle(context)),
    cuDevicePrimaryCtxRelease_v2: freed!(c_int),
    cuCtxSetCurrent: nothing!(Handle),
    cuCtxGetCurrent: handle,
    cuEventCreate: does!(|event: *mut Handle, _flags: u32| handle(event)),
    cuEventDestroy_v2: freed!(Handle),
    cuEventRecord: nothing!(Handle, Handle),
    cuEventElapsedTime: gives!(f32, 1.0, Handle, Handle),
    cuStreamCreate: does!(|stream: *mut Handle, _flags: u32| handle(stream)),
    cuStreamDestroy_v2: freed!(Handle),
    cuStreamSynchronize: does!(|_stream: Handle| {
        waits();
        match called() {
            0 => graphs::outside(),
            failed => failed,
        }
    }),
    cuStreamBeginCapture_v2: graphs::begin,
    cuStreamEndCapture: graphs::end,
    cuGraphInstantiateWithFlags: graphs::instantiate,
    cuGraphLaunch: graphs::launch,
    cuGraphExecDestroy: graphs::destroy,
    cuGraphDestroy: graphs::destroy,
    cuStreamWaitEvent: nothing!(Handle, Handle, u32),
    cuMemAllocAsync: does!(|at: *mut u64, bytes: usize, _stream: Handle| allocate(at, bytes)),
    cuMemAlloc_v2: does!(|at: *mut u64, bytes: usize| allocate(at, bytes)),
    cuMemFreeAsync: does!(|at: u64, _stream: Handle| free(at)),
    cuMemFree_v2: does!(|at: u64| free(at)),
    cuMemAllocHost_v2: does!(|at: *mut Handle, bytes: usize| {
        let failed = match called() {
            0 => graphs::outside(),
            failed => failed,
        };
        if failed == 0 {
            let mut words = vec![u64::MAX; bytes.div_ceil(8)];
            at.write(words.as_mut_ptr().cast());
            look(|gpu| {
                gpu.allocations += 1;
                gpu.pinned.push(words);
            });
        }
        failed
    }),
    cuMemFreeHost: does!(|at: Handle| {
        let before = look(|gpu| gpu.pinned.len());
        look(|gpu| {
            gpu.pinned
                .retain(|words| words.as_ptr().cast() != at.cast_const())
        });
        match look(|gpu| gpu.pinned.len()) < before {
            true => 0,
            false => nonsense("page-locked memory is freed that is not allocated".to_owned()),
        }
    }),
    cuMemGetInfo_v2: does!(|free: *mut usize, total: *mut usize| {
        let all = look(|gpu| gpu.capacity.unwrap_or(1 << 30));
        free.write(all.saturating_sub(look(|gpu| gpu.in_use())));
        total.write(all);
        called()
    }),
    cuMemcpyDtoDAsync_v2: does!(|to: u64, from: u64, bytes: usize, stream: Handle| {
        copy(
            Some(stream),
            to as *mut u8,
            from as *const u8,
            bytes,
            [Some(to), Some(from)],
        )
    }),
    cuMemcpyDtoD_v2: does!(|to: u64, from: u64, bytes: usize| {
        copy(
            None,
            to as *mut u8,
            from as *const u8,
            bytes,
            [Some(to), Some(from)],
        )
    }),
    cuMemcpyDtoHAsync_v2: does!(|to: *mut c_void, from: u64, bytes: usize, stream: Handle| {
        download(Some(stream), to, from, bytes)
    }),
    cuMemcpyDtoH_v2: does!(|to: *mut c_void, from: u64, bytes: usize| {
        waits();
        download(None, to, from, bytes)
    }),
    cuMemcpyHtoDAsync_v2: does!(
        |to: u64, from: *const c_void, bytes: usize, stream: Handle| {
            upload(Some(stream), to, from, bytes)
        }
    ),
    cuMemcpyHtoD_v2: does!(|to: u64, from: *const c_void, bytes: usize| {
        waits();
        upload(None, to, from, bytes)
    }),
    cuMemsetD8Async: does!(|at: u64, byte: u8, bytes: usize, stream: Handle| {
        fill(Some(stream), at, byte, bytes)
    }),
    cuMemsetD8_v2: does!(|at: u64, byte: u8, bytes: usize| fill(None, at, byte, bytes)),
    cuModuleGetFunction: get_function,
    cuModuleLoad: does!(|module: *mut Handle, _file: *const c_char| handle(module)),
    cuModuleLoadData: does!(|module: *mut Handle, _image: *const c_void| handle(module)),
    cuModuleUnload: freed!(Handle),
    cuLaunchKernel: launch,
    cublasCreate_v2: handle,
    cublasDestroy_v2: freed!(Handle),
    cublasSetStream_v2: does!(|_handle: Handle, stream: Handle| {
        // As the real one, it takes the workspace away.
        look(|gpu| gpu.blas = (stream.addr(), false));
        called()
    }),
    cublasSetWorkspace_v2: does!(|_handle: Handle, workspace: Handle, bytes: usize| {
        match called() {
            0 if !is_allocated(workspace as u64, bytes) => {
                nonsense("a workspace that is not allocated".to_owned())
            }
            0 => {
                look(|gpu| gpu.blas.1 = true);
                0
            }
            failed => failed,
        }
    }),
    cublasGemmEx: products::gemm_ex,
    cublasSgemm_v2: products::sgemm,
    cublasDgemm_v2: nothing!(
        Handle,
        u32,
        u32,
        c_int,
        c_int,
        c_int,
        *const f64,
        *const f64,
        c_int,
        *const f64,
        c_int,
        *const f64,
        *mut f64,
        c_int
    ),
    cublasSgemmStridedBatched: products::sgemm_batched,
    cublasDgemmStridedBatched: nothing!(
        Handle,
        u32,
        u32,
        c_int,
        c_int,
        c_int,
        *const f64,
        *const f64,
        c_int,
        i64,
        *const f64,
        c_int,
        i64,
        *const f64,
        *mut f64,
        c_int,
        i64,
        c_int
    ),
};
