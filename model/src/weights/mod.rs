//! Reading weights of any format against the shapes a configuration asks for.
//! Everything is checked on the way in, so that the model itself never meets
//! a tensor it did not expect. Files are mapped, and nothing of them is copied before
//! somebody asks for numbers.
//!
//! Tensors go by the names that `transformers` gives them, whatever a file calls them.

mod gguf;
mod mapped;
mod pickle;
mod reader;
mod safetensors;
mod values;
mod zip;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use candle_core::{Device, Tensor};

pub(crate) use self::gguf::stored_name as gguf_name;
pub(crate) use self::mapped::{Mapped, REMEDY};
pub(crate) use self::values::{NumberFormat, Order, Values};
use crate::{Config, ModelError};

/// How weights are stored in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileFormat {
    /// Hugging Face's safetensors.
    Safetensors,
    /// What PyTorch saves: a zip archive of numbers and a pickled description.
    Pickle,
    /// One file of llama.cpp with configuration and weights.
    Gguf,
}

impl std::fmt::Display for FileFormat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Safetensors => "safetensors",
            Self::Pickle => "pickle",
            Self::Gguf => "GGUF",
        })
    }
}

/// The tensors of one or several files.
pub(crate) struct Weights<'a> {
    pub(crate) format: FileFormat,
    parts: Vec<Part<'a>>,
    tensors: BTreeMap<String, Entry>,
    /// What stands before `wte.weight` in these files: `transformer.` or nothing.
    prefix: &'static str,
}

/// A file, and the name it goes by in errors.
struct Part<'a> {
    file: String,
    bytes: Bytes<'a>,
}

enum Bytes<'a> {
    Mapped(Mapped),
    Given(&'a [u8]),
}

impl Part<'_> {
    fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(mapped) => mapped.bytes(),
            Bytes::Given(bytes) => bytes,
        }
    }
}

/// Where a tensor is.
struct Entry {
    stored: Stored,
    shape: Vec<usize>,
    /// Whether the numbers are those of the transposed matrix.
    transposed: bool,
    part: usize,
    bytes: Range<usize>,
}

/// What a tensor's numbers are stored as.
enum Stored {
    Numbers(NumberFormat),
    /// Numbers of a kind that weights are not, by their name.
    Other(String),
    /// In a way that is not read: what is wrong, with the remedy.
    Refused(String),
}

impl Entry {
    /// One whose bytes begin at `start`.
    fn new(stored: Stored, shape: Vec<usize>, start: usize) -> Self {
        Self { stored, shape, transposed: false, part: 0, bytes: start..start }
    }

    /// The same with all its bytes, if they lie before `end`.
    fn within(mut self, end: usize) -> Option<Self> {
        if let Stored::Numbers(format) = self.stored {
            let numbers = self.shape.iter().try_fold(1_usize, |numbers, &n| numbers.checked_mul(n))?;
            self.bytes.end = self.bytes.start.checked_add(format.bytes(numbers)?)?;
        }
        (self.bytes.end <= end).then_some(self)
    }
}

/// What is wrong where the numbers of a tensor are not in the file.
fn outside(tensor: &str) -> String {
    format!(
        "tensor `{tensor}` lies outside of the file, which is cut short or damaged; download or copy it again"
    )
}

impl<'a> Weights<'a> {
    /// Parses `bytes` of a safetensors file, which `file` names.
    pub(crate) fn parse(file: &str, bytes: &'a [u8]) -> Result<Self, ModelError> {
        let part = Part { file: file.to_owned(), bytes: Bytes::Given(bytes) };
        Self::of(FileFormat::Safetensors, vec![part])
    }

