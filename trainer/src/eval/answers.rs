//! What models make of the first bars of pieces, and what the pieces have there: the seven
//! measures of both.

use std::collections::HashSet;
use std::path::PathBuf;

use continuo_codec::midi;
use continuo_engine::worker::Source;
use continuo_engine::{DeviceChoice, Engine};

use crate::eval::measures;
use crate::excerpt::Excerpt;
use crate::files;
use crate::progress::Progress;

/// The measures of one musician's continuations.
pub struct Voice {
    /// Who: a model as it was named, or [`HUMAN`].
    pub name: String,
    /// A list a measure, in the order of [`measures::Measure::ALL`]; a continuation of too few
    /// notes is missing in some.
    pub values: [Vec<f64>; 7],
}

/// What the pieces' own continuations are called.
pub const HUMAN: &str = "human";

/// Everybody's, the human's first.
pub struct Answers {
    /// How many pieces were gone on from.
    pub pieces: usize,
    /// Who went on.
    pub voices: Vec<Voice>,
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
        let mut human = Voice::new(HUMAN);
        for excerpt in &excerpts {
            human.add(excerpt, &excerpt.rest);
        }
        let mut voices = vec![human];
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
        Ok(Some(Self { pieces: excerpts.len(), voices }))
    }
}

impl Voice {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), values: Default::default() }
    }

    fn add(&mut self, excerpt: &Excerpt, notes: &[continuo_codec::Note]) {
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
