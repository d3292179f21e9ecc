//! Every kernel gives the same bits on every instruction set of this machine, and agrees with plain arithmetic in f64.

use super::factors::Way;
use super::*;
use specbook_rng::{Purpose, Stream};

mod layers;

fn numbers(seed: u64, n: usize) -> Vec<f32> {
    let stream = Stream::new(seed, Purpose::Init, 0);
    (0..n as u64)
        .map(|i| (stream.uniform(i) * 4.0 - 2.0) as f32)
        .collect()
}

fn bits(x: &[f32]) -> Vec<u32> {
    x.iter().map(|v| v.to_bits()).collect()
}

fn assert_close(what: &str, got: &[f32], want: &[f64], tolerance: f64) {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-30, |m: f64, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (f64::from(*g) - w).abs() <= tolerance * largest,
            "{what}[{i}]: {g} instead of {w}"
        );
    }
}

/// Runs `f` on every instruction set and length and compares all results.
fn same_bits(what: &str, f: impl Fn(Isa, usize) -> Vec<Vec<f32>>) {
    for n in [1, 2, 7, 15, 16, 17, 31, 32, 33, 48, 61, 100, 128, 344, 1001] {
        let first = f(Isa::best(), n);
        for isa in Isa::available() {
            let other = f(isa, n);
            for (part, (a, b)) in first.iter().zip(&other).enumerate() {
                assert_eq!(
                    bits(a),
                    bits(b),
                    "{what}, part {part}, {n} numbers, {}",
                    isa.name()
                );
            }
        }
    }
}

/// The exact sum lies just above the middle of two numbers: rounded to more digits first, it would become the middle.
#[test]
fn multiply_adds_are_rounded_once() {
    // Computed when the test runs, not when it is compiled.
    let (x, y) = (std::hint::black_box(24_929.0), 673.0 * 2f32.powi(-24));
    let above = super::lanes::fused(x, y, 2f32.powi(-80));
    assert_eq!(above, 1.0 + f32::EPSILON);
    assert_eq!(super::lanes::fused(x, y, 0.0), 1.0);
}

#[test]
fn reductions_agree_between_instruction_sets() {
    same_bits("reductions", |isa, n| {
        let (a, b) = (numbers(1, n), numbers(2, n));
        let mut e = a.clone();
        let s = exp_row(isa, &mut e, 1.3, 0.2);
        vec![
            vec![
                row_max(isa, &a),
                dot(isa, &a, &b),
                s,
                exp_sum(isa, &a, 0.9, 0.1),
            ],
            e,
        ]
    });
}

#[test]
fn elementwise_kernels_agree_between_instruction_sets() {
    same_bits("elementwise", |isa, n| {
        let (a, b) = (numbers(3, n), numbers(4, n));
        let run = |f: &dyn Fn(&mut [f32])| {
            let mut y = a.clone();
            f(&mut y);
            y
        };
        vec![
            run(&|y| scale(isa, y, 0.37)),
            run(&|y| add_to(isa, y, &b)),
            run(&|y| add_scaled(isa, y, &b, 0.37)),
            run(&|y| multiply(isa, y, &b)),
            run(&|y| exp_and_linear(isa, y, 0.4, 0.3, 0.2)),
            run(&|y| square_softmax_gradient(isa, y, 0.4, 0.3)),
            run(&|y| swiglu(isa, &a, &b, y)),
            run(&|y| gelu(isa, &b, y)),
            run(&|y| score_gradient(isa, &b, y, 0.1, 0.7)),
        ]
    });
}

#[test]
fn norms_and_backward_kernels_agree_between_instruction_sets() {
    same_bits("norms", |isa, n| {
        let (x, w, b, g) = (numbers(5, n), numbers(6, n), numbers(7, n), numbers(8, n));
        let (mut y, mut z) = (vec![0.0; n], vec![0.0; n]);
        let r = rms_norm(isa, &x, &w, &mut y, 1e-5);
        let (mut gx, mut gw) = (b.clone(), g.clone());
        rms_norm_backward(isa, &x, &w, &g, &mut gx, &mut gw, r);
        let (mean, r2) = layer_norm(isa, &x, &w, &b, &mut z, 1e-5);
        let (mut hx, mut hw, mut hb) = (b.clone(), g.clone(), x.clone());
        layer_norm_backward(isa, &x, &w, &g, &mut hx, &mut hw, &mut hb, mean, r2);
        let (mut gate, mut up) = (x.clone(), w.clone());
        swiglu_backward(isa, &mut gate, &mut up, &g);
        let mut pre = x.clone();
        gelu_backward(isa, &mut pre, &g);
        vec![y, z, vec![r, mean, r2], gx, gw, hx, hw, hb, gate, up, pre]
    });
}

