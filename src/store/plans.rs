//! Manifests of plans: which runs belong to a spec with given settings. They are the roots that `store gc`
//! keeps.
//!
//! There is one manifest per location of a spec, name, profile, overrides and text: two projects with specs of
//! the same name, two checkouts of one project, and older texts of an edited spec each keep their runs, whether
//! or not the file still exists. The manifest's modification time tells when the plan was last run;
//! `store gc --unused-for DAYS` lets go of older ones.

use super::error::StoreError;
use super::gc::GcOptions;
use super::layout::JSON_LIMIT;
use super::runs::Store;
use super::seal::{parse_sealed, read_sealed, seal};
use crate::digest::{Hasher, Sha256Hex};
use crate::fsx::{AnyPath, Metadata, age};
use crate::plan::{KnownPlan, Run};
use crate::record::{EvalId, RunId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

const FORMAT: u32 = 1;

/// The request of a `run`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Format number; [`Store::put_plan`] sets it.
    pub format: u32,
    /// Location of the spec relative to the store's folder, so that a project that is moved as a whole keeps
    /// its plans; `None` in older manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<AnyPath>,
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
    /// Imported models that runs start from; `None` in older manifests, which may need any model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<BTreeSet<Sha256Hex>>,
    /// Known facts about the data, for readers without the text; empty in older manifests.
    #[serde(default, skip_serializing_if = "KnownPlan::is_empty")]
    pub data: KnownPlan,
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
    /// The manifest of a plan whose spec is at `place` (see [`Store::place_of`]).
    pub fn new(
        plan: &crate::plan::Plan,
        place: Option<AnyPath>,
        spec_digest: Sha256Hex,
        overrides: Vec<String>,
    ) -> Self {
        let runs = plan.runs.iter().map(|run| ManifestRun {
            name: run.name.clone(),
            id: run.id,
            eval: run.eval_id,
        });
        Self {
            format: FORMAT,
            place,
            spec: plan.spec.clone(),
            spec_digest,
            profile: plan.profile.clone(),
            overrides,
            runs: runs.collect(),
            models: Some(plan.runs.iter().filter_map(Run::init_from).collect()),
            data: plan.data.clone(),
        }
    }

    /// The same regardless of the spec's location, for stores shared by several people.
    pub fn without_place(self) -> Self {
        Self {
            place: None,
            ..self
        }
    }

    /// Name of its file.
    pub fn file_name(&self) -> String {
        let mut hasher = Hasher::new();
        let place = self.place.as_ref().map(|place| place.0.as_os_str());
        hasher.update_prefixed(place.unwrap_or_default().as_encoded_bytes());
        hasher.update_prefixed(self.spec.as_bytes());
        hasher.update_prefixed(self.profile.as_bytes());
        hasher.update_prefixed(self.spec_digest.to_string().as_bytes());
        for text in &self.overrides {
            hasher.update_prefixed(text.as_bytes());
        }
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let name: String = self.spec.chars().take(40).map(plain).collect();
        format!("{name}-{}.json", hasher.finish().short())
    }

    /// Whether `name` is the name of its file; older versions used other names.
    pub(super) fn is_named(&self, name: &str) -> bool {
        self.place.is_none() || self.file_name() == name
    }

    /// Spec, profile, overrides and place on one line, for people.
    pub fn title(&self) -> String {
        let mut title = format!("{} ({}", self.spec, self.profile);
        for text in &self.overrides {
            title += ", ";
            title += text;
        }
        title += ")";
        if let Some(place) = &self.place {
            title += " of ";
            title += &place.0.to_string_lossy();
        }
        title
    }
}

/// The references that protect entries: the manifests, which are reread only after a change.
#[derive(Default)]
pub(super) struct Roots {
    files: BTreeMap<PathBuf, (Metadata, Option<Ids>)>,
    runs: BTreeSet<RunId>,
    evals: BTreeSet<EvalId>,
    /// `None` if a manifest does not state which models it needs.
    models: Option<BTreeSet<Sha256Hex>>,
    /// Unreadable manifests, which might refer to anything.
    pub(super) unreadable: Vec<PathBuf>,
    /// Manifests that have been unused for so long that they protect nothing.
    pub(super) unused: Vec<PathBuf>,
}

/// The ids that a manifest protects.
struct Ids {
    runs: Vec<RunId>,
    evals: Vec<EvalId>,
    models: Option<BTreeSet<Sha256Hex>>,
}

impl From<Manifest> for Ids {
    fn from(manifest: Manifest) -> Self {
        let runs = manifest.runs.iter();
        let (runs, evals) = runs.map(|run| (run.id, run.eval)).unzip();
        let models = manifest.models;
        Self {
            runs,
            evals,
            models,
        }
    }
}

