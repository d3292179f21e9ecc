//! The identity of an imported model.

use crate::digest::Sha256Hex;
use crate::spec::ModelConfig;
use serde::{Deserialize, Serialize};

const DOMAIN: &[u8] = b"specbook.model.v1\n";

/// An imported model: its configuration, weights and tokenizer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelKey {
    /// The resolved model.
    pub model: ModelConfig,
    /// Digest of its weights (names, shapes and values, in the model's order).
    pub weights: Sha256Hex,
    /// Digest of its `tokenizer.json`.
    pub tokenizer: Sha256Hex,
}

impl ModelKey {
    /// The identity.
    pub fn id(&self) -> Sha256Hex {
        let mut bytes = DOMAIN.to_vec();
        serde_json::to_writer(&mut bytes, self)
            .expect("a key holds only strings and finite numbers, as `interop::read` gives them");
        Sha256Hex::of(&bytes)
    }
}
