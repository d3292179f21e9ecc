//! A GPU as used by the fused operations: kernels by name, matrix products, uploads and downloads, all on one
//! stream.

use super::super::api::{self, Handle};
use super::super::sizes::WORKSPACE;
use super::super::traffic::{self, Work};
use super::graph::{Script, Word};
use super::memory::{Buffer, Pool, Staging, Table};
use super::profile;
use crate::spec::Dtype;
use crate::train::TrainError;
use crate::train::engine::fused::memory::Sizes;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::{CString, c_int, c_void};
use std::rc::Rc;

/// Machine code of `kernels/kernels.cu`, built by `scripts/build-cuda.sh`.
#[cfg(all(feature = "cuda", not(feature = "cuda-check")))]
static IMAGE: &[u8] = include_bytes!(env!(
    "SPECBOOK_CUDA_KERNELS",
    "scripts/build-cuda.sh compiles the kernels and builds with them"
));
/// Empty in builds that only check the code: the emulated GPU of the tests finds kernels by name.
#[cfg(not(all(feature = "cuda", not(feature = "cuda-check"))))]
static IMAGE: &[u8] = &[0];

/// The GPU of one job.
pub(super) struct Gpu {
    /// Whether activations and the factors of products are bfloat16.
    pub(super) low: bool,
    /// The ownership of buffers by matrices.
    pub(super) table: RefCell<Table>,
    functions: RefCell<BTreeMap<String, Handle>>,
    module: Handle,
    blas: Handle,
    /// The stream of all calls. It does not wait for other streams, not even for the default one.
    pub(super) stream: Handle,
    _workspace: Buffer,
    staging: RefCell<Staging>,
    sizes: Sizes,
    pub(super) pool: Rc<Pool>,
    /// While a step is recorded: what it sends.
    pub(super) script: RefCell<Option<Script>>,
    /// The work of the current step so far.
    pub(super) work: Cell<Work>,
}

/// A value as a kernel's parameter; it must outlive the launch, which copies it.
pub(super) fn parameter<T: Copy>(value: &T) -> *mut c_void {
    std::ptr::from_ref(value).cast_mut().cast()
}

/// Launches `$name` with `$threads` threads in each of `$blocks` blocks. The values are the kernel's
/// parameters, in its own types: addresses are `u64`, integers `i32`.
macro_rules! launch {
    ($gpu:expr, $name:expr, $blocks:expr, $threads:expr, $($value:expr),+ $(,)?) => {
        // SAFETY: the kernel of this name has these parameters; tests run each of them.
        unsafe { $gpu.launch($name, $blocks, $threads, &mut [$($crate::train::engine::cuda::fused::gpu::parameter(&$value)),+]) }
    };
}
pub(super) use launch;

/// A factor of a product: row-major, `(rows, columns)`.
#[derive(Clone, Copy)]
pub(super) struct Factor {
    /// Its address.
    pub(super) at: u64,
    /// Numbers in a row.
    pub(super) columns: usize,
    /// Whether it is used as its transpose.
    pub(super) transposed: bool,
}

impl Factor {
    /// The matrix, not transposed.
    pub(super) fn new(at: u64, columns: usize) -> Self {
        Self {
            at,
            columns,
            transposed: false,
        }
    }

    /// Its transpose.
    pub(super) fn transposed(self) -> Self {
        Self {
            transposed: true,
            ..self
        }
    }
}

impl Gpu {
    /// Opens GPU `number`.
    ///
    /// # Errors
    /// The GPU cannot be used.
    pub(super) fn open(number: usize, dtype: Dtype) -> Result<Self, TrainError> {
        api::enter(number);
        const NON_BLOCKING: u32 = 1;
        let (mut module, mut blas) = (std::ptr::null_mut(), std::ptr::null_mut());
        let mut stream = std::ptr::null_mut();
        let pool = Rc::new(Pool::default());
        // SAFETY: the image is static; the handles outlive the calls.
        unsafe {
            api::cuModuleLoadData(&raw mut module, IMAGE.as_ptr().cast());
            api::cuStreamCreate(&raw mut stream, NON_BLOCKING);
            api::cublasCreate_v2(&raw mut blas);
            // This also takes its workspace away.
            api::cublasSetStream_v2(blas, stream);
        }
        let workspace = pool.buffer(WORKSPACE);
        let at = std::ptr::with_exposed_provenance_mut(workspace.at as usize);
        // SAFETY: the workspace is freed after the handle.
        unsafe { api::cublasSetWorkspace_v2(blas, at, WORKSPACE) };
        let gpu = Self {
            low: dtype == Dtype::Bf16,
            table: RefCell::default(),
            functions: RefCell::default(),
            module,
            blas,
            stream,
            _workspace: workspace,
            staging: RefCell::default(),
            sizes: Sizes::default(),
            pool,
            script: RefCell::default(),
            work: Cell::default(),
        };
        api::check().map(|()| gpu)
    }

