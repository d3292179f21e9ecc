//! Products and attention for a few rows, as computed for each new token in generation. Weights are read in place, each
//! once, so that memory bandwidth is the only bound; nothing is packed or allocated.

use super::gemm::K_BLOCK;
use super::isa::kernels;
use super::lanes::LANES;
use super::rows::{exp_row, row_max, sweep};
use super::{AttentionShape, Compute, Isa, Scratch};

/// Rows of the weight read in parallel, for [`chains`].
const WIDE: usize = 4 * LANES;
/// Rows of the weight read in parallel, for [`dots`].
const BESIDE: usize = 8;
/// Size of a weight below which waking a second thread does not pay off.
const SMALL: usize = 1 << 16;
/// Size of a weight from which it no longer fits the cache.
const FAR: usize = 1 << 18;
/// Tasks per thread: a thread without a core leaves its share to the others.
const SHARES: usize = 4;

kernels! {
    /// y[o] = Σ x·w[o] over the rows of w, each with the bits of `dot`.
    fn dots<L>(x: &[f32], w: &[f32], y: &mut [f32]) {
        let inner = x.len();
        assert_eq!(w.len(), inner * y.len());
        let (px, pw, py) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
        let mut o = 0;
        // From memory, rows are read one after another: the hardware does not prefetch rows read in parallel.
        while w.len() < FAR && o + BESIDE <= y.len() {
            let rows = pw.add(o * inner);
            let mut sums = [L::splat(0.0); BESIDE];
            sweep!(inner, |i, N| {
                let x = L::load_n(px.add(i), N);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = L::fma(x, L::load_n(rows.add(r * inner + i), N), *sum);
                }
            });
            for (r, sum) in sums.into_iter().enumerate() {
                *py.add(o + r) = L::sum(sum);
            }
            o += BESIDE;
        }
        while o < y.len() {
            let row = pw.add(o * inner);
            let mut sum = L::splat(0.0);
            sweep!(inner, |i, N| {
                sum = L::fma(L::load_n(px.add(i), N), L::load_n(row.add(i), N), sum);
            });
            *py.add(o) = L::sum(sum);
            o += 1;
        }
    }

    /// y[o] = Σ x·w[o], or y[o] += with `add`, each with the bits of a matrix product: one chain of multiply-adds per
    /// [`K_BLOCK`]. Sixteen rows at a time are transposed on the fly, so that their chains run in parallel.
    fn chains<L>(x: &[f32], w: &[f32], y: &mut [f32], add: bool) {
        let inner = x.len();
        assert_eq!(w.len(), inner * y.len());
        let (px, pw, py) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
        let end = pw.wrapping_add(w.len());
        let mut turned = [0.0_f32; WIDE * LANES];
        let turned = turned.as_mut_ptr();
        let mut o = 0;
        while o < y.len() {
            let lanes = WIDE.min(y.len() - o);
            let rows = pw.add(o * inner);
            // The next rows are prefetched meanwhile, in memory order.
            let mut ahead = rows.wrapping_add(WIDE * inner);
            let mut k0 = 0;
            while k0 < inner {
                let block = K_BLOCK.min(inner - k0);
                let mut sums = [L::splat(0.0); WIDE / LANES];
                let mut k = 0;
                while k < block {
                    let columns = LANES.min(block - k);
                    let from = rows.add(k0 + k);
                    if columns == LANES && lanes == WIDE {
                        for g in 0..WIDE / LANES {
                            L::transpose(from.add(g * LANES * inner), inner, LANES, turned.add(g * LANES * LANES), LANES);
                            if ahead < end {
                                for line in 0..LANES {
                                    L::prefetch(ahead.wrapping_add(line * LANES));
                                }
                                ahead = ahead.wrapping_add(LANES * LANES);
                            }
                        }
                    } else {
                        for lane in 0..lanes {
                            for c in 0..columns {
                                *turned.add((lane / LANES) * LANES * LANES + c * LANES + lane % LANES) = *from.add(lane * inner + c);
                            }
                        }
                    }
                    for c in 0..columns {
                        let x = L::splat(*px.add(k0 + k + c));
                        for (g, sum) in sums.iter_mut().enumerate() {
                            *sum = L::fma(x, L::load(turned.add(g * LANES * LANES + c * LANES)), *sum);
                        }
                    }
                    k += LANES;
                }
                for (g, sum) in sums.into_iter().enumerate() {
                    let n = lanes.saturating_sub(g * LANES).min(LANES);
                    if n > 0 {
                        let to = py.add(o + g * LANES);
                        let sum = if add || k0 > 0 { L::add(L::load_n(to, n), sum) } else { sum };
                        L::store_n(to, n, sum);
                    }
                }
                k0 += K_BLOCK;
            }
            o += WIDE;
        }
    }

    /// scores[i] = q · key i; the keys are `stride` numbers apart.
    fn scores_of<L>(q: &[f32], keys: &[f32], stride: usize, scores: &mut [f32]) {
        let (positions, width) = (scores.len(), q.len());
        assert!(positions == 0 || (positions - 1) * stride + width <= keys.len());
        let (pq, pk, ps) = (q.as_ptr(), keys.as_ptr(), scores.as_mut_ptr());
        let mut i = 0;
        while i + BESIDE <= positions {
            let mut sums = [L::splat(0.0); BESIDE];
            sweep!(width, |at, N| {
                let q = L::load_n(pq.add(at), N);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = L::fma(q, L::load_n(pk.add((i + r) * stride + at), N), *sum);
                }
            });
            for (r, sum) in sums.into_iter().enumerate() {
                *ps.add(i + r) = L::sum(sum);
            }
            i += BESIDE;
        }
        while i < positions {
            let mut sum = L::splat(0.0);
            sweep!(width, |at, N| {
                sum = L::fma(L::load_n(pq.add(at), N), L::load_n(pk.add(i * stride + at), N), sum);
            });
            *ps.add(i) = L::sum(sum);
            i += 1;
        }
    }

    /// y = Σ weights[i] / total · value i; the values are `stride` numbers apart.
    fn mixed<L>(weights: &[f32], total: f32, values: &[f32], stride: usize, y: &mut [f32]) {
        let (positions, width) = (weights.len(), y.len());
        assert!(positions == 0 || (positions - 1) * stride + width <= values.len());
        let (pv, py) = (values.as_ptr(), y.as_mut_ptr());
        sweep!(width, |at, N| {
            let mut sum = L::splat(0.0);
            for (i, weight) in weights.iter().enumerate() {
                let value = L::load_n(pv.add(i * stride + at), N);
                sum = L::fma(value, L::splat(weight / total), sum);
            }
            L::store_n(py.add(at), N, sum);
        });
    }
}

