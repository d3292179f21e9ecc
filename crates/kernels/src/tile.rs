//! The register tile of a matrix product: packed rows times packed columns, and the destination of the sums.

use super::factors::Factors;
use super::gemm::Output;
use super::lanes::{LANES, Lanes};

/// One register tile: packed rows and columns, and its place in C.
pub(crate) struct Place {
    /// Packed elements along the inner dimension.
    pub(crate) k: usize,
    pub(crate) a: *const f32,
    pub(crate) b: *const f32,
    pub(crate) c: Output,
    pub(crate) columns: usize,
}

/// The tile with `rows` rows.
#[inline(always)]
pub(crate) unsafe fn any_tile<L: Lanes, F: Factors<L>>(rows: usize, place: &Place) {
    macro_rules! by_rows {
        ($vectors:literal: $($rows:literal)*) => {
            match rows {
                $($rows => tile::<L, F, $rows, $vectors>(place),)*
                _ => unreachable!("a tile has at most {} rows", L::TILE_ROWS),
            }
        };
    }
    // SAFETY: the caller's contract.
    unsafe {
        if L::TILE_VECTORS == 2 {
            by_rows!(2: 14 13 12 11 10 9 8 7 6 5 4 3 2 1)
        } else {
            by_rows!(1: 6 5 4 3 2 1)
        }
    }
}

/// R × (W · 16) sums of products in registers.
#[inline(always)]
unsafe fn tile<L: Lanes, F: Factors<L>, const R: usize, const W: usize>(place: &Place) {
    // SAFETY: `a` and `b` satisfy the contract of `Factors`; C has R rows with `columns` elements here.
    unsafe {
        let sums = F::chain::<R, W>(place.k, place.a, place.b);
        let (c, stride) = (place.c.at, place.c.row);
        // Unrolled, so that the index of every sum is constant: a loop would keep them in memory instead of registers.
        macro_rules! store_rows {
            ($add:literal: $($r:literal)*) => {$(
                if $r < R {
                    let to = c.add($r * stride);
                    for w in 0..W {
                        let to = to.add(w * LANES);
                        let sum = sums[$r][w];
                        L::store(to, if $add { L::add(L::load(to), sum) } else { sum });
                    }
                }
            )*};
        }
        if place.columns == W * LANES {
            if place.c.add {
                store_rows!(true: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
            } else {
                store_rows!(false: 0 1 2 3 4 5 6 7 8 9 10 11 12 13);
            }
            return;
        }
        let sums = std::hint::black_box(sums);
        for (r, row) in sums.iter().enumerate() {
            for (w, &sum) in row.iter().enumerate() {
                let n = place.columns.saturating_sub(w * LANES).min(LANES);
                if n > 0 {
                    let to = c.add(r * stride + w * LANES);
                    let sum = if place.c.add {
                        L::add(L::load_n(to, n), sum)
                    } else {
                        sum
                    };
                    L::store_n(to, n, sum);
                }
            }
        }
    }
}
