//! The Hugging Face hub: the files of an address, and the hub's cache.

use super::{FetchError, Fetcher, put, wrong};
use crate::digest::Sha256Hex;
use crate::net::{Method, Payload, Request};
use crate::text::remote::{HubPlace, Pin, digest_of_file};
use glob::{MatchOptions, Pattern};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// Maximum size of a file list, in bytes.
const LIST: u64 = 64 << 20;

/// The hub's description of a repository.
#[derive(Deserialize)]
struct Repository {
    sha: String,
    siblings: Vec<Sibling>,
}

/// A file of a repository.
#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    #[serde(default)]
    size: u64,
    #[serde(default, rename = "blobId")]
    blob: Option<String>,
    #[serde(default)]
    lfs: Option<Lfs>,
}

/// A large file, whose digest the hub knows.
#[derive(Deserialize)]
struct Lfs {
    sha256: Sha256Hex,
    size: u64,
}

impl Fetcher<'_> {
    fn hub(&self) -> Result<PathBuf, FetchError> {
        let hub = self.fetched.hub.clone();
        hub.ok_or(FetchError::NoFolder {
            variable: "HF_HOME",
        })
    }

    /// The files of an address on the hub.
    pub(super) fn of_hub(
        &mut self,
        place: &HubPlace<'_>,
        address: &str,
    ) -> Result<Vec<Pin>, FetchError> {
        let fits = pattern(place, address)?;
        if self.surroundings.is_offline {
            return self.in_cache(place, address, fits);
        }
        let (sha, files) = self.list(place, address, fits)?;
        let mut pins = Vec::new();
        for file in &files {
            let own = HubPlace {
                revision: &sha,
                path: &file.rfilename,
                ..*place
            };
            let (size, sha256) = match &file.lfs {
                Some(lfs) => (lfs.size, Some(lfs.sha256)),
                None => (file.size, None),
            };
            pins.push(self.hub_file(&own, size, sha256, file.blob.as_deref())?);
        }
        let refs = self
            .hub()?
            .join(place.folder())
            .join("refs")
            .join(place.revision);
        // Written only for other programs, which look up branches there.
        if place.revision != sha
            && let Some(folder) = refs.parent()
        {
            let _ = std::fs::create_dir_all(folder);
            let _ = std::fs::write(&refs, &sha);
        }
        Ok(pins)
    }

    /// The requests for the files of an address, in order, and the files' own addresses.
    pub(super) fn listed(
        &mut self,
        place: &HubPlace<'_>,
        address: &str,
    ) -> Result<Vec<(Request, String)>, FetchError> {
        let (sha, files) = self.list(place, address, pattern(place, address)?)?;
        let asked = files.iter().map(|file| {
            let own = HubPlace {
                revision: &sha,
                path: &file.rfilename,
                ..*place
            };
            let url = self.source(&own);
            (self.signed(Method::Get, &url), own.address(&sha, own.path))
        });
        Ok(asked.collect())
    }

    /// The commit of an address, and its matching files.
    fn list(
        &self,
        place: &HubPlace<'_>,
        address: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<(String, Vec<Sibling>), FetchError> {
        let kind = if place.is_dataset {
            "datasets"
        } else {
            "models"
        };
        let (endpoint, repository) = (&self.surroundings.endpoint, place.repository);
        let revision = encoded(place.revision).replace('/', "%2F");
        let url = format!("{endpoint}/api/{kind}/{repository}/revision/{revision}?blobs=true");
        let mut answer = self
            .client
            .send(&self.signed(Method::Get, &url), Payload::None)?;
        let bytes = answer.bytes(LIST);
        let bytes = bytes.map_err(|error| wrong(address, format!("the hub's list: {error}")))?;
        let found: Repository = serde_json::from_slice(&bytes)
            .map_err(|error| wrong(address, format!("the hub's list: {error}")))?;
        let is_plain = |name: &str| name.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_plain(&found.sha) || found.sha.contains('/') {
            return Err(wrong(address, "the hub names no commit"));
        }
        let mut files: Vec<Sibling> = found
            .siblings
            .into_iter()
            .filter(|file| is_plain(&file.rfilename) && fits(&file.rfilename))
            .collect();
        files.sort_by(|a, b| a.rfilename.cmp(&b.rfilename));
        if files.is_empty() {
            return Err(wrong(address, "no file of the repository matches"));
        }
        Ok((found.sha, files))
    }

    /// Download URL of a file on the hub.
    fn source(&self, place: &HubPlace<'_>) -> String {
        let kind = if place.is_dataset { "datasets/" } else { "" };
        let (endpoint, repository) = (&self.surroundings.endpoint, place.repository);
        let (revision, path) = (place.revision, encoded(place.path));
        format!("{endpoint}/{kind}{repository}/resolve/{revision}/{path}")
    }

    /// The files of an address that are in the hub's cache.
    fn in_cache(
        &self,
        place: &HubPlace<'_>,
        address: &str,
        fits: impl Fn(&str) -> bool,
    ) -> Result<Vec<Pin>, FetchError> {
        let folder = self.hub()?.join(place.folder());
        let revision = std::fs::read_to_string(folder.join("refs").join(place.revision));
        let revision = revision.map_or_else(|_| place.revision.to_owned(), |r| r.trim().to_owned());
        let snapshot = folder.join("snapshots").join(&revision);
        let mut names = Vec::new();
        below(&snapshot, "", &mut names);
        names.retain(|name| fits(name));
        names.sort();
        if names.is_empty() {
            let reason = "HF_HUB_OFFLINE is set, and the hub's cache has no such file";
            return Err(wrong(address, reason));
        }
        let pin = |name: &String| {
            let path = snapshot.join(name);
            let failed = |source| FetchError::Io {
                path: path.clone(),
                source,
            };
            Ok(Pin {
                url: place.address(&revision, name),
                size: std::fs::metadata(&path).map_err(failed)?.len(),
                sha256: digest_of_file(&path).map_err(failed)?,
            })
        };
        names.iter().map(pin).collect()
    }

    /// One file at one commit, from the cache or the hub.
    pub(super) fn hub_file(
        &mut self,
        place: &HubPlace<'_>,
        size: u64,
        sha256: Option<Sha256Hex>,
        blob: Option<&str>,
    ) -> Result<Pin, FetchError> {
        let folder = self.hub()?.join(place.folder());
        let link = folder
            .join("snapshots")
            .join(place.revision)
            .join(place.path);
        let url = place.address(place.revision, place.path);
        let failed = |source| FetchError::Io {
            path: link.clone(),
            source,
        };
        if std::fs::metadata(&link).is_ok_and(|metadata| metadata.len() == size) {
            let found = digest_of_file(&link).map_err(failed)?;
            if sha256.is_none_or(|sha256| sha256 == found) {
                let sha256 = found;
                return Ok(Pin { url, size, sha256 });
            }
        }
        if self.surroundings.is_offline {
            let reason = "HF_HUB_OFFLINE is set, and the hub's cache has no such file";
            return Err(wrong(&url, reason));
        }
        let source = self.source(place);
        let name = sha256.map(|sha256| sha256.to_string());
        let name = name.or_else(|| blob.map(str::to_owned));
        let name = name.unwrap_or_else(|| Sha256Hex::of(url.as_bytes()).to_string());
        let blobs = folder.join("blobs");
        let part = blobs.join(format!("{name}.incomplete"));
        let request = self.signed(Method::Get, &source);
        let (came, digest) = self.download(&request, &url, &part, Some(size))?;
        let found = Pin {
            url,
            size: came,
            sha256: digest,
        };
        let pin = sha256.map(|sha256| Pin {
            size,
            sha256,
            ..found.clone()
        });
        self.accept(&part, &found, pin.as_ref())?;
        put(&part, &blobs.join(&name))?;
        link_to(&link, &blobs.join(&name), place.path, &name).map_err(failed)?;
        Ok(found)
    }

    /// A request to the hub, with the token if there is one.
    fn signed(&self, method: Method, url: &str) -> Request {
        let request = Request::new(method, url);
        match &self.surroundings.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        }
    }
}

