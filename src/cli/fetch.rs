//! `specbook data fetch` and `run --fetch`: the downloads of a spec, and its lock.

use super::failure::Failure;
use super::print::Printer;
use crate::fetch::{FetchError, Fetcher, Surroundings, Wanted};
use crate::fsx::AnyPath;
use crate::fsx::{Fs, RealFs};
use crate::human;
use crate::net::Client;
use crate::spec::Spec;
use crate::text::remote::{Fetched, Lock, Pin, is_address};
use crate::text::source::{Origin, Set};
use crate::text::{Corpus, DataContext};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Maximum length of a lock that is read, in bytes.
const LIMIT: u64 = 64 << 20;
/// Format version of the lock.
const FORMAT: u32 = 1;

/// The pins of a spec, and where to look for fetched files.
///
/// # Errors
/// A lock that cannot be read.
pub(crate) fn fetched(spec: &Path) -> Result<Fetched, Failure> {
    let folder = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let home = |rest: &str| folder("HOME").map(|home| home.join(rest));
    let hub = folder("HF_HUB_CACHE").or_else(|| Some(hub_home()?.join("hub")));
    let cache = folder("XDG_CACHE_HOME").or_else(|| home(".cache"));
    let folders = std::env::var_os("SPECBOOK_DATA").unwrap_or_default();
    Ok(Fetched {
        lock: lock(spec)?,
        folders: std::env::split_paths(&folders)
            .filter(|path| !path.as_os_str().is_empty())
            .collect(),
        hub,
        downloads: cache.map(|cache| cache.join("specbook")),
    })
}

fn hub_home() -> Option<PathBuf> {
    let folder = |name: &str| {
        let value = std::env::var_os(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    folder("HF_HOME")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("huggingface")))
        .or_else(|| Some(folder("HOME")?.join(".cache/huggingface")))
}

fn lock(spec: &Path) -> Result<Lock, Failure> {
    let path = spec.with_extension("lock");
    let bytes = match RealFs::new().read(&path, LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return Ok(Lock::default()),
        Err(error) => return Err(crate::error::Error::from(error).into()),
    };
    let broken = |reason: String| {
        let message = format!("the lock `{}` cannot be read: {reason}", path.display());
        Failure::input(message).hint("restore it, or remove it and run `specbook data fetch`")
    };
    let lock: Lock = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    match lock.format {
        FORMAT => Ok(lock),
        other => Err(broken(format!(
            "its format is {other}, and {FORMAT} is read"
        ))),
    }
}

fn write(spec: &Path, lock: &Lock) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(lock).map_err(crate::error::Error::from)? + "\n";
    let path = spec.with_extension("lock");
    let written = RealFs::new().write_atomic(&path, text.as_bytes());
    Ok(written.map_err(crate::error::Error::from)?)
}

