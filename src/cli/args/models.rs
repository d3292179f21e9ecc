//! Arguments of the commands for models: `sample`, `chat`, `eval`, `export`, `bundle`, `cite`,
//! `import`, `logits`.

use super::ComputeArgs;
use clap::Args;
use std::ffi::OsString;
use std::path::PathBuf;

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
    pub(crate) runs: Vec<OsString>,
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
    /// Of a spec: `tensorboard`, `csv`, `parquet` or `mlflow`.
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
    /// Its tokenizer, if it is not in the same folder: `tokenizer.json`, SentencePiece's `.model` or llama2.c's `.bin`.
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
