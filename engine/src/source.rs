//! Where models come from: the one embedded in the program, folders in Hugging Face
//! layout, single files, and names on the hub, which mean what was pulled of them. A
//! `continuo.json` beside the weights names the encoding; a GGUF file may name it itself.

use std::fs;
use std::path::{Path, PathBuf};

use continuo_codec::beat::{self, Beat};
use continuo_codec::{Anticipation, Encoding, MidiLike, Text};
use continuo_hub::Kind;
use continuo_hub::places::{self, Located};
use continuo_model::export::gguf::{ENCODING_KEY, ENCODING_VERSION_KEY};
use continuo_model::{Config, Decoder, Gpu, ModelFiles, Network as _};
use serde::{Deserialize, Serialize};

use crate::engine::{EngineError, Inner};
use crate::fingerprint::Fingerprint;

/// The file beside a model's weights that says how its ids are meant.
pub const SPELLING_FILE: &str = "continuo.json";

/// The encodings of this build, by name.
const KNOWN: [&str; 4] = ["beat", "text", "anticipation", "midilike"];

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
            ("beat", 1..=beat::VERSION) => Ok(Box::new(Beat)),
            ("text", 1) => Ok(Box::new(Text)),
            ("anticipation", 1) => Ok(Box::new(Anticipation)),
            ("midilike", 1) => Ok(Box::new(MidiLike::default())),
            (name, version) if KNOWN.contains(&name) => Err(format!(
                "version {version} of the encoding `{name}` is not known to this build; update Continuo"
            )),
            (name, _) => Err(format!(
                "the encoding `{name}` is not known to this build (it knows {})",
                KNOWN.join(", ")
            )),
        }
    }
}

/// The file that says how a model's ids are meant where MidiTok made them.
const TOKENIZER_FILE: &str = "tokenizer.json";

/// Encodings that the size of a model's vocabulary tells: GPT-2's own, which `text`
/// is spelled in, and that of the Anticipatory Music Transformer.
const TOLD_BY_SIZE: [(usize, &str); 2] = [(50_257, "text"), (55_028, "anticipation")];

const CONFIG: &[u8] = include_bytes!("../../assets/model/config.json");
const WEIGHTS: &[u8] = include_bytes!("../../assets/model/model.safetensors");
const SPELLING: &[u8] = include_bytes!("../../assets/model/continuo.json");

/// Where a model is that was named by a path or by its name on the hub.
///
/// # Errors
/// [`EngineError::NotPulled`] if it can only be such a name, and was not pulled.
pub fn find(written: &Path) -> Result<PathBuf, EngineError> {
    match places::locate(Kind::Model, written, places::home().ok().as_deref()) {
        Located::Path(path) => Ok(path),
        Located::Hub(name) => Err(EngineError::NotPulled(name.to_string())),
    }
}

/// The model inside the program, for a graphics card if one is given.
pub(crate) fn embedded(gpu: Option<Gpu>) -> Result<Inner, EngineError> {
    let here = Path::new("(embedded model)");
    let config: Config = parse(here, CONFIG)?;
    let spelling: Spelling = parse(here, SPELLING)?;
    let model = Decoder::from_bytes(config, WEIGHTS, gpu)?;
    let encoding = spelling.resolve().map_err(|reason| problem(here, &reason))?;
    let mut print = Fingerprint::default();
    print.add(CONFIG);
    print.add(WEIGHTS);
    join(here, "Continuo's default model".to_owned(), model, encoding, &print)
}

/// The model in a folder or a file, for a graphics card if one is given.
pub(crate) fn stored(path: &Path, gpu: Option<Gpu>) -> Result<Inner, EngineError> {
    let files = ModelFiles::open(path)?;
    let (dir, name) = match path.is_dir() {
        true => (path, path.file_name()),
        false => (path.parent().unwrap_or(Path::new("")), path.file_stem()),
    };
    let encoding = encoding_of(dir, path, &files)?;
    let name = name.unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let print = Fingerprint::of(path).map_err(|error| problem(path, &error.to_string()))?;
    join(path, name, Decoder::from_files(files, gpu)?, encoding, &print)
}

