//! NVIDIA GPUs: what is there ([`probe`], in every build), and training on them (feature `cuda`).
//!
//! Parts: `library` (shared libraries found at run time), `driver` (what the driver says, asked without linking against it), `choose`
//! (whether a device can be used, and why not), `launches` (recorded launches of kernels); with the feature, `api` (the functions of driver and cuBLAS: a door that
//! looks them up at run time and that no error leaves as a panic), `fused` (the engine, with the kernels of `kernels`) and `place` (the tensor
//! library's device behind `engine::reference`: stock operations, for comparison). Tests have `api` and `fused` without the feature too, on
//! the `emulator`.
//!
//! No CUDA library is linked: one binary runs with and without a GPU, and says which it found.
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

/// The CUDA version that the kernels of this build need of a driver, as the build script set it (`13.0`).
pub const BUILT_FOR: Option<&str> = option_env!("SPECBOOK_CUDA_VERSION");

/// The least compute capability of a GPU that they run on (`80` is 8.0).
const BUILT_FOR_COMPUTE: Option<&str> = option_env!("CUDA_COMPUTE_CAP");

/// What this build needs.
const NEEDS: choose::Needs<'static> = choose::Needs {
    cuda: BUILT_FOR,
    compute: BUILT_FOR_COMPUTE,
};

/// What this build can do with a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Nothing: it was built without the feature `cuda`.
    None,
    /// It was built to check the code (feature `cuda-check`): its kernels are empty.
    CheckOnly,
    /// Training, scoring, sampling.
    Full,
}

/// What this build can do with a GPU.
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
/// This build cannot use one; no driver, too old a driver, no such device, no cuBLAS.
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

/// Rates of one GPU.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ceilings {
    /// Bytes per second that a copy reads and writes.
    pub(crate) copied: f64,
    /// Operations per second of products in f32.
    pub(crate) f32: f64,
    /// The same of bfloat16.
    pub(crate) bf16: f64,
}

/// An operation of a step: all launches of one kernel, or products of one size.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Operation {
    /// The kernel, or the sizes of the product.
    pub(crate) name: String,
    /// Launches in a step.
    pub(crate) launches: f64,
    /// Seconds of a step.
    pub(crate) seconds: f64,
    /// Bytes of a step that have to be read and written at the least.
    pub(crate) bytes: f64,
    /// Operations of products in a step.
    pub(crate) operations: f64,
}

/// Measures what GPU `number` reaches at its best, in a second or two.
///
/// # Errors
/// As opening it; it fails.
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

/// Trains a few steps of `job` on GPU `number` and times every operation of a step, the longest first.
///
/// # Errors
/// As opening it; it fails.
pub(crate) fn operations(number: usize, job: &TrainJob<'_>) -> Result<Vec<Operation>, TrainError> {
    usable(number)?;
    #[cfg(any(test, feature = "cuda"))]
    {
        fused::profile::operations(number, job)
    }
    #[cfg(not(any(test, feature = "cuda")))]
    {
        let _ = job;
        Err(choose::refusal(number, choose::NO_SUPPORT))
    }
}

/// Runs recorded launches on GPU `number`, each by itself.
///
/// # Errors
/// As opening it; it fails.
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

/// Says what can be used of GPU `number`, with an error where nothing can.
///
/// # Errors
/// As opening it.
pub fn usable(number: usize) -> Result<(), TrainError> {
    let found = probe();
    if support() != Support::CheckOnly || !is_emulated(number) {
        choose::supported(number, support())?;
    }
    choose::choose(number, found.as_ref().map_err(Clone::clone), NEEDS).map(|_| ())
}
