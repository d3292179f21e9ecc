//! The trainer proper: the only place that names dfdx.

mod dropout;
mod fused;
mod kernels;
mod loss;
mod ops;
