//! Whether a device can be used, and the error message if it cannot.

use super::Support;
use super::driver::{Driver, Gpu, NoDriver};
use crate::train::TrainError;

pub(super) const NO_SUPPORT: &str = "this build has no CUDA support; use `cpu`, or build with `scripts/build-cuda.sh` (see \
     `docs/cuda.md`)";

const CHECK_ONLY: &str = "this build is for checking the CUDA code and has no kernels; build with `--features cuda` or `scripts/build-cuda.sh`";

/// The error of device `number`.
pub(super) fn refusal(number: usize, reason: impl Into<String>) -> TrainError {
    TrainError::Device {
        device: format!("cuda:{number}"),
        reason: reason.into(),
    }
}

/// Refuses requests that this build does not support.
pub(super) fn supported(number: usize, support: Support) -> Result<(), TrainError> {
    match support {
        Support::None => Err(refusal(number, NO_SUPPORT)),
        Support::CheckOnly => Err(refusal(number, CHECK_ONLY)),
        Support::Full => Ok(()),
    }
}

/// Requirements of a build's kernels; `None` if unknown.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Needs<'a> {
    /// CUDA version of the driver: `13.0`.
    pub(super) cuda: Option<&'a str>,
    /// Compute capability of the GPU: `80` is 8.0.
    pub(super) compute: Option<&'a str>,
}

/// The device, if it and its driver can run this build.
pub(super) fn choose<'a>(
    number: usize,
    found: Result<&'a Driver, NoDriver>,
    needs: Needs<'_>,
) -> Result<&'a Gpu, TrainError> {
    let driver = found.map_err(|error| match error {
        NoDriver::Missing => refusal(
            number,
            format!("{error}; install NVIDIA's driver, or use `cpu`"),
        ),
        NoDriver::Broken { .. } => refusal(
            number,
            format!(
                "{error}; `nvidia-smi` should say the same; a restart helps after an update of the driver"
            ),
        ),
    })?;
    let Some(gpu) = driver.gpus.get(number) else {
        let there = match driver.gpus.len() {
            0 => "there is none".to_owned(),
            1 => "there is one, `cuda:0`".to_owned(),
            count => format!("there are {count}, `cuda:0` to `cuda:{}`", count - 1),
        };
        return Err(refusal(
            number,
            format!("the driver has no GPU {number}; {there}"),
        ));
    };
    let (major, minor) = driver.cuda;
    if let Some(needed) = needs.cuda.and_then(version)
        && driver.cuda < needed
    {
        return Err(refusal(
            number,
            format!(
                "its driver is too old: it runs CUDA up to {major}.{minor}, this build needs {}.{}; update the driver, or build with an older \
                 CUDA toolkit",
                needed.0, needed.1
            ),
        ));
    }
    let compute = needs.compute.and_then(|text| text.parse::<u32>().ok());
    if let Some(needed) = compute.map(|compute| (compute / 10, compute % 10))
        && gpu.compute < needed
    {
        return Err(refusal(
            number,
            format!(
                "{} has compute capability {}.{}, this build needs {}.{}; build with a lower CUDA_COMPUTE_CAP",
                gpu.name, gpu.compute.0, gpu.compute.1, needed.0, needed.1
            ),
        ));
    }
    if driver.blas.is_none() {
        return Err(refusal(
            number,
            "cuBLAS was not found (`libcublas.so` of CUDA 11, 12 or 13); install the CUDA toolkit or `pip install nvidia-cublas`, and name its \
             folder in LD_LIBRARY_PATH",
        ));
    }
    Ok(gpu)
}

/// Parses `13.0`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
