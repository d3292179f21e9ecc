//! Encodings of values in a page.

use super::thrift::{varint, zigzag};
use super::{Fault, MAX_VALUES, PLAIN, damaged, unread};

/// Bytes `from..from + length` of a page.
fn part(page: &[u8], from: usize, length: usize) -> Result<&[u8], Fault> {
    let end = from.checked_add(length).ok_or(Fault::Ends)?;
    page.get(from..end).ok_or(Fault::Ends)
}

/// A length of four bytes.
pub(super) fn length(page: &[u8], at: usize) -> Result<usize, Fault> {
    let bytes = part(page, at, 4)?;
    let bytes: [u8; 4] = bytes.try_into().map_err(|_| Fault::Ends)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

/// Number `index` of the `width`-bit numbers packed in `bytes`, lowest bits first.
fn packed(bytes: &[u8], index: u64, width: u32) -> Option<u64> {
    let first = index.checked_mul(u64::from(width))?;
    let mut value = 0;
    let mut have = 0;
    while have < width {
        let bit = first + u64::from(have);
        let byte = *bytes.get(usize::try_from(bit / 8).ok()?)?;
        let skip = (bit % 8) as u32;
        value |= u64::from(byte >> skip) << have;
        have += 8 - skip;
    }
    Some(match width {
        64 => value,
        _ => value & ((1 << width) - 1),
    })
}

/// The hybrid of run-length encoding and bit-packing: a repeated number, or packed groups of eight.
#[derive(Debug)]
pub(super) struct Runs {
    at: usize,
    end: usize,
    width: u32,
    left: u64,
    run: Run,
}

#[derive(Debug)]
enum Run {
    Same(u32),
    Packed { from: usize, next: u64 },
}

impl Runs {
    /// Numbers with `width` bits in bytes `at..end` of a page.
    pub(super) fn new(at: usize, end: usize, width: u32) -> Self {
        Self {
            at,
            end,
            width,
            left: 0,
            run: Run::Same(0),
        }
    }

    /// The next number.
    pub(super) fn next(&mut self, page: &[u8]) -> Result<u32, Fault> {
        let page = page.get(..self.end).ok_or(Fault::Ends)?;
        while self.left == 0 {
            let (head, length) = varint(page.get(self.at..).unwrap_or_default())?;
            self.at += length;
            self.left = head >> 1;
            if head & 1 == 1 {
                let bytes = self.left.saturating_mul(u64::from(self.width));
                self.run = Run::Packed {
                    from: self.at,
                    next: 0,
                };
                self.left = self.left.saturating_mul(8);
                let bytes = usize::try_from(bytes).map_err(|_| Fault::Ends)?;
                self.at = self.at.saturating_add(bytes);
            } else {
                let bytes = self.width.div_ceil(8) as usize;
                let value = part(page, self.at, bytes)?.iter().rev();
                self.run = Run::Same(value.fold(0, |value, byte| value << 8 | u32::from(*byte)));
                self.at += bytes;
            }
        }
        self.left -= 1;
        match &mut self.run {
            Run::Same(value) => Ok(*value),
            Run::Packed { from, next } => {
                *next += 1;
                let value = packed(&page[*from..], *next - 1, self.width);
                value.map(|value| value as u32).ok_or(Fault::Ends)
            }
        }
    }
}

/// A dictionary of strings, with the start of each.
#[derive(Debug, Default)]
pub(super) struct Dictionary {
    page: Vec<u8>,
    starts: Vec<u32>,
}

impl Dictionary {
    /// From a page of `count` strings.
    pub(super) fn new(page: Vec<u8>, count: usize) -> Result<Self, Fault> {
        let (mut starts, mut at) = (Vec::new(), 0);
        for _ in 0..count {
            starts.push(at as u32);
            let length = length(&page, at)?;
            part(&page, at + 4, length)?;
            at += 4 + length;
        }
        Ok(Self { page, starts })
    }

    fn text(&self, index: u32) -> Result<&[u8], Fault> {
        let Some(start) = self.starts.get(index as usize) else {
            return damaged("a value is not in the dictionary");
        };
        let start = *start as usize;
        part(&self.page, start + 4, length(&self.page, start)?)
    }
}

/// The strings of a page, in order.
#[derive(Debug)]
pub(super) enum Values {
    /// Each preceded by its length.
    Plain { at: usize },
    /// By their index in the dictionary.
    Dictionary(Runs),
    /// All lengths first (delta-length encoding).
    Lengths {
        lengths: std::vec::IntoIter<u32>,
        at: usize,
    },
    /// The length of the prefix shared with the previous string, and the suffix.
    Prefixes {
        prefixes: std::vec::IntoIter<u32>,
        suffixes: std::vec::IntoIter<u32>,
        at: usize,
        last: Vec<u8>,
    },
}

impl Values {
    /// The strings from byte `at` on, in the given `encoding`.
    pub(super) fn new(page: &[u8], at: usize, encoding: i64) -> Result<Self, Fault> {
        Ok(match encoding {
            PLAIN => Self::Plain { at },
            2 | 8 => {
                let width = u32::from(*page.get(at).ok_or(Fault::Ends)?);
                if width > 32 {
                    return damaged(format!("numbers of {width} bits in a dictionary"));
                }
                Self::Dictionary(Runs::new(at + 1, page.len(), width))
            }
            6 => {
                let (lengths, at) = differences(page, at)?;
                let lengths = lengths.into_iter();
                Self::Lengths { lengths, at }
            }
            7 => {
                let (prefixes, at) = differences(page, at)?;
                let (suffixes, at) = differences(page, at)?;
                let (prefixes, suffixes) = (prefixes.into_iter(), suffixes.into_iter());
                Self::Prefixes {
                    prefixes,
                    suffixes,
                    at,
                    last: Vec::new(),
                }
            }
            other => return unread(format!("its values have the unsupported encoding {other}")),
        })
    }

    /// The next string.
    pub(super) fn next<'a>(
        &'a mut self,
        page: &'a [u8],
        dictionary: &'a Dictionary,
    ) -> Result<&'a [u8], Fault> {
        match self {
            Self::Plain { at } => {
                let text = part(page, *at + 4, length(page, *at)?)?;
                *at += 4 + text.len();
                Ok(text)
            }
            Self::Dictionary(numbers) => dictionary.text(numbers.next(page)?),
            Self::Lengths { lengths, at } => {
                let length = lengths.next().ok_or(Fault::Ends)?;
                let text = part(page, *at, length as usize)?;
                *at += text.len();
                Ok(text)
            }
            Self::Prefixes {
                prefixes,
                suffixes,
                at,
                last,
            } => {
                let prefix = prefixes.next().ok_or(Fault::Ends)? as usize;
                let suffix = part(page, *at, suffixes.next().ok_or(Fault::Ends)? as usize)?;
                if prefix > last.len() {
                    return damaged("a text shares a longer prefix than the previous text has");
                }
                *at += suffix.len();
                last.truncate(prefix);
                last.extend_from_slice(suffix);
                Ok(last)
            }
        }
    }
}

