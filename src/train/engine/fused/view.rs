//! Slices of the values of dfdx's CPU matrices, whose storage the library does not expose.

#![expect(
    unsafe_code,
    reason = "the values of a tensor as a slice: the library shows single elements only"
)]

use dfdx::prelude::*;

/// A matrix as used by the operations.
type Values = Tensor<(usize, usize), f32, Cpu, NoneTape>;

/// Number of elements; the matrix must be contiguous in row-major order.
fn checked_len(x: &Values) -> usize {
    let &(rows, columns) = x.shape();
    if rows == 0 || columns == 0 {
        return 0;
    }
    let (first, last) = (&raw const x[[0, 0]], &raw const x[[rows - 1, columns - 1]]);
    let distance = last.addr() - first.addr();
    assert_eq!(
        distance,
        (rows * columns - 1) * size_of::<f32>(),
        "a broadcast or sliced matrix has no values of its own"
    );
    rows * columns
}

/// The values of `x`, row by row.
pub(super) fn values(x: &Values) -> &[f32] {
    match checked_len(x) {
        0 => &[],
        // SAFETY: the storage is one `Vec<f32>` that the tensor keeps alive and that nothing changes while it is borrowed. The first and the
        // last element are inside it (indexing is checked) and `len − 1` elements apart.
        len => unsafe { std::slice::from_raw_parts(&raw const x[[0, 0]], len) },
    }
}

/// The mutable values of `x`; copied first if another tensor shares them.
pub(super) fn values_mut(x: &mut Values) -> &mut [f32] {
    match checked_len(x) {
        0 => &mut [],
        // SAFETY: as in `values`; `IndexMut` makes the storage unshared (`Arc::make_mut`), and `x` is borrowed mutably.
        len => unsafe { std::slice::from_raw_parts_mut(&raw mut x[[0, 0]], len) },
    }
}
