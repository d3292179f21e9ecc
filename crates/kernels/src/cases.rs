//! Kernels with inputs of the sizes of the measured models, for `benches/kernels.rs`.

use super::*;

/// A kernel with its inputs, to run repeatedly. An input that the kernel overwrites is copied first.
pub struct KernelCase {
    /// Floating-point operations per run, two per multiply-add; for memory-bound kernels, numbers read and written.
    pub amount: u64,
    run: Box<dyn FnMut()>,
}

impl std::fmt::Debug for KernelCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KernelCase")
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

impl KernelCase {
    /// Runs the kernel once.
    pub fn run(&mut self) {
        (self.run)();
    }

    fn new(amount: usize, run: impl FnMut() + 'static) -> Self {
        Self {
            amount: amount as u64,
            run: Box::new(run),
        }
    }
}

/// Sizes of a batch of a model.
struct Size {
    name: &'static str,
    batch: usize,
    seq: usize,
    dim: usize,
    hidden: usize,
    heads: usize,
    classes: usize,
}

/// The sizes of the shapes `llama-l` and `llama-s` of `bench`.
const SIZES: [Size; 2] = [
    Size {
        name: "L",
        batch: 4,
        seq: 256,
        dim: 512,
        hidden: 1376,
        heads: 8,
        classes: 32_000,
    },
    Size {
        name: "S",
        batch: 16,
        seq: 128,
        dim: 128,
        hidden: 344,
        heads: 4,
        classes: 2048,
    },
];

/// Makes a kernel of a size.
type Make = fn(&Size, Compute) -> KernelCase;

/// Every kernel except the product.
const LAYERS: [(&str, Make); 13] = [
    ("embedding", |size, compute| {
        let (ids, table) = (size.ids(), numbers(size.classes * size.dim));
        let mut y = numbers(size.rows() * size.dim);
        KernelCase::new(2 * y.len(), move || {
            embed(&compute, &ids, &table, None, &mut y);
        })
    }),
    ("embedding_backward", |size, compute| {
        let (ids, gy) = (size.ids(), numbers(size.rows() * size.dim));
        let mut table = numbers(size.classes * size.dim);
        KernelCase::new(3 * gy.len(), move || {
            embed_backward(&compute, &ids, &gy, &mut table);
        })
    }),
    ("rms_norm", |size, compute| normed(size, compute, false)),
    ("layer_norm", |size, compute| normed(size, compute, true)),
    ("rms_norm_backward", |size, compute| {
        normed_backward(size, compute, false)
    }),
    ("layer_norm_backward", |size, compute| {
        normed_backward(size, compute, true)
    }),
    ("attention", |size, compute| {
        let (shape, rope, mut qkv, [mut y, mut lse]) = size.attention();
        KernelCase::new(4 * size.pairs(), move || {
            attend(&compute, (shape, &rope), &mut qkv, [&mut y, &mut lse]);
        })
    }),
    ("attention_backward", |size, compute| {
        let (shape, rope, mut qkv, [mut y, mut lse]) = size.attention();
        attend(&compute, (shape, &rope), &mut qkv, [&mut y, &mut lse]);
        let (gy, mut gqkv) = (numbers(y.len()), numbers(qkv.len()));
        KernelCase::new(10 * size.pairs(), move || {
            let saved = AttentionSaved {
                qkv: &qkv,
                y: &y,
                lse: &lse,
            };
            attention_backward(&compute, shape, saved, Some(&rope), None, &gy, &mut gqkv);
        })
    }),
    ("swiglu", |size, compute| {
        let hidden = size.hidden;
        let mut y = numbers(size.rows() * hidden);
        let both = numbers(2 * y.len());
        KernelCase::new(3 * y.len(), move || {
            swiglu_rows(&compute, &both, hidden, &mut y);
        })
    }),
    ("swiglu_backward", |size, compute| {
        let hidden = size.hidden;
        let gy = numbers(size.rows() * hidden);
        let saved = numbers(2 * gy.len());
        let mut both = saved.clone();
        KernelCase::new(5 * gy.len(), move || {
            both.copy_from_slice(&saved);
            swiglu_rows_backward(&compute, &mut both, hidden, &gy);
        })
    }),
    ("gelu", |size, compute| {
        let x = numbers(size.rows() * size.hidden);
        let mut y = numbers(x.len());
        KernelCase::new(2 * x.len(), move || gelu_all(&compute, &x, &mut y))
    }),
    ("head_cross_entropy", |size, compute| {
        let (x, weight) = (
            numbers(size.rows() * size.dim),
            numbers(size.classes * size.dim),
        );
        let (mut gx, mut gweight) = (numbers(x.len()), numbers(weight.len()));
        let (targets, mask) = (size.ids(), vec![true; size.rows()]);
        let terms = LossTerms {
            cross_entropy: true,
            square: None,
        };
        KernelCase::new(6 * size.rows() * weight.len(), move || {
            let gradients = HeadGradients {
                x: &mut gx,
                weight: &mut gweight,
            };
            let to = Some(gradients);
            head_loss(&compute, [&x, &weight], &targets, (&mask, 1.0), terms, to);
        })
    }),
    ("adamw", |size, compute| {
        let gradient = numbers(size.classes * size.dim);
        let [mut p, mut g, mut m, mut v] = [0; 4].map(|_| gradient.clone());
        v.iter_mut().for_each(|v| *v *= *v);
        let step = AdamwNumbers {
            gradient_scale: 1.0,
            beta1: 0.9,
            beta2: 0.999,
            one_minus_beta1: 0.1,
            one_minus_beta2: 0.001,
            eps: 1e-8,
            shrink: 0.9999,
            rate: 1e-4,
            root: 1.0,
        };
        KernelCase::new(8 * p.len(), move || {
            g.copy_from_slice(&gradient);
            adamw_all(&compute, [&mut p, &mut g, &mut m, &mut v], &step);
        })
    }),
];

