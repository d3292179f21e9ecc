//! Products of bfloat16 pairs on the tile registers of AMX, and the same sums in plain Rust.
//!
//! One instruction, TDPBF16PS, adds the pairs of 16 · 2 positions of the inner dimension to a tile of C (16 × 16). Its
//! rounding is not that of VDPBF16PS: the first numbers of the sixteen pairs are one chain of fused multiply-adds that
//! starts at 0, the second ones another; the two are added, and that is added to C. Each of these steps rounds to
//! nearest; subnormal numbers count as 0. (Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2,
//! "TDPBF16PS", Operation; the emulator Bochs does the same in `cpu/avx/amx.cc`.) As everywhere, a block of the inner
//! dimension starts from 0, and its sum is added to C.
//!
//! Tile registers belong to a thread and take 8 KB. They are configured, used and released inside one block of
//! assembly, so that no other code ever encounters them: neither a task of the pool nor code that the compiler places
//! between two blocks.

use super::factors::{Packing, PairLanes, Pairs, flushed};
use super::gemm::{A_TILES, Block, GROUP, Output, Packed, Raw};
use super::lanes::{LANES, fused};
#[cfg(target_arch = "x86_64")]
use std::arch::asm;

/// Rows of C computed at once: two tiles.
pub(crate) const ROWS: usize = 32;
/// Positions of the inner dimension per instruction.
const STEP: usize = 32;
/// Pairs per instruction, and rows of a tile.
const PAIRS: usize = STEP / 2;

