//! A model with its encoding. Opened once a process and shared: opening the same
//! model again, from any plugin instance, gives the weights already loaded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use continuo_codec::{Encoding, EncodingError};
use continuo_model::cpu::Cpu;
use continuo_model::{ModelError, Network as _};

use crate::source;

/// Why an engine cannot be opened or cannot answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The model folder cannot be used.
    #[error("{}: {reason}", path.display())]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The weights cannot be loaded or run.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The phrase cannot be encoded, or the model said what it may not.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// A request that makes no sense.
    #[error("{0}")]
    Request(String),
}

/// A loaded model and its encoding; cloning shares them.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) model: Cpu,
    pub(crate) encoding: Box<dyn Encoding>,
}

/// Engines in use, by folder; `None` is the embedded one.
static LOADED: Mutex<Option<HashMap<Option<PathBuf>, Weak<Inner>>>> = Mutex::new(None);

impl Engine {
    /// The model that ships inside the program.
    ///
    /// # Errors
    /// [`EngineError::Model`] should the embedded weights be damaged.
    pub fn embedded() -> Result<Self, EngineError> {
        Self::shared(None)
    }

    /// A model folder in Hugging Face layout. Its `continuo.json` names the
    /// encoding; a folder without one is taken for MIDI Gen AI's if its vocabulary
    /// is GPT-2's.
    ///
    /// # Errors
    /// [`EngineError::Folder`] or [`EngineError::Model`], naming file and remedy.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        let dir = dir.canonicalize().map_err(|error| EngineError::Folder {
            path: dir.to_owned(),
            reason: format!("{error}; give the path of a model folder (config.json, model.safetensors)"),
        })?;
        Self::shared(Some(dir))
    }

    fn shared(dir: Option<PathBuf>) -> Result<Self, EngineError> {
        // Held while loading: a second instance waits for the first one's weights
        // rather than loading them again.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        if let Some(inner) = loaded.get(&dir).and_then(Weak::upgrade) {
            return Ok(Self { inner });
        }
        let inner = Arc::new(match &dir {
            None => source::embedded()?,
            Some(dir) => source::folder(dir)?,
        });
        loaded.insert(dir, Arc::downgrade(&inner));
        Ok(Self { inner })
    }

    /// The model's name for the user.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// The encoding's name.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        self.inner.encoding.name()
    }

    /// How many ids the model reads at once.
    #[must_use]
    pub fn context(&self) -> usize {
        self.inner.model.config().n_positions
    }

    pub(crate) fn model(&self) -> &Cpu {
        &self.inner.model
    }

    pub(crate) fn encoding(&self) -> &dyn Encoding {
        self.inner.encoding.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_their_weights() {
        let a = Engine::embedded().unwrap();
        let b = Engine::embedded().unwrap();
        assert!(Arc::ptr_eq(&a.inner, &b.inner));
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Engine::open(Path::new("no/such/folder")).err().unwrap().to_string();
        assert!(error.starts_with("no/such/folder: ") && error.contains("config.json"), "{error}");
    }
}
