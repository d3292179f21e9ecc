//! Format numbers of stored files: what is read, and what is said of files that are too old or too new.

use serde::Deserialize;

/// A file whose format number this version does not read.
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
        /// The newest number that is read.
        known: u32,
    },
    /// Written by a version whose files are no longer read.
    #[error(
        "{what} has format {found}, which is too old (this specbook reads from {oldest}); run again to make it anew"
    )]
    TooOld {
        /// Kind of file.
        what: &'static str,
        /// Its number.
        found: u64,
        /// The oldest number that is read.
        oldest: u32,
    },
    /// No format number, or no JSON object.
    #[error("{what} cannot be read: {reason}")]
    Unreadable {
        /// Kind of file.
        what: &'static str,
        /// The parser's words.
        reason: String,
    },
}

impl FormatError {
    /// Whether the file is sound, only not for this version.
    pub fn is_version(&self) -> bool {
        !matches!(self, Self::Unreadable { .. })
    }
}

#[derive(Deserialize)]
struct Head {
    format: u64,
}

/// Parses a JSON file with a field `format`, whose number must be `known`.
///
/// # Errors
/// Another number (told apart by «too old» and «too new»), or text that does not parse.
pub fn parse<T: serde::de::DeserializeOwned>(
    what: &'static str,
    known: u32,
    bytes: &[u8],
) -> Result<T, FormatError> {
    // The usual case is one parse; the number is looked at alone only where that fails or the number differs.
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

/// The number where the text begins with `{"format":n,`, as our own files do.
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
        assert_snapshot!(read(r#"{"x":1,"format":1}"#).unwrap_err(), @"a record has format 1, which is too old (this specbook reads from 2); run again to make it anew");
        assert_snapshot!(read("{}").unwrap_err(), @"a record cannot be read: missing field `format` at line 1 column 2");
        assert!(!read("\0").unwrap_err().is_version());
        assert!(
            read(r#"{"format":99999999999,"x":1}"#)
                .unwrap_err()
                .is_version()
        );
    }
}
