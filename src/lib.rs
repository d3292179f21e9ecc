//! A reproducible-experiment notebook runner driven by declarative specs.

pub mod claim;
pub mod cli;
pub mod data;
pub mod digest;
pub mod error;
pub mod eval;
pub mod expr;
pub mod fsx;
pub mod plan;
pub mod record;
pub mod rehearsal;
pub mod report;
pub mod rng;
pub mod scheduler;
pub mod spec;
pub mod store;
pub mod train;
pub mod workload;
