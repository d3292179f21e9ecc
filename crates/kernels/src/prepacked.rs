//! Copies of weights that no longer change, in the order in which products of few rows read them, in one region
//! of huge pages: neither strides nor address translation slow down the stream.

use super::Compute;
use super::few::{WIDE, transpose};
use super::lanes::LANES;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ops::Range;
use std::ptr::NonNull;

/// A huge page of x86-64 and aarch64, in bytes.
const PAGE: usize = 2 << 20;

/// A region with copies of weights.
pub struct Prepacked {
    start: NonNull<f32>,
    layout: Layout,
    used: usize,
}

// SAFETY: it owns its memory and lends it only as slices, under the borrowing rules.
unsafe impl Send for Prepacked {}
// SAFETY: likewise.
unsafe impl Sync for Prepacked {}

impl Prepacked {
    /// Room for weights of these shapes (outputs, inner dimension). The system provides the memory on first
    /// use.
    pub fn new(shapes: impl Iterator<Item = (usize, usize)>) -> Self {
        let numbers: usize = shapes.map(room).sum();
        let bytes = (numbers * size_of::<f32>()).max(1).next_multiple_of(PAGE);
        let Ok(layout) = Layout::from_size_align(bytes, PAGE) else {
            unreachable!("the weights themselves are in memory");
        };
        // SAFETY: the size is not 0.
        let start = unsafe { alloc(layout) };
        let Some(start) = NonNull::new(start) else {
            handle_alloc_error(layout);
        };
        // SAFETY: whole pages, just allocated. If the system refuses, small pages work as well.
        #[cfg(target_os = "linux")]
        unsafe {
            libc::madvise(start.as_ptr().cast(), bytes, libc::MADV_HUGEPAGE);
        }
        Self {
            start: start.cast(),
            layout,
            used: 0,
        }
    }

    /// Copies `w` (outputs × `inner`) unchanged, for [`super::few_rows`]. `None` if there is no room.
    pub fn add_rows(&mut self, compute: &Compute, w: &[f32], inner: usize) -> Option<Range<usize>> {
        let (range, copy) = self.take(room((w.len() / inner, inner)), w.len())?;
        compute.rows(w.len() / inner, WIDE, [(copy, inner)], &|part, [copy]| {
            copy.copy_from_slice(&w[part.start * inner..part.end * inner]);
        });
        Some(range)
    }

    /// Copies `w` (outputs × `inner`) in panels of [`WIDE`] outputs, for [`super::few_chains`]. `None` if there is no room.
    pub fn add_panels(
        &mut self,
        compute: &Compute,
        w: &[f32],
        inner: usize,
    ) -> Option<Range<usize>> {
        let outputs = w.len() / inner;
        let lanes = outputs.next_multiple_of(LANES);
        let (range, copy) = self.take(room((outputs, inner)), lanes * inner)?;
        compute.rows(lanes, WIDE, [(copy, inner)], &|part, [copy]| {
            let end = part.end.min(outputs);
            transpose(
                compute.isa,
                &w[part.start * inner..end * inner],
                inner,
                copy,
            );
        });
        Some(range)
    }

    /// The copy at `range`.
    pub fn get(&self, range: &Range<usize>) -> &[f32] {
        assert!(range.start <= range.end && range.end <= self.used);
        // SAFETY: the numbers below `used` are initialised.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().add(range.start), range.len()) }
    }

    /// The next `len` numbers, as zeros; they occupy `room` numbers.
    fn take(&mut self, room: usize, len: usize) -> Option<(Range<usize>, &mut [f32])> {
        let range = self.used..self.used + len;
        if (self.used + room) * size_of::<f32>() > self.layout.size() {
            return None;
        }
        // SAFETY: inside the memory, as checked above, and not lent elsewhere.
        let fresh = unsafe {
            let start = self.start.as_ptr().add(range.start);
            start.write_bytes(0, room);
            std::slice::from_raw_parts_mut(start, len)
        };
        self.used += room;
        Some((range, fresh))
    }
}

impl Drop for Prepacked {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start.as_ptr().cast(), self.layout) };
    }
}

/// Numbers occupied by a weight: whole vectors of outputs, whole cache lines.
fn room((outputs, inner): (usize, usize)) -> usize {
    (outputs.next_multiple_of(LANES) * inner).next_multiple_of(2 * LANES)
}
