//! What the driver reports about this machine.

use super::library::Library;
use std::ffi::{c_char, c_int};
use std::fmt;
use std::sync::OnceLock;

/// An installed driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Driver {
    /// The newest CUDA version that it supports: major and minor.
    pub cuda: (u32, u32),
    /// The driver's own version (`580.65.06`), if the system reports it.
    pub release: Option<String>,
    /// The devices, by number.
    pub gpus: Vec<Gpu>,
    /// The cuBLAS library found, if any.
    pub blas: Option<Blas>,
}

/// A cuBLAS library.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blas {
    /// The file that was opened.
    pub file: String,
    /// Its version (`13.1.0`), if it reports one.
    pub version: Option<String>,
}

impl fmt::Display for Blas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(f, "cuBLAS {version} ({})", self.file),
            None => write!(f, "cuBLAS of unknown version ({})", self.file),
        }
    }
}

impl Driver {
    /// `driver 580.65.06 for CUDA up to 13.0`.
    pub fn describe(&self) -> String {
        let release = self.release.as_deref().map(|release| format!(" {release}"));
        let (major, minor) = self.cuda;
        format!(
            "driver{} for CUDA up to {major}.{minor}",
            release.unwrap_or_default()
        )
    }

    /// `cuBLAS 13.1.0 (libcublas.so.13)`.
    pub fn describe_blas(&self) -> String {
        let found = self.blas.as_ref().map(Blas::to_string);
        found.unwrap_or_else(|| "no cuBLAS".to_owned())
    }

    /// Whether GPU `number` is that of `tests/gpu/driver.cpp`, which provides the kernels that check-only
    /// builds lack.
    pub(super) fn is_emulated(&self, number: usize) -> bool {
        let gpu = self.gpus.get(number);
        gpu.is_some_and(|gpu| gpu.name == "emulated GPU")
    }
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gpu {
    /// Its name (`NVIDIA H200`).
    pub name: String,
    /// Compute capability: major and minor.
    pub compute: (u32, u32),
    /// Total memory, in bytes.
    pub memory_bytes: u64,
    /// Whether the driver offers memory pools.
    pub memory_pools: bool,
}

/// Why nothing is known about GPUs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDriver {
    /// The driver's library is missing.
    #[error("no NVIDIA driver was found (`libcuda.so.1` cannot be opened)")]
    Missing,
    /// It is installed but does not work.
    #[error("the NVIDIA driver does not work: {call} returned error {code} ({name})")]
    Broken {
        /// The function that failed.
        call: &'static str,
        /// Its error code.
        code: u32,
        /// Name of that error.
        name: &'static str,
    },
}

/// Queries to a driver; each fails with the driver's error code.
pub(super) trait Ask {
    fn init(&self) -> Result<(), u32>;
    fn version(&self) -> Result<u32, u32>;
    fn count(&self) -> Result<usize, u32>;
    fn gpu(&self, number: usize) -> Result<Gpu, u32>;
    fn release(&self) -> Option<String>;
    fn blas(&self) -> Option<Blas>;
}

/// The report of this machine's driver, queried once per process.
pub fn probe() -> &'static Result<Driver, NoDriver> {
    static FOUND: OnceLock<Result<Driver, NoDriver>> = OnceLock::new();
    FOUND.get_or_init(|| match Installed::open() {
        Some(installed) => ask(&installed),
        None => Err(NoDriver::Missing),
    })
}

/// Describes what computes on GPU `number`, for [`crate::record::Numerics`]: see [`described`].
#[cfg(any(test, feature = "cuda"))]
pub(super) fn name_of(number: usize) -> String {
    let found = probe().as_ref().ok();
    let found = found.and_then(|driver| described(driver, number));
    found.unwrap_or_else(|| "unknown".to_owned())
}

/// `sm_90 NVIDIA H200, cuBLAS 13.1.0, one stream, workspace of 32 MiB+driver 580.65.06`. Results have the same
/// bits if everything before the `+` is equal: one type of GPU and one cuBLAS, on one stream with its own
/// workspace.
#[cfg(any(test, feature = "cuda"))]
pub(super) fn described(driver: &Driver, number: usize) -> Option<String> {
    let gpu = driver.gpus.get(number)?;
    let blas = match &driver.blas {
        None => "no cuBLAS".to_owned(),
        Some(blas) => match &blas.version {
            Some(version) => format!("cuBLAS {version}"),
            None => format!("{} of unknown version", blas.file),
        },
    };
    let (major, minor) = gpu.compute;
    let workspace = super::sizes::WORKSPACE >> 20;
    let release = driver.release.clone();
    let release =
        release.unwrap_or_else(|| format!("for CUDA {}.{}", driver.cuda.0, driver.cuda.1));
    Some(format!(
        "sm_{major}{minor} {}, {blas}, one stream, workspace of {workspace} MiB+driver {release}",
        gpu.name.replace('+', " ")
    ))
}

/// Makes all queries.
pub(super) fn ask(driver: &dyn Ask) -> Result<Driver, NoDriver> {
    let broken = |call| {
        move |code| NoDriver::Broken {
            call,
            code,
            name: error_name(code),
        }
    };
    driver.init().map_err(broken("cuInit"))?;
    let version = driver.version().map_err(broken("cuDriverGetVersion"))?;
    let count = driver.count().map_err(broken("cuDeviceGetCount"))?;
    let gpus = (0..count)
        .map(|number| driver.gpu(number).map_err(broken("cuDeviceGet")))
        .collect::<Result<_, _>>()?;
    Ok(Driver {
        cuda: (version / 1000, version % 1000 / 10),
        release: driver.release(),
        gpus,
        blas: driver.blas(),
    })
}

