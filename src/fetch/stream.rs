//! Downloads the beginning of a file, as far as its documents are needed: the growing part is read repeatedly, and only
//! the documents are stored.

use super::part::Part;
use super::{FetchError, Fetcher, wrong};
use crate::digest::Sha256Hex;
use crate::net::{Method, Request};
use crate::text::remote::{Beginning, HubPlace};
use crate::text::source::Document;
use crate::text::{Corpus, DataError};
use serde_json::json;
use std::path::Path;

/// Size of the first request in bytes; doubled for each further one.
const FIRST: u64 = 1 << 20;

/// Documents needed from an address.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The format of its files.
    pub corpus: &'a Corpus,
    /// The address.
    pub address: &'a str,
    /// Number of documents, from the first on.
    pub documents: usize,
}

impl Fetcher<'_> {
    /// Downloads and stores the first documents of an address.
    ///
    /// # Errors
    /// The server, the disk; a file whose documents cannot be read; fewer documents than wanted.
    pub fn beginning(&mut self, wanted: Wanted<'_>) -> Result<Beginning, FetchError> {
        let downloads = self.fetched.downloads.clone();
        let downloads = downloads.ok_or(FetchError::NoFolder {
            variable: "XDG_CACHE_HOME",
        })?;
        let mut texts = Vec::new();
        let mut parts = Vec::new();
        for (request, name) in self.requests(wanted.address)? {
            let missing = wanted.documents - texts.len();
            if missing == 0 {
                break;
            }
            let hashed = Sha256Hex::of(format!("beginning\n{name}").as_bytes());
            let part = downloads.join("parts").join(hashed.to_string());
            texts.extend(self.first(&request, &name, &part, wanted.corpus, missing)?);
            parts.push(part);
        }
        if texts.len() < wanted.documents {
            let reason = format!(
                "it has {} documents, and {} are needed",
                texts.len(),
                wanted.documents
            );
            return Err(wrong(wanted.address, reason));
        }
        let lines = texts
            .iter()
            .map(|text| json!({"text": text}).to_string() + "\n");
        let lines: String = lines.collect();
        let found = Beginning {
            documents: texts.len(),
            sha256: Sha256Hex::of(lines.as_bytes()),
        };
        let place = self
            .fetched
            .of_beginning(&found)
            .expect("a folder, as above");
        let whole = downloads
            .join("parts")
            .join(format!("{}.documents", found.sha256));
        std::fs::write(&whole, lines).map_err(|source| FetchError::Io {
            path: whole.clone(),
            source,
        })?;
        super::put(&whole, &place)?;
        for part in parts {
            let _ = std::fs::remove_file(part);
        }
        Ok(found)
    }

    /// The requests for the files of an address, in order, and their names.
    fn requests(&mut self, address: &str) -> Result<Vec<(Request, String)>, FetchError> {
        match HubPlace::of(address) {
            Some(place) => self.listed(&place, address),
            None => Ok(vec![(
                Request::new(Method::Get, address),
                address.to_owned(),
            )]),
        }
    }

    /// The first `missing` documents of one file, or all if it has fewer.
    fn first(
        &mut self,
        request: &Request,
        name: &str,
        part: &Path,
        corpus: &Corpus,
        missing: usize,
    ) -> Result<Vec<String>, FetchError> {
        let mut enough = FIRST;
        loop {
            let failed = |source| FetchError::Io {
                path: part.to_owned(),
                source,
            };
            let mut told = |bytes| (self.told)(name, bytes, None);
            let mut sink = Part::open(part, Some(enough), &mut told).map_err(failed)?;
            let is_whole = match sink.is_enough() {
                true => false,
                false => match self.client.download(request, &mut sink) {
                    Ok(()) => true,
                    Err(_) if sink.is_enough() => false,
                    Err(error) => return Err(error.into()),
                },
            };
            enough = enough.max(sink.bytes()) * 2;
            drop(sink);
            // The last document of an incomplete file may be truncated, so one more is needed.
            let needed = missing + usize::from(!is_whole);
            let (mut texts, failure) = documents(corpus, part, needed)?;
            if texts.len() == needed || is_whole {
                if let Some(error) = failure {
                    return Err(error.into());
                }
                texts.truncate(missing);
                return Ok(texts);
            }
        }
    }
}

/// The first documents of a file, at most `needed`, and the error that ended them early.
fn documents(
    corpus: &Corpus,
    path: &Path,
    needed: usize,
) -> Result<(Vec<String>, Option<DataError>), FetchError> {
    let mut texts = Vec::new();
    let opened = match corpus.get().read(path.to_owned(), None) {
        Ok(opened) => opened,
        Err(error) => return Ok((texts, Some(error))),
    };
    for document in opened.take(needed) {
        match document {
            Ok(Document::Text(text)) => texts.push(text),
            Ok(Document::Ids(_)) => {
                return Err(wrong(
                    &path.display().to_string(),
                    "it holds token ids, not text",
                ));
            }
            Err(error) => return Ok((texts, Some(error))),
        }
    }
    Ok((texts, None))
}
