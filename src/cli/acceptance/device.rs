//! What was found: the GPU, its driver, cuBLAS, and all that `nvidia-smi` says.

use super::clock::Clock;
use super::{Outcome, Part};
use crate::train::engine::{DeviceKind, cuda};
use serde_json::json;
use std::process::Command;

pub(super) const TELLER: &str = "nvidia-smi";

/// Describes the device, which was checked before. `teller`: `nvidia-smi`, whose `-q` is kept as text.
pub(super) fn run(teller: &str, device: DeviceKind, clock: Clock) -> Part {
    let (summary, details) = match (device, cuda::probe()) {
        (DeviceKind::Cuda(number), Ok(driver)) => {
            let gpu = driver.gpus.get(number);
            let name = gpu.map_or("unknown", |gpu| gpu.name.as_str());
            let blas = driver.describe_blas();
            let memory = gpu.map(|gpu| gpu.memory_bytes);
            let cuda = format!("{}.{}", driver.cuda.0, driver.cuda.1);
            let pools = gpu.map(|gpu| gpu.memory_pools);
            let told = told(teller, number, clock);
            let text = format!(
                "{name}, {}, {blas}{}{}",
                driver.describe(),
                if pools == Some(false) {
                    ", no memory pools"
                } else {
                    ""
                },
                match &told {
                    Ok(text) => format!("; {} lines of `{teller} -q`", text.lines().count()),
                    Err(reason) => format!("; no `{teller} -q`: {reason}"),
                }
            );
            let details = json!({
                "name": name, "memory_bytes": memory, "memory_pools": pools, "driver": driver.release, "driver_cuda": cuda, "cublas": blas,
                "built_for": cuda::BUILT_FOR, "nvidia_smi": told.as_ref().ok(), "nvidia_smi_skipped": told.as_ref().err(),
            });
            (text, details)
        }
        (_, found) => {
            let gpu = match found {
                Ok(driver) => format!("{} GPUs, not asked for", driver.gpus.len()),
                Err(error) => error.to_string(),
            };
            (format!("the processor; {gpu}"), json!({"gpu": gpu}))
        }
    };
    Part {
        outcome: Outcome::Measured,
        details,
        ..Part::skipped("device", summary)
    }
}

/// Clocks, temperatures, limits, modes, errors of memory, other processes.
fn told(teller: &str, number: usize, clock: Clock) -> Result<String, String> {
    let mut command = Command::new(teller);
    let output = clock.output(command.args(["-q", "-i", &number.to_string()]))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    match output.status.success() && !text.trim().is_empty() {
        true => Ok(text),
        false => Err(format!("it ended with {}", output.status)),
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_kept_and_otherwise_why_not() {
        let said = |teller| told(teller, 3, Clock::begin(None));
        assert_eq!(said("echo").unwrap(), "-q -i 3\n");
        assert!(said("false").unwrap_err().contains("it ended with"));
        assert!(said("true").unwrap_err().contains("it ended with"));
        let missing = said("specbook-has-no-such-program").unwrap_err();
        assert!(missing.contains("does not start"), "{missing}");
    }
}
