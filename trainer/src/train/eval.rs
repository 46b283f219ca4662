//! `continuo eval`: how well a model predicts music, and how well an n-gram does.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use continuo_model::Config;
use continuo_model::train::Trainer;
use serde_json::{Value, json};

use crate::Outcome;
use crate::encodings::EncodingName;
use crate::files;
use crate::ngram::NGram;
use crate::train::batches::cut;
use crate::train::settings::Settings;
use crate::train::{TrainArgs, card, corpus, measure, start};

/// What `continuo eval` can be told.
#[derive(Debug, Args)]
#[command(
    long_about = "Measure how well a model predicts music it has not seen: the mean loss in nats a token, and bits a \
        note, which compares models of different encodings. With --ngram, an interpolated 5-gram is trained on other \
        folders and measured on the same ids.",
    after_help = "EXAMPLES:\n  \
        continuo eval model/ unseen-music/\n  \
        continuo eval model/ unseen-music/ --ngram training-music/ --json"
)]
pub struct EvalArgs {
    /// A model folder
    #[arg(value_name = "DIR")]
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
    let encoding = encoding_of(&args.model)?;
    let context = Config::open(&args.model.join("config.json"))?.n_positions;
    let chunks = |folders: &[PathBuf]| -> anyhow::Result<_> {
        let corpus = corpus::read(folders, encoding.encoding().as_ref(), 0.0)?;
        let chunks: Vec<Vec<u32>> =
            corpus.part(false).flat_map(|piece| cut(encoding, &piece.ids, context + 1)).collect();
        Ok((corpus, chunks))
    };
    let (corpus, measured_on) = chunks(&args.folders)?;
    let settings = Settings::new(&TrainArgs { folders: args.folders.clone(), ..TrainArgs::default() })?;
    let settings = Settings { context, batch: args.batch.max(1), ..settings };
    let mut trainer = Trainer::from_model(&args.model, start::train_config(&settings, 1))?;
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

/// The encoding a model folder names; `text` where it names none, as the models of
/// MIDI Gen AI.
///
/// # Errors
/// If the folder or its `continuo.json` cannot be used.
pub fn encoding_of(model: &Path) -> anyhow::Result<EncodingName> {
    let path = model.join("continuo.json");
    if !path.exists() {
        return Ok(EncodingName::Text);
    }
    let place =
        || format!("{} does not name a known encoding (text, beat, anticipation, midilike)", path.display());
    let description: Value = serde_json::from_slice(&files::read(&path)?).with_context(place)?;
    serde_json::from_value(description["encoding"].clone()).with_context(place)
}
