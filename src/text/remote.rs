//! Remote files: the addresses in a spec, and the local paths of their downloaded files. Nothing here uses the network.
//!
//! | address | meaning |
//! |---|---|
//! | `https://HOST/PATH` | one file |
//! | `hf://datasets/ORG/NAME@REVISION/PATTERN` | the files of a data set on the Hugging Face hub that match the pattern
//! |
//! | `hf://ORG/NAME@REVISION/PATTERN` | the same for a model |
//!
//! The lock beside a spec (`NAME.lock`) pins each file of an address by its size and SHA-256. A pinned file is searched
//! for in the folders given by the user, in the Hugging Face cache, and among our own downloads.

use super::DataError;
use crate::digest::{Hasher, Sha256Hex};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// Search depth in a folder given by the user.
const DEPTH: usize = 3;

/// One remote file, as it was when downloaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// Its address; for a hub, with the commit that a branch pointed to.
    pub url: String,
    /// Bytes.
    pub size: u64,
    /// Digest of the file as it is stored, compressed or not.
    pub sha256: Sha256Hex,
}

/// The files that the addresses of a spec resolved to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lock {
    /// Version of this format.
    pub format: u32,
    /// The files of each address, in order.
    #[serde(default)]
    pub sources: BTreeMap<String, Vec<Pin>>,
    /// The first documents of addresses of which no more was downloaded.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub beginnings: BTreeMap<String, Beginning>,
}

/// The first documents of an address, kept as JSON lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Beginning {
    /// Number of documents.
    pub documents: usize,
    /// Digest of the JSON lines.
    pub sha256: Sha256Hex,
}

/// Pins, and the places to search for pinned files.
#[derive(Clone, Debug, Default)]
pub struct Fetched {
    /// The pins.
    pub lock: Lock,
    /// Folders given by the user, searched for files with the pinned digest.
    pub folders: Vec<PathBuf>,
    /// The cache of the Hugging Face hub.
    pub hub: Option<PathBuf>,
    /// Our own downloads.
    pub downloads: Option<PathBuf>,
}

/// Whether a path is an address.
pub fn is_address(path: &Path) -> bool {
    let schemes = ["https://", "http://", "hf://"];
    let path = path.as_os_str().as_encoded_bytes();
    schemes
        .iter()
        .any(|scheme| path.starts_with(scheme.as_bytes()))
}

impl Fetched {
    /// The files of an address, in order.
    ///
    /// # Errors
    /// [`DataError::NotFetched`] if one is not on this machine.
    pub fn files(&self, address: &Path) -> Result<Vec<PathBuf>, DataError> {
        let text = address.to_string_lossy();
        let pins = self.lock.sources.get(text.as_ref());
        if let Some(Ok(files)) = pins.map(|pins| self.pinned(&text, pins)) {
            return Ok(files);
        }
        let kept = self.lock.beginnings.get(text.as_ref());
        let kept = kept.and_then(|beginning| self.of_beginning(beginning));
        let kept = kept.filter(|path| path.is_file());
        kept.map(|path| vec![path])
            .ok_or_else(|| not_fetched(&text))
    }

    /// Path of the stored first documents of an address.
    pub fn of_beginning(&self, beginning: &Beginning) -> Option<PathBuf> {
        let name = format!("{}.jsonl", beginning.sha256);
        Some(self.documents()?.join(name))
    }

    /// Whether a file holds stored first documents, which are JSON lines whatever their source.
    pub fn holds_documents(&self, path: &Path) -> bool {
        self.documents()
            .is_some_and(|folder| path.starts_with(folder))
    }

    fn documents(&self) -> Option<PathBuf> {
        Some(self.downloads.as_ref()?.join("documents"))
    }

    /// The files of `pins`, in order.
    ///
    /// # Errors
    /// As [`Self::files`]; the message names `name`.
    pub fn pinned(&self, name: &str, pins: &[Pin]) -> Result<Vec<PathBuf>, DataError> {
        let files = pins
            .iter()
            .map(|pin| self.find(pin).ok_or_else(|| not_fetched(name)));
        files.collect()
    }

