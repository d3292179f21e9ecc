//! Arguments of the commands that use other machines: `worker`, `submit`, `cancel`, `store push`
//! and `store pull`.

use super::{SpecArgs, seconds};
use crate::train::engine::DeviceKind;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// `worker`
#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// The sweep's file, which `submit` wrote into the store.
    #[arg(value_name = "MANIFEST")]
    pub(crate) manifest: PathBuf,
    /// Train the runs of this chunk, from 0.
    #[arg(long, value_name = "N", required_unless_present = "prepare")]
    pub(crate) index: Option<usize>,
    /// Prepare data and tokenizers of all chunks instead.
    #[arg(long, conflicts_with = "index")]
    pub(crate) prepare: bool,
    /// Seconds between checkpoints, whatever they cost; for tests.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) checkpoint_every: Option<Duration>,
}

/// `submit`
#[derive(Debug, Args)]
pub(crate) struct SubmitArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// What runs the tasks; `script` prints their commands.
    #[arg(long, value_enum)]
    pub(crate) to: QueueKind,
    /// Partition of Slurm; default: the queue's.
    #[arg(long, value_name = "NAME")]
    pub(crate) partition: Option<String>,
    /// Tasks at a time, at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_running: Option<u32>,
    /// Group runs until a task takes at least this many minutes.
    #[arg(long, value_name = "MINUTES", default_value_t = 30, value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub(crate) task_minutes: u32,
    /// Minutes after which the queue ends a task; `auto`: twice the estimate and five more; `default`: the queue's.
    #[arg(long, value_name = "MINUTES", default_value = "auto", value_parser = limit)]
    pub(crate) time: Limit,
    /// Memory of a task in MiB; `auto`: the estimate and 15 % more; `default`: the queue's.
    #[arg(long, value_name = "MIB", default_value = "auto", value_parser = limit)]
    pub(crate) mem: Limit,
    /// Threads of a task: the cores that it asks for.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: u16,
    /// Runs at a time in a task, each with a share of its threads.
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// `cpu` or `cuda[:n]`, for the tasks.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
    /// How often a task that was told to end may put itself into the queue again.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) max_requeues: u32,
    /// Seconds between two heartbeats of a task on the store.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) lease_beat: Duration,
    /// Seconds without a heartbeat after which other tasks take a run over.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub(crate) lease_stale: Duration,
    /// Folder for reports; default: `reports` in the spec's project.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Wait until no task is left; exit with code 3 if a run is missing then.
    #[arg(long)]
    pub(crate) wait: bool,
    /// Show what would be submitted, and submit nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Arguments that every `sbatch` or `hq job submit-file` gets too.
    #[arg(last = true, value_name = "EXTRA")]
    pub(crate) extra: Vec<OsString>,
}

/// What runs the tasks of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum QueueKind {
    /// Job arrays, by `sbatch`.
    Slurm,
    /// A job file, by `hq`.
    Hyperqueue,
    /// Commands, for anything else.
    Script,
}

/// How much a task may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// By the estimate.
    Auto,
    /// As the queue has it.
    Default,
    /// So many.
    Given(u64),
}

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "auto" => Ok(Limit::Auto),
        "default" => Ok(Limit::Default),
        _ => match text.parse() {
            Ok(number) if number > 0 => Ok(Limit::Given(number)),
            _ => Err("expected `auto`, `default` or a whole number above 0".to_owned()),
        },
    }
}

/// `cancel`
#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
}

/// `store push`, `store pull`
#[derive(Debug, Args)]
pub(crate) struct RemoteArgs {
    /// `file:///folder`, `https://host/folder`, `s3://bucket/folder`.
    #[arg(value_name = "URL")]
    pub(crate) url: String,
    /// Spec files or folders whose runs these are; default: every plan of the store.
    #[arg(value_name = "SPEC")]
    pub(crate) specs: Vec<PathBuf>,
    /// Profile of the specs.
    #[arg(short, long, requires = "specs")]
    pub(crate) profile: Option<String>,
    /// Override a setting of the specs; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "specs")]
    pub(crate) overrides: Vec<String>,
    /// Select runs of the specs as `run` does; may be repeated.
    #[arg(long, value_name = "TEXT", requires = "specs")]
    pub(crate) filter: Vec<String>,
}
