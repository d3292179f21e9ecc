//! Limits the growth of text in a tokenizer file. Its normalizers and decoders replace strings one after another:
//! replacing `a` by `aa` 34 times exhausts the memory, which catching panics cannot prevent.

use super::tiktoken::base64;
use crate::text::source::MAX_DOCUMENT;
use serde_json::Value;
use tokenizers::{DecoderWrapper, NormalizedString, Normalizer as _, NormalizerWrapper};

/// Maximum bytes of a normalized text and of decoded ids.
pub(super) const LIMIT: usize = 2 * MAX_DOCUMENT;
/// Maximum growth factor of one normalizer, or of all of them at some place in a text. Compatibility forms reach 11.
const FACTOR: usize = 64;
/// Texts are measured in pieces of this many bytes.
const PIECE: usize = 1 << 14;

/// Growth of texts in a tokenizer file.
pub(super) struct Growth {
    /// Maximum growth factor of normalization.
    text: usize,
    /// Bytes of the longest entry, decoded.
    entry: usize,
}

impl Growth {
    /// Computes growth from the normalizers and decoders of a file and its longest entry.
    ///
    /// # Errors
    /// Growth far beyond that of any tokenizer in use.
    pub(super) fn of(
        normalizer: Option<&NormalizerWrapper>,
        decoder: Option<&DecoderWrapper>,
        longest_entry: usize,
    ) -> Result<Self, String> {
        let mut text = 1_usize;
        for one in flat(normalizer) {
            text = text.saturating_mul(small(factor(&value(one)?))?);
        }
        let mut decoded = 1_usize;
        for one in flat_decoders(decoder) {
            decoded = small(decoded.saturating_mul(factor(&value(one)?)))?;
        }
        let entry = longest_entry.saturating_mul(decoded);
        Ok(Self { text, entry })
    }

    /// Refuses a text that the normalizers would make too long.
    pub(super) fn check(
        &self,
        text: &str,
        normalizer: Option<&NormalizerWrapper>,
    ) -> Result<(), String> {
        if text.len().saturating_mul(self.text) <= LIMIT {
            return Ok(());
        }
        let (mut rest, mut all) = (text, 0);
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.ceil_char_boundary(PIECE.min(rest.len())));
            let mut normal = NormalizedString::from(piece);
            for one in flat(normalizer) {
                one.normalize(&mut normal)
                    .map_err(|error| error.to_string())?;
                small(normal.get().len() / piece.len())?;
            }
            all += normal.get().len();
            if all > LIMIT {
                return Err(format!(
                    "its normalizers make more than {} MiB of this text",
                    LIMIT >> 20
                ));
            }
            rest = behind;
        }
        Ok(())
    }

    /// Refuses ids whose decoded text would be too long; `length` gives the length of an entry.
    pub(super) fn check_ids(
        &self,
        ids: &[u32],
        length: impl Fn(u32) -> usize,
    ) -> Result<(), String> {
        if ids.len().saturating_mul(self.entry) <= LIMIT {
            return Ok(());
        }
        let bytes: usize = ids.iter().map(|id| length(*id)).sum();
        match bytes.saturating_mul(FACTOR) <= LIMIT {
            true => Ok(()),
            false => Err(format!(
                "{} ids stand for more than {} MiB of text",
                ids.len(),
                LIMIT >> 20
            )),
        }
    }
}

fn small(factor: usize) -> Result<usize, String> {
    match factor <= FACTOR {
        true => Ok(factor),
        false => Err(format!(
            "its normalizers or decoders make more than {FACTOR} bytes of one byte of a text"
        )),
    }
}

fn value(one: &impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(one).map_err(|error| error.to_string())
}

fn flat(normalizer: Option<&NormalizerWrapper>) -> Vec<&NormalizerWrapper> {
    match normalizer {
        None => Vec::new(),
        Some(NormalizerWrapper::Sequence(all)) => all
            .as_ref()
            .iter()
            .flat_map(|one| flat(Some(one)))
            .collect(),
        Some(one) => vec![one],
    }
}

fn flat_decoders(decoder: Option<&DecoderWrapper>) -> Vec<&DecoderWrapper> {
    match decoder {
        None => Vec::new(),
        Some(DecoderWrapper::Sequence(all)) => {
            let all = all.get_decoders().iter();
            all.flat_map(|one| flat_decoders(Some(one))).collect()
        }
        Some(one) => vec![one],
    }
}

/// Maximum growth factor of a normalizer or decoder.
fn factor(one: &Value) -> usize {
    let length = |field: &Value| field.as_str().map_or(0, str::len);
    match one["type"].as_str().unwrap_or_default() {
        "Replace" => match length(&one["pattern"]["String"]) {
            // An empty pattern may match between any two characters.
            0 => 1 + length(&one["content"]),
            pattern => length(&one["content"]).div_ceil(pattern).max(1),
        },
        // Once, at the start: relative to a text of one byte.
        "Prepend" => 1 + length(&one["prepend"]),
        "Precompiled" => {
            let rules = base64(one["precompiled_charsmap"].as_str().unwrap_or_default());
            longest_rule(&rules.unwrap_or_default()).max(1)
        }
        "NFKC" | "NFKD" => 11,
        "NFC" | "NFD" | "ByteLevel" | "BertNormalizer" | "Metaspace" => 3,
        "Lowercase" => 2,
        _ => 1,
    }
}

/// Length of the longest replacement string of the compiled rules.
fn longest_rule(rules: &[u8]) -> usize {
    let strings = rules
        .split_first_chunk()
        .and_then(|(length, rest)| rest.get(u32::from_le_bytes(*length) as usize..));
    let strings = strings.unwrap_or(rules).split(|byte| *byte == 0);
    strings.map(<[u8]>::len).max().unwrap_or(0)
}
