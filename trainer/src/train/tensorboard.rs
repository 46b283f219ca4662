//! Numbers as TensorBoard reads them: protocol buffers of the messages `Event` and `Summary`
//! (`tensorflow/core/util/event.proto`, `tensorflow/core/framework/summary.proto`), each in a
//! record with its length and two checksums (`tensorflow/core/lib/io/record_writer.h`).

use crc_fast::CrcAlgorithm::Crc32Iscsi;

use crate::train::metrics::Line;

/// What the first event of a file says.
const VERSION: &[u8] = b"brain.Event:2";
/// Added to a checksum that is stored beside what it is of, as the format has it.
const MASK: u32 = 0xa282_ead8;

/// A file of events, one a line. What was written of a run stays as it was when lines are
/// added, so that a TensorBoard that looks on goes on reading.
#[must_use]
pub fn events(lines: &[Line]) -> Vec<u8> {
    let mut file = Vec::new();
    let begin = lines.first().map_or(0.0, |line| line.time);
    record(&mut file, &[double(1, begin), bytes(3, VERSION)].concat());
    for line in lines {
        let summary: Vec<u8> = line.values.iter().flat_map(|(name, value)| scalar(name, *value)).collect();
        record(&mut file, &[double(1, line.time), varint(2, line.step), bytes(5, &summary)].concat());
    }
    file
}

/// A value of a summary: training's and held-out music's losses go by one name.
fn scalar(name: &str, value: f64) -> Vec<u8> {
    let tag =
        name.strip_prefix("held_out_").map_or(format!("train/{name}"), |name| format!("held_out/{name}"));
    #[expect(clippy::cast_possible_truncation, reason = "the format has f32")]
    let number = [&[2 << 3 | 5], &(value as f32).to_le_bytes()[..]].concat();
    bytes(1, &[bytes(1, tag.as_bytes()), number].concat())
}

fn record(file: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(checksum(&length).to_le_bytes());
    file.extend(data);
    file.extend(checksum(data).to_le_bytes());
}

#[expect(clippy::cast_possible_truncation, reason = "it has 32 bits")]
fn checksum(data: &[u8]) -> u32 {
    (crc_fast::checksum(Crc32Iscsi, data) as u32).rotate_right(15).wrapping_add(MASK)
}

fn double(field: u8, value: f64) -> Vec<u8> {
    [&[field << 3 | 1], &value.to_le_bytes()[..]].concat()
}

fn bytes(field: u8, value: &[u8]) -> Vec<u8> {
    [&[field << 3 | 2], &count(value.len() as u64)[..], value].concat()
}

fn varint(field: u8, value: u64) -> Vec<u8> {
    [&[field << 3], &count(value)[..]].concat()
}

/// Seven bits a byte, the low ones first.
fn count(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that TensorFlow's own writer made of the same, as TensorBoard's reader has them.
    #[test]
    fn records_are_as_tensorflow_writes_them() {
        let mut file = Vec::new();
        record(&mut file, &[double(1, 0.0), bytes(3, VERSION)].concat());
        assert_eq!(file[..12], [24, 0, 0, 0, 0, 0, 0, 0, 0xa3, 0x7f, 0x4b, 0x22]);
        assert_eq!(file[12..36], *b"\x09\0\0\0\0\0\0\0\0\x1a\x0dbrain.Event:2");
        assert_eq!(count(300), [0xac, 2]);
    }

    #[test]
    fn what_was_written_stays_when_lines_are_added() {
        let line = |step| Line { step, time: 9.5, values: vec![("loss".to_owned(), 1.0)] };
        let lines = [line(10), line(200_000)];
        let (some, all) = (events(&lines[..1]), events(&lines));
        assert_eq!(all[..some.len()], some);
        assert!(all.windows(10).any(|window| window == b"train/loss"));
    }
}
