//! Format numbers of stored files, and the errors for files that are too old or too new.

use serde::Deserialize;

/// A file with an unsupported format number.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Written by a newer version.
    #[error(
        "{what} has format {found}, written by a newer specbook than this one (which reads up to {known}); update specbook"
    )]
    TooNew {
        /// Kind of file.
        what: &'static str,
        /// Its number.
        found: u64,
        /// The newest supported number.
        known: u32,
    },
    /// Written by a version that is no longer supported.
    #[error(
        "{what} has format {found}, which is too old (this specbook reads from {oldest}); run again to recreate it"
    )]
    TooOld {
        /// Kind of file.
        what: &'static str,
        /// Its number.
        found: u64,
        /// The oldest supported number.
        oldest: u32,
    },
    /// No format number, or not a JSON object.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// Kind of file.
        what: &'static str,
        /// The parser's message.
        reason: String,
    },
}

impl FormatError {
    /// Whether the file is valid but of another version.
    pub fn is_version(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }
}

#[derive(Deserialize)]
struct Head {
    format: u64,
}

/// Parses a JSON file whose field `format` must be `known`.
///
/// # Errors
/// Another number (“too old” or “too new”), or text that does not parse.
pub fn parse<T: serde::de::DeserializeOwned>(
    what: &'static str,
    known: u32,
    bytes: &[u8],
) -> Result<T, FormatError> {
    // The usual case is one parse; the number is read alone only if that fails or the number differs.
    let whole = serde_json::from_slice::<T>(bytes);
    let head = match (&whole, format_in(bytes)) {
        (_, Some(found)) => Some(found),
        (Ok(_), None) | (Err(_), None) => serde_json::from_slice::<Head>(bytes)
            .ok()
            .map(|head| head.format),
    };
    match head {
        Some(found) if found > u64::from(known) => Err(FormatError::TooNew { what, found, known }),
        Some(found) if found < u64::from(known) => Err(FormatError::TooOld {
            what,
            found,
            oldest: known,
        }),
        _ => whole.map_err(|error| FormatError::Unreadable {
            what,
            reason: error.to_string(),
        }),
    }
}

/// The number, if the text begins with `{"format":n,` as our files do.
fn format_in(bytes: &[u8]) -> Option<u64> {
    let rest = bytes.strip_prefix(b"{\"format\":")?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Sample {
        #[expect(dead_code)]
        format: u32,
        x: u32,
    }

    fn read(text: &str) -> Result<Sample, FormatError> {
        parse("a record", 2, text.as_bytes())
    }

    #[test]
    fn numbers_are_told_apart_before_the_rest_is_read() {
        assert_eq!(read(r#"{"format":2,"x":1}"#).unwrap().x, 1);
        assert_eq!(read(r#"{ "x":1, "format": 2}"#).unwrap().x, 1);
        assert_snapshot!(read(r#"{"format":3,"y":1}"#).unwrap_err(), @"a record has format 3, written by a newer specbook than this one (which reads up to 2); update specbook");
        assert_snapshot!(read(r#"{"x":1,"format":1}"#).unwrap_err(), @"a record has format 1, which is too old (this specbook reads from 2); run again to recreate it");
        assert_snapshot!(read("{}").unwrap_err(), @"a record cannot be read: missing field `format` at line 1 column 2");
        assert!(!read("\0").unwrap_err().is_version());
        assert!(
            read(r#"{"format":99999999999,"x":1}"#)
                .unwrap_err()
                .is_version()
        );
    }
}
