//! A model with its encoding. Opened once a process and shared: opening the same
//! model again, from any plugin instance, gives the weights already loaded.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use continuo_codec::{Encoding, EncodingError};
use continuo_model::{Decoder, Gpu, GpuKind, ModelError, Network as _};

use crate::worker::Source;
use crate::{DeviceChoice, source};

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
    /// A model that has a name on the hub is not on this machine.
    #[error(
        "`{0}` is no folder or file here, and no model of that name was pulled; `continuo model pull {0}` brings it \
         from the hub, and so does the menu Model of the plugin"
    )]
    NotPulled(String),
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
    /// Why it is not where it was wanted first.
    fallback: Option<Arc<str>>,
}

pub(crate) struct Inner {
    pub(crate) name: String,
    pub(crate) model: Decoder,
    pub(crate) encoding: Box<dyn Encoding>,
    pub(crate) device: String,
    pub(crate) fingerprint: String,
}

/// Which model, and on what: a folder, or `None` for the embedded one; a kind of
/// graphics card, or `None` for the processor.
type Key = (Option<PathBuf>, Option<GpuKind>);

/// Engines in use.
static LOADED: Mutex<Option<HashMap<Key, Weak<Inner>>>> = Mutex::new(None);

impl Engine {
    /// The model that ships inside the program, on the processor.
    ///
    /// # Errors
    /// [`EngineError::Model`] should the embedded weights be damaged.
    pub fn embedded() -> Result<Self, EngineError> {
        Self::load(&Source::Embedded, DeviceChoice::Cpu)
    }

    /// A model in a folder in Hugging Face layout or in a single file (see
    /// [`ModelFiles`](continuo_model::ModelFiles)), or of a name on the hub if it was pulled,
    /// on the processor. Its `continuo.json` names the encoding, or a GGUF file itself; one
    /// without is taken for MIDI Gen AI's if its vocabulary is GPT-2's.
    ///
    /// # Errors
    /// [`EngineError::Folder`] or [`EngineError::Model`], naming file and remedy.
    pub fn open(dir: &Path) -> Result<Self, EngineError> {
        Self::load(&Source::Folder(dir.to_owned()), DeviceChoice::Cpu)
    }

    /// A model on what is chosen.
    ///
    /// # Errors
    /// Those of [`Engine::open`]; and where a graphics card is insisted on that this
    /// build or this machine does not have.
    pub fn load(source: &Source, choice: DeviceChoice) -> Result<Self, EngineError> {
        let dir = path_of(source)?;
        choice.open(GpuKind::is_built, |gpu| Self::shared(&dir, gpu)).map(Self::told)
    }

    /// A model on what is chosen, or on the processor where that cannot be had;
    /// [`fallback`](Self::fallback) then tells why.
    ///
    /// # Errors
    /// Those of [`Engine::open`].
    pub fn load_or_cpu(source: &Source, choice: DeviceChoice) -> Result<Self, EngineError> {
        let dir = path_of(source)?;
        choice.open_or_cpu(GpuKind::is_built, |gpu| Self::shared(&dir, gpu)).map(Self::told)
    }

    fn told((engine, refused): (Self, Option<EngineError>)) -> Self {
        Self { fallback: refused.map(|error| error.to_string().into()), ..engine }
    }

    fn shared(dir: &Option<PathBuf>, gpu: Option<GpuKind>) -> Result<Self, EngineError> {
        // Held while loading: a second instance waits for the first one's weights
        // rather than loading them again.
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = loaded.get_or_insert_default();
        let key = (dir.clone(), gpu);
        if let Some(inner) = loaded.get(&key).and_then(Weak::upgrade) {
            return Ok(Self { inner, fallback: None });
        }
        let gpu = gpu.map(Gpu::open).transpose()?;
        let inner = Arc::new(match dir {
            None => source::embedded(gpu)?,
            Some(dir) => source::stored(dir, gpu)?,
        });
        loaded.insert(key, Arc::downgrade(&inner));
        Ok(Self { inner, fallback: None })
    }

