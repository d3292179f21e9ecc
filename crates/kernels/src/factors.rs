//! What a matrix product rounds its factors to when it packs them: nothing, or bfloat16 pairs.
//!
//! A pair is two neighbours of the inner dimension in one 32-bit element, the first in the low half. Processors have two ways to sum products of
//! pairs, which round differently. One is a chain too: sum + second · second, then + first · first, each added with one rounding to nearest;
//! subnormal numbers count as 0. That is what the instruction VDPBF16PS does (AVX-512 BF16), and [`Portable`] does the same with whole
//! numbers, so that tests can compare bits. The other is that of the tiles of AMX: [`super::amx`].

use super::Isa;
use super::isa::Kind;
use super::lanes::{LANES, Lanes, Portable};

/// The permission to round the factors of products to bfloat16, and the way to multiply them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bf16 {
    tiles: bool,
    native: bool,
}

impl Bf16 {
    /// Where the processor has the instructions for it.
    pub fn on(isa: Isa) -> Option<Self> {
        match isa.kind() {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if is_x86_feature_detected!("avx512bf16") => Some(Self {
                tiles: isa.has_tiles(),
                native: true,
            }),
            _ => None,
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
    pub fn all_emulated() -> [Self; 2] {
        [false, true].map(|tiles| Self {
            tiles,
            native: false,
        })
    }

    /// Whether the processor was found to have AVX-512 BF16, and AMX where [`Bf16::has_tiles`].
    pub fn is_native(self) -> bool {
        self.native
    }

    /// Whether sums are those of AMX.
    pub fn has_tiles(self) -> bool {
        self.tiles
    }
}

/// How packed factors are held.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait Packing<L: Lanes> {
    /// Rows that `k` packed rows need, before and after rounding.
    fn room(k: usize) -> usize {
        k
    }

    /// Rounds `k` packed rows of `width` numbers in place.
    unsafe fn round(packed: *mut f32, k: usize, width: usize);
}

/// How packed factors are multiplied.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait Factors<L: Lanes>: Packing<L> {
    /// Positions of the inner dimension in one packed element: `k` rows are rounded to `k.div_ceil(DEPTH)`.
    const DEPTH: usize;

    /// sum + x · y
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V;
}

/// Factors as they are.
pub(crate) struct Whole;

impl<L: Lanes> Packing<L> for Whole {
    #[inline(always)]
    unsafe fn round(_: *mut f32, _: usize, _: usize) {}
}

impl<L: Lanes> Factors<L> for Whole {
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V {
        // SAFETY: as promised by the caller.
        unsafe { L::fma(x, y, sum) }
    }
}

/// Factors rounded to bfloat16, in pairs.
pub(crate) struct Pairs;

impl<L: PairLanes> Packing<L> for Pairs {
    #[inline(always)]
    unsafe fn round(packed: *mut f32, k: usize, width: usize) {
        // SAFETY: rows 2j and 2j + 1 are read before row j is written over one of those read before.
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

impl<L: PairLanes> Factors<L> for Pairs {
    const DEPTH: usize = 2;

    #[inline(always)]
    unsafe fn multiply_add(x: L::V, y: L::V, sum: L::V) -> L::V {
        // SAFETY: as promised by the caller.
        unsafe { L::dot_pairs(x, y, sum) }
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
            let part = flushed(high(x[i]).mul_add(high(y[i]), flushed(sum[i])));
            flushed(low(x[i]).mul_add(low(y[i]), part))
        })
    }
}

/// The upper half of `x` rounded to bfloat16; NaN stays NaN.
fn rounded(x: f32) -> u32 {
    let bits = flushed(x).to_bits();
    if x.is_nan() {
        return bits >> 16 | 0x40;
    }
    (bits + 0x7fff + (bits >> 16 & 1)) >> 16
}

/// A subnormal number as zero of its sign.
pub(crate) fn flushed(x: f32) -> f32 {
    if x.is_subnormal() { x * 0.0 } else { x }
}
