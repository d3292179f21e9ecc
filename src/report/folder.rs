//! Report folders: writing one, and the index over all of them.

use super::{IndexEntry, Report, ReportError, ReportFile, index, read_records};
use crate::fsx::{Fs, FsResult};
use std::collections::BTreeSet;
use std::path::Path;

/// Largest `records.jsonl` that is read, bytes.
const RECORDS_LIMIT: u64 = 256 << 20;

/// Where a report keeps what it can be rendered from again.
const RECORDS: &str = "data/records.jsonl";

/// Subfolders whose files belong to the report alone: what no longer does is removed.
const OWNED: [&str; 2] = ["figures", "data"];

/// Writes a report into `folder`: every file whole or not at all, the page people open last.
///
/// # Errors
/// A folder that cannot be written.
pub fn write(report: &Report, folder: &Path, fs: &dyn Fs) -> Result<(), ReportError> {
    let mut files = report.files()?;
    files.push(report.timing());
    files.sort_by_key(|file| file.path == "index.html");
    for file in &files {
        put(file, folder, fs)?;
    }
    let kept: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    for owned in OWNED {
        for entry in fs.list(&folder.join(owned))? {
            if !entry.is_dir && !kept.contains(format!("{owned}/{}", entry.name).as_str()) {
                fs.remove_file(&folder.join(owned).join(&entry.name))?;
            }
        }
    }
    Ok(())
}

/// Writes `index.html` of the folder `reports`, over every report in it.
///
/// # Errors
/// Records that cannot be read; a folder that cannot be written.
pub fn write_index(reports: &Path, fs: &dyn Fs) -> Result<(), ReportError> {
    let mut entries = Vec::new();
    for entry in fs.list(reports)?.into_iter().filter(|entry| entry.is_dir) {
        let records = reports.join(&entry.name).join(RECORDS);
        if fs.metadata(&records)?.is_some() {
            entries.push(IndexEntry::from_records(
                &entry.name,
                &fs.read(&records, RECORDS_LIMIT)?,
            )?);
        }
    }
    Ok(put(&index(&entries)?, reports, fs)?)
}

/// Reads the records of the report in `folder`.
///
/// # Errors
/// No report, or records that are damaged or of another format.
pub fn records_of(folder: &Path, fs: &dyn Fs) -> Result<super::Records, ReportError> {
    read_records(&fs.read(&folder.join(RECORDS), RECORDS_LIMIT)?)
}

fn put(file: &ReportFile, folder: &Path, fs: &dyn Fs) -> FsResult<()> {
    let path = folder.join(&file.path);
    if let Some(parent) = path.parent() {
        fs.create_dir_all(parent)?;
    }
    // A file that is right already keeps its modification time.
    if fs
        .read(&path, file.bytes.len() as u64)
        .is_ok_and(|old| old == file.bytes)
    {
        return Ok(());
    }
    fs.write_atomic(&path, &file.bytes)
}
