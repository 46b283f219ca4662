//! What the model makes of held-out music while it learns: at each measurement the first bars
//! of a piece and its answers to them, as a MIDI file and as a piano roll.

use std::path::Path;

use continuo_codec::midi::{self, Track};
use continuo_codec::{Encoding, Note, Score};
use continuo_engine::worker::Source;
use continuo_engine::{DeviceChoice, Engine, Limits, Request, Sampling, TakeEvent, Window};
use continuo_paint::{Align, Canvas, Ink};

use crate::train::corpus::Corpus;
use crate::{bars, files, generate, interrupt};

/// The folder in the model folder that holds them.
const FOLDER: &str = "samples";
/// How much is given, and how much is asked for, in bars.
const BARS: usize = 4;

/// The bars that the model answers each time: always the same, so that its answers tell how
/// it gets on.
pub struct Prompt {
    score: Score,
    window: Window,
}

impl Prompt {
    /// The first bars of a held-out piece; of one that is trained on where none is held out.
    #[must_use]
    pub fn of(corpus: &Corpus, encoding: &dyn Encoding) -> Option<Self> {
        let mut pieces = corpus.part(true).chain(corpus.part(false));
        pieces.find_map(|piece| Self::cut(bars::on_grid(encoding.decode(&piece.ids).ok()?)))
    }

    fn cut(mut score: Score) -> Option<Self> {
        let bars_from = |from: u64| (0..BARS).fold(from, |at, _| at + bars::length_at(&score, at));
        let from = bars_from(bars::line_at_or_before(&score, bars::begin(&score)));
        let until = bars_from(from);
        let (end, _) = (u32::try_from(from).ok()?, u32::try_from(until).ok()?);
        score.notes.retain(|note| note.start < end);
        for note in &mut score.notes {
            note.duration = note.duration.min(end - note.start);
        }
        let beats = |tick: u64| u32::try_from(tick).map_or(0.0, |tick| score.beats(tick));
        let window = Window { from: beats(from), until: beats(until) };
        (!score.notes.is_empty()).then_some(Self { score, window })
    }

    /// Writes what the model in a folder answers after so many steps.
    ///
    /// # Errors
    /// If the model cannot answer, or names the file that cannot be written.
    pub fn answer(&self, model: &Path, out: &Path, step: u64, takes: usize) -> anyhow::Result<()> {
        let engine = Engine::load(&Source::Folder(model.to_owned()), DeviceChoice::Cpu)?;
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
        if interrupt::requested() {
            return Ok(());
        }
        let file = |ending: &str| out.join(FOLDER).join(format!("step-{step:08}.{ending}"));
        let mut tracks = vec![Track { name: "Prompt".to_owned(), notes: self.score.notes.clone() }];
        tracks.extend(
            (1..).zip(&answers).map(|(n, notes)| Track { name: format!("Take {n}"), notes: notes.clone() }),
        );
        files::write(&file("mid"), &midi::write_tracks(&self.score, &tracks))?;
        files::write(&file("png"), &self.picture(step, &answers)?)
    }

    /// The prompt and, a lane a take, what follows it.
    fn picture(&self, step: u64, answers: &[Vec<Note>]) -> anyhow::Result<Vec<u8>> {
        let shown = self.score.notes.iter().chain(answers.iter().flatten()).map(|note| note.pitch);
        let (low, high) = shown.fold((127, 0), |(low, high): (u8, u8), p| (low.min(p), high.max(p)));
        let begin = bars::line_at_or_before(&self.score, bars::begin(&self.score));
        let from = u32::try_from(begin).map_or(0.0, |tick| self.score.beats(tick));
        let takes = u16::try_from(answers.len()).unwrap_or(1);
        let roll = Roll { score: &self.score, from, to: self.window.until, low, high };
        let mut canvas = Canvas::new(1200, 52 + u32::from(takes) * 320, PAPER)?;
        let title = format!("After {step} steps: {BARS} bars of a piece, and what the model makes of them");
        canvas.text(&title, LEFT, 32.0, 18.0, Align::Left, TEXT);
        for (n, notes) in (0..takes).zip(answers) {
            let top = TOP + f32::from(n) * (LANE + GAP);
            canvas.rect(LEFT, top, WIDTH - 2.0 * LEFT, LANE, FIELD);
            self.score.notes.iter().for_each(|note| roll.note(&mut canvas, top, note, PROMPT));
            notes.iter().for_each(|note| roll.note(&mut canvas, top, note, ANSWER));
            canvas.rect(roll.x(self.window.from) - 1.0, top, 2.0, LANE, TEXT);
        }
        canvas.png()
    }
}

const WIDTH: f32 = 1200.0;
const LEFT: f32 = 24.0;
const TOP: f32 = 52.0;
const LANE: f32 = 300.0;
const GAP: f32 = 20.0;
const PAPER: [u8; 3] = [250, 249, 246];
const FIELD: Ink = Ink([255, 255, 255], 1.0);
const TEXT: Ink = Ink([52, 50, 46], 1.0);
const PROMPT: [u8; 3] = [84, 96, 117];
const ANSWER: [u8; 3] = [0, 121, 140];

/// Where notes are in a lane.
struct Roll<'a> {
    score: &'a Score,
    from: f64,
    to: f64,
    low: u8,
    high: u8,
}

impl Roll<'_> {
    fn x(&self, beat: f64) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "a place in a picture")]
        let part = ((beat - self.from) / (self.to - self.from)).clamp(0.0, 1.0) as f32;
        LEFT + part * (WIDTH - 2.0 * LEFT)
    }

    fn note(&self, canvas: &mut Canvas, top: f32, note: &Note, color: [u8; 3]) {
        let row = LANE / (f32::from(self.high) - f32::from(self.low) + 3.0);
        let x = self.x(self.score.beats(note.start));
        let end = self.x(self.score.beats(note.start.saturating_add(note.duration)));
        let y = top + (f32::from(self.high.saturating_sub(note.pitch)) + 1.0) * row;
        let ink = Ink(color, 0.45 + 0.55 * f32::from(note.velocity) / 127.0);
        canvas.rounded(x, y, (end - x - 1.0).max(2.5), (row - 0.6).max(2.0), 3.0, ink);
    }
}

#[cfg(test)]
mod tests {
    use continuo_codec::Instrument;

    use super::*;

    #[test]
    fn a_prompt_is_the_first_bars_and_their_notes_end_with_them() {
        let note =
            |start| Note { start, instrument: Instrument::PIANO, pitch: 60, duration: 480, velocity: 90 };
        let mut score = Score::new(24);
        // From the third bar on, a note a beat.
        score.notes = (8..40).map(|beat| note(beat * 24)).collect();
        let prompt = Prompt::cut(score).unwrap();
        assert_eq!((prompt.window.from, prompt.window.until), (24.0, 40.0));
        assert_eq!(prompt.score.notes.len(), 16);
        assert!(prompt.score.notes.iter().all(|note| note.start + note.duration <= 24 * 24));
        assert!(Prompt::cut(Score::new(24)).is_none());
    }
}
