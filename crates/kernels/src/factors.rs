//! Rounding of a matrix product's factors when they are packed: none, or to bfloat16.
//!
//! Pairs are two neighbours of the inner dimension in one 32-bit element, the first in the low half. Processors have
//! three ways of summing products of pairs, which round differently ([`Way`]); subnormal numbers count as 0 in all.
//! Each has a version in plain Rust, so that tests can compare bits.

use super::Isa;
use super::isa::Kind;
use super::lanes::{LANES, Lanes, Portable, fused};

/// Method of summing products of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    dead_code,
    reason = "a kind of processor has one or two of them; tests compare all"
)]
pub(crate) enum Way {
    /// One chain: sum + second · second, then + first · first, each added with one rounding to nearest (VDPBF16PS of AVX-512 BF16).
    Chain,
    /// Two chains for sixteen pairs: the tiles of AMX, [`super::amx`].
    Tiles,
    /// First · first and second · second are added, and the result is added to the sum, each time rounding to odd
    /// (BFMMLA of Arm: [`super::fours`]).
    Odd,
}

impl Way {
    /// All ways, for tests.
    #[cfg(test)]
    pub(crate) const ALL: [Self; 3] = [Self::Chain, Self::Tiles, Self::Odd];
}

/// Support for rounding the factors of products to bfloat16, with the way of multiplying them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bf16 {
    way: Way,
    native: bool,
}

impl Bf16 {
    /// `Some` if the processor has the instructions.
    pub fn on(isa: Isa) -> Option<Self> {
        let way = match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if isa.has_tiles() => Way::Tiles,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => is_x86_feature_detected!("avx512bf16").then_some(Way::Chain)?,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => return None,
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => std::arch::is_aarch64_feature_detected!("bf16").then_some(Way::Odd)?,
            Kind::Portable => return None,
        };
        Some(Self { way, native: true })
    }

    /// Why [`Bf16::on`] returns `None`.
    pub fn needs() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => {
                "a processor with AVX-512 BF16 is needed, such as AMD Zen 4 or Intel Sapphire Rapids; use `f32`"
            }
            "aarch64" => {
                "a processor with the BF16 extension is needed, such as Apple M2, AWS Graviton 3 or NVIDIA Grace; use `f32`"
            }
            _ => "no processor of this kind multiplies bfloat16 numbers here; use `f32`",
        }
    }

    /// The same sums without the instructions: slow.
    #[cfg(test)]
    pub fn emulated(self) -> Self {
        Self {
            native: false,
            ..self
        }
    }

    /// Every way, without the instructions.
    #[cfg(test)]
    pub fn all_emulated() -> [Self; 3] {
        Way::ALL.map(|way| Self { way, native: false })
    }

    /// Whether the processor is known to have the instructions of the way.
    pub fn is_native(self) -> bool {
        self.native
    }

    /// The way of summing.
    pub(crate) fn way(self) -> Way {
        self.way
    }
}

/// Format of packed factors.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait Packing<L: Lanes> {
    /// Space in rows for `k` packed rows, before and after rounding.
    fn room(k: usize) -> usize {
        k
    }

    /// Rounds `k` packed rows of `width` numbers in place.
    unsafe fn round(packed: *mut f32, k: usize, width: usize);
}

/// Multiplication of packed factors.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait Factors<L: Lanes>: Packing<L> {
    /// Positions of the inner dimension in one packed element: `k` rows are rounded to `k.div_ceil(DEPTH)`.
    const DEPTH: usize;

    /// R × (W · 16) sums of products over `k` packed elements: `a` holds them for `TILE_ROWS` rows, `b` for W · 16 columns.
    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[L::V; W]; R];
}

/// Packed elements multiplied lane by lane.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait ByLane<L: Lanes> {
    /// sum + x · y
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V;
}

/// [`Factors::chain`] with a row of `b` and each number of a row of `a` at a time.
#[inline(always)]
unsafe fn chain<L: Lanes, F: ByLane<L>, const R: usize, const W: usize>(
    k: usize,
    mut a: *const f32,
    mut b: *const f32,
) -> [[L::V; W]; R] {
    // SAFETY: the caller's contract is that of `Factors`; prefetched addresses are only hints.
    unsafe {
        let mut sums = [[L::splat(0.0); W]; R];
        for _ in 0..k {
            let mut columns = [L::splat(0.0); W];
            for (w, column) in columns.iter_mut().enumerate() {
                *column = L::load(b.add(w * LANES));
                L::prefetch(b.wrapping_add(8 * W * LANES + w * LANES));
            }
            for (r, row) in sums.iter_mut().enumerate() {
                let x = L::splat(*a.add(r));
                for (sum, column) in row.iter_mut().zip(columns) {
                    *sum = F::multiply_add(x, column, *sum);
                }
            }
            a = a.add(L::TILE_ROWS);
            b = b.add(W * LANES);
        }
        sums
    }
}