/// Outputs per task.
fn piece(compute: &Compute, outputs: usize, inner: usize) -> usize {
    match outputs * inner {
        0..SMALL => outputs,
        _ => outputs
            .div_ceil(SHARES * compute.pool.threads())
            .next_multiple_of(WIDE),
    }
}

/// y (n rows) = x Wᵀ for few rows, one dot product per element.
pub fn few_rows(compute: &Compute, x: &[f32], w: &[f32], inner: usize, y: &mut [f32]) {
    each_row(compute, x, w, inner, y, &|x, w, y| {
        dots(compute.isa, x, w, y)
    });
}

/// y (n rows) = x Wᵀ, or y += x Wᵀ with `add`, for few rows: the bits of [`super::gemm`].
pub fn few_chains(compute: &Compute, x: &[f32], w: &[f32], inner: usize, y: &mut [f32], add: bool) {
    each_row(compute, x, w, inner, y, &|x, w, y| {
        chains(compute.isa, x, w, y, add)
    });
}

/// Multiplies one row of `x` by rows of weights into a row of `y`.
type Product<'a> = dyn Fn(&[f32], &[f32], &mut [f32]) + Sync + 'a;

fn each_row(
    compute: &Compute,
    x: &[f32],
    w: &[f32],
    inner: usize,
    y: &mut [f32],
    product: &Product<'_>,
) {
    let outputs = w.len() / inner;
    assert_eq!(y.len(), x.len() / inner * outputs);
    let piece = piece(compute, outputs, inner);
    for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(outputs)) {
        compute.rows(outputs, piece, [(y, 1)], &|part, [y]| {
            product(x, &w[part.start * inner..part.end * inner], y);
        });
    }
}

/// One position of attention for generation: the rotated query heads `q` against the keys and values of `positions`
/// positions; each row of the caches holds `kv_heads` heads. Writes `y`.
pub fn attend_one(
    isa: Isa,
    shape: AttentionShape,
    q: &[f32],
    [keys, values]: [&[f32]; 2],
    positions: usize,
    y: &mut [f32],
) {
    let AttentionShape {
        head_dim,
        kv_heads,
        heads,
        ..
    } = shape;
    let stride = kv_heads * head_dim;
    let mut scores = Scratch::new(positions);
    let each = q.chunks_exact(head_dim).zip(y.chunks_exact_mut(head_dim));
    for (head, (q, y)) in each.enumerate() {
        let kv = head / (heads / kv_heads) * head_dim;
        scores_of(isa, q, &keys[kv..], stride, &mut scores);
        let c = shape.scale();
        let top = row_max(isa, &scores) * c;
        let sum = exp_row(isa, &mut scores, c, top);
        mixed(isa, &scores, sum, &values[kv..], stride, y);
    }
}
