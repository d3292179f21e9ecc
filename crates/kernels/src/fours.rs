//! Products of bfloat16 factors in groups of four along the inner dimension, as in Arm's BFMMLA, and the same sums in
//! plain Rust.
//!
//! BFMMLA adds to a block of 2 × 2 sums the products of two rows and two columns over four positions. It is a chain of
//! two BFDOT steps, each of which adds first · first and second · second and then adds the result to the sum. Every
//! product and sum rounds to odd (truncates, and sets the last bit if anything is lost), subnormal results become 0,
//! and overflow is infinite. (Arm Architecture Reference Manual, A-profile, `BFMatMulAdd`, `BFDotAdd` and `BFRound`
//! with FPCR.EBF = 0, which is how systems start programs.) The factors themselves round to nearest, subnormal ones too
//! (BFCVTN).

use super::factors::{Factors, Packing, flushed, nearest};
use super::lanes::{LANES, Lanes, Portable};

/// Positions of the inner dimension in one element.
const DEPTH: usize = 4;

/// Factors rounded to bfloat16, in groups of four: two consecutive pairs for each number of a row. Incomplete
/// groups are padded with 0.
pub(crate) struct Fours;

/// Arithmetic on groups of four bfloat16 numbers.
///
/// # Safety
/// As [`Lanes`].
pub(crate) trait FourLanes: Lanes {
    /// Both rounded to nearest, ties to even, the first in the low half.
    unsafe fn pair(low: Self::V, high: Self::V) -> Self::V;
    /// Lane 0 of `a`, lane 0 of `b`, lane 1 of `a`, …: sixteen and sixteen.
    unsafe fn interleave(a: Self::V, b: Self::V) -> [Self::V; 2];
}

impl<L: FourLanes> Packing<L> for Fours {
    fn room(k: usize) -> usize {
        k.next_multiple_of(2)
    }

    #[inline(always)]
    unsafe fn round(packed: *mut f32, k: usize, width: usize) {
        assert!(
            width <= LANES,
            "a wider row would be written over before it is read"
        );
        // SAFETY: four rows are read before two are overwritten.
        unsafe {
            for k0 in (0..k).step_by(DEPTH) {
                let row = |i: usize| match k0 + i < k {
                    true => L::load_n(packed.add((k0 + i) * width), width),
                    false => L::splat(0.0),
                };
                let [first, rest] = L::interleave(L::pair(row(0), row(1)), L::pair(row(2), row(3)));
                let to = packed.add(k0 / 2 * width);
                L::store_n(to, (2 * width).min(LANES), first);
                if 2 * width > LANES {
                    L::store_n(to.add(LANES), 2 * width - LANES, rest);
                }
            }
        }
    }
}

impl FourLanes for Portable {
    #[inline(always)]
    unsafe fn pair(low: Self::V, high: Self::V) -> Self::V {
        std::array::from_fn(|i| f32::from_bits(nearest(low[i]) | nearest(high[i]) << 16))
    }
    #[inline(always)]
    unsafe fn interleave(a: Self::V, b: Self::V) -> [Self::V; 2] {
        [0, LANES / 2].map(|from| {
            std::array::from_fn(|i| {
                if i % 2 == 0 {
                    a[from + i / 2]
                } else {
                    b[from + i / 2]
                }
            })
        })
    }
}

impl Factors<Portable> for Fours {
    const DEPTH: usize = DEPTH;

    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        a: *const f32,
        b: *const f32,
    ) -> [[<Portable as Lanes>::V; W]; R] {
        let sum = |r: usize, column: usize| {
            (0..2 * k).fold(0.0, |sum, pair| {
                let (four, pair) = (pair / 2, pair % 2);
                // SAFETY: within the packed rows and columns: two numbers of each per group of four.
                let (x, y) = unsafe {
                    (
                        *a.add(2 * (four * Portable::TILE_ROWS + r) + pair),
                        *b.add(2 * (four * W * LANES + column) + pair),
                    )
                };
                dot(sum, x, y)
            })
        };
        std::array::from_fn(|r| {
            std::array::from_fn(|w| std::array::from_fn(|i| sum(r, w * LANES + i)))
        })
    }
}

/// sum + (x.low · y.low + x.high · y.high), rounded as by BFDOT.
fn dot(sum: f32, x: f32, y: f32) -> f32 {
    let product = |shift: u32| {
        let half = |v: f32| flushed(f32::from_bits(v.to_bits() >> shift << 16));
        let (x, y) = (half(x), half(y));
        // Exact in f64.
        to_odd(f64::from(x) * f64::from(y))
    };
    add(sum, add(product(0), product(16)))
}

/// a + b, rounded to odd.
fn add(a: f32, b: f32) -> f32 {
    let (a, b) = (f64::from(a), f64::from(b));
    let sum = a + b;
    if !sum.is_finite() {
        return sum as f32;
    }
    // The exact rounding error in f64.
    let of_b = sum - a;
    let lost = (a - (sum - of_b)) + (b - of_b);
    let bits = sum.to_bits();
    let odd = if lost == 0.0 || bits & 1 == 1 {
        bits
    } else if (lost > 0.0) == (sum > 0.0) {
        bits + 1
    } else {
        bits - 1
    };
    to_odd(f64::from_bits(odd))
}

/// 2 to the power of 128.
const TOO_LARGE: f64 = f64::from_bits((1023 + 128) << 52);

/// `x` rounded to odd; rounding to odd twice equals rounding once.
fn to_odd(x: f64) -> f32 {
    if !x.is_finite() {
        return x as f32;
    }
    let magnitude = x.abs();
    let result = if magnitude < f64::from(f32::MIN_POSITIVE) {
        0.0
    } else if magnitude >= TOO_LARGE {
        f32::INFINITY
    } else {
        // Bits of f32 after changing the exponent bias; truncated bits set the last bit.
        const CUT: u32 = 52 - 23;
        const BIAS: u64 = (1023 - 127) << 23;
        let (kept, cut) = (
            magnitude.to_bits() >> CUT,
            magnitude.to_bits() << (64 - CUT),
        );
        f32::from_bits((kept - BIAS) as u32 | u32::from(cut != 0))
    };
    result.copysign(x as f32)
}
