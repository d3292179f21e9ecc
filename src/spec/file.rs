//! The spec file as a type, from which the JSON Schema and the structure check are derived.

use super::{Cell, Claim, Settings, Source};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An experiment as a YAML file. Settings that overrides name are dot paths into `base`, such as `model.dim`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "read only through its JSON Schema")]
pub(crate) struct SpecFile {
    /// Format of the file: 1.
    specbook: u64,
    /// Name of the experiment and of its report folder: lower-case letters, digits, `-` and `_`.
    name: String,
    /// Title of the report; default: the name.
    #[serde(default)]
    title: String,
    /// The study and section that the experiment reruns.
    #[serde(default)]
    source: Source,
    /// Markdown paragraph below the title.
    #[serde(default)]
    summary: String,
    /// The result, shown below the title: one to three sentences of Markdown with minijinja expressions over the
    /// results.
    #[serde(default)]
    finding: String,
    /// Display names in figures and tables, by the name of a run, case, axis, value (`dim=128`), metric or curve.
    #[serde(default)]
    labels: BTreeMap<String, String>,
    /// BibTeX file, relative to the spec, for citations in texts (`@key`, `[@key]`).
    #[serde(default)]
    bibliography: String,
    /// Colours and fonts of the page: CSS variables such as `link`, `ink`, `paper`, `s0` or `serif`; prefix `dark-` for
    /// dark mode.
    #[serde(default)]
    theme: BTreeMap<String, String>,
    /// The settings every run starts from: the profile `desk`.
    base: Settings,
    /// Named groups of settings, each a map from dot paths to values; they are the values of the axis `case`.
    #[serde(default)]
    cases: BTreeMap<String, BTreeMap<String, Value>>,
    /// Axes to cross, in written order: a dot path and its list of values.
    #[serde(default)]
    vary: BTreeMap<String, Vec<Value>>,
    /// Seeds: the innermost axis, `train.seed`; default: the base's seed.
    #[serde(default)]
    seeds: Vec<u64>,
    /// Excluded combinations: maps from axes to a value or a list of values.
    #[serde(default)]
    exclude: Vec<BTreeMap<String, Value>>,
    /// Maximum number of runs the axes may multiply to; default 10000.
    #[serde(default)]
    max_runs: Option<usize>,
    /// The experiment at other scales: named sets of overrides. They may also set `seeds`, `vary`, `cases`, `exclude`
    /// and `max_runs`, and replace `title`, `summary`, `finding`, `labels` and `cells`.
    #[serde(default)]
    profiles: BTreeMap<String, BTreeMap<String, Value>>,
    /// Published statements and how they are checked.
    #[serde(default)]
    claims: Vec<Claim>,
    /// The notebook, in reading order.
    #[serde(default)]
    cells: Vec<Cell>,
}
