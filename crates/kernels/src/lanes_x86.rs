//! The sixteen lanes on x86-64: one AVX-512 register, or two AVX2 registers with FMA.
#![expect(
    unsafe_op_in_unsafe_fn,
    reason = "each function is a few intrinsics under the contract of `Lanes`: the features are enabled by the caller, pointers are good for the lanes named"
)]

use super::factors::PairLanes;
use super::lanes::Lanes;
use std::arch::x86_64::*;

/// One 512-bit register.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    if n >= 16 { 0xffff } else { (1u16 << n) - 1 }
}

/// The halves of a 512-bit register.
#[inline(always)]
unsafe fn halves(a: __m512) -> (__m256, __m256) {
    let high = _mm512_extractf64x4_pd::<1>(_mm512_castps_pd(a));
    (_mm512_castps512_ps256(a), _mm256_castpd_ps(high))
}

/// Adds eight lanes: i + i+4, then +2, +1.
#[inline(always)]
unsafe fn sum8(a: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// The largest of eight lanes.
#[inline(always)]
unsafe fn largest8(a: __m256) -> f32 {
    let four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
    let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

impl Lanes for Avx512 {
    type V = __m512;
    const TILE_ROWS: usize = 14;
    const TILE_VECTORS: usize = 2;

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        _mm512_set1_ps(x)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        _mm512_loadu_ps(p)
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> __m512 {
        _mm512_maskz_loadu_ps(mask(n), p)
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: __m512) {
        _mm512_storeu_ps(p, v)
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: __m512) {
        _mm512_mask_storeu_ps(p, mask(n), v)
    }
    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        _mm512_add_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        _mm512_sub_ps(a, b)
    }
    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        _mm512_mul_ps(a, b)
    }
    #[inline(always)]
    unsafe fn div(a: __m512, b: __m512) -> __m512 {
        _mm512_div_ps(a, b)
    }
    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn fnma(a: __m512, b: __m512, c: __m512) -> __m512 {
        _mm512_fnmadd_ps(a, b, c)
    }
    #[inline(always)]
    unsafe fn max(a: __m512, b: __m512) -> __m512 {
        _mm512_max_ps(a, b)
    }
    #[inline(always)]
    unsafe fn min(a: __m512, b: __m512) -> __m512 {
        _mm512_min_ps(a, b)
    }
    #[inline(always)]
    unsafe fn sqrt(a: __m512) -> __m512 {
        _mm512_sqrt_ps(a)
    }
    #[inline(always)]
    unsafe fn round(a: __m512) -> __m512 {
        _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(a)
    }
    #[inline(always)]
    unsafe fn pow2(a: __m512) -> __m512 {
        let exponent = _mm512_add_epi32(_mm512_cvtps_epi32(a), _mm512_set1_epi32(127));
        _mm512_castsi512_ps(_mm512_slli_epi32::<23>(exponent))
    }
    #[inline(always)]
    unsafe fn keep(a: __m512, n: usize, b: __m512) -> __m512 {
        _mm512_mask_mov_ps(b, mask(n), a)
    }
    #[inline(always)]
    unsafe fn swap_pairs(a: __m512) -> __m512 {
        _mm512_permute_ps::<0b10_11_00_01>(a)
    }
    #[inline(always)]
    unsafe fn sum(a: __m512) -> f32 {
        let (low, high) = halves(a);
        sum8(_mm256_add_ps(low, high))
    }
    #[inline(always)]
    unsafe fn largest(a: __m512) -> f32 {
        let (low, high) = halves(a);
        largest8(_mm256_max_ps(low, high))
    }
    #[inline(always)]
    unsafe fn transpose(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        let zero = _mm512_setzero_ps();
        let (mut r, mut t) = ([zero; 16], [zero; 16]);
        for (i, row) in r.iter_mut().enumerate() {
            if i < rows {
                *row = _mm512_loadu_ps(from.add(i * from_stride));
            }
        }
        for i in 0..8 {
            t[2 * i] = _mm512_unpacklo_ps(r[2 * i], r[2 * i + 1]);
            t[2 * i + 1] = _mm512_unpackhi_ps(r[2 * i], r[2 * i + 1]);
        }
        for i in (0..16).step_by(4) {
            let [a, b, c, d] = [t[i], t[i + 1], t[i + 2], t[i + 3]].map(|x| _mm512_castps_pd(x));
            r[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
            r[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
            r[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
            r[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
        }
        for i in 0..4 {
            t[i] = _mm512_shuffle_f32x4::<0x88>(r[i], r[4 + i]);
            t[4 + i] = _mm512_shuffle_f32x4::<0xdd>(r[i], r[4 + i]);
            t[8 + i] = _mm512_shuffle_f32x4::<0x88>(r[8 + i], r[12 + i]);
            t[12 + i] = _mm512_shuffle_f32x4::<0xdd>(r[8 + i], r[12 + i]);
        }
        for i in 0..4 {
            let columns = [
                _mm512_shuffle_f32x4::<0x88>(t[i], t[8 + i]),
                _mm512_shuffle_f32x4::<0x88>(t[4 + i], t[12 + i]),
                _mm512_shuffle_f32x4::<0xdd>(t[i], t[8 + i]),
                _mm512_shuffle_f32x4::<0xdd>(t[4 + i], t[12 + i]),
            ];
            for (block, column) in columns.into_iter().enumerate() {
                Self::store_n(to.add((4 * block + i) * to_stride), rows, column);
            }
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
}

/// Two 256-bit registers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// Lanes 0–7 and 8–15.
#[derive(Clone, Copy)]
pub(crate) struct Pair(__m256, __m256);

/// All bits set in the lanes below `n` (which may exceed 8 or be negative).
#[inline(always)]
unsafe fn mask8(n: isize) -> __m256i {
    let lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_cmpgt_epi32(_mm256_set1_epi32(n as i32), lane)
}

/// Transposes eight rows of eight.
#[inline(always)]
unsafe fn transpose8(r: [__m256; 8]) -> [__m256; 8] {
    let mut t = r;
    for i in (0..8).step_by(2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    let mut u = t;
    for i in (0..8).step_by(4) {
        u[i] = _mm256_shuffle_ps::<0x44>(t[i], t[i + 2]);
        u[i + 1] = _mm256_shuffle_ps::<0xee>(t[i], t[i + 2]);
        u[i + 2] = _mm256_shuffle_ps::<0x44>(t[i + 1], t[i + 3]);
        u[i + 3] = _mm256_shuffle_ps::<0xee>(t[i + 1], t[i + 3]);
    }
    let mut out = u;
    for i in 0..4 {
        out[i] = _mm256_permute2f128_ps::<0x20>(u[i], u[i + 4]);
        out[i + 4] = _mm256_permute2f128_ps::<0x31>(u[i], u[i + 4]);
    }
    out
}

impl Lanes for Avx2 {
    type V = Pair;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    unsafe fn splat(x: f32) -> Pair {
        let v = _mm256_set1_ps(x);
        Pair(v, v)
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> Pair {
        Pair(_mm256_loadu_ps(p), _mm256_loadu_ps(p.add(8)))
    }
    #[inline(always)]
    unsafe fn load_n(p: *const f32, n: usize) -> Pair {
        if n == 16 {
            return Self::load(p);
        }
        let n = n as isize;
        // Lanes outside the mask are not read, so the second address may lie beyond the slice.
        Pair(
            _mm256_maskload_ps(p, mask8(n)),
            _mm256_maskload_ps(p.wrapping_add(8), mask8(n - 8)),
        )
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, v: Pair) {
        _mm256_storeu_ps(p, v.0);
        _mm256_storeu_ps(p.add(8), v.1);
    }
    #[inline(always)]
    unsafe fn store_n(p: *mut f32, n: usize, v: Pair) {
        if n == 16 {
            return Self::store(p, v);
        }
        let n = n as isize;
        _mm256_maskstore_ps(p, mask8(n), v.0);
        _mm256_maskstore_ps(p.wrapping_add(8), mask8(n - 8), v.1);
    }
    #[inline(always)]
    unsafe fn add(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_add_ps(a.0, b.0), _mm256_add_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn sub(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_sub_ps(a.0, b.0), _mm256_sub_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn mul(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_mul_ps(a.0, b.0), _mm256_mul_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn div(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_div_ps(a.0, b.0), _mm256_div_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn fma(a: Pair, b: Pair, c: Pair) -> Pair {
        Pair(
            _mm256_fmadd_ps(a.0, b.0, c.0),
            _mm256_fmadd_ps(a.1, b.1, c.1),
        )
    }
    #[inline(always)]
    unsafe fn fnma(a: Pair, b: Pair, c: Pair) -> Pair {
        Pair(
            _mm256_fnmadd_ps(a.0, b.0, c.0),
            _mm256_fnmadd_ps(a.1, b.1, c.1),
        )
    }
    #[inline(always)]
    unsafe fn max(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_max_ps(a.0, b.0), _mm256_max_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn min(a: Pair, b: Pair) -> Pair {
        Pair(_mm256_min_ps(a.0, b.0), _mm256_min_ps(a.1, b.1))
    }
    #[inline(always)]
    unsafe fn sqrt(a: Pair) -> Pair {
        Pair(_mm256_sqrt_ps(a.0), _mm256_sqrt_ps(a.1))
    }
    #[inline(always)]
    unsafe fn round(a: Pair) -> Pair {
        const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
        Pair(
            _mm256_round_ps::<NEAREST>(a.0),
            _mm256_round_ps::<NEAREST>(a.1),
        )
    }
    #[inline(always)]
    unsafe fn pow2(a: Pair) -> Pair {
        let bias = _mm256_set1_epi32(127);
        let low = _mm256_add_epi32(_mm256_cvtps_epi32(a.0), bias);
        let high = _mm256_add_epi32(_mm256_cvtps_epi32(a.1), bias);
        Pair(
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(low)),
            _mm256_castsi256_ps(_mm256_slli_epi32::<23>(high)),
        )
    }
    #[inline(always)]
    unsafe fn keep(a: Pair, n: usize, b: Pair) -> Pair {
        let n = n as isize;
        Pair(
            _mm256_blendv_ps(b.0, a.0, _mm256_castsi256_ps(mask8(n))),
            _mm256_blendv_ps(b.1, a.1, _mm256_castsi256_ps(mask8(n - 8))),
        )
    }
    #[inline(always)]
    unsafe fn swap_pairs(a: Pair) -> Pair {
        Pair(
            _mm256_permute_ps::<0b10_11_00_01>(a.0),
            _mm256_permute_ps::<0b10_11_00_01>(a.1),
        )
    }
    #[inline(always)]
    unsafe fn sum(a: Pair) -> f32 {
        sum8(_mm256_add_ps(a.0, a.1))
    }
    #[inline(always)]
    unsafe fn largest(a: Pair) -> f32 {
        largest8(_mm256_max_ps(a.0, a.1))
    }
    #[inline(always)]
    unsafe fn transpose(
        from: *const f32,
        from_stride: usize,
        rows: usize,
        to: *mut f32,
        to_stride: usize,
    ) {
        for row0 in (0..rows).step_by(8) {
            let count = (rows - row0).min(8);
            for column0 in [0, 8] {
                let mut r = [_mm256_setzero_ps(); 8];
                for (i, row) in r.iter_mut().enumerate().take(count) {
                    *row = _mm256_loadu_ps(from.add((row0 + i) * from_stride + column0));
                }
                for (i, column) in transpose8(r).into_iter().enumerate() {
                    let p = to.add((column0 + i) * to_stride + row0);
                    if count == 8 {
                        _mm256_storeu_ps(p, column);
                    } else {
                        _mm256_maskstore_ps(p, mask8(count as isize), column);
                    }
                }
            }
        }
    }
    #[inline(always)]
    unsafe fn prefetch(p: *const f32) {
        _mm_prefetch::<_MM_HINT_T0>(p.cast());
    }
}

impl PairLanes for Avx512 {
    #[inline(always)]
    unsafe fn pair(low: __m512, high: __m512) -> __m512 {
        let half = |v| -> __m512i {
            let rounded: __m256i = std::mem::transmute(_mm512_cvtneps_pbh(v));
            _mm512_cvtepu16_epi32(rounded)
        };
        let high = _mm512_slli_epi32::<16>(half(high));
        _mm512_castsi512_ps(_mm512_or_si512(half(low), high))
    }
    #[inline(always)]
    unsafe fn neighbours(first: __m512, second: __m512) -> __m512 {
        std::mem::transmute(_mm512_cvtne2ps_pbh(second, first))
    }
    #[inline(always)]
    unsafe fn dot_pairs(x: __m512, y: __m512, sum: __m512) -> __m512 {
        let pairs = |v: __m512| -> __m512bh { std::mem::transmute(v) };
        _mm512_dpbf16_ps(sum, pairs(x), pairs(y))
    }
}
