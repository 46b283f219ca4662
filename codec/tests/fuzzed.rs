//! The fuzz targets on the golden files and on damaged copies of them, in every
//! run of the tests. What the fuzzer found is kept here as well.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, clippy::cast_possible_truncation, reason = "it is a crate of its own elsewhere")]
mod fuzz;

/// The golden files of a kind, but for the longest.
fn golden(extension: &str) -> Vec<Vec<u8>> {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/text")];
    let mut files: Vec<PathBuf> = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                files.push(path);
            }
        }
    }
    files.sort();
    let mut read: Vec<Vec<u8>> = files.iter().map(|path| fs::read(path).unwrap()).collect();
    read.retain(|bytes| bytes.len() < 20_000);
    assert!(read.len() > 50);
    read
}

/// Repeatable random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    /// A copy with some bytes changed, left out, or said twice.
    fn damaged(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(damaged.len());
            match self.below(4) {
                0 => damaged.truncate(at.max(1)),
                1 => {
                    let until = (at + 1 + self.below(16)).min(damaged.len());
                    damaged.extend_from_within(at.min(until)..until);
                }
                _ => {
                    if let Some(byte) = damaged.get_mut(at) {
                        *byte = self.byte();
                    }
                }
            }
        }
        damaged
    }
}

#[test]
fn golden_and_damaged_midi_files_break_nothing() {
    let mut random = Random(1);
    for file in golden("mid") {
        fuzz::midi(&file);
        for _ in 0..6 {
            fuzz::midi(&random.damaged(&file));
        }
    }
}

#[test]
fn golden_and_damaged_texts_break_nothing() {
    let mut random = Random(2);
    for text in golden("txt") {
        fuzz::text(&text);
        for _ in 0..4 {
            fuzz::text(&random.damaged(&text));
        }
    }
}

#[test]
fn golden_and_damaged_ids_break_nothing() {
    let mut random = Random(3);
    for file in golden("mid") {
        let Ok(score) = continuo_codec::midi::read(&file) else { continue };
        for (which, encoding) in (0..).zip(fuzz::encodings()) {
            let Ok(ids) = encoding.encode(&score) else { continue };
            let pairs = ids.iter().filter_map(|&id| u16::try_from(id).ok()).flat_map(u16::to_le_bytes);
            let seed: Vec<u8> = [which].into_iter().chain(pairs).take(4001).collect();
            fuzz::ids(&seed);
            fuzz::ids(&random.damaged(&seed));
        }
    }
}

#[test]
fn any_choices_within_any_limits_lead_on() {
    let mut random = Random(4);
    for _ in 0..2000 {
        let length = 12 + random.below(1500);
        let bytes: Vec<u8> = (0..length).map(|_| random.byte()).collect();
        fuzz::answer(&bytes);
    }
}
