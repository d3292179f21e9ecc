//! Reads the strings of one column, page by page.
//!
//! Memory holds a page, compressed and uncompressed, and the dictionary of a column chunk.

use super::encodings::{Dictionary, Runs, Values, length};
use super::schema::{self, Chunk};
use super::thrift::{Reader, Struct};
use super::{
    Fault, MAGIC, MAX_FOOTER, MAX_PAGE, MAX_VALUES, PLAIN, RLE, SNAPPY, UNCOMPRESSED, damaged,
    unread,
};
use flate2::bufread::MultiGzDecoder;
use std::io::{Read, Seek, SeekFrom};

/// Bytes to read for a page header, initially and at most.
const HEAD: [u64; 2] = [1 << 12, 4 << 20];
/// Maximum compression ratio of snappy, rounded up.
const SNAPPIEST: usize = 32;

/// The strings of a column, row group by row group.
pub(crate) struct Texts<F> {
    file: F,
    whole: u32,
    chunks: std::vec::IntoIter<Chunk>,
    open: Option<Open>,
}

/// A chunk being read.
struct Open {
    chunk: Chunk,
    dictionary: Dictionary,
    page: Page,
}

/// A page of values.
struct Page {
    bytes: Vec<u8>,
    left: usize,
    levels: Option<Runs>,
    values: Values,
}

impl<F: Read + Seek> Texts<F> {
    /// Opens the column `field` (`meta.text` is the field `text` in `meta`).
    ///
    /// # Errors
    /// A file that is not Parquet, is damaged, or lacks such a string column.
    pub(crate) fn open(mut file: F, field: &str) -> Result<Self, Fault> {
        let length = file.seek(SeekFrom::End(0))?;
        let tail: Vec<u8> = bytes(&mut file, length.saturating_sub(8), length)?;
        let head = bytes(&mut file, 0, length.min(4))?;
        if head != MAGIC {
            return unread("it does not begin like a Parquet file");
        }
        let is_whole = length >= 12 && tail.ends_with(MAGIC);
        if tail.ends_with(b"PARE") {
            return unread("it is encrypted");
        }
        if !is_whole {
            return damaged("it does not end like a Parquet file: it is truncated");
        }
        let size = self::length(&tail, 0)?;
        if size > MAX_FOOTER {
            return unread(format!("its metadata takes more than {MAX_FOOTER} bytes"));
        }
        let start = (length - 8).checked_sub(size as u64);
        let Some(start) = start else {
            return damaged("its metadata is longer than the file");
        };
        let column = schema::find(&bytes(&mut file, start, length - 8)?, field, length)?;
        Ok(Self {
            file,
            whole: column.whole,
            chunks: column.chunks.into_iter(),
            open: None,
        })
    }

    /// The next string or null; `None` at the end.
    ///
    /// # Errors
    /// A damaged file, or one with an unsupported feature.
    pub(crate) fn next(&mut self) -> Result<Option<Option<&[u8]>>, Fault> {
        if !self.advance()? {
            return Ok(None);
        }
        let Some(Open {
            dictionary, page, ..
        }) = &mut self.open
        else {
            return Ok(None);
        };
        page.left -= 1;
        if let Some(levels) = &mut page.levels {
            let level = levels.next(&page.bytes)?;
            if level > self.whole {
                return damaged("a definition level is too high");
            }
            if level < self.whole {
                return Ok(Some(None));
            }
        }
        page.values
            .next(&page.bytes, dictionary)
            .map(Some)
            .map(Some)
    }

    /// Advances to the next page with a value; `false` at the end.
    fn advance(&mut self) -> Result<bool, Fault> {
        loop {
            match &mut self.open {
                Some(open) if open.page.left > 0 => return Ok(true),
                Some(open) if open.chunk.values > 0 => open.page(&mut self.file, self.whole)?,
                _ => match self.chunks.next() {
                    None => return Ok(false),
                    Some(chunk) => self.open = Some(Open::new(chunk)),
                },
            }
        }
    }
}

