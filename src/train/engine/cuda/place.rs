//! The GPU behind the stock operations.

use super::{api, driver};
use crate::train::TrainError;
use crate::train::engine::reference::Place;
use dfdx::prelude::Cuda;

impl Place for Cuda {
    const ENGINE: &'static str = "cuda";

    fn open(number: usize) -> Result<Self, TrainError> {
        api::begin(number);
        let device = Self::try_build(number, 0);
        api::check()?;
        let device = device.map_err(|error| TrainError::Tensor(error.to_string()))?;
        api::keep_memory(number);
        Ok(device)
    }

    /// `sm_90 NVIDIA H200`.
    fn isa(number: usize) -> String {
        let found = driver::probe().as_ref().ok();
        match found.and_then(|driver| driver.gpus.get(number)) {
            Some(gpu) => format!("sm_{}{} {}", gpu.compute.0, gpu.compute.1, gpu.name),
            None => "unknown".to_owned(),
        }
    }

    fn check(&self) -> Result<(), TrainError> {
        api::check()
    }

    fn free_bytes(&self) -> Option<u64> {
        api::memory().map(|(free, _)| free)
    }
}
