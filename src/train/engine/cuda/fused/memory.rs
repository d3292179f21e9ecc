//! Memory of a job on the GPU: reused buffers, small uploads through page-locked memory, and the ownership of
//! buffers by matrices.
//!
//! All calls are on one stream, so a buffer can get its next owner as soon as the last call that uses it was
//! issued.

use super::super::api;
use super::super::sizes::rounded;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_void;
use std::rc::Rc;

/// Unused buffers, by size. Nothing is requested from the driver while a suitable one exists, because drivers
/// without memory pools wait for the GPU before allocating.
#[derive(Default)]
pub(super) struct Pool {
    unused: RefCell<BTreeMap<usize, Vec<u64>>>,
    /// Sizes and addresses of the buffers handed out since [`Pool::watch`].
    taken: RefCell<Option<Blocks>>,
    /// Whether the driver was asked for memory since then.
    has_grown: Cell<bool>,
    /// The buffers that a CUDA graph writes, whoever owns them then.
    kept: RefCell<Blocks>,
}

/// Sizes and addresses of buffers.
pub(super) type Blocks = BTreeSet<(usize, u64)>;

impl Pool {
    /// A buffer of at least `bytes` bytes with arbitrary content.
    pub(super) fn buffer(self: &Rc<Self>, bytes: usize) -> Buffer {
        let bytes = rounded(bytes);
        let waiting = self.unused.borrow_mut().get_mut(&bytes).and_then(Vec::pop);
        let home = Some(Rc::clone(self));
        let buffer = match waiting {
            Some(at) => Buffer { at, bytes, home },
            None => self.lasting(bytes),
        };
        if let Some(taken) = &mut *self.taken.borrow_mut() {
            taken.insert((bytes, buffer.at));
        }
        buffer
    }

    /// Like [`Pool::buffer`], from the driver: for what stays for the whole job, so that the first step leaves
    /// everything that the next one needs.
    pub(super) fn lasting(self: &Rc<Self>, bytes: usize) -> Buffer {
        let (bytes, mut at) = (rounded(bytes), 0);
        // SAFETY: `at` outlives the call.
        unsafe { api::cuMemAlloc_v2(&raw mut at, bytes) };
        self.has_grown.set(true);
        let home = Some(Rc::clone(self));
        Buffer { at, bytes, home }
    }

    /// Notes from now on which buffers are handed out.
    pub(super) fn watch(&self) {
        *self.taken.borrow_mut() = Some(Blocks::new());
        self.has_grown.set(false);
    }

    /// Ends [`Pool::watch`]; returns the buffers.
    pub(super) fn watched(&self) -> Blocks {
        self.taken.take().unwrap_or_default()
    }

    /// Whether the driver was asked for memory since [`Pool::watch`].
    pub(super) fn has_grown(&self) -> bool {
        self.has_grown.get()
    }

    /// Makes [`Pool::clear`] leave these buffers alone, and no others.
    pub(super) fn keep(&self, blocks: Blocks) {
        self.kept.replace(blocks);
    }

    /// The buffers that nobody owns.
    pub(super) fn unused(&self) -> Blocks {
        let unused = self.unused.borrow();
        let each = |(bytes, list): (&usize, &Vec<u64>)| {
            let bytes = *bytes;
            list.clone().into_iter().map(move |at| (bytes, at))
        };
        unused.iter().flat_map(each).collect()
    }

    /// Whether nobody owns any of the kept buffers: then a graph may write them.
    pub(super) fn is_kept_unused(&self) -> bool {
        self.kept.borrow().is_subset(&self.unused())
    }

    /// Returns all unused buffers to the driver, except the kept ones.
    pub(super) fn clear(&self) {
        let kept = self.kept.borrow();
        self.unused.borrow_mut().retain(|bytes, list| {
            list.retain(|at| {
                let stays = kept.contains(&(*bytes, *at));
                if !stays {
                    // SAFETY: it has no owner any more.
                    unsafe { api::cuMemFree_v2(*at) };
                }
                stays
            });
            !list.is_empty()
        });
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.kept.take();
        self.clear();
    }
}

