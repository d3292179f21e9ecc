//! The trainer proper: the only place that names dfdx.

mod dropout;
mod gpt2;
mod layout;
mod llama;
mod loss;
mod network;
mod ops;
mod reference;
mod score;

#[cfg(test)]
mod tests;