impl Size {
    fn rows(&self) -> usize {
        self.batch * self.seq
    }

    fn ids(&self) -> Vec<u32> {
        let ids = 0..self.rows();
        ids.map(|row| (row * 7919 % self.classes) as u32).collect()
    }

    /// Multiply-adds of the scores of one causal attention.
    fn pairs(&self) -> usize {
        self.batch * self.seq * (self.seq + 1) / 2 * self.dim
    }

    /// Queries, keys and values, and room for the output and the log-sum-exps.
    fn attention(&self) -> (AttentionShape, RopeTable, Vec<f32>, [Vec<f32>; 2]) {
        let shape = AttentionShape {
            batch: self.batch,
            seq: self.seq,
            heads: self.heads,
            kv_heads: self.heads,
            head_dim: self.dim / self.heads,
        };
        let half = shape.head_dim / 2;
        let angles: Vec<f32> = numbers(self.seq * half);
        let table = |of: fn(f32) -> f32| angles.iter().map(|a| of(*a)).collect::<Vec<_>>();
        let rope = RopeTable::new(half, &table(libm::cosf), &table(libm::sinf));
        let room = [self.rows() * self.dim, self.rows() * self.heads];
        (
            shape,
            rope,
            numbers(self.rows() * shape.width()),
            room.map(|n| vec![0.0; n]),
        )
    }
}

fn attend(
    compute: &Compute,
    (shape, rope): (AttentionShape, &RopeTable),
    qkv: &mut [f32],
    [y, lse]: [&mut [f32]; 2],
) {
    attention(compute, shape, qkv, Some(rope), None, y, lse);
}

fn normed(size: &Size, compute: Compute, centred: bool) -> KernelCase {
    let (weight, x) = (numbers(size.dim), numbers(size.rows() * size.dim));
    let (mut y, mut stats) = (x.clone(), vec![0.0; 2 * size.rows()]);
    KernelCase::new(2 * x.len(), move || {
        norm(&compute, of(&weight, centred), &x, &mut y, &mut stats);
    })
}

fn normed_backward(size: &Size, compute: Compute, centred: bool) -> KernelCase {
    let (weight, x) = (numbers(size.dim), numbers(size.rows() * size.dim));
    let (mut y, mut stats) = (x.clone(), vec![0.0; 2 * size.rows()]);
    norm(&compute, of(&weight, centred), &x, &mut y, &mut stats);
    let (gy, mut gx, mut gweight, mut gbias) = (y, x.clone(), weight.clone(), weight.clone());
    KernelCase::new(4 * x.len(), move || {
        let to = NormGradients {
            x: &mut gx,
            weight: &mut gweight,
            bias: if centred { &mut gbias } else { &mut [] },
        };
        norm_backward(&compute, of(&weight, centred), &x, &stats, &gy, to);
    })
}

