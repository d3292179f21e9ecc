//! Causal attention over rows of queries, keys and values, with rotary positions, grouped key/value heads and
//! dropout.
//!
//! Probabilities exist only for [`BLOCK`] rows of one head at a time: the forward pass keeps the logarithm of
//! each row's sum of exponentials, from which the backward pass recomputes the probabilities. One task is one
//! key/value head of one sequence, with all its query heads.
//!
//! Shapes in the comments: B sequences of T positions, H query heads and K key/value heads of Dh numbers; all
//! arrays are dense and row-major.

use super::gemm::{Output, Raw, Sizes, product};
use super::rows::{dot, exp_row, multiply, rope, row_max, scale, score_gradient};
use super::{Compute, Isa, Scratch, SharedSlice};

/// Rows of scores held at once.
const BLOCK: usize = 64;

/// Sizes of an attention layer. A row of queries, keys and values holds `heads` queries, then `kv_heads` keys, then `kv_heads` values.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Positions of each.
    pub seq: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
}

impl AttentionShape {
    /// Numbers in a row of queries, keys and values.
    pub fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.head_dim
    }

    /// Numbers in a row of the output.
    pub fn dim(&self) -> usize {
        self.heads * self.head_dim
    }

    fn rows(&self) -> usize {
        self.batch * self.seq
    }

    pub(crate) fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }
}

/// Cosines (each twice) and sines (−sin, +sin) of the rotary angles, one row of `head_dim` numbers per position.
#[derive(Clone, Debug)]
pub struct RopeTable {
    cos: Vec<f32>,
    sin: Vec<f32>,
    head_dim: usize,
}

impl RopeTable {
    /// From tables with one cosine and one sine per pair, `half` pairs per position.
    pub fn new(half: usize, cos: &[f32], sin: &[f32]) -> Self {
        Self {
            cos: cos.iter().flat_map(|&c| [c, c]).collect(),
            sin: sin.iter().flat_map(|&s| [-s, s]).collect(),
            head_dim: 2 * half,
        }
    }

    /// Rotates one head at `position` (back with `sign` −1).
    pub fn turn(&self, isa: Isa, x: &mut [f32], position: usize, sign: f32) {
        let at = position * self.head_dim..(position + 1) * self.head_dim;
        rope(isa, x, &self.cos[at.clone()], &self.sin[at], sign);
    }
}

/// Fills a range of dropout factors (0 or 1/(1 − p)), given the index of its first element; element (sequence,
/// head, i, j) of the probabilities has the index ((sequence · heads + head) · seq + i) · seq + j.
pub type Factors<'a> = &'a (dyn Fn(u64, &mut [f32]) + Sync);

/// Rotates queries and keys of `qkv` in place, and writes the attention output to `y` and each row's
/// log-sum-exp to `lse`.
///
/// `qkv`: (B T, (H + 2 K) Dh); `y`: (B T, H Dh); `lse`: (B, H, T).
pub fn attention(
    compute: &Compute,
    shape: AttentionShape,
    qkv: &mut [f32],
    rope: Option<&RopeTable>,
    dropout: Option<Factors<'_>>,
    y: &mut [f32],
    lse: &mut [f32],
) {
    assert_eq!(qkv.len(), shape.rows() * shape.width());
    assert_eq!(y.len(), shape.rows() * shape.dim());
    assert_eq!(lse.len(), shape.rows() * shape.heads);
    let (qkv, y, lse) = (
        SharedSlice::new(qkv),
        SharedSlice::new(y),
        SharedSlice::new(lse),
    );
    let isa = compute.isa;
    compute.pool.run(shape.batch * shape.kv_heads, &|task| {
        let place = Place::new(shape, task);
        // SAFETY: a task touches only the columns of its own key/value head and query heads, in the rows of its sequence.
        unsafe {
            if let Some(table) = rope {
                place.turn(isa, table, &qkv, 1.0);
            }
            for head in place.heads() {
                place.forward(isa, head, &qkv, dropout, &y, &lse);
            }
        }
    });
}

/// Inputs and outputs of [`attention`], for [`attention_backward`].
#[derive(Clone, Copy)]
pub struct AttentionSaved<'a> {
    /// Rotated queries and keys, and values: (B T, (H + 2 K) Dh).
    pub qkv: &'a [f32],
    /// The output: (B T, H Dh).
    pub y: &'a [f32],
    /// Log-sum-exps: (B, H, T).
    pub lse: &'a [f32],
}

