//! Wall time of the parts of a step, on the thread that runs the operations. Reading the clock costs about ten
//! nanoseconds per operation.

use crate::{Part, PartSeconds};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Nanoseconds of each part since the last reading.
#[derive(Debug, Default)]
pub struct Clock([AtomicU64; Part::ALL.len()]);

impl Clock {
    /// Adds the time until the result is dropped to `part`.
    #[must_use]
    pub fn time(&self, part: Part) -> Timed<'_> {
        Timed {
            sum: &self.0[part as usize],
            started: Instant::now(),
        }
    }

    /// Returns the counted times and resets them to 0.
    pub fn take(&self) -> PartSeconds {
        let mut seconds = PartSeconds::default();
        for part in Part::ALL {
            let nanoseconds = self.0[part as usize].swap(0, Ordering::Relaxed);
            seconds.add(part, nanoseconds as f64 * 1e-9);
        }
        seconds
    }
}

/// Measures the time until it is dropped.
pub struct Timed<'a> {
    sum: &'a AtomicU64,
    started: Instant,
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        let nanoseconds = self.started.elapsed().as_nanos() as u64;
        self.sum.fetch_add(nanoseconds, Ordering::Relaxed);
    }
}
