//! NVIDIA GPUs: which are present ([`probe`], in every build), and training on them (feature `cuda`).
//!
//! In every build:
//!
//! * `library`: shared libraries found at run time;
//! * `driver`: the driver's report, queried without linking against it;
//! * `choose`: whether a device can be used, and why not;
//! * `graphs`: whether steps become CUDA graphs, and how many did;
//! * `launches`: recorded kernel launches;
//! * `sizes`: the GPU memory of a training run.
//!
//! With the feature (tests have `api`, `fused` and `traffic` without it too, on the `emulator`):
//!
//! * `api`: the functions of driver and cuBLAS, looked up at run time; none of their errors becomes a panic;
//! * `fused`: the engine, with the kernels of `kernels`;
//! * `traffic`: the minimum work of a launch;
//! * `place`: the tensor library's device behind `engine::reference`, with stock operations for comparison.
//!
//! No CUDA library is linked: one binary runs with and without a GPU, and reports which it found.
#![expect(
    unsafe_code,
    reason = "functions of the driver, looked up by name and called by address"
)]

#[cfg(any(test, feature = "cuda"))]
mod api;
mod choose;
mod driver;
#[cfg(test)]
mod emulator;
#[cfg(any(test, feature = "cuda"))]
mod fused;
pub(crate) mod graphs;
#[cfg_attr(
    not(any(test, feature = "cuda")),
    expect(dead_code, reason = "a build without CUDA support runs none")
)]
pub(crate) mod launches;
mod library;
#[cfg(feature = "cuda")]
mod place;
mod sizes;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "cuda"))]
mod traffic;

#[cfg(test)]
pub use driver::{Blas, Gpu};
pub use driver::{Driver, NoDriver, probe};
#[cfg(feature = "cuda")]
pub(super) use fused::CudaFused as Fused;
pub(crate) use sizes::training_bytes;

/// The tensor library's own operations on a GPU.
#[cfg(feature = "cuda")]
pub(super) type Stock = super::reference::Reference<f32, dfdx::prelude::Cuda>;

use crate::train::{Engine, TrainError, TrainJob};

/// The CUDA version that the kernels of this build require from a driver, as set by the build script (`13.0`).
pub const BUILT_FOR: Option<&str> = option_env!("SPECBOOK_CUDA_VERSION");

/// The minimum compute capability that the kernels require (`80` is 8.0).
const BUILT_FOR_COMPUTE: Option<&str> = option_env!("CUDA_COMPUTE_CAP");

/// The requirements of this build.
const NEEDS: choose::Needs<'static> = choose::Needs {
    cuda: BUILT_FOR,
    compute: BUILT_FOR_COMPUTE,
};

/// Support for GPUs in this build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// None: it was built without the feature `cuda`.
    None,
    /// It was built only to check the code (feature `cuda-check`): its kernels are empty.
    CheckOnly,
    /// Training, scoring, sampling.
    Full,
}

/// The support for GPUs in this build.
pub fn support() -> Support {
    if cfg!(feature = "cuda-check") {
        Support::CheckOnly
    } else if cfg!(feature = "cuda") {
        Support::Full
    } else {
        Support::None
    }
}

/// Opens the engine on GPU `number`.
///
/// # Errors
/// This build does not support GPUs; there is no driver, the driver is too old, or there is no such device or
/// no cuBLAS.
pub(crate) fn open(number: usize) -> Result<Box<dyn Engine>, TrainError> {
    usable(number)?;
    engine(number)
}

#[cfg(feature = "cuda")]
fn engine(number: usize) -> Result<Box<dyn Engine>, TrainError> {
    Ok(Box::new(super::local::LocalEngine::<Fused>::on(number)))
}

#[cfg(not(feature = "cuda"))]
fn engine(number: usize) -> Result<Box<dyn Engine>, TrainError> {
    Err(choose::refusal(number, choose::NO_SUPPORT))
}

/// Peak rates of one GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceilings {
    /// Bytes per second that a copy reads and writes.
    pub(crate) copied: f64,
    /// Floating-point operations per second of products in f32.
    pub(crate) f32: f64,
    /// The same for bfloat16.
    pub(crate) bf16: f64,
}

/// An operation of a step: all launches of one kernel, or all products of one size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    /// The kernel, or the sizes of the product.
    pub(crate) name: String,
    /// Launches per step.
    pub(crate) launches: f64,
    /// Seconds per step.
    pub(crate) seconds: f64,
    /// Minimum number of bytes read and written per step.
    pub(crate) bytes: f64,
    /// Floating-point operations of products per step.
    pub(crate) operations: f64,
}

/// A step: its time, and that of its operations.
#[derive(Clone, Debug)]
pub(crate) struct Profile {
    /// Seconds per step when no operation is timed by itself.
    pub(crate) seconds: f64,
    /// The longest first.
    pub(crate) operations: Vec<Operation>,
}

/// Measures the peak rates of GPU `number`, in a second or two.
///
/// # Errors
/// Those of [`open`]; the GPU fails.
pub(crate) fn ceilings(number: usize) -> Result<Ceilings, TrainError> {
    usable(number)?;
    #[cfg(feature = "cuda")]
    {
        fused::ceilings::measured(number)
    }
    #[cfg(not(feature = "cuda"))]
    {
        Err(choose::refusal(number, choose::NO_SUPPORT))
    }
}

/// Trains a few steps of `job` on GPU `number` and times a step, and each of its operations.
///
/// # Errors
/// Those of [`open`]; the GPU fails.
pub(crate) fn profile(number: usize, job: &TrainJob<'_>) -> Result<Profile, TrainError> {
    usable(number)?;
    #[cfg(any(test, feature = "cuda"))]
    {
        fused::profile::measured(number, job)
    }
    #[cfg(not(any(test, feature = "cuda")))]
    {
        let _ = job;
        Err(choose::refusal(number, choose::NO_SUPPORT))
    }
}

/// Repeats recorded launches on GPU `number`, each separately.
///
/// # Errors
/// Those of [`open`]; the GPU fails.
pub(crate) fn replayed(
    number: usize,
    recorded: &[launches::Launch],
) -> Result<launches::Outcomes, TrainError> {
    usable(number)?;
    #[cfg(any(test, feature = "cuda"))]
    {
        fused::replay::replayed(number, recorded)
    }
    #[cfg(not(any(test, feature = "cuda")))]
    {
        let _ = recorded;
        Err(choose::refusal(number, choose::NO_SUPPORT))
    }
}

/// Whether GPU `number` is the emulated one of rehearsals (`tests/gpu/driver.cpp`).
pub(crate) fn is_emulated(number: usize) -> bool {
    probe().as_ref().is_ok_and(|it| it.is_emulated(number))
}

/// Checks whether GPU `number` can be used.
///
/// # Errors
/// As for opening the engine on it: the reason why it cannot be used.
pub fn usable(number: usize) -> Result<(), TrainError> {
    let found = probe();
    if support() != Support::CheckOnly || !is_emulated(number) {
        choose::supported(number, support())?;
    }
    choose::choose(number, found.as_ref().map_err(Clone::clone), NEEDS).map(|_| ())
}
