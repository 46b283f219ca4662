//! `continuo model`: a look at models, and models for other programs.

pub mod convert;
pub mod info;
mod output;

use std::fs;
use std::path::Path;

use clap::{Args, Subcommand};
use continuo_engine::source;
use continuo_hub::Kind;
use continuo_model::{ModelError, ModelFiles};

use crate::{Outcome, hub};

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
    /// Bring a model from the Hugging Face Hub
    #[command(after_help = PULL_EXAMPLES)]
    Pull(hub::PullArgs),
    /// Put a model on the Hugging Face Hub
    #[command(after_help = PUSH_EXAMPLES)]
    Push(hub::PushArgs),
}

const PULL_EXAMPLES: &str = "EXAMPLES:\n  \
    continuo model pull owner/name\n  \
    continuo generate phrase.mid -o answer.mid --model owner/name\n\n\
    Pull again to bring it up to date, or to go on after an interruption. For a private model log in with \
    `hf auth login`, or set HF_TOKEN. HF_ENDPOINT names another hub.";

const PUSH_EXAMPLES: &str = "EXAMPLES:\n  \
    continuo model push owner/name --from model/ --private\n\n\
    Pushed are the weights and what describes them, in one commit. Log in with `hf auth login`, or set HF_TOKEN to a \
    token that may write.";

/// Runs `continuo model`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &ModelArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        ModelCommand::Info(args) => info::run(args),
        ModelCommand::Convert(args) => convert::convert(args),
        ModelCommand::Quantize(args) => convert::quantize(args),
        ModelCommand::Pull(args) => hub::pull(Kind::Model, args),
        ModelCommand::Push(args) => hub::push(Kind::Model, args),
    }
}

/// Opens the model that is named.
fn open(path: &Path) -> anyhow::Result<ModelFiles> {
    let path = &source::find(path)?;
    // As it was typed, not the file that a folder of that name would hold.
    let remedy = "name a model folder or its weight file";
    fs::metadata(path).map_err(|source| ModelError::Io { file: path.to_owned(), source, remedy })?;
    Ok(ModelFiles::open(path)?)
}
