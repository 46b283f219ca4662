//! `continuo train`.
//!
//! - [`settings`]: what was typed becomes what a run needs.
//! - [`corpus`], [`split`]: folders of MIDI files become pieces; [`stored`]: so do data sets.
//! - [`batches`]: pieces become batches.
//! - [`start`], [`looping`]: what comes before the first step, and the loop itself.
//! - [`checkpoints`]: what is kept on disk, and how a run is resumed.
//! - [`measure`], [`card`]: the figures and the model card.
//! - [`metrics`], [`plot`], [`tensorboard`], [`samples`]: what a run shows of itself as it goes.

pub mod batches;
pub mod card;
pub mod checkpoints;
pub mod corpus;
pub mod looping;
pub mod measure;
pub mod metrics;
pub mod plot;
pub mod samples;
pub mod settings;
pub mod split;
pub mod start;
pub mod stored;
pub mod tensorboard;

use std::path::PathBuf;

use clap::Args;
use continuo_hub::RepoName;

use crate::Outcome;
use crate::device::LearningArgs;
use crate::encodings::EncodingName;
use crate::train::settings::{Budget, Schedule, Size};
use crate::train::stored::Data;

/// What `--help` tells first.
pub(crate) const ABOUT: &str = "Train a model on folders of MIDI files, or on data sets that `continuo dataset build` made.\n\n\
    The files are read, spelled in token ids, cut into chunks of the context's length and learned from: whole \
    pieces, not only their beginnings. One work in twenty is held out to measure on, decided by its file name; \
    held-out pieces that training has too are found by their content and given to training. Every epoch the \
    music comes in another order, in other keys and at other loudness.\n\n\
    From the first measurement on, the model folder --out holds the best model so far by held-out loss (config.json, \
    model.safetensors, continuo.json, README.md), beside the last two checkpoints and what tells how the run goes: \
    metrics.jsonl, the same as a curve (loss.png) and for TensorBoard (`tensorboard --logdir`), and in samples/ what \
    the model answered at each measurement. \
    Ctrl-C saves and ends; --resume goes on exactly where it stopped.";

/// What `continuo train` can be told.
#[derive(Debug, Default, Args)]
#[command(after_help = "EXAMPLES:\n  \
        An hour on this machine:\n    continuo train music/ --out model/ --minutes 60\n  \
        A first try in a minute:\n    continuo train music/ --out try/ --size nano --context 128 --steps 100\n  \
        On a data set:\n    continuo train --data data/ --out model/\n  \
        Go on after Ctrl-C:\n    continuo train --resume --out model/\n  \
        Fine-tune a model on your own pieces:\n    continuo train mine/ --base model/ --out my-model/ --epochs 5\n  \
        Go on from a GPT-2 of words:\n    continuo train music/ --base gpt2/ --fresh-vocabulary --encoding beat --out model/\n  \
        Then play with it:\n    continuo generate phrase.mid -o answer.mid --model model/")]
