//! ZIP files with uncompressed entries: the minimum needed for bundles.

use std::collections::BTreeMap;

/// Date of every entry, 1 January 1980: bundles of the same files are byte-identical.
const DATE: u16 = 0x21;
/// Names are UTF-8.
const UTF8: u16 = 0x800;

/// A ZIP file with these entries.
///
/// # Errors
/// A description, for more than 65,535 entries or more than 4 GiB.
pub fn write(files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let too_large =
        || "a bundle holds at most 65,535 files and 4 GiB; leave the weights out".to_owned();
    let count = u16::try_from(files.len()).map_err(|_| too_large())?;
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, bytes) in files {
        let place = u32::try_from(out.len()).map_err(|_| too_large())?;
        let size = u32::try_from(bytes.len()).map_err(|_| too_large())?;
        let length = u16::try_from(name.len()).map_err(|_| too_large())?;
        let mut fields = Vec::new();
        // Version, flags, method (stored), time, date, checksum, both sizes, lengths of name and extra field.
        for word in [20, UTF8, 0, 0, DATE] {
            fields.extend(word.to_le_bytes());
        }
        for word in [crc32(bytes), size, size] {
            fields.extend(word.to_le_bytes());
        }
        fields.extend(length.to_le_bytes());
        fields.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&fields);
        out.extend(name.as_bytes());
        out.extend(bytes);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&fields);
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(place.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let place = u32::try_from(out.len()).map_err(|_| too_large())?;
    let size = u32::try_from(directory.len()).map_err(|_| too_large())?;
    out.extend(&directory);
    out.extend(b"PK\x05\x06");
    out.extend([0; 4]);
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(size.to_le_bytes());
    out.extend(place.to_le_bytes());
    out.extend([0; 2]);
    Ok(out)
}

/// The entries of a ZIP file; paths that escape the folder are refused.
///
/// # Errors
/// A description, for a file that is not a ZIP file, is damaged, or has compressed entries.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let damaged = || "not an uncompressed ZIP file, or damaged".to_owned();
    let word = |at: usize| -> Option<usize> {
        let word: [u8; 4] = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        usize::try_from(u32::from_le_bytes(word)).ok()
    };
    let half = |at: usize| -> Option<usize> {
        let half: [u8; 2] = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(usize::from(u16::from_le_bytes(half)))
    };
    let end = bytes.len().checked_sub(22).ok_or_else(damaged)?;
    if bytes[end..end + 4] != *b"PK\x05\x06" {
        return Err(damaged());
    }
    let (count, mut at) = (
        half(end + 10).ok_or_else(damaged)?,
        word(end + 16).ok_or_else(damaged)?,
    );
    let mut files = BTreeMap::new();
    for _ in 0..count {
        let entry = || -> Option<(String, usize, usize, usize, usize)> {
            let name = half(at + 28)?;
            let text = std::str::from_utf8(bytes.get(at + 46..at + 46 + name)?).ok()?;
            (bytes.get(at..at + 4)? == b"PK\x01\x02" && half(at + 10)? == 0).then_some(())?;
            let start = word(at + 42)?;
            let skip = 30 + half(start.checked_add(26)?)? + half(start.checked_add(28)?)?;
            Some((
                text.to_owned(),
                start.checked_add(skip)?,
                word(at + 20)?,
                word(at + 16)?,
                name + half(at + 30)? + half(at + 32)?,
            ))
        };
        let (name, start, size, crc, more) = entry().ok_or_else(damaged)?;
        let is_plain = name
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..")
            && !name.contains(['\\', ':', '\0']);
        if !is_plain {
            return Err(format!("it has an entry `{}`", name.escape_debug()));
        }
        let contents = start
            .checked_add(size)
            .and_then(|end| bytes.get(start..end))
            .ok_or_else(damaged)?;
        if crc32(contents) as usize != crc {
            return Err(format!("`{name}` is damaged"));
        }
        if files.insert(name.clone(), contents.to_vec()).is_some() {
            return Err(format!("`{name}` is there twice"));
        }
        at += 46 + more;
    }
    Ok(files)
}

/// The CRC-32 of ZIP files.
fn crc32(bytes: &[u8]) -> u32 {
    let mut table = [0u32; 256];
    for (index, entry) in table.iter_mut().enumerate() {
        let mut crc = index as u32;
        for _ in 0..8 {
            crc = if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            };
        }
        *entry = crc;
    }
    let step = |crc: u32, byte: &u8| crc >> 8 ^ table[usize::from(crc as u8 ^ byte)];
    !bytes.iter().fold(!0, step)
}
