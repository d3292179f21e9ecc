//! The tensor library's kernels, one thread after another: what they compute from their parameters, in f32.

use std::ffi::c_void;

type Parameters = *mut *mut c_void;

/// Reads parameter `number`.
unsafe fn get<T: Copy>(parameters: Parameters, number: usize) -> T {
    // SAFETY: the caller knows the number and the type of the kernel's parameters.
    unsafe { (*parameters.add(number)).cast::<T>().read_unaligned() }
}

/// Numbers on the GPU at an address; none at 0.
#[derive(Clone, Copy)]
struct At(*mut f32);

impl At {
    unsafe fn of(parameters: Parameters, number: usize) -> Self {
        // SAFETY: an address is one word.
        Self(unsafe { get::<u64>(parameters, number) } as *mut f32)
    }

    fn is_there(self) -> bool {
        !self.0.is_null()
    }

    unsafe fn get(self, index: usize) -> f32 {
        // SAFETY: kernels stay within their buffers.
        unsafe { self.0.add(index).read() }
    }

    unsafe fn set(self, index: usize, value: f32) {
        // SAFETY: as above.
        unsafe { self.0.add(index).write(value) }
    }

    unsafe fn add(self, index: usize, value: f32) {
        // SAFETY: as above.
        unsafe { self.set(index, self.get(index) + value) }
    }
}

/// Sizes on the GPU.
unsafe fn sizes<'a>(parameters: Parameters, number: usize, len: usize) -> &'a [usize] {
    // SAFETY: the caller knows how many there are; they outlive the launch.
    unsafe { std::slice::from_raw_parts(get::<u64>(parameters, number) as *const usize, len) }
}

/// Where element `index` of a tensor lies.
fn strided(index: usize, dims: &[usize], strides: &[usize]) -> usize {
    let (mut rest, mut at) = (index, 0);
    for (dim, stride) in dims.iter().zip(strides).rev() {
        at += rest % dim * stride;
        rest /= dim;
    }
    at
}

/// Runs the kernel `name`.
pub(super) unsafe fn run(name: &str, parameters: Parameters) -> Result<(), String> {
    let base = name.strip_suffix("_f32").ok_or("it is not for f32")?;
    // SAFETY: each kernel reads the parameters that the tensor library gives it.
    unsafe {
        if let Some(op) = base.strip_suffix("_bwd_lhs") {
            return binary_backward(op, parameters, true);
        }
        if let Some(op) = base.strip_suffix("_bwd_rhs") {
            return binary_backward(op, parameters, false);
        }
        match base {
            "axpy" => axpy(parameters),
            "fill_with" => fill(parameters),
            "sum_to_fwd" => sum(parameters),
            "sum_to_bwd" => sum_backward(parameters),
            "max_to_fwd" => max(parameters),
            "gather_fwd" | "gather_bwd" => gather(parameters, base == "gather_bwd"),
            "select_fwd" | "select_bwd" => select(parameters, base == "select_bwd"),
            "slice_fwd" | "slice_bwd" => slice(parameters, base == "slice_bwd"),
            _ => {
                return match (base.strip_suffix("_fwd"), base.strip_suffix("_bwd")) {
                    (Some(op), _) if op.starts_with('b') => binary(op, parameters),
                    (Some(op), _) => unary(op, parameters),
                    (_, Some(op)) => unary_backward(op, parameters),
                    _ => Err("there is no such kernel".to_owned()),
                };
            }
        }
    }
    Ok(())
}

unsafe fn unary(op: &str, parameters: Parameters) -> Result<(), String> {
    // SAFETY: (op, numel, inp, out).
    unsafe {
        let (n, inp, out) = (
            get::<usize>(parameters, 1),
            At::of(parameters, 2),
            At::of(parameters, 3),
        );
        for index in 0..n {
            let x = if inp.is_there() { inp } else { out }.get(index);
            let scalar = || get::<f32>(parameters, 0);
            let y = match op {
                "exp" => x.exp(),
                "ln" => x.ln(),
                "square" => x * x,
                "sqrt" => x.sqrt(),
                "recip" => 1.0 / x,
                "negate" => -x,
                "sigmoid" => 1.0 / (1.0 + (-x).exp()),
                "accurate_gelu" => {
                    0.5 * x * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2))
                }
                "sadd" => x + scalar(),
                "ssub" => x - scalar(),
                "smul" => x * scalar(),
                "sdiv" => x / scalar(),
                _ => return Err("there is no such function".to_owned()),
            };
            out.set(index, y);
        }
    }
    Ok(())
}

