//! Memory accessible to a kernel: the launch's buffers and the shared memory of its block. Any other access is an
//! error.

use crate::launches::{Launch, Target};

/// The address of buffer `n` is `(n + 1) * APART`, so that an access before or after a buffer never hits another one.
const APART: u64 = 1 << 41;
/// The address of shared memory, which fits into 32 bits.
pub(crate) const SHARED: u64 = 1 << 24;

/// The memory of one launch.
pub(crate) struct Memory {
    names: Vec<String>,
    /// Total bytes, and the first stored byte.
    extents: Vec<(u64, u64)>,
    /// The stored parts.
    pub(crate) stored: Vec<Vec<u8>>,
    shared: Vec<u8>,
    written: Vec<bool>,
}

/// The address of a position in a buffer.
pub(crate) fn address(target: Target) -> u64 {
    (target.buffer as u64 + 1) * APART + target.offset
}

impl Memory {
    /// The memory before a launch.
    pub(crate) fn new(launch: &Launch) -> Self {
        let mut memory = Self {
            names: launch.buffers.iter().map(|b| b.name.clone()).collect(),
            extents: launch.buffers.iter().map(|b| (b.size, b.from)).collect(),
            stored: launch.buffers.iter().map(|b| b.before.clone()).collect(),
            shared: Vec::new(),
            written: Vec::new(),
        };
        for (buffer, bytes) in launch.buffers.iter().zip(&mut memory.stored) {
            for (at, target) in &buffer.pointers {
                let at = *at as usize;
                bytes[at..at + 8].copy_from_slice(&address(*target).to_le_bytes());
            }
        }
        memory
    }

    /// Begins a block: its shared memory is undefined.
    pub(crate) fn begin_block(&mut self, shared: usize) {
        self.shared = vec![0xff; shared];
        self.written = vec![false; shared];
    }

    /// Loads `size` bytes.
    pub(crate) fn load(&self, at: u64, size: usize) -> Result<u64, String> {
        let place = self.place(at, size)?;
        let bytes = match place {
            (None, from) => {
                if !self.written[from..from + size]
                    .iter()
                    .all(|written| *written)
                {
                    return Err("reads shared memory that nobody wrote".to_owned());
                }
                &self.shared[from..from + size]
            }
            (Some(buffer), from) => &self.stored[buffer][from..from + size],
        };
        let mut word = [0; 8];
        word[..size].copy_from_slice(bytes);
        Ok(u64::from_le_bytes(word))
    }

    /// Stores the low `size` bytes of a word.
    pub(crate) fn store(&mut self, at: u64, size: usize, word: u64) -> Result<(), String> {
        let bytes = match self.place(at, size)? {
            (None, from) => {
                self.written[from..from + size].fill(true);
                &mut self.shared[from..from + size]
            }
            (Some(buffer), from) => &mut self.stored[buffer][from..from + size],
        };
        bytes.copy_from_slice(&word.to_le_bytes()[..size]);
        Ok(())
    }

    /// Buffer (`None`: shared memory) and byte in its stored part.
    fn place(&self, at: u64, size: usize) -> Result<(Option<usize>, usize), String> {
        if !at.is_multiple_of(size as u64) {
            return Err(format!("has a misaligned address of {size} bytes"));
        }
        if at < APART / 2 {
            let from = at.wrapping_sub(SHARED) as usize;
            let inside = from
                .checked_add(size)
                .is_some_and(|end| end <= self.shared.len());
            let outside = || "is outside of shared memory".to_owned();
            return inside.then_some((None, from)).ok_or_else(outside);
        }
        let buffer = ((at + APART / 2) / APART - 1) as usize;
        let Some((whole, from)) = self.extents.get(buffer) else {
            return Err("is outside of all buffers".to_owned());
        };
        let offset = at.wrapping_sub((buffer as u64 + 1) * APART) as i64;
        let name = &self.names[buffer];
        if offset < 0 || offset as u64 + size as u64 > *whole {
            return Err(format!(
                "is at byte {offset} of `{name}`, which has {whole}"
            ));
        }
        let stored = (offset as u64).wrapping_sub(*from);
        if stored.saturating_add(size as u64) > self.stored[buffer].len() as u64 {
            return Err(format!(
                "is at byte {offset} of `{name}`, which is not this block's"
            ));
        }
        Ok((Some(buffer), stored as usize))
    }
}
