//! Weights and checkpoints as plain data, and their file format. Independent of training and the store.

mod data;
pub mod file;
pub mod half;

pub use data::{Checkpoint, NamedTensor, Weights};
