//! Data that can be regenerated at any time: this machine's speeds, and tokenizers.

use super::error::StoreError;
use super::layout::{ARRAYS_LIMIT, JSON_LIMIT};
use super::runs::Store;
use super::seal::{read_sealed, seal};
use crate::digest::Sha256Hex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const CALIBRATION_FORMAT: u32 = 1;
const TOKENIZER_MAGIC: &[u8] = b"SPBKTOK1";

/// `calibration.json`: training speeds of machines, by what computed.
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
    /// Number of runs in the mean.
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

    /// Adds a measurement; newer ones have more weight.
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

    /// The same for `threads` threads, extrapolated from a measurement with another number: fewer threads are
    /// proportionally slower, more are no faster.
    pub fn seconds_with(
        &self,
        numerics: &crate::record::Numerics,
        threads: usize,
        flops: f64,
    ) -> Option<f64> {
        let speed = |measured: usize| {
            let entry = self.entries.get(&Self::key(numerics, measured))?;
            let share = (threads as f64 / measured as f64).min(1.0);
            Some(entry.flops_per_second * share)
        };
        let prefix = Self::key(numerics, 0);
        let prefix = prefix.trim_end_matches('0');
        let measured = self
            .entries
            .keys()
            .filter_map(|key| key.strip_prefix(prefix));
        let measured: Vec<usize> = measured.filter_map(|text| text.parse().ok()).collect();
        let nearest = measured.iter().min_by_key(|other| other.abs_diff(threads));
        let speed = speed(threads).or_else(|| speed(*nearest?))?;
        Some(flops / speed)
    }
}

impl Store {
    /// The calibration; empty if it is absent or unreadable.
    pub fn calibration(&self) -> Calibration {
        let path = self.layout.calibration();
        let mut calibration = match self.read_calibration() {
            Ok(found) => found.unwrap_or_default(),
            Err(error) => {
                self.warn(format!("{}; it is made again", error.chain()));
                // Removed so that the warning appears only once; a read-only store can still be read.
                if error.is_damage() {
                    let _ = self.fs.remove_dir_all(&path);
                }
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

    pub(super) fn read_calibration(&self) -> Result<Option<Calibration>, StoreError> {
        read_sealed(
            self.fs(),
            &self.layout.calibration(),
            JSON_LIMIT,
            "a calibration",
            CALIBRATION_FORMAT,
        )
    }

    /// Adds measurements: key, operations and seconds. If they cannot be stored, a warning is issued.
    pub fn calibrate(&self, measured: impl IntoIterator<Item = (String, f64, f64)>) {
        let mut measured = measured.into_iter().peekable();
        if measured.peek().is_none() {
            return;
        }
        let mut calibration = self.calibration();
        for (key, flops, seconds) in measured {
            calibration.add(key, flops, seconds);
        }
        if let Err(error) = self.put_calibration(&calibration) {
            self.warn(format!("how long runs take is not kept: {}", error.chain()));
        }
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

    /// The tokenizer with this digest. A file that is damaged or has other contents is removed, if possible,
    /// with a warning.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn tokenizer(&self, id: &Sha256Hex) -> Result<Option<Vec<u8>>, StoreError> {
        let path = self.layout.tokens().join(id.to_string());
        let mut bytes = match self.fs.read(&path, ARRAYS_LIMIT) {
            Ok(bytes) => bytes,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) if error.is_damage() => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        if !is_tokenizer(&bytes, id) {
            self.warn(format!("`{}` is damaged; it is made again", path.display()));
            // A read-only store can still be read.
            let _ = self.fs.remove_dir_all(&path);
            return Ok(None);
        }
        bytes.drain(..40);
        Ok(Some(bytes))
    }

    /// Stores a tokenizer under its digest.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn put_tokenizer(&self, bytes: &[u8]) -> Result<(), StoreError> {
        let dir = self.layout.tokens();
        self.fs.create_dir_all(&dir)?;
        let id = Sha256Hex::of(bytes);
        let whole = [TOKENIZER_MAGIC, &digest_bytes(&id)[..], bytes].concat();
        Ok(self.fs.write_atomic(&dir.join(id.to_string()), &whole)?)
    }
}

/// Whether a file is the tokenizer with this digest: magic number, 32 bytes of digest, contents.
pub(crate) fn is_tokenizer(bytes: &[u8], id: &Sha256Hex) -> bool {
    bytes.len() >= 40
        && &bytes[..8] == TOKENIZER_MAGIC
        && bytes[8..40] == digest_bytes(id)
        && Sha256Hex::of(&bytes[40..]) == *id
}

fn digest_bytes(digest: &Sha256Hex) -> [u8; 32] {
    let text = digest.to_string();
    let mut raw = [0; 32];
    for (byte, pair) in raw.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).unwrap_or(0) as u8;
        *byte = digit(pair[0]) * 16 + digit(pair[1]);
    }
    raw
}
