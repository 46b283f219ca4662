//! Tells models apart that have the same name, without reading gigabytes.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How many bytes are looked at, at each of the places in a file that are.
const PIECE: usize = 64 * 1024;
/// At how many places, evenly from its beginning to its end.
const PIECES: usize = 16;
/// Endings of the files that make a model; a read-me does not.
const ENDINGS: [&str; 4] = ["json", "safetensors", "bin", "gguf"];

/// A 64-bit hash (FNV-1a, <http://www.isthe.com/chongo/tech/comp/fnv/>) of the lengths of a
/// model's files and of some pieces of each. No proof against somebody who tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint(u64);

impl Default for Fingerprint {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Fingerprint {
    /// Of a model in a folder or a file.
    ///
    /// # Errors
    /// The system's, where one of its files cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut print = Self::default();
        for file in files(path)? {
            let mut file = File::open(file)?;
            let length = file.metadata()?.len();
            print.take_pieces(length, |at, bytes| {
                file.seek(SeekFrom::Start(at))?;
                file.read_exact(bytes)
            })?;
        }
        Ok(print)
    }

    /// Takes in the contents of a file that lies in memory.
    pub fn add(&mut self, file: &[u8]) {
        let read = |at: u64, bytes: &mut [u8]| {
            let at = usize::try_from(at).unwrap_or(usize::MAX);
            bytes.copy_from_slice(&file[at..at + bytes.len()]);
            Ok(())
        };
        // PANIC: reading memory does not fail, and the pieces lie inside.
        self.take_pieces(file.len() as u64, read).expect("memory can be read");
    }

    fn take_pieces(
        &mut self,
        length: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.hash(&length.to_le_bytes());
        let mut piece = vec![0; PIECE.min(usize::try_from(length).unwrap_or(PIECE))];
        let last = length - piece.len() as u64;
        for number in 0..PIECES as u64 {
            read(last / (PIECES as u64 - 1) * number, &mut piece)?;
            self.hash(&piece);
        }
        read(last, &mut piece)?;
        self.hash(&piece);
        Ok(())
    }

    fn hash(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

fn files(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let file = entry?.path();
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if file.is_file() && ENDINGS.contains(&ending) {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_fnv_1a() {
        // From the list of test vectors of the page named above.
        let of = |text: &str| {
            let mut print = Fingerprint::default();
            print.hash(text.as_bytes());
            print.to_string()
        };
        assert_eq!(
            [of(""), of("a"), of("foobar")],
            ["cbf29ce484222325", "af63dc4c8601ec8c", "85944171f73967e8"]
        );
    }

    #[test]
    fn a_change_of_weights_shows_and_a_read_me_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let weights = dir.path().join("model.safetensors");
        let mut bytes = vec![1; 200_000];
        fs::write(&weights, &bytes).unwrap();
        let first = Fingerprint::of(dir.path()).unwrap();
        let mut same = Fingerprint::default();
        same.add(&bytes);
        assert_eq!(same, first);
        fs::write(dir.path().join("README.md"), "a model").unwrap();
        assert_eq!(Fingerprint::of(dir.path()).unwrap(), first);
        bytes[199_999] = 2;
        fs::write(&weights, bytes).unwrap();
        assert_ne!(Fingerprint::of(dir.path()).unwrap(), first);
    }
}
