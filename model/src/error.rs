//! What can go wrong between a model folder and its logits, said so that the
//! person who chose the folder knows which file to look at and what to do.

use std::path::PathBuf;

/// An error from loading, running, or training a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A file could not be read or written.
    #[error("{}: {source}; {remedy}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A `config.json` that is not one, or describes a model that cannot be.
    #[error("{file}: {problem}")]
    Config {
        /// The file, or a name for where the configuration came from.
        file: String,
        /// What is wrong, with the remedy.
        problem: String,
    },
    /// A weight file that cannot be read as one.
    #[error("{file}: {problem}")]
    Damaged {
        /// The file, or a name for where the bytes came from.
        file: String,
        /// What is wrong, with the remedy.
        problem: String,
    },
    /// A tensor the configuration asks for is not in the weight file.
    #[error("{file}: tensor `{tensor}` is missing; {remedy}")]
    MissingTensor {
        /// The weight file.
        file: String,
        /// The full name looked for.
        tensor: String,
        /// What to do about it.
        remedy: String,
    },
    /// A tensor of another shape than the configuration asks for.
    #[error(
        "{file}: tensor `{tensor}` has shape {found:?}, but config.json asks for {expected:?}; \
         take config.json and the weights from the same model"
    )]
    Shape {
        /// The weight file.
        file: String,
        /// The full name.
        tensor: String,
        /// The shape that follows from the configuration.
        expected: Vec<usize>,
        /// The shape in the file.
        found: Vec<usize>,
    },
    /// A tensor stored as numbers of a kind that weights are not.
    #[error(
        "{file}: tensor `{tensor}` is stored as {found}, which is not supported; \
         save it as F32, F16 or BF16, in GGUF also Q8_0"
    )]
    NumberFormat {
        /// The weight file.
        file: String,
        /// The full name.
        tensor: String,
        /// The format in the file.
        found: String,
    },
    /// More ids than the model's window has room for.
    #[error(
        "{asked} more ids do not fit: {used} of the model's window of {window} are used; \
         shorten the prompt or truncate the cache"
    )]
    Window {
        /// How many ids were to be appended.
        asked: usize,
        /// How many the cache already held.
        used: usize,
        /// `n_positions`.
        window: usize,
    },
    /// An id outside of the vocabulary.
    #[error("id {id} at position {position} is outside of the model's vocabulary of {vocabulary} ids")]
    Id {
        /// The id.
        id: u32,
        /// Its index among the ids given.
        position: usize,
        /// `vocab_size`.
        vocabulary: usize,
    },
    /// A call without any ids.
    #[error("no ids were given; a model needs at least one to go on from")]
    NoIds,
    /// A cache that belongs to a model of another shape.
    #[error("the cache was made by a model of another shape; make one with Gpt2::cache of this model")]
    ForeignCache,
    /// A setting or batch the trainer cannot work with.
    #[error("{0}")]
    Training(String),
    /// Logits that leave nothing to choose.
    #[error(
        "the model's answer holds no number to choose from; its weights are damaged or of another vocabulary: \
         download or train the model again"
    )]
    NoChoice,
    /// A graphics card that cannot be computed with.
    #[error("{device} cannot be used: {problem}; {remedy}, or choose the processor (cpu)")]
    Device {
        /// What was asked for.
        device: &'static str,
        /// Why not.
        problem: String,
        /// What to do about it.
        remedy: String,
    },
    /// The tensor library failed.
    #[error("computing failed: {0}")]
    Compute(#[from] candle_core::Error),
}
