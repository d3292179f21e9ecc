//! Memory written by several threads at once, each its own part; and reusable scratch memory.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;

/// A mutable slice whose disjoint parts may be written by different threads.
#[derive(Clone, Copy)]
pub(crate) struct SharedSlice<'a, T = f32> {
    start: *mut T,
    len: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: the only access is `part`, whose caller promises that parts in use at one time do not overlap.
unsafe impl<T: Send> Send for SharedSlice<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for SharedSlice<'_, T> {}

impl<'a, T> SharedSlice<'a, T> {
    /// Shares `slice`.
    pub(crate) fn new(slice: &'a mut [T]) -> Self {
        Self {
            start: slice.as_mut_ptr(),
            len: slice.len(),
            life: PhantomData,
        }
    }

    /// The part `range`.
    ///
    /// # Safety
    /// No other part in use at the same time may overlap it.
    pub(crate) unsafe fn part(&self, range: Range<usize>) -> &'a mut [T] {
        assert!(range.start <= range.end && range.end <= self.len);
        // SAFETY: within the slice by the assertion, exclusive by the caller's contract.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(range.start), range.len()) }
    }

    /// The address of the first element, for tiles that are not ranges.
    pub(crate) fn start(&self) -> *mut T {
        self.start
    }
}

/// Numbers in a [`Line`].
const LINE: usize = 32;

/// The longest cache line in use: 128 bytes on Apple's processors, 64 elsewhere, often fetched in pairs.
#[derive(Clone, Copy)]
#[repr(C, align(128))]
struct Line([f32; LINE]);

thread_local! {
    static FREE: Cell<Vec<Vec<Line>>> = const { Cell::new(Vec::new()) };
}

/// A buffer aligned to a cache line, from a small per-thread pool. Its content is arbitrary.
pub struct Scratch {
    lines: Vec<Line>,
    len: usize,
}

impl Scratch {
    /// A buffer of `len` numbers.
    pub(crate) fn new(len: usize) -> Self {
        let needed = len.div_ceil(LINE);
        let mut free = FREE.take();
        // The smallest that is large enough, otherwise the largest (to grow it).
        let fit = (0..free.len())
            .filter(|&i| free[i].len() >= needed)
            .min_by_key(|&i| free[i].len())
            .or_else(|| (0..free.len()).max_by_key(|&i| free[i].len()));
        let mut lines = fit.map(|i| free.swap_remove(i)).unwrap_or_default();
        FREE.set(free);
        if lines.len() < needed {
            lines.clear();
            lines.reserve_exact(needed);
            lines.resize(needed, Line([0.0; LINE]));
        }
        Self { lines, len }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // The thread may be ending; then the buffer is simply freed.
        let lines = std::mem::take(&mut self.lines);
        let _ = FREE.try_with(|cell| {
            let mut free = cell.take();
            if free.len() < 8 {
                free.push(lines);
            }
            cell.set(free);
        });
    }
}

impl std::ops::Deref for Scratch {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        // SAFETY: the lines hold at least `len` numbers, all initialised.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast(), self.len) }
    }
}

impl std::ops::DerefMut for Scratch {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and `self` is borrowed mutably.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.len) }
    }
}
