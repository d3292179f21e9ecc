//! Counts derived from a run's settings and the lengths of its training documents, without training.

use crate::data::sequence::{self, sequence_length};
use crate::spec::{SeqLen, Sequence};
use serde::Deserialize;
use serde_json::Value;

/// The settings of a run's key that determine how its documents are cut.
#[derive(Deserialize)]
struct Key {
    data: Data,
    model: Model,
}

#[derive(Deserialize)]
struct Data {
    sequence: Sequence,
    seq_len: SeqLen,
}

#[derive(Deserialize)]
struct Model {
    max_seq_len: usize,
}

/// `sequence_length` in tokens, and `sequences_by_formula`, the number of training sequences by the policy's closed formula
/// (docs/studies.md#b), for comparison with the number made. `key` is a run's key, `lengths` the ids in each of its documents. Returns
/// nothing for a stream, or if the documents were not counted.
pub fn counts_by_formula(key: &Value, lengths: &[u32]) -> Vec<(&'static str, f64)> {
    let counted = || {
        let Key { data, model } = Key::deserialize(key).ok()?;
        let length = sequence_length(data.seq_len, model.max_seq_len, lengths).ok()?;
        let sequences = sequence::sequences(data.sequence, lengths, length)?;
        Some(vec![
            ("sequence_length", length as f64),
            ("sequences_by_formula", sequences as f64),
        ])
    };
    (!lengths.is_empty())
        .then(counted)
        .flatten()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counts(sequence: Value, seq_len: Value) -> Vec<(&'static str, f64)> {
        let key = json!({"data": {"sequence": sequence, "seq_len": seq_len}, "model": {"max_seq_len": 256}});
        counts_by_formula(&key, &[39, 100, 250])
    }

    #[test]
    fn policies_have_their_formulas() {
        let shortest = |sequence: &str| counts(json!(sequence), json!("shortest"));
        let of = |length, sequences| {
            vec![
                ("sequence_length", length),
                ("sequences_by_formula", sequences),
            ]
        };
        assert_eq!(shortest("discard"), of(39.0, 3.0));
        // 389 ids in pieces of 38.
        assert_eq!(shortest("impute_concat"), of(39.0, 10.0));
        let informed = json!({"informed_as_run": {"tol": 50}});
        // Pieces of 99: none, one with 40 left over, two with 92 (one of them within 50 of the end would need 92 < 50).
        assert_eq!(counts(informed, json!(100)), of(100.0, 1.0));
        assert_eq!(counts(json!("stream"), json!(100)), []);
        assert_eq!(counts(json!("discard"), json!(500)), []);
        assert_eq!(counts_by_formula(&json!({}), &[39]), []);
    }
}
