//! Attention, norms and the head against plain formulas in f64, with gradients from central differences; and equal bits
//! across instruction sets and numbers of threads.

use super::super::head::row_score;
use super::*;

/// Runs `f` on every instruction set with 1, 2 and 3 threads, checks that the bits are always equal, and returns the
/// result.
fn everywhere(f: impl Fn(&Compute) -> Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let first = f(&Compute::with(Isa::best(), 1));
    for isa in Isa::available() {
        for threads in [1, 2, 3] {
            let other = f(&Compute::with(isa, threads));
            for (part, (a, b)) in first.iter().zip(&other).enumerate() {
                assert_eq!(
                    bits(a),
                    bits(b),
                    "part {part}, {}, {threads} threads",
                    isa.name()
                );
            }
        }
    }
    first
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&v| f64::from(v)).collect()
}

/// Σ a·b
fn inner(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Compares `slopes` with central differences of `f` at some elements of `x`.
fn assert_slopes(what: &str, x: &[f32], slopes: &[f32], f: impl Fn(&[f64]) -> f64) {
    let mut x = wide(x);
    let largest = slopes
        .iter()
        .fold(0.0, |m: f64, s| m.max(f64::from(s.abs())));
    let step = (x.len() / 40).max(1);
    for i in (0..x.len()).step_by(step) {
        let (h, at) = (1e-5, x[i]);
        x[i] = at + h;
        let up = f(&x);
        x[i] = at - h;
        let slope = (up - f(&x)) / (2.0 * h);
        x[i] = at;
        assert!(
            (slope - f64::from(slopes[i])).abs() <= 1e-5 * largest,
            "{what}: slope {i} is {} instead of {slope} (largest {largest})",
            slopes[i]
        );
    }
}

const SHAPE: AttentionShape = AttentionShape {
    batch: 2,
    seq: 70,
    heads: 4,
    kv_heads: 2,
    head_dim: 6,
};

/// Dropout factors by index, for tests.
fn factor(index: u64) -> f32 {
    if Stream::new(5, Purpose::Dropout, 0).uniform(index) < 0.25 {
        0.0
    } else {
        4.0 / 3.0
    }
}

fn plain_attention(qkv: &[f64], dropout: bool) -> Vec<f64> {
    let AttentionShape {
        batch,
        seq,
        heads,
        kv_heads,
        head_dim,
    } = SHAPE;
    let width = SHAPE.width();
    let mut turned = qkv.to_vec();
    for (r, row) in turned.chunks_exact_mut(width).enumerate() {
        for block in 0..heads + kv_heads {
            for i in 0..head_dim / 2 {
                let angle =
                    (r % seq) as f64 * libm::pow(100.0, -((2 * i) as f64) / head_dim as f64);
                let (c, s) = (libm::cos(angle), libm::sin(angle));
                let at = block * head_dim + 2 * i;
                let (a, b) = (row[at], row[at + 1]);
                (row[at], row[at + 1]) = (a * c - b * s, a * s + b * c);
            }
        }
    }
    let mut y = Vec::new();
    for (r, head) in (0..batch * seq).flat_map(|r| (0..heads).map(move |h| (r, h))) {
        let (b, i) = (r / seq, r % seq);
        let kv = head / (heads / kv_heads);
        let part = |row: usize, block: usize| {
            let at = (b * seq + row) * width + block * head_dim;
            &turned[at..at + head_dim]
        };
        let e: Vec<f64> = (0..=i)
            .map(|j| {
                libm::exp(inner(part(i, head), part(j, heads + kv)) / (head_dim as f64).sqrt())
            })
            .collect();
        let sum: f64 = e.iter().sum();
        let mut out = vec![0.0; head_dim];
        for (j, e) in e.iter().enumerate() {
            let index = ((b * heads + head) * seq + i) * seq + j;
            let p = e / sum
                * if dropout {
                    f64::from(factor(index as u64))
                } else {
                    1.0
                };
            for (o, v) in out.iter_mut().zip(part(j, heads + kv_heads + kv)) {
                *o += p * v;
            }
        }
        y.extend(out);
    }
    y
}

/// Cosines and sines of `position · theta^(−2 i / head_dim)`, `(positions, head_dim / 2)` each.
fn rotary(positions: usize, head_dim: usize, theta: f64) -> (Vec<f32>, Vec<f32>) {
    let half = head_dim / 2;
    let angles = (0..positions * half).map(|index| {
        let exponent = -2.0 * (index % half) as f64 / head_dim as f64;
        (index / half) as f64 * libm::pow(theta, exponent)
    });
    let both = angles.map(|angle| (libm::cos(angle) as f32, libm::sin(angle) as f32));
    both.unzip()
}

#[test]
fn attention_and_its_slopes_are_right() {
    let rows = SHAPE.batch * SHAPE.seq;
    let qkv = numbers(21, rows * SHAPE.width());
    let gy = numbers(22, rows * SHAPE.dim());
    let half = SHAPE.head_dim / 2;
    let (cos, sin) = rotary(SHAPE.seq, SHAPE.head_dim, 100.0);
    let table = RopeTable::new(half, &cos, &sin);
    let fill = |from: u64, to: &mut [f32]| {
        for (i, f) in to.iter_mut().enumerate() {
            *f = factor(from + i as u64);
        }
    };
    for dropout in [false, true] {
        let factors: Option<Factors<'_>> = if dropout { Some(&fill) } else { None };
        let got = everywhere(|compute| {
            let (mut turned, mut y) = (qkv.clone(), vec![f32::NAN; gy.len()]);
            let mut lse = vec![f32::NAN; rows * SHAPE.heads];
            attention(
                compute,
                SHAPE,
                &mut turned,
                Some(&table),
                factors,
                &mut y,
                &mut lse,
            );
            let mut slopes = vec![f32::NAN; qkv.len()];
            let saved = AttentionSaved {
                qkv: &turned,
                y: &y,
                lse: &lse,
            };
            attention_backward(
                compute,
                SHAPE,
                saved,
                Some(&table),
                factors,
                &gy,
                &mut slopes,
            );
            vec![y, slopes]
        });
        assert_close(
            "attention",
            &got[0],
            &plain_attention(&wide(&qkv), dropout),
            3e-6,
        );
        let gy = wide(&gy);
        assert_slopes("attention", &qkv, &got[1], |x| {
            inner(&plain_attention(x, dropout), &gy)
        });
    }
}

#[test]
fn one_position_at_a_time_gives_what_attention_gives() {
    let rows = SHAPE.batch * SHAPE.seq;
    let mut qkv = numbers(23, rows * SHAPE.width());
    let (mut y, mut lse) = (vec![0.0; rows * SHAPE.dim()], vec![0.0; rows * SHAPE.heads]);
    attention(
        &Compute::new(1),
        SHAPE,
        &mut qkv,
        None,
        None,
        &mut y,
        &mut lse,
    );
    let (q, kv) = (SHAPE.dim(), SHAPE.kv_heads * SHAPE.head_dim);
    let compute = &Compute::new(2);
    let stretch = SHAPE.seq * SHAPE.head_dim;
    let mut caches = [0, 1].map(|_| vec![0.0; SHAPE.kv_heads * stretch]);
    for (i, row) in qkv.chunks_exact(SHAPE.width()).take(SHAPE.seq).enumerate() {
        for (new, kept) in row[q..].chunks_exact(kv).zip(&mut caches) {
            let heads = new.chunks_exact(SHAPE.head_dim);
            for (new, kept) in heads.zip(kept.chunks_exact_mut(stretch)) {
                kept[i * SHAPE.head_dim..][..SHAPE.head_dim].copy_from_slice(new);
            }
        }
        let [keys, values] = &caches;
        let mut out = vec![0.0; q];
        attend_one(compute, SHAPE, &row[..q], [keys, values], i + 1, &mut out);
        assert_close("attend_one", &out, &wide(&y[i * q..(i + 1) * q]), 3e-6);
    }
}

fn plain_norm(centred: bool, x: &[f64], w: &[f64], b: &[f64]) -> Vec<f64> {
    let dim = w.len();
    let mut y = Vec::new();
    for row in x.chunks_exact(dim) {
        let mean = if centred {
            row.iter().sum::<f64>() / dim as f64
        } else {
            0.0
        };
        let square = row.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / dim as f64;
        let r = 1.0 / (square + 1e-5).sqrt();
        y.extend((0..dim).map(|i| (row[i] - mean) * r * w[i] + b.get(i).copied().unwrap_or(0.0)));
    }
    y
}

#[test]
fn norms_and_their_slopes_are_right() {
    let (rows, dim) = (150, 37);
    let (x, w, gy) = (
        numbers(31, rows * dim),
        numbers(32, dim),
        numbers(33, rows * dim),
    );
    for (centred, bias) in [(false, vec![]), (true, vec![]), (true, numbers(34, dim))] {
        let layer = Norm {
            centred,
            weight: &w,
            bias: &bias,
            eps: 1e-5,
        };
        let got = everywhere(|compute| {
            let (mut y, mut stats) = (vec![f32::NAN; x.len()], vec![f32::NAN; 2 * rows]);
            norm(compute, layer, &x, &mut y, &mut stats);
            let (mut gx, mut gw, mut gb) =
                (vec![0.0; x.len()], vec![0.0; dim], vec![0.0; bias.len()]);
            let to = NormGradients {
                x: &mut gx,
                weight: &mut gw,
                bias: &mut gb,
            };
            norm_backward(compute, layer, &x, &stats, &gy, to);
            vec![y, gx, gw, gb]
        });
        let (x64, w64, b64, g64) = (wide(&x), wide(&w), wide(&bias), wide(&gy));
        assert_close(
            "norm",
            &got[0],
            &plain_norm(centred, &x64, &w64, &b64),
            1e-6,
        );
        assert_slopes("x", &x, &got[1], |x| {
            inner(&plain_norm(centred, x, &w64, &b64), &g64)
        });
        assert_slopes("weight", &w, &got[2], |w| {
            inner(&plain_norm(centred, &x64, w, &b64), &g64)
        });
        assert_slopes("bias", &bias, &got[3], |b| {
            inner(&plain_norm(centred, &x64, &w64, b), &g64)
        });
    }
}

/// The loss of all rows, in f64.
fn plain_loss(
    x: &[f64],
    w: &[f64],
    d: usize,
    targets: &[u32],
    mask: &[bool],
    factor: f32,
    terms: LossTerms,
) -> f64 {
    let mut total = 0.0;
    for ((row, &y), _) in x
        .chunks_exact(d)
        .zip(targets)
        .zip(mask)
        .filter(|(_, m)| **m)
    {
        let logits: Vec<f64> = w.chunks_exact(d).map(|w| inner(row, w)).collect();
        let sum: f64 = logits.iter().map(|z| libm::exp(*z)).sum();
        let y = y as usize;
        let mut loss = if terms.cross_entropy {
            libm::log(sum) - logits[y]
        } else {
            0.0
        };
        if let Some(square) = terms.square {
            for (j, z) in logits.iter().enumerate() {
                let z = if square.of_probabilities {
                    libm::exp(*z) / sum
                } else {
                    *z
                };
                loss += if j == y {
                    let factor = if z.abs() < f64::from(square.near) {
                        square.right
                    } else {
                        square.wrong
                    };
                    f64::from(factor) * (z - f64::from(square.target)).powi(2)
                } else {
                    f64::from(square.wrong) * z * z
                };
            }
        }
        total += loss * f64::from(factor);
    }
    total
}

#[test]
fn every_loss_and_its_slopes_are_right() {
    let (n, d, classes) = (530, 5, 43);
    let (x, w) = (numbers(41, n * d), numbers(42, classes * d));
    let targets: Vec<u32> = (0..n as u32).map(|i| (i * 7) % classes as u32).collect();
    let mask: Vec<bool> = (0..n).map(|i| i % 5 != 0).collect();
    let factor = 1.0 / 424.0;
    let near = |of_probabilities, wrong, right, target, near| {
        Some(Square {
            of_probabilities,
            wrong,
            right,
            target,
            near,
        })
    };
    let square = |of_probabilities, wrong, right, target| {
        near(of_probabilities, wrong, right, target, f32::INFINITY)
    };
    for (cross_entropy, square) in [
        (true, None),
        (false, square(false, 0.02, 0.3, 30.0)),
        (false, near(false, 0.02, 0.3, 1.0, 0.1)),
        (false, square(true, 0.02, 2.0, 1.0)),
        (true, square(false, 0.03, 0.0, 0.0)),
        (true, square(false, 0.03, 1.5, 1.0)),
    ] {
        let terms = LossTerms {
            cross_entropy,
            square,
        };
        let got = everywhere(|compute| {
            let (mut gx, mut gw) = (vec![f32::NAN; x.len()], vec![f32::NAN; w.len()]);
            let to = HeadGradients {
                x: &mut gx,
                weight: &mut gw,
            };
            let with = head_loss(
                compute,
                [&x, &w],
                &targets,
                (&mask, factor),
                terms,
                Some(to),
            );
            let without = head_loss(compute, [&x, &w], &targets, (&mask, factor), terms, None);
            assert!((with.0 - without.0).abs() < 1e-3 && (with.1 - without.1).abs() < 1e-3);
            vec![vec![with.0 as f32, with.1 as f32], gx, gw]
        });
        let (x64, w64) = (wide(&x), wide(&w));
        let value = (got[0][1] + got[0][0]) * factor;
        let plain = plain_loss(&x64, &w64, d, &targets, &mask, factor, terms);
        assert_close("loss", &[value], &[plain], 2e-6);
        assert_slopes("x", &x, &got[1], |x| {
            plain_loss(x, &w64, d, &targets, &mask, factor, terms)
        });
        assert_slopes("weight", &w, &got[2], |w| {
            plain_loss(&x64, w, d, &targets, &mask, factor, terms)
        });
    }
}

#[test]
fn scores_are_those_of_the_logits() {
    let logits = [1.0, 3.0, 2.0, 3.0, -1.0];
    let options = ScoreOptions {
        temperatures: &[1.0, 2.0],
        clipped_linear_eps: Some(1e-3),
    };
    let ranks: Vec<u32> = (0..5)
        .map(|y| row_score(Isa::best(), &logits, y, options).rank)
        .collect();
    assert_eq!(ranks, [3, 0, 2, 1, 4]);
    let score = row_score(Isa::best(), &logits, 2, options);
    let log_softmax =
        |t: f64| 2.0 / t - libm::log(logits.iter().map(|&z| libm::exp(f64::from(z) / t)).sum());
    let got = [
        score.log_likelihood,
        score.tempered[0],
        score.tempered[1],
        score.clipped_linear.unwrap(),
    ];
    assert_close(
        "scores",
        &got,
        &[
            log_softmax(1.0),
            log_softmax(1.0),
            log_softmax(2.0),
            libm::log(2.0 / 9.001),
        ],
        1e-6,
    );
    let top = row_score(Isa::best(), &logits, 1, options);
    assert_close(
        "confidence",
        &[top.confidence],
        &[f64::from(libm::expf(top.log_likelihood))],
        1e-6,
    );
}

#[test]
fn embeddings_biases_and_small_products_are_right_and_agree() {
    let (dim, vocab, seq) = (19, 11, 25);
    let ids: Vec<u32> = (0..50).map(|i| (i * i) % vocab as u32).collect();
    let (table, positions, gy) = (
        numbers(51, vocab * dim),
        numbers(52, seq * dim),
        numbers(53, 50 * dim),
    );
    let at: Vec<u32> = (0..50).map(|r| r % seq as u32).collect();
    let got = everywhere(|compute| {
        let mut y = vec![f32::NAN; 50 * dim];
        embed(compute, &ids, &table, Some((&positions, &at)), &mut y);
        let (mut gt, mut gp, mut gb) = (
            vec![0.0; table.len()],
            vec![0.0; positions.len()],
            vec![0.0; 7],
        );
        embed_backward(compute, &ids, &gy, &mut gt);
        embed_backward(compute, &at, &gy, &mut gp);
        column_sums(compute, &gy, [dim, 3], &mut gb);
        let mut few = vec![f32::NAN; 2 * vocab];
        few_rows(compute, &gy[..2 * dim], &table, dim, &mut few);
        add_bias(compute, &positions[..dim], &mut y);
        vec![y, gt, gp, gb, few, vec![square_sum(compute, &gy) as f32]]
    });
    let mut want = [
        vec![0.0; 50 * dim],
        vec![0.0; table.len()],
        vec![0.0; positions.len()],
        vec![0.0; 7],
    ];
    for (r, &id) in ids.iter().enumerate() {
        for i in 0..dim {
            let (t, p, g) = (
                id as usize * dim + i,
                r % seq * dim + i,
                f64::from(gy[r * dim + i]),
            );
            want[0][r * dim + i] =
                f64::from(table[t]) + f64::from(positions[p]) + f64::from(positions[i]);
            want[1][t] += g;
            want[2][p] += g;
            if (3..10).contains(&i) {
                want[3][i - 3] += g;
            }
        }
    }
    for (got, want) in got.iter().zip(&want) {
        assert_close("layer", got, want, 1e-6);
    }
    let few: Vec<f64> = (0..2 * vocab)
        .map(|i| {
            inner(
                &wide(&gy[i / vocab * dim..][..dim]),
                &wide(&table[i % vocab * dim..][..dim]),
            )
        })
        .collect();
    assert_close("few_rows", &got[4], &few, 1e-6);
}

/// Products of single rows in generation have the same bits as the whole product, wherever blocks, lanes and
/// thread shares end.
#[test]
fn products_of_few_rows_are_those_of_many() {
    for (inner, outputs) in [
        (1, 1),
        (16, 64),
        (64, 172),
        (172, 65),
        (513, 130),
        (1040, 300),
    ] {
        let (x, w) = (numbers(61, 3 * inner), numbers(62, outputs * inner));
        let before = numbers(63, 3 * outputs);
        let got = everywhere(|compute| {
            let mut found = Vec::new();
            let mut kept = Prepacked::new([(outputs, inner); 2].into_iter());
            let panels = kept.add_panels(compute, &w, inner).unwrap();
            let rows = kept.add_rows(compute, &w, inner).unwrap();
            assert_eq!(kept.get(&rows), w);
            for add in [false, true] {
                let (mut few, mut many) = (before.clone(), before.clone());
                few_chains(compute, &x, kept.get(&panels), inner, &mut few, add);
                let (a, b) = (
                    Matrix::rows(&x, inner),
                    Matrix::rows(&w, inner).transposed(),
                );
                gemm(compute, [3, outputs, inner], a, b, &mut many, add);
                let same = few
                    .iter()
                    .zip(&many)
                    .all(|(a, b)| a.to_bits() == b.to_bits());
                assert!(same, "{inner} {outputs} {add}");
                found.push(few);
            }
            let mut dots = vec![f32::NAN; 3 * outputs];
            few_rows(compute, &x, kept.get(&rows), inner, &mut dots);
            let row = |o: usize| &w[o % outputs * inner..][..inner];
            let each = (0..3 * outputs)
                .map(|o| dot(compute.isa, &x[o / outputs * inner..][..inner], row(o)));
            assert!(
                each.zip(&dots).all(|(a, b)| a.to_bits() == b.to_bits()),
                "{inner} {outputs}"
            );
            found.push(dots);
            found
        });
        assert_eq!(got.len(), 3);
    }
}

#[test]
fn weights_are_packed_while_there_is_room() {
    let compute = &Compute::new(1);
    let (outputs, inner) = (1 << 9, 1 << 9);
    let w = numbers(64, outputs * inner);
    // A huge page holds two of them.
    let mut kept = Prepacked::new([(outputs, inner)].into_iter());
    let first = kept.add_rows(compute, &w, inner).unwrap();
    let second = kept.add_panels(compute, &w, inner).unwrap();
    assert!(kept.add_rows(compute, &w, inner).is_none());
    assert!(kept.add_panels(compute, &w[..inner], inner).is_none());
    assert_eq!(kept.get(&first), w);
    let column = |k: usize| w[k..].iter().step_by(inner).take(64).copied();
    let panel: Vec<f32> = (0..inner).flat_map(column).collect();
    assert_eq!(kept.get(&second)[..panel.len()], panel);
}
