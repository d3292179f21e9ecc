//! Elementary functions on lanes: the same polynomials on every machine.

use super::lanes::Lanes;

/// `a · x + b`, … by Horner's rule, highest coefficient first.
#[inline(always)]
unsafe fn polynomial<L: Lanes>(x: L::V, coefficients: &[f32]) -> L::V {
    // SAFETY: the caller's contract is that of `Lanes`.
    unsafe {
        let mut sum = L::splat(coefficients[0]);
        for &c in &coefficients[1..] {
            sum = L::fma(sum, x, L::splat(c));
        }
        sum
    }
}

/// e to the power of `x`, within 2 units in the last place; `x` is clamped to ±87.3 first, so the result is never 0, never
/// infinite and never subnormal. Range reduction by ln 2 in two parts, then Cephes' polynomial of degree 5.
#[inline(always)]
pub(crate) unsafe fn exp<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller's contract is that of `Lanes`.
    unsafe {
        let x = L::min(L::max(x, L::splat(-87.3)), L::splat(87.3));
        let n = L::round(L::mul(x, L::splat(std::f32::consts::LOG2_E)));
        let r = L::fnma(n, L::splat(0.693_359_4), x);
        let r = L::fnma(n, L::splat(-2.121_944_4e-4), r);
        let p = polynomial::<L>(
            r,
            &[
                1.987_569_1e-4,
                1.398_2e-3,
                8.333_452e-3,
                4.166_579_6e-2,
                1.666_666_5e-1,
                0.5,
            ],
        );
        let p = L::add(L::fma(p, L::mul(r, r), r), L::splat(1.0));
        L::mul(p, L::pow2(n))
    }
}

/// 1 / (1 + e^−x)
#[inline(always)]
pub(crate) unsafe fn sigmoid<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller's contract is that of `Lanes`.
    unsafe {
        let one = L::splat(1.0);
        L::div(one, L::add(one, exp::<L>(L::sub(L::splat(0.0), x))))
    }
}

/// The error function by a rational approximation (odd, degree 13 over 8, on ±4, beyond which it is ±1 in f32); absolute error below 5e-7.
#[inline(always)]
pub(crate) unsafe fn erf<L: Lanes>(x: L::V) -> L::V {
    // SAFETY: the caller's contract is that of `Lanes`.
    unsafe {
        let x = L::min(L::max(x, L::splat(-4.0)), L::splat(4.0));
        let square = L::mul(x, x);
        let above = polynomial::<L>(
            square,
            &[
                -2.726_142_3e-10,
                2.770_681_4e-8,
                -2.101_024e-6,
                -5.692_506_4e-5,
                -7.349_906_3e-4,
                -2.954_6e-3,
                -1.609_603_3e-2,
            ],
        );
        let below = polynomial::<L>(
            square,
            &[
                -1.456_607_2e-5,
                -2.133_740_6e-4,
                -1.682_827e-3,
                -7.373_329e-3,
                -1.426_474e-2,
            ],
        );
        L::div(L::mul(x, above), below)
    }
}

/// The distribution function of the standard normal, and its density, at `x`.
#[inline(always)]
pub(crate) unsafe fn normal<L: Lanes>(x: L::V) -> (L::V, L::V) {
    // SAFETY: the caller's contract is that of `Lanes`.
    unsafe {
        let e = erf::<L>(L::mul(x, L::splat(std::f32::consts::FRAC_1_SQRT_2)));
        let half = L::splat(0.5);
        let distribution = L::fma(half, e, half);
        let exponent = L::mul(L::mul(x, x), L::splat(-0.5));
        let density = L::mul(exp::<L>(exponent), L::splat(0.398_942_3));
        (distribution, density)
    }
}
