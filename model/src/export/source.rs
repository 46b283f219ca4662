//! A model that lies on the disk, tensor by tensor.

use std::path::{Path, PathBuf};

use super::Tensors;
use crate::{Config, FileFormat, ModelError, ModelFiles};

/// A model that lies on the disk, in any form that [`ModelFiles`] knows. Its tensors are
/// read when they are asked for.
pub struct Source {
    files: ModelFiles,
    file: PathBuf,
}

impl Source {
    /// Opens a model, as [`ModelFiles::open`] does.
    ///
    /// # Errors
    /// If a file is missing or damaged, or they do not belong together.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let remedy = "name a model folder or its weight file";
        std::fs::metadata(path).map_err(|source| ModelError::Io { file: path.to_owned(), source, remedy })?;
        let files = ModelFiles::open(path)?;
        let file = files.files().next().unwrap_or(path).to_owned();
        Ok(Self { files, file })
    }

    /// The folder that the model lies in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.file.parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => &self.file,
        }
    }

    /// Its files.
    #[must_use]
    pub fn model(&self) -> &ModelFiles {
        &self.files
    }

    /// The files that hold the weights.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.files.files()
    }

    /// What a GGUF file says under a key, as [`ModelFiles::metadata`].
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.files.metadata(key)
    }

    /// How the weights are filed.
    #[must_use]
    pub fn format(&self) -> FileFormat {
        self.files.format()
    }

    /// What numbers most of the weights are stored as, in small letters: `f32`, `f16`,
    /// `bf16`, `q8_0`.
    #[must_use]
    pub fn numbers(&self) -> String {
        self.files.number_formats().first().map(|name| name.to_lowercase()).unwrap_or_default()
    }

    /// How many bytes the weight files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.bytes() as u64
    }
}

impl Tensors for Source {
    fn config(&self) -> &Config {
        self.files.config()
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        self.files.tensor(name)
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("config", self.config())
            .finish_non_exhaustive()
    }
}
