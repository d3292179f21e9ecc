//! Decompresses a zstd file: all frames except skippable ones, with verified checksums and a bounded window.

use super::MAX_WINDOW;
use super::input::CompressionFailure;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{self, BufRead, Read};

/// Decompresses on demand, one block (at most 128 KiB) at a time.
pub(super) struct ZstReader<R> {
    source: R,
    decoder: FrameDecoder,
    in_frame: bool,
    decoded: u64,
}

impl<R: BufRead> ZstReader<R> {
    pub(super) fn new(source: R) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        Self {
            source,
            decoder,
            in_frame: false,
            decoded: 0,
        }
    }

    /// Starts the next frame; `false` at the end of the file.
    fn next_frame(&mut self) -> io::Result<bool> {
        while !self.source.fill_buf()?.is_empty() {
            match self.decoder.init(&mut self.source) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = u64::from(length);
                    let skipped =
                        io::copy(&mut self.source.by_ref().take(length), &mut io::sink())?;
                    if skipped < length {
                        return Err(self.failure("a skippable frame is cut off".to_owned()));
                    }
                }
                Err(FrameDecoderError::WindowSizeTooBig { requested, max }) => {
                    let mib = requested.div_ceil(1 << 20);
                    let reason = format!(
                        "it needs a window of {mib} MiB, and at most {} MiB is read; compress it again with `--long=31` or less",
                        max >> 20
                    );
                    return Err(self.problem(reason, true));
                }
                Err(error) => return Err(self.failure(error.to_string())),
            }
        }
        Ok(false)
    }

    fn end_frame(&mut self) -> io::Result<()> {
        let (stored, computed) = (
            self.decoder.get_checksum_from_data(),
            self.decoder.get_calculated_checksum(),
        );
        if stored.is_some() && stored != computed {
            return Err(self.failure("the checksum of a frame differs".to_owned()));
        }
        self.in_frame = false;
        Ok(())
    }

    fn failure(&mut self, reason: String) -> io::Error {
        self.problem(reason, false)
    }

    fn problem(&mut self, reason: String, sound: bool) -> io::Error {
        let truncated = self.source.fill_buf().is_ok_and(<[u8]>::is_empty);
        io::Error::other(CompressionFailure {
            format: "zstd",
            truncated,
            decoded: self.decoded,
            reason,
            sound,
        })
    }
}

impl<R: BufRead> Read for ZstReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if !self.in_frame {
                if !self.next_frame()? {
                    return Ok(0);
                }
                self.in_frame = true;
            }
            while self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                if let Err(error) = self
                    .decoder
                    .decode_blocks(&mut self.source, BlockDecodingStrategy::UptoBlocks(1))
                {
                    return Err(self.failure(error.to_string()));
                }
            }
            let read = self.decoder.read(buffer)?;
            self.decoded += read as u64;
            if read > 0 {
                return Ok(read);
            }
            self.end_frame()?;
        }
    }
}