    /// Maps `files`, of which each holds other tensors.
    pub(crate) fn open(
        format: FileFormat,
        files: &[impl AsRef<Path>],
    ) -> Result<Weights<'static>, ModelError> {
        let part = |file: &Path| {
            let bytes = Bytes::Mapped(Mapped::open(file)?);
            Ok(Part { file: file.display().to_string(), bytes })
        };
        let parts = files.iter().map(|file| part(file.as_ref())).collect::<Result<Vec<_>, ModelError>>()?;
        Weights::of(format, parts)
    }

    /// Maps a GGUF file, with what it says of the model.
    pub(crate) fn open_gguf(path: &Path) -> Result<(Weights<'static>, Config, Metadata), ModelError> {
        let file = path.display().to_string();
        let bytes = Mapped::open(path)?;
        let damaged = |problem| ModelError::Damaged { file: file.clone(), problem };
        if let Some(problem) = not_weights(FileFormat::Gguf, bytes.bytes()) {
            return Err(damaged(problem));
        }
        let header = gguf::parse(bytes.bytes()).map_err(damaged)?;
        let tensors = header.tensors.into_iter().collect();
        let part = Part { file: file.clone(), bytes: Bytes::Mapped(bytes) };
        let weights = Weights { format: FileFormat::Gguf, parts: vec![part], tensors, prefix: "" };
        let tied = weights.same("wte.weight", "lm_head.weight");
        let shape = weights.tensors.get("wte.weight").map(|entry| entry.shape.as_slice());
        let config = gguf::config(&header.metadata, shape, tied)
            .map_err(|problem| ModelError::Config { file: file.clone(), problem })?;
        config.check(&file)?;
        Ok((weights, config, header.metadata))
    }

    fn of(format: FileFormat, parts: Vec<Part<'a>>) -> Result<Self, ModelError> {
        let mut tensors = BTreeMap::new();
        for (at, part) in parts.iter().enumerate() {
            let damaged = |problem| ModelError::Damaged { file: part.file.clone(), problem };
            let bytes = part.bytes();
            if let Some(problem) = not_weights(format, bytes) {
                return Err(damaged(problem));
            }
            let found = match format {
                FileFormat::Safetensors => safetensors::parse(bytes),
                FileFormat::Pickle => pickle::parse(bytes),
                FileFormat::Gguf => gguf::parse(bytes).map(|header| header.tensors),
            };
            for (name, entry) in found.map_err(damaged)? {
                if tensors.contains_key(&name) {
                    return Err(damaged(format!(
                        "tensor `{name}` is there twice, here or in another file of the model; \
                         download or export the model again"
                    )));
                }
                tensors.insert(name, Entry { part: at, ..entry });
            }
        }
        let prefix = if tensors.contains_key("transformer.wte.weight") { "transformer." } else { "" };
        Ok(Self { format, parts, tensors, prefix })
    }

    /// The scope of the transformer proper, where `wte.weight` lives.
    pub(crate) fn transformer(&self) -> Scope<'_> {
        Scope { weights: self, path: self.prefix.to_owned() }
    }

    /// The scope of the files as a whole, where `lm_head.weight` lives.
    pub(crate) fn root(&self) -> Scope<'_> {
        Scope { weights: self, path: String::new() }
    }

    /// Gives memory back that mapped files take.
    pub(crate) fn put_back(&self) {
        for part in &self.parts {
            if let Bytes::Mapped(mapped) = &part.bytes {
                mapped.put_back();
            }
        }
    }

    /// How long the files are together.
    pub(crate) fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.bytes().len()).sum()
    }

    /// The file names.
    pub(crate) fn files(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.file.as_str())
    }

    /// The names of the tensors.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// The kinds of numbers in the files with their bytes.
    pub(crate) fn number_formats(&self) -> BTreeMap<NumberFormat, usize> {
        let mut formats = BTreeMap::new();
        for entry in self.tensors.values() {
            if let Stored::Numbers(format) = entry.stored {
                *formats.entry(format).or_default() += entry.bytes.len();
            }
        }
        formats
    }

    /// What stands before `wte.weight`.
    pub(crate) fn prefix(&self) -> &str {
        self.prefix
    }

    /// The shape of a tensor.
    pub(crate) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|entry| entry.shape.as_slice())
    }

    /// Refuses files with blocks beyond the `layers` of the configuration, or
    /// with tensors inside a block that GPT-2 does not have: the model would
    /// run, and answer nonsense.
    pub(crate) fn check_blocks(&self, layers: usize) -> Result<(), ModelError> {
        for (name, entry) in &self.tensors {
            let Some(rest) = name.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix("h.")) else {
                continue;
            };
            let Some((block, tensor)) = rest.split_once('.') else { continue };
            let name = self.stored_name(name);
            let problem = match block.parse::<usize>() {
                Ok(block) if block < layers && BLOCK_TENSORS.contains(&tensor) => continue,
                Ok(block) if block >= layers && self.format == FileFormat::Gguf => format!(
                    "tensor `{name}` belongs to block {block}, but gpt2.block_count is {layers}; \
                     download or convert the model again"
                ),
                Ok(block) if block >= layers => format!(
                    "tensor `{name}` belongs to block {block}, but config.json has n_layer = {layers}; \
                     take config.json and the weights from the same model"
                ),
                _ => format!("tensor `{name}` is no part of GPT-2; this is a model of another architecture"),
            };
            return Err(ModelError::Damaged { file: self.parts[entry.part].file.clone(), problem });
        }
        Ok(())
    }

    /// What the files call a tensor.
    fn stored_name(&self, name: &str) -> String {
        match self.format {
            FileFormat::Gguf => gguf::stored_name(name),
            FileFormat::Safetensors | FileFormat::Pickle => name.to_owned(),
        }
    }

    /// Whether a tensor is not there, or the same as another, byte by byte.
    fn same(&self, one: &str, other: &str) -> bool {
        let Some(other) = self.tensors.get(other) else { return true };
        let Some(one) = self.tensors.get(one) else { return false };
        let bytes = |entry: &Entry| &self.parts[entry.part].bytes()[entry.bytes.clone()];
        let same = one.shape == other.shape
            && matches!((&one.stored, &other.stored), (Stored::Numbers(a), Stored::Numbers(b)) if a == b)
            && bytes(one) == bytes(other);
        self.put_back();
        same
    }

    /// The name of the file that a tensor is in, or of the first.
    fn file_of(&self, tensor: &str) -> String {
        let part = self.tensors.get(tensor).map_or(0, |entry| entry.part);
        self.parts.get(part).map_or_else(String::new, |part| part.file.clone())
    }

    /// The numbers of a tensor, which must have `shape`.
    pub(crate) fn values(&self, shape: &[usize], tensor: &str) -> Result<Values<'_>, ModelError> {
        let file = self.file_of(tensor);
        let name = self.stored_name(tensor);
        let Some(entry) = self.tensors.get(tensor) else {
            return Err(ModelError::MissingTensor { file, remedy: self.missing(tensor), tensor: name });
        };
        // Of such a one the shape may not be known.
        if let Stored::Refused(problem) = &entry.stored {
            return Err(ModelError::Damaged { file, problem: format!("tensor `{name}` {problem}") });
        }
        if entry.shape != shape {
            let (expected, found) = (shape.to_vec(), entry.shape.clone());
            if self.format != FileFormat::Gguf {
                return Err(ModelError::Shape { file, tensor: name, expected, found });
            }
            let problem = format!(
                "tensor `{name}` has shape {found:?}, but the file's metadata asks for {expected:?}; \
                 download or convert the model again"
            );
            return Err(ModelError::Damaged { file, problem });
        }
        let format = match &entry.stored {
            Stored::Numbers(format) => *format,
            Stored::Other(found) | Stored::Refused(found) => {
                return Err(ModelError::NumberFormat { file, tensor: name, found: found.clone() });
            }
        };
        let order = match *shape {
            [rows, columns] if entry.transposed => Order::Transposed { rows, columns },
            _ => Order::Plain,
        };
        let bytes = &self.parts[entry.part].bytes()[entry.bytes.clone()];
        Ok(Values::new(format, bytes, shape.iter().product(), order))
    }

    /// Why `tensor` may be missing, from what is there instead.
    fn missing(&self, tensor: &str) -> String {
        if self.format == FileFormat::Gguf {
            return "the file is damaged or no whole GPT-2: download or convert the model again".to_owned();
        }
        if tensor == "lm_head.weight" {
            return "config.json says the output head is separate: set tie_word_embeddings to true if it is not"
                .to_owned();
        }
        match self.names().next() {
            Some(first) if !self.names().any(|name| name.ends_with("wte.weight")) => {
                format!("the file holds {} tensors, `{first}` first: this is not GPT-2", self.tensors.len())
            }
            Some(_) => "take config.json and the weights from the same model".to_owned(),
            None => "the file holds no tensors: download or export it again".to_owned(),
        }
    }
}

