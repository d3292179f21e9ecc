//! Row kernels over all rows and threads: embedding, norms, element-wise operations, column sums, AdamW.

use super::rows::{
    AdamwNumbers, adamw, add_to, dot, gelu, gelu_backward, layer_norm, layer_norm_backward,
    multiply, rms_norm, rms_norm_backward, scale, swiglu, swiglu_backward,
};
use super::{Compute, Factors, PARTIAL_ROWS, Scratch};

/// Numbers per task of element-wise work.
const PIECE: usize = 1 << 14;
/// Rows per task of row-wise work.
const ROWS: usize = 16;

/// y[r] ← table[ids[r]] (+ positions.0[positions.1[r]] if given); `table`: (ids, d), `positions.0`: (positions,
/// d), `y`: (n, d).
pub fn embed(
    compute: &Compute,
    ids: &[u32],
    table: &[f32],
    positions: Option<(&[f32], &[u32])>,
    y: &mut [f32],
) {
    let dim = y.len() / ids.len().max(1);
    compute.rows(ids.len(), ROWS, [(y, dim)], &|rows, [y]| {
        for (y, r) in y.chunks_exact_mut(dim).zip(rows) {
            let id = ids[r] as usize;
            y.copy_from_slice(&table[id * dim..(id + 1) * dim]);
            if let Some((positions, at)) = positions {
                let at = at[r] as usize * dim;
                add_to(compute.isa, y, &positions[at..at + dim]);
            }
        }
    });
}

/// gtable[ids[r]] += gy[r], in the order of the rows; `gy`: (n, d), `gtable`: (ids, d).
pub fn embed_backward(compute: &Compute, ids: &[u32], gy: &[f32], gtable: &mut [f32]) {
    let dim = gy.len() / ids.len().max(1);
    // Threads divide the rows of the table by id, so that no two write the same row.
    let lanes = compute.pool.threads();
    let table_rows = gtable.len() / dim.max(1);
    let share = table_rows.div_ceil(lanes).max(1);
    compute.rows(table_rows, share, [(gtable, dim)], &|rows, [gtable]| {
        for (&id, gy) in ids.iter().zip(gy.chunks_exact(dim)) {
            let id = id as usize;
            if rows.contains(&id) {
                let at = (id - rows.start) * dim;
                add_to(compute.isa, &mut gtable[at..at + dim], gy);
            }
        }
    });
}

/// A norm over rows: its weight, its bias (LayerNorm only; may be empty), its epsilon.
#[derive(Clone, Copy)]
pub struct Norm<'a> {
    /// LayerNorm; otherwise RMSNorm.
    pub centred: bool,
    /// Weight: (d).
    pub weight: &'a [f32],
    /// Bias: (d), or empty for none.
    pub bias: &'a [f32],
    /// Epsilon.
    pub eps: f32,
}

/// Normalises each row of x (n, d) into y (n, d); `stats` (n, 2) gets (mean, 1/deviation) of each row.
pub fn norm(compute: &Compute, norm: Norm<'_>, x: &[f32], y: &mut [f32], stats: &mut [f32]) {
    let dim = norm.weight.len();
    let n = x.len() / dim;
    assert_eq!(stats.len(), 2 * n);
    compute.rows(n, ROWS, [(y, dim), (stats, 2)], &|rows, [y, stats]| {
        for ((r, y), stats) in rows
            .zip(y.chunks_exact_mut(dim))
            .zip(stats.chunks_exact_mut(2))
        {
            let x = &x[r * dim..(r + 1) * dim];
            let (mean, r) = if norm.centred {
                layer_norm(compute.isa, x, norm.weight, norm.bias, y, norm.eps)
            } else {
                (0.0, rms_norm(compute.isa, x, norm.weight, y, norm.eps))
            };
            stats.copy_from_slice(&[mean, r]);
        }
    });
}

/// The gradients that [`norm_backward`] adds to: of x, of the weight, of the bias (empty for none).
pub struct NormGradients<'a> {
    /// Of x: (n, d).
    pub x: &'a mut [f32],
    /// Of the weight: (d).
    pub weight: &'a mut [f32],
    /// Of the bias: (d), or empty.
    pub bias: &'a mut [f32],
}

/// Adds the gradients of a norm to `to`, given that of its output `gy` (n, d), its input `x` (n, d) and `stats`
/// (n, 2).
pub fn norm_backward(
    compute: &Compute,
    norm: Norm<'_>,
    x: &[f32],
    stats: &[f32],
    gy: &[f32],
    to: NormGradients<'_>,
) {
    let dim = norm.weight.len();
    let n = x.len() / dim;
    let parts = n.div_ceil(PARTIAL_ROWS);
    let bias_dim = to.bias.len();
    let (mut weights, mut biases) = (Scratch::new(parts * dim), Scratch::new(parts * bias_dim));
    let group = PARTIAL_ROWS * dim;
    let outputs = [
        (to.x, group),
        (&mut weights[..], dim),
        (&mut biases[..], bias_dim),
    ];
    compute.rows(parts, 1, outputs, &|part, [gx, gw, gb]| {
        gw.fill(0.0);
        gb.fill(0.0);
        for (i, gx) in gx.chunks_exact_mut(dim).enumerate() {
            let r = part.start * PARTIAL_ROWS + i;
            let row = r * dim..(r + 1) * dim;
            let (x, gy) = (&x[row.clone()], &gy[row]);
            let (mean, inverse) = (stats[2 * r], stats[2 * r + 1]);
            if norm.centred {
                layer_norm_backward(compute.isa, x, norm.weight, gy, gx, gw, gb, mean, inverse);
            } else {
                rms_norm_backward(compute.isa, x, norm.weight, gy, gx, gw, inverse);
            }
        }
    });
    for part in weights.chunks_exact(dim) {
        add_to(compute.isa, to.weight, part);
    }
    if bias_dim > 0 {
        for part in biases.chunks_exact(bias_dim) {
            add_to(compute.isa, to.bias, part);
        }
    }
}

