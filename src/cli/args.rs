//! The command line: commands and flags, parsed by clap.

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
#[command(name = "specbook", version, about, max_term_width = 100, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

const EXIT_CODES: &str = "Exit codes: 0 ok, 1 unexpected, 2 usage or invalid spec, 3 a run failed or diverged, 4 missing or damaged input, \
5 stale (status --exit-code), 6 a claim fails (--strict-claims), 7 verify mismatch, 8 report differs (report --check), \
129/130/143 stopped by HUP/INT/TERM (checkpoints are kept).";

/// The environment variable that names the store; empty, as of a variable of a CI system that is not set, it names none.
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
    /// Write down the claims and sizes of specs as they are, before they are run.
    Register(RegisterArgs),
    /// List the runs of a spec with their costs, and show which are cached.
    Plan(Planned),
    /// Train what is missing, evaluate, and write reports.
    Run(RunArgs),
    /// Write reports from stored runs, or check committed ones.
    Report(ReportArgs),
    /// Show which runs are cached, missing, partial, running or failed.
    Status(StatusArgs),
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
    /// Check a GPU against the CPU and measure it beside PyTorch; see `docs/cuda.md`.
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
    /// Count the sequences and batches of every sequence policy, from the lengths of the training documents.
    Stats(SpecArgs),
}

/// `help`
#[derive(Debug, Args)]
pub(crate) struct Help {
    /// `spec`, `settings`, `cells`, `claims`, `metrics`, `series`, `functions`, `exit-codes`, `environment`, or a command.
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
    /// Believe nothing that was kept: read and hash the spec's inputs even if size and times are unchanged; with `run`, `report` and
    /// `verify` also every file of its finished runs and evaluations; with `run` also tokenise its text anew.
    #[arg(long)]
    pub(crate) paranoid: bool,
}

/// Device, threads and jobs.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ComputeArgs {
    /// Runs to train at once; never more than fit in free memory.
    #[arg(short, long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) jobs: u16,
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
    /// Fail where a claim or a size is not as the spec's ledger has it last.
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
    /// Accepted for scripts: specbook never uses the network.
    #[arg(long, hide = true)]
    pub(crate) offline: bool,
    /// Seconds between checkpoints, whatever they cost; for tests.
    #[arg(long, hide = true, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) checkpoint_every: Option<Duration>,
    /// Seconds without a heartbeat after which another process's lease counts as dead; for tests.
    #[arg(long, alias = "claim-stale", hide = true, value_name = "SECONDS", value_parser = lease_timing)]
    pub(crate) lease_stale: Option<LeaseTiming>,
}

/// A duration in seconds, with fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
}

/// A duration in days, with fraction.
fn days(text: &str) -> Result<Duration, String> {
    let number: f64 = text
        .parse()
        .map_err(|_| "expected a number of days".to_owned())?;
    Duration::try_from_secs_f64(number * 86_400.0).map_err(|error| error.to_string())
}

/// After how many seconds a lease is stale.
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

/// The languages of papers.
fn papers() -> impl TypedValueParser<Value = Paper> {
    PossibleValuesParser::new(["tex", "typst"]).map(|name| match name.as_str() {
        "tex" => Paper::Tex,
        _ => Paper::Typst,
    })
}

