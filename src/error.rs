//! The union of the module errors, with kinds (for exit codes) and hints.

use crate::data::DataError;
use crate::eval::EvalError;
use crate::fsx::FsError;
use crate::interop::InteropError;
use crate::plan::PlanError;
use crate::remote::RemoteError;
use crate::report::ReportError;
use crate::scheduler::SchedulerError;
use crate::spec::SpecError;
use crate::store::StoreError;
use crate::train::TrainError;

/// Any error of this crate.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub enum Error {
    /// A spec.
    Spec(#[from] SpecError),
    /// A corpus, a tokenizer, a slice.
    Data(#[from] DataError),
    /// A plan.
    Plan(#[from] PlanError),
    /// Training, scoring, sampling.
    Train(#[from] TrainError),
    /// An evaluation.
    Eval(#[from] EvalError),
    /// The store.
    Store(#[from] StoreError),
    /// A scheduler.
    Scheduler(#[from] SchedulerError),
    /// A report.
    Report(#[from] ReportError),
    /// Import or export of a model.
    Interop(#[from] InteropError),
    /// Another store.
    Remote(#[from] RemoteError),
    /// A file operation.
    Fs(#[from] FsError),
    /// Invalid JSON.
    Json(#[from] serde_json::Error),
}

/// The kind of an error, which determines the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Wrong usage.
    Usage,
    /// An invalid spec.
    Spec,
    /// Missing or damaged input.
    Input,
    /// A run failed.
    Run,
    /// The store or another place cannot be read or written.
    Store,
    /// A bug in this program.
    Internal,
}

impl Error {
    /// Its kind.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Spec(SpecError::Read { .. }) => ErrorKind::Input,
            Self::Spec(_) => ErrorKind::Spec,
            Self::Data(_) | Self::Plan(_) => ErrorKind::Input,
            Self::Train(TrainError::Device { .. } | TrainError::Unsupported { .. }) => {
                ErrorKind::Usage
            }
            Self::Train(_) | Self::Eval(_) => ErrorKind::Run,
            Self::Store(error) | Self::Scheduler(SchedulerError::Store(error)) => store_kind(error),
            Self::Report(error) => report_kind(error),
            Self::Interop(error) => interop_kind(error),
            Self::Remote(RemoteError::Address { .. }) => ErrorKind::Usage,
            Self::Remote(RemoteError::Store(error)) => store_kind(error),
            Self::Remote(_) => ErrorKind::Input,
            Self::Fs(error) if error.is_damage() => ErrorKind::Input,
            Self::Fs(error) => place_kind(error),
            Self::Json(_) => ErrorKind::Internal,
        }
    }

    /// Advice, if the message does not contain it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Spec(SpecError::Read { path, source })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return Some(spec_meant(path));
            }
            Self::Store(StoreError::NoSuchRun { text, near }) if !near.is_empty() => {
                let setting = format!("{}{text},", if text.contains('/') { "" } else { "/" });
                if let Some(one) = near.iter().find(|name| name.contains(&setting)) {
                    return Some(format!(
                        "`{text}` is a setting of several runs: name one of them, such as `{one}`"
                    ));
                }
                let near = near.join("`, `");
                return Some(format!("the nearest names are `{near}`"));
            }
            Self::Store(StoreError::Ambiguous { examples, .. }) if examples.len() > 1 => {
                let (a, b) = (&examples[0], &examples[1]);
                return Some(format!("`specbook diff {a} {b}` shows what differs"));
            }
            Self::Store(StoreError::NoSuchRun { .. }) => {
                "a run is an id, a unique prefix of one, or `spec/name`"
            }
            Self::Data(DataError::Io { path, source })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                return beside(path);
            }
            Self::Interop(InteropError::Fs(error)) | Self::Report(ReportError::Fs(error))
                if error.source.kind() == std::io::ErrorKind::NotADirectory =>
            {
                "a part of this path is a file: name a folder"
            }
            Self::Report(ReportError::Fs(error))
                if error.is_not_found() && error.path.ends_with("data/records.jsonl") =>
            {
                "there is no report yet: `specbook run SPEC` or `specbook report SPEC` writes it"
            }
            Self::Interop(error) => return error.advice().map(str::to_owned),
            Self::Remote(error) if error.is_refused() => {
                "writing needs credentials: `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` for `s3://`, `https://USER:PASSWORD@HOST/…` for a web server"
            }
            Self::Train(TrainError::Diverged { .. }) => {
                "a smaller learning rate or `train.grad_clip` often helps; the log has every step"
            }
            Self::Store(StoreError::Fs(error))
            | Self::Scheduler(SchedulerError::Store(StoreError::Fs(error)))
            | Self::Report(ReportError::Fs(error))
            | Self::Fs(error) => match error.source.kind() {
                std::io::ErrorKind::StorageFull => {
                    "the disk is full; `specbook store gc` lists removable entries of a store"
                }
                std::io::ErrorKind::WouldBlock if error.operation.contains("thread") => {
                    "the limit of processes (`ulimit -u`, `pids.max` of a container) counts threads too; raise it, or use fewer with `--threads`"
                }
                std::io::ErrorKind::FileTooLarge => {
                    "the shell limits how long files may be (`ulimit -f`)"
                }
                std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
                    "name a folder that can be written with `--store` or `--out`"
                }
                _ if error.is_damage() => {
                    "stores, reports and ledgers hold folders and files of their own: move it away (a store or reports may also be elsewhere: `--store`, `--out`)"
                }
                _ => return None,
            },
            _ => return None,
        };
        Some(hint.to_owned())
    }

    /// The message with its causes, joined by `: `; a cause already contained in the message is not repeated.
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let message = error.to_string();
            if !text.contains(&message) {
                text.push_str(": ");
                text.push_str(&message);
            }
            cause = error.source();
        }
        text
    }
}

/// The file in the same folder that was probably meant; paths in a spec are relative to its folder.
fn beside(path: &std::path::Path) -> Option<String> {
    if let Some(told) = dangling(path) {
        return Some(told);
    }
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(std::path::Path::new("."));
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Some(format!("there is no folder `{}`", folder.display()));
    };
    let names = entries.flatten().map(|entry| entry.file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.sort_unstable();
    crate::human::likest_first(&mut names, &path.file_name()?.to_string_lossy());
    let near = names.first()?;
    Some(format!(
        "the nearest name in `{}` is `{near}`; paths in a spec begin at its folder",
        folder.display()
    ))
}

/// Where a link at a path leads whose target is missing.
fn dangling(path: &std::path::Path) -> Option<String> {
    let target = std::fs::read_link(path).ok()?;
    Some(format!("it is a link to `{}`", target.display()))
}

/// The spec probably meant by a missing path: one with that name, here or in `specs`.
fn spec_meant(path: &std::path::Path) -> String {
    if let Some(told) = dangling(path) {
        return told;
    }
    let name = path.file_stem().unwrap_or_default();
    let named = std::path::Path::new(name).with_extension("yaml");
    let specs = std::path::Path::new("specs");
    let places = [path.with_extension("yaml"), specs.join(&named)];
    let mut found = places.into_iter().find(|place| place.is_file());
    for folder in [path.parent().unwrap_or(specs), specs] {
        found = found.or_else(|| nearly_named(folder, &named));
    }
    match found {
        Some(place) => format!("did you mean `{}`?", place.display()),
        None => "`specbook init` writes a spec to start from".to_owned(),
    }
}

/// The spec in `folder` whose name is most similar to `name`.
fn nearly_named(folder: &std::path::Path, name: &std::path::Path) -> Option<std::path::PathBuf> {
    let here = match folder.as_os_str().is_empty() {
        true => std::path::Path::new("."),
        false => folder,
    };
    let names = std::fs::read_dir(here).ok()?.flatten();
    let mut names: Vec<String> = names
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .collect();
    names.sort_unstable();
    let near = crate::spec::nearest(
        &name.to_string_lossy(),
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )?;
    Some(folder.join(near))
}

fn report_kind(error: &ReportError) -> ErrorKind {
    match error {
        ReportError::Unknown { .. }
        | ReportError::Text { .. }
        | ReportError::Reference { .. }
        | ReportError::Asset { .. } => ErrorKind::Spec,
        ReportError::Records { .. } | ReportError::RecordsFormat { .. } => ErrorKind::Input,
        ReportError::Folder { error, .. } => report_kind(error),
        ReportError::Foreign { .. } | ReportError::PageOfReport { .. } => ErrorKind::Usage,
        ReportError::Fs(error) => place_kind(error),
        // The shipped templates are tested, so it is a user's.
        ReportError::Template { .. } => ErrorKind::Input,
        ReportError::Plot(_) | ReportError::Json(_) => ErrorKind::Internal,
    }
}

fn interop_kind(error: &InteropError) -> ErrorKind {
    match error {
        InteropError::Input { .. } | InteropError::Server { .. } | InteropError::Data(_) => {
            ErrorKind::Input
        }
        InteropError::Refused { .. } | InteropError::Foreign { .. } => ErrorKind::Usage,
        InteropError::Fs(error) => place_kind(error),
    }
}

/// A path that does not exist, or cannot be read or written.
fn place_kind(error: &FsError) -> ErrorKind {
    match error.is_not_found() {
        true => ErrorKind::Input,
        false => ErrorKind::Store,
    }
}

fn store_kind(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::NoSuchRun { .. } | StoreError::Ambiguous { .. } => ErrorKind::Input,
        StoreError::Damaged { .. } | StoreError::Version { .. } => ErrorKind::Input,
        StoreError::Fs(error) if error.is_damage() => ErrorKind::Input,
        StoreError::Fs(_) | StoreError::LostLease { .. } | StoreError::Unstorable { .. } => {
            ErrorKind::Store
        }
    }
}
