//! Manifests of plans: which spec, with which settings, means which runs. The roots that `store gc` keeps.
//!
//! There is one per spec name, profile and overrides: running an edited spec replaces the manifest, so that the runs of the
//! older text are no longer roots.

use super::error::StoreError;
use super::layout::JSON_LIMIT;
use super::runs::Store;
use super::seal::{read_sealed, seal};
use crate::digest::{Hasher, Sha256Hex};
use crate::record::{EvalId, RunId};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;

/// What a `run` was asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format number; [`Store::put_plan`] sets it.
    pub format: u32,
    /// Name of the spec.
    pub spec: String,
    /// Digest of the spec's text.
    pub spec_digest: Sha256Hex,
    /// Profile.
    pub profile: String,
    /// `path=value` arguments, in order.
    pub overrides: Vec<String>,
    /// Runs in plan order.
    pub runs: Vec<ManifestRun>,
}

/// A run of a manifest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManifestRun {
    /// Name in the plan.
    pub name: String,
    /// Identity.
    pub id: RunId,
    /// Identity of its evaluation.
    pub eval: EvalId,
}

impl Manifest {
    /// The manifest of a plan.
    pub fn new(plan: &crate::plan::Plan, spec_digest: Sha256Hex, overrides: Vec<String>) -> Self {
        let runs = plan.runs.iter().map(|run| ManifestRun {
            name: run.name.clone(),
            id: run.id,
            eval: run.eval_id,
        });
        Self {
            format: FORMAT,
            spec: plan.spec.clone(),
            spec_digest,
            profile: plan.profile.clone(),
            overrides,
            runs: runs.collect(),
        }
    }

    fn file_name(&self) -> String {
        let mut hasher = Hasher::new();
        hasher.update_prefixed(self.spec.as_bytes());
        hasher.update_prefixed(self.profile.as_bytes());
        for text in &self.overrides {
            hasher.update_prefixed(text.as_bytes());
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.spec.chars().take(40).map(plain).collect();
        format!("{name}-{}.json", hasher.finish().short())
    }
}

pub(crate) fn read_manifest(store: &Store, path: &Path) -> Result<Option<Manifest>, StoreError> {
    read_sealed(store.fs(), path, JSON_LIMIT, "a plan's manifest", FORMAT)
}

impl Store {
    /// Writes a manifest, replacing the one of the same spec, profile and overrides.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_plan(&self, manifest: &Manifest) -> Result<PathBuf, StoreError> {
        let dir = self.layout.plans();
        self.fs.create_dir_all(&dir)?;
        let manifest = Manifest {
            format: FORMAT,
            ..manifest.clone()
        };
        let path = dir.join(manifest.file_name());
        let bytes = seal("a plan's manifest", &manifest)?;
        // Nothing to write where it is there already, which is the usual case.
        let same = self
            .fs
            .read(&path, JSON_LIMIT)
            .is_ok_and(|old| old == bytes);
        if !same {
            self.fs.write_atomic(&path, &bytes)?;
        }
        Ok(path)
    }

    /// All manifests that can be read, by file name; the others give warnings.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn plans(&self) -> Result<Vec<Manifest>, StoreError> {
        let dir = self.layout.plans();
        let mut manifests = Vec::new();
        for entry in self.fs.list(&dir)? {
            if entry.is_dir() || !entry.name.ends_with(".json") || entry.name.starts_with('.') {
                continue;
            }
            match read_manifest(self, &dir.join(&entry.name)) {
                Ok(found) => manifests.extend(found),
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    self.warn(error.chain());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(manifests)
    }
}
