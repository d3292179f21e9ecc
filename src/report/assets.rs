//! Files beside the spec that a report includes: the pictures of its texts and its bibliography.

use super::ReportError;
use crate::digest::Sha256Hex;
use crate::fsx::Fs;
use crate::spec::{Cell, Spec};
use pulldown_cmark::{Event, Parser, Tag};
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// Maximum size of a picture, in bytes.
const LARGEST: u64 = 512 << 10;

/// Maximum total size of all pictures, in bytes.
const MOST: usize = 2 << 20;

/// Maximum size of a bibliography, in bytes.
const LONGEST: u64 = 1 << 20;

/// The files included in a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assets {
    /// Pictures by path, as written in the texts.
    pictures: BTreeMap<String, Picture>,
    /// A BibTeX file; may be empty.
    pub(super) bibliography: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    /// Path inside the report.
    pub(super) file: String,
    /// Media type.
    mime: &'static str,
    /// Contents.
    pub(super) bytes: Vec<u8>,
}

impl Assets {
    /// Reads the files that the texts of `spec` name. Links are not followed, and nothing outside
    /// the spec's folder is read.
    ///
    /// # Errors
    /// A file that is missing, lies outside the folder, is too large, or is not a picture that
    /// browsers can show.
    pub fn load(spec: &Spec, fs: &dyn Fs) -> Result<Self, ReportError> {
        let folder = spec
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        let fs = fs.below(folder);
        let refused = |name: &str, reason: &str| ReportError::Asset {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let read = |name: &str, limit: u64| {
            let path = Path::new(name);
            if path
                .components()
                .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir))
            {
                return Err(refused(name, "it lies outside the spec's folder"));
            }
            fs.read(&folder.join(path), limit)
                .map_err(|error| refused(name, &error.source.to_string()))
        };
        let mut assets = Self::default();
        let mut total = 0;
        for name in pictures(spec) {
            let bytes = read(&name, LARGEST)?;
            total += bytes.len();
            if total > MOST {
                return Err(refused(
                    &name,
                    "the pictures of this report have more than 2 MiB",
                ));
            }
            let Some((mime, ending)) = kind(&bytes) else {
                return Err(refused(&name, "it is no PNG, JPEG, GIF, WebP or SVG"));
            };
            let digest = Sha256Hex::of(&bytes).short();
            let file = format!("figures/picture-{digest}.{ending}");
            assets.pictures.insert(name, Picture { file, mime, bytes });
        }
        if !spec.bibliography.is_empty() {
            let bytes = read(&spec.bibliography, LONGEST)?;
            assets.bibliography = String::from_utf8(bytes)
                .map_err(|_| refused(&spec.bibliography, "it is not UTF-8 text"))?;
        }
        Ok(assets)
    }

    /// The path inside the report of a picture named in a text.
    pub(super) fn file(&self, name: &str) -> Option<&str> {
        self.pictures.get(name).map(|picture| picture.file.as_str())
    }

    /// A picture, found by its path inside the report, as a `data:` address.
    pub(super) fn inline(&self, file: &str) -> Option<String> {
        let picture = self
            .pictures
            .values()
            .find(|picture| picture.file == file)?;
        Some(format!(
            "data:{};base64,{}",
            picture.mime,
            base64::encode(&picture.bytes)
        ))
    }

    pub(super) fn pictures(&self) -> impl Iterator<Item = &Picture> {
        self.pictures.values()
    }
}

/// The local pictures named in the texts of a spec, in order.
fn pictures(spec: &Spec) -> Vec<String> {
    let cells = spec.cells.iter().filter_map(|cell| match &cell.value {
        Cell::Text(text) => Some(text.0.as_str()),
        _ => None,
    });
    let finding = spec.finding.iter().map(|finding| finding.value.as_str());
    let mut names: Vec<String> = Vec::new();
    for text in finding.chain([spec.summary.as_str()]).chain(cells) {
        for event in Parser::new(text) {
            if let Event::Start(Tag::Image { dest_url, .. }) = event
                && !dest_url.contains(':')
                && !names.iter().any(|known| **known == *dest_url)
            {
                names.push(dest_url.to_string());
            }
        }
    }
    names
}

/// Media type and file extension of a picture, detected from its first bytes.
fn kind(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = std::str::from_utf8(&bytes[..bytes.len().min(1_000)]).unwrap_or_default();
    match bytes {
        [0x89, b'P', b'N', b'G', ..] => Some(("image/png", "png")),
        [0xff, 0xd8, 0xff, ..] => Some(("image/jpeg", "jpg")),
        [b'G', b'I', b'F', b'8', ..] => Some(("image/gif", "gif")),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some(("image/webp", "webp")),
        _ if text.trim_start().starts_with("<svg")
            || text.trim_start().starts_with("<?xml") && text.contains("<svg") =>
        {
            Some(("image/svg+xml", "svg"))
        }
        _ => None,
    }
}
