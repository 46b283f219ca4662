//! Reading a safetensors file against the shapes a configuration asks for.
//! Everything is checked on the way in, so that the model itself never meets
//! a tensor it did not expect.

use std::fs::File;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use crate::ModelError;

/// A parsed weight file and the name it goes by in errors.
pub(crate) struct Weights<'a> {
    file: &'a str,
    tensors: SafeTensors<'a>,
    /// What stands before `wte.weight` in this file: `transformer.` or nothing.
    prefix: &'static str,
}

impl<'a> Weights<'a> {
    /// Parses `bytes`, which `file` names.
    pub(crate) fn parse(file: &'a str, bytes: &'a [u8]) -> Result<Self, ModelError> {
        let damaged = |problem: String| ModelError::Damaged { file: file.to_owned(), problem };
        if let Some(problem) = not_weights(bytes) {
            return Err(damaged(problem));
        }
        let tensors =
            SafeTensors::deserialize(bytes).map_err(|error| damaged(explain(&error, bytes.len())))?;
        let prefix = if tensors.tensor("transformer.wte.weight").is_ok() { "transformer." } else { "" };
        Ok(Self { file, tensors, prefix })
    }

    /// The scope of the transformer proper, where `wte.weight` lives.
    pub(crate) fn transformer(&self) -> Scope<'_> {
        Scope { weights: self, path: self.prefix.to_owned() }
    }

    /// The scope of the file as a whole, where `lm_head.weight` lives.
    pub(crate) fn root(&self) -> Scope<'_> {
        Scope { weights: self, path: String::new() }
    }

    /// Refuses a file with blocks beyond the `layers` of the configuration, or
    /// with tensors inside a block that GPT-2 does not have: the model would
    /// run, and answer nonsense.
    pub(crate) fn check_blocks(&self, layers: usize) -> Result<(), ModelError> {
        for name in self.tensors.names() {
            let Some(rest) = name.strip_prefix(self.prefix).and_then(|rest| rest.strip_prefix("h.")) else {
                continue;
            };
            let Some((block, tensor)) = rest.split_once('.') else { continue };
            let problem = match block.parse::<usize>() {
                Ok(block) if block < layers && BLOCK_TENSORS.contains(&tensor) => continue,
                Ok(block) if block >= layers => format!(
                    "tensor `{name}` belongs to block {block}, but config.json has n_layer = {layers}; \
                     take config.json and the weights from the same model"
                ),
                _ => format!("tensor `{name}` is no part of GPT-2; this is a model of another architecture"),
            };
            return Err(ModelError::Damaged { file: self.file.to_owned(), problem });
        }
        Ok(())
    }
}

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

impl Scope<'_> {
    /// The scope `name` below this one.
    pub(crate) fn pp(&self, name: impl std::fmt::Display) -> Self {
        Self { weights: self.weights, path: format!("{}{name}.", self.path) }
    }

    /// The tensor `name` in f32, which must have `shape`.
    pub(crate) fn get(&self, shape: &[usize], name: &str) -> Result<Tensor, ModelError> {
        let values = self.values(shape, name)?;
        let stored = match values.format {
            Format::F32 => DType::F32,
            Format::F16 => DType::F16,
            Format::Bf16 => DType::BF16,
        };
        Ok(Tensor::from_raw_buffer(values.bytes, stored, shape, &Device::Cpu)?.to_dtype(DType::F32)?)
    }

    /// The tensor `name` as it is stored, which must have `shape`.
    pub(crate) fn values(&self, shape: &[usize], name: &str) -> Result<Values<'_>, ModelError> {
        let tensor = format!("{}{name}", self.path);
        let file = || self.weights.file.to_owned();
        let Ok(view) = self.weights.tensors.tensor(&tensor) else {
            let remedy = missing(&self.weights.tensors, &tensor);
            return Err(ModelError::MissingTensor { file: file(), tensor, remedy });
        };
        if view.shape() != shape {
            let (expected, found) = (shape.to_vec(), view.shape().to_vec());
            return Err(ModelError::Shape { file: file(), tensor, expected, found });
        }
        let format = match view.dtype() {
            Dtype::F32 => Format::F32,
            Dtype::F16 => Format::F16,
            Dtype::BF16 => Format::Bf16,
            other => {
                return Err(ModelError::NumberFormat { file: file(), tensor, found: format!("{other:?}") });
            }
        };
        Ok(Values { format, bytes: view.data() })
    }
}

