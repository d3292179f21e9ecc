//! What can be made again at any time: speeds of this machine, and tokenised corpora.

use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, JSON_LIMIT};
use super::runs::Store;
use super::seal::{read_sealed, seal};
use crate::digest::Sha256Hex;
use crate::fsx::AtomicFile;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CALIBRATION_FORMAT: u32 = 1;
const TOKENS_MAGIC: &[u8; 8] = b"SPBKTOK1";

/// `calibration.json`: how fast machines train, by what computed it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Format number.
    pub format: u32,
    /// Speeds by [`Calibration::key`].
    pub entries: BTreeMap<String, CalibrationEntry>,
}

/// Speed of one engine on one kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationEntry {
    /// Floating-point operations per second of training, a moving mean.
    pub flops_per_second: f64,
    /// Runs that it rests on.
    pub runs: u64,
}

impl Calibration {
    /// The key of an engine with `threads` threads: `cpu-fused/x86_64+avx512/f32/2`.
    pub fn key(numerics: &crate::record::Numerics, threads: usize) -> String {
        format!(
            "{}/{}/{}/{threads}",
            numerics.engine, numerics.isa, numerics.dtype
        )
    }

    /// Adds a measurement; newer ones count more.
    pub fn add(&mut self, key: String, flops: f64, seconds: f64) {
        let speed = flops / seconds;
        if !(speed.is_finite() && speed > 0.0) {
            return;
        }
        let entry = self.entries.entry(key).or_insert(CalibrationEntry {
            flops_per_second: speed,
            runs: 0,
        });
        entry.runs += 1;
        let weight = 1.0 / entry.runs.min(4) as f64;
        entry.flops_per_second += (speed - entry.flops_per_second) * weight;
    }

    /// Seconds that `flops` will take; `None` without a measurement.
    pub fn seconds(&self, key: &str, flops: f64) -> Option<f64> {
        self.entries
            .get(key)
            .map(|entry| flops / entry.flops_per_second)
    }
}

impl Store {
    /// The calibration; empty where there is none, or none that can be read.
    pub fn calibration(&self) -> Calibration {
        let path = self.layout.calibration();
        let read = read_sealed::<Calibration>(
            self.fs(),
            &path,
            JSON_LIMIT,
            "a calibration",
            CALIBRATION_FORMAT,
        );
        let mut calibration = match read {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                self.warn(format!("{}; it is ignored", error.chain()));
                Calibration::default()
            }
        };
        calibration.format = CALIBRATION_FORMAT;
        let sound = |entry: &CalibrationEntry| {
            entry.flops_per_second > 0.0 && entry.flops_per_second < 1e30
        };
        calibration.entries.retain(|_, entry| sound(entry));
        calibration
    }

    /// Replaces the calibration.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_calibration(&self, calibration: &Calibration) -> Result<(), StoreError> {
        self.fs.create_dir_all(self.root())?;
        let bytes = seal("a calibration", calibration)?;
        Ok(self.fs.write_atomic(&self.layout.calibration(), &bytes)?)
    }

    /// Cached bytes (a tokenised corpus, a trained tokenizer) by identity; a damaged file is removed, with a warning.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn tokens(&self, id: &Sha256Hex) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.layout.tokens().join(id.to_string());
        let mut bytes = match self.fs.read(&path, ARRAYS_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        if !tokens_are_sound(&bytes) {
            self.warn(format!("`{}` is damaged; it is made anew", path.display()));
            self.fs.remove_file(&path)?;
            return Ok(None);
        }
        bytes.drain(..40);
        Ok(Some(bytes))
    }

    /// Caches bytes by identity.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_tokens(&self, id: &Sha256Hex, bytes: &[u8]) -> Result<(), StoreError> {
        let dir = self.layout.tokens();
        self.fs.create_dir_all(&dir)?;
        let mut file = AtomicFile::create(self.fs(), &dir.join(id.to_string()))?;
        file.write(TOKENS_MAGIC)?;
        file.write(&digest_bytes(bytes))?;
        file.write(bytes)?;
        file.finish()?;
        Ok(())
    }
}

/// Magic number, 32 bytes of digest, contents.
pub(crate) fn tokens_are_sound(bytes: &[u8]) -> bool {
    bytes.len() >= 40 && &bytes[..8] == TOKENS_MAGIC && bytes[8..40] == digest_bytes(&bytes[40..])
}

fn digest_bytes(bytes: &[u8]) -> [u8; 32] {
    let text = Sha256Hex::of(bytes).to_string();
    let mut raw = [0; 32];
    for (byte, pair) in raw.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) * 16 + digit(pair[1]);
    }
    raw
}
