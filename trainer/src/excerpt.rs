//! The first bars of a piece and what follows them: what a model is given, and what a human
//! made of it.

use continuo_codec::midi::{self, Track};
use continuo_codec::{Note, Score};
use continuo_engine::{Engine, EngineError, Limits, Request, Sampling, TakeEvent, Window};

use crate::{bars, generate, interrupt};

/// How much is given, and how much is asked for, in bars.
pub const BARS: usize = 4;

/// Some bars of a piece, cut from what follows.
#[derive(Clone, Debug)]
pub struct Excerpt {
    /// The bars that are given, with the piece's tempo and meter.
    pub score: Score,
    /// Where the bars after them lie, in beats.
    pub window: Window,
    /// What the piece has there; lengths end with it.
    pub rest: Vec<Note>,
}

impl Excerpt {
    /// The first bars of a piece; nothing of one without notes.
    #[must_use]
    pub fn of(piece: Score) -> Option<Self> {
        let mut score = bars::on_grid(piece);
        let bars_from = |from: u64| (0..BARS).fold(from, |at, _| at + bars::length_at(&score, at));
        let from = bars_from(bars::line_at_or_before(&score, bars::begin(&score)));
        let (from, until) = (u32::try_from(from).ok()?, u32::try_from(bars_from(from)).ok()?);
        let within = |from: u32, until: u32| -> Vec<Note> {
            let notes = score.notes.iter().filter(|note| (from..until).contains(&note.start));
            notes.map(|note| Note { duration: note.duration.min(until - note.start), ..*note }).collect()
        };
        let (given, rest) = (within(0, from), within(from, until));
        let window = Window { from: score.beats(from), until: score.beats(until) };
        score.notes = given;
        (!score.notes.is_empty()).then_some(Self { score, window, rest })
    }

    /// What a model makes of it; `None` where the user interrupted it.
    ///
    /// # Errors
    /// If the model cannot answer.
    pub fn answer(&self, engine: &Engine, takes: usize) -> Result<Option<Vec<Vec<Note>>>, EngineError> {
        let request = Request {
            phrase: self.score.clone(),
            window: self.window,
            takes,
            sampling: Sampling::default(),
            limits: Limits::default(),
            pace: None,
        };
        let mut answers = vec![Vec::new(); takes];
        engine.generate(&request, &interrupt::requested, &mut |event| {
            if let TakeEvent::Note { take, note } = event {
                answers[take].push(generate::in_ticks(&self.score, &note));
            }
        })?;
        Ok((!interrupt::requested()).then_some(answers))
    }

    /// A MIDI file of what was given and of answers to it, a track each.
    #[must_use]
    pub fn midi(&self, answers: &[Vec<Note>]) -> Vec<u8> {
        let mut tracks = vec![Track { name: "Prompt".to_owned(), notes: self.score.notes.clone() }];
        tracks.extend(generate::take_tracks(answers.iter().cloned()));
        midi::write_tracks(&self.score, &tracks)
    }
}

#[cfg(test)]
mod tests {
    use continuo_codec::Instrument;

    use super::*;

    #[test]
    fn a_piece_is_cut_after_its_first_bars_and_notes_end_there() {
        let note =
            |start| Note { start, instrument: Instrument::PIANO, pitch: 60, duration: 480, velocity: 90 };
        let mut score = Score::new(24);
        // From the third bar on, a note a beat.
        score.notes = (8..36).map(|beat| note(beat * 24)).collect();
        let excerpt = Excerpt::of(score).unwrap();
        assert_eq!((excerpt.window.from, excerpt.window.until), (24.0, 40.0));
        assert_eq!((excerpt.score.notes.len(), excerpt.rest.len()), (16, 12));
        assert!(excerpt.score.notes.iter().all(|note| note.start + note.duration <= 24 * 24));
        assert!(excerpt.rest.iter().all(|note| note.start + note.duration <= 40 * 24));
        assert!(Excerpt::of(Score::new(24)).is_none());
    }
}
