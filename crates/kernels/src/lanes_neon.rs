//! The sixteen lanes on aarch64: four NEON registers, available on every such processor; and products with the BF16
//! extension.
//!
//! The shape of the register tile, 6 × 16, fills the 32 registers: 24 sums, four for a row of B, and four for packed A,
//! whose numbers are used lane by lane (FMLA by element). Twenty-four independent sums keep four pipes of latency 4
//! busy (Neoverse V1 and V2, Apple's large cores; N1 and N2 have two pipes), and a panel of B, at most 32 KB, stays in
//! a first-level cache of 64 KB beside the rows of A streaming through it.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "each function is a few intrinsics under the contract of `Lanes`: NEON is always there, pointers are good for the lanes named"
)]

use super::factors::{Factors, Packing};
use super::fours::{FourLanes, Fours};
use super::lanes::{LANES, Lanes};
use std::arch::aarch64::*;
use std::arch::asm;

/// Four 128-bit registers.
#[derive(Clone, Copy)]
pub(crate) struct Neon;

/// Lanes 0–3, 4–7, 8–11 and 12–15.
type Quads = [float32x4_t; 4];

/// The expression for each register.
macro_rules! quads {
    ($q:ident => $each:expr) => {
        [
            {
                let $q = 0;
                $each
            },
            {
                let $q = 1;
                $each
            },
            {
                let $q = 2;
                $each
            },
            {
                let $q = 3;
                $each
            },
        ]
    };
}

/// Number of lanes of register `q` among the first `n` of all: at most 4.
#[inline(always)]
fn filled(q: usize, n: usize) -> usize {
    n.saturating_sub(4 * q).min(4)
}

/// The first `n` (at most 4) numbers at `p`, then 0.
#[inline(always)]
unsafe fn load_quad(p: *const f32, n: usize) -> float32x4_t {
    let zero = vdupq_n_f32(0.0);
    match n {
        0 => zero,
        1 => vld1q_lane_f32::<0>(p, zero),
        2 => vcombine_f32(vld1_f32(p), vdup_n_f32(0.0)),
        3 => vld1q_lane_f32::<2>(p.add(2), vcombine_f32(vld1_f32(p), vdup_n_f32(0.0))),
        _ => vld1q_f32(p),
    }
}

/// Writes the first `n` (at most 4) lanes.
#[inline(always)]
unsafe fn store_quad(p: *mut f32, n: usize, v: float32x4_t) {
    match n {
        0 => {}
        1 => vst1q_lane_f32::<0>(p, v),
        2 => vst1_f32(p, vget_low_f32(v)),
        3 => {
            vst1_f32(p, vget_low_f32(v));
            vst1q_lane_f32::<2>(p.add(2), v);
        }
        _ => vst1q_f32(p, v),
    }
}

/// Transposes four rows of four.
#[inline(always)]
unsafe fn transpose4(r: Quads) -> Quads {
    let low = |a, b| vzip1q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
    let high = |a, b| vzip2q_f64(vreinterpretq_f64_f32(a), vreinterpretq_f64_f32(b));
    let (even, odd) = (vtrn1q_f32(r[0], r[1]), vtrn2q_f32(r[0], r[1]));
    let (even2, odd2) = (vtrn1q_f32(r[2], r[3]), vtrn2q_f32(r[2], r[3]));
    [
        low(even, even2),
        low(odd, odd2),
        high(even, even2),
        high(odd, odd2),
    ]
    .map(|x| vreinterpretq_f32_f64(x))
}

