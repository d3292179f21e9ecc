//! Writes tables as Parquet files: one page per column and row group, plain encoding, snappy.

use super::thrift::Out;
use super::{BYTE_ARRAY, MAGIC, PLAIN, RLE, SNAPPY};
use std::io::{self, Write};

/// Type of a column; every cell may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Booleans.
    Booleans,
    /// 64-bit integers.
    Integers,
    /// 64-bit floating-point numbers.
    Numbers,
    /// Strings.
    Texts,
}

impl Kind {
    fn number(self) -> i64 {
        match self {
            Self::Booleans => 0,
            Self::Integers => 2,
            Self::Numbers => 5,
            Self::Texts => BYTE_ARRAY,
        }
    }
}

/// The cells of a column in a row group.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    values: Vec<u8>,
    /// Number of booleans in `values`, eight per byte.
    bits: usize,
    levels: Vec<u8>,
    run: (bool, u64),
    count: usize,
}

impl Cells {
    fn is_there(&mut self, there: bool) -> bool {
        self.count += 1;
        if self.run.0 != there {
            self.end_run();
            self.run.0 = there;
        }
        self.run.1 += 1;
        there
    }

    /// Writes a run of equal levels: twice its length, and the level.
    fn end_run(&mut self) {
        if self.run.1 > 0 {
            let mut head = self.run.1 << 1;
            while head >= 0x80 {
                self.levels.push(head as u8 | 0x80);
                head >>= 7;
            }
            self.levels.extend([head as u8, u8::from(self.run.0)]);
            self.run.1 = 0;
        }
    }

    /// Adds a boolean.
    pub(crate) fn boolean(&mut self, value: Option<bool>) {
        if self.is_there(value.is_some()) {
            let bit = u8::from(value.unwrap_or_default()) << (self.bits % 8);
            match self
                .values
                .last_mut()
                .filter(|_| !self.bits.is_multiple_of(8))
            {
                Some(last) => *last |= bit,
                None => self.values.push(bit),
            }
            self.bits += 1;
        }
    }

    /// Adds an integer.
    pub(crate) fn integer(&mut self, value: Option<i64>) {
        if self.is_there(value.is_some()) {
            self.values.extend(value.unwrap_or_default().to_le_bytes());
        }
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, value: Option<f64>) {
        if self.is_there(value.is_some()) {
            self.values.extend(value.unwrap_or_default().to_le_bytes());
        }
    }

    /// Adds a string.
    pub(crate) fn text(&mut self, value: Option<&str>) {
        if self.is_there(value.is_some()) {
            let text = value.unwrap_or_default();
            self.values.extend((text.len() as u32).to_le_bytes());
            self.values.extend_from_slice(text.as_bytes());
        }
    }
}

/// Location of a column chunk.
struct Place {
    start: u64,
    bytes: u64,
    unpacked: u64,
    values: usize,
}

/// Writes a file, row group by row group.
pub(crate) struct Writer<'a> {
    out: &'a mut dyn Write,
    at: u64,
    columns: Vec<(String, Kind)>,
    groups: Vec<(usize, Vec<Place>)>,
}

impl<'a> Writer<'a> {
    /// Begins a file with these columns.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn new(out: &'a mut dyn Write, columns: Vec<(String, Kind)>) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        Ok(Self {
            out,
            at: 4,
            columns,
            groups: Vec::new(),
        })
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.at += bytes.len() as u64;
        self.out.write_all(bytes)
    }

    /// Writes a row group with the same number of cells in each column.
    ///
    /// # Errors
    /// A full disk; 2 GiB or more in one column.
    pub(crate) fn group(&mut self, columns: Vec<Cells>) -> io::Result<()> {
        let rows = columns.first().map_or(0, |cells| cells.count);
        if rows == 0 {
            return Ok(());
        }
        let mut places = Vec::new();
        for mut cells in columns {
            cells.end_run();
            let mut page = (cells.levels.len() as u32).to_le_bytes().to_vec();
            page.append(&mut cells.levels);
            page.append(&mut cells.values);
            let packed = snap::raw::Encoder::new().compress_vec(&page);
            let packed = packed.map_err(io::Error::other)?;
            let head = Out::whole(|out| {
                out.int(1, 0);
                out.int(2, page.len() as i64);
                out.int(3, packed.len() as i64);
                out.structure(5, |out| {
                    out.int(1, rows as i64);
                    out.int(2, PLAIN);
                    out.int(3, RLE);
                    out.int(4, RLE);
                });
            });
            places.push(Place {
                start: self.at,
                bytes: (head.len() + packed.len()) as u64,
                unpacked: (head.len() + page.len()) as u64,
                values: rows,
            });
            self.put(&head)?;
            self.put(&packed)?;
        }
        self.groups.push((rows, places));
        Ok(())
    }

    /// Writes the metadata at the end.
    ///
    /// # Errors
    /// A full disk.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let rows: usize = self.groups.iter().map(|(rows, _)| rows).sum();
        let columns = &self.columns;
        let root = [None].into_iter();
        let fields: Vec<_> = root.chain(columns.iter().map(Some)).collect();
        let description = Out::whole(|out| {
            out.int(1, 1);
            out.structures(2, &fields, |out, field| match field {
                None => {
                    out.text(4, "schema");
                    out.int(5, columns.len() as i64);
                }
                Some((name, kind)) => {
                    out.int(1, kind.number());
                    out.int(3, 1);
                    out.text(4, name);
                    if *kind == Kind::Texts {
                        out.int(6, 0);
                        // The logical type: the first kind, a string.
                        out.structure(10, |out| out.structure(1, |_| ()));
                    }
                }
            });
            out.long(3, rows as u64);
            out.structures(4, &self.groups, |out, (rows, places)| {
                let named: Vec<_> = columns.iter().zip(places).collect();
                out.structures(1, &named, |out, ((name, kind), place)| {
                    out.long(2, place.start);
                    out.structure(3, |out| {
                        out.int(1, kind.number());
                        out.ints(2, &[PLAIN, RLE]);
                        out.texts(3, &[name]);
                        out.int(4, SNAPPY);
                        out.long(5, place.values as u64);
                        out.long(6, place.unpacked);
                        out.long(7, place.bytes);
                        out.long(9, place.start);
                    });
                });
                out.long(2, places.iter().map(|place| place.unpacked).sum());
                out.long(3, *rows as u64);
            });
            out.text(6, concat!("specbook version ", env!("CARGO_PKG_VERSION")));
        });
        self.put(&description)?;
        self.put(&(description.len() as u32).to_le_bytes())?;
        self.put(MAGIC)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight per byte, the first in the lowest bit, without missing ones; `scripts/interop.py` reads such files with
    /// pyarrow.
    #[test]
    fn booleans_are_bits() {
        let mut cells = Cells::default();
        for value in [Some(true), None, Some(false), Some(true)]
            .into_iter()
            .cycle()
            .take(12)
        {
            cells.boolean(value);
        }
        assert_eq!(cells.values, [0b0110_1101, 1]);
    }
}
