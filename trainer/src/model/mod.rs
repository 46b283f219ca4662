//! `continuo model`: a look at models, and models for other programs.

pub mod convert;
pub mod info;
mod output;

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use continuo_model::{ModelError, ModelFiles};

use crate::Outcome;

/// What `continuo model` can be told.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ModelCommand,
}

/// The subcommands of `continuo model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Tell a model's encoding, shape, size and format
    Info(info::InfoArgs),
    /// Write a model as a GGUF file or a safetensors folder
    #[command(long_about = convert::ABOUT_CONVERT)]
    Convert(convert::ConvertArgs),
    /// Write a model as a small GGUF file
    #[command(long_about = convert::ABOUT_QUANTIZE)]
    Quantize(convert::QuantizeArgs),
}

/// Runs `continuo model`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &ModelArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        ModelCommand::Info(args) => info::run(args),
        ModelCommand::Convert(args) => convert::convert(args),
        ModelCommand::Quantize(args) => convert::quantize(args),
    }
}

/// Opens the model that is named.
fn open(path: &Path) -> Result<ModelFiles, ModelError> {
    // As it was typed, not the file that a folder of that name would hold.
    let remedy = "name a model folder or its weight file";
    fs::metadata(path).map_err(|source| ModelError::Io { file: path.to_owned(), source, remedy })?;
    ModelFiles::open(path)
}
