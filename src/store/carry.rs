//! The parts of a store that a bundle contains, and how they are checked without a store.

use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, EVAL_FILES, RECORD};
use super::runs::Store;
use super::seal::parse_sealed;
use crate::record::{EvalId, RECORD_FORMAT, RunId, RunRecord};
use std::path::Path;

impl Store {
    /// The files of a finished run, by name; its arrays only with `weights`.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn run_files(
        &self,
        id: &RunId,
        record: &RunRecord,
        weights: bool,
    ) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        let path = self.run_dir(id).join(RECORD);
        let mut files = vec![(RECORD.to_owned(), self.fs().read(&path, ARRAYS_LIMIT)?)];
        for name in record.files.keys() {
            let is_array = name.ends_with(".safetensors") || name.contains('/');
            if weights && !name.contains('/') || !is_array {
                files.push((name.clone(), self.file(id, name)?));
            }
        }
        Ok(files)
    }

    /// The files of an evaluation, by name; empty if there is none.
    ///
    /// # Errors
    /// Files that cannot be read.
    pub fn eval_files(&self, id: &EvalId) -> Result<Vec<(String, Vec<u8>)>, StoreError> {
        if self.eval(id)?.is_none() {
            return Ok(Vec::new());
        }
        let dir = self.layout.eval(id);
        let read = |name: &str| {
            let bytes = self.fs().read(&dir.join(name), ARRAYS_LIMIT)?;
            Ok((name.to_owned(), bytes))
        };
        EVAL_FILES.into_iter().map(read).collect()
    }
}

/// Parses the bytes of a `record.json` after checking its seal.
///
/// # Errors
/// A message that describes what is wrong with it.
pub fn unsealed_record(bytes: &[u8]) -> Result<RunRecord, String> {
    let read = parse_sealed(
        bytes.to_vec(),
        Path::new(RECORD),
        "a run's record",
        RECORD_FORMAT,
    );
    read.map_err(|error| error.chain())
}
