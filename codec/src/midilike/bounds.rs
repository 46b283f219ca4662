//! What a grammar must keep within: a piece's length, or an answer's window and its
//! limits.

use super::encode::LAST_STEP;
use super::sounding::Sounding;
use super::vocab::{INSTRUMENTS, KIT, Vocab};
use crate::limits::ledger::{Ledger, Voices};

/// How long an answer may be silent, in beats.
const SILENCE: u32 = 8;

/// How long a note of an answer may last, in beats.
const LONGEST: u32 = 16;

/// What is being written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// A whole piece, as MidiTok may have spelled it.
    Piece,
    /// An answer: a key is not struck while it is down, and the end of the window
    /// ends the notes.
    Answer,
}

/// When notes may begin, which, and for how long they may last. Times are in steps.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub(super) scope: Scope,
    /// No note begins at or after this step, none lasts longer.
    pub(super) until: u32,
    /// Who may play, and is in the vocabulary.
    instruments: [bool; INSTRUMENTS],
    /// How many steps may be silent.
    pub(super) silence: u32,
    longest: u32,
    /// The limits of an answer.
    ledger: Option<Ledger>,
}

impl Bounds {
    /// Those of a whole piece.
    pub(super) fn piece(vocab: &Vocab) -> Self {
        Self {
            scope: Scope::Piece,
            until: LAST_STEP,
            instruments: within(vocab, |_| true),
            silence: LAST_STEP,
            longest: LAST_STEP,
            ledger: None,
        }
    }

    /// Those of an answer by some instruments, or by the vocabulary's first where
    /// it has none of them.
    pub(super) fn answer(vocab: &Vocab, until: u32, ledger: Ledger, playing: impl Fn(u8) -> bool) -> Self {
        let mut instruments = within(vocab, playing);
        if !instruments.contains(&true) {
            let first = vocab.programs().first();
            instruments = within(vocab, |instrument| Some(&instrument) == first);
        }
        let resolution = vocab.resolution();
        Self {
            scope: Scope::Answer,
            until,
            instruments,
            silence: SILENCE * resolution,
            longest: LONGEST * resolution,
            ledger: Some(ledger),
        }
    }

    /// The pitches an instrument may play, a bit each.
    pub(super) fn pitches(&self, vocab: &Vocab, instrument: u8) -> u128 {
        if self.instruments.get(usize::from(instrument)) != Some(&true) {
            return 0;
        }
        let (low, high) = vocab.pitches(instrument).into_inner();
        let all = u128::MAX >> (127 - (high - low)) << low;
        self.ledger.as_ref().map_or(all, |ledger| all & ledger.pitches(instrument == KIT))
    }

    /// Who has a pitch to play that is not `down`.
    pub(super) fn voices(&self, vocab: &Vocab, down: impl Fn(u8) -> u128) -> Voices {
        let can = |instrument: u8| self.pitches(vocab, instrument) & !down(instrument) != 0;
        let mut melodic = vocab.programs().iter().filter(|&&instrument| instrument != KIT);
        Voices { melodic: melodic.any(|&instrument| can(instrument)), drums: can(KIT) }
    }

    /// Whether an instrument may begin a note at a step.
    pub(super) fn may_begin(&self, at: u32, instrument: u8) -> bool {
        at < self.until && self.ledger.as_ref().is_none_or(|ledger| ledger.may_begin(at, instrument == KIT))
    }

    /// The first step from `at` on at which a note may begin; `None` where there is
    /// none before the end.
    pub(super) fn next(&self, at: u32, voices: Voices) -> Option<u32> {
        let next = self.ledger.as_ref().map_or(at, |ledger| ledger.next(at, voices));
        (next < self.until && (voices.melodic || voices.drums)).then_some(next)
    }

    /// Whether a note has to begin at each onset there is.
    pub(super) fn bound(&self) -> bool {
        self.ledger.as_ref().is_some_and(Ledger::bound)
    }

    /// A note that begins at a step, and when it may end. `cut` is where its key is
    /// needed at the latest.
    pub(super) fn sounding(&self, start: u32, velocity: u8, cut: u32) -> Sounding {
        let slot = self.ledger.as_ref().and_then(|ledger| ledger.slot(start));
        let (soonest, due) = match slot.and_then(|slot| slot.duration) {
            Some(duration) => (start.saturating_add(duration), start.saturating_add(duration)),
            None => (start + 1, start.saturating_add(self.longest)),
        };
        let cut = match self.scope {
            Scope::Piece => cut.min(self.until),
            Scope::Answer => cut,
        };
        Sounding { start, velocity, soonest: soonest.min(cut), due: due.min(cut) }
    }

    /// Takes a note of the answer that has begun.
    pub(super) fn begin(&mut self, note: Sounding, instrument: u8) {
        let drums = instrument == KIT;
        match &mut self.ledger {
            Some(ledger) if ledger.bound() => ledger.add(note.start, note.due - note.start, drums),
            Some(ledger) => ledger.begin(note.start, drums),
            None => {}
        }
    }

    /// Takes the end of a note of the answer.
    pub(super) fn end(&mut self, at: u32, instrument: u8) {
        if let Some(ledger) = self.ledger.as_mut().filter(|ledger| !ledger.bound() && instrument != KIT) {
            ledger.end(at);
        }
    }

    /// Whether the window is over.
    pub(super) fn over(&self, now: u32) -> bool {
        self.scope == Scope::Answer && now >= self.until
    }
}

fn within(vocab: &Vocab, playing: impl Fn(u8) -> bool) -> [bool; INSTRUMENTS] {
    let mut instruments = [false; INSTRUMENTS];
    for &instrument in vocab.programs() {
        instruments[usize::from(instrument)] = playing(instrument);
    }
    instruments
}
