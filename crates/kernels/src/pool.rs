//! Helper threads of one engine job.
//!
//! A [`Pool`] owns its helpers: jobs in one process do not wait for each other. The caller works too; helpers that have
//! not woken before the work is done stay asleep, so that a helper without a core never delays the caller. With one
//! thread there is no synchronisation at all. Tasks must not depend on the thread that runs them; the number of threads
//! then never changes a result.

use std::cell::UnsafeCell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread::{JoinHandle, Thread};

const IDLE: u32 = 0;
const POSTED: u32 = 1;
const RUNNING: u32 = 2;
const QUIT: u32 = 3;

/// Rounds of spinning before a helper parks: some tens of microseconds.
const SPINS: u32 = 4_000;

type Job = *const (dyn Fn() + Sync);

/// On its own cache lines, since a waiting helper reads it continuously.
#[repr(align(128))]
struct Slot {
    state: AtomicU32,
    parked: AtomicBool,
    panicked: AtomicBool,
    job: UnsafeCell<Option<Job>>,
}

// SAFETY: `job` is written by the owner only while the state is IDLE and read by the helper only after it has moved POSTED to RUNNING;
// the two are ordered by `state`.
unsafe impl Sync for Slot {}
// SAFETY: the pointer refers to a `Sync` closure that outlives its use: see `Pool::on_all`.
unsafe impl Send for Slot {}

struct Helper {
    slot: Arc<Slot>,
    thread: Thread,
    handle: Option<JoinHandle<()>>,
}

/// A fixed number of threads, including the caller's.
pub struct Pool {
    helpers: Vec<Helper>,
    busy: AtomicBool,
}

impl Pool {
    /// Starts `threads − 1` helpers; fewer if the system refuses more (the results are the same).
    pub fn new(threads: usize) -> Self {
        let mut helpers = Vec::new();
        for _ in 1..threads {
            let slot = Arc::new(Slot {
                state: AtomicU32::new(IDLE),
                parked: AtomicBool::new(false),
                panicked: AtomicBool::new(false),
                job: UnsafeCell::new(None),
            });
            let own = Arc::clone(&slot);
            let Ok(handle) = std::thread::Builder::new().spawn(move || help(&own)) else {
                break;
            };
            helpers.push(Helper {
                slot,
                thread: handle.thread().clone(),
                handle: Some(handle),
            });
        }
        Self {
            helpers,
            busy: AtomicBool::new(false),
        }
    }

    /// Number of threads.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `task(0)`, …, `task(tasks − 1)`, in any order, on any thread.
    pub fn run(&self, tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        if tasks <= 1 || self.helpers.is_empty() {
            (0..tasks).for_each(task);
            return;
        }
        let next = AtomicUsize::new(0);
        self.on_all(tasks - 1, &|| {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                if i >= tasks {
                    break;
                }
                task(i);
            }
        });
    }

    /// Runs `task(a, b)` for `0..n` cut into pieces of `piece`.
    pub fn pieces(&self, n: usize, piece: usize, task: &(dyn Fn(usize, usize) + Sync)) {
        self.run(n.div_ceil(piece), &|i| {
            task(i * piece, ((i + 1) * piece).min(n));
        });
    }

    /// Runs `job` on this thread and on up to `most` helpers; each call must stop by itself when there is nothing left to do.
    /// If the pool is already in use (a second caller, a task that starts tasks), `job` runs only on this thread.
    pub fn on_all(&self, most: usize, job: &(dyn Fn() + Sync)) {
        let most = most.min(self.helpers.len());
        if most == 0 || self.busy.swap(true, Ordering::Acquire) {
            job();
            return;
        }
        // SAFETY: only the lifetime is changed. `Recall` waits, even when `job` panics, until no helper runs it and none can start it.
        let lasting = unsafe {
            std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(job)
        };
        let recall = Recall {
            helpers: &self.helpers[..most],
            busy: &self.busy,
        };
        for helper in recall.helpers {
            // SAFETY: the state is IDLE and this thread holds `busy`, so no other thread accesses the slot.
            unsafe { *helper.slot.job.get() = Some(lasting) };
            helper.slot.state.store(POSTED, Ordering::SeqCst);
            if helper.slot.parked.load(Ordering::SeqCst) {
                helper.thread.unpark();
            }
        }
        job();
        let panicked = recall
            .helpers
            .iter()
            .map(|helper| &helper.slot.panicked)
            .collect::<Vec<_>>();
        drop(recall);
        if panicked
            .iter()
            .any(|flag| flag.swap(false, Ordering::Relaxed))
        {
            resume_unwind(Box::new("a helper thread panicked"));
        }
    }
}

/// Takes a job back from helpers that have not started it and waits for those that have.
struct Recall<'a> {
    helpers: &'a [Helper],
    busy: &'a AtomicBool,
}

impl Drop for Recall<'_> {
    fn drop(&mut self) {
        for helper in self.helpers {
            let state = &helper.slot.state;
            if state
                .compare_exchange(POSTED, IDLE, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
            {
                continue;
            }
            let mut spins = 0;
            while state.load(Ordering::Acquire) == RUNNING {
                spins += 1;
                if spins < SPINS {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
        self.busy.store(false, Ordering::Release);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for helper in &self.helpers {
            helper.slot.state.store(QUIT, Ordering::SeqCst);
            helper.thread.unpark();
        }
        for helper in &mut self.helpers {
            if let Some(handle) = helper.handle.take() {
                let _ = handle.join();
            }
        }
    }
}

/// The loop of a helper.
fn help(slot: &Slot) {
    let mut spins = 0;
    loop {
        match slot.state.load(Ordering::Acquire) {
            QUIT => return,
            POSTED => {
                let taken = slot.state.compare_exchange(
                    POSTED,
                    RUNNING,
                    Ordering::SeqCst,
                    Ordering::SeqCst,
                );
                if taken.is_ok() {
                    run_posted(slot);
                    spins = 0;
                }
            }
            _ if spins < SPINS => {
                spins += 1;
                std::hint::spin_loop();
            }
            _ => {
                slot.parked.store(true, Ordering::SeqCst);
                let state = slot.state.load(Ordering::SeqCst);
                if state != POSTED && state != QUIT {
                    std::thread::park();
                }
                slot.parked.store(false, Ordering::SeqCst);
                spins = 0;
            }
        }
    }
}

fn run_posted(slot: &Slot) {
    // SAFETY: the owner wrote the job before it stored POSTED, and keeps it alive until the state is IDLE again.
    let job = unsafe { (*slot.job.get()).map(|job| &*job) };
    if let Some(job) = job
        && catch_unwind(AssertUnwindSafe(job)).is_err()
    {
        slot.panicked.store(true, Ordering::Relaxed);
    }
    slot.state.store(IDLE, Ordering::Release);
}
