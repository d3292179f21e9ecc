//! The identity of a run.
//!
//! RunId = sha256(`specbook.run.v1\n` + compact JSON of [`RunKey`], fields in declared order, defaults written out).
//! A field added after v1 is omitted while its value gives the old behaviour, so that old ids stay valid.
//!
//! | In the key (changes weights or recorded metrics) | Recorded beside it | Neither |
//! |---|---|---|
//! | `recipe`, all of `model` (decided), all of `train`, sequence policy, sequence length, target shift, data identity of the training and validation slices, tokenizer identity | device, engine, instruction set, threads, specbook version, wall time, tokenizer digest | names, titles, prose, `eval`, claims, cells, paths, modification times, test slice, report folder, `multiple_of`, `pad_vocab_to_multiple` and `model.vocab_size` as asked for (their results are in), jobs, terminal logging |

use crate::data::identity::DataKey;
use crate::digest::Sha256Hex;
use crate::record::RunId;
use crate::spec::{ModelConfig, TrainSettings};
use serde::{Deserialize, Serialize};

pub use crate::record::RECIPE;

/// Domain prefix of the digest.
const DOMAIN: &[u8] = b"specbook.run.v1\n";

/// Every setting that can change the trained weights or the recorded training metrics.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunKey {
    /// [`RECIPE`].
    pub recipe: u32,
    /// What is trained on.
    pub data: DataKey,
    /// The resolved model.
    pub model: ModelConfig,
    /// Loss, optimizer, length, validation, seed.
    pub train: TrainSettings,
}

impl RunKey {
    /// The canonical bytes: the domain and the key as compact JSON.
    pub fn canonical(&self) -> Vec<u8> {
        let mut bytes = DOMAIN.to_vec();
        serde_json::to_writer(&mut bytes, self)
            .expect("a key holds only strings and finite numbers, checked by `spec::validate`");
        bytes
    }

    /// The identity.
    pub fn id(&self) -> RunId {
        RunId(Sha256Hex::of(&self.canonical()))
    }
}
