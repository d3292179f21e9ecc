//! The engine: the only place that names dfdx.

mod kernels;
