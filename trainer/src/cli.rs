//! What can be typed. Each subcommand's arguments stand beside its function.

use clap::{Parser, Subcommand};

use crate::{bench, convert, dataset, eval, generate, model, train};

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "continuo",
    version,
    about = "Convert MIDI, train a model, let it answer a phrase",
    long_about = "Convert MIDI to text and token ids and back, train a model on folders of MIDI files, \
                  and let a model answer a phrase. Everything runs on this machine, without an account or a server; only `pull` and `push` talk to the \
                  Hugging Face Hub.",
    after_help = "EXAMPLES:\n  \
        continuo generate phrase.mid -o answer.mid --takes 4 --bars 4\n  \
        continuo encode music/ texts/\n  \
        continuo train music/ --out model/ --minutes 60\n  \
        continuo generate phrase.mid -o answer.mid --model model/\n\n\
        Exit codes: 0 done, 1 an error or refused files, 2 wrong usage, 130 interrupted."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Spell MIDI files as text or token ids
    #[command(long_about = convert::ABOUT_ENCODE)]
    Encode(convert::EncodeArgs),
    /// Turn text or token ids back into MIDI files
    #[command(long_about = convert::ABOUT_DECODE)]
    Decode(convert::DecodeArgs),
    /// Train a model on folders of MIDI files, or on data sets
    #[command(long_about = train::ABOUT)]
    Train(Box<train::TrainArgs>),
    /// Measure a model on folders of MIDI files
    #[command(long_about = eval::ABOUT)]
    Eval(eval::EvalArgs),
    /// Let a model answer a phrase
    #[command(long_about = generate::ABOUT)]
    Generate(generate::GenerateArgs),
    /// Measure how fast this machine answers and learns
    Bench(bench::BenchArgs),
    /// Look at a model, write it for other programs, pull or push it
    Model(model::ModelArgs),
    /// Make a data set of MIDI files; bring one from the Hugging Face Hub, or put one there
    Dataset(dataset::DatasetArgs),
}
