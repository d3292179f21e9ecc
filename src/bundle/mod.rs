//! Bundles: a spec with everything behind its results, in one file for reviewers and archives.
//!
//! A bundle is a ZIP file and an RO-Crate 1.1: `ro-crate-metadata.json` lists every other file with its size and
//! SHA-256, and one action per run. It can be checked without the original store.
//!
//! ```text
//! specs/NAME.yaml (and its .lock, .bib, .ledger.jsonl)   reports/NAME/…   runs/ID/{key,record}.json metrics.jsonl …   evals/ID/…
//! ```

pub mod crate_file;
pub mod zip;

use crate::digest::Sha256Hex;
use crate::plan::RunKey;
use crate::store::unsealed_record;
use std::collections::BTreeMap;

/// The metadata file of a bundle.
pub const METADATA: &str = "ro-crate-metadata.json";

/// Problems found in a bundle, and the number of checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Files whose digests were compared.
    pub files: usize,
    /// Runs whose identities and records were checked.
    pub runs: usize,
    /// Descriptions of problems; empty if there are none.
    pub problems: Vec<String>,
}

/// Checks the files of a bundle against its metadata, and runs against their keys and records.
pub fn check(files: &BTreeMap<String, Vec<u8>>) -> Checked {
    let mut checked = Checked::default();
    let listed = match files.get(METADATA).map(|bytes| crate_file::listed(bytes)) {
        Some(Ok(listed)) => listed,
        Some(Err(reason)) => {
            checked.problems.push(format!("`{METADATA}`: {reason}"));
            return checked;
        }
        None => {
            checked
                .problems
                .push(format!("there is no `{METADATA}`: it is not a bundle"));
            return checked;
        }
    };
    for (path, (bytes, sha256)) in &listed {
        match files.get(path) {
            None => checked.problems.push(format!("`{path}` is missing")),
            Some(found)
                if found.len() as u64 != *bytes || Sha256Hex::of(found).to_string() != *sha256 =>
            {
                checked
                    .problems
                    .push(format!("`{path}` does not have its digest"));
            }
            Some(_) => checked.files += 1,
        }
    }
    let unlisted = files
        .keys()
        .filter(|path| *path != METADATA && !listed.contains_key(*path));
    checked
        .problems
        .extend(unlisted.map(|path| format!("`{path}` is not listed")));
    let records = files
        .iter()
        .filter(|(path, _)| path.starts_with("runs/") && path.ends_with("/record.json"));
    for (path, record) in records {
        checked.runs += 1;
        let folder = path.trim_end_matches("record.json");
        checked.problems.extend(check_run(folder, record, files));
    }
    checked
}

/// Checks a run: its record is sealed, its id is the digest of its key, and its files have the digests of the record.
fn check_run(folder: &str, record: &[u8], files: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let record = match unsealed_record(record) {
        Ok(record) => record,
        Err(reason) => return vec![format!("`{folder}record.json`: {reason}")],
    };
    let mut problems = Vec::new();
    let key: Result<RunKey, _> = serde_json::from_value(record.key.clone());
    let named = folder.trim_start_matches("runs/").trim_end_matches('/');
    match key.map(|key| key.id()) {
        Ok(id) if id == record.id && id.to_string() == named => {}
        Ok(_) => problems.push(format!("`{folder}` does not have the id of its settings")),
        Err(error) => problems.push(format!("`{folder}record.json`: {error}")),
    }
    for (name, entry) in &record.files {
        if let Some(found) = files.get(&format!("{folder}{name}"))
            && Sha256Hex::of(found) != entry.sha256
        {
            problems.push(format!("`{folder}{name}` differs from its record"));
        }
    }
    problems
}

#[cfg(test)]
mod tests;
