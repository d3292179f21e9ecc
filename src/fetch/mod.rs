//! Downloads the addresses in specs. Text comes over the network only through here, and only when a command asks for
//! it.
//!
//! A file from the Hugging Face hub goes into the hub's cache, in its layout (`blobs`, `snapshots`, `refs`), so that
//! other programs find it; a file from any other address goes into our downloads, under its SHA-256. A file is moved
//! into place by one rename, after its length and digest are checked against the server, the hub or the lock. An
//! interrupted download is resumed.

mod hub;
mod part;
mod stream;

use crate::digest::Sha256Hex;
use crate::net::{Answer, Client, Method, NetError, Payload, Request};
use crate::text::remote::{Fetched, HubPlace, Pin, digest_of_file};
use part::Part;
use std::io;
use std::path::{Path, PathBuf};

pub use stream::Wanted;

/// Source and destination of downloads, from the environment.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// `HF_ENDPOINT`, without a trailing slash.
    pub endpoint: String,
    /// `HF_TOKEN`.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: use only the hub's cache.
    pub is_offline: bool,
}

/// A failed download.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server or the connection.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The disk.
    #[error("cannot write `{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Reason given by the system.
        #[source]
        source: io::Error,
    },
    /// The file differs from the pinned one.
    #[error(
        "`{url}` is not the pinned file: it has {size} bytes and SHA-256 {sha256}, and {} bytes and SHA-256 {} were expected", pin.size, pin.sha256
    )]
    Other {
        /// Its address.
        url: String,
        /// Received bytes.
        size: u64,
        /// Their digest.
        sha256: Sha256Hex,
        /// The expected file.
        pin: Box<Pin>,
    },
    /// The server announced another length than it sent.
    #[error("`{url}`: the server told of {told} bytes and gave {came}")]
    Length {
        /// Its address.
        url: String,
        /// As announced.
        told: u64,
        /// Received bytes.
        came: u64,
    },
    /// An invalid address, or one that matches no file.
    #[error("`{address}`: {reason}")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// No folder for downloads is known.
    #[error("there is no folder for downloads: neither HOME nor {variable} is set")]
    NoFolder {
        /// The variable that would name it.
        variable: &'static str,
    },
    /// The file cannot be read as documents.
    #[error(transparent)]
    Data(#[from] crate::text::DataError),
}

/// Progress callback of a download.
pub type Told<'a> = dyn FnMut(&str, u64, Option<u64>) + 'a;

/// Downloads files.
pub struct Fetcher<'a> {
    client: Client,
    surroundings: &'a Surroundings,
    fetched: &'a Fetched,
    /// Called with the address, the bytes received, and the length if known.
    told: &'a mut Told<'a>,
}

impl<'a> Fetcher<'a> {
    /// A fetcher that uses `client` and reports progress to `told`.
    pub fn new(
        client: Client,
        surroundings: &'a Surroundings,
        fetched: &'a Fetched,
        told: &'a mut Told<'a>,
    ) -> Self {
        Self {
            client,
            surroundings,
            fetched,
            told,
        }
    }

    /// The files of an address, downloaded if missing. Pins in `known`, if any, take precedence over the server's
    /// current files.
    ///
    /// # Errors
    /// The server, the disk, or a file that differs from the pinned one.
    pub fn address(
        &mut self,
        address: &str,
        known: Option<&[Pin]>,
    ) -> Result<Vec<Pin>, FetchError> {
        if let Some(pins) = known {
            for pin in pins {
                self.pinned(pin)?;
            }
            return Ok(pins.to_vec());
        }
        match HubPlace::of(address) {
            Some(place) => self.of_hub(&place, address),
            None if address.starts_with("hf://") => Err(wrong(
                address,
                "an address on the hub is `hf://datasets/ORG/NAME@REVISION/FILES` or `hf://ORG/NAME@REVISION/FILES`",
            )),
            None => Ok(vec![self.plain(address, None)?]),
        }
    }

