//! Matrix products: C = A·B or C += A·B for any strides of A and B, C in rows.
//!
//! Factors are used unrounded or rounded to bfloat16 while being packed ([`super::factors`]); sums are always f32.
//!
//! Every element of C is one chain of fused multiply-adds over the inner dimension, cut into blocks of [`K_BLOCK`]; the sums of the blocks are
//! added in order. The result does not depend on the shape of the register tile, the packing or the threads, so all
//! instruction sets and any number of threads give the same bits. (For the three ways of summing bfloat16 products, see
//! [`super::factors`].) Blocks of B are packed once for all threads; each thread packs its own rows of A.

#[cfg(target_arch = "x86_64")]
use super::amx::Registers;
use super::amx::{self, Emulated, Tiles, strips};
use super::factors::{Bf16, Factors, Packing, PairLanes, Pairs, Way, Whole};
use super::fours::Fours;
use super::isa::Kind;
use super::lanes::{LANES, Lanes, Portable};
#[cfg(target_arch = "aarch64")]
use super::lanes_neon::{ByElement, Neon};
#[cfg(target_arch = "x86_64")]
use super::lanes_x86::{Avx2, Avx512};
use super::tile::{Place, any_tile};
use super::{Compute, Isa, Scratch};

/// Length of the chains: part of the recipe, because it determines the rounding.
pub(crate) const K_BLOCK: usize = 512;

/// Register tiles that share one packed block of A.
pub(crate) const A_TILES: usize = 6;
/// Panels of B that form one task with a block of A.
pub(crate) const GROUP: usize = 16;
/// Panels of B packed at a time.
const B_PANELS: usize = 64;
/// Size of a product below which waking another thread does not pay off.
const SMALL: usize = 1 << 17;

/// A view of numbers as a matrix: element (i, j) is `data[i · row + j · column]`.
#[derive(Clone, Copy)]
pub struct Matrix<'a> {
    data: &'a [f32],
    row: usize,
    column: usize,
}

impl<'a> Matrix<'a> {
    /// Rows that begin `stride` numbers apart.
    pub fn rows(data: &'a [f32], stride: usize) -> Self {
        Self {
            data,
            row: stride,
            column: 1,
        }
    }

    /// The transpose.
    pub fn transposed(self) -> Self {
        Self {
            data: self.data,
            row: self.column,
            column: self.row,
        }
    }

    /// As raw parts, after checking that `rows` × `columns` elements are inside.
    fn raw(&self, rows: usize, columns: usize) -> Raw {
        if rows > 0 && columns > 0 {
            let last = (rows - 1) * self.row + (columns - 1) * self.column;
            assert!(last < self.data.len(), "matrix view beyond its data");
        }
        Raw {
            at: self.data.as_ptr(),
            row: self.row,
            column: self.column,
        }
    }
}

/// A matrix view by address.
#[derive(Clone, Copy)]
pub(crate) struct Raw {
    pub at: *const f32,
    pub row: usize,
    pub column: usize,
}

/// Sizes of a product: C is m × n, the inner dimension k.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub m: usize,
    pub n: usize,
    pub k: usize,
}

/// The destination of the result.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    pub at: *mut f32,
    pub row: usize,
    pub add: bool,
}

/// C (m × n, dense rows) = A·B, or C += A·B with `add`, on all threads of `compute`.
pub fn gemm(
    compute: &Compute,
    [m, n, k]: [usize; 3],
    a: Matrix<'_>,
    b: Matrix<'_>,
    c: &mut [f32],
    add: bool,
) {
    assert_eq!(c.len(), m * n);
    let output = Output {
        at: c.as_mut_ptr(),
        row: n,
        add,
    };
    // SAFETY: the views were checked against the sizes, C has m·n elements and is borrowed mutably.
    unsafe {
        product(
            (compute.isa, compute.bf16),
            Some(compute),
            Sizes { m, n, k },
            a.raw(m, k),
            b.raw(k, n),
            output,
        )
    }
}

/// Operations per second of the product on all threads of `compute`: the best of several shapes and repetitions.
pub fn best_rate(compute: &Compute) -> f64 {
    const SHAPES: [[usize; 3]; 3] = [[1024, 1024, 512], [1008, 2048, 512], [2016, 1024, 1024]];
    const SECONDS_EACH: f64 = 0.15;
    let mut best = 0f64;
    for [m, n, k] in SHAPES {
        let (a, b) = (vec![0.5; m * k], vec![0.25; k * n]);
        let mut c = vec![0.0; m * n];
        let begin = std::time::Instant::now();
        while begin.elapsed().as_secs_f64() < SECONDS_EACH {
            let start = std::time::Instant::now();
            let (a, b) = (Matrix::rows(&a, k), Matrix::rows(&b, n));
            gemm(compute, [m, n, k], a, b, &mut c, false);
            let rate = 2.0 * (m * n * k) as f64 / start.elapsed().as_secs_f64();
            best = best.max(rate);
        }
    }
    best
}

