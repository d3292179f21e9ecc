//! Paths in a store, and the meaning of names.

use crate::digest::Sha256Hex;
use crate::fsx::{LEASE_MARK, LeaseName, lease_number};
use crate::record::{EvalId, RunId};
use std::path::{Path, PathBuf};

pub(crate) const RECORD: &str = "record.json";
pub(crate) const KEY: &str = "key.json";
pub(crate) const METRICS: &str = "metrics.jsonl";
pub(crate) const TIMING: &str = "timing.jsonl";
pub(crate) const WEIGHTS: &str = "model.safetensors";
pub(crate) const BEST: &str = "best.safetensors";
pub(crate) const LOG: &str = "log.txt";
pub(crate) const CHECKPOINT: &str = "checkpoint";
pub(crate) const RESULT: &str = "result.json";
pub(crate) const SAMPLES: &str = "samples.json";
pub(crate) const PERPLEXITY: &str = "perplexity.jsonl";
/// The files of an evaluation.
pub(super) const EVAL_FILES: [&str; 4] = [KEY, RESULT, SAMPLES, PERPLEXITY];

/// Suffix of the name of a folder that is being removed.
pub(crate) const GONE: &str = ".work-gone";

/// Maximum length of a JSON file that is read, in bytes.
pub(crate) const JSON_LIMIT: u64 = 64 << 20;
/// Maximum length of a file of lines that is read, in bytes.
pub(crate) const LINES_LIMIT: u64 = 4 << 30;
/// Maximum size of a file of arrays that is read, in bytes.
pub(crate) const ARRAYS_LIMIT: u64 = 256 << 30;

/// The paths of a store.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) root: PathBuf,
}

impl Layout {
    pub(crate) fn runs(&self) -> PathBuf {
        self.root.join("runs-v1")
    }

    pub(crate) fn evals(&self) -> PathBuf {
        self.root.join("evals-v1")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.root.join("tokens-v1")
    }

    pub(crate) fn plans(&self) -> PathBuf {
        self.root.join("plans-v1")
    }

    pub(crate) fn sweeps(&self) -> PathBuf {
        self.root.join("jobs-v1")
    }

    pub(crate) fn models(&self) -> PathBuf {
        self.root.join("models-v1")
    }

    /// The folder for damaged entries; `number` selects further ones, used if something else has the names of
    /// those before.
    pub(crate) fn damaged(&self, number: u64) -> PathBuf {
        match number {
            1 => self.root.join("damaged"),
            _ => self.root.join(format!("damaged-{number}")),
        }
    }

    pub(crate) fn calibration(&self) -> PathBuf {
        self.root.join("calibration.json")
    }

    /// Folder of the runs whose ids begin with the same characters.
    pub(crate) fn shard(&self, id: &RunId) -> PathBuf {
        self.runs().join(&id.to_string()[..2])
    }

    pub(crate) fn run(&self, id: &RunId) -> PathBuf {
        self.shard(id).join(id.to_string())
    }

    pub(crate) fn work(&self, id: &RunId, number: u64) -> PathBuf {
        self.shard(id).join(format!("{id}.work-{number}"))
    }

    /// Where anything that obstructs the publication of a run is moved, to be removed.
    pub(crate) fn gone(&self, id: &RunId, number: u64) -> PathBuf {
        self.shard(id).join(format!("{id}.{number}{GONE}"))
    }

    /// The lease of a run.
    pub(crate) fn lease(&self, id: &RunId) -> LeaseName {
        LeaseName {
            folder: self.shard(id),
            stem: id.to_string(),
        }
    }

    /// The lease held while unreferenced entries are removed.
    pub(crate) fn gc_lease(&self) -> LeaseName {
        LeaseName {
            folder: self.root.clone(),
            stem: "gc".to_owned(),
        }
    }

    pub(crate) fn eval(&self, id: &EvalId) -> PathBuf {
        let text = id.to_string();
        self.evals().join(&text[..2]).join(text)
    }
}

/// The meaning of a name in a shard of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ShardName {
    Run(RunId),
    Work(RunId, u64),
    Lease(RunId, u64),
}

impl ShardName {
    /// Parses a name; `None` if it is not one of ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (id, rest) = name.split_at_checked(64)?;
        // Our own names are in lower case; any other could not be found by its id.
        if id.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return None;
        }
        let id = RunId(Sha256Hex::parse(id)?);
        if rest.is_empty() {
            return Some(Self::Run(id));
        }
        match rest.strip_prefix(".work-") {
            Some(text) => Some(Self::Work(id, lease_number(text)?)),
            None => Some(Self::Lease(
                id,
                lease_number(rest.strip_prefix(LEASE_MARK)?)?,
            )),
        }
    }
}

/// Whether `name` is a relative path of plain components, at most one folder deep: the form that a record may
/// list.
pub(crate) fn is_plain_path(name: &str) -> bool {
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() <= 2
        && parts.iter().all(|part| {
            !part.is_empty()
                && part.len() <= 128
                && !part.starts_with('.')
                && part
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        })
}

/// Joins `root` and `name`, in which `/` separates folders on every system.
pub(crate) fn join(root: &Path, name: &str) -> PathBuf {
    let mut path = root.to_path_buf();
    path.extend(name.split('/'));
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_back() {
        let id = RunId(Sha256Hex::of(b"a"));
        assert_eq!(ShardName::parse(&id.to_string()), Some(ShardName::Run(id)));
        assert_eq!(
            ShardName::parse(&format!("{id}.work-12")),
            Some(ShardName::Work(id, 12))
        );
        assert_eq!(
            ShardName::parse(&format!("{id}.claim-1")),
            Some(ShardName::Lease(id, 1))
        );
        for other in [
            "",
            "x",
            &format!("{id}.work-"),
            &format!("{id}x"),
            &id.to_string().to_uppercase(),
            &format!("{id}.claim-99999999999999999999"),
            &format!("{id}.claim-9999999999999"),
            &format!("{id}.claim-+1"),
        ] {
            assert_eq!(ShardName::parse(other), None, "{other}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for good in ["log.txt", "checkpoint/state-12.safetensors"] {
            assert!(is_plain_path(good), "{good}");
        }
        for bad in [
            "",
            "..",
            "../x",
            "/etc/passwd",
            "a//b",
            "a/b/c",
            ".tmp",
            "a\\b",
            "c:x",
            "a/..",
        ] {
            assert!(!is_plain_path(bad), "{bad}");
        }
    }
}