/// Writes the gradient of the unrotated queries, keys and values to `gqkv`, given that of the output.
///
/// `gy`: (B T, H Dh); `gqkv`: (B T, (H + 2 K) Dh).
pub fn attention_backward(
    compute: &Compute,
    shape: AttentionShape,
    saved: AttentionSaved<'_>,
    rope: Option<&RopeTable>,
    dropout: Option<Factors<'_>>,
    gy: &[f32],
    gqkv: &mut [f32],
) {
    assert_eq!(saved.qkv.len(), shape.rows() * shape.width());
    assert_eq!(saved.y.len(), shape.rows() * shape.dim());
    assert_eq!(saved.lse.len(), shape.rows() * shape.heads);
    assert_eq!((gy.len(), gqkv.len()), (saved.y.len(), saved.qkv.len()));
    let gqkv = SharedSlice::new(gqkv);
    let isa = compute.isa;
    compute.pool.run(shape.batch * shape.kv_heads, &|task| {
        let place = Place::new(shape, task);
        // SAFETY: as in `attention`: each task writes its own columns.
        unsafe {
            for (number, head) in place.heads().enumerate() {
                place.backward(isa, head, number == 0, saved, dropout, gy, &gqkv);
            }
            if let Some(table) = rope {
                place.turn(isa, table, &gqkv, -1.0);
            }
        }
    });
}

/// One key/value head of one sequence.
struct Place {
    shape: AttentionShape,
    sequence: usize,
    kv: usize,
}

impl Place {
    fn new(shape: AttentionShape, task: usize) -> Self {
        Self {
            shape,
            sequence: task / shape.kv_heads,
            kv: task % shape.kv_heads,
        }
    }

    /// The query heads that use this key/value head.
    fn heads(&self) -> std::ops::Range<usize> {
        let group = self.shape.heads / self.shape.kv_heads;
        self.kv * group..(self.kv + 1) * group
    }

    /// Offset of column block `block` (of `head_dim` columns) of row `i` in rows of queries, keys and values.
    fn at(&self, i: usize, block: usize) -> usize {
        (self.sequence * self.shape.seq + i) * self.shape.width() + block * self.shape.head_dim
    }

    /// Offset of a head in row `i` of the output.
    fn out(&self, i: usize, head: usize) -> usize {
        (self.sequence * self.shape.seq + i) * self.shape.dim() + head * self.shape.head_dim
    }

    fn key(&self) -> usize {
        self.shape.heads + self.kv
    }

    fn value(&self) -> usize {
        self.shape.heads + self.shape.kv_heads + self.kv
    }

    /// Index of the first log-sum-exp of a head; times `seq`, that of its first probability.
    fn row(&self, head: usize) -> usize {
        (self.sequence * self.shape.heads + head) * self.shape.seq
    }

    /// Rotates the query heads and the key of every row.
    unsafe fn turn(&self, isa: Isa, table: &RopeTable, x: &SharedSlice<'_>, sign: f32) {
        for i in 0..self.shape.seq {
            for block in self.heads().chain([self.key()]) {
                let at = self.at(i, block);
                // SAFETY: the columns belong to this task.
                let part = unsafe { x.part(at..at + self.shape.head_dim) };
                table.turn(isa, part, i, sign);
            }
        }
    }

    unsafe fn forward(
        &self,
        isa: Isa,
        head: usize,
        qkv: &SharedSlice<'_>,
        dropout: Option<Factors<'_>>,
        y: &SharedSlice<'_>,
        lse: &SharedSlice<'_>,
    ) {
        let AttentionShape { seq, head_dim, .. } = self.shape;
        let (width, dim, c) = (self.shape.width(), self.shape.dim(), self.shape.scale());
        let mut scores = Scratch::new(BLOCK * seq);
        let mut factors = Scratch::new(if dropout.is_some() { seq } else { 0 });
        // SAFETY: all offsets are inside the slices, whose lengths `attention` checked; only this task uses these columns and rows.
        unsafe {
            let base = qkv.start().cast_const();
            let rows = |i: usize, block: usize| Raw {
                at: base.add(self.at(i, block)),
                row: width,
                column: 1,
            };
            let (keys, values) = (rows(0, self.key()), rows(0, self.value()));
            for q0 in (0..seq).step_by(BLOCK) {
                let m = BLOCK.min(seq - q0);
                let n = q0 + m;
                alone(
                    isa,
                    [m, n, head_dim],
                    rows(q0, head),
                    transposed(keys),
                    output(scores.as_mut_ptr(), n, false),
                );
                for (i, row) in scores[..m * n].chunks_exact_mut(n).enumerate() {
                    let (seen, rest) = row.split_at_mut(q0 + i + 1);
                    let top = row_max(isa, seen) * c;
                    let sum = exp_row(isa, seen, c, top);
                    scale(isa, seen, 1.0 / sum);
                    rest.fill(0.0);
                    let at = self.row(head) + q0 + i;
                    lse.part(at..at + 1)[0] = top + libm::logf(sum);
                    if let Some(fill) = dropout {
                        let factors = &mut factors[..seen.len()];
                        fill((at * seq) as u64, factors);
                        multiply(isa, seen, factors);
                    }
                }
                let probabilities = dense(scores.as_ptr(), n);
                let to = output(y.start().add(self.out(q0, head)), dim, false);
                alone(isa, [m, head_dim, n], probabilities, values, to);
            }
        }
    }

