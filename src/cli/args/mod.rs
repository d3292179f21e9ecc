//! The command line: commands and flags, parsed by clap.

mod at_a_time;
mod measure;
mod models;
mod queue;

pub(crate) use at_a_time::*;
pub(crate) use measure::*;
pub(crate) use models::*;
pub(crate) use queue::*;

use super::exit;
use crate::report::Paper;
use crate::store::LeaseTiming;
use crate::train::engine::DeviceKind;
use clap::builder::OsStringValueParser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Run language-model experiments from YAML files, cache every run by its settings, and write reports that check published numbers.
#[derive(Debug, Parser)]
#[command(name = "specbook", version, about, max_term_width = 100, after_help = exit_codes(), disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// The exit codes, shown at the end of the help.
fn exit_codes() -> String {
    let line = |(code, about): &(u8, &str)| format!("\n  {code:<4}{about}");
    let lines: Vec<String> = exit::EXIT_CODES.iter().map(line).collect();
    format!("Exit codes:{}", lines.concat())
}

/// The environment variable that names the store. An empty value, as CI systems pass for an unset variable, counts as
/// unset.
pub(crate) const STORE_VARIABLE: &str = "SPECBOOK_STORE";

/// Flags of every command.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// Folder of the store; default: `.specbook` in the spec's project.
    #[arg(long, global = true, env = STORE_VARIABLE, value_name = "DIR", value_parser = OsStringValueParser::new().map(PathBuf::from))]
    pub(crate) store: Option<PathBuf>,
    /// Print only results and errors.
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print more detail.
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub(crate) verbose: bool,
    /// Output format on standard output (`csv`: `ls` only).
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
}

/// Output formats.
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
    /// Write a shipped spec to start from.
    Init(Init),
    /// Check specs and report every problem with its line.
    Check(Check),
    /// Record the claims and sizes of specs before they are run.
    Register(RegisterArgs),
    /// List the runs of a spec with their costs, and show which are cached.
    Plan(PlanArgs),
    /// Train missing runs, evaluate, and write reports.
    Run(RunArgs),
    /// Write reports from stored runs, or check committed ones.
    Report(ReportArgs),
    /// Show which runs are cached, missing, partial, running or failed.
    Status(StatusArgs),
    /// Hand the missing runs of specs to a queue of jobs: Slurm, HyperQueue, or commands for another one.
    Submit(SubmitArgs),
    /// Take the jobs of specs out of the queue again.
    Cancel(CancelArgs),
    /// Train one chunk of a sweep written by `submit`; called by the tasks of a queue.
    Worker(WorkerArgs),
    /// Show why runs are not cached: the settings that differ from the nearest cached run.
    Explain(Planned),
    /// List stored runs.
    Ls(LsArgs),
    /// Show a stored run.
    Show(ShowArgs),
    /// Compare two runs or two record files: settings, metrics, curves, samples.
    Diff(DiffArgs),
    /// Sample text from a stored run.
    Sample(SampleArgs),
    /// Continue the texts that you type, with one model or two side by side.
    Chat(ChatArgs),
    /// Score text with a stored run.
    Eval(EvalArgs),
    /// Write a run's model, or the runs of a spec, for another program.
    Export(ExportArgs),
    /// Put a model that another program wrote into the store.
    Import(ImportArgs),
    /// Put a spec with its runs and report into one file for reviewers and archives (a ZIP file, an RO-Crate).
    Bundle(BundleArgs),
    /// Print BibTeX of specbook, and of the study and the data of a spec.
    Cite(CiteArgs),
    /// Print the logits after every token of a text, as JSON; for checks against other programs.
    #[command(hide = true)]
    Logits(LogitsArgs),
    /// Measure the speed and memory of training steps.
    Bench(BenchArgs),
    /// Retrain stored runs in memory and compare every bit.
    Verify(VerifyArgs),
    /// Manage the store: verify, garbage-collect, show disk usage.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Inspect the data of a spec without training.
    #[command(subcommand)]
    Data(DataCommand),
    /// Show this machine's processor, memory and GPUs, and which of them would be used.
    Doctor(DoctorArgs),
    /// Check a GPU against the CPU and compare its speed with PyTorch's; see `docs/cuda.md`.
    #[command(hide = true)]
    GpuAcceptance(AcceptanceArgs),
    /// Explain settings, cells, claims, metrics, functions and more, or a command.
    Help(Help),
    /// Print the JSON Schema of specs, for editors.
    Schema(Schema),
    /// Print the manual page, or write those of all commands.
    Man(ManArgs),
    /// Print a shell completion script.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// `man`
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// Folder for `specbook.1`, `specbook-run.1` and so on; it is created.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