/// Whether this process may use bfloat16 tiles: the processor has them, and the system has granted them. They are
/// requested once, before any pool threads exist: the system refuses if the signal stack of a thread has no room for
/// them.
#[cfg(target_arch = "x86_64")]
pub(crate) fn is_usable() -> bool {
    #[cfg(target_os = "linux")]
    {
        static USABLE: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
        *USABLE.get_or_init(|| are_there() && are_granted())
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// Whether the processor has tiles and the system saves them.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn are_there() -> bool {
    const BF16: u32 = 1 << 22;
    const TILE: u32 = 1 << 24;
    const CONFIGURATION_AND_DATA: u64 = 0b11 << 17;
    #[target_feature(enable = "xsave")]
    fn saved() -> u64 {
        // SAFETY: this function has the feature, which implies register 0.
        unsafe { std::arch::x86_64::_xgetbv(0) }
    }
    // AVX-512 implies that leaf 7 exists and that XGETBV may be used.
    if !(is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("xsave")) {
        return false;
    }
    let found = std::arch::x86_64::__cpuid_count(7, 0).edx;
    // SAFETY: the feature was found.
    let saved = unsafe { saved() };
    found & (BF16 | TILE) == BF16 | TILE && saved & CONFIGURATION_AND_DATA == CONFIGURATION_AND_DATA
}

/// Asks the system for the tiles' data (Linux 5.16: `arch_prctl`, documented in `Documentation/arch/x86/xstate.rst`).
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn are_granted() -> bool {
    const ARCH_PRCTL: isize = 158;
    const REQUEST_PERMISSION: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let mut result = ARCH_PRCTL;
    // SAFETY: a system call that accesses none of our memory; the registers it changes are declared.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") result,
            in("rdi") REQUEST_PERMISSION,
            in("rsi") TILE_DATA,
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// Factors in the format of tiles: pairs in whole steps of the inner dimension, padded with zeros.
pub(crate) struct Tiles;

impl<L: PairLanes> Packing<L> for Tiles {
    fn room(k: usize) -> usize {
        k.next_multiple_of(STEP)
    }

    #[inline(always)]
    unsafe fn round(packed: *mut f32, k: usize, width: usize) {
        let (filled, all) = (k.div_ceil(2), k.div_ceil(STEP) * PAIRS);
        // SAFETY: the panel has room for `k` rounded up to whole steps, half of which the pairs use.
        unsafe {
            <Pairs as Packing<L>>::round(packed, k, width);
            packed
                .add(filled * width)
                .write_bytes(0, (all - filled) * width);
        }
    }
}

/// Packs up to [`ROWS`] rows of A over `k`: for each step two tiles of sixteen rows of sixteen pairs. Rows are padded
/// with 0; missing rows hold anything.
#[inline(always)]
unsafe fn pack_rows<L: PairLanes>(from: Raw, rows: usize, k: usize, to: *mut f32) {
    for (step, k0) in (0..k).step_by(STEP).enumerate() {
        let depth = STEP.min(k - k0);
        for row0 in (0..rows).step_by(PAIRS) {
            let rows = PAIRS.min(rows - row0);
            // SAFETY: the caller's contract: `rows` × `k` numbers at `from`, two tiles for each step at `to`.
            unsafe {
                let at = from.at.add(row0 * from.row + k0 * from.column);
                let tile = to.add((2 * step + row0 / PAIRS) * PAIRS * LANES);
                let number = |at: *const f32, n: usize| match n {
                    0 => L::splat(0.0),
                    LANES => L::load(at),
                    n => L::load_n(at, n),
                };
                if from.column == 1 {
                    let high = depth.saturating_sub(LANES);
                    for r in 0..rows {
                        let at = at.add(r * from.row);
                        let low = number(at, depth.min(LANES));
                        let both = L::neighbours(low, number(at.wrapping_add(LANES), high));
                        L::store(tile.add(r * LANES), both);
                    }
                } else {
                    let mut columns = [0f32; PAIRS * LANES];
                    let column = |k: usize| match k < depth {
                        true => number(at.add(k * from.column), rows),
                        false => L::splat(0.0),
                    };
                    for p in 0..PAIRS {
                        let pairs = L::pair(column(2 * p), column(2 * p + 1));
                        L::store(columns.as_mut_ptr().add(p * LANES), pairs);
                    }
                    L::transpose(columns.as_ptr(), LANES, PAIRS, tile, LANES);
                }
            }
        }
    }
}

/// Several [`ROWS`] × panel blocks of C, one below the other: packed rows, a packed panel, and the destination of the
/// sums.
#[derive(Clone, Copy)]
pub(crate) struct Strip {
    /// [`ROWS`] rows each; at least 1.
    count: usize,
    /// Steps of the inner dimension; at least 1.
    steps: usize,
    a: *const f32,
    b: *const f32,
    to: *mut f32,
    /// Distance between rows of `to`, in numbers.
    stride: usize,
}

/// A multiplication of tiles.
pub(crate) trait Multiply<L> {
    /// Writes the sums of a strip.
    ///
    /// # Safety
    /// The addresses must be valid for the sizes, and the processor must support this.
    unsafe fn strip(strip: Strip);
}

/// The tile registers: tiles 0 to 3 are C, 4 and 5 rows of A, 6 and 7 columns of B.
#[cfg(target_arch = "x86_64")]
pub(crate) struct Registers;

/// Palette 1, eight tiles of 16 rows of 64 bytes, as LDTILECFG reads it.
#[cfg(target_arch = "x86_64")]
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

#[cfg(target_arch = "x86_64")]
static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

#[cfg(target_arch = "x86_64")]
impl Multiply<super::lanes_x86::Avx512> for Registers {
    #[inline(always)]
    unsafe fn strip(strip: Strip) {
        // SAFETY: accesses only memory guaranteed by the caller; every changed register is declared, and the tiles are
        // released.
        unsafe {
            asm!(
                "ldtilecfg [{configuration}]",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "mov {b}, {panel}",
                "mov {left}, {steps}",
                "3:",
                "tileloadd tmm4, [{a} + {line}]",
                "tileloadd tmm6, [{b} + 2 * {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm7, [{b} + 2 * {line} + 64]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tileloadd tmm5, [{a} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {left}",
                "jnz 3b",
                "tilestored [{to} + {stride}], tmm0",
                "tilestored [{to} + {stride} + 64], tmm1",
                "add {to}, {half}",
                "tilestored [{to} + {stride}], tmm2",
                "tilestored [{to} + {stride} + 64], tmm3",
                "add {to}, {half}",
                "dec {count}",
                "jnz 2b",
                "tilerelease",
                configuration = in(reg) &raw const CONFIGURATION,
                count = inout(reg) strip.count => _,
                steps = in(reg) strip.steps,
                a = inout(reg) strip.a => _,
                panel = in(reg) strip.b,
                to = inout(reg) strip.to => _,
                stride = in(reg) 4 * strip.stride,
                half = in(reg) 16 * 4 * strip.stride,
                line = in(reg) 64usize,
                b = out(reg) _,
                left = out(reg) _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}

/// The registers' arithmetic, in plain Rust.
pub(crate) struct Emulated;

impl<L: PairLanes> Multiply<L> for Emulated {
    unsafe fn strip(strip: Strip) {
        let width = L::TILE_VECTORS * LANES;
        for row in 0..strip.count * ROWS {
            for column in 0..width {
                let mut sum = 0.0;
                for step in 0..strip.steps {
                    let tile = (row / ROWS * strip.steps + step) * 2 + row % ROWS / PAIRS;
                    let line = (tile * PAIRS + row % PAIRS) * LANES;
                    let mut chains = [0f32; 2];
                    for p in 0..PAIRS {
                        // SAFETY: inside the packed rows and the packed panel.
                        let (x, y) = unsafe {
                            let y = (step * PAIRS + p) * width + column;
                            (*strip.a.add(line + p), *strip.b.add(y))
                        };
                        for (chain, (x, y)) in chains.iter_mut().zip(halves(x).zip(halves(y))) {
                            *chain = flushed(fused(x, y, *chain));
                        }
                    }
                    sum = flushed(sum + flushed(chains[0] + chains[1]));
                }
                // SAFETY: inside the strip.
                unsafe { *strip.to.add(row * strip.stride + column) = sum };
            }
        }
    }
}

/// The two numbers of a pair.
fn halves(pair: f32) -> impl Iterator<Item = f32> {
    let bits = pair.to_bits();
    [bits << 16, bits & 0xffff_0000]
        .into_iter()
        .map(|bits| flushed(f32::from_bits(bits)))
}

/// Task: a block of rows of A times a group of panels.
#[inline(always)]
pub(crate) unsafe fn strips<L: PairLanes, M: Multiply<L>>(
    block: &Block,
    task: usize,
    packed: &mut Packed,
) {
    let width = L::TILE_VECTORS * LANES;
    let (m, n, k) = (block.sizes.m, block.sizes.n, block.sizes.k);
    let (panels, steps) = (n.div_ceil(width), k.div_ceil(STEP));
    let groups = panels.div_ceil(GROUP);
    let (i, group) = (task / groups, task % groups);
    let row0 = i * A_TILES * ROWS;
    let rows = (A_TILES * ROWS).min(m - row0);
    let (tile, sums) = (ROWS * PAIRS * steps, ROWS * width);
    let own = packed.buffer(A_TILES * (tile + sums));
    // SAFETY: rows, columns and panels are inside the matrices and buffers by construction.
    unsafe {
        if packed.block != i {
            for t in 0..rows.div_ceil(ROWS) {
                let row = row0 + t * ROWS;
                let at = block.a.at.add(row * block.a.row);
                let from = Raw { at, ..block.a };
                pack_rows::<L>(from, ROWS.min(m - row), k, own.add(t * tile));
            }
            packed.block = i;
        }
        let sums = own.add(A_TILES * tile);
        for panel in group * GROUP..(group * GROUP + GROUP).min(panels) {
            let column = panel * width;
            let c = Output {
                at: block.c.at.add(row0 * block.c.row + column),
                ..block.c
            };
            let columns = width.min(n - column);
            // Full tiles without addition are written directly to C.
            let direct = match !c.add && columns == width {
                true => rows / ROWS,
                false => 0,
            };
            let strip = Strip {
                count: direct,
                steps,
                a: own,
                b: block
                    .packed
                    .add(panel * width * <Tiles as Packing<L>>::room(k)),
                to: c.at,
                stride: c.row,
            };
            if direct > 0 {
                M::strip(strip);
            }
            let rest = rows - direct * ROWS;
            if rest > 0 {
                M::strip(Strip {
                    count: rest.div_ceil(ROWS),
                    a: own.add(direct * tile),
                    to: sums,
                    stride: width,
                    ..strip
                });
                let at = c.at.add(direct * ROWS * c.row);
                deliver::<L>(sums, rest, columns, Output { at, ..c });
            }
        }
    }
}

/// Writes `rows` × `columns` sums to C, or adds them to it.
#[inline(always)]
unsafe fn deliver<L: PairLanes>(sums: *const f32, rows: usize, columns: usize, c: Output) {
    for r in 0..rows {
        for l in (0..columns).step_by(LANES) {
            let n = LANES.min(columns - l);
            // SAFETY: the caller's contract: `rows` rows of a panel's width at `sums`, and `rows` × `columns` numbers
            // of C.
            unsafe {
                let to = c.at.add(r * c.row + l);
                let sum = L::load(sums.add(r * L::TILE_VECTORS * LANES + l));
                let sum = match c.add {
                    true => L::add(L::load_n(to, n), sum),
                    false => sum,
                };
                L::store_n(to, n, sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::lanes::Portable;
    #[cfg(target_arch = "x86_64")]
    use super::super::lanes_x86::Avx512;
    use super::*;

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
    unsafe fn pack_with_processor(from: Raw, rows: usize, k: usize, to: *mut f32) {
        // SAFETY: as promised by the caller.
        unsafe { pack_rows::<Avx512>(from, rows, k, to) }
    }

    /// Numbers of all kinds: ordinary, rounding ties, subnormal, infinite, NaN.
    fn number(i: usize) -> f32 {
        let ordinary = (i as f32 * 0.37 - 20.0) * 1.001;
        match i % 11 {
            3 => f32::from_bits(0x3f80_8000 + ((i as u32 % 4) << 15)),
            5 => f32::from_bits(i as u32 + 1),
            7 => -f32::MIN_POSITIVE,
            8 if i.is_multiple_of(5) => f32::INFINITY,
            9 if i.is_multiple_of(7) => f32::NAN,
            10 if i.is_multiple_of(3) => f32::MAX,
            _ => ordinary,
        }
    }

    #[test]
    fn rows_are_packed_step_by_step_and_alike_by_the_processor_and_plain_rust() {
        #[cfg(target_arch = "x86_64")]
        let native = is_x86_feature_detected!("avx512bf16");
        #[cfg(not(target_arch = "x86_64"))]
        let native = false;
        if !native {
            println!("skipped: the processor's own packing (no AVX-512 BF16)");
        }
        for rows in [1, 2, 15, 16, 17, 31, 32] {
            for k in [1, 2, 15, 16, 17, 30, 31, 32, 33, 48, 49, 64, 70] {
                let numbers: Vec<f32> = (0..rows * k).map(number).collect();
                for (row, column) in [(k, 1), (1, rows)] {
                    let at = numbers.as_ptr();
                    let from = Raw { at, row, column };
                    let mut packed = vec![f32::NAN; k.div_ceil(STEP) * ROWS * PAIRS];
                    // SAFETY: the sizes are those of the two vectors.
                    unsafe { pack_rows::<Portable>(from, rows, k, packed.as_mut_ptr()) };
                    #[cfg_attr(
                        not(target_arch = "x86_64"),
                        expect(unused_mut, reason = "only these processors write it")
                    )]
                    let mut again = packed.clone();
                    #[cfg(target_arch = "x86_64")]
                    if native {
                        again.fill(f32::NAN);
                        // SAFETY: as above, and the processor has the features.
                        unsafe { pack_with_processor(from, rows, k, again.as_mut_ptr()) };
                    }
                    for (r, p) in (0..rows).flat_map(|r| (0..k.div_ceil(2)).map(move |p| (r, p))) {
                        let half = |k1: usize| match k1 < k {
                            true => f64::from(numbers[r * row + k1 * column]),
                            false => 0.0,
                        };
                        let tile = p / PAIRS * 2 + r / PAIRS;
                        let place = (tile * PAIRS + r % PAIRS) * LANES + p % PAIRS;
                        assert_eq!(again[place].to_bits(), packed[place].to_bits());
                        for (got, k1) in halves(packed[place]).zip([2 * p, 2 * p + 1]) {
                            let (got, want) = (f64::from(got), half(k1));
                            let close = (got - want).abs() <= want.abs() / 256.0;
                            let tiny = want.abs() < f64::from(f32::MIN_POSITIVE) && got == 0.0;
                            let alike = got == want || got.is_nan() && want.is_nan();
                            let too_large = got.is_infinite() && want.abs() > 3.39e38;
                            assert!(
                                close || tiny || alike || too_large,
                                "{got} for {want}: row {r} of {rows}, position {k1} of {k}"
                            );
                        }
                    }
                }
            }
        }
    }
}
