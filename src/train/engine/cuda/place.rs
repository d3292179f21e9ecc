//! The GPU behind the stock operations.

use super::{api, driver};
use crate::train::TrainError;
use crate::train::engine::reference::Place;
use dfdx::prelude::Cuda;

impl Place for Cuda {
    const ENGINE: &'static str = "cuda-reference";

    fn open(number: usize) -> Result<Self, TrainError> {
        api::enter(number);
        let device = Self::try_build(number, 0);
        api::check()?;
        let device = device.map_err(|error| TrainError::Tensor(error.to_string()))?;
        api::keep_memory(number);
        Ok(device)
    }

    fn isa(number: usize) -> String {
        driver::name_of(number)
    }

    fn check(&self) -> Result<(), TrainError> {
        api::check()
    }

    fn free_bytes(&self) -> Option<u64> {
        api::memory().map(|(free, _)| free)
    }
}