/// What a GGUF file says besides its tensors: numbers and short texts, by key.
pub(crate) type Metadata = BTreeMap<String, String>;

/// What a block holds. `attn.bias` and `attn.masked_bias` are the causal mask
/// that older checkpoints carry along; it is known without them.
const BLOCK_TENSORS: [&str; 14] = [
    "ln_1.weight",
    "ln_1.bias",
    "attn.c_attn.weight",
    "attn.c_attn.bias",
    "attn.c_proj.weight",
    "attn.c_proj.bias",
    "attn.bias",
    "attn.masked_bias",
    "ln_2.weight",
    "ln_2.bias",
    "mlp.c_fc.weight",
    "mlp.c_fc.bias",
    "mlp.c_proj.weight",
    "mlp.c_proj.bias",
];

/// A place in the tree of tensor names.
pub(crate) struct Scope<'a> {
    weights: &'a Weights<'a>,
    path: String,
}

impl<'a> Scope<'a> {
    /// The scope `name` below this one.
    pub(crate) fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { weights: self.weights, path: format!("{}{name}.", self.path) }
    }

    /// The tensor `name` in f32, which must have `shape`.
    pub(crate) fn get(&self, shape: &[usize], name: &str) -> Result<Tensor, ModelError> {
        Ok(Tensor::from_vec(self.values(shape, name)?.to_vec(), shape, &Device::Cpu)?)
    }

    /// The tensor `name` as it is stored, which must have `shape`.
    pub(crate) fn values(&self, shape: &[usize], name: &str) -> Result<Values<'a>, ModelError> {
        self.weights.values(shape, &format!("{}{name}", self.path))
    }
}

