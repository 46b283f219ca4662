//! `continuo bench`: how fast this machine reads, answers and learns.
//!
//! - [`decode`]: reading a prompt and going on from it.
//! - [`train`]: steps of training.

pub mod decode;
pub mod train;

use clap::{Args, Subcommand};

use crate::Outcome;

/// What `continuo bench` can be told.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// What to measure.
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// The subcommands of `continuo bench`.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure how fast a model reads a prompt and goes on from it
    #[command(long_about = decode::ABOUT, after_help = decode::EXAMPLES)]
    Decode(decode::DecodeArgs),
    /// Measure how fast a model learns
    #[command(long_about = train::ABOUT, after_help = train::EXAMPLES)]
    Train(train::TrainArgs),
}

/// Runs `continuo bench`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &BenchArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        BenchCommand::Decode(args) => decode::run(args),
        BenchCommand::Train(args) => train::run(args),
    }
}

/// The most memory this program has had so far, in bytes; where the system tells.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