    /// The model's name for the user.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.name
    }

    /// Tells this model from others of its name: see [`Fingerprint`](crate::fingerprint::Fingerprint).
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.inner.fingerprint
    }

    /// The encoding's name.
    #[must_use]
    pub fn encoding_name(&self) -> &'static str {
        self.inner.encoding.name()
    }

    /// What the model runs on and in which numbers, in words for the user.
    #[must_use]
    pub fn device(&self) -> &str {
        &self.inner.device
    }

    /// Why the model runs on the processor, where a graphics card was wanted.
    #[must_use]
    pub fn fallback(&self) -> Option<&str> {
        self.fallback.as_deref()
    }

    /// How many ids the model reads at once.
    #[must_use]
    pub fn context(&self) -> usize {
        self.inner.model.config().n_positions
    }

    pub(crate) fn model(&self) -> &Decoder {
        &self.inner.model
    }

    pub(crate) fn encoding(&self) -> &dyn Encoding {
        self.inner.encoding.as_ref()
    }
}

/// The folder or file of a model, written in one way; `None` for the embedded one.
fn path_of(source: &Source) -> Result<Option<PathBuf>, EngineError> {
    let Source::Folder(written) = source else { return Ok(None) };
    let path = &source::find(written)?;
    let found = match (path.is_file(), path.parent(), path.file_name()) {
        // A link to a file keeps its name, and has its neighbours where it is.
        (true, Some(dir), Some(name)) => Path::new(".").join(dir).canonicalize().map(|dir| dir.join(name)),
        _ => path.canonicalize(),
    };
    found.map(Some).map_err(|error| EngineError::Folder {
        path: path.clone(),
        reason: format!(
            "{error}; give the path of a model folder (config.json, model.safetensors) or a GGUF file"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_share_their_weights() {
        let a = Engine::embedded().unwrap();
        let b = Engine::embedded().unwrap();
        assert!(Arc::ptr_eq(&a.inner, &b.inner));
        assert!(a.device().starts_with("CPU, "), "{}", a.device());
        assert_eq!(a.fallback(), None);
    }

    #[test]
    fn a_card_this_build_lacks_is_an_error_or_the_processor() {
        for (choice, gpu) in [(DeviceChoice::Cuda, GpuKind::Cuda), (DeviceChoice::Metal, GpuKind::Metal)] {
            if gpu.is_built() {
                continue;
            }
            let error = Engine::load(&Source::Embedded, choice).err().unwrap().to_string();
            assert!(error.contains("this build is without it"), "{error}");
            let engine = Engine::load_or_cpu(&Source::Embedded, choice).unwrap();
            assert_eq!(engine.fallback(), Some(error.as_str()));
            assert!(engine.device().starts_with("CPU, "));
        }
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Engine::open(Path::new("no/such/folder")).err().unwrap().to_string();
        assert!(error.starts_with("no/such/folder: ") && error.contains("config.json"), "{error}");
    }

    #[test]
    fn a_file_is_a_model_too_and_names_its_encoding() {
        let forms = Path::new(env!("CARGO_MANIFEST_DIR")).join("../model/tests/fixtures/forms");
        // The fixture says `beat`, for which its vocabulary is too small.
        let error = Engine::open(&forms.join("gguf/plain.gguf")).err().unwrap().to_string();
        assert!(error.contains("plain.gguf") && error.contains("`beat`"), "{error}");
        let error = Engine::open(&forms.join("q8/q8.gguf")).err().unwrap().to_string();
        assert!(error.contains("continuo.json") && error.contains("is missing"), "{error}");
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/model");
        let engine = Engine::open(&model.join("model.safetensors")).unwrap();
        assert_eq!((engine.name(), engine.encoding().name()), ("model", "beat"));
    }
}
