//! Locations: the project of a spec, its store, its reports, and their owners.
//!
//! Named locations (`--store`, `SPECBOOK_STORE`, `--out`) are used as they are. Discovered ones are
//! used only if they belong to the user: in a folder writable by others (`/tmp`, a shared project),
//! anybody can place a `.specbook` or a `reports` folder above another user's spec.

use super::args::Global;
use super::failure::Failure;
use crate::fsx::{RealFs, stranger};
use crate::shell;
use crate::store::Store;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const STORE: &str = ".specbook";

/// Opens the store that belongs to `near` (a spec or a folder).
pub(crate) fn store(global: &Global, near: &Path) -> Result<Store, Failure> {
    let root = match &global.store {
        Some(named) => named.clone(),
        None => {
            let found = project(near).join(STORE);
            refuse_stranger(&found, "--store")?;
            found
        }
    };
    refuse_other_than_folder("the store", &root, "--store")?;
    Ok(Store::open(root, Arc::new(RealFs::new())))
}

/// The same for a command that only reads: a named folder must exist.
pub(crate) fn store_that_exists(global: &Global, near: &Path) -> Result<Store, Failure> {
    match &global.store {
        Some(root) if !root.exists() && !root.is_symlink() => {
            let why = match root.try_exists() {
                Err(error) => error.to_string(),
                Ok(_) => "no such folder".to_owned(),
            };
            let message = format!("there is no store at `{}`: {why}", root.display());
            Err(Failure::input(message).hint(
                "check `--store` and SPECBOOK_STORE; without them it is `.specbook` of the project",
            ))
        }
        _ => store(global, near),
    }
}

/// The store of the current folder.
pub(crate) fn store_here(global: &Global) -> Result<Store, Failure> {
    store(global, Path::new("."))
}

/// The folder for reports that will be written.
pub(crate) fn reports(out: Option<&Path>, near: &Path) -> Result<PathBuf, Failure> {
    let folder = committed_reports(out, near);
    if out.is_none() {
        refuse_stranger(&folder, "--out")?;
    }
    refuse_other_than_folder("the folder of reports", &folder, "--out")?;
    Ok(folder)
}

/// The folder of reports that are only read, whoever owns it.
pub(crate) fn committed_reports(out: Option<&Path>, near: &Path) -> PathBuf {
    out.map_or_else(|| project(near).join("reports"), Path::to_path_buf)
}

/// The project that `near` is in: the nearest ancestor with `.specbook` or `.git`, else the folder beside `specs`.
pub(crate) fn project(near: &Path) -> PathBuf {
    let near = std::path::absolute(near).unwrap_or_else(|_| near.to_path_buf());
    let folder = if near.is_dir() {
        near.as_path()
    } else {
        near.parent().unwrap_or(Path::new("/"))
    };
    // A link counts wherever it leads; a dangling one is reported later.
    let has = |folder: &Path, mark| folder.join(mark).symlink_metadata().is_ok();
    let marked = folder
        .ancestors()
        .find(|folder| has(folder, STORE) || has(folder, ".git"));
    let beside_specs = || match folder.file_name() {
        Some(name) if name == "specs" => folder.parent(),
        _ => None,
    };
    shorten(marked.or_else(beside_specs).unwrap_or(folder))
}

/// The path relative to the current folder if one contains the other, so that messages stay short.
fn shorten(path: &Path) -> PathBuf {
    match std::env::current_dir()
        .ok()
        .as_deref()
        .map(|here| path.strip_prefix(here))
    {
        Some(Ok(rest)) if rest.as_os_str().is_empty() => PathBuf::from("."),
        Some(Ok(rest)) => rest.to_path_buf(),
        _ => path.to_path_buf(),
    }
}

/// Refuses a discovered folder (not a named one) that belongs to another user. Under `sudo`, the
/// invoking user is accepted.
fn refuse_stranger(folder: &Path, option: &str) -> Result<(), Failure> {
    let caller = std::env::var("SUDO_UID").ok();
    let caller = caller.and_then(|uid| uid.parse().ok());
    let Some(uid) = stranger(folder, caller) else {
        return Ok(());
    };
    let word = shell::path(folder);
    let folder = folder.display();
    let message =
        format!("`{folder}` belongs to another user ({uid}), so it must be named explicitly");
    Err(Failure::usage(message).hint(format!("name it with `{option} {word}`, or another folder")))
}

/// Refuses a file, and a dangling link, which would look like an empty folder.
fn refuse_other_than_folder(what: &str, folder: &Path, option: &str) -> Result<(), Failure> {
    if std::fs::metadata(folder).is_ok_and(|found| !found.is_dir()) {
        let message = format!("{what} `{}` is not a folder", folder.display());
        return Err(Failure::input(message).hint(format!(
            "move it away, or name another folder with `{option}`"
        )));
    }
    let (Err(error), Ok(target)) = (std::fs::metadata(folder), std::fs::read_link(folder)) else {
        return Ok(());
    };
    let (folder, target) = (folder.display(), target.display());
    let message =
        format!("{what} `{folder}` is a link to `{target}`, which cannot be read: {error}");
    Err(Failure::input(message).hint(format!(
        "is its disk mounted? Otherwise remove the link, or name another folder with `{option}`"
    )))
}
