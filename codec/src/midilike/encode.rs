//! Files and scores to ids.

use std::collections::{BTreeMap, BTreeSet};

use super::MidiLikeError;
use super::file::{FileNote, Part};
use super::vocab::{INSTRUMENTS, Vocab};
use super::writer::{Act, Happening, Writer};
use crate::encoding::EncodingError;
use crate::score::Score;

/// Last step that can be spelled. It bounds the ids that time alone takes.
pub(super) const LAST_STEP: u32 = 1 << 24;

/// A note on the grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GridNote {
    pub(super) start: u32,
    pub(super) duration: u32,
    pub(super) pitch: u8,
    pub(super) velocity: u8,
}

/// Spells the parts of a file: those of one instrument put together, in the order
/// in which instruments first appear.
pub(super) fn file(vocab: &Vocab, ticks_per_beat: u16, parts: &[Part]) -> Result<Vec<u32>, MidiLikeError> {
    let grid = Grid::new(vocab, ticks_per_beat);
    let mut voices: Vec<(u8, Vec<GridNote>)> = Vec::new();
    let mut places = BTreeMap::new();
    // Only where parts are put together are notes sorted: once, for there may be many parts.
    let mut joined = BTreeSet::new();
    for part in parts {
        let notes = part.notes.iter().map(|note| grid.note(note));
        let notes = notes.collect::<Option<Vec<_>>>().ok_or(MidiLikeError::TooLong { offset: 0 })?;
        if let Some(&place) = places.get(&part.instrument) {
            let (_, together): &mut (u8, Vec<GridNote>) = &mut voices[place];
            together.extend(notes);
            joined.insert(place);
        } else {
            places.insert(part.instrument, voices.len());
            voices.push((part.instrument, notes));
        }
    }
    for place in joined {
        voices[place].1.sort_unstable();
    }
    Ok(spell(vocab, Vec::new(), &happenings(vocab, &voices)))
}

/// Spells a score, as a file with a track for each instrument.
pub(super) fn score(vocab: &Vocab, score: &Score) -> Result<Vec<u32>, EncodingError> {
    let voices = voices(vocab, score)?;
    Ok(spell(vocab, Vec::new(), &happenings(vocab, &voices)))
}

/// The notes of a score by instrument, in the order in which these appear.
pub(super) fn voices(vocab: &Vocab, score: &Score) -> Result<Vec<(u8, Vec<GridNote>)>, EncodingError> {
    let grid = Grid::new(vocab, score.ticks_per_beat.max(1));
    let mut voices: Vec<(u8, Vec<GridNote>)> = Vec::new();
    let mut places = [usize::MAX; INSTRUMENTS];
    for note in &score.notes {
        let file_note = FileNote {
            start: note.start,
            duration: Some(note.duration),
            pitch: note.pitch,
            velocity: note.velocity.clamp(1, 127),
        };
        let placed = grid.note(&file_note).ok_or_else(|| {
            let beats = LAST_STEP / vocab.resolution();
            EncodingError::Score(format!("a note ends after beat {beats}, the last that can be spelled"))
        })?;
        let instrument = note.instrument.index();
        let place = &mut places[usize::from(instrument)];
        if *place == usize::MAX {
            *place = voices.len();
            voices.push((instrument, Vec::new()));
        }
        voices[*place].1.push(GridNote { duration: placed.duration.max(1), ..placed });
    }
    for (_, notes) in &mut voices {
        notes.sort_by_key(|note| note.start);
    }
    Ok(voices)
}

/// What happens, in the order in which MidiTok writes it: at one step instrument
/// after instrument, and each one's notes in their order, which puts ends before
/// beginnings.
pub(super) fn happenings(vocab: &Vocab, voices: &[(u8, Vec<GridNote>)]) -> Vec<Happening> {
    let mut happenings = Vec::new();
    for &(instrument, ref notes) in voices {
        for note in notes.iter().filter(|note| vocab.has(instrument, note.pitch)) {
            let GridNote { start, duration, pitch, velocity } = *note;
            happenings.push(Happening { at: start, instrument, pitch, act: Act::On(velocity) });
            happenings.push(Happening { at: start + duration, instrument, pitch, act: Act::Off });
        }
    }
    happenings.sort_by_key(|happening| happening.at);
    happenings
}

fn spell(vocab: &Vocab, ids: Vec<u32>, happenings: &[Happening]) -> Vec<u32> {
    let mut writer = Writer::new(vocab, ids, 0);
    for &happening in happenings {
        writer.take(happening);
    }
    writer.ids
}

/// The grid as the ticks of a file see it.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Steps a tick; `None` where a tick is a step.
    scale: Option<f64>,
}

impl Grid {
    /// `ticks_per_beat` is not 0.
    pub(super) fn new(vocab: &Vocab, ticks_per_beat: u16) -> Self {
        let (steps, ticks) = (vocab.resolution(), u32::from(ticks_per_beat));
        Self { scale: (steps != ticks).then(|| f64::from(steps) / f64::from(ticks)) }
    }

    /// A note on the grid; `None` beyond [`LAST_STEP`]. Onset and length go to the
    /// nearest step each, the later of two equally near, a step at least; where no
    /// rounding is needed a note without length stays without.
    fn note(self, note: &FileNote) -> Option<GridNote> {
        let start = self.steps(note.start)?;
        let length = self.steps(note.duration.unwrap_or_default())?;
        let duration = if self.scale.is_some() { length.max(1) } else { length };
        let placed = GridNote { start, duration, pitch: note.pitch, velocity: note.velocity };
        (start + duration <= LAST_STEP).then_some(placed)
    }

    /// Ticks as steps, in the double precision in which symusic rounds.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the product is checked to lie within LAST_STEP"
    )]
    fn steps(self, ticks: u32) -> Option<u32> {
        let Some(scale) = self.scale else { return Some(ticks).filter(|&steps| steps <= LAST_STEP) };
        let steps = (scale * f64::from(ticks)).round();
        (steps <= f64::from(LAST_STEP)).then_some(steps as u32)
    }
}
