//! Products and attention for a few rows, as computed for each new token in generation. Each weight is read
//! once, from start to end, so memory bandwidth is the only limit; nothing is allocated.

use super::gemm::{K_BLOCK, pack};
use super::isa::kernels;
use super::lanes::{LANES, Lanes};
use super::rows::{exp_row, row_max, sweep};
use super::{AttentionShape, Compute, Scratch};

/// Outputs of a panel, for [`chains`].
pub(crate) const WIDE: usize = 4 * LANES;
/// Keys read in parallel.
const BESIDE: usize = 8;
/// Size of a weight below which waking a second thread does not pay off.
const SMALL: usize = 1 << 16;
/// Tasks per thread: a thread without a core leaves its share to the others.
const SHARES: usize = 4;

kernels! {
    /// y[o] = Σ x·w[o] over the rows of w, each with the bits of `dot`.
    fn dots<L>(x: &[f32], w: &[f32], y: &mut [f32]) {
        let inner = x.len();
        assert_eq!(w.len(), inner * y.len());
        let (px, pw, py) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
        for o in 0..y.len() {
            let row = pw.add(o * inner);
            let mut sum = L::splat(0.0);
            sweep!(inner, |i, N| {
                sum = L::fma(L::load_n(px.add(i), N), L::load_n(row.add(i), N), sum);
            });
            *py.add(o) = L::sum(sum);
        }
    }

    /// y[o] = Σ x·w[o], or y[o] += Σ x·w[o] with `add`, each with the bits of a matrix product: one chain of
    /// multiply-adds per [`K_BLOCK`]. The chains of a panel run in parallel.
    fn chains<L>(x: &[f32], panels: &[f32], y: &mut [f32], add: bool) {
        let inner = x.len();
        assert_eq!(panels.len(), inner * y.len().next_multiple_of(LANES));
        for (w, y) in panels.chunks(WIDE * inner).zip(y.chunks_mut(WIDE)) {
            match y.len().div_ceil(LANES) {
                4 => panel::<L, 4>(x, w, y, add),
                3 => panel::<L, 3>(x, w, y, add),
                2 => panel::<L, 2>(x, w, y, add),
                _ => panel::<L, 1>(x, w, y, add),
            }
        }
    }

    /// Transposes up to [`WIDE`] rows of a weight into a panel: all outputs of the first input, of the second, and so on.
    fn transpose<L>(rows: &[f32], inner: usize, panel: &mut [f32]) {
        let width = panel.len() / inner;
        assert!(width * inner == panel.len() && rows.len() <= panel.len());
        pack::<L>(rows.as_ptr(), [inner, 1], rows.len() / inner, inner, panel.as_mut_ptr(), width);
    }

    /// scores[i] = q · key i; the keys are stored one after another.
    fn scores_of<L>(q: &[f32], keys: &[f32], scores: &mut [f32]) {
        let (positions, width) = (scores.len(), q.len());
        assert_eq!(keys.len(), positions * width);
        let (pq, pk, ps) = (q.as_ptr(), keys.as_ptr(), scores.as_mut_ptr());
        let mut i = 0;
        while i + BESIDE <= positions {
            let mut sums = [L::splat(0.0); BESIDE];
            sweep!(width, |at, N| {
                let q = L::load_n(pq.add(at), N);
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = L::fma(q, L::load_n(pk.add((i + r) * width + at), N), *sum);
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
                sum = L::fma(L::load_n(pq.add(at), N), L::load_n(pk.add(i * width + at), N), sum);
            });
            *ps.add(i) = L::sum(sum);
            i += 1;
        }
    }

    /// y = Σ weights[i] / total · value i; the values are stored one after another. The weights become those
    /// quotients.
    fn mixed<L>(weights: &mut [f32], total: f32, values: &[f32], y: &mut [f32]) {
        let width = y.len();
        assert_eq!(values.len(), weights.len() * width);
        let pw = weights.as_mut_ptr();
        sweep!(weights.len(), |i, N| {
            L::store_n(pw.add(i), N, L::div(L::load_n(pw.add(i), N), L::splat(total)));
        });
        for (part, y) in y.chunks_mut(WIDE).enumerate() {
            let values = values.as_ptr().wrapping_add(part * WIDE);
            match y.len().div_ceil(LANES) {
                4 => mix::<L, 4>(weights, values, width, y),
                3 => mix::<L, 3>(weights, values, width, y),
                2 => mix::<L, 2>(weights, values, width, y),
                _ => mix::<L, 1>(weights, values, width, y),
            }
        }
    }
}

