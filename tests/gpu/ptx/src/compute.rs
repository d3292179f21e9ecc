//! Instructions without memory access or warp operations, by PTX name: words in, a word out. All registers are 64-bit
//! words; a predicate is 0 or 1.
//!
//! Approximations of a GPU are replaced by exact values, rounded once: `ex2.approx` and `rsqrt.approx` may be off by 2
//! units in the last place there.

type Function = fn([u64; 4]) -> u64;

fn f(word: u64) -> f32 {
    f32::from_bits(word as u32)
}

fn d(word: u64) -> f64 {
    f64::from_bits(word)
}

fn of_f(value: f32) -> u64 {
    value.to_bits().into()
}

fn i(word: u64) -> i32 {
    word as i32
}

fn u(word: u64) -> u32 {
    word as u32
}

fn of_i(value: i32) -> u64 {
    (value as u32).into()
}

/// `a b + c`, rounded downwards.
fn fma_down(a: f32, b: f32, c: f32) -> f32 {
    let (product, c) = (f64::from(a) * f64::from(b), f64::from(c));
    let sum = product + c;
    // The exact rounding error of the addition.
    let back = sum - product;
    let lost = (product - (sum - back)) + (c - back);
    let nearest = sum as f32;
    let above = f64::from(nearest) > sum || (f64::from(nearest) == sum && lost < 0.0);
    if above { nearest.next_down() } else { nearest }
}

/// Subnormal numbers become 0.
fn flushed(x: f32) -> f32 {
    if x.is_subnormal() {
        0.0f32.copysign(x)
    } else {
        x
    }
}

fn to_bf16(x: f32) -> u64 {
    let bits = x.to_bits();
    if x.is_nan() {
        return 0x7fff;
    }
    u64::from(bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16)
}

/// `bfi`: inserts the low `count` bits of `x[0]` into `x[1]` from bit `x[2]` on.
fn insert([from, into, at, count]: [u64; 4]) -> u64 {
    let (at, count) = (at & 0xff, count & 0xff);
    if at >= 32 || count == 0 {
        return into;
    }
    let ones = if count >= 32 {
        u64::from(u32::MAX)
    } else {
        (1 << count) - 1
    };
    let mask = ones << at & u64::from(u32::MAX);
    into & !mask | from << at & mask
}

/// `prmt`: selects four of the eight bytes of `x[1]` and `x[0]`, one per half byte of `x[2]`; its highest bit selects
/// the byte's sign.
fn permute(x: [u64; 4]) -> u64 {
    let all = u64::from(u(x[0])) | x[1] << 32;
    let byte = |place: u32| {
        let selector = x[2] >> (4 * place) & 15;
        let byte = all >> (8 * (selector & 7)) & 0xff;
        let signs = if byte & 0x80 == 0 { 0 } else { 0xff };
        (if selector & 8 == 0 { byte } else { signs }) << (8 * place)
    };
    (0..4).map(byte).sum()
}

