//! `continuo eval`: how well models predict music, and how like a human's their answers are.
//!
//! - [`measures`]: seven numbers about some bars.
//! - [`answers`]: what models make of the first bars of pieces, beside what the pieces have.
//! - [`report`]: all of it as a table, as JSON, and as a page with plots.

pub mod answers;
pub mod measures;
pub mod report;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use continuo_codec::beat;
use continuo_engine::source::{self, spelling_of};
use continuo_model::{Config, ModelFiles};

use crate::encodings::EncodingName;
use crate::eval::answers::Answers;
use crate::eval::report::{Report, Row};
use crate::ngram::NGram;
use crate::train::batches::cut;
use crate::train::corpus::Corpus;
use crate::train::{card, corpus, measure};
use crate::{Outcome, files};

/// What `--help` tells first.
pub(crate) const ABOUT: &str = "Measure models on music they have not seen, side by side.\n\n\
    How well each predicts it: the mean loss in nats a token, and bits a note, which compares models of different \
    encodings. And how like a human's its answers are: each model answers the first four bars of the pieces, and \
    seven measures of these answers stand beside those of what the pieces have there, with the distance between \
    the two (how far one's numbers have to be moved on average to be the other's; 0 is as the human). With --ngram, an \
    interpolated 5-gram is trained on other folders and measured on the same ids.";

/// What `continuo eval` can be told.
#[derive(Debug, Args)]
#[command(after_help = "EXAMPLES:\n  \
        continuo eval model/ unseen-music/\n  \
        continuo eval old-model/ new-model/ unseen-music/ --report report.html\n  \
        continuo eval model/ unseen-music/ --ngram training-music/ --json")]
pub struct EvalArgs {
    /// Models (folders, files or names that were pulled), and folders of MIDI files to measure on
    #[arg(value_name = "MODEL|MIDI_FOLDER", required = true, num_args = 2..)]
    pub paths: Vec<PathBuf>,
    /// Folders of MIDI files to train an n-gram on, for comparison
    #[arg(long, value_name = "MIDI_FOLDER", num_args = 1..)]
    pub ngram: Vec<PathBuf>,
    /// How many pieces each model answers; 0 leaves the seven measures out
    #[arg(long, value_name = "COUNT", default_value_t = 32)]
    pub answers: usize,
    /// Write a page with plots
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Rows measured at a time
    #[arg(long, default_value_t = 8)]
    pub batch: usize,
    /// Print JSON, an object a line, in place of a table
    #[arg(long)]
    pub json: bool,
}

/// Runs `continuo eval`.
///
/// # Errors
/// One sentence that names the file and the remedy.
pub fn run(args: &EvalArgs) -> anyhow::Result<Outcome> {
    let (music, models): (Vec<PathBuf>, Vec<PathBuf>) = args.paths.iter().cloned().partition(|p| is_music(p));
    if let Some(file) = models.iter().find(|path| files::is_midi(path) && path.is_file()) {
        bail!("{} is a MIDI file; name the folder it lies in", file.display());
    }
    if models.is_empty() {
        bail!(
            "none of these is a model; name one first: a folder with a config.json, a model's file, or the name of a \
             model that was pulled"
        );
    }
    if music.is_empty() {
        // A model may be the name of one that was pulled, which is no path.
        if let Some(nothing) = models.iter().find(|name| source::find(name).is_ok_and(|path| !path.exists()))
        {
            bail!(
                "{} does not exist; name a folder of MIDI files to measure on, behind the models",
                nothing.display()
            );
        }
        bail!("name a folder of MIDI files to measure on, behind the models");
    }
    let models: Vec<(String, PathBuf)> = models
        .iter()
        .map(|model| Ok((model.display().to_string(), source::find(model)?)))
        .collect::<anyhow::Result<_>>()?;
    // What cannot be opened is told before the others are measured.
    models.iter().try_for_each(|(_, path)| open(path).map(drop))?;
    let mut report = Report::default();
    let measured = measure_all(args, &models, &music, &mut report)?;
    if report.rows.is_empty() {
        return Ok(Outcome::Interrupted);
    }
    // Also where it was interrupted: what was measured took its time.
    crate::print(&if args.json { report.json() } else { report.table() });
    if let Some(path) = &args.report {
        files::write(path, report.page().as_bytes())?;
        crate::tell!("the report is in {}", path.display());
    }
    Ok(measured)
}