/// As [`gemm`], on this thread (`compute` none) or on all, by address.
///
/// # Safety
/// A, B and C must be valid for the sizes and strides; C must not overlap A or B, and nothing else may access its
/// elements meanwhile.
pub(crate) unsafe fn product(
    (isa, bf16): (Isa, Option<Bf16>),
    compute: Option<&Compute>,
    sizes: Sizes,
    a: Raw,
    b: Raw,
    c: Output,
) {
    let Sizes { m, n, k } = sizes;
    if m == 0 || n == 0 {
        return;
    }
    if k == 0 {
        // SAFETY: guaranteed by the caller.
        unsafe { clear(sizes, c) };
        return;
    }
    let shared = compute.filter(|_| m * n * k > SMALL);
    // SAFETY: an `Isa` and a native `Bf16` exist only if the machine has the features; the rest is guaranteed by the
    // caller.
    unsafe {
        match (isa.kind(), bf16) {
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, Some(bf16)) if bf16.is_native() => {
                let method = match bf16.way() {
                    Way::Tiles => Method::tiled::<Avx512>(pack_amx, strips_amx),
                    _ => Method::of::<Avx512, Pairs>(pack_bf16, tiles_bf16),
                };
                blocks(shared, sizes, a, b, c, method)
            }
            #[cfg(target_arch = "aarch64")]
            (Kind::Neon, Some(bf16)) if bf16.is_native() => {
                let method = Method::of::<Neon, Fours>(pack_fours, tiles_fours);
                blocks(shared, sizes, a, b, c, method)
            }
            (_, Some(bf16)) => {
                type P = Portable;
                let method = match bf16.way() {
                    Way::Tiles => Method::tiled::<P>(pack_b::<P, Tiles>, strips::<P, Emulated>),
                    Way::Chain => Method::of::<P, Pairs>(pack_b::<P, Pairs>, tiles::<P, Pairs>),
                    Way::Odd => Method::of::<P, Fours>(pack_b::<P, Fours>, tiles::<P, Fours>),
                };
                blocks(shared, sizes, a, b, c, method)
            }
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512, None) => {
                let method = Method::of::<Avx512, Whole>(pack_avx512, tiles_avx512);
                blocks(shared, sizes, a, b, c, method)
            }
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2, None) => {
                let method = Method::of::<Avx2, Whole>(pack_avx2, tiles_avx2);
                blocks(shared, sizes, a, b, c, method)
            }
            #[cfg(target_arch = "aarch64")]
            (Kind::Neon, None) => {
                let method = Method::of::<Neon, ByElement>(pack_neon, tiles_neon);
                blocks(shared, sizes, a, b, c, method)
            }
            (Kind::Portable, None) => {
                type P = Portable;
                let method = Method::of::<P, Whole>(pack_b::<P, Whole>, tiles::<P, Whole>);
                blocks(shared, sizes, a, b, c, method)
            }
        }
    }
}

/// C = 0 unless it is added to.
unsafe fn clear(sizes: Sizes, c: Output) {
    if !c.add {
        for i in 0..sizes.m {
            // SAFETY: row i of C.
            unsafe { std::slice::from_raw_parts_mut(c.at.add(i * c.row), sizes.n).fill(0.0) };
        }
    }
}

/// A packed block of B and its sub-problem: one K block and up to [`B_PANELS`] panels.
pub(crate) struct Block {
    pub sizes: Sizes,
    pub a: Raw,
    pub b: Raw,
    pub c: Output,
    pub packed: *mut f32,
}

// SAFETY: the tasks of a block write disjoint panels of `packed`, and then disjoint tiles of C while they only read `packed`, A and B.
unsafe impl Sync for Block {}

/// One task on a block: `pack_b` or `tiles`, compiled for one instruction set.
type Step = unsafe fn(&Block, usize, &mut Packed);

/// The rows of A packed by a thread.
pub(crate) struct Packed {
    buffer: Option<Scratch>,
    pub block: usize,
}

impl Packed {
    /// A buffer of `len` numbers, the same for all tasks of a block.
    pub(crate) fn buffer(&mut self, len: usize) -> *mut f32 {
        let buffer = self.buffer.get_or_insert_with(|| Scratch::new(len));
        buffer.as_mut_ptr()
    }
}

/// Method of computing a block: tile size, space for `k` packed rows of B, and the tasks.
struct Method {
    height: usize,
    width: usize,
    room: fn(usize) -> usize,
    steps: [Step; 2],
}

