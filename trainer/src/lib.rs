//! The `continuo` command line: convert MIDI, train a model, play with it.
//!
//! What was typed ([`cli`]) is not what is needed: every subcommand has one
//! `Args` struct and one function that turns it into settings, does the work and
//! gives back an [`Outcome`]. Only [`main`] knows exit codes.
//!
//! - [`convert`]: `encode` and `decode`, files and folders.
//! - [`train`]: data, loop, checkpoints, model card.
//! - [`eval`]: models measured beside each other, and beside a human.
//! - [`generate`]: `generate`, a phrase in and takes out.
//! - [`limits`]: what an answer is held to, as it is typed.
//! - [`mod@bench`]: `bench decode` and `bench train`, how fast this machine answers and learns.
//! - [`model`]: `model info`, `model convert`, `model quantize`, `model pull`, `model push`.
//! - [`dataset`]: `dataset build`, `dataset pull`, `dataset push`.
//! - [`hub`]: how these talk to the Hugging Face Hub.
//! - [`device`]: what a model runs on, as it is typed.
//! - [`ngram`]: the n-gram model every trained model is compared with.
//! - [`bars`], [`encodings`], [`excerpt`], [`files`], [`manifest`], [`progress`], [`interrupt`]: what they share.
#![forbid(unsafe_code)]

/// Tells people something, on stderr. Work does not end because nobody listens any more, as
/// it would with the standard library's macro.
macro_rules! tell {
    ($($words:tt)*) => {{
        let _ = std::io::Write::write_fmt(&mut std::io::stderr(), format_args!("{}\n", format_args!($($words)*)));
    }};
}
pub(crate) use tell;

pub mod bars;
pub mod bench;
pub mod cli;
pub mod convert;
pub mod dataset;
pub mod device;
pub mod encodings;
pub mod eval;
pub mod excerpt;
pub mod files;
pub mod generate;
pub mod hub;
pub mod interrupt;
pub mod limits;
pub mod manifest;
pub mod model;
pub mod ngram;
pub mod progress;
pub mod train;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};

/// How a subcommand ended that met no error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything asked for was done.
    Done,
    /// The work went through, but some input was refused (and named).
    Refused,
    /// The user stopped it; what was finished is kept.
    Interrupted,
}

impl Outcome {
    /// The exit code: 0 done, 1 refused, 130 interrupted.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Interrupted => 130,
        }
    }
}

/// Runs what the command line says; wrong usage exits with 2 from within clap.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    interrupt::install();
    match run(cli) {
        Ok(outcome) => ExitCode::from(outcome.code()),
        Err(error) => {
            crate::tell!("error: {}", describe(&error));
            ExitCode::from(1)
        }
    }
}

/// Runs one subcommand.
///
/// # Errors
/// One sentence that names the file, the place and the remedy.
pub fn run(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Encode(args) => convert::encode(&args),
        Command::Decode(args) => convert::decode(&args),
        Command::Train(args) => train::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Generate(args) => generate::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Model(args) => model::run(&args),
        Command::Dataset(args) => dataset::run(&args),
    }
}

/// An error and what led to it in one line; a cause that was told already is not
/// told again.
pub(crate) fn describe(error: &anyhow::Error) -> String {
    let mut said = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !said.contains(&cause) {
            said += if said.is_empty() { "" } else { ": " };
            said += &cause;
        }
    }
    said
}

/// The number a person would write for an `f32`: 0.95, not 0.949999988079071.
pub(crate) fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or_else(|_| f64::from(number))
}

/// Prints to standard output; a reader that has gone away is no error.
pub(crate) fn print(text: &str) {
    use std::io::Write as _;
    let _ = std::io::stdout().lock().write_all(text.as_bytes());
}
