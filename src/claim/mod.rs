//! Claims: what a study says, measured on our runs, with a verdict.
//!
//! Decides nothing about prose and knows no run by name: the spec says what is measured ([`crate::expr`]) and expected.

mod evidence;
mod verdict;

#[cfg(test)]
mod tests;

pub use evidence::Source;
pub(crate) use verdict::words;
pub use verdict::{Judged, Reason, Verdict, judge, judge_times};
