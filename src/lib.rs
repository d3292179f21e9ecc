//! A reproducible-experiment notebook runner driven by declarative specs.
//!
//! # Bird's eye
//!
//! ```text
//! specs/epoch-frenzy.yaml
//!   │ spec::load: values and marks, profile, overrides, axes; every problem with its line
//!   ▼
//! Spec ─► plan::expand ─► Plan: Runs, each with a RunId = sha256(RunKey)        trains nothing, renders nothing
//!                           │
//!         cached? ◄─ Store ◄┴─ Scheduler ─► dyn Engine ══ the door ══ train::engine (dfdx)
//!                     ▲   record.json last     │ steps, checkpoints, metrics
//!                     └────────────────────────┘
//!                     ▼
//! Results ─► eval (perplexity, samples: entries of their own) ─► claim (measures, verdicts) ─► report ─► reports/<name>/
//! ```
//!
//! # Where things are
//!
//! | module | purpose |
//! |---|---|
//! | `spec` | the YAML file as data: settings, axes, claims, cells, and their problems |
//! | `plan` | runs and their identities, estimates, semantic differences |
//! | `text` | sources (two embedded corpora), tokenizers, sequence policies: one file each |
//! | `fetch` | downloads of addresses in specs, when a command asks for them |
//! | `data` | slices of documents with identities, cached ids, batches |
//! | `train` | the interface to the trainer, and the engine behind it: operations, models, losses, optimizer, sampling
//! |
//! | `weights` | weights and checkpoints as plain data, and their file format |
//! | `interop` | import and export of models in formats of other programs |
//! | `choices` | losses, architectures, schedules, initialisers: one file each |
//! | `bundle` | a spec with everything behind its results, in one file |
//! | `trackers` | exports of runs: TensorBoard, CSV, Parquet, MLflow |
//! | `record` | records of finished runs, as plain data |
//! | `store`, `fsx` | finished runs, evaluations and plans as plain files; the only access to the file system |
//! | `scheduler`, `workload` | running a plan; the data and evaluations it needs |
//! | `queue` | sweeps for job queues: chunks, and submission to Slurm and others |
//! | `net`, `remote` | the HTTP client; runs pushed to and pulled from other places |
//! | `eval`, `expr`, `claim` | metrics of trained weights; expressions over results; verdicts |
//! | `ledger` | history of registered claims and sizes, beside each spec |
//! | `bench` | speed and memory of training steps |
//! | `report`, `mistakes` | reports; unknown names in claims and cells, found before training |
//! | `cli` | the command line: the only part that prints, reads the environment or handles signals |
//! | `human`, `stats` | human-readable numbers and names; means, intervals, tests |
//! | `shell` | command lines as text, with words quoted for a shell |
//! | `parquet` | tables as Parquet files, read and written |
//! | `digest`, `rng`, `error` | SHA-256; counter-based randomness; the union of all errors |
//!
//! # What always holds
//!
//! - No upward dependencies: `tests/suite/architecture.rs` checks which module may use which, where each crate is
//!   named, and that `unsafe` occurs only in the crate `specbook-kernels`, in `train/engine/fused/view.rs` and under
//!   `train/engine/cuda`.
//! - No tensor, dtype or device type crosses the interface of `train`.
//! - All randomness is addressed by (seed, purpose, step, index) through `rng`; no generator has state.
//! - No reduction depends on the number of threads; no platform `exp` or `ln` reaches weights, metrics or samples.
//! - A run is complete only when its `record.json` is in place; wall-clock time never enters comparisons.
//! - Reports are a pure function of spec and records.
//!
//! # From Rust
//!
//! Everything the program does can be done from Rust:
//!
//! ```
//! use specbook::{DataContext, FakeEngine, LoadRequest, RealFs, Scheduler, Silent, Spec, Store, Workload};
//! use std::sync::{Arc, atomic::AtomicBool};
//!
//! let text = r#"
//! specbook: 1
//! name: tiny
//! title: Tiny
//! base:
//!   data: {corpus: {stories: {version: 1}}, tokenizer: {train_bpe: {vocab_size: 300}}, train: 8, validation: 2}
//!   model: {dim: 16, n_layers: 1, n_heads: 2, max_seq_len: 16}
//!   train: {batch_size: 4, optimizer: {adamw: {learning_rate: 1e-3}}, validate: {every: end}}
//! cells:
//!   - plan: all
//! "#;
//! let spec: Spec = specbook::parse_spec(text, "tiny.yaml".as_ref(), &LoadRequest::default())?;
//! let context = DataContext::default();
//! let plan = specbook::expand(&spec, &context)?;
//! let folder = tempfile::tempdir()?;
//! let store = Store::open(folder.path(), Arc::new(RealFs::new()));
//! let engine = FakeEngine::default(); // `specbook::open_engine(DeviceKind::Cpu)?` trains for real
//! let scheduler = Scheduler { store: &store, engine: &engine, options: Default::default() };
//! let workload = Workload::new(&store, &engine, &context);
//! let summary = scheduler.run(&plan, &workload, &Silent, &AtomicBool::new(false))?;
//! assert_eq!((summary.trained, summary.failed.len()), (1, 0));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bench;
mod bundle;
mod choices;
mod claim;
mod cli;
mod data;
mod digest;
mod error;
mod eval;
mod expr;
mod fetch;
mod fsx;
mod human;
#[doc(hidden)]
pub mod internals;
mod interop;
mod ledger;
mod mistakes;
mod net;
mod parquet;
mod plan;
mod queue;
mod record;
mod remote;
mod report;
mod scheduler;
mod shell;
mod spec;
mod stats;
mod store;
mod text;
mod trackers;
mod train;
mod weights;
mod workload;

use specbook_rng as rng;

#[cfg(test)]
mod test_support;

pub use cli::run as run_command_line;
pub use data::DataContext;
pub use error::{Error, ErrorKind};
pub use fsx::RealFs;
pub use plan::{Plan, Run, RunKey, expand};
pub use record::{Results, RunId, RunRecord};
pub use report::Report;
pub use scheduler::{Options, Scheduler, Silent, Summary};
pub use spec::{LoadRequest, Spec, load as load_spec, parse as parse_spec};
pub use store::Store;
pub use train::{DeviceKind, Engine, FakeEngine, open as open_engine};
pub use workload::Workload;

/// Name of the profile that is the base of a spec as written. It must have every run named in the notebook.
pub(crate) const DEFAULT_PROFILE: &str = "desk";
