//! What can be typed: commands and flags, as clap sees them.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Runs experiments that are written down as YAML, caches them by content, and writes reports with a verdict on every published number.
#[derive(Debug, Parser)]
#[command(name = "specbook", version, about, max_term_width = 100, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 unexpected, 2 usage or invalid spec, 3 a run failed, 4 missing or damaged input, \
5 stale (status --exit-code), 6 a claim fails (--strict-claims), 7 verify mismatch, 8 report differs (report --check), \
129/130/143 stopped by HUP/INT/TERM (checkpoints are kept).";

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Folder of the store; default: `.specbook` of the project the spec is in.
    #[arg(long, global = true, env = "SPECBOOK_STORE", value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// Says less: only results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Says more.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Form of the results on standard output (`csv`: `ls` only).
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Form of results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Writes one of the shipped specs to start from.
    Init(Init),
    /// Checks specs; says every problem with its line.
    Check(Check),
    /// Lists the runs of specs, what each will cost, and which are cached.
    Plan(Planned),
    /// Trains what is missing, evaluates, and writes the reports.
    Run(RunArgs),
    /// Writes reports from what is stored, or checks committed ones.
    Report(ReportArgs),
    /// Says which runs are cached, missing, partial, running or failed.
    Status(StatusArgs),
    /// Says why runs are not cached: the settings that differ from the nearest cached run.
    Explain(Planned),
    /// Lists stored runs.
    Ls(LsArgs),
    /// Shows a stored run.
    Show(ShowArgs),
    /// Compares two runs or two record files: settings, metrics, curves, samples.
    Diff(DiffArgs),
    /// Samples text from a stored run.
    Sample(SampleArgs),
    /// Scores text under a stored run.
    Eval(EvalArgs),
    /// Measures speed and memory of training steps.
    Bench(BenchArgs),
    /// Trains stored runs again, in memory, and compares every bit.
    Verify(VerifyArgs),
    /// Looks after the store: checks it, lists what can go, says what takes the space.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Looks at the data of specs without training.
    #[command(subcommand)]
    Data(DataCommand),
    /// Says what was found on this machine (processor, memory, GPUs) and what would be used.
    Doctor(DoctorArgs),
    /// Checks a GPU against the CPU and measures it beside PyTorch; see `docs/cuda.md`.
    #[command(hide = true)]
    GpuAcceptance(AcceptanceArgs),
    /// Prints the JSON Schema of specs, for editors.
    Schema,
    /// Prints a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `data`
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Counts sequences and batches of every sequence policy, from the lengths of the training documents.
    Stats(SpecArgs),
}

/// Which spec at which scale.
#[derive(Clone, Debug, Args)]
pub(crate) struct SpecArgs {
    /// Spec files, or folders of them.
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) specs: Vec<PathBuf>,
    /// Profile: `desk` (as written in `base`), or one of the spec's `profiles`.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Overrides a setting, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Only runs of this case or with these values (`ce`, `dim=512,seed=0`), else those whose name holds the text; may be repeated
    /// (any of them).
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Digests again what size and time call unchanged: the spec's input files, and with `run` also the files of its finished runs,
    /// their evaluations and their tokenizers.
    #[arg(long)]
    pub(crate) paranoid: bool,
}

/// How to compute.
#[derive(Clone, Debug, Args)]
pub(crate) struct ComputeArgs {
    /// Runs at a time; never more than fit in free memory.
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
    /// Threads in all; default: one per core. Never changes a bit of the results.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow, stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of a shipped spec; without it they are listed.
    pub(crate) name: Option<String>,
    /// File to write; default `specs/NAME.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
}

/// `plan`, `explain`
#[derive(Debug, Args)]
pub(crate) struct Planned {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Does not say which runs would go on from a shorter one.
    #[arg(long)]
    pub(crate) no_extend: bool,
}

/// `run`
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
    /// Folder for reports; default: `reports` of the project the spec is in.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Says what would be done.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Goes on with the other runs after one failed.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Leaves failed runs as they are.
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// Keeps the last checkpoint of finished runs (weights and optimizer moments), so that longer ones can go on from them.
    #[arg(long)]
    pub(crate) keep_checkpoints: bool,
    /// Trains every run from its first step, also where a shorter one that kept its checkpoint could be gone on from.
    #[arg(long)]
    pub(crate) no_extend: bool,
    /// Ends with exit code 6 if a claim fails.
    #[arg(long)]
    pub(crate) strict_claims: bool,
    /// Writes no report.
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Accepted for scripts: specbook never uses the network.
    #[arg(long, hide = true)]
    pub(crate) offline: bool,
    /// Seconds between checkpoints, whatever they cost; for tests.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) checkpoint_every: Option<Duration>,
    /// Seconds without a heartbeat after which another process's claim counts as dead; for tests.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) claim_stale: Option<Duration>,
}

/// A duration in seconds, with fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// `report`
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Folder for reports; default: `reports` of the project the spec is in.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Renders again from `data/records.jsonl` of the report folder and compares; writes nothing.
    #[arg(long)]
    pub(crate) check: bool,
    /// Prints what the templates see, as JSON; writes nothing.
    #[arg(long, conflicts_with = "check")]
    pub(crate) context: bool,
    /// Ends with exit code 6 if a claim fails.
    #[arg(long)]
    pub(crate) strict_claims: bool,
}

/// `status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Ends with exit code 5 unless every run is cached.
    #[arg(long)]
    pub(crate) exit_code: bool,
}

/// `ls`
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Metric, key path, `name`, `spec` or `id` to sort by.
    #[arg(long, default_value = "name")]
    pub(crate) sort: String,
    /// Largest first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Columns, separated by commas: metrics (`val_loss`), key paths (`model.dim`), `id`, `name`, `spec`, `status`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "id,spec,name,status,val_loss,train_loss,steps,params"
    )]
    pub(crate) columns: Vec<String>,
    /// Only runs whose `spec/name` holds this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
}

