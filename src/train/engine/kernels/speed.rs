//! Speed of the matrix product on the shapes of the measured models, beside the crate `gemm`. Run with
//! `cargo test --release --lib kernels::speed -- --ignored --nocapture`.

use super::*;
use std::fmt::Write;
use std::time::Instant;

/// Rows, columns, inner dimension, whether A and B are given transposed: shapes of L, then of S.
const SHAPES: [(usize, usize, usize, bool, bool); 14] = [
    (1024, 512, 512, false, true),
    (1024, 2752, 512, false, true),
    (1024, 512, 1376, false, true),
    (1024, 512, 2752, false, false),
    (2752, 512, 1024, true, false),
    (512, 32000, 512, false, true),
    (512, 512, 32000, false, false),
    (32000, 512, 512, true, false),
    (2048, 128, 128, false, true),
    (2048, 384, 128, false, true),
    (2048, 688, 128, false, true),
    (688, 128, 2048, true, false),
    (512, 2048, 128, false, true),
    (2048, 128, 512, true, false),
];

fn best_seconds(flops: f64, mut f: impl FnMut()) -> f64 {
    let rounds = ((6e9 / flops) as usize).clamp(4, 60);
    (0..rounds).fold(f64::MAX, |best, _| {
        let start = Instant::now();
        f();
        best.min(start.elapsed().as_secs_f64())
    })
}

#[test]
#[ignore = "a measurement"]
fn products_per_second() {
    for (m, n, k, ta, tb) in SHAPES {
        let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; k * n], vec![0f32; m * n]);
        let flops = 2.0 * (m * n) as f64 * k as f64;
        let mut line = format!(
            "{m}x{n}x{k}{}{}:",
            if ta { "T" } else { "N" },
            if tb { "T" } else { "N" }
        );
        for threads in [1, 2] {
            let all = Isa::available();
            let plain = all.iter().filter(|isa| !isa.has_tiles()).take(2);
            let plain = plain.map(|isa| Compute::with(*isa, threads));
            let bf16 = all.iter().filter_map(|isa| Some((isa, Bf16::on(*isa)?)));
            let bf16 = bf16.map(|(isa, bf16)| Compute::with(*isa, threads).in_bf16(bf16));
            for compute in plain.chain(bf16) {
                let va = if ta {
                    Matrix::rows(&a, m).transposed()
                } else {
                    Matrix::rows(&a, k)
                };
                let vb = if tb {
                    Matrix::rows(&b, k).transposed()
                } else {
                    Matrix::rows(&b, n)
                };
                let s = best_seconds(flops, || gemm(&compute, [m, n, k], va, vb, &mut c, false));
                let name = match compute.bf16 {
                    Some(_) => compute.isa.bf16_name(),
                    None => compute.isa.name().to_owned(),
                };
                write!(line, " {name}/{threads} {:.0}", flops / s / 1e9).unwrap();
            }
            let (ars, acs) = if ta { (1, m) } else { (k, 1) };
            let (brs, bcs) = if tb { (1, k) } else { (n, 1) };
            let parallelism = if threads == 1 {
                ::gemm::Parallelism::None
            } else {
                ::gemm::Parallelism::Rayon(threads)
            };
            let s = best_seconds(flops, || {
                // SAFETY: strides and sizes are those of the vectors above.
                unsafe {
                    ::gemm::gemm(
                        m,
                        n,
                        k,
                        c.as_mut_ptr(),
                        1,
                        n as isize,
                        false,
                        a.as_ptr(),
                        acs as isize,
                        ars as isize,
                        b.as_ptr(),
                        bcs as isize,
                        brs as isize,
                        0f32,
                        1f32,
                        false,
                        false,
                        false,
                        parallelism,
                    );
                }
            });
            write!(line, " gemm/{threads} {:.0}", flops / s / 1e9).unwrap();
        }
        println!("{line}");
    }
}