    /// Path of a pinned file, if present.
    pub fn find(&self, pin: &Pin) -> Option<PathBuf> {
        let own = [self.in_hub(pin), self.in_downloads(pin)];
        let has_size = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| m.len() == pin.size);
        own.into_iter().flatten().find(has_size).or_else(|| {
            self.folders
                .iter()
                .find_map(|folder| search(folder, pin, DEPTH))
        })
    }

    /// Path of a hub file in the cache, in the hub's layout.
    pub fn in_hub(&self, pin: &Pin) -> Option<PathBuf> {
        let place = HubPlace::of(&pin.url)?;
        let snapshots = self.hub.as_ref()?.join(place.folder()).join("snapshots");
        Some(snapshots.join(place.revision).join(place.path))
    }

    /// Path of a file from any other address.
    pub fn in_downloads(&self, pin: &Pin) -> Option<PathBuf> {
        if HubPlace::of(&pin.url).is_some() {
            return None;
        }
        let name = pin.url.split(['?', '#']).next()?.rsplit('/').next()?;
        let name = if matches!(name, "" | "." | "..") {
            "file"
        } else {
            name
        };
        Some(
            self.downloads
                .as_ref()?
                .join(pin.sha256.to_string())
                .join(name),
        )
    }
}

fn not_fetched(address: &str) -> DataError {
    DataError::NotFetched {
        address: address.to_owned(),
    }
}

/// An address on the Hugging Face hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HubPlace<'a> {
    /// Whether it is a data set; otherwise it is a model.
    pub is_dataset: bool,
    /// `ORG/NAME`.
    pub repository: &'a str,
    /// Branch, tag or commit.
    pub revision: &'a str,
    /// File or pattern.
    pub path: &'a str,
}

impl<'a> HubPlace<'a> {
    /// Parses `hf://…`; `None` for any other address.
    pub fn of(address: &'a str) -> Option<Self> {
        let rest = address.strip_prefix("hf://")?;
        let dataset = rest.strip_prefix("datasets/");
        let rest = dataset.unwrap_or(rest);
        let (organisation, tail) = rest.split_once('/')?;
        let (name, path) = tail.split_once('/')?;
        let (name, revision) = name.split_once('@').unwrap_or((name, "main"));
        let is_whole = [organisation, name, revision, path].iter().all(|part| {
            !part.is_empty() && !part.split('/').any(|part| matches!(part, "" | "." | ".."))
        });
        is_whole.then_some(Self {
            is_dataset: dataset.is_some(),
            repository: &rest[..organisation.len() + 1 + name.len()],
            revision,
            path,
        })
    }

    /// The folder of the repository in the hub's cache.
    pub fn folder(&self) -> String {
        let kind = if self.is_dataset {
            "datasets"
        } else {
            "models"
        };
        format!("{kind}--{}", self.repository.replace('/', "--"))
    }

    /// The address of one file at one revision.
    pub fn address(&self, revision: &str, path: &str) -> String {
        let kind = if self.is_dataset { "datasets/" } else { "" };
        format!("hf://{kind}{}@{revision}/{path}", self.repository)
    }
}

/// Searches for a file with the pinned size and digest.
fn search(folder: &Path, pin: &Pin, depth: usize) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .collect();
    entries.sort();
    let found = entries.iter().find(|path| {
        std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.len() == pin.size)
            && digest(path) == Some(pin.sha256)
    });
    found.cloned().or_else(|| {
        let folders = entries.iter().filter(|path| depth > 1 && path.is_dir());
        folders
            .into_iter()
            .find_map(|path| search(path, pin, depth - 1))
    })
}

/// Digest of a file, memoised while its size and time are unchanged.
fn digest(path: &Path) -> Option<Sha256Hex> {
    type Seen = HashMap<(PathBuf, u64, Option<std::time::SystemTime>), Sha256Hex>;
    static SEEN: Mutex<Option<Seen>> = Mutex::new(None);
    let metadata = std::fs::metadata(path).ok()?;
    let key = (path.to_owned(), metadata.len(), metadata.modified().ok());
    let seen = |seen: &mut Option<Seen>| seen.get_or_insert_default().get(&key).copied();
    if let Some(known) = SEEN.lock().ok().and_then(|mut all| seen(&mut all)) {
        return Some(known);
    }
    let found = digest_of_file(path).ok()?;
    if let Ok(mut all) = SEEN.lock() {
        all.get_or_insert_default().insert(key, found);
    }
    Some(found)
}

