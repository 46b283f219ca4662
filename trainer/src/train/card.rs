//! The comparison with an n-gram model, and the model card that tells a stranger
//! what the model was made of.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use continuo_codec::Encoding;

use crate::device::Place;
use crate::manifest::Manifest;
use crate::ngram::NGram;
use crate::train::checkpoints::State;
use crate::train::corpus::{Corpus, Piece};
use crate::train::measure::{self, Measured};
use crate::train::settings::{Budget, Schedule, Settings};
use crate::train::start;

/// A model and an n-gram on the same held-out ids.
pub struct Comparison {
    /// The exported model.
    pub model: Measured,
    /// The 5-gram trained on the same chunks.
    pub ngram: Measured,
    /// Notes in the held-out pieces.
    pub notes: usize,
}

impl Comparison {
    /// Side by side, for people.
    #[must_use]
    pub fn table(&self) -> String {
        if self.model.targets == 0 {
            return "nothing was held out, so nothing was measured".to_owned();
        }
        let row = |name: &str, m: Measured| {
            format!("| {name} | {:.4} | {:.2} |\n", m.loss(), m.bits_per_note(self.notes))
        };
        format!(
            "Held out: {} ids, {} notes\n\n| | nats a token | bits a note |\n|---|---|---|\n{}{}",
            self.model.targets,
            self.notes,
            row("this model", self.model),
            row("interpolated 5-gram (modified Kneser-Ney)", self.ngram),
        )
    }
}

/// Measures the model in the model folder and an n-gram trained on the same
/// chunks, on all that was held out; `None` where the user interrupted it.
///
/// # Errors
/// If the exported model cannot be read back.
pub fn compare(
    out: &Path,
    settings: &Settings,
    place: &Place,
    training: &[Vec<u32>],
    held_out: &[Vec<u32>],
    corpus: &Corpus,
) -> anyhow::Result<Option<Comparison>> {
    let encoding = settings.encoding.encoding();
    let notes = count_notes(encoding.as_ref(), corpus.part(true));
    if held_out.is_empty() {
        return Ok(Some(Comparison { model: Measured::default(), ngram: Measured::default(), notes }));
    }
    let mut trainer = place.put(measure::open(out, settings.batch, settings.context)?)?;
    let Some(model) = measure::model(&mut trainer, held_out, settings.batch)? else { return Ok(None) };
    let ngram = NGram::train(training.iter().map(Vec::as_slice), encoding.vocab_size());
    Ok(Some(Comparison { model, ngram: measure::ngram(&ngram, held_out), notes }))
}

/// The notes of pieces, as many as their encoding holds.
#[must_use]
pub fn count_notes<'a>(encoding: &dyn Encoding, pieces: impl Iterator<Item = &'a Piece>) -> usize {
    pieces.map(|p| encoding.decode(&p.ids).map_or(p.notes, |score| score.notes.len())).sum()
}

/// What one source brings.
#[derive(Default)]
struct Part<'a> {
    files: BTreeSet<&'a Path>,
    notes: usize,
    held_out: BTreeSet<&'a Path>,
    origins: BTreeSet<String>,
}

fn parts<'a>(corpus: &'a Corpus, manifest: &Manifest) -> BTreeMap<(String, String), Part<'a>> {
    let mut parts: BTreeMap<(String, String), Part<'_>> = BTreeMap::new();
    for piece in &corpus.pieces {
        let known = manifest.get(&piece.file);
        let told = known.map(|line| &line.license).or(piece.license.as_ref());
        let licence = told.map_or("not stated", String::as_str);
        let part = parts.entry((piece.source.clone(), licence.to_owned())).or_default();
        part.files.insert(&piece.file);
        part.notes += piece.notes;
        if piece.held_out {
            part.held_out.insert(&piece.file);
        }
        part.origins.extend(known.map(|line| line.source.clone()).filter(|s| !s.is_empty()));
    }
    parts
}

/// Reads the manifest, if there is one, to tell early if it cannot be read.
///
/// # Errors
/// What is wrong with it, and in which line.
pub fn check(manifest: Option<&Path>) -> anyhow::Result<()> {
    manifest.map(Manifest::read).transpose().map(drop)
}