/// A tensor's numbers as they are stored.
pub(crate) struct Values<'a> {
    format: Format,
    bytes: &'a [u8],
}

/// The kinds of numbers weights are stored as.
#[derive(Clone, Copy)]
enum Format {
    F32,
    F16,
    Bf16,
}

impl Values<'_> {
    /// The numbers from a place on, as many as there is room for.
    #[inline]
    pub(crate) fn fill(&self, from: usize, to: &mut [f32]) {
        match self.format {
            Format::F32 => fill(&self.bytes[4 * from..], to, f32::from_le_bytes),
            Format::F16 => fill(&self.bytes[2 * from..], to, |two| f16::from_le_bytes(two).to_f32()),
            Format::Bf16 => fill(&self.bytes[2 * from..], to, |two| bf16::from_le_bytes(two).to_f32()),
        }
    }

    /// All of them.
    pub(crate) fn to_vec(&self) -> Vec<f32> {
        let size = if let Format::F32 = self.format { 4 } else { 2 };
        let mut all = vec![0.0; self.bytes.len() / size];
        self.fill(0, &mut all);
        all
    }
}

#[inline(always)]
fn fill<const N: usize>(bytes: &[u8], to: &mut [f32], number: impl Fn([u8; N]) -> f32) {
    for (to, bytes) in to.iter_mut().zip(bytes.as_chunks::<N>().0) {
        *to = number(*bytes);
    }
}

/// A weight file's bytes, as the system brings them into memory.
pub(crate) struct Mapped(Mmap);

impl Mapped {
    /// Opens a file without reading it.
    pub(crate) fn open(file: &Path) -> Result<Self, ModelError> {
        let remedy = "a model is a folder that holds config.json and model.safetensors";
        let error = |source| ModelError::Io { file: file.to_owned(), source, remedy };
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

/// Why `tensor` may be missing, from what is there instead.
fn missing(tensors: &SafeTensors<'_>, tensor: &str) -> String {
    if tensor == "lm_head.weight" {
        return "config.json says the output head is separate: set tie_word_embeddings to true if it is not"
            .to_owned();
    }
    let mut names = tensors.names();
    names.sort_unstable();
    match names.first() {
        Some(first) if !names.iter().any(|name| name.ends_with("wte.weight")) => {
            format!("the file holds {} tensors, `{first}` first: this is not GPT-2", names.len())
        }
        Some(_) => "take config.json and the weights from the same model".to_owned(),
        None => "the file holds no tensors: download or export it again".to_owned(),
    }
}

/// Recognises the files that are most often found in place of weights.
fn not_weights(bytes: &[u8]) -> Option<String> {
    let text = bytes.trim_ascii_start();
    let problem = if bytes.is_empty() {
        "the file is empty; download or export it again"
    } else if text.starts_with(b"<") {
        "this is a web page, not weights: the download went to a page that reports an error or asks to log in; \
         download the file itself"
    } else if text.starts_with(b"version https://git-lfs") {
        "this is a Git LFS pointer, not weights; run `git lfs pull` in the model's folder"
    } else if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x80\x02") {
        "this is a pickled PyTorch file under another name; convert it to safetensors"
    } else if bytes.starts_with(b"GGUF") {
        "this is a GGUF file under another name; use the safetensors file of the model"
    } else {
        return None;
    };
    Some(problem.to_owned())
}

/// What a parse error means for the person who has the file.
fn explain(error: &SafeTensorError, length: usize) -> String {
    use SafeTensorError as E;
    match error {
        E::MetadataIncompleteBuffer | E::HeaderTooSmall | E::InvalidHeaderLength => format!(
            "the file is cut short or damaged: its {length} bytes are not the ones its header announces; \
             download or copy it again"
        ),
        other => format!("not a safetensors file ({other}); download or export it again"),
    }
}