/// y (n, d) ← y + bias (d) in every row.
pub fn add_bias(compute: &Compute, bias: &[f32], y: &mut [f32]) {
    let dim = bias.len();
    compute.rows(y.len() / dim, ROWS, [(y, dim)], &|_, [y]| {
        y.chunks_exact_mut(dim)
            .for_each(|y| add_to(compute.isa, y, bias));
    });
}

/// gbias += Σ over rows of columns `column..column + gbias.len()` of gy, whose rows have `stride` numbers.
pub fn column_sums(compute: &Compute, gy: &[f32], [stride, column]: [usize; 2], gbias: &mut [f32]) {
    let dim = gbias.len();
    let parts = (gy.len() / stride).div_ceil(PARTIAL_ROWS);
    let mut sums = Scratch::new(parts * dim);
    compute.rows(parts, 1, [(&mut sums[..], dim)], &|part, [sum]| {
        sum.fill(0.0);
        let from = part.start * PARTIAL_ROWS * stride;
        let to = (from + PARTIAL_ROWS * stride).min(gy.len());
        for row in gy[from..to].chunks_exact(stride) {
            add_to(compute.isa, sum, &row[column..column + dim]);
        }
    });
    for part in sums.chunks_exact(dim) {
        add_to(compute.isa, gbias, part);
    }
}

/// y ← y + x
pub fn add_all(compute: &Compute, y: &mut [f32], x: &[f32]) {
    compute.rows(y.len(), PIECE, [(y, 1)], &|part, [y]| {
        add_to(compute.isa, y, &x[part])
    });
}

/// y ← x
pub fn copy_all(compute: &Compute, y: &mut [f32], x: &[f32]) {
    compute.rows(y.len(), PIECE, [(y, 1)], &|part, [y]| {
        y.copy_from_slice(&x[part])
    });
}

/// x ← c·x
pub fn scale_all(compute: &Compute, x: &mut [f32], c: f32) {
    compute.rows(x.len(), PIECE, [(x, 1)], &|_, [x]| scale(compute.isa, x, c));
}

/// x ← x · dropout factors
pub fn drop_all(compute: &Compute, x: &mut [f32], fill: Factors<'_>) {
    compute.rows(x.len(), PIECE, [(x, 1)], &|part, [x]| {
        let mut factors = Scratch::new(x.len());
        fill(part.start as u64, &mut factors);
        multiply(compute.isa, x, &factors);
    });
}

/// y (n, hidden) ← silu(gate) · up, for rows of concatenated gate and up, (n, 2 hidden).
pub fn swiglu_rows(compute: &Compute, both: &[f32], hidden: usize, y: &mut [f32]) {
    assert_eq!(both.len(), 2 * y.len());
    compute.rows(y.len() / hidden, ROWS, [(y, hidden)], &|rows, [y]| {
        for (y, r) in y.chunks_exact_mut(hidden).zip(rows) {
            let (gate, up) = both[2 * r * hidden..2 * (r + 1) * hidden].split_at(hidden);
            swiglu(compute.isa, gate, up, y);
        }
    });
}

/// Replaces rows of gate and up (n, 2 hidden) by their gradients, given that of the output, `gy` (n, hidden).
pub fn swiglu_rows_backward(compute: &Compute, both: &mut [f32], hidden: usize, gy: &[f32]) {
    assert_eq!(both.len(), 2 * gy.len());
    let n = gy.len() / hidden;
    compute.rows(n, ROWS, [(both, 2 * hidden)], &|rows, [both]| {
        for (both, r) in both.chunks_exact_mut(2 * hidden).zip(rows) {
            let (gate, up) = both.split_at_mut(hidden);
            swiglu_backward(compute.isa, gate, up, &gy[r * hidden..(r + 1) * hidden]);
        }
    });
}

/// y ← x·Φ(x)
pub fn gelu_all(compute: &Compute, x: &[f32], y: &mut [f32]) {
    compute.rows(y.len(), PIECE, [(y, 1)], &|part, [y]| {
        gelu(compute.isa, &x[part], y)
    });
}

/// Replaces x by its gradient, given that of the output, `gy`.
pub fn gelu_backward_all(compute: &Compute, x: &mut [f32], gy: &[f32]) {
    compute.rows(x.len(), PIECE, [(x, 1)], &|part, [x]| {
        gelu_backward(compute.isa, x, &gy[part])
    });
}

/// One step of AdamW on parameters, gradient and both moments, all of one length; the gradient is 0 afterwards.
pub fn adamw_all(compute: &Compute, [p, g, m, v]: [&mut [f32]; 4], step: &AdamwNumbers) {
    let n = p.len();
    compute.rows(n, PIECE, [(p, 1), (g, 1), (m, 1), (v, 1)], &|_,
                                                               [
        p,
        g,
        m,
        v,
    ]| {
        adamw(compute.isa, p, g, m, v, step);
    });
}

/// Σ x², computed in f32 for each piece; the sums of the pieces are added in order in f64.
pub fn square_sum(compute: &Compute, x: &[f32]) -> f64 {
    const PART: usize = 1 << 12;
    let parts = x.len().div_ceil(PART);
    let mut sums = Scratch::new(parts);
    compute.rows(parts, 4, [(&mut sums[..], 1)], &|part, [sums]| {
        for (i, sum) in part.zip(sums) {
            let piece = &x[i * PART..((i + 1) * PART).min(x.len())];
            *sum = dot(compute.isa, piece, piece);
        }
    });
    sums.iter().map(|&s| f64::from(s)).sum()
}
