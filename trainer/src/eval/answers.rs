//! What models make of the first bars of pieces, and what the pieces have there: the seven
//! measures of both.

use std::collections::HashSet;
use std::path::PathBuf;

use continuo_codec::{Note, midi};
use continuo_engine::worker::Source;
use continuo_engine::{DeviceChoice, Engine};

use crate::eval::measures;
use crate::excerpt::Excerpt;
use crate::files;
use crate::progress::Progress;

/// The measures of one musician's continuations.
pub struct Voice {
    /// Who: a model as it was named, or `human`.
    pub name: String,
    /// A list a measure, in the order of [`measures::Measure::ALL`]; a continuation of too few
    /// notes is missing in some.
    pub values: [Vec<f64>; 7],
}

/// Everybody's.
pub struct Answers {
    /// How many pieces were gone on from.
    pub pieces: usize,
    /// What the pieces have.
    pub human: Voice,
    /// What each model makes of them.
    pub models: Vec<Voice>,
}

impl Answers {
    /// Has models answer so many pieces, spread over all; `None` where the user interrupted it.
    ///
    /// # Errors
    /// If a model cannot be loaded, or cannot answer.
    pub fn of(
        models: &[(String, PathBuf)],
        music: &[PathBuf],
        pieces: usize,
    ) -> anyhow::Result<Option<Self>> {
        let excerpts = excerpts(music, pieces)?;
        let mut human = Voice::new("human");
        for excerpt in &excerpts {
            human.add(excerpt, &excerpt.rest);
        }
        let mut voices = Vec::new();
        let progress = Progress::new("answers", (models.len() * excerpts.len()) as u64);
        for (name, path) in models {
            let engine = Engine::load(&Source::Folder(path.clone()), DeviceChoice::Cpu)?;
            let mut voice = Voice::new(name);
            for excerpt in &excerpts {
                let Some(answers) = excerpt.answer(&engine, 1)? else {
                    progress.finish();
                    return Ok(None);
                };
                answers.iter().for_each(|answer| voice.add(excerpt, answer));
                progress.advance();
            }
            voices.push(voice);
        }
        progress.finish();
        Ok(Some(Self { pieces: excerpts.len(), human, models: voices }))
    }
}

impl Answers {
    /// Everybody, the human first, and whom each is measured by: the models by the human.
    pub fn voices(&self) -> impl Iterator<Item = (&Voice, Option<&Voice>)> {
        let models = self.models.iter().map(|model| (model, Some(&self.human)));
        std::iter::once((&self.human, None)).chain(models)
    }
}

impl Voice {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), values: Default::default() }
    }

    /// How far it is from another in a measure, by its place.
    #[must_use]
    pub fn distance(&self, other: Option<&Self>, measure: usize) -> Option<f64> {
        measures::distance(&self.values[measure], &other?.values[measure])
    }

    fn add(&mut self, excerpt: &Excerpt, notes: &[Note]) {
        let numbers = measures::of(notes, excerpt.score.ticks_per_beat, excerpt.window);
        for (values, number) in self.values.iter_mut().zip(numbers) {
            values.extend(number);
        }
    }
}

/// The first bars of so many pieces that go on after them, always the same.
fn excerpts(music: &[PathBuf], most: usize) -> anyhow::Result<Vec<Excerpt>> {
    let mut found = Vec::new();
    for folder in music {
        for file in files::walk(folder, &files::is_midi)? {
            // What cannot be read was told with the losses.
            let Ok(score) = midi::read(&files::read(&folder.join(file))?) else { continue };
            found.extend(Excerpt::of(score).filter(|excerpt| !excerpt.rest.is_empty()));
        }
    }
    let (all, kept) = (found.len(), most.min(found.len()));
    let kept: HashSet<usize> = (0..kept).map(|n| n * all / kept).collect();
    let numbered = found.into_iter().enumerate().filter(|(n, _)| kept.contains(n));
    Ok(numbered.map(|(_, excerpt)| excerpt).collect())
}
