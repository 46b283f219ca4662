//! The files of a model: which they are in a folder, and what they hold.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::export::Tensors;
use crate::export::layout::{Entry, Role, entries};
use crate::weights::{FileFormat, Metadata, REMEDY, Weights};
use crate::{Config, ModelError};

/// A model as it is stored, its files mapped and checked.
///
/// It is given as a folder or a file. A folder holds `config.json` and one of these, of
/// which the first is taken that is there:
///
/// 1. `model.safetensors`
/// 2. `model.safetensors.index.json`, and the safetensors files it names
/// 3. `pytorch_model.bin`, as PyTorch 1.6 and later save it
/// 4. `pytorch_model.bin.index.json`, and the files it names
/// 5. a single file whose name ends in `.gguf`; `config.json` is then not needed
///
/// A file is one of those: a `.safetensors`, `.bin`, `.pt` or `.pth` with `config.json`
/// beside it, an index, or a GGUF file.
pub struct ModelFiles {
    config: Config,
    weights: Weights<'static>,
    metadata: Metadata,
}

impl ModelFiles {
    /// Finds the files of a model, and checks that they are those of a GPT-2: what there
    /// should be is there, in shapes that fit.
    ///
    /// # Errors
    /// If a file is missing or damaged, or they do not belong together.
    pub fn open(path: &Path) -> Result<Self, ModelError> {
        let place = if path.is_dir() { in_folder(path)? } else { of_file(path)? };
        let files = match place {
            Place::Gguf(file) => {
                let (weights, config, metadata) = Weights::open_gguf(&file)?;
                Self { config, weights, metadata }
            }
            Place::File(format, file) => {
                let config = Config::open(&folder_of(&file).join("config.json"))?;
                Self { config, weights: Weights::open(format, &[file])?, metadata: Metadata::new() }
            }
            Place::Index(format, index) => {
                let config = Config::open(&folder_of(&index).join("config.json"))?;
                Self { config, weights: shards(format, &index)?, metadata: Metadata::new() }
            }
        };
        files.check()?;
        Ok(files)
    }

    /// Everything that computing asks for.
    fn check(&self) -> Result<(), ModelError> {
        self.weights.check_blocks(self.config.n_layer)?;
        for Entry { name, shape, role } in entries(&self.config) {
            match role {
                Role::Head if self.config.tie_word_embeddings => continue,
                Role::Head => self.weights.root().values(&shape, &name)?,
                _ => self.weights.transformer().values(&shape, &name)?,
            };
        }
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (Config, Weights<'static>) {
        (self.config, self.weights)
    }

    /// The shape of the model.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// How the weights are stored.
    #[must_use]
    pub fn format(&self) -> FileFormat {
        self.weights.format
    }

    /// What the weights' numbers are stored as, those first that take the most bytes: `F32`,
    /// `F16`, `BF16` or `Q8_0`.
    #[must_use]
    pub fn number_formats(&self) -> Vec<&'static str> {
        let mut formats: Vec<_> = self.weights.number_formats().into_iter().collect();
        formats.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
        formats.into_iter().map(|(format, _)| format.name()).collect()
    }

    /// The files that hold the weights.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.weights.files().map(Path::new)
    }

    /// The folder that they lie in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        match self.file().parent() {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => self.file(),
        }
    }

    /// How long they are together.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// What a GGUF file says under a key: a number in digits, or a text of a kilobyte at
    /// most.
    #[must_use]
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.get(key).map(String::as_str)
    }

    /// The names of the tensors, as `transformers` calls them; with `transformer.` before
    /// them where the files have it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.weights.names()
    }

    /// The shape of a tensor, named as for [`Tensors::tensor`].
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.weights.shape(&self.full_name(name))
    }

    fn full_name(&self, name: &str) -> String {
        let name = name.strip_prefix("transformer.").unwrap_or(name);
        let prefixed = format!("{}{name}", self.weights.prefix());
        if self.weights.shape(&prefixed).is_some() { prefixed } else { name.to_owned() }
    }
}

impl Tensors for ModelFiles {
    fn config(&self) -> &Config {
        &self.config
    }

    fn file(&self) -> &Path {
        self.files().next().unwrap_or(Path::new(""))
    }

    /// `transformer.` before the name makes no difference.
    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError> {
        let name = self.full_name(name);
        let shape = self.weights.shape(&name).unwrap_or_default();
        Ok(self.weights.values(shape, &name)?.to_vec())
    }
}

