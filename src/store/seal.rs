//! Seals: a JSON object whose last field is the sha256 of everything before it, so that a flipped bit is
//! detected.
//!
//! `{"a":1}` becomes `{"a":1,"sha256":"…"}` and a line end: still plain JSON for every other reader.

use super::error::StoreError;
use crate::digest::Sha256Hex;
use crate::fsx::Fs;
use crate::record::format;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::path::Path;

const FIELD: &str = ",\"sha256\":\"";
/// Field, 64 digits, quote, brace, line end.
const TAIL: usize = FIELD.len() + 64 + 3;

/// Serialises `value` (an object with at least one field) with its seal.
pub(crate) fn seal(what: &'static str, value: &impl Serialize) -> Result<Vec<u8>, StoreError> {
    let mut bytes = serde_json::to_vec(value).map_err(|error| StoreError::Unstorable {
        what,
        reason: error.to_string(),
    })?;
    bytes.pop();
    let digest = Sha256Hex::of(&bytes);
    bytes.extend_from_slice(format!("{FIELD}{digest}\"}}\n").as_bytes());
    Ok(bytes)
}

/// Why a file cannot be unsealed.
enum Unsealable {
    /// It has no seal of this form: it is truncated or of another version.
    NoSeal,
    /// Its seal does not match its contents.
    Broken,
}

/// Checks and removes the seal.
fn unseal(mut bytes: Vec<u8>) -> Result<Vec<u8>, Unsealable> {
    let unsealed = || Unsealable::NoSeal;
    let start = bytes.len().checked_sub(TAIL).ok_or_else(unsealed)?;
    let (body, tail) = bytes.split_at(start);
    let digest = tail
        .strip_prefix(FIELD.as_bytes())
        .and_then(|rest| rest.strip_suffix(b"\"}\n"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .and_then(Sha256Hex::parse)
        .ok_or_else(unsealed)?;
    if Sha256Hex::of(body) != digest {
        return Err(Unsealable::Broken);
    }
    bytes.truncate(start);
    bytes.push(b'}');
    Ok(bytes)
}

/// Reads a sealed file of format `known`; `None` if there is none.
pub(crate) fn read_sealed<T: DeserializeOwned>(
    fs: &dyn Fs,
    path: &Path,
    limit: u64,
    what: &'static str,
    known: u32,
) -> Result<Option<T>, StoreError> {
    let bytes = match fs.read(path, limit) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) if error.is_damage() => {
            return Err(StoreError::Damaged {
                path: path.to_path_buf(),
                reason: error.source.to_string(),
            });
        }
        Err(error) => return Err(error.into()),
    };
    parse_sealed(bytes, path, what, known).map(Some)
}

/// Parses the bytes of a sealed file.
pub(crate) fn parse_sealed<T: DeserializeOwned>(
    bytes: Vec<u8>,
    path: &Path,
    what: &'static str,
    known: u32,
) -> Result<T, StoreError> {
    let damaged = |reason: String| StoreError::Damaged {
        path: path.to_path_buf(),
        reason,
    };
    let body = match unseal(bytes.clone()) {
        Ok(body) => body,
        // A version number changed by a flipped bit is damage too.
        Err(Unsealable::Broken) => {
            return Err(damaged(
                "its contents do not have the digest at its end".to_owned(),
            ));
        }
        // Another version may use other seals, so look at its number.
        Err(Unsealable::NoSeal) => {
            return Err(
                match format::parse::<serde_json::Value>(what, known, &bytes) {
                    Err(source) if source.is_version() => StoreError::Version {
                        path: path.to_path_buf(),
                        source,
                    },
                    _ => damaged("it does not end with its digest (cut short?)".to_owned()),
                },
            );
        }
    };
    format::parse(what, known, &body).map_err(|source| {
        if source.is_version() {
            StoreError::Version {
                path: path.to_path_buf(),
                source,
            }
        } else {
            damaged(source.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let sealed = seal("x", &json!({"format": 1, "b": "text"})).unwrap();
        let read = |bytes: Vec<u8>| parse_sealed::<Value>(bytes, Path::new("x"), "x", 1);
        assert_eq!(read(sealed.clone()).unwrap()["b"], "text");
        assert!(serde_json::from_slice::<Value>(&sealed).is_ok());
        for at in 0..sealed.len() {
            assert!(read(sealed[..at].to_vec()).is_err(), "cut at {at}");
            let cut = read(sealed[..at].to_vec()).unwrap_err();
            assert!(cut.is_damage(), "{cut}");
            for bit in 0..8 {
                let mut bytes = sealed.clone();
                bytes[at] ^= 1 << bit;
                // An upper-case digit of the digest has the same meaning.
                let same = bytes[at].is_ascii_uppercase() && at > sealed.len() - 70;
                let is_damage = |error: StoreError| error.is_damage();
                assert!(
                    same || read(bytes).is_err_and(is_damage),
                    "bit {bit} of {at}"
                );
            }
        }
    }
}
