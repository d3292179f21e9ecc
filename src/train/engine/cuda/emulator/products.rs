//! cuBLAS: products in f32 and of bfloat16, as loops.

use super::{Handle, called, compiled, graphs, is_allocated, look, nonsense};
use std::ffi::{c_int, c_void};

#[allow(clippy::too_many_arguments, reason = "as cuBLAS has it")]
pub(super) unsafe extern "C" fn sgemm_batched(
    _: Handle,
    a_op: u32,
    b_op: u32,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const f32,
    a: *const f32,
    lda: c_int,
    stride_a: i64,
    b: *const f32,
    ldb: c_int,
    stride_b: i64,
    beta: *const f32,
    c: *mut f32,
    ldc: c_int,
    stride_c: i64,
    count: c_int,
) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    let product = Product {
        transposed: [a_op == 1, b_op == 1],
        sizes: [m, n, k].map(|size| size as usize),
        leading: [lda, ldb, ldc].map(|size| size as usize),
        strides: [stride_a, stride_b, stride_c].map(|size| size as usize),
        count: count as usize,
    };
    // SAFETY: both factors are of the host.
    let factors = unsafe { [*alpha, *beta] };
    multiply(product, factors, [a as u64, b as u64, c as u64], [false; 3])
}

/// Carries out a product; `low`: which of the three matrices are bfloat16.
fn multiply(product: Product, factors: [f32; 2], at: [u64; 3], low: [bool; 3]) -> u32 {
    graphs::product(move || multiplied(&product, factors, at, low))
}

fn multiplied(product: &Product, factors: [f32; 2], at: [u64; 3], low: [bool; 3]) -> u32 {
    look(|gpu| gpu.products += 1);
    if !product.fits(at, low, is_allocated) {
        return nonsense(format!("a product beyond its matrices: {product:?}"));
    }
    look(|gpu| gpu.moved += product.bytes(low, factors[1] != 0.0));
    if !look(|gpu| gpu.dry) {
        // SAFETY: just checked.
        unsafe { product.run(factors, at, low) };
    }
    0
}

#[allow(clippy::too_many_arguments, reason = "as cuBLAS has it")]
pub(super) unsafe extern "C" fn gemm_ex(
    _: Handle,
    a_op: u32,
    b_op: u32,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const c_void,
    a: *const c_void,
    a_type: u32,
    lda: c_int,
    b: *const c_void,
    b_type: u32,
    ldb: c_int,
    beta: *const c_void,
    c: *mut c_void,
    c_type: u32,
    ldc: c_int,
    compute: u32,
    _: c_int,
) -> u32 {
    let failed = called();
    if failed != 0 {
        return failed;
    }
    let known = |kind: u32| kind == 0 || kind == 14;
    if compute != 68 || ![a_type, b_type, c_type].into_iter().all(known) || a_type != b_type {
        return nonsense(format!(
            "a product of types {a_type}, {b_type}, {c_type} in {compute}"
        ));
    }
    let product = Product {
        transposed: [a_op == 1, b_op == 1],
        sizes: [m, n, k].map(|size| size as usize),
        leading: [lda, ldb, ldc].map(|size| size as usize),
        strides: [0; 3],
        count: 1,
    };
    // SAFETY: both factors are of the host.
    let factors = unsafe { [*alpha.cast(), *beta.cast()] };
    let low = [a_type, b_type, c_type].map(|kind| kind == 14);
    multiply(product, factors, [a as u64, b as u64, c as u64], low)
}

#[allow(clippy::too_many_arguments, reason = "as cuBLAS has it")]
pub(super) unsafe extern "C" fn sgemm(
    handle: Handle,
    a_op: u32,
    b_op: u32,
    m: c_int,
    n: c_int,
    k: c_int,
    alpha: *const f32,
    a: *const f32,
    lda: c_int,
    b: *const f32,
    ldb: c_int,
    beta: *const f32,
    c: *mut f32,
    ldc: c_int,
) -> u32 {
    // SAFETY: as the caller promises.
    unsafe {
        sgemm_batched(
            handle, a_op, b_op, m, n, k, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc, 0, 1,
        )
    }
}

/// A product of cuBLAS: columns first, `c ← alpha op(a) op(b) + beta c`, several at a time.
#[derive(Debug)]
struct Product {
    transposed: [bool; 2],
    /// m, n, k.
    sizes: [usize; 3],
    leading: [usize; 3],
    strides: [usize; 3],
    count: usize,
}

impl Product {
    /// Whether all three matrices lie within what is allocated; `low`: which are bfloat16.
    fn fits(
        &self,
        at: [u64; 3],
        low: [bool; 3],
        is_allocated: impl Fn(u64, usize) -> bool,
    ) -> bool {
        let [m, n, k] = self.sizes;
        let shape = |number: usize| match (number, self.transposed) {
            (0, [false, _]) => (m, k),
            (0, [true, _]) => (k, m),
            (1, [_, false]) => (k, n),
            (1, [_, true]) => (n, k),
            _ => (m, n),
        };
        (0..3).all(|number| {
            let (rows, columns) = shape(number);
            let last = (self.count - 1) * self.strides[number];
            let len = last + (columns - 1) * self.leading[number] + rows;
            let bytes = if low[number] { 2 } else { 4 } * len;
            rows <= self.leading[number] && is_allocated(at[number], bytes)
        })
    }

    /// Bytes of the three matrices, the result twice where it is added to.
    fn bytes(&self, low: [bool; 3], add: bool) -> u64 {
        let ([m, n, k], [a, b, c]) = (self.sizes, low.map(|low| if low { 2 } else { 4 }));
        let result = m * n * c * if add { 2 } else { 1 };
        (self.count * (m * k * a + k * n * b + result)) as u64
    }

    /// Computes it, in f32.
    unsafe fn run(&self, [alpha, beta]: [f32; 2], places: [u64; 3], low: [bool; 3]) {
        let [m, n, k] = self.sizes;
        let [lda, ldb, ldc] = self.leading;
        let at = |transposed: bool, row: usize, column: usize, leading: usize| match transposed {
            false => column * leading + row,
            true => row * leading + column,
        };
        let conversions = low.contains(&true).then(|| {
            let found = compiled::conversions(look(|gpu| gpu.finer));
            found.expect("kernels in bfloat16 ran before")
        });
        // SAFETY: `fits` holds.
        let get = |number: usize, index: usize| unsafe {
            match conversions.filter(|_| low[number]) {
                Some((widen, _)) => widen((places[number] as *const u16).add(index).read()),
                None => (places[number] as *const f32).add(index).read(),
            }
        };
        for batch in 0..self.count {
            let offset = |number: usize| batch * self.strides[number];
            for column in 0..n {
                for row in 0..m {
                    let mut sum = 0.0f32;
                    for inner in 0..k {
                        let x = get(0, offset(0) + at(self.transposed[0], row, inner, lda));
                        sum += x * get(1, offset(1) + at(self.transposed[1], inner, column, ldb));
                    }
                    let place = offset(2) + column * ldc + row;
                    let before = if beta == 0.0 {
                        0.0
                    } else {
                        beta * get(2, place)
                    };
                    let value = alpha * sum + before;
                    // SAFETY: as above.
                    unsafe {
                        match conversions.filter(|_| low[2]) {
                            Some((_, round)) => {
                                (places[2] as *mut u16).add(place).write(round(value));
                            }
                            None => (places[2] as *mut f32).add(place).write(value),
                        }
                    }
                }
            }
        }
    }
}
