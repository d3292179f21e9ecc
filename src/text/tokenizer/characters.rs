//! Every character of the training documents is a token, as in nanoGPT's first example.
//!
//! Entry 0 ends a text, entry 1 stands for unknown characters, and the characters follow in the order of their code
//! points.

use super::train::END_OF_TEXT;
use super::{Learning, Made, OfDocuments, TokenizerKind};
use crate::text::{DataError, Stop};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// For the documentation.
pub const ABOUT: &str = "Every character of the training documents is a token; others are unknown.";
/// Version of the algorithm: part of a run's identity.
const ALGORITHM: u32 = 1;
/// Stands for characters missing in the training documents.
const UNKNOWN: &str = "<unk>";

/// It has no settings.
pub struct Characters;

impl TokenizerKind for Characters {
    fn made(&self) -> Made<'_> {
        Made::OfDocuments(self)
    }
}

impl OfDocuments for Characters {
    fn recipe(&self) -> Map<String, Value> {
        Map::from_iter([("algorithm".to_owned(), ALGORITHM.into())])
    }

    fn learn(&self) -> Box<dyn Learning> {
        Box::new(Seen::default())
    }
}

/// The characters seen so far.
#[derive(Default)]
struct Seen(BTreeSet<char>);

impl Learning for Seen {
    fn add(&mut self, texts: &[String], stop: &Stop) -> Result<(), DataError> {
        for text in texts {
            stop.check()?;
            self.0.extend(text.chars());
        }
        Ok(())
    }

    fn finish(self: Box<Self>, _: &Stop) -> Result<Vec<u8>, DataError> {
        let special = [END_OF_TEXT, UNKNOWN].map(str::to_owned);
        let entries = special
            .into_iter()
            .chain(self.0.into_iter().map(String::from));
        let vocab: Map<String, Value> = (0_u32..)
            .zip(entries)
            .map(|(id, entry)| (entry, id.into()))
            .collect();
        let added = [END_OF_TEXT, UNKNOWN].iter().enumerate().map(|(id, content)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true})
        });
        let json = json!({
            "version": "1.0", "truncation": null, "padding": null, "added_tokens": added.collect::<Vec<_>>(),
            "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"},
            "model": {
                "type": "BPE", "dropout": null, "unk_token": UNKNOWN, "continuing_subword_prefix": null,
                "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                "vocab": vocab, "merges": [],
            },
        });
        Ok(json.to_string().into_bytes())
    }
}