    /// A pinned file.
    fn pinned(&mut self, pin: &Pin) -> Result<(), FetchError> {
        if self.fetched.find(pin).is_some() {
            return Ok(());
        }
        match HubPlace::of(&pin.url) {
            Some(place) => self
                .hub_file(&place, pin.size, Some(pin.sha256), None)
                .map(drop),
            None => self.plain(&pin.url, Some(pin)).map(drop),
        }
    }

    /// A file of any address except the hub's.
    fn plain(&mut self, url: &str, pin: Option<&Pin>) -> Result<Pin, FetchError> {
        let folder = self.fetched.downloads.clone();
        let folder = folder.ok_or(FetchError::NoFolder {
            variable: "XDG_CACHE_HOME",
        })?;
        let head = self
            .client
            .send(&Request::new(Method::Head, url), Payload::None);
        let head = match head {
            Ok(answer) => Some(answer),
            // Some servers do not support HEAD.
            Err(error) if error.is_refused() || error.status == Some(501) => None,
            Err(error) => return Err(error.into()),
        };
        let told = head.as_ref().and_then(Answer::length);
        let version = head
            .as_ref()
            .and_then(|answer| answer.header("etag"))
            .unwrap_or_default();
        // Bytes of another version are not the beginning of this one.
        let name = Sha256Hex::of(format!("{url}\n{version}\n{told:?}").as_bytes());
        let part = folder.join("parts").join(name.to_string());
        let request = Request::new(Method::Get, url);
        let (size, sha256) = self.download(&request, url, &part, told)?;
        let found = Pin {
            url: url.to_owned(),
            size,
            sha256,
        };
        self.accept(&part, &found, pin)?;
        let place = self
            .fetched
            .in_downloads(&found)
            .expect("a folder, as above");
        put(&part, &place)?;
        Ok(found)
    }

    /// Downloads a file to `part`; returns its size and digest.
    fn download(
        &mut self,
        request: &Request,
        shown: &str,
        part: &Path,
        told: Option<u64>,
    ) -> Result<(u64, Sha256Hex), FetchError> {
        let failed = |source| FetchError::Io {
            path: part.to_owned(),
            source,
        };
        let mut tell = |bytes| (self.told)(shown, bytes, told);
        let mut sink = Part::open(part, None, &mut tell).map_err(failed)?;
        let is_whole = told.is_some_and(|told| told == sink.bytes() && told > 0);
        if !is_whole {
            self.client.download(request, &mut sink)?;
        }
        let came = sink.bytes();
        drop(sink);
        match told {
            Some(told) if told != came => {
                let _ = std::fs::remove_file(part);
                let url = shown.to_owned();
                Err(FetchError::Length { url, told, came })
            }
            _ => Ok((came, digest_of_file(part).map_err(failed)?)),
        }
    }

    /// Refuses and removes a file that is not the pinned one.
    fn accept(&self, part: &Path, found: &Pin, pin: Option<&Pin>) -> Result<(), FetchError> {
        match pin.filter(|pin| (pin.size, pin.sha256) != (found.size, found.sha256)) {
            None => Ok(()),
            Some(pin) => {
                let _ = std::fs::remove_file(part);
                Err(FetchError::Other {
                    url: found.url.clone(),
                    size: found.size,
                    sha256: found.sha256,
                    pin: Box::new(pin.clone()),
                })
            }
        }
    }
}

fn wrong(address: &str, reason: impl Into<String>) -> FetchError {
    FetchError::Address {
        address: address.to_owned(),
        reason: reason.into(),
    }
}

/// Moves a finished file into place.
fn put(part: &Path, place: &Path) -> Result<(), FetchError> {
    let failed = |source| FetchError::Io {
        path: place.to_owned(),
        source,
    };
    if let Some(folder) = place.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    std::fs::rename(part, place).map_err(failed)
}

#[cfg(test)]
mod tests;