/// Memory on the GPU, returned to its pool when dropped. After a failure of the GPU it may be null, at address
/// 0; nothing is launched then.
pub(super) struct Buffer {
    /// Its address.
    pub(super) at: u64,
    bytes: usize,
    home: Option<Rc<Pool>>,
}

impl Buffer {
    /// A place in a buffer that somebody else owns; or nothing, at address 0.
    pub(super) fn within(at: u64) -> Self {
        let (bytes, home) = (0, None);
        Self { at, bytes, home }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = self.home.as_ref().filter(|_| self.at != 0) {
            let mut unused = home.unused.borrow_mut();
            unused.entry(self.bytes).or_default().push(self.at);
        }
    }
}

/// Page-locked host memory, from which small uploads start without waiting for the GPU. Its contents must stay
/// until the GPU has read them, so it is refilled from the beginning only after a download.
#[derive(Default)]
pub(super) struct Staging {
    blocks: Vec<(*mut c_void, usize)>,
    used: usize,
}

impl Staging {
    const BLOCK: usize = 1 << 20;

    /// Room for `bytes` bytes; `None`, which is a fault, if there is none.
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

    /// Called when the GPU has read everything; from now on, the largest block suffices.
    pub(super) fn reuse(&mut self) {
        self.used = 0;
        while self.blocks.len() > 1 {
            let smallest = (0..self.blocks.len()).min_by_key(|index| self.blocks[*index].1);
            let (at, _) = self.blocks.swap_remove(smallest.unwrap_or(0));
            // SAFETY: allocated here and no longer read.
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

/// The kind of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// f32, from the host; it stays until the job ends. The other kinds are released by the operation that
    /// takes them.
    Uploaded,
    /// f32: the residual stream.
    Stream,
    /// f32 or bfloat16, as set for the job; its gradient has the same type.
    Activation,
}

/// The buffers of a matrix.
struct Entry {
    values: Rc<Buffer>,
    /// A copy rounded to bfloat16, for products.
    low: Option<Rc<Buffer>>,
    kind: Kind,
}

/// The ownership of buffers by matrices: the tensor library's matrices contain only an entry number of this
/// table.
#[derive(Default)]
pub(super) struct Table {
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
    gradients: BTreeMap<usize, Rc<Buffer>>,
}

impl Table {
    /// Adds a matrix; returns its number.
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

    /// The kind of matrix `number`.
    pub(super) fn kind(&self, number: usize) -> Kind {
        self.entry(number).kind
    }

    fn entry(&self, number: usize) -> &Entry {
        let entry = self.entries.get(number).and_then(Option::as_ref);
        entry.expect("a matrix is used once by value, and before the next pass")
    }

    /// The values of matrix `number`, which is no longer read by its number.
    pub(super) fn take(&mut self, number: usize) -> Rc<Buffer> {
        let values = self.values(number);
        if self.kind(number) != Kind::Uploaded {
            self.entries[number] = None;
            self.free.push(number);
        }
        values
    }

    /// The rounded copy of matrix `number`, if there is one.
    pub(super) fn low(&self, number: usize) -> Option<Rc<Buffer>> {
        self.entry(number).low.clone()
    }

    /// Stores a rounded copy.
    pub(super) fn set_low(&mut self, number: usize, low: Rc<Buffer>) {
        if let Some(Some(entry)) = self.entries.get_mut(number) {
            entry.low = Some(low);
        }
    }

    /// Discards the leftovers of the last pass: matrices that no operation took, and gradients other than those
    /// of parameters.
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

    /// The gradient of matrix `number`, if it has one.
    pub(super) fn gradient(&self, number: usize) -> Option<Rc<Buffer>> {
        self.gradients.get(&number).cloned()
    }

    /// Sets the first gradient of matrix `number`.
    pub(super) fn set_gradient(&mut self, number: usize, gradient: Rc<Buffer>) {
        self.gradients.insert(number, gradient);
    }

    /// Takes the gradient of an operation's output, to which nothing is added any more.
    pub(super) fn take_gradient(&mut self, number: usize) -> Option<Rc<Buffer>> {
        self.gradients.remove(&number)
    }
}