/// The model card.
///
/// # Errors
/// If the manifest cannot be read.
pub fn write(state: &State, corpus: &Corpus, compared: &Comparison) -> anyhow::Result<String> {
    let manifest = state.settings.manifest.as_deref().map(Manifest::read).transpose()?.unwrap_or_default();
    let settings = &state.settings;
    let mut card = String::new();
    writeln!(
        card,
        "---\nlibrary_name: continuo\npipeline_tag: text-generation\ntags: [music, midi, gpt2]\n---\n"
    )?;
    writeln!(card, "# A model that answers musical phrases\n")?;
    writeln!(
        card,
        "A GPT-2 of {} layers, {} heads and width {}, trained with `continuo train` on music in the `{}` encoding \
         (version {}). It reads a phrase and goes on with it:\n\n    \
         continuo generate phrase.mid -o answer.mid --model .\n",
        settings.shape.layers,
        settings.shape.heads,
        settings.shape.width,
        settings.encoding.as_str(),
        settings.encoding.version()
    )?;
    write_music(&mut card, corpus, &manifest)?;
    writeln!(card, "## How well it predicts\n\n{}", compared.table())?;
    let held_out = if settings.data.is_empty() {
        "Held out by file name; pieces whose music occurs in training as well are not measured on."
    } else {
        "Held out is what the data set keeps to test with; of one that keeps nothing, a share of its pieces."
    };
    writeln!(card, "{held_out} The n-gram was trained on the same pieces.\n")?;
    write_settings(&mut card, state)?;
    writeln!(
        card,
        "## Limits\n\nIt looks back {} ids, knows the styles above and no others, and may repeat \
         what it was trained on.",
        settings.context
    )?;
    Ok(card)
}

fn write_music(card: &mut String, corpus: &Corpus, manifest: &Manifest) -> anyhow::Result<()> {
    writeln!(
        card,
        "## Trained on\n\n| Part | Licence | Files | held out | Notes | Origin |\n|---|---|---|---|---|---|"
    )?;
    for ((source, licence), part) in parts(corpus, manifest) {
        let origins: Vec<&str> = part.origins.iter().take(3).map(String::as_str).collect();
        writeln!(
            card,
            "| {source} | {licence} | {} | {} | {} | {} |",
            part.files.len(),
            part.held_out.len(),
            part.notes,
            origins.join("; ")
        )?;
    }
    writeln!(
        card,
        "\nLeft out: {}; {} held-out pieces moved to training for being near-duplicates of pieces there.\n",
        corpus.left_out(),
        corpus.near_duplicates
    )?;
    Ok(())
}

fn write_settings(card: &mut String, state: &State) -> anyhow::Result<()> {
    let settings = &state.settings;
    let budget = match settings.budget {
        Budget::Steps(steps) => format!("{steps} steps"),
        Budget::Epochs(epochs) => format!("{epochs} epochs"),
        Budget::Minutes(minutes) => format!("At most {minutes} minutes"),
    };
    let best = state.best.map_or(String::new(), |b| format!("; the best, of step {}, was kept", b.step));
    writeln!(
        card,
        "## Settings\n\n{budget}: {} steps, {:.0} minutes of training{best}. Rows of {} ids, {} rows a step. AdamW, learning rate \
         {} after {} steps of rise, {}; weight decay {}, dropout {}, seed {}. \
         Transposed by up to {} semitones, loudness varied.\n",
        state.step,
        state.elapsed / 60.0,
        settings.context,
        settings.batch * settings.accumulate,
        settings.learning_rate,
        settings.warmup,
        match settings.schedule {
            Schedule::Cosine => "half a cosine down to a tenth",
            Schedule::Constant => "the same to the end",
        },
        settings.weight_decay,
        settings.dropout,
        settings.seed,
        start::variation(settings).transpose,
    )?;
    if let Some(base) = settings.base.as_deref().and_then(Path::file_name) {
        writeln!(card, "Fine-tuned from the model folder `{}`.\n", base.to_string_lossy())?;
    }
    Ok(())
}