#[test]
fn rope_and_adamw_agree_between_instruction_sets() {
    same_bits("rope, adamw", |isa, n| {
        let n = 2 * n;
        let (mut x, cos, sin) = (numbers(9, n), numbers(10, n), numbers(11, n));
        rope(isa, &mut x, &cos, &sin, -1.0);
        let (mut p, mut g, mut m) = (numbers(12, n), numbers(13, n), numbers(14, n));
        let mut v: Vec<f32> = numbers(15, n).iter().map(|x| x * x).collect();
        let step = AdamwNumbers {
            gradient_scale: 0.7,
            beta1: 0.9,
            beta2: 0.95,
            one_minus_beta1: 0.1,
            one_minus_beta2: 0.05,
            eps: 1e-8,
            shrink: 0.9999,
            rate: 2e-3,
            root: 1.3,
        };
        adamw(isa, &mut p, &mut g, &mut m, &mut v, &step);
        vec![x, p, g, m, v]
    });
}

#[test]
fn elementary_functions_are_accurate() {
    let x: Vec<f32> = (-2000..=2000).map(|i| i as f32 * 0.005).collect();
    let f64s = |f: &dyn Fn(f64) -> f64| x.iter().map(|&v| f(f64::from(v))).collect::<Vec<_>>();
    let mut e = x.clone();
    exp_row(Isa::best(), &mut e, 1.0, 0.0);
    for (g, w) in e.iter().zip(f64s(&libm::exp)) {
        assert!((f64::from(*g) / w - 1.0).abs() < 3e-7, "{g} {w}");
    }
    let phi = |v: f64| 0.5 * libm::erfc(-v / std::f64::consts::SQRT_2);
    let mut y = vec![0.0; x.len()];
    gelu(Isa::best(), &x, &mut y);
    for (&v, g) in x.iter().zip(&y) {
        let v = f64::from(v);
        assert!((f64::from(*g) - v * phi(v)).abs() < 2e-6, "gelu({v}) = {g}");
    }
    let (mut slope, ones) = (x.clone(), vec![1.0; x.len()]);
    gelu_backward(Isa::best(), &mut slope, &ones);
    let density = |v: f64| libm::exp(-0.5 * v * v) / (2.0 * std::f64::consts::PI).sqrt();
    for (&v, g) in x.iter().zip(&slope) {
        let v = f64::from(v);
        assert!(
            (f64::from(*g) - phi(v) - v * density(v)).abs() < 2e-6,
            "gelu'({v}) = {g}"
        );
    }
}

#[test]
fn extreme_exponents_stay_finite() {
    let mut x = vec![-1e30, -200.0, -88.0, 0.0, 88.0, 200.0, 1e30];
    exp_row(Isa::best(), &mut x, 1.0, 0.0);
    assert!(x.iter().all(|v| v.is_normal()), "{x:?}");
}

/// A product in f64.
fn plain(
    m: usize,
    n: usize,
    k: usize,
    a: &dyn Fn(usize, usize) -> f32,
    b: &dyn Fn(usize, usize) -> f32,
) -> Vec<f64> {
    let mut c = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            c[i * n + j] = (0..k)
                .map(|l| f64::from(a(i, l)) * f64::from(b(l, j)))
                .sum();
        }
    }
    c
}

#[test]
fn products_are_right_for_all_layouts_and_agree_between_instruction_sets_and_threads() {
    let computes = |threads| -> Vec<Compute> {
        let all = Isa::available().into_iter();
        all.map(|isa| Compute::with(isa, threads)).collect()
    };
    products_agree(&|x| x, computes);
}

#[test]
fn products_of_bfloat16_are_right_and_those_of_the_processor_agree_with_plain_rust() {
    for emulated in Bf16::all_emulated() {
        let there = Isa::available().into_iter();
        let there = there.filter_map(|isa| Some((isa, Bf16::on(isa)?)));
        let native = there.filter(|(_, bf16)| bf16.emulated() == emulated);
        let native: Vec<_> = native.collect();
        if native.is_empty() {
            let way = emulated.way();
            println!(
                "skipped: the processor's own products (it has none that are summed as {way:?})"
            );
        }
        let computes = |threads| -> Vec<Compute> {
            let all = native.iter().copied().chain([(Isa::best(), emulated)]);
            all.map(|(isa, bf16)| Compute::with(isa, threads).in_bf16(bf16))
                .collect()
        };
        products_agree(&to_bf16, computes);
    }
}