/// Recognises the files that are most often found in place of weights.
fn not_weights(format: FileFormat, bytes: &[u8]) -> Option<String> {
    let text = bytes.trim_ascii_start();
    let zip = bytes.starts_with(b"PK\x03\x04");
    let problem = if bytes.is_empty() {
        "the file is empty; download or export it again"
    } else if text.starts_with(b"<") {
        "this is a web page, not weights: the download went to a page that reports an error or asks to log in; \
         download the file itself"
    } else if text.starts_with(b"version https://git-lfs") {
        "this is a Git LFS pointer, not weights; run `git lfs pull` in the model's folder"
    } else if format != FileFormat::Gguf && bytes.starts_with(b"GGUF") {
        "this is a GGUF file under another name; rename it to model.gguf"
    } else if format != FileFormat::Pickle && zip {
        "this is a pickled PyTorch file under another name; rename it to pytorch_model.bin"
    } else if bytes.starts_with(b"\x80\x02") {
        "this is a pickled PyTorch file in the format before PyTorch 1.6; load it with torch.load and save it \
         with torch.save anew, or convert it to safetensors"
    } else if format == FileFormat::Pickle && !zip {
        "this is not a file that torch.save wrote; download or export it again"
    } else if format == FileFormat::Gguf && !bytes.starts_with(b"GGUF") {
        "this is not a GGUF file; download or convert the model again"
    } else {
        return None;
    };
    Some(problem.to_owned())
}