/// The names of the errors that users may see.
pub(super) fn error_name(code: u32) -> &'static str {
    match code {
        1 => "invalid value",
        2 => "out of memory",
        3 => "not initialised",
        4 => "deinitialised",
        34 => "a stub library instead of the driver",
        35 => "driver too old",
        46 => "device unavailable",
        100 => "no device",
        101 => "invalid device",
        201 => "invalid context",
        209 => "no kernels for this device",
        214 => "uncorrectable memory error",
        218 => "invalid kernels",
        221 => "no compiler for kernels",
        222 => "kernels newer than the driver",
        223 => "compilation of kernels is disabled",
        500 => "not found",
        700 => "illegal address",
        719 => "launch failed",
        802 => "system not ready",
        803 => "driver and kernel module differ",
        999 => "unknown error",
        _ => "see CUDA's list of errors",
    }
}

type Number = unsafe extern "C" fn(*mut c_int) -> u32;

/// The installed driver.
struct Installed {
    init: unsafe extern "C" fn(u32) -> u32,
    version: Number,
    count: Number,
    get: unsafe extern "C" fn(*mut c_int, c_int) -> u32,
    name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> u32,
    memory: unsafe extern "C" fn(*mut usize, c_int) -> u32,
    attribute: unsafe extern "C" fn(*mut c_int, c_int, c_int) -> u32,
}

impl Installed {
    fn open() -> Option<Self> {
        let (library, _) = Library::driver()?;
        // SAFETY: these functions have had the types of these fields since CUDA 3.2.
        unsafe {
            Some(Self {
                init: library.function("cuInit")?,
                version: library.function("cuDriverGetVersion")?,
                count: library.function("cuDeviceGetCount")?,
                get: library.function("cuDeviceGet")?,
                name: library.function("cuDeviceGetName")?,
                memory: library.function("cuDeviceTotalMem_v2")?,
                attribute: library.function("cuDeviceGetAttribute")?,
            })
        }
    }

    fn attribute(&self, attribute: c_int, device: c_int) -> Result<u32, u32> {
        let mut value = 0;
        // SAFETY: `value` outlives the call; an unknown attribute or device is an error.
        ok(unsafe { (self.attribute)(&raw mut value, attribute, device) })?;
        Ok(value.unsigned_abs())
    }
}

fn ok(code: u32) -> Result<(), u32> {
    match code {
        0 => Ok(()),
        code => Err(code),
    }
}

impl Ask for Installed {
    fn init(&self) -> Result<(), u32> {
        // SAFETY: 0 is the only flag that exists.
        ok(unsafe { (self.init)(0) })
    }

    fn version(&self) -> Result<u32, u32> {
        let mut version = 0;
        // SAFETY: `version` outlives the call.
        ok(unsafe { (self.version)(&raw mut version) })?;
        Ok(version.unsigned_abs())
    }

    fn count(&self) -> Result<usize, u32> {
        let mut count = 0;
        // SAFETY: `count` outlives the call.
        ok(unsafe { (self.count)(&raw mut count) })?;
        Ok(count.unsigned_abs() as usize)
    }

    fn gpu(&self, number: usize) -> Result<Gpu, u32> {
        const MAJOR: c_int = 75;
        const MINOR: c_int = 76;
        const POOLS: c_int = 115;
        let (mut device, mut bytes) = (0, 0usize);
        let mut name = [0u8; 256];
        // SAFETY: all three outlive the calls; the length of the name's buffer is passed.
        unsafe {
            ok((self.get)(&raw mut device, number as c_int))?;
            ok((self.name)(name.as_mut_ptr().cast(), 255, device))?;
            ok((self.memory)(&raw mut bytes, device))?;
        }
        let end = name.iter().position(|byte| *byte == 0).unwrap_or(0);
        Ok(Gpu {
            name: String::from_utf8_lossy(&name[..end]).into_owned(),
            compute: (
                self.attribute(MAJOR, device)?,
                self.attribute(MINOR, device)?,
            ),
            memory_bytes: bytes as u64,
            memory_pools: self.attribute(POOLS, device) == Ok(1),
        })
    }

    /// The kernel module's version, on Linux.
    fn release(&self) -> Option<String> {
        release_in(&std::fs::read_to_string("/proc/driver/nvidia/version").ok()?)
    }

    fn blas(&self) -> Option<Blas> {
        type Property = unsafe extern "C" fn(c_int, *mut c_int) -> u32;
        let (library, name) = Library::blas()?;
        // SAFETY: it has had this type since its introduction (CUDA 8).
        let property: Option<Property> = unsafe { library.function("cublasGetProperty") };
        // Major, minor, patch.
        let numbers = [0, 1, 2].map(|part| {
            let mut number = 0;
            // SAFETY: `number` outlives the call.
            ok(unsafe { property?(part, &raw mut number) }).ok()?;
            Some(number.to_string())
        });
        let numbers: Option<Vec<String>> = numbers.into_iter().collect();
        Some(Blas {
            file: name.to_owned(),
            version: numbers.map(|numbers| numbers.join(".")),
        })
    }
}

/// The first word that looks like `580.65.06`.
fn release_in(text: &str) -> Option<String> {
    let is_version =
        |word: &&str| word.contains('.') && word.split('.').all(|part| part.parse::<u32>().is_ok());
    text.split_whitespace().find(is_version).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_stands_among_other_words() {
        let open = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\nGCC version:  gcc version 12.2.0";
        assert_eq!(release_in(open).unwrap(), "580.65.06");
        assert_eq!(release_in("NVRM version: none"), None);
    }
}
