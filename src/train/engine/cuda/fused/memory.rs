//! Memory of a job on the GPU: buffers that are used again, numbers that travel in page-locked memory, and what matrix owns what.
//!
//! All calls are on one stream, so that a buffer can have its next owner as soon as the last call that uses it was made.

use super::super::api;
use super::super::sizes::rounded;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::c_void;
use std::rc::Rc;

/// Memory that waits to be used again, by size. Nothing is asked of the driver while there is some: allocations of drivers without memory pools
/// wait for the GPU.
#[derive(Default)]
pub(super) struct Pool(RefCell<BTreeMap<usize, Vec<u64>>>);

impl Pool {
    /// A buffer of at least `bytes` bytes with arbitrary content.
    pub(super) fn buffer(self: &Rc<Self>, bytes: usize) -> Buffer {
        let bytes = rounded(bytes);
        let waiting = self.0.borrow_mut().get_mut(&bytes).and_then(Vec::pop);
        let at = waiting.unwrap_or_else(|| {
            let mut at = 0;
            // SAFETY: `at` outlives the call.
            unsafe { api::cuMemAlloc_v2(&raw mut at, bytes) };
            at
        });
        Buffer {
            at,
            bytes,
            home: Rc::clone(self),
        }
    }

    /// Gives all that waits back to the driver.
    pub(super) fn clear(&self) {
        for at in std::mem::take(&mut *self.0.borrow_mut())
            .into_values()
            .flatten()
        {
            // SAFETY: nobody owns it any more.
            unsafe { api::cuMemFree_v2(at) };
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Memory on the GPU, which goes back to its pool. After a failure of the GPU it may be none, at 0: nothing is launched then.
pub(super) struct Buffer {
    /// Its address.
    pub(super) at: u64,
    bytes: usize,
    home: Rc<Pool>,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.at != 0 {
            let mut waiting = self.home.0.borrow_mut();
            waiting.entry(self.bytes).or_default().push(self.at);
        }
    }
}

/// Page-locked memory of the host, from which small uploads start without waiting for the GPU. What is in it must stay until the GPU has read it,
/// so it is filled from the beginning again only after a download.
#[derive(Default)]
pub(super) struct Staging {
    blocks: Vec<(*mut c_void, usize)>,
    used: usize,
}

impl Staging {
    const BLOCK: usize = 1 << 20;

    /// Room for `bytes` bytes; `None` where there is none, which is a fault.
    pub(super) fn room(&mut self, bytes: usize) -> Option<*mut c_void> {
        let fits = self
            .blocks
            .last()
            .is_some_and(|(_, size)| self.used + bytes <= *size);
        if !fits {
            let (mut at, size) = (std::ptr::null_mut(), bytes.max(Self::BLOCK));
            // SAFETY: `at` outlives the call.
            unsafe { api::cuMemAllocHost_v2(&raw mut at, size) };
            if at.is_null() {
                return None;
            }
            self.blocks.push((at, size));
            self.used = 0;
        }
        let (at, _) = self.blocks.last()?;
        // SAFETY: `used + bytes` is within the block.
        let room = unsafe { at.byte_add(self.used) };
        self.used = (self.used + bytes).next_multiple_of(16);
        Some(room)
    }

    /// The GPU has read everything: the largest block is enough from now on.
    pub(super) fn reuse(&mut self) {
        self.used = 0;
        while self.blocks.len() > 1 {
            let smallest = (0..self.blocks.len()).min_by_key(|index| self.blocks[*index].1);
            let (at, _) = self.blocks.swap_remove(smallest.unwrap_or(0));
            // SAFETY: allocated here, read by nobody any more.
            unsafe { api::cuMemFreeHost(at) };
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        for (at, _) in self.blocks.drain(..) {
            // SAFETY: allocated here; the job has ended.
            unsafe { api::cuMemFreeHost(at) };
        }
    }
}

/// What a matrix is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// f32, from the host: it stays until the job ends. Others go with the operation that takes them.
    Uploaded,
    /// f32: the residual stream.
    Stream,
    /// f32 or bfloat16, as the job has it, and so is its gradient.
    Activation,
}

/// What belongs to a matrix.
struct Entry {
    values: Rc<Buffer>,
    /// Rounded to bfloat16, for products.
    low: Option<Rc<Buffer>>,
    kind: Kind,
}

/// What matrix owns what: the tensor library's matrices hold a number of this table and nothing else.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    gradients: BTreeMap<usize, Rc<Buffer>>,
}

impl Table {
    /// Enters a matrix; its number.
    pub(super) fn enter(&mut self, values: Rc<Buffer>, kind: Kind) -> usize {
        let entry = Some(Entry {
            values,
            low: None,
            kind,
        });
        match self.free.pop() {
            Some(number) => {
                self.entries[number] = entry;
                number
            }
            None => {
                self.entries.push(entry);
                self.entries.len() - 1
            }
        }
    }

    /// The values of matrix `number`.
    pub(super) fn values(&self, number: usize) -> Rc<Buffer> {
        Rc::clone(&self.entry(number).values)
    }

    /// What matrix `number` is.
    pub(super) fn kind(&self, number: usize) -> Kind {
        self.entry(number).kind
    }

    fn entry(&self, number: usize) -> &Entry {
        let entry = self.entries.get(number).and_then(Option::as_ref);
        entry.expect("a matrix is used once by value, and before the next pass")
    }

    /// The values of matrix `number`, which nobody reads by its number any more.
    pub(super) fn take(&mut self, number: usize) -> Rc<Buffer> {
        let values = self.values(number);
        if self.kind(number) != Kind::Uploaded {
            self.entries[number] = None;
            self.free.push(number);
        }
        values
    }

    /// The rounded copy of matrix `number`, where there is one.
    pub(super) fn low(&self, number: usize) -> Option<Rc<Buffer>> {
        self.entry(number).low.clone()
    }

    /// Keeps a rounded copy.
    pub(super) fn set_low(&mut self, number: usize, low: Rc<Buffer>) {
        if let Some(Some(entry)) = self.entries.get_mut(number) {
            entry.low = Some(low);
        }
    }

    /// Forgets what the last pass left: a matrix that no operation took, gradients of no parameter.
    pub(super) fn begin_pass(&mut self) {
        for (number, slot) in self.entries.iter_mut().enumerate() {
            if slot
                .as_ref()
                .is_some_and(|entry| entry.kind != Kind::Uploaded)
            {
                *slot = None;
                self.free.push(number);
            }
        }
        let entries = &self.entries;
        self.gradients
            .retain(|number, _| entries.get(*number).is_some_and(Option::is_some));
    }

    /// The gradient of matrix `number`, where it has one.
    pub(super) fn gradient(&self, number: usize) -> Option<Rc<Buffer>> {
        self.gradients.get(&number).cloned()
    }

    /// Gives matrix `number` its first gradient.
    pub(super) fn set_gradient(&mut self, number: usize, gradient: Rc<Buffer>) {
        self.gradients.insert(number, gradient);
    }

    /// Takes the gradient of an operation's output: nothing adds to it any more.
    pub(super) fn take_gradient(&mut self, number: usize) -> Option<Rc<Buffer>> {
        self.gradients.remove(&number)
    }
}