/// y = Σ weights[i] · value i, with G vectors per value; consecutive values begin `stride` numbers apart.
#[inline(always)]
unsafe fn mix<L: Lanes, const G: usize>(
    weights: &[f32],
    values: *const f32,
    stride: usize,
    y: &mut [f32],
) {
    let (y, width) = (y.as_mut_ptr(), y.len());
    let lanes = |g: usize| (width - g * LANES).min(LANES);
    // SAFETY: the caller's contract: each value has as many numbers as `y`, and the last of the G vectors
    // contains at least one.
    unsafe {
        let mut sums = [L::splat(0.0); G];
        for (i, &weight) in weights.iter().enumerate() {
            let (value, weight) = (values.add(i * stride), L::splat(weight));
            for (g, sum) in sums.iter_mut().enumerate() {
                let value = value.add(g * LANES);
                let value = match g + 1 < G {
                    true => L::load(value),
                    false => L::load_n(value, lanes(g)),
                };
                *sum = L::fma(value, weight, *sum);
            }
        }
        for (g, sum) in sums.into_iter().enumerate() {
            L::store_n(y.add(g * LANES), lanes(g), sum);
        }
    }
}

/// The sums of one panel of G vectors.
#[inline(always)]
unsafe fn panel<L: Lanes, const G: usize>(x: &[f32], w: &[f32], y: &mut [f32], add: bool) {
    let (mut w, y, outputs) = (w.as_ptr(), y.as_mut_ptr(), y.len());
    let lanes = |g: usize| (outputs - g * LANES).min(LANES);
    // SAFETY: the caller's contract: the panel holds G vectors for each of `x`, and the last of them contains
    // at least one output.
    unsafe {
        let mut all: [L::V; G] = std::array::from_fn(|g| L::load_n(y.add(g * LANES), lanes(g)));
        for (number, x) in x.chunks(K_BLOCK).enumerate() {
            let mut sums = [L::splat(0.0); G];
            for &x in x {
                let x = L::splat(x);
                for (g, sum) in sums.iter_mut().enumerate() {
                    *sum = L::fma(x, L::load(w.add(g * LANES)), *sum);
                }
                w = w.add(G * LANES);
            }
            for (all, sum) in all.iter_mut().zip(sums) {
                *all = if add || number > 0 {
                    L::add(*all, sum)
                } else {
                    sum
                };
            }
        }
        for (g, all) in all.into_iter().enumerate() {
            L::store_n(y.add(g * LANES), lanes(g), all);
        }
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

/// y (n, outputs) = x (n, `inner`) · Wᵀ for few rows, one dot product per element; `w`: (outputs, `inner`).
pub fn few_rows(compute: &Compute, x: &[f32], w: &[f32], inner: usize, y: &mut [f32]) {
    each_row(compute, x, w, inner, y, &|x, w, y| {
        dots(compute.isa, x, w, y)
    });
}

/// y (n, outputs) = x (n, `inner`) · Wᵀ, or y += x · Wᵀ with `add`, for few rows: the same bits as
/// [`super::gemm`]. `panels` are those of [`super::Prepacked`].
pub fn few_chains(
    compute: &Compute,
    x: &[f32],
    panels: &[f32],
    inner: usize,
    y: &mut [f32],
    add: bool,
) {
    each_row(compute, x, panels, inner, y, &|x, panels, y| {
        chains(compute.isa, x, panels, y, add)
    });
}

/// Multiplies one row of `x` by weights into a row of `y`.
type Product<'a> = dyn Fn(&[f32], &[f32], &mut [f32]) + Sync + 'a;

fn each_row(
    compute: &Compute,
    x: &[f32],
    w: &[f32],
    inner: usize,
    y: &mut [f32],
    product: &Product<'_>,
) {
    let rows = x.len() / inner;
    let outputs = y.len() / rows;
    let piece = piece(compute, outputs, inner);
    for (x, y) in x.chunks_exact(inner).zip(y.chunks_exact_mut(outputs)) {
        compute.rows(outputs, piece, [(y, 1)], &|part, [y]| {
            // The last panel is padded.
            let end = if part.end == outputs {
                w.len()
            } else {
                part.end * inner
            };
            product(x, &w[part.start * inner..end], y);
        });
    }
}

/// Attention of one position in generation: writes to `y` (H, Dh) the attention of the rotated query heads `q`
/// (H, Dh) over the keys and values of the first `positions` positions. Both caches have the shape (K,
/// capacity, Dh).
pub fn attend_one(
    compute: &Compute,
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
    let c = shape.scale();
    let stretch = keys.len() / kv_heads;
    let together = match 2 * heads * positions * head_dim {
        0..SMALL => heads,
        _ => heads.div_ceil(compute.pool.threads()),
    };
    compute.rows(heads, together, [(y, head_dim)], &|part, [y]| {
        let mut scores = Scratch::new(positions);
        for (head, y) in part.zip(y.chunks_exact_mut(head_dim)) {
            let start = head / (heads / kv_heads) * stretch;
            let cached = start..start + positions * head_dim;
            let q = &q[head * head_dim..][..head_dim];
            scores_of(compute.isa, q, &keys[cached.clone()], &mut scores);
            let top = row_max(compute.isa, &scores) * c;
            let sum = exp_row(compute.isa, &mut scores, c, top);
            mixed(compute.isa, &mut scores, sum, &values[cached], y);
        }
    });
}
