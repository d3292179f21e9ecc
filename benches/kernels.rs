//! Speed of the CPU kernels on one thread and on two, at the sizes of the measured models: `cargo bench --bench kernels [-- WORDS…]`.
//!
//! Products are shown beside those of the crate `gemm` (on x86-64), in operations per second (two per multiply-add),
//! like attention and the output matrix with its loss; all others are memory-bound, so their rate counts numbers read
//! and written.
#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "the crate `gemm` takes pointers")
)]

use divan::Bencher;
use divan::counter::ItemsCount;
use specbook::internals::train::kernel_cases::{KernelCase, PRODUCTS, Product, kernel, kernels};

fn main() {
    divan::main();
}

fn time(bencher: Bencher<'_, '_>, case: Option<KernelCase>) {
    let Some(mut case) = case else {
        return;
    };
    bencher
        .counter(ItemsCount::new(case.amount))
        .bench_local(|| case.run());
}

#[divan::bench(args = kernels(), consts = [1, 2], max_time = 0.4)]
fn layers<const THREADS: usize>(bencher: Bencher<'_, '_>, name: &str) {
    time(bencher, kernel(name, THREADS));
}

#[divan::bench(args = PRODUCTS, consts = [1, 2], max_time = 0.4)]
fn product_f32<const THREADS: usize>(bencher: Bencher<'_, '_>, product: Product) {
    time(bencher, product.case(THREADS, false));
}

#[divan::bench(args = PRODUCTS, consts = [1, 2], max_time = 0.4)]
fn product_bf16<const THREADS: usize>(bencher: Bencher<'_, '_>, product: Product) {
    time(bencher, product.case(THREADS, true));
}

#[cfg(target_arch = "x86_64")]
#[divan::bench(args = PRODUCTS, consts = [1, 2], max_time = 0.4)]
fn product_gemm_crate<const THREADS: usize>(bencher: Bencher<'_, '_>, product: Product) {
    use std::hint::black_box;
    let [m, n, k] = product.sizes;
    let (a, b, mut c) = (vec![0.5f32; m * k], vec![0.25f32; k * n], vec![0f32; m * n]);
    // Column and row strides.
    let strides = |is_transposed, rows: usize, columns: usize| {
        if is_transposed {
            [rows as isize, 1]
        } else {
            [1, columns as isize]
        }
    };
    let [a_column, a_row] = strides(product.transposed[0], m, k);
    let [b_column, b_row] = strides(product.transposed[1], k, n);
    let threads = match THREADS {
        1 => gemm::Parallelism::None,
        threads => gemm::Parallelism::Rayon(threads),
    };
    let operations = ItemsCount::new(2 * m * n * k);
    bencher.counter(operations).bench_local(|| {
        // SAFETY: the strides are those of vectors of these sizes.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                black_box(c.as_mut_ptr()),
                1,
                n as isize,
                false,
                a.as_ptr(),
                a_column,
                a_row,
                b.as_ptr(),
                b_column,
                b_row,
                0f32,
                1f32,
                false,
                false,
                false,
                threads,
            );
        }
    });
}
