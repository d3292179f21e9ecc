//! Chooses the next run to start by plan order, memory and threads.

use super::Options;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Permission to run, with the memory and threads it holds.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) threads: usize,
    bytes: u64,
}

/// A worker thread. The memory of a finished run stays with its thread for reuse, so a worker that has made a run goes
/// before a fresh one.
#[derive(Debug, Default)]
pub(super) struct Worker {
    has_run: bool,
}

/// A worker's next action.
pub(super) enum Next {
    Start(usize, Ticket),
    Done,
}

struct State {
    /// Runs to start, in order: index, bytes, earliest start.
    queue: VecDeque<(usize, u64, Option<Instant>)>,
    active: usize,
    bytes: u64,
    threads: usize,
    /// Idle workers that have made a run and will ask for another.
    rested: usize,
}

/// The waiting runs, and the resources of the active ones.
pub(super) struct Admission {
    state: Mutex<State>,
    changed: Condvar,
    jobs: usize,
    threads: usize,
    free_memory: Option<u64>,
    poll: Duration,
}

impl Admission {
    pub(super) fn new(runs: &[(usize, u64)], options: &Options) -> Self {
        let queue = runs.iter().map(|(index, bytes)| (*index, *bytes, None));
        Self {
            state: Mutex::new(State {
                queue: queue.collect(),
                active: 0,
                bytes: 0,
                threads: 0,
                rested: 0,
            }),
            changed: Condvar::new(),
            jobs: options.jobs.max(1),
            threads: options.threads.max(1),
            free_memory: options.free_memory,
            poll: options.poll,
        }
    }

    /// Waits for a run that may start; `Done` if none is left or `halted`.
    pub(super) fn next(
        &self,
        worker: &mut Worker,
        halted: &dyn Fn() -> bool,
        poll: Duration,
    ) -> Next {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if state.queue.is_empty() || halted() {
                state.rested -= usize::from(std::mem::take(&mut worker.has_run));
                self.changed.notify_all();
                return Next::Done;
            }
            if (worker.has_run || state.rested == 0)
                && let Some(place) = self.startable(&state)
                && let Some((index, bytes, _)) = state.queue.remove(place)
            {
                state.rested -= usize::from(std::mem::replace(&mut worker.has_run, true));
                // A fresh worker may have waited for this one.
                self.changed.notify_all();
                let ticket = self.ticket(&mut state, bytes);
                return Next::Start(index, ticket);
            }
            let waited = self.changed.wait_timeout(state, poll);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The first queued run that is due and fits; a large run is not overtaken, so that it is not starved.
    fn startable(&self, state: &State) -> Option<usize> {
        let now = Instant::now();
        let due = |since: &Option<Instant>| since.is_none_or(|since| since <= now);
        let place = state.queue.iter().position(|(_, _, since)| due(since))?;
        let fits = self
            .free_memory
            .is_none_or(|free| state.bytes.saturating_add(state.queue[place].1) <= free);
        (state.active == 0 || fits).then_some(place)
    }

    /// Divides the free threads among this run and those that could start beside it.
    fn ticket(&self, state: &mut State, bytes: u64) -> Ticket {
        let slots = (self.jobs - state.active.min(self.jobs - 1)).max(1);
        let shares = slots.min(state.queue.len() + 1);
        let threads = (self.threads.saturating_sub(state.threads) / shares).max(1);
        state.active += 1;
        state.bytes = state.bytes.saturating_add(bytes);
        state.threads += threads;
        Ticket { threads, bytes }
    }

    /// Releases the resources of a run.
    pub(super) fn finish(&self, ticket: Ticket) {
        self.release(&ticket, None);
    }

    /// Releases the resources of a run that another process is making, and moves it to the end of the queue.
    pub(super) fn put_back(&self, index: usize, ticket: Ticket) {
        self.release(&ticket, Some((index, ticket.bytes)));
    }

    fn release(&self, ticket: &Ticket, back: Option<(usize, u64)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.active -= 1;
        state.rested += 1;
        state.bytes = state.bytes.saturating_sub(ticket.bytes);
        state.threads = state.threads.saturating_sub(ticket.threads);
        if let Some((index, bytes)) = back {
            let due = Instant::now() + self.poll;
            state.queue.push_back((index, bytes, Some(due)));
        }
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(bytes: &[u64], options: Options) -> Admission {
        let runs: Vec<_> = bytes.iter().copied().enumerate().collect();
        Admission::new(&runs, &options)
    }

    /// The run that the first admissible worker would start.
    fn start(admission: &Admission) -> Option<(usize, Ticket)> {
        let has_run = admission.state.lock().unwrap().rested > 0;
        ask(admission, &mut Worker { has_run })
    }

    fn ask(admission: &Admission, worker: &mut Worker) -> Option<(usize, Ticket)> {
        let mut asked = 0;
        let asked = std::cell::RefCell::new(&mut asked);
        let halted = || {
            **asked.borrow_mut() += 1;
            **asked.borrow() > 1
        };
        match admission.next(worker, &halted, Duration::from_millis(1)) {
            Next::Start(index, ticket) => Some((index, ticket)),
            Next::Done => None,
        }
    }

    #[test]
    fn threads_are_divided_and_never_lent_twice() {
        let options = Options {
            jobs: 3,
            threads: 8,
            ..Options::default()
        };
        let admission = admission(&[1, 1, 1, 1], options);
        let tickets: Vec<_> = (0..3).map(|_| start(&admission).unwrap()).collect();
        let threads: Vec<_> = tickets.iter().map(|(_, t)| t.threads).collect();
        assert_eq!(threads, [2, 3, 3]);
        for (_, ticket) in tickets {
            admission.finish(ticket);
        }
        assert_eq!(
            start(&admission).unwrap().1.threads,
            8,
            "the last one has all"
        );
    }

    #[test]
    fn memory_bounds_what_runs_at_a_time() {
        let options = Options {
            jobs: 3,
            free_memory: Some(10),
            ..Options::default()
        };
        let admission = admission(&[20, 6, 4, 1], options);
        let (first, large) = start(&admission).unwrap();
        assert_eq!(first, 0, "one run always starts");
        assert!(start(&admission).is_none());
        admission.finish(large);
        let second = start(&admission).unwrap();
        let third = start(&admission).unwrap();
        assert_eq!((second.0, third.0), (1, 2));
        assert!(start(&admission).is_none());
    }

    #[test]
    fn whoever_has_run_goes_on_before_a_fresh_worker_begins() {
        let options = Options {
            jobs: 3,
            free_memory: Some(100),
            ..Options::default()
        };
        let admission = admission(&[60, 60, 40, 40, 1], options);
        let [mut old, mut fresh, mut other] = <[Worker; 3]>::default();
        let (_, first) = ask(&admission, &mut old).unwrap();
        assert!(ask(&admission, &mut fresh).is_none(), "no room");
        admission.finish(first);
        assert!(ask(&admission, &mut fresh).is_none(), "it is not its turn");
        let (second, _held) = ask(&admission, &mut old).unwrap();
        let (third, ticket) = ask(&admission, &mut fresh).unwrap();
        assert_eq!((second, third), (1, 2));
        admission.finish(ticket);
        // A worker that leaves holds up no other.
        let leaves = admission.next(&mut fresh, &|| true, Duration::from_millis(1));
        assert!(matches!(leaves, Next::Done));
        assert_eq!(ask(&admission, &mut other).unwrap().0, 3);
    }
}
