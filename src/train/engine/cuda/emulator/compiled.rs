//! The kernels that nvcc compiles, compiled for the CPU: one fiber for each GPU thread (`tests/gpu/cuda_on_cpu.h`).

use crate::train::engine::cuda::library::Library;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

type Kernel = unsafe extern "C" fn(u32, u32, u32, u32, u32, u32, *mut *mut c_void) -> c_int;
type Failure = unsafe extern "C" fn() -> *const c_char;

/// Whether the kernels can be had: says so where they cannot, and a test has nothing to do then.
pub(in crate::train::engine::cuda) fn are_there() -> bool {
    let there = library(false).is_some();
    if !there {
        println!("skipped: there is no C++ compiler (`c++`, or CXX)");
    }
    there
}

/// Compiled once a process; `None` without a compiler. `finer`: with a made-up number format in the place of bfloat16.
fn library(finer: bool) -> Option<&'static Library> {
    static MADE: [OnceLock<Option<Library>>; 2] = [OnceLock::new(), OnceLock::new()];
    MADE[usize::from(finer)]
        .get_or_init(|| {
            let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
            let found = Command::new(&compiler).arg("--version").output().ok()?;
            found.status.success().then(|| compile(&compiler, finer))
        })
        .as_ref()
}

fn compile(compiler: &str, finer: bool) -> Library {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("kernels.so");
    let ran = Command::new(compiler)
        .args([
            "-std=c++17",
            "-O1",
            "-fno-strict-aliasing",
            "-Wno-unknown-pragmas",
        ])
        .args(finer.then_some("-DFINER"))
        .args(["-shared", "-fPIC", "-I"])
        .arg(root.join("tests/gpu"))
        .args(["-x", "c++"])
        .arg(root.join("src/train/engine/cuda/kernels/kernels.cu"))
        .arg(root.join("tests/gpu/cuda_on_cpu.cpp"))
        .arg("-o")
        .arg(&out)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{said}");
    // Once open it needs no file.
    Library::at(&out).unwrap()
}

/// Runs kernel `name`, where there is one of that name; an error where CUDA leaves undefined what happens.
pub(super) unsafe fn run(
    name: &str,
    finer: bool,
    grid: [u32; 3],
    block: [u32; 3],
    parameters: *mut *mut c_void,
) -> Option<Result<(), String>> {
    // The fibers' scheduler is one for the process.
    static ONE: Mutex<()> = Mutex::new(());
    // SAFETY: every kernel is exported with this type.
    let kernel: Kernel = unsafe { library(finer)?.function(&format!("{name}__cpu")) }?;
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let [(x, y, z), (bx, by, bz)] = [grid, block].map(|[x, y, z]| (x, y, z));
    // SAFETY: as the caller promises.
    if unsafe { kernel(x, y, z, bx, by, bz, parameters) } == 0 {
        return Some(Ok(()));
    }
    // SAFETY: the function's own type; its text stays.
    let said = unsafe {
        let failure: Failure = library(finer)?.function("cuda_on_cpu_failure")?;
        CStr::from_ptr(failure()).to_string_lossy().into_owned()
    };
    Some(Err(said))
}

type Widen = unsafe extern "C" fn(u16) -> f32;
type Round = unsafe extern "C" fn(f32) -> u16;

/// What widens a bfloat16 and what rounds to one, as the kernels do.
pub(super) fn conversions(finer: bool) -> Option<(Widen, Round)> {
    let library = library(finer)?;
    // SAFETY: the functions' own types.
    unsafe {
        Some((
            library.function("bf16_to_f32")?,
            library.function("f32_to_bf16")?,
        ))
    }
}