impl Roots {
    /// Examines all manifests.
    pub(super) fn look(
        &mut self,
        store: &Store,
        options: &GcOptions,
        now: SystemTime,
    ) -> Result<(), StoreError> {
        let mut files = BTreeMap::new();
        for (path, found) in store.manifests()? {
            let known = self.files.remove(&path).filter(|(then, _)| *then == found);
            let ids = match known {
                Some((_, ids)) => ids,
                None => match read_manifest(store, &path) {
                    Ok(None) => continue,
                    Ok(Some(manifest)) => Some(manifest.into()),
                    Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                        store.warn(format!(
                            "{}; it may name any run, so no run and no evaluation goes (`store gc --damaged` removes it)",
                            error.chain()
                        ));
                        None
                    }
                    Err(error) => return Err(error),
                },
            };
            files.insert(path, (found, ids));
        }
        *self = Self {
            files,
            runs: options.runs.clone(),
            evals: options.evals.clone(),
            models: Some(options.models.clone()),
            ..Self::default()
        };
        for (path, (found, ids)) in &self.files {
            let idle = age(now, found.modified);
            match ids {
                None => self.unreadable.push(path.clone()),
                Some(_) if options.lets_go(idle) => self.unused.push(path.clone()),
                Some(ids) => {
                    self.runs.extend(&ids.runs);
                    self.evals.extend(&ids.evals);
                    match (&mut self.models, &ids.models) {
                        (Some(kept), Some(models)) => kept.extend(models),
                        _ => self.models = None,
                    }
                }
            }
        }
        Ok(())
    }

    pub(super) fn keep(&self, id: &RunId) -> bool {
        !self.unreadable.is_empty() || self.runs.contains(id)
    }

    pub(super) fn keep_eval(&self, id: &EvalId) -> bool {
        !self.unreadable.is_empty() || self.evals.contains(id)
    }

    pub(super) fn keep_model(&self, id: &Sha256Hex) -> bool {
        let models = self.models.as_ref();
        !self.unreadable.is_empty() || models.is_none_or(|models| models.contains(id))
    }
}

/// The bytes of a manifest's file.
///
/// # Errors
/// None in practice: a manifest is plain data.
pub fn manifest_bytes(manifest: &Manifest) -> Result<Vec<u8>, StoreError> {
    seal("a plan's manifest", manifest)
}

/// Parses the bytes of a manifest's file; `path` is named in errors.
///
/// # Errors
/// Bytes that are not a manifest, or one of another version.
pub fn parse_manifest(bytes: Vec<u8>, path: &Path) -> Result<Manifest, StoreError> {
    parse_sealed(bytes, path, "a plan's manifest", FORMAT)
}

pub(crate) fn read_manifest(store: &Store, path: &Path) -> Result<Option<Manifest>, StoreError> {
    read_sealed(store.fs(), path, JSON_LIMIT, "a plan's manifest", FORMAT)
}

impl Store {
    /// Location of a spec's file relative to the store's folder.
    pub fn place_of(&self, spec: &Path) -> Option<AnyPath> {
        let spec = std::fs::canonicalize(spec).ok()?;
        let root = std::path::absolute(self.root()).ok()?;
        // The folder may not exist yet.
        let there = root.ancestors().find(|folder| folder.exists())?;
        let rest = root.strip_prefix(there).ok()?;
        let root = std::fs::canonicalize(there).ok()?.join(rest);
        let shared = spec
            .components()
            .zip(root.components())
            .take_while(|(a, b)| a == b)
            .count();
        let up = root.components().skip(shared).map(|_| Component::ParentDir);
        let place: PathBuf = up.chain(spec.components().skip(shared)).collect();
        Some(AnyPath(place).with_slashes())
    }

    /// Writes a manifest; an existing one gets a new time.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_plan(&self, manifest: &Manifest) -> Result<PathBuf, StoreError> {
        let dir = self.layout.plans();
        let manifest = Manifest {
            format: FORMAT,
            ..manifest.clone()
        };
        let path = dir.join(manifest.file_name());
        let bytes = seal("a plan's manifest", &manifest)?;
        let same = self.fs.read(&path, JSON_LIMIT);
        if same.is_ok_and(|old| old == bytes) && self.fs.overwrite(&path, &bytes).is_ok() {
            return Ok(path);
        }
        self.fs.create_dir_all(&dir)?;
        self.fs.write_atomic(&path, &bytes)?;
        Ok(path)
    }

    /// Files of manifests, by name.
    fn manifests(&self) -> Result<Vec<(PathBuf, Metadata)>, StoreError> {
        let dir = self.layout.plans();
        let mut files = Vec::new();
        for entry in self.fs.list(&dir)? {
            if entry.name.ends_with(".json") && !entry.name.starts_with('.') {
                let path = dir.join(&entry.file_name);
                files.extend(self.fs.metadata(&path)?.map(|found| (path, found)));
            }
        }
        Ok(files)
    }

    /// What the plans for a spec's text and profile know about its data.
    ///
    /// # Errors
    /// Those of [`plans`](Self::plans).
    pub fn known_plan(
        &self,
        spec: &str,
        digest: &Sha256Hex,
        profile: &str,
    ) -> Result<KnownPlan, StoreError> {
        let mut known = KnownPlan::new();
        for plan in self.plans()? {
            if plan.spec == spec && plan.spec_digest == *digest && plan.profile == profile {
                for (name, data) in plan.data {
                    // The most recently run plan takes precedence.
                    known.entry(name).or_insert(data);
                }
            }
        }
        Ok(known)
    }

    /// All readable manifests, the most recently run first; unreadable ones cause warnings.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn plans(&self) -> Result<Vec<Manifest>, StoreError> {
        let mut files = self.manifests()?;
        files.sort_by_key(|(_, found)| std::cmp::Reverse(found.modified));
        let mut manifests = Vec::new();
        for (path, _) in files {
            match read_manifest(self, &path) {
                Ok(found) => manifests.extend(found),
                Err(error @ (StoreError::Damaged { .. } | StoreError::Version { .. })) => {
                    self.warn(error.chain());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(manifests)
    }

    /// The same, but for each combination of spec, profile and overrides only the text that was run last.
    ///
    /// # Errors
    /// Those of [`plans`](Self::plans).
    pub fn latest_plans(&self) -> Result<Vec<Manifest>, StoreError> {
        let mut seen = BTreeSet::new();
        let mut plans = self.plans()?;
        plans.retain(|plan| {
            let Manifest {
                place,
                spec,
                profile,
                overrides,
                ..
            } = plan.clone();
            seen.insert((place, spec, profile, overrides))
        });
        Ok(plans)
    }
}