/// Bytes `start..end` of the file, which must exist.
fn bytes(file: &mut (impl Read + Seek), start: u64, end: u64) -> Result<Vec<u8>, Fault> {
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; (end - start) as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Open {
    fn new(chunk: Chunk) -> Self {
        Self {
            chunk,
            dictionary: Dictionary::default(),
            page: Page {
                bytes: Vec::new(),
                left: 0,
                levels: None,
                values: Values::Plain { at: 0 },
            },
        }
    }

    /// Reads the next page: a dictionary, values, or one to skip.
    fn page(&mut self, file: &mut (impl Read + Seek), whole: u32) -> Result<(), Fault> {
        let Chunk { start, end, .. } = self.chunk;
        let mut look = HEAD[0];
        let head = loop {
            let head = bytes(file, start, end.min(start + look))?;
            let mut reader = Reader::new(&head);
            match reader.structure() {
                Ok(_) => break head,
                Err(Fault::Ends) if look < HEAD[1] && start + look < end => look *= 8,
                Err(other) => return Err(other),
            }
        };
        let mut reader = Reader::new(&head);
        let head = reader.structure()?;
        let start = start + reader.at as u64;
        let size = head.size(3, "the length of a page")?;
        let unpacked = head.size(2, "the length of a page")?;
        if size.max(unpacked) > MAX_PAGE {
            return unread(format!("a page is longer than {} MiB", MAX_PAGE >> 20));
        }
        if start + size as u64 > end {
            return damaged("a page reaches beyond its column");
        }
        let packed = bytes(file, start, start + size as u64)?;
        self.chunk.start = start + size as u64;
        if let Some(expected) = head.int(4) {
            let mut crc = flate2::Crc::new();
            crc.update(&packed);
            if crc.sum() != expected as u32 {
                return damaged("the checksum of a page differs");
            }
        }
        match head.int(1) {
            Some(0) => self.values(
                head.needed(5, "the head of a page")?,
                packed,
                unpacked,
                whole,
            ),
            Some(2) => {
                let of = head.needed(7, "the head of a dictionary")?;
                if !matches!(of.int(2), Some(PLAIN | 2)) {
                    return unread("its dictionary has an unsupported encoding");
                }
                let page = decompress(self.chunk.codec, &packed, unpacked)?;
                self.dictionary = Dictionary::new(page, values(of)?)?;
                Ok(())
            }
            Some(3) => self.values_2(
                head.needed(8, "the head of a page")?,
                &packed,
                unpacked,
                whole,
            ),
            _ => Ok(()),
        }
    }

    /// A page of version 1: levels and values compressed together.
    fn values(
        &mut self,
        head: &Struct<'_>,
        packed: Vec<u8>,
        unpacked: usize,
        whole: u32,
    ) -> Result<(), Fault> {
        let page = match self.chunk.codec {
            UNCOMPRESSED => packed,
            codec => decompress(codec, &packed, unpacked)?,
        };
        let (mut at, mut levels) = (0, None);
        if whole > 0 {
            if head.int(3) != Some(RLE) {
                return unread("its nulls have an unsupported encoding");
            }
            at = 4 + length(&page, 0)?;
            levels = Some(Runs::new(4, at, u32::BITS - whole.leading_zeros()));
        }
        self.fill(page, at, levels, head.int(2), values(head)?)
    }

    /// A page of version 2: levels first, never compressed.
    fn values_2(
        &mut self,
        head: &Struct<'_>,
        packed: &[u8],
        unpacked: usize,
        whole: u32,
    ) -> Result<(), Fault> {
        let (repeated, defined) = (head.size(6, "a length")?, head.size(5, "a length")?);
        let at = repeated.saturating_add(defined);
        let (Some(levels), Some(unpacked)) = (packed.get(..at), unpacked.checked_sub(at)) else {
            return Err(Fault::Ends);
        };
        let codec = match head.bool(7) {
            Some(false) => UNCOMPRESSED,
            _ => self.chunk.codec,
        };
        let rest = decompress(codec, &packed[at..], unpacked)?;
        let page = [levels, &rest].concat();
        let width = u32::BITS - whole.leading_zeros();
        let levels = (whole > 0).then(|| Runs::new(repeated, at, width));
        self.fill(page, at, levels, head.int(4), values(head)?)
    }

    fn fill(
        &mut self,
        bytes: Vec<u8>,
        at: usize,
        levels: Option<Runs>,
        encoding: Option<i64>,
        count: usize,
    ) -> Result<(), Fault> {
        let Some(left) = self.chunk.values.checked_sub(count as u64) else {
            return damaged("a column has more values than it counts");
        };
        self.chunk.values = left;
        let values = match count {
            0 => Values::Plain { at },
            _ => Values::new(&bytes, at, encoding.unwrap_or(-1))?,
        };
        self.page = Page {
            bytes,
            left: count,
            levels,
            values,
        };
        Ok(())
    }
}

/// The number of values in a page.
fn values(head: &Struct<'_>) -> Result<usize, Fault> {
    match head.size(1, "the count of values")? {
        count if count > MAX_VALUES => unread(format!("a page has more than {MAX_VALUES} values")),
        count => Ok(count),
    }
}

/// Decompresses `size` bytes; the allocation grows with the actual data.
fn decompress(codec: i64, packed: &[u8], size: usize) -> Result<Vec<u8>, Fault> {
    let mut unpacked = Vec::new();
    let failed = |error: &dyn std::fmt::Display| {
        Fault::Damaged(format!("a page cannot be decompressed: {error}"))
    };
    match codec {
        UNCOMPRESSED => unpacked.extend_from_slice(packed),
        SNAPPY => {
            let claimed = snap::raw::decompress_len(packed).map_err(|error| failed(&error))?;
            if claimed != size || claimed / SNAPPIEST > packed.len() {
                return damaged("a page's length differs from its header");
            }
            let found = snap::raw::Decoder::new().decompress_vec(packed);
            unpacked = found.map_err(|error| failed(&error))?;
        }
        2 => {
            let reader = MultiGzDecoder::new(packed);
            let read = reader.take(size as u64 + 1).read_to_end(&mut unpacked);
            read.map_err(|error| failed(&error))?;
        }
        6 => {
            let reader = ruzstd::decoding::StreamingDecoder::new(packed);
            let reader = reader.map_err(|error| failed(&error))?;
            let read = reader.take(size as u64 + 1).read_to_end(&mut unpacked);
            read.map_err(|error| failed(&error))?;
        }
        codec => {
            let known = [(3, "LZO"), (4, "brotli"), (5, "LZ4"), (7, "LZ4")];
            let name = known.iter().find(|(number, _)| *number == codec);
            let name = name.map_or("an unknown program", |(_, name)| name);
            return unread(format!(
                "it is compressed with {name}; snappy, gzip and zstd are read"
            ));
        }
    }
    match unpacked.len() == size {
        true => Ok(unpacked),
        false => damaged("a page's length differs from its header"),
    }
}