/// `data`
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Download the addresses and public sets that specs name, and pin them in `NAME.lock` beside each spec; interrupted downloads resume.
    Fetch(SpecArgs),
    /// Count the sequences and batches of every sequence policy, from the lengths of the training documents.
    Stats(SpecArgs),
}

/// `help`
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// `spec`, `settings`, `cells`, `claims`, `metrics`, `series`, `functions`, `exit-codes`, `environment`, `datasets`, or a command.
    pub(crate) topic: Option<String>,
    /// A name of the topic, or the beginning of one (`train.loss`).
    pub(crate) name: Option<String>,
    /// Print the topic as a Markdown page.
    #[arg(long, conflicts_with = "name")]
    pub(crate) markdown: bool,
}

/// `schema`
#[derive(Debug, Args)]
pub(crate) struct Schema {
    /// Draft of JSON Schema: `2020-12`, or `7` for editors that know no later one.
    #[arg(long, value_enum, default_value_t = Draft::Latest)]
    pub(crate) draft: Draft,
}

/// Drafts of JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Draft {
    /// Draft 2020-12.
    #[value(name = "2020-12")]
    Latest,
    /// Draft 7.
    #[value(name = "7")]
    Seven,
}

/// The specs, and the scale at which to run them.
#[derive(Clone, Debug, Args)]
pub(crate) struct SpecArgs {
    /// Spec files, or folders of them.
    #[arg(required = true, value_name = "SPEC")]
    pub(crate) specs: Vec<PathBuf>,
    /// Profile: `desk` (the settings in `base`) or one of the spec's `profiles`.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Override a setting, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Select runs by case or axis values (`ce`, `dim=512,seed=0`), or else by part of the name; if repeated, a run needs to match
    /// only one.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Trust no cached data: read and hash the spec's inputs even if size and times are unchanged; with `run`, `report` and
    /// `verify` also every file of its finished runs and evaluations; with `run` also tokenise its text again.
    #[arg(long)]
    pub(crate) paranoid: bool,
}

/// Device, threads and jobs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ComputeArgs {
    /// Runs to train at once, never more than fit in free memory; `auto`: one per core, as far as memory and the runs to make allow;
    /// default: `auto` for runs of at most 256 MiB each on the CPU, otherwise 1.
    #[arg(short, long, value_parser = at_a_time)]
    pub(crate) jobs: Option<AtATime>,
    /// Total threads; default: one per core. Results do not depend on it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow; the tensor library's stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
}

/// `init`
#[derive(Debug, Args)]
pub(crate) struct Init {
    /// Name of a shipped spec; omit it to list them.
    pub(crate) name: Option<String>,
    /// File to write; default: `specs/NAME.yaml`.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// `check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Fail if a claim or a size differs from the last entry of the spec's ledger.
    #[arg(long)]
    pub(crate) ledger: bool,
}

/// `register`
#[derive(Debug, Args)]
pub(crate) struct RegisterArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Why something has changed.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
}

/// `plan`
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) planned: Planned,
    /// Device whose memory is shown: `cpu`, or `cuda[:n]` (a GPU's, which need not be here).
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
}