pub struct TrainArgs {
    /// Folders of MIDI files (.mid, .midi), searched with their subfolders
    #[arg(value_name = "MIDI_FOLDER")]
    pub folders: Vec<PathBuf>,
    /// Data sets to learn from in place of folders, each with a weight: how often its rows come; folders, or names on
    /// the hub that were pulled
    #[arg(long, value_name = "DIR[=WEIGHT]", conflicts_with = "folders")]
    pub data: Vec<Data>,
    /// Where the model, its checkpoints and metrics go
    #[arg(long, value_name = "DIR", required = true)]
    pub out: PathBuf,
    /// Go on with the run in --out; its settings need not be repeated
    #[arg(long)]
    pub resume: bool,
    /// How music is spelled [default: beat, or as the base model]
    #[arg(long, value_enum)]
    pub encoding: Option<EncodingName>,
    /// The model's size [default: small]
    #[arg(long, value_enum, conflicts_with = "base")]
    pub size: Option<Size>,
    /// Blocks, in place of the size's
    #[arg(long, conflicts_with = "base")]
    pub layers: Option<usize>,
    /// Attention heads a block, in place of the size's
    #[arg(long, conflicts_with = "base")]
    pub heads: Option<usize>,
    /// Width, in place of the size's
    #[arg(long, conflicts_with = "base")]
    pub width: Option<usize>,
    /// A model folder or file to fine-tune in place of starting from nothing
    #[arg(long, value_name = "DIR")]
    pub base: Option<PathBuf>,
    /// Keep of the base model only what does not depend on its ids, and learn those of --encoding anew: so
    /// that a GPT-2 of words, or of another encoding, can be gone on from
    #[arg(long, requires = "base")]
    pub fresh_vocabulary: bool,
    /// Leave the base model's weights as they are and learn for each of its matrices what is added to it: the
    /// product of two matrices of this width (LoRA). Less memory, and less is forgotten; the model that is written
    /// is a whole one
    #[arg(long, value_name = "RANK", requires = "base")]
    pub lora: Option<usize>,
    /// Ids the model looks at [default: 512, or fewer where the base model has fewer]
    #[arg(long)]
    pub context: Option<usize>,
    /// Rows at a time [default: 8; 4 with --base]
    #[arg(long)]
    pub batch: Option<usize>,
    /// How many times so many rows make a step: more rows than memory has room for [default: 1; 8 with --base]
    #[arg(long, value_name = "TIMES")]
    pub accumulate: Option<usize>,
    /// Compute each block again for its backward pass in place of keeping what that needs: far less memory, a third
    /// more time, and the same model bit by bit
    #[arg(long)]
    pub gradient_checkpointing: bool,
    /// What it learns on
    #[command(flatten)]
    pub learning: LearningArgs,
    /// End after so many steps
    #[arg(long, conflicts_with_all = ["epochs", "minutes"])]
    pub steps: Option<u64>,
    /// End after so many times through the music [default: 3; 5 with --base]
    #[arg(long, conflicts_with = "minutes")]
    pub epochs: Option<f64>,
    /// End after so many minutes; the learning rate falls in step with them
    #[arg(long, allow_negative_numbers = true)]
    pub minutes: Option<f64>,
    /// The highest learning rate [default: 0.001; 0.00005 with --base, 0.0005 with --fresh-vocabulary or --lora]
    #[arg(long, allow_negative_numbers = true)]
    pub lr: Option<f32>,
    /// How the learning rate goes on from there [default: cosine]
    #[arg(long, value_enum)]
    pub schedule: Option<Schedule>,
    /// Steps until the highest learning rate is reached [default: 100, at most a tenth of --steps; 0
    /// with --base alone]
    #[arg(long)]
    pub warmup: Option<u64>,
    /// Share of activations dropped, against overfitting [default: 0]
    #[arg(long, allow_negative_numbers = true)]
    pub dropout: Option<f32>,
    /// Weight decay of AdamW [default: 0.1]
    #[arg(long, allow_negative_numbers = true)]
    pub weight_decay: Option<f32>,
    /// The same seed, music and settings give the same model [default: 1]
    #[arg(long)]
    pub seed: Option<u64>,
    /// Steps between measurements on held-out music [default: 250]
    #[arg(long, value_name = "STEPS")]
    pub eval_every: Option<u64>,
    /// Steps between checkpoints [default: 250]
    #[arg(long, value_name = "STEPS")]
    pub checkpoint_every: Option<u64>,
    /// How many checkpoints to keep [default: 2]
    #[arg(long, value_name = "COUNT")]
    pub keep: Option<usize>,
    /// Answers to write at each measurement, to the first bars of a held-out piece, as MIDI and as a piano roll
    /// [default: 1; 0 for none]
    #[arg(long, value_name = "COUNT")]
    pub samples: Option<usize>,
    /// Push each better model to the Hugging Face Hub under this name, owner/name, and the card at the end; a
    /// hub that cannot be reached does not end the training
    #[arg(long, value_name = "REPO")]
    pub push_to_hub: Option<RepoName>,
    /// If the repository is new, let nobody else see it
    #[arg(long, requires = "push_to_hub")]
    pub private: bool,
    /// Share of works to measure on instead of training [default: 0.05]
    #[arg(long, value_name = "SHARE", allow_negative_numbers = true)]
    pub held_out: Option<f64>,
    /// Transpose by up to so many semitones up and down (beat only) [default: 5]
    #[arg(long, value_name = "SEMITONES")]
    pub transpose: Option<u8>,
    /// Licences for the model card: lines {"file", "license", "source"}, files relative to it
    #[arg(long, value_name = "FILE.jsonl")]
    pub manifest: Option<PathBuf>,
}

impl TrainArgs {
    fn budget(&self) -> Budget {
        match (self.steps, self.minutes) {
            (Some(steps), _) => Budget::Steps(steps),
            (None, Some(minutes)) => Budget::Minutes(minutes),
            (None, None) => {
                Budget::Epochs(self.epochs.unwrap_or(if self.base.is_some() { 5.0 } else { 3.0 }))
            }
        }
    }
}

/// Runs `continuo train`.
///
/// # Errors
/// One sentence that names the file or option and the remedy.
pub fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    looping::train(args)
}