/// Digest of a file.
///
/// # Errors
/// The file cannot be read.
pub fn digest_of_file(path: &Path) -> std::io::Result<Sha256Hex> {
    let (mut file, mut hasher) = (std::fs::File::open(path)?, Hasher::new());
    let mut piece = vec![0; 1 << 18];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(hasher.finish()),
            count => hasher.update(&piece[..count]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_on_the_hub_are_taken_apart() {
        let place = HubPlace::of("hf://datasets/roneneldan/TinyStories@f54c/a/*.txt").unwrap();
        assert_eq!(
            (
                place.is_dataset,
                place.repository,
                place.revision,
                place.path
            ),
            (true, "roneneldan/TinyStories", "f54c", "a/*.txt")
        );
        assert_eq!(place.folder(), "datasets--roneneldan--TinyStories");
        assert_eq!(
            place.address("abc", "a/b.txt"),
            "hf://datasets/roneneldan/TinyStories@abc/a/b.txt"
        );
        let model = HubPlace::of("hf://openai-community/gpt2/tokenizer.json").unwrap();
        assert_eq!(
            (model.is_dataset, model.revision, model.folder().as_str()),
            (false, "main", "models--openai-community--gpt2")
        );
        for wrong in [
            "hf://datasets/a/b",
            "hf://a",
            "hf://a/b@main/../c",
            "https://a/b/c",
        ] {
            assert_eq!(HubPlace::of(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_pinned_file_is_found_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(folder.path().join("other.txt"), "TEXT").unwrap();
        std::fs::write(inner.join("another-name"), "text").unwrap();
        let url = "https://example.org/d/text.txt?raw=1";
        let pin = Pin {
            url: url.to_owned(),
            size: 4,
            sha256: Sha256Hex::of(b"text"),
        };
        let lock = Lock {
            format: 1,
            sources: BTreeMap::from([(url.to_owned(), vec![pin.clone()])]),
            ..Lock::default()
        };
        let mut fetched = Fetched {
            lock,
            downloads: Some(folder.path().join("downloads")),
            ..Fetched::default()
        };
        let error = fetched.files(Path::new(url)).unwrap_err().to_string();
        assert!(error.contains("specbook data fetch"), "{error}");
        fetched.folders.push(folder.path().to_owned());
        assert_eq!(
            fetched.files(Path::new(url)).unwrap(),
            [inner.join("another-name")]
        );
        let own = fetched.in_downloads(&pin).unwrap();
        assert!(own.ends_with(format!("{}/text.txt", pin.sha256)));
        std::fs::create_dir_all(own.parent().unwrap()).unwrap();
        std::fs::write(&own, "text").unwrap();
        assert_eq!(fetched.files(Path::new(url)).unwrap(), [own]);
        assert!(
            fetched
                .files(Path::new("https://example.org/other"))
                .is_err()
        );
    }

    /// A lock is committed to the repository, so somebody else may have written it: it must not lead to any
    /// file outside the folders.
    #[test]
    fn changed_locks_lead_nowhere() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "text").unwrap();
        let digest = Sha256Hex::of(b"text");
        let addresses = [
            "https://example.org/d/text.txt",
            "hf://datasets/a/b@main/c.txt",
        ];
        let seeds = addresses.map(|url| {
            let pin = format!(r#"{{"url": "{url}", "size": 4, "sha256": "{digest}"}}"#);
            format!(
                r#"{{"format": 1, "sources": {{"{url}": [{pin}]}}, "beginnings": {{"{url}": {{"documents": 2, "sha256": "{digest}"}}}}}}"#
            )
        });
        let up = format!("{}/", folder.path().display());
        let words = [
            "../", "/..", "..", "secret", "#", "?", "@", "hf://", "null", &up,
        ];
        let seeds = seeds.map(String::into_bytes);
        crate::test_support::fuzz("locks", &seeds, &words, 3000, |bytes| {
            let Ok(lock) = serde_json::from_slice::<Lock>(bytes) else {
                return;
            };
            let addresses: Vec<String> = lock.sources.keys().cloned().collect();
            let place = |name: &str| Some(folder.path().join(name));
            let fetched = Fetched {
                lock,
                hub: place("cache/hub"),
                downloads: place("cache/downloads"),
                ..Fetched::default()
            };
            for address in addresses {
                assert!(fetched.files(Path::new(&address)).is_err(), "{address}");
            }
        });
    }
}