/// `plan`, `explain`
#[derive(Debug, Args)]
pub(crate) struct Planned {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Do not look for shorter runs to extend.
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
    /// Folder for reports; default: `reports` in the spec's project.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Write a page with curves, progress and time left to FILE (HTML) and rewrite it every two seconds.
    #[arg(long, value_name = "FILE")]
    pub(crate) live: Option<PathBuf>,
    /// Show what would be done, and do nothing.
    #[arg(short = 'n', long)]
    pub(crate) dry_run: bool,
    /// Continue with the other runs after a failure.
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Do not retry failed runs.
    #[arg(long)]
    pub(crate) no_retry: bool,
    /// Keep the last checkpoint of finished runs (weights and optimizer moments), so that longer runs can extend them.
    #[arg(long)]
    pub(crate) keep_checkpoints: bool,
    /// Train from step 0 even if a shorter run's checkpoint could be extended.
    #[arg(long)]
    pub(crate) no_extend: bool,
    /// Exit with code 6 if a claim fails.
    #[arg(long)]
    pub(crate) strict_claims: bool,
    /// Do not write a report.
    #[arg(long)]
    pub(crate) no_report: bool,
    /// Write event files for TensorBoard to this folder while training.
    #[arg(long, value_name = "DIR")]
    pub(crate) tensorboard: Option<PathBuf>,
    /// Pull missing runs from this place of `store push` first, and push new ones to it last.
    #[arg(long, value_name = "URL", conflicts_with_all = ["offline", "dry_run"])]
    pub(crate) remote: Option<String>,
    /// Download missing documents first, of each file only as far as the slices need it; without this nothing is downloaded.
    #[arg(long)]
    pub(crate) fetch: bool,
    /// Accepted for scripts: `run` uses the network only where `--remote` or `--fetch` asks for it.
    #[arg(long, hide = true, conflicts_with = "fetch")]
    pub(crate) offline: bool,
    /// Seconds between checkpoints, whatever they cost; for tests.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) checkpoint_every: Option<Duration>,
    /// Seconds without a heartbeat after which another process's lease counts as dead; for tests.
    #[arg(long, alias = "claim-stale", hide = true, value_name = "SECONDS", value_parser = lease_timing)]
    pub(crate) lease_stale: Option<LeaseTiming>,
}

/// Parses a duration in seconds, possibly fractional.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// Parses a duration in days, possibly fractional.
fn days(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of days".to_owned())?;
    Duration::try_from_secs_f64(number * 86_400.0).map_err(|error| error.to_string())
}

/// Parses the number of seconds after which a lease is stale.
fn lease_timing(text: &str) -> Result<LeaseTiming, String> {
    let least = LeaseTiming::LEAST.as_secs_f64();
    LeaseTiming::after(seconds(text)?).ok_or_else(|| format!("it has to be at least {least}"))
}

/// `report`
#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Folder for reports; default: `reports` in the spec's project.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Re-render from the report's own `data/records.jsonl` and compare; write nothing.
    #[arg(long)]
    pub(crate) check: bool,
    /// Print the template context as JSON; write nothing.
    #[arg(long, conflicts_with = "check")]
    pub(crate) context: bool,
    /// Exit with code 6 if a claim fails.
    #[arg(long)]
    pub(crate) strict_claims: bool,
    /// Write the report for a paper into the folder of `--out` instead.
    #[arg(long, value_name = "LANGUAGE", value_parser = papers(), requires = "out", conflicts_with_all = ["check", "context"])]
    pub(crate) to: Option<Paper>,
    /// Folder with templates that stand in for the shipped ones of the same name (templates/README.md lists them).
    #[arg(long, value_name = "DIR")]
    pub(crate) template: Option<PathBuf>,
}

/// Parses the format of a paper.
fn papers() -> impl TypedValueParser<Value = Paper> {
    PossibleValuesParser::new(["tex", "typst"]).map(|name| match name.as_str() {
        "tex" => Paper::Tex,
        _ => Paper::Typst,
    })
}

impl ReportArgs {
    /// The arguments of `report --check` for one spec.
    pub(crate) fn checking(spec: PathBuf, reports: PathBuf) -> Self {
        Self {
            spec: SpecArgs {
                specs: vec![spec],
                profile: None,
                overrides: Vec::new(),
                filter: Vec::new(),
                paranoid: false,
            },
            out: Some(reports),
            check: true,
            context: false,
            strict_claims: false,
            to: None,
            template: None,
        }
    }
}

