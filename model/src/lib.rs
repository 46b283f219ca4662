//! GPT-2: weights in, token ids in, logits out, and the training that makes the
//! weights. This crate knows ids and never what they stand for.
//!
//! A [`Network`] reads ids and says which may follow. There are two: [`cpu::Cpu`] is
//! made for playing along on the processor, [`Gpt2`] is candle's: what the other is held
//! to, and what runs on a graphics card ([`Gpu`]). A [`Decoder`] is either. [`generate()`] continues a prompt in several takes, led by a [`Guide`].
//! [`export`] writes models for other programs.

pub mod cpu;
mod decoder;
mod error;
pub mod export;
mod files;
mod generate;
mod gpt2;
mod gpu;
mod math;
mod network;
mod prompt;
mod sampling;
mod single;
pub mod train;
mod weights;

pub use decoder::{Decoder, DecoderCache};
pub use error::ModelError;
pub use files::ModelFiles;
pub use generate::{Ending, Guide, generate};
pub use gpt2::{Activation, Cache, Config, Gpt2};
pub use gpu::{Gpu, GpuKind};
pub use network::{KvCache, Network, Part};
pub use prompt::Prompt;
pub use sampling::{Sampler, Sampling};
pub use weights::FileFormat;
