//! A model that lies on the disk, tensor by tensor.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::Tensors;
use super::layout::{Entry, entries};
use crate::weights::{Mapped, Weights};
use crate::{Config, ModelError};

/// How a model's weights are filed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// `model.safetensors` beside `config.json`.
    Safetensors,
}

impl FileFormat {
    /// The name people know it by.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
        }
    }
}

/// A model that lies on the disk. Its tensors are read when they are asked for.
pub struct Source {
    config: Config,
    file: PathBuf,
    weights: Mapped,
    layout: Vec<Entry>,
}

impl Source {
    /// Opens a model: a folder that holds `config.json` and `model.safetensors`, or a
    /// `.safetensors` file that lies beside its `config.json`.
    ///
    /// # Errors
    /// If a file is missing or damaged, or the two do not belong together.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let remedy = "name a model folder or its weight file";
        let kind =
            fs::metadata(path).map_err(|source| ModelError::Io { file: path.to_owned(), source, remedy })?;
        let file = if kind.is_dir() { path.join("model.safetensors") } else { path.to_owned() };
        let config = Config::open(&file.with_file_name("config.json"))?;
        let weights = Mapped::open(&file)?;
        let layout = entries(&config);
        let source = Self { config, file, weights, layout };
        source.parse(|weights| weights.check_blocks(source.config.n_layer))?;
        Ok(source)
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

    /// How the weights are filed.
    #[must_use]
    pub fn format(&self) -> FileFormat {
        FileFormat::Safetensors
    }

    /// What numbers the id embedding is stored as, in small letters: `f32`, `f16`, `bf16`.
    ///
    /// # Errors
    /// If the weight file is damaged.
    pub fn numbers(&self) -> Result<String, ModelError> {
        // That the file is whole is known since it was opened.
        let parsed = SafeTensors::deserialize(self.weights.bytes()).ok();
        let find = |name| parsed.as_ref().and_then(|parsed| parsed.tensor(name).ok());
        let embedding = find("transformer.wte.weight").or_else(|| find("wte.weight"));
        match embedding {
            Some(view) => Ok(format!("{:?}", view.dtype()).to_lowercase()),
            // Fails, and says why.
            None => self.tensor("wte.weight").map(|_| String::new()),
        }
    }

    /// How many bytes the weights take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.weights.bytes().len() as u64
    }

    fn parse<T>(&self, then: impl FnOnce(&Weights<'_>) -> Result<T, ModelError>) -> Result<T, ModelError> {
        let file = self.file.display().to_string();
        then(&Weights::parse(&file, self.weights.bytes())?)
    }
}

impl Tensors for Source {
    fn config(&self) -> &Config {
        &self.config
    }

    fn file(&self) -> &Path {
        &self.file
    }

    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let Some(entry) = self.layout.iter().find(|entry| entry.name == name) else {
            let (file, remedy) = (self.file.display().to_string(), "GPT-2 has no such tensor".to_owned());
            return Err(ModelError::MissingTensor { file, tensor: name.to_owned(), remedy });
        };
        let values = self.parse(|weights| {
            let scope = if name == "lm_head.weight" { weights.root() } else { weights.transformer() };
            Ok(scope.values(&entry.shape, name)?.to_vec())
        });
        self.weights.put_back();
        values
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Source")
            .field("file", &self.file)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