/// Returns a test for file names that match an address.
fn pattern(place: &HubPlace<'_>, address: &str) -> Result<impl Fn(&str) -> bool, FetchError> {
    let pattern = Pattern::new(place.path)
        .map_err(|error| wrong(address, format!("not a pattern: {error}")))?;
    let options = MatchOptions {
        case_sensitive: true,
        require_literal_separator: true,
        require_literal_leading_dot: true,
    };
    Ok(move |name: &str| pattern.matches_with(name, options))
}

/// Links a snapshot's file to its blob, as the hub's own library does; if links are not possible, copies it.
fn link_to(link: &Path, blob: &Path, path: &str, name: &str) -> std::io::Result<()> {
    if let Some(folder) = link.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _ = std::fs::remove_file(link);
    let up = "../".repeat(path.split('/').count() + 1);
    #[cfg(unix)]
    let linked = std::os::unix::fs::symlink(format!("{up}blobs/{name}"), link);
    #[cfg(not(unix))]
    let linked: std::io::Result<()> = Err(std::io::Error::other(format!("{up}{name}")));
    linked.or_else(|_| std::fs::copy(blob, link).map(drop))
}

/// Names of the files below a folder, with `/` between parts.
fn below(folder: &Path, prefix: &str, names: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        match entry.path().is_dir() {
            true => below(&entry.path(), &format!("{name}/"), names),
            false => names.push(name),
        }
    }
}

/// A percent-encoded path.
fn encoded(path: &str) -> String {
    let one = |byte| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    path.bytes().map(one).collect()
}
