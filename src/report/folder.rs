//! Report folders: which files may be replaced or removed in them, and the index over all reports.
//!
//! A report lists its files with their digests in `data/files.json`. Only files listed by an
//! earlier report are ever replaced or removed, and they are removed only if their digest still
//! matches: files that somebody else added or changed stay, and edited ones, the index too, are kept under another name. Folders that hold no report, and an
//! index that specbook did not write, are refused. Links below the folder of reports are not
//! followed.
//!
//! A report is written as a whole ([`staging`](super::staging)): one writer at a time, and a killed
//! writer leaves nothing half done.

use super::index::was_edited;
use super::staging::Staging;
use super::{IndexEntry, Report, ReportError, ReportFile, index, read_records};
use crate::digest::Sha256Hex;
use crate::fsx::{Fs, FsError, FsResult, Kind};
use crate::record::FileEntry;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;
use std::sync::Arc;

/// Maximum size of a report file that is read, in bytes.
pub(super) const LIMIT: u64 = 256 << 20;

/// The file from which a report can be rendered again.
const RECORDS: &str = "data/records.jsonl";

/// The list of a report's files.
const LIST: &str = "data/files.json";

/// The page over all reports.
const INDEX: &str = "index.html";

/// Marks the head of every page that specbook writes.
const GENERATOR: &str = "<meta name=\"generator\" content=\"specbook\">";

/// `data/files.json`.
#[derive(Debug, Serialize, Deserialize)]
struct List {
    /// Always 1.
    format: u32,
    /// Every file of the report except this one and `timing.json`.
    files: BTreeMap<String, FileEntry>,
}

/// The folder `reports/name` of one report.
#[derive(Clone)]
pub struct ReportFolder<'a> {
    reports: &'a Path,
    name: &'a str,
    fs: Arc<dyn Fs>,
}

/// Contents of a folder before a report is written into it.
enum Before {
    /// No report.
    Nothing,
    /// A report that lists its files.
    Listed(BTreeMap<String, FileEntry>),
    /// A report written by a version that did not list its files yet.
    Unlisted,
}

impl<'a> ReportFolder<'a> {
    /// The folder `name` inside the folder `reports`.
    pub fn new(reports: &'a Path, name: &'a str, fs: &dyn Fs) -> Self {
        let fs = fs.below(reports);
        Self { reports, name, fs }
    }

