//! Scores to ids.

use std::borrow::Cow;

use super::grammar::{BARS, KIT, SILENCE, Sound};
use super::grid::Grid;
use super::meter::{Bar, Bars, Signature};
use super::vocab::{DURATIONS, beats_per_minute, byte, nearest_duration};
use super::writer::Writer;
use crate::encoding::EncodingError;
use crate::score::{Meter, Note, Score, Tempo};

/// Silent bars a prompt may begin with; of more, none is spelled.
const LEADING_SILENCE: u32 = 4;

/// The longest duration, in steps.
const LONGEST: u64 = DURATIONS[DURATIONS.len() - 1] as u64;

/// The tempo where a score does not say, in beats a minute.
const TEMPO: u32 = 120;

/// What of a score's notes the ids do not keep, besides the rounding to the next
/// step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Notes that meet another of their instrument and pitch at their step: one
    /// stands for all.
    pub doubled: usize,
    /// Notes shorter than half a step, which become a whole one (no drums: they
    /// have no length).
    pub lengthened: usize,
    /// Notes longer than the longest duration, which end there (no drums).
    pub shortened: usize,
}

/// Spells a whole score, as [`Encoding::encode`](crate::Encoding::encode) of
/// [`Beat`](super::Beat) does, and counts what is not kept.
///
/// # Errors
/// [`EncodingError::Score`] where the encoding cannot hold it.
pub fn encode_counted(score: &Score) -> Result<(Vec<u32>, Losses), EncodingError> {
    let score = checked(score)?;
    let mut encoder = Encoder::new(&score, &score.notes, &score.tempos, &score.meters);
    encoder.piece()?;
    let losses = Losses { doubled: encoder.writer.doubled, ..encoder.losses };
    Ok((encoder.writer.ids, losses))
}

/// A prompt and where its first bar begins, in steps.
pub(super) struct Prompt {
    pub(super) ids: Vec<u32>,
    pub(super) origin: u32,
}

/// Spells the notes that begin before `before` beats, and then leads to `from`, the
/// step at or after that.
pub(super) fn prompt(score: &Score, before: f64, from: u32) -> Result<Prompt, EncodingError> {
    let score = checked(score)?;
    let grid = Grid::new(score.ticks_per_beat);
    let from = u64::from(from);
    let heard = score.notes.partition_point(|n| score.beats(n.start) < before);
    let tempos = score.tempos.partition_point(|t| grid.step(t.tick) <= from);
    let meters = score.meters.partition_point(|m| grid.step(m.tick) <= from);
    let mut encoder =
        Encoder::new(&score, &score.notes[..heard], &score.tempos[..tempos], &score.meters[..meters]);
    encoder.latest = from.saturating_sub(1);
    let origin = encoder.lead_to(from)?;
    Ok(Prompt { ids: encoder.writer.ids, origin })
}

/// The score, sorted; an error for what no encoding could mean.
pub(super) fn checked(score: &Score) -> Result<Cow<'_, Score>, EncodingError> {
    let error = |what: String| Err(EncodingError::Score(what));
    if score.ticks_per_beat == 0 {
        return error("it has 0 ticks a beat; give it a resolution of 1 or more".into());
    }
    if let Some(note) = score.notes.iter().find(|n| n.pitch > 127 || n.velocity > 127) {
        return error(format!(
            "the note at tick {} has pitch {} and velocity {}; neither may exceed 127",
            note.start, note.pitch, note.velocity
        ));
    }
    let odd = score.meters.iter().find(|m| Signature::approximate(m.numerator, m.denominator).is_none());
    if let Some(meter) = odd {
        return error(format!(
            "the meter at tick {} is {}/{}; it needs a numerator above 0 and a power of two below it",
            meter.tick, meter.numerator, meter.denominator
        ));
    }
    let sorted = score.notes.is_sorted_by_key(|n| n.start)
        && score.tempos.is_sorted_by_key(|t| t.tick)
        && score.meters.is_sorted_by_key(|m| m.tick);
    if sorted {
        return Ok(Cow::Borrowed(score));
    }
    let mut score = score.clone();
    score.normalize();
    Ok(Cow::Owned(score))
}

impl Sound {
    /// A note of this length in steps as ids have it.
    pub(super) fn of(note: &Note, steps: u64) -> Self {
        let instrument = note.instrument.index();
        let duration = if instrument == KIT { 0 } else { nearest_duration(steps) };
        Self { instrument, pitch: note.pitch, duration, level: byte(u32::from(note.velocity / 4)) }
    }
}

/// What is left of a score to be written.
struct Encoder<'a> {
    grid: Grid,
    notes: &'a [Note],
    tempos: &'a [Tempo],
    bars: Bars<'a>,
    writer: Writer,
    /// The last step a note may be moved to.
    latest: u64,
    /// Of durations.
    losses: Losses,
    /// For messages.
    ticks_per_beat: u16,
}

impl<'a> Encoder<'a> {
    fn new(score: &'a Score, notes: &'a [Note], tempos: &'a [Tempo], meters: &'a [Meter]) -> Self {
        let grid = Grid::new(score.ticks_per_beat);
        Self {
            grid,
            notes,
            tempos,
            bars: Bars::new(grid, meters),
            writer: Writer::new(Signature::COMMON, TEMPO, 64 + notes.len() * 4),
            latest: u64::MAX,
            losses: Losses::default(),
            ticks_per_beat: score.ticks_per_beat,
        }
    }

