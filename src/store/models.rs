//! Imported models, trained by other programs, as entries of the store.
//!
//! ```text
//! models-v1/5e/5e02…/   record.json model.safetensors tokenizer.json
//! ```
//!
//! The id is the sha256 of a domain and the compact JSON of [`ModelKey`]: the computation of the model, its
//! weights and its tokenizer, regardless of the original files. An entry is prepared elsewhere and appears by
//! one rename.

use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, JSON_LIMIT, RECORD, WEIGHTS};
use super::runs::Store;
use super::seal::{read_sealed, seal};
use super::weights::{read_arrays, write_arrays};
use crate::digest::Sha256Hex;
use crate::fsx::{AtomicFile, Owner};
use crate::plan::ModelKey;
use crate::record::FileEntry;
use crate::weights::Weights;
use crate::weights::file::TensorRef;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
const TOKENIZER: &str = "tokenizer.json";

/// `record.json` of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelRecord {
    /// Format number; [`Store::put_model`] sets it.
    pub format: u32,
    /// The id.
    pub id: Sha256Hex,
    /// A human-readable name.
    pub name: String,
    /// Its key.
    pub key: ModelKey,
    /// How its computation differs from that of the program that trained it.
    pub notes: Vec<String>,
    /// Its files.
    pub files: BTreeMap<String, FileEntry>,
}

impl Store {
    fn model_dir(&self, id: &Sha256Hex) -> PathBuf {
        let text = id.to_string();
        self.layout.models().join(&text[..2]).join(text)
    }

