//! GPT-2: weights in, token ids in, logits out, and the training that makes the
//! weights. This crate knows ids and never what they stand for.
//!
//! [`Gpt2`] answers from a Hugging Face folder.

mod error;
mod gpt2;
mod weights;

pub use error::ModelError;
pub use gpt2::{Activation, Cache, Config, Gpt2};
