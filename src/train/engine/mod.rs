//! The trainer: the only module that uses dfdx.
//!
//! - `ops`: the trait of operations; `reference` implements it with stock dfdx operations (any element, any device), `fused` with the
//!   CPU kernels of `kernels`.
//! - `cuda`: available GPUs, and the operations on them; `acceptance`: checks that a device agrees with the CPU.
//! - `llama`, `gpt2`: the models, written once over that trait; `layout`, `network`: their parameters and forward passes.
//! - `loss`, `dropout`, `score`: definitions on which all implementations must agree.
//! - `trainer`, `evaluate`, `generate`: the jobs; `step`: a training step as a whole.

pub mod acceptance;
pub mod cuda;
mod dropout;
mod element;
mod evaluate;
mod fused;
mod generate;
mod gpt2;
mod layout;
mod llama;
mod local;
#[cfg(test)]
mod loss;
mod network;
mod ops;
mod reference;
mod score;
mod step;
mod threads;
mod trainer;

#[cfg(test)]
mod tests;

pub use local::{DeviceKind, open, use_instruction_set};