/// `status`
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,
    /// Folder of the reports; default: `reports` in the spec's project.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    /// Exit with code 5 unless every run is cached and evaluated; also if a report is out of date.
    #[arg(long)]
    pub(crate) exit_code: bool,
    /// Write a page with curves, progress and time left to FILE (HTML) and rewrite it until all runs are done.
    #[arg(long, value_name = "FILE")]
    pub(crate) watch: Option<PathBuf>,
}

/// `ls`
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Sort by a metric, a setting (`model.dim`), `name`, `spec` or `id`.
    #[arg(long, default_value = "name")]
    pub(crate) sort: String,
    /// Largest first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Columns, separated by commas: metrics (`val_loss`), settings (`model.dim`), `id`, `name`, `spec`, `status`, `profile`.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "id,spec,name,status,val_loss,train_loss,steps,params"
    )]
    pub(crate) columns: Vec<String>,
    /// Show only runs whose `spec/name` contains this text.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
}

/// `show`
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// An id, a unique prefix of one, or `spec/name`.
    pub(crate) run: String,
    /// Draw a curve in the terminal; default: `train/loss`.
    #[arg(long, value_name = "METRIC", num_args = 0..=1, default_missing_value = "train/loss")]
    pub(crate) plot: Option<String>,
}

/// `diff`
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// A stored run, a report folder, a `records.jsonl` or a `record.json`.
    pub(crate) a: OsString,
    /// The same, to compare it with.
    pub(crate) b: OsString,
}

/// `verify`
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Spec files or folders, or runs (an id, a unique prefix of one, or `spec/name`).
    #[arg(required = true, value_name = "SPEC|RUN")]
    pub(crate) targets: Vec<OsString>,
    /// Profile of the specs.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Override a setting, e.g. `--set model.dim=64`; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Select runs by case or axis values (`ce`, `dim=512,seed=0`), or else by part of the name; if repeated, a run needs to match
    /// only one.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
    /// Also read every file of the stored runs and evaluations. (The inputs are always read, and nothing that was kept of them is
    /// believed.)
    #[arg(long)]
    pub(crate) paranoid: bool,
    /// Threads; default: one per core. Results do not depend on it.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// `cpu`, `cpu-reference` (slow; the tensor library's stock operations) or `cuda[:n]`.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: DeviceKind,
}

/// `store …`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read every file and check its digest; change nothing.
    Verify,
    /// List entries that no plan that was ever run and none of the given specs use; ask, then remove them.
    Gc(GcArgs),
    /// Remove imported models by name; ask first.
    Rm(RmArgs),
    /// Show disk usage.
    Du,
    /// Give finished runs to others: a folder, a web server or a bucket.
    Push(RemoteArgs),
    /// Take the runs of plans from there.
    Pull(RemoteArgs),
}

/// `store rm`
#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// Imported models: the name, the id or a unique prefix of it.
    #[arg(required = true, value_name = "MODEL")]
    pub(crate) models: Vec<String>,
    /// Remove without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
}

/// `store gc`
#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Spec files or folders whose runs are also kept.
    #[arg(value_name = "SPEC")]
    pub(crate) specs: Vec<PathBuf>,
    /// Profile of the specs.
    #[arg(short, long, requires = "specs")]
    pub(crate) profile: Option<String>,
    /// Override a setting of the specs; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE", requires = "specs")]
    pub(crate) overrides: Vec<String>,
    /// Remove without asking.
    #[arg(short, long)]
    pub(crate) yes: bool,
    /// Include damaged entries, which were moved aside and kept, and plans that cannot be read.
    #[arg(long)]
    pub(crate) damaged: bool,
    /// Include imported models that no run of a plan begins with.
    #[arg(long)]
    pub(crate) models: bool,
    /// Let go of plans that were last run more than DAYS days ago (0: of all but those of the last hour).
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(crate) unused_for: Option<Duration>,
}
