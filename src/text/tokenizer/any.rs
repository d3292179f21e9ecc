//! Opens a tokenizer file according to its name, for models that come with one.

use super::head::Head;
use super::text::read_bounded;
use super::{TextTokenizer, gpt2, llama2c, sentencepiece};
use crate::text::DataError;
use std::path::Path;

impl TextTokenizer {
    /// Opens a tokenizer file according to its name: `.json`, SentencePiece's `.model`, llama2.c's `.bin`, or a folder
    /// with GPT-2's `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// A missing or oversized file; contents that do not match the name.
    pub(crate) fn open_any(path: &Path, ends: &Head) -> Result<Self, DataError> {
        let refused = |reason| super::refused(path, reason);
        let json = if path.is_dir() {
            let [vocabulary, merges] = gpt2::FILES.map(|name| read_bounded(&path.join(name)));
            ends.write_into(gpt2::to_json(&vocabulary?, &merges?).map_err(refused)?)
        } else {
            let bytes = read_bounded(path)?;
            let extension = path.extension().and_then(|extension| extension.to_str());
            let pieces = match extension {
                Some("model") => Some(sentencepiece::parse(&bytes)),
                Some("bin") => Some(llama2c::parse(&bytes)),
                _ => None,
            };
            match pieces {
                Some(data) => data.map_err(refused)?.into_json(ends.clone()),
                // Our own files keep their names of tokens.
                None if bytes.starts_with(super::head::HEAD) => bytes,
                None => ends.write_into(bytes),
            }
        };
        Self::from_bytes(&json, path)
    }
}