impl std::fmt::Debug for ModelFiles {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ModelFiles")
            .field("config", &self.config)
            .field("format", &self.format())
            .finish_non_exhaustive()
    }
}

/// Where weights are.
enum Place {
    File(FileFormat, PathBuf),
    Index(FileFormat, PathBuf),
    Gguf(PathBuf),
}

const INDEX: &str = ".index.json";

fn in_folder(dir: &Path) -> Result<Place, ModelError> {
    for name in [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ] {
        let file = dir.join(name);
        if file.exists() {
            return of_file(&file);
        }
    }
    let error = |source| ModelError::Io { file: dir.to_owned(), source, remedy: REMEDY };
    let mut ggufs = Vec::new();
    for entry in fs::read_dir(dir).map_err(error)? {
        let file = entry.map_err(error)?.path();
        if ends_with(&file, "gguf") {
            ggufs.push(file);
        }
    }
    match ggufs.as_slice() {
        [file] => Ok(Place::Gguf(file.clone())),
        [] => {
            // What is wrong with the configuration is told first.
            Config::open(&dir.join("config.json"))?;
            Err(absent(dir.join("model.safetensors")))
        }
        several => Err(ModelError::Damaged {
            file: dir.display().to_string(),
            problem: format!("the folder holds {} GGUF files; give one of them instead", several.len()),
        }),
    }
}

fn of_file(file: &Path) -> Result<Place, ModelError> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let (stem, index) = name.strip_suffix(INDEX).map_or((&*name, false), |stem| (stem, true));
    let format = match Path::new(stem).extension().and_then(|extension| extension.to_str()) {
        Some("safetensors") => FileFormat::Safetensors,
        Some("bin" | "pt" | "pth") => FileFormat::Pickle,
        _ if ends_with(file, "gguf") || starts_as_gguf(file) => return Ok(Place::Gguf(file.to_owned())),
        _ if !file.exists() => return Err(absent(file.to_owned())),
        _ => {
            return Err(ModelError::Damaged {
                file: file.display().to_string(),
                problem: format!("this is no model: {REMEDY}"),
            });
        }
    };
    Ok(if index { Place::Index(format, file.to_owned()) } else { Place::File(format, file.to_owned()) })
}

fn absent(file: PathBuf) -> ModelError {
    ModelError::Io {
        file,
        source: io::Error::new(io::ErrorKind::NotFound, "no such file or folder"),
        remedy: REMEDY,
    }
}

fn ends_with(file: &Path, extension: &str) -> bool {
    file.extension().is_some_and(|found| found.eq_ignore_ascii_case(extension))
}

/// Whether a file is GGUF whatever its name.
fn starts_as_gguf(file: &Path) -> bool {
    let mut start = [0; 4];
    let read = fs::File::open(file).and_then(|mut file| io::Read::read_exact(&mut file, &mut start));
    read.is_ok() && &start == b"GGUF"
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new(""))
}

/// More files than any model has.
const MAX_SHARDS: usize = 1 << 10;

/// What an index holds that matters here: the file of each tensor.
#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The weights of the files that an index names.
fn shards(format: FileFormat, index: &Path) -> Result<Weights<'static>, ModelError> {
    let error = |source| ModelError::Io { file: index.to_owned(), source, remedy: REMEDY };
    let damaged = |problem| ModelError::Damaged { file: index.display().to_string(), problem };
    let text = fs::read(index).map_err(error)?;
    let Index { weight_map } = serde_json::from_slice(&text).map_err(|error| {
        damaged(format!("not the index of a model's files ({error}); download or export it again"))
    })?;
    let mut names: Vec<&str> = weight_map.values().map(String::as_str).collect();
    names.sort_unstable();
    names.dedup();
    if names.len() > MAX_SHARDS {
        return Err(damaged(format!("{} files are more than a model has; download it again", names.len())));
    }
    if let Some(name) = names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        return Err(damaged(format!(
            "`{name}` is not the name of a file beside it; take index and weights from the same model"
        )));
    }
    let files: Vec<PathBuf> = names.iter().map(|name| folder_of(index).join(name)).collect();
    let weights = Weights::open(format, &files)?;
    for (tensor, file) in &weight_map {
        if weights.shape(tensor).is_none() {
            return Err(damaged(format!(
                "tensor `{tensor}` is not in {file} as it should be; take index and weights from the same model"
            )));
        }
    }
    Ok(weights)
}