#[test]
fn bfloat16_has_the_bits_of_plain_rust_at_every_edge_and_for_extreme_numbers() {
    let mut found = Vec::new();
    for isa in Isa::available() {
        let Some(bf16) = Bf16::on(isa) else { continue };
        found.push(bf16.way());
        println!("compared: {}", isa.bf16_name());
        let compute = |bf16, threads| Compute::with(isa, threads).in_bf16(bf16);
        let plain = compute(bf16.emulated(), 1);
        let native = [1, 2, 3].map(|threads| compute(bf16, threads));
        for m in [1, 16, 17, 32, 33, 193] {
            for (n, k) in [
                (1, 3),
                (16, 32),
                (17, 31),
                (31, 33),
                (32, 64),
                (65, 1),
                (33, 97),
            ] {
                bits_agree([m, n, k], &plain, &native);
            }
        }
        for size in [[32, 32, 512], [33, 40, 513], [17, 33, 1055], [7, 2090, 34]] {
            bits_agree(size, &plain, &native);
        }
    }
    for way in Way::ALL.iter().filter(|way| !found.contains(way)) {
        println!("skipped: no products of bfloat16 on this machine that are summed as {way:?}");
    }
}

/// `native` gives the same bits as `plain` in every layout, with and without adding to C, for numbers of all
/// magnitudes.
fn bits_agree([m, n, k]: [usize; 3], plain: &Compute, native: &[Compute]) {
    for (layout, scale) in [(0, 0), (1, -55), (2, -63), (3, 60)] {
        // Products range from far below the smallest normal number to overflow.
        let spread = |seed, len| {
            let mut numbers = numbers(seed, len);
            for (i, x) in numbers.iter_mut().enumerate() {
                *x *= libm::exp2f((scale + (i % 7) as i32 - 3) as f32);
            }
            numbers
        };
        let (a, b, start) = (spread(3, m * k), spread(4, k * n), numbers(5, m * n));
        let view = |data, rows, columns, transposed| match transposed {
            true => Matrix::rows(data, rows).transposed(),
            false => Matrix::rows(data, columns),
        };
        let va = view(&a[..], m, k, layout & 1 == 1);
        let vb = view(&b[..], k, n, layout & 2 == 2);
        for add in [false, true] {
            let product = |compute: &Compute| {
                let mut c = start.clone();
                gemm(compute, [m, n, k], va, vb, &mut c, add);
                // The bits of a NaN from two infinities are unspecified.
                let told = |x: f32| if x.is_nan() { f32::NAN } else { x };
                bits(&c.into_iter().map(told).collect::<Vec<_>>())
            };
            let want = product(plain);
            for compute in native {
                let threads = compute.pool.threads();
                assert_eq!(
                    product(compute),
                    want,
                    "{m}x{n}x{k}, layout {layout}, add {add}, {threads} threads"
                );
            }
        }
    }
}

/// Products that distinguish the three ways. With t = 2⁻²⁴, 1 + t + t is 1 as one chain, since 1 + t is a tie; on tiles
/// the small terms come first; rounded to odd, 1 + t alone is more than 1.
#[test]
fn the_ways_of_bfloat16_round_differently() {
    let tiny = libm::exp2f(-24.0);
    let sums = |terms: &[(usize, f32)]| {
        Bf16::all_emulated().map(|bf16| {
            let compute = Compute::new(1).in_bf16(bf16);
            let (mut a, b, mut c) = (vec![0.0; 66], vec![1.0; 66], [f32::NAN]);
            terms.iter().for_each(|&(i, x)| a[i] = x);
            let (a, b) = (Matrix::rows(&a, 66), Matrix::rows(&b, 1));
            gemm(&compute, [1, 1, 66], a, b, &mut c, false);
            c[0]
        })
    };
    let more = 1.0 + f32::EPSILON;
    assert_eq!(sums(&[(0, 1.0), (32, tiny), (34, tiny)]), [1.0, more, more]);
    assert_eq!(sums(&[(0, 1.0), (32, tiny)]), [1.0, 1.0, more]);
    assert_eq!(sums(&[(0, 1.0), (1, tiny)]), [1.0, 1.0, more]);
}

