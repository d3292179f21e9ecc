//! Event files that TensorBoard reads: one folder per run (`SPEC/RUN/`), scalars under the names of `metrics.jsonl`,
//! settings and results for its hyperparameter page, samples as texts.
//!
//! A file is a list of records: length (u64), masked CRC-32C of the length, a protocol-buffer `Event`, masked CRC-32C of the event; all
//! little-endian. Scalars are f32, as TensorBoard stores them. Times are seconds since the run began, not clock times.

use super::{TableFormat, Tracked, folder_name};
use crate::interop::{Folder, InteropError};
use crate::record::MetricPoint;
use serde_json::Value;
use std::io::{self, Write};

/// The name of every file; each run has its folder.
const FILE: &str = "events.out.tfevents.0.specbook";

/// The format.
pub struct TensorBoard;

impl TableFormat for TensorBoard {
    fn name(&self) -> &'static str {
        "tensorboard"
    }

    fn about(&self) -> &'static str {
        "Event files for TensorBoard (scalars, hyperparameters, samples), one folder per run."
    }

    fn files(&self, runs: &[Tracked]) -> Vec<String> {
        runs.iter().map(|run| path(&run.spec, &run.name)).collect()
    }

    fn write(&self, runs: &[Tracked], out: &mut Folder<'_>) -> Result<(), InteropError> {
        for run in runs {
            out.put(&path(&run.spec, &run.name), |out| {
                let mut events = Events::begin(out)?;
                events.settings(run)?;
                for (index, point) in run.points.iter().enumerate() {
                    events.point(point, run.seconds.get(index).copied().unwrap_or(0.0))?;
                }
                events.results(run)
            })?;
        }
        Ok(())
    }
}

/// Path of the event file of the run `name` of `spec`.
pub fn path(spec: &str, name: &str) -> String {
    format!("{}/{}/{FILE}", folder_name(spec), folder_name(name))
}

/// Writes events.
pub struct Events<W> {
    out: W,
}

impl<W: Write> Events<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn begin(out: W) -> io::Result<Self> {
        let mut events = Self { out };
        let mut event = Message::default();
        event.double(1, 0.0);
        event.bytes(3, b"brain.Event:2");
        events.record(&event.0)?;
        Ok(events)
    }

    /// The settings of a run, for the hyperparameter page.
    fn settings(&mut self, run: &Tracked) -> io::Result<()> {
        let mut start = Message::default();
        for (path, value) in &run.settings {
            let mut entry = Message::default();
            entry.bytes(1, path.as_bytes());
            let mut typed = Message::default();
            match value {
                Value::Number(number) => typed.double(2, number.as_f64().unwrap_or(0.0)),
                Value::Bool(truth) => typed.varint(4, u64::from(*truth)),
                other => typed.bytes(3, super::text(other).as_bytes()),
            }
            entry.bytes(2, &typed.0);
            start.bytes(1, &entry.0);
        }
        start.bytes(4, run.id.as_bytes());
        self.hparams("_hparams_/session_start_info", 3, &start.0)
    }

    /// The measured numbers of a step.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn point(&mut self, point: &MetricPoint, seconds: f64) -> io::Result<()> {
        let mut summary = Message::default();
        for series in MetricPoint::SERIES {
            if let Some(value) = point.value(series) {
                summary.bytes(1, &scalar(series, value).0);
            }
        }
        self.event(point.step, seconds, &summary)
    }

    /// Final metrics and samples.
    fn results(&mut self, run: &Tracked) -> io::Result<()> {
        let step = run.points.last().map_or(0, |point| point.step);
        let seconds = run.seconds.last().copied().unwrap_or(0.0);
        let mut summary = Message::default();
        for (name, value) in &run.metrics {
            summary.bytes(1, &scalar(&format!("final/{name}"), *value).0);
        }
        for (number, sample) in run.samples.iter().enumerate() {
            let text = format!("{}{}", sample.prompt, sample.continuation);
            summary.bytes(1, &text_value(&format!("samples/{number}"), &text).0);
        }
        self.event(step, seconds, &summary)?;
        let mut end = Message::default();
        // Status: success.
        end.varint(1, 1);
        end.double(2, seconds);
        self.hparams("_hparams_/session_end_info", 4, &end.0)
    }

    /// A message for the hyperparameter page, as field `field` of its data.
    fn hparams(&mut self, tag: &str, field: u64, message: &[u8]) -> io::Result<()> {
        let mut data = Message::default();
        data.bytes(field, message);
        let mut value = Message::default();
        value.bytes(1, tag.as_bytes());
        value.bytes(8, &tensor(1, &[]).0);
        value.bytes(9, &metadata("hparams", &data.0, 0).0);
        let mut summary = Message::default();
        summary.bytes(1, &value.0);
        self.event(0, 0.0, &summary)
    }

    fn event(&mut self, step: u64, seconds: f64, summary: &Message) -> io::Result<()> {
        let mut event = Message::default();
        event.double(1, seconds);
        event.varint(2, step);
        event.bytes(5, &summary.0);
        self.record(&event.0)
    }

    fn record(&mut self, event: &[u8]) -> io::Result<()> {
        let length = (event.len() as u64).to_le_bytes();
        let mut record = length.to_vec();
        record.extend(masked_crc(&length).to_le_bytes());
        record.extend(event);
        record.extend(masked_crc(event).to_le_bytes());
        self.out.write_all(&record)
    }

    /// Flushes to the file.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn scalar(tag: &str, value: f64) -> Message {
    let mut message = Message::default();
    message.bytes(1, tag.as_bytes());
    message.float(2, value as f32);
    message.bytes(9, &metadata("scalars", &[], 1).0);
    message
}

