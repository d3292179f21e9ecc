//! The spec: an experiment as data. YAML in, [`Spec`] out, or every problem at once with its line and column.
//!
//! `load` parses a text twice (values by one parser, places by another) into one `tree`; `alias` replaces other tools'
//! names in it; `experiment` applies the profile to the base; `axes` and `expand` make the runs; `structure` checks
//! every section against the shape in `schema`, serde decodes it into settings, and `validate` and `refs` check what
//! types cannot. Nothing here opens a corpus or trains.
//!
//! # Overrides
//!
//! A setting is named by its dot path below `base`: `model.dim`, `train.optimizer.adamw.learning_rate`. An override
//! replaces the whole value at its path; a path through a choice selects that choice (`data.corpus.jsonl.path` turns
//! `documents` into `jsonl`), and a path into a slice keeps its number as `take`. `null` removes an optional setting. A
//! part that contains a dot is double-quoted: `cases."v1.5".train.epochs`.
//!
//! Later wins: base, profile, case, `vary`, `seeds`, `--set`. A setting that is overridden in every run (a profile's
//! value under an axis, two axes on one setting) is refused. Profiles and `--set` may also name `seeds`, `exclude`,
//! `max_runs`, `vary` or `vary.<path>`, `cases`, `cases.<name>` or `cases.<name>.<path>`; `null` removes an axis or a
//! case. An inherited `exclude` is ignored if the profile's axes lack the values it names.
//!
//! # Names
//!
//! The axes are `case` (if there are cases), those of `vary` in written order, and `seed` (if there are `seeds`); the
//! first is the outermost. An axis is named after the last part of its path, or the whole path if another axis has the
//! same last part. A run is named after its case and values: `25x100`, `dim=512,n_layers=8`, with `,seed=1` only if
//! there are several seeds, and `base` if there is no axis. A choice appears in a name without its parameters where
//! that is unique: `loss=squentropy`, otherwise `loss=square{k=100}`.

mod advice;
mod alias;
mod axes;
mod cell;
mod claim;
mod data;
mod dead;
mod error;
mod eval;
mod expand;
mod experiment;
mod file;
mod indentation;
mod load;
mod parse;
mod refs;
mod schema;
mod setting;
mod structure;
mod train;
mod tree;
mod validate;
mod written;

pub use crate::choices::{
    Arch, ClassWeight, Init, Loss, ModelConfig, ModelSettings, Reduction, Schedule,
};
pub use crate::text::corpora::Embedded;
pub use crate::text::source::{BinFile, Folder, Jsonl, Paths, TextFile};
pub use crate::text::tokenizer::{MAX_BPE_VOCAB, MIN_BPE_VOCAB};
pub use crate::text::{Corpus, SeqLen, Sequence, Tokenizer};
pub(crate) use alias::meant_by;
pub use cell::*;
pub use claim::*;
pub use data::*;
pub(crate) use error::{Problem, Problems, Sources, nearest};
pub use error::{SpecError, SpecProblems};
pub use eval::*;
pub(crate) use load::{flow, values};
pub use parse::{LoadRequest, Profiles, SpecText, load, parse};
pub use schema::json_schema;
pub(crate) use schema::json_schema_of;
pub use train::*;
pub(crate) use tree::Span;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// The settings of one run, all sections resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Corpus, tokenizer, slices, sequences.
    pub data: DataSettings,
    /// The transformer.
    pub model: ModelSettings,
    /// Loss, optimizer, length, validation.
    pub train: TrainSettings,
    /// Perplexity and samples.
    #[serde(default)]
    pub eval: EvalSettings,
}

/// A checked experiment: profile and overrides applied, every run's settings decoded.
#[derive(Clone, Debug)]
pub struct Spec {
    /// File it came from, as given (never part of an identity).
    pub path: PathBuf,
    /// SHA-256 of the file's bytes.
    pub digest: crate::digest::Sha256Hex,
    /// The file, for messages that show a line of it.
    pub text: Arc<str>,
    /// Name; also the name of the report folder.
    pub name: String,
    /// Title of the report.
    pub title: String,
    /// Study and section.
    pub source: Source,
    /// Markdown paragraph below the title.
    pub summary: String,
    /// The result: text with expressions, shown below the title.
    pub finding: Option<Located<String>>,
    /// Display names of runs, cases, axes, values, metrics and curves.
    pub labels: BTreeMap<String, String>,
    /// BibTeX file, relative to the spec; empty for none.
    pub bibliography: String,
    /// CSS variables of the page and their values.
    pub theme: BTreeMap<String, String>,
    /// Profile that was applied (`desk` = the base).
    pub profile: String,
    /// All profiles, `desk` first.
    pub profiles: Vec<String>,
    /// `--set` arguments that were applied, in order.
    pub overrides: Vec<String>,
    /// The axes in written order, cases and seeds included.
    pub axes: Vec<Axis>,
    /// The runs in plan order.
    pub runs: Vec<SpecRun>,
    /// Claims in written order.
    pub claims: Vec<Claim>,
    /// Cells in reading order.
    pub cells: Vec<Located<Cell>>,
    /// The names of the runs of all profiles.
    pub run_names: RunNames,
}

/// The names of the runs of all profiles of a spec; cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RunNames(Arc<refs::Names>);

impl RunNames {
    /// Computes the names of the runs, and of the settings without seeds.
    pub fn all(&self) -> BTreeSet<String> {
        self.0.runs()
    }
}

/// The CSS variables that a spec's `theme` may set.
pub(crate) const THEME: [&str; 26] = [
    "paper",
    "raised",
    "ink",
    "soft",
    "muted",
    "rule",
    "grid",
    "link",
    "mark",
    "s0",
    "s1",
    "s2",
    "s3",
    "s4",
    "s5",
    "s6",
    "s7",
    "published",
    "holds",
    "fails",
    "inconclusive",
    "unchecked",
    "inconsistent",
    "serif",
    "sans",
    "mono",
];

/// The study an experiment comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The study.
    pub study: String,
    /// Section or figure.
    #[serde(default)]
    pub section: String,
}

/// A named axis and its values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Axis {
    /// `case`, `seed`, or the last part of the dot path (the whole path if that is not unique).
    pub name: String,
    /// Values in written order.
    pub values: Vec<serde_json::Value>,
}

/// One run of a spec.
#[derive(Clone, Debug, PartialEq)]
pub struct SpecRun {
    /// Stable readable name: `dim=512,n_layers=8` or the case's name, with `,seed=1` if there are several seeds.
    pub name: String,
    /// Axis name and value, in axis order.
    pub axes: Vec<(String, serde_json::Value)>,
    /// Decoded settings.
    pub settings: Arc<Settings>,
}

/// A value and its line in the spec (1-based).
#[derive(Clone, Debug, PartialEq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Line of the spec.
    pub line: usize,
}

#[cfg(test)]
mod tests;
