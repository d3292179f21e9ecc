//! Claims: statements of a study, measured on our runs, each with a verdict.
//!
//! This module decides nothing about prose and knows no run by name: the spec defines what is
//! measured ([`crate::expr`]) and what is expected.

mod evidence;
mod verdict;

#[cfg(test)]
mod tests;

pub use evidence::Source;
pub(crate) use verdict::words;
pub use verdict::{Judged, Reason, Verdict, judge, judge_times};
