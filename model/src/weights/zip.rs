//! Where the entries of a zip archive lie that are stored as they are, with and without
//! the extension for archives past 4 GiB.

use std::collections::HashMap;
use std::ops::Range;

use super::reader::Reader;

/// More entries than any model has.
const MAX_ENTRIES: u64 = 1 << 16;

/// The length of the record at an archive's end, without a comment.
const END: usize = 22;

const CUT: &str = "the archive is cut short or damaged; download or copy it again";

/// The entries' names and where their bytes are, or what is wrong with the archive.
pub(super) fn entries(bytes: &[u8]) -> Result<HashMap<&str, Range<usize>>, String> {
    let (count, offset) = directory(bytes).ok_or(CUT)?;
    if count > MAX_ENTRIES {
        return Err(CUT.to_owned());
    }
    let mut reader = Reader::at(bytes, offset).ok_or(CUT)?;
    let mut entries = HashMap::new();
    for _ in 0..count {
        let (name, entry) = entry(bytes, &mut reader).ok_or(CUT)?;
        let range = entry.ok_or_else(|| {
            format!("the archive's `{name}` is compressed, which torch.save never does; save the model anew")
        })?;
        entries.insert(name, range);
    }
    Ok(entries)
}

/// How many entries there are, and where the directory of them begins.
fn directory(bytes: &[u8]) -> Option<(u64, u64)> {
    let last = bytes.len().checked_sub(END)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let end = (first..=last).rev().find(|&at| bytes[at..].starts_with(b"PK\x05\x06"))?;
    let mut reader = Reader::at(bytes, end as u64 + 10)?;
    let (count, _size, offset) = (reader.u16()?, reader.u32()?, reader.u32()?);
    if count != u16::MAX && offset != u32::MAX {
        return Some((count.into(), offset.into()));
    }
    // The place of the large record stands just before the small one.
    let mut reader = Reader::at(bytes, (end as u64).checked_sub(20)?)?;
    if &reader.array()? != b"PK\x06\x07" {
        return None;
    }
    reader.take(4)?;
    let mut reader = Reader::at(bytes, reader.u64()?)?;
    if &reader.array()? != b"PK\x06\x06" {
        return None;
    }
    reader.take(28)?;
    let (count, _size) = (reader.u64()?, reader.u64()?);
    Some((count, reader.u64()?))
}

/// An entry of the directory: its name, and its bytes where they are stored as they are.
fn entry<'a>(bytes: &'a [u8], reader: &mut Reader<'a>) -> Option<(&'a str, Option<Range<usize>>)> {
    if &reader.array()? != b"PK\x01\x02" {
        return None;
    }
    reader.take(4)?;
    let (flags, method) = (reader.u16()?, reader.u16()?);
    reader.take(8)?;
    let (packed, size) = (u64::from(reader.u32()?), u64::from(reader.u32()?));
    let (name, extra, comment) = (reader.u16()?, reader.u16()?, reader.u16()?);
    reader.take(8)?;
    let mut offset = u64::from(reader.u32()?);
    let name = str::from_utf8(reader.take(name.into())?).ok()?;
    let mut extra = Reader::new(reader.take(extra.into())?);
    reader.take(comment.into())?;
    let (mut packed, mut size) = (packed, size);
    let large = u64::from(u32::MAX);
    while [packed, size, offset].contains(&large) {
        let (kind, length) = (extra.u16()?, extra.u16()?);
        let mut field = Reader::new(extra.take(length.into())?);
        if kind == 1 {
            for number in [&mut size, &mut packed, &mut offset] {
                if *number == large {
                    *number = field.u64()?;
                }
            }
            break;
        }
    }
    if method != 0 || flags & 1 != 0 || packed != size {
        return Some((name, None));
    }
    let mut local = Reader::at(bytes, offset)?;
    if &local.array()? != b"PK\x03\x04" {
        return None;
    }
    local.take(22)?;
    let (name_length, extra_length) = (local.u16()?, local.u16()?);
    local.take(u64::from(name_length) + u64::from(extra_length))?;
    let begin = local.position();
    local.take(size)?;
    Some((name, Some(begin..local.position())))
}
