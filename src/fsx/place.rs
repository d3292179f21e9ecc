//! Resolves a path without following links: to an open folder and a name in it.
//!
//! Below a root, every folder on the way is opened without following links, so a link placed there,
//! even between two calls, has no effect. The root itself and the folders above it may be links,
//! because whoever named them chose them.

#[cfg(not(unix))]
mod other;
#[cfg(unix)]
mod unix;

#[cfg(not(unix))]
pub(super) use other::Place;
#[cfg(unix)]
pub(super) use unix::Place;

use super::Kind;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path};

/// The part of `path` below `root`; `None` if it is not below, an error if it leads up again.
fn below<'p>(root: Option<&Path>, path: &'p Path) -> io::Result<Option<&'p Path>> {
    let Some(rest) = root.and_then(|root| path.strip_prefix(root).ok()) else {
        return Ok(None);
    };
    if rest
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
    {
        return Ok(Some(rest).filter(|rest| !rest.as_os_str().is_empty()));
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        "the path leads outside",
    ))
}

/// The error for a path that holds something other than the expected file or folder.
pub(super) fn wrong_kind(found: Kind, expected: Kind) -> io::Error {
    unexpected("it", found, expected)
}

/// The error for something other than a folder at `name` on the way to a path.
fn on_the_way(name: &OsStr, found: Kind) -> io::Error {
    let name = format!("its folder `{}`", name.to_string_lossy());
    unexpected(&name, found, Kind::Dir)
}

fn unexpected(what: &str, found: Kind, expected: Kind) -> io::Error {
    let word = |kind| match kind {
        Kind::File => "a file",
        Kind::Dir => "a folder",
        Kind::Link => "a link, and links are not followed here",
        Kind::Special => "a device, pipe or socket",
    };
    let text = format!("{what} is {}, not {}", word(found), word(expected));
    io::Error::new(io::ErrorKind::InvalidData, text)
}