    /// Begins a pass over `rows` rows. If batches have many lengths, buffers kept for other lengths are freed
    /// first.
    pub(super) fn begin_pass(&self, rows: usize) {
        self.table.borrow_mut().begin_pass();
        // Nothing can be freed while a step is recorded.
        if self.sizes.crowded_by(rows) && self.script.borrow().is_none() {
            self.pool.clear();
        }
    }

    /// Returns unused memory to the driver.
    pub(super) fn release(&self) {
        self.pool.clear();
    }

    /// A buffer for `len` bytes.
    pub(super) fn bytes(&self, len: usize) -> Rc<Buffer> {
        Rc::new(self.pool.buffer(len))
    }

    /// A buffer for `len` numbers in f32.
    pub(super) fn floats(&self, len: usize) -> Rc<Buffer> {
        self.bytes(4 * len)
    }

    /// A buffer for `len` numbers in f64.
    pub(super) fn doubles(&self, len: usize) -> Rc<Buffer> {
        self.bytes(8 * len)
    }

    /// A buffer for `len` numbers of activations: f32 or bfloat16.
    pub(super) fn activations(&self, len: usize) -> Rc<Buffer> {
        self.bytes(if self.low { 2 } else { 4 } * len)
    }

    /// A buffer of `len` zeros in f32.
    pub(super) fn zeros(&self, len: usize) -> Rc<Buffer> {
        let buffer = self.floats(len);
        // SAFETY: the buffer is large enough.
        unsafe { api::cuMemsetD8Async(buffer.at, 0, 4 * len, self.stream) };
        buffer
    }

    /// The name of a kernel that exists for both types of activations.
    pub(super) fn typed(&self, name: &str) -> String {
        format!("{name}_{}", if self.low { "bf16" } else { "f32" })
    }

    /// Launches kernel `name`; `blocks` has the numbers of blocks in x and y.
    ///
    /// # Safety
    /// `parameters` are those of the kernel, and it stays within its buffers.
    pub(super) unsafe fn launch(
        &self,
        name: &str,
        blocks: (usize, usize),
        threads: u32,
        parameters: &mut [*mut c_void],
    ) {
        let mut functions = self.functions.borrow_mut();
        let function = *functions.entry(name.to_owned()).or_insert_with(|| {
            let mut function = std::ptr::null_mut();
            let text = CString::new(name).unwrap_or_default();
            // SAFETY: text and handle outlive the call.
            unsafe { api::cuModuleGetFunction(&raw mut function, self.module, text.as_ptr()) };
            function
        });
        let (x, y) = (blocks.0 as u32, blocks.1 as u32);
        let (stream, extra) = (self.stream, std::ptr::null_mut());
        let parameters = parameters.as_mut_ptr();
        // SAFETY: as promised by the caller.
        self.add_work(unsafe { traffic::bytes(name, [x, y], parameters) });
        // SAFETY: as promised by the caller; the driver copies the parameters.
        profile::launch(name, [x, y], parameters, stream, || unsafe {
            api::cuLaunchKernel(
                function, x, y, 1, threads, 1, 1, 0, stream, parameters, extra,
            );
        });
    }

    fn add_work(&self, bytes: u64) {
        let mut work = self.work.get();
        work.calls += 1;
        work.bytes += bytes;
        self.work.set(work);
    }

