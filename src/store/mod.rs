//! The store: finished runs, evaluations and plans as plain files that survive rsync and a shared file system.
//!
//! ```text
//! runs-v1/3f/3fa9…/          key.json record.json metrics.jsonl timing.jsonl model.safetensors log.txt (checkpoint/)
//! runs-v1/3f/3fa9….work-2/   the same, in the making: key.json metrics.jsonl timing.jsonl log.txt checkpoint/
//! runs-v1/3f/3fa9….claim-2   the lease of who makes it: token, process, heartbeat counter
//! evals-v1/8c/8c01…/         key.json result.json samples.json perplexity.jsonl
//! models-v1/5e/5e02…/        record.json model.safetensors tokenizer.json: what somebody else trained
//! tokens-v1/ plans-v1/ calibration.json damaged/
//! ```
//!
//! A run is made in its work folder; `record.json` (sizes and digests of every other file) is written last. It
//! is published by a single rename of the folder, which fails if the target exists: of any number of processes,
//! one publishes. Whoever takes over a run renames the work folder to its own number, so a revived former owner
//! has nothing to write to. A damaged entry counts as missing, with a warning: it is moved to `damaged/` and
//! kept (to `damaged-2/` if something else has that name).
//!
//! Training, plans and the meaning of the numbers do not belong here. Files of a store are untrusted input:
//! sizes are bounded, names checked.

mod begin;
mod cache;
mod carry;
mod checkpoint;
mod du;
mod error;
mod evals;
mod finding;
mod folders;
mod gc;
mod layout;
mod lease;
mod lines;
mod models;
mod plans;
mod reading;
mod receive;
mod runs;
mod seal;
mod verify;
mod weights;
mod work;

pub use crate::fsx::LeaseTiming;
pub use begin::{Begin, BeginOptions};
pub use cache::Calibration;
pub use carry::unsealed_record;
pub use du::du;
pub use error::StoreError;
pub(crate) use error::chain;
pub use gc::{Garbage, GarbageKind, GcOptions, Grace, gc, remove_garbage};
pub use models::ModelRecord;
pub use plans::{Manifest, ManifestRun, manifest_bytes, parse_manifest};
pub use receive::{Listed, Received};
pub use runs::Store;
pub(crate) use seal::{read_sealed, seal};
pub(crate) use verify::digest;
pub use verify::{Problem, Verification, verify};
pub use work::Work;
#[cfg(test)]
pub use {checkpoint::Progress, du::Usage, runs::Entry};

#[cfg(test)]
mod tests;
