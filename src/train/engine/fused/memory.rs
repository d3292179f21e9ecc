//! Memory of a job: tensors from the device's cache, and a pool of plain buffers.

use super::Fused;
use crate::train::engine::ops::{Kept, Matrix};
use dfdx::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The error of the tensor library.
pub(super) type Failure = <Cpu as HasErr>::Err;

/// Reusable buffers, by length.
#[derive(Clone, Default)]
pub(super) struct Stock(Arc<Mutex<BTreeMap<usize, Vec<Vec<f32>>>>>);

impl Stock {
    /// A buffer of `len` numbers with arbitrary content.
    pub(super) fn buffer(&self, len: usize) -> Buffer {
        let found = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_mut(&len)
            .and_then(Vec::pop);
        Buffer {
            numbers: found.unwrap_or_else(|| vec![0.0; len]),
            home: self.clone(),
        }
    }
}

impl Stock {
    /// Frees all unused buffers.
    pub(super) fn clear(&self) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clear();
    }

    /// Total length of the unused buffers.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let stock = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stock.iter().map(|(len, buffers)| len * buffers.len()).sum()
    }
}

/// The batch sizes (in rows) whose memory is kept for reuse.
///
/// Memory is kept by exact length, and batches are padded to their longest sequence, so each could have a different
/// length. The kept memory is bounded: its sizes add up to at most the largest batch so far, so batches of many lengths
/// need no more memory than the longest alone.
#[derive(Default)]
pub(in crate::train::engine) struct Sizes(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    sizes: Vec<usize>,
    largest: usize,
}

impl Sizes {
    /// Notes a batch of `rows` rows. True if all unused memory must be freed first.
    pub(in crate::train::engine) fn crowded_by(&self, rows: usize) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.sizes.contains(&rows) {
            return false;
        }
        waiting.largest = waiting.largest.max(rows);
        let all = waiting.sizes.iter().sum::<usize>() + rows;
        let crowded = all > waiting.largest;
        if crowded {
            waiting.sizes.clear();
        }
        waiting.sizes.push(rows);
        crowded
    }
}

/// A buffer that returns to its pool.
pub(super) struct Buffer {
    numbers: Vec<f32>,
    home: Stock,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let numbers = std::mem::take(&mut self.numbers);
        let mut stock = self.home.0.lock().unwrap_or_else(PoisonError::into_inner);
        stock.entry(numbers.len()).or_default().push(numbers);
    }
}

impl std::ops::Deref for Buffer {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        &self.numbers
    }
}

impl std::ops::DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.numbers
    }
}

/// A matrix of zeros from the device's cache.
pub(super) fn zeros(device: &Cpu, rows: usize, columns: usize) -> Result<Matrix<Fused>, Failure> {
    device.try_zeros_like(&(rows, columns))
}

/// Takes the gradient of an operation's output out of the store: nothing more is added to it, and it is freed after
/// use. `$output` is a ghost, whose type the library does not name.
macro_rules! take_gradient {
    ($gradients:expr, $output:expr) => {{
        let output = $output;
        let shape = *dfdx::shapes::HasShape::shape(&output);
        let stored = $gradients.get_or_alloc_mut(&output)?;
        // Never an empty vector: the library's cache would keep its dangling address.
        let numbers: Vec<f32> = std::mem::replace(&mut **stored, vec![0.0]);
        (numbers, shape)
    }};
}
pub(super) use take_gradient;

/// The gradient of `x` in the store.
pub(super) fn gradient<'a>(
    store: &'a mut Kept<Fused>,
    x: &Matrix<Fused>,
) -> Result<&'a mut [f32], Failure> {
    Ok(store.get_or_alloc_mut(x)?.as_mut_slice())
}