    /// Writes everything, and the end.
    fn piece(&mut self) -> Result<(), EncodingError> {
        // Length up to the last bar that holds something.
        let mut content = 0;
        let (mut count, mut silent) = (0, 0);
        loop {
            let before = self.writer.ids.len();
            self.write_bar();
            count += 1;
            if self.writer.ids.len() > before + 1 {
                content = self.writer.ids.len();
                silent = 0;
            } else {
                silent += 1;
            }
            if self.notes.is_empty() && self.tempos.is_empty() && self.bars.steady() {
                break;
            }
            if silent > SILENCE || count == BARS {
                if self.notes.is_empty() {
                    break;
                }
                return Err(self.too_long(count));
            }
        }
        self.writer.ids.truncate(content);
        self.writer.end();
        Ok(())
    }

    /// Writes all notes, the bars up to that of a step, and its position. Returns
    /// where the first bar written begins.
    fn lead_to(&mut self, from: u64) -> Result<u32, EncodingError> {
        let first = self.notes.first().map_or(from, |n| self.step(n));
        let mut count = self.skip_to(first)?;
        let (mut silent, mut origin) = (0, None);
        loop {
            let before = self.writer.ids.len();
            let bar = self.write_bar();
            count += 1;
            origin = origin.or(u32::try_from(bar.start).ok());
            silent = if self.writer.ids.len() > before + 1 { 0 } else { silent + 1 };
            if from < bar.end() {
                let position = u32::try_from(from - bar.start).unwrap_or(0);
                self.writer.go(position);
                return Ok(origin.unwrap_or(0));
            }
            if silent > SILENCE || count == BARS {
                return Err(self.too_long(count));
            }
        }
    }

    /// Passes over the bars before that of a step if they are many. Returns how
    /// many were passed.
    fn skip_to(&mut self, step: u64) -> Result<u32, EncodingError> {
        let mut ahead = self.bars.clone();
        let mut count = 0;
        loop {
            let bar = ahead.advance();
            if step < bar.end() {
                break;
            }
            count += 1;
            if count == BARS {
                return Err(self.too_long(count));
            }
        }
        if count <= LEADING_SILENCE {
            return Ok(0);
        }
        let mut tempo = TEMPO;
        for _ in 0..count {
            let bar = self.bars.advance();
            while let Some((_, next)) = self.next_tempo(bar.end()) {
                tempo = next;
            }
        }
        self.writer = Writer::new(Signature::COMMON, tempo, 64 + self.notes.len() * 4);
        Ok(count)
    }

    /// Writes the next bar and all that happens in it.
    fn write_bar(&mut self) -> Bar {
        let bar = self.bars.advance();
        let end = bar.end();
        self.writer.bar();
        self.writer.meter(bar.signature);
        let offset = |step: u64| u32::try_from(step - bar.start).unwrap_or(0);
        while let Some((step, tempo)) = self.next_tempo(end) {
            self.write_notes(step, bar.start);
            self.writer.tempo(offset(step), tempo);
        }
        self.write_notes(end, bar.start);
        self.writer.settle();
        bar
    }

    /// Takes the tempo changes of the next step that has any, if it comes before
    /// `end`: the last of them counts.
    fn next_tempo(&mut self, end: u64) -> Option<(u64, u32)> {
        let step = self.grid.step(self.tempos.first()?.tick);
        if step >= end {
            return None;
        }
        let same = self.tempos.iter().take_while(|t| self.grid.step(t.tick) == step).count();
        let (taken, rest) = self.tempos.split_at(same);
        self.tempos = rest;
        taken.last().map(|t| (step, beats_per_minute(t.micros_per_beat)))
    }

    /// Writes the notes before a step.
    fn write_notes(&mut self, end: u64, bar: u64) {
        while let Some((note, rest)) = self.notes.split_first() {
            let step = self.step(note);
            if step >= end {
                return;
            }
            self.notes = rest;
            let sound = Sound::of(note, self.length(note));
            self.writer.note(u32::try_from(step - bar).unwrap_or(0), sound);
        }
    }

    /// In steps; a drum has none.
    fn length(&mut self, note: &Note) -> u64 {
        if note.instrument.is_drums() {
            return 0;
        }
        let steps = self.grid.step(note.duration);
        self.losses.lengthened += usize::from(steps == 0);
        self.losses.shortened += usize::from(steps > LONGEST);
        steps
    }

    fn step(&self, note: &Note) -> u64 {
        self.grid.step(note.start).min(self.latest)
    }

    fn too_long(&self, count: u32) -> EncodingError {
        let place = match self.notes.first() {
            Some(note) => format!(
                "before the note at tick {} (beat {:.2})",
                note.start,
                f64::from(note.start) / f64::from(self.ticks_per_beat)
            ),
            None => "before the answer".into(),
        };
        if count == BARS {
            EncodingError::Score(format!("more than {BARS} bars {place}; cut the piece"))
        } else {
            EncodingError::Score(format!("more than {SILENCE} silent bars {place}; cut the silence"))
        }
    }
}