fn of(weight: &[f32], centred: bool) -> Norm<'_> {
    Norm {
        centred,
        weight,
        bias: if centred { weight } else { &[] },
        eps: 1e-5,
    }
}

/// Numbers between -1/2 and 1/2.
fn numbers(n: usize) -> Vec<f32> {
    let number = |i: usize| (i * 7919 % 1009) as f32 / 1008.0 - 0.5;
    (0..n).map(number).collect()
}

/// Names of all kernels except the product, each combined with a size.
pub fn kernels() -> Vec<String> {
    let of_size = |size: &Size| LAYERS.map(|(kernel, _)| format!("{kernel} {}", size.name));
    SIZES.iter().flat_map(of_size).collect()
}

/// The kernel with a name from [`kernels`], on `threads` threads; `None` for any other name.
pub fn kernel(name: &str, threads: usize) -> Option<KernelCase> {
    let (kernel, size) = name.split_once(' ')?;
    let size = SIZES.iter().find(|known| known.name == size)?;
    let (_, make) = LAYERS.iter().find(|(known, _)| *known == kernel)?;
    Some(make(size, Compute::with(Isa::best(), threads)))
}

/// A matrix product, C = A·B.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Product {
    /// Rows and columns of C, and the inner dimension.
    pub sizes: [usize; 3],
    /// Whether A and B are given transposed.
    pub transposed: [bool; 2],
}

impl std::fmt::Display for Product {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [m, n, k] = self.sizes;
        let [a, b] = self.transposed.map(|is| if is { 'T' } else { 'N' });
        write!(f, "{m}x{n}x{k} {a}{b}")
    }
}

/// The products in training steps of L, then of S.
pub const PRODUCTS: [Product; 14] = {
    const fn of(sizes: [usize; 3], transposed: [bool; 2]) -> Product {
        Product { sizes, transposed }
    }
    const FORWARD: [bool; 2] = [false, true];
    const INPUTS: [bool; 2] = [false, false];
    const WEIGHTS: [bool; 2] = [true, false];
    [
        of([1024, 512, 512], FORWARD),
        of([1024, 2752, 512], FORWARD),
        of([1024, 512, 1376], FORWARD),
        of([1024, 512, 2752], INPUTS),
        of([2752, 512, 1024], WEIGHTS),
        of([512, 32_000, 512], FORWARD),
        of([512, 512, 32_000], INPUTS),
        of([32_000, 512, 512], WEIGHTS),
        of([2048, 128, 128], FORWARD),
        of([2048, 384, 128], FORWARD),
        of([2048, 688, 128], FORWARD),
        of([688, 128, 2048], WEIGHTS),
        of([512, 2048, 128], FORWARD),
        of([2048, 128, 512], WEIGHTS),
    ]
};

impl Product {
    /// The product on `threads` threads, of f32 or bfloat16 factors; `None` if this machine has no bfloat16 products.
    pub fn case(self, threads: usize, in_bf16: bool) -> Option<KernelCase> {
        let compute = Compute::with(Isa::best(), threads);
        let compute = if in_bf16 {
            let bf16 = Bf16::on(compute.isa)?;
            compute.in_bf16(bf16)
        } else {
            compute
        };
        let [m, n, k] = self.sizes;
        let (a, b, mut c) = (numbers(m * k), numbers(k * n), vec![0.0; m * n]);
        Some(KernelCase::new(2 * m * n * k, move || {
            let a = matrix(&a, self.transposed[0], [m, k]);
            let b = matrix(&b, self.transposed[1], [k, n]);
            gemm(&compute, [m, n, k], a, b, &mut c, false);
        }))
    }
}

fn matrix(data: &[f32], is_transposed: bool, [rows, columns]: [usize; 2]) -> Matrix<'_> {
    if is_transposed {
        Matrix::rows(data, rows).transposed()
    } else {
        Matrix::rows(data, columns)
    }
}