fn text_value(tag: &str, text: &str) -> Message {
    // Texts are rendered as Markdown; an indented block is shown verbatim.
    let block: Vec<String> = text.lines().map(|line| format!("    {line}")).collect();
    let mut tensor = tensor(7, &[1]);
    tensor.bytes(8, block.join("\n").as_bytes());
    let mut message = Message::default();
    message.bytes(1, tag.as_bytes());
    message.bytes(8, &tensor.0);
    message.bytes(9, &metadata("text", &[], 2).0);
    message
}

/// Metadata of the plugin `name`; class 1 is scalars, 2 is tensors.
fn metadata(name: &str, content: &[u8], class: u64) -> Message {
    let mut plugin = Message::default();
    plugin.bytes(1, name.as_bytes());
    if !content.is_empty() {
        plugin.bytes(2, content);
    }
    let mut message = Message::default();
    message.bytes(1, &plugin.0);
    if class > 0 {
        message.varint(4, class);
    }
    message
}

/// A tensor without values, of this type and size.
fn tensor(dtype: u64, sizes: &[u64]) -> Message {
    let mut shape = Message::default();
    for size in sizes {
        let mut dimension = Message::default();
        dimension.varint(1, *size);
        shape.bytes(2, &dimension.0);
    }
    let mut message = Message::default();
    message.varint(1, dtype);
    message.bytes(2, &shape.0);
    if dtype == 1 {
        message.bytes(5, &0.0f32.to_le_bytes());
    }
    message
}

/// A protocol-buffer message being built.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, kind: u64) {
        self.number(field << 3 | kind);
    }

    fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.number(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.number(bytes.len() as u64);
        self.0.extend(bytes);
    }
}

/// The CRC-32C (Castagnoli) of `bytes`, rotated and offset as required by the format.
fn masked_crc(bytes: &[u8]) -> u32 {
    let mut crc = !0u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0x82F6_3B78
            } else {
                crc >> 1
            };
        }
    }
    (!crc).rotate_right(15).wrapping_add(0xA282_EAD8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_castagnolis() {
        // The check value of CRC-32C is 0xE3069283.
        let unmasked = masked_crc(b"123456789")
            .wrapping_sub(0xA282_EAD8)
            .rotate_left(15);
        assert_eq!(unmasked, 0xE306_9283);
    }
}
