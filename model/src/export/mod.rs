//! Writing models: a GPT-2 as a GGUF file for llama.cpp and its kin ([`gguf`]), or as
//! the weight file of a Hugging Face folder ([`safetensors`]).
//!
//! What is written comes from a [`Tensors`], one tensor at a time, so a model is never in
//! memory twice. A file takes its place when it is whole: until then a hidden one stands
//! beside it, which goes away with an error or an interruption.

pub mod gguf;
pub(crate) mod layout;
mod numbers;
pub mod safetensors;
mod staged;
mod vocabulary;

use std::path::Path;

use self::staged::Staged;

pub use numbers::{Numbers, Q8_0_BLOCK, quantize_q8_0};
pub use vocabulary::Vocabulary;

use crate::{Config, ModelError};

/// Where a model that is written comes from.
pub trait Tensors {
    /// The shape of the model.
    fn config(&self) -> &Config;

    /// The file that the weights lie in, to be named in errors.
    fn file(&self) -> &Path;

    /// A tensor's numbers, row by row, by its name and in its layout in Hugging Face's
    /// GPT-2, without `transformer.`: `wte.weight` (vocabulary, width), `h.0.attn.c_attn.weight`
    /// (in, out), `ln_f.bias`, and `lm_head.weight` (vocabulary, width) where the head is
    /// separate.
    ///
    /// # Errors
    /// If there is no such tensor, it has another shape than the configuration asks for, or
    /// it cannot be read.
    fn tensor(&self, name: &str) -> Result<Vec<f32>, ModelError>;
}

/// Called with the numbers written so far and those to write; writing stops where it
/// answers `false`.
pub type Watch<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// How many numbers are encoded at a time: whole blocks of any format.
const PART: usize = 1 << 16;

/// Has tensors written one after the other, each of `count` numbers, and finishes the file.
/// `None` where `watch` stopped it and nothing was written.
fn each<T>(
    mut file: Staged,
    tensors: &[T],
    count: impl Fn(&T) -> usize,
    watch: Watch<'_>,
    mut write: impl FnMut(&T, &mut Staged) -> Result<(), ModelError>,
) -> Result<Option<u64>, ModelError> {
    let total = tensors.iter().map(|tensor| count(tensor) as u64).sum();
    let mut done = 0;
    for tensor in tensors {
        if !watch(done, total) {
            return Ok(None);
        }
        write(tensor, &mut file)?;
        done += count(tensor) as u64;
    }
    if !watch(done, total) {
        return Ok(None);
    }
    file.finish().map(Some)
}

/// Appends the numbers of the tensor `name` of a model.
fn append(
    file: &mut Staged,
    values: &[f32],
    numbers: Numbers,
    source: &dyn Tensors,
    name: &str,
) -> Result<(), ModelError> {
    let mut room = Vec::new();
    for part in values.chunks(PART) {
        room.clear();
        if !numbers.encode(part, &mut room) {
            let problem = format!(
                "tensor `{name}` holds a number that {} has no room for; write the model as f32",
                numbers.as_str()
            );
            return Err(ModelError::Damaged { file: source.file().display().to_string(), problem });
        }
        file.write(&room)?;
    }
    Ok(())
}

/// A tensor of `count` numbers.
fn read(source: &dyn Tensors, name: &str, count: usize) -> Result<Vec<f32>, ModelError> {
    let values = source.tensor(name)?;
    if values.len() == count {
        return Ok(values);
    }
    let (file, tensor) = (source.file().display().to_string(), name.to_owned());
    Err(ModelError::Shape { file, tensor, expected: vec![count], found: vec![values.len()] })
}

/// What a model says about itself beside its shape.
#[derive(Clone, Debug, Default)]
pub struct About {
    /// The model's name, for people.
    pub name: String,
    /// The encoding of its ids, and the version of that encoding's vocabulary.
    pub encoding: Option<(String, u32)>,
    /// What its ids are as text, where it is a model of text.
    pub vocabulary: Option<Vocabulary>,
}
