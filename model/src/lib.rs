//! GPT-2: weights in, token ids in, logits out, and the training that makes the
//! weights. This crate knows ids and never what they stand for.
//!
//! [`Gpt2`] answers from a Hugging Face folder; [`generate()`] continues a prompt
//! in several takes, led by a [`Guide`].

mod error;
mod generate;
mod gpt2;
mod math;
mod sampling;
mod single;
pub mod train;
mod weights;

pub use error::ModelError;
pub use generate::{Ending, Guide, generate};
pub use gpt2::{Activation, Cache, Config, Gpt2};
pub use sampling::{Sampler, Sampling};