unsafe fn unary_backward(op: &str, parameters: Parameters) -> Result<(), String> {
    // SAFETY: (op, numel, inp, grad_inp, out, grad_out).
    unsafe {
        let n = get::<usize>(parameters, 1);
        let [inp, slope, out, from] = [2, 3, 4, 5].map(|number| At::of(parameters, number));
        for index in 0..n {
            let x = if inp.is_there() { inp.get(index) } else { 0.0 };
            let y = if out.is_there() { out.get(index) } else { 0.0 };
            let scalar = || get::<f32>(parameters, 0);
            let d = match op {
                "exp" => y,
                "ln" => 1.0 / x,
                "square" => x + x,
                "sqrt" => 1.0 / (y + y),
                "recip" => -y * y,
                "negate" => -1.0,
                "sigmoid" => y * (1.0 - y),
                // With the library's wrong factor.
                "accurate_gelu" => {
                    let normal = std::f32::consts::FRAC_2_SQRT_PI * (-0.5 * x * x).exp();
                    0.5 * (1.0 + libm::erff(x * std::f32::consts::FRAC_1_SQRT_2)) + 0.5 * x * normal
                }
                "sadd" | "ssub" => 1.0,
                "smul" => scalar(),
                "sdiv" => 1.0 / scalar(),
                _ => return Err("there is no such function".to_owned()),
            };
            slope.add(index, d * from.get(index));
        }
    }
    Ok(())
}

unsafe fn binary(op: &str, parameters: Parameters) -> Result<(), String> {
    // SAFETY: (op, numel, num_dims, info, lhs, rhs, out).
    unsafe {
        let (n, d) = (get::<usize>(parameters, 1), get::<usize>(parameters, 2));
        let info = sizes(parameters, 3, 3 * d);
        let [lhs, rhs, out] = [4, 5, 6].map(|number| At::of(parameters, number));
        for index in 0..n {
            let value = |of: At, strides: &[usize]| match of.is_there() {
                true => of.get(strided(index, &info[..d], strides)),
                false => out.get(index),
            };
            let (x, y) = (value(lhs, &info[d..2 * d]), value(rhs, &info[2 * d..]));
            let z = match op {
                "badd" => x + y,
                "bsub" => x - y,
                "bmul" => x * y,
                "bdiv" => x / y,
                _ => return Err("there is no such function".to_owned()),
            };
            out.set(index, z);
        }
    }
    Ok(())
}

unsafe fn binary_backward(op: &str, parameters: Parameters, left: bool) -> Result<(), String> {
    // SAFETY: (op, numel, num_dims, info, lhs, …) with (grad_lhs, chunk_len, rhs) or (rhs, grad_rhs, chunk_len), then grad_out.
    unsafe {
        let (n, d) = (get::<usize>(parameters, 1), get::<usize>(parameters, 2));
        let info = &sizes(parameters, 3, 6 * d)[if left { 0 } else { 3 * d }..];
        let lhs = At::of(parameters, 4);
        let (rhs, slope, chunk) = match left {
            true => (
                At::of(parameters, 7),
                At::of(parameters, 5),
                get::<usize>(parameters, 6),
            ),
            false => (
                At::of(parameters, 5),
                At::of(parameters, 6),
                get::<usize>(parameters, 7),
            ),
        };
        let from = At::of(parameters, 8);
        for index in 0..n {
            let there = strided(index, &info[..d], &info[d..2 * d]);
            let other = strided(index, &info[..d], &info[2 * d..3 * d]);
            let own = index / chunk;
            let value = |of: At, at: usize| if of.is_there() { of.get(at) } else { 0.0 };
            let (x, y) = match left {
                true => (value(lhs, own), value(rhs, other)),
                false => (value(lhs, other), value(rhs, own)),
            };
            let derivative = match (op, left) {
                ("badd", _) | ("bsub", true) => 1.0,
                ("bsub", false) => -1.0,
                ("bmul", true) => y,
                ("bmul", false) => x,
                ("bdiv", true) => 1.0 / y,
                ("bdiv", false) => -x / (y * y),
                _ => return Err("there is no such function".to_owned()),
            };
            slope.add(own, derivative * from.get(there));
        }
    }
    Ok(())
}

unsafe fn axpy(parameters: Parameters) {
    // SAFETY: (numel, a, alpha, b, beta).
    unsafe {
        let (a, b) = (At::of(parameters, 1), At::of(parameters, 3));
        let (alpha, beta) = (get::<f32>(parameters, 2), get::<f32>(parameters, 4));
        for index in 0..get::<usize>(parameters, 0) {
            a.set(index, a.get(index) * alpha + b.get(index) * beta);
        }
    }
}

unsafe fn fill(parameters: Parameters) {
    // SAFETY: (buf, value, numel).
    unsafe {
        let (buffer, value) = (At::of(parameters, 0), get::<f32>(parameters, 1));
        (0..get::<usize>(parameters, 2)).for_each(|index| buffer.set(index, value));
    }
}

unsafe fn sum(parameters: Parameters) {
    // SAFETY: (numel, num_dims, elems_per_thread, chunk_len, info, inp, out).
    unsafe {
        let (n, d) = (get::<usize>(parameters, 0), get::<usize>(parameters, 1));
        let (factor, chunk) = (get::<f32>(parameters, 2), get::<usize>(parameters, 3));
        let info = sizes(parameters, 4, 2 * d);
        let (inp, out) = (At::of(parameters, 5), At::of(parameters, 6));
        for index in 0..n {
            let value = inp.get(strided(index, &info[..d], &info[d..])) * factor;
            out.add(index / chunk, value);
        }
    }
}

