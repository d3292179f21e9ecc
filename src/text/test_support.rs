//! Shared test helpers of this module.

use crate::spec::DataSettings;
use serde::de::DeserializeOwned;
use std::path::PathBuf;

/// Decodes YAML as in sections of a spec.
pub(crate) fn yaml<T: DeserializeOwned>(text: &str) -> T {
    let value: serde_json::Value = serde_yaml::from_str(text).unwrap();
    serde_json::from_value(value).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A section `data` from its fields on one line.
pub(crate) fn data_settings(fields: &str) -> DataSettings {
    yaml(&format!("{{{fields}}}"))
}

/// The embedded stories as `corpus`.
pub(crate) fn embedded() -> &'static str {
    "corpus: {stories: {version: 1}}"
}

/// A file of the real test data, `None` (with a message) if it is missing.
pub(crate) fn real(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("SPECBOOK_TEST_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    // With its drive, if it has one.
    let file = std::path::absolute(folder.join(path)).ok()?;
    if file.exists() {
        return Some(file);
    }
    eprintln!("skipped: `{path}` is not in the test data folder (SPECBOOK_TEST_DATA)");
    None
}

thread_local! {
    static TRAININGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    static ENCODINGS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// Counts a tokenizer trained by this thread.
pub(crate) fn count_training() {
    TRAININGS.set(TRAININGS.get() + 1);
}

/// Counts slices encoded by this thread.
pub(crate) fn count_encodings(slices: usize) {
    ENCODINGS.set(ENCODINGS.get() + slices);
}

/// Numbers of tokenizers trained and slices encoded by this thread.
pub(crate) fn trained_and_encoded() -> (usize, usize) {
    (TRAININGS.get(), ENCODINGS.get())
}