impl Lanes for Neon {
    type V = Quads;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Quads {
        [vdupq_n_f32(x); 4]
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Quads {
        quads!(q => vld1q_f32(p.add(4 * q)))
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Quads {
        if n == LANES {
            return Self::load(p);
        }
        // Addresses beyond the last number are not read.
        quads!(q => load_quad(p.wrapping_add(4 * q), filled(q, n)))
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Quads) {
        quads!(q => vst1q_f32(p.add(4 * q), v[q]));
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: Quads) {
        if n == LANES {
            return Self::store(p, v);
        }
        quads!(q => store_quad(p.wrapping_add(4 * q), filled(q, n), v[q]));
    }
    #[inline(always)]
    unsafe fn add(a: Quads, b: Quads) -> Quads {
        quads!(q => vaddq_f32(a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn sub(a: Quads, b: Quads) -> Quads {
        quads!(q => vsubq_f32(a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn mul(a: Quads, b: Quads) -> Quads {
        quads!(q => vmulq_f32(a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn div(a: Quads, b: Quads) -> Quads {
        quads!(q => vdivq_f32(a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn fma(a: Quads, b: Quads, c: Quads) -> Quads {
        quads!(q => vfmaq_f32(c[q], a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn fnma(a: Quads, b: Quads, c: Quads) -> Quads {
        quads!(q => vfmsq_f32(c[q], a[q], b[q]))
    }
    // FMAX and FMAXNM treat NaN and signed zeros differently from the contract.
    #[inline(always)]
    unsafe fn max(a: Quads, b: Quads) -> Quads {
        quads!(q => vbslq_f32(vcgtq_f32(a[q], b[q]), a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn min(a: Quads, b: Quads) -> Quads {
        quads!(q => vbslq_f32(vcltq_f32(a[q], b[q]), a[q], b[q]))
    }
    #[inline(always)]
    unsafe fn sqrt(a: Quads) -> Quads {
        quads!(q => vsqrtq_f32(a[q]))
    }
    #[inline(always)]
    unsafe fn round(a: Quads) -> Quads {
        quads!(q => vrndnq_f32(a[q]))
    }
    #[inline(always)]
    unsafe fn pow2(a: Quads) -> Quads {
        let bias = vdupq_n_s32(127);
        quads!(q => vreinterpretq_f32_s32(vshlq_n_s32::<23>(vaddq_s32(vcvtq_s32_f32(a[q]), bias))))
    }
    #[inline(always)]
    unsafe fn keep(a: Quads, n: usize, b: Quads) -> Quads {
        const LANE: [u32; 4] = [0, 1, 2, 3];
        let (lane, n) = (vld1q_u32(LANE.as_ptr()), n as u32);
        quads!(q => {
            let end = vdupq_n_u32(n.saturating_sub(4 * q as u32));
            vbslq_f32(vcltq_u32(lane, end), a[q], b[q])
        })
    }
    #[inline(always)]
    unsafe fn swap_pairs(a: Quads) -> Quads {
        quads!(q => vrev64q_f32(a[q]))
    }
    #[inline(always)]
    unsafe fn sum(a: Quads) -> f32 {
        let four = vaddq_f32(vaddq_f32(a[0], a[2]), vaddq_f32(a[1], a[3]));
        let two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        vget_lane_f32::<0>(vpadd_f32(two, two))
    }
    #[inline(always)]
    unsafe fn largest(a: Quads) -> f32 {
        let larger = |a, b| vbslq_f32(vcgtq_f32(a, b), a, b);
        let four = larger(larger(a[0], a[2]), larger(a[1], a[3]));
        let two = larger(four, vextq_f32::<2>(four, four));
        vgetq_lane_f32::<0>(larger(two, vrev64q_f32(two)))
    }
    #[inline(always)]
    unsafe fn transpose(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for row0 in (0..rows).step_by(4) {
            let count = (rows - row0).min(4);
            for column0 in (0..LANES).step_by(4) {
                let mut r = [vdupq_n_f32(0.0); 4];
                for (i, row) in r.iter_mut().enumerate().take(count) {
                    *row = vld1q_f32(from.add((row0 + i) * from_stride + column0));
                }
                for (i, column) in transpose4(r).into_iter().enumerate() {
                    store_quad(to.add((column0 + i) * to_stride + row0), count, column);
                }
            }
        }
    }
    // Panels are read in order, which these processors detect themselves; their line length varies (64 or 128 bytes).
    #[inline(always)]
    unsafe fn prefetch(_: *const f32) {}
}

/// Unrounded factors, with those of A used by element.
pub(crate) struct ByElement;

impl Packing<Neon> for ByElement {
    #[inline(always)]
    unsafe fn round(_: *mut f32, _: usize, _: usize) {}
}

/// Lane `i` of `v` in all lanes; `i` is a constant once the loops are unrolled.
#[inline(always)]
unsafe fn lane(v: float32x4_t, i: usize) -> float32x4_t {
    match i {
        0 => vdupq_laneq_f32::<0>(v),
        1 => vdupq_laneq_f32::<1>(v),
        2 => vdupq_laneq_f32::<2>(v),
        _ => vdupq_laneq_f32::<3>(v),
    }
}

impl Factors<Neon> for ByElement {
    const DEPTH: usize = 1;

    #[inline(always)]
    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        mut a: *const f32,
        mut b: *const f32,
    ) -> [[Quads; W]; R] {
        const STEPS: usize = 4;
        let mut sums = [[[vdupq_n_f32(0.0); 4]; W]; R];
        for _ in 0..k / STEPS {
            let mut x = [vdupq_n_f32(0.0); STEPS * ROWS / 4];
            for (i, x) in x.iter_mut().enumerate() {
                *x = vld1q_f32(a.add(4 * i));
            }
            for step in 0..STEPS {
                for w in 0..W {
                    let y = Neon::load(b.add((step * W + w) * LANES));
                    for (r, row) in sums.iter_mut().enumerate() {
                        let i = step * ROWS + r;
                        let x = lane(x[i / 4], i % 4);
                        row[w] = quads!(q => vfmaq_f32(row[w][q], x, y[q]));
                    }
                }
            }
            a = a.add(STEPS * ROWS);
            b = b.add(STEPS * W * LANES);
        }
        for _ in 0..k % STEPS {
            for w in 0..W {
                let y = Neon::load(b.add(w * LANES));
                for (r, row) in sums.iter_mut().enumerate() {
                    row[w] = Neon::fma(Neon::splat(*a.add(r)), y, row[w]);
                }
            }
            a = a.add(ROWS);
            b = b.add(W * LANES);
        }
        sums
    }
}

impl FourLanes for Neon {
    #[inline(always)]
    unsafe fn pair(low: Quads, high: Quads) -> Quads {
        quads!(q => {
            let mut pairs: float32x4_t;
            asm!(
                "bfcvtn {low:v}.4h, {low:v}.4s",
                "bfcvtn {high:v}.4h, {high:v}.4s",
                "zip1 {low:v}.8h, {low:v}.8h, {high:v}.8h",
                low = inout(vreg) low[q] => pairs,
                high = inout(vreg) high[q] => _,
                options(pure, nomem, nostack, preserves_flags),
            );
            pairs
        })
    }
    #[inline(always)]
    unsafe fn interleave(a: Quads, b: Quads) -> [Quads; 2] {
        let part = |first: usize| -> Quads {
            [
                vzip1q_f32(a[first], b[first]),
                vzip2q_f32(a[first], b[first]),
                vzip1q_f32(a[first + 1], b[first + 1]),
                vzip2q_f32(a[first + 1], b[first + 1]),
            ]
        };
        [part(0), part(2)]
    }
}

/// Rows of A in a tile.
const ROWS: usize = Neon::TILE_ROWS;

/// Blocks of two rows and two columns of C.
type Blocks<const W: usize> = [[[float32x4_t; LANES / 2]; W]; ROWS / 2];

/// Adds the products of one group of four of each row and column.
#[inline(always)]
unsafe fn multiply_fours<const W: usize>(blocks: &mut Blocks<W>, a: *const f32, b: *const f32) {
    let mut x = [vdupq_n_f32(0.0); ROWS / 2];
    for (i, x) in x.iter_mut().enumerate() {
        *x = vld1q_f32(a.add(4 * i));
    }
    for w in 0..W {
        for j in 0..LANES / 2 {
            let y = vld1q_f32(b.add(w * 2 * LANES + 4 * j));
            for (row, &x) in blocks.iter_mut().zip(&x) {
                row[w][j] = multiply_blocks(row[w][j], x, y);
            }
        }
    }
}

/// C (2 × 2) += A (2 × 4 bfloat16) times the transpose of B (likewise): BFMMLA.
#[inline(always)]
unsafe fn multiply_blocks(sum: float32x4_t, a: float32x4_t, b: float32x4_t) -> float32x4_t {
    let mut result = sum;
    asm!(
        "bfmmla {sum:v}.4s, {a:v}.8h, {b:v}.8h",
        sum = inout(vreg) result,
        a = in(vreg) a,
        b = in(vreg) b,
        options(pure, nomem, nostack, preserves_flags),
    );
    result
}

impl Factors<Neon> for Fours {
    const DEPTH: usize = 4;

    #[inline(always)]
    unsafe fn chain<const R: usize, const W: usize>(
        k: usize,
        mut a: *const f32,
        mut b: *const f32,
    ) -> [[Quads; W]; R] {
        // Rows beyond R are computed from arbitrary values and not stored.
        let mut blocks = [[[vdupq_n_f32(0.0); LANES / 2]; W]; ROWS / 2];
        for _ in 0..k / 2 {
            multiply_fours(&mut blocks, a, b);
            multiply_fours(&mut blocks, a.add(2 * ROWS), b.add(W * 2 * LANES));
            a = a.add(4 * ROWS);
            b = b.add(W * 4 * LANES);
        }
        if k % 2 == 1 {
            multiply_fours(&mut blocks, a, b);
        }
        let mut sums = [[[vdupq_n_f32(0.0); 4]; W]; R];
        for (r, row) in sums.iter_mut().enumerate() {
            for (w, to) in row.iter_mut().enumerate() {
                let from = &blocks[r / 2][w];
                *to = quads!(q => {
                    let (left, right) = (vreinterpretq_f64_f32(from[2 * q]), vreinterpretq_f64_f32(from[2 * q + 1]));
                    vreinterpretq_f32_f64(if r % 2 == 0 { vzip1q_f64(left, right) } else { vzip2q_f64(left, right) })
                });
            }
        }
        sums
    }
}
