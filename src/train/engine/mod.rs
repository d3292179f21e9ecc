//! The trainer proper: the only place that names dfdx.

mod dropout;
mod fused;
mod gpt2;
mod kernels;
mod layout;
mod llama;
mod loss;
mod network;
mod ops;
mod reference;
mod score;

#[cfg(test)]
mod tests;