/// `x` rounded to bfloat16, ties to even.
fn to_bf16(x: f32) -> f32 {
    let bits = x.to_bits();
    let (down, rest) = (bits & 0xffff_0000, bits & 0xffff);
    let odd = down & 0x1_0000 != 0;
    let up = rest > 0x8000 || rest == 0x8000 && odd;
    f32::from_bits(down + if up { 0x1_0000 } else { 0 })
}

/// Products in all layouts are correct for `rounded` factors, with the same bits on all computes and threads.
fn products_agree(rounded: &dyn Fn(f32) -> f32, computes: impl Fn(usize) -> Vec<Compute>) {
    for (m, n, k) in [
        (1, 1, 1),
        (3, 5, 7),
        (14, 32, 16),
        (15, 33, 17),
        (29, 70, 530),
        (90, 129, 40),
        (200, 31, 64),
        (5, 2100, 20),
    ] {
        let (a, b) = (numbers(1, m * k), numbers(2, k * n));
        for layout in 0..4 {
            let (ta, tb) = (layout & 1 == 1, layout & 2 == 2);
            let at = |i: usize, l: usize| rounded(if ta { a[l * m + i] } else { a[i * k + l] });
            let bt = |l: usize, j: usize| rounded(if tb { b[j * k + l] } else { b[l * n + j] });
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
            let mut first: Option<Vec<f32>> = None;
            for compute in computes(1).into_iter().chain(computes(3)) {
                let mut c = vec![f32::NAN; m * n];
                gemm(&compute, [m, n, k], va, vb, &mut c, false);
                if first.is_none() {
                    assert_close("product", &c, &plain(m, n, k, &at, &bt), 2e-6);
                }
                gemm(&compute, [m, n, k], va, vb, &mut c, true);
                let first = first.get_or_insert_with(|| c.clone());
                assert_eq!(
                    bits(first),
                    bits(&c),
                    "{m}x{n}x{k}, layout {layout}, {}, {:?}, {} threads",
                    compute.isa.name(),
                    compute.bf16,
                    compute.pool.threads()
                );
            }
        }
    }
}

#[test]
fn a_view_beyond_its_data_is_refused() {
    let a = vec![0.0; 11];
    let refused = std::panic::catch_unwind(|| {
        gemm(
            &Compute::new(1),
            [3, 2, 4],
            Matrix::rows(&a, 4),
            Matrix::rows(&a, 2),
            &mut [0.0; 6],
            false,
        );
    });
    assert!(refused.is_err());
}

#[test]
fn a_pool_runs_every_task_once_for_many_callers() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    let pool = Pool::new(4);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for round in 0..200 {
                    let counts: Vec<AtomicUsize> =
                        (0..round % 17).map(|_| AtomicUsize::new(0)).collect();
                    pool.run(counts.len(), &|i| {
                        // A task may start tasks itself.
                        pool.pieces(5, 2, &|a, b| {
                            counts[i].fetch_add(b - a, Ordering::Relaxed);
                        });
                    });
                    assert!(counts.iter().all(|c| c.load(Ordering::Relaxed) == 5));
                }
            });
        }
    });
}

#[test]
fn a_panic_in_a_task_reaches_the_caller_and_the_pool_goes_on() {
    let pool = Pool::new(3);
    for _ in 0..20 {
        let run = std::panic::AssertUnwindSafe(|| {
            pool.run(64, &|i| {
                std::thread::yield_now();
                assert!(i != 63, "on purpose");
            });
        });
        assert!(std::panic::catch_unwind(run).is_err());
        pool.run(8, &|_| {});
    }
}

#[test]
fn scratch_is_used_again_and_lies_on_a_line() {
    let first = Scratch::new(1000);
    let address = first.as_ptr() as usize;
    assert_eq!((address % 128, first.len()), (0, 1000));
    drop(first);
    let again = Scratch::new(500);
    assert_eq!((again.as_ptr() as usize, again.len()), (address, 500));
}

#[test]
fn every_kernel_of_the_bench_runs() {
    let names = cases::kernels();
    assert_eq!(names.len(), 26);
    for name in names {
        let mut case = cases::kernel(&name, 2).unwrap();
        if name.ends_with(" S") {
            case.run();
        }
        assert!(case.amount > 0, "{name}");
    }
    assert!(cases::kernel("product S", 1).is_none());
    for product in &cases::PRODUCTS[8..] {
        product.case(2, false).unwrap().run();
        let bf16 = product.case(2, true);
        assert_eq!(bf16.is_some(), Bf16::on(Isa::best()).is_some());
        if let Some(mut case) = bf16 {
            case.run();
        }
    }
}