/// The function of `opcode`; `None` if not implemented.
pub(crate) fn function(opcode: &str) -> Option<Function> {
    if let Some(comparison) = opcode.strip_prefix("setp.") {
        return compare(comparison);
    }
    Some(match opcode {
        "mov.u16" | "mov.b16" | "mov.u32" | "mov.b32" | "mov.f32" | "mov.u64" | "mov.b64"
        | "mov.f64" | "cvta.to.global.u64" | "cvta.global.u64" | "cvta.shared.u64"
        | "cvt.u64.u32" => |x| x[0],
        "mov.pred" => |x| u64::from(x[0] != 0),
        "cvt.u32.u64" => |x| u(x[0]).into(),
        "cvt.u32.u16" => |x| x[0] & 0xffff,
        "cvt.u16.u32" | "cvt.u16.u64" => |x| x[0] & 0xffff,
        "cvt.s64.s32" => |x| i64::from(i(x[0])) as u64,
        "cvt.rn.f32.s32" => |x| of_f(i(x[0]) as f32),
        "cvt.rn.f32.u32" => |x| of_f(u(x[0]) as f32),
        "cvt.rn.f32.f64" => |x| of_f(d(x[0]) as f32),
        "cvt.f64.f32" => |x| f64::from(f(x[0])).to_bits(),
        "cvt.sat.f32.f32" => |x| of_f(if f(x[0]) > 0.0 { f(x[0]).min(1.0) } else { 0.0 }),
        "cvt.rn.bf16.f32" => |x| to_bf16(f(x[0])),
        "add.s32" | "add.u32" => |x| u(x[0]).wrapping_add(u(x[1])).into(),
        "sub.s32" | "sub.u32" => |x| u(x[0]).wrapping_sub(u(x[1])).into(),
        "mul.lo.s32" | "mul.lo.u32" => |x| u(x[0]).wrapping_mul(u(x[1])).into(),
        "mad.lo.s32" | "mad.lo.u32" => {
            |x| u(x[0]).wrapping_mul(u(x[1])).wrapping_add(u(x[2])).into()
        }
        "add.s64" | "add.u64" => |x| x[0].wrapping_add(x[1]),
        "sub.s64" | "sub.u64" => |x| x[0].wrapping_sub(x[1]),
        "mul.lo.s64" | "mul.lo.u64" => |x| x[0].wrapping_mul(x[1]),
        "mad.lo.s64" | "mad.lo.u64" => |x| x[0].wrapping_mul(x[1]).wrapping_add(x[2]),
        "mul.wide.s32" => |x| (i64::from(i(x[0])) * i64::from(i(x[1]))) as u64,
        "mul.wide.u32" => |x| u64::from(u(x[0])) * u64::from(u(x[1])),
        "mad.wide.u32" => |x| (u64::from(u(x[0])) * u64::from(u(x[1]))).wrapping_add(x[2]),
        "mul.hi.u32" => |x| (u64::from(u(x[0])) * u64::from(u(x[1]))) >> 32,
        // For a divisor of 0, a GPU may return anything.
        "div.s32" => |x| of_i(i(x[0]).checked_div(i(x[1])).unwrap_or(-1)),
        "div.u32" => |x| u(x[0]).checked_div(u(x[1])).unwrap_or(u32::MAX).into(),
        "div.u64" => |x| x[0].checked_div(x[1]).unwrap_or(u64::MAX),
        "rem.s32" => |x| of_i(i(x[0]).checked_rem(i(x[1])).unwrap_or(-1)),
        "rem.u32" => |x| u(x[0]).checked_rem(u(x[1])).unwrap_or(u32::MAX).into(),
        "rem.u64" => |x| x[0].checked_rem(x[1]).unwrap_or(u64::MAX),
        "min.s32" => |x| of_i(i(x[0]).min(i(x[1]))),
        "max.s32" => |x| of_i(i(x[0]).max(i(x[1]))),
        "min.u32" => |x| u(x[0]).min(u(x[1])).into(),
        "max.u32" => |x| u(x[0]).max(u(x[1])).into(),
        "neg.s32" => |x| of_i(i(x[0]).wrapping_neg()),
        "and.b32" | "and.b64" | "and.pred" | "and.b16" => |x| x[0] & x[1],
        "or.b32" | "or.b64" | "or.pred" | "or.b16" => |x| x[0] | x[1],
        "xor.b32" | "xor.b64" | "xor.pred" => |x| x[0] ^ x[1],
        "not.b32" => |x| (!u(x[0])).into(),
        "not.b64" => |x| !x[0],
        "not.pred" => |x| x[0] ^ 1,
        "shl.b32" => |x| u(x[0]).checked_shl(u(x[1])).unwrap_or(0).into(),
        "shl.b64" => |x| x[0].checked_shl(u(x[1])).unwrap_or(0),
        "shr.u32" | "shr.b32" => |x| u(x[0]).checked_shr(u(x[1])).unwrap_or(0).into(),
        "shr.u64" | "shr.b64" => |x| x[0].checked_shr(u(x[1])).unwrap_or(0),
        "shr.s32" => |x| of_i(i(x[0]) >> u(x[1]).min(31)),
        "shr.s64" => |x| ((x[0] as i64) >> u(x[1]).min(63)) as u64,
        "bfi.b32" => insert,
        "prmt.b32" => permute,
        "selp.b32" | "selp.b64" | "selp.f32" | "selp.f64" | "selp.u32" | "selp.s32"
        | "selp.b16" | "selp.u16" | "selp.s64" | "selp.u64" => {
            |x| if x[2] != 0 { x[0] } else { x[1] }
        }
        "add.f32" | "add.rn.f32" => |x| of_f(f(x[0]) + f(x[1])),
        "sub.f32" => |x| of_f(f(x[0]) - f(x[1])),
        "mul.f32" | "mul.rn.f32" => |x| of_f(f(x[0]) * f(x[1])),
        "div.rn.f32" => |x| of_f(f(x[0]) / f(x[1])),
        "fma.rn.f32" => |x| of_f(f(x[0]).mul_add(f(x[1]), f(x[2]))),
        "fma.rm.f32" => |x| of_f(fma_down(f(x[0]), f(x[1]), f(x[2]))),
        "neg.f32" => |x| of_f(-f(x[0])),
        "abs.f32" => |x| of_f(f(x[0]).abs()),
        "copysign.f32" => |x| of_f(f(x[1]).copysign(f(x[0]))),
        "max.f32" => |x| of_f(f(x[0]).max(f(x[1]))),
        "min.f32" => |x| of_f(f(x[0]).min(f(x[1]))),
        "rcp.rn.f32" => |x| of_f(1.0 / f(x[0])),
        "sqrt.rn.f32" => |x| of_f(f(x[0]).sqrt()),
        "rsqrt.approx.f32" => |x| of_f((1.0 / f64::from(f(x[0])).sqrt()) as f32),
        "ex2.approx.f32" => |x| of_f(f64::from(f(x[0])).exp2() as f32),
        "ex2.approx.ftz.f32" => |x| of_f(flushed(f64::from(flushed(f(x[0]))).exp2() as f32)),
        "add.f64" => |x| (d(x[0]) + d(x[1])).to_bits(),
        "mul.f64" => |x| (d(x[0]) * d(x[1])).to_bits(),
        "div.rn.f64" => |x| (d(x[0]) / d(x[1])).to_bits(),
        "fma.rn.f64" => |x| d(x[0]).mul_add(d(x[1]), d(x[2])).to_bits(),
        "sqrt.rn.f64" => |x| d(x[0]).sqrt().to_bits(),
        "min.f64" => |x| d(x[0]).min(d(x[1])).to_bits(),
        "max.f64" => |x| d(x[0]).max(d(x[1])).to_bits(),
        _ => return None,
    })
}

