//! Weight files as the system brings them into memory.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::ModelError;

/// What to do where there is no model.
pub(crate) const REMEDY: &str =
    "a model is a folder that holds config.json and model.safetensors or pytorch_model.bin, or a GGUF file";

/// A weight file's bytes, brought into memory as they are looked at.
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Opens a file without reading it.
    pub(crate) fn open(file: &Path) -> Result<Self, ModelError> {
        let error = |source| ModelError::Io { file: file.to_owned(), source, remedy: REMEDY };
        let opened = File::open(file).map_err(error)?;
        // SAFETY: the bytes are only looked at while the model is packed. Who cuts the file
        // short in these moments ends the program; who writes to it gets a model of both.
        unsafe { Mmap::map(&opened) }.map(Self).map_err(error)
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Gives memory back. Bytes that are looked at once more are brought in once more.
    pub(crate) fn put_back(&self) {
        #[cfg(unix)]
        {
            // SAFETY: what is dropped are copies of a file's pages nobody has written to.
            let _ = unsafe { self.0.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
        }
    }
}
