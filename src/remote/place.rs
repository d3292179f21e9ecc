//! Places for pushing and pulling runs.

use super::file::Folder;
use super::s3;
use super::web::Web;
use crate::fsx::{AnyPath, FsError};
use crate::net::{NetError, Payload, Sink};
use crate::store::StoreError;
use std::path::PathBuf;

/// A remote tree of files.
pub trait Place: Sync {
    /// Length of the file `name`; `None` if it does not exist.
    ///
    /// # Errors
    /// An unreachable place.
    fn length(&self, name: &str) -> Result<Option<u64>, RemoteError>;

    /// Gets the rest of a file, from the current position of `sink`; `false` if it does not exist.
    ///
    /// # Errors
    /// An unreachable place; a sink that fails.
    fn get(&self, name: &str, sink: &mut dyn Sink) -> Result<bool, RemoteError>;

    /// Writes a file atomically.
    ///
    /// # Errors
    /// An unreachable or read-only place, or missing permission to write.
    fn put(&self, name: &str, payload: Payload<'_>) -> Result<(), RemoteError>;

    /// Whether the place is known to be read-only for the caller.
    fn is_read_only(&self) -> bool {
        false
    }
}

/// Errors of pushing and pulling.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// An invalid address.
    #[error("`{url}` is not a place for runs: {reason}")]
    Address {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A server.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A file of the remote place.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// The local store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A damaged remote file.
    #[error("`{name}` of the other store: {reason}")]
    Damaged {
        /// Its remote name.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

impl RemoteError {
    /// Whether only this entry is affected.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } => true,
            Self::Store(error) => error.is_damage(),
            _ => false,
        }
    }

    /// Whether permission was denied.
    pub fn is_refused(&self) -> bool {
        match self {
            Self::Net(error) => error.is_refused(),
            Self::Fs(error) => matches!(
                error.source.kind(),
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem
            ),
            _ => false,
        }
    }
}

/// Opens the place at `url`: `file:///folder`, `https://host/folder`, `s3://bucket/folder`.
/// `variable` reads the environment.
///
/// # Errors
/// Another kind of address; unreadable certificates.
pub fn open(
    url: &str,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Box<dyn Place>, RemoteError> {
    let wrong = |reason: &str| RemoteError::Address {
        url: url.to_owned(),
        reason: reason.to_owned(),
    };
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err(wrong(
            "it begins with `file://`, `https://`, `http://` or `s3://`",
        ));
    };
    let rest = rest.trim_end_matches('/');
    match scheme {
        "file" => match path(rest) {
            folder if folder.has_root() => Ok(Box::new(Folder::new(folder))),
            _ => Err(wrong("a folder is named from the root: `file:///folder`")),
        },
        "http" | "https" if rest.contains('?') || rest.contains('#') => Err(wrong(
            "names are appended to it, so it must not contain `?` or `#`",
        )),
        "http" | "https" => Ok(Box::new(Web::new(&format!("{scheme}://{rest}"))?)),
        "s3" => Ok(Box::new(s3::open(rest, variable).map_err(
            |error| match error {
                s3::Unusable::Address(reason) => wrong(&reason),
                s3::Unusable::Net(error) => error.into(),
            },
        )?)),
        _ => Err(wrong(
            "it begins with `file://`, `https://`, `http://` or `s3://`",
        )),
    }
}

/// The path of a `file://` address: `%FF` is a byte, so that names that are not text can be written.
fn path(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let (mut path, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(&byte) = bytes.get(at) {
        let digits = text.get(at + 1..at + 3).filter(|_| byte == b'%');
        let digits = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        let coded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        path.push(coded.unwrap_or(byte));
        at += if coded.is_some() { 3 } else { 1 };
    }
    // `/C:/folder` is `C:/folder`.
    if cfg!(windows) && path.starts_with(b"/") && path.contains(&b':') {
        path.remove(0);
    }
    AnyPath::of_bytes(path).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(windows)]
    #[test]
    fn a_path_has_a_drive() {
        for text in ["/C:/a%20b", "C:/a b"] {
            assert_eq!(path(text), PathBuf::from("C:/a b"));
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_path_may_hold_any_byte() {
        use std::os::unix::ffi::OsStrExt as _;
        let read = |text: &str| path(text).as_os_str().as_bytes().to_vec();
        assert_eq!(read("/a b/%C3%a9%ff"), b"/a b/\xc3\xa9\xff");
        assert_eq!(read("/50%/%zz/%+1/%"), b"/50%/%zz/%+1/%");
    }
}
