//! The minimum work of a kernel launch of the engine: bytes to read and write, counting each number once and
//! omitting tables and small vectors; and for attention, the operations of its products.

use std::ffi::c_void;

/// Sizes of an attention: the first numbers of the structure that kernels receive by value.
#[derive(Clone, Copy)]
#[repr(C)]
struct Attention {
    length: i32,
    heads: i32,
    kv_heads: i32,
    width: i32,
}

/// Maximum number of elements that a block of the optimizer's kernels handles.
const PIECE: u64 = 1 << 14;

/// The work of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Work {
    /// Kernels, products and copies.
    pub(super) calls: u64,
    /// Bytes that they read and write.
    pub(super) bytes: u64,
}

impl Work {
    /// Estimated seconds in which the host makes the calls, and the GPU does the work: on an H200, with its
    /// bytes per second.
    pub(super) fn seconds(self) -> [f64; 2] {
        let calls = self.calls as f64;
        [6e-6 * calls, 1e-6 * calls + self.bytes as f64 / 4.3e12]
    }
}

/// The bytes of a launch; 0 for kernels of others.
pub(super) unsafe fn bytes(name: &str, [x, y]: [u32; 2], parameters: *mut *mut c_void) -> u64 {
    // SAFETY: each kernel has the parameters that are read for its name.
    let int = |at: usize| u64::from(unsafe { read::<i32>(parameters, at) }.unsigned_abs());
    // SAFETY: as above.
    let address = |at: usize| unsafe { read::<u64>(parameters, at) };
    let (x, y) = (u64::from(x), u64::from(y));
    let element: u64 = if name.ends_with("_bf16") { 2 } else { 4 };
    let base = name.trim_end_matches("_f32").trim_end_matches("_bf16");
    if let Some(part) = base.strip_prefix("attention_")
        && part != "cached"
    {
        // SAFETY: as above.
        return unsafe { attention(part, x, element, parameters) };
    }
    match base {
        "embed_forward" => x * int(5) * if address(1) == 0 { 8 } else { 12 },
        // Which rows have the same id is known only to the GPU: at most as many runs as rows.
        "embed_backward" => 3 * x * int(5) * 4,
        "gather_rows" => x * int(3) * 8,
        "norm_forward" => x * int(5) * (4 + element),
        "norm_backward" => {
            int(6) * int(7) * (8 + element + if int(9) == 0 { 0 } else { 4 }) + x * int(7) * 8
        }
        "column_partial" => int(2) * int(3) * element + y * int(3) * 4,
        "column_sum" => (int(3) + 2) * int(4) * 4,
        "bias_add" => x * int(2) * 2 * element,
        "rope" => int(4) * int(7) * int(8) * 4 * element,
        "swiglu_forward" => x * int(2) * 3 * element,
        "swiglu_backward" => x * int(2) * 5 * element,
        "gelu_forward" => x * int(3) * 2 * element,
        "gelu_backward" => x * int(3) * 3 * element,
        "residual_forward" => x * int(4) * (8 + element),
        "residual_backward" => x * int(2) * (4 + element),
        "head_row" => x * int(3) * element * if int(4) == 0 { 1 } else { 3 },
        "loss_sum" => int(2) * 8,
        "square_sum" => x * PIECE * 4,
        "clip_factor" => int(2) * 8,
        "adamw" => x * PIECE * 32,
        "to_low" => address(2) * 6,
        "add_to" => address(2) * 12,
        _ => 0,
    }
}

/// Operations of the products within an attention: a multiplication and an addition for each query, earlier key
/// and column; 0 for other kernels.
pub(super) unsafe fn operations(name: &str, [x, _]: [u32; 2], parameters: *mut *mut c_void) -> f64 {
    let Some(part) = name.strip_prefix("attention_") else {
        return 0.0;
    };
    // Products with queries or their gradients, keys and values.
    let (products, at) = match part.split('_').next() {
        Some("forward") => (2.0, 3),
        Some("queries") => (3.0, 5),
        Some("keys") => (4.0, 5),
        _ => return 0.0,
    };
    // SAFETY: these are the positions of the kernel's parameters.
    let (tiles, shape) = unsafe {
        (
            read::<i32>(parameters, at),
            read::<Attention>(parameters, at + 1),
        )
    };
    let [length, width] = [shape.length, shape.width].map(f64::from);
    // A block that computes gradients of keys handles all heads of its group.
    let group = if products > 3.0 {
        f64::from(shape.heads / shape.kv_heads.max(1))
    } else {
        1.0
    };
    let heads = f64::from(x) / f64::from(tiles.max(1)) * group;
    products * heads * length * (length + 1.0) * width
}

/// Queries, keys, values, outputs and their gradients, each once.
unsafe fn attention(part: &str, blocks: u64, element: u64, parameters: *mut *mut c_void) -> u64 {
    let kind = part.split('_').next().unwrap_or_default();
    let (tiles_at, shape_at) = match kind {
        "delta" => (3, 4),
        "forward" => (3, 4),
        _ => (5, 6),
    };
    // SAFETY: these are the positions of the kernel's parameters.
    let (tiles, shape) = unsafe {
        (
            read::<i32>(parameters, tiles_at),
            read::<Attention>(parameters, shape_at),
        )
    };
    let wide = |number: i32| u64::from(number.unsigned_abs());
    let (heads, kv_heads, width) = (wide(shape.heads), wide(shape.kv_heads), wide(shape.width));
    let (queries, keys) = (heads * width, kv_heads * width);
    let rows = |heads: u64| blocks / wide(tiles) / heads * wide(shape.length);
    match kind {
        "delta" => wide(tiles) * (2 * queries * element + 4 * heads),
        "forward" => rows(heads) * ((2 * queries + 2 * keys) * element + 4 * heads),
        "queries" => rows(heads) * ((3 * queries + 2 * keys) * element + 8 * heads),
        _ => rows(kv_heads) * ((2 * queries + 4 * keys) * element + 8 * heads),
    }
}

unsafe fn read<T: Copy>(parameters: *mut *mut c_void, at: usize) -> T {
    // SAFETY: the caller knows the parameter.
    unsafe { (*parameters.add(at)).cast::<T>().read_unaligned() }
}
