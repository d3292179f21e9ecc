//! Kernels on one row (or slice): reductions, exponentials, norms, activations, rotary positions, AdamW.

use super::isa::kernels;
use super::lanes::LANES;
use super::math::{exp, normal, sigmoid};

/// Runs the body for each full vector (`$n` = 16, a compile-time constant) and once more for the rest.
macro_rules! sweep {
    ($len:expr, |$i:ident, $n:ident| $body:block) => {{
        let len = $len;
        let mut $i = 0;
        while $i + LANES <= len {
            const $n: usize = LANES;
            $body
            $i += LANES;
        }
        if $i < len {
            #[allow(non_snake_case, reason = "a constant in the other copy of the body")]
            let $n = len - $i;
            $body
        }
    }};
}

pub(crate) use sweep;

kernels! {
    /// The largest number (−∞ for an empty slice; NaN is skipped).
    fn row_max<L>(x: &[f32]) -> f32 {
        let mut best = L::splat(f32::NEG_INFINITY);
        let p = x.as_ptr();
        sweep!(x.len(), |i, N| {
            best = L::max(L::keep(L::load_n(p.add(i), N), N, best), best);
        });
        L::largest(best)
    }

    /// Σ a·b
    fn dot<L>(a: &[f32], b: &[f32]) -> f32 {
        assert_eq!(a.len(), b.len());
        let (pa, pb) = (a.as_ptr(), b.as_ptr());
        let mut sum = L::splat(0.0);
        sweep!(a.len(), |i, N| {
            sum = L::fma(L::load_n(pa.add(i), N), L::load_n(pb.add(i), N), sum);
        });
        L::sum(sum)
    }

    /// x ← e^(x·scale − shift); returns the sum.
    fn exp_row<L>(x: &mut [f32], scale: f32, shift: f32) -> f32 {
        let p = x.as_mut_ptr();
        let (scale, shift) = (L::splat(scale), L::splat(-shift));
        let mut sum = L::splat(0.0);
        sweep!(x.len(), |i, N| {
            let e = exp::<L>(L::fma(L::load_n(p.add(i), N), scale, shift));
            L::store_n(p.add(i), N, e);
            sum = L::add(sum, L::keep(e, N, L::splat(0.0)));
        });
        L::sum(sum)
    }

    /// Σ e^(x·scale − shift)
    fn exp_sum<L>(x: &[f32], scale: f32, shift: f32) -> f32 {
        let p = x.as_ptr();
        let (scale, shift) = (L::splat(scale), L::splat(-shift));
        let mut sum = L::splat(0.0);
        sweep!(x.len(), |i, N| {
            let e = exp::<L>(L::fma(L::load_n(p.add(i), N), scale, shift));
            sum = L::add(sum, L::keep(e, N, L::splat(0.0)));
        });
        L::sum(sum)
    }

    /// x ← c·x
    fn scale<L>(x: &mut [f32], c: f32) {
        let (p, c) = (x.as_mut_ptr(), L::splat(c));
        sweep!(x.len(), |i, N| { L::store_n(p.add(i), N, L::mul(L::load_n(p.add(i), N), c)); });
    }

    /// y ← y + x
    fn add_to<L>(y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        let (py, px) = (y.as_mut_ptr(), x.as_ptr());
        sweep!(y.len(), |i, N| {
            L::store_n(py.add(i), N, L::add(L::load_n(py.add(i), N), L::load_n(px.add(i), N)));
        });
    }

    /// y ← y + c·x
    fn add_scaled<L>(y: &mut [f32], x: &[f32], c: f32) {
        assert_eq!(y.len(), x.len());
        let (py, px, c) = (y.as_mut_ptr(), x.as_ptr(), L::splat(c));
        sweep!(y.len(), |i, N| {
            L::store_n(py.add(i), N, L::fma(L::load_n(px.add(i), N), c, L::load_n(py.add(i), N)));
        });
    }

    /// y ← y·x
    fn multiply<L>(y: &mut [f32], x: &[f32]) {
        assert_eq!(y.len(), x.len());
        let (py, px) = (y.as_mut_ptr(), x.as_ptr());
        sweep!(y.len(), |i, N| {
            L::store_n(py.add(i), N, L::mul(L::load_n(py.add(i), N), L::load_n(px.add(i), N)));
        });
    }

    /// y ← a·e^(x·scale − shift) + b·x: the gradient of cross-entropy (`a`) with a square term (`b`) over one row of logits.
    fn exp_and_linear<L>(x: &mut [f32], shift: f32, a: f32, b: f32) {
        let p = x.as_mut_ptr();
        let (shift, a, b) = (L::splat(shift), L::splat(a), L::splat(b));
        sweep!(x.len(), |i, N| {
            let v = L::load_n(p.add(i), N);
            let e = exp::<L>(L::sub(v, shift));
            L::store_n(p.add(i), N, L::fma(e, a, L::mul(v, b)));
        });
    }

    /// p ← p·(a·p − b): the gradient of a square loss through a softmax.
    fn square_softmax_gradient<L>(x: &mut [f32], a: f32, b: f32) {
        let p = x.as_mut_ptr();
        let (a, b) = (L::splat(a), L::splat(-b));
        sweep!(x.len(), |i, N| {
            let v = L::load_n(p.add(i), N);
            L::store_n(p.add(i), N, L::mul(v, L::fma(v, a, b)));
        });
    }

    /// RMSNorm: y = x·r·w with r = 1/√(mean x² + eps); returns r.
    fn rms_norm<L>(x: &[f32], w: &[f32], y: &mut [f32], eps: f32) -> f32 {
        assert!(x.len() == w.len() && x.len() == y.len());
        let (px, pw, py) = (x.as_ptr(), w.as_ptr(), y.as_mut_ptr());
        let mut sum = L::splat(0.0);
        sweep!(x.len(), |i, N| {
            let v = L::load_n(px.add(i), N);
            sum = L::fma(v, v, sum);
        });
        let r = 1.0 / (L::sum(sum) / x.len() as f32 + eps).sqrt();
        let rv = L::splat(r);
        sweep!(x.len(), |i, N| {
            let v = L::mul(L::load_n(px.add(i), N), rv);
            L::store_n(py.add(i), N, L::mul(v, L::load_n(pw.add(i), N)));
        });
        r
    }

    /// Backward pass of RMSNorm: adds to the gradients of x and w. `r` is from the forward pass.
    fn rms_norm_backward<L>(x: &[f32], w: &[f32], gy: &[f32], gx: &mut [f32], gw: &mut [f32], r: f32) {
        let n = x.len();
        assert!(n == w.len() && n == gy.len() && n == gx.len() && n == gw.len());
        let (px, pw, pg, pgx, pgw) = (x.as_ptr(), w.as_ptr(), gy.as_ptr(), gx.as_mut_ptr(), gw.as_mut_ptr());
        let mut sum = L::splat(0.0);
        let rv = L::splat(r);
        sweep!(n, |i, N| {
            let t = L::mul(L::load_n(pg.add(i), N), L::load_n(px.add(i), N));
            sum = L::fma(t, L::load_n(pw.add(i), N), sum);
            L::store_n(pgw.add(i), N, L::fma(t, rv, L::load_n(pgw.add(i), N)));
        });
        let c = L::splat(-(L::sum(sum) * r * r * r / n as f32));
        sweep!(n, |i, N| {
            let t = L::mul(L::mul(L::load_n(pg.add(i), N), L::load_n(pw.add(i), N)), rv);
            let t = L::fma(L::load_n(px.add(i), N), c, t);
            L::store_n(pgx.add(i), N, L::add(L::load_n(pgx.add(i), N), t));
        });
    }

    /// LayerNorm: y = (x − mean)·r·w + b with r = 1/√(variance + eps); returns (mean, r). `b` is empty for no bias.
    fn layer_norm<L>(x: &[f32], w: &[f32], b: &[f32], y: &mut [f32], eps: f32) -> (f32, f32) {
        let n = x.len();
        assert!(n == w.len() && n == y.len() && (b.is_empty() || n == b.len()));
        let (px, pw, pb, py) = (x.as_ptr(), w.as_ptr(), b.as_ptr(), y.as_mut_ptr());
        let mut sum = L::splat(0.0);
        sweep!(n, |i, N| { sum = L::add(sum, L::load_n(px.add(i), N)); });
        let mean = L::sum(sum) / n as f32;
        let mv = L::splat(mean);
        let mut sum = L::splat(0.0);
        sweep!(n, |i, N| {
            let d = L::keep(L::sub(L::load_n(px.add(i), N), mv), N, L::splat(0.0));
            sum = L::fma(d, d, sum);
        });
        let r = 1.0 / (L::sum(sum) / n as f32 + eps).sqrt();
        let rv = L::splat(r);
        sweep!(n, |i, N| {
            let v = L::mul(L::sub(L::load_n(px.add(i), N), mv), rv);
            let bias = if b.is_empty() { L::splat(0.0) } else { L::load_n(pb.add(i), N) };
            L::store_n(py.add(i), N, L::fma(v, L::load_n(pw.add(i), N), bias));
        });
        (mean, r)
    }

    /// Backward pass of LayerNorm: adds to the gradients of x, w and, unless empty, b. `mean` and `r` are from the
    /// forward pass.
    fn layer_norm_backward<L>(x: &[f32], w: &[f32], gy: &[f32], gx: &mut [f32], gw: &mut [f32], gb: &mut [f32], mean: f32, r: f32) {
        let n = x.len();
        assert!(n == w.len() && n == gy.len() && n == gx.len() && n == gw.len() && (gb.is_empty() || n == gb.len()));
        let has_bias = !gb.is_empty();
        let (px, pw, pg, pgx, pgw, pgb) = (x.as_ptr(), w.as_ptr(), gy.as_ptr(), gx.as_mut_ptr(), gw.as_mut_ptr(), gb.as_mut_ptr());
        let (mv, rv) = (L::splat(mean), L::splat(r));
        let (mut sum, mut product) = (L::splat(0.0), L::splat(0.0));
        sweep!(n, |i, N| {
            let g = L::load_n(pg.add(i), N);
            let normed = L::mul(L::sub(L::load_n(px.add(i), N), mv), rv);
            let gn = L::mul(g, L::load_n(pw.add(i), N));
            sum = L::add(sum, gn);
            product = L::fma(gn, normed, product);
            L::store_n(pgw.add(i), N, L::fma(g, normed, L::load_n(pgw.add(i), N)));
            if has_bias {
                L::store_n(pgb.add(i), N, L::add(L::load_n(pgb.add(i), N), g));
            }
        });
        let (a, b) = (L::splat(L::sum(sum) / n as f32), L::splat(L::sum(product) / n as f32));
        sweep!(n, |i, N| {
            let normed = L::mul(L::sub(L::load_n(px.add(i), N), mv), rv);
            let gn = L::mul(L::load_n(pg.add(i), N), L::load_n(pw.add(i), N));
            let t = L::fnma(normed, b, L::sub(gn, a));
            L::store_n(pgx.add(i), N, L::fma(t, rv, L::load_n(pgx.add(i), N)));
        });
    }

    /// SwiGLU: y = gate·sigmoid(gate)·up
    fn swiglu<L>(gate: &[f32], up: &[f32], y: &mut [f32]) {
        assert!(gate.len() == up.len() && gate.len() == y.len());
        let (pg, pu, py) = (gate.as_ptr(), up.as_ptr(), y.as_mut_ptr());
        sweep!(y.len(), |i, N| {
            let g = L::load_n(pg.add(i), N);
            L::store_n(py.add(i), N, L::mul(L::mul(g, sigmoid::<L>(g)), L::load_n(pu.add(i), N)));
        });
    }

    /// Backward pass of SwiGLU, in place: replaces gate and up by their gradients.
    fn swiglu_backward<L>(gate: &mut [f32], up: &mut [f32], gy: &[f32]) {
        assert!(gate.len() == up.len() && gate.len() == gy.len());
        let (pg, pu, py) = (gate.as_mut_ptr(), up.as_mut_ptr(), gy.as_ptr());
        let one = L::splat(1.0);
        sweep!(gy.len(), |i, N| {
            let (g, u, d) = (L::load_n(pg.add(i), N), L::load_n(pu.add(i), N), L::load_n(py.add(i), N));
            let s = sigmoid::<L>(g);
            let silu = L::mul(g, s);
            L::store_n(pu.add(i), N, L::mul(d, silu));
            let slope = L::fma(silu, L::sub(one, s), s);
            L::store_n(pg.add(i), N, L::mul(L::mul(d, u), slope));
        });
    }

    /// Exact GELU: y = x·Φ(x)
    fn gelu<L>(x: &[f32], y: &mut [f32]) {
        assert_eq!(x.len(), y.len());
        let (px, py) = (x.as_ptr(), y.as_mut_ptr());
        sweep!(y.len(), |i, N| {
            let v = L::load_n(px.add(i), N);
            L::store_n(py.add(i), N, L::mul(v, normal::<L>(v).0));
        });
    }

    /// Backward pass of the exact GELU, in place: replaces x by its gradient.
    fn gelu_backward<L>(x: &mut [f32], gy: &[f32]) {
        assert_eq!(x.len(), gy.len());
        let (px, py) = (x.as_mut_ptr(), gy.as_ptr());
        sweep!(x.len(), |i, N| {
            let (v, g) = (L::load_n(px.add(i), N), L::load_n(py.add(i), N));
            let (distribution, density) = normal::<L>(v);
            L::store_n(px.add(i), N, L::mul(g, L::fma(v, density, distribution)));
        });
    }

    /// Rotates the adjacent pairs (2i, 2i+1) of x by the angles of a table: `cos` holds each cosine twice, `sin` each
    /// sine as −sin, +sin. `sign` −1 rotates back.
    fn rope<L>(x: &mut [f32], cos: &[f32], sin: &[f32], sign: f32) {
        assert!(x.len() == cos.len() && x.len() == sin.len() && x.len().is_multiple_of(2));
        let (px, pc, ps, sign) = (x.as_mut_ptr(), cos.as_ptr(), sin.as_ptr(), L::splat(sign));
        sweep!(x.len(), |i, N| {
            let v = L::load_n(px.add(i), N);
            let s = L::mul(L::load_n(ps.add(i), N), sign);
            L::store_n(px.add(i), N, L::fma(L::swap_pairs(v), s, L::mul(v, L::load_n(pc.add(i), N))));
        });
    }

    /// dp ← p·(dp − d)·scale: the gradient of attention scores from probabilities `p` and their gradient `dp`.
    fn score_gradient<L>(p: &[f32], dp: &mut [f32], d: f32, scale: f32) {
        assert_eq!(p.len(), dp.len());
        let (pp, pd, d, scale) = (p.as_ptr(), dp.as_mut_ptr(), L::splat(d), L::splat(scale));
        sweep!(p.len(), |i, N| {
            let t = L::mul(L::load_n(pp.add(i), N), L::sub(L::load_n(pd.add(i), N), d));
            L::store_n(pd.add(i), N, L::mul(t, scale));
        });
    }

    /// One step of AdamW with decoupled decay: m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← shrink·θ − rate·m/(√v·root + ε) with the
    /// scaled gradient g, which is 0 afterwards.
    fn adamw<L>(p: &mut [f32], g: &mut [f32], m: &mut [f32], v: &mut [f32], step: &AdamwNumbers) {
        let n = p.len();
        assert!(n == g.len() && n == m.len() && n == v.len());
        let (pp, pg, pm, pv) = (p.as_mut_ptr(), g.as_mut_ptr(), m.as_mut_ptr(), v.as_mut_ptr());
        let zero = L::splat(0.0);
        let (scale, eps) = (L::splat(step.gradient_scale), L::splat(step.eps));
        let (b1, b2) = (L::splat(step.beta1), L::splat(step.beta2));
        let (a1, a2) = (L::splat(step.one_minus_beta1), L::splat(step.one_minus_beta2));
        let (keep, rate, root) = (L::splat(step.shrink), L::splat(-step.rate), L::splat(step.root));
        sweep!(n, |i, N| {
            let grad = L::mul(L::load_n(pg.add(i), N), scale);
            let first = L::fma(b1, L::load_n(pm.add(i), N), L::mul(a1, grad));
            let second = L::fma(b2, L::load_n(pv.add(i), N), L::mul(a2, L::mul(grad, grad)));
            L::store_n(pm.add(i), N, first);
            L::store_n(pv.add(i), N, second);
            L::store_n(pg.add(i), N, zero);
            let below = L::fma(L::sqrt(second), root, eps);
            let kept = L::mul(L::load_n(pp.add(i), N), keep);
            L::store_n(pp.add(i), N, L::fma(L::div(first, below), rate, kept));
        });
    }
}

/// The numbers of one AdamW step.
#[derive(Clone, Copy, Debug)]
pub struct AdamwNumbers {
    /// Multiplies the gradient first.
    pub gradient_scale: f32,
    /// β₁
    pub beta1: f32,
    /// β₂
    pub beta2: f32,
    /// 1 − β₁, rounded once
    pub one_minus_beta1: f32,
    /// 1 − β₂, rounded once
    pub one_minus_beta2: f32,
    /// ε
    pub eps: f32,
    /// 1 − η λ
    pub shrink: f32,
    /// η / (1 − β₁ᵗ)
    pub rate: f32,
    /// 1 / √(1 − β₂ᵗ)
    pub root: f32,
}
