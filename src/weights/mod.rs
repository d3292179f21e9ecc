//! Weights and checkpoints as plain data, and the file they lie in. Nothing here trains, and nothing knows the store.

mod data;
pub mod file;
pub mod half;

pub use data::{Checkpoint, NamedTensor, Weights};
