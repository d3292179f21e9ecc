//! Paths in JSON files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::ffi::OsString;
use std::path::{MAIN_SEPARATOR, Path, PathBuf};

/// A path in a JSON file: a string or, if it is not UTF-8, the bytes of the system as serde writes them
/// (`{"Unix": [99, 97, 102, 233]}`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct AnyPath(pub PathBuf);

impl AnyPath {
    /// The path of these bytes; on Windows, which has no such paths, what is not UTF-8 is replaced.
    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        #[cfg(unix)]
        let name: OsString = std::os::unix::ffi::OsStringExt::from_vec(bytes);
        #[cfg(not(unix))]
        let name = String::from_utf8_lossy(&bytes).into_owned();
        Self(name.into())
    }

    /// The same path with forward slashes on every system.
    pub fn with_slashes(self) -> Self {
        match self.0.to_str() {
            Some(text) => Self(text.replace(MAIN_SEPARATOR, "/").into()),
            None => self,
        }
    }
}

impl<P: AsRef<Path> + ?Sized> From<&P> for AnyPath {
    fn from(path: &P) -> Self {
        Self(path.as_ref().to_path_buf())
    }
}

impl Serialize for AnyPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.to_str() {
            Some(text) => serializer.serialize_str(text),
            None => self.0.as_os_str().serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for AnyPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        use serde_json::Value;
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self(text.into())),
            value => serde_json::from_value::<OsString>(value)
                .map(|name| Self(name.into()))
                .map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(path: &AnyPath) -> String {
        let text = serde_json::to_string(path).unwrap();
        assert_eq!(&serde_json::from_str::<AnyPath>(&text).unwrap(), path);
        text
    }

    #[test]
    fn a_path_is_a_string_where_it_can_be() {
        assert_eq!(
            json(&AnyPath("/p/é \"a\".yaml".into())),
            r#""/p/é \"a\".yaml""#
        );
        for text in [
            "null",
            "[99]",
            "{}",
            "7",
            r#"{"Unix": "a"}"#,
            r#"{"Unix": [256]}"#,
        ] {
            assert!(serde_json::from_str::<AnyPath>(text).is_err(), "{text}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn other_paths_keep_every_byte() {
        let path = AnyPath::of_bytes(b"caf\xe9".to_vec());
        assert_eq!(json(&path), r#"{"Unix":[99,97,102,233]}"#);
    }
}
