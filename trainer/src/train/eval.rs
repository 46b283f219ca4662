//! `continuo eval`: how well a model predicts music, and how well an n-gram does.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use continuo_engine::source::{self, spelling_of};
use continuo_model::train::Trainer;
use continuo_model::{Config, ModelFiles};
use serde_json::json;

use crate::Outcome;
use crate::encodings::EncodingName;
use crate::ngram::NGram;
use crate::train::batches::cut;
use crate::train::settings::Settings;
use crate::train::{TrainArgs, card, corpus, measure, start};

/// What `--help` tells first.
pub(crate) const ABOUT: &str = "Measure how well a model predicts music it has not seen: the mean loss in nats a token, and bits a \
    note, which compares models of different encodings. With --ngram, an interpolated 5-gram is trained on other \
    folders and measured on the same ids.";

/// What `continuo eval` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo eval model/ unseen-music/\n  \
        continuo eval model/ unseen-music/ --ngram training-music/ --json")]
pub struct EvalArgs {
    /// A model folder, or a model's file (safetensors, PyTorch, GGUF)
    #[arg(value_name = "DIR|FILE")]
    pub model: PathBuf,
    /// Folders of MIDI files to measure on
    #[arg(value_name = "MIDI_FOLDER", required = true)]
    pub folders: Vec<PathBuf>,
    /// Folders of MIDI files to train an n-gram on, for comparison
    #[arg(long, value_name = "MIDI_FOLDER", num_args = 1..)]
    pub ngram: Vec<PathBuf>,
    /// Rows measured at a time
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// Print one JSON object in place of a table
    #[arg(long)]
    pub json: bool,
}

/// Runs `continuo eval`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &EvalArgs) -> anyhow::Result<Outcome> {
    let path = source::find(&args.model)?;
    let (encoding, Config { n_positions: context, .. }) = open(&path)?;
    let chunks = |folders: &[PathBuf]| -> anyhow::Result<_> {
        let corpus = corpus::read(folders, encoding.encoding().as_ref(), 0.0)?;
        let chunks: Vec<Vec<u32>> =
            corpus.part(false).flat_map(|piece| cut(encoding, &piece.ids, context + 1)).collect();
        Ok((corpus, chunks))
    };
    let (corpus, measured_on) = chunks(&args.folders)?;
    let settings = Settings::new(&TrainArgs { folders: args.folders.clone(), ..TrainArgs::default() })?;
    let settings = Settings { context, batch: args.batch.max(1), ..settings };
    let mut trainer = Trainer::from_model(&path, start::train_config(&settings, 1))?;
    let Some(model) = measure::model(&mut trainer, &measured_on, settings.batch)? else {
        return Ok(Outcome::Interrupted);
    };
    let notes = card::count_notes(encoding.encoding().as_ref(), corpus.part(false));
    let mut rows = vec![("model", model)];
    if !args.ngram.is_empty() {
        let (_, training) = chunks(&args.ngram)?;
        let ngram = NGram::train(training.iter().map(Vec::as_slice), encoding.encoding().vocab_size());
        rows.push(("5-gram", measure::ngram(&ngram, &measured_on)));
    }
    for (name, measured) in rows {
        let (loss, bits) = (measured.loss(), measured.bits_per_note(notes));
        if args.json {
            let targets = measured.targets;
            let line = json!({ "name": name, "nats_per_token": loss, "bits_per_note": bits, "ids": targets, "notes": notes });
            crate::print(&format!("{line}\n"));
        } else {
            crate::print(&format!("{name}: {loss:.4} nats a token, {bits:.2} bits a note\n"));
        }
    }
    Ok(if corpus.refused.is_empty() { Outcome::Done } else { Outcome::Refused })
}

/// The encoding and the shape of a model; `text` where nothing tells the encoding, as of
/// models of MIDI Gen AI.
///
/// # Errors
/// If the model cannot be read, or its encoding is none of this build's.
pub fn open(model: &Path) -> anyhow::Result<(EncodingName, Config)> {
    let files = ModelFiles::open(model)?;
    let spelling = spelling_of(model, &files)?;
    let name = spelling.as_ref().map_or("text", |spelling| &spelling.encoding);
    let encoding = EncodingName::named(name).with_context(|| {
        format!("{} does not name a known encoding (text, beat, anticipation, midilike)", model.display())
    })?;
    Ok((encoding, files.config().clone()))
}
