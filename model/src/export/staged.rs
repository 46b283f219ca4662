//! A file that takes its name when it is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ModelError;

const REMEDY: &str = "free some space or choose a place that can be written to";

/// How much is collected before the system is asked to write.
const BUFFER: usize = 1 << 20;

/// A file on its way. Where it is dropped before it is finished, nothing stays.
pub(super) struct Staged {
    path: PathBuf,
    temporary: Option<PathBuf>,
    file: Option<BufWriter<File>>,
    written: u64,
}

impl Staged {
    /// Begins a file in the folder of `path`, which is made if it is missing.
    pub(super) fn new(path: &Path) -> Result<Self, ModelError> {
        let temporary = beside(path);
        let file = create(&temporary).map_err(|source| failed(path, source))?;
        let file = Some(BufWriter::with_capacity(BUFFER, file));
        Ok(Self { path: path.to_owned(), temporary: Some(temporary), file, written: 0 })
    }

    /// Appends bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), ModelError> {
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|source| failed(&self.path, source))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Appends zeros up to a multiple of `alignment`.
    pub(super) fn pad(&mut self, alignment: u64) -> Result<(), ModelError> {
        let missing = self.written.next_multiple_of(alignment) - self.written;
        (0..missing).try_for_each(|_| self.write(&[0]))
    }

    /// Gives the file its name, once the disk has all of it. Answers how many bytes it has.
    pub(super) fn finish(mut self) -> Result<u64, ModelError> {
        self.settle().map_err(|source| failed(&self.path, source))?;
        Ok(self.written)
    }

    fn settle(&mut self) -> io::Result<()> {
        let Some(file) = self.file.take() else { return Ok(()) };
        // Closed before its name changes, which some systems ask for.
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        if let Some(temporary) = &self.temporary {
            fs::rename(temporary, &self.path)?;
        }
        self.temporary = None;
        Ok(())
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            // What was collected is of no use any more.
            drop(file.into_parts());
        }
        if let Some(temporary) = &self.temporary {
            let _ = fs::remove_file(temporary);
        }
    }
}

fn failed(path: &Path, source: io::Error) -> ModelError {
    ModelError::Io { file: path.to_owned(), source, remedy: REMEDY }
}

fn create(path: &Path) -> io::Result<File> {
    File::create(path).or_else(|error| match path.parent() {
        Some(folder) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            File::create(path)
        }
        _ => Err(error),
    })
}

/// A hidden name in the same folder that nothing else has.
fn beside(path: &Path) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".continuo-{}-w{unique}.tmp", std::process::id()))
}
