//! What a grammar must keep within: a piece's length, or an answer's window.

use super::encode::LAST_STEP;
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
    silence: u32,
    longest: u32,
    /// The limits on an answer.
    pub(super) ledger: Option<Box<Ledger>>,
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
    pub(super) fn answer(vocab: &Vocab, until: u32, playing: impl Fn(u8) -> bool) -> Self {
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
            ledger: None,
        }
    }

    /// The pitches an instrument may begin at a step, a bit each; `all` are those
    /// the vocabulary has of it.
    pub(super) fn pitches(&self, at: u32, instrument: u8, all: u128) -> u128 {
        let may = at < self.until && self.instruments.get(usize::from(instrument)) == Some(&true);
        let drums = instrument == KIT;
        match self.ledger.as_deref() {
            _ if !may => 0,
            None => all,
            Some(ledger) if ledger.may_begin(at, drums) => all & ledger.pitches(drums),
            Some(_) => 0,
        }
    }

    fn voices(&self) -> Voices {
        let (melodic, kit) = self.instruments.split_at(usize::from(KIT));
        Voices { melodic: melodic.contains(&true), drums: kit.contains(&true) }
    }

    /// The step at which a note has to begin, at the latest, if none did from one on.
    pub(super) fn must(&self, from: u32) -> Option<u32> {
        let due = self.ledger.as_deref()?.due(from, self.voices());
        (due < self.until).then_some(due)
    }

    /// How long a note that begins at a step has to last, where a rhythm says so: no
    /// further than its next onset, so that every pitch is free again there.
    pub(super) fn length(&self, at: u32) -> Option<u32> {
        let ledger = self.ledger.as_deref()?;
        Some(ledger.slot(at)?.duration?.min(ledger.slot_after(at) - at))
    }

    /// The first step from `at` on at which a note may begin; `None` where there is
    /// none before the end.
    pub(super) fn next(&self, at: u32) -> Option<u32> {
        let next = self.ledger.as_deref().map_or(at, |ledger| ledger.next(at, self.voices()));
        (next < self.until).then_some(next)
    }

    /// The last step at which a note may end that began at `start`.
    pub(super) const fn due(&self, start: u32) -> u32 {
        let due = start.saturating_add(self.longest);
        // An answer's window closes what it leaves open, a piece does not.
        match self.scope {
            Scope::Piece if due > self.until => self.until,
            Scope::Piece | Scope::Answer => due,
        }
    }

    /// Most steps of silence from `now` on: long enough for the next onset there is.
    pub(super) fn silence(&self, now: u32) -> u32 {
        let next = self.next(now + 1).unwrap_or(self.until.max(now));
        self.silence.max(next - now)
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