/// Delta-encoded lengths: blocks with the smallest difference, and the packed excess over it. Returns them and the
/// position after them.
fn differences(page: &[u8], mut at: usize) -> Result<(Vec<u32>, usize), Fault> {
    let next = |at: &mut usize| {
        let (value, length) = varint(page.get(*at..).unwrap_or_default())?;
        *at += length;
        Ok::<u64, Fault>(value)
    };
    let (block, parts, count) = (next(&mut at)?, next(&mut at)?, next(&mut at)?);
    let mut value = zigzag(next(&mut at)?);
    if parts == 0 || block % parts != 0 || !(block / parts).is_multiple_of(8) || block > 1 << 20 {
        return damaged("the lengths of its texts lie in blocks of an odd size");
    }
    if count > MAX_VALUES as u64 {
        return unread(format!("a page has more than {MAX_VALUES} values"));
    }
    let each = block / parts;
    let mut lengths = Vec::new();
    let mut put = |value: i64| match u32::try_from(value) {
        Ok(length) => {
            lengths.push(length);
            Ok(lengths.len() as u64)
        }
        Err(_) => damaged("a text has an invalid length"),
    };
    let mut have = if count > 0 { put(value)? } else { 0 };
    while have < count {
        let smallest = zigzag(next(&mut at)?);
        let widths = part(page, at, parts as usize)?;
        at += widths.len();
        for width in widths.iter().map(|width| u32::from(*width)) {
            if have >= count {
                break;
            }
            if width > 64 {
                return damaged(format!("lengths of {width} bits"));
            }
            let bytes = part(page, at, (each * u64::from(width) / 8) as usize)?;
            at += bytes.len();
            for index in 0..each.min(count - have) {
                let above = packed(bytes, index, width).ok_or(Fault::Ends)?;
                value = value.wrapping_add(smallest).wrapping_add(above as i64);
                have = put(value)?;
            }
        }
    }
    Ok((lengths, at))
}