    /// `to (+)= a · b`: `to` is `(rows, columns)` row-major, of activations or (`wide`) in f32; `inner` is the length of the sums.
    pub(super) fn product(
        &self,
        [a, b]: [Factor; 2],
        [rows, columns, inner]: [usize; 3],
        to: u64,
        wide: bool,
        add: bool,
    ) {
        const BF16: u32 = 14;
        const F32: u32 = 0;
        const IN_F32: u32 = 68;
        const BEST: c_int = -1;
        let (alpha, beta) = (1.0f32, if add { 1.0f32 } else { 0.0 });
        let op = u32::from;
        let pointer = |at: u64| std::ptr::with_exposed_provenance_mut::<c_void>(at as usize);
        let (m, n, k) = (columns as c_int, rows as c_int, inner as c_int);
        let (lda, ldb) = (b.columns as c_int, a.columns as c_int);
        let bytes = [
            if self.low { 2 } else { 4 },
            if self.low && !wide { 2 } else { 4 },
        ];
        let result = rows * columns * bytes[1] * if add { 2 } else { 1 };
        self.add_work(((rows + columns) * inner * bytes[0] + result) as u64);
        // cuBLAS has columns first: its first factor is our second one.
        // SAFETY: the factors and the result have these sizes; the numbers by address are of the host and read in the call.
        profile::product([rows, columns, inner], bytes, self.stream, || unsafe {
            if self.low {
                api::cublasGemmEx(
                    self.blas,
                    op(b.transposed),
                    op(a.transposed),
                    m,
                    n,
                    k,
                    (&raw const alpha).cast(),
                    pointer(b.at),
                    BF16,
                    lda,
                    pointer(a.at),
                    BF16,
                    ldb,
                    (&raw const beta).cast(),
                    pointer(to),
                    if wide { F32 } else { BF16 },
                    m,
                    IN_F32,
                    BEST,
                );
            } else {
                api::cublasSgemm_v2(
                    self.blas,
                    op(b.transposed),
                    op(a.transposed),
                    m,
                    n,
                    k,
                    &raw const alpha,
                    pointer(b.at).cast(),
                    lda,
                    pointer(a.at).cast(),
                    ldb,
                    &raw const beta,
                    pointer(to).cast(),
                    m,
                );
            }
        });
    }

    /// `to += from`, in f32.
    pub(super) fn add(&self, to: u64, from: u64, len: usize) {
        launch!(
            self,
            "add_to",
            (len.div_ceil(256), 1),
            256,
            to,
            from,
            len as u64
        );
    }

    /// Copies small data to the GPU without waiting for it. While a step is recorded, the data is already there.
    pub(super) fn send<T: Word>(&self, values: &[T]) -> Rc<Buffer> {
        if let Some(script) = &mut *self.script.borrow_mut() {
            return Rc::new(Buffer::within(script.next(values)));
        }
        let buffer = self.bytes(size_of_val(values));
        self.send_to(buffer.at, values);
        buffer
    }

    /// Copies small data to address `to` without waiting for it.
    pub(super) fn send_to<T: Copy>(&self, to: u64, values: &[T]) {
        let bytes = size_of_val(values);
        if bytes == 0 {
            return;
        }
        self.add_work(bytes as u64);
        let Some(room) = self.staging.borrow_mut().room(bytes) else {
            return;
        };
        // SAFETY: both are large enough; the host memory is not overwritten before the GPU has read it.
        unsafe {
            std::ptr::copy_nonoverlapping(values.as_ptr().cast::<u8>(), room.cast(), bytes);
            api::cuMemcpyHtoDAsync_v2(to, room, bytes, self.stream);
        }
    }

    /// Copies numbers to the GPU, for the whole job.
    pub(super) fn upload(&self, values: &[f32]) -> Rc<Buffer> {
        let buffer = Rc::new(self.pool.lasting(size_of_val(values)));
        self.upload_to(buffer.at, values);
        buffer
    }

    /// Copies numbers to address `to`; waits for it.
    pub(super) fn upload_to<T: Copy>(&self, to: u64, values: &[T]) {
        // SAFETY: there is room for them; they are read before this returns.
        unsafe {
            api::cuMemcpyHtoDAsync_v2(to, values.as_ptr().cast(), size_of_val(values), self.stream);
            api::cuStreamSynchronize(self.stream);
        }
    }

    /// Downloads `len` numbers; waits until the GPU has finished all work.
    pub(super) fn download<T: Copy + Default>(&self, at: u64, len: usize) -> Vec<T> {
        let mut values = vec![T::default(); len];
        let bytes = size_of_val(&values[..]);
        // SAFETY: the vector is large enough.
        unsafe {
            api::cuMemcpyDtoHAsync_v2(values.as_mut_ptr().cast(), at, bytes, self.stream);
            api::cuStreamSynchronize(self.stream);
        }
        self.staging.borrow_mut().reuse();
        values
    }
}

impl Drop for Gpu {
    fn drop(&mut self) {
        // SAFETY: made in `open` and not used after this.
        unsafe {
            api::cublasDestroy_v2(self.blas);
            api::cuStreamDestroy_v2(self.stream);
            api::cuModuleUnload(self.module);
        }
    }
}
