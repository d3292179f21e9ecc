//! The trainer proper: the only place that names dfdx.

mod dropout;
mod loss;
mod ops;
