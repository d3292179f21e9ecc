//! What the jobs of a thread do with CUDA graphs (`fused::graph`).

use std::cell::RefCell;

/// The use of graphs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graphs {
    /// Whether none may be used.
    #[cfg_attr(
        not(any(test, feature = "cuda")),
        expect(dead_code, reason = "a build without CUDA support uses none")
    )]
    pub(crate) never: bool,
    /// Steps that were started as a graph.
    pub(crate) steps: u64,
    /// Why the driver refused one, if it did.
    pub(crate) refused: Option<String>,
}

thread_local! {
    static USE: RefCell<Graphs> = RefCell::default();
}

/// Runs `work`, whose jobs use no graphs if `never`; returns what they did with graphs.
pub(crate) fn watched<T>(never: bool, work: impl FnOnce() -> T) -> (T, Graphs) {
    USE.set(Graphs {
        never,
        ..Graphs::default()
    });
    let result = work();
    (result, USE.take())
}

/// The use of graphs in this thread.
#[cfg(any(test, feature = "cuda"))]
pub(super) fn with<T>(change: impl FnOnce(&mut Graphs) -> T) -> T {
    USE.with_borrow_mut(change)
}
