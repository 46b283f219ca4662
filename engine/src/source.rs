//! Where models come from: the one embedded in the program, and folders in
//! Hugging Face layout. A `continuo.json` beside the weights names the encoding.

use std::fs;
use std::path::Path;

use continuo_codec::Encoding;
use continuo_codec::beat::{self, Beat};
use continuo_codec::text::Text;
use continuo_model::{Config, Gpt2};
use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, Inner};

/// The file beside a model's weights that says how its ids are meant.
pub const SPELLING_FILE: &str = "continuo.json";

/// What [`SPELLING_FILE`] holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spelling {
    /// The encoding's name.
    pub encoding: String,
    /// The version of its vocabulary.
    pub version: u32,
}

impl Spelling {
    /// Continuo's own encoding as this build writes it.
    #[must_use]
    pub fn beat() -> Self {
        Self { encoding: Beat.name().to_owned(), version: beat::VERSION }
    }

    /// The encoding itself.
    ///
    /// # Errors
    /// A sentence for the user where this build does not know it.
    pub fn resolve(&self) -> Result<Box<dyn Encoding>, String> {
        match (self.encoding.as_str(), self.version) {
            ("beat", beat::VERSION) => Ok(Box::new(Beat)),
            ("text", 1) => Ok(Box::new(Text)),
            (name @ ("beat" | "text"), version) => Err(format!(
                "version {version} of the encoding `{name}` is not known to this build; update Continuo"
            )),
            (name, _) => {
                Err(format!("the encoding `{name}` is not known to this build (it knows beat and text)"))
            }
        }
    }
}

/// The size of GPT-2's own vocabulary, which the `text` encoding is spelled in.
const GPT2_VOCABULARY: usize = 50_257;

const CONFIG: &[u8] = include_bytes!("../../assets/model/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../assets/model/model.safetensors");
const SPELLING: &[u8] = include_bytes!("../../assets/model/continuo.json");

pub(crate) fn embedded() -> Result<Inner, EngineError> {
    let here = Path::new("(embedded model)");
    let config: Config = parse(here, CONFIG)?;
    let spelling: Spelling = parse(here, SPELLING)?;
    let model = Gpt2::from_bytes(config, WEIGHTS)?;
    join(here, "Continuo's default model".to_owned(), model, &spelling)
}

pub(crate) fn folder(dir: &Path) -> Result<Inner, EngineError> {
    if !dir.is_dir() {
        return Err(problem(
            dir,
            "is not a folder; give the folder that holds config.json and model.safetensors",
        ));
    }
    let model = Gpt2::open(dir)?;
    let spelling = spelling_of(dir, &model)?;
    let name = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
    join(dir, name, model, &spelling)
}

fn spelling_of(dir: &Path, model: &Gpt2) -> Result<Spelling, EngineError> {
    let file = dir.join(SPELLING_FILE);
    match fs::read(&file) {
        Ok(bytes) => parse(&file, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            if model.config().vocab_size == GPT2_VOCABULARY {
                return Ok(Spelling { encoding: "text".to_owned(), version: 1 });
            }
            Err(problem(
                &file,
                "is missing, and the model's vocabulary is not GPT-2's, so its encoding is unknown; \
                 write {\"encoding\": \"beat\", \"version\": 1} into it if Continuo made the model",
            ))
        }
        Err(error) => Err(problem(&file, &error.to_string())),
    }
}

fn join(place: &Path, name: String, model: Gpt2, spelling: &Spelling) -> Result<Inner, EngineError> {
    let encoding = spelling.resolve().map_err(|reason| problem(place, &reason))?;
    let rows = model.config().vocab_size;
    if rows < encoding.vocab_size() {
        let reason = format!(
            "the model knows {rows} ids, but the encoding `{}` has {}; its {SPELLING_FILE} names the wrong encoding",
            encoding.name(),
            encoding.vocab_size()
        );
        return Err(problem(place, &reason));
    }
    Ok(Inner { name, model, encoding })
}

fn parse<T: serde::de::DeserializeOwned>(place: &Path, bytes: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(bytes)
        .map_err(|error| problem(place, &format!("is not what it should be: {error}")))
}

fn problem(path: &Path, reason: &str) -> EngineError {
    EngineError::Folder { path: path.to_owned(), reason: reason.to_owned() }
}