    /// Turns scores into probabilities by the log-sum-exps. With dropout, the third part of `block` gets the
    /// probabilities after dropout, and dropped elements of the second, their gradients, become 0.
    fn probabilities(
        &self,
        isa: Isa,
        head: usize,
        q0: usize,
        lse: &[f32],
        dropout: Option<Factors<'_>>,
        [scores, slopes, used]: &mut [&mut [f32]; 3],
    ) {
        let (seq, c) = (self.shape.seq, self.shape.scale());
        let n = q0 + BLOCK.min(seq - q0);
        for (i, row) in scores.chunks_exact_mut(n).enumerate() {
            let (seen, at) = (q0 + i + 1, self.row(head) + q0 + i);
            exp_row(isa, &mut row[..seen], c, lse[at]);
            row[seen..].fill(0.0);
            if let Some(fill) = dropout {
                let used = &mut used[i * n..(i + 1) * n];
                fill((at * seq) as u64, &mut used[..seen]);
                used[seen..].fill(0.0);
                multiply(isa, &mut slopes[i * n..(i + 1) * n], used);
                multiply(isa, used, row);
            }
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a head has, and where its gradients go"
    )]
    unsafe fn backward(
        &self,
        isa: Isa,
        head: usize,
        first: bool,
        saved: AttentionSaved<'_>,
        dropout: Option<Factors<'_>>,
        gy: &[f32],
        gqkv: &SharedSlice<'_>,
    ) {
        let AttentionShape { seq, head_dim, .. } = self.shape;
        let (width, dim, c) = (self.shape.width(), self.shape.dim(), self.shape.scale());
        let (mut scores, mut slopes) = (Scratch::new(BLOCK * seq), Scratch::new(BLOCK * seq));
        let mut factors = Scratch::new(if dropout.is_some() { BLOCK * seq } else { 0 });
        // SAFETY: as in `forward`; the gradients' columns belong to this task.
        unsafe {
            let rows = |i: usize, block: usize| Raw {
                at: saved.qkv.as_ptr().add(self.at(i, block)),
                row: width,
                column: 1,
            };
            let target = |i: usize, block: usize, add: bool| {
                output(gqkv.start().add(self.at(i, block)), width, add)
            };
            let (keys, values) = (rows(0, self.key()), rows(0, self.value()));
            // The last block first: it writes the gradients of all keys and values, the others add to them.
            for (step, q0) in (0..seq).step_by(BLOCK).rev().enumerate() {
                let m = BLOCK.min(seq - q0);
                let n = q0 + m;
                let add = step > 0 || !first;
                let gradient = Raw {
                    at: gy.as_ptr().add(self.out(q0, head)),
                    row: dim,
                    column: 1,
                };
                let queries = rows(q0, head);
                alone(
                    isa,
                    [m, n, head_dim],
                    queries,
                    transposed(keys),
                    output(scores.as_mut_ptr(), n, false),
                );
                alone(
                    isa,
                    [m, n, head_dim],
                    gradient,
                    transposed(values),
                    output(slopes.as_mut_ptr(), n, false),
                );
                let block = &mut [&mut scores[..m * n], &mut slopes[..m * n], &mut factors[..]];
                self.probabilities(isa, head, q0, saved.lse, dropout, block);
                let used = if dropout.is_some() {
                    factors.as_ptr()
                } else {
                    scores.as_ptr()
                };
                alone(
                    isa,
                    [n, head_dim, m],
                    transposed(dense(used, n)),
                    gradient,
                    target(0, self.value(), add),
                );
                for i in 0..m {
                    let out = self.out(q0 + i, head);
                    let part = out..out + head_dim;
                    let d = dot(isa, &gy[part.clone()], &saved.y[part]);
                    score_gradient(
                        isa,
                        &scores[i * n..(i + 1) * n],
                        &mut slopes[i * n..(i + 1) * n],
                        d,
                        c,
                    );
                }
                let slopes = dense(slopes.as_ptr(), n);
                alone(
                    isa,
                    [n, head_dim, m],
                    transposed(slopes),
                    queries,
                    target(0, self.key(), add),
                );
                alone(isa, [m, head_dim, n], slopes, keys, target(q0, head, false));
            }
        }
    }
}

/// A product on this thread.
///
/// # Safety
/// That of [`product`].
unsafe fn alone(isa: Isa, [m, n, k]: [usize; 3], a: Raw, b: Raw, c: Output) {
    // SAFETY: guaranteed by the caller.
    unsafe { product((isa, None), None, Sizes { m, n, k }, a, b, c) }
}

fn transposed(x: Raw) -> Raw {
    Raw {
        row: x.column,
        column: x.row,
        ..x
    }
}

fn dense(at: *const f32, columns: usize) -> Raw {
    Raw {
        at,
        row: columns,
        column: 1,
    }
}

fn output(at: *mut f32, row: usize, add: bool) -> Output {
    Output { at, row, add }
}