impl Method {
    /// Tiles in vector registers.
    fn of<L: Lanes, P: Packing<L>>(pack: Step, tiles: Step) -> Self {
        Self {
            height: L::TILE_ROWS,
            width: L::TILE_VECTORS * LANES,
            room: P::room,
            steps: [pack, tiles],
        }
    }

    /// Tiles of AMX.
    fn tiled<L: PairLanes>(pack: Step, strips: Step) -> Self {
        Self {
            height: amx::ROWS,
            ..Self::of::<L, Tiles>(pack, strips)
        }
    }
}

unsafe fn blocks(
    compute: Option<&Compute>,
    sizes: Sizes,
    a: Raw,
    b: Raw,
    c: Output,
    method: Method,
) {
    let (width, [pack, tile]) = (method.width, method.steps);
    let Sizes { m, n, k } = sizes;
    let panels = n.div_ceil(width);
    let at_once = B_PANELS.min(panels);
    let mut buffer = Scratch::new(at_once * width * (method.room)(K_BLOCK.min(k)));
    for j0 in (0..panels).step_by(at_once) {
        let column = j0 * width;
        let columns = (at_once * width).min(n - column);
        for k0 in (0..k).step_by(K_BLOCK) {
            // SAFETY: offsets stay inside the matrices, since column < n and k0 < k.
            let block = unsafe {
                Block {
                    sizes: Sizes {
                        m,
                        n: columns,
                        k: K_BLOCK.min(k - k0),
                    },
                    a: Raw {
                        at: a.at.add(k0 * a.column),
                        ..a
                    },
                    b: Raw {
                        at: b.at.add(k0 * b.row + column * b.column),
                        ..b
                    },
                    c: Output {
                        at: c.at.add(column),
                        row: c.row,
                        add: c.add || k0 > 0,
                    },
                    packed: buffer.as_mut_ptr(),
                }
            };
            let panels = columns.div_ceil(width);
            // SAFETY: each task runs once, packing finishes before the tiles start, and the machine has the features of
            // the steps.
            unsafe {
                each_task(compute, panels.div_ceil(4), &block, pack);
                let tasks = m.div_ceil(A_TILES * method.height) * panels.div_ceil(GROUP);
                each_task(compute, tasks, &block, tile);
            }
        }
    }
}