/// `show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// An id, a unique prefix of one, or `spec/name`.
    pub(crate) run: String,
    /// Draws a curve in the terminal; default `train/loss`.
    #[arg(long, value_name = "METRIC", num_args = 0..=1, default_missing_value = "train/loss")]
    pub(crate) plot: Option<String>,
}

/// `diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A run of the store, a report folder, `records.jsonl` or `record.json`.
    pub(crate) a: String,
    /// What it is compared with.
    pub(crate) b: String,
}

/// `sample`
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// An id, a unique prefix of one, or `spec/name`.
    pub(crate) run: String,
    /// Text to continue; may be repeated.
    #[arg(long, default_value = "Once upon a time")]
    pub(crate) prompt: Vec<String>,
    /// Longest continuation in tokens.
    #[arg(long, default_value_t = 64)]
    pub(crate) max_new_tokens: usize,
    /// 0 takes the likeliest token.
    #[arg(long, default_value_t = 0.8)]
    pub(crate) temperature: f64,
    /// Samples among the k likeliest tokens.
    #[arg(long)]
    pub(crate) top_k: Option<usize>,
    /// Samples from the smallest set whose probability exceeds this.
    #[arg(long)]
    pub(crate) top_p: Option<f64>,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// `eval`
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// An id, a unique prefix of one, or `spec/name`.
    pub(crate) run: String,
    /// Text file to score; without it the stored evaluation is shown.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Line that ends a document of the text file.
    #[arg(long, default_value = "<|endoftext|>")]
    pub(crate) separator: String,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// `bench`
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Shapes to measure (default: all), or one spec file.
    #[arg(value_name = "SHAPE|SPEC")]
    pub(crate) targets: Vec<String>,
    /// A shape; may be repeated.
    #[arg(long, value_name = "SHAPE")]
    pub(crate) shape: Vec<String>,
    /// The run of the spec whose first steps are measured; default: its first.
    #[arg(long, value_name = "NAME")]
    pub(crate) run: Option<String>,
    /// Profile of the spec.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Overrides a setting of the spec, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// How long each shape is trained.
    #[arg(long, default_value = "5", value_parser = seconds)]
    pub(crate) seconds: Duration,
    /// Trains so many steps instead.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) steps: Option<u64>,
    /// Shows only these parts of a step; may be repeated.
    #[arg(long, value_name = "PART")]
    pub(crate) part: Vec<String>,
    /// Threads; default: one per core.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow, stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Instruction set of the CPU engine (`amx`, `avx512`, `avx2`, `portable`); default: the best there is.
    #[arg(long, value_name = "NAME")]
    pub(crate) isa: Option<String>,
    /// Number format of the matrix products of shapes; a spec has `train.dtype`.
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

/// `verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Spec files or folders, or runs (an id, a unique prefix of one, or `spec/name`).
    #[arg(required = true, value_name = "SPEC|RUN")]
    pub(crate) targets: Vec<String>,
    /// Profile of the specs.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Overrides a setting, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Only runs of this case or with these values (`ce`, `dim=512,seed=0`), else those whose name holds the text; may be repeated
    /// (any of them).
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Threads; default: one per core. Never changes a bit of the results.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow, stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

/// `doctor`
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The device to look at: `cpu`, `cpu-reference` or `cuda[:n]`. Fails where it cannot be used.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

/// `gpu-acceptance`
#[derive(Debug, Args)]
pub(crate) struct AcceptanceArgs {
    /// The device; `cpu` rehearses everything without a GPU.
    #[arg(long, default_value = "cuda")]
    pub(crate) device: String,
    /// File for the results as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Shapes to measure, or `none`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "epoch-frenzy,grid-128-2-32,grid-128-8-512,grid-512-2-512,grid-512-8-512,scale-up,sequence-handling,loss-comparison"
    )]
    pub(crate) shape: Vec<String>,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 8.0)]
    pub(crate) seconds: f64,
    /// Measurements of each kind, in alternation.
    #[arg(long, default_value_t = 2)]
    pub(crate) rounds: usize,
    /// The PyTorch side: `benches/torch_train.py`.
    #[arg(long, value_name = "FILE")]
    pub(crate) torch: Option<PathBuf>,
    /// The Python that has PyTorch.
    #[arg(long, default_value = "python3")]
    pub(crate) python: String,
    /// Text for the experiment at its published size, documents separated by `<|endoftext|>`.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Tokenizer for that text; default: one is trained on it.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Profile of that experiment.
    #[arg(long, default_value = "paper")]
    pub(crate) profile: String,
    /// Overrides a setting of that experiment; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Overrides a setting of the small spec whose curves are compared; may be repeated.
    #[arg(long = "curve-set", value_name = "PATH=VALUE")]
    pub(crate) curve_overrides: Vec<String>,
}

/// `store …`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Reads every file and checks its digest; changes nothing.
    Verify,
    /// Lists what neither a plan that was run nor the specs given refer to; asks, then removes it.
    Gc(GcArgs),
    /// Says what takes the space.
    Du,
}

/// `store gc`
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Spec files, or folders of them, whose runs are kept too.
    #[arg(value_name = "SPEC")]
    pub(crate) specs: Vec<PathBuf>,
    /// Profile of the specs.
    #[arg(short, long, requires = "specs")]
    pub(crate) profile: Option<String>,
    /// Overrides a setting of the specs; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "specs")]
    pub(crate) overrides: Vec<String>,
    /// Removes without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Lists damaged entries too, which were moved aside and kept.
    #[arg(long)]
    pub(crate) damaged: bool,
}