/// Fills a report, row by row; as far as it was when it is interrupted.
fn measure_all(
    args: &EvalArgs,
    models: &[(String, PathBuf)],
    music: &[PathBuf],
    report: &mut Report,
) -> anyhow::Result<Outcome> {
    // The pieces as an encoding spells them, and how many notes it keeps of them.
    let mut spelled: BTreeMap<&str, (Corpus, usize)> = BTreeMap::new();
    for (name, path) in models {
        let Opened { encoding, version, config: Config { n_positions: context, .. } } = open(path)?;
        let first = !spelled.contains_key(encoding.as_str());
        if first {
            let corpus = read(music, encoding)?;
            let notes = card::count_notes(encoding.encoding().as_ref(), corpus.part(false));
            spelled.insert(encoding.as_str(), (corpus, notes));
        }
        let (corpus, notes) = &spelled[encoding.as_str()];
        let measured_on = chunks(corpus, (encoding, version), context);
        let rows = args.batch.max(1);
        let mut trainer = measure::open(path, rows, context)?;
        let Some(measured) = measure::model(&mut trainer, &measured_on, rows)? else {
            return Ok(Outcome::Interrupted);
        };
        drop(trainer);
        report.rows.push(Row { name: name.clone(), encoding, measured, notes: *notes });
        if first && !args.ngram.is_empty() {
            let training = chunks(&read(&args.ngram, encoding)?, (encoding, version), context);
            let ngram = NGram::train(training.iter().map(Vec::as_slice), encoding.encoding().vocab_size());
            let measured = measure::ngram(&ngram, &measured_on);
            report.rows.push(Row { name: "5-gram".to_owned(), encoding, measured, notes: *notes });
        }
    }
    if args.answers > 0 {
        let Some(answers) = Answers::of(models, music, args.answers)? else {
            return Ok(Outcome::Interrupted);
        };
        report.answers = Some(answers);
    }
    let refused = spelled.values().any(|(corpus, _)| !corpus.refused.is_empty());
    Ok(if refused { Outcome::Refused } else { Outcome::Done })
}

/// Whether a folder is one of music: models have a `config.json`, or are files or names.
fn is_music(path: &Path) -> bool {
    path.is_dir() && !path.join("config.json").exists()
}

fn read(folders: &[PathBuf], encoding: EncodingName) -> anyhow::Result<Corpus> {
    corpus::read(folders, encoding.encoding().as_ref(), 0.0)
}

/// What a model of a context and of a version of its encoding reads of pieces.
fn chunks(corpus: &Corpus, (encoding, version): (EncodingName, u32), context: usize) -> Vec<Vec<u32>> {
    let old = encoding == EncodingName::Beat && version == 1;
    let spelled = |ids| if old { Cow::Owned(beat::whole_tempos(ids)) } else { Cow::Borrowed(ids) };
    corpus.part(false).flat_map(|piece| cut(encoding, &spelled(&piece.ids), context + 1)).collect()
}

/// What a model tells of itself.
pub struct Opened {
    /// How its ids are meant.
    pub encoding: EncodingName,
    /// The version of that encoding.
    pub version: u32,
    /// Its shape.
    pub config: Config,
}

/// The encoding and the shape of a model; `text` where nothing tells the encoding, as of
/// models of MIDI Gen AI.
///
/// # Errors
/// If the model cannot be read, or its encoding is none of this build's.
pub fn open(model: &Path) -> anyhow::Result<Opened> {
    let files = ModelFiles::open(model)?;
    let spelling = spelling_of(model, &files)?;
    let name = spelling.as_ref().map_or("text", |spelling| &spelling.encoding);
    let encoding = EncodingName::named(name).with_context(|| {
        format!("{} does not name a known encoding (text, beat, anticipation, midilike)", model.display())
    })?;
    let version = spelling.map_or(1, |spelling| spelling.version);
    Ok(Opened { encoding, version, config: files.config().clone() })
}
