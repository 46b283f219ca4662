//! Scores to ids.

use std::borrow::Cow;

use super::grammar::{BARS, KIT, SILENCE, Sound};
use super::grid::Grid;
use super::meter::{Bar, Bars, Signature};
use super::vocab::{self, DURATIONS, PARTS, byte, nearest_duration};
use super::writer::Writer;
use crate::encoding::EncodingError;
use crate::midi::{self, MidiError};
use crate::score::{Meter, Note, Score, Tempo};

/// Silent bars a prompt may begin with; of more, none is spelled.
const LEADING_SILENCE: u32 = 4;

/// The longest duration, in steps.
const LONGEST: u64 = DURATIONS[DURATIONS.len() - 1] as u64;

/// The tempo where a score does not say, in parts.
const TEMPO: u32 = 120 * PARTS;

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
    let mut losses = Losses::default();
    let placed = place_all(&score, &score.notes, &mut losses);
    spell(&score, &placed, losses)
}

/// A MIDI file's ids, and what they do not tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spelled {
    /// The piece.
    pub ids: Vec<u32>,
    /// Notes the file has.
    pub notes: usize,
    /// What of them is not kept.
    pub losses: Losses,
}

/// Why a MIDI file has no ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpellError {
    /// It cannot be read.
    #[error(transparent)]
    Midi(#[from] MidiError),
    /// It cannot be spelled.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
}

/// Spells a MIDI file: what [`encode_counted`] gives for what [`midi::read`]
/// reads. Notes are sorted once, where they fall on the grid.
///
/// # Errors
/// Those of the two functions.
pub fn encode_midi(bytes: &[u8]) -> Result<Spelled, SpellError> {
    let mut score = midi::read_unordered(bytes)?;
    let notes = score.notes.len();
    let mut losses = Losses::default();
    let mut placed = place_all(&score, &score.notes, &mut losses);
    placed.sort_by_key(|&placed| placed >> STEP);
    let spelled = spell(&score, &placed, losses).or_else(|_| {
        // Only the order of ticks tells which note is too late.
        midi::order(&mut score.notes);
        encode_counted(&score)
    });
    let (ids, losses) = spelled?;
    Ok(Spelled { ids, notes, losses })
}

fn spell(score: &Score, placed: &[u64], losses: Losses) -> Result<(Vec<u32>, Losses), EncodingError> {
    let mut encoder = Encoder::new(score, placed, &score.tempos, &score.meters);
    encoder.piece()?;
    let losses = Losses { doubled: encoder.writer.doubled, ..losses };
    Ok((encoder.writer.ids, losses))
}

/// Where the step begins in a note on the grid, which is one number: the step in
/// the upper half, the sound in the lower. Bars end before the last step there is,
/// so a step that does not fit is too late as the last one is.
const STEP: u32 = 32;

fn place_all(score: &Score, notes: &[Note], losses: &mut Losses) -> Vec<u64> {
    let grid = Grid::new(score.ticks_per_beat);
    let place = |note: &Note| {
        let step = grid.step(note.start).min(u64::from(u32::MAX));
        let length = grid.step(note.duration);
        let drums = note.instrument.is_drums();
        losses.lengthened += usize::from(!drums && length == 0);
        losses.shortened += usize::from(!drums && length > LONGEST);
        step << STEP | u64::from(Sound::of(note, length).packed())
    };
    notes.iter().map(place).collect()
}

fn step_of(placed: u64) -> u64 {
    placed >> STEP
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
    let mut placed = place_all(&score, &score.notes[..heard], &mut Losses::default());
    let latest = from.saturating_sub(1);
    for placed in &mut placed {
        *placed = step_of(*placed).min(latest) << STEP | *placed & u64::from(u32::MAX);
    }
    let mut encoder = Encoder::new(&score, &placed, &score.tempos[..tempos], &score.meters[..meters]);
    // An answer changes no tempo, and models of version 1 know whole ones alone.
    encoder.whole_tempos = true;
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

    /// As one number, which sorts as the sound does.
    pub(super) const fn packed(self) -> u32 {
        u32::from_be_bytes([self.instrument, self.pitch, self.duration, self.level])
    }

    /// The sound whose number is the lower half of this one.
    pub(super) const fn unpacked(number: u64) -> Self {
        let [.., instrument, pitch, duration, level] = number.to_be_bytes();
        Self { instrument, pitch, duration, level }
    }
}

/// What is left of a score to be written.
struct Encoder<'a> {
    grid: Grid,
    /// On the grid, step by step.
    notes: &'a [u64],
    tempos: &'a [Tempo],
    /// Whether tempos are said as version 1 did.
    whole_tempos: bool,
    bars: Bars<'a>,
    writer: Writer,
    /// For messages.
    score: &'a Score,
    /// How many notes there were.
    count: usize,
}

impl<'a> Encoder<'a> {
    fn new(score: &'a Score, notes: &'a [u64], tempos: &'a [Tempo], meters: &'a [Meter]) -> Self {
        let grid = Grid::new(score.ticks_per_beat);
        Self {
            grid,
            notes,
            tempos,
            whole_tempos: false,
            bars: Bars::new(grid, meters),
            writer: Writer::new(Signature::COMMON, TEMPO, 64 + notes.len() * 4),
            score,
            count: notes.len(),
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
        let first = self.notes.first().map_or(from, |&n| step_of(n));
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
        let tempo = vocab::tempo(taken.last()?.micros_per_beat);
        Some((step, if self.whole_tempos { vocab::whole(tempo) } else { tempo }))
    }

    /// Writes the notes before a step.
    fn write_notes(&mut self, end: u64, bar: u64) {
        let count = self.notes.iter().take_while(|&&note| step_of(note) < end).count();
        let (notes, rest) = self.notes.split_at(count);
        self.notes = rest;
        for chord in notes.chunk_by(|&a, &b| step_of(a) == step_of(b)) {
            let position = u32::try_from(step_of(chord[0]) - bar).unwrap_or(0);
            self.writer.chord(position, chord.iter().map(|&note| Sound::unpacked(note)));
        }
    }

    fn too_long(&self, count: u32) -> EncodingError {
        let next = (!self.notes.is_empty()).then(|| self.score.notes.get(self.count - self.notes.len()));
        let place = match next.flatten() {
            Some(note) => {
                format!("before the note at tick {} (beat {:.2})", note.start, self.score.beats(note.start))
            }
            None => "before the answer".into(),
        };
        if count == BARS {
            EncodingError::Score(format!("more than {BARS} bars {place}; cut the piece"))
        } else {
            EncodingError::Score(format!("more than {SILENCE} silent bars {place}; cut the silence"))
        }
    }
}
