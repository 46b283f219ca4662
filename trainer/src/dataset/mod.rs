//! `continuo dataset`: data sets of music.
//!
//! - [`build`]: from MIDI files to a data set.
//! - [`input`]: folders and archives; [`survey`]: the first look at each file.
//! - [`similar`], [`plan`]: which files are the same, and which part each is in.
//! - [`rows`], [`table`]: what a file becomes, and how that is stored.
//! - [`card`]: what a stranger is told of the data set.

pub mod build;
pub mod card;
pub mod input;
pub mod plan;
pub mod rows;
pub mod similar;
pub mod survey;
pub mod table;

use clap::{Args, Subcommand};
use continuo_hub::Kind;

use crate::{Outcome, hub};

/// What `continuo dataset` can be told.
#[derive(Debug, Args)]
pub struct DatasetArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: DatasetCommand,
}

/// The subcommands of `continuo dataset`.
#[derive(Debug, Subcommand)]
pub enum DatasetCommand {
    /// Make a data set of MIDI files
    #[command(long_about = build::ABOUT)]
    Build(Box<build::BuildArgs>),
    /// Bring a data set from the Hugging Face Hub
    #[command(after_help = PULL_EXAMPLES)]
    Pull(hub::PullArgs),
    /// Put a data set on the Hugging Face Hub
    #[command(after_help = PUSH_EXAMPLES)]
    Push(hub::PushArgs),
}

const PULL_EXAMPLES: &str = "EXAMPLES:\n  \
    continuo dataset pull owner/name --out data/\n\n\
    Pull again to bring it up to date, or to go on after an interruption. For a private data set log in with \
    `hf auth login`, or set HF_TOKEN. HF_ENDPOINT names another hub.";

const PUSH_EXAMPLES: &str = "EXAMPLES:\n  \
    continuo dataset push owner/name --from data/ --private\n\n\
    Pushed is the whole folder without hidden files, in one commit. Log in with `hf auth login`, or set HF_TOKEN to \
    a token that may write.";

/// Runs `continuo dataset`.
///
/// # Errors
/// One sentence with the remedy.
pub fn run(args: &DatasetArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        DatasetCommand::Build(args) => build::run(args),
        DatasetCommand::Pull(args) => hub::pull(Kind::Dataset, args),
        DatasetCommand::Push(args) => hub::push(Kind::Dataset, args),
    }
}
