//! Downloads of what specs name as addresses: the only way by which text comes over the net, and only where a command asks for it.
//!
//! A file of the Hugging Face hub goes into the hub's own cache, in its layout (`blobs`, `snapshots`, `refs`), so that other programs find
//! it; one of any other address into our downloads, below its SHA-256. A file is put in its place by one rename, after its length and digest
//! were compared with what the server, the hub or the lock says. What came before a cut stays and is gone on with.

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

/// Where downloads come from and go to; from the environment.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// `HF_ENDPOINT`, without a slash at its end.
    pub endpoint: String,
    /// `HF_TOKEN`.
    pub token: Option<String>,
    /// `HF_HUB_OFFLINE`: the hub is not asked, only its cache.
    pub is_offline: bool,
}

/// What goes wrong with a download.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server, or the way to it.
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
    /// Another file than the pinned one.
    #[error(
        "`{url}` is not the file that is pinned: it has {size} bytes and SHA-256 {sha256}, and {} bytes and SHA-256 {} were expected", pin.size, pin.sha256
    )]
    Other {
        /// Its address.
        url: String,
        /// Bytes that came.
        size: u64,
        /// Their digest.
        sha256: Sha256Hex,
        /// What was expected.
        pin: Box<Pin>,
    },
    /// A server that told another length than it gave.
    #[error("`{url}`: the server told of {told} bytes and gave {came}")]
    Length {
        /// Its address.
        url: String,
        /// As told.
        told: u64,
        /// Bytes that came.
        came: u64,
    },
    /// An address that means nothing, or matches no file.
    #[error("`{address}`: {reason}")]
    Address {
        /// The address.
        address: String,
        /// Why not.
        reason: String,
    },
    /// A folder for downloads is not known.
    #[error("there is no folder for downloads: neither HOME nor {variable} is set")]
    NoFolder {
        /// The variable that would name it.
        variable: &'static str,
    },
    /// What came cannot be read as documents.
    #[error(transparent)]
    Data(#[from] crate::text::DataError),
}

/// Told while a file comes.
pub type Told<'a> = dyn FnMut(&str, u64, Option<u64>) + 'a;

/// Downloads files.
pub struct Fetcher<'a> {
    client: Client,
    surroundings: &'a Surroundings,
    fetched: &'a Fetched,
    /// Called with the address, the bytes that are here, and the length where it is known.
    told: &'a mut Told<'a>,
}

impl<'a> Fetcher<'a> {
    /// One that asks with `client` and tells `told`.
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

    /// The files of an address, downloaded where they are not here. Those in `known`, if any, are the files, whatever the server has now.
    ///
    /// # Errors
    /// The server, the disk, another file than the pinned one.
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

    /// A file of any address but the hub's.
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
            // There are servers that know no HEAD.
            Err(error) if error.is_refused() || error.status == Some(501) => None,
            Err(error) => return Err(error.into()),
        };
        let told = head.as_ref().and_then(Answer::length);
        let version = head
            .as_ref()
            .and_then(|answer| answer.header("etag"))
            .unwrap_or_default();
        // What is here of another version is no beginning of this one.
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

    /// Brings a file to `part`; gives its size and digest.
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

    /// Refuses what is not the pinned file; it is removed.
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

/// Puts a finished file in its place.
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