unsafe fn sum_backward(parameters: Parameters) {
    // SAFETY: (numel, num_dims, elems_per_thread, info, grad_inp, grad_out).
    unsafe {
        let (n, d) = (get::<usize>(parameters, 0), get::<usize>(parameters, 1));
        let factor = get::<f32>(parameters, 2);
        let info = sizes(parameters, 3, 3 * d);
        let (slope, from) = (At::of(parameters, 4), At::of(parameters, 5));
        for index in 0..n {
            let place = |dim: usize| match info[d + dim] {
                0 => 0,
                stride => index / stride % info[dim],
            };
            let there: usize = (0..d).map(|dim| place(dim) * info[2 * d + dim]).sum();
            slope.add(index, from.get(there) * factor);
        }
    }
}

unsafe fn max(parameters: Parameters) {
    // SAFETY: (numel, num_dims, chunk_len, info, inp, out).
    unsafe {
        let (n, d) = (get::<usize>(parameters, 0), get::<usize>(parameters, 1));
        let chunk = get::<usize>(parameters, 2);
        let info = sizes(parameters, 3, 2 * d);
        let (inp, out) = (At::of(parameters, 4), At::of(parameters, 5));
        for index in 0..n {
            let value = inp.get(strided(index, &info[..d], &info[d..]));
            out.set(index / chunk, out.get(index / chunk).max(value));
        }
    }
}

unsafe fn gather(parameters: Parameters, backward: bool) {
    // SAFETY: forward (numel, inp, inp_num_dims, inp_dims, inp_strides, idx, idx_num_dims, idx_dims, idx_strides, out, out_num_dims);
    // backward with the gradients in the places of inp and out.
    unsafe {
        let n = get::<usize>(parameters, 0);
        let (inp, out) = (At::of(parameters, 1), At::of(parameters, 9));
        let d = get::<usize>(parameters, 2);
        let (dims, strides) = (sizes(parameters, 3, d), sizes(parameters, 4, d));
        let e = get::<usize>(parameters, 6);
        let (index_dims, index_strides) = (sizes(parameters, 7, e), sizes(parameters, 8, e));
        let axis = if get::<usize>(parameters, 10) > d {
            0
        } else {
            e - 1
        };
        let element: usize = dims[axis + 1..].iter().product();
        let all: usize = index_dims.iter().product();
        let rows = sizes(parameters, 5, all);
        for index in 0..n {
            let row = rows[strided(index / element, index_dims, index_strides)];
            let before = index / (element * index_dims[axis]);
            let whole = (before * dims[axis] + row) * element + index % element;
            let there = strided(whole, dims, strides);
            match backward {
                true => inp.add(there, out.get(index)),
                false => out.set(index, inp.get(there)),
            }
        }
    }
}

unsafe fn select(parameters: Parameters, backward: bool) {
    // SAFETY: as `gather`, but the last two are out_dims and out_strides.
    unsafe {
        let n = get::<usize>(parameters, 0);
        let (inp, out) = (At::of(parameters, 1), At::of(parameters, 9));
        let d = get::<usize>(parameters, 2);
        let (dims, strides) = (sizes(parameters, 3, d), sizes(parameters, 4, d));
        let e = get::<usize>(parameters, 6);
        let (index_dims, index_strides) = (sizes(parameters, 7, e), sizes(parameters, 8, e));
        let (out_dims, out_strides) = (sizes(parameters, 10, d - 1), sizes(parameters, 11, d - 1));
        let element: usize = dims[e + 1..].iter().product();
        let all: usize = index_dims.iter().product();
        let rows = sizes(parameters, 5, all);
        for index in 0..n {
            let before = index / element;
            let row = rows[strided(before, index_dims, index_strides)];
            let whole = (before * dims[e] + row) * element + index % element;
            let (here, there) = (
                strided(index, out_dims, out_strides),
                strided(whole, dims, strides),
            );
            match backward {
                true => inp.add(there, out.get(here)),
                false => out.set(here, inp.get(there)),
            }
        }
    }
}

unsafe fn slice(parameters: Parameters, backward: bool) {
    // SAFETY: (numel, num_dims, dims, strides, offset, inp, out), or the gradients of the last two.
    unsafe {
        let (n, d) = (get::<usize>(parameters, 0), get::<usize>(parameters, 1));
        let (dims, strides) = (sizes(parameters, 2, d), sizes(parameters, 3, d));
        let offset = get::<usize>(parameters, 4);
        let (inp, out) = (At::of(parameters, 5), At::of(parameters, 6));
        for index in 0..n {
            let there = offset + strided(index, dims, strides);
            match backward {
                true => inp.add(there, out.get(index)),
                false => out.set(index, inp.get(there)),
            }
        }
    }
}