/// `setp`: with suffix `u`, a comparison of floats also holds if one of them is NaN.
fn compare(comparison: &str) -> Option<Function> {
    Some(match comparison {
        "eq.s32" | "eq.u32" | "eq.b32" => |x| u64::from(u(x[0]) == u(x[1])),
        "ne.s32" | "ne.u32" | "ne.b32" => |x| u64::from(u(x[0]) != u(x[1])),
        "lt.s32" => |x| u64::from(i(x[0]) < i(x[1])),
        "le.s32" => |x| u64::from(i(x[0]) <= i(x[1])),
        "gt.s32" => |x| u64::from(i(x[0]) > i(x[1])),
        "ge.s32" => |x| u64::from(i(x[0]) >= i(x[1])),
        "lt.u32" => |x| u64::from(u(x[0]) < u(x[1])),
        "le.u32" => |x| u64::from(u(x[0]) <= u(x[1])),
        "gt.u32" => |x| u64::from(u(x[0]) > u(x[1])),
        "ge.u32" => |x| u64::from(u(x[0]) >= u(x[1])),
        "eq.s64" | "eq.u64" | "eq.b64" => |x| u64::from(x[0] == x[1]),
        "ne.s64" | "ne.u64" | "ne.b64" => |x| u64::from(x[0] != x[1]),
        "lt.u64" => |x| u64::from(x[0] < x[1]),
        "le.u64" => |x| u64::from(x[0] <= x[1]),
        "gt.u64" => |x| u64::from(x[0] > x[1]),
        "ge.u64" => |x| u64::from(x[0] >= x[1]),
        "lt.s64" => |x| u64::from((x[0] as i64) < x[1] as i64),
        "gt.s64" => |x| u64::from(x[0] as i64 > x[1] as i64),
        "eq.f32" => |x| u64::from(f(x[0]) == f(x[1])),
        "ne.f32" => |x| u64::from(f(x[0]) < f(x[1]) || f(x[0]) > f(x[1])),
        "neu.f32" => |x| u64::from(f(x[0]) != f(x[1])),
        "lt.f32" => |x| u64::from(f(x[0]) < f(x[1])),
        "le.f32" => |x| u64::from(f(x[0]) <= f(x[1])),
        "gt.f32" => |x| u64::from(f(x[0]) > f(x[1])),
        "ge.f32" => |x| u64::from(f(x[0]) >= f(x[1])),
        "ltu.f32" => |x| 1 - u64::from(f(x[0]) >= f(x[1])),
        "leu.f32" => |x| 1 - u64::from(f(x[0]) > f(x[1])),
        "gtu.f32" => |x| 1 - u64::from(f(x[0]) <= f(x[1])),
        "geu.f32" => |x| 1 - u64::from(f(x[0]) < f(x[1])),
        "lt.f64" => |x| u64::from(d(x[0]) < d(x[1])),
        "gt.f64" => |x| u64::from(d(x[0]) > d(x[1])),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(opcode: &str, x: [u64; 4]) -> u64 {
        function(opcode).unwrap()(x)
    }

    #[test]
    fn instructions_that_are_easily_taken_wrong() {
        let one = of_f(1.0);
        assert_eq!(run("copysign.f32", [of_f(-2.0), one, 0, 0]), of_f(-1.0));
        assert_eq!(run("bfi.b32", [3, 0xffff_ff00, 5, 27]), 0x60);
        assert_eq!(run("bfi.b32", [0xff, 0, 4, 4]), 0xf0);
        let bytes = [0x4433_2211, 0x8877_6655, 0x2104, 0];
        assert_eq!(run("prmt.b32", bytes), 0x3322_1155);
        assert_eq!(
            run("prmt.b32", [bytes[0], bytes[1], 0xf000, 0]),
            0xff11_1111
        );
        assert_eq!(run("shr.s32", [0x8000_0000, 40, 0, 0]), 0xffff_ffff);
        assert_eq!(run("shl.b32", [1, 32, 0, 0]), 0);
        assert_eq!(run("cvt.s64.s32", [0xffff_ffff, 0, 0, 0]), u64::MAX);
        let nan = of_f(f32::NAN);
        assert_eq!(run("cvt.sat.f32.f32", [nan, 0, 0, 0]), 0);
        assert_eq!(run("setp.ltu.f32", [nan, one, 0, 0]), 1);
        assert_eq!(run("setp.lt.f32", [nan, one, 0, 0]), 0);
        assert_eq!(run("max.f32", [nan, one, 0, 0]), one);
        // Ties round to even, others up.
        assert_eq!(run("cvt.rn.bf16.f32", [0x3f80_8000, 0, 0, 0]), 0x3f80);
        assert_eq!(run("cvt.rn.bf16.f32", [0x3f81_8000, 0, 0, 0]), 0x3f82);
        assert!(function("tanh.approx.f32").is_none());
    }

    #[test]
    fn rounding_downwards_is_that_of_the_exact_sum() {
        // 1 - 2^-40 lies just below 1, and -1 - 2^-40 below -1.
        let tiny = 2.0f32.powi(-20);
        assert_eq!(fma_down(-tiny, tiny, 1.0), 1.0f32.next_down());
        assert_eq!(fma_down(tiny, tiny, 1.0), 1.0);
        assert_eq!(fma_down(-tiny, tiny, -1.0), (-1.0f32).next_down());
        // A case that even f64 loses.
        assert_eq!(
            fma_down(-2.0f32.powi(-60), 2.0f32.powi(-60), 1.0),
            1.0f32.next_down()
        );
        assert_eq!(fma_down(0.5, 0.5, 0.25), 0.5);
    }
}
