//! Spells what happens, in the order in which it happens.

use super::vocab::{Span, Vocab};

/// What a note does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// It begins, at this velocity.
    On(u8),
    /// It ends.
    Off,
}

/// Something that happens. The vocabulary has the instrument and its pitch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Happening {
    /// In steps of the grid.
    pub(super) at: u32,
    pub(super) instrument: u8,
    pub(super) pitch: u8,
    pub(super) act: Act,
}

/// Writes ids.
pub(super) struct Writer<'a> {
    vocab: &'a Vocab,
    pub(super) ids: Vec<u32>,
    /// How far time has been spelled, in steps.
    now: u32,
    /// Who plays, once it was said.
    pub(super) program: Option<u8>,
    /// How many notes have begun and not ended.
    sounding: usize,
}

impl<'a> Writer<'a> {
    /// A writer that begins at a time, in steps.
    pub(super) const fn new(vocab: &'a Vocab, ids: Vec<u32>, now: u32) -> Self {
        Self { vocab, ids, now, program: None, sounding: 0 }
    }

    /// Writes what happens next; no earlier than what was written before.
    pub(super) fn take(&mut self, happening: Happening) {
        let Happening { at, instrument, pitch, act } = happening;
        self.go(at);
        self.play(instrument);
        match act {
            Act::On(velocity) => {
                self.sounding += 1;
                self.ids.push(self.vocab.on_id(instrument, pitch));
                self.ids.push(self.vocab.velocity_id(velocity));
            }
            Act::Off => {
                self.sounding = self.sounding.saturating_sub(1);
                self.ids.push(self.vocab.off_id(instrument, pitch));
            }
        }
    }

    /// Lets time pass: rests where nothing sounds, what they leave shifted over.
    pub(super) fn go(&mut self, at: u32) {
        let mut left = at.saturating_sub(self.now);
        if self.sounding == 0 {
            left = spell(left, &self.vocab.rests, |index| self.ids.push(self.vocab.rest_id(index)));
        }
        let left = spell(left, &self.vocab.shifts, |index| self.ids.push(self.vocab.shift_id(index)));
        debug_assert_eq!(left, 0, "the shortest shift is a step");
        self.now = self.now.max(at);
    }

    /// Makes an instrument the one that plays.
    pub(super) fn play(&mut self, instrument: u8) {
        if self.program != Some(instrument) {
            self.program = Some(instrument);
            self.ids.extend(self.vocab.program_id(instrument));
        }
    }
}

/// Splits a time into the longest spans that fit, one after the other; what is
/// left is shorter than the shortest.
fn spell(time: u32, spans: &[Span], mut push: impl FnMut(u32)) -> u32 {
    let mut left = time;
    loop {
        let fitting = spans.partition_point(|span| span.steps <= left);
        let Some(index) = fitting.checked_sub(1) else { return left };
        left -= spans[index].steps;
        push(u32::try_from(index).unwrap_or(u32::MAX));
    }
}
