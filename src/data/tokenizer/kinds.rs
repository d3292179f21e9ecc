//! From what a spec names to one `tokenizer.json`, whose digest is the identity.

use super::head::Head;
use super::text::read_bounded;
use super::{TextTokenizer, WordCounts, gpt2, llama2c, sentencepiece, tiktoken};
use crate::data::{DataContext, DataError, Stop};
use crate::spec::{MIN_BPE_VOCAB, Tokenizer};
use std::path::{Path, PathBuf};

/// Files that a tokenizer is made from; none where it is made from documents or from nothing.
pub(crate) fn files(tokenizer: &Tokenizer, context: &DataContext) -> Vec<PathBuf> {
    match tokenizer {
        Tokenizer::TrainBpe(_) | Tokenizer::Bytes => Vec::new(),
        Tokenizer::File(file) => vec![context.resolve(&file.path)],
        Tokenizer::Sentencepiece(path) | Tokenizer::Llama2c(path) => vec![context.resolve(path)],
        Tokenizer::Gpt2(folder) => ["vocab.json", "merges.txt"]
            .map(|name| context.resolve(folder).join(name))
            .into(),
        Tokenizer::Tiktoken(settings) => vec![context.resolve(&settings.path)],
    }
}

/// Opens a tokenizer that needs no documents; `None` for one that learns from them.
///
/// # Errors
/// A missing or oversized file; contents that are not what the kind promises.
pub(crate) fn open(
    tokenizer: &Tokenizer,
    context: &DataContext,
) -> Result<Option<TextTokenizer>, DataError> {
    let files = files(tokenizer, context);
    let first = files.first().map_or(Path::new("bytes"), PathBuf::as_path);
    let refused = |reason| DataError::Tokenizer {
        path: first.to_owned(),
        reason,
    };
    let json = match tokenizer {
        Tokenizer::TrainBpe(_) => return Ok(None),
        Tokenizer::Bytes => {
            TextTokenizer::train_bpe_unless(&Stop::default(), WordCounts::default(), MIN_BPE_VOCAB)?
        }
        Tokenizer::File(file) => Head::of(file).write_into(read_bounded(first)?),
        Tokenizer::Sentencepiece(_) => {
            let (json, data) = sentencepiece::to_json(&read_bounded(first)?).map_err(refused)?;
            with_pieces(json, data)
        }
        Tokenizer::Llama2c(_) => {
            let data = llama2c::parse(&read_bounded(first)?).map_err(refused)?;
            with_pieces(sentencepiece::of_data(&data), data)
        }
        Tokenizer::Gpt2(_) => {
            let [vocabulary, merges] = [&files[0], &files[1]].map(|path| read_bounded(path));
            gpt2::to_json(&vocabulary?, &merges?).map_err(refused)?
        }
        Tokenizer::Tiktoken(settings) => {
            tiktoken::to_json(&read_bounded(first)?, settings.pattern).map_err(refused)?
        }
    };
    TextTokenizer::from_bytes(&json, first).map(Some)
}

/// A `tokenizer.json` that carries the SentencePiece model which runs in its place.
fn with_pieces(json: Vec<u8>, data: sentencepiece::Data) -> Vec<u8> {
    let head = Head {
        sentencepiece: Some(data),
        ..Head::default()
    };
    head.write_into(json)
}

impl TextTokenizer {
    /// Opens a tokenizer file by what it is called: `.json`, SentencePiece's `.model`, llama2.c's `.bin`, or a folder with GPT-2's
    /// `vocab.json` and `merges.txt`.
    ///
    /// # Errors
    /// A missing or oversized file; contents that are not what the name promises.
    pub(crate) fn open_any(path: &Path, ends: &Head) -> Result<Self, DataError> {
        let refused = |reason| DataError::Tokenizer {
            path: path.to_owned(),
            reason,
        };
        let json = if path.is_dir() {
            let [vocabulary, merges] =
                ["vocab.json", "merges.txt"].map(|name| read_bounded(&path.join(name)));
            ends.write_into(gpt2::to_json(&vocabulary?, &merges?).map_err(refused)?)
        } else {
            let bytes = read_bounded(path)?;
            let extension = path.extension().and_then(|extension| extension.to_str());
            let data = match extension {
                Some("model") => Some(sentencepiece::to_json(&bytes).map_err(refused)?.1),
                Some("bin") => Some(llama2c::parse(&bytes).map_err(refused)?),
                _ => None,
            };
            match data {
                Some(data) => {
                    let json = sentencepiece::of_data(&data);
                    let sentencepiece = Some(data);
                    let head = Head {
                        sentencepiece,
                        ..ends.clone()
                    };
                    head.write_into(json)
                }
                // One of our own keeps the names that it has.
                None if bytes.starts_with(super::head::HEAD) => bytes,
                None => ends.write_into(bytes),
            }
        };
        Self::from_bytes(&json, path)
    }
}
