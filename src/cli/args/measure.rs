//! Arguments of the commands for machines: `bench`, `doctor`, `gpu-acceptance`.

use super::seconds;
use crate::train::engine::DeviceKind;
use clap::builder::ArgPredicate;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// `bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Shapes to measure (default: all), or one spec file.
    #[arg(value_name = "SHAPE|SPEC")]
    pub(crate) targets: Vec<OsString>,
    /// A shape to measure; may be repeated.
    #[arg(long, value_name = "SHAPE")]
    pub(crate) shape: Vec<String>,
    /// The run of the spec whose first steps are measured; default: the first run.
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Profile of the spec.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Override a setting of the spec, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Seconds to train each shape.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Train this many steps instead.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) steps: Option<u64>,
    /// Show only this part of a step; may be repeated.
    #[arg(long, value_name = "PART")]
    pub(crate) part: Vec<String>,
    /// Threads; default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow; the tensor library's stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
    /// Instruction set of the CPU engine (`amx`, `avx512`, `avx2`, `neon`, `portable`); default: the best available.
    #[arg(long, value_name = "NAME")]
    pub(crate) isa: Option<String>,
    /// Number format of matrix products, for shapes; a spec sets `train.dtype`.
    #[arg(long, value_enum, default_value_t = BenchDtype::F32)]
    pub(crate) dtype: BenchDtype,
}

/// Number formats of `bench`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchDtype {
    /// 32-bit floats.
    F32,
    /// bfloat16 products, accumulated in f32.
    Bf16,
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Device to inspect: `cpu`, `cpu-reference` or `cuda[:n]`. Fails if it cannot be used.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
}

/// `gpu-acceptance`
#[derive(Debug, Args)]
pub(crate) struct AcceptanceArgs {
    /// Device to check; `cpu` rehearses everything without a GPU.
    #[arg(long, default_value = "cuda")]
    pub(crate) device: DeviceKind,
    /// Write the results to this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Shapes to measure, or `none`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "epoch-frenzy,loss-comparison,grid-512-8-512,grid-128-2-32,scale-up,sequence-handling,grid-128-8-512,grid-512-2-512"
    )]
    pub(crate) shape: Vec<String>,
    /// Kernel launches recorded by tests (`scripts/ptx-test.sh record`), to compare every kernel with its build for the CPU.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernels: Option<PathBuf>,
    /// Seconds per measurement; default with `--minutes`: 4.
    #[arg(
        long,
        default_value = "8",
        default_value_if("minutes", ArgPredicate::IsPresent, "4")
    )]
    pub(crate) seconds: f64,
    /// Measurements of each kind, taken in turn.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// PyTorch script to compare with: `benches/torch_train.py`.
    #[arg(long, value_name = "FILE")]
    pub(crate) torch: Option<PathBuf>,
    /// A Python that has PyTorch.
    #[arg(long, default_value = "python3")]
    pub(crate) python: String,
    /// Text for the experiment at its published size; documents are separated by `<|endoftext|>`.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Tokenizer for that text; default: train one on it.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Profile of that experiment.
    #[arg(long, default_value = "paper")]
    pub(crate) profile: String,
    /// Override a setting of that experiment; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Time limit in minutes: parts that no longer fit are skipped with the reason; a part that has begun is finished.
    #[arg(long, value_name = "MINUTES")]
    pub(crate) minutes: Option<f64>,
    /// The only part to do.
    #[arg(long, hide = true)]
    pub(crate) only: Option<String>,
    /// Override a setting of the small spec whose curves are compared; may be repeated.
    #[arg(long = "curve-set", value_name = "PATH=VALUE")]
    pub(crate) curve_overrides: Vec<String>,
}