/// The hub settings from the environment.
fn surroundings() -> Surroundings {
    let text = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let endpoint = text("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
    let kept = || std::fs::read_to_string(hub_home()?.join("token")).ok();
    let token = text("HF_TOKEN")
        .or_else(kept)
        .map(|token| token.trim().to_owned());
    let offline = text("HF_HUB_OFFLINE").unwrap_or_default().to_lowercase();
    Surroundings {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        token,
        is_offline: matches!(offline.as_str(), "1" | "true" | "yes" | "on"),
    }
}

/// What a spec needs from the network.
#[derive(Default)]
struct Needed {
    /// Addresses, with the corpora that read them and their number of documents; a tokenizer has
    /// neither.
    addresses: BTreeMap<String, Option<(Corpus, Option<usize>)>>,
    /// Data sets whose files are known.
    sets: BTreeSet<&'static str>,
}

impl Needed {
    fn of(spec: &Spec) -> Self {
        let mut needed = Self::default();
        for run in &spec.runs {
            let data = &run.settings.data;
            if let Some(path) = data.tokenizer.path().filter(|path| is_address(path)) {
                needed
                    .addresses
                    .insert(path.to_string_lossy().into_owned(), None);
            }
            let slices = [&data.train, &data.validation, &data.test];
            let context = DataContext::default();
            let reach = |corpus: &Corpus| match data.split {
                Some(_) => None,
                None => crate::data::reach(data, corpus, &context),
            };
            let corpora = slices.into_iter().filter_map(|slice| slice.corpus.as_ref());
            for corpus in corpora.chain([&data.corpus]) {
                needed.corpus(corpus, reach(corpus));
            }
        }
        needed
    }

    fn corpus(&mut self, corpus: &Corpus, documents: Option<usize>) {
        let addresses: Vec<String> = match corpus.get().origin() {
            Origin::Generated { .. } | Origin::Folder(_) => Vec::new(),
            Origin::Files(paths) => paths
                .iter()
                .filter(|path| is_address(path))
                .map(|path| path.to_string_lossy().into_owned())
                .collect(),
            Origin::Set(set) => {
                if !set.pins.is_empty() {
                    self.sets.insert(set.name);
                }
                set.addresses
                    .iter()
                    .map(|address| (*address).to_owned())
                    .collect()
            }
        };
        // Only the last of several files may be needed in part; for a single file, its beginning
        // suffices.
        let documents = documents.filter(|_| addresses.len() == 1 && !corpus.get().holds_ids());
        for address in addresses {
            let entry = self
                .addresses
                .entry(address)
                .or_insert_with(|| Some((corpus.clone(), documents)));
            if let Some((_, most)) = entry {
                *most = most.zip(documents).map(|(a, b)| a.max(b));
            }
        }
    }
}

/// A progress bar, or a line if there is no terminal.
struct Bar {
    bar: ProgressBar,
    printer: Printer,
    last: String,
}

impl Bar {
    fn new(printer: Printer) -> Self {
        let visible = std::io::stderr().is_terminal() && !printer.quiet;
        let target = match visible {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = "{msg}  {bytes} of {total_bytes}  {bytes_per_sec}  {eta}";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        let last = String::new();
        Self { bar, printer, last }
    }

    fn told(&mut self, address: &str, bytes: u64, length: Option<u64>) {
        if self.last != address {
            address.clone_into(&mut self.last);
            self.bar.set_message(address.to_owned());
            self.bar.reset();
            if self.bar.is_hidden() {
                self.printer.note(&format!("fetching {address}"));
            }
        }
        if let Some(length) = length {
            self.bar.set_length(length);
        }
        self.bar.set_position(bytes);
    }
}

/// Downloads the addresses named in a spec. With `whole`, entire files, as `data fetch` does;
/// otherwise only as much as the slices need.
///
/// # Errors
/// No connection, a file that differs from the pinned one, a full disk.
pub(crate) fn fetch(
    spec: &Spec,
    whole: bool,
    printer: Printer,
) -> Result<serde_json::Value, Failure> {
    let needed = Needed::of(spec);
    let mut state = fetched(&spec.path)?;
    let before = state.lock.clone();
    let (surroundings, mut bar) = (surroundings(), Bar::new(printer));
    let mut files: Vec<(String, Pin)> = Vec::new();
    let mut kept = Vec::new();
    if needed.addresses.is_empty() && needed.sets.is_empty() {
        return Ok(json!({"spec": spec.name, "files": [], "documents": []}));
    }
    let client = Client::new().map_err(FetchError::from).map_err(failure)?;
    for (address, read) in &needed.addresses {
        let at = Path::new(address);
        let known = state.lock.sources.get(address).cloned();
        if !whole && state.files(at).is_ok() && is_enough(&state, address, read.as_ref()) {
            continue;
        }
        let view = state.clone();
        let mut told = |address: &str, bytes, length| bar.told(address, bytes, length);
        let mut fetcher = Fetcher::new(client.clone(), &surroundings, &view, &mut told);
        match read {
            Some((corpus, Some(documents))) if !whole && known.is_none() => {
                let wanted = Wanted {
                    corpus,
                    address,
                    documents: *documents,
                };
                let beginning = fetcher.beginning(wanted).map_err(failure)?;
                state.lock.beginnings.insert(address.clone(), beginning);
                kept.push(json!({"address": address, "documents": beginning.documents, "sha256": beginning.sha256}));
            }
            _ => {
                let pins = fetcher
                    .address(address, known.as_deref())
                    .map_err(failure)?;
                files.extend(pins.iter().map(|pin| (address.clone(), pin.clone())));
                state.lock.sources.insert(address.clone(), pins);
            }
        }
    }
    for name in needed.sets {
        let set = Set::find(name).expect("a name of the table");
        if set.is_here(&state) {
            continue;
        }
        let mut told = |address: &str, bytes, length| bar.told(address, bytes, length);
        let mut fetcher = Fetcher::new(client.clone(), &surroundings, &state, &mut told);
        let pins = fetcher.address(name, Some(&set.pins)).map_err(failure)?;
        files.extend(pins.into_iter().map(|pin| (name.to_owned(), pin)));
    }
    bar.bar.finish_and_clear();
    if state.lock != before {
        state.lock.format = FORMAT;
        write(&spec.path, &state.lock)?;
    }
    let place = |pin: &Pin| state.find(pin).map(|path| AnyPath::from(&path));
    let files = files.iter().map(|(address, pin)| {
        json!({"address": address, "url": pin.url, "size": pin.size, "sha256": pin.sha256, "path": place(pin)})
    });
    Ok(json!({"spec": spec.name, "files": files.collect::<Vec<_>>(), "documents": kept}))
}

/// Whether the stored part of an address is as long as needed.
fn is_enough(state: &Fetched, address: &str, read: Option<&(Corpus, Option<usize>)>) -> bool {
    let pins = state.lock.sources.get(address);
    if pins.is_some_and(|pins| pins.iter().all(|pin| state.find(pin).is_some())) {
        return true;
    }
    let kept = state
        .lock
        .beginnings
        .get(address)
        .map(|beginning| beginning.documents);
    let needed = read.and_then(|(_, documents)| *documents);
    kept.zip(needed)
        .is_some_and(|(kept, needed)| kept >= needed)
}

/// The fetched files, as lines.
pub(crate) fn as_text(fetched: &serde_json::Value) -> String {
    let text =
        |value: &serde_json::Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let path = |file: &serde_json::Value| {
        let path = serde_json::from_value::<AnyPath>(file["path"].clone());
        path.unwrap_or_default().0.display().to_string()
    };
    let list = |name: &str| fetched[name].as_array().cloned().unwrap_or_default();
    let files = list("files");
    let files = files.iter().map(|file| {
        let size = human::bytes(file["size"].as_u64().unwrap_or_default());
        let digest = text(file, "sha256");
        format!(
            "{}  {size}  SHA-256 {}…\n  {}",
            text(file, "url"),
            &digest[..12],
            path(file)
        )
    });
    let kept = list("documents");
    let kept = kept.iter().map(|kept| {
        let documents = human::count(kept["documents"].as_u64().unwrap_or_default());
        format!(
            "{}: its first {documents} documents are kept",
            text(kept, "address")
        )
    });
    let lines: Vec<String> = files.chain(kept).collect();
    match lines.is_empty() {
        true => format!("{}: everything is here", text(fetched, "spec")),
        false => lines.join("\n"),
    }
}

fn failure(error: FetchError) -> Failure {
    let hint = match &error {
        FetchError::Other { .. } => Some(
            "it has changed since it was pinned: remove its entry from the spec's lock to accept the new file; runs get new ids",
        ),
        FetchError::Net(error) if matches!(error.status, Some(401 | 403)) => {
            Some("set HF_TOKEN if the hub requires authentication")
        }
        FetchError::Net(_) => Some("the downloaded part is kept; run the command again to resume"),
        _ => None,
    };
    let failure = Failure::input(error.to_string());
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
