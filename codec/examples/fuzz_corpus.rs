//! Fills the fuzz targets' corpora from the golden files: `cargo run -p
//! continuo-codec --example fuzz_corpus`. See `fuzz/README.md`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use continuo_codec::midi;

#[path = "../fuzz/src/lib.rs"]
#[expect(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    reason = "only the list of encodings is used"
)]
mod fuzz;

/// Longer seeds than this slow the fuzzer down, in bytes.
const LONGEST: usize = 32 << 10;

fn main() -> io::Result<()> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&here.join("tests/fixtures"), &mut found)?;
    let corpus = here.join("fuzz/corpus");
    let mut written = 0;
    for (number, path) in found.iter().enumerate() {
        let bytes = fs::read(path)?;
        let target = match path.extension().and_then(|e| e.to_str()) {
            Some("mid") => "midi",
            Some("txt") => "text",
            _ => continue,
        };
        written += seed(&corpus.join(target), number, &bytes)?;
        let Some(score) = (target == "midi").then(|| midi::read(&bytes).ok()).flatten() else { continue };
        for (which, encoding) in (0_u8..).zip(fuzz::encodings()) {
            let Ok(ids) = encoding.encode(&score) else { continue };
            let pairs = ids.iter().filter_map(|&id| u16::try_from(id).ok()).flat_map(u16::to_le_bytes);
            let seeded: Vec<u8> = [which].into_iter().chain(pairs).take(LONGEST - 1).collect();
            written += seed(&corpus.join("ids"), number * 8 + usize::from(which), &seeded)?;
            written += seed(&corpus.join("answer"), number * 8 + usize::from(which), &seeded)?;
        }
    }
    println!("{written} seeds in {}", corpus.display());
    Ok(())
}

fn seed(folder: &Path, number: usize, bytes: &[u8]) -> io::Result<usize> {
    if bytes.len() > LONGEST {
        return Ok(0);
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join(format!("golden-{number:04}")), bytes)?;
    Ok(1)
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder)? {
        paths.push(entry?.path());
    }
    paths.sort();
    for path in paths {
        if path.is_dir() { walk(&path, found)? } else { found.push(path) }
    }
    Ok(())
}