/// Runs `step` for all tasks of a block.
unsafe fn each_task(compute: Option<&Compute>, tasks: usize, block: &Block, step: Step) {
    let run = |next: &mut dyn FnMut() -> usize| {
        let mut packed = Packed {
            buffer: None,
            block: usize::MAX,
        };
        loop {
            let task = next();
            if task >= tasks {
                break;
            }
            // SAFETY: guaranteed by the caller; the counter gives each number once.
            unsafe { step(block, task, &mut packed) };
        }
    };
    if let Some(compute) = compute
        && tasks > 1
        && compute.pool.threads() > 1
    {
        let counter = std::sync::atomic::AtomicUsize::new(0);
        compute.pool.on_all(tasks - 1, &|| {
            run(&mut || counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        });
    } else {
        let mut counter = 0..;
        run(&mut || counter.next().unwrap_or(usize::MAX));
    }
}

/// Task: packs four panels of B.
#[inline(always)]
unsafe fn pack_b<L: Lanes, P: Packing<L>>(block: &Block, task: usize, _: &mut Packed) {
    let width = L::TILE_VECTORS * LANES;
    let Sizes { n, k, .. } = block.sizes;
    for panel in task * 4..(task * 4 + 4).min(n.div_ceil(width)) {
        let column = panel * width;
        // SAFETY: the panel's columns are inside B, its place inside the buffer.
        unsafe {
            let from = block.b.at.add(column * block.b.column);
            let to = block.packed.add(panel * width * P::room(k));
            pack::<L>(
                from,
                [block.b.column, block.b.row],
                width.min(n - column),
                k,
                to,
                width,
            );
            P::round(to, k, width);
        }
    }
}

/// Task: a block of rows of A times a group of panels.
#[inline(always)]
unsafe fn tiles<L: Lanes, F: Factors<L>>(block: &Block, task: usize, packed: &mut Packed) {
    let (height, width) = (L::TILE_ROWS, L::TILE_VECTORS * LANES);
    let Sizes { m, n, k } = block.sizes;
    let panels = n.div_ceil(width);
    let groups = panels.div_ceil(GROUP);
    let (i, group) = (task / groups, task % groups);
    let row0 = i * A_TILES * height;
    let rows = (A_TILES * height).min(m - row0);
    let room = F::room(k);
    let own = packed.buffer(A_TILES * height * room);
    // SAFETY: rows, columns and panels are inside the matrices and buffers by construction.
    unsafe {
        if packed.block != i {
            for t in 0..rows.div_ceil(height) {
                let row = row0 + t * height;
                let from = block.a.at.add(row * block.a.row);
                let to = own.add(t * height * room);
                pack::<L>(
                    from,
                    [block.a.row, block.a.column],
                    height.min(m - row),
                    k,
                    to,
                    height,
                );
                F::round(to, k, height);
            }
            packed.block = i;
        }
        for panel in group * GROUP..(group * GROUP + GROUP).min(panels) {
            let column = panel * width;
            for t in 0..rows.div_ceil(height) {
                let row = row0 + t * height;
                let place = Place {
                    k: k.div_ceil(F::DEPTH),
                    a: own.add(t * height * room),
                    b: block.packed.add(panel * width * room),
                    c: Output {
                        at: block.c.at.add(row * block.c.row + column),
                        ..block.c
                    },
                    columns: width.min(n - column),
                };
                any_tile::<L, F>(height.min(m - row), &place);
            }
        }
    }
}

macro_rules! compiled {
    ($($name:ident = $step:ident<$lanes:ty, $factors:ty> on $arch:literal with $features:literal;)*) => {$(
        #[cfg(target_arch = $arch)]
        #[target_feature(enable = $features)]
        unsafe fn $name(block: &Block, task: usize, packed: &mut Packed) {
            // SAFETY: this function has the features of the lanes; the rest is guaranteed by the caller.
            unsafe { $step::<$lanes, $factors>(block, task, packed) }
        }
    )*};
}
compiled! {
    pack_avx512 = pack_b<Avx512, Whole> on "x86_64" with "avx512f,avx2,fma";
    tiles_avx512 = tiles<Avx512, Whole> on "x86_64" with "avx512f,avx2,fma";
    pack_bf16 = pack_b<Avx512, Pairs> on "x86_64" with "avx512f,avx512bf16,avx2,fma";
    tiles_bf16 = tiles<Avx512, Pairs> on "x86_64" with "avx512f,avx512bf16,avx2,fma";
    pack_amx = pack_b<Avx512, Tiles> on "x86_64" with "avx512f,avx512bf16,avx2,fma";
    strips_amx = strips<Avx512, Registers> on "x86_64" with "avx512f,avx512bf16,avx2,fma";
    pack_avx2 = pack_b<Avx2, Whole> on "x86_64" with "avx2,fma";
    tiles_avx2 = tiles<Avx2, Whole> on "x86_64" with "avx2,fma";
    pack_neon = pack_b<Neon, ByElement> on "aarch64" with "neon";
    tiles_neon = tiles<Neon, ByElement> on "aarch64" with "neon";
    pack_fours = pack_b<Neon, Fours> on "aarch64" with "neon,bf16";
    tiles_fours = tiles<Neon, Fours> on "aarch64" with "neon,bf16";
}

/// Packs `lanes` lanes over `k`: `to[kk · width + lane] = from[lane · strides[0] + kk · strides[1]]`; the remaining
/// lanes up to `width` hold anything: their results are not stored.
#[inline(always)]
pub(crate) unsafe fn pack<L: Lanes>(
    from: *const f32,
    [lane_stride, k_stride]: [usize; 2],
    lanes: usize,
    k: usize,
    to: *mut f32,
    width: usize,
) {
    // SAFETY: the caller's contract: `lanes` × `k` elements at `from`, `width` × `k` at `to`.
    unsafe {
        if lane_stride == 1 {
            for kk in 0..k {
                let (source, target) = (from.add(kk * k_stride), to.add(kk * width));
                let mut l = 0;
                while l < width {
                    let (n, filled) = ((width - l).min(LANES), lanes.saturating_sub(l).min(LANES));
                    let v = match filled {
                        0 => L::splat(0.0),
                        LANES => L::load(source.add(l)),
                        _ => L::load_n(source.add(l), filled),
                    };
                    if n == LANES {
                        L::store(target.add(l), v);
                    } else {
                        L::store_n(target.add(l), n, v);
                    }
                    l += LANES;
                }
            }
            return;
        }
        let whole = if k_stride == 1 { k - k % LANES } else { 0 };
        for l in (0..lanes).step_by(LANES) {
            let n = (lanes - l).min(LANES);
            let source = from.add(l * lane_stride);
            for kk in (0..whole).step_by(LANES) {
                L::transpose(
                    source.add(kk),
                    lane_stride,
                    n,
                    to.add(kk * width + l),
                    width,
                );
            }
            for kk in whole..k {
                for i in 0..n {
                    *to.add(kk * width + l + i) = *source.add(i * lane_stride + kk * k_stride);
                }
            }
        }
    }
}