impl ReportArgs {
    /// `report --check` of one spec.
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
    /// Columns, separated by commas: metrics (`val_loss`), settings (`model.dim`), `id`, `name`, `spec`, `status`.
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

/// `sample`
#[derive(Debug, Args)]
pub(crate) struct SampleArgs {
    /// A run (an id, a unique prefix of one, or `spec/name`), an imported model, a Hugging Face folder or a llama2.c file.
    pub(crate) run: OsString,
    /// Text to continue; may be repeated. Default: `Once upon a time`, unless `--prompts` names others.
    #[arg(long)]
    pub(crate) prompt: Vec<String>,
    /// File of texts to continue, one a line; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) prompts: Option<PathBuf>,
    /// Continuations of each text.
    #[arg(short = 'n', long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) samples: u16,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// How tokens are drawn.
#[derive(Clone, Debug, Args)]
pub(crate) struct DrawArgs {
    /// Maximum length of the continuation, in tokens.
    #[arg(long, default_value_t = 64, allow_negative_numbers = true)]
    pub(crate) max_new_tokens: usize,
    /// Sampling temperature; 0 always takes the most likely token.
    #[arg(long, default_value_t = 0.8, allow_negative_numbers = true)]
    pub(crate) temperature: f64,
    /// Sample from the k most likely tokens.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) top_k: Option<usize>,
    /// Sample from the smallest set of tokens whose total probability exceeds this.
    #[arg(long, allow_negative_numbers = true)]
    pub(crate) top_p: Option<f64>,
    /// Seed of the random numbers.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

/// `chat`
#[derive(Debug, Args)]
pub(crate) struct ChatArgs {
    /// A run (an id, a unique prefix of one, or `spec/name`), an imported model, a Hugging Face folder or a llama2.c file; a second one
    /// is shown beside it.
    #[arg(value_name = "RUN", required = true, num_args = 1..=2)]
    pub(crate) runs: Vec<String>,
    #[command(flatten)]
    pub(crate) draw: DrawArgs,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// `eval`
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A run (an id, a unique prefix of one, or `spec/name`), an imported model, a Hugging Face folder or a llama2.c file.
    pub(crate) run: OsString,
    /// Text file to score; omit it to show the stored evaluation.
    #[arg(long, value_name = "FILE")]
    pub(crate) text: Option<PathBuf>,
    /// Line that separates documents in the text file.
    #[arg(long, default_value = "<|endoftext|>")]
    pub(crate) separator: String,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

/// `export`
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// For a model: a run (an id, a unique prefix of one, or `spec/name`) or an imported model. For trackers and tables: a spec.
    #[arg(value_name = "RUN|SPEC")]
    pub(crate) target: OsString,
    /// Folder to write (one that no export made is refused); for `mlflow` the address of the server.
    #[arg(value_name = "DIR|URI")]
    pub(crate) place: PathBuf,
    /// Of a run: `hf` (a folder for Hugging Face's `transformers`), `llama2c`, `gguf`, `gguf-f16` or `gguf-q8_0` (a file for llama.cpp).
    /// Of a spec: `tensorboard`, `csv` or `mlflow`.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) to: String,
    /// Profile of the spec.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Override a setting of the spec; may be repeated.
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) overrides: Vec<String>,
    /// Select runs of the spec, as in `run`.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Vec<String>,
}

/// `bundle`
#[derive(Debug, Args)]
pub(crate) struct BundleArgs {
    /// The spec file.
    pub(crate) spec: PathBuf,
    /// File to write.
    #[arg(short, long, value_name = "FILE.zip")]
    pub(crate) output: PathBuf,
    /// Profile.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
    /// Put the weights in too.
    #[arg(long)]
    pub(crate) weights: bool,
    /// Licence under which it is published: an address, or words.
    #[arg(long, default_value = "no licence is stated")]
    pub(crate) license: String,
    /// Day of publication; default: today.
    #[arg(long, value_name = "YYYY-MM-DD")]
    pub(crate) date: Option<String>,
}

/// `cite`
#[derive(Debug, Args)]
pub(crate) struct CiteArgs {
    /// Spec file; omit it for specbook alone.
    pub(crate) spec: Option<PathBuf>,
    /// Profile of the spec.
    #[arg(short, long)]
    pub(crate) profile: Option<String>,
}

/// `import`
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// A Hugging Face folder (LLaMA or GPT-2, safetensors), or a checkpoint of llama2.c. Pickles are never read.
    #[arg(value_name = "PATH")]
    pub(crate) path: PathBuf,
    /// Its tokenizer, where it does not lie beside it: `tokenizer.json`, SentencePiece's `.model` or llama2.c's `.bin`.
    #[arg(long, value_name = "FILE")]
    pub(crate) tokenizer: Option<PathBuf>,
    /// Name in the store; default: the name of the file or folder.
    #[arg(long)]
    pub(crate) name: Option<String>,
}

/// `logits`
#[derive(Debug, Args)]
pub(crate) struct LogitsArgs {
    /// A run, an imported model, a Hugging Face folder or a llama2.c file.
    pub(crate) run: OsString,
    /// The text.
    #[arg(long, default_value = "Once upon a time")]
    pub(crate) prompt: String,
    #[command(flatten)]
    pub(crate) compute: ComputeArgs,
}

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
        default_value = "epoch-frenzy,grid-128-2-32,grid-128-8-512,grid-512-2-512,grid-512-8-512,scale-up,sequence-handling,loss-comparison"
    )]
    pub(crate) shape: Vec<String>,
    /// Seconds per measurement.
    #[arg(long, default_value_t = 8.0)]
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
    /// Override a setting of the small spec whose curves are compared; may be repeated.
    #[arg(long = "curve-set", value_name = "PATH=VALUE")]
    pub(crate) curve_overrides: Vec<String>,
}

/// `store …`
#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Read every file and check its digest; change nothing.
    Verify,
    /// List entries that no plan that was ever run and none of the given specs use; ask, then remove them.
    Gc(GcArgs),
    /// Show disk usage.
    Du,
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
    /// Let go of plans that were last run more than DAYS days ago (0: of all but those of the last hour).
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(crate) unused_for: Option<Duration>,
}