    /// Refuses a place where no report may be written: a folder or an index that somebody else
    /// made.
    ///
    /// # Errors
    /// [`ReportError::Foreign`] with the obstacle; a folder that cannot be read.
    pub fn check_place(&self) -> Result<(), ReportError> {
        self.before()?;
        let index = self.reports.join(INDEX);
        let list = self.fs.read(&self.reports.join(LIST), LIMIT).ok();
        let list = list.and_then(|list| serde_json::from_slice::<List>(&list).ok());
        if list.is_some_and(|list| list.files.contains_key(INDEX)) {
            return Err(ReportError::PageOfReport { path: index });
        }
        match self.fs.read(&index, LIMIT) {
            Ok(page) if String::from_utf8_lossy(&page).contains(GENERATOR) => Ok(()),
            Ok(_) => Err(ReportError::Foreign { path: index }),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the report and updates the index over all reports next to it. Returns warnings: files
    /// that stay although the report no longer has them, and neighbouring reports that the index
    /// omits.
    ///
    /// # Errors
    /// [`ReportError::Foreign`]; another writer that does not finish in time; a folder that cannot
    /// be written.
    pub fn write(&self, report: &Report) -> Result<Vec<String>, ReportError> {
        let mut staging = Staging::begin(self.reports, &self.fs)?;
        self.check_place()?;
        let mut warnings = Vec::new();
        let mut files = report_files(report)?;
        files.push(report.timing());
        let before = self.before()?;
        for file in &files {
            if !self.may_replace(&before, file)? {
                let path = self.path(&file.path);
                return Err(ReportError::Foreign { path });
            }
            if let Some((folder, _)) = file.path.rsplit_once('/') {
                warnings.extend(self.set_aside(folder, Kind::Dir)?);
            }
            warnings.extend(self.set_aside(&file.path, Kind::File)?);
            if let Some(changed) = self.changed(&before, file) {
                warnings.push(self.keep(&mut staging, &self.below(&file.path), &changed)?);
            }
            staging.put(&self.below(&file.path), &file.bytes)?;
        }
        if let Before::Listed(old) = before {
            for (path, entry) in old {
                if files.iter().any(|file| file.path == path) {
                    continue;
                }
                match self.digest(&path) {
                    Ok(Some(found)) if found == entry.sha256 => {
                        staging.remove(&self.below(&path), found);
                    }
                    Ok(None) => {}
                    Ok(Some(_)) | Err(_) => warnings.push(format!(
                        "`{}` stays: it was changed since an earlier report made it, and this one has no such file",
                        self.path(&path).display()
                    )),
                }
            }
        }
        let records = files.iter().find(|file| file.path == RECORDS);
        let own = records.map(|records| IndexEntry::from_records(self.name, &records.bytes[..]));
        let entries = self.neighbours(own.transpose()?, &mut warnings)?;
        let page = self.fs.read(&self.reports.join(INDEX), LIMIT);
        if let Some(edited) = page.ok().filter(|page| was_edited(page)) {
            warnings.push(self.keep(&mut staging, INDEX, &edited)?);
        }
        staging.put(INDEX, &index(&entries)?.bytes)?;
        staging.finish()?;
        Ok(warnings)
    }

    /// Reads the records of the report.
    ///
    /// # Errors
    /// A missing report, or records that are damaged or of another format.
    pub fn records(&self) -> Result<super::Records, ReportError> {
        Staging::settle(self.reports, &self.fs)?;
        let path = self.path(RECORDS);
        let source = BufReader::new(self.fs.open_read(&path)?);
        read_records(source).map_err(|error| error.of_folder(&self.path("")))
    }

    /// Reads a file of the report, at most `limit` bytes.
    pub(super) fn read(&self, path: &str, limit: u64) -> Result<Vec<u8>, FsError> {
        self.fs.read(&self.path(path), limit)
    }

    fn path(&self, path: &str) -> std::path::PathBuf {
        let folder = self.reports.join(self.name);
        match path {
            "" => folder,
            path => folder.join(path),
        }
    }

    fn below(&self, path: &str) -> String {
        format!("{}/{path}", self.name)
    }

    fn before(&self) -> Result<Before, ReportError> {
        let foreign = || ReportError::Foreign {
            path: self.path(""),
        };
        match self.fs.read(&self.path(LIST), LIMIT) {
            Ok(bytes) => {
                // An unreadable list (for example after a merge) counts as empty, so nothing is
                // removed.
                if let Ok(list) = serde_json::from_slice::<List>(&bytes) {
                    return Ok(Before::Listed(list.files));
                }
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
        match self.fs.metadata(&self.path(""))? {
            None => return Ok(Before::Nothing),
            Some(found) if !found.is_dir() => return Err(foreign()),
            Some(_) if self.fs.list(&self.path(""))?.is_empty() => return Ok(Before::Nothing),
            Some(_) => {}
        }
        let page = self.fs.read(&self.path(INDEX), LIMIT);
        let is_ours = page.is_ok_and(|page| String::from_utf8_lossy(&page).contains(GENERATOR));
        let has_records = self.fs.metadata(&self.path(RECORDS))?.is_some();
        match is_ours && has_records {
            true => Ok(Before::Unlisted),
            false => Err(foreign()),
        }
    }

    /// Whether `file` may be written to the folder: the place is empty, holds the same contents, or
    /// holds a file that a report wrote.
    fn may_replace(&self, before: &Before, file: &ReportFile) -> Result<bool, ReportError> {
        let listed = match before {
            Before::Nothing | Before::Unlisted => true,
            Before::Listed(files) => {
                files.contains_key(&file.path) || [LIST, "timing.json"].contains(&&*file.path)
            }
        };
        if listed {
            return Ok(true);
        }
        let length = file.bytes.len() as u64;
        match self.read(&file.path, length) {
            Err(error) if error.is_not_found() => Ok(true),
            Ok(found) => Ok(found == file.bytes),
            Err(_) => Ok(false),
        }
    }

    /// Somebody's changes to a file that is about to be replaced, ignoring line endings, which a
    /// checkout may have changed.
    fn changed(&self, before: &Before, file: &ReportFile) -> Option<Vec<u8>> {
        let Before::Listed(files) = before else {
            return None;
        };
        let made = files.get(&file.path)?.sha256;
        let found = self.read(&file.path, LIMIT).ok()?;
        let plain = String::from_utf8_lossy(&found).replace("\r\n", "\n");
        let is_ours = found == file.bytes
            || plain.as_bytes() == file.bytes
            || [&found[..], plain.as_bytes()]
                .map(Sha256Hex::of)
                .contains(&made);
        (!is_ours).then_some(found)
    }

    /// Moves aside anything else than a file (or a folder) of a report from its place, without following it; returns
    /// a warning about it. A link in place of a folder is left to whoever opens it, who refuses it.
    fn set_aside(&self, path: &str, kind: Kind) -> Result<Option<String>, ReportError> {
        let place = self.path(path);
        match self.fs.metadata(&place)? {
            None => return Ok(None),
            Some(found) if found.kind == kind => return Ok(None),
            Some(found) if kind == Kind::Dir && found.kind == Kind::Link => return Ok(None),
            Some(_) => {}
        }
        let what = if kind == Kind::Dir { "folder" } else { "file" };
        for aside in crate::fsx::aside(path) {
            if self.fs.metadata(&self.path(&aside))?.is_none() {
                self.fs.rename(&place, &self.path(&aside))?;
                let place = place.display();
                return Ok(Some(format!(
                    "`{place}` is not a {what}; it is kept as `{aside}`"
                )));
            }
        }
        Ok(None)
    }

    /// Keeps somebody's version of a file that is about to be replaced, under a name beside it that is free or already
    /// holds that version; returns a warning. `path` is relative to the folder of all reports.
    fn keep(&self, staging: &mut Staging<'_>, path: &str, edited: &[u8]) -> FsResult<String> {
        let mut names = crate::fsx::aside(path);
        let is_free = |name: &String| match self.fs.read(&self.reports.join(name), LIMIT) {
            Ok(found) => found == edited,
            Err(error) => error.is_not_found(),
        };
        let aside = names.find(is_free).expect("numbers do not end");
        staging.put(&aside, edited)?;
        let name = aside.rsplit('/').next().unwrap_or(&aside);
        Ok(format!(
            "`{}` was edited after an earlier report made it; the edited version is kept as `{name}`",
            self.reports.join(path).display()
        ))
    }

    fn digest(&self, path: &str) -> Result<Option<Sha256Hex>, FsError> {
        match self.read(path, LIMIT) {
            Ok(bytes) => Ok(Some(Sha256Hex::of(&bytes))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The reports of the index: `own` and its neighbours.
    fn neighbours(
        &self,
        own: Option<IndexEntry>,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<IndexEntry>, ReportError> {
        let mut entries: BTreeMap<String, IndexEntry> = BTreeMap::new();
        entries.extend(own.map(|own| (self.name.to_owned(), own)));
        for entry in self.fs.list(self.reports)? {
            if !entry.is_dir() || entry.name == self.name || entry.name.starts_with('.') {
                continue;
            }
            let folder = self.reports.join(&entry.file_name);
            let read = match self.fs.open_read(&folder.join(RECORDS)) {
                Err(error) if error.is_not_found() => continue,
                Err(error) => Err(crate::store::chain(&error)),
                Ok(_) if entry.file_name.to_str().is_none() => {
                    Err("its name is not UTF-8, so no page can link to it".to_owned())
                }
                Ok(source) => IndexEntry::from_records(&entry.name, BufReader::new(source))
                    .map_err(|error| crate::store::chain(&error)),
            };
            match read {
                Ok(read) => drop(entries.insert(entry.name, read)),
                Err(reason) => warnings.push(format!(
                    "the index leaves out `{}`: {reason}",
                    folder.display()
                )),
            }
        }
        Ok(entries.into_values().collect())
    }
}

/// The files of a report that `report --check` compares, including the list of files.
///
/// # Errors
/// Those of [`Report::files`].
pub fn report_files(report: &Report) -> Result<Vec<ReportFile>, ReportError> {
    let mut files = report.files()?;
    let entry = |file: &ReportFile| FileEntry {
        bytes: file.bytes.len() as u64,
        sha256: Sha256Hex::of(&file.bytes),
    };
    let listed = files.iter().map(|file| (file.path.clone(), entry(file)));
    let list = List {
        format: 1,
        files: listed.collect(),
    };
    let mut bytes = serde_json::to_vec_pretty(&list)?;
    bytes.push(b'\n');
    files.push(ReportFile {
        path: LIST.to_owned(),
        bytes,
    });
    Ok(files)
}
