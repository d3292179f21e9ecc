//! The parts of SentencePiece's `ModelProto` that are needed, read from Protocol Buffers.

use super::{Algorithm, Data, Kind};

/// One field of a message.
enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Float(f32),
}

/// Reads the fields of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }

    /// The next field and its number; an error if the message is damaged.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, String> {
        if self.0.is_empty() {
            return Ok(None);
        }
        self.field().map(Some).ok_or_else(|| {
            "not a usable SentencePiece model: it is damaged or another kind of file".to_owned()
        })
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => Value::Bytes(self.take(8)?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Float(f32::from_le_bytes(self.take(4)?.try_into().ok()?)),
            _ => return None,
        };
        Some((key >> 3, value))
    }
}

/// Parses a `.model` file.
pub(in crate::text::tokenizer) fn parse(bytes: &[u8]) -> Result<Data, String> {
    let mut data = Data {
        algorithm: Algorithm::Unigram,
        pieces: Vec::new(),
        byte_fallback: false,
        add_dummy_prefix: true,
        remove_extra_whitespaces: true,
        escape_whitespaces: true,
        treat_whitespace_as_suffix: false,
        rules: String::new(),
    };
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(piece)) => data.pieces.push(parse_piece(piece)?),
            (2, Value::Bytes(trainer)) => parse_trainer(trainer, &mut data)?,
            (3, Value::Bytes(normalizer)) => parse_normalizer(normalizer, &mut data)?,
            _ => {}
        }
    }
    if data.pieces.is_empty() {
        return Err("not a usable SentencePiece model: it has no pieces".to_owned());
    }
    Ok(data)
}

fn parse_piece(bytes: &[u8]) -> Result<(String, f32, Kind), String> {
    let (mut text, mut score, mut kind) = (String::new(), 0.0, Kind::Normal);
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (1, Value::Bytes(bytes)) => {
                text = String::from_utf8(bytes.to_vec())
                    .map_err(|_| "a piece is not UTF-8".to_owned())?;
            }
            (2, Value::Float(value)) => score = value,
            (3, Value::Number(value)) => {
                kind = match value {
                    1 => Kind::Normal,
                    2 => Kind::Unknown,
                    3 => Kind::Control,
                    4 => Kind::UserDefined,
                    5 => Kind::Unused,
                    6 => Kind::Byte,
                    other => return Err(format!("a piece has the unknown kind {other}")),
                };
            }
            _ => {}
        }
    }
    Ok((text, score, kind))
}

fn parse_trainer(bytes: &[u8], data: &mut Data) -> Result<(), String> {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (3, Value::Number(1)) => data.algorithm = Algorithm::Unigram,
            (3, Value::Number(2)) => data.algorithm = Algorithm::Bpe,
            (3, Value::Number(_)) => {
                return Err(
                    "it is a model of words or characters; BPE and unigram models are read"
                        .to_owned(),
                );
            }
            (24, Value::Number(value)) => data.treat_whitespace_as_suffix = value != 0,
            (35, Value::Number(value)) => data.byte_fallback = value != 0,
            _ => {}
        }
    }
    Ok(())
}

fn parse_normalizer(bytes: &[u8], data: &mut Data) -> Result<(), String> {
    let mut fields = Fields(bytes);
    while let Some((number, value)) = fields.next()? {
        match (number, value) {
            (2, Value::Bytes(rules)) => {
                data.rules = rules.iter().map(|byte| format!("{byte:02x}")).collect();
            }
            (3, Value::Number(value)) => data.add_dummy_prefix = value != 0,
            (4, Value::Number(value)) => data.remove_extra_whitespaces = value != 0,
            (5, Value::Number(value)) => data.escape_whitespaces = value != 0,
            _ => {}
        }
    }
    Ok(())
}
