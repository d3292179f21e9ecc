//! Finding runs by id and by name, and listing them.

use super::error::StoreError;
use super::layout::ShardName;
use super::plans::ManifestRun;
use super::runs::Store;
use crate::human;
use crate::record::{RunId, RunRecord};
use rayon::prelude::*;

impl Store {
    /// The ids that have their own folder, in order; with `unfinished`, also those of runs in progress.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn ids(&self, unfinished: bool) -> Result<Vec<RunId>, StoreError> {
        let mut ids = Vec::new();
        for shard in self.fs.list(&self.layout.runs())? {
            if shard.name.len() == 2 {
                ids.extend(self.ids_in(&shard.name, unfinished)?);
            }
        }
        Ok(ids)
    }

    fn ids_in(&self, shard: &str, unfinished: bool) -> Result<Vec<RunId>, StoreError> {
        let entries = self.entries(&self.layout.runs().join(shard))?;
        let names = entries
            .iter()
            .filter_map(|entry| ShardName::parse(&entry.name));
        let mut ids: Vec<RunId> = names
            .filter_map(|name| match name {
                ShardName::Run(id) => Some(id),
                ShardName::Work(id, _) if unfinished => Some(id),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// All readable records, by id; unreadable ones cause warnings.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn list(&self) -> Result<Vec<RunRecord>, StoreError> {
        self.collect(Some)
    }

    /// The results of `take` for all readable records, by id; unreadable ones cause warnings. Records that
    /// `take` does not keep use no memory, however many there are.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn collect<T: Send>(
        &self,
        take: impl Fn(RunRecord) -> Option<T> + Sync,
    ) -> Result<Vec<T>, StoreError> {
        let ids = self.ids(false)?;
        let read = |id: &RunId| match self.record(id) {
            Err(error @ StoreError::Version { .. }) => {
                self.warn(error.chain());
                Ok(None)
            }
            other => other.map(|record| record.and_then(&take)),
        };
        let taken: Result<Vec<_>, StoreError> = ids.par_iter().with_min_len(64).map(read).collect();
        Ok(taken?.into_iter().flatten().collect())
    }

    /// Finds the run that `text` names: an id, a unique prefix of one, or `spec/name`.
    ///
    /// # Errors
    /// No such run, or several.
    pub fn resolve(&self, text: &str) -> Result<RunId, StoreError> {
        let lower = text.to_ascii_lowercase();
        let found: Vec<RunId> = if !lower.is_empty() && lower.bytes().all(|b| b.is_ascii_hexdigit())
        {
            let ids = if lower.len() >= 2 {
                self.ids_in(&lower[..2], true)?
            } else {
                self.ids(true)?
            };
            let fits = |id: &RunId| id.to_string().starts_with(&lower);
            ids.into_iter().filter(fits).collect()
        } else if let Some((spec, name)) = text.split_once('/') {
            self.named(spec, name)?
        } else {
            Vec::new()
        };
        match found[..] {
            [id] => Ok(id),
            [] => Err(StoreError::NoSuchRun {
                text: text.to_owned(),
                near: self.names_like(text)?,
            }),
            _ => Err(StoreError::Ambiguous {
                text: text.to_owned(),
                count: found.len(),
                examples: found.iter().take(3).map(|id| id.0.short()).collect(),
            }),
        }
    }

    /// The runs of the setting that `text` (`spec/setting`) names: its seeds and draws, for each spec from the
    /// text that was run last.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn setting(&self, text: &str) -> Result<Vec<RunId>, StoreError> {
        let mut plans = self.latest_plans()?;
        // Under other profiles and overrides, the same names belong to other runs, which are not replicates of
        // these.
        plans.sort_by_key(|plan| {
            (
                !plan.overrides.is_empty(),
                plan.profile != crate::DEFAULT_PROFILE,
            )
        });
        for plan in plans {
            let is_replicate = |run: &ManifestRun| {
                let whole = format!("{}/{}", plan.spec, run.name);
                let rest = whole
                    .strip_prefix(text)
                    .and_then(|rest| rest.strip_prefix(','));
                rest.is_some_and(|rest| {
                    rest.split(',')
                        .all(|part| part.starts_with("seed=") || part.starts_with("draw="))
                })
            };
            let runs = plan.runs.iter().filter(|run| is_replicate(run));
            let found: Vec<RunId> = runs.map(|run| run.id).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Names of runs that were probably meant by `text`, at most three.
    fn names_like(&self, text: &str) -> Result<Vec<String>, StoreError> {
        let plans = self.latest_plans()?.into_iter();
        let names = plans.flat_map(|plan| {
            let spec = plan.spec;
            let name = move |run: ManifestRun| format!("{spec}/{}", run.name);
            plan.runs.into_iter().map(name)
        });
        let mut names: Vec<String> = names.collect();
        names.sort_unstable();
        names.dedup();
        human::likest_first(&mut names, text);
        names.truncate(3);
        Ok(names)
    }

    /// Runs of this name: from the manifests, for each spec from the text that was run last; otherwise from the
    /// records.
    fn named(&self, spec: &str, name: &str) -> Result<Vec<RunId>, StoreError> {
        let mut found = Vec::new();
        for manifest in self.latest_plans()?.iter().filter(|plan| plan.spec == spec) {
            let runs = manifest.runs.iter().filter(|run| run.name == name);
            found.extend(runs.map(|run| run.id));
        }
        if found.is_empty() {
            found = self.collect(|record| {
                (record.spec == spec && record.name == name).then_some(record.id)
            })?;
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }
}
