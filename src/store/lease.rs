//! The lease of a run: its holder makes the run, and no other process touches the unfinished run.

use super::error::StoreError;
use super::layout::{Layout, ShardName};
use super::runs::Store;
use crate::fsx::{Fs, FsResult, Judge, Lease};
use crate::record::RunId;

/// A lease on a run; released when dropped.
pub(crate) struct RunLease {
    pub(crate) id: RunId,
    lease: Lease,
}

impl RunLease {
    /// Its number, which is also that of the work folder.
    pub(crate) fn number(&self) -> u64 {
        self.lease.number()
    }

    /// Fails if the run is no longer ours.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        if self.lease.is_mine()? {
            Ok(())
        } else {
            Err(StoreError::LostLease { id: self.id })
        }
    }

    /// Explains an error: if the run is no longer ours, that is the cause, since others then remove and rename
    /// what was ours.
    pub(crate) fn explain(&self, error: StoreError) -> StoreError {
        match self.check() {
            Err(lost @ StoreError::LostLease { .. }) => lost,
            _ => error,
        }
    }
}

/// Numbers in use for a run, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Numbers {
    pub(crate) leases: Vec<u64>,
    /// Work folders.
    pub(crate) works: Vec<u64>,
}

impl Numbers {
    /// Lists the leases and work folders of `id`.
    pub(crate) fn of(fs: &dyn Fs, layout: &Layout, id: &RunId) -> FsResult<Self> {
        let mut numbers = Self::default();
        let shard = layout.shard(id);
        let entries = match fs.list(&shard) {
            // Whoever makes the run moves it aside.
            Err(error) if error.is_damage() && fs.metadata(&shard)?.is_some() => Vec::new(),
            other => other?,
        };
        for entry in entries {
            match ShardName::parse(&entry.name) {
                Some(ShardName::Lease(of, number)) if of == *id => numbers.leases.push(number),
                Some(ShardName::Work(of, number)) if of == *id => numbers.works.push(number),
                _ => {}
            }
        }
        numbers.leases.sort_unstable();
        numbers.works.sort_unstable();
        Ok(numbers)
    }
}

impl Store {
    /// Takes the lease of a run; `None` if another process that may be alive holds it.
    pub(crate) fn lease(&self, id: &RunId) -> Result<Option<RunLease>, StoreError> {
        self.lease_judged(id, Judge::Watching(&self.observed))
    }

    /// The same, with `judge` deciding who may be alive.
    pub(crate) fn lease_judged(
        &self,
        id: &RunId,
        judge: Judge<'_>,
    ) -> Result<Option<RunLease>, StoreError> {
        self.make_shard(&self.layout.shard(id))?;
        let works = Numbers::of(self.fs(), &self.layout, id)?.works;
        let above = works.last().copied().unwrap_or(0);
        let name = self.layout.lease(id);
        let lease = Lease::acquire(&self.fs, &name, self.timing, judge, above)?;
        Ok(lease.map(|lease| RunLease { id: *id, lease }))
    }

    /// Whether the owner of lease `number` of the run may be alive.
    pub(crate) fn may_live(
        &self,
        id: &RunId,
        number: u64,
        judge: Judge<'_>,
    ) -> Result<bool, StoreError> {
        let name = self.layout.lease(id);
        Ok(name.may_live(self.fs(), number, self.timing.stale, judge)?)
    }

    /// Whether the run is being made by a process that may be alive.
    pub(crate) fn is_leased(&self, id: &RunId, judge: Judge<'_>) -> Result<bool, StoreError> {
        let name = self.layout.lease(id);
        Ok(name.is_held(self.fs(), self.timing.stale, judge)?)
    }
}