    /// Adds a model to the store; an existing one stays.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_model(
        &self,
        name: &str,
        key: &ModelKey,
        weights: &Weights,
        tokenizer: &[u8],
        notes: &[String],
    ) -> Result<ModelRecord, StoreError> {
        let id = key.id();
        let (dir, fs) = (self.model_dir(&id), self.fs());
        if let Some(record) = self.model(&id)? {
            // Its time is renewed, so no `store gc` removes it while it is being imported.
            let path = dir.join(RECORD);
            let bytes = fs.read(&path, JSON_LIMIT)?;
            match fs.overwrite(&path, &bytes).map_err(StoreError::from) {
                // A user with read-only access cannot clean up either.
                Err(error) if !error.is_read_only() => return Err(error),
                _ => return Ok(record),
            }
        }
        let work = dir.with_file_name(format!("{id}.work-{}", Owner::new().token));
        self.make_shard(dir.parent().unwrap_or(&dir))?;
        fs.create_dir_all(&work)?;
        let arrays: Vec<_> = weights
            .0
            .iter()
            .map(|tensor| TensorRef::of("", tensor))
            .collect();
        let mut file = AtomicFile::create(fs, &work.join(WEIGHTS))?;
        write_arrays(&mut file, &arrays)?;
        let (bytes, sha256) = file.finish()?;
        let mut files = BTreeMap::from([(WEIGHTS.to_owned(), FileEntry { bytes, sha256 })]);
        let mut file = AtomicFile::create(fs, &work.join(TOKENIZER))?;
        file.write(tokenizer)?;
        let (bytes, sha256) = file.finish()?;
        files.insert(TOKENIZER.to_owned(), FileEntry { bytes, sha256 });
        let record = ModelRecord {
            format: FORMAT,
            id,
            name: name.to_owned(),
            key: key.clone(),
            notes: notes.to_vec(),
            files,
        };
        fs.write_atomic(&work.join(RECORD), &seal("a model's record", &record)?)?;
        if !fs.rename_dir_new(&work, &dir)? {
            // Another process was faster, or the existing entry is damaged.
            if let Some(theirs) = self.model(&id)? {
                fs.remove_dir_all(&work)?;
                return Ok(theirs);
            }
            self.move_aside(&dir, &id.to_string(), "a model is damaged")?;
            fs.rename(&work, &dir)?;
        }
        Ok(record)
    }

    /// The record of a model; `None` if there is none, or (with a warning) if it is damaged.
    ///
    /// # Errors
    /// A file that cannot be read; a record of a newer version.
    pub fn model(&self, id: &Sha256Hex) -> Result<Option<ModelRecord>, StoreError> {
        let path = self.model_dir(id).join(RECORD);
        match self.read_model(&path) {
            Ok(Some(ModelRecord { id: other, .. })) if other != *id => {
                self.warn(format!("`{}` is of another model", path.display()));
                Ok(None)
            }
            Err(error) if error.is_damage() => {
                self.warn(error.chain());
                Ok(None)
            }
            other => other,
        }
    }

    pub(super) fn read_model(&self, path: &Path) -> Result<Option<ModelRecord>, StoreError> {
        read_sealed(self.fs(), path, JSON_LIMIT, "a model's record", FORMAT)
    }

    /// All models, by name.
    ///
    /// # Errors
    /// A folder that cannot be read.
    pub fn models(&self) -> Result<Vec<ModelRecord>, StoreError> {
        let root = self.layout.models();
        let mut models = Vec::new();
        let shards = self.entries(&root)?.into_iter();
        for shard in shards.filter(|entry| entry.is_dir()) {
            for entry in self.fs().list(&root.join(&shard.file_name))? {
                if let Some(id) = Sha256Hex::parse(&entry.name) {
                    models.extend(self.model(&id)?);
                }
            }
        }
        models.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        Ok(models)
    }

    /// The model with this name, id or unique prefix of an id; `None` if nothing matches.
    ///
    /// # Errors
    /// [`StoreError::Ambiguous`]; a folder that cannot be read.
    pub fn resolve_model(&self, text: &str) -> Result<Option<ModelRecord>, StoreError> {
        let is_prefix = text.len() >= 4;
        let matches = |model: &ModelRecord| {
            model.name == text || is_prefix && model.id.to_string().starts_with(text)
        };
        let mut found: Vec<ModelRecord> = self.models()?.into_iter().filter(matches).collect();
        if found.len() > 1 {
            return Err(StoreError::Ambiguous {
                text: text.to_owned(),
                count: found.len(),
                examples: found.iter().take(3).map(|model| model.id.short()).collect(),
            });
        }
        Ok(found.pop())
    }

    /// Whether weights and tokenizer can be read and match the record's key.
    pub(super) fn is_model(&self, record: &ModelRecord) -> bool {
        let weights = self.model_weights(record).map(|weights| weights.digest());
        let tokenizer = self.model_tokenizer(record);
        weights.is_ok_and(|weights| weights == record.key.weights)
            && tokenizer.is_ok_and(|bytes| Sha256Hex::of(&bytes) == record.key.tokenizer)
    }

    fn model_file(&self, record: &ModelRecord, name: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.model_dir(&record.id).join(name);
        let damaged = |reason: &str| StoreError::Damaged {
            path: path.clone(),
            reason: reason.to_owned(),
        };
        let entry = record
            .files
            .get(name)
            .ok_or_else(|| damaged("the record does not list it"))?;
        let bytes = self.fs().read(&path, ARRAYS_LIMIT.min(entry.bytes))?;
        if Sha256Hex::of(&bytes) != entry.sha256 {
            return Err(damaged("it does not have the digest of the record"));
        }
        Ok(bytes)
    }

    /// The weights of a model.
    ///
    /// # Errors
    /// [`StoreError::Damaged`], or files that cannot be read.
    pub fn model_weights(&self, record: &ModelRecord) -> Result<Weights, StoreError> {
        let bytes = self.model_file(record, WEIGHTS)?;
        let tensors = read_arrays(&bytes).map_err(|reason| StoreError::Damaged {
            path: self.model_dir(&record.id).join(WEIGHTS),
            reason,
        })?;
        Ok(Weights(tensors))
    }

    /// The `tokenizer.json` of a model.
    ///
    /// # Errors
    /// Those of [`Store::model_weights`].
    pub fn model_tokenizer(&self, record: &ModelRecord) -> Result<Vec<u8>, StoreError> {
        self.model_file(record, TOKENIZER)
    }
}
