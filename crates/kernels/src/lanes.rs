//! Sixteen virtual `f32` lanes: all arithmetic of the kernels, and its plain-Rust version.
//!
//! Every operation is exactly rounded (IEEE 754), so that the implementations agree bit for bit; inexact operations
//! (division estimates, platform exponentials) are excluded. Sums of lanes use one fixed tree: lane i + lane i+8, then
//! +4, +2, +1.
/// Lanes per vector, on every machine.
pub(crate) const LANES: usize = 16;

/// Arithmetic on sixteen lanes.
///
/// # Safety
/// The implementation's instruction set must be available and enabled; pointers must be valid for the number of
/// elements accessed by the method. `n` is 1..=16 everywhere.
pub(crate) trait Lanes: Copy {
    /// Sixteen numbers.
    type V: Copy;
    /// Rows of the matrix-product tile.
    const TILE_ROWS: usize;
    /// Vectors per row of the matrix-product tile.
    const TILE_VECTORS: usize;

    /// All lanes `x`.
    unsafe fn splat(x: f32) -> Self::V;
    /// Sixteen numbers at `p`.
    unsafe fn load(p: *const f32) -> Self::V;
    /// `n` numbers at `p`, the other lanes 0.
    unsafe fn load_n(p: *const f32, n: usize) -> Self::V;
    /// Writes sixteen numbers to `p`.
    unsafe fn store(p: *mut f32, v: Self::V);
    /// Writes the first `n` lanes to `p`.
    unsafe fn store_n(p: *mut f32, n: usize, v: Self::V);
    /// a + b
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// a − b
    unsafe fn sub(a: Self::V, b: Self::V) -> Self::V;
    /// a · b
    unsafe fn mul(a: Self::V, b: Self::V) -> Self::V;
    /// a / b
    unsafe fn div(a: Self::V, b: Self::V) -> Self::V;
    /// a · b + c, rounded once.
    unsafe fn fma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// c − a · b, rounded once.
    unsafe fn fnma(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `if a > b { a } else { b }` (b if either is NaN).
    unsafe fn max(a: Self::V, b: Self::V) -> Self::V;
    /// `if a < b { a } else { b }` (b if either is NaN).
    unsafe fn min(a: Self::V, b: Self::V) -> Self::V;
    /// Square root.
    unsafe fn sqrt(a: Self::V) -> Self::V;
    /// Nearest integer, ties to even.
    unsafe fn round(a: Self::V) -> Self::V;
    /// 2 to the power of `a`, which must hold integers in −126..=127.
    unsafe fn pow2(a: Self::V) -> Self::V;
    /// The first `n` lanes of `a`, the rest of `b`.
    unsafe fn keep(a: Self::V, n: usize, b: Self::V) -> Self::V;
    /// Lanes 1, 0, 3, 2, …
    unsafe fn swap_pairs(a: Self::V) -> Self::V;
    /// Sum of the lanes by the fixed tree.
    unsafe fn sum(a: Self::V) -> f32;
    /// Largest lane.
    unsafe fn largest(a: Self::V) -> f32;
    /// Writes `to[c · to_stride + r] = from[r · from_stride + c]` for r < `rows` (≤ 16) and c < 16.
    unsafe fn transpose(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        to: *mut f32,
        to_stride: usize,
    );
    /// Hints that the cache line at `p` will be read.
    unsafe fn prefetch(p: *const f32);
}

/// `x · y + z`, rounded once. MinGW's C library, which computes `mul_add` on processors without such an instruction,
/// rounds twice.
#[inline(always)]
pub(crate) fn fused(x: f32, y: f32, z: f32) -> f32 {
    match cfg!(all(windows, target_env = "gnu")) {
        true => libm::fmaf(x, y, z),
        false => x.mul_add(y, z),
    }
}

/// Plain Rust: correct on every machine with any compiler, fast where `mul_add` is one instruction.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

type Array = [f32; LANES];

#[inline(always)]
fn each(f: impl Fn(usize) -> f32) -> Array {
    std::array::from_fn(f)
}

#[expect(
    unsafe_op_in_unsafe_fn,
    reason = "each function is one operation under the contract of the trait"
)]
impl Lanes for Portable {
    type V = Array;
    const TILE_ROWS: usize = 4;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Array {
        [x; LANES]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Array {
        p.cast::<Array>().read_unaligned()
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Array {
        let mut v = [0.0; LANES];
        std::ptr::copy_nonoverlapping(p, v.as_mut_ptr(), n);
        v
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Array) {
        p.cast::<Array>().write_unaligned(v);
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: Array) {
        std::ptr::copy_nonoverlapping(v.as_ptr(), p, n);
    }
    #[inline(always)]
    unsafe fn add(a: Array, b: Array) -> Array {
        each(|i| a[i] + b[i])
    }
    #[inline(always)]
    unsafe fn sub(a: Array, b: Array) -> Array {
        each(|i| a[i] - b[i])
    }
    #[inline(always)]
    unsafe fn mul(a: Array, b: Array) -> Array {
        each(|i| a[i] * b[i])
    }
    #[inline(always)]
    unsafe fn div(a: Array, b: Array) -> Array {
        each(|i| a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn fma(a: Array, b: Array, c: Array) -> Array {
        each(|i| fused(a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn fnma(a: Array, b: Array, c: Array) -> Array {
        each(|i| fused(-a[i], b[i], c[i]))
    }
    #[inline(always)]
    unsafe fn max(a: Array, b: Array) -> Array {
        each(|i| if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: Array, b: Array) -> Array {
        each(|i| if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn sqrt(a: Array) -> Array {
        each(|i| a[i].sqrt())
    }
    #[inline(always)]
    unsafe fn round(a: Array) -> Array {
        each(|i| a[i].round_ties_even())
    }
    #[inline(always)]
    unsafe fn pow2(a: Array) -> Array {
        each(|i| f32::from_bits(((a[i] as i32 + 127) as u32) << 23))
    }
    #[inline(always)]
    unsafe fn keep(a: Array, n: usize, b: Array) -> Array {
        each(|i| if i < n { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn swap_pairs(a: Array) -> Array {
        each(|i| a[i ^ 1])
    }
    #[inline(always)]
    unsafe fn sum(mut a: Array) -> f32 {
        let mut width = LANES / 2;
        while width > 0 {
            for i in 0..width {
                a[i] += a[i + width];
            }
            width /= 2;
        }
        a[0]
    }
    #[inline(always)]
    unsafe fn largest(a: Array) -> f32 {
        a.into_iter()
            .fold(f32::NEG_INFINITY, |m, x| if x > m { x } else { m })
    }
    #[inline(always)]
    unsafe fn transpose(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for r in 0..rows {
            for c in 0..LANES {
                *to.add(c * to_stride + r) = *from.add(r * from_stride + c);
            }
        }
    }
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}
