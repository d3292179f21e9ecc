//! The kernels that nvcc compiles, compiled for the CPU: one fiber for each GPU thread (`tests/gpu/cuda_on_cpu.h`).

use crate::train::engine::cuda::library::Library;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

type Kernel = unsafe extern "C" fn(u32, u32, u32, u32, u32, u32, *mut *mut c_void) -> c_int;
type Failure = unsafe extern "C" fn() -> *const c_char;

/// Which kernels.
#[derive(Clone, Copy)]
enum Kernels {
    /// Those of this project.
    Own,
    /// The same with a made-up number format in the place of bfloat16.
    Finer,
    /// Those of the tensor library, for the reference.
    Stock,
}

impl Kernels {
    fn own(finer: bool) -> Self {
        if finer { Self::Finer } else { Self::Own }
    }

    /// Their source, which may be written into `folder`, and what the compiler is told beside.
    fn source(self, folder: &Path) -> (PathBuf, &'static [&'static str]) {
        let own =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("src/train/engine/cuda/kernels/kernels.cu");
        match self {
            Self::Own => (own, &[]),
            Self::Finer => (own, &["-DFINER"]),
            Self::Stock => {
                let file = folder.join("stock.cpp");
                std::fs::write(&file, super::stock::source()).unwrap();
                (file, &["-w"])
            }
        }
    }
}

/// Whether the kernels can be had: says so where they cannot, and a test has nothing to do then.
pub(in crate::train::engine::cuda) fn are_there() -> bool {
    let there = library(Kernels::Own).is_some();
    if !there {
        println!("skipped: there is no C++ compiler (`c++`, or CXX)");
    }
    there
}

/// Compiled once a process; `None` without a compiler.
fn library(kernels: Kernels) -> Option<Library> {
    static MADE: [OnceLock<Option<Library>>; 3] = [const { OnceLock::new() }; 3];
    *MADE[kernels as usize].get_or_init(|| {
        let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
        let found = Command::new(&compiler).arg("--version").output().ok()?;
        found.status.success().then(|| compile(&compiler, kernels))
    })
}

fn compile(compiler: &str, kernels: Kernels) -> Library {
    let scheduler = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/gpu/cuda_on_cpu.cpp");
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("kernels.so");
    let (source, told) = kernels.source(folder.path());
    let ran = Command::new(compiler)
        .args([
            "-std=c++17",
            "-O1",
            "-fno-strict-aliasing",
            "-Wno-unknown-pragmas",
        ])
        .args(told)
        .args(["-shared", "-fPIC", "-I"])
        .arg(scheduler.with_file_name(""))
        .args(["-x", "c++"])
        .args([&source, &scheduler])
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    // Once open it needs no file.
    Library::at(&out).unwrap()
}

/// Runs kernel `name`; an error where there is none, or where CUDA leaves undefined what happens.
pub(super) unsafe fn run(
    name: &str,
    finer: bool,
    grid: [u32; 3],
    block: [u32; 3],
    parameters: *mut *mut c_void,
) -> Result<(), String> {
    // The fibers' scheduler is one for the process.
    static ONE: Mutex<()> = Mutex::new(());
    let (library, kernel) = find(name, finer).ok_or("there is no such kernel")?;
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let [(x, y, z), (bx, by, bz)] = [grid, block].map(|[x, y, z]| (x, y, z));
    // SAFETY: as the caller promises.
    if unsafe { kernel(x, y, z, bx, by, bz, parameters) } == 0 {
        return Ok(());
    }
    // SAFETY: the function's own type; its text stays.
    let said = unsafe {
        let failure: Option<Failure> = library.function("cuda_on_cpu_failure");
        failure.map(|failure| CStr::from_ptr(failure()).to_string_lossy().into_owned())
    };
    Err(said.unwrap_or_default())
}

/// The kernel of this name, and the library that has it.
fn find(name: &str, finer: bool) -> Option<(Library, Kernel)> {
    let within = |kernels| {
        let library = library(kernels)?;
        // SAFETY: every kernel is exported with this type.
        let kernel = unsafe { library.function(&format!("{name}__cpu")) };
        kernel.map(|kernel| (library, kernel))
    };
    within(Kernels::own(finer)).or_else(|| within(Kernels::Stock))
}

/// Copies of a kernel's parameters, as a launch makes them.
pub(super) unsafe fn copied(
    name: &str,
    finer: bool,
    parameters: *mut *mut c_void,
) -> Vec<Vec<u64>> {
    type Parameter = unsafe extern "C" fn(c_int) -> usize;
    let library = library(Kernels::own(finer));
    // SAFETY: every kernel of the project has this function, of this type.
    let size: Option<Parameter> =
        library.and_then(|library| unsafe { library.function(&format!("{name}__parameter")) });
    let Some(size) = size else { return Vec::new() };
    let copy = |index: usize| {
        // SAFETY: it only looks up a number.
        let bytes = unsafe { size(index as c_int) };
        let mut words = vec![0u64; bytes.div_ceil(8)];
        if bytes > 0 {
            // SAFETY: the kernel has this parameter, with this size.
            unsafe {
                let from = (*parameters.add(index)).cast::<u8>();
                std::ptr::copy_nonoverlapping(from, words.as_mut_ptr().cast(), bytes);
            }
        }
        words
    };
    (0..)
        .map(copy)
        .take_while(|words| !words.is_empty())
        .collect()
}

type Widen = unsafe extern "C" fn(u16) -> f32;
type Round = unsafe extern "C" fn(f32) -> u16;

/// What widens a bfloat16 and what rounds to one, as the kernels do.
pub(super) fn conversions(finer: bool) -> Option<(Widen, Round)> {
    let library = library(Kernels::own(finer))?;
    // SAFETY: the functions' own types.
    unsafe {
        Some((
            library.function("bf16_to_f32")?,
            library.function("f32_to_bf16")?,
        ))
    }
}
