//! Thrift's compact protocol, used by Parquet's metadata: structures as lists of numbered fields.

use super::{Fault, damaged};

/// Maximum nesting of structures and lists.
const DEEPEST: usize = 24;

/// A value. Floating-point numbers are skipped.
#[derive(Debug)]
pub(super) enum Value<'a> {
    Bool(bool),
    Int(i64),
    Double,
    Bytes(&'a [u8]),
    List(Vec<Self>),
    Struct(Struct<'a>),
}

/// Fields by number.
#[derive(Debug)]
pub(super) struct Struct<'a>(Vec<(i16, Value<'a>)>);

impl<'a> Struct<'a> {
    fn get(&self, field: i16) -> Option<&Value<'a>> {
        let found = self.0.iter().find(|(id, _)| *id == field);
        found.map(|(_, value)| value)
    }

    /// An integer, if present.
    pub(super) fn int(&self, field: i16) -> Option<i64> {
        match self.get(field) {
            Some(Value::Int(value)) => Some(*value),
            _ => None,
        }
    }

    /// A non-negative integer.
    pub(super) fn size(&self, field: i16, of: &str) -> Result<usize, Fault> {
        let value = self.int(field).and_then(|size| usize::try_from(size).ok());
        value.map_or_else(|| damaged(format!("{of} is missing or negative")), Ok)
    }

    /// A boolean, if present.
    pub(super) fn bool(&self, field: i16) -> Option<bool> {
        match self.get(field) {
            Some(Value::Bool(value)) => Some(*value),
            _ => None,
        }
    }

    /// A string; empty if missing.
    pub(super) fn text(&self, field: i16) -> String {
        match self.get(field) {
            Some(Value::Bytes(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
            _ => String::new(),
        }
    }

    /// A structure, if present.
    pub(super) fn structure(&self, field: i16) -> Option<&Self> {
        match self.get(field) {
            Some(Value::Struct(found)) => Some(found),
            _ => None,
        }
    }

    /// A required structure.
    pub(super) fn needed(&self, field: i16, what: &str) -> Result<&Self, Fault> {
        let found = self.structure(field);
        found.map_or_else(|| damaged(format!("{what} is missing")), Ok)
    }

    /// The structures of a list; empty if it is missing.
    pub(super) fn structures(&self, field: i16) -> impl Iterator<Item = &Self> {
        self.list(field).iter().filter_map(|value| match value {
            Value::Struct(found) => Some(found),
            _ => None,
        })
    }

    /// The strings of a list, joined by dots.
    pub(super) fn dotted(&self, field: i16) -> String {
        let parts = self.list(field).iter().filter_map(|value| match value {
            Value::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            _ => None,
        });
        parts.collect::<Vec<_>>().join(".")
    }

    fn list(&self, field: i16) -> &[Value<'a>] {
        match self.get(field) {
            Some(Value::List(values)) => values,
            _ => &[],
        }
    }
}

/// Reads values from bytes.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    /// The next byte.
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], Fault> {
        let rest = &self.bytes[self.at..];
        let count = usize::try_from(count).map_err(|_| Fault::Ends)?;
        let taken = rest.get(..count).ok_or(Fault::Ends)?;
        self.at += count;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64, Fault> {
        let (value, length) = varint(&self.bytes[self.at..])?;
        self.at += length;
        Ok(value)
    }

    /// A structure.
    pub(super) fn structure(&mut self) -> Result<Struct<'a>, Fault> {
        self.fields(0)
    }

    fn fields(&mut self, depth: usize) -> Result<Struct<'a>, Fault> {
        let mut fields = Vec::new();
        let mut last: i16 = 0;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(Struct(fields));
            }
            last = match i16::from(head >> 4) {
                0 => zigzag(self.varint()?) as i16,
                step => last.wrapping_add(step),
            };
            let value = match head & 15 {
                kind @ (1 | 2) => Value::Bool(kind == 1),
                kind => self.value(kind, depth)?,
            };
            fields.push((last, value));
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<Value<'a>, Fault> {
        if depth > DEEPEST {
            return damaged("its metadata is nested too deeply");
        }
        Ok(match kind {
            1 | 2 => Value::Bool(self.byte()? == 1),
            3 => Value::Int(i64::from(self.byte()? as i8)),
            4..=6 => Value::Int(zigzag(self.varint()?)),
            7 => {
                self.take(8)?;
                Value::Double
            }
            8 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = match head >> 4 {
                    15 => self.varint()?,
                    count => u64::from(count),
                };
                // Each value takes at least one byte, so a false count ends with the bytes.
                let values = (0..count).map(|_| self.value(head & 15, depth + 1));
                Value::List(values.collect::<Result<_, _>>()?)
            }
            12 => Value::Struct(self.fields(depth + 1)?),
            kind => return damaged(format!("its metadata has a value of the kind {kind}")),
        })
    }
}

