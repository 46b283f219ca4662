//! Writing models: a GPT-2 as a GGUF file for llama.cpp and its kin ([`gguf`]), or as
//! the weight file of a Hugging Face folder ([`safetensors`]).
//!
//! What is written comes from a [`Tensors`], one tensor at a time, so a model is never in
//! memory twice. A file takes its place when it is whole: until then a hidden one stands
//! beside it, which goes away with an error or an interruption.

pub mod gguf;
mod layout;
mod numbers;
pub mod safetensors;
mod source;
mod staged;
mod vocabulary;

use std::path::Path;

pub use numbers::{Numbers, Q8_0_BLOCK, quantize_q8_0};
pub use source::Source;
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