/// The encoding that a model names, or tells by itself.
fn encoding_of(dir: &Path, path: &Path, files: &ModelFiles) -> Result<Box<dyn Encoding>, EngineError> {
    if let Some(spelling) = said_of(path, files)? {
        let tokenizer = if spelling.encoding == "midilike" { tokenizer_of(dir)? } else { None };
        return match tokenizer {
            Some(encoding) => Ok(encoding),
            None => spelling.resolve().map_err(|reason| problem(path, &reason)),
        };
    }
    if let Some(spelling) = told_by_size(files) {
        return spelling.resolve().map_err(|reason| problem(path, &reason));
    }
    tokenizer_of(dir)?.ok_or_else(|| {
        problem(
            &dir.join(SPELLING_FILE),
            "is missing, and neither the size of the model's vocabulary nor a MidiTok tokenizer.json tells its \
             encoding; write {\"encoding\": \"beat\", \"version\": 1} into it if Continuo made the model",
        )
    })
}

/// The encoding of a model's ids: the one it names, or that the size of its vocabulary
/// tells; `None` where neither does.
///
/// # Errors
/// [`EngineError::Folder`] if what names it cannot be read.
pub fn spelling_of(path: &Path, files: &ModelFiles) -> Result<Option<Spelling>, EngineError> {
    Ok(said_of(path, files)?.or_else(|| told_by_size(files)))
}

/// The encoding that a model names: a GGUF file inside, others in the file
/// [`SPELLING_FILE`] beside their weights.
///
/// # Errors
/// [`EngineError::Folder`] if what names it cannot be read.
pub fn said_of(path: &Path, files: &ModelFiles) -> Result<Option<Spelling>, EngineError> {
    if let Some(encoding) = files.metadata(ENCODING_KEY) {
        let version = files.metadata(ENCODING_VERSION_KEY).unwrap_or("1");
        let version = version.parse().map_err(|_| {
            problem(
                path,
                &format!(
                    "says `{version}` under {ENCODING_VERSION_KEY}, which is no version; convert it again"
                ),
            )
        })?;
        return Ok(Some(Spelling { encoding: encoding.to_owned(), version }));
    }
    let dir = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) };
    let file = dir.join(SPELLING_FILE);
    read(&file)?.map(|bytes| parse(&file, &bytes)).transpose()
}

fn told_by_size(files: &ModelFiles) -> Option<Spelling> {
    let rows = files.config().vocab_size;
    let &(_, name) = TOLD_BY_SIZE.iter().find(|&&(size, _)| size == rows)?;
    Some(Spelling { encoding: name.to_owned(), version: 1 })
}

/// The encoding of a MidiTok tokenizer beside a model, if there is one.
fn tokenizer_of(dir: &Path) -> Result<Option<Box<dyn Encoding>>, EngineError> {
    let file = dir.join(TOKENIZER_FILE);
    let Some(bytes) = read(&file)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&bytes);
    let encoding =
        MidiLike::from_tokenizer_json(&text).map_err(|error| problem(&file, &error.to_string()))?;
    Ok(Some(Box::new(encoding)))
}

/// A file's bytes; `None` where there is no such file.
fn read(file: &Path) -> Result<Option<Vec<u8>>, EngineError> {
    match fs::read(file) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(problem(file, &error.to_string())),
    }
}

fn join(
    place: &Path,
    name: String,
    model: Decoder,
    encoding: Box<dyn Encoding>,
    fingerprint: &Fingerprint,
) -> Result<Inner, EngineError> {
    let rows = model.config().vocab_size;
    if rows < encoding.vocab_size() {
        let reason = format!(
            "the model knows {rows} ids, but the encoding `{}` has {}; its {SPELLING_FILE} names the wrong encoding",
            encoding.name(),
            encoding.vocab_size()
        );
        return Err(problem(place, &reason));
    }
    Ok(Inner { name, device: model.device(), model, encoding, fingerprint: fingerprint.to_string() })
}

fn parse<T: serde::de::DeserializeOwned>(place: &Path, bytes: &[u8]) -> Result<T, EngineError> {
    serde_json::from_slice(bytes)
        .map_err(|error| problem(place, &format!("is not what it should be ({error}); correct or remove it")))
}

fn problem(path: &Path, reason: &str) -> EngineError {
    EngineError::Folder { path: path.to_owned(), reason: reason.to_owned() }
}