/// Unrounded factors.
pub(crate) struct Whole;

impl<L: Lanes> Packing<L> for Whole {
    #[inline(always)]
    unsafe fn round(_: *mut f32, _: usize, _: usize) {}
}

impl<L: Lanes> ByLane<L> for Whole {
    #[inline(always)]
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V {
        // SAFETY: guaranteed by the caller.
        unsafe { L::fma(x, y, sum) }
    }
}

impl<L: Lanes> Factors<L> for Whole {
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[L::V; W]; R] {
        // SAFETY: guaranteed by the caller.
        unsafe { chain::<L, Self, R, W>(k, a, b) }
    }
}

/// Factors rounded to bfloat16, in pairs.
pub(crate) struct Pairs;

impl<L: PairLanes> Packing<L> for Pairs {
    #[inline(always)]
    unsafe fn round(packed: *mut f32, k: usize, width: usize) {
        // SAFETY: rows 2j and 2j + 1 are read before row j is overwritten.
        unsafe {
            for j in 0..k.div_ceil(2) {
                let (first, to) = (packed.add(2 * j * width), packed.add(j * width));
                for l in (0..width).step_by(LANES) {
                    let n = (width - l).min(LANES);
                    let low = L::load_n(first.add(l), n);
                    let high = match 2 * j + 1 < k {
                        true => L::load_n(first.add(width + l), n),
                        false => L::splat(0.0),
                    };
                    L::store_n(to.add(l), n, L::pair(low, high));
                }
            }
        }
    }
}

impl<L: PairLanes> ByLane<L> for Pairs {
    #[inline(always)]
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V {
        // SAFETY: guaranteed by the caller.
        unsafe { L::dot_pairs(x, y, sum) }
    }
}

impl<L: PairLanes> Factors<L> for Pairs {
    const DEPTH: usize = 2;

    #[inline(always)]
    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[L::V; W]; R] {
        // SAFETY: guaranteed by the caller.
        unsafe { chain::<L, Self, R, W>(k, a, b) }
    }
}

/// Arithmetic on pairs of bfloat16 numbers in sixteen lanes.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait PairLanes: Lanes {
    /// Both rounded to nearest, ties to even.
    unsafe fn pair(low: Self::V, high: Self::V) -> Self::V;
    /// Lanes 0 and 1, 2 and 3, … of the first and then of the second, each two as a pair; rounded likewise.
    unsafe fn neighbours(first: Self::V, second: Self::V) -> Self::V;
    /// sum + x.high · y.high + x.low · y.low
    unsafe fn dot_pairs(x: Self::V, y: Self::V, sum: Self::V) -> Self::V;
}

impl PairLanes for Portable {
    #[inline(always)]
    unsafe fn pair(low: Self::V, high: Self::V) -> Self::V {
        std::array::from_fn(|i| f32::from_bits(rounded(low[i]) | rounded(high[i]) << 16))
    }

    #[inline(always)]
    unsafe fn neighbours(first: Self::V, second: Self::V) -> Self::V {
        let at = |i: usize| {
            rounded(if i < LANES {
                first[i]
            } else {
                second[i - LANES]
            })
        };
        std::array::from_fn(|i| f32::from_bits(at(2 * i) | at(2 * i + 1) << 16))
    }

    #[inline(always)]
    unsafe fn dot_pairs(x: Self::V, y: Self::V, sum: Self::V) -> Self::V {
        let high = |v: f32| f32::from_bits(v.to_bits() & 0xffff_0000);
        let low = |v: f32| f32::from_bits(v.to_bits() << 16);
        std::array::from_fn(|i| {
            let part = flushed(fused(high(x[i]), high(y[i]), flushed(sum[i])));
            flushed(fused(low(x[i]), low(y[i]), part))
        })
    }
}

/// The upper half of `x` rounded to bfloat16, a subnormal number as 0.
fn rounded(x: f32) -> u32 {
    nearest(flushed(x))
}

/// The upper half of `x` rounded to bfloat16, ties to even; NaN stays NaN.
pub(crate) fn nearest(x: f32) -> u32 {
    let bits = x.to_bits();
    if x.is_nan() {
        return bits >> 16 | 0x40;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

/// Replaces a subnormal number by a zero with its sign.
pub(crate) fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { x * 0.0 } else { x }
}
