//! What the model makes of held-out music while it learns: at each measurement the first bars
//! of a piece and its answers to them, as a MIDI file and as a piano roll.

use std::path::Path;

use continuo_codec::{Encoding, Note, Score};
use continuo_engine::worker::Source;
use continuo_engine::{DeviceChoice, Engine};
use continuo_paint::{Align, Canvas, Ink};

use crate::excerpt::{BARS, Excerpt};
use crate::train::corpus::Corpus;
use crate::{bars, files};

/// The folder in the model folder that holds them.
const FOLDER: &str = "samples";

/// The bars that the model answers each time: always the same, so that its answers tell how
/// it gets on.
pub struct Prompt(Excerpt);

impl Prompt {
    /// The first bars of a held-out piece; of one that is trained on where none is held out.
    #[must_use]
    pub fn of(corpus: &Corpus, encoding: &dyn Encoding) -> Option<Self> {
        let mut pieces = corpus.part(true).chain(corpus.part(false));
        pieces.find_map(|piece| Some(Self(Excerpt::of(encoding.decode(&piece.ids).ok()?)?)))
    }

    /// Writes what the model in a folder answers after so many steps.
    ///
    /// # Errors
    /// If the model cannot answer, or names the file that cannot be written.
    pub fn answer(&self, model: &Path, out: &Path, step: u64, takes: usize) -> anyhow::Result<()> {
        let engine = Engine::load(&Source::Folder(model.to_owned()), DeviceChoice::Cpu)?;
        let Some(answers) = self.0.answer(&engine, takes)? else { return Ok(()) };
        let file = |ending: &str| out.join(FOLDER).join(format!("step-{step:08}.{ending}"));
        files::write(&file("mid"), &self.0.midi(&answers))?;
        files::write(&file("png"), &self.picture(step, &answers)?)
    }

    /// The prompt and, a lane a take, what follows it.
    fn picture(&self, step: u64, answers: &[Vec<Note>]) -> anyhow::Result<Vec<u8>> {
        let Excerpt { score, window, .. } = &self.0;
        let shown = score.notes.iter().chain(answers.iter().flatten()).map(|note| note.pitch);
        let (low, high) = shown.fold((127, 0), |(low, high): (u8, u8), p| (low.min(p), high.max(p)));
        let begin = bars::line_at_or_before(score, bars::begin(score));
        let from = u32::try_from(begin).map_or(0.0, |tick| score.beats(tick));
        let takes = u16::try_from(answers.len()).unwrap_or(1);
        let roll = Roll { score, from, to: window.until, low, high };
        let mut canvas = Canvas::new(1200, 52 + u32::from(takes) * 320, PAPER)?;
        let title = format!("After {step} steps: {BARS} bars of a piece, and what the model makes of them");
        canvas.text(&title, LEFT, 32.0, 18.0, Align::Left, TEXT);
        for (n, notes) in (0..takes).zip(answers) {
            let top = TOP + f32::from(n) * (LANE + GAP);
            canvas.rect(LEFT, top, WIDTH - 2.0 * LEFT, LANE, FIELD);
            score.notes.iter().for_each(|note| roll.note(&mut canvas, top, note, PROMPT));
            notes.iter().for_each(|note| roll.note(&mut canvas, top, note, ANSWER));
            canvas.rect(roll.x(window.from) - 1.0, top, 2.0, LANE, TEXT);
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
        canvas.note((x, end), (y, row), color, note.velocity);
    }
}