/// A number with seven bits per byte, and its length.
pub(super) fn varint(bytes: &[u8]) -> Result<(u64, usize), Fault> {
    let mut value = 0;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Ok((value, at + 1));
        }
    }
    match bytes.len() {
        0..10 => Err(Fault::Ends),
        _ => damaged("a number has more than 64 bits"),
    }
}

/// The signed number encoded as `value`: 0, -1, 1, -2, …
pub(super) fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Writes structures.
#[derive(Default)]
pub(super) struct Out {
    /// The output.
    pub(super) bytes: Vec<u8>,
    last: Vec<i16>,
}

impl Out {
    /// A top-level structure.
    pub(super) fn whole(fields: impl FnOnce(&mut Self)) -> Vec<u8> {
        let mut out = Self::default();
        out.element(fields);
        out.bytes
    }

    fn head(&mut self, field: i16, kind: u8) {
        let last = self.last.last_mut().expect("a field is inside a structure");
        // Fields are written in order, and no gap in Parquet reaches 16.
        let step = (field - *last) as u8;
        *last = field;
        self.bytes.push(step << 4 | kind);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn signed(&mut self, value: i64) {
        self.varint((value << 1 ^ value >> 63) as u64);
    }

    /// A 32-bit number.
    pub(super) fn int(&mut self, field: i16, value: i64) {
        self.head(field, 5);
        self.signed(value);
    }

    /// A 64-bit number.
    pub(super) fn long(&mut self, field: i16, value: u64) {
        self.head(field, 6);
        self.signed(value as i64);
    }

    /// A string.
    pub(super) fn text(&mut self, field: i16, text: &str) {
        self.head(field, 8);
        self.blob(text);
    }

    fn blob(&mut self, text: &str) {
        self.varint(text.len() as u64);
        self.bytes.extend_from_slice(text.as_bytes());
    }

    /// A structure.
    pub(super) fn structure(&mut self, field: i16, fields: impl FnOnce(&mut Self)) {
        self.head(field, 12);
        self.element(fields);
    }

    fn element(&mut self, fields: impl FnOnce(&mut Self)) {
        self.last.push(0);
        fields(self);
        self.last.pop();
        self.bytes.push(0);
    }

    fn list(&mut self, field: i16, kind: u8, count: usize) {
        self.head(field, 9);
        match count {
            0..15 => self.bytes.push((count as u8) << 4 | kind),
            _ => {
                self.bytes.push(0xF0 | kind);
                self.varint(count as u64);
            }
        }
    }

    /// A list of numbers.
    pub(super) fn ints(&mut self, field: i16, values: &[i64]) {
        self.list(field, 5, values.len());
        values.iter().for_each(|value| self.signed(*value));
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, field: i16, values: &[&str]) {
        self.list(field, 8, values.len());
        values.iter().for_each(|value| self.blob(value));
    }

    /// A list of structures.
    pub(super) fn structures<T>(
        &mut self,
        field: i16,
        items: &[T],
        mut fields: impl FnMut(&mut Self, &T),
    ) {
        self.list(field, 12, items.len());
        for item in items {
            self.element(|out| fields(out, item));
        }
    }
}
